"""Runs the embedded IMAP server of the demo for as long as a ``with`` block lasts.

Owns the process: its start, its birth cry, its end. The server lives in a process of its own,
because pymap prints, warns and handles signals as a program of its own would. It ends when this
process does, however that comes about: it reads a pipe whose other end only this process holds.
Refuses to listen anywhere but on the loopback interface.
"""

from __future__ import annotations

import json
import os
import secrets
import selectors
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from portarchive.demo.mailbox import DESCRIPTION, SampleMailbox, load, samples_directory
from portarchive.errors import Unreachable

START_SECONDS = 30.0
STOP_SECONDS = 2.0
LINE_LIMIT = 200


@dataclass(frozen=True, slots=True)
class DemoServer:
    """Where the server is and how one gets in.

    Attributes:
        host, port: plain IMAP4rev1 on the loopback interface, no TLS.
        user: the account of the sample mailbox; its ``@`` is part of the login.
        password: made anew for each start.
        mailbox: what the server holds.
        process_id: of the server.
    """

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    mailbox: SampleMailbox = field(repr=False)
    process_id: int

    @property
    def url(self) -> str:
        """As the command line takes it, without the password."""
        return f"imap://{self.user}@{self.host}:{self.port}?tls=none"


@contextmanager
def demo_server(directory: Path | None = None) -> Iterator[DemoServer]:
    """Starts the server with the mailbox of ``directory`` (the samples if None); stops it at exit.

    It answers when the block is entered, and its process is gone when the block is left.

    Raises:
        SettingsError: there is no sample mailbox.
        Unreachable: the server did not start.
    """
    where = samples_directory() / "mailbox" if directory is None else directory
    mailbox = load(where)
    password = secrets.token_urlsafe(18)
    order = {"description": str(where / DESCRIPTION), "password": password}
    with tempfile.TemporaryFile() as complaints:
        process = subprocess.Popen(
            [sys.executable, "-P", "-W", "ignore", "-m", "portarchive.demo.imapd"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            env=_environment(),
            process_group=0,  # Ctrl-C is for us; the server ends when we let go of its pipe
        )
        try:
            port = _started(process, order, complaints)
            yield DemoServer("127.0.0.1", port, mailbox.account, password, mailbox, process.pid)
        finally:
            _stop(process)


def _environment() -> dict[str, str]:
    """Ours, without what pymap would take for settings; FQDN keeps it from asking the DNS."""
    settings = {"CERT_FILE", "KEY_FILE"}
    kept = {name: value for name, value in os.environ.items() if name not in settings}
    return {**kept, "FQDN": "localhost", "PYTHONIOENCODING": "utf-8"}


def _started(process: subprocess.Popen[bytes], order: object, complaints: IO[bytes]) -> int:
    """Hands over the order (a password goes through no argument list) and waits for the port."""
    if process.stdin is None or process.stdout is None:
        raise TypeError("the process was started without pipes")
    try:
        process.stdin.write(json.dumps(order).encode() + b"\n")
        process.stdin.flush()
    except BrokenPipeError:
        raise _not_started(complaints) from None
    answer = b""
    deadline = time.monotonic() + START_SECONDS
    # not select(2): whoever imports us may have more than 1,024 files open
    with selectors.DefaultSelector() as waiting:
        waiting.register(process.stdout, selectors.EVENT_READ)
        while not answer.endswith(b"\n"):
            left = deadline - time.monotonic()
            ready = left > 0 and waiting.select(left)
            piece = os.read(process.stdout.fileno(), 4096) if ready else b""
            if not piece:
                raise _not_started(complaints)
            answer += piece
    return int(json.loads(answer)["port"])


def _not_started(complaints: IO[bytes]) -> Unreachable:
    """With the last line of what the process printed, made fit to be shown."""
    complaints.seek(0)
    lines = complaints.read().decode("utf-8", "replace").strip().splitlines()
    said = "".join(char for char in lines[-1] if char.isprintable())[:LINE_LIMIT] if lines else ""
    return Unreachable(
        "The embedded IMAP server did not start" + (f": {said}" if said else "."),
        hint="Install portarchive again, with its dependencies (pymap is one).",
        code="demo-server",
    )


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Closing its stdin tells the server to go; one that does not is killed."""
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            try:
                pipe.close()
            except BrokenPipeError:  # it was gone before we could say so
                continue
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    except BaseException:  # a second Ctrl-C while we wait
        process.kill()
        process.wait()
        raise
