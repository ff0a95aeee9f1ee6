"""The next run: only what is new comes over the wire, and what is gone is kept or not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import archive_facts
from exporting import KINDS, account, export, has, mail
from portarchive.connectors.memory import MemorySource
from portarchive.errors import Damaged, UnsafePath
from portarchive.progress import Notice
from portarchive.records import FolderDone, Removal


def uids(found: list[archive_facts.Item]) -> list[str]:
    return [item.uid for item in found]


def every(root: Path) -> list[Path]:
    """All files but the lock."""
    return [path for path in root.rglob("*") if path.is_file() and path.name != "lock"]


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_changed_nothing_published(tmp_path: Path, kind: str) -> None:
    """Scenarios 15 and 16."""
    source = account(kind, INBOX=4, Work=2, Empty=0)
    source.add(b"", "Work")
    first = export(source, tmp_path / "a")
    before = archive_facts.files(tmp_path / "a", private=True)
    times = {path: path.stat().st_mtime_ns for path in every(tmp_path / "a")}
    for _ in range(5):
        source.fetches.clear()
        report = export(source, tmp_path / "a")
        assert report.complete
        assert not report.published
        assert report.fingerprint == first.fingerprint
        assert report.folders == first.folders
        assert report.totals.fetched == 0
        assert source.fetches == []
    lock = ".portarchive/lock"
    after = archive_facts.files(tmp_path / "a", private=True)
    assert {**after, lock: ""} == {**before, lock: ""}
    assert times == {path: path.stat().st_mtime_ns for path in every(tmp_path / "a")}
    archive_facts.check(tmp_path / "a")


@pytest.mark.parametrize("kind", KINDS)
def test_new_gone_and_changed(tmp_path: Path, kind: str) -> None:
    source = account(kind, INBOX=6, Work=2)
    export(source, tmp_path / "a")
    source.add(mail("new"), flags=["$flagged"])
    source.expunge("INBOX", 2, 5)
    source.set_flags("INBOX", 1, ["$seen", "$answered", "Ablage"])
    report = export(source, tmp_path / "a")
    facts = archive_facts.check(tmp_path / "a")
    assert report.totals.fetched == 1
    assert report.totals.newly_kept == 2
    assert uids(facts.items["INBOX"]) == ["1", "3", "4", "6", "7"]
    assert facts.items["INBOX"][0].flags == ("$seen", "$answered", "Ablage")
    assert uids(facts.kept["INBOX"]) == ["2", "5"]
    kept = archive_facts.folder_json(tmp_path / "a", "INBOX")["portarchive:kept"]
    assert [entry["expunged_at"] for entry in kept] == ["2026-11-24T12:00:00Z"] * 2
    assert [item.sha256 for item in facts.kept["INBOX"]] == [
        archive_facts.sha256(mail(f"INBOX-{number}")) for number in (2, 5)
    ]
    assert export(source, tmp_path / "a").published is False


@pytest.mark.parametrize("kind", KINDS)
def test_half_of_a_folder_expunged(tmp_path: Path, kind: str) -> None:
    """Scenario 21: nothing of what survives is fetched again."""
    source = account(kind, INBOX=30, Work=40)
    export(source, tmp_path / "a")
    source.expunge("INBOX", *range(1, 31, 2))
    source.fetches.clear()
    report = export(source, tmp_path / "a")
    assert sum(source.fetches) == 0
    facts = archive_facts.check(tmp_path / "a")
    assert uids(facts.items["INBOX"]) == [str(n) for n in range(2, 31, 2)]
    assert len(facts.kept["INBOX"]) == 15
    assert report.complete


def test_drafts_are_not_kept_unless_asked_for(tmp_path: Path) -> None:
    source = account(INBOX=1, Drafts=0)
    source.delete_folder("Drafts")
    source.create_folder("Drafts", roles=["drafts"])
    source.add(mail("by role"), "Drafts")
    source.add(mail("by keyword"), "INBOX", flags=["$draft", "$seen"])
    source.add(mail("upper"), "INBOX", flags=["$Draft"])
    for name in ("a", "b"):
        export(source, tmp_path / name)
    source.expunge("Drafts", 1)
    source.expunge("INBOX", 2, 3)
    export(source, tmp_path / "a")
    facts = archive_facts.check(tmp_path / "a")
    assert facts.kept == {"INBOX": [], "Drafts": []}
    assert len(archive_facts.messages(tmp_path / "a")) == 1
    export(source, tmp_path / "b", keep_drafts=True)
    facts = archive_facts.check(tmp_path / "b")
    assert (uids(facts.kept["Drafts"]), uids(facts.kept["INBOX"])) == (["1"], ["2", "3"])


@pytest.mark.parametrize("kind", KINDS)
def test_a_move_is_not_a_loss(tmp_path: Path, kind: str) -> None:
    source = account(kind, INBOX=3, Work=1)
    export(source, tmp_path / "a")
    source.copy("INBOX", 2, "Work")
    source.expunge("INBOX", 2)
    report = export(source, tmp_path / "a")
    facts = archive_facts.check(tmp_path / "a")
    assert facts.kept == {"INBOX": [], "Work": []}
    assert uids(facts.items["Work"]) == ["1", "2"]
    assert len(archive_facts.messages(tmp_path / "a")) == 4
    assert report.totals.fetched == (0 if kind == "ids" else 1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_renamed_folder(tmp_path: Path, kind: str) -> None:
    source = account(kind, INBOX=1, Work=3)
    export(source, tmp_path / "a")
    source.rename_folder("Work", "Werk")
    report = export(source, tmp_path / "a")
    facts = archive_facts.check(tmp_path / "a")
    assert uids(facts.items["Werk"]) == ["1", "2", "3"]
    assert "Work" not in facts.items
    assert report.totals.fetched == 0
    assert len(archive_facts.messages(tmp_path / "a")) == 4
    assert export(source, tmp_path / "a").published is False


def test_a_folder_that_is_gone_stays_with_what_it_had(tmp_path: Path) -> None:
    source = account(INBOX=1, Old=3)
    export(source, tmp_path / "a")
    source.delete_folder("Old")
    report = export(source, tmp_path / "a")
    assert report.complete
    facts = archive_facts.check(tmp_path / "a")
    assert facts.items["Old"] == []
    assert uids(facts.kept["Old"]) == ["1", "2", "3"]
    assert facts.headers["Old"]["portarchive:gone_at"] == "2026-11-24T12:00:00Z"
    assert [entry["path"] for entry in facts.manifest["folders"]] == ["INBOX"]
    assert export(source, tmp_path / "a").published is False
    source.create_folder("Old")
    source.add(mail("again"), "Old")
    export(source, tmp_path / "a")
    facts = archive_facts.check(tmp_path / "a")
    assert "portarchive:gone_at" not in facts.headers["Old"]
    assert uids(facts.items["Old"]) == ["1"]
    assert len(facts.kept["Old"]) == 3


def test_mirror_keeps_nothing(tmp_path: Path) -> None:
    source = account(INBOX=6, Old=2)
    export(source, tmp_path / "a")
    source.expunge("INBOX", 1)
    export(source, tmp_path / "a")
    assert len(archive_facts.check(tmp_path / "a").kept["INBOX"]) == 1
    source.expunge("INBOX", 2)
    source.delete_folder("Old")
    report = export(source, tmp_path / "a", mirror=True)
    assert report.complete
    facts = archive_facts.check(tmp_path / "a")
    assert facts.kept == {"INBOX": [], "Old": []}
    assert len(archive_facts.messages(tmp_path / "a")) == 4


def test_mirror_holds_back_a_folder_that_lost_everything(tmp_path: Path) -> None:
    source = account(INBOX=25, Work=40)
    export(source, tmp_path / "a")
    source.expunge("INBOX", *range(1, 26))
    source.add(mail("after"))
    source.add(mail("work"), "Work")
    events: list[Any] = []
    report = export(source, tmp_path / "a", events.append, mirror=True)
    assert not report.complete
    facts = archive_facts.check(tmp_path / "a")
    assert len(facts.items["INBOX"]) == 25
    assert len(facts.items["Work"]) == 41
    assert "25" in facts.ledger("INBOX")["held"]
    assert any(isinstance(event, Notice) and event.code == "sudden-loss" for event in events)
    assert export(source, tmp_path / "a", mirror=True).published is False
    archive_facts.check(tmp_path / "a")
    last = export(source, tmp_path / "a", mirror=True, accept_source_change=True)
    assert last.complete
    facts = archive_facts.check(tmp_path / "a")
    assert uids(facts.items["INBOX"]) == ["26"]
    assert "held" not in facts.ledger("INBOX")


def test_mirror_holds_back_half_an_account(tmp_path: Path) -> None:
    source = account(INBOX=30, Work=30, Other=30)
    export(source, tmp_path / "a")
    source.delete_folder("Work")
    source.expunge("INBOX", *range(1, 26))
    report = export(source, tmp_path / "a", mirror=True)
    assert not report.complete
    facts = archive_facts.check(tmp_path / "a")
    assert [len(facts.items[name]) for name in ("INBOX", "Work", "Other")] == [30, 30, 30]
    assert {e["path"] for e in facts.manifest["folders"] if "held" in e} == {"INBOX", "Work"}


def test_trash_may_be_emptied(tmp_path: Path) -> None:
    source = account(INBOX=80)
    source.create_folder("Trash", roles=["trash"])
    for number in range(30):
        source.add(mail(f"t-{number}"), "Trash")
    export(source, tmp_path / "a")
    source.expunge("Trash", *range(1, 31))
    assert export(source, tmp_path / "a", mirror=True).complete
    assert archive_facts.check(tmp_path / "a").items["Trash"] == []


def test_without_mirror_a_sudden_loss_is_a_warning(tmp_path: Path) -> None:
    source = account(INBOX=25, Work=40)
    export(source, tmp_path / "a")
    source.expunge("INBOX", *range(1, 26))
    report = export(source, tmp_path / "a")
    assert report.complete
    assert [notice["code"] for notice in report.notices] == ["sudden-loss"]
    assert len(archive_facts.check(tmp_path / "a").kept["INBOX"]) == 25


def test_a_move_of_everything_is_no_sudden_loss(tmp_path: Path) -> None:
    source = account(INBOX=25, Work=0)
    export(source, tmp_path / "a")
    for number in range(1, 26):
        source.copy("INBOX", number, "Work")
    source.expunge("INBOX", *range(1, 26))
    report = export(source, tmp_path / "a", mirror=True)
    assert report.complete
    assert report.notices == []
    assert len(archive_facts.check(tmp_path / "a").items["Work"]) == 25


@pytest.mark.parametrize("kind", KINDS)
def test_what_changes_while_it_is_read(tmp_path: Path, kind: str) -> None:
    source = account(kind, INBOX=5, Work=2)
    done: list[str] = []

    def meddle(_: object) -> None:
        if not done:
            done.append("")
            source.expunge("INBOX", 4)
            source.add(mail("meanwhile"))

    source.after_message = meddle
    report = export(source, tmp_path / "a")
    facts = archive_facts.check(tmp_path / "a")
    assert report.complete
    entry = facts.ledger("INBOX")
    assert entry["vanished"] == {"count": 1, "uids": "4"}
    assert (entry["listed"], entry["archived"]) == (6, 5)
    assert uids(facts.items["INBOX"]) == ["1", "2", "3", "5", "6"]
    export(source, tmp_path / "a")
    entry = archive_facts.check(tmp_path / "a").ledger("INBOX")
    assert entry["listed"] == entry["archived"] == 5


def test_what_comes_after_the_last_look_is_for_the_next_run(tmp_path: Path) -> None:
    source = account("lists", INBOX=2)
    looks: list[object] = []

    def late(event: object) -> None:
        looks.append(event)
        if type(event).__name__ == "FetchPoint":
            source.add(mail(f"late-{len(looks)}"))

    source.after_event = late
    report = export(source, tmp_path / "a")
    assert report.complete
    assert report.totals.arrived_later == 1
    source.after_event = None
    assert export(source, tmp_path / "a").totals.fetched == 1
    assert len(archive_facts.check(tmp_path / "a").items["INBOX"]) == 4


# --- documents that others wrote or changed -------------------------------------------------------


def rewrite(root: Path, path: str, change: Any, **layout: Any) -> None:
    """Another program changes a folder.json and mends the chain."""
    file = root / "mail" / path / "folder.json"
    document = json.loads(file.read_text("utf-8"))
    change(document)
    old = archive_facts.sha256(file.read_bytes())
    file.write_text(json.dumps(document, **layout), "utf-8")
    manifests = [root / name for name in ("manifest-sha256.txt", "manifest.json", "archive.json")]
    for changed, holder in zip([file, *manifests], manifests, strict=False):
        octets = changed.read_bytes()
        text = holder.read_text("utf-8").replace(old, archive_facts.sha256(octets))
        if holder.suffix == ".json":
            value = json.loads(text)
            link = value["files"] if "files" in value else value["archive"]["portarchive:manifest"]
            link["bytes"] = len(octets)
            text = json.dumps(value)
        old = archive_facts.sha256(holder.read_bytes())
        holder.write_text(text, "utf-8")
    archive_facts.check_chain(root)


def test_members_of_others_are_written_back(tmp_path: Path) -> None:
    source = account(INBOX=3, Work=1)
    export(source, tmp_path / "a")

    def change(document: dict[str, Any]) -> None:
        document["color"] = {"of": ["äöü", 1, None]}
        document["items"][0]["portarchive:later"] = [1, {"filename": "x"}]
        document["items"][1] = {"x": {"filename": "y"}, **document["items"][1]}

    rewrite(tmp_path / "a", "INBOX", change)
    archive_json = tmp_path / "a/archive.json"
    value = json.loads(archive_json.read_text("utf-8"))
    value["signature"] = "sig"
    value["archive"]["keeper"] = {"name": "Ines"}
    value["dataset"]["region"] = "EU"
    value["datasource"]["tenant"] = 7
    archive_json.write_text(json.dumps(value), "utf-8")
    source.add(mail("new"))
    source.set_flags("INBOX", 1, ["$seen"])
    export(source, tmp_path / "a")
    facts = archive_facts.check(tmp_path / "a")
    assert facts.headers["INBOX"]["color"] == {"of": ["äöü", 1, None]}
    items = archive_facts.folder_json(tmp_path / "a", "INBOX")["items"]
    assert items[0]["portarchive:later"] == [1, {"filename": "x"}]
    assert items[0]["flags"] == ["$seen"]
    assert items[1]["x"] == {"filename": "y"}
    assert facts.archive["signature"] == "sig"
    assert facts.archive["archive"]["keeper"] == {"name": "Ines"}
    assert facts.archive["dataset"]["region"] == "EU"
    assert facts.archive["datasource"]["tenant"] == 7


def test_members_of_others_survive_new_numbers(tmp_path: Path) -> None:
    source = account("lists", INBOX=1)
    export(source, tmp_path / "a")
    rewrite(tmp_path / "a", "INBOX", lambda document: document["items"][0].update(x=[{"y": 1}]))
    source.reset_uidvalidity("INBOX")
    source.reconnect()
    export(source, tmp_path / "a")
    (item,) = archive_facts.folder_json(tmp_path / "a", "INBOX")["items"]
    assert item["x"] == [{"y": 1}]
    assert item["portarchive:received_at"].startswith("2026-01-01T00:")


@pytest.mark.parametrize(
    "layout",
    [{"indent": 2}, {"separators": (",", ":")}, {"ensure_ascii": True, "sort_keys": True}],
    ids=["pretty", "one line", "sorted"],
)
def test_any_layout_of_the_same_json_is_updated_alike(
    tmp_path: Path, layout: dict[str, Any]
) -> None:
    source = account(INBOX=4, Work=2)
    source.add(mail("ü"), flags=["Größe"])
    source.expunge("INBOX", 1)
    export(source, tmp_path / "a")
    archive_facts.copy(tmp_path / "a", tmp_path / "b")
    rewrite(tmp_path / "b", "INBOX", lambda _: None, **layout)
    assert export(source, tmp_path / "b").published is False
    source.expunge("INBOX", 2)
    source.add(mail("new"))
    for name in ("a", "b"):
        export(source, tmp_path / name)
    one, other = (archive_facts.check(tmp_path / name) for name in ("a", "b"))
    assert one.what() == other.what()
    assert archive_facts.messages(tmp_path / "a") == archive_facts.messages(tmp_path / "b")


def test_a_torn_folder_json_is_damage_and_nothing_is_changed(tmp_path: Path) -> None:
    source = account("lists", INBOX=3, Work=1)
    export(source, tmp_path / "a")
    file = tmp_path / "a/mail/INBOX/folder.json"
    whole = file.read_bytes()
    source.add(mail("new"))
    for size in range(len(whole) - 1):
        file.write_bytes(whole[:size])
        with pytest.raises(Damaged):
            export(source, tmp_path / "a", fsync=False, retry=False)
        assert file.read_bytes() == whole[:size]
        assert (tmp_path / "a/archive.json").exists()
    file.write_bytes(whole)
    assert export(source, tmp_path / "a").complete
    archive_facts.check(tmp_path / "a")


def test_a_bit_that_turned_is_never_published_as_sound(tmp_path: Path) -> None:
    source = account("lists", INBOX=2)
    source.expunge("INBOX", 1)
    export(source, tmp_path / "a", fsync=False)
    whole = (tmp_path / "a/mail/INBOX/folder.json").read_bytes()
    source.add(mail("new"))
    for at in range(len(whole)):
        archive_facts.copy(tmp_path / "a", tmp_path / "b")
        file = tmp_path / "b/mail/INBOX/folder.json"
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << at % 7]) + whole[at + 1 :])
        before = archive_facts.files(tmp_path / "b")
        with pytest.raises((Damaged, UnsafePath)):
            export(source, tmp_path / "b", fsync=False, retry=False)
        after = archive_facts.files(tmp_path / "b")
        assert before.items() <= after.items(), "what was published is as it was"
        assert {path.rpartition("/")[2] for path in after.keys() - before.keys()} <= {
            "1001-0000000002~2.eml",
            "1001-0000000003.eml",
            "1001-0000000002.eml",
        }


def test_a_file_manager_leaves_its_files(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir(0o700)
    (tmp_path / "a/.DS_Store").write_bytes(b"x")
    source = account(INBOX=1)
    export(source, tmp_path / "a")
    assert (tmp_path / "a/.DS_Store").exists()
    assert len(list((tmp_path / "a").iterdir())) == 6


def test_a_delta_that_does_not_add_up_is_not_believed(tmp_path: Path) -> None:
    """Scenario 2 of a server: it forgets to report what is gone. The folder is listed whole."""

    class Forgetful(MemorySource):
        def changes(self, wanted):
            for event in super().changes(wanted):
                if not isinstance(event, Removal):
                    yield event

    source = Forgetful()
    for number in range(6):
        source.add(mail(str(number)))
    export(source, tmp_path / "a")
    source.expunge("INBOX", 2)
    source.add(mail("new"))
    report = export(source, tmp_path / "a")
    assert [notice["code"] for notice in report.notices] == ["count-mismatch"]
    facts = archive_facts.check(tmp_path / "a")
    assert uids(facts.items["INBOX"]) == list(has(source)["INBOX"])


def test_a_source_that_does_not_finish_a_folder_is_not_complete(tmp_path: Path) -> None:
    class Silent(MemorySource):
        def changes(self, wanted):
            for event in super().changes(wanted):
                if not (isinstance(event, FolderDone) and event.folder_id == "F1"):
                    yield event

    source = Silent()
    source.add(mail("one"))
    report = export(source, tmp_path / "a", retry=False)
    assert not report.complete
    assert report.folders[0]["error"]["code"] == "not-opened"
