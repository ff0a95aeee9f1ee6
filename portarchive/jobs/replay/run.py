"""Import: an archive is placed on a target. The orchestrator: maps, makes, matches, places, checks.

A plan is the same run without the placing.
"""

from __future__ import annotations

import dataclasses
import functools
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from portarchive import keywords
from portarchive.archive.contents import ContentFolder, Contents
from portarchive.connectors.base import Target
from portarchive.errors import ArchiveError, ConnectorError, SettingsError
from portarchive.jobs.replay.deliver import NO_FLAGS, Courier
from portarchive.jobs.replay.elsewhere import Elsewhere, holdings
from portarchive.jobs.replay.expected import expected
from portarchive.jobs.replay.folders import FolderPlan, Mapper
from portarchive.jobs.replay.gather import Gatherer, as_record, not_brought
from portarchive.jobs.replay.ledger import Entry, Ledger
from portarchive.jobs.replay.mailboxes import IMAGINED, imagine, make
from portarchive.jobs.replay.match import Matcher, Round, changes_instant
from portarchive.jobs.replay.options import ImportOptions
from portarchive.jobs.replay.owners import Owners
from portarchive.jobs.replay.pieces import Piece, Print, State, look_at
from portarchive.jobs.replay.policies import Policies
from portarchive.jobs.replay.report import FolderReport, ImportReport, add_tally, folder_reports
from portarchive.jobs.replay.seek import Seeker
from portarchive.jobs.replay.survey import Box, survey
from portarchive.jobs.replay.target_lock import TargetLock
from portarchive.jobs.replay.verify import Checker, entry_of
from portarchive.placing import Alteration
from portarchive.progress import (
    Connected,
    Delivered,
    Event,
    FoldersFound,
    Notice,
    Observer,
    Passed,
    Waiting,
)
from portarchive.records import SourceIdentity

PORTION: Final = 4000
"""Messages that are placed before they are read back, the last time up to half as many more: what
a crash costs is to read so many."""


def run_import(
    contents: Contents,
    target: Target,
    options: ImportOptions,
    observer: Observer,
    *,
    archive: Path,
    state: Path | None = None,
    sleep: Callable[[float], object] = time.sleep,
) -> ImportReport:
    """Place what the archive has and the target lacks.

    Args:
        contents: the archive; it is only read.
        target: where to.
        options: what the user asked for.
        observer: is told what happens.
        archive: where it lies, for the report.
        state: the user's state directory, for the ledger; None to remember nothing.
        sleep: waits so many seconds.

    Raises:
        SettingsError: the selection matches no folder.
        Locked: another import into this account is running.
        ConnectorError: the target is lost; the same call goes on where it stopped.
    """
    return _Run(contents, target, options, observer, archive, state, sleep).run()


