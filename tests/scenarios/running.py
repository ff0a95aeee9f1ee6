"""Run the command as people do and judge every run: the archive, the ledger, the secrets.

``export`` runs ``portarchive.cli.main`` in this process, ``start`` as a process of its own. After
each run that ends with 0 or 3 the archive is read without the program under test
(``archive_facts``) and checked against the schemas; after every run nothing that was planted may
have come out anywhere.
"""

from __future__ import annotations

import base64
import io
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource

import archive_facts
from archive_facts import Facts
from portarchive.cli import main
from servers.cyrus import Cyrus
from servers.daemon import Account
from servers.dovecot import Dovecot
from servers.scripted import CAPABILITIES, PLAIN_CAPABILITIES, ScriptedServer
from signals import usual_signals

PASSWORD = "pl4nted-s3cret"
"""The password of every account here. It may come out nowhere."""

TOKENS = ("t0ken-planted-one", "t0ken-planted-two")
"""Access tokens, likewise."""

WRONG, BEYOND_ASCII, QUOTED = "wr0ng-planted", "Zwölf-Bäume-пароль-密码", 'pl4nted "s3\\cret"'
"""Other passwords, likewise."""

BODY = b"The walnut clerk hums at noon."
SUBJECT = b"A kettle for the archivist"
"""What every letter says; only ``.eml`` files may hold it."""

SECRETS = (PASSWORD, *TOKENS, WRONG, BEYOND_ASCII, QUOTED)

PATIENCE = 120.0
"""Seconds that only what hangs takes, on the slowest of machines."""

KINDS = {
    "qresync": CAPABILITIES,
    "condstore": tuple(name for name in CAPABILITIES if name != "QRESYNC"),
    "neither": tuple(name for name in CAPABILITIES if name not in {"QRESYNC", "CONDSTORE"}),
    "plain": PLAIN_CAPABILITIES,
}
"""What scripted servers offer, from all to nothing."""

_LARGE = 3000  # items above which an archive is not put to the schemas: they are slow


def letter(number: int, *, message_id: bool = True, size: int = 0, text: bytes = b"") -> bytes:
    """A message that differs from all others; ``size``: at least so many octets."""
    head = b"Message-ID: <%d@letters.example>\r\n" % number if message_id else b""
    octets = head + b"Subject: %s, %d\r\nFrom: jane@example.org\r\n\r\n%s %s\r\n" % (
        SUBJECT, number, BODY, text,
    )  # fmt: skip
    lines, rest = divmod(max(0, size - len(octets)), 62)
    return octets + (b"x" * 60 + b"\r\n") * (lines + bool(rest))


@dataclass(frozen=True)
class Ran:
    """One run: what it said, how it ended, what is there now (None if that is no archive)."""

    code: int
    out: str
    err: str
    root: Path
    facts: Facts | None = None

    @property
    def report(self) -> dict[str, Any]:
        return json.loads(self.out)

    @property
    def there(self) -> Facts:
        assert self.facts is not None, f"no archive: {self.code} {self.err}"
        return self.facts

    @property
    def folders(self) -> dict[str, dict[str, Any]]:
        """The ledger by path."""
        return {entry["path"]: entry for entry in self.there.manifest["folders"]}

    def failed(self, path: str = "INBOX") -> dict[str, str]:
        """Codes of what is missing, by uid."""
        return {entry["uid"]: entry["code"] for entry in self.folders[path]["failed"]}

    def notes(self, path: str = "INBOX") -> list[str]:
        return [note["code"] for note in self.folders[path]["notes"]]

    def uids(self, path: str = "INBOX") -> list[str]:
        return [item.uid for item in self.there.items[path]]

    def octets(self, path: str = "INBOX") -> dict[str, bytes]:
        """What is stored, by uid."""
        document = archive_facts.folder_json(self.root, path)
        directory = self.root / "mail" / path
        return {
            item["uid"]: (directory / item["filename"]).read_bytes() for item in document["items"]
        }

    def item(self, uid: str, path: str = "INBOX") -> dict[str, Any]:
        document = archive_facts.folder_json(self.root, path)
        (found,) = [item for item in document["items"] if item["uid"] == uid]
        return found

    def refused(self, code: int) -> Ran:
        """One clear line, the next step, no traceback."""
        assert self.code == code, (self.code, self.out, self.err)
        lines = self.err.splitlines()
        assert sum(line.startswith("error: ") for line in lines) == 1, self.err
        assert sum(line.startswith("hint: ") for line in lines) == 1, self.err
        assert self.out == ""
        return self


