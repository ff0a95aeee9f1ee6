"""One connection of the scripted server: reads commands, answers them as RFC 3501 says.

Owns the dialogue: lines, literals, the table of commands, and what is announced to an open
mailbox. Login, mailboxes, FETCH and SEARCH have modules of their own. Nothing here misbehaves by
itself.
"""

from __future__ import annotations

import bisect
import contextlib
import re
import socket
import threading
from typing import TYPE_CHECKING

from servers.scripted import Drop, Event, Refuse
from servers.scripted_answers import fetch, limited
from servers.scripted_append import ADDING, append, create, subscribe
from servers.scripted_batches import uidbatches
from servers.scripted_login import authenticate, login
from servers.scripted_mailboxes import (
    close,
    examine,
    find,
    list_,
    lsub,
    name_of,
    need_mailbox,
    status,
)
from servers.scripted_model import Mailbox
from servers.scripted_search import search
from servers.scripted_syntax import SyntaxProblem, tokens

if TYPE_CHECKING:
    from servers.scripted import ScriptedServer

LONGEST_LINE = 8192  # RFC 7162 §4 and RFC 2683 §3.2.1.5

# What may change a mailbox. None of it is known here: it is recorded and refused.
WRITING = {
    "SELECT", "STORE", "UID STORE", "APPEND", "EXPUNGE", "UID EXPUNGE", "COPY", "UID COPY", "MOVE",
    "UID MOVE", "CREATE", "DELETE", "RENAME", "SUBSCRIBE", "UNSUBSCRIBE", "SETACL", "SETMETADATA",
    "SETANNOTATION", "REPLACE", "UID REPLACE",
}  # fmt: skip

