"""A huge mailbox listed in each of the four ways, from a server that plays each extension.

    python planners.py CAPABILITY…

serves a mailbox of 300,000 small messages with just these capabilities, prints the port, and stops
when its input ends: a process of its own, so that its memory and its work are not the exporter's.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PASSWORD = "pass"  # of a server on loopback that anybody may log in to

WAYS: dict[str, tuple[str, ...]] = {
    "UIDBATCHES": ("IMAP4rev1", "ENABLE", "ESEARCH", "UIDBATCHES", "UIDONLY"),
    "PARTIAL": ("IMAP4rev1", "ESEARCH", "PARTIAL"),
    "UID windows": ("IMAP4rev1", "ESEARCH"),
    "one SEARCH": ("IMAP4rev1", "X-NO-UIDNEXT"),
}
"""What the server offers, so that the mailbox is listed in this way."""

_SMALL = (
    b"From: Monitor <monitor@example.org>\r\nSubject: Reading %d\r\n"
    b"Message-ID: <reading.%d@example.org>\r\n\r\nReading %d is within its range.\r\n"
)


@contextmanager
def serving(way: str, count: int) -> Iterator[int]:
    """The port of a server with ``count`` messages that is listed this way."""
    argv = [sys.executable, __file__, str(count), *WAYS[way]]
    server = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert server.stdin is not None
    assert server.stdout is not None
    try:
        yield int(server.stdout.readline())
    finally:
        server.stdin.close()
        server.wait(30)
        server.stdout.close()


def main() -> None:
    """Serve until the input ends."""
    count, *capabilities = sys.argv[1:]
    sys.path.insert(0, str(ROOT / "tests"))
    from servers.scripted import ScriptedServer

    with ScriptedServer(capabilities=capabilities) as server:
        inbox = server.mailbox("INBOX")
        inbox.add_many(int(count), lambda uid: _SMALL % (uid, uid, uid))
        if "X-NO-UIDNEXT" in capabilities:
            inbox.uidnext = None
        print(server.port, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
