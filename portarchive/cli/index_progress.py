"""How far the making of an index is, on stderr: one line on a terminal, lines in a pipe, JSON.

What takes less than a moment is done before anybody wonders, and is not shown at all.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import TextIO

from portarchive import progress
from portarchive.cli.output import counted
from portarchive.cli.progress_view import Mode, Speech, observing
from portarchive.cli.safe_text import safe

_PATIENCE = 0.7
"""Seconds before anything is shown."""
_PAUSE = {True: 0.2, False: 1.0}
"""Seconds between two lines on a terminal, and in a pipe."""


@contextlib.contextmanager
def watching(
    what: str, mode: Mode, *, quiet: bool, stream: TextIO | None = None
) -> Iterator[progress.Observer]:
    """An observer for the time of one job.

    Args:
        what: is done with messages (``indexing``).
        mode: of ``--progress``.
        quiet: show nothing; JSON lines are for programs and stay.
        stream: stderr, unless told otherwise.
    """
    out = sys.stderr if stream is None else stream
    if mode == "json":
        with observing(Speech(mode="json"), out) as observer:
            yield observer
    elif quiet:
        yield progress.silent
    else:
        live = mode == "auto" and out.isatty() and os.environ.get("TERM") != "dumb"
        lines = _Lines(what, out, live=live, only_warnings=mode == "none")
        try:
            yield lines
        finally:
            lines.end()


class _Lines:
    def __init__(
        self,
        what: str,
        out: TextIO,
        *,
        live: bool,
        only_warnings: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._what = what
        self._out = out
        self._live = live
        self._only_warnings = only_warnings
        self._clock = clock
        self._begun: float | None = None
        self._spoke = 0.0
        self._count = 0
        self._shown = False

    def __call__(self, event: progress.Event) -> None:
        """Count it, and show it if it is time."""
        if isinstance(event, progress.Notice):
            self.end()
            self._write(f"{safe(event.severity)}: {safe(event.text)}\n")
        elif isinstance(event, progress.Checked):
            self._count += event.files
            now = self._clock()
            if self._begun is None:
                self._begun = now
                self._spoke = now + _PATIENCE - _PAUSE[self._live]
            if not self._only_warnings and now - self._spoke >= _PAUSE[self._live]:
                self._spoke = now
                rate = self._count / max(now - self._begun, 0.001)
                words = f"{self._what}: {counted(self._count, 'message')}, {rate:,.0f}/s"
                self._write(f"\r\x1b[K{words}" if self._live else f"{words}\n")
                self._shown = True

    def end(self) -> None:
        """Take the line of a terminal away."""
        if self._live and self._shown:
            self._write("\r\x1b[K")
            self._shown = False

    def _write(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):  # nobody reads it: no reason to stop
            self._out.write(text)
            self._out.flush()
