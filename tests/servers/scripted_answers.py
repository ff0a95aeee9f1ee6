"""FETCH and SEARCH of the scripted server (RFC 9051 §6.4.4, §6.4.5; RFC 7162, 4731, 8474)."""

from __future__ import annotations

import bisect
import re
from collections.abc import Callable, Iterator
from datetime import date, datetime
from typing import TYPE_CHECKING

from servers.daemon import MONTHS
from servers.scripted import Cut, Delivery, Drop, Event, Skip
from servers.scripted_mailboxes import vanished_since
from servers.scripted_model import Mail, in_set, to_set
from servers.scripted_syntax import Item, SyntaxProblem, Token, fetch_items, section_of

if TYPE_CHECKING:
    from servers.scripted_session import Session


def fetch(event: Event) -> None:
    """Answer FETCH or UID FETCH, asking the scripts before the command and before each message."""
    session, server, mailbox = event.session, event.server, event.mailbox
    if mailbox is None:
        raise SyntaxProblem("no mailbox is open")
    if len(event.args) not in {2, 3} or not isinstance(event.args[0], bytes):
        raise SyntaxProblem("FETCH wants a set and items")
    by_uid = event.name == "UID FETCH"
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
    writers = [_writer(item) for item in items]
    hooked = server.has_message_hooks
    for uid in event.uids:
        mail = mailbox.mails.get(uid)
        if mail is None or (since is not None and mail.modseq <= since):
            continue
        number = bisect.bisect_left(session.view, uid) + 1
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
    event.tagged("OK", "fetched")


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


def _writer(item: Item) -> Callable[[Mail], Iterator[Pair] | tuple[Pair, ...]]:
    """What says one item of one message: none, one or more pairs of name and value."""
    if item.name == "BODY":
        return lambda mail: (_section(item, mail),)
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
    "EMAILID": lambda mail: (("EMAILID", f"({mail.email_id or f'E{mail.uid}'})"),),
    "THREADID": lambda mail: (("THREADID", f"({mail.thread_id})" if mail.thread_id else "NIL"),),
    "SAVEDATE": lambda mail: (("SAVEDATE", mail.date),),
    "X-GM-MSGID": lambda mail: (("X-GM-MSGID", mail.email_id or str(mail.uid)),),
    "X-GM-THRID": lambda mail: (("X-GM-THRID", mail.thread_id or str(mail.uid)),),
    "X-GM-LABELS": lambda mail: (("X-GM-LABELS", f"({mail.labels or ''})"),),
}


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
    session.send(b"* %d FETCH (" % number)
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


# --- SEARCH -------------------------------------------------------------------------------------

Test = Callable[[Mail, int], bool]


def search(event: Event) -> None:
    """Answer SEARCH or UID SEARCH with untagged data; the caller ends it."""
    session, mailbox = event.session, event.mailbox
    assert mailbox is not None
    args = list(event.args)
    returning: list[str] | None = None
    if args and isinstance(args[0], bytes) and args[0].upper() == b"RETURN":
        if not session.has("ESEARCH"):
            raise SyntaxProblem("ESEARCH is not offered")
        if len(args) < 2 or not isinstance(args[1], list):
            raise SyntaxProblem("RETURN without a list")
        returning = [str(word, "latin-1").upper() for word in args[1] if isinstance(word, bytes)]
        args = args[2:]
    if args and isinstance(args[0], bytes) and args[0].upper() == b"CHARSET":
        args = args[2:]
    if not args:
        raise SyntaxProblem("SEARCH for nothing")
    tests = []
    while args:
        tests.append(_key(session, args))
    by_uid = event.name == "UID SEARCH"
    found = []
    for number, uid in enumerate(session.view, 1):
        mail = mailbox.mails.get(uid)
        if mail is None or uid in mailbox.unsearchable:
            continue
        if all(test(mail, number) for test in tests):
            found.append(uid if by_uid else number)
    if returning is None:
        session.untagged(" ".join(["SEARCH", *map(str, found)]))
        return
    parts = [f'(TAG "{event.tag}")', *(["UID"] if by_uid else [])]
    for word in returning or ["ALL"]:
        if word == "COUNT":
            parts.append(f"COUNT {len(found)}")
        elif word == "ALL" and found:
            parts.append(f"ALL {to_set(found)}")
        elif word in {"MIN", "MAX"} and found:
            parts.append(f"{word} {found[0] if word == 'MIN' else found[-1]}")
        elif word not in {"ALL", "MIN", "MAX"}:
            raise SyntaxProblem(f"no such RETURN option here: {word}")
    session.untagged(" ".join(["ESEARCH", *parts]))