_ENABLED = {"CONDSTORE", "QRESYNC", "UTF8=ACCEPT", "UIDONLY", "OBJECTID+"}

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
        self.shut = False  # by an EXAMINE that was refused
        self.batched: tuple[int, int] | None = None  # size, events when UIDBATCHES was answered
        self.enabled: set[str] = set()
        self.encrypted = server.tls == "implicit"
        self.aborted = False
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
        """Break the connection from any thread; whoever has the lock sees to it that it counts."""
        self.aborted = True
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)

    def _run(self) -> None:
        try:
            self._converse()
        except Drop:
            with contextlib.suppress(OSError):
                self.flush()
        except (OSError, EOFError):  # the client went away
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
            self.untagged(f"OK [CAPABILITY {self.capabilities()}] ready")
        while True:
            self.flush()
            self._one_command()

    def _wrap(self) -> None:
        assert self.server.tls_context is not None
        self.socket = self.server.tls_context.wrap_socket(self.socket, server_side=True)

    def read_line(self) -> bytes:
        line = self._input.readline()
        if not line.endswith(b"\n"):
            raise EOFError
        return line

    def _read_command(self) -> tuple[bytes, list[bytes], Refuse | None]:
        """The command with its literals left as ``{n}``, and the literals.

        A script may refuse a literal that waits for consent: then that is all there is of it.
        """
        whole = bytearray()
        literals = []
        while True:
            line = self.read_line()
            if len(line) > LONGEST_LINE:
                self.violate(f"a line of {len(line)} octets: {line[:60]!r}")
            if not line.endswith(b"\r\n"):
                self.violate(f"a line without CR: {line[:60]!r}")
            whole += line
            found = _LITERAL_AT_END.search(line)
            if found is None:
                return bytes(whole).rstrip(b"\r\n"), literals, None
            del whole[-2:]
            if found[2] and not self._ahead(int(found[1])):
                self.violate("a non-synchronising literal without LITERAL+")
            if not found[2]:
                try:
                    if self.server.consent is not None:
                        self.server.consent(bytes(whole), int(found[1]))
                except Refuse as refusal:
                    return bytes(whole), literals, refusal
                self.send(b"+ go on\r\n")
                self.flush()
            literal = self._input.read(int(found[1]))
            if len(literal) < int(found[1]):
                raise EOFError
            literals.append(literal)

    def _ahead(self, size: int) -> bool:
        """Whether a literal of so many octets may come without consent (RFC 7888)."""
        return self.has("LITERAL+") or (self.has("LITERAL-") and size <= 4096)

    def violate(self, what: str) -> None:
        self.server.violations.append(what)

    # --- commands -------------------------------------------------------------------------------

    def _one_command(self) -> None:
        line, literals, refusal = self._read_command()
        tag, _, rest = line.decode("latin-1").partition(" ")
        word, _, arguments = rest.partition(" ")
        name = word.upper()
        if name == "UID":
            word, _, arguments = arguments.partition(" ")
            name = f"UID {word.upper()}"
        self.server.commands.append(rest)
        if refusal is not None:
            self.tagged(tag, refusal.status, refusal.text)
            return
        event = Event(self, tag, name, rest, [])
        try:
            event.args = tokens(arguments.encode("latin-1"), literals)
            self._answer(event)
        except SyntaxProblem as problem:
            self.violate(f"{rest[:200]!r}: {problem}")
            self.tagged(tag, "BAD", str(problem))
        except Refuse as refusal:
            if name in {"EXAMINE", "SELECT"}:  # what is open was closed (RFC 9051 §6.3.2)
                self.mailbox = None
                self.shut = True
            self.tagged(tag, refusal.status, refusal.text)

    def _answer(self, event: Event) -> None:
        name = event.name
        adding = self.server.writable and name in ADDING
        if name in WRITING and not adding:
            self.violate(event.line)
        if name in {"UID FETCH", "FETCH"}:
            fetch(event)
            return
        if self.server.scripted(event):
            return
        if name in WRITING - {"SELECT"} and not adding:
            raise Refuse("[NOPERM] This server is for reading")
        method = _COMMANDS.get(name)
        if method is None:
            raise SyntaxProblem(f"no such command here: {name}")
        if name not in _BEFORE_LOGIN and self.user is None:
            raise SyntaxProblem("log in first")
        try:
            method(self, event)
        except (ValueError, IndexError, AssertionError) as error:  # arguments of another shape
            raise SyntaxProblem(f"bad arguments: {error}") from error

    def _done(self, event: Event, text: str = "done") -> None:
        event.tagged("OK", text)

    def has(self, capability: str) -> bool:
        return capability in self.server.capabilities

    def need(self, capability: str) -> None:
        if not self.has(capability):
            raise SyntaxProblem(f"{capability} is not offered")

    def capabilities(self) -> str:
        offered = list(self.server.capabilities)
        if self.user is None:
            offered += [f"AUTH={mechanism}" for mechanism in self.server.mechanisms]
            if self.server.tls == "starttls" and not self.encrypted:
                offered.append("STARTTLS")
        return " ".join(offered)

    def _capability(self, event: Event) -> None:
        self.untagged(f"CAPABILITY {self.capabilities()}")
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
        self.need("ID")
        if self.server.identity is not None:
            self.untagged(f"ID {self.server.identity}")
        self._done(event)

    def _enable(self, event: Event) -> None:
        self.need("ENABLE")
        asked = [str(word, "latin-1").upper() for word in event.args if isinstance(word, bytes)]
        now = [word for word in asked if self.has(word) and word in _ENABLED]
        self.enabled |= set(now)
        self.untagged(" ".join(["ENABLED", *now]))
        self._done(event)

    def _myrights(self, event: Event) -> None:
        self.need("ACL")
        mailbox = find(self, event.args[0])
        if mailbox.rights is None:
            raise Refuse("[NOPERM] no rights to know the rights")
        self.send(b"* MYRIGHTS " + name_of(mailbox) + f" {mailbox.rights}\r\n".encode())
        self._done(event)

    def _jmap_access(self, event: Event) -> None:
        self.need("JMAPACCESS")
        self.untagged(f'JMAPACCESS "{self.server.jmap}"')
        self._done(event)

    def _namespace(self, event: Event) -> None:
        self.need("NAMESPACE")
        self.untagged(f"NAMESPACE {self.server.namespaces}")
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
                continue
            if what == "add":
                if uid not in self.view[-1:]:
                    self.view.append(uid)
                grown = True
                continue
            at = bisect.bisect_left(self.view, uid)
            if self.view[at : at + 1] != [uid]:
                continue
            if what == "expunge":
                del self.view[at]
                if self.enabled & {"QRESYNC", "UIDONLY"}:
                    self.untagged(f"VANISHED {uid}")
                else:
                    self.untagged(f"{at + 1} EXPUNGE")
            elif uid in mailbox.mails:
                mail = mailbox.mails[uid]
                modseq = f" MODSEQ ({mail.modseq})" if self.enabled else ""
                flags = " ".join(mail.flags)
                word = f"{uid} UIDFETCH" if "UIDONLY" in self.enabled else f"{at + 1} FETCH"
                self.untagged(f"{word} (UID {uid} FLAGS ({flags}){modseq})")
        if grown:
            self.untagged(f"{len(self.view)} EXISTS")

    def _search(self, event: Event) -> None:
        need_mailbox(self)
        limit = search(event)
        if event.name == "UID SEARCH":
            self.announce()
        limited(event, limit)


_COMMANDS = {
    "CAPABILITY": Session._capability,
    "NOOP": Session._noop,
    "CHECK": Session._noop,
    "LOGOUT": Session._logout,
    "STARTTLS": Session._starttls,
    "ID": Session._id,
    "ENABLE": Session._enable,
    "NAMESPACE": Session._namespace,
    "MYRIGHTS": Session._myrights,
    "GETJMAPACCESS": Session._jmap_access,
    "UIDBATCHES": uidbatches,
    "LOGIN": login,
    "AUTHENTICATE": authenticate,
    "LIST": list_,
    "LSUB": lsub,
    "STATUS": status,
    "EXAMINE": examine,
    "SELECT": examine,
    "APPEND": append,
    "CREATE": create,
    "SUBSCRIBE": subscribe,
    "UNSUBSCRIBE": subscribe,
    "CLOSE": close,
    "UNSELECT": close,
    "UID SEARCH": Session._search,
    "SEARCH": Session._search,
}

_BEFORE_LOGIN = {"CAPABILITY", "NOOP", "LOGOUT", "STARTTLS", "ID", "LOGIN", "AUTHENTICATE"}
