"""``--single-copy``: octets lie once, in the least folder, as long as any item refers to them."""

from __future__ import annotations

from pathlib import Path

import pytest

import archive_facts
from exporting import account, export, has, mail
from portarchive.archive.reader import ArchiveReader
from portarchive.connectors.base import SourceCapabilities
from portarchive.connectors.memory import Fault, MemorySource
from portarchive.errors import ConnectionLost


def shared(*, whole: bool = True, drafts: bool = False) -> MemorySource:
    """One message in Archive, INBOX and Sent/2026."""
    source = account("ids", whole=whole, INBOX=2, Archive=1)
    source.create_folder("Sent/2026", roles=["drafts"] if drafts else [])
    flags = ["$draft"] if drafts else []
    source.add(mail("shared"), ["Sent/2026", "INBOX", "Archive"], flags=flags)
    return source


def filenames(path: Path, folder: str, member: str = "items") -> list[str]:
    return [e["filename"] for e in archive_facts.folder_json(path, folder).get(member, [])]


def holds(path: Path, source: MemorySource) -> archive_facts.Facts:
    facts = archive_facts.check(path)
    for name, messages in has(source).items():
        assert [(item.uid, item.sha256) for item in facts.items[name]] == [
            (uid, archive_facts.sha256(octets)) for uid, (_, octets) in messages.items()
        ]
    reader = ArchiveReader.open(path)
    for entry in reader.folders():
        for item in entry.items():
            octets = (path / entry.file_of(item)).read_bytes()
            assert archive_facts.sha256(octets) == item["portarchive:sha256"]
    return facts


OWNER = "1002-0000000002.eml"


@pytest.mark.parametrize("whole", [False, True])
def test_the_least_folder_owns(tmp_path: Path, whole: bool) -> None:
    source = shared(whole=whole)
    report = export(source, tmp_path / "a", single_copy=True)
    assert (report.totals.fetched, report.totals.linked) == (4, 2)
    holds(tmp_path / "a", source)
    assert filenames(tmp_path / "a", "Archive")[1] == OWNER
    assert filenames(tmp_path / "a", "INBOX")[2] == f"../Archive/{OWNER}"
    assert filenames(tmp_path / "a", "Sent/2026") == [f"../../Archive/{OWNER}"]
    assert len(archive_facts.messages(tmp_path / "a")) == 4
    assert (tmp_path / "a/mail/Archive" / OWNER).stat().st_nlink == 1
    assert not export(source, tmp_path / "a", single_copy=True).published
    assert not export(source, tmp_path / "a").published


def test_the_owner_is_lost_while_others_refer(tmp_path: Path) -> None:
    source = shared()
    export(source, tmp_path / "a", single_copy=True)
    source.expunge("Archive", 2)
    report = export(source, tmp_path / "a", single_copy=True)
    assert report.complete
    facts = holds(tmp_path / "a", source)
    assert facts.kept["Archive"] == [], "its octets are items still"
    path = f"mail/Archive/{OWNER}"
    assert path in archive_facts.digests(tmp_path / "a")
    source.add(mail("later"), "Archive")
    export(source, tmp_path / "a", single_copy=True)
    holds(tmp_path / "a", source)
    source.expunge("INBOX", 3)
    export(source, tmp_path / "a", single_copy=True)
    holds(tmp_path / "a", source)
    source.expunge("Sent/2026", 1)
    export(source, tmp_path / "a", single_copy=True)
    facts = holds(tmp_path / "a", source)
    assert path in archive_facts.digests(tmp_path / "a"), "the last of them is kept"
    assert sum(map(len, facts.kept.values())) == 1


@pytest.mark.parametrize("gone", [("Archive",), ("Archive", "INBOX"), ("INBOX", "Sent/2026")])
@pytest.mark.parametrize("mirror", [False, True])
def test_whole_folders_are_lost(tmp_path: Path, gone: tuple[str, ...], mirror: bool) -> None:
    source = shared()
    export(source, tmp_path / "a", single_copy=True)
    for name in gone:
        source.delete_folder(name)
    report = export(source, tmp_path / "a", single_copy=True, mirror=mirror)
    assert report.complete
    holds(tmp_path / "a", source)
    assert not export(source, tmp_path / "a", single_copy=True, mirror=mirror).published


def test_nothing_refers_to_it_any_more_and_drafts_are_not_kept(tmp_path: Path) -> None:
    source = shared(drafts=True)
    export(source, tmp_path / "a", single_copy=True)
    assert len(archive_facts.messages(tmp_path / "a")) == 4
    source.expunge("Archive", 2)
    export(source, tmp_path / "a", single_copy=True)
    assert len(archive_facts.messages(tmp_path / "a")) == 4
    source.expunge("INBOX", 3)
    source.expunge("Sent/2026", 1)
    export(source, tmp_path / "a", single_copy=True)
    holds(tmp_path / "a", source)
    assert len(archive_facts.messages(tmp_path / "a")) == 3


