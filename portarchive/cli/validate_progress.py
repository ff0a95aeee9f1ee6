"""How far ``validate`` is, on stderr: a bar on a terminal, lines in a pipe, JSON for programs.

What takes less than a moment is done before anybody wonders, and is not shown at all.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import TextIO

from portarchive import progress
from portarchive.cli.output import counted, duration, octets
from portarchive.cli.progress_view import Mode, Speech, observing

_PATIENCE = 0.7
"""Seconds before a terminal shows anything."""
_PAUSE = 1.0
"""Seconds between two lines in a pipe, and before the first."""
_WHAT = "looking at the archive"


@contextlib.contextmanager
def watching(
    mode: Mode, *, quiet: bool, stream: TextIO | None = None
) -> Iterator[progress.Observer]:
    """An observer of one validation.

    Args:
        mode: of ``--progress``; ``auto`` is the bar on a terminal and lines elsewhere.
        quiet: show nothing; JSON lines are for programs and stay.
        stream: stderr, unless told otherwise.
    """
    out = sys.stderr if stream is None else stream
    if mode == "json":
        with observing(Speech(mode="json"), out) as observer:
            yield observer
    elif quiet or mode == "none":
        yield progress.silent
    elif mode == "auto" and out.isatty() and os.environ.get("TERM") != "dumb":
        bar = _Bar(out)
        try:
            yield bar
        finally:
            bar.end()
    else:
        yield _Lines(out)


class _Sum:
    """What the events add up to; it may be told by one thread and read by another."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._begun = clock()
        self.files = self.octets = 0
        self.of_files = self.of_octets = 0

    def add(self, event: progress.Event) -> None:
        if isinstance(event, progress.ArchiveListed):
            self.of_files, self.of_octets = event.files, event.octets
            self._begun = self._clock()
        elif isinstance(event, progress.Checked):
            self.files += event.files
            self.octets += event.octets

    def words(self) -> str:
        """``12,000 of 50,000 files, 1.2 GB of 3.4 GB, about 20 s left``; "" before it is known."""
        if not self.of_files:
            return ""
        parts = [
            f"{self.files:,} of {counted(self.of_files, 'file')}",
            f"{octets(self.octets)} of {octets(self.of_octets)}",
        ]
        elapsed = self._clock() - self._begun
        if elapsed >= 2 * _PAUSE and 0 < self.octets < self.of_octets:
            left = (self.of_octets - self.octets) * elapsed / self.octets
            parts.append(f"about {duration(left)} left")
        return ", ".join(parts)


class _Lines:
    """At most one a second, and none of what is done by then."""

    def __init__(self, out: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._out: TextIO | None = out
        self._clock = clock
        self._spoke = clock()
        self._sum = _Sum(clock)

    def __call__(self, event: progress.Event) -> None:
        self._sum.add(event)
        if self._out is None or self._clock() - self._spoke < _PAUSE:
            return
        words = self._sum.words()
        if words:
            self._spoke = self._clock()
            try:
                self._out.write(f"{_WHAT}: {words}\n")
                self._out.flush()
            except (OSError, ValueError):  # nobody reads it any more: no reason to stop the work
                self._out = None


class _Bar:
    """Drawn by a thread of its own, which also shows that nothing stands still without events."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._sum = _Sum(time.monotonic)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._show, name="progress", daemon=True)
        self._thread.start()

    def __call__(self, event: progress.Event) -> None:
        self._sum.add(event)

    def end(self) -> None:
        """Take it away."""
        self._done.set()
        self._thread.join()

    def _show(self) -> None:
        if self._done.wait(_PATIENCE):
            return
        from rich.console import Console  # noqa: PLC0415  rich is slow to load
        from rich.progress import (  # noqa: PLC0415
            BarColumn,
            Progress,
            SpinnerColumn,
            TextColumn,
            TimeElapsedColumn,
        )

        with contextlib.suppress(OSError, ValueError):
            console = Console(file=self._out, markup=False, emoji=False, highlight=False)
            columns = (
                SpinnerColumn(),
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=24),
                TextColumn("{task.fields[words]}", markup=False),
                TimeElapsedColumn(),
            )
            with Progress(*columns, console=console, transient=True) as display:
                task = display.add_task(_WHAT, total=None, words="")
                done = False
                while not done:  # also after the end: what is set last is drawn before it goes
                    done = self._done.wait(0.1)
                    now = self._sum
                    display.update(
                        task,
                        total=now.of_octets or None,
                        completed=min(now.octets, now.of_octets),
                        words=now.words(),
                    )
