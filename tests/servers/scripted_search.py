"""SEARCH of the scripted server (RFC 9051 §6.4.4; RFC 4731, 9394, 9738, 9586)."""

from __future__ import annotations

import bisect
import re
from collections.abc import Callable
from datetime import date
from typing import TYPE_CHECKING

from servers.daemon import MONTHS
from servers.scripted import Event, Refuse
from servers.scripted_answers import message_limit, no_numbers
from servers.scripted_model import Mail, in_set, to_set
from servers.scripted_syntax import SyntaxProblem, Token, section_of

if TYPE_CHECKING:
    from servers.scripted_session import Session

Test = Callable[[Mail, int], bool]


def search(event: Event) -> int | None:
    """Answer SEARCH or UID SEARCH with untagged data; the caller ends it.

    Returns the lowest UID that was looked at, if a limit cut the rest off.
    """
    session, mailbox = event.session, event.mailbox
    assert mailbox is not None
    no_numbers(event, by_uid=event.name == "UID SEARCH")
    args = list(event.args)
    returning: list[Token] | None = None
    if args and isinstance(args[0], bytes) and args[0].upper() == b"RETURN":
        if not session.has("ESEARCH"):
            raise SyntaxProblem("ESEARCH is not offered")
        if len(args) < 2 or not isinstance(args[1], list):
            raise SyntaxProblem("RETURN without a list")
        returning = args[1]
        args = args[2:]
    if args and isinstance(args[0], bytes) and args[0].upper() == b"CHARSET":
        args = args[2:]
    if not args:
        raise SyntaxProblem("SEARCH for nothing")
    looked, stopped = _looked_at(event, args)
    limit = message_limit(session)
    partial = _partial(session, returning or [])
    if limit is not None and partial is not None and abs(partial[1] - partial[0]) >= limit:
        raise Refuse(f"[MESSAGELIMIT {limit}] PARTIAL asks for more")
    tests = []
    while args:
        tests.append(_key(session, args))
    by_uid = event.name == "UID SEARCH"
    if partial is not None and partial[0] < 0 and not tests and not mailbox.unsearchable:
        looked = looked[min(partial) - 1 :]  # of no more than the page is about
    found = []
    first = bisect.bisect_left(session.view, looked[0]) + 1 if looked else 1
    for number, uid in enumerate(looked, first):
        mail = mailbox.mails.get(uid)
        if mail is None or uid in mailbox.unsearchable:
            continue
        if all(test(mail, number) for test in tests):
            found.append(uid if by_uid else number)
    if returning is None:
        session.untagged(" ".join(["SEARCH", *map(str, found)]))
        return stopped
    parts = [f'(TAG "{event.tag}")', *(["UID"] if by_uid else [])]
    words = [str(word, "latin-1").upper() for word in returning if isinstance(word, bytes)]
    if partial is not None:
        parts.append(_page(found, *partial))
        words = words[2:]
    for word in words or ([] if partial is not None else ["ALL"]):
        if word == "COUNT":
            parts.append(f"COUNT {len(found)}")
        elif word == "ALL" and found:
            parts.append(f"ALL {to_set(found)}")
        elif word in {"MIN", "MAX"} and found:
            parts.append(f"{word} {found[0] if word == 'MIN' else found[-1]}")
        elif word not in {"ALL", "MIN", "MAX"}:
            raise SyntaxProblem(f"no such RETURN option here: {word}")
    session.untagged(" ".join(["ESEARCH", *parts]))
    return stopped


def _looked_at(event: Event, args: list[Token]) -> tuple[list[int], int | None]:
    """The UIDs a search is about, as far as the limit lets it; its leading key is taken off."""
    session = event.session
    looked = session.view
    first = args[0] if isinstance(args[0], bytes) else b""
    if first.upper() == b"UID" and len(args) > 1:
        no_numbers(event, by_uid=True, text=args[1])
        looked = in_set(bytes(args[1]), session.view)  # type: ignore[arg-type]  # ValueError is caught
        del args[:2]
    elif first.upper() == b"ALL":
        del args[:1]
    limit = message_limit(session)
    if limit is None or len(looked) <= limit:
        return looked, None
    return looked[-limit:], looked[-limit]


def _partial(session: Session, returning: list[Token]) -> tuple[int, int] | None:
    """The range of ``PARTIAL -1:-500`` (RFC 9394 §3.1)."""
    words = [bytes(word) for word in returning if isinstance(word, bytes)]
    if not words or words[0].upper() != b"PARTIAL":
        return None
    session.need("PARTIAL")
    if b"ALL" in words:
        raise SyntaxProblem("PARTIAL beside ALL")
    low, high = (int(end) for end in words[1].split(b":"))
    return low, high


def _page(found: list[int], low: int, high: int) -> str:
    ordered = found[::-1] if low < 0 else found
    low, high = sorted((abs(low), abs(high)))
    page = ordered[low - 1 : high]
    sign = "-" if ordered is not found else ""
    return f"PARTIAL ({sign}{low}:{sign}{high} {to_set(page) if page else 'NIL'})"


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
        if "UIDONLY" in session.enabled:
            raise SyntaxProblem("a sequence set under UIDONLY")
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