def test_a_new_folder_that_is_less_refers_to_where_it_lies(tmp_path: Path) -> None:
    """At first sight: what lies somewhere stays there."""
    source = shared()
    export(source, tmp_path / "a", single_copy=True)
    source.create_folder("AAA")
    source.copy("INBOX", 3, "AAA")
    report = export(source, tmp_path / "a", single_copy=True)
    assert report.totals.fetched == 0
    holds(tmp_path / "a", source)
    assert filenames(tmp_path / "a", "AAA") == [f"../Archive/{OWNER}"]


def test_without_the_option_an_update_links(tmp_path: Path) -> None:
    source = shared()
    export(source, tmp_path / "a", single_copy=True)
    source.create_folder("More")
    source.copy("INBOX", 3, "More")
    source.expunge("Archive", 2)
    export(source, tmp_path / "a")
    holds(tmp_path / "a", source)
    assert "/" not in filenames(tmp_path / "a", "More")[0]
    assert filenames(tmp_path / "a", "INBOX")[2] == f"../Archive/{OWNER}"


def test_the_owner_is_lost_between_the_crash_and_the_resume(tmp_path: Path) -> None:
    """The journal alone says that others refer to the file."""
    source = shared(whole=False)
    lost = ConnectionLost("gone")
    source.faults.append(Fault(where="changes", error=lost, after=99))
    done: list[object] = []

    def stop(event: object) -> None:
        done.append(event)
        if len([each for each in done if type(each).__name__ == "FolderDone"]) == 2:
            source.drop()

    source.after_event = stop
    with pytest.raises(ConnectionLost):
        export(source, tmp_path / "a", retry=False, single_copy=True)
    source.after_event = None
    source.faults.clear()
    source.reconnect()
    source.expunge("Archive", 2)
    report = export(source, tmp_path / "a", single_copy=True)
    assert report.resumed
    assert report.complete
    holds(tmp_path / "a", source)
    assert filenames(tmp_path / "a", "INBOX")[2] == f"../Archive/{OWNER}"


def test_an_update_that_touches_other_folders_only(tmp_path: Path) -> None:
    source = shared()
    source.create_folder("Other")
    export(source, tmp_path / "a", single_copy=True)
    source.add(mail("other"), "Other")
    export(source, tmp_path / "a")
    holds(tmp_path / "a", source)


def test_renumbered_folders_that_share(tmp_path: Path) -> None:
    source = shared()
    export(source, tmp_path / "a", single_copy=True)
    for name in ("Archive", "INBOX"):
        source.reset_uidvalidity(name)
    source.reconnect()
    report = export(source, tmp_path / "a", single_copy=True)
    assert report.totals.fetched == 0
    holds(tmp_path / "a", source)
    assert len(archive_facts.messages(tmp_path / "a")) == 4


def test_an_id_comes_back_into_the_folder_that_holds_its_file(tmp_path: Path) -> None:
    """Of sources whose file names are ids (JMAP): the shared file bears the wanted name itself."""
    capabilities = SourceCapabilities(
        removals=True, object_ids=True, flags_in_listing=True, imap_uids=False
    )

    class Jmap(MemorySource):
        """The uid of a message is the same in every mailbox."""

        def _place(self, box, message, flags):
            placement = super()._place(box, message, flags)
            number = int(message.email_id[1:])
            box.items[number] = box.items.pop(int(placement.uid))
            box.uidnext = max(box.uidnext, number + 1)
            return placement._replace(uid=str(number))

    source = Jmap(capabilities=capabilities)
    source.create_folder("Archive")
    ref = source.add(mail("one"), ["Archive", "INBOX"])
    uid = ref.placements[0].uid
    export(source, tmp_path / "a", single_copy=True)
    source.expunge("Archive", uid)
    export(source, tmp_path / "a", single_copy=True)
    holds(tmp_path / "a", source)
    source.copy("INBOX", uid, "Archive")
    report = export(source, tmp_path / "a", single_copy=True)
    assert report.complete
    assert report.totals.fetched == 0
    holds(tmp_path / "a", source)


def test_the_owner_is_renamed(tmp_path: Path) -> None:
    source = shared()
    export(source, tmp_path / "a", single_copy=True)
    for new in ("Box", "Chest"):
        source.rename_folder("Archive" if new == "Box" else "Box", new)
        report = export(source, tmp_path / "a", single_copy=True)
        assert report.totals.fetched == 0
        facts = holds(tmp_path / "a", source)
        assert not any(facts.kept.values())
        assert not export(source, tmp_path / "a", single_copy=True).published
