"""A renamed mailbox (same MAILBOXID) is a rename: nothing is fetched again, nothing is lost."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import portarchive
from exporting import KINDS
from portarchive.archive.reader import ArchiveReader
from portarchive.connectors.memory import MemorySource
from portarchive.jobs.export import ExportOptions, ExportReport, run_export
from portarchive.progress import silent


def _mail(number: int) -> bytes:
    return b"Message-ID: <%d@example.org>\r\n\r\nletter %d\r\n" % (number, number)


@pytest.fixture
def source() -> MemorySource:
    source = MemorySource()
    source.create_folder("Work")
    source.create_folder("Work/Deep")
    for number in range(8):
        source.add(_mail(number), ["Work"], flags=["$seen"] if number % 2 else [])
    for number in range(8, 12):
        source.add(_mail(number), ["Work/Deep"])
    return source


def _export(source: MemorySource, root: Path, **options: object) -> ExportReport:
    source.reconnect()
    return run_export(source, root, ExportOptions(fsync=False, **options), silent)  # type: ignore[arg-type]


def _contents(root: Path) -> dict[str, tuple[list[tuple[str, str]], list[str]]]:
    reader = ArchiveReader.open(root)
    assert [problem for _, _, problem in reader.check_digests() if problem] == []
    found = {}
    for folder in reader.folders():
        for entry in (*folder.items(), *folder.kept()):
            assert (root / folder.file_of(entry)).exists()
        items = [(item["uid"], item["portarchive:sha256"]) for item in folder.items()]
        found[folder.path] = (items, [entry["uid"] for entry in folder.kept()])
    return found


def _messages_on_disk(root: Path) -> int:
    return sum(1 for _ in root.rglob("*.eml"))


@pytest.mark.parametrize("single_copy", [False, True])
def test_nothing_is_fetched_again(source: MemorySource, tmp_path: Path, single_copy: bool) -> None:
    root = tmp_path / "archive"
    _export(source, root, single_copy=single_copy)
    source.expunge("Work", 1)
    _export(source, root, single_copy=single_copy)
    before = _contents(root)
    source.rename_folder("Work", "Trade")
    source.rename_folder("Work/Deep", "Trade/Deep")
    report = _export(source, root, single_copy=single_copy)
    after = _contents(root)
    assert report.complete
    assert report.totals.fetched == 0
    assert after["Trade"] == before["Work"]
    assert after["Trade"][1] == ["1"]
    assert after["Trade/Deep"] == before["Work/Deep"]
    assert not (root / "mail" / "Work").exists()
    assert _messages_on_disk(root) == 12
    entry = next(entry for entry in report.folders if entry["path"] == "Trade")
    assert {"code": "renamed", "from": "Work"} in entry["notes"]
    assert not _export(source, root, single_copy=single_copy).published


def test_changes_that_came_with_the_rename(source: MemorySource, tmp_path: Path) -> None:
    root = tmp_path / "archive"
    _export(source, root)
    source.rename_folder("Work", "Trade")
    source.expunge("Trade", 2)
    source.set_flags("Trade", 3, ["$flagged"])
    source.add(_mail(50), ["Trade"])
    report = _export(source, root)
    assert report.totals.fetched == 1
    items, kept = _contents(root)["Trade"]
    assert [uid for uid, _ in items] == ["1", "3", "4", "5", "6", "7", "8", "9"]
    assert kept == ["2"]
    # its child kept its old name: the old directory stays as a parent that holds no mail
    assert _contents(root)["Work"] == ([], [])
    assert len(_contents(root)["Work/Deep"][0]) == 4


def test_another_mailbox_of_the_old_name(source: MemorySource, tmp_path: Path) -> None:
    root = tmp_path / "archive"
    _export(source, root)
    source.rename_folder("Work", "Trade")
    source.create_folder("Work")
    source.add(_mail(60), ["Work"])
    report = _export(source, root)
    assert report.complete
    found = _contents(root)
    assert len(found["Trade"][0]) == 8
    assert len(found["Work"][0]) == 1


# --- no two folders of an archive have one uid


def _uids(root: Path) -> dict[str, str]:
    report = portarchive.validate(root)
    assert [finding for finding in report.findings if finding.severity == "error"] == []
    return {folder.path: str(folder.header["uid"]) for folder in ArchiveReader.open(root).folders()}


def _give_id(source: MemorySource, name: str, uid: str) -> None:
    box = source._box(name)
    box.record = replace(box.record, uid=uid)


def test_renamed_and_renumbered_at_once(source: MemorySource, tmp_path: Path) -> None:
    root = tmp_path / "archive"
    _export(source, root)
    before = _uids(root)
    source.rename_folder("Work/Deep", "Trade")
    source.reset_uidvalidity("Trade")
    _export(source, root)
    after = _uids(root)
    assert after["Trade"] == before["Work/Deep"]
    assert after["Work/Deep"] == "Work/Deep"
    assert not _export(source, root).published


def test_two_mailboxes_of_one_id(source: MemorySource, tmp_path: Path) -> None:
    """An id that says nothing is not written; as soon as it says something it is."""
    root = tmp_path / "archive"
    source.create_folder("Other")
    for name in ("Work", "Other"):
        _give_id(source, name, "SAME")
    _export(source, root)
    assert {path: uid for path, uid in _uids(root).items() if path in {"Work", "Other"}} == {
        "Work": "Work", "Other": "Other",
    }  # fmt: skip
    assert not _export(source, root).published
    _give_id(source, "Other", "Work/Deep")  # the path of another one
    _export(source, root)
    found = _uids(root)
    assert (found["Work"], found["Other"]) == ("SAME", "Other")
    assert not _export(source, root).published


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "rename",
                "rename",
                "exchange",
                "renumber",
                "same id",
                "add",
                "expunge",
                "copy",
                "delete",
                "create",
                "export",
            ]
        ),
        st.integers(0, 5),
        st.integers(0, 5),
    ),
    min_size=2,
    max_size=14,
)
NAMES = ["A", "B", "A/S", "C", "F2", "a"]


def _step(source: MemorySource, what: str, one: int, other: int) -> None:
    """One thing that an owner, or a server, may do; nothing where it cannot be done."""
    here = {"/".join(path) for path in source.contents()} - {"INBOX"}
    name, to = NAMES[one], NAMES[other]
    if what == "create" and name not in here:
        source.create_folder(name)
        source.add(_mail(one), [name])
    if name not in here:
        return
    uids = list(source.contents()[tuple(name.split("/"))])
    if what == "rename" and to not in here:
        source.rename_folder(name, to)
    elif what == "exchange" and to in here and to != name:
        source.rename_folder(name, "between")
        source.rename_folder(to, name)
        source.rename_folder("between", to)
    elif what == "renumber":
        source.reset_uidvalidity(name)
    elif what == "same id" and to in here:
        _give_id(source, name, str(source._box(to).record.uid))
    elif what == "add":
        source.add(_mail(100 + other), [name])
    elif what == "expunge" and uids:
        source.expunge(name, uids[other % len(uids)])
    elif what == "copy" and to in here and to != name and uids:
        source.add(_mail(200 + other), [name, to])
    elif what == "delete":
        source.delete_folder(name)


@given(
    steps=STEPS,
    kind=st.sampled_from(sorted(KINDS)),
    single=st.booleans(),
    mirror=st.booleans(),
)
def test_whatever_is_renamed_the_archive_is_valid(
    steps: list[tuple[str, int, int]], kind: str, single: bool, mirror: bool
) -> None:
    source = MemorySource(capabilities=KINDS[kind])
    for number, name in enumerate(["A", "B", "A/S"]):
        source.create_folder(name)
        for each in range(3):
            source.add(_mail(10 * number + each), [name])
    with tempfile.TemporaryDirectory() as place:
        root = Path(place, "archive")
        options = {"single_copy": single, "mirror": mirror}
        _export(source, root, **options)
        for what, one, other in steps:
            if what == "export":
                _export(source, root, **options)
                _uids(root)
            else:
                _step(source, what, one, other)
        _export(source, root, **options)
        _uids(root)
        _contents(root)
        assert not _export(source, root, **options).published
