"""From the state of an account to the events of a job: what is there, or what changed.

JMAP knows changes of an account, not of a mailbox. So all folders that are read from the same state
go together, in one pass: opened, their Emails named once each with all their mailboxes, then what
came meanwhile, then done. The token of each is a state up to which everything was told; what cannot
be told any more in this run (a flag of an Email that was named already) is left to the next one by
a token from before it.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from portarchive.connectors.base import Wanted
from portarchive.connectors.jmap import convert, state
from portarchive.connectors.jmap.identify import message_ids
from portarchive.connectors.jmap.session import Session
from portarchive.connectors.jmap.state import Delta, Survey
from portarchive.errors import TokenLost
from portarchive.records import (
    Change,
    FetchPoint,
    Folder,
    FolderDone,
    FolderFailed,
    FolderOpened,
    MessageRef,
    Removal,
)

WINDOW: Final = 2000
"""References between two fetch points: an account may hold a million messages."""

ROUNDS: Final = 4
"""Looks at what came meanwhile. An account that never stands still is left to the next run."""


class Visitor:
    """One run over the wanted folders.

    Args:
        session: logged in.
        wanted: see ``connectors.base``.
        fresh: what ``folders`` found just now, None if that is long ago: a token of the very same
            state needs no question.
    """

    def __init__(self, session: Session, wanted: Wanted, fresh: Survey | None) -> None:
        self._session = session
        self._wanted = wanted
        self._fresh = fresh

    def visit(self) -> Iterator[Change]:
        """All events."""
        since: dict[str | None, list[Folder]] = {}
        for folder in self._wanted.folders:
            since.setdefault(self._since(folder.folder_id), []).append(folder)
        whole = since.pop(None, [])
        for token, folders in since.items():
            assert token is not None  # noqa: S101  # it was taken out
            if self._fresh is not None and self._fresh.state == token:
                yield from _standing_still(self._fresh, folders)
                continue
            try:
                survey, delta = state.survey_since(self._session, token)
            except TokenLost:
                whole += folders
            else:
                yield from self._pass(survey, folders, delta)
        if whole:
            yield from self._pass(state.survey(self._session), whole, None)

    def _since(self, folder_id: str) -> str | None:
        """The state to go on from, None to list the whole folder."""
        token = self._wanted.tokens.get(folder_id)
        if token is None or folder_id in self._wanted.relist or _is_foreign(token):
            return None
        return str(token["state"]) or None

    def _pass(
        self, survey: Survey, folders: Sequence[Folder], delta: Delta | None
    ) -> Iterator[Change]:
        opened: dict[str, Folder] = {}
        for folder in folders:
            event = _open(survey, folder, complete=delta is None)
            if isinstance(event, FolderOpened):
                opened[folder.folder_id] = folder
            yield event
        if opened:
            tokens = self._wanted.tokens
            identify = {key for key in opened if key in tokens and _is_foreign(tokens[key])}
            yield from _Pass(self._session, survey, opened, identify, delta).events()


class _Pass:
    """Folders that are read from the same state. ``delta``: None to list them whole."""

    def __init__(
        self,
        session: Session,
        survey: Survey,
        opened: Mapping[str, Folder],
        identify: set[str],
        delta: Delta | None,
    ) -> None:
        self._session = session
        self._survey = survey
        self._opened = opened
        self._identify = identify
        self._delta = delta
        self._named: dict[str, tuple[str, ...]] = {}
        self._removed: set[str] = set()
        self._listed = dict.fromkeys(opened, 0)

    def events(self) -> Iterator[Change]:
        if self._delta is None:
            named = yield from self._name(self._everything())
        else:
            named = yield from self._apply(self._delta)
        if named:
            yield FetchPoint()
        token, later = yield from self._settle(self._survey.state)
        for key in self._opened:
            yield FolderDone(
                folder_id=key,
                token={"state": token},
                listed=self._listed[key] if self._delta is None else None,
                arrived_later=later.get(key, 0),
            )

    def _everything(self) -> list[str]:
        """The ids of all Emails of the folders, and perhaps of others."""
        readable = {key for key, box in self._survey.boxes.items() if box.readable}
        whole = readable <= self._opened.keys()
        return state.all_ids(self._session, None if whole else list(self._opened))

    def _settle(self, token: str) -> Generator[Change, None, tuple[str, dict[str, int]]]:
        """Name what came meanwhile, until nothing does. Returns the token, and what came later."""
        at = token
        stuck = False
        delta = Delta()
        for _ in range(ROUNDS):
            try:
                delta = state.changes(self._session, at)
            except TokenLost:
                return token, {}  # the next run lists the folders whole
            if not delta:
                break
            told = {*delta.created, *delta.updated, *delta.destroyed}
            stuck = stuck or not told.isdisjoint(self._named.keys() | self._removed)
            at = delta.state
            if (yield from self._apply(delta)):
                yield FetchPoint()
            if not stuck:
                token = at
        else:
            return token, self._later(at)
        return token, {}

    def _later(self, at: str) -> dict[str, int]:
        """How many Emails came to each folder after the last look."""
        counts: dict[str, int] = {}
        try:
            fresh = state.changes(self._session, at).created
        except TokenLost:
            return counts
        for part, _ in self._session.get("Email", fresh, ["mailboxIds"]):
            for key in (key for email in part for key in convert.mailbox_ids(email)):
                counts[key] = counts.get(key, 0) + 1
        return counts

    def _apply(self, delta: Delta) -> Generator[Change, None, bool]:
        """Name what a delta brings, then what it takes away. Returns whether there was any."""
        touched = [*delta.created, *delta.updated]
        before = set(self._named) if self._delta is not None else set()
        named = yield from self._name(touched)
        if self._delta is None:
            return named  # of a whole listing, what is not named is gone
        gone = dict.fromkeys(each for each in delta.destroyed if each not in before)
        for key in self._opened:
            left = [
                each
                # one that is told as created may have been had already, by a token from before it
                for each in (*delta.created, *delta.updated)
                if each not in before and key not in self._named.get(each, ())
            ]
            uids = tuple(sorted([*gone, *left]))
            if uids:
                named = True
                yield Removal(key, uids)
        self._removed.update(gone, delta.created, delta.updated)
        return named

    def _name(self, ids: Sequence[str]) -> Generator[Change, None, bool]:
        """A reference for each, with those of its placements that were not named yet."""
        count = 0
        pending = False
        for emails, _ in self._session.get("Email", ids, convert.PROPERTIES):
            refs = list(self._references(emails))
            if self._identify:
                refs = message_ids(self._session, refs, self._identify)
            for ref in refs:
                if count == WINDOW:
                    count = 0
                    yield FetchPoint(more=True)
                count += 1
                pending = True
                yield ref
        return pending

    def _references(self, emails: Sequence[Mapping[str, Any]]) -> Iterator[MessageRef]:
        for email in sorted(emails, key=lambda each: str(each["id"])):
            uid = str(email["id"])
            known = self._named.get(uid, ())
            fresh = [
                key
                for key in convert.mailbox_ids(email)
                if key in self._opened and key not in known
            ]
            if fresh and convert.object_id(uid) is not None:
                fresh.sort(key=lambda key: self._opened[key].path)
                self._named[uid] = (*known, *fresh)
                for key in fresh:
                    self._listed[key] += 1
                yield convert.reference(email, fresh)


def _open(survey: Survey, folder: Folder, *, complete: bool) -> FolderOpened | FolderFailed:
    box = survey.boxes.get(folder.folder_id)
    if box is None:
        return FolderFailed(folder.folder_id, "folder-unavailable", "there is no such mailbox")
    if not box.readable:
        return FolderFailed(
            folder.folder_id, "folder-unavailable", "the user may not read what is in this mailbox"
        )
    messages = box.folder.messages
    return FolderOpened(
        # The path is the one that the job knows it by; the next run sees another name.
        folder=replace(box.folder, path=folder.path),
        complete=complete,
        counts={} if messages is None else {"exists": messages},
        notes=box.notes,
    )


def _standing_still(survey: Survey, folders: Sequence[Folder]) -> Iterator[Change]:
    """Nothing changed since the last run."""
    for folder in folders:
        event = _open(survey, folder, complete=False)
        yield event
        if isinstance(event, FolderOpened):
            yield FolderDone(folder_id=folder.folder_id, token={"state": survey.state})


def _is_foreign(token: Mapping[str, Any]) -> bool:
    """A token of another kind of source, or of another account: nothing in it holds here."""
    return "uidvalidity" in token or not isinstance(token.get("state"), str)
