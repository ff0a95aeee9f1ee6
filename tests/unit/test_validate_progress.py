"""What a validation tells on its way, and what it counts at each level."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

import portarchive
from portarchive.progress import ArchiveListed, Checked, Event
from portarchive.validate import hashing, meter
from validating import Files, chained, tarred, write, zipped

CONTAINERS = {"directory": write, "zip": zipped, "tar": tarred}
LEVELS = ("schema", "structure", "deep")


def looked_at(path: Path, level: str) -> tuple[ArchiveListed, list[Checked]]:
    told: list[Event] = []
    portarchive.validate(path, level=level, observer=told.append)
    first, *rest = told
    assert isinstance(first, ArchiveListed)
    return first, [event for event in rest if isinstance(event, Checked)]


def documents(files: Files, level: str) -> list[bytes]:
    """What is read as a document, archive.json apart."""
    suffixes = (".json",) if level == "schema" else (".json", "manifest-sha256.txt")
    return [
        octets
        for name, octets in files.items()
        if name.endswith(suffixes) and name != "archive.json"
    ]


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("container", CONTAINERS)
def test_what_is_told_adds_up(
    container: str, level: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meter, "_PAUSE", 0)
    files = chained()
    path = CONTAINERS[container](files, tmp_path / "a")
    listed, checked = looked_at(path, level)
    assert sum(event.files for event in checked) == listed.files
    assert sum(event.octets for event in checked) == listed.octets
    assert len(checked) > 5
    whole = sum(map(len, files.values()))
    of_documents = sum(map(len, documents(files, level)))
    if container == "tar":
        assert (listed.files, listed.octets) == (len(files), whole)
    elif level == "deep":
        assert (listed.files, listed.octets) == (len(files), whole + of_documents)
    else:
        assert (listed.files, listed.octets) == (len(documents(files, level)), of_documents)


def test_processes_tell_one_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meter, "_PAUSE", 0)
    monkeypatch.setattr(hashing, "_FEW_FILES", 0)
    monkeypatch.setattr(hashing, "_FEW_OCTETS", 0)
    monkeypatch.setattr(hashing, "_CHUNK_FILES", 1)
    inside = threading.Lock()
    seen: list[Event] = []

    def observe(event: Event) -> None:
        assert inside.acquire(blocking=False)
        seen.append(event)
        inside.release()

    path = write(chained(), tmp_path / "a")
    report = portarchive.validate(path, observer=observe)
    assert report.ok
    assert isinstance(seen[0], ArchiveListed)
    assert sum(one.files for one in seen if isinstance(one, Checked)) == seen[0].files


def test_it_does_not_speak_more_often_than_eyes_follow(tmp_path: Path) -> None:
    _, checked = looked_at(write(chained(), tmp_path / "a"), "deep")
    assert len(checked) <= 3


def test_the_pause() -> None:
    told: list[Event] = []
    now = [0.0]
    one = meter.Meter(told.append, clock=lambda: now[0])
    one.begin(4, 40)
    for at in (0.05, 0.15, 0.25, 0.3):
        now[0] = at
        one.add(1, 10)
    one.finish()
    one.finish()
    assert told == [ArchiveListed(4, 40), Checked(3, 30), Checked(1, 10)]


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("container", CONTAINERS)
def test_every_level_counts_what_is_there(container: str, level: str, tmp_path: Path) -> None:
    path = CONTAINERS[container](chained(), tmp_path / "a")
    report = portarchive.validate(path, level=level)
    assert (report.folders, report.messages, report.files) == (2, 2, 14)
