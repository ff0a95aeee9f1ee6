"""A scripted IMAP server of our own: correct IMAP4rev1 unless a script says otherwise.

    with ScriptedServer() as server:                       # plain, loopback, any user, "pass"
        inbox = server.mailbox("INBOX")                    # always there
        mail = inbox.add(octets, [r"\\Seen"], date)         # Mail, see scripted_model.py
        work = server.add_mailbox("Work/Ärger", attributes=[r"\\Archive"], mailbox_id="M1")
        inbox.expunge(3); inbox.set_flags(1, ["k"]); inbox.reset_uidvalidity(7)
        inbox.add_many(300_000, lambda uid: b"…")          # octets are made when asked for
        server.url("jane")                                 # imap://jane@localhost:port

Lies are attributes: ``mail.size``, ``mail.date`` (None: left out), ``mail.octets = None`` (NIL),
``mailbox.exists``, ``.status_messages``, ``.cap``, ``.unsearchable``, ``.uidvalidity``, ``.form``,
``.line``, ``.delimiter``, ``.rights``, ``.counted``; ``server.capabilities``, ``.greeting``,
``.namespaces``, ``.identity``, ``.challenge``, ``.deaf_to_initial``, ``.terse``, ``.uid_last``,
``.limit_apart``, ``.least_batch``, ``.most_batched``, ``.fill``, ``.account_id``, ``.jmap``; for
targets ``.writable`` and what ``scripted_append.py``
tells. ``MESSAGELIMIT=n``, ``UIDONLY``, ``UIDBATCHES``, ``PARTIAL``, ``OBJECTID+``, ``ACL`` and
``JMAPACCESS`` among the capabilities are played too. Bad days are hooks, ready-made ones are in
``scripted_faults.py``:

    hook = server.on("UID FETCH", do, when=None, times=None)   # do(Event) -> true: it is answered
    hook = server.on_message(do, folder=None, uids=None, times=None)   # do(Delivery)
    hook.off(); hook.hits

``do`` may call ``event.untagged/tagged/send/bye``, or raise ``Drop`` (the connection breaks, what
was said before arrives), ``Refuse(text)`` (tagged NO after what was said before) or, for one
message, ``Cut(octets)`` (the connection breaks in the middle of its literal) and ``Skip``.

What it saw: ``server.commands`` (lines without tags, in order of arrival, literals as ``{n}``),
``server.violations`` (whatever could change the mailbox, sets ``\\Seen``, breaks the grammar, or
is a line over 8,192 octets), ``server.body_octets`` and ``server.header_octets`` (of the literals
it sent), ``server.bodies`` (messages whose text was sent), ``server.logins``,
``server.connections``, ``server.open_connections``. ``server.check()`` raises AssertionError if
there are violations.

TLS: ``ScriptedServer(tls="starttls")`` or ``tls="implicit"``; ``ca_file``; ``certificate_for``
another host for a wrong certificate. Tokens: ``server.tokens["t1"] = "jane"`` for XOAUTH2 and
OAUTHBEARER. Names as Courier has them: ``ScriptedServer(delimiter=".", prefix="INBOX.")``.
``PLAIN_CAPABILITIES`` is a server without a single extension.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import tempfile
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

import trustme

from servers.daemon import PASSWORD
from servers.scripted_model import Mail, Mailbox, wire_name
from servers.scripted_syntax import Item, Token

if TYPE_CHECKING:
    from servers.scripted_append import Arrival
    from servers.scripted_session import Session

CAPABILITIES = (
    "IMAP4rev1", "SASL-IR", "LITERAL+", "ID", "ENABLE", "NAMESPACE", "UNSELECT", "UIDPLUS",
    "ESEARCH", "LIST-EXTENDED", "LIST-STATUS", "SPECIAL-USE", "CONDSTORE", "QRESYNC", "OBJECTID",
)  # fmt: skip

PLAIN_CAPABILITIES = ("IMAP4rev1",)


class Drop(Exception):
    """Break the connection after what was said so far."""


class Refuse(Exception):
    """Answer the command with NO (or another status) after what was said so far."""

    def __init__(self, text: str, status: str = "NO") -> None:
        super().__init__(text)
        self.text = text
        self.status = status


class Cut(Exception):
    """Send only so many octets of this message's literal and break the connection."""

    def __init__(self, octets: int) -> None:
        super().__init__(octets)
        self.octets = octets


class Skip(Exception):
    """Say nothing at all about this message."""


