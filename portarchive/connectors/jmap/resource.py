"""The JMAP Session resource (RFC 8620 section 2): limits, URLs, accounts. Pure; trusts nothing.

What a server may forget is given a careful value; without what nothing works it is an error.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from portarchive.connectors.jmap.origin import Guard
from portarchive.errors import ServerMisbehaved, SettingsError, Unreachable

CORE: Final = "urn:ietf:params:jmap:core"
MAIL: Final = "urn:ietf:params:jmap:mail"
BLOB: Final = "urn:ietf:params:jmap:blob"
CYRUS_BLOB: Final = "https://cyrusimap.org/ns/jmap/blob"
"""What RFC 9404 was made of; ``Blob/get`` is the same, without digests."""

_UNPRINTABLE: Final = re.compile(r"[^\x20-\x7e\xa0-\ud7ff\ue000-\U0010ffff]")


@dataclass(slots=True, kw_only=True)
class Limits:
    """What one request may hold (RFC 8620 section 2). They only ever shrink.

    A server that forgets to name one gets the value that it must have for anything to work well,
    and less as soon as it complains.
    """

    max_size_upload: int = 50_000_000
    max_concurrent_upload: int = 4
    max_size_request: int = 10_000_000
    max_concurrent_requests: int = 4
    max_calls_in_request: int = 16
    max_objects_in_get: int = 500
    max_objects_in_set: int = 500

    def shrink(self, name: str, used: int) -> bool:
        """Learn that ``used`` was too much; False if there is nothing to shrink any more.

        Args:
            name: of the limit, as RFC 8620 spells it or as here.
            used: what was sent, at least 1.
        """
        attribute = _snake(name)
        if attribute not in _ANNOUNCED:
            return False
        before: int = getattr(self, attribute)
        # not half of what it is by now: several requests at once may have been too much
        after = max(1, min(before, used // 2))
        setattr(self, attribute, after)
        return after < before or used > after


_ANNOUNCED: Final = {
    "max_size_upload": "maxSizeUpload",
    "max_concurrent_upload": "maxConcurrentUpload",
    "max_size_request": "maxSizeRequest",
    "max_concurrent_requests": "maxConcurrentRequests",
    "max_calls_in_request": "maxCallsInRequest",
    "max_objects_in_get": "maxObjectsInGet",
    "max_objects_in_set": "maxObjectsInSet",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class JmapAccount:
    """An account that the user has access to.

    Attributes:
        account_id: its id.
        name: for people, printable.
        personal: it belongs to the user.
        read_only: nothing can be changed in it.
        capabilities: by URI, what it can do and its own limits.
    """

    account_id: str
    name: str
    personal: bool
    read_only: bool
    capabilities: Mapping[str, Mapping[str, Any]]

    @property
    def label(self) -> str:
        """What tells it from the other accounts: ``Info (u7f3)``, or its id if that is its name."""
        if self.name == self.account_id:
            return self.account_id
        return f"{self.name} ({self.account_id})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """The session object, checked.

    Attributes:
        url: where it was found, after redirects.
        username: as the server has it, ``""`` if it does not say.
        api_url: absolute, and trusted.
        download_url, upload_url: absolute templates; not judged yet, see ``Guard.resolve``.
        capabilities: of the server, by URI.
        accounts: by id.
        primary: the id of the user's own mail account, None if the server names none.
        state: changes when the session object does.
    """

    url: str
    username: str
    api_url: str
    download_url: object
    upload_url: object
    capabilities: Mapping[str, Mapping[str, Any]]
    accounts: Mapping[str, JmapAccount]
    primary: str | None
    state: str

    def limits(self) -> Limits:
        """As announced."""
        core = self.capabilities.get(CORE, {})
        limits = Limits()
        for attribute, name in _ANNOUNCED.items():
            value = core.get(name)
            if isinstance(value, int) and not isinstance(value, bool) and value > 0:
                setattr(limits, attribute, value)
        return limits

    @property
    def mail_accounts(self) -> dict[str, JmapAccount]:
        """Those that hold mail, by id."""
        return {key: each for key, each in self.accounts.items() if MAIL in each.capabilities}

    @property
    def own(self) -> JmapAccount | None:
        """The user's own account: the one that is meant where none is named.

        The primary one; where the server names none, the only personal one, or the only one at all.
        """
        able = self.mail_accounts
        if self.primary in able:
            return able[self.primary]
        found = [each for each in able.values() if each.personal] or list(able.values())
        return found[0] if len(found) == 1 else None

    def account(self, wanted: str | None) -> JmapAccount:
        """The account to use: the user's own one, or the one of this id, name or label.

        Raises:
            Unreachable: the user has no mail account here.
            SettingsError: there is none of that id or name; says which there are.
        """
        able = self.mail_accounts
        if wanted is None:
            if self.own is not None:
                return self.own
            if not able:
                raise Unreachable("the server offers this user no mail by JMAP", code="no-account")
            raise SettingsError(
                "the server does not say which of the accounts is the user's own",
                hint=f"name one with ?account=…: {', '.join(names(able.values()))}",
                code="no-account",
            )
        if wanted in able:
            return able[wanted]
        word = wanted.casefold()
        alike = [
            each for each in able.values() if word in {each.name.casefold(), each.label.casefold()}
        ]
        if len(alike) == 1:
            return alike[0]
        raise SettingsError(
            "several accounts have the name that was asked for"
            if alike
            else "the user has no mail account of the name that was asked for",
            hint=f"there are {', '.join(names(able.values()))}" if able else None,
            code="no-account",
        )


def parse(found: object, url: str, guard: Guard) -> Resource:
    """Check a session object.

    Args:
        found: the JSON.
        url: where it was found.
        guard: judges ``apiUrl``.

    Raises:
        ServerMisbehaved: it is none.
        Unreachable: its API is on a foreign host, or without TLS.
    """
    if not isinstance(found, dict):
        raise _no_session()
    capabilities = _objects(found.get("capabilities"))
    accounts = {
        key: JmapAccount(
            account_id=key,
            name=printable(each.get("name")) or printable(key),
            personal=each.get("isPersonal") is True,
            read_only=each.get("isReadOnly") is True,
            capabilities=_objects(each.get("accountCapabilities")),
        )
        for key, each in _objects(found.get("accounts")).items()
    }
    if not capabilities or "apiUrl" not in found:
        raise _no_session()
    primary = _objects({"of": found.get("primaryAccounts")}).get("of", {}).get(MAIL)
    return Resource(
        url=url,
        username=printable(found.get("username")),
        api_url=guard.resolve(found["apiUrl"], url, "apiUrl"),
        download_url=found.get("downloadUrl"),
        upload_url=found.get("uploadUrl"),
        capabilities=capabilities,
        accounts=accounts,
        primary=primary if isinstance(primary, str) else None,
        state=printable(found.get("state")),
    )


def printable(text: object, limit: int = 200) -> str:
    """Words of the server, fit to be shown; ``""`` for what is no text."""
    return _UNPRINTABLE.sub("?", text[:limit]) if isinstance(text, str) else ""


def _objects(found: object) -> dict[str, Mapping[str, Any]]:
    if not isinstance(found, dict):
        return {}
    # A name that is not printable goes into no request and no archive as it is.
    return {
        key: each
        for key, each in found.items()
        if isinstance(each, dict) and printable(key, len(key)) == key
    }


def names(accounts: Iterable[JmapAccount]) -> list[str]:
    """What ``--account`` takes for each of these, 20 at most; with the id where a name repeats."""
    found = list(accounts)
    often = Counter(each.name.casefold() for each in found)
    return sorted(
        f"{printable(each.name, 60)} ({each.account_id})"
        if often[each.name.casefold()] > 1
        else printable(each.name, 60)
        for each in found
    )[:20]


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])([A-Z])", r"_\1", name).lower()


def _no_session() -> ServerMisbehaved:
    return ServerMisbehaved(
        "what the server sent is no JMAP session object",
        hint="check host and port: jmaps://user@host[:port] wants the server's name for JMAP",
    )
