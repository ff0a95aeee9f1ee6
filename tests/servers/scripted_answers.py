"""FETCH and SEARCH of the scripted server (RFC 9051 §6.4.4, §6.4.5; RFC 7162, 4731, 8474)."""

from __future__ import annotations

import bisect
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from servers.scripted import Cut, Delivery, Drop, Event, Refuse, Skip
from servers.scripted_mailboxes import need_mailbox, vanished_since
from servers.scripted_model import Mail, Mailbox, gmail_label, in_set, to_set
from servers.scripted_syntax import Item, SyntaxProblem, Token, fetch_items, section_of

if TYPE_CHECKING:
    from servers.scripted_session import Session


def fetch(event: Event) -> None:
    """Answer FETCH or UID FETCH, asking the scripts before the command and before each message."""
    session, server = event.session, event.server
    mailbox = need_mailbox(session)
    if len(event.args) not in {2, 3} or not isinstance(event.args[0], bytes):
        raise SyntaxProblem("FETCH wants a set and items")
    by_uid = event.name == "UID FETCH"
    no_numbers(event, by_uid=by_uid, text=event.args[0])
    try:
        if by_uid:
            event.uids = in_set(event.args[0], session.view)
        else:
            numbers = in_set(event.args[0], list(range(1, len(session.view) + 1)))
            event.uids = [session.view[number - 1] for number in numbers]
    except ValueError as error:
        raise SyntaxProblem(str(error)) from error
    event.items = items = fetch_items(event.args[1])
    if any(item.sets_seen for item in items):
        session.violate(f"not PEEK: {event.line[:200]}")
    since, vanished = _modifiers(session, event.args[2:])
    names = {item.name for item in items}
    if by_uid and "UID" not in names:
        items.insert(0, Item("UID"))
    told = since is not None or ("QRESYNC" in session.enabled and "FLAGS" in names)
    if told and "MODSEQ" not in names:
        items.append(Item("MODSEQ"))
    if server.uid_last:
        items.sort(key=lambda item: item.name == "UID")
    if server.scripted(event):
        return
    if vanished:
        gone = vanished_since(mailbox, since or 0, event.args[0].replace(b"*", b"4294967295"))
        if gone:
            session.untagged(f"VANISHED (EARLIER) {to_set(gone)}")
    _check_items(session, items)
    writers = [_writer(item, mailbox) for item in items]
    hooked = server.has_message_hooks
    limit = message_limit(session)
    stopped = None
    if limit is not None and len(event.uids) > limit:
        event.uids = event.uids[-limit:][::-1]
        stopped = event.uids[-1]
    for uid in event.uids:
        mail = mailbox.mails.get(uid)
        if mail is None or (since is not None and mail.modseq <= since):
            continue
        number = uid if "UIDONLY" in session.enabled else bisect.bisect_left(session.view, uid) + 1
        data = [pair for writer in writers for pair in writer(mail)]
        if not hooked:
            _send(session, number, data)
            continue
        delivery = Delivery(event, mail, number, data)
        try:
            server.delivers(delivery)
        except Skip:
            continue
        except Cut as cut:
            _send(session, number, delivery.data, cut.octets)
        _send(session, number, delivery.data)
    if by_uid:
        session.announce()
    limited(event, stopped, "fetched")


def message_limit(session: Session) -> int | None:
    """``MESSAGELIMIT=n`` (RFC 9738)."""
    for name in session.server.capabilities:
        if name.startswith("MESSAGELIMIT="):
            return int(name.partition("=")[2])
    return None


def limited(event: Event, stopped: int | None, text: str = "done") -> None:
    """The tagged OK; ``stopped``: the lowest UID looked at, if a limit cut the rest off."""
    if stopped is None:
        event.tagged("OK", text)
        return
    code = f"[MESSAGELIMIT {message_limit(event.session)} {stopped}] partly"
    if event.server.limit_apart:
        event.untagged(f"NO {code}")
        event.tagged("OK", "[EXPUNGEISSUED] Some messages were also expunged")
    else:
        event.tagged("OK", code)


def no_numbers(event: Event, *, by_uid: bool, text: Token = b"") -> None:
    """Under UIDONLY there are no sequence numbers, nor ``*`` (RFC 9586 §3)."""
    if "UIDONLY" in event.session.enabled and (not by_uid or b"*" in text):
        event.session.violate(f"under UIDONLY: {event.line[:200]}")
        raise Refuse("[UIDREQUIRED] Message numbers are not allowed once UIDONLY is enabled", "BAD")


def _modifiers(session: Session, args: list[Token]) -> tuple[int | None, bool]:
    if not args:
        return None, False
    words = args[0]
    if not isinstance(words, list) or len(words) < 2 or words[0] != b"CHANGEDSINCE":
        raise SyntaxProblem("no such FETCH modifier here")
    if not session.has("CONDSTORE"):
        raise SyntaxProblem("CONDSTORE is not offered")
    session.enabled.add("CONDSTORE")
    vanished = words[2:] == [b"VANISHED"]
    if vanished and "QRESYNC" not in session.enabled:
        raise SyntaxProblem("VANISHED without ENABLE QRESYNC")
    if not isinstance(words[1], bytes) or not words[1].isdigit():
        raise SyntaxProblem("CHANGEDSINCE without a number")
    return int(words[1]), vanished


