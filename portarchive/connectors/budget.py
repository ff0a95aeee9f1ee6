"""A budget of octets for each day, kept across runs: what a provider lets one account download.

Gmail locks an account out of IMAP for up to a day when it downloads too much. Better to stop before
that, with the archive whole as far as it goes, and to say when to go on. Owns the count of what was
had in the last 24 hours; knows no protocol.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from portarchive.connectors.base import Outcome, Recalling, Source, SourceCapabilities, Wanted
from portarchive.connectors.retry import end
from portarchive.progress import Notice, Observer
from portarchive.records import Change, Failure, Folder, MessageRef, SourceIdentity, Vanished

HOUR: Final = 3600
DAY: Final = 24 * HOUR

LOT: Final = 100
"""Messages asked for at once where the source does not say their sizes, or says 0."""

SAVED_EVERY: Final = 16_000_000
"""Octets after which the count is written down: what a killed run forgets at most."""


def state_file(service: str, account: str, environment: Mapping[str, str]) -> Path:
    """Where the count of an account is kept: below ``XDG_STATE_HOME``, one file an account."""
    home = environment.get("XDG_STATE_HOME") or ""
    base = Path(home) if home.startswith("/") else Path.home() / ".local/state"
    name = hashlib.sha256(f"{service}\0{account}".encode("utf-8", "replace")).hexdigest()[:32]
    return base / "portarchive/budget" / f"{name}.json"


class Spent:
    """Octets had in the last 24 hours, by the hour; in a file, so that the next run knows.

    Args:
        path: the file; made with the first octets.
        clock: seconds since 1970.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        self._hours = self._load()
        self._unsaved: dict[int, int] = {}

    def _load(self) -> dict[int, int]:
        """By hour since 1970; a file that makes no sense counts for nothing."""
        try:
            found = json.loads(self._path.read_bytes()).get("hours", {})
            hours = {int(hour): int(octets) for hour, octets in found.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}
        first = self._hour() - 23
        return {hour: n for hour, n in hours.items() if first <= hour <= self._hour() and n > 0}

    def _hour(self) -> int:
        return int(self._clock()) // HOUR

    def total(self) -> int:
        """Octets of the last 24 hours, to the hour."""
        first = self._hour() - 23
        return sum(octets for hour, octets in self._hours.items() if hour >= first)

    def add(self, octets: int) -> None:
        """So many more, now.

        Raises:
            OSError: they could not be written down.
        """
        hour = self._hour()
        for hours in (self._hours, self._unsaved):
            hours[hour] = hours.get(hour, 0) + octets
        if sum(self._unsaved.values()) >= SAVED_EVERY:
            self.save()

    def save(self) -> None:
        """Write down what is new; another run of the same account may have added to it.

        Raises:
            OSError: it cannot be written.
        """
        if not self._unsaved:
            return
        hours = self._load()
        for hour, octets in self._unsaved.items():
            hours[hour] = hours.get(hour, 0) + octets
        self._unsaved = {}
        self._hours = hours
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = self._path.with_suffix(f".{os.getpid()}")
        fresh.write_text(json.dumps({"hours": hours}) + "\n", encoding="utf-8")
        fresh.chmod(0o600)
        fresh.replace(self._path)

    def free_at(self, octets: int) -> datetime:
        """When no more than so many of the last 24 hours are left, as things stand."""
        left = self.total()
        for hour in sorted(self._hours):
            if left <= octets:
                break
            left -= self._hours[hour]
            moment = (hour + 24) * HOUR
            if left <= octets:
                return datetime.fromtimestamp(moment, UTC)
        return datetime.fromtimestamp(self._clock(), UTC)


