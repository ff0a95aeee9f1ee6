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
from portarchive.validate.ijson import Document, Entry, Member
from portarchive.validate.run import FOLDER_FILE, MAIL, FolderFacts, Run


class _Base:
    """What has to be known of the base; its own defects are its own report's matter."""

    def __init__(self, path: Path, limits: Limits) -> None:
        """Raises ArchiveError, BadMemberError, OSError where there is none."""
        self._limits = limits
        self.metadata: Any = None
        self.folders: dict[str, FolderFacts] = {}
        with closing(open_tree(path, limits)) as tree:
            self._read(tree, limits)

    def _read(self, tree: Tree, limits: Limits) -> None:
        listing = Listing.of(tree, limits)
        if listing.fatal:
            return
        for name, stream in _documents(tree, listing):
            if name in METADATA_FILES:
                if self.metadata is None or name == METADATA_FILES[0]:
                    self.metadata = Document(stream, limits, _ignore).whole()
            else:
                self._folder(name.removesuffix(f"/{FOLDER_FILE}"), stream)

    def section(self, name: str) -> dict[str, Any]:
        value = self.metadata.get(name) if isinstance(self.metadata, dict) else None
        return value if isinstance(value, dict) else {}

    def _folder(self, directory: str, stream: Stream) -> None:
        facts = self.folders[directory] = FolderFacts(directory, {})
        items: list[Any] = []
        for part in Document(stream, self._limits, _ignore).parts(("items",)):
            if isinstance(part, Entry):
                _remember(facts, part.value)
            elif isinstance(part, Member):
                facts.header[part.name] = part.value
        if has_maps(facts.header, has_items=bool(facts.uids)):
            items = items_of_maps(facts.header)
        for item in items:
            _remember(facts, item)


def _ignore(defect: object) -> None:
    del defect


def _remember(facts: FolderFacts, item: Any) -> None:
    if isinstance(item, dict) and isinstance(item.get("filename"), str):
        flags = item.get("flags")
        told = frozenset(map(str, flags)) if isinstance(flags, list) else None
        facts.uids[str(item.get("uid"))] = (item["filename"], told)


def _documents(tree: Tree, listing: Listing) -> Iterator[tuple[str, Stream]]:
    """archive.json and the folder.json files of mail."""

    def wanted(path: str) -> bool:
        return path in METADATA_FILES or (
            path.startswith(f"{MAIL}/") and path.endswith(f"/{FOLDER_FILE}")
        )

    if not tree.random_access:
        yield from ((path, stream) for path, stream in tree.stream() if wanted(path))
        return
    for path, file in listing.files():
        if wanted(path):
            with closing(tree.open(path, file.place)) as stream:
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
    if wanted is not None and wanted != base.section("archive").get("id"):
        report.add("F-061", run.metadata_file, "/dataset/portarchive:base_id")
        return
    by_uid = {facts.uid: facts for facts in base.folders.values() if facts.uid}
    for directory, facts in run.folders.items():
        if facts.is_mail:
            old = by_uid.get(facts.uid or "") or base.folders.get(directory)
            _check_folder(run, facts, old)


def _check_paths(run: Run, base: _Base) -> None:
    paths = {facts.uid: directory for directory, facts in base.folders.items() if facts.uid}
    for directory, facts in run.folders.items():
        if facts.uid in paths and paths[facts.uid] != directory:
            text = f"it was {paths[facts.uid]!a}"
            run.report.add("P-051", f"{directory}/{FOLDER_FILE}", "", text)


def _check_folder(run: Run, facts: FolderFacts, old: FolderFacts | None) -> None:
    add = run.report.add
    path = f"{facts.directory}/{FOLDER_FILE}"
    if old is None:
        if facts.header.get("deleted_at"):
            add("F-067", path, "/deleted_at")
        for index, uid in enumerate(facts.removed):
            add("F-064", path, f"/removed/{index}", f"uid {uid[:60]!a}")
        _check_files(run, facts, None)
        return
    now, then = facts.header.get("uidvalidity"), old.header.get("uidvalidity")
    if now is not None and then is not None and now != then:
        add("F-063", path, "/uidvalidity")
        return
    for index, uid in enumerate(facts.removed):
        if uid not in old.uids:
            add("F-064", path, f"/removed/{index}", f"uid {uid[:60]!a}")
    for uid, told in facts.uids.items():
        if old.uids.get(uid) == told:
            add("F-066", path, "/items", f"uid {uid[:60]!a}")
    _check_files(run, facts, old)


def _check_files(run: Run, facts: FolderFacts, old: FolderFacts | None) -> None:
    """C-111: an item's file is neither here nor, for an item of the base, there."""
    here = run.listing.directories.get(facts.directory, {})
    for uid, (filename, _) in facts.uids.items():
        known = old is not None and uid in old.uids
        if not known and "/" not in filename and filename not in here:
            text = f"{filename[:120]!a} is neither here nor in the base"
            run.report.add("C-111", f"{facts.directory}/{FOLDER_FILE}", "/items", text)
