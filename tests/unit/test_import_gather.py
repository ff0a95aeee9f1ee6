"""Which messages of an archive are brought, and what is said of the others."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from importing import account, archived, folder_of, letter, octets, place, totals
from portarchive.archive import model
from portarchive.cli.import_view import summary
from portarchive.connectors.memory import MemoryAccount, MemorySource, MemoryTarget, Rewriting
from portarchive.errors import SettingsError
from portarchive.jobs.replay import gather, run
from portarchive.jobs.selection import Selection
from portarchive.progress import Notice
from portarchive.records import Received


def brought(archive: Path, **options: Any) -> tuple[dict[str, int], dict[str, int]]:
    """Messages by mailbox, and what was left out by reason."""
    target = MemoryAccount()
    report = place(archive, MemoryTarget(target), **options)
    assert report.complete
    held = {"/".join(path): len(box) for path, box in target.contents().items() if box}
    return held, dict(report.by_reason())


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    source = account()
    source.create_folder("Work")
    for number in range(4):
        source.add(
            letter(f"m{number}", b"x" * 1000 * number),
            "INBOX" if number < 2 else "Work",
            flags=["Red"] if number % 2 else ["$seen"],
            received=f"2024-0{number + 1}-01T00:00:00+00:00",
        )
    source.add(b"Subject: no id\r\n\r\nx\r\n", "Work", received="2024-09-01T00:00:00+00:00")
    return archived(tmp_path / "archive", source)


# --- filters --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("selection", "held", "left_out"),
    [
        ({"folders": ("Work",)}, {"Work": 3}, {}),
        ({"exclude": ("Work",)}, {"INBOX": 2}, {}),
        ({"roles": ("inbox",)}, {"INBOX": 2}, {}),
        ({"since_date": dt.date(2024, 2, 1)}, {"INBOX": 1, "Work": 3}, {"since-date": 1}),
        ({"before_date": dt.date(2024, 2, 1)}, {"INBOX": 1}, {"before-date": 4}),
        ({"min_size": 1000}, {"INBOX": 1, "Work": 2}, {"min-size": 2}),
        ({"max_size": 1000}, {"INBOX": 1, "Work": 1}, {"max-size": 3}),
        ({"keywords": ("red",)}, {"INBOX": 1, "Work": 1}, {"keyword": 3}),
    ],
)
def test_filters(archive: Path, selection, held, left_out) -> None:
    found = brought(archive, selection=Selection(**selection))
    assert found == (held, left_out)


def test_a_filter_that_no_folder_answers_to_is_a_mistake(archive: Path) -> None:
    with pytest.raises(SettingsError, match="Werk"):
        brought(archive, selection=Selection(folders=("Werk",)))


def test_policies_count_what_is_brought_only(tmp_path: Path) -> None:
    source = MemorySource()
    source.add(letter("a"), flags=["$new", "Red"], received=Received(None, None, "junk"))
    source.add(b"X: y\r\n\r\nz\r\n", received=Received(None, None, "junk"))
    source.add(letter("b"), flags=["$notify", "Red"])
    archive = archived(tmp_path / "a", source)
    target = MemoryTarget(MemoryAccount(), rewriting=Rewriting(no_new_keywords=True))
    report = place(archive, target, select=frozenset({"b@example.org"}))
    told = {entry["keyword"]: entry["count"] for entry in folder_of(report, "INBOX").dropped}
    assert told == {"$notify": 1, "Red": 1}
    assert totals(report).keys().isdisjoint({"undated", "date_from_header"})
    whole = totals(place(archive, MemoryTarget(MemoryAccount())))
    assert (whole["undated"], whole["date_from_header"]) == (1, 1)


# --- --select -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("select", "held"),
    [
        ({"m1@example.org", "m2@example.org"}, {"INBOX": 1, "Work": 1}),
        ({"Work:1"}, {"Work": 1}),
        ({"mail/INBOX/1001-0000000002.eml"}, {"INBOX": 1}),
        ({"Work:1", "mail/INBOX/1001-0000000002.eml", "m0@example.org"}, {"INBOX": 2, "Work": 1}),
    ],
)
def test_select(archive: Path, select, held) -> None:
    found, left_out = brought(archive, select=frozenset(select))
    assert found == held
    assert left_out == {"not-selected": 5 - sum(held.values())}


def test_a_message_id_need_not_look_like_an_address(tmp_path: Path) -> None:
    mail = b"Message-ID:\r\n <no at sign: but a colon>\r\nSubject: x\r\n\r\n"
    archive = archived(tmp_path / "a", account(INBOX=[mail, letter("other")]))
    found, _ = brought(archive, select=frozenset({"no at sign: but a colon"}))
    assert found == {"INBOX": 1}


def test_what_is_selected_and_not_there_is_named(archive: Path) -> None:
    target = MemoryTarget(MemoryAccount())
    select = frozenset({"m0@example.org", "nobody@example.org", "Work:99"})
    report = place(archive, target, select=select)
    told = [(each["code"], each["text"]) for each in report.notices]
    assert told == [
        ("not-found", "no message of the archive is Work:99"),
        ("not-found", "no message of the archive is nobody@example.org"),
    ]
    assert report.unmatched == ["Work:99", "nobody@example.org"]
    assert not report.complete  # a misspelt name is no success
    assert any("nobody@example.org" in line for line in summary(report))
    assert totals(report)["placed"] == 1


def test_into_a_folder(archive: Path) -> None:
    held, _ = brought(archive, into=("Old", "mail"))
    assert held == {"Old/mail/INBOX": 2, "Old/mail/Work": 3}


# --- kept -----------------------------------------------------------------------------------------


def test_what_the_source_had_lost_is_left_unless_asked(tmp_path: Path) -> None:
    source = account(INBOX=[letter(str(n)) for n in range(4)], Gone=[letter("gone"), letter("g2")])
    archive = archived(tmp_path / "a", source)
    source.expunge("INBOX", 1, 2)
    source.delete_folder("Gone")
    archived(archive, source)
    assert brought(archive) == ({"INBOX": 2}, {})
    assert brought(archive, include_kept=True) == ({"INBOX": 4, "Gone": 2}, {})


# --- copies ---------------------------------------------------------------------------------------


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    source = MemorySource()
    for name, role in (("All Mail", "all"), ("Red", None), ("Bin", "trash")):
        source.create_folder(name, roles=(role,) if role else ())
    for number in range(6):
        names = ["All Mail", *(["INBOX"] if number < 2 else ["Red"] if number < 4 else [])]
        source.add(letter(str(number)), [(name,) for name in names])
    source.add(letter("twice"), [("Red",)])
    return archived(tmp_path / "archive", source)


def test_copies(labelled: Path) -> None:
    target = MemoryTarget(MemoryAccount())
    plan = place(labelled, target, dry_run=True)
    assert totals(plan)["copies"] == 4
    assert brought(labelled) == ({"All Mail": 6, "INBOX": 2, "Red": 3}, {})


def test_primary(labelled: Path) -> None:
    """The inbox before labels, labels before what has all."""
    found = brought(labelled, labels="primary")
    assert found == ({"INBOX": 2, "Red": 3, "All Mail": 2}, {"copy": 4})


@pytest.mark.parametrize("digests", [True, False])
def test_one_id_and_other_octets_are_two_messages(tmp_path: Path, digests: bool) -> None:
    source = MemorySource()
    source.create_folder("Work")
    one = source.add(letter("a"))
    source.add(letter("b"), "Work")
    source.add(letter("a"), "Work")
    archive = archived(tmp_path / "a", source)
    for name in ("INBOX", "Work"):
        file = archive / "mail" / name / "folder.json"
        told = json.loads(file.read_text("utf-8"))
        for item in told["items"]:
            assert item[model.EMAIL_ID]
            item[model.EMAIL_ID] = one.email_id
            if not digests:
                del item[model.SHA256]
        file.write_text(json.dumps(told), "utf-8")
    unchained(archive)
    found = brought(archive, labels="primary")
    assert found == ({"INBOX": 1, "Work": 1}, {"copy": 1})


def test_two_in_one_folder_are_no_copies_of_each_other(tmp_path: Path) -> None:
    """Cyrus gives two equal messages of one mailbox one EMAILID."""
    source = MemorySource()
    source.create_folder("Red")
    ref = source.add(letter("a"))
    source.add(letter("b"))
    archive = archived(tmp_path / "a", source)
    file = archive / "mail" / "INBOX" / "folder.json"
    text = file.read_text("utf-8").replace('"M4"', f'"{ref.email_id}"')
    assert text.count(f'"{ref.email_id}"') == 2
    file.write_text(text, "utf-8")
    unchained(archive)
    assert brought(archive, labels="primary") == ({"INBOX": 2}, {})


def test_what_goes_to_the_trash_is_nobodys_first_place(tmp_path: Path) -> None:
    source = MemorySource()
    source.create_folder("Red")
    ref = source.add(letter("a"), ["INBOX", "Red"])
    source.set_flags("INBOX", ref.placements[0].uid, ["\\Deleted"])
    archive = archived(tmp_path / "a", source)
    assert brought(archive, labels="primary") == ({"Trash": 1, "Red": 1}, {})


def test_one_message_in_several_mailboxes_is_placed_once(labelled: Path) -> None:
    account_ = MemoryAccount()
    target = MemoryTarget(account_, memberships=True)
    report = place(labelled, target)
    assert report.complete
    assert len(target.sent) == 7
    assert len(octets(account_, "All Mail")) == 6
    messages = {
        item.message.email_id
        for box in account_.mailboxes().values()
        for item in box.items.values()
    }
    assert len(messages) == 7
    again = MemoryTarget(account_, memberships=True)
    assert sum(place(labelled, again).by_round().values()) == 11
    assert again.sent == []


# --- what is damaged ------------------------------------------------------------------------------


def unchained(archive: Path) -> None:
    import json
    import shutil

    metadata = json.loads((archive / "archive.json").read_text("utf-8"))
    metadata["archive"].pop("portarchive:manifest")
    (archive / "archive.json").write_text(json.dumps(metadata), "utf-8")
    for name in ("manifest.json", "manifest-sha256.txt"):
        (archive / name).unlink()
    shutil.rmtree(archive / ".portarchive")


@pytest.mark.parametrize("there", [False, True])
def test_a_damaged_file_is_named_and_the_rest_goes_on(archive: Path, there: bool) -> None:
    messages = sorted((archive / "mail" / "INBOX").glob("*.eml"))
    messages[0].chmod(0o600)
    messages[0].write_bytes(messages[0].read_bytes().replace(b"Jane", b"Joan"))
    missing = min((archive / "mail" / "Work").glob("*.eml"))
    missing.unlink()
    target = MemoryAccount()
    if there:  # then the archive is read before anything is sent
        target.add(letter("owner"))
    report = place(archive, MemoryTarget(target))
    named = [entry for folder in report.folders for entry in folder.failed]
    assert {entry["file"]: entry["code"] for entry in named} == {
        f"mail/INBOX/{messages[0].name}": "digest-mismatch",
        f"mail/Work/{missing.name}": "missing",
    }
    assert not report.complete
    assert report.total("placed") == 3


def test_an_item_that_names_no_file(archive: Path) -> None:
    file = archive / "mail" / "INBOX" / "folder.json"
    file.write_text(file.read_text("utf-8").replace("1001-0000000001.eml", "../../x"), "utf-8")
    unchained(archive)
    report = place(archive, MemoryTarget(MemoryAccount()))
    (named,) = folder_of(report, "INBOX").failed
    assert named["code"] == "no-member"
    assert report.total("placed") == 4


def test_a_read_only_archive(archive: Path) -> None:
    for path in archive.rglob("*"):
        path.chmod(0o500 if path.is_dir() else 0o400)
    archive.chmod(0o500)
    before = {path: path.stat() for path in archive.rglob("*")}
    assert place(archive, MemoryTarget(MemoryAccount())).complete
    after = {path: path.stat() for path in archive.rglob("*")}
    assert [(one.st_mtime_ns, one.st_ino) for one in before.values()] == [
        (one.st_mtime_ns, one.st_ino) for one in after.values()
    ]


def test_a_message_without_a_date(tmp_path: Path) -> None:
    """The target's own now, counted; it is found again all the same."""
    archive = archived(tmp_path / "a", account(INBOX=[b"Subject: x\r\n\r\nbody\r\n"]))
    file = archive / "mail" / "INBOX" / "folder.json"
    text = file.read_text("utf-8")
    file.write_text(text.replace("portarchive:received_at", "portarchive:something"), "utf-8")
    unchained(archive)
    account_ = MemoryAccount()
    report = place(archive, MemoryTarget(account_, now=lambda: 1_700_000_000))
    assert (report.total("undated"), report.complete) == (1, True)
    (item,) = account_.mailboxes()["F1"].items.values()
    assert item.message.received.epoch == 1_700_000_000
    assert place(archive, MemoryTarget(account_)).by_round() == {"octets": 1}


