"""What a method call came to (RFC 8620 section 3.6): an answer, an error, a request too large.

Knows no connection.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from portarchive.connectors.jmap.resource import printable
from portarchive.errors import (
    AuthenticationFailed,
    ConnectorError,
    RateLimited,
    ServerMisbehaved,
    TokenLost,
)

Answer = dict[str, Any]


class MethodError(NamedTuple):
    """A method said no (RFC 8620 section 3.6.2).

    Attributes:
        type: e.g. ``cannotCalculateChanges``; unchecked text.
        description: the server's words, printable, without the secret.
        arguments: all of it.
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


def objects(found: object) -> list[dict[str, Any]]:
    """The objects of a ``list`` that have an id.

    Raises:
        ServerMisbehaved: it is no list.
    """
    if not isinstance(found, list):
        raise ServerMisbehaved("the server's answer has no list of objects")
    return [each for each in found if isinstance(each, dict) and isinstance(each.get("id"), str)]