_FLAG_KEYS = {
    "ANSWERED": r"\Answered",
    "DELETED": r"\Deleted",
    "DRAFT": r"\Draft",
    "FLAGGED": r"\Flagged",
    "SEEN": r"\Seen",
}


def _key(session: Session, args: list[Token]) -> Test:
    """Take one search-key from the front of ``args`` (RFC 9051 §6.4.4)."""
    token = args.pop(0)
    if isinstance(token, list):
        tests = []
        while token:
            tests.append(_key(session, token))
        return lambda mail, number: all(test(mail, number) for test in tests)
    word = token.decode("latin-1").upper()
    try:
        return _named_key(session, word, args)
    except (IndexError, ValueError, AttributeError) as error:
        raise SyntaxProblem(f"bad search key {word}: {error}") from error


def _named_key(session: Session, word: str, args: list[Token]) -> Test:
    if word == "ALL":
        return lambda mail, number: True
    if word == "NOT":
        inner = _key(session, args)
        return lambda mail, number: not inner(mail, number)
    if word == "OR":
        left, right = _key(session, args), _key(session, args)
        return lambda mail, number: left(mail, number) or right(mail, number)
    if word == "UID":
        uids = set(in_set(bytes(args.pop(0)), session.view))
        return lambda mail, number: mail.uid in uids
    if re.fullmatch(r"[\d:,*]+", word):
        numbers = set(in_set(word.encode(), list(range(1, len(session.view) + 1))))
        return lambda mail, number: number in numbers
    if word.removeprefix("UN") in _FLAG_KEYS:
        flag, wanted = _FLAG_KEYS[word.removeprefix("UN")], not word.startswith("UN")
        return lambda mail, number: (flag in mail.flags) == wanted
    if word in {"KEYWORD", "UNKEYWORD"}:
        keyword = args.pop(0).decode("latin-1").lower()  # type: ignore[union-attr]  # AttributeError is caught
        has = word == "KEYWORD"
        return lambda mail, number: (keyword in {flag.lower() for flag in mail.flags}) == has
    if word in {"LARGER", "SMALLER"}:
        limit = int(args.pop(0))  # type: ignore[arg-type]  # ValueError is caught
        larger = word == "LARGER"
        return lambda mail, number: mail.true_size() > limit if larger else mail.true_size() < limit
    if word in {"BEFORE", "ON", "SINCE"}:
        day = _date(args.pop(0).decode("ascii"))  # type: ignore[union-attr]  # AttributeError is caught
        return lambda mail, number: _compare(word, _received(mail), day)
    if word == "MODSEQ":
        if not session.has("CONDSTORE"):
            raise SyntaxProblem("CONDSTORE is not offered")
        session.enabled.add("CONDSTORE")
        least = int(args.pop(0))  # type: ignore[arg-type]  # ValueError is caught
        return lambda mail, number: mail.modseq >= least
    if word == "HEADER":
        name, text = bytes(args.pop(0)), bytes(args.pop(0)).lower()
        section = b"HEADER.FIELDS (%s)" % name

        def named(mail: Mail, number: int) -> bool:
            fields = section_of(mail.body() or b"", section)
            return b":" in fields and text in fields.lower()

        return named
    raise SyntaxProblem(f"no such search key here: {word}")


def _date(text: str) -> date:
    day, month, year = text.split("-")
    return date(int(year), [name.lower() for name in MONTHS].index(month.lower()) + 1, int(day))


def _received(mail: Mail) -> date | None:
    """The day of INTERNALDATE in its own zone, which is what RFC 9051 compares."""
    try:
        return _date((mail.date or "").strip('" ').split(" ")[0])
    except ValueError:
        return None


def _compare(word: str, received: date | None, day: date) -> bool:
    if received is None:
        return False
    if word == "BEFORE":
        return received < day
    return received >= day if word == "SINCE" else received == day


def instant(mail: Mail) -> datetime:
    """INTERNALDATE as an aware time, for tests that compare."""
    return datetime.strptime((mail.date or "").strip('" '), "%d-%b-%Y %H:%M:%S %z")