@dataclass
class Event:
    """A command that has arrived. ``uids`` and ``items`` are those of a FETCH, resolved."""

    session: Session
    tag: str
    name: str
    line: str
    args: list[Token]
    uids: list[int] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)

    @property
    def server(self) -> ScriptedServer:
        return self.session.server

    @property
    def mailbox(self) -> Mailbox | None:
        return self.session.mailbox

    @property
    def wants_body(self) -> bool:
        return any(item.is_body for item in self.items)

    def send(self, octets: bytes) -> None:
        """Exactly these octets."""
        self.session.send(octets)

    def untagged(self, text: str) -> None:
        self.session.untagged(text)

    def tagged(self, status: str, text: str) -> None:
        self.session.tagged(self.tag, status, text)

    def bye(self, text: str) -> None:
        """Say BYE and hang up."""
        self.session.untagged(f"BYE {text}")
        raise Drop


@dataclass
class Delivery:
    """One message that is about to be named in a FETCH answer.

    ``data`` may be changed: (item name as sent, octets or ready-made text) pairs in order.
    """

    event: Event
    mail: Mail
    number: int
    data: list[tuple[str, bytes | str | None]]

    @property
    def mailbox(self) -> Mailbox:
        assert self.event.mailbox is not None
        return self.event.mailbox

    @property
    def server(self) -> ScriptedServer:
        return self.event.server

    @property
    def session(self) -> Session:
        return self.event.session

    def send(self, octets: bytes) -> None:
        self.session.send(octets)

    def untagged(self, text: str) -> None:
        self.session.untagged(text)


@dataclass
class Hook:
    """A script's hand in the answers. ``hits`` counts how often ``do`` was asked."""

    do: Callable
    when: Callable | None
    times: int | None
    hits: int = 0

    def off(self) -> None:
        self.times = 0

    def takes(self, what: Event | Delivery) -> bool:
        if self.times == 0 or (self.when is not None and not self.when(what)):
            return False
        self.hits += 1
        if self.times is not None:
            self.times -= 1
        return True


