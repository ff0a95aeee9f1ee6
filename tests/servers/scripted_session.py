"""One connection of the scripted server: reads commands, answers them as RFC 3501 says.

Owns the dialogue: login, LIST and STATUS, EXAMINE, and what is announced to an open mailbox.
FETCH and SEARCH are in ``scripted_answers.py``. Nothing here misbehaves by itself.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
import re
import socket
import threading
from typing import TYPE_CHECKING

from servers.scripted import Drop, Event, Refuse
from servers.scripted_answers import fetch, search
from servers.scripted_model import Mailbox, in_set, to_set
from servers.scripted_syntax import SyntaxProblem, Token, tokens

if TYPE_CHECKING:
    from servers.scripted import ScriptedServer

LONGEST_LINE = 8192  # RFC 7162 §4 and RFC 2683 §3.2.1.5

# What may change a mailbox. None of it is known here: it is recorded and refused.
WRITING = {
    "SELECT", "STORE", "UID STORE", "APPEND", "EXPUNGE", "UID EXPUNGE", "COPY", "UID COPY", "MOVE",
    "UID MOVE", "CREATE", "DELETE", "RENAME", "SUBSCRIBE", "UNSUBSCRIBE", "SETACL", "SETMETADATA",
    "SETANNOTATION", "REPLACE", "UID REPLACE",
}  # fmt: skip

_LITERAL_AT_END = re.compile(rb"\{(\d+)(\+?)\}\r\n\Z")


class Session:
    """One client. ``view`` holds the UIDs by sequence number, as this client knows them."""

    def __init__(self, server: ScriptedServer, connection: socket.socket, number: int) -> None:
        self.server = server
        self.socket = connection
        self.number = number
        self.user: str | None = None
        self.mailbox: Mailbox | None = None
        self.view: list[int] = []
        self.seen_events = 0
        self.enabled: set[str] = set()
        self.encrypted = server.tls == "implicit"
        self.thread = threading.Thread(target=self._run, daemon=True)
        self._input = connection.makefile("rb")
        self._out = bytearray()

    # --- octets ---------------------------------------------------------------------------------

    def send(self, octets: bytes) -> None:
        self._out += octets
        if len(self._out) > 65536:
            self.flush()

    def flush(self) -> None:
        octets, self._out = self._out, bytearray()
        if octets:
            self.socket.sendall(octets)

    def untagged(self, text: str) -> None:
        self.send(f"* {text}\r\n".encode("latin-1"))

    def tagged(self, tag: str, status: str, text: str) -> None:
        terse = self.server.terse and status == "OK" and not text.startswith("[")
        self.send(f"{tag} {status}{'' if terse else ' ' + text}\r\n".encode("latin-1"))

    def abort(self) -> None:
        """Break the connection from any thread."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)

    def _run(self) -> None:
        try:
            self._converse()
        except Drop:
            with contextlib.suppress(OSError):
                self.flush()
        except (OSError, EOFError, ValueError):  # the client went away; ValueError: socket closed
            pass
        except BaseException as error:  # noqa: BLE001 - handed to the test by stop()
            self.server.errors.append(error)
        finally:
            self.abort()  # makefile() would keep a merely closed socket open
            for stream in (self._input, self.socket):
                with contextlib.suppress(OSError):
                    stream.close()
            self.server.forget(self)

    def _converse(self) -> None:
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.encrypted:
            self._wrap()
            self._input = self.socket.makefile("rb")
        if self.server.greeting is not None:
            self.send(self.server.greeting)
            if self.server.greeting.startswith(b"* BYE"):
                raise Drop
            if self.server.greeting.startswith(b"* PREAUTH"):
                self.user = "preauthenticated"
        else:
            self.untagged(f"OK [CAPABILITY {self._capabilities()}] ready")
        while True:
            self.flush()
            self._one_command()

    def _wrap(self) -> None:
        assert self.server.tls_context is not None
        self.socket = self.server.tls_context.wrap_socket(self.socket, server_side=True)

    def _read_line(self) -> bytes:
        line = self._input.readline()
        if not line.endswith(b"\n"):
            raise EOFError
        return line

    def _read_command(self) -> tuple[bytes, list[bytes]]:
        """The command with its literals left as ``{n}``, and the literals."""
        whole = bytearray()
        literals = []
        while True:
            line = self._read_line()
            if len(line) > LONGEST_LINE:
                self.violate(f"a line of {len(line)} octets: {line[:60]!r}")
            if not line.endswith(b"\r\n"):
                self.violate(f"a line without CR: {line[:60]!r}")
            whole += line
            found = _LITERAL_AT_END.search(line)
            if found is None:
                return bytes(whole).rstrip(b"\r\n"), literals
            del whole[-2:]
            if found[2] and "LITERAL+" not in self.server.capabilities:
                self.violate("a non-synchronising literal without LITERAL+")
            if not found[2]:
                self.send(b"+ go on\r\n")
                self.flush()
            literal = self._input.read(int(found[1]))
            if len(literal) < int(found[1]):
                raise EOFError
            literals.append(literal)

    def violate(self, what: str) -> None:
        self.server.violations.append(what)

    # --- commands -------------------------------------------------------------------------------

    def _one_command(self) -> None:
        line, literals = self._read_command()
        tag, _, rest = line.decode("latin-1").partition(" ")
        word, _, arguments = rest.partition(" ")
        name = word.upper()
        if name == "UID":
            word, _, arguments = arguments.partition(" ")
            name = f"UID {word.upper()}"
        self.server.commands.append(rest)
        event = Event(self, tag, name, rest, [])
        try:
            event.args = tokens(arguments.encode("latin-1"), literals)
            self._answer(event)
        except SyntaxProblem as problem:
            self.violate(f"{rest[:200]!r}: {problem}")
            self.tagged(tag, "BAD", str(problem))
        except Refuse as refusal:
            self.tagged(tag, refusal.status, refusal.text)

    def _answer(self, event: Event) -> None:
        name = event.name
        if name in WRITING:
            self.violate(event.line)
        if name in {"UID FETCH", "FETCH"}:
            fetch(event)
            return
        if self.server.scripted(event):
            return
        if name in WRITING - {"SELECT"}:
            raise Refuse("[NOPERM] This server is for reading")
        method = _COMMANDS.get(name)
        if method is None:
            raise SyntaxProblem(f"no such command here: {name}")
        if name not in _BEFORE_LOGIN and self.user is None:
            raise SyntaxProblem("log in first")
        method(self, event)

    def _done(self, event: Event, text: str = "done") -> None:
        event.tagged("OK", text)

    def has(self, capability: str) -> bool:
        return capability in self.server.capabilities

    def _need(self, capability: str) -> None:
        if not self.has(capability):
            raise SyntaxProblem(f"{capability} is not offered")

    def _capabilities(self) -> str:
        offered = list(self.server.capabilities)
        if self.user is None:
            offered += [f"AUTH={mechanism}" for mechanism in self.server.mechanisms]
            if self.server.tls == "starttls" and not self.encrypted:
                offered.append("STARTTLS")
        return " ".join(offered)

    def _capability(self, event: Event) -> None:
        self.untagged(f"CAPABILITY {self._capabilities()}")
        self._done(event)

    def _noop(self, event: Event) -> None:
        self.announce()
        self._done(event)

    def _logout(self, event: Event) -> None:
        self.untagged("BYE see you")
        self._done(event)
        raise Drop

    def _starttls(self, event: Event) -> None:
        if self.server.tls != "starttls" or self.encrypted:
            raise SyntaxProblem("STARTTLS is not offered")
        self._done(event, "go ahead")
        self.flush()
        self._wrap()
        self._input = self.socket.makefile("rb")
        self.encrypted = True

    def _id(self, event: Event) -> None:
        self._need("ID")
        if self.server.identity is not None:
            self.untagged(f"ID {self.server.identity}")
        self._done(event)

    def _enable(self, event: Event) -> None:
        self._need("ENABLE")
        asked = [str(word, "latin-1").upper() for word in event.args if isinstance(word, bytes)]
        now = [word for word in asked if self.has(word) and word in {"CONDSTORE", "QRESYNC"}]
        self.enabled |= set(now)
        self.untagged(" ".join(["ENABLED", *now]))
        self._done(event)

    def _namespace(self, event: Event) -> None:
        self._need("NAMESPACE")
        self.untagged(f"NAMESPACE {self.server.namespaces}")
        self._done(event)

    # --- login ----------------------------------------------------------------------------------

    def _login(self, event: Event) -> None:
        user, password = (_text(token) for token in event.args)
        self._enter(event, user, password)

    def _enter(self, event: Event, user: str, password: str) -> None:
        known = self.server.passwords
        if password != (self.server.password if known is None else known.get(user)):
            raise Refuse("[AUTHENTICATIONFAILED] Wrong user or password")
        self._welcome(event, user)

    def _welcome(self, event: Event, user: str) -> None:
        self.user = user
        self.server.logins += 1
        self._done(event, f"[CAPABILITY {self._capabilities()}] logged in")

    def _ask(self, challenge: str) -> bytes:
        self.send(f"+ {challenge}\r\n".encode())
        self.flush()
        return self._read_line().strip()

    def _authenticate(self, event: Event) -> None:
        mechanism = _text(event.args[0]).upper()
        if mechanism not in self.server.mechanisms:
            raise Refuse("[CANNOT] no such mechanism")
        said = event.args[1] if len(event.args) > 1 else None
        if said is not None:
            self._need("SASL-IR")
        try:
            if mechanism == "LOGIN":
                user = base64.b64decode(self._ask("VXNlcm5hbWU6"), validate=True)
                secret = base64.b64decode(self._ask("UGFzc3dvcmQ6"), validate=True)
                self._enter(event, user.decode(), secret.decode())
                return
            answer = said if isinstance(said, bytes) else self._ask("")
            if answer == b"*":
                raise SyntaxProblem("authentication given up")
            response = base64.b64decode(answer, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise SyntaxProblem(f"not base64: {error}") from error
        if mechanism == "PLAIN":
            _, user, password = response.split("\0")
            self._enter(event, user, password)
            return
        found = re.search(r"(?:user|a)=([^,\x01]*)", response)
        token = re.search(r"auth=Bearer ([^\x01]*)\x01\x01\Z", response)
        if token is None or (mechanism == "XOAUTH2") != response.startswith("user="):
            raise SyntaxProblem(f"not a {mechanism} response")
        user = self.server.tokens.get(token[1])
        if user is None or (found and found[1] not in {"", user}):
            refusal = {"status": "400" if mechanism == "XOAUTH2" else "invalid_token"}
            self._ask(base64.b64encode(json.dumps(refusal).encode()).decode())
            raise Refuse("[AUTHENTICATIONFAILED] Invalid credentials")
        self._welcome(event, user)

    # --- mailboxes ------------------------------------------------------------------------------

    def _find(self, token: Token) -> Mailbox:
        if not isinstance(token, bytes):
            raise SyntaxProblem("a list for a mailbox name")
        try:
            return self.server.find(bytes(token))
        except KeyError:
            raise Refuse("[NONEXISTENT] No such mailbox") from None

    def _list(self, event: Event) -> None:
        args = list(event.args)
        selecting: list[str] = []
        returning: list[Token] = []
        if isinstance(args[0], list):
            self._need("LIST-EXTENDED")
            selecting = [_text(word).upper() for word in args.pop(0)]
        if len(args) > 2:
            if not isinstance(args[2], bytes) or args[2].upper() != b"RETURN":
                raise SyntaxProblem("LIST with something after the pattern")
            self._need("LIST-EXTENDED")
            returning = args[3] if isinstance(args[3], list) else [args[3]]
        for number, word in enumerate(returning):
            if isinstance(word, bytes) and word.upper() == b"SPECIAL-USE":
                self._need("SPECIAL-USE")
            if isinstance(word, bytes) and word.upper() == b"STATUS":
                self._need("LIST-STATUS")
                status = returning[number + 1]
        reference, pattern = _octets(args[0]), args[1]
        patterns = pattern if isinstance(pattern, list) else [pattern]
        if patterns == [b""]:
            delimiter = self.server.mailboxes[0].delimiter
            self.untagged(f'LIST (\\NoSelect) {_delimiter(delimiter)} ""')
            self._done(event)
            return
        words = {_text(word).upper() for word in returning if isinstance(word, bytes)}
        for mailbox in list(self.server.mailboxes):
            delimiter = (mailbox.delimiter or "").encode()
            if not any(_matches(mailbox.wire, reference + _octets(p), delimiter) for p in patterns):
                continue
            lowered = {attribute.lower() for attribute in mailbox.attributes}
            if "SUBSCRIBED" in selecting and not mailbox.subscribed:
                continue
            if "SPECIAL-USE" in selecting and not lowered & _USES:
                continue
            attributes = list(mailbox.attributes)
            if mailbox.subscribed and "SUBSCRIBED" in words | set(selecting):
                attributes.append("\\Subscribed")
            self._list_line("LIST", mailbox, attributes)
            if "STATUS" in words and mailbox.selectable:
                self._status_line(mailbox, status)
        self._done(event)

    def _list_line(self, word: str, mailbox: Mailbox, attributes: list[str]) -> None:
        start = f"* {word} ({' '.join(attributes)}) {_delimiter(mailbox.delimiter)} "
        self.send(start.encode("latin-1") + _name(mailbox) + b"\r\n")

    def _lsub(self, event: Event) -> None:
        pattern = _octets(event.args[0]) + _octets(event.args[1])
        for mailbox in list(self.server.mailboxes):
            delimiter = (mailbox.delimiter or "").encode()
            if mailbox.subscribed and _matches(mailbox.wire, pattern, delimiter):
                self._list_line("LSUB", mailbox, list(mailbox.attributes))
        self._done(event)

    def _status(self, event: Event) -> None:
        mailbox = self._find(event.args[0])
        if not mailbox.selectable:
            raise Refuse("[NONEXISTENT] Not selectable")
        self._status_line(mailbox, event.args[1])
        self._done(event)

    def _status_line(self, mailbox: Mailbox, items: Token) -> None:
        if not isinstance(items, list) or not items:
            raise SyntaxProblem("STATUS without items")
        uids = mailbox.visible()
        values = []
        for item in (_text(word).upper() for word in items):
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
            elif item == "HIGHESTMODSEQ" and self.has("CONDSTORE"):
                values.append(f"HIGHESTMODSEQ {mailbox.modseq}")
            elif item == "MAILBOXID" and self.has("OBJECTID"):
                values.append(f"MAILBOXID ({mailbox.mailbox_id or 'none'})")
            else:
                raise SyntaxProblem(f"no such STATUS item here: {item}")
        self.send(b"* STATUS " + _name(mailbox) + f" ({' '.join(values)})\r\n".encode())

    def _examine(self, event: Event) -> None:
        self.mailbox = None
        mailbox = self._find(event.args[0])
        if not mailbox.selectable:
            raise Refuse("[NONEXISTENT] Not selectable")
        parameters = event.args[1] if len(event.args) > 1 else []
        with self.server.lock:
            self.view = mailbox.visible()
            self.seen_events = len(mailbox.events)
            modseq, uidnext = mailbox.modseq, _uidnext(mailbox)
        read_only = event.name == "EXAMINE"
        self.untagged(r"FLAGS (\Answered \Flagged \Deleted \Seen \Draft)")
        permanent = "" if read_only else mailbox.permanent_flags
        self.untagged(f"OK [PERMANENTFLAGS ({permanent})] flags")
        self.untagged(f"{len(self.view) if mailbox.exists is None else mailbox.exists} EXISTS")
        self.untagged("0 RECENT")
        if mailbox.uidvalidity is not None:
            self.untagged(f"OK [UIDVALIDITY {mailbox.uidvalidity}] UIDs valid")
        if mailbox.uidnext is not None:
            self.untagged(f"OK [UIDNEXT {uidnext}] next")
        if self.has("CONDSTORE"):
            self.untagged(f"OK [HIGHESTMODSEQ {modseq}] highest")
        if self.has("OBJECTID") and mailbox.mailbox_id is not None:
            self.untagged(f"OK [MAILBOXID ({mailbox.mailbox_id})] id")
        self.mailbox = mailbox
        self._select_parameters(parameters)
        self._done(event, f"[READ-{'ONLY' if read_only else 'WRITE'}] opened")

    def _select_parameters(self, parameters: Token) -> None:
        """CONDSTORE and QRESYNC (RFC 7162 §3.1.8, §3.2.5)."""
        if not isinstance(parameters, list):
            raise SyntaxProblem("EXAMINE parameters without parentheses")
        mailbox = self.mailbox
        assert mailbox is not None
        if b"CONDSTORE" in parameters:
            self._need("CONDSTORE")
            self.enabled.add("CONDSTORE")
        if b"QRESYNC" not in parameters:
            return
        self._need("QRESYNC")
        if "QRESYNC" not in self.enabled:
            raise SyntaxProblem("QRESYNC was not enabled")
        known = parameters[parameters.index(b"QRESYNC") + 1]
        if not isinstance(known, list):
            raise SyntaxProblem("QRESYNC without parameters")
        validity, since = int(_octets(known[0])), int(_octets(known[1]))
        if validity != mailbox.uidvalidity:
            return
        gone = mailbox_vanished(mailbox, since, _octets(known[2]) if len(known) > 2 else None)
        if gone:
            self.untagged(f"VANISHED (EARLIER) {to_set(gone)}")
        for number, uid in enumerate(self.view, 1):
            mail = mailbox.mails.get(uid)
            if mail is not None and mail.modseq > since:
                flags = " ".join(mail.flags)
                self.untagged(f"{number} FETCH (UID {uid} FLAGS ({flags}) MODSEQ ({mail.modseq}))")

    def _close(self, event: Event) -> None:
        if event.name == "UNSELECT":
            self._need("UNSELECT")
        self.mailbox = None
        self._done(event)

    def announce(self) -> None:
        """Tell what happened to the open mailbox since the last time (RFC 9051 §7.5)."""
        mailbox = self.mailbox
        if mailbox is None:
            return
        with self.server.lock:
            events = mailbox.events[self.seen_events :]
            self.seen_events = len(mailbox.events)
        grown = False
        for what, uid in events:
            if what == "bulk":
                self.view.extend(sorted(set(mailbox.mails) - set(self.view)))
                grown = True
            elif what == "add":
                if uid not in self.view[-1:]:
                    self.view.append(uid)
                grown = True
            elif uid in self.view and what == "expunge":
                number = self.view.index(uid) + 1
                self.view.remove(uid)
                if "QRESYNC" in self.enabled:
                    self.untagged(f"VANISHED {uid}")
                else:
                    self.untagged(f"{number} EXPUNGE")
            elif uid in self.view and uid in mailbox.mails:
                mail = mailbox.mails[uid]
                modseq = f" MODSEQ ({mail.modseq})" if self.enabled else ""
                number = self.view.index(uid) + 1
                flags = " ".join(mail.flags)
                self.untagged(f"{number} FETCH (UID {uid} FLAGS ({flags}){modseq})")
        if grown:
            self.untagged(f"{len(self.view)} EXISTS")

    def _search(self, event: Event) -> None:
        if self.mailbox is None:
            raise SyntaxProblem("no mailbox is open")
        search(event)
        if event.name == "UID SEARCH":
            self.announce()
        self._done(event)


def mailbox_vanished(mailbox: Mailbox, since: int, known: bytes | None) -> list[int]:
    """The UIDs expunged after ``since``, among ``known`` if it is given (RFC 7162 §3.2.6)."""
    gone = sorted({uid for modseq, uid in mailbox.expunged if modseq > since})
    return gone if known is None else in_set(known, gone)


def _uidnext(mailbox: Mailbox) -> int:
    told = mailbox.uidnext
    return mailbox.next_uid if told is None or told == -1 else told


def _text(token: Token) -> str:
    return _octets(token).decode("latin-1")


def _octets(token: Token) -> bytes:
    if not isinstance(token, bytes):
        raise SyntaxProblem("a list where a string belongs")
    return bytes(token)


def _delimiter(delimiter: str | None) -> str:
    if delimiter is None:
        return "NIL"
    return '"\\\\"' if delimiter == "\\" else f'"{delimiter}"'


def _name(mailbox: Mailbox) -> bytes:
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

_COMMANDS = {
    "CAPABILITY": Session._capability,
    "NOOP": Session._noop,
    "CHECK": Session._noop,
    "LOGOUT": Session._logout,
    "STARTTLS": Session._starttls,
    "ID": Session._id,
    "ENABLE": Session._enable,
    "NAMESPACE": Session._namespace,
    "LOGIN": Session._login,
    "AUTHENTICATE": Session._authenticate,
    "LIST": Session._list,
    "LSUB": Session._lsub,
    "STATUS": Session._status,
    "EXAMINE": Session._examine,
    "SELECT": Session._examine,
    "CLOSE": Session._close,
    "UNSELECT": Session._close,
    "UID SEARCH": Session._search,
    "SEARCH": Session._search,
}

_BEFORE_LOGIN = {"CAPABILITY", "NOOP", "LOGOUT", "STARTTLS", "ID", "LOGIN", "AUTHENTICATE"}
