"""An interrupt at any line of a target that is files: the next import has everything, and once.

Each line of the target and of the placing ledger, the second time it is passed if there is one. In
a process of its own each time, which it ends.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from importing import account, archived, letter, place
from portarchive.connectors.base import Target
from portarchive.connectors.maildir import target as maildir
from portarchive.connectors.mbox import target as mbox
from portarchive.errors import PortArchiveError
from portarchive.jobs.replay import ledger

Line = tuple[str, int]
TARGETS: dict[str, Callable[[Path], Target]] = {
    "maildir": lambda path: maildir.MaildirTarget(str(path), fsync=False),
    "mbox": lambda path: mbox.MboxTarget(str(path), fsync=False),
}
DIRECTORIES = {"maildir": Path(maildir.__file__).parent, "mbox": Path(mbox.__file__).parent}


class Moments:
    """Counts how often each line is passed; interrupts at one of them."""

    def __init__(self, kind: str, at: tuple[Line, int] | None = None) -> None:
        self.passed: Counter[Line] = Counter()
        self._under = str(DIRECTORIES[kind])
        self._at = at

    def __call__(self, frame: FrameType, event: str, _: Any) -> Any:
        name = frame.f_code.co_filename
        if name != ledger.__file__ and not name.startswith(self._under):
            return None
        if event == "line":
            line = (name, frame.f_lineno)
            self.passed[line] += 1
            if self._at == (line, self.passed[line]):
                raise KeyboardInterrupt
        return self


def bring(kind: str, archive: Path, there: Path) -> None:
    target = TARGETS[kind](there / "mail")
    try:
        place(archive, target, there / "state")
    finally:
        target.close()


def interrupted(kind: str, archive: Path, there: Path, at: tuple[Line, int]) -> int:
    """One import in a child; returns what it ended with."""
    pid = os.fork()
    if pid == 0:
        code = 3
        try:
            sys.settrace(Moments(kind, at))
            bring(kind, archive, there)
            code = 0
        except KeyboardInterrupt:
            code = 2
        except PortArchiveError:
            code = 4  # closed twice: an interrupt between a close and the note of it
        finally:
            sys.settrace(None)
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def holds(root: Path) -> list[bytes]:
    """The Message-IDs of all messages of a target, sorted."""
    found: list[bytes] = []
    for path in root.rglob("*"):
        if path.is_file() and path.parent.name != "tmp":
            found += re.findall(rb"(?m)^Message-ID: <([^>]+)>", path.read_bytes())
    return sorted(found)


def age_locks(root: Path) -> None:
    """Two minutes later, locks that were left behind are nobody's."""
    for path in root.rglob("*.lock"):
        then = path.stat().st_mtime - 130
        os.utime(path, (then, then))


@pytest.fixture
def root() -> Iterator[Path]:
    """In memory, where a disk's own time does not count hundreds of times."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as directory:
        yield Path(directory)


@pytest.mark.parametrize("kind", TARGETS)
def test_all_of_it_and_once(root: Path, kind: str) -> None:
    names = {"INBOX": ["a", "b", "c"], "Work": ["d", "e"]}
    source = account(**{box: [letter(name) for name in each] for box, each in names.items()})
    source.set_flags("INBOX", "1", ["$seen", "Projekt"])
    archive = archived(root / "archive", source)
    moments = Moments(kind)
    before = sys.gettrace()
    sys.settrace(moments)
    try:
        bring(kind, archive, root / "whole")
    finally:
        sys.settrace(before)
    wanted = [b"%s@example.org" % name for name in (b"a", b"b", b"c", b"d", b"e")]
    assert holds(root / "whole/mail") == wanted
    places = [(line, min(count, 2)) for line, count in moments.passed.items()]
    assert len(places) > 300
    for number, at in enumerate(places):
        there = root / str(number)
        there.mkdir()
        assert interrupted(kind, archive, there, at) in {0, 2, 4}, at
        age_locks(there)
        bring(kind, archive, there)
        assert holds(there / "mail") == wanted, at
        shutil.rmtree(there)