class ScriptedServer:
    """See the module."""

    host = "localhost"
    password = PASSWORD

    def __init__(
        self,
        *,
        capabilities: Iterable[str] = CAPABILITIES,
        mechanisms: Iterable[str] = ("PLAIN", "LOGIN", "XOAUTH2", "OAUTHBEARER"),
        tls: str = "none",
        certificate_for: str = "localhost",
        delimiter: str | None = "/",
        prefix: str = "",
        port: int = 0,
    ) -> None:
        self.capabilities = list(capabilities)
        self.mechanisms = list(mechanisms)
        self.passwords: dict[str, str] | None = None  # None: anybody with PASSWORD
        self.tokens: dict[str, str] = {}
        self.tls = tls
        self.greeting: bytes | None = None
        self.delimiter = delimiter
        written = "NIL" if delimiter is None else f'"{delimiter}"'
        self.namespaces = f'(("{prefix}" {written})) NIL NIL'
        self.identity: str | None = '("name" "Scripted" "version" "1")'
        self.challenge = ""  # what comes with the "+" that asks for the first SASL message
        self.deaf_to_initial = False  # asks for it although it came by SASL-IR
        self.terse = False  # tagged OK without any text
        self.uid_last = False  # UID after the literal
        self.limit_apart = False  # MESSAGELIMIT in an untagged NO beside OK [EXPUNGEISSUED]
        self.least_batch = 500  # of UIDBATCHES
        self.most_batched = 100_000
        self.fill = 1.0  # how full the batches are
        self.account_id: str | None = "A1"
        self.jmap = "https://jmap.example/.well-known/jmap"
        self.writable = False  # see scripted_append.py for this and what follows
        self.judges: list[Callable[[Arrival], object]] = []
        self.after_append: list[Callable[[list[Arrival]], object]] = []
        self.consent: Callable[[bytes, int], object] | None = None
        self.settable: set[str] = {"\\Archive", "\\Drafts", "\\Junk", "\\Sent", "\\Trash"}
        self.room: int | None = None
        self.appended: list[Arrival] = []
        self.append_sizes: list[int] = []
        self.append_octets = 0
        self.mailboxes: list[Mailbox] = [Mailbox(b"INBOX", delimiter=delimiter)]
        self.commands: list[str] = []
        self.violations: list[str] = []
        self.body_octets = 0
        self.header_octets = 0
        self.bodies = 0
        self.logins = 0
        self.connections = 0
        self.errors: list[BaseException] = []
        self.lock = threading.RLock()
        self._hooks: list[tuple[str, Hook]] = []
        self._message_hooks: list[Hook] = []
        self._sessions: set[Session] = set()
        self._port = port
        self._certificate_for = certificate_for
        self.ca_file: Path | None = None

    # --- coming and going -----------------------------------------------------------------------

    def start(self) -> Self:
        self._directory: Path | None = None
        self.tls_context: ssl.SSLContext | None = None
        if self.tls != "none":
            authority = trustme.CA()
            self._directory = Path(tempfile.mkdtemp(prefix="scripted-"))
            self.ca_file = self._directory / "ca.pem"
            authority.cert_pem.write_to_path(str(self.ca_file))
            self.tls_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            authority.issue_cert(self._certificate_for).configure_cert(self.tls_context)
        self._listener = socket.create_server(("127.0.0.1", self._port), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()
        return self

    def stop(self) -> None:
        with contextlib.suppress(OSError):  # wakes accept()
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._acceptor.join()
        self.drop_all()
        for session in self._open():
            session.thread.join(60)
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
        if self.errors:
            raise RuntimeError("the scripted server itself failed") from self.errors[0]

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _accept(self) -> None:
        from servers.scripted_session import Session

        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self.lock:
                self.connections += 1
                session = Session(self, connection, self.connections)
                self._sessions.add(session)
            session.thread.start()

    def _open(self) -> list[Session]:
        with self.lock:
            return list(self._sessions)

    def forget(self, session: Session) -> None:
        with self.lock:
            self._sessions.discard(session)

    @property
    def open_connections(self) -> int:
        return len(self._open())

    def drop_all(self) -> None:
        """Break every connection now. Nothing is stored any more of what they had sent."""
        with self.lock:
            for session in self._open():
                session.abort()

    def url(self, user: str = "jane", *, tls: bool | None = None) -> str:
        implicit = self.tls == "implicit" if tls is None else tls
        return f"{'imaps' if implicit else 'imap'}://{user}@{self.host}:{self.port}"

    # --- mailboxes ------------------------------------------------------------------------------

    def mailbox(self, name: str | bytes) -> Mailbox:
        return self.find(wire_name(name))

    def find(self, wire: bytes) -> Mailbox:
        """By the name on the wire; KeyError if there is none."""
        for mailbox in list(self.mailboxes):
            inbox = mailbox.wire.upper() == b"INBOX" and wire.upper() == b"INBOX"
            if mailbox.wire == wire or inbox:
                return mailbox
        raise KeyError(wire)

    def add_mailbox(self, name: str | bytes, **attributes: object) -> Mailbox:
        """``name``: the whole path with the server's delimiter; bytes go out as they are."""
        attributes.setdefault("delimiter", self.delimiter)
        mailbox = Mailbox(wire_name(name), **attributes)  # type: ignore[arg-type]  # passed on
        self.mailboxes.append(mailbox)
        return mailbox

    def remove_mailbox(self, name: str | bytes) -> None:
        self.mailboxes.remove(self.mailbox(name))

    # --- scripts --------------------------------------------------------------------------------

    def on(
        self,
        command: str,
        do: Callable[[Event], object],
        *,
        when: Callable[[Event], bool] | None = None,
        times: int | None = None,
    ) -> Hook:
        """Ask ``do`` before this command (``*``: every one) is answered; a true result ends it."""
        hook = Hook(do, when, times)
        self._hooks.append((command.upper(), hook))
        return hook

    def on_message(
        self,
        do: Callable[[Delivery], object],
        *,
        folder: str | bytes | None = None,
        uids: Iterable[int] | None = None,
        body: bool = True,
        times: int | None = None,
    ) -> Hook:
        """Ask ``do`` before a message is named in a FETCH answer, ``body``: with its text only."""
        wire = None if folder is None else wire_name(folder)
        wanted = None if uids is None else set(uids)

        def when(delivery: Delivery) -> bool:
            return (
                (delivery.event.wants_body or not body)
                and (wire is None or delivery.mailbox.wire == wire)
                and (wanted is None or delivery.mail.uid in wanted)
            )

        hook = Hook(do, when, times)
        self._message_hooks.append(hook)
        return hook

    def scripted(self, event: Event) -> bool:
        """True if a script has answered."""
        for command, hook in list(self._hooks):
            if command not in {"*", event.name}:
                continue
            with self.lock:
                taken = hook.takes(event)
            if taken and hook.do(event):
                return True
        return False

    def delivers(self, delivery: Delivery) -> None:
        for hook in list(self._message_hooks):
            with self.lock:
                taken = hook.takes(delivery)
            if taken:
                hook.do(delivery)

    @property
    def has_message_hooks(self) -> bool:
        return any(hook.times != 0 for hook in self._message_hooks)

    # --- judgement ------------------------------------------------------------------------------

    def said(self, start: str) -> list[str]:
        """The commands that begin so, e.g. ``UID FETCH``."""
        return [line for line in list(self.commands) if line.upper().startswith(start.upper())]

    def check(self) -> None:
        """The client never did what could change the mailbox, nor spoke badly."""
        if self.violations:
            raise AssertionError(f"violations: {self.violations[:10]}")
