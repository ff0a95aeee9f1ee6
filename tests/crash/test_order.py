"""The order of calls is the promise that survives a power cut: looked at, not only killed in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from killing import Driver, fast_directory
from mailboxes import SITUATIONS

SYNCS = {"syncfs", "fsync"}


@pytest.fixture(scope="module")
def driver() -> Iterator[Driver]:
    driver = Driver()
    yield driver
    driver.stop()


@pytest.fixture(params=["first", "first, ids", "update, ids", "update, renamed"], scope="module")
def calls(request: pytest.FixtureRequest, driver: Driver) -> Iterator[list[tuple[str, str]]]:
    """(name, path from the archive's root) of every call of one export."""
    with fast_directory() as directory:
        if SITUATIONS[request.param].past is not None:
            driver.export(request.param, directory / "a", when="past")
        outcome = driver.export(request.param, directory / "a")
        assert outcome.status == 0
        prefix = f"{directory}/a"
        yield [(name, path.replace(prefix, "").lstrip("/")) for name, path in outcome.calls]


def test_messages_are_synced_before_the_journal_names_them(calls: list[tuple[str, str]]) -> None:
    dirty: set[str] = set()
    unsynced_directories: set[str] = set()
    named = 0
    for name, path in calls:
        if path.endswith(".eml") and name in {"open", "write"}:
            dirty.add(path)
        if name in {"open", "link"} and path.endswith(".eml"):
            unsynced_directories.add("")
        if name == "syncfs":
            dirty.clear()
        if name == "fsync" and path.startswith("mail"):
            unsynced_directories.clear()
        if name == "write" and path == ".portarchive/journal":
            assert not dirty
            assert not unsynced_directories
            named += 1
    assert named >= 3


def test_every_block_of_the_journal_is_synced(calls: list[tuple[str, str]]) -> None:
    writes = [n for n, call in enumerate(calls) if call == ("write", ".portarchive/journal")]
    assert writes
    for number in writes:
        assert calls[number + 1] == ("fsync", ".portarchive/journal")


def test_the_commit(calls: list[tuple[str, str]]) -> None:
    (redo,) = [n for n, (name, _) in enumerate(calls) if name == "replace"]
    assert calls[redo][1].startswith(".portarchive/redo.json.new > ")
    staged = [n for n, (_, path) in enumerate(calls) if path.startswith(".portarchive/staged/0")]
    placed = [n for n in staged if calls[n][0] == "rename"]
    written = [n for n in staged if calls[n][0] in {"open", "write"}]
    # 1. staged files, then the record of what is to be done with them, all synced
    assert max(written) < redo
    assert any(calls[n][0] == "syncfs" for n in range(max(written), redo))
    assert ("fsync", ".portarchive/staged") in calls[max(written) : redo]
    assert ("fsync", ".portarchive/redo.json.new") in calls[max(written) : redo]
    assert calls[redo + 1] == ("fsync", ".portarchive")
    # 2. the old commit point goes away before anything is put in its place
    away = [n for n, (name, path) in enumerate(calls) if name == "rename" and "json.prev" in path]
    if away:
        assert redo < away[0] < min(placed)
        assert ("fsync", "") in calls[away[0] : min(placed)]
    # 3. and 4. renames, then their directories, then 5. the new commit point
    last = [n for n, (name, path) in enumerate(calls) if name == "rename"][-1]
    assert calls[last][1].startswith(".portarchive/staged/archive.json > ")
    assert max(placed) < last
    assert any(calls[n][0] in SYNCS for n in range(max(placed) + 1, last))
    assert calls[last + 1] == ("fsync", "")
    # 6. dropped files only now, and 7. the record of the commit as the last of its traces
    unlinked = [n for n, (name, _) in enumerate(calls) if name == "unlink" and n > last]
    dropped = [n for n in unlinked if calls[n][1].startswith("mail/")]
    private = [calls[n][1] for n in unlinked if n not in dropped]
    assert all(path.startswith(".portarchive/") for path in private)
    assert all(last + 1 < n < unlinked[len(dropped)] for n in dropped)
    early = [calls[n][1] for n in range(last) if calls[n][0] == "unlink"]
    early = [path for path in early if path.startswith("mail/")]
    assert all(path.endswith("/folder.json") for path in early), "of renamed mailboxes"
    assert private[-1] == ".portarchive/redo.json"
