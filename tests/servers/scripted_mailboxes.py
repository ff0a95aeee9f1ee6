"""LIST, LSUB, STATUS, EXAMINE of the scripted server (RFC 9051 §6.3; RFC 5258, 5819, 7162)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from servers.scripted import Event, Refuse
from servers.scripted_model import Mailbox, in_set, to_set
from servers.scripted_syntax import SyntaxProblem, Token, octets_of, text_of

if TYPE_CHECKING:
    from servers.scripted_session import Session


def find(session: Session, token: Token) -> Mailbox:
    if not isinstance(token, bytes):
        raise SyntaxProblem("a list for a mailbox name")
    try:
        return session.server.find(bytes(token))
    except KeyError:
        raise Refuse("[NONEXISTENT] No such mailbox") from None


def need_mailbox(session: Session) -> Mailbox:
    """The open mailbox. Without one: no fault if an EXAMINE sent ahead of this was refused."""
    if session.mailbox is not None:
        return session.mailbox
    if session.shut:
        raise Refuse("no mailbox is open", "BAD")
    raise SyntaxProblem("no mailbox is open")


def list_(session: Session, event: Event) -> None:
    args = list(event.args)
    selecting: list[str] = []
    returning: list[Token] = []
    if isinstance(args[0], list):
        session.need("LIST-EXTENDED")
        selecting = [text_of(word).upper() for word in args.pop(0)]
    if len(args) > 2:
        if not isinstance(args[2], bytes) or args[2].upper() != b"RETURN":
            raise SyntaxProblem("LIST with something after the pattern")
        session.need("LIST-EXTENDED")
        returning = args[3] if isinstance(args[3], list) else [args[3]]
    for number, word in enumerate(returning):
        if isinstance(word, bytes) and word.upper() == b"SPECIAL-USE":
            session.need("SPECIAL-USE")
        if isinstance(word, bytes) and word.upper() == b"STATUS":
            session.need("LIST-STATUS")
            status = returning[number + 1]
    reference, pattern = octets_of(args[0]), args[1]
    patterns = pattern if isinstance(pattern, list) else [pattern]
    if patterns == [b""]:
        delimiter = session.server.mailboxes[0].delimiter
        session.untagged(f'LIST (\\NoSelect) {_delimiter(delimiter)} ""')
        event.tagged("OK", "done")
        return
    words = {text_of(word).upper() for word in returning if isinstance(word, bytes)}
    for mailbox in list(session.server.mailboxes):
        delimiter = (mailbox.delimiter or "").encode()
        if not any(_matches(mailbox.wire, reference + octets_of(p), delimiter) for p in patterns):
            continue
        lowered = {attribute.lower() for attribute in mailbox.attributes}
        if "SUBSCRIBED" in selecting and not mailbox.subscribed:
            continue
        if "SPECIAL-USE" in selecting and not lowered & _USES:
            continue
        attributes = list(mailbox.attributes)
        if mailbox.subscribed and "SUBSCRIBED" in words | set(selecting):
            attributes.append("\\Subscribed")
        _list_line(session, "LIST", mailbox, attributes)
        if "STATUS" in words and mailbox.selectable and mailbox.counted:
            _status_line(session, mailbox, status)
    event.tagged("OK", "done")


def _list_line(session: Session, word: str, mailbox: Mailbox, attributes: list[str]) -> None:
    if mailbox.line is not None:
        session.send(b"* " + word.encode() + b" " + mailbox.line + b"\r\n")
        return
    start = f"* {word} ({' '.join(attributes)}) {_delimiter(mailbox.delimiter)} "
    session.send(start.encode("latin-1") + name_of(mailbox) + b"\r\n")


def lsub(session: Session, event: Event) -> None:
    pattern = octets_of(event.args[0]) + octets_of(event.args[1])
    for mailbox in list(session.server.mailboxes):
        delimiter = (mailbox.delimiter or "").encode()
        if mailbox.subscribed and _matches(mailbox.wire, pattern, delimiter):
            _list_line(session, "LSUB", mailbox, list(mailbox.attributes))
    event.tagged("OK", "done")


def status(session: Session, event: Event) -> None:
    mailbox = find(session, event.args[0])
    if not mailbox.selectable:
        raise Refuse("[NONEXISTENT] Not selectable")
    if not mailbox.counted:
        raise Refuse("[NOPERM] Not to be counted")
    _status_line(session, mailbox, event.args[1])
    event.tagged("OK", "done")


def _status_line(session: Session, mailbox: Mailbox, items: Token) -> None:
    if not isinstance(items, list) or not items:
        raise SyntaxProblem("STATUS without items")
    uids = mailbox.visible()
    values = []
    for item in (text_of(word).upper() for word in items):
        if item == "MESSAGES":
            count = mailbox.status_messages
            values.append(f"MESSAGES {len(uids) if count is None else count}")
        elif item == "RECENT":
            values.append("RECENT 0")
        elif item == "UIDNEXT":
            values.append(f"UIDNEXT {_uidnext(mailbox)}")
        elif item == "UIDVALIDITY":
            values.append(f"UIDVALIDITY {mailbox.uidvalidity or 0}")
        elif item == "UNSEEN":
            unseen = sum("\\Seen" not in mailbox.mails[uid].flags for uid in uids)
            values.append(f"UNSEEN {unseen}")
        elif item == "HIGHESTMODSEQ" and session.has("CONDSTORE"):
            values.append(f"HIGHESTMODSEQ {mailbox.modseq}")
        elif item == "MAILBOXID" and session.has("OBJECTID"):
            values.append(f"MAILBOXID ({mailbox.mailbox_id or 'none'})")
        elif item == "APPENDLIMIT" and session.has("APPENDLIMIT"):
            values.append(f"APPENDLIMIT {mailbox.append_limit or 'NIL'}")
        else:
            raise SyntaxProblem(f"no such STATUS item here: {item}")
    session.send(b"* STATUS " + name_of(mailbox) + f" ({' '.join(values)})\r\n".encode())


def examine(session: Session, event: Event) -> None:
    session.mailbox = None
    mailbox = find(session, event.args[0])
    if not mailbox.selectable:
        raise Refuse("[NONEXISTENT] Not selectable")
    parameters = event.args[1] if len(event.args) > 1 else []
    with session.server.lock:
        session.view = mailbox.visible()
        session.seen_events = len(mailbox.events)
        modseq, uidnext = mailbox.modseq, _uidnext(mailbox)
    read_only = event.name == "EXAMINE"
    session.untagged(r"FLAGS (\Answered \Flagged \Deleted \Seen \Draft)")
    permanent = "" if read_only else mailbox.permanent_flags
    session.untagged(f"OK [PERMANENTFLAGS ({permanent})] flags")
    session.untagged(f"{len(session.view) if mailbox.exists is None else mailbox.exists} EXISTS")
    session.untagged("0 RECENT")
    if mailbox.uidvalidity is not None:
        session.untagged(f"OK [UIDVALIDITY {mailbox.uidvalidity}] UIDs valid")
    if mailbox.uidnext is not None:
        session.untagged(f"OK [UIDNEXT {uidnext}] next")
    if session.has("CONDSTORE"):
        session.untagged(f"OK [HIGHESTMODSEQ {modseq}] highest")
    plus = "OBJECTID+" in session.enabled
    if session.has("OBJECTID") and mailbox.mailbox_id is not None and not plus:
        session.untagged(f"OK [MAILBOXID ({mailbox.mailbox_id})] id")
    if "OBJECTID+" in session.enabled:
        ids = {"MAILBOXID": mailbox.mailbox_id, "ACCOUNTID": session.server.account_id}
        pairs = " ".join(f"{name} {value}" for name, value in ids.items() if value is not None)
        session.untagged(f"OK [OBJECTID ({pairs})] ids")
    session.mailbox = mailbox
    session.shut, session.batched = False, None
    _select_parameters(session, parameters)
    event.tagged("OK", f"[READ-{'ONLY' if read_only else 'WRITE'}] opened")


def _select_parameters(session: Session, parameters: Token) -> None:
    """CONDSTORE and QRESYNC (RFC 7162 §3.1.8, §3.2.5)."""
    if not isinstance(parameters, list):
        raise SyntaxProblem("EXAMINE parameters without parentheses")
    mailbox = session.mailbox
    assert mailbox is not None
    if b"CONDSTORE" in parameters:
        session.need("CONDSTORE")
        session.enabled.add("CONDSTORE")
    if b"QRESYNC" not in parameters:
        return
    session.need("QRESYNC")
    if "QRESYNC" not in session.enabled:
        raise SyntaxProblem("QRESYNC was not enabled")
    known = parameters[parameters.index(b"QRESYNC") + 1]
    if not isinstance(known, list):
        raise SyntaxProblem("QRESYNC without parameters")
    if len(known) > 3 and "UIDONLY" in session.enabled:
        raise SyntaxProblem("sequence match data under UIDONLY")
    validity, since = int(octets_of(known[0])), int(octets_of(known[1]))
    if validity != mailbox.uidvalidity:
        return
    gone = vanished_since(mailbox, since, octets_of(known[2]) if len(known) > 2 else None)
    if gone:
        session.untagged(f"VANISHED (EARLIER) {to_set(gone)}")
    for number, uid in enumerate(session.view, 1):
        mail = mailbox.mails.get(uid)
        if mail is not None and mail.modseq > since:
            flags = " ".join(mail.flags)
            word = f"{uid} UIDFETCH" if "UIDONLY" in session.enabled else f"{number} FETCH"
            session.untagged(f"{word} (UID {uid} FLAGS ({flags}) MODSEQ ({mail.modseq}))")


def close(session: Session, event: Event) -> None:
    if event.name == "UNSELECT":
        session.need("UNSELECT")
    session.mailbox = None
    event.tagged("OK", "done")


def vanished_since(mailbox: Mailbox, since: int, known: bytes | None) -> list[int]:
    """The UIDs expunged after ``since``, among ``known`` if it is given (RFC 7162 §3.2.6)."""
    gone = sorted({uid for modseq, uid in mailbox.expunged if modseq > since})
    return gone if known is None else in_set(known, gone)


def _uidnext(mailbox: Mailbox) -> int:
    told = mailbox.uidnext
    return mailbox.next_uid if told is None or told == -1 else told


def _delimiter(delimiter: str | None) -> str:
    if delimiter is None:
        return "NIL"
    return '"\\\\"' if delimiter == "\\" else f'"{delimiter}"'


def name_of(mailbox: Mailbox) -> bytes:
    wire = mailbox.wire
    if mailbox.form == "atom":
        return wire
    if mailbox.form == "literal":
        return b"{%d}\r\n%s" % (len(wire), wire)
    return b'"' + wire.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def _matches(wire: bytes, pattern: bytes, delimiter: bytes) -> bool:
    """``*`` and ``%`` of LIST (RFC 9051 §6.3.9)."""
    level = b"[^" + re.escape(delimiter) + b"]*" if delimiter else b".*"
    expression = b"".join(
        b".*" if part == b"*" else level if part == b"%" else re.escape(part)
        for part in re.split(rb"([*%])", pattern)
    )
    if pattern.upper() == b"INBOX" and wire.upper() == b"INBOX":
        return True
    return re.fullmatch(expression, wire, re.DOTALL) is not None


_USES = {
    "\\all",
    "\\archive",
    "\\drafts",
    "\\flagged",
    "\\junk",
    "\\sent",
    "\\trash",
    "\\important",
}