class _Run:
    def __init__(
        self,
        contents: Contents,
        target: Target,
        options: ImportOptions,
        observer: Observer,
        archive: Path,
        state: Path | None,
        sleep: Callable[[float], object],
    ) -> None:
        self._contents = contents
        self._target = target
        self._options = options
        self._observer = observer
        self._state = state
        self._identity = target.identity()
        self.report = ImportReport(
            str(archive), contents.archive_id, options.dry_run, self._identity
        )
        self._matcher = Matcher(
            target,
            self._print,
            lambda piece: contents.chunks(piece.item, verify=False),
            same_ids=same_ids(contents, self._identity),
            strict=options.strict_match,
        )
        self._sleep = sleep
        self._seeker = Seeker(target, self._matcher, self._pause)
        self._courier = Courier(contents, target, self._told, self._seeker)
        self._checker = Checker(target, self._matcher, self._courier, options)
        self._mailbox_ids: dict[str, str | None] = {}
        self._since_told = Counter[str]()
        self._octets_told = Counter[str]()

    def _pause(self, seconds: float) -> None:
        self._say(Waiting(seconds, "the server may still store what it did not answer"))
        self._sleep(seconds)

    def _say(self, event: Event) -> None:
        if isinstance(event, Notice):
            self.report.notices.append(dataclasses.asdict(event))
        self._observer(event)

    def run(self) -> ImportReport:
        identity = self._identity
        product = " ".join(filter(None, map(identity.server.get, ("name", "version"))))
        self._say(Connected(identity.service, identity.account, product))
        for quirk in self._contents.quirks:
            self._say(Notice("quirk", f"the archive is read with the tolerance {quirk}", "note"))
        folders = self._chosen()
        dry = self._options.dry_run
        with TargetLock(self._target, identity, self._state, write=not dry) as lock:
            self._replay(folders, lock)
        return self.report

    def _replay(self, folders: Sequence[ContentFolder], lock: TargetLock) -> None:
        if not lock.sure:
            text = "nothing keeps a second import out: no lock can be had on this machine"
            self._say(Notice("not-locked", text))
        listed = self._target.folders()
        self._mailbox_ids = {folder.folder_id: folder.uid for folder in listed}
        holds = holdings(self._contents, self._target)
        mapper = Mapper(listed, self._target.capabilities, self._options.into, holds)
        every = mapper.plan([each for each in self._contents.folders() if each.names])
        chosen = {folder.path for folder in folders}
        plans = [plan for plan in every if plan.folder and plan.folder.path in chosen]
        dry = self._options.dry_run
        with Ledger(self._state, self._identity, write=not dry) as ledger:
            trash = mapper.trash(every) if self._options.deleted == "trash" else None
            names = self._target.capabilities.names
            made = imagine(plans, trash, names) if dry else make(self._target, plans)
            self.report.folders = list((reports := folder_reports(plans)).values())
            for report in self.report.folders:
                report.created = report.path in made
            self._work(plans, trash, reports, ledger, every)

    def _chosen(self) -> list[ContentFolder]:
        selection = self._options.selection
        every = self._contents.folders()
        chosen = [folder for folder in every if selection.wants_folder(as_record(folder))]
        for pattern in selection.unmatched([as_record(folder) for folder in every]):
            raise SettingsError(
                f"the archive has no folder {pattern}",
                hint="portarchive ls ARCHIVE shows its folders",
            )
        return [
            folder for folder in chosen if folder.names and (not folder.gone or self._has(folder))
        ]

    def _has(self, folder: ContentFolder) -> bool:
        """A folder that the source lost is made only for what is brought of it."""
        if not self._options.include_kept:
            return False
        return next(iter(self._contents.items(folder, kept=True)), None) is not None

    # --- messages -------------------------------------------------------------------------------

    def _work(
        self,
        plans: Sequence[FolderPlan],
        trash: FolderPlan | None,
        reports: Mapping[str, FolderReport],
        ledger: Ledger,
        every: Sequence[FolderPlan],
    ) -> None:
        policies = Policies(
            self._options,
            same_provider=same_service(self._contents.service, self._identity.service),
            jmap=self._identity.protocol == "jmap",
        )
        gatherer = Gatherer(
            self._contents,
            plans,
            trash,
            policies,
            self._options,
            make=lambda plan: self._make_late(plan, reports),
            whole=self._target.capabilities.memberships,
            ids=same_ids(self._contents, self._identity),
        )
        self._say(
            FoldersFound(len(plans), expected(self._contents, plans, self._options.selection))
        )
        owners = Owners(
            self._contents, every, plans, self._options, policies, self._matcher, ledger
        )
        elsewhere = self._elsewhere = Elsewhere(self._target, [*plans, trash], owners)
        for group in gatherer.groups():
            paths = {plan.folder_id: plan.path for plan in (*plans, *([trash] if trash else []))}
            if self._courier.full:
                for piece in group:
                    if piece.state is State.OPEN:
                        piece.fail("over-quota", "not looked for: the account is full")
            else:
                try:
                    self._group(group, paths, ledger)
                except ConnectorError:
                    self._accuse()
                    raise
            for piece in group:
                if not elsewhere.holds(piece):
                    reports[piece.folder.path].take(piece)
        if held := elsewhere.release():
            paths = {plan.folder_id: plan.path for plan in (*plans, *([trash] if trash else []))}
            try:
                self._last(held, paths, ledger)
            except ConnectorError:
                self._accuse()
                raise
            for piece in held:
                reports[piece.folder.path].take(piece)
        elsewhere.tell(reports)
        for piece in self._seeker.stored_late():
            reports[piece.folder.path].stored_late(piece)
        if self._courier.full:
            self.report.ended = "over-quota"
        self._flush_told()
        for path, report in reports.items():
            add_tally(report, gatherer.tallies[path])
        self._keywords_lost(plans, reports)
        self.report.unmatched = sorted(gatherer.unmatched)
        self.report.deleted_there = gatherer.deleted_there()
        for notice in not_brought(self.report.unmatched, self.report.deleted_there):
            self._say(notice)
        counts = {path: tally.items for path, tally in gatherer.tallies.items()}
        if unnamed := self._contents.unnamed(counts):
            files = "file" if unnamed == 1 else "files"
            self._say(Notice("unnamed-files", f"{unnamed:,} {files} of mail that no folder names"))
        self.report.copies = gatherer.copies
        self.report.headers_read = self._matcher.headers_read
        self.report.bodies_read = self._matcher.bodies_read
        self.report.read_back = self._checker.read_back

    def _accuse(self) -> None:
        """Name what may have ended the run."""
        for piece in self._courier.accused:
            text = f"{piece.member} was sent alone, and the connection broke"
            self._say(Notice("connection-lost", text))

    def _make_late(self, plan: FolderPlan, reports: Mapping[str, FolderReport]) -> None:
        """A mailbox that was not to be made unless something goes there."""
        made = make(self._target, [plan])
        report = reports.get(plan.folder.path) if plan.folder is not None else None
        if plan.folder is not None and report is not None:
            report.target, report.created = plan.path, plan.folder.path in made

    def _group(
        self, group: Sequence[Piece], paths: Mapping[str, tuple[str, ...]], ledger: Ledger
    ) -> None:
        todo = [piece for piece in group if piece.state is State.OPEN]
        by_folder: dict[str, list[Piece]] = defaultdict(list)
        for piece in todo:
            by_folder[piece.folder_id].append(piece)
        there = [key for key in by_folder if key and not key.startswith(IMAGINED)]
        boxes = survey(self._target, there)
        entries: list[Entry] = []
        for folder_id, pieces in by_folder.items():
            box = boxes.get(folder_id)
            if box is None:
                boxes[folder_id] = Box()
            elif box.failed is not None:
                for piece in pieces:
                    piece.fail(box.failed.code, box.failed.text)
            else:
                entries += self._match(folder_id, pieces, box, paths, ledger)
                self._elsewhere.taken(folder_id, box.used)
        if self._target.capabilities.memberships:  # all of the archive is in this group
            entries += self._look_elsewhere(todo, ledger)
        else:
            todo = self._elsewhere.hold(todo)
        if not self._options.dry_run:
            ledger.add(entries)
        self._bring(todo, boxes, paths, ledger)

    def _last(
        self, held: Sequence[Piece], paths: Mapping[str, tuple[str, ...]], ledger: Ledger
    ) -> None:
        """What was kept back until all mailboxes were matched."""
        entries = self._look_elsewhere(held, ledger)
        if not self._options.dry_run:
            ledger.add(entries)
        todo = [piece for piece in held if piece.state is State.OPEN]
        if self._courier.full:
            for piece in todo:
                piece.fail("over-quota", "not placed: the account is full")
            return
        keys = {piece.folder_id: Box() for piece in todo}
        there = [key for key in keys if key and not key.startswith(IMAGINED)]
        self._bring(todo, keys | survey(self._target, there), paths, ledger)

    def _look_elsewhere(self, pieces: Sequence[Piece], ledger: Ledger) -> list[Entry]:
        return self._elsewhere.find(pieces, functools.partial(self._match, ledger=ledger))

    def _bring(
        self,
        todo: Sequence[Piece],
        boxes: dict[str, Box],
        paths: Mapping[str, tuple[str, ...]],
        ledger: Ledger,
    ) -> None:
        """Place it, or say what would become of it."""
        rest = self._to_place(todo)
        if self._options.dry_run:
            self._foresee(rest, boxes)
            return
        for portion in _portions(rest, boxes):
            everything = [part for piece in portion for part in piece.parts]
            self._courier.deliver(portion, boxes)
            ledger.add(self._checker.check(everything, boxes, paths))
            for piece in everything:
                piece.look = None

    def _match(
        self,
        folder_id: str,
        pieces: Sequence[Piece],
        box: Box,
        paths: Mapping[str, tuple[str, ...]],
        ledger: Ledger,
    ) -> list[Entry]:
        path = paths[folder_id]
        uidvalidity = box.look.uidvalidity if box.look is not None else None
        remembered = ledger.remembered(path, uidvalidity, box.presents)
        pairs = self._matcher.match(
            pieces,
            box.presents,
            remembered=remembered,
            uidvalidity=uidvalidity,
            path=path,
            mailbox_id=self._mailbox_ids.get(folder_id),
        )
        for piece, present, by in pairs:
            piece.state, piece.uid, piece.code = State.PRESENT, present.uid, by.value
            box.used.add(present.uid)
        self._courier.learn(box, [piece for piece, _, _ in pairs])
        self._checker.check_present(pairs, lambda p: ledger.altered(path, uidvalidity, p.uid))
        entries = [
            entry_of(piece, path, box, present)
            for piece, present, by in pairs
            if by is not Round.LEDGER
        ]
        box.presents = box.unused
        copies = self._checker.copies(pieces, pairs) if self._target.capabilities.merges else 0
        if pairs:
            self._say(Passed("/".join(path), len(pairs) + copies))
        return [entry for entry in entries if entry is not None]

    def _to_place(self, todo: Sequence[Piece]) -> list[Piece]:
        """One piece for each parcel: twins travel with their first."""
        twins = {id(twin) for piece in todo for twin in piece.twins}
        rest = []
        for piece in todo:
            if id(piece) in twins:
                continue
            parts = [part for part in piece.parts if part.state is State.OPEN]
            if parts:
                parts[0].twins = tuple(parts[1:])
                rest.append(parts[0])
        return rest

    def _foresee(self, rest: Iterable[Piece], boxes: Mapping[str, Box]) -> None:
        """What the target would change or refuse, as far as it is known beforehand."""
        capabilities = self._target.capabilities
        known = {str(alteration) for alteration in capabilities.alterations}
        for piece in rest:
            look = self._print(piece)
            if look is None:
                continue
            losses = [trip for trip in look.trips if trip in known or trip == "long-line"]
            limit = capabilities.append_limit
            if limit is not None and look.size > limit:
                losses.append("too-big")
            epoch = piece.epoch
            if epoch is not None and changes_instant(epoch, capabilities):
                early = epoch < capabilities.earliest
                losses.append((Alteration.EARLY_DATE if early else Alteration.FUTURE_DATE).value)
            if not capabilities.keywords:
                unkept = [flag for part in piece.parts for flag in self._checker.flags_unkept(part)]
                losses += [Alteration.FLAGS.value] if unkept else []
            elif any(map(_is_unsure, piece.parts, (boxes[p.folder_id] for p in piece.parts))):
                losses.append("keywords-unsure")
            piece.altered = tuple(losses)

    def _print(self, piece: Piece) -> Print | None:
        if piece.look is None:
            try:
                ends = self._target.capabilities.line_ends
                piece.look = look_at(self._contents, piece.item, ends)
            except ArchiveError as error:
                piece.fail(error.code, error.text)
        return piece.look

    # --- words ----------------------------------------------------------------------------------

    def _told(self, piece: Piece) -> None:
        path = piece.folder.path
        self._since_told[path] += 1
        self._octets_told[path] += piece.look.size if piece.look is not None else piece.size or 0
        if self._since_told[path] >= 200:
            self._flush_told()

    def _flush_told(self) -> None:
        for path, count in self._since_told.items():
            self._say(Delivered(path, count, self._octets_told[path]))
        self._since_told.clear()
        self._octets_told.clear()

    def _keywords_lost(
        self, plans: Iterable[FolderPlan], reports: Mapping[str, FolderReport]
    ) -> None:
        """Keywords that a mailbox of the target would not keep, and flags of one without any."""
        for (path, flag), count in sorted(self._checker.unkept.items()):
            entry = {"keyword": flag, "reason": NO_FLAGS, "count": count}
            reports[path].dropped.append(entry)
        for plan in plans:
            lost = self._courier.dropped.get(plan.folder_id) if plan.folder_id else None
            if not lost or plan.folder is None:
                continue
            report = reports[plan.folder.path]
            report.dropped += [
                {"keyword": word, "reason": lost[keywords.fold(word)], "count": count}
                for word, count in sorted(report.borne.items())
                if keywords.fold(word) in lost
            ]


