"""What a method call came to (RFC 8620 section 3.6): an answer, an error, a request too large.

Knows no connection.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from portarchive.connectors.jmap.resource import printable
from portarchive.errors import (
    AuthenticationFailed,
    ConnectorError,
    RateLimited,
    ServerMisbehaved,
    TokenLost,
)

Answer = dict[str, Any]


_REFUSED: Final = ("notCreated", "notUpdated", "notDestroyed")

_OURS: Final = frozenset(
    {
        # RFC 8620 section 3.6.2
        "serverUnavailable", "serverFail", "serverPartialFail", "unknownMethod", "invalidArguments",
        "invalidResultReference", "forbidden", "accountNotFound", "accountNotSupportedByMethod",
        "accountReadOnly",
        # sections 5.1 to 5.6
        "requestTooLarge", "cannotCalculateChanges", "stateMismatch", "overQuota", "tooLarge",
        "rateLimit", "notFound", "invalidPatch", "willDestroy", "invalidProperties", "singleton",
        "alreadyExists", "anchorNotFound", "unsupportedSort", "unsupportedFilter",
        # RFC 8621 sections 2.5, 4.6, 4.8; RFC 8620 section 3.6.1, which servers mix up with these
        "mailboxHasChild", "mailboxHasEmail", "tooManyKeywords", "tooManyMailboxes", "blobNotFound",
        "maxQuotaReached", "invalidEmail", "unknownCapability",
        # properties that a SetError may name
        "blobId", "keywords", "mailboxIds", "receivedAt", "name", "parentId", "role", "sortOrder",
        "isSubscribed",
    }
)  # fmt: skip
"""Words that decide what is done. They stay as they are, whatever somebody's password may be."""


class MethodError(NamedTuple):
    """A method said no (RFC 8620 section 3.6.2).

    Attributes:
        type: e.g. ``cannotCalculateChanges``; unchecked text.
        description: the server's words, printable, without the secret.
        arguments: all of it, its words without the secret.
    """

    type: str
    description: str
    arguments: Mapping[str, Any]


class MethodRefused(ServerMisbehaved):
    """A method said no, and ``expect`` was asked. ``error``: what it said.

    It may be about a single object among many, so asking for less at a time may go well.
    """

    code = "server-refused"

    def __init__(
        self,
        text: str,
        *,
        hint: str | None = None,
        code: str | None = None,
        error: MethodError | None = None,
    ) -> None:
        super().__init__(text, hint=hint, code=code)
        self.error = error or MethodError("serverFail", "", {})


class LimitReached(ConnectorError):
    """A request was too large; ``Session.limits`` knows by now. Ask for less at a time.

    Attributes:
        limit: as RFC 8620 spells it, e.g. ``maxSizeRequest``.
    """

    code = "limit"

    def __init__(self, limit: str) -> None:
        super().__init__(f"the server takes no request of that size ({printable(limit, 60)})")
        self.limit = limit


def expect(name: str, answer: Answer | MethodError) -> Answer:
    """What a method answered.

    Args:
        name: of the method, for the error.
        answer: out of ``Session.call``.

    Raises:
        RateLimited: ``serverUnavailable``: the same may go well later.
        TokenLost: ``cannotCalculateChanges``.
        AuthenticationFailed: the account is not there (any more).
        MethodRefused: any other error.
    """
    if not isinstance(answer, MethodError):
        return answer
    words = f" ({answer.description})" if answer.description else ""
    text = f"the server refuses {name}: {printable(answer.type, 60)}{words}"
    refused = MethodRefused(text, error=answer)
    if answer.type == "serverUnavailable":
        raise RateLimited(refused.text)
    if answer.type == "cannotCalculateChanges":
        raise TokenLost(refused.text)
    if answer.type in {"accountNotFound", "accountNotSupportedByMethod"} and name != "Blob/get":
        raise AuthenticationFailed(
            refused.text, hint="check ?account=…; the share may have been taken back"
        )
    raise refused


def without_secret(arguments: Answer, hide: Callable[[str], str]) -> Answer:
    """A method's answer with nothing of the secret in the words of its SetErrors.

    Args:
        arguments: of the response; the members of an error of a whole method count as well.
        hide: takes the secret out of words.
    """
    clean = _words_of(arguments, hide)
    for member in _REFUSED:
        refused = arguments.get(member)
        if isinstance(refused, dict):
            clean[member] = {
                key: _words_of(error, hide) if isinstance(error, dict) else {}
                for key, error in refused.items()
            }
    return clean


def _words_of(error: Mapping[str, Any], hide: Callable[[str], str]) -> dict[str, Any]:
    """An error whose words (RFC 8620 section 5.3) a person may be shown."""
    clean = dict(error)
    for member in ("type", "description"):
        if isinstance(clean.get(member), str):
            clean[member] = _hidden(clean[member], hide)
    if isinstance(clean.get("properties"), list):
        clean["properties"] = [
            "/".join(_hidden(step, hide) for step in each.split("/"))
            for each in clean["properties"]
            if isinstance(each, str)
        ]
    return clean


def _hidden(text: str, hide: Callable[[str], str]) -> str:
    return text if text in _OURS else hide(text)


def texts(found: object) -> set[str]:
    """The strings of a list; none of what is no list."""
    return {each for each in found if isinstance(each, str)} if isinstance(found, list) else set()


def objects(found: object) -> list[dict[str, Any]]:
    """The objects of a ``list`` that have an id.

    Raises:
        ServerMisbehaved: it is no list.
    """
    if not isinstance(found, list):
        raise ServerMisbehaved("the server's answer has no list of objects")
    return [each for each in found if isinstance(each, dict) and isinstance(each.get("id"), str)]