class BudgetedSource:
    """A source that stops fetching when the day's budget is spent; the rest is named as ``budget``.

    Listing goes on, so that the ledger knows what is left, and it tells sizes, so that no more is
    asked for than may be had. A source that tells them wrong, or not at all, is left in the middle
    of its answers: one message at most goes beyond the budget. Octets of messages are counted, not
    those of listings. A message larger than the whole budget is had on a day of its own.

    Args:
        source: what is wrapped.
        limit: octets for 24 hours.
        spent: what was had already.
        observer: is told once when it is spent, and if the count cannot be kept.
    """

    def __init__(self, source: Source, limit: int, spent: Spent, observer: Observer) -> None:
        self._source = source
        self._limit = limit
        self._spent = spent
        self._observer = observer
        self._over: Failure | None = None
        self._keeps = True

    @property
    def capabilities(self) -> SourceCapabilities:
        """Those of the wrapped source."""
        return self._source.capabilities

    @capabilities.setter
    def capabilities(self, value: SourceCapabilities) -> None:
        self._source.capabilities = value

    def identity(self) -> SourceIdentity:
        """See ``Source.identity``."""
        return self._source.identity()

    def recall(self, said: Mapping[str, Any] | None) -> None:
        """See ``Recalling.recall``; nothing where the source has none."""
        source = self._source
        if isinstance(source, Recalling):
            source.recall(said)

    def folders(self) -> Sequence[Folder]:
        """See ``Source.folders``."""
        return self._source.folders()

    def changes(self, wanted: Wanted) -> Iterator[Change]:
        """See ``Source.changes``. Sizes are wanted in any case."""
        return self._source.changes(replace(wanted, describe=True))

    def reconnect(self) -> None:
        """See ``Source.reconnect``."""
        self._source.reconnect()

    def close(self) -> None:
        """See ``Source.close``; writes down what was had."""
        self._save()
        self._source.close()

    def fetch(self, refs: Sequence[MessageRef]) -> Iterator[tuple[MessageRef, Outcome]]:
        """See ``Source.fetch``. What the budget leaves over is a ``Failure("budget", …)``."""
        rest = list(refs)
        while rest:
            lot = self._affordable(rest)
            if not lot:
                break
            rest = rest[len(lot) :]
            rest[:0] = yield from self._fetch(lot)
        if rest:
            over = self._verdict()
            for ref in rest:
                yield ref, over
        self._save()

    def _affordable(self, refs: Sequence[MessageRef]) -> list[MessageRef]:
        """As many of the first ones as there is budget for."""
        left = self._limit - self._spent.total()
        if self._over is not None or left <= 0:
            return []
        lot: list[MessageRef] = []
        for ref in refs:
            if not ref.size and len(lot) >= LOT:
                break
            left -= ref.size or 0
            untouched = not lot and not self._spent.total()
            if left < 0 and not untouched:
                break
            lot.append(ref)
        return lot

    def _fetch(
        self, lot: Sequence[MessageRef]
    ) -> Generator[tuple[MessageRef, Outcome], None, list[MessageRef]]:
        """Fetch these. Returns those that are left because the budget was spent before its time."""
        waiting = {_key(ref): ref for ref in lot}
        answers = self._source.fetch(lot)
        for ref, outcome in answers:
            if isinstance(outcome, Failure):
                self._add(len(outcome.body or b""))
            elif not isinstance(outcome, Vanished):
                self._add(outcome.size)
            waiting.pop(_key(ref), None)
            yield ref, outcome
            if waiting and self._spent.total() >= self._limit:
                end(answers)
                return list(waiting.values())
        return []

    def _verdict(self) -> Failure:
        if self._over is None:
            # not before there is room for a day's work worth the name
            when = self._spent.free_at(self._limit // 2).strftime("%Y-%m-%d %H:%M UTC")
            text = f"the budget of {self._limit:,} octets a day is spent; go on after {when}"
            self._over = Failure("budget", text)
            self._observer(Notice("budget", text))
        return self._over

    def _add(self, octets: int) -> None:
        with self._kept():
            self._spent.add(octets)

    def _save(self) -> None:
        with self._kept():
            self._spent.save()

    @contextlib.contextmanager
    def _kept(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if self._keeps:
                self._keeps = False
                text = f"the next run will not know of today's downloads: {error.strerror}"
                self._observer(Notice("budget-not-kept", text))


def _key(ref: MessageRef) -> tuple[str, str]:
    return ref.placements[0].folder_id, ref.placements[0].uid
