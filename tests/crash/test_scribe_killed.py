"""The process that writes message files is killed, or fails: an error with its cause, a resume."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

import archive_facts
from exporting import account, export, mail
from portarchive.archive import batch, writer
from portarchive.archive.scribe import Scribe
from portarchive.errors import ExitCode, StorageFailed

MESSAGES = 40


@pytest.fixture(autouse=True)
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "SCRIBE_AFTER", 1)
    monkeypatch.setattr(batch, "MESSAGES", 5)


def finishes(path: Path, source: object) -> None:
    report = export(source, path)  # type: ignore[arg-type]  # it is a source
    assert report.complete
    assert len(archive_facts.check(path).items["INBOX"]) == MESSAGES


@pytest.mark.parametrize("wait", [0.0, 0.05])
@pytest.mark.parametrize("at", [1, 2, 5, 6, 17, MESSAGES])
def test_killed(tmp_path: Path, at: int, wait: float, monkeypatch: pytest.MonkeyPatch) -> None:
    source = account("lists", INBOX=MESSAGES)
    put = Scribe.put
    puts: list[int] = []

    def killing(self: Scribe, *arguments: object) -> None:
        puts.append(1)
        if len(puts) == at:
            os.kill(self._process.pid, signal.SIGKILL)
            time.sleep(wait)
        put(self, *arguments)  # type: ignore[arg-type]  # passed on

    monkeypatch.setattr(Scribe, "put", killing)
    with pytest.raises(StorageFailed) as caught:
        export(source, tmp_path / "a")
    assert caught.value.exit_code == ExitCode.STORAGE
    assert caught.value.hint
    source.reconnect()
    finishes(tmp_path / "a", source)


def test_it_is_there_and_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put = Scribe.put
    names: list[str] = []

    def noting(self: Scribe, directory: bytes, name: str, epoch: int | None, octets: bytes) -> None:
        names.append(name)
        put(self, directory, name, epoch, octets)

    monkeypatch.setattr(Scribe, "put", noting)
    source = account("lists", INBOX=MESSAGES)
    finishes(tmp_path / "a", source)
    assert len(names) >= MESSAGES - 1
    names.clear()
    source.add(mail("new"))
    export(source, tmp_path / "a")
    assert names == [], "in a directory that was there before, a name may be taken"


def test_a_file_is_in_its_way(tmp_path: Path) -> None:
    """Nobody else writes here; if somebody does, it is told with the file's name."""
    source = account("lists", INBOX=MESSAGES)
    seen: list[object] = []

    def plant(_: object) -> None:
        seen.append(_)
        if len(seen) == 7:
            (tmp_path / "a/mail/INBOX/1001-0000000020.eml").write_bytes(b"not ours")

    source.after_message = plant
    with pytest.raises(StorageFailed, match=r"1001-0000000020\.eml: File exists"):
        export(source, tmp_path / "a")
    source.after_message = None
    source.reconnect()
    finishes(tmp_path / "a", source)


def test_no_process_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pids: list[int] = []
    begin = Scribe.__init__

    def noting(self: Scribe, lock: int) -> None:
        begin(self, lock)
        pids.append(self._process.pid)

    monkeypatch.setattr(Scribe, "__init__", noting)
    source = account("lists", INBOX=MESSAGES)

    def stop(_: object) -> None:
        if pids:
            raise KeyboardInterrupt

    source.after_message = stop
    with pytest.raises(KeyboardInterrupt):
        export(source, tmp_path / "a")
    source.after_message = None
    source.reconnect()
    finishes(tmp_path / "a", source)
    assert pids
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
