"""A source that gives one uid to two messages, or names less than it lists, is not believed."""

from __future__ import annotations

import json

import pytest

from exporting import EVERYTHING, LISTS_ONLY, account, export, mail
from portarchive.connectors.memory import MemorySource
from portarchive.jobs.named import Named
from portarchive.records import FolderDone, MessageRef


class Doubling(MemorySource):
    """Names some uids once more, at the end of the listing or at once."""

    twice: frozenset[str] = frozenset()
    late = False

    def changes(self, wanted):
        held = []
        for event in super().changes(wanted):
            if isinstance(event, FolderDone):
                named = (event.listed or 0) + sum(
                    ref.placements[0].folder_id == event.folder_id for ref in self.again
                )
                yield from held
                held = []
                yield FolderDone(folder_id=event.folder_id, token=event.token, listed=named)
                continue
            yield event
            if isinstance(event, MessageRef) and event.placements[0].uid in self.twice:
                self.again.append(event)
                if self.late:
                    held.append(event)
                else:
                    yield event

    def __init__(self, **options):
        super().__init__(**options)
        self.again: list[MessageRef] = []


def entry(root, path="INBOX"):
    manifest = json.loads((root / "manifest.json").read_text())
    return next(each for each in manifest["folders"] if each["path"] == path), manifest


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("capabilities", [LISTS_ONLY, EVERYTHING])
def test_a_uid_named_twice_is_a_failure_of_its_own(tmp_path, late, capabilities):
    source = Doubling(capabilities=capabilities)
    for number in range(1, 4):
        source.add(mail(f"m{number}"), "INBOX")
    source.twice, source.late = frozenset({"2"}), late
    root = tmp_path / "archive"
    report = export(source, root)
    assert not report.complete
    told, manifest = entry(root)
    assert manifest["complete"] is False
    assert (told["listed"], told["archived"]) == (4, 3)
    assert [(each["uid"], each["code"]) for each in told["failed"]] == [("2", "uid-twice")]
    # the second run, which has one of them, says the same
    source.again.clear()
    report = export(source, root)
    assert not report.complete
    told, _ = entry(root)
    assert (told["listed"], told["archived"]) == (4, 3)
    assert [(each["uid"], each["code"]) for each in told["failed"]] == [("2", "uid-twice")]
    source.again.clear()
    source.twice = frozenset()
    assert export(source, root).complete


def test_what_is_listed_and_never_named_is_missing(tmp_path):
    class Forgetful(MemorySource):
        forgets = True

        def changes(self, wanted):
            for event in super().changes(wanted):
                lost = isinstance(event, MessageRef) and event.placements[0].uid == "2"
                if not (lost and self.forgets):
                    yield event

    source = Forgetful(capabilities=LISTS_ONLY)
    for number in range(1, 4):
        source.add(mail(f"m{number}"), "INBOX")
    source.forgets = False
    root = tmp_path / "archive"
    assert export(source, root).complete
    source.add(mail("m4"), "INBOX")
    source.forgets = True
    report = export(source, root)
    assert not report.complete
    told, _ = entry(root)
    assert told["error"]["code"] == "listing-mismatch"
    document = json.loads((root / "mail/INBOX/folder.json").read_text())
    assert [item["uid"] for item in document["items"]] == ["1", "2", "3", "4"]
    assert "portarchive:kept" not in document
    source.forgets = False
    assert export(source, root).complete


def test_an_honest_source_names_each_once(tmp_path):
    source = account("lists", INBOX=5, Work=3)
    assert export(source, tmp_path / "archive").complete


def test_a_set_of_uids():
    named = Named()
    uids = ["1", "2", "3", "7", "5", "x", "8", "007", "7x", "18446744073709551616", "9", "4"]
    assert all(named.add(uid) for uid in uids)
    assert not any(named.add(uid) for uid in uids)
    assert named.add("6")
    assert named.add("10")
    assert not named.add("6")
