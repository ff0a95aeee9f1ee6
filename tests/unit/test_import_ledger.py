"""The ledger of placed messages: it makes a run faster and never different, and it is the lock."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from importing import account, archived, letter, octets, place
from portarchive.connectors.memory import MemoryAccount, MemorySource, MemoryTarget
from portarchive.errors import ExitCode, Locked
from portarchive.jobs.replay.ledger import Entry, Ledger
from portarchive.jobs.replay.target_lock import TargetLock
from portarchive.placing import Present
from portarchive.records import Received, SourceIdentity

HERE = SourceIdentity(protocol="memory", service="memory:", account="jane@example.org")
BOX = ("INBOX",)
DIGEST = bytes(range(32))


class Case:
    def __init__(self, root: Path) -> None:
        self.source: MemorySource = account(INBOX=[letter(str(n)) for n in range(6)])
        self.archive = archived(root / "archive", self.source)
        self.state = root / "state"
        self.target = MemoryAccount()

    def run(self, **options):
        self.to = MemoryTarget(self.target)
        return place(self.archive, self.to, self.state, **options)

    @property
    def file(self) -> Path:
        (path,) = self.state.rglob("*.jsonl")
        return path


@pytest.fixture
def case(tmp_path: Path) -> Case:
    found = Case(tmp_path)
    assert found.run().total("placed") == 6
    return found


def test_what_is_known_is_not_looked_at(case: Case) -> None:
    report = case.run()
    assert report.by_round() == {"ledger": 6}
    assert (report.headers_read, report.bodies_read, case.to.bodies) == (0, 0, 0)


def test_it_is_the_owners_alone_and_holds_no_mail(case: Case) -> None:
    assert stat.S_IMODE(case.file.stat().st_mode) == 0o600
    assert stat.S_IMODE(case.file.parent.stat().st_mode) == 0o700
    text = case.file.read_text("utf-8")
    assert "hello" not in text
    assert "jane" not in text + case.file.name
    assert [json.loads(line)[:3] for line in text.splitlines()] == [
        [["INBOX"], 1001, str(number)] for number in range(1, 7)
    ]


def test_a_dry_run_reads_it_and_writes_nothing(case: Case, tmp_path: Path) -> None:
    before = case.file.read_bytes()
    assert case.run(dry_run=True).by_round() == {"ledger": 6}
    assert case.file.read_bytes() == before
    place(case.archive, MemoryTarget(MemoryAccount()), tmp_path / "new", dry_run=True)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    "junk",
    [
        b"",
        b"\n\n\n",
        b"not json\n",
        b"[" * 100_000 + b"\n",
        b'[["INBOX"],1001,"1"]\n',
        b'[[1],1001,"1","' + b"0" * 64 + b'",120]\n',
        b'[["INBOX"],"x","1","' + b"0" * 64 + b'",120]\n',
        b'{"a":1}\n',
        b"\0\xff\xfe\n",
        b'[["INBOX"],1001,"1","abc',
    ],
)
def test_what_is_no_line_of_it_is_passed_over(case: Case, junk: bytes) -> None:
    lines = case.file.read_bytes().splitlines(keepends=True)
    case.file.write_bytes(lines[0] + junk + b"".join(lines[1:]) if junk.endswith(b"\n") else
                          b"".join(lines) + junk)  # fmt: skip
    assert case.run().by_round() == {"ledger": 6}
    case.source.add(letter("new"))
    archived(case.archive, case.source)
    assert case.run().total("placed") == 1
    assert case.run().by_round() == {"ledger": 7}


def test_cut_at_every_octet(case: Case) -> None:
    whole = case.file.read_bytes()
    for at in range(0, len(whole), 13):
        case.file.write_bytes(whole[:at])
        report = case.run()
        assert sum(report.by_round().values()) == 6, at
        assert case.run().by_round() == {"ledger": 6}, at
    assert len(octets(case.target)) == 6


def test_a_lying_one_is_found_out_by_size_and_uidvalidity(case: Case) -> None:
    text = case.file.read_text("utf-8")
    case.file.write_text(text.replace("1001", "1002"), "utf-8")
    assert case.run().by_round() == {"octets": 6}
    old = [json.loads(line) for line in text.splitlines()]
    written(case, [[*line[:4], line[4] - 1] for line in old])
    assert case.run().by_round() == {"octets": 6}
    case.target.reset_uidvalidity("INBOX")
    assert case.run().by_round() == {"octets": 6}
    assert case.run().by_round() == {"ledger": 6}


def written(case: Case, lines: list[list[object]]) -> None:
    text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
    case.file.write_text(text, "utf-8")


def test_lines_of_earlier_versions_are_read(case: Case) -> None:
    """They tell no instant, and what was altered only where there was something."""
    lines = [json.loads(line) for line in case.file.read_text("utf-8").splitlines()]
    written(case, [line[:5] for line in lines])
    assert case.run().by_round() == {"ledger": 6}
    written(case, [[*line[:5], "nul 8bit-header"] for line in lines])
    assert case.run().by_round() == {"ledger": 6}


def test_an_edited_one_hides_nothing(case: Case) -> None:
    """Of two messages of one size, the one that is gone is said to be the other."""
    before = sorted(octets(case.target))
    for old in (False, True):
        case.run()
        lines = [json.loads(line) for line in case.file.read_text("utf-8").splitlines()]
        uids = sorted(case.target.contents()["INBOX",])
        one, other = ([line for line in lines if line[2] == str(uid)][-1] for uid in uids[:2])
        edited = [*other[:3], one[3], *other[4:]]
        written(case, [edited[:5] if old else edited])
        case.target.expunge("INBOX", uids[0])
        report = case.run()
        assert (report.by_round(), report.total("placed")) == ({"octets": 5}, 1)
        assert sorted(octets(case.target)) == before


def test_another_message_at_the_uid_of_old_is_found_out_by_its_instant(case: Case) -> None:
    """As after a restore, where a server hands out uids once more."""
    box = case.target.mailboxes()["F1"]
    first = box.items[1].message
    first.octets = first.octets.replace(b"hello", b"HELLO")
    first.received = Received("2001-01-01T00:00:00+00:00", 978_307_200)
    report = case.run()
    assert (report.by_round(), report.total("placed")) == ({"ledger": 5}, 1)


def test_another_date_that_the_target_has_is_remembered(tmp_path: Path) -> None:
    """Of what was there before, and was not from us: nothing is looked at again."""
    case = Case(tmp_path)
    for number in range(6):
        case.target.add(letter(str(number)), received="2001-01-01T00:00:00+00:00")
    assert case.run().by_round() == {"octets": 6}
    report = case.run()
    assert (report.by_round(), report.bodies_read) == ({"ledger": 6}, 0)


def test_archives_without_digests_are_remembered_too(tmp_path: Path) -> None:
    case = Case(tmp_path)
    for folder in case.archive.rglob("folder.json"):
        folder.write_text(folder.read_text("utf-8").replace("portarchive:sha256", "x:y"), "utf-8")
    for name in ("manifest.json", "manifest-sha256.txt"):
        (case.archive / name).unlink()
    metadata = json.loads((case.archive / "archive.json").read_text("utf-8"))
    del metadata["archive"]["portarchive:manifest"]
    (case.archive / "archive.json").write_text(json.dumps(metadata), "utf-8")
    assert case.run().total("placed") == 6
    report = case.run()
    assert (report.by_round(), report.bodies_read) == ({"ledger": 6}, 0)
    case.target.expunge("INBOX", 3)
    report = case.run()
    assert (report.by_round(), report.total("placed")) == ({"ledger": 5}, 1)


def test_a_uid_is_not_what_it_was_when_it_is_gone(case: Case) -> None:
    case.target.expunge("INBOX", 2, 3)
    report = case.run()
    assert (report.by_round(), report.total("placed")) == ({"ledger": 4}, 2)


def test_of_equal_messages_each_is_there_once(tmp_path: Path) -> None:
    case = Case(tmp_path)
    for when in ("2024-01-01T00:00:00+00:00", "2024-02-01T00:00:00+00:00"):
        case.source.add(letter("same"), received=when)
    archived(case.archive, case.source)
    case.run()
    case.target.expunge("INBOX", 8)
    report = case.run()
    assert (report.by_round(), report.total("placed")) == ({"ledger": 7}, 1)
    when = [item.message.received.text for item in case.target.mailboxes()["F1"].items.values()]
    assert when[-2:] == ["2024-01-01T00:00:00+00:00", "2024-02-01T00:00:00+00:00"]


def test_an_account_has_its_own(case: Case) -> None:
    place(case.archive, MemoryTarget(case.target, login="other"), case.state)
    assert len(list(case.state.rglob("*.jsonl"))) == 2


def test_two_imports_at_once_are_one_too_many(case: Case, tmp_path: Path) -> None:
    with TargetLock(MemoryTarget(case.target), HERE, case.state):
        with pytest.raises(Locked) as told:
            case.run()
        assert told.value.exit_code == ExitCode.LOCKED == 13
        assert "jane@example.org" in str(told.value)
        # a plan changes nothing, and another account is another account
        assert case.run(dry_run=True).by_round() == {"ledger": 6}
        assert place(case.archive, MemoryTarget(MemoryAccount(), login="other"), case.state)
    assert case.run().by_round() == {"ledger": 6}


@pytest.mark.parametrize("lost", ["file", "directory"])
def test_a_home_that_cannot_be_written_to_costs_the_ledger_alone(tmp_path: Path, lost: str) -> None:
    case = Case(tmp_path)
    if lost == "file":
        case.state.write_bytes(b"")  # no directory
    else:
        case.run()
        path = case.file
        path.unlink()
        path.mkdir()
        case.target = MemoryAccount()
    assert case.run().complete
    assert sum(case.run().by_round().values()) == 6


def test_a_full_disk_costs_the_ledger_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(28, os.strerror(28))

    case = Case(tmp_path)
    monkeypatch.setattr("portarchive.jobs.replay.ledger.os.write", full)
    assert case.run().complete
    assert case.run().by_round() == {"octets": 6}


def test_entries(tmp_path: Path) -> None:
    """Paths and uids may be anything; a size may be unknown."""
    paths = [BOX, ("a", '"],1,"2",['), ("ü\\",), ("",)]
    entries = [
        Entry(path, uidvalidity, uid, DIGEST, size, altered)
        for path in paths
        for uidvalidity in (7, None)
        for uid, size, altered in (
            ("1", 5, ()),
            ("2", 5, ("nul", "8bit-header")),
            ("0123abcd", None, ()),
            ("x", None, ("header",)),
        )
    ]
    with Ledger(tmp_path, HERE) as ledger:
        ledger.add(entries)
        ledger.add(entries)
    (file,) = tmp_path.rglob("*.jsonl")
    assert len(file.read_bytes().splitlines()) == len(entries)
    with Ledger(tmp_path, HERE, write=False) as ledger:
        for entry in entries:
            present = Present("F", entry.uid, entry.size, (), Received(None, None))
            other = present._replace(size=6)
            found = ledger.remembered(entry.path, entry.uidvalidity, [present, other])
            assert list(found) == [(present, DIGEST, True)]
            later = present._replace(received=Received(None, 7))
            assert not list(ledger.remembered(entry.path, entry.uidvalidity, [later]))
            told = ledger.altered(entry.path, entry.uidvalidity, entry.uid)
            assert told == entry.altered


def test_nothing_to_remember(tmp_path: Path) -> None:
    with Ledger(None, HERE) as ledger:
        ledger.add([Entry(BOX, 1, "1", DIGEST, 1)])
        present = Present("F", "1", 1, (), Received(None, None))
        assert list(ledger.remembered(BOX, 1, [present])) == []
