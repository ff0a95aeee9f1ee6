"""An interrupt at any line of the writer: the next run has everything, and once.

Ctrl-C comes where it comes. In a process of its own each time, which it ends.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import archive_facts
from exporting import account, export, has, mail
from portarchive.archive import batch, journal, publish, writer
from portarchive.connectors.memory import MemorySource

WATCHED = {module.__file__ for module in (batch, journal, publish, writer)}


class Moments:
    """Counts the lines of the watched modules, and interrupts at one of them."""

    def __init__(self, at: int = -1) -> None:
        self.count = 0
        self._at = at

    def __call__(self, frame: FrameType, event: str, _: Any) -> Any:
        if frame.f_code.co_filename not in WATCHED:
            return None
        if event == "line":
            self.count += 1
            if self.count == self._at:
                raise KeyboardInterrupt
        return self


def interrupted(source: MemorySource, path: Path, at: int) -> int:
    """One export in a child; returns the status that wait(2) gives."""
    pid = os.fork()
    if pid == 0:
        code = 3
        try:
            sys.settrace(Moments(at))
            export(source, path)
            code = 0
        except KeyboardInterrupt:
            code = 2
        finally:
            sys.settrace(None)
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def lines_of(source: MemorySource, path: Path) -> int:
    moments = Moments()
    before = sys.gettrace()
    sys.settrace(moments)
    try:
        export(source, path)
    finally:
        sys.settrace(before)
    return moments.count


def holds(source: MemorySource, path: Path, at: int) -> None:
    facts = archive_facts.check(path)
    for name, messages in has(source).items():
        assert [(item.uid, item.sha256) for item in facts.items[name]] == [
            (uid, archive_facts.sha256(octets)) for uid, (_, octets) in messages.items()
        ], at


@pytest.fixture
def root(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """In memory, where a disk's own time does not count hundreds of times."""
    monkeypatch.setattr(batch, "MESSAGES", 2)
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as directory:
        yield Path(directory)


def test_of_a_first_export(root: Path) -> None:
    source = account(INBOX=3, Work=2)
    total = lines_of(source, root / "whole")
    assert total > 300
    for at in range(1, total + 1):
        path = root / str(at)
        assert interrupted(source, path, at) == 2, at
        export(source, path)
        holds(source, path, at)
        shutil.rmtree(path)


def test_of_an_update(root: Path) -> None:
    source = account(INBOX=3, Work=2)
    base = root / "base"
    export(source, base)
    for name in ("INBOX", "INBOX", "Work"):
        source.add(mail(f"new-{len(source.contents()[(name,)])}"), name)
    source.expunge("INBOX", "2")
    source.set_flags("Work", "1", ["$flagged"])
    shutil.copytree(base, root / "whole")
    total = lines_of(source, root / "whole")
    assert total > 300
    for at in range(1, total + 1):
        path = root / str(at)
        shutil.copytree(base, path)
        assert interrupted(source, path, at) == 2, at
        export(source, path)
        holds(source, path, at)
        shutil.rmtree(path)
