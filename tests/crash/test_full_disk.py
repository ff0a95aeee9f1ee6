"""A disk that is full from some call on, or fails once: one error, a valid archive, a resume."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from killing import Driver, fast_directory, state
from mailboxes import SITUATIONS

import archive_facts
from portarchive.archive.reader import ArchiveReader
from portarchive.connectors.memory import MemorySource
from portarchive.errors import ExitCode, NotAnArchive, StorageFailed, Unfinished
from portarchive.jobs.export import ExportOptions, run_export
from portarchive.progress import silent

NEEDS_ROOM = {"open", "write", "pwrite", "mkdir", "link", "rename", "replace"}
SYNCS = {"fsync", "fdatasync", "syncfs"}


@pytest.fixture(scope="module")
def driver() -> Iterator[Driver]:
    driver = Driver()
    yield driver
    driver.stop()


@pytest.mark.parametrize(
    ("situation", "how", "calls_of"),
    [
        ("first, ids", "full", NEEDS_ROOM),
        ("update, ids", "full", NEEDS_ROOM),
        ("update, single copy", "broken", SYNCS),
        ("first", "broken", SYNCS),
    ],
)
def test_at_every_call(driver: Driver, situation: str, how: str, calls_of: set[str]) -> None:
    """Scenario 23."""
    past = SITUATIONS[situation].past
    with fast_directory() as directory:
        before, archive = directory / "before", directory / "archive"
        valid = {}
        if past is not None:
            assert driver.export(situation, before, when="past").status == 0
            valid["before"] = archive_facts.check(before)
            archive_facts.copy(before, archive)
        whole = driver.export(situation, archive)
        valid["after"] = archive_facts.check(archive)
        expected = archive_facts.files(archive)
        met = 0
        for at, (name, path) in enumerate(whole.calls, 1):
            if name not in calls_of:
                continue
            where = f"{situation}: {how} from call {at}: {name} {path}"
            subprocess.run(["rm", "-rf", archive], check=True)
            if past is not None:
                archive_facts.copy(before, archive)
            failed = driver.export(situation, archive, at=at, how=how)
            assert failed.status == 0, where
            assert failed.result is not None
            if path.endswith("/.portarchive/lock") and name != "open":
                assert "error" not in failed.result or how == "full", where
            else:
                assert failed.result.get("exit_code") == ExitCode.STORAGE, (where, failed.result)
                assert failed.result["error"] == "storage-failed", where
            met += 1
            try:
                assert state(archive, valid) in {"none", "unfinished", *valid}
                last = driver.export(situation, archive)
                assert last.result is not None
                assert last.result.get("complete"), last.result
                facts = archive_facts.check(archive)
                assert facts.what() == valid["after"].what()
                assert set(archive_facts.files(archive)) == set(expected)
            except BaseException as error:
                error.add_note(where)
                raise
        assert met > 10


def test_nothing_is_left_in_a_new_directory_that_takes_no_octet(driver: Driver) -> None:
    with fast_directory() as directory:
        archive = directory / "deep" / "archive"
        (directory / "deep").mkdir()
        whole = driver.export("first", archive)
        subprocess.run(["rm", "-rf", archive], check=True)
        for at, (_, path) in enumerate(whole.calls, 1):
            if "/mail/" in path or path.endswith("journal"):
                break
            failed = driver.export("first", archive, at=at, how="full")
            assert failed.result is not None
            assert failed.result["error"] == "storage-failed"
            assert list((directory / "deep").iterdir()) == [], f"full from call {at}: {path}"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB. Needs root; elsewhere the calls above are the whole test."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    yield place
    if mounted:
        subprocess.run(["umount", place], check=True)


def test_a_disk_that_is_really_full(small_disk: Path) -> None:
    if not os.path.ismount(small_disk):
        assert os.geteuid() != 0 or not os.access("/dev/full", os.W_OK) or _unprivileged()
        return
    source = MemorySource()
    for number in range(40):
        source.add(b"Subject: %d\r\n\r\n" % number + b"x" * 30_000)
    archive = small_disk / "archive"
    with pytest.raises(StorageFailed) as caught:
        run_export(source, archive, ExportOptions(), silent)
    assert caught.value.exit_code == ExitCode.STORAGE
    assert "No space left" in caught.value.text
    assert "make room" in (caught.value.hint or "")
    with pytest.raises((Unfinished, NotAnArchive)):
        ArchiveReader.open(archive)
    subprocess.run(["mount", "-o", "remount,size=4m", small_disk], check=True)
    source.reconnect()
    report = run_export(source, archive, ExportOptions(), silent)
    assert report.complete
    assert len(archive_facts.check(archive).items["INBOX"]) == 40
    # And once more, as an update of what is valid.
    subprocess.run(["mount", "-o", "remount,size=2m", small_disk], check=True)
    for number in range(40, 80):
        source.add(b"Subject: %d\r\n\r\n" % number + b"x" * 30_000)
    with pytest.raises(StorageFailed):
        run_export(source, archive, ExportOptions(), silent)
    assert ArchiveReader.open(archive).fingerprint == report.fingerprint
    archive_facts.check_chain(archive)
    subprocess.run(["mount", "-o", "remount,size=8m", small_disk], check=True)
    source.reconnect()
    assert run_export(source, archive, ExportOptions(), silent).complete
    assert len(archive_facts.check(archive).items["INBOX"]) == 80


def _unprivileged() -> bool:
    """Root of a container that may not mount."""
    with Path("/proc/self/status").open(encoding="ascii") as status:
        for line in status:
            if line.startswith("CapEff:"):
                return not int(line.split()[1], 16) & (1 << 21)
    return False
