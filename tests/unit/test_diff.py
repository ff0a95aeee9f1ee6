"""Two archives, or an archive and an account: every kind of difference, and what is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from importing import account, archived, letter, normal
from portarchive.archive.contents import open_contents
from portarchive.cli.diff_view import difference_lines
from portarchive.connectors.memory import Fault, MemorySource
from portarchive.connectors.retry import RetryingSource
from portarchive.errors import ConnectionLost, ServerMisbehaved
from portarchive.jobs.diff import report as report_module
from portarchive.jobs.diff import sides
from portarchive.jobs.diff.report import Differences, DiffReport
from portarchive.jobs.diff.run import run_diff
from portarchive.jobs.diff.sides import AccountSide, ArchiveSide
from portarchive.likeness import Likeness, likeness_of
from portarchive.progress import Compared, Event, silent

WHEN = "2024-02-29T12:00:01+02:00"
UTC = "2024-02-29T10:00:01+00:00"
LATER = "2024-03-01T12:00:01+02:00"


class Case:
    """Two accounts that begin alike."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.a, self.b = account(), account()

    def both(self, octets: bytes, name: str = "INBOX", **how: Any) -> None:
        for side in (self.a, self.b):
            side.add(octets, [tuple(name.split("/"))], **{"received": WHEN, **how})

    def folder(self, name: str, *roles: str, of: str = "ab", **how: Any) -> None:
        for letter_ in of:
            getattr(self, letter_).create_folder(name, roles=roles, **how)

    def diff(self, *, exact: bool = False, account_b: bool = False, **how: Any) -> DiffReport:
        """Archive against archive, or against the second account."""
        kept = how.pop("kept", False)
        paths = [archived(self.root / name, getattr(self, name)) for name in "ab"]
        with open_contents(paths[0]) as one, open_contents(paths[1]) as other:
            left = ArchiveSide(one, "a", kept=kept)
            right = AccountSide(self.b) if account_b else ArchiveSide(other, "b", kept=kept)
            return run_diff(left, right, silent, exact=exact, **how)

    def each(self, **how: Any) -> DiffReport:
        """The same by both ways; that of the archives."""
        one, other = self.diff(**how), self.diff(account_b=True, **how)
        for name in ("only_folders_a", "only_folders_b"):
            assert getattr(one, name) == getattr(other, name)
        mine = [folder.to_json() for folder in one.folders]
        assert mine == [folder.to_json() for folder in other.folders]
        assert one.same == other.same
        return one


@pytest.fixture
def case(tmp_path: Path) -> Case:
    found = Case(tmp_path)
    found.folder("Work")
    for number in range(4):
        found.both(letter(str(number)), "Work" if number % 2 else "INBOX", flags=["$seen"])
    return found


def inbox(found: DiffReport) -> Differences:
    (folder,) = [each for each in found.folders if each.a == ("INBOX",)]
    return folder


# --- nothing --------------------------------------------------------------------------------------


def test_the_same(case: Case) -> None:
    for exact in (False, True):
        found = case.each(exact=exact)
        assert found.same
        totals = found.to_json()["totals"]
        assert totals == {
            "compared": 4, "line_ends": 0, "only_a": 0, "only_b": 0, "octets": 0, "flags": 0,
            "instants": 0,
        }  # fmt: skip


def test_the_order_is_no_difference(tmp_path: Path) -> None:
    case = Case(tmp_path)
    for number in range(5):
        case.a.add(letter(str(number)), received=WHEN)
        case.b.add(letter(str(4 - number)), received=WHEN)
    assert case.each().same


def test_flags_are_without_case_and_order(case: Case) -> None:
    case.a.set_flags("INBOX", 1, ["$seen", "Label", "Other"])
    case.b.set_flags("INBOX", 1, ["other", "LABEL", "$seen"])
    assert case.each(exact=True).same


# --- folders --------------------------------------------------------------------------------------


def test_a_folder_on_one_side(case: Case) -> None:
    case.folder("Old", of="a")
    case.a.add(letter("old"), "Old")
    case.folder("New", of="b")
    found = case.each()
    assert (found.only_folders_a, found.only_folders_b) == ([("Old",)], [("New",)])
    assert not found.same
    assert found.total("only_a") == 1


