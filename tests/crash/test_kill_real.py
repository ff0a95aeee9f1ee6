"""kill -9 of the real ``python -m portarchive export`` against a real Dovecot."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from killing import WRITES, fast_directory, spread, starts
from mailboxes import octets

import archive_facts
from portarchive.archive.reader import ArchiveReader
from portarchive.errors import NotAnArchive, Unfinished
from servers.daemon import ROOT, Account

BATCH = 5
DAY = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)


class Process:
    """Runs it on one archive, from whatever state that is in."""

    def __init__(self, user: Account, directory: Path, *, scribe_after: int) -> None:
        self._url = f"{user.url(tls=False)}?tls=none"
        self._password = user.password
        self._scribe_after = scribe_after
        self.archive, self._log = directory / "archive", directory / "log"
        self._home = directory / "home"
        self._home.mkdir(exist_ok=True)

    def export(self, at: int = 0, how: str = "") -> tuple[int, list[tuple[str, str]], str]:
        """Exit code or minus the signal, the calls, and what it said."""
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self._home),
            "PYTHONPATH": f"{Path(__file__).parent / 'in_process'}:{ROOT}",
            "PORTARCHIVE_PASSWORD": self._password,
            "SOURCE_DATE_EPOCH": "1795000000",
            "CRASH_AT": str(at),
            "CRASH_HOW": how,
            "CRASH_LOG": str(self._log),
            "CRASH_ROOT": str(self.archive),
            "CRASH_BATCH": str(BATCH),
            "CRASH_SCRIBE": str(self._scribe_after),
        }
        ran = subprocess.run(
            [sys.executable, "-m", "portarchive", "export", self._url, self.archive],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        calls = [tuple(line.split(" ", 1)) for line in self._log.read_text("utf-8").splitlines()]
        return ran.returncode, calls, ran.stdout + ran.stderr  # type: ignore[return-value]  # pairs


def fill(user: Account) -> None:
    user.append_many("INBOX", [(octets(f"inbox-{n}"), (), DAY + timedelta(n)) for n in range(9)])
    user.append_many("Work/Deep", [(octets(f"work-{n}"), (), DAY) for n in range(6)])
    user.append_many("Old", [(octets(f"old-{n}"), (), DAY) for n in range(3)])


def live(user: Account) -> None:
    user.append_many("INBOX", [(octets(f"new-{n}"), (r"\Seen",), DAY) for n in range(6)])
    user.expunge("INBOX", [2, 3])
    user.add_flags("INBOX", [1], [r"\Flagged", "Ablage"])
    user.delete("Old")
    user.reset_uidvalidity("Work/Deep", renumber_from=101)
    user.append("Work/Deep", octets("late"), (), DAY)


@pytest.mark.slow
@pytest.mark.parametrize("what", ["first", "update"])
def test_the_real_process(dovecot_user: Account, what: str) -> None:
    fill(dovecot_user)
    with fast_directory() as directory:
        process = Process(dovecot_user, directory, scribe_after=1 if what == "first" else 1 << 30)
        valid: dict[str, archive_facts.Facts] = {}
        before = directory / "before"
        if what == "update":
            code, _, said = process.export()
            assert code == 0, said
            archive_facts.copy(process.archive, before)
            valid["before"] = archive_facts.check(before)
            live(dovecot_user)
        code, calls, said = process.export()
        assert code == 0, said
        after = archive_facts.check(process.archive)
        expected = archive_facts.files(process.archive)
        assert len(after.items["INBOX"]) == (9 if what == "first" else 13)
        assert len(after.items["Work/Deep"]) == (6 if what == "first" else 7)

        first = starts(calls)
        places = spread(1, first - 1, 14) + list(range(first, len(calls) + 1))
        assert len(places) >= 30
        for at in places:
            shutil.rmtree(process.archive, ignore_errors=True)
            if what == "update":
                archive_facts.copy(before, process.archive)
            name, path = calls[at - 1]
            how = "half" if name in WRITES else "before"
            where = f"{what}: {how} call {at}: {name} {path}"
            try:
                code, _, said = process.export(at, how)
                assert code == -signal.SIGKILL, said
                look(process.archive, [*valid.values(), after])
                code, _, said = process.export()
                assert code == 0, said
                facts = archive_facts.check(process.archive)
                assert facts.what() == after.what()
                found = archive_facts.files(process.archive)
                roots = archive_facts.ROOT_FILES
                assert {p: d for p, d in found.items() if p not in roots} == {
                    p: d for p, d in expected.items() if p not in roots
                }
            except BaseException as error:
                error.add_note(where)
                raise


def look(archive: Path, valid: list[archive_facts.Facts]) -> None:
    """Valid in one of these states, or unfinished, or not there."""
    try:
        reader = ArchiveReader.open(archive)
    except (NotAnArchive, Unfinished):
        return
    assert all(problem is None for _, _, problem in reader.check_digests())
    archive_facts.check_chain(archive)
    assert archive_facts.read(archive).what() in [facts.what() for facts in valid]