_NEEDS = {
    "MODSEQ": "CONDSTORE",
    "OBJECTID": "OBJECTID+",
    "EMAILID": "OBJECTID",
    "THREADID": "OBJECTID",
    "SAVEDATE": "SAVEDATE",
    "X-GM-MSGID": "X-GM-EXT-1",
    "X-GM-THRID": "X-GM-EXT-1",
    "X-GM-LABELS": "X-GM-EXT-1",
}


def _check_items(session: Session, items: list[Item]) -> None:
    for item in items:
        needed = _NEEDS.get(item.name)
        if needed is not None and not session.has(needed):
            raise SyntaxProblem(f"{item.name} needs {needed}")


Pair = tuple[str, bytes | str | None]


def _writer(item: Item, mailbox: Mailbox) -> Callable[[Mail], Iterator[Pair] | tuple[Pair, ...]]:
    """What says one item of one message: none, one or more pairs of name and value."""
    if item.name == "BODY":
        return lambda mail: (_section(item, mail),)
    if item.name == "X-GM-LABELS":
        own = gmail_label(mailbox)
        return lambda mail: (("X-GM-LABELS", f"({' '.join(_labels(mail, own))})"),)
    if item.name in {"RFC822", "RFC822.TEXT", "RFC822.HEADER"}:
        section = {"RFC822": b"", "RFC822.TEXT": b"TEXT", "RFC822.HEADER": b"HEADER"}[item.name]
        return lambda mail: ((item.name, _section(Item("BODY", section), mail)[1]),)
    return _WRITERS[item.name]


_WRITERS: dict[str, Callable[[Mail], tuple[Pair, ...]]] = {
    "UID": lambda mail: (("UID", str(mail.uid)),),
    "FLAGS": lambda mail: (("FLAGS", f"({' '.join(mail.flags)})"),),
    "INTERNALDATE": lambda mail: () if mail.date is None else (("INTERNALDATE", mail.date),),
    "RFC822.SIZE": lambda mail: (("RFC822.SIZE", str(mail.true_size())),),
    "MODSEQ": lambda mail: (("MODSEQ", f"({mail.modseq})"),),
    "EMAILID": lambda mail: (("EMAILID", f"({mail.email_id or mail.own_id()})"),),
    "THREADID": lambda mail: (("THREADID", f"({mail.thread_id})" if mail.thread_id else "NIL"),),
    "OBJECTID": lambda mail: (("OBJECTID", _compound(mail)),),
    "SAVEDATE": lambda mail: (("SAVEDATE", mail.date),),
    "X-GM-MSGID": lambda mail: (("X-GM-MSGID", mail.email_id or str(mail.uid)),),
    "X-GM-THRID": lambda mail: (("X-GM-THRID", mail.thread_id or str(mail.uid)),),
}


def _labels(mail: Mail, own: str | None) -> list[str]:
    return [label for label in re.findall(r'"[^"]*"|\S+', mail.labels or "") if label != own]


def _compound(mail: Mail) -> str:
    """``(EMAILID m THREADID t)``; what there is not is left out."""
    ids = {"EMAILID": mail.email_id, "THREADID": mail.thread_id}
    return "(" + " ".join(f"{name} {value}" for name, value in ids.items() if value) + ")"


def _section(item: Item, mail: Mail) -> Pair:
    assert item.section is not None
    name = f"BODY[{item.section.decode('latin-1')}]"
    octets = mail.body()
    if octets is not None:
        octets = section_of(octets, item.section)
        if item.start is not None and item.length is not None:
            octets = octets[item.start : item.start + item.length]
    return (name if item.start is None else f"{name}<{item.start}>"), octets


def _send(session: Session, number: int, data: list[Pair], cut: int | None = None) -> None:
    word = b"UIDFETCH" if "UIDONLY" in session.enabled else b"FETCH"
    session.send(b"* %d %s (" % (number, word))
    for position, (name, value) in enumerate(data):
        start = f"{' ' if position else ''}{name} ".encode("latin-1")
        if value is None:
            session.send(start + b"NIL")
        elif isinstance(value, str):
            session.send(start + value.encode("latin-1"))
        else:
            session.send(start + b"{%d}\r\n" % len(value))
            said = value if cut is None else value[:cut]
            session.send(said)
            _count(session, name, len(said), whole=cut is None)
            if cut is not None:
                raise Drop
    session.send(b")\r\n")


def _count(session: Session, name: str, octets: int, *, whole: bool) -> None:
    with session.server.lock:
        if "HEADER" in name:
            session.server.header_octets += octets
        else:
            session.server.body_octets += octets
            session.server.bodies += whole


def instant(mail: Mail) -> datetime:
    """INTERNALDATE as an aware time, for tests that compare."""
    return datetime.strptime((mail.date or "").strip('" '), "%d-%b-%Y %H:%M:%S %z")