def test_folders_meet_by_role(tmp_path: Path) -> None:
    case = Case(tmp_path)
    case.folder("Sent", "sent", of="a")
    case.folder("Gesendet", "sent", of="b")
    case.a.add(letter("x"), "Sent", received=WHEN)
    case.b.add(letter("x"), "Gesendet", received=WHEN)
    found = case.each()
    assert found.same
    assert ("Sent",) in [folder.a for folder in found.folders]
    assert ("Gesendet",) in [folder.b for folder in found.folders]


def test_a_role_is_no_place_for_two(tmp_path: Path) -> None:
    case = Case(tmp_path)
    case.folder("Sent", "sent")
    case.folder("Sent too", "sent", of="a")
    found = case.each()
    assert found.only_folders_a == [("Sent too",)]


def test_parents_that_hold_no_mail_are_no_folders(case: Case) -> None:
    case.folder("Top", of="a", selectable=False)
    case.folder("Top", of="b")
    case.folder("Top/Below")
    assert case.each().same
    case.b.add(letter("x"), "Top")
    found = case.each()
    assert (found.only_folders_b, found.total("only_b")) == ([("Top",)], 1)


def test_a_mapping_says_where_folders_went(case: Case) -> None:
    for name in ("INBOX", "Work"):
        case.b.rename_folder(name, f"Old/{name}")
    assert not case.diff().same
    mapping = {(name,): ("Old", name) for name in ("INBOX", "Work")}
    found = case.diff(mapping=mapping)
    assert found.same
    del mapping["Work",]
    assert case.diff(mapping=mapping).only_folders_a == [("Work",)]


def test_what_only_the_second_has_may_be_no_difference(case: Case) -> None:
    case.b.add(letter("more"))
    case.folder("More", of="b")
    case.b.add(letter("more"), "More")
    assert not case.diff().same
    found = case.diff(extra=False)
    assert found.same
    assert "only_b" not in inbox(found).counts


# --- messages -------------------------------------------------------------------------------------


def test_a_message_on_one_side(case: Case) -> None:
    case.a.add(letter("a"))
    case.b.add(letter("b"))
    case.b.add(letter("c"))
    found = inbox(case.each())
    assert (found.only_a, found.only_b) == (["3"], ["3", "4"])
    assert (found.compared, found.count) == (2, 3)


def test_other_octets(case: Case) -> None:
    case.a.add(letter("x", b"one\r\n"), received=WHEN)
    case.b.add(letter("x", b"other\r\n"), received=WHEN)
    case.a.add(b"Subject: nameless\r\n\r\none\r\n", received=WHEN)
    case.b.add(b"Subject: nameless\r\n\r\nother\r\n", received=WHEN)
    found = inbox(case.each())
    assert found.octets == [{"a": "3", "b": "3"}, {"a": "4", "b": "4"}]
    assert (found.only_a, found.only_b) == ([], [])


def test_line_ends_only(case: Case) -> None:
    case.a.add(letter("x"), received=WHEN)
    case.b.add(normal(letter("x")), received=WHEN)
    case.both(letter("y", b"a\nb\r\n"))
    found = case.each()
    assert found.same
    assert found.to_json()["totals"]["line_ends"] == 1
    exact = case.each(exact=True)
    assert not exact.same
    assert exact.total("octets") == 0
    # a mixture of both is not one of them
    case.a.add(letter("z", b"a\nb\r\n"), received=WHEN)
    case.b.add(letter("z", b"a\r\nb\r\n"), received=WHEN)
    assert inbox(case.each()).octets == [{"a": "5", "b": "5"}]


def test_flags(case: Case) -> None:
    case.a.set_flags("INBOX", 1, ["$seen", "Red"])
    case.b.set_flags("INBOX", 1, ["$seen", "$flagged", "Blue"])
    (one,) = inbox(case.each()).flags
    assert one == {"a": "1", "b": "1", "only_a": ["Red"], "only_b": ["$flagged", "Blue"]}


