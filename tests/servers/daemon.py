"""What the real servers have in common: a private directory, ports, a daemon, a mail client.

Owns starting and stopping daemons and ``MailServer``, the interface by which tests fill and
change mailboxes behind the exporter's back. It talks plain ``imaplib``: nothing of the program
under test is used to check the program under test.
"""

from __future__ import annotations

import contextlib
import ctypes
import imaplib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, Self

from imapclient.imap_utf7 import encode as encode_name

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ROOT / ".servers"
PASSWORD = "pass"  # every user of every test server has it

# Of a date-time, whatever the locale.
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

# A search for all UIDs is one line: 300,000 messages are 2 MB.
imaplib._MAXLINE = 50_000_000


class Message(NamedTuple):
    """One message as a test writes or reads it. ``date`` is aware; None is now."""

    octets: bytes
    flags: tuple[str, ...] = ()
    date: datetime | None = None


def unpacked(group: str) -> Path:
    """Where ``tests/tools/get_servers.py`` put a server; the cure if it has not."""
    root = PACKAGES / group
    if not (root / ".complete").is_file():
        raise RuntimeError(
            f"{group} is not there: run {sys.executable} {ROOT}/tests/tools/get_servers.py"
        )
    return root


def library_path(root: Path) -> str:
    """The LD_LIBRARY_PATH of programs that were unpacked, not installed."""
    found = [root / "usr/lib/dovecot", root / "usr/lib/dovecot/modules/old-stats"]
    found += sorted(root.glob("usr/lib/*-linux-*")) + sorted(root.glob("lib/*-linux-*"))
    return ":".join(str(path) for path in found if path.is_dir())


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def quoted(text: str) -> str:
    """A quoted string of RFC 9051 §4.3."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def wire_name(folder: str) -> str:
    """A mailbox name in modified UTF-7 (RFC 3501 §5.1.3), quoted."""
    return quoted(encode_name(folder).decode("ascii"))


def _die_with_parent() -> None:
    # A test run that is killed must not leave daemons behind.
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


class Daemon:
    """A process group of its own in a directory of its own, gone after ``stop``."""

    def __init__(self, name: str, directory: Path | None = None) -> None:
        # pytest's own directories are closed to other users; the daemons drop root.
        self.directory = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=directory))
        self.directory.chmod(0o755)
        self.process: subprocess.Popen[bytes] | None = None

    def spawn(self, command: Sequence[str | Path], environment: Mapping[str, str]) -> None:
        output = (self.directory / "output").open("ab")
        with output:
            self.process = subprocess.Popen(
                [str(word) for word in command],
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self.directory,
                start_new_session=True,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - one prctl, safe after fork
            )

    def wait_for_greeting(self, port: int, expected: bytes, seconds: float = 60.0) -> None:
        """Until the port answers. Raises RuntimeError with what the daemon said."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process is None or self.process.poll() is not None:
                break
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=seconds) as probe:
                    if probe.recv(4096).startswith(expected):
                        return
            except OSError:
                pass
            time.sleep(0.01)
        said = self.log()
        self.kill()
        raise RuntimeError(f"no answer on port {port}; the server said: {said[-2000:]}")

    def log(self) -> str:
        names = ("output", "log")
        found = [self.directory / name for name in names if (self.directory / name).exists()]
        return "".join(path.read_text("utf-8", "replace") for path in found)

    def kill(self) -> None:
        """End the daemon and all its children, whatever they do."""
        process, self.process = self.process, None
        if process is None:
            return
        # It leads its own process group. There is nothing to finish: the directory goes next.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def stop(self) -> None:
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)


