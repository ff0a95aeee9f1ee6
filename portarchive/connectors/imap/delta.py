"""What changed since a token, where the server keeps mod-sequences (RFC 7162)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from portarchive.connectors.imap import listing, planner
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


def usable(box: Mailbox, token: Mapping[str, Any]) -> int | None:
    """The mod-sequence of a token that changes can be counted from; None if they cannot."""
    modseq, uidnext, messages = (
        token.get(name) for name in ("highest_modseq", "uidnext", "messages")
    )
    if box.exists is None or not box.highest_modseq or not box.continues(token):
        return None
    if not (isinstance(modseq, int) and isinstance(uidnext, int) and isinstance(messages, int)):
        return None
    return modseq if 0 < modseq <= box.highest_modseq else None


def find_delta(
    session: Session, box: Mailbox, token: Mapping[str, Any], counted: int = 0
) -> Delta | None:
    """What changed since the token; None if the server cannot say, or what it says does not add up.

    ``counted`` is what STATUS said of the mailbox: see ``planner.all_uids``.

    Raises:
        FolderUnavailable, TokenExpired, RateLimited, ConnectionLost: see ``listing``.
    """
    modseq = usable(box, token)
    if modseq is None:
        return None
    changed = {row.uid: row for row in box.changed}
    if must_ask(session, box, token):
        asked = _changed_since(session, box, modseq)
        if asked is None:
            return None
        changed.update(asked)
    added_up = adds_up(box, token, changed)
    if added_up is not None or box.vanished is not None:
        return added_up
    uids = planner.all_uids(session, session.capabilities, counted)
    return Delta(changed, UidSet(), uids)


def must_ask(session: Session, box: Mailbox, token: Mapping[str, Any]) -> bool:
    """Whether opening the mailbox did not tell what changed, though something may have."""
    silent = box.vanished is None and not box.changed
    return since(session, token) is None or (
        silent and token.get("highest_modseq") != box.highest_modseq
    )


def adds_up(box: Mailbox, token: Mapping[str, Any], changed: dict[int, Row]) -> Delta | None:
    """What changed since the token, if that makes as many messages as there are."""
    uidnext, messages = token["uidnext"], token["messages"]
    removed = (box.vanished or UidSet()).within(1, min(uidnext - 1, MAX_UID))
    arrived = sum(1 for uid in changed if uid >= uidnext)
    if messages - len(removed) + arrived == box.exists:
        return Delta(changed, removed)
    return None


def ask(channel: Channel, modseq: int, end: bytes, items: bytes = listing.FLAGS) -> bytes:
    """Send the question for what changed in the messages up to this one; its tag."""
    since = b") (CHANGEDSINCE %d)" % modseq
    return channel.send(b"UID FETCH 1:", end, b" (UID ", items, since)


def _changed_since(channel: Channel, box: Mailbox, modseq: int) -> dict[int, Row] | None:
    changed: dict[int, Row] = {}
    end = channel.top
    while box.exists:
        rows, status, stopped = listing.read(channel, ask(channel, modseq, end))
        if not status.ok:
            channel.check(status)
            return None
        changed.update(rows)
        if stopped is None or stopped <= 1 or (end.isdigit() and stopped > int(end)):
            break
        end = b"%d" % (stopped - 1)
    return changed
