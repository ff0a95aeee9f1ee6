"""A JMAP transfer that ends before it is whole: what came of it is no message.

A connection that breaks where no length was announced looks like the end of the octets, and a
Ctrl-C comes while requests are on their way.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import exporting
from contract.target_facts import mail
from portarchive.archive.contents import open_contents
from portarchive.connectors.jmap import open_source
from portarchive.connectors.jmap.session import Session
from portarchive.errors import ConnectionLost, ConnectorError, ExitCode
from servers.jmap_faults import Slow
from servers.jmap_server import PASSWORD, FakeJmap

INBOX = ("INBOX",)
SIZES = pytest.mark.parametrize("size", [100, 2 << 20], ids=["small", "large"])


def sizes(path: Path) -> list[int]:
    with open_contents(path) as contents:
        (box,) = contents.folders()
        return sorted(item.size for item in contents.items(box))


def exported(server: FakeJmap, path: Path) -> dict[str, Any]:
    source = open_source(server.settings())
    (folder,) = exporting.export(source, path).to_json()["folders"]
    source.close()
    return folder


# --- octets that end early ------------------------------------------------------------------------


@SIZES
def test_half_of_a_message_is_fetched_again(tmp_path: Path, size: int) -> None:
    """Half of it once, with no length announced: it was archived as if it were whole."""
    with FakeJmap(blobs=None) as server:
        sent = [mail(n, b"x" * size) for n in range(3)]
        ids = [server.store.add(INBOX, octets) for octets in sent]
        server.unannounced[server.store.mails[ids[1]].blob_id] = [len(sent[1]) // 2]
        folder = exported(server, tmp_path / "a")
        assert not folder.get("failed") and not folder.get("notes")
        assert sizes(tmp_path / "a") == sorted(map(len, sent))


@SIZES
def test_a_message_that_always_ends_early_is_named(tmp_path: Path, size: int) -> None:
    """It is ``cut``, the others come, and the next run has it when the server can."""
    with FakeJmap(blobs=None) as server:
        sent = [mail(n, b"x" * size) for n in range(3)]
        ids = [server.store.add(INBOX, octets) for octets in sent]
        server.unannounced[server.store.mails[ids[1]].blob_id] = [len(sent[1]) - 1] * 99
        folder = exported(server, tmp_path / "a")
        assert [each["code"] for each in folder["failed"]] == ["cut"]
        assert sizes(tmp_path / "a") == sorted(map(len, [sent[0], sent[2]]))
        server.unannounced.clear()
        assert not exported(server, tmp_path / "a").get("failed")
        assert sizes(tmp_path / "a") == sorted(map(len, sent))


@SIZES
def test_a_whole_message_needs_no_length(tmp_path: Path, size: int) -> None:
    """The end of the connection is the end of a message that is all there."""
    with FakeJmap(blobs=None) as server:
        octets = mail(1, b"x" * size)
        key = server.store.add(INBOX, octets)
        server.unannounced[server.store.mails[key].blob_id] = [len(octets)]
        folder = exported(server, tmp_path / "a")
        assert not folder.get("failed") and not folder.get("notes")
        assert server.requests["download"] == 1


def test_a_length_that_was_announced_is_believed(tmp_path: Path) -> None:
    """A server that counts wrongly loses no mail by that: kept, and noted."""
    with FakeJmap(blobs=None) as server:
        octets = mail(1, b"x" * 100)
        server.store.add(INBOX, octets)
        server.edit_answer = counting(7)
        folder = exported(server, tmp_path / "a")
        assert not folder.get("failed")
        assert [note["code"] for note in folder["notes"]] == ["size-mismatch"]
        assert sizes(tmp_path / "a") == [len(octets)]


def test_octets_in_an_answer_that_says_no_size_are_not_believed(tmp_path: Path) -> None:
    """``Blob/get`` gives half and no size of its own: the download has the whole of it."""
    with FakeJmap() as server:
        octets = mail(1, b"x" * 100)
        server.store.add(INBOX, octets)

        def halved(found: dict[str, Any]) -> Any:
            for name, told, _ in found["methodResponses"]:
                for each in told["list"] if name == "Blob/get" else ():
                    each["data:asBase64"] = each["data:asBase64"][:40]
                    del each["size"]
            return found

        server.edit_answer = halved
        folder = exported(server, tmp_path / "a")
        assert not folder.get("failed") and not folder.get("notes")
        assert server.calls["Blob/get"] == 1 and server.requests["download"] == 1
        assert sizes(tmp_path / "a") == [len(octets)]


def counting(more: int) -> Any:
    """An edit of answers by which every Email has so many octets more than it has."""

    def edit(found: dict[str, Any]) -> Any:
        for name, told, _ in found["methodResponses"]:
            for each in told["list"] if name == "Email/get" else ():
                if "size" in each:
                    each["size"] += more
        return found

    return edit


# --- Ctrl-C while requests are on their way -------------------------------------------------------


SLOW = 12.0


@contextmanager
def running(*words: object) -> Iterator[subprocess.Popen[str]]:
    """The command, as a process of its own; killed at the end if it is still there."""
    command = [sys.executable, "-m", "portarchive", *map(str, words)]
    process = subprocess.Popen(
        command, env=os.environ | {"PORTARCHIVE_PASSWORD": PASSWORD}, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def until(reached: Callable[[], bool]) -> None:
    ends = time.monotonic() + 30
    while not reached():
        assert time.monotonic() < ends, "it did not come so far"
        time.sleep(0.02)


def assert_ends(process: subprocess.Popen[str]) -> None:
    """At once, with the published code, and with no traceback."""
    began = time.monotonic()
    _, said = process.communicate(timeout=60)
    assert time.monotonic() - began < SLOW / 2
    assert process.returncode == ExitCode.INTERRUPTED
    assert "Traceback" not in said
    assert "error: interrupted" in said


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_an_export_ends_while_downloads_are_under_way(tmp_path: Path, stop: int) -> None:
    """It waited for them: the interpreter joins its threads."""
    with FakeJmap(blobs=None) as server:
        for n in range(20):
            server.store.add(INBOX, mail(n))
        server.pace = SLOW
        with running("export", f"jmap://jane@127.0.0.1:{server.port}", tmp_path / "a") as process:
            until(lambda: server.requests["download"] > 2)
            process.send_signal(stop)
            assert_ends(process)


def test_an_import_ends_while_one_is_under_way(tmp_path: Path) -> None:
    with FakeJmap() as source, FakeJmap() as target:
        for n in range(20):
            source.store.add(INBOX, mail(n))
        exported(source, tmp_path / "a")
        target.on("Email/import", Slow(SLOW))
        with running("import", tmp_path / "a", f"jmap://jane@127.0.0.1:{target.port}") as process:
            until(lambda: target.calls["Email/import"] > 0)
            process.send_signal(signal.SIGINT)
            assert_ends(process)


def test_a_second_signal_at_the_end_of_the_process_is_no_traceback() -> None:
    """A thread that does not end by itself keeps the interpreter; Ctrl-C again is ignored."""
    program = (
        "import sys, threading, time\n"
        "threading.Thread(target=time.sleep, args=(3,)).start()\n"
        "from portarchive import cli\n"
        "def stopped(words):\n    raise KeyboardInterrupt\n"
        "cli._run = stopped\n"
        "sys.exit(cli.main())\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "error: interrupted\n"
        for _ in range(3):
            time.sleep(0.2)
            process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert "Traceback" not in said
    assert process.returncode == ExitCode.INTERRUPTED


def test_a_session_that_is_closed_breaks_what_others_wait_at() -> None:
    """An answer that does not come, a body half read, a place that is waited for."""
    with FakeJmap(blobs=None, maxConcurrentRequests=2) as server:
        server.pace = SLOW
        blob = server.store.keep(mail(1))
        session = Session(server.settings(timeout=60.0))
        errors: list[ConnectorError] = []

        def read() -> None:
            try:
                session.download(blob)
            except ConnectorError as error:
                errors.append(error)

        threads = [threading.Thread(target=read, daemon=True) for _ in range(4)]
        for thread in threads:
            thread.start()
        until(lambda: server.requests["download"] == 2)
        began = time.monotonic()
        session.close()
        for thread in threads:
            thread.join(30)
        assert time.monotonic() - began < SLOW / 2
        assert [type(error) for error in errors] == [ConnectionLost] * 4
        assert server.requests["download"] == 2, "nothing is sent after that"
        server.pace = 0.0
        server.announced.clear()  # it still works at those two
        session.reconnect()
        assert session.download(blob).status == 200
        session.close()
