"""The first export of an account: what comes out, octet for octet."""

from __future__ import annotations

import os
import random
import stat
from pathlib import Path

import pytest

import archive_facts
from exporting import EVERYTHING, KINDS, NOW, account, export, has, mail
from portarchive.archive.durable import Durability
from portarchive.archive.reader import ArchiveReader
from portarchive.archive.writer import ArchiveWriter
from portarchive.connectors.base import SourceCapabilities
from portarchive.connectors.memory import Fault, MemorySource
from portarchive.errors import ConnectionLost, SettingsError, Unreachable
from portarchive.jobs.selection import Selection
from portarchive.records import Received


def holds(path: Path, source: MemorySource, *, paths: dict[str, str] | None = None) -> None:
    """The items of the archive are what the account holds, with flags and octets."""
    facts = archive_facts.check(path)
    for name, messages in has(source).items():
        found = facts.items[(paths or {}).get(name, name)]
        assert [(item.uid, item.flags, item.sha256) for item in found] == [
            (uid, flags, archive_facts.sha256(octets)) for uid, (flags, octets) in messages.items()
        ]


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_all_that_the_account_holds(tmp_path: Path, kind: str, whole: bool) -> None:
    source = account(kind, whole=whole, INBOX=7, Work=3, Empty=0)
    source.add(mail("both"), ["INBOX", "Work"], flags=["$seen", "Projekt"])
    report = export(source, tmp_path / "a")
    holds(tmp_path / "a", source)
    assert report.complete
    assert report.published
    assert not report.resumed
    # Folder by folder and without an id for equal octets, the shared one comes twice.
    assert report.totals.fetched == (11 if kind == "ids" or whole else 12)
    assert report.totals.messages == 12
    assert report.fingerprint == ArchiveReader.open(tmp_path / "a").fingerprint


def test_messages_without_any_header_count_like_all_others(tmp_path: Path) -> None:
    """Scenario 1."""
    source = account(INBOX=5)
    for octets in (b"Subject: no id\r\n\r\n", b"no header\r\n", b"", b"\r\n\r\n", b"\0\r\n"):
        source.add(octets)
    report = export(source, tmp_path / "a")
    assert report.complete
    facts = archive_facts.check(tmp_path / "a")
    assert facts.ledger("INBOX")["listed"] == facts.ledger("INBOX")["archived"] == 10
    holds(tmp_path / "a", source)


def test_octets_are_stored_as_they_came(tmp_path: Path) -> None:
    generator = random.Random(7)
    source = MemorySource(large=1000, chunk=97)
    bodies = [
        b"Subject: \xff\xfe\r\n\r\n8-bit \xe4\r\n",
        b"bare\nline\nfeeds\n",
        b"bare\rreturns\r",
        b"a\0b",
        b"x" * (1 << 20) + b"\r\n",
        b"From nobody\n>From somebody\n",
        *(generator.randbytes(size) for size in (1, 96, 97, 98, 999, 1000, 1001, 5000)),
    ]
    for octets in bodies:
        source.add(octets)
    export(source, tmp_path / "a")
    stored = [path.read_bytes() for path in sorted((tmp_path / "a/mail/INBOX").glob("*.eml"))]
    assert stored == bodies


def test_same_headers_and_different_octets_are_two_messages(tmp_path: Path) -> None:
    """Scenario 8."""
    source = account(INBOX=0)
    source.add(mail("twin", 10), received="2026-01-01T00:00:00Z")
    source.add(mail("twin", 11), received="2026-01-01T00:00:00Z")
    export(source, tmp_path / "a")
    assert len(archive_facts.messages(tmp_path / "a")) == 2
    holds(tmp_path / "a", source)


def test_equal_octets_without_a_common_id_are_two_messages(tmp_path: Path) -> None:
    source = account(INBOX=0)
    for _ in range(2):
        source.add(mail("twin"))
    export(source, tmp_path / "a")
    first, second = (tmp_path / "a/mail/INBOX").glob("*.eml")
    assert not first.samefile(second)
    holds(tmp_path / "a", source)


def test_a_thousand_of_one_subject_and_second(tmp_path: Path) -> None:
    """Scenario 10."""
    source = account("lists", INBOX=0)
    for number in range(1000):
        octets = b"Subject: Backup\r\n\r\n%d" % (number % 300)
        source.add(octets, received="2026-01-01T00:00:00+00:00")
    export(source, tmp_path / "a", fsync=False)
    assert len(archive_facts.messages(tmp_path / "a")) == 1000
    holds(tmp_path / "a", source)


