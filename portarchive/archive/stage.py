"""Staging: every folder.json and manifest-sha256.txt as they are to be, from what the run found.

One pass over the folders in path order, each merged line by line from its published folder.json
and the journal. Nothing here is in memory longer than a line, but the digests of what was lost.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from portarchive.archive import folder_header, model
from portarchive.archive.digests import DigestBlocks, DigestsWriter, file_sha256
from portarchive.archive.folder_file import FolderFile, FolderFileWriter, parse_entry
from portarchive.archive.folder_state import (
    FolderState,
    StillItems,
    line_sha256,
    split_head,
    split_head_any,
)
from portarchive.archive.naming import resolve_item
from portarchive.archive.publish import Staging
from portarchive.archive.writer import ArchiveWriter
from portarchive.errors import Damaged

_RELATIVE = b'"filename":"../'


@dataclass(frozen=True, slots=True)
class KeepPolicy:
    """What becomes of messages that the source no longer has.

    Attributes:
        mirror: nothing is kept.
        drafts: drafts are kept too.
        all_of: paths of folders whose loss is doubted: there drafts are kept in any case.
        expunged_at: RFC 3339, UTC.
    """

    mirror: bool
    drafts: bool
    expunged_at: str
    all_of: frozenset[str] = frozenset()


@dataclass(slots=True)
class FolderCounts:
    """What a folder holds after the run."""

    kept: int = 0
    newly_kept: int = 0


@dataclass(slots=True)
class Staged:
    """The result.

    Attributes:
        staging: what ``publish`` is to be given.
        changed: whether any folder.json differs from the published one.
        counts: by path; only of folders that were written anew.
        digests: path, sha256, bytes and count of manifest-sha256.txt.
    """

    staging: Staging
    changed: bool = False
    counts: dict[str, FolderCounts] = field(default_factory=dict)
    digests: dict[str, Any] = field(default_factory=dict)


def is_draft(state: FolderState, flags: bytes) -> bool:
    """Whether an item is a draft: by its keyword, or by the role of its folder."""
    if b'"$draft"' in flags.lower():
        return True
    # As it was when the message was an item: its place may belong to another mailbox now.
    header = state.published.header if state.published else state.header or {}
    roles = header.get(model.ROLE)
    return "drafts" in (roles if isinstance(roles, list) else [roles])


class Stager:
    """Stages one state of an archive. ``run`` once."""

    def __init__(self, writer: ArchiveWriter, policy: KeepPolicy) -> None:
        self._writer = writer
        self._policy = policy
        self._root = writer.root
        self._states = sorted(
            (s for s in writer.folders() if s.published or s.header is not None),
            key=lambda s: s.path.encode(),
        )
        folder_header.settle_ids(self._states)
        self._single = False
        self._blocks: DigestBlocks | None = None
        self._out = Staged(Staging(self._root / model.PRIVATE_DIR))
        self._still = StillItems((), None)
        self._foreign: dict[str, str] = {}
        self._protected: set[str] = set()
        self._drops: set[str] = set()

    def run(self) -> Staged:
        """Write the staged files.

        Raises:
            Damaged: a published folder.json is torn, or is not the one that was published.
            OSError: local storage failed.
        """
        self._single = any(s.shares or _has_relative(s) for s in self._states)
        self._still = StillItems(self._states, self._writer.journal)
        if self._single:
            self._find_shared()
        old = self._root / model.DIGESTS_FILE
        blocks = DigestBlocks(old) if self._writer.published and old.exists() else None
        self._blocks = blocks
        digests = DigestsWriter(self._out.staging.place(model.DIGESTS_FILE))
        try:
            self._write(digests, blocks)
        except BaseException:
            digests.abandon()
            raise
        digests.close()
        self._out.digests = {
            "path": model.DIGESTS_FILE,
            "sha256": digests.sha256,
            "bytes": digests.size,
            "count": digests.count,
        }
        self._out.staging.drops = sorted(self._drops)
        return self._out

    def _write(self, digests: DigestsWriter, blocks: DigestBlocks | None) -> None:
        for state in self._states:
            if state.moved and state.header is None:
                self._leave(state, digests)
            elif (
                self._touches(state)
                or self._single
                or blocks is None
                or not blocks.copy(_directory(state), digests)
            ):
                self._folder(state, digests)
        for path, sha256 in sorted(self._foreign.items()):
            digests.line(sha256, path)
        if blocks is not None:
            mail = {_directory(state) for state in self._states}
            for directory in blocks.spans:
                if directory not in mail and directory.split("/")[0] != model.MAIL:
                    blocks.copy(directory, digests)

    def touches_anything(self) -> bool:
        """Whether any folder.json may differ from the published one."""
        return any(map(self._touches, self._states))

    def _touches(self, state: FolderState) -> bool:
        return state.header is not None or state.changed or state.moved or self._purges(state)

    def _purges(self, state: FolderState) -> bool:
        if not self._policy.mirror or state.published is None:
            return False
        return next(state.published_lines(model.KEPT), None) is not None

    # --- what was lost, what only moved ---------------------------------------------------------

    def _lost(self, state: FolderState) -> Iterator[bytes]:
        return state.lost_lines(self._writer.journal)

    def _find_shared(self) -> None:
        """Files that an entry of another folder names (``--single-copy``), and their digests."""
        lost = {
            resolve_item(_directory(state), filename)
            for state in self._states
            for filename in map(split_head_any, self._lost(state))
            if "/" in filename
        }
        for state in self._states:
            directory = _directory(state)
            for line in self._all_entries(state):
                filename = split_head_any(line)
                if "/" in filename:
                    path = resolve_item(_directory(state), filename)
                    self._foreign[path] = line_sha256(line).decode()
                elif lost and (path := f"{directory}/{filename}") in lost:
                    self._protected.add(path)
        self._protected.update(self._foreign)
        self._drops.clear()

    def _all_entries(self, state: FolderState) -> Iterator[bytes]:
        yield from state.merged_items(self._writer.journal)
        yield from self._kept(state, FolderCounts())

    def _kept(self, state: FolderState, counts: FolderCounts) -> Iterator[bytes]:
        """The entries of ``portarchive:kept`` as they are to be."""
        if state.moved:
            self._drop_all(state)
            return
        for line in (state.inherits or state).published_lines(model.KEPT):
            if self._policy.mirror and state.held is None:
                self._drop(state, split_head_any(line))
            else:
                counts.kept += 1
                yield line
        for line in self._lost(state):
            _, filename, flags = split_head(line)
            if (
                self._policy.mirror
                or self._still.has(line)
                or (is_draft(state, flags) and not self._keeps_drafts(state))
            ):
                self._drop(state, filename)
                continue
            counts.kept += 1
            counts.newly_kept += 1
            entry = parse_entry(line)
            entry[model.EXPUNGED_AT] = self._policy.expunged_at
            yield model.dumps(entry).encode()

    def _keeps_drafts(self, state: FolderState) -> bool:
        return self._policy.drafts or state.path in self._policy.all_of

    def _leave(self, state: FolderState, digests: DigestsWriter) -> None:
        """The directory of a renamed mailbox: nothing of it stays but what others refer to."""
        directory = _directory(state)
        header: dict[str, Any] = {}
        if state.published is not None:
            self._published_sha256(state.published)
            header = state.published.header
        self._drop_all(state)
        self._out.changed = True
        if any(path.rpartition("/")[0] == directory for path in self._protected):
            # Its MAILBOXID is another folder's now.
            left = {**header, "uid": state.path}
            state.header = folder_header.gone(left, self._policy.expunged_at)
            self._folder(state, digests)
        else:
            self._drops.add(f"{directory}/{model.FOLDER_FILE}")

    def _drop_all(self, state: FolderState) -> None:
        if state.published is not None:
            for _, line in state.published.all_lines():
                filename = split_head_any(line)
                if "/" not in filename:
                    self._drop(state, filename)

    def _drop(self, state: FolderState, filename: str) -> None:
        path = resolve_item(_directory(state), filename)
        if path not in self._protected:
            self._drops.add(path)

    # --- one folder -----------------------------------------------------------------------------

    def _folder(self, state: FolderState, digests: DigestsWriter) -> None:
        counts = self._out.counts[state.path] = FolderCounts()
        directory = _directory(state)
        final = f"{directory}/{model.FOLDER_FILE}"
        header = state.header if state.header is not None else {}
        if state.header is None and state.published is not None:
            header = state.published.header
        file = FolderFileWriter(self._out.staging.place(final), header)
        try:
            items = state.merged_items(self._writer.journal)
            file.entries(self._listed(items, directory, digests))
            for member, lines in (
                (model.KEPT, self._kept(state, counts)),
                (model.PLACEHOLDER, self._placeholders(state)),
            ):
                first = next(lines, None)
                if first is not None:
                    file.section(member)
                    file.entries(self._listed(chain((first,), lines), directory, digests))
            file.close()
        except BaseException:
            file.abandon()
            raise
        digests.line(file.sha256, final)
        if state.published is not None and self._published_sha256(state.published) == file.sha256:
            self._out.staging.withdraw()
        else:
            self._out.changed = True

    def _published_sha256(self, file: FolderFile) -> str:
        """The digest of a published folder.json, if it is the one that was published.

        Raises:
            Damaged: it is another one, and what comes of it would look sound.
        """
        sha256, _ = file_sha256(file.path)
        directory = file.path.parent.relative_to(self._root).as_posix()
        if self._blocks is not None:
            named = self._blocks.folder_files.get(directory, sha256)
            if named.lower() != sha256:
                raise Damaged(
                    f"{file.name} is not the one that {model.DIGESTS_FILE} names",
                    hint="get this file back from a copy, or export into a new directory",
                    code="digest-mismatch",
                )
        return sha256

    def _listed(
        self, lines: Iterable[bytes], directory: str, digests: DigestsWriter
    ) -> Iterator[bytes]:
        """The same lines; their files get their line in the manifest."""
        foreign = self._foreign
        for line in lines:
            filename = split_head_any(line)
            if "/" not in filename:
                path = f"{directory}/{filename}"
                digests.line(line_sha256(line).decode() or self._digest(path), path)
                if foreign:
                    foreign.pop(path, None)
            yield line

    def _digest(self, path: str) -> str:
        return file_sha256(self._root / path)[0]

    def _placeholders(self, state: FolderState) -> Iterator[bytes]:
        """Those still standing in for a message that is not had."""
        if state.moved:
            return
        if state.held is not None:
            yield from state.published_lines(model.PLACEHOLDER)
            return
        journal = self._writer.journal
        lines = list((state.inherits or state).published_lines(model.PLACEHOLDER))
        old = len(lines)
        if journal is not None:
            lines += [journal.line(offset) for offset in state.placeholder_offsets]
        standing: dict[str, bytes] = {}
        for number, line in enumerate(lines):
            uid = str(parse_entry(line)["uid"])
            if uid not in state.drop_placeholders and not (number < old and state.renumbered):
                standing[uid] = line  # the latest words take the place of earlier ones
        yield from standing.values()
        files = set(map(split_head_any, standing.values()))
        for filename in map(split_head_any, lines):
            if filename not in files:
                self._drop(state, filename)


def _directory(state: FolderState) -> str:
    return f"{model.MAIL}/{state.path}"


def _has_relative(state: FolderState) -> bool:
    """Whether a published folder.json names a file of another folder (``--single-copy``)."""
    if state.published is None:
        return False
    with state.published.path.open("rb") as file:
        size = file.seek(0, 2)
        if size == 0:
            return False
        with mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as text:
            return text.find(_RELATIVE) >= 0
