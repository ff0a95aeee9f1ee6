"""What an import costs: memory for each message of a folder, and what it opens and asks for."""

from __future__ import annotations

import tracemalloc
from array import array
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pytest

from importing import account, archived, letter, place
from portarchive.archive.contents import Contents
from portarchive.placing import (
    FolderLook,
    FolderReady,
    FolderWish,
    NameRules,
    Parcel,
    Placed,
    Present,
    TargetCapabilities,
    Whereabouts,
)
from portarchive.records import Folder, Received, SourceIdentity, Vanished

COUNT = 6_000
A_MESSAGE = 1_700
"""Octets of memory for each message of the largest folder: 200 MB are 100,000 of them."""
AT_ALL = 12 << 20


class Sink:
    """Takes everything, and keeps of a message where it lies in the archive."""

    def __init__(self, archive: Path) -> None:
        self.capabilities = TargetCapabilities(names=NameRules(), offsets=True)
        self.files = sorted((archive / "mail" / "INBOX").glob("*.eml"))
        self.taken = array("q")
        self.read = 0

    def identity(self) -> SourceIdentity:
        return SourceIdentity(protocol="memory", service="memory:", account="x")

    def folders(self) -> Sequence[Folder]:
        return [Folder(folder_id="F1", path=("INBOX",), roles=("inbox",))]

    def ensure(self, wishes: Sequence[FolderWish]) -> Iterator[tuple[FolderWish, FolderReady]]:
        yield from ((wish, FolderReady(self.folders()[0], created=False)) for wish in wishes)

    def existing(self, folder_ids, newer_than=None) -> Iterator[FolderLook | Present]:
        yield FolderLook("F1", uidvalidity=1)
        for number in range(int((newer_than or {}).get("F1", 0)), len(self.taken)):
            epoch = self.taken[number]
            size = self.files[number].stat().st_size
            yield Present("F1", str(number + 1), size, (), Received(f"epoch {epoch}", epoch))

    def headers(self, messages: Sequence[Present]) -> Iterator[tuple[Present, Vanished]]:
        yield from ((present, Vanished()) for present in messages)

    def fetch(self, messages: Sequence[Present]) -> Iterator[tuple[Present, object]]:
        for present in messages:
            self.read += 1
            yield present, _Octets(self.files[int(present.uid) - 1].read_bytes())

    def place(self, parcels: Iterable[Parcel]) -> Iterator[tuple[Parcel, Placed]]:
        for parcel in parcels:
            self.taken.append(parcel.spots[0].received.epoch)
            yield parcel, Placed((("F1", str(len(self.taken))),))

    def whereabouts(self) -> Whereabouts:
        return Whereabouts()

    def reconnect(self) -> None: ...

    def close(self) -> None: ...


class _Octets:
    def __init__(self, octets: bytes) -> None:
        self.octets, self.size = octets, len(octets)

    def chunks(self) -> Iterator[bytes]:
        yield self.octets


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = account(INBOX=[letter(f"message-{number:030}") for number in range(COUNT)])
    return archived(tmp_path_factory.mktemp("cost") / "archive", source)


def test_memory_and_what_is_opened(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = 0
    octets = Contents.octets

    def counted(self, item, **how):
        nonlocal opened
        opened += 1
        return octets(self, item, **how)

    monkeypatch.setattr(Contents, "octets", counted)
    sink = Sink(archive)
    runs = [
        ("first", tmp_path / "state", {"placed": COUNT}, COUNT, COUNT // 30),
        ("again", tmp_path / "state", {"ledger": COUNT}, 0, 0),
        ("without a ledger", None, {"octets": COUNT}, COUNT, COUNT),
    ]
    for name, state, what, archive_reads, target_reads in runs:
        opened = sink.read = 0
        tracemalloc.start()
        try:
            report = place(archive, sink, state)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        placed = {"placed": report.total("placed")} if report.total("placed") else {}
        assert {**report.by_round(), **placed} == what, name
        assert opened == archive_reads, name
        assert sink.read <= target_reads, name
        assert peak <= AT_ALL + A_MESSAGE * COUNT, (name, (peak - AT_ALL) / COUNT)
