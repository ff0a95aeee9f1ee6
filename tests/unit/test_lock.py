"""One writer at a time; a dead one is none."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import archive_facts
from exporting import account, export
from portarchive.archive.durable import Durability
from portarchive.archive.lock import WriterLock, writer_of
from portarchive.archive.reader import ArchiveReader
from portarchive.archive.writer import ArchiveWriter
from portarchive.errors import ExitCode, Locked, Unfinished

ROOT = Path(__file__).parents[2]
HOLD = """
import sys
from pathlib import Path
from portarchive.archive.durable import Durability
from portarchive.archive.writer import ArchiveWriter
writer = ArchiveWriter(Path(sys.argv[1]), Durability(False))
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that writes the archive at ``a``."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path / "a"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_the_second_is_told_who_the_first_is(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    umask = os.umask(0o022)
    os.umask(0o022)
    source = account(INBOX=1)
    before = archive_facts.files(tmp_path / "a", private=True)
    with pytest.raises(Locked) as caught:
        export(source, tmp_path / "a")
    assert caught.value.exit_code == ExitCode.LOCKED
    assert f"process {holder.pid} on {os.uname().nodename}" in caught.value.text
    assert "since 20" in caught.value.text
    assert caught.value.hint
    assert source.fetches == []
    assert archive_facts.files(tmp_path / "a", private=True) == before
    assert os.umask(umask) == 0o022, "the umask is given back"


def test_the_lock_of_a_dead_run_is_waited_for(tmp_path: Path) -> None:
    """A process that it started has the lock still, and is about to end."""
    path = tmp_path / "lock"
    lock = WriterLock(path)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    said = {"pid": dead.pid, "host": os.uname().nodename, "start": "2026-11-24T00:00:00+00:00"}
    path.write_text(json.dumps(said), "utf-8")
    timer = threading.Timer(0.3, lock.release)
    timer.start()
    WriterLock(path).release()
    timer.join()


def test_a_lock_that_does_not_go_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("portarchive.archive.lock._PATIENCE", 0.1)
    path = tmp_path / "lock"
    lock = WriterLock(path)
    said = {"pid": 2**31 - 1, "host": os.uname().nodename, "start": "2026-11-24T00:00:00+00:00"}
    path.write_text(json.dumps(said), "utf-8")
    with pytest.raises(Locked, match="process 2147483647 "):
        WriterLock(path)
    lock.release()


def test_a_dead_holder_is_none(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert export(account(INBOX=1), tmp_path / "a").complete
    archive_facts.check(tmp_path / "a")


def test_within_one_process_too(tmp_path: Path) -> None:
    writer = ArchiveWriter(tmp_path / "a", Durability(False))
    with pytest.raises(Locked, match=f"process {os.getpid()} "):
        ArchiveWriter(tmp_path / "a", Durability(False))
    writer.close()
    assert not (tmp_path / "a").exists(), "nothing was written"
    writer = ArchiveWriter(tmp_path / "a", Durability(False))
    writer.close()


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"pid": 1}',
        b'{"pid": "x", "host": "h", "start": "s"}',
        b"\xff\xfe",
        b'{"pid": 1e400, "host": "h", "start": "s"}',
        b"[" * 4000,
    ],
)
def test_any_octets_in_the_file(tmp_path: Path, octets: bytes) -> None:
    path = tmp_path / "lock"
    lock = WriterLock(path)
    path.write_bytes(octets)
    with pytest.raises(Locked, match="another process"):
        WriterLock(path)
    lock.release()
    WriterLock(path).release()


def test_a_reader_is_told_that_a_run_is_at_work(
    tmp_path: Path, holder: subprocess.Popen[str]
) -> None:
    with pytest.raises(Unfinished, match=f"at work.*process {holder.pid} ") as caught:
        ArchiveReader.open(tmp_path / "a")
    assert caught.value.code == "being-written"
    assert caught.value.exit_code == ExitCode.UNFINISHED
    assert "wait" in (caught.value.hint or "")
    holder.kill()
    holder.wait()
    with pytest.raises(Unfinished, match="interrupted"):
        ArchiveReader.open(tmp_path / "a")


@pytest.mark.parametrize("octets", [b"", b"{", b"[]", b'{"pid": 0, "host": "h", "start": "s"}'])
def test_a_look_at_the_lock_never_stands_in_a_writers_way(tmp_path: Path, octets: bytes) -> None:
    """Whoever holds it and has not said so yet, or never will, is not tried."""
    path = tmp_path / "lock"
    assert writer_of(path) is None
    path.write_bytes(octets)
    lock = WriterLock(path)
    assert writer_of(path) is not None
    path.write_bytes(octets)
    assert writer_of(path) is None
    lock.release()
    mine = {"pid": os.getpid(), "host": os.uname().nodename, "start": "2026-11-24T00:00:00"}
    path.write_text(json.dumps(mine), "utf-8")
    assert writer_of(path) is None, "it says so, and is long gone"
    path.unlink()
    os.mkfifo(path)
    assert writer_of(path) is None
    path.unlink()
    path.symlink_to("/etc/passwd")
    assert writer_of(path) is None


def test_nothing_of_the_file_reaches_a_terminal_unchecked(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    lock = WriterLock(path)
    said = {"pid": 7, "host": "evil\x1b[31m\n" + "h" * 500, "start": "2026\x07 \x1b]0;x"}
    path.write_text(json.dumps(said), "utf-8")
    with pytest.raises(Locked) as caught:
        WriterLock(path)
    lock.release()
    assert caught.value.text.isprintable()
    assert len(caught.value.text) < 250