def _portions(rest: Sequence[Piece], boxes: Mapping[str, Box]) -> Iterator[Sequence[Piece]]:
    """What is placed, read back and remembered before the next is begun.

    A target that has no order of arrival (no UIDVALIDITY) lists all each time: larger ones there.
    """
    looks = [box.look for box in boxes.values()]
    ordered = all(look is not None and look.uidvalidity is not None for look in looks)
    size = PORTION if ordered else 10 * PORTION
    start = 0
    while left := len(rest) - start:
        taken = size if 2 * left > 3 * size else left  # no small one at the end
        yield rest[start : start + taken]
        start += taken


def _is_unsure(piece: Piece, box: Box) -> bool:
    """Whether its mailbox does not promise to keep all its keywords (PERMANENTFLAGS)."""
    look = box.look
    if look is None or look.new_keywords:
        return False
    kept = {keywords.fold(flag) for flag in look.keywords or ()}
    return any(keywords.fold(flag) not in kept for flag in piece.flags)


def same_service(one: str | None, other: str) -> bool:
    """Whether two endpoints are the same host."""
    return one is not None and _host(one) is not None and _host(one) == _host(other)


def _host(service: str) -> str | None:
    try:
        return (urlsplit(service).hostname or "").lower() or None
    except ValueError:
        return None


def same_ids(contents: Contents, target: SourceIdentity) -> bool:
    """Whether ids in the archive are ids of this very account."""
    return (
        contents.service == target.service
        and contents.account == target.account
        and contents.id_namespace == target.protocol
    )
