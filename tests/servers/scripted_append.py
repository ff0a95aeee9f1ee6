"""APPEND, CREATE, SUBSCRIBE of the scripted server, once ``server.writable`` is set.

Strict: flags are system flags or atoms, dates are ``date-time``, literals are what was offered;
whatever else is recorded in ``server.violations`` and answered BAD. One refused message refuses
the whole command (RFC 3502). What it can be told to do to messages:

    server.writable = True
    server.judges.append(do)        # do(Arrival) before it is stored: may change octets, flags and
                                    # date, raise Refuse(text, "NO" or "BAD") or Drop
    server.after_append.append(do)  # do([Arrival]) after they are stored, before the answer: Drop
    server.consent = do             # do(line, size) before "+": may raise Refuse, Drop
    server.settable = {…}           # roles that CREATE … USE takes, by attribute, any case
    server.room = 100               # messages until OVERQUOTA
    mailbox.append_limit = 5000     # STATUS (APPENDLIMIT), where the capability names no number

What it saw: ``server.appended`` (every Arrival that was stored, in order), ``server.append_sizes``
(messages of each APPEND command, refused ones too) and ``server.append_octets``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from servers.scripted import Drop, Event, Refuse
from servers.scripted_mailboxes import find
from servers.scripted_model import Mailbox
from servers.scripted_syntax import String, SyntaxProblem, Token, octets_of, text_of

if TYPE_CHECKING:
    from servers.scripted_session import Session

ADDING = {"SELECT", "APPEND", "CREATE", "SUBSCRIBE", "UNSUBSCRIBE"}

_SYSTEM = {"\\seen", "\\answered", "\\flagged", "\\deleted", "\\draft"}
_ATOM = re.compile(r"[!#-$&'+-\[^-z|}~]+")
_DATE = re.compile(
    r"(?: [1-9]|[0-3]\d)-(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)-\d{4}"
    r" [0-2]\d:[0-5]\d:[0-6]\d [+-]\d{4}"
)


@dataclass
class Arrival:
    """One message of an APPEND. ``utf8``: it came as UTF8 (~{n} …)."""

    session: Session
    mailbox: Mailbox
    octets: bytes
    flags: list[str]
    date: str | None
    utf8: bool = False
    uid: int = 0


def append(session: Session, event: Event) -> None:
    server = session.server
    args = list(event.args)
    name = args.pop(0)
    loads = []
    while args:
        loads.append(_load(session, args))
    server.append_sizes.append(len(loads))
    server.append_octets += sum(len(octets) for octets, *_ in loads)
    if len(loads) != 1:
        session.need("MULTIAPPEND")
    try:
        mailbox = find(session, name)
    except Refuse:
        raise Refuse("[TRYCREATE] No such mailbox") from None
    if not mailbox.selectable:
        raise Refuse("[NONEXISTENT] Not for messages")
    arrivals = [Arrival(session, mailbox, *load) for load in loads]
    limit = _limit(session, mailbox)
    for arrival in arrivals:
        if not arrival.octets:
            raise Refuse("an empty literal")
        if limit is not None and len(arrival.octets) > limit:
            raise Refuse("[TOOBIG] Too big")
        for judge in list(server.judges):
            judge(arrival)
    with server.lock:
        if session.aborted:
            raise Drop
        if server.room is not None and len(arrivals) > server.room:
            raise Refuse("[OVERQUOTA] No room")
        if server.room is not None:
            server.room -= len(arrivals)
        for arrival in arrivals:
            mail = mailbox.add(arrival.octets, arrival.flags, arrival.date or datetime.now(UTC))
            arrival.uid = mail.uid
        server.appended.extend(arrivals)
    for after in list(server.after_append):
        after(arrivals)
    code = ""
    if session.has("UIDPLUS"):
        uids = ",".join(str(arrival.uid) for arrival in arrivals)
        code = f"[APPENDUID {mailbox.uidvalidity} {uids}] "
    session.announce()
    event.tagged("OK", code + "appended")


def _limit(session: Session, mailbox: Mailbox) -> int | None:
    for capability in session.server.capabilities:
        if capability.startswith("APPENDLIMIT="):
            return int(capability.partition("=")[2])
    return mailbox.append_limit


def _load(session: Session, args: list[Token]) -> tuple[bytes, list[str], str | None, bool]:
    """Flags, date and literal of one message, taken off ``args``."""
    flags: list[str] = []
    date = None
    if isinstance(args[0], list):
        flags = [text_of(word) for word in args.pop(0)]  # type: ignore[union-attr]  # a list
        for flag in flags:
            if not (flag.lower() in _SYSTEM or _ATOM.fullmatch(flag)):
                raise SyntaxProblem(f"no flag: {flag!r}")
    if len(args) > 1 and isinstance(args[0], String) and _DATE.fullmatch(text_of(args[0])):
        date = f'"{text_of(args.pop(0))}"'
    utf8 = args[0] == b"UTF8"
    if utf8:
        if "UTF8=ACCEPT" not in session.enabled:
            raise SyntaxProblem("UTF8 was not enabled")
        inner = args[1]
        if not isinstance(inner, list) or len(inner) != 2 or inner[0] != b"~":
            raise SyntaxProblem("UTF8 without a literal8")
        del args[:2]
        return octets_of(inner[1]), flags, date, True
    if not isinstance(args[0], String):
        raise SyntaxProblem(f"no message: {args[0]!r}")
    return octets_of(args.pop(0)), flags, date, False


def create(session: Session, event: Event) -> None:
    wire = _name(session, event.args[0])
    if len(event.args) > 1:
        session.need("CREATE-SPECIAL-USE")
    try:
        session.server.find(wire)
    except KeyError:
        pass
    else:
        raise Refuse("[ALREADYEXISTS] There is one")
    uses: list[str] = []
    if len(event.args) > 1:
        words = event.args[1]
        if not isinstance(words, list) or words[0] != b"USE" or not isinstance(words[1], list):
            raise SyntaxProblem("CREATE with parameters that are no USE")
        uses = [text_of(word) for word in words[1]]
        if not {use.lower() for use in uses} <= {use.lower() for use in session.server.settable}:
            raise Refuse("[USEATTR] Not this use")
    session.server.add_mailbox(wire, attributes=tuple(uses), subscribed=False)
    event.tagged("OK", "created")


def subscribe(session: Session, event: Event) -> None:
    _name(session, event.args[0])
    find(session, event.args[0]).subscribed = event.name == "SUBSCRIBE"
    event.tagged("OK", "done")


def _name(session: Session, token: Token) -> bytes:
    wire = octets_of(token)
    if not wire or any(octet in wire for octet in (b"\r", b"\n", b"\0")):
        raise SyntaxProblem(f"no mailbox name: {wire!r}")
    return wire