# --- running ------------------------------------------------------------------------------------


def url_of(server: Any, user: str = "jane") -> str:
    """The account of a scripted server, or of an ``Account`` in clear text."""
    if isinstance(server, ScriptedServer):
        return f"{server.url(user)}?tls=none" if server.tls == "none" else server.url(user)
    return server if isinstance(server, str) else f"{server.url(tls=False)}?tls=none"


def environment(password: str | None, more: Mapping[str, str] | None = None) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if "PORTARCHIVE" not in name}
    kept.pop("SOURCE_DATE_EPOCH", None)
    secret = {} if password is None else {"PORTARCHIVE_SOURCE_PASSWORD": password}
    keyring = {"PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring"}
    return {**kept, **keyring, "PYTHONWARNINGS": "error", "NO_COLOR": "1", **secret, **(more or {})}


def export(
    server: Any, root: Path, *words: object, user: str = "jane", password: str | None = PASSWORD
) -> Ran:
    """``portarchive export`` in this process, judged; a real server's mailbox is as it was."""
    held = held_by(server)
    if isinstance(server, Account) and isinstance(server.server, Cyrus):
        password = server.password
    said = command("export", url_of(server, user), root, *words, password=password, root=root)
    assert held_by(server) == held, "the run changed the source"
    return said


def held_by(server: Any) -> object:
    """All that a real server holds for the account. None for others.

    Of Dovecot names with flags, and octets; of Cyrus the counts and the mod-sequences, without
    which nothing can change (RFC 7162 §3.1).
    """
    if not isinstance(server, Account):
        return None
    if not isinstance(server.server, Dovecot):
        items = "(MESSAGES UIDNEXT UIDVALIDITY HIGHESTMODSEQ)"
        with server.connect() as client:
            listed = [line.split(b' "/" ')[1].decode() for line in client.list()[1] if line]
            return {name: client.status(name, items) for name in listed}
    home = server.server.directory / "mail" / server.user / "Maildir"
    return sorted(
        (str(path.parent.parent.relative_to(home)), path.name, archive_facts.sha256(octets))
        for path in home.rglob("*")
        if path.parent.name in {"cur", "new"} and (octets := path.read_bytes()) is not None
    )