def test_one_message_in_two_folders_is_fetched_once_and_hard_linked(tmp_path: Path) -> None:
    source = account(INBOX=0, Archive=0)
    source.add(mail("both"), ["INBOX", "Archive"])
    report = export(source, tmp_path / "a")
    assert (report.totals.fetched, report.totals.linked) == (1, 1)
    first, second = (tmp_path / "a/mail").rglob("*.eml")
    assert first.samefile(second)
    archive_facts.check(tmp_path / "a")


def test_where_no_hard_link_can_be_made_it_is_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "link", refuse)
    source = account(INBOX=0, Archive=0)
    source.add(mail("both"), ["INBOX", "Archive"])
    report = export(source, tmp_path / "a")
    assert report.totals.fetched == 1
    first, second = (tmp_path / "a/mail").rglob("*.eml")
    assert not first.samefile(second)
    holds(tmp_path / "a", source)


@pytest.mark.parametrize("umask", [0, 0o777, 0o022])
def test_closed_to_others_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        source = account(INBOX=2, Work=1)
        source.create_folder("Work/Deep/Deeper")
        export(source, tmp_path / "new" / "a")
        source.add(mail("more"))
        export(source, tmp_path / "new" / "a")
        assert os.umask(umask) == umask
    finally:
        os.umask(before)
    archive_facts.check(tmp_path / "new" / "a")
    assert stat.S_IMODE((tmp_path / "new" / "a").stat().st_mode) == 0o700


