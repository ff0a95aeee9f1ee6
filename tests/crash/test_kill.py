"""kill -9 at every single call that changes the file system, of an export of each kind.

After each the archive reads as a valid state or as unfinished, and the next run ends with the same
items, files and digests as one that nobody stopped.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from killing import WRITES, Driver, Outcome, fast_directory, spread, starts, state
from mailboxes import BATCH, SITUATIONS

import archive_facts


@pytest.fixture(scope="module")
def driver() -> Iterator[Driver]:
    driver = Driver()
    yield driver
    driver.stop()


class Bench:
    """One situation: the archive before, the archive as it is to be, and what that takes."""

    def __init__(
        self, driver: Driver, situation: str, directory: Path, *, scribe_after: int = 1 << 30
    ) -> None:
        self._driver, self.situation, self._scribe_after = driver, situation, scribe_after
        self._about = SITUATIONS[situation]
        self._before = directory / "before"
        self.archive = directory / "archive"
        self.valid: dict[str, archive_facts.Facts] = {}
        if self._about.past is not None:
            past = driver.export(situation, self._before, when="past")
            assert past.status == 0
            self.valid["before"] = archive_facts.check(self._before)
        self.restore()
        self.whole = self.export()
        self._is_right(self.whole)
        self.valid["after"] = archive_facts.check(self.archive)
        self._files = archive_facts.files(self.archive)

    def restore(self) -> None:
        if self._about.past is not None:
            archive_facts.copy(self._before, self.archive)
        else:
            shutil.rmtree(self.archive, ignore_errors=True)

    def export(self, at: int = 0, how: str = "") -> Outcome:
        return self._driver.export(
            self.situation, self.archive, at=at, how=how, scribe_after=self._scribe_after
        )

    def _is_right(self, outcome: Outcome) -> None:
        assert outcome.status == 0
        assert outcome.result is not None
        assert outcome.result["complete"] == self._about.complete, outcome.result

    def look(self, where: object) -> str:
        """The state that the killed one left."""
        try:
            return state(self.archive, self.valid)
        except BaseException as error:
            error.add_note(f"{self.situation}: after {where}")
            raise

    def finish(self, where: object, delivered: int) -> None:
        """The next run; ``delivered``: messages that the runs before it were given."""
        try:
            last = self.export()
            self._is_right(last)
            facts = archive_facts.check(self.archive)
            assert facts.what() == self.valid["after"].what()
            assert archive_facts.digests(self.archive) == {
                path: digest
                for path, digest in self._files.items()
                if path not in archive_facts.ROOT_FILES
            }
            assert set(archive_facts.files(self.archive)) == set(self._files)
            assert delivered + last.delivered <= self.whole.delivered + BATCH
        except BaseException as error:
            error.add_note(f"{self.situation}: run again after {where}")
            raise


EVERY_CALL = {"first", "update, ids", "update, single copy", "placeholders"}
"""Of the others every third one before the commit: they differ in what they commit."""


@pytest.mark.parametrize("situation", SITUATIONS)
def test_killed_at_every_call(driver: Driver, situation: str) -> None:
    with fast_directory() as directory:
        bench = Bench(driver, situation, directory)
        calls = bench.whole.calls
        assert len(calls) >= 30
        commit = starts(calls)
        seen: Counter[str] = Counter()
        for at, (name, path) in enumerate(calls, 1):
            if at < commit and situation not in EVERY_CALL and at % 3:
                continue
            hows = ["before", "half"] if name in WRITES else ["before"]
            if at == len(calls):
                hows.append("after")
            for how in hows:
                bench.restore()
                where = f"{how} call {at}: {name} {path}"
                killed = bench.export(at, how)
                assert killed.killed, where
                assert [call for call, _ in killed.calls] == [call for call, _ in calls[:at]]
                found = bench.look(where)
                seen[found] += 1
                assert found != "after" or at > commit
                bench.finish(where, killed.delivered)
        assert {"unfinished", "after"} <= set(seen), "both sides of the commit were met"


@pytest.mark.parametrize("situation", ["first", "update, ids", "update, renamed"])
def test_the_resume_is_killed_too(driver: Driver, situation: str) -> None:
    with fast_directory() as directory:
        bench = Bench(driver, situation, directory)
        calls = bench.whole.calls
        for first in spread(1, len(calls), 9):
            bench.restore()
            killed = bench.export(first, "before")
            assert killed.killed
            left = directory / "left"
            shutil.rmtree(left, ignore_errors=True)
            if bench.archive.exists():
                archive_facts.copy(bench.archive, left)
            again = bench.export()
            for second in spread(1, len(again.calls), 12):
                shutil.rmtree(bench.archive, ignore_errors=True)
                if left.exists():
                    archive_facts.copy(left, bench.archive)
                where = f"call {first}, then call {second} of the resume: {again.calls[second - 1]}"
                twice = bench.export(second, "half")
                assert twice.killed, where
                bench.look(where)
                # Each of the two may have lost a batch.
                bench.finish(where, killed.delivered + twice.delivered - BATCH)


@pytest.mark.parametrize("situation", ["first", "first, ids", "update"])
def test_killed_while_another_process_writes_the_files(driver: Driver, situation: str) -> None:
    """The process that writes message files may outlive the one that was killed by a moment."""
    with fast_directory() as directory:
        bench = Bench(driver, situation, directory, scribe_after=1)
        calls = bench.whole.calls
        for at in spread(1, starts(calls), 36):
            bench.restore()
            where = f"call {at}: {calls[at - 1]}"
            killed = bench.export(at, "half")
            assert killed.killed, where
            bench.look(where)
            bench.finish(where, killed.delivered)