def test_instants(case: Case) -> None:
    case.a.add(letter("x"), received=WHEN)
    case.b.add(letter("x"), received=LATER)
    (one,) = inbox(case.each()).instants
    assert one == {"a": "3", "b": "3", "instant_a": WHEN, "instant_b": LATER}


def test_offsets_count_exactly(case: Case) -> None:
    case.a.add(letter("x"), received=WHEN)
    case.b.add(letter("x"), received=UTC)
    assert case.each().same
    (one,) = inbox(case.each(exact=True)).instants
    assert (one["instant_a"], one["instant_b"]) == (WHEN, UTC)


def test_z_is_an_offset(tmp_path: Path) -> None:
    case = Case(tmp_path)
    case.both(letter("x"), received=UTC)
    file = archived(tmp_path / "b", case.b) / "mail" / "INBOX" / "folder.json"
    _edit(file, lambda text: text.replace("10:00:01+00:00", "10:00:01Z"))
    with open_contents(archived(tmp_path / "a", case.a)) as a, open_contents(tmp_path / "b") as b:
        assert run_diff(ArchiveSide(a, "a"), ArchiveSide(b, "b"), silent, exact=True).same


def test_twins_meet_the_most_alike(tmp_path: Path) -> None:
    """Equal octets: by instant and flags, then instant, then flags."""
    case = Case(tmp_path)
    same = letter("same")
    mine = [(WHEN, ["a"]), (WHEN, ["b"]), (LATER, ["c"]), (UTC, ["d"])]
    for when, words in mine:
        case.a.add(same, received=when, flags=words)
    for when, words in reversed(mine):
        case.b.add(same, received=when, flags=words)
    assert case.each().same
    # one is another: a single difference of the right kind
    case.b.set_flags("INBOX", 2, ["e"])
    found = inbox(case.each())
    assert (found.counts, found.flags[0]["a"], found.flags[0]["b"]) == ({"flags": 1}, "3", "2")
    case.b.expunge("INBOX", 2)
    case.b.add(same, received="2025-01-01T00:00:00+00:00", flags=["c"])
    found = inbox(case.each())
    assert (found.counts, found.instants[0]["a"]) == ({"instants": 1}, "3")
    case.b.add(same, received=WHEN)
    assert inbox(case.each()).counts == {"instants": 1, "only_b": 1}


def test_kept_messages_count_when_asked(case: Case) -> None:
    archived(case.root / "a", case.a)
    case.a.expunge("INBOX", 1)
    assert inbox(case.diff()).counts == {"only_b": 1}
    assert case.diff(kept=True).same


def test_a_message_that_cannot_be_read(case: Case) -> None:
    refused = case.b.add(letter("x"))
    from portarchive.records import Failure

    case.b.answer(refused, Failure("server-refused", "no such luck"))
    archived(case.root / "a", case.a)
    with open_contents(case.root / "a") as contents:
        found = run_diff(ArchiveSide(contents, "a"), AccountSide(case.b), silent)
    assert inbox(found).only_b == ["3 (no such luck)"]


def test_an_archive_without_digests_is_read(case: Case) -> None:
    archive = archived(case.root / "a", case.a)
    for file in archive.rglob("folder.json"):
        _edit(file, lambda text: text.replace("portarchive:sha256", "portarchive:other"))
    (archive / "mail" / "INBOX" / "1001-0000000001.eml").unlink()
    with open_contents(archive) as contents:
        found = run_diff(ArchiveSide(contents, "a"), AccountSide(case.b), silent)
    assert (inbox(found).only_a, inbox(found).only_b) == (["1"], ["1"])
    assert found.to_json()["totals"]["compared"] == 3


def _edit(file: Path, change) -> None:
    import json

    file.write_text(change(file.read_text("utf-8")), "utf-8")
    root = file
    while not (root / "archive.json").is_file():
        root = root.parent
    metadata = json.loads((root / "archive.json").read_text("utf-8"))
    metadata["archive"].pop("portarchive:manifest", None)
    (root / "archive.json").write_text(json.dumps(metadata), "utf-8")


