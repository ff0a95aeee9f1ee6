"""Octets that are here already: linked by their id, or adopted under a new uid; not fetched again.

What the source says of equal octets is tried once with the digest of the least message that it is
about, before anything is built on it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

from portarchive.archive import model
from portarchive.archive.folder_state import FolderState, split_head_any
from portarchive.archive.octets import Found, OctetIndex, relative
from portarchive.archive.writer import ArchiveWriter, Written
from portarchive.connectors.base import Source
from portarchive.errors import BodyCut
from portarchive.jobs.entries import Entries
from portarchive.jobs.folder_run import FolderRun
from portarchive.jobs.rematch import Items, Rematcher, normal
from portarchive.jobs.report import Totals
from portarchive.progress import Notice, Observer
from portarchive.records import Failure, MessageRef, Placement, Vanished

Job = tuple[MessageRef, list[Placement]]
"""A message and those of its placements that are wanted."""


class Likeness(NamedTuple):
    """What messages have in common whose octets are taken to be equal."""

    email_id: str
    size: int | None
    epoch: int | None


class Reuse:
    """For one run.

    Args:
        source: asked for single messages, to compare them with what is here.
        writer: of the archive.
        entries: make items.
        runs: by folder_id, the folders that were opened so far.
        had: told of each message that is stored without having been fetched.
        totals: counts ``linked`` and ``matched``. What is fetched to be compared only is not in it.
        observer: is told if equal ids are not equal octets.
        single_copy: octets lie once.
        same_ids: the ids are of the source that the archive was made from.
    """

    def __init__(
        self,
        source: Source,
        writer: ArchiveWriter,
        entries: Entries,
        runs: Mapping[str, FolderRun],
        had: Callable[[FolderRun, MessageRef, Placement], object],
        totals: Totals,
        observer: Observer,
        *,
        single_copy: bool,
        same_ids: bool,
    ) -> None:
        self._source = source
        self._writer = writer
        self._entries = entries
        self._runs = runs
        self._had = had
        self._totals = totals
        self._observer = observer
        self._single_copy = single_copy
        self._same_ids = same_ids
        self._octets: OctetIndex | None = None
        self._tried: dict[str, bool] = {}

    # --- equal ids ------------------------------------------------------------------------------

    def _index(self) -> OctetIndex:
        if self._octets is None:
            self._octets = OctetIndex(self._writer)
        return self._octets

    def stored(self, ref: MessageRef, ticket: int) -> None:
        """A message was fetched and stored; ``ticket``: of its item."""
        if ref.email_id is not None and self._source.capabilities.object_ids:
            self._index().add(ref.email_id, ticket)

    def forget(self, state: FolderState) -> None:
        """The uids of a folder mean something else from now on: its journal is void."""
        self._tried.pop(state.path, None)
        if self._source.capabilities.object_ids:
            self._index().forget(state)

    def likeness(self, ref: MessageRef) -> Likeness | None:
        """What another message must have, too, to be worth waiting for this one's octets."""
        if ref.email_id is None or not self._source.capabilities.object_ids:
            return None
        if not self._same_ids or self._index().trusted is False:
            return None
        return Likeness(ref.email_id, ref.size, _epoch(ref))

    def link(self, jobs: Sequence[Job]) -> list[Job]:
        """Lay down what is here already by its id; the rest is to be fetched."""
        if not jobs or not self._source.capabilities.object_ids or not self._same_ids:
            return list(jobs)
        places = [self._find(ref, wanted) for ref, wanted in jobs]
        if not self._believed(jobs, places):
            return list(jobs)
        left: list[Job] = []
        for (ref, wanted), found in zip(jobs, places, strict=True):
            if found is None:
                left.append((ref, wanted))
                continue
            for placement in wanted:
                self.lay(ref, placement, found)
        return left

    def _find(self, ref: MessageRef, wanted: Sequence[Placement]) -> Found | None:
        described = all(p.flags is not None and p.received is not None for p in wanted)
        if ref.email_id is None or not described:
            return None
        found = self._index().find(ref.email_id, ref.size, _epoch(ref))
        if found is None or ref.message_id is None:
            return found
        directory, _, filename = found.path.rpartition("/")
        items = Items(self._writer.root, directory.removeprefix(f"{model.MAIL}/"))
        return found if items.message_id(filename) == normal(ref.message_id) else None

    def _believed(self, jobs: Sequence[Job], places: Sequence[Found | None]) -> bool:
        """Whether equal ids are equal octets; False also if that cannot be found out now.

        Gmail's are taken at their word, for there each body is to be fetched once: X-GM-MSGID is
        one server's, that says what it is. EMAILIDs come from anybody who read RFC 8474.
        """
        index = self._index()
        pairs = [(found, ref) for (ref, _), found in zip(jobs, places, strict=True) if found]
        if not pairs or index.trusted is False:
            return False
        if index.trusted is None:
            found, ref = min(pairs, key=lambda pair: pair[0].known.size)
            gmail = ref.labels is not None
            index.trusted = gmail or self._confirm(ref, found.known.sha256)
        if index.trusted is False:
            self._distrust()
        return bool(index.trusted)

    def _distrust(self) -> None:
        self._index().trusted = False
        text = "the source gives one id to different messages; each message is fetched by itself"
        self._observer(Notice("email-id-reused", text))

    def _confirm(self, ref: MessageRef, sha256: str) -> bool | None:
        """Fetch a message to compare it only. None if it cannot be had."""
        verdict: bool | None = None
        for _, outcome in self._source.fetch([ref]):
            if isinstance(outcome, Failure | Vanished):
                continue
            octets = outcome.octets
            try:
                verdict = _digest(outcome.chunks() if octets is None else (octets,)) == sha256
            except BodyCut:
                continue  # the source brings it once more
        return verdict

    def lay(self, ref: MessageRef, placement: Placement, found: Found) -> None:
        """One more placement of octets that are here."""
        run = self._runs[placement.folder_id]
        state = run.state
        entry = self._entries.entry(ref, placement)
        directory = PurePosixPath(model.MAIL, state.path)
        name = relative(found, str(directory))
        # Within one folder every UID has its own file: a second one gets a hard link.
        if self._single_copy and state.claim(name, self._writer.journal):
            state.shares = True
            self._writer.refer(state, entry, found.known._replace(filename=name))
        else:
            self._writer.link(
                state,
                self._entries.filename(state, placement.uid),
                entry,
                self._writer.root / found.path,
                found.known,
            )
        self._totals.linked += 1
        self._had(run, ref, placement)

    # --- new uids -------------------------------------------------------------------------------

    def adopt(self, jobs: list[Job]) -> list[Job]:
        """In renumbered folders, old items take new uids; the rest is to be fetched."""
        for folder_id in {placement.folder_id for _, wanted in jobs for placement in wanted}:
            run = self._runs[folder_id]
            if run.state.renumbered:
                jobs = self._adopt_in(run, jobs)
        return jobs

    def _adopt_in(self, run: FolderRun, jobs: list[Job]) -> list[Job]:
        self._writer.flush()
        state = run.state
        adopted = set(state.new_filenames(self._writer.journal))

        def lines() -> Iterator[bytes]:
            return (line for line in state.published_lines() if split_head_any(line) not in adopted)

        matcher = Rematcher(self._writer.root, state.path, lines, ids=self._same_ids)
        folder_id = run.folder.folder_id
        mine = [
            ref if len(ref.placements) == 1 else ref._replace(placements=(placement,))
            for ref, wanted in jobs
            for placement in wanted
            if placement.folder_id == folder_id
        ]
        if not self._plausible(run, matcher, mine):
            return jobs
        found: set[str] = set()
        for ref, old in matcher.match(mine):
            placement = ref.placements[0]
            entry = self._entries.adopted(ref, placement, old)
            known = Written(str(old["filename"]), int(old[model.SIZE]), str(old[model.SHA256]))
            self._writer.refer(state, entry, known)
            self._had(run, ref, placement)
            self._totals.matched += 1
            found.add(placement.uid)
        left: list[Job] = []
        for ref, wanted in jobs:
            rest = [p for p in wanted if p.folder_id != folder_id or p.uid not in found]
            if rest:
                left.append((ref, rest))
        return left

    def _plausible(self, run: FolderRun, matcher: Rematcher, refs: Sequence[MessageRef]) -> bool:
        """Whether what matches may be adopted.

        A source that renumbers and says so is believed. One that has other messages under a
        UIDVALIDITY that stayed the same broke its word once: the least message that matches is
        compared, octet for octet.
        """
        state = run.state
        published = state.published.header.get("uidvalidity") if state.published else None
        if published != run.opened.uidvalidity:
            return True
        if state.path not in self._tried:
            matches = matcher.match(refs)
            least = min(matches, key=lambda pair: int(pair[1][model.SIZE]), default=None)
            if least is None:
                return True
            ref, old = least
            same = self._confirm(ref, str(old[model.SHA256]))
            if same is False and old.get(model.EMAIL_ID, ref) == ref.email_id:
                self._distrust()
            self._tried[state.path] = bool(same)
        return self._tried[state.path]


def _epoch(ref: MessageRef) -> int | None:
    received = ref.placements[0].received
    return None if received is None else received.epoch


def _digest(chunks: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()