class MailServer:
    """A running IMAP server with any number of users, all with the password ``PASSWORD``.

    Attributes:
        host, port: plain IMAP (STARTTLS where ``ca_file`` is set).
        tls_port: IMAP over TLS, None if there is none.
        ca_file: PEM of the authority that signed the certificate (for ``--ca-file``).
    """

    host = "localhost"
    password = PASSWORD
    port: int
    tls_port: int | None = None
    ca_file: Path | None = None

    def start(self) -> Self:
        raise NotImplementedError

    def stop(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def url(self, user: str, *, tls: bool = True) -> str:
        """``imaps://user@localhost:port``, or ``imap://`` on the plain port."""
        if tls:
            return f"imaps://{user}@{self.host}:{self.tls_port}"
        return f"imap://{user}@{self.host}:{self.port}"

    def connect(self, user: str) -> imaplib.IMAP4:
        """A logged-in connection of the caller's own, not encrypted."""
        client = imaplib.IMAP4("127.0.0.1", self.port)
        # imaplib sends a literal and its CRLF apart: the second waits 40 ms for an ACK.
        client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.login(user, self.password)
        return client

    def account(self, user: str) -> Account:
        return Account(self, user)

    # --- what a test does to a mailbox ----------------------------------------------------------

    def create(self, user: str, folder: str) -> None:
        with self.connect(user) as client:
            _ok(client.create(wire_name(folder)))

    def subscribe(self, user: str, folder: str) -> None:
        with self.connect(user) as client:
            _ok(client.subscribe(wire_name(folder)))

    def rename(self, user: str, old: str, new: str) -> None:
        with self.connect(user) as client:
            _ok(client.rename(wire_name(old), wire_name(new)))

    def delete(self, user: str, folder: str) -> None:
        with self.connect(user) as client:
            _ok(client.delete(wire_name(folder)))

    def append(
        self,
        user: str,
        folder: str,
        octets: bytes,
        flags: Iterable[str] = (),
        date: datetime | None = None,
    ) -> int:
        """APPEND one message, the folder is created if it is missing. Returns the UID."""
        return self.append_many(user, folder, [Message(octets, tuple(flags), date)])[0]

    def append_many(
        self, user: str, folder: str, messages: Iterable[Message | tuple[object, ...]]
    ) -> list[int]:
        """APPEND over one connection, the server's own way in. Returns the UIDs."""
        uids = []
        with self.connect(user) as client:
            if folder.upper() != "INBOX":
                client.create(wire_name(folder))  # NO if it is there
            for octets, flags, date in (Message(*message) for message in messages):
                answer = _ok(_append(client, folder, octets, flags, date))
                found = re.search(rb"APPENDUID \d+ (\d+)", answer[0])
                if found is None:
                    raise RuntimeError(f"no APPENDUID in {answer!r}")
                uids.append(int(found[1]))
        return uids

    def populate(
        self, user: str, folders: Mapping[str, Iterable[Message | tuple[object, ...]]]
    ) -> dict[str, list[int]]:
        """Fill folders, ``{folder: [(octets, flags, date), …]}``; returns their UIDs."""
        return {name: self.append_many(user, name, msgs) for name, msgs in folders.items()}

    def set_flags(self, user: str, folder: str, uids: Iterable[int], flags: Iterable[str]) -> None:
        """Replace the flags of these messages."""
        self._store(user, folder, uids, "FLAGS.SILENT", flags)

    def add_flags(self, user: str, folder: str, uids: Iterable[int], flags: Iterable[str]) -> None:
        self._store(user, folder, uids, "+FLAGS.SILENT", flags)

    def _store(
        self, user: str, folder: str, uids: Iterable[int], item: str, flags: Iterable[str]
    ) -> None:
        with self.connect(user) as client:
            _ok(client.select(wire_name(folder)))
            for part in _sets(uids):
                _ok(client.uid("STORE", part, item, f"({' '.join(flags)})"))

    def expunge(self, user: str, folder: str, uids: Iterable[int]) -> None:
        """Remove these messages for good, and no others."""
        with self.connect(user) as client:
            _ok(client.select(wire_name(folder)))
            for part in _sets(uids):
                _ok(client.uid("STORE", part, "+FLAGS.SILENT", r"(\Deleted)"))
                _ok(client.uid("EXPUNGE", part))

    def move(self, user: str, folder: str, uids: Iterable[int], target: str) -> None:
        with self.connect(user) as client:
            _ok(client.select(wire_name(folder)))
            for part in _sets(uids):
                _ok(client.uid("MOVE", part, wire_name(target)))

    # --- what a test compares with --------------------------------------------------------------

    def folders(self, user: str) -> list[str]:
        """The names of LIST, as they are on the wire but without quotes."""
        with self.connect(user) as client:
            lines = _ok(client.list())
        names = [re.fullmatch(rb'\(.*?\) (?:".+?"|NIL) (.*)', line) for line in lines if line]
        return [name[1].decode().strip('"') for name in names if name]

    def uidvalidity(self, user: str, folder: str) -> int:
        with self.connect(user) as client:
            line = _ok(client.status(wire_name(folder), "(UIDVALIDITY)"))[0]
        return int(re.search(rb"UIDVALIDITY (\d+)", line)[1])  # type: ignore[index]  # it is there

    def messages(self, user: str, folder: str) -> dict[int, Message]:
        """All messages of a folder by UID: octets, flags without ``\\Recent``, INTERNALDATE."""
        found = {}
        with self.connect(user) as client:
            _ok(client.select(wire_name(folder), readonly=True))
            lines = _ok(client.uid("FETCH", "1:*", "(UID FLAGS INTERNALDATE BODY.PEEK[])"))
            # imaplib gives (line with the literal's size, literal), then what follows it.
            for number, part in enumerate(lines):
                if not isinstance(part, tuple):
                    continue
                rest = lines[number + 1] if number + 1 < len(lines) else b""
                line = part[0] + (rest if isinstance(rest, bytes) else b"")
                uid = int(re.search(rb"UID (\d+)", line)[1])  # type: ignore[index]  # asked for
                flags = re.search(rb"FLAGS \((.*?)\)", line)[1]  # type: ignore[index]  # asked for
                date = re.search(rb'INTERNALDATE "(.*?)"', line)[1]  # type: ignore[index]  # dito
                found[uid] = Message(
                    part[1],
                    tuple(flag for flag in flags.decode().split() if flag != "\\Recent"),
                    datetime.strptime(date.decode().strip(), "%d-%b-%Y %H:%M:%S %z"),
                )
        return found


@dataclass(frozen=True)
class Account:
    """One user of a server: ``MailServer``'s methods without the ``user`` argument."""

    server: MailServer
    user: str

    @property
    def password(self) -> str:
        return self.server.password

    def url(self, *, tls: bool = True) -> str:
        return self.server.url(self.user, tls=tls)

    def __getattr__(self, name: str) -> object:
        method = getattr(self.server, name)

        def of_this_user(*arguments: object, **named: object) -> object:
            return method(self.user, *arguments, **named)

        return of_this_user


def _sets(uids: Iterable[int]) -> Iterable[str]:
    """UID sets of at most 500 numbers each."""
    numbers = list(uids)
    for start in range(0, len(numbers), 500):
        yield ",".join(map(str, numbers[start : start + 500]))


def _append(
    client: imaplib.IMAP4,
    folder: str,
    octets: bytes,
    flags: Sequence[str],
    date: datetime | None,
) -> tuple[str, list[bytes]]:
    # imaplib's own append() turns every line end into CRLF: what was asked for goes out instead.
    arguments = [wire_name(folder)]
    if flags:
        arguments.append(f"({' '.join(flags)})")
    if date is not None:
        arguments.append(imap_date(date))
    client.literal = octets
    return client._simple_command("APPEND", *arguments)


def imap_date(date: datetime) -> str:
    """A ``date-time`` of RFC 9051 §9, quoted. Naive times are refused."""
    if date.tzinfo is None:
        raise ValueError("a naive time: which zone?")
    return f'"{date.day:02}-{MONTHS[date.month - 1]}-{date:%Y %H:%M:%S %z}"'


def epoch(date: datetime | None) -> int:
    return int((date or datetime.now(UTC)).timestamp())


def _ok(answer: tuple[str, list]) -> list:
    status, lines = answer
    if status != "OK":
        raise RuntimeError(f"the test server answered {status} {lines!r}")
    return lines