# --- how ------------------------------------------------------------------------------------------


def test_line_ends_are_told_beside_other_differences(case: Case) -> None:
    case.a.add(letter("ends"), received=WHEN)
    case.b.add(normal(letter("ends")), received=WHEN)
    ends = " (1 in line ends only)"
    compared = 5
    assert difference_lines(case.diff()) == [f"no difference: {compared} messages compared{ends}"]
    case.a.add(letter("only here"))
    assert difference_lines(case.diff())[0] == f"DIFFERENT: {compared} messages compared{ends}"


def test_many_are_counted_and_some_are_named(case: Case, monkeypatch) -> None:
    monkeypatch.setattr(report_module, "NAMED", 3)
    for number in range(10):
        case.a.add(letter(f"more{number}"))
    found = inbox(case.diff())
    assert (len(found.only_a), found.counts) == (3, {"only_a": 10})
    assert case.diff().total("only_a") == 10


def test_each_folder_is_told(case: Case) -> None:
    events: list[Event] = []
    paths = [archived(case.root / name, getattr(case, name)) for name in "ab"]
    with open_contents(paths[0]) as one, open_contents(paths[1]) as other:
        run_diff(ArchiveSide(one, "a"), ArchiveSide(other, "b"), events.append)
    told = [event for event in events if isinstance(event, Compared)]
    assert [(event.path, event.messages, event.differences) for event in told] == [
        ("INBOX", 2, 0),
        ("Work", 2, 0),
    ]


@pytest.mark.parametrize("where", ["changes", "fetch", "chunks"])
def test_a_lost_connection_is_made_anew(tmp_path: Path, where) -> None:
    case = Case(tmp_path)
    for number in range(5):
        case.both(letter(str(number), b"x" * 3000))
    archive = archived(tmp_path / "a", case.a)
    lost = ConnectionLost("lost")
    source = MemorySource(large=1000, chunk=500)
    for number in range(5):
        source.add(letter(str(number), b"x" * 3000), received=WHEN)
    for after in range(8):
        source.faults.append(Fault(where=where, error=lost, after=after))
        retrying = RetryingSource(source, observer=silent, sleep=lambda _: None, random=lambda: 0.5)
        with open_contents(archive) as contents:
            assert run_diff(ArchiveSide(contents, "a"), AccountSide(retrying), silent).same, after


def test_a_folder_that_cannot_be_opened_ends_it(case: Case) -> None:
    archive = archived(case.root / "a", case.a)
    case.b.refuse_folder("Work", "refused", "not now")
    with open_contents(archive) as contents, pytest.raises(ServerMisbehaved, match="not now"):
        run_diff(ArchiveSide(contents, "a"), AccountSide(case.b), silent)


# --- what is not looked at closer -----------------------------------------------------------------


def test_of_equal_octets_no_more_is_found_out(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[bytes] = []

    def counting(octets: bytes) -> Likeness:
        looked.append(octets)
        return likeness_of(octets)

    monkeypatch.setattr(sides, "likeness_of", counting)
    assert case.diff(account_b=True).same
    assert looked == []
    case.b.add(letter("other"), received=WHEN)
    assert case.diff(account_b=True).total("only_b") == 1
    assert looked == [letter("other")]


@pytest.mark.parametrize("flags", [["$seen"], ["$flagged"]])
@pytest.mark.parametrize("first", [False, True])
def test_a_copy_too_many_meets_what_has_its_name(
    tmp_path: Path, flags: list[str], first: bool
) -> None:
    """Whichever of the copies is left over, it is known by its Message-ID."""
    case = Case(tmp_path)
    case.a.add(letter("x"), received=WHEN, flags=["$seen"])
    case.a.add(letter("x", b"others\r\n"), received=WHEN)
    for word in [flags, ["$seen"]] if first else [["$seen"], flags]:
        case.b.add(letter("x"), received=WHEN, flags=word)
    found = case.each()
    assert (found.total("octets"), found.total("only_a"), found.total("only_b")) == (1, 0, 0)
