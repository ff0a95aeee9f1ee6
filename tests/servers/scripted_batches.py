"""UIDBATCHES of the scripted server, as strict as RFC 10022 lets a server be."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from servers.scripted import Event, Refuse
from servers.scripted_mailboxes import need_mailbox

if TYPE_CHECKING:
    from servers.scripted_session import Session


def uidbatches(session: Session, event: Event) -> None:
    """Batches, newest first; every rule that a client breaks is a violation too."""
    session.need("UIDBATCHES")
    mailbox, server = need_mailbox(session), session.server
    found = re.fullmatch(r"UIDBATCHES ([1-9]\d*)(?: ([1-9]\d*):([1-9]\d*))?", event.line)
    if found is None:
        session.violate(event.line)
        raise Refuse("bad arguments", "BAD")
    size = int(found[1])
    if size < 500:
        session.violate(f"batches of {size}")
    if size < server.least_batch:
        raise Refuse(f"[TOOFEW] Minimum batch size is {server.least_batch}")
    low, high = (int(found[2]), int(found[3])) if found[2] else (1, 0)
    if high and low > high:
        session.violate(event.line)
        raise Refuse("[CLIENTBUG] Invalid batch range", "BAD")
    asked = (high - low + 1) * size if high else len(session.view)
    if high and asked > 100_000:
        session.violate(event.line)
    if asked > server.most_batched:
        raise Refuse("[TOOMANY] Too many messages")
    if session.batched is not None and low == 1:
        earlier, events = session.batched
        kinds = [what for what, _ in mailbox.events[events:]]
        if 2 * max(kinds.count("add"), kinds.count("expunge")) <= earlier:
            session.violate(f"again: {event.line}")
            raise Refuse("[LIMIT] Asked for already")
    if low == 1:
        session.batched = size, len(mailbox.events)
    step = max(1, int(size * server.fill))
    newest = session.view[::-1]
    cuts = [newest[at : at + step] for at in range(0, len(newest), step)]
    ranges = []
    for number, cut in enumerate(cuts, 1):
        end = 1 if number == len(cuts) else cut[-1]
        if low <= number and (not high or number <= high):
            ranges.append(f"{cut[0]}:{end}")
    told = " " + ",".join(ranges) if ranges else ""
    session.untagged(f'UIDBATCHES (TAG "{event.tag}"){told}')
    event.tagged("OK", "done")
