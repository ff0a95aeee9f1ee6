"""Export, import and comparison in one go: what the import leaves out or cannot keep is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from exporting import NOW
from importing import account, archived, check_equation, letter, normal, octets, retrying
from portarchive.archive.contents import open_contents
from portarchive.connectors.memory import MemoryAccount, MemorySource, MemoryTarget, Rewriting
from portarchive.errors import ConnectionLost
from portarchive.jobs.export import ExportOptions
from portarchive.jobs.migrate import MigrateReport, run_migrate
from portarchive.jobs.replay.options import ImportOptions
from portarchive.jobs.same_account import Address, one_account, refuse_oneself
from portarchive.jobs.selection import Selection
from portarchive.placing import Alteration
from portarchive.progress import silent
from portarchive.records import Received, SourceIdentity


class Case:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.old = account(
            **{
                "INBOX": [letter("a"), normal(letter("b")), letter("c", b"\xff\0\r\n")],
                "Work/2019": [letter("d"), letter("d"), b"", b"no header"],
            }
        )
        self.old.create_folder("Gesendet", roles=("sent",))
        self.old.add(letter("s"), "Gesendet", flags=["$seen", "Label"])
        self.new = MemoryAccount()
        self.target: MemoryTarget | None = None

    def read(self) -> MemorySource:
        """The new account, as a connection that reads it."""
        source = MemorySource()
        source._boxes = self.new._boxes
        return source

    def run(self, export: dict[str, Any] | None = None, **how: Any) -> MigrateReport:
        names = {"rewriting", "capabilities", "memberships", "faults"}
        inner = {name: how.pop(name) for name in list(how) if name in names}

        def connect():
            self.target = MemoryTarget(self.new, **inner)
            return retrying(self.target)

        report = run_migrate(
            self.old,
            self.root / "archive",
            connect,
            self.read,
            ExportOptions(now=NOW, fsync=False, **(export or {})),
            ImportOptions(**how),
            silent,
            state=self.root / "state",
        )
        if report.imported is not None:
            check_equation(report.imported)
        return report


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


def differences(report: MigrateReport) -> dict[str, int]:
    assert report.compared is not None
    totals = report.compared.to_json()["totals"]
    return {name: value for name, value in totals.items() if value and name != "compared"}


def test_all_of_it_and_again(case: Case) -> None:
    for placed in (8, 0):
        report = case.run()
        assert report.complete
        assert report.imported.total("placed") == placed
        assert differences(report) == {"line_ends": 1}
    assert octets(case.new, "Work/2019") == [letter("d"), letter("d"), b"", b"no header"]
    assert report.to_json()["complete"]


def test_the_next_day(case: Case) -> None:
    """New mail there, changes of its owner here: what is new comes, the rest is told."""
    case.run()
    case.old.add(letter("new"))
    case.new.add(letter("own"))
    case.new.set_flags("INBOX", 1, ["$seen"])
    report = case.run()
    assert report.imported.total("placed") == 1
    assert differences(report) == {"line_ends": 1}
    assert report.complete  # a message that was read is no loss, and the import names it
    assert report.imported.total("differs_count") == 1
    assert case.run().complete


def test_a_copy_of_what_its_owner_has_read_meanwhile(tmp_path: Path) -> None:
    """Of equal messages the one that was placed now has its flags; the others may have any."""
    case = Case(tmp_path)
    case.old = account()
    when = "2024-02-29T12:00:01+02:00"
    case.old.add(letter("a"), received=when)
    assert case.run().complete
    case.new.set_flags("INBOX", 1, ["$answered"])
    case.old.add(letter("a"), received=when)
    report = case.run()
    assert report.imported is not None
    assert report.imported.total("placed") == 1
    assert not differences(report)
    assert report.complete


def test_dry_runs(case: Case) -> None:
    report = case.run({"dry_run": True})
    assert (report.imported, report.compared, report.complete) == (None, None, False)
    assert not (case.root / "archive").exists()
    report = case.run(dry_run=True)
    assert report.imported.total("to_place") == 8
    case.old.add(letter("later"))
    report = case.run({"dry_run": True})  # there is an archive by now, of what was there then
    assert report.imported.dry_run
    assert report.imported.total("to_place") == 8
    assert report.compared is None
    assert octets(case.new) == []
    assert (case.root / "archive" / "archive.json").is_file()


@pytest.mark.parametrize(
    "options",
    [
        {"selection": Selection(folders=("INBOX",))},
        {"selection": Selection(exclude=("INBOX",))},
        {"selection": Selection(max_size=100)},
        {"selection": Selection(keywords=("Label",))},
        {"select": frozenset({"a@example.org", "Work/2019:1"})},
        {"into": ("Old", "mail")},
        {"mark_imported": True},
        {"keywords": {"label": False}},
        {"hold_junk": True, "normalise": True},
        {"strict_match": True},
        {"verify": "bytes"},
        {"deleted": "trash"},
        {"deleted": "skip"},
        {"deleted": "keep"},
    ],
    ids=str,
)
def test_what_was_asked_for_is_no_difference(case: Case, options) -> None:
    case.old.set_flags("INBOX", 1, ["\\Deleted", "$notify", "$muted", "$followed", "$Junk"])
    case.old.add(letter("flagged"), flags=["$flagged", "$MailFlagBit0"])
    case.old.add(letter("colour"), flags=["$MailFlagBit0"])
    for _ in range(2):
        report = case.run(**options)
        assert report.complete, report.to_json()
        assert not set(differences(report)) - {"line_ends"}


def test_primary_places_are_no_difference(tmp_path: Path) -> None:
    case = Case(tmp_path)
    case.old.create_folder("All", roles=("all",))
    case.old.copy("INBOX", 1, "All")
    case.old.copy("INBOX", 2, "All")
    report = case.run(labels="primary")
    assert report.imported.by_reason() == {"copy": 2}
    assert report.complete
    assert octets(case.new, "All") == []


def test_what_was_deleted_before_is_not_missed(case: Case) -> None:
    case.run()
    case.old.expunge("INBOX", 1)
    assert case.run().complete  # the new account keeps it
    case.new = MemoryAccount()
    assert case.run(include_kept=True).complete
    assert len(octets(case.new)) == 3


@pytest.mark.parametrize(
    "habits",
    [
        {"no_new_keywords": True},
        {"refuses_keywords": frozenset({"label"})},
    ],
    ids=str,
)
def test_keywords_that_the_target_does_not_take_are_no_difference(case: Case, habits) -> None:
    for _ in range(2):
        report = case.run(rewriting=Rewriting(**habits))
        dropped = [entry for folder in report.imported.folders for entry in folder.dropped]
        if report.imported.total("placed") or "no_new_keywords" in habits:
            assert [entry["keyword"] for entry in dropped] == ["Label"]
            assert report.complete


def test_keywords_that_get_lost_in_silence_are_one(case: Case) -> None:
    report = case.run(rewriting=Rewriting(drops_keywords=frozenset({"label"})))
    assert not report.complete
    assert differences(report) == {"flags": 1, "line_ends": 1}


def test_a_target_that_keeps_no_flags_is_different(tmp_path: Path) -> None:
    """At every run: nobody there can have taken them away."""
    case = Case(tmp_path)
    flagless = MemoryTarget(MemoryAccount()).capabilities
    flagless = replace(flagless, keywords=False, alterations=frozenset({Alteration.FLAGS}))
    for _ in range(2):
        report = case.run(capabilities=flagless)
        assert not report.complete
        assert not report.compared.same
        assert differences(report) == {"flags": 1, "line_ends": 1}
        told = [entry for folder in report.imported.folders for entry in folder.dropped]
        assert {entry["reason"] for entry in told} == {"no-flags-there"}
        assert {entry["keyword"] for entry in told} == {"$seen", "Label"}


def test_what_failed_is_named_once(case: Case) -> None:
    def refuses(parcel, octets):
        return ("refused", "no") if b"<a@" in octets else None

    report = case.run(rewriting=Rewriting(refuses=refuses))
    assert not report.complete
    assert report.imported.total("failed_count") == 1
    assert differences(report) == {"line_ends": 1}


def test_what_a_server_rewrites_is_a_difference(case: Case) -> None:
    report = case.run(rewriting=Rewriting(adds_received=True))
    assert not report.complete
    assert differences(report)["octets"] + differences(report).get("only_a", 0) == 8


def test_no_date_is_no_difference(tmp_path: Path) -> None:
    case = Case(tmp_path)
    case.old.add(b"X: y\r\n\r\n", received=Received(None, None, "01-Jan-0000 00:00:00 +0000"))
    report = case.run()
    assert report.imported.total("undated") == 1
    assert report.complete


def test_what_could_not_be_exported_is_missing(case: Case) -> None:
    from portarchive.records import Failure

    ref = case.old.add(letter("bad"))
    case.old.answer(ref, Failure("server-refused", "no"))
    report = case.run()
    assert report.imported.complete
    assert report.compared.same
    assert not report.complete


def test_the_archive_stands_when_the_new_eachis_lost(case: Case) -> None:
    def lost() -> MemoryTarget:
        raise ConnectionLost("lost")

    with pytest.raises(ConnectionLost):
        run_migrate(
            case.old, case.root / "archive", lost, case.read, ExportOptions(now=NOW, fsync=False),
            ImportOptions(), silent,
        )  # fmt: skip
    assert (case.root / "archive" / "archive.json").is_file()
    assert case.run().complete


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("imaps://a.example:993", "imaps://a.example:993", True),
        ("imaps://a.example:993", "imap://A.example:143", True),
        ("imaps://a.example:993", "imaps://a.example:1993", False),
        ("imaps://a.example:993", "imaps://b.example:993", False),
        ("imap://localhost:1143", "imap://127.0.0.1:1143", True),
        ("imap://[::1]:1143", "imap://mail.localhost:1143", True),
        ("imap://localhost:1143", "imap://localhost:1144", False),
        ("jmaps://a.example:443", "jmap://a.example:80", True),
        ("imaps://a.example:993", "jmaps://a.example:443", False),
        ("imaps://[broken", "imaps://[broken", False),
        ("imaps://", "imaps://", False),
        ("memory:", "memory:", False),
    ],
)
def test_one_eachby_its_address(one: str, other: str, same: bool) -> None:
    assert one_account(Address(one, "jane"), Address(other, "jane")) is same
    assert one_account(Address(other, "jane"), Address(one, "jane")) is same
    assert not one_account(Address(one, "jane"), Address(other, "joe"))


def test_one_eachof_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "link").symlink_to(tmp_path / "mail")
    here = Address(f"maildir:{tmp_path}/mail", "")
    for path in (f"{tmp_path}/link", f"{tmp_path}/x/../mail/", "~/mail"):
        assert one_account(here, Address(f"maildir:{path}", "mail")), path
    assert not one_account(here, Address(f"maildir:{tmp_path}/mail2", ""))


def copies(case: Case) -> None:
    """One message, twice in one mailbox and once in another, each with its own flags and date."""
    case.old = account()
    case.old.create_folder("Work")
    case.old.add(letter("c"), "INBOX", flags=["$seen"], received="2020-01-01T00:00:00+00:00")
    case.old.add(letter("c"), "Work", flags=["Label"], received="2021-01-01T00:00:00+00:00")


def test_what_of_copies_becomes_one_is_known(case: Case) -> None:
    copies(case)
    capabilities = MemoryTarget(MemoryAccount(), memberships=True).capabilities
    capabilities = replace(capabilities, object_ids=True)
    for _ in range(3):
        report = case.run(memberships=True, capabilities=capabilities)
        assert report.complete
        assert not differences(report)
        told = [entry for folder in report.imported.folders for entry in folder.altered]
        assert [(each["what"], each["known"]) for each in told] == [
            (["flags-merged"], True), (["date-merged"], True)
        ]  # fmt: skip


@pytest.mark.parametrize("fault", ["added", "lost", "date"])
def test_more_than_copies_come_to_is_a_difference(case: Case, fault: str) -> None:
    copies(case)

    class Faulty(MemoryTarget):
        def _store(self, parcel):
            outcome = super()._store(parcel)
            for box in self.account.mailboxes().values():
                for item in box.items.values():
                    if fault == "date":
                        item.message.received = Received("2000-01-01T00:00:00Z", 946_684_800)
                    elif fault == "added":
                        item.flags = (*item.flags, "Spam")
                    else:
                        item.flags = tuple(flag for flag in item.flags if flag != "$seen")
            return outcome

    def connect():
        capabilities = MemoryTarget(MemoryAccount(), memberships=True).capabilities
        capabilities = replace(capabilities, object_ids=True)
        return retrying(Faulty(case.new, memberships=True, capabilities=capabilities))

    report = run_migrate(
        case.old, case.root / "archive", connect, case.read, ExportOptions(now=NOW, fsync=False),
        ImportOptions(), silent, state=case.root / "state",
    )  # fmt: skip
    assert not report.imported.complete
    assert not report.complete


class _Old(MemorySource):
    def identity(self) -> SourceIdentity:
        return SourceIdentity(protocol="imap", service="imaps://old.example:993", account="jane")


class _New(MemoryTarget):
    def identity(self) -> SourceIdentity:
        return SourceIdentity(protocol="imap", service="imaps://new.example:993", account="jane")

    def existing(self, folder_ids: Sequence[str]) -> Any:
        raise AssertionError(folder_ids)


def test_mailboxes_whose_uidvalidity_says_nothing_are_not_listed(tmp_path: Path) -> None:
    """Each listing that is given up half-way costs a connection of the target."""
    old, new = _Old(), MemoryAccount()
    for each in (old, new):
        each.create_folder("Work")
    for name in ("INBOX", "Work"):
        old.add(letter(name), name)
        new.add(letter(name), name)
    archived(tmp_path / "a", old)
    with open_contents(tmp_path / "a") as contents:
        assert len({folder.uidvalidity for folder in contents.folders()} - {None}) == 2
        refuse_oneself(old, contents, _New(new))
