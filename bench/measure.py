"""Run whole processes, time them, and put the figures of interleaved rounds together."""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_SAMPLE_SECONDS = 0.05


class RunFailedError(Exception):
    """A contender did not do its work, so its time says nothing."""


@dataclass(frozen=True, slots=True)
class Run:
    """One finished process.

    Attributes:
        wall: seconds from start to exit.
        cpu: seconds of user and system time, its children included.
        peak: octets of memory at the highest point (see ``run``).
        stdout: what it printed.
    """

    wall: float
    cpu: float
    peak: int
    stdout: bytes


@dataclass(slots=True)
class Series:
    """The runs of one contender, one a round."""

    runs: list[Run] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(run.wall for run in self.runs)

    @property
    def peak(self) -> int:
        return max(run.peak for run in self.runs)

    def spread(self) -> str:
        walls = [run.wall for run in self.runs]
        return f"{self.median:.2f} s ({min(walls):.2f}-{max(walls):.2f})"

    def as_json(self) -> dict[str, Any]:
        walls = [round(run.wall, 4) for run in self.runs]
        return {
            "wall_seconds": walls,
            "median": round(self.median, 4),
            "min": min(walls),
            "max": max(walls),
            "cpu_seconds": [round(run.cpu, 4) for run in self.runs],
            "peak_octets": self.peak,
        }


def run(
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    watch_memory: bool = False,
    fine: Collection[int] = (0,),
) -> Run:
    """Run a process to its end.

    ``peak`` is ``ru_maxrss`` of the process and its children, the highest single one. With
    ``watch_memory`` it is at least the proportional memory (PSS) of the whole process tree, looked
    at twenty times a second, so that work moved into child processes is counted too.

    Raises:
        RunFailedError: it exited with a code that is not ``fine``; with its last words.
    """
    environment = {**os.environ, **(env or {})}
    # who installs a program has its bytecode: the warm-up round leaves it where it is missing
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        started = time.perf_counter()
        process = subprocess.Popen(
            [str(word) for word in argv],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            env=environment,
        )
        watcher = _TreeMemory(process.pid) if watch_memory else None
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:  # the bench is interrupted: its mail server is about to go
            process.kill()
            raise
        wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        seen = watcher.stop() if watcher else 0
        out.seek(0)
        err.seek(0)
        if process.returncode not in fine:
            words = err.read().decode(errors="replace").strip().splitlines()[-2:]
            raise RunFailedError(
                f"{Path(argv[0]).name} ended with {process.returncode}: {' | '.join(words)[:400]}"
            )
        return Run(
            wall=wall,
            cpu=usage.ru_utime + usage.ru_stime,
            peak=max(usage.ru_maxrss * 1024, seen),
            stdout=out.read(),
        )


class _TreeMemory:
    """The highest sum of PSS over a process and its descendants."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._highest = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> int:
        self._done.set()
        self._thread.join()
        return self._highest

    def _watch(self) -> None:
        while not self._done.wait(_SAMPLE_SECONDS):
            self._highest = max(self._highest, sum(map(_pss, _tree(self._pid))))


def _tree(pid: int) -> list[int]:
    found = [pid]
    for parent in found:  # grows while it is walked
        for children in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                found.extend(map(int, children.read_text().split()))
            except OSError:
                continue
    return found


def _pss(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def interleave(
    contenders: Mapping[str, Callable[[], Run]],
    *,
    rounds: int,
    tell: Callable[[str], None],
) -> tuple[dict[str, Series], dict[str, str]]:
    """A B C, A B C, …: the first round warms the server up and is thrown away.

    Returns:
        The series of each contender, and for those that failed the reason instead; one that
        failed is not run again.
    """
    series = {name: Series() for name in contenders}
    failed: dict[str, str] = {}
    for number in range(rounds + 1):
        for name, contender in contenders.items():
            if name in failed:
                continue
            try:
                one = contender()
            except RunFailedError as error:
                failed[name] = str(error)
                tell(f"    {name}: {error}")
                continue
            label = f"round {number}" if number else "warm-up"
            tell(f"    {label}: {name} {one.wall:.2f} s")
            if number:
                series[name].runs.append(one)
    return {name: made for name, made in series.items() if name not in failed}, failed
