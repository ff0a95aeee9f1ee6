"""The tests' end of ``kill_driver``: one process, many exports, and where they may be stopped."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import archive_facts
from portarchive.archive.reader import ArchiveReader
from portarchive.errors import NotAnArchive, Unfinished

HERE = Path(__file__).parent
WRITES = {"write", "pwrite"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """See ``kill_driver``."""

    status: int
    delivered: int
    calls: Sequence[tuple[str, str]]
    result: dict[str, Any] | None

    @property
    def killed(self) -> bool:
        return self.status == -9


class Driver:
    """A running ``kill_driver``."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", HERE / "kill_driver.py"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(HERE.parents[1])},
        )

    def export(
        self,
        situation: str,
        archive: Path,
        *,
        when: str = "present",
        at: int = 0,
        how: str = "",
        scribe_after: int = 1 << 30,
    ) -> Outcome:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        job = {"situation": situation, "archive": str(archive), "when": when, "at": at, "how": how}
        job["scribe_after"] = scribe_after
        print(json.dumps(job), file=self._process.stdin, flush=True)
        answer = json.loads(self._process.stdout.readline())
        answer["calls"] = [tuple(call) for call in answer["calls"]]
        return Outcome(**answer)

    def stop(self) -> None:
        self._process.communicate()


@contextmanager
def fast_directory() -> Iterator[Path]:
    """In memory where there is such a place: a thousand syncs of a shared disk take minutes."""
    shm = Path("/dev/shm")
    where = str(shm) if shm.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="kill-", dir=where) as name:
        yield Path(name)


def state(archive: Path, valid: dict[str, archive_facts.Facts]) -> str:
    """``none``, ``unfinished``, or which of the valid states this archive reads as.

    Anything else is an AssertionError, or the error of the reader.
    """
    try:
        reader = ArchiveReader.open(archive)
    except NotAnArchive:
        return "none"
    except Unfinished:
        return "unfinished"
    archive_facts.check_chain(archive)
    facts = archive_facts.read(archive)
    assert reader.fingerprint == facts.fingerprint
    wrong = [problem for _, _, problem in reader.check_digests() if problem is not None]
    assert not wrong
    (name,) = [name for name, other in valid.items() if other.fingerprint == facts.fingerprint]
    assert facts.what() == valid[name].what()
    return name


def starts(calls: Sequence[tuple[str, str]]) -> int:
    """The number of the first call of the commit: the first staged file."""
    return next(n for n, (_, path) in enumerate(calls, 1) if "/.portarchive/staged" in path)


def spread(first: int, last: int, count: int) -> list[int]:
    """So many numbers from first to last, both included, evenly."""
    if last - first + 1 <= count:
        return list(range(first, last + 1))
    return sorted({first + round(n * (last - first) / (count - 1)) for n in range(count)})
