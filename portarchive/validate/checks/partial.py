"""A partial archive against the full one that it updates (draft §4.2; format: partial archives)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from portarchive.archive.dialect import METADATA_FILES, has_maps, items_of_maps
from portarchive.archive.tree import BadMemberError, Limits, Stream, Tree, open_tree
from portarchive.archive.tree_listing import Listing
from portarchive.errors import ArchiveError
from portarchive.validate.checks.flags import likeness
from portarchive.validate.checks.folders import KEPT_MEMBERS, small
from portarchive.validate.checks.items import resolve
from portarchive.validate.ijson import Document, Entry, Member
from portarchive.validate.root import descend
from portarchive.validate.run import FOLDER_FILE, MAIL, FolderFacts, Run

_READ = KEPT_MEMBERS | {"uids", "flags"}


class _Base:
    """What has to be known of the base; its own defects are its own report's matter.

    Attributes:
        metadata: archive.json; None if it cannot be read.
        folders: by directory, mail only.
        listing: its files, from the root of the archive.
    """

    def __init__(self, path: Path, limits: Limits) -> None:
        """Raises ArchiveError, BadMemberError, OSError where there is none."""
        self._limits = limits
        self.metadata: Any = None
        self.folders: dict[str, FolderFacts] = {}
        with closing(open_tree(path, limits)) as tree:
            self.listing = Listing.of(tree, limits)
            if not self.listing.fatal:
                inside = descend(self.listing) if tree.kind != "directory" else ""
                self._read(tree, f"{inside}/" if inside else "")

    def _read(self, tree: Tree, prefix: str) -> None:
        for name, stream in _documents(tree, self.listing, prefix):
            if name in METADATA_FILES:
                if self.metadata is None or name == METADATA_FILES[0]:
                    self.metadata = Document(stream, self._limits, _ignore).whole()
            else:
                self._folder(name.removesuffix(f"/{FOLDER_FILE}"), stream)

    def section(self, name: str) -> dict[str, Any]:
        value = self.metadata.get(name) if isinstance(self.metadata, dict) else None
        return value if isinstance(value, dict) else {}

    def _folder(self, directory: str, stream: Stream) -> None:
        facts = self.folders[directory] = FolderFacts(directory, {})
        header: dict[str, Any] = {}
        document = Document(stream, self._limits, _ignore)
        for part in document.parts(("items",)):
            if isinstance(part, Entry):
                _remember(facts, part.value)
            elif isinstance(part, Member) and part.name in _READ:
                header[part.name] = part.value
        facts.broken = document.broken or not document.is_object
        if has_maps(header, has_items=bool(facts.uids)):
            for item in items_of_maps(header):
                _remember(facts, item)
        facts.header = {name: small(header[name]) for name in KEPT_MEMBERS & header.keys()}


def _ignore(defect: object) -> None:
    del defect


def _remember(facts: FolderFacts, item: Any) -> None:
    if isinstance(item, dict) and isinstance(item.get("filename"), str):
        facts.uids[str(item.get("uid"))] = (item["filename"], likeness(item))


def _documents(tree: Tree, listing: Listing, prefix: str) -> Iterator[tuple[str, Stream]]:
    """archive.json and the folder.json files of mail, by their paths in the archive."""

    def wanted(path: str) -> bool:
        return path in METADATA_FILES or (
            path.startswith(f"{MAIL}/") and path.endswith(f"/{FOLDER_FILE}")
        )

    if not tree.random_access:

        def named(name: str) -> bool:
            return name.startswith(prefix) and wanted(name.removeprefix(prefix))

        for name, stream in tree.stream(named):
            if named(name):
                yield name.removeprefix(prefix), stream
        return
    for path, file in listing.files():
        if wanted(path):
            with closing(tree.open(prefix + path, file.place)) as stream:
                yield path, stream


def check_base(run: Run, path: Path) -> None:
    """The archive against its base."""
    report = run.report
    try:
        base = _Base(path, run.limits)
    except (ArchiveError, BadMemberError, OSError) as error:
        report.add("F-062", "", "", f"the base cannot be read: {error}")
        return
    if not base.section("archive"):
        report.add("F-062", "", "", "the base has no archive.json that can be read")
        return
    _check_paths(run, base)
    if not run.partial:
        report.add("F-068")
        return
    if str(base.section("dataset").get("extent", "FULL")).upper() != "FULL":
        report.add("F-062", "", "", "the base is a partial archive itself")
    wanted = run.section("dataset").get("portarchive:base_id")
    told = run.verdict(run.metadata_file).has("/dataset/portarchive:base_id")
    if wanted is not None and not told and wanted != base.section("archive").get("id"):
        report.add("F-061", run.metadata_file, "/dataset/portarchive:base_id")
        return
    by_uid = {facts.uid: facts for facts in base.folders.values() if facts.uid}
    for directory, facts in run.folders.items():
        if facts.is_mail:
            old = by_uid.get(facts.uid or "") or base.folders.get(directory)
            _check_folder(run, base, facts, old)


def _check_paths(run: Run, base: _Base) -> None:
    """P-051: a path that another algorithm made; a folder that was renamed or moved has a new one.

    The uid of the folder that it lies in is compared too, where that is known.
    """
    paths = {facts.uid: directory for directory, facts in base.folders.items() if facts.uid}
    for directory, facts in run.folders.items():
        old = paths.get(facts.uid or "")
        if old is None or old == directory or not facts.is_mail:
            continue
        was = base.folders[old].header
        same_name = _own_name(facts.header) == _own_name(was)
        if same_name and _parent(run, base, directory) == _parent(None, base, old):
            run.report.add("P-051", f"{directory}/{FOLDER_FILE}", "", f"it was {old!a}")


def _own_name(header: dict[str, Any]) -> Any:
    return header.get("original_name", header.get("name"))


def _parent(run: Run | None, base: _Base, directory: str) -> str:
    """The uid of the folder that a directory lies in; its path if it has none."""
    parent = directory.rpartition("/")[0]
    for folders in (run.folders if run is not None else {}, base.folders):
        if parent in folders:
            return folders[parent].uid or parent
    return parent


def _check_folder(run: Run, base: _Base, facts: FolderFacts, old: FolderFacts | None) -> None:
    add = run.report.add
    path = f"{facts.directory}/{FOLDER_FILE}"
    if old is None:
        if facts.header.get("deleted_at"):
            add("F-067", path, "/deleted_at")
        for index, uid in facts.removed:
            add("F-064", path, f"/removed/{index}", f"uid {uid[:60]!a}")
        _check_files(run, base, facts, None)
        return
    if old.broken:
        add("F-075", path, "", f"of {old.directory!a} in the base")
        _check_files(run, base, facts, old)
        return
    now, then = facts.header.get("uidvalidity"), old.header.get("uidvalidity")
    if now is not None and then is not None and now != then:
        add("F-063", path, "/uidvalidity")
        return
    for index, uid in facts.removed:
        if uid not in old.uids:
            add("F-064", path, f"/removed/{index}", f"uid {uid[:60]!a}")
    for uid, told in facts.uids.items():
        if old.uids.get(uid) == told:
            add("F-066", path, "/items", f"uid {uid[:60]!a}")
    _check_names(run, base, facts, old)
    _check_files(run, base, facts, old)


def _check_names(run: Run, base: _Base, facts: FolderFacts, old: FolderFacts) -> None:
    """F-076, F-077: an item keeps its file name for life, and no other item gets it meanwhile."""
    add = run.report.add
    removed = {uid for _, uid in facts.removed}
    owners = {
        resolve(old.directory, filename): uid
        for uid, (filename, _) in old.uids.items()
        if uid not in removed
    }
    for uid, (filename, _) in facts.uids.items():
        path, here = resolve(old.directory, filename), resolve(facts.directory, filename)
        if path is None or here is None:
            continue
        owner, file = owners.get(path), run.listing.file(here)
        if owner == uid:
            before = base.listing.file(path)
            if file is not None and before is not None and file.size != before.size:
                text = f"uid {uid[:60]!a}: {file.size:,} octets, it had {before.size:,}"
                add("F-077", facts.file, "/items", text)
        elif owner is not None:
            text = f"uid {uid[:60]!a} has the file of uid {owner[:60]!a}"
            add("F-076", facts.file, "/items", text)
        elif uid in old.uids and file is not None:
            text = f"uid {uid[:60]!a}: it was {old.uids[uid][0][:120]!a}"
            add("F-077", facts.file, "/items", text)


def _check_files(run: Run, base: _Base, facts: FolderFacts, old: FolderFacts | None) -> None:
    """C-111: an item's file is neither here nor in the base, under the same name."""
    directories = {facts.directory, old.directory} if old is not None else {facts.directory}
    for filename, _ in facts.uids.values():
        path = resolve(facts.directory, filename)
        if path is None or run.listing.file(path) is not None:
            continue  # the first is C-035
        there = (resolve(directory, filename) for directory in directories)
        if all(one is None or base.listing.file(one) is None for one in there):
            text = f"{filename[:120]!a} is neither here nor in the base"
            run.report.add("C-111", facts.file, "/items", text)
