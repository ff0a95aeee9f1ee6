"""How a job's events look: JSON lines, plain lines in a pipe, a live display on a terminal.

All of it goes to stderr. An observer must not raise: when stderr breaks, the job goes on unseen.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Literal, TextIO

from portarchive import progress
from portarchive.cli.output import counted, duration, octets, to_json
from portarchive.cli.safe_text import safe

Mode = Literal["auto", "json", "plain", "none"]

EVENT_NAMES: dict[type[object], str] = {
    progress.Connected: "connected",
    progress.FoldersFound: "folders-found",
    progress.FolderStarted: "folder-started",
    progress.Stored: "stored",
    progress.Passed: "passed",
    progress.FolderFinished: "folder-finished",
    progress.Waiting: "waiting",
    progress.Working: "working",
    progress.Notice: "notice",
    progress.Committing: "committing",
    progress.Committed: "committed",
    progress.ArchiveListed: "archive-listed",
    progress.Checked: "checked",
    progress.Delivered: "delivered",
    progress.Compared: "compared",
}
"""``event`` in the JSON lines of ``--progress json``."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Speech:
    """How a run speaks.

    Attributes:
        json: one object on stdout in place of words.
        mode: ``auto`` is the live display on a terminal and plain lines elsewhere; ``none`` shows
            warnings only.
        verbose: 1 also tells of folders in which nothing happens, and of notes.
        quiet: nothing but errors; ``json`` progress is for programs and stays.
    """

    json: bool = False
    mode: Mode = "auto"
    verbose: int = 0
    quiet: bool = False


@contextlib.contextmanager
def observing(speech: Speech, stream: TextIO | None = None) -> Iterator[progress.Observer]:
    """An observer for the time of one job, on stderr unless told otherwise."""
    out = sys.stderr if stream is None else stream
    mode, verbose = speech.mode, speech.verbose
    if mode == "json":
        yield _unbreakable(_JsonLines(out))
    elif speech.quiet:
        yield progress.silent
    elif mode == "auto" and out.isatty() and os.environ.get("TERM") != "dumb":
        from portarchive.cli.live_view import LiveView  # noqa: PLC0415  rich is slow to load

        with LiveView(out, verbose=verbose) as live:
            yield _unbreakable(live)
    else:
        yield _unbreakable(PlainLines(out, verbose=verbose, only_warnings=mode == "none"))


def _unbreakable(view: progress.Observer) -> progress.Observer:
    broken = False

    def observe(event: progress.Event) -> None:
        nonlocal broken
        if broken:
            return
        try:
            view(event)
        except (OSError, ValueError):  # ValueError: a closed file
            broken = True

    return observe


_STEPS = (progress.Stored, progress.Passed, progress.Delivered)


class _JsonLines:
    """One object a line, for programs."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def __call__(self, event: progress.Event) -> None:
        members = {field.name: getattr(event, field.name) for field in dataclasses.fields(event)}
        self._out.write(to_json({"event": EVENT_NAMES[type(event)], **members}) + "\n")
        self._out.flush()


class Tally:
    """What the events of one job add up to.

    Attributes:
        total: messages of the selection as the server counts them; None if it does not.
        done: stored or passed.
        octets: stored.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._begun = clock()
        self.total: int | None = None
        self.done = 0
        self.stored = 0
        self.octets = 0
        self.stored_in: dict[str, int] = {}

    def add(self, event: progress.Event) -> None:
        """Count an event in."""
        if isinstance(event, progress.FoldersFound):
            self.total = event.messages
            self._begun = self._clock()
        elif isinstance(event, progress.Stored):
            self.done += event.messages
            self.stored += event.messages
            self.octets += event.octets
            self.stored_in[event.path] = self.stored_in.get(event.path, 0) + event.messages
        elif isinstance(event, progress.Delivered):
            self.done += event.messages
            self.stored += event.messages
            self.octets += event.octets
        elif isinstance(event, progress.Passed):
            self.done += event.messages

    def pace(self) -> str:
        """``5,300 of 12,000 messages, 31.2 MB, 890/s, about 8 s left``."""
        elapsed = max(self._clock() - self._begun, 0.001)
        of = f" of {self.total:,}" if self.total is not None else ""
        parts = [f"{self.done:,}{of} messages", octets(self.octets)]
        if self.stored:
            parts.append(f"{self.stored / elapsed:,.0f}/s")
        if self.total is not None and self.done and self.total > self.done:
            left = (self.total - self.done) * elapsed / self.done
            parts.append(f"about {duration(left)} left")
        return ", ".join(parts)


class PlainLines:
    """Lines for a log: what begins and ends, and at most one line a second in between."""

    def __init__(
        self,
        out: TextIO,
        *,
        verbose: int = 0,
        only_warnings: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._out = out
        self._verbose = verbose
        self._only_warnings = only_warnings
        self._clock = clock
        self._spoke = clock()
        self._tally = Tally(clock)

    def __call__(self, event: progress.Event) -> None:
        """Write a line if the event deserves one."""
        self._tally.add(event)
        line = words_for(event, self._tally, self._verbose)
        if line is None and isinstance(event, _STEPS):
            if self._clock() - self._spoke < 1 or self._only_warnings:
                return
            line = f"{safe(event.path)}: {self._tally.pace()}"
        if line is None or (self._only_warnings and not is_warning(event)):
            return
        self._spoke = self._clock()
        self._out.write(line + "\n")
        self._out.flush()


def is_warning(event: progress.Event) -> bool:
    """Whether a person wants to see it even without progress."""
    return isinstance(event, progress.Notice) and event.severity != "note"


def words_for(event: progress.Event, tally: Tally, verbose: int) -> str | None:
    """One line for an event that deserves one; None for the others."""
    match event:
        case progress.Connected():
            server = f" ({safe(event.server)})" if event.server else ""
            return f"connected to {safe(event.service)} as {safe(event.account)}{server}"
        case progress.FoldersFound():
            about = "" if event.messages is None else f", {counted(event.messages, 'message')}"
            return counted(event.folders, "folder") + about
        case progress.FolderFinished():
            stored = tally.stored_in.get(event.path, 0)
            if not (stored or event.failed or verbose):
                return None
            failed = f", {event.failed:,} not to be had" if event.failed else ""
            return f"{safe(event.path)}: {event.archived:,} here, {stored:,} fetched{failed}"
        case progress.Waiting():
            return f"waiting {duration(event.seconds)}: {safe(event.reason)}"
        case progress.Working():
            so_far = "" if event.done is None else f": {event.done:,}"
            goal = "" if event.goal is None else f" of {event.goal:,}"
            return f"the server is still at work{so_far}{goal}"
        case progress.Notice():
            if event.severity == "note" and not verbose:
                return None
            return f"{safe(event.severity)}: {safe(event.text)}"
        case progress.Compared():
            found = f", {counted(event.differences, 'difference')}" if event.differences else ""
            if not (found or verbose):
                return None
            return f"{safe(event.path)}: {counted(event.messages, 'message')} compared{found}"
        case progress.Committing():
            return f"publishing the archive ({counted(event.files, 'file')} of metadata)"
        case progress.FolderStarted() if verbose:
            about = "" if event.messages is None else f" ({counted(event.messages, 'message')})"
            return f"{safe(event.path)}: opened{about}"
        case progress.Committed() if verbose:
            return f"published {safe(event.archive_id)}"
        case _:
            return None
