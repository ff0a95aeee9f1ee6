"""What changed since a token, where the server keeps mod-sequences (RFC 7162)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from portarchive.connectors.imap import listing
from portarchive.connectors.imap.channel import Channel
from portarchive.connectors.imap.mailbox import Mailbox
from portarchive.connectors.imap.rows import Row
from portarchive.connectors.imap.session import Session
from portarchive.connectors.imap.uidset import MAX_UID, UidSet


@dataclass(slots=True)
class Delta:
    """Changes that add up.

    Attributes:
        changed: new messages and those with other flags, by UID.
        removed: UIDs that are gone.
        uids: None; or all that the folder has, if the server told of changes but not of what is
            gone: then the folder is named whole, with flags where they changed.
    """

    changed: dict[int, Row]
    removed: UidSet
    uids: UidSet | None = None


def since(session: Session, token: Mapping[str, Any] | None) -> tuple[int, int] | None:
    """What EXAMINE can be told of a token, if QRESYNC is enabled; None otherwise."""
    if token is None or "QRESYNC" not in session.enabled:
        return None
    validity, modseq = token.get("uidvalidity"), token.get("highest_modseq")
    if not isinstance(validity, int) or not isinstance(modseq, int) or validity < 1 or modseq < 1:
        return None
    return validity, modseq


def find_delta(session: Session, box: Mailbox, token: Mapping[str, Any]) -> Delta | None:
    """What changed since the token; None if the server cannot say, or what it says does not add up.

    Raises:
        FolderUnavailable, TokenExpired, RateLimited, ConnectionLost: see ``listing``.
    """
    modseq, uidnext, messages = (
        token.get(name) for name in ("highest_modseq", "uidnext", "messages")
    )
    if box.exists is None or not box.highest_modseq:
        return None
    if not (isinstance(modseq, int) and isinstance(uidnext, int) and isinstance(messages, int)):
        return None
    if not 0 < modseq <= box.highest_modseq:
        return None
    changed = {row.uid: row for row in box.changed}
    quick = since(session, token) is not None
    silent = box.vanished is None and not changed
    if not quick or (silent and modseq != box.highest_modseq):
        asked = _changed_since(session, box, modseq)
        if asked is None:
            return None
        changed.update(asked)
    removed = (box.vanished or UidSet()).within(1, min(uidnext - 1, MAX_UID))
    arrived = sum(1 for uid in changed if uid >= uidnext)
    if messages - len(removed) + arrived == box.exists:
        return Delta(changed, removed)
    if box.vanished is not None:
        return None
    uids = listing.all_uids(session, session.capabilities)
    return Delta(changed, UidSet(), uids)


def _changed_since(channel: Channel, box: Mailbox, modseq: int) -> dict[int, Row] | None:
    if not box.exists:
        return {}
    command = b"UID FETCH 1:* (UID FLAGS) (CHANGEDSINCE %d)" % modseq
    rows, status = listing.collect(channel, command)
    if not status.ok:
        channel.check(status)
        return None
    return rows
