"""How far a validation is, told to an observer.

Owns the sums and the pace: many threads add, one at a time speaks, and not more often than eyes
can follow. Knows nothing of what is read.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from portarchive.archive.tree import Stream
from portarchive.progress import ArchiveListed, Checked, Observer

_PAUSE = 0.2
"""Seconds between two events."""


class Meter:
    """The way from ``ArchiveListed`` to the last ``Checked``."""

    def __init__(self, observer: Observer, clock: Callable[[], float] = time.monotonic) -> None:
        self._observer = observer
        self._clock = clock
        self._lock = threading.Lock()
        self._files = self._octets = 0
        self._spoke = clock()

    def begin(self, files: int, octets: int) -> None:
        """So much is to be read."""
        self._observer(ArchiveListed(files, octets))

    def add(self, files: int, octets: int) -> None:
        """So much more was read; any thread may say so."""
        with self._lock:
            self._files += files
            self._octets += octets
            if self._clock() - self._spoke >= _PAUSE:
                self._speak()

    def finish(self) -> None:
        """Tell the rest."""
        with self._lock:
            if self._files or self._octets:
                self._speak()

    def _speak(self) -> None:
        files, octets = self._files, self._octets
        self._files = self._octets = 0
        self._observer(Checked(files, octets))
        self._spoke = self._clock()


class Metered:
    """A stream whose octets are counted as they are read."""

    def __init__(self, stream: Stream, meter: Meter) -> None:
        self._stream = stream
        self._meter = meter

    def read(self, size: int, /) -> bytes:
        """As ``Stream.read``."""
        octets = self._stream.read(size)
        self._meter.add(0, len(octets))
        return octets

    def close(self) -> None:
        """As ``Stream.close``."""
        self._stream.close()