@pytest.mark.parametrize("junk", [False, True])
def test_an_empty_directory_that_was_there_is_the_owners_alone(tmp_path: Path, junk: bool) -> None:
    path = tmp_path / "a"
    path.mkdir()
    path.chmod(0o755)
    if junk:
        (path / ".DS_Store").touch()
    export(account(INBOX=2), path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    path.chmod(0o750)
    export(account(INBOX=2), path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o750, "an archive is its owner's business"


def test_a_directory_that_was_not_needed_has_its_mode_back(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.mkdir()
    path.chmod(0o755)
    writer = ArchiveWriter(path, Durability(enabled=False))
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    writer.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o755
    assert list(path.iterdir()) == []


def test_the_file_bears_the_received_date(tmp_path: Path) -> None:
    source = account(INBOX=0)
    source.add(mail("old"), received="1999-12-31T23:59:59-08:00")
    source.add(mail("epoch"), received="1970-01-01T00:00:00Z")
    odd = Received(None, None, "30-Dec-1899 00:00:00 +0000")
    source.add(mail("odd"), received=odd)
    source.add(mail("none"), received=Received(None, None))
    export(source, tmp_path / "a")
    archive_facts.check(tmp_path / "a")
    items = archive_facts.folder_json(tmp_path / "a", "INBOX")["items"]
    times = [int((tmp_path / "a/mail/INBOX" / i["filename"]).stat().st_mtime) for i in items]
    assert times[:2] == [946713599, 0]
    assert [i.get("portarchive:received_at") for i in items] == [
        "1999-12-31T23:59:59-08:00",
        "1970-01-01T00:00:00Z",
        None,
        None,
    ]
    assert items[2]["portarchive:received_at_raw"] == "30-Dec-1899 00:00:00 +0000"
    assert "portarchive:received_at_raw" not in items[3]


def test_parents_that_nobody_listed_and_those_that_hold_no_mail(tmp_path: Path) -> None:
    source = account(INBOX=1)
    source.create_folder("A", selectable=False)
    source.create_folder("A/B/C")
    source.add(mail("deep"), "A/B/C")
    report = export(source, tmp_path / "a")
    assert report.complete
    facts = archive_facts.check(tmp_path / "a")
    assert set(facts.items) == {"INBOX", "A", "A/B", "A/B/C"}
    for parent in ("A", "A/B"):
        header = facts.headers[parent]
        assert header["portarchive:noselect"] is True
        assert "uidvalidity" not in header
        assert facts.items[parent] == []
    assert [entry["path"] for entry in facts.manifest["folders"]] == ["A/B/C", "INBOX"]
    assert export(source, tmp_path / "a").published is False


NAMES = [
    "\udcff\udcfe",
    "Entw\udcfcrfe",
    "plain",
    "PLAIN",
    "a\ufffeb",
    "",
    "%",
    "con",
    "folder.json",
    "note.eml",
    ".portarchive",
    "e\u0301",
    "\xe9",
    "very long " * 40,
    'quote"back\\slash',
    "line\nfeed",
    "..",
    ".",
    "archive.json",
]


def test_names_that_no_file_system_takes(tmp_path: Path) -> None:
    source = account(INBOX=1)
    for name in NAMES:
        source.create_folder((name,))
        source.create_folder((name, name))
        source.add(mail(f"in {name!a}"), [(name,), (name, name)])
    assert export(source, tmp_path / "a").complete
    facts = archive_facts.check(tmp_path / "a")
    assert len(facts.items) == 1 + 2 * len(NAMES)
    reader = ArchiveReader.open(tmp_path / "a")
    assert {entry.names for entry in reader.folders()} >= {(name,) for name in NAMES}
    for name in NAMES:  # the next run finds every one of them in its place
        source.add(mail(f"more in {name!a}"), (name, name))
    report = export(source, tmp_path / "a")
    assert report.totals.fetched == len(NAMES)
    assert set(archive_facts.check(tmp_path / "a").items) == set(facts.items)
    assert export(source, tmp_path / "a").published is False


def test_items_are_in_order_of_their_numbers(tmp_path: Path) -> None:
    source = account("lists", INBOX=12)
    source.expunge("INBOX", 3)
    export(source, tmp_path / "a")
    source.add(mail("more"))
    export(source, tmp_path / "a")
    uids = [item.uid for item in archive_facts.check(tmp_path / "a").items["INBOX"]]
    assert uids == ["1", "2", *map(str, range(4, 14))]


def test_what_archive_json_says(tmp_path: Path) -> None:
    source = account(INBOX=1)
    export(source, tmp_path / "a", note="a note", language="de", timezone="Europe/Berlin")
    archive = archive_facts.check(tmp_path / "a").archive
    about = archive["archive"]
    assert about["name"] == "Mail of jane@example.org, 2026-11-24"
    assert about["note"] == "a note"
    assert about["timestamp"] == "2026-11-24T12:00:00Z"
    assert about["version"] == "draft-ietf-mailmaint-pdparchive-02"
    assert archive["dataset"]["extent"] == "FULL"
    assert archive["dataset"]["datatypes"] == ["MAIL"]
    assert archive["dataset"]["languagetag"] == "de"
    assert archive["datasource"] == {"service": "memory:", "account": "jane@example.org"}
    source.add(mail("more"))
    export(source, tmp_path / "a", now=NOW.replace(day=25))
    again = archive_facts.check(tmp_path / "a").archive
    assert again["archive"]["id"] != about["id"]
    assert again["archive"]["note"] == "a note"
    assert again["dataset"]["timezone"] == "Europe/Berlin"


@pytest.mark.parametrize("where", ["identity", "folders"])
def test_nothing_is_left_when_the_source_cannot_be_had(tmp_path: Path, where: str) -> None:
    source = account(INBOX=1)
    source.faults.append(Fault(where=where, error=Unreachable("no"), times=99))
    with pytest.raises(Unreachable):
        export(source, tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_when_it_is_lost_before_anything_is_stored(tmp_path: Path) -> None:
    source = account(INBOX=1)
    source.faults.append(Fault(where="changes", error=Unreachable("no"), times=99))
    with pytest.raises(Unreachable):
        export(source, tmp_path / "a")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "there").mkdir()
    source.reconnect()
    with pytest.raises(Unreachable):
        export(source, tmp_path / "there")
    assert list((tmp_path / "there").iterdir()) == []


def test_nothing_is_left_when_the_selection_names_nothing(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no folder"):
        export(account(INBOX=1), tmp_path / "a", selection=Selection(folders=("Nowhere",)))
    assert list(tmp_path.iterdir()) == []


def test_what_was_had_stays_when_it_is_lost_later(tmp_path: Path) -> None:
    source = account("lists", INBOX=5)
    lost = ConnectionLost("gone")
    source.faults += [
        Fault(where="fetch", error=lost, after=3),
        Fault(where="reconnect", error=lost, times=99),
    ]
    with pytest.raises(ConnectionLost):
        export(source, tmp_path / "a", retry=False)
    source.faults.clear()
    source.reconnect()
    report = export(source, tmp_path / "a")
    assert report.resumed
    assert report.complete
    holds(tmp_path / "a", source)


def test_ids_that_are_no_numbers(tmp_path: Path) -> None:
    """Uids need not be IMAP's: then files are named by them, and twins stay apart."""
    capabilities = SourceCapabilities(
        removals=True, object_ids=True, flags_in_listing=True, imap_uids=False
    )
    source = MemorySource(capabilities=capabilities)
    for number in range(3):
        source.add(mail(str(number)))
    export(source, tmp_path / "a")
    assert sorted(archive_facts.messages(tmp_path / "a")) == [
        f"mail/INBOX/{uid}.eml" for uid in (1, 2, 3)
    ]
    assert EVERYTHING.imap_uids
    holds(tmp_path / "a", source)
