"""What a folder.json of any dialect says: its mailbox, and its messages as items.

Owns the reading of members that were written by anybody; what has the wrong type is as good as
absent. Refuses to open anything: octets come in as parsed JSON.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple, TypeGuard

from portarchive import keywords
from portarchive.archive import model, received
from portarchive.archive.naming import resolve_item
from portarchive.errors import UnsafePath
from portarchive.records import Received

_UID_MAX: Final = 2**32 - 1
_SHA256: Final = re.compile(r"[0-9A-Fa-f]{64}")
_SYSTEM: Final = frozenset({"\\seen", "\\answered", "\\flagged", "\\draft"})
_CACHED: Final = 4096
_CACHED_CHARACTERS: Final = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentFolder:
    """A mailbox as an archive has it.

    Attributes:
        path: POSIX, below ``mail/``; "" for a folder.json in ``mail/`` itself.
        names: its own names from the root; octets that do not decode are surrogate escapes
            (PEP 383).
        raw_name: the octets of the last name, where the archive has them.
        display_name: another name that it is shown under (JMAP's inbox).
        roles: as in RFC 8621, lower case, each once. A top-level INBOX has ``inbox`` where no
            folder claims that.
        subscribed: None if the archive does not say.
        selectable: False for a parent that holds no mail.
        gone: it was gone from the source, or is a tombstone; it may still have kept messages.
        uidvalidity: IMAP's, else None.
        uid: MAILBOXID, JMAP id, or what the generator took for one.
        sort_order: None if the archive does not say.
        allowed_keywords: archive spelling; None if the archive does not say.
        header: folder.json without its lists and maps of messages.
    """

    path: str
    names: tuple[str, ...]
    header: dict[str, Any]
    roles: tuple[str, ...] = ()
    raw_name: bytes | None = None
    display_name: str | None = None
    subscribed: bool | None = None
    selectable: bool = True
    gone: bool = False
    uidvalidity: int | None = None
    uid: str | None = None
    sort_order: int | None = None
    allowed_keywords: tuple[str, ...] | None = None


class Item(NamedTuple):
    """A message in a folder of an archive.

    Attributes:
        folder: ``ContentFolder.path``.
        uid: "" where the archive has none that is one.
        member: where its octets lie, relative to the root; "" if it names no place in ``mail/``.
        flags: archive spelling.
        received: when; ``received_from``: where that stands (a constant of ``archive.received``).
        size: octets, as the item claims, else as the container says; None if neither does.
        sha256: as the item claims, lower case hex; None if it does not.
        email_id, thread_id: as the archive has them.
        labels: Gmail's.
        kept: the source no longer had it.
    """

    folder: str
    uid: str
    member: str
    flags: tuple[str, ...]
    received: Received
    received_from: str
    size: int | None
    sha256: str | None
    email_id: str | None
    thread_id: str | None
    labels: tuple[str, ...]
    kept: bool


# --- the mailbox --------------------------------------------------------------------------------


def folder_of(
    path: str, parent: tuple[str, ...], header: dict[str, Any], of_dialect: str, met: set[str]
) -> ContentFolder:
    """A mailbox from the members of its folder.json.

    Args:
        path: below ``mail/``.
        parent: the names of the mailbox above.
        header: without lists and maps.
        of_dialect: of the archive.
        met: names of quirks; those that show here are added.
    """
    raw = _raw_name(header)
    newer = not of_dialect.startswith("happel")
    if newer and "role" in header:
        met.add("role-member")
    special_use = header.get("special_use")
    if newer and isinstance(special_use, str) and not special_use.startswith("\\"):
        met.add("bare-special-use")
    removed = header.get("removed")
    if newer and isinstance(removed, list) and any(isinstance(uid, int) for uid in removed):
        met.add("integer-removed")
    uid = header.get("uid")
    order = header.get("sort_order")
    validity = header.get("uidvalidity")
    allowed = header.get("allowed_keywords")
    shown = header.get(model.DISPLAY_NAME)
    subscribed = header.get("is_subscribed")
    gone_at, deleted_at = header.get(model.GONE_AT), header.get("deleted_at")
    return ContentFolder(
        path=path,
        names=(*parent, _own_name(path, parent, header, raw, met)),
        header=header,
        roles=_roles(header),
        raw_name=raw,
        display_name=shown if isinstance(shown, str) else None,
        subscribed=subscribed if isinstance(subscribed, bool) else None,
        selectable=header.get(model.NOSELECT) is not True,
        gone=isinstance(gone_at, str) or isinstance(deleted_at, str),
        uidvalidity=validity if _is_count(validity) and 0 < validity <= _UID_MAX else None,
        uid=uid if isinstance(uid, str) and uid else None,
        sort_order=order if _is_count(order) else None,
        allowed_keywords=keywords.to_archive(_strings(allowed))
        if isinstance(allowed, list)
        else None,
    )


def with_inbox(folders: list[ContentFolder]) -> list[ContentFolder]:
    """The same; what is the inbox by its name alone has the role, if no folder claims that."""
    if any("inbox" in folder.roles for folder in folders):
        return folders
    return [
        replace(folder, roles=("inbox", *folder.roles))
        if len(folder.names) == 1 and keywords.fold(folder.names[0]) == "inbox"
        else folder
        for folder in folders
    ]


def _is_count(value: Any) -> TypeGuard[int]:
    return value.__class__ is int and value >= 0


def _strings(value: Any) -> list[str]:
    return [one for one in value if one.__class__ is str] if isinstance(value, list) else []


def _raw_name(header: Mapping[str, Any]) -> bytes | None:
    raw = header.get(model.RAW_NAME)
    if not isinstance(raw, str):
        return None
    try:
        return base64.b64decode(raw, validate=True)
    except ValueError:
        return None


def _own_name(
    path: str, parent: tuple[str, ...], header: Mapping[str, Any], raw: bytes | None, met: set[str]
) -> str:
    if raw is not None:
        return raw.decode("utf-8", "surrogateescape")
    directory = path.rpartition("/")[2]
    original = header.get("original_name")
    if isinstance(original, str):
        return original
    name = header.get("name")
    if not isinstance(name, str):
        return directory or model.MAIL
    if "/" in name and name in {path, "/".join((*parent, directory))}:
        # the draft does not say whether a name is the last one or all of them (C-020)
        met.add("path-as-name")
        return directory
    return name


def _roles(header: Mapping[str, Any]) -> tuple[str, ...]:
    told: list[str] = []
    for member in (model.ROLE, "special_use", "role"):
        value = header.get(member)
        told += [value] if isinstance(value, str) else _strings(value)
    return keywords.roles_of(told)


def entry_quirks(entry: Any, met: set[str]) -> None:
    """Add the quirks that an entry of a list shows."""
    if entry.__class__ is not dict:
        return
    if entry.get("uid").__class__ is int:
        met.add("integer-uids")
    flags = entry.get("flags")
    if flags.__class__ is list and "imap-flags" not in met:
        for flag in flags:
            if flag.__class__ is str and flag[:1] == "\\" and flag.lower() in _SYSTEM:
                met.add("imap-flags")


# --- the messages -------------------------------------------------------------------------------


_NO_DATE: Final = (received.UNKNOWN, received.NONE)


class ItemReader:
    """Makes items of the entries of one list of one folder.json; the hot path.

    Args:
        path: of the folder, below ``mail/``.
        kept: the list is that of what the source no longer has.
        flags: what flag lists were made of, shared between readers.
        size_of: octets of a member, None if it is not there.
        look: the date that the header of a member tells, and where.
    """

    def __init__(
        self,
        path: str,
        *,
        kept: bool,
        flags: dict[tuple[str, ...], tuple[str, ...]],
        size_of: Callable[[str], int | None],
        look: Callable[[str], tuple[Received, str]],
    ) -> None:
        self._path = path
        self._directory = f"{model.MAIL}/{path}" if path else model.MAIL
        self._kept = kept
        self._flags = flags
        self._size_of = size_of
        self._look = look

    def item(self, entry: Any) -> Item:
        """The item of an entry, whatever that is: one that cannot be read is one without member."""
        get = (entry if entry.__class__ is dict else {}).get
        uid = get("uid")
        if uid.__class__ is int:
            uid = str(uid)
        elif uid.__class__ is not str:
            uid = ""
        member = self._member(get("filename"))
        when, source = received.of_item(entry) if entry.__class__ is dict else _NO_DATE
        if source == received.NONE and member:
            found, source = self._look(member)
            when = Received(found.text, found.epoch, when.raw)
        size, digest = get(model.SIZE), get(model.SHA256)
        if size.__class__ is not int or size < 0:
            size = self._size_of(member) if member else None
        if digest.__class__ is not str or _SHA256.fullmatch(digest) is None:
            digest = None
        email_id, thread_id = get(model.EMAIL_ID), get(model.THREAD_ID)
        labels = get(model.LABELS)
        return Item(
            self._path,
            uid,
            member,
            self._spelled(get("flags")),
            when,
            source,
            size,
            digest if digest is None or digest.islower() else digest.lower(),
            email_id if email_id.__class__ is str and email_id else None,
            thread_id if thread_id.__class__ is str and thread_id else None,
            tuple(_strings(labels)) if labels is not None else (),
            self._kept,
        )

    def _member(self, filename: Any) -> str:
        if filename.__class__ is not str:
            return ""
        try:
            member = resolve_item(self._directory, filename)
        except UnsafePath:
            return ""
        return "" if member.endswith(f"/{model.FOLDER_FILE}") else member

    def _spelled(self, flags: Any) -> tuple[str, ...]:
        if flags.__class__ is not list or not flags:
            return ()
        try:
            return self._flags[tuple(flags)]
        except (KeyError, TypeError):  # new, or of the wrong types
            pass
        told = _strings(flags)
        spelled = keywords.to_archive(told)
        if (
            len(told) == len(flags)
            and len(self._flags) < _CACHED
            and sum(map(len, told)) < _CACHED_CHARACTERS
        ):
            self._flags[tuple(told)] = spelled
        return spelled
