"""What folder.json says of a mailbox, besides its messages (format.md section 3, draft 6.3.1)."""

from __future__ import annotations

import base64
import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

from portarchive import keywords
from portarchive.archive import model, naming
from portarchive.archive.folder_state import FolderState
from portarchive.records import Folder, FolderOpened

# Surrogates stand for octets that do not decode; noncharacters are no I-JSON (RFC 7493 §2.1).
_UNDECODABLE = re.compile(
    "[\ud800-\udfff\ufdd0-\ufdef"
    + "".join(chr(plane << 16 | last) for plane in range(17) for last in (0xFFFE, 0xFFFF))
    + "]"
)


def build(
    folder: Folder,
    path: str,
    opened: FolderOpened | None,
    previous: dict[str, Any],
    *,
    comment: str | None,
    last_uid: int | None,
) -> dict[str, Any]:
    """The header of a folder that was listed.

    Args:
        folder: as it was listed.
        path: its directory under ``mail/``.
        opened: what opening it told; None for a parent that holds no mail.
        previous: the published header; members that are not ours stay.
        comment: for people, when the folder was filtered.
        last_uid: UIDNEXT - 1, or the greatest UID here if that is more.
    """
    directory = path.rpartition("/")[2]
    name = folder.path[-1]
    header: dict[str, Any] = {
        member: value for member, value in previous.items() if member not in model.HEADER_ORDER
    }
    header["$schema"] = model.FOLDER_SCHEMA
    if folder.raw_name is None and not _UNDECODABLE.search(name):
        header["name"] = name
        if naming.needs_original_name(name, directory):
            header["original_name"] = name
    else:
        header["name"] = naming.encode_segment(name)
        raw = folder.raw_name or name.encode(
            "utf-8", "surrogateescape" if _is_escaped(name) else "surrogatepass"
        )
        header[model.RAW_NAME] = base64.b64encode(raw).decode("ascii")
    if "inbox" in folder.roles and folder.display_name is not None:
        header[model.DISPLAY_NAME] = folder.display_name
    header["uid"] = folder.uid or path
    if folder.subscribed is not None:
        header["is_subscribed"] = folder.subscribed
    special_use = keywords.special_use(folder.roles)
    if special_use is not None:
        header["special_use"] = special_use
    if folder.roles:
        header[model.ROLE] = folder.roles[0] if len(folder.roles) == 1 else list(folder.roles)
    if folder.rights is not None:
        header["myrights"] = folder.rights
    if folder.sort_order is not None and folder.sort_order >= 1:
        header["sort_order"] = folder.sort_order
    if comment is not None:
        header["comment"] = comment
    if opened is None:
        header[model.NOSELECT] = True
        return model.ordered_header(header)
    if opened.uidvalidity is not None:
        header["uidvalidity"] = opened.uidvalidity
        header["last_uid"] = last_uid or 0
    modseq = opened.highest_modseq
    if modseq is not None and 0 < modseq <= model.MAX_SAFE_INTEGER:
        header["highest_modseq"] = modseq
    if opened.allowed_keywords is not None:
        header["allowed_keywords"] = list(opened.allowed_keywords)
    return model.ordered_header(header)


def _is_escaped(name: str) -> bool:
    """Whether every surrogate stands for an octet (PEP 383)."""
    return not re.search("[\ud800-\udc7f\udd00-\udfff]", name)


def refresh(
    folder: Folder, path: str, previous: dict[str, Any], *, comment: str | None
) -> dict[str, Any]:
    """The header of a folder that stands still: what listing told anew, the rest as it was."""
    fresh = build(folder, path, None, previous, comment=comment, last_uid=None)
    del fresh[model.NOSELECT]
    kept = ("uidvalidity", "last_uid", "highest_modseq", "allowed_keywords", "myrights", "uid")
    for member in kept:
        if member in previous and (member != "uid" or folder.uid is None):
            fresh[member] = previous[member]
    return model.ordered_header(fresh)


def gone(previous: dict[str, Any], when: str) -> dict[str, Any]:
    """The header of a folder that vanished from the source: as it was, with the date."""
    return model.ordered_header({model.GONE_AT: when, **previous})


def settle_ids(states: Iterable[FolderState]) -> None:
    """No two folders of an archive have one uid (``validate``: F-041).

    A MAILBOXID that several mailboxes bear says nothing and is not written; one that a mailbox
    bears is no longer that of a folder that is gone. In its place ``uid`` is the path, and no id
    that is the path of another folder is written.

    Args:
        states: all folders of the edition; ``header`` of those that this changes is set.
    """
    headers = [
        (state, header)
        for state in states
        if (header := _to_be(state)) is not None and not (state.moved and state.header is None)
    ]
    paths = {state.path for state, _ in headers}
    live = Counter(header.get("uid") for _, header in headers if model.GONE_AT not in header)
    taken: set[object] = set(live)
    for state, header in headers:
        uid = header.get("uid")
        if uid == state.path:
            continue
        if model.GONE_AT in header:
            own = uid not in paths and uid not in taken
            taken.add(uid)
        else:
            own = uid not in paths and live[uid] == 1
        if not own:
            settled = model.ordered_header({**header, "uid": state.path})
            published = state.published.header if state.published else None
            state.header = None if settled == published else settled


def _to_be(state: FolderState) -> dict[str, Any] | None:
    if state.header is not None:
        return state.header
    return state.published.header if state.published else None