def command(*words: object, password: str | None = PASSWORD, root: Path) -> Ran:
    """Any verb in this process, judged; ``root``: the archive that it is about."""
    argv = [str(word) for word in words]
    _no_secret("argv", " ".join(argv))
    sound = is_sound(root)
    out, err = _Stream(), _Stream()
    with (
        _environment(environment(password)),
        _logs() as log,
        _signals(),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        code = main(argv)
    said = Ran(code, out.text(), err.text(), root)
    _no_secret("log", log.getvalue())
    return judge(said, sound=sound)


def start(*words: object, password: str = PASSWORD, **settings: Any) -> subprocess.Popen[str]:
    """The same as a process of its own, not waited for."""
    argv = [str(word) for word in words]
    _no_secret("argv", " ".join(argv))
    with usual_signals():
        return subprocess.Popen(
            [sys.executable, "-m", "portarchive", *argv],
            env=environment(password),
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **settings,
        )


def finish(process: subprocess.Popen[str], root: Path, seconds: float = PATIENCE) -> Ran:
    try:
        out, err = process.communicate(timeout=seconds)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            process.communicate()
    return judge(Ran(process.returncode, out, err, root))


def is_sound(root: Path) -> bool:
    """Whether there is an archive whose chain of digests holds."""
    try:
        archive_facts.check_chain(root)
    except (OSError, ValueError, AssertionError):
        return False
    return True


def judge(said: Ran, *, sound: bool = False) -> Ran:
    """What holds after every run, however it ended; returns it with the facts of the archive.

    Args:
        said: the run.
        sound: there was an archive before: one that failed has not harmed it.
    """
    root = said.root
    assert "Traceback" not in said.err, said.err
    assert "\x1b" not in said.out + said.err
    _no_secret("stdout", said.out)
    _no_secret("stderr", said.err)
    for path in sorted(root.rglob("*")) if root.is_dir() else ():
        if path.is_file() and path.suffix != ".eml":
            _no_secret(str(path), path.read_bytes().decode("latin-1"))
    if said.code not in {0, 3}:
        assert not sound or is_sound(root) or not (root / "archive.json").exists()
        return said
    if not (root / "archive.json").exists():
        return said
    facts = archive_facts.check(root)
    assert not said.code or not facts.manifest["complete"], said.out
    if sum(map(len, facts.items.values())) <= _LARGE:
        check_schemas(root)
    return Ran(said.code, said.out, said.err, root, facts)


def _no_secret(where: str, text: str) -> None:
    for secret in SECRETS:
        for spelled in (secret, json.dumps(secret)[1:-1], secret.encode().decode("latin-1")):
            assert spelled not in text, f"{where} holds a password or a token"
        encoded = base64.b64encode(f"\0jane\0{secret}".encode()).decode()
        assert encoded[8:-4] not in text, f"{where} holds a password in base64"
    for planted in (BODY, SUBJECT):
        assert planted.decode() not in text, f"{where} holds text of a message"


class _Stream(io.TextIOWrapper):
    """A stream with an encoding, as the real ones are."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8", write_through=True)

    def text(self) -> str:
        self.flush()
        return self.buffer.getvalue().decode()  # type: ignore[attr-defined]  # a BytesIO


@contextmanager
def _environment(wanted: Mapping[str, str]) -> Iterator[None]:
    kept = dict(os.environ)
    os.environ.clear()
    os.environ.update(wanted)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(kept)


@contextmanager
def _logs() -> Iterator[io.StringIO]:
    """All that any library logs, down to the last detail."""
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield out
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


@contextmanager
def _signals() -> Iterator[None]:
    kept = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, kept)


# --- judging ------------------------------------------------------------------------------------

_SCHEMAS = Path(__file__).parents[2] / "schemas"
_REGISTRY = Registry().with_resources(
    (schema["$id"], Resource.from_contents(schema))
    for schema in (json.loads(path.read_text()) for path in _SCHEMAS.rglob("*.schema.json"))
)


def _checker(name: str) -> Draft202012Validator:
    return Draft202012Validator(
        json.loads((_SCHEMAS / f"{name}.schema.json").read_text()),
        registry=_REGISTRY,
        format_checker=Draft202012Validator.FORMAT_CHECKER,
    )


ARCHIVE, FOLDER = map(_checker, ("pdpa/ietf-02/archive", "pdpa/ietf-02/folder"))
MANIFEST, REPORT, EVENT = map(
    _checker, ("portarchive/manifest", "portarchive/report", "portarchive/event")
)


def check_schemas(root: Path) -> None:
    """The draft's schemas and our own, formats asserted."""
    ARCHIVE.validate(archive_facts.strict((root / "archive.json").read_bytes()))
    MANIFEST.validate(archive_facts.strict((root / "manifest.json").read_bytes()))
    for path in (root / "mail").rglob("folder.json"):
        FOLDER.validate(archive_facts.strict(path.read_bytes()))


def comparable(facts: Facts) -> dict[str, list[tuple[Any, ...]]]:
    """Items without the order of flags; folders that are gone from the server left out."""
    return {
        path: [(i.uid, tuple(sorted(i.flags)), i.received, i.sha256) for i in items]
        for path, items in facts.items.items()
        if "portarchive:gone_at" not in facts.headers[path]
    }


def bag(facts: Facts) -> Counter[str]:
    """Digests of all items of all folders."""
    return Counter(item.sha256 for items in facts.items.values() for item in items)


def stamps(root: Path) -> dict[str, tuple[int, int, int]]:
    """Inode, size and time of every file but the lock: what a rewrite would change."""
    return {
        str(path.relative_to(root)): (about.st_ino, about.st_size, about.st_mtime_ns)
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name != "lock" and (about := path.stat())
    }


def eventually(condition: Callable[[], object], seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.005)