# --- groups ---------------------------------------------------------------------------------------


def test_small_groups_and_portions_are_the_same(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gather, "GROUP", 1)
    monkeypatch.setattr(run, "PORTION", 1)
    for state in (None, tmp_path / "state"):
        target = MemoryAccount()
        for placed in (5, 0):
            report = place(archive, MemoryTarget(target, uidplus=False), state)
            assert (report.total("placed"), report.complete) == (placed, True)


def test_a_crash_costs_one_portion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read back is in the ledger: the next run opens nothing of it."""
    monkeypatch.setattr(run, "PORTION", 10)
    archive = archived(tmp_path / "a", account(INBOX=[letter(str(n)) for n in range(40)]))
    target = MemoryTarget(MemoryAccount())
    store = target._store

    def crash(parcel):
        if len(target.sent) == 35:
            raise KeyboardInterrupt
        return store(parcel)

    target._store = crash
    with pytest.raises(KeyboardInterrupt):
        place(archive, target, tmp_path / "state")
    report = place(archive, MemoryTarget(target.account), tmp_path / "state")
    assert report.by_round() == {"ledger": 30, "octets": 5}
    assert report.total("placed") == 5


def test_the_dry_run_changes_nothing_and_says_the_same(archive: Path) -> None:
    account_ = MemoryAccount()
    account_.add(letter("m0", b""))
    target = MemoryTarget(account_)
    before = account_.contents()
    plan = place(archive, target, dry_run=True)
    assert account_.contents() == before
    assert target.sent == []
    report = place(archive, MemoryTarget(account_))
    assert plan.total("to_place") == report.total("placed") == 4
    assert plan.by_round() == report.by_round()
    for name in ("path", "target", "how", "created", "messages", "octets"):
        assert [getattr(folder, name) for folder in plan.folders] == [
            getattr(folder, name) for folder in report.folders
        ], name


def test_a_plan_names_what_it_cannot_bring(archive: Path) -> None:
    (archive / "mail" / "INBOX" / "1001-0000000001.eml").unlink()
    report = place(
        archive,
        MemoryTarget(MemoryAccount()),
        dry_run=True,
        select=frozenset({"m9@example.org", "INBOX:1", "INBOX:2"}),
    )
    assert not report.complete
    text = summary(report)
    assert "  INCOMPLETE." in text
    assert "    selected and not in the archive: m9@example.org" in text
    assert any("mail/INBOX/1001-0000000001.eml: missing" in line for line in text)


def test_kept_messages_are_counted_apart(tmp_path: Path) -> None:
    source = account(INBOX=[letter("a"), letter("b"), letter("c")])
    archived(tmp_path / "a", source)
    source.expunge("INBOX", 1)
    source.expunge("INBOX", 2)
    archive = archived(tmp_path / "a", source)
    target = MemoryAccount()
    assert totals(place(archive, MemoryTarget(target))).get("kept") is None
    target.add(letter("a"))
    words = "2 of these the old account had deleted before the last export: "
    for dry_run, brought, said in (
        (True, 1, "1 would be brought"),
        (False, 1, "1 brought now"),
        (False, 0, "0 brought now"),
    ):
        report = place(archive, MemoryTarget(target), dry_run=dry_run, include_kept=True)
        sums = report.to_json()["totals"]
        assert (sums["messages"], sums["kept"], sums["kept_brought"]) == (3, 2, brought)
        told = folder_of(report, "INBOX").to_json()
        assert (told["kept"], told["kept_brought"]) == (2, brought)
        assert f"  {words}{said}" in summary(report)


def test_quirks_are_told(archive: Path) -> None:
    unchained(archive)
    file = archive / "mail" / "INBOX" / "folder.json"
    file.write_text(file.read_text("utf-8").replace('"$seen"', '"\\\\Seen"'), "utf-8")
    events: list[object] = []
    place(archive, MemoryTarget(MemoryAccount()), None, events.append)
    assert any(isinstance(event, Notice) and event.code == "quirk" for event in events)


@pytest.mark.parametrize("packed", [False, True])
def test_files_that_no_folder_names_are_counted(
    archive: Path, tmp_path: Path, packed: bool
) -> None:
    def notices(**options: Any) -> list[str]:
        path = archive
        if packed:
            path = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", archive))
        report = place(path, MemoryTarget(MemoryAccount()), **options)
        assert report.complete
        return [each["text"] for each in report.notices if each["code"] == "unnamed-files"]

    assert notices() == []
    inbox = archive / "mail" / "INBOX"
    (inbox / "extra.eml").write_bytes(letter("extra"))
    (inbox / "note.txt").write_bytes(b"x")
    text = "file of mail that no folder names"
    assert notices() == [f"1 {text}"]
    assert notices(dry_run=True) == [f"1 {text}"]
    (archive / "mail" / "Loose").mkdir()
    for name in ("a.eml", "b.eml", ".DS_Store"):
        (archive / "mail" / "Loose" / name).write_bytes(letter(name))
    assert notices() == [f"3 {text.replace('file', 'files')}"]
    # what was not asked for is not looked through
    assert notices(selection=Selection(folders=("Work",))) == [f"2 {text.replace('file', 'files')}"]
    # one folder's entries may name files that lie in another's directory
    file = archive / "mail" / "Work" / "folder.json"
    told = json.loads(file.read_text("utf-8"))
    told["items"].append({"uid": "77", "filename": "../INBOX/extra.eml"})
    file.write_text(json.dumps(told), "utf-8")
    unchained(archive)
    assert notices() == [f"2 {text.replace('file', 'files')}"]


def test_what_the_source_had_lost_is_named_all_the_same(tmp_path: Path) -> None:
    source = account(INBOX=[letter("a"), letter("b")])
    archived(tmp_path / "a", source)
    source.expunge("INBOX", 1)
    archive = archived(tmp_path / "a", source)
    for kept in (False, True):
        report = place(archive, MemoryTarget(MemoryAccount()), include_kept=kept)
        assert [each for each in report.notices if each["code"] == "unnamed-files"] == []
