"""What an export refuses, for whose sake, and that it leaves everything as it was."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

import archive_facts
from exporting import LISTS_ONLY, account, export, mail
from portarchive.connectors.memory import Fault, MemorySource
from portarchive.errors import (
    ConnectionLost,
    Damaged,
    ExitCode,
    PortArchiveError,
    Refused,
    StorageFailed,
    WrongSource,
)
from portarchive.jobs.selection import Selection


def refuses(path: Path, error: type[PortArchiveError], source: MemorySource, **options) -> str:
    """Nothing on disk changes and nothing is fetched. Returns the code."""
    before = archive_facts.files(path, private=True)
    source.fetches.clear()
    with pytest.raises(error) as caught:
        export(source, path, **options)
    after = archive_facts.files(path, private=True)
    lock = ".portarchive/lock"
    assert {**after, lock: ""} == {**before, lock: ""}
    assert source.fetches == []
    assert caught.value.hint
    return caught.value.code


# --- directories ----------------------------------------------------------------------------------


def test_a_directory_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/thesis.tex").write_bytes(b"x")
    with pytest.raises(Refused) as caught:
        export(account(INBOX=1), tmp_path / "a")
    assert caught.value.exit_code == ExitCode.REFUSED
    assert caught.value.code == "foreign-directory"
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["thesis.tex"]


def test_a_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    with pytest.raises(Refused):
        export(account(INBOX=1), tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"x"


def test_an_archive_of_another_program(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/archive.json").write_text('{"archive": {"id": "x"}}', "utf-8")
    with pytest.raises(Refused) as caught:
        export(account(INBOX=1), tmp_path / "a")
    assert caught.value.code == "foreign-archive"
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["archive.json"]


def test_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    with pytest.raises(StorageFailed) as caught:
        export(account(INBOX=1), tmp_path / "a" / "b")
    assert caught.value.exit_code == ExitCode.STORAGE


def test_an_empty_directory_is_fine(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir(0o700)
    assert export(account(INBOX=1), tmp_path / "a").complete


def test_a_damaged_archive_is_left_alone(tmp_path: Path) -> None:
    source = account("lists", INBOX=2)
    export(source, tmp_path / "a")
    source.add(mail("new"))
    for name in ("archive.json", "manifest.json", "manifest-sha256.txt"):
        file = tmp_path / "a" / name
        whole = file.read_bytes()
        for octets in (whole[:-2], whole.replace(b"1", b"2", 1), b""):
            file.write_bytes(octets)
            # An edited archive.json is another state, not a damaged one, if it still parses.
            if name != "archive.json" or octets != whole.replace(b"1", b"2", 1):
                refuses_damaged(tmp_path / "a", source)
            file.write_bytes(whole)
    (tmp_path / "a/manifest.json").unlink()
    refuses_damaged(tmp_path / "a", source)


def refuses_damaged(path: Path, source: MemorySource) -> None:
    before = archive_facts.files(path)
    with pytest.raises(Damaged) as caught:
        export(source, path)
    assert caught.value.exit_code == ExitCode.UNFINISHED
    assert archive_facts.files(path) == before


# --- the selection --------------------------------------------------------------------------------


def test_another_selection(tmp_path: Path) -> None:
    source = account(INBOX=3, Work=2, Spam=2)
    first = Selection(exclude=("Spam",))
    export(source, tmp_path / "a", selection=first)
    facts = archive_facts.check(tmp_path / "a")
    assert set(facts.items) == {"INBOX", "Work"}
    assert facts.manifest["selection"] == {"exclude": ["Spam"]}
    assert refuses(tmp_path / "a", Refused, source) == "other-selection"
    assert refuses(tmp_path / "a", Refused, source, dry_run=True) == "other-selection"
    assert not export(source, tmp_path / "a", selection=first).published
    report = export(source, tmp_path / "a", change_selection=True)
    assert report.published
    facts = archive_facts.check(tmp_path / "a")
    assert len(facts.items["Spam"]) == 2
    assert facts.manifest["selection"] == {}
    assert not export(source, tmp_path / "a").published


def test_a_smaller_selection_leaves_the_other_folders_as_they_are(tmp_path: Path) -> None:
    source = account(INBOX=3, Work=2)
    export(source, tmp_path / "a")
    only = Selection(folders=("INBOX",))
    source.expunge("Work", 1)
    export(source, tmp_path / "a", selection=only, change_selection=True)
    facts = archive_facts.check(tmp_path / "a")
    assert len(facts.items["Work"]) == 2
    assert [entry["path"] for entry in facts.manifest["folders"]] == ["INBOX"]


def test_filters_of_messages(tmp_path: Path) -> None:
    source = account("lists", INBOX=0)
    source.add(mail("old"), received="2025-12-31T23:00:00+00:00")
    source.add(mail("big", 5000), received="2026-02-01T00:00:00+00:00")
    source.add(mail("right"), received="2026-02-01T00:00:00+00:00", flags=["$flagged"])
    selection = Selection(since_date=date(2026, 1, 1), max_size=1000)
    report = export(source, tmp_path / "a", selection=selection)
    assert report.complete
    facts = archive_facts.check(tmp_path / "a")
    assert [item.uid for item in facts.items["INBOX"]] == ["3"]
    assert facts.ledger("INBOX")["skipped"] == [
        {"reason": "max-size", "count": 1, "uids": "2"},
        {"reason": "since-date", "count": 1, "uids": "1"},
    ]
    assert "1,000 bytes" in facts.headers["INBOX"]["comment"]
    assert facts.archive["dataset"]["extent"] == "FULL"
    assert "1,000 bytes" in facts.archive["dataset"]["description"]
    assert not export(source, tmp_path / "a", selection=selection).published


def test_a_resume_with_another_selection(tmp_path: Path) -> None:
    source = account("lists", INBOX=3, Work=3)
    source.faults.append(Fault(where="fetch", error=ConnectionLost("x"), after=4))
    with pytest.raises(ConnectionLost):
        export(source, tmp_path / "a", retry=False)
    source.reconnect()
    other = Selection(folders=("INBOX",))
    assert refuses(tmp_path / "a", Refused, source, selection=other) == "other-selection"
    assert export(source, tmp_path / "a").resumed


# --- the source -----------------------------------------------------------------------------------


def moved(source: MemorySource, **identity: str) -> MemorySource:
    """The same mailbox at another place."""
    for name, value in identity.items():
        setattr(source, name, value)
    return source


def test_another_account(tmp_path: Path) -> None:
    """Scenario 26."""
    source = account(INBOX=3, Work=3)
    export(source, tmp_path / "a")
    moved(source, account="joe@example.org")
    assert refuses(tmp_path / "a", WrongSource, source) == "wrong-source"


def test_an_empty_server_of_the_same_name(tmp_path: Path) -> None:
    """Scenario 26: the local copy is not wiped."""
    export(account(INBOX=30, Work=30), tmp_path / "a")
    empty = MemorySource(service="imaps://new.example.org")
    empty._boxes["F1"].record = empty._boxes["F1"].record.__class__(
        folder_id="F1", path=("INBOX",), uid="other"
    )
    assert refuses(tmp_path / "a", WrongSource, empty) == "wrong-source"
    assert refuses(tmp_path / "a", WrongSource, empty, mirror=True) == "wrong-source"


def test_another_host_with_the_same_folders(tmp_path: Path) -> None:
    source = account("lists", INBOX=4, Work=4)
    export(source, tmp_path / "a")
    moved(source, service="imaps://mail2.example.org")
    source.add(mail("new"))
    report = export(source, tmp_path / "a")
    assert report.complete
    assert report.totals.fetched == 1
    datasource = archive_facts.check(tmp_path / "a").archive["datasource"]
    assert datasource["service"] == "imaps://mail2.example.org"


def other_server(kind: str, *, same_numbers: bool) -> MemorySource:
    """The same mail on a new server: other ids, other instants to the zone, other numbers."""
    source = account(kind, INBOX=4, Work=4)
    source.service = "imaps://new.example.org"
    for number, box in enumerate(source._boxes.values()):
        box.record = type(box.record)(
            folder_id=box.record.folder_id, path=box.record.path, uid=f"new-{number}"
        )
        if not same_numbers:
            box.uidvalidity += 5
        for item in box.items.values():
            item.message.email_id = "new" + item.message.email_id
    return source


@pytest.mark.parametrize("same_numbers", [False, True])
@pytest.mark.parametrize("kind", ["lists", "deltas", "ids"])
def test_moved_to_another_server(tmp_path: Path, kind: str, same_numbers: bool) -> None:
    export(account(kind, INBOX=4, Work=4), tmp_path / "a")
    source = other_server(kind, same_numbers=same_numbers)
    if same_numbers:  # UIDVALIDITY and three sizes of two folders speak for it
        assert export(source, tmp_path / "a").complete
        archive_facts.check(tmp_path / "a")
        return
    assert refuses(tmp_path / "a", WrongSource, source) == "wrong-source"
    source.fetches.clear()
    report = export(source, tmp_path / "a", accept_source_change=True)
    assert report.complete
    assert sum(source.fetches) == 0
    assert report.totals.matched == 8
    facts = archive_facts.check(tmp_path / "a")
    assert facts.archive["datasource"]["service"] == "imaps://new.example.org"
    assert not export(source, tmp_path / "a").published


def test_accepted_where_numbers_collide(tmp_path: Path) -> None:
    """Equal UIDVALIDITY and UIDs, other mail: nothing of either is overwritten."""
    export(account("lists", INBOX=4, Work=4), tmp_path / "a")
    source = MemorySource(account="joe@example.org", capabilities=LISTS_ONLY)
    source.create_folder("Work")
    for name in ("INBOX", "Work"):
        for number in range(4):
            source.add(mail(f"joe-{name}-{number}"), name)
    report = export(source, tmp_path / "a", accept_source_change=True)
    assert report.totals.fetched == 8
    facts = archive_facts.check(tmp_path / "a")
    assert len(facts.items["INBOX"]) == len(facts.kept["INBOX"]) == 4
    assert len(archive_facts.messages(tmp_path / "a")) == 16
    for item, octets in zip(facts.items["Work"], range(4), strict=True):
        assert item.sha256 == archive_facts.sha256(mail(f"joe-Work-{octets}"))
    assert not export(source, tmp_path / "a").published


def test_a_resume_from_another_source(tmp_path: Path) -> None:
    source = account("lists", INBOX=3, Work=3)
    source.faults.append(Fault(where="fetch", error=ConnectionLost("x"), after=4))
    with pytest.raises(ConnectionLost):
        export(source, tmp_path / "a", retry=False)
    source.reconnect()
    moved(source, account="joe@example.org")
    assert refuses(tmp_path / "a", WrongSource, source) == "wrong-source"
    moved(source, account="jane@example.org")
    assert export(source, tmp_path / "a").resumed


# --- a dry run ------------------------------------------------------------------------------------


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    source = account("lists", INBOX=3, Work=2)
    report = export(source, tmp_path / "a", dry_run=True)
    assert list(tmp_path.iterdir()) == []
    assert {entry["path"]: entry["to_fetch"] for entry in report.folders} == {"INBOX": 3, "Work": 2}
    export(source, tmp_path / "a")
    source.add(mail("new"))
    before = archive_facts.files(tmp_path / "a", private=True)
    report = export(source, tmp_path / "a", dry_run=True)
    assert archive_facts.files(tmp_path / "a", private=True) == before
    assert {entry["path"]: entry["to_fetch"] for entry in report.folders} == {"INBOX": 1, "Work": 0}
    assert report.folders[0]["to_fetch_octets"] == len(mail("new"))
    assert source.fetches == [3, 2]


def foretold(source: MemorySource, path: Path, **options: bool) -> dict[str, int]:
    """What a dry run would fetch, by folder; nothing is written."""
    before = archive_facts.files(path, private=True)
    report = export(source, path, dry_run=True, **options)
    assert archive_facts.files(path, private=True) == before
    assert report.complete
    return {entry["path"]: entry["to_fetch"] for entry in report.folders}


@pytest.mark.parametrize("same_numbers", [False, True])
@pytest.mark.parametrize("kind", ["lists", "ids"])
def test_a_dry_run_with_another_source(tmp_path: Path, kind: str, same_numbers: bool) -> None:
    """It refuses what the run refuses, and counts what the run fetches: what has no like here."""
    export(account(kind, INBOX=4, Work=4), tmp_path / "a")
    source = other_server(kind, same_numbers=same_numbers)
    source.account = "joe@example.org"
    source.add(mail("new"), "Work")
    assert refuses(tmp_path / "a", WrongSource, source, dry_run=True) == "wrong-source"
    told = foretold(source, tmp_path / "a", accept_source_change=True)
    source.fetches.clear()
    report = export(source, tmp_path / "a", accept_source_change=True)
    assert told == {"INBOX": 0, "Work": 1}
    assert report.totals.fetched == sum(told.values())
    assert report.totals.matched == 8


def test_a_dry_run_where_ids_of_another_source_are_equal(tmp_path: Path) -> None:
    """Equal EMAILIDs, UIDs and UIDVALIDITY of another account: other mail, all to be fetched."""
    export(account("ids", INBOX=4, Work=4), tmp_path / "a")
    source = MemorySource(account="joe@example.org")
    source.create_folder("Work")
    for name in ("INBOX", "Work"):
        for number in range(4):
            source.add(mail(f"joe-{name}-{number}"), name)
    told = foretold(source, tmp_path / "a", accept_source_change=True)
    report = export(source, tmp_path / "a", accept_source_change=True)
    assert report.totals.fetched == sum(told.values()) == 8


@pytest.mark.parametrize("whole", [False, True])
def test_a_dry_run_counts_copies_once(tmp_path: Path, whole: bool) -> None:
    """A message in several folders, by its id: what is fetched once is to be fetched once."""
    source = account("ids", whole=whole, INBOX=2, Work=1)
    source.create_folder("All")
    source.add(mail("both"), [("INBOX",), ("All",)])
    source.add(mail("all three"), [("INBOX",), ("All",), ("Work",)])
    told = foretold(source, tmp_path / "a")
    report = export(source, tmp_path / "a")
    assert sum(told.values()) == report.totals.fetched == 5
    source.add(mail("later"), [("INBOX",), ("All",)])
    assert sum(foretold(source, tmp_path / "a").values()) == 1
    assert export(source, tmp_path / "a").totals.fetched == 1
    source.create_folder("Copies")
    source.copy("INBOX", 1, "Copies")
    assert sum(foretold(source, tmp_path / "a").values()) == 0
    assert export(source, tmp_path / "a").totals.fetched == 0


@pytest.mark.parametrize("kind", ["lists", "ids"])
def test_a_dry_run_after_a_renumbering(tmp_path: Path, kind: str) -> None:
    source = account(kind, INBOX=4, Work=4)
    export(source, tmp_path / "a")
    source.reset_uidvalidity("INBOX")
    source.reconnect()
    source.add(mail("new"), "INBOX")
    told = foretold(source, tmp_path / "a")
    report = export(source, tmp_path / "a")
    assert told == {"INBOX": 1, "Work": 0}
    assert report.totals.fetched == 1


def test_the_journal_and_archive_hold_no_secret_but_the_account(tmp_path: Path) -> None:
    source = account(INBOX=1)
    export(source, tmp_path / "a")
    archive = json.loads((tmp_path / "a/archive.json").read_bytes())
    assert archive["datasource"] == {"service": "memory:", "account": "jane@example.org"}
