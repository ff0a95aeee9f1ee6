"""Are two accounts one? Nobody means to migrate an account into itself.

Owns what is known from the addresses alone, and what the numbers of an account give away after the
login. Refuses to guess: two accounts that only look alike are two.
"""

from __future__ import annotations

import os
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from portarchive.archive.contents import ContentFolder, Contents
from portarchive.connectors.base import Source, Target
from portarchive.errors import SettingsError
from portarchive.loopback import is_loopback
from portarchive.placing import FolderLook, Present
from portarchive.records import FolderFailed

NEEDED: Final = 3
"""So many messages with the same UID and size, in mailboxes of the same UIDVALIDITY."""

TELLING: Final = 1 << 24
"""A UIDVALIDITY below is a small number that any account may have (Gmail's and Exchange's are); the
others are times, as RFC 9051 §2.3.1.1 suggests, and hardly two mailboxes have one."""

_USUAL: Final = {"imaps": 993, "imap": 143, "jmaps": 443, "jmap": 80}
_FILES: Final = frozenset({"maildir", "mbox"})


class Address(NamedTuple):
    """An account as its address names it.

    Attributes:
        service: the endpoint: ``imaps://imap.example.org:993``, ``maildir:/home/jane/Maildir``.
        account: the login, or the name of an account that it may use; of no matter for files.
    """

    service: str
    account: str


def one_account(a: Address, b: Address) -> bool:
    """Whether the addresses are surely of one account.

    The same protocol, host and login, at one port or at the two usual ones (993 and 143, 443 and
    80); the loopback has several names. Files: the same real path.
    """
    if _endpoint(a.service) is None or _endpoint(a.service) != _endpoint(b.service):
        return False
    return a.service.partition(":")[0] in _FILES or a.account == b.account


def oneself() -> SettingsError:
    """The error."""
    return SettingsError(
        "SOURCE and TARGET are one account", hint="name another account as TARGET", code="oneself"
    )


def refuse_oneself(source: Source, contents: Contents, target: Target) -> None:
    """Compare a source that was just exported with a target, before anything is placed there.

    One account by its address, or else, by IMAP with the same login, domain apart (RFC 9051
    §2.3.1.1: mailbox, UIDVALIDITY and UID name a message for ever): at least ``NEEDED`` messages
    of mailboxes whose UIDVALIDITY is worth something (``TELLING``) have the UID and size that the
    archive has of them, and none has another size or, where both sides tell ids, another EMAILID
    or MAILBOXID. UIDs and sizes alone say nothing: the last ``migrate`` made them alike.

    Raises:
        SettingsError: they are one account.
        ConnectorError: one of them is lost.
    """
    a, b = source.identity(), target.identity()
    if one_account(Address(a.service, a.account), Address(b.service, b.account)):
        raise oneself()
    if a.protocol != b.protocol or a.protocol != "imap" or _login(a.account) != _login(b.account):
        return
    # both sides have one UIDVALIDITY or are two: what says nothing is not listed at all
    ours = {f.names: f for f in contents.folders() if (f.uidvalidity or 0) >= TELLING}
    equal = 0
    for folder in target.folders():
        same = ours.get(folder.path)
        if same is None or not folder.selectable:
            continue
        if _differ(same.uid if same.uid != same.path else None, folder.uid):
            return
        agreeing = _agreeing(contents, same, target, folder.folder_id)
        if agreeing is None:
            return
        equal += agreeing
        if equal >= NEEDED:
            raise oneself()


def _agreeing(contents: Contents, ours: ContentFolder, target: Target, key: str) -> int | None:
    """Messages with the same UID and size; None if these are two mailboxes."""
    known: dict[str, tuple[int | None, str | None]] = {}
    equal = 0
    for found in target.existing([key]):
        if isinstance(found, FolderFailed):
            return 0
        if isinstance(found, FolderLook):
            if found.uidvalidity != ours.uidvalidity:
                return None
            known = {item.uid: (item.size, item.email_id) for item in contents.items(ours)}
        elif isinstance(found, Present):
            size, email_id = known.get(found.uid, (None, None))
            if size is None or found.size is None:
                continue
            if size != found.size or _differ(email_id, found.email_id):
                return None
            equal += 1
    return equal


def _differ(one: str | None, other: str | None) -> bool:
    return None not in (one, other) and one != other


def _login(account: str) -> str:
    return account.partition("@")[0].casefold()


def _endpoint(service: str) -> tuple[str, str, int] | None:
    """Protocol, host and port, where these say who is there; of files the real path."""
    scheme, _, path = service.partition(":")
    if scheme in _FILES:
        return "files", os.path.realpath(os.path.expanduser(path)), 0  # noqa: PTH111 - no Path yet
    try:
        parts = urlsplit(service)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        return None
    if not host or scheme not in _USUAL:
        return None
    usual = port in (None, _USUAL[scheme])
    where = "localhost" if is_loopback(host) else host
    return scheme.rstrip("s"), where, 0 if usual else int(port or 0)
