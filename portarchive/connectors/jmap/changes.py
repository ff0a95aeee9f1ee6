"""From the state of an account to the events of a job: what is there, or what changed.

JMAP knows changes of an account, not of a mailbox. So all folders that are read from the same state
go together, in one pass: opened, their Emails named once each with all their mailboxes, then what
came meanwhile, then done.

The token of each is a state up to which everything was told, and whatever was told of is an Email
that there was at that state. So the next delta tells what became of it since: it need not say
anything of an Email that came and went after its state (RFC 8620 section 5.2). Hence ids are
listed, then the state is looked at again, and only then Emails are described; and once something
cannot be told any more in this run (a flag of an Email that was named), nothing is that came
after it.
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
from portarchive.errors import ServerMisbehaved, TokenLost
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
        known: what ``folders`` found, None if it was not asked since the last connect.
        fresh: it was asked just now: a token of the very same state needs no question.
    """

    def __init__(
        self, session: Session, wanted: Wanted, known: Survey | None, *, fresh: bool
    ) -> None:
        self._session = session
        self._wanted = wanted
        self._known = known
        self._fresh = known if fresh else None

    def visit(self) -> Iterator[Change]:
        """All events."""
        since: dict[str | None, list[Folder]] = {}
        for folder in self._wanted.folders:
            since.setdefault(self._since(folder.folder_id), []).append(folder)
        whole = since.pop(None, [])
        for token, folders in since.items():
            assert token is not None  # noqa: S101  # it was taken out
            if self._fresh is not None and self._fresh.state == token:
                yield from _standing_still(self._session, self._fresh, folders)
                continue
            try:
                survey, delta = state.survey_since(self._session, token, self._known)
            except TokenLost:
                whole += folders
            else:
                self._known = survey
                yield from self._pass(survey, folders, delta)
        if whole:
            survey = state.survey(self._session, self._known)
            yield from self._pass(survey, whole, None)

    def _since(self, folder_id: str) -> str | None:
        """The state to go on from, None to list the whole folder."""
        token = self._wanted.tokens.get(folder_id)
        if token is None or folder_id in self._wanted.relist or self._is_foreign(token):
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
            identify = {key for key in opened if key in tokens and self._is_foreign(tokens[key])}
            yield from _Pass(self._session, survey, opened, identify, delta).events()

    def _is_foreign(self, token: Mapping[str, Any]) -> bool:
        """A token of another kind of source, account or endpoint: its state means nothing here.

        Nor does one that does not say whose it is, as those of early versions: states are short
        with some servers, and alike. It costs one listing, and nothing is fetched again.
        """
        if "uidvalidity" in token or not isinstance(token.get("state"), str):
            return True
        ours = _token(self._session, token["state"])
        return any(token.get(key) != value for key, value in ours.items())


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
        self._still = False

    def events(self) -> Iterator[Change]:
        if self._delta is None:
            ids, token = self._everything()
            named = yield from self._name(ids)
        else:
            token = self._survey.state
            named = yield from self._apply(self._delta)
        if named:
            yield FetchPoint()
        listed = dict(self._listed)
        later: dict[str, int] = {}
        if token:
            token, later = yield from self._settle(token)
        if self._still and (short := self._short(listed)):
            self._still = yield from self._look_again(short, token)
            listed = dict(self._listed)
            token = token if self._still else ""  # what is missing of that state is in no delta
        for key in self._opened:
            counted = self._survey.boxes[key].folder.messages
            contradicted = self._still and counted not in {None, listed[key]}
            if contradicted and not listed[key]:
                text = f"the server counts {counted} messages and lists none"
                yield FolderFailed(key, "listing-mismatch", text)
                continue
            note = {"code": "count-mismatch", "exists": counted, "listed": listed[key]}
            yield FolderDone(
                folder_id=key,
                token=_token(self._session, token),
                listed=self._listed[key] if self._delta is None else None,
                arrived_later=later.get(key, 0),
                notes=(note,) if contradicted else (),
            )

    def _everything(self) -> tuple[list[str], str]:
        """The ids of all Emails of the folders, and perhaps of others; and a state after that.

        The state is ``""`` where the server does not tell what came and went meanwhile. Ids of what
        went are no harm: it is named only if it is there still.
        """
        readable = {key for key, box in self._survey.boxes.items() if box.readable}
        keys = None if readable <= self._opened.keys() else list(self._opened)
        ids = state.all_ids(self._session, keys, most=self._survey.most(keys))
        before = self._survey.state
        try:
            delta = state.changes(self._session, before)
        except TokenLost:
            self._still = state.state_now(self._session) == before
            return ids, before if self._still else ""
        self._still = not delta
        return sorted({*ids, *delta.created, *delta.updated}), delta.state

    def _settle(self, token: str) -> Generator[Change, None, tuple[str, dict[str, int]]]:
        """Name what came meanwhile, until nothing does. Returns the token, and what came later."""
        for _ in range(ROUNDS):
            try:
                delta = state.changes(self._session, token)
            except TokenLost:
                self._still = self._still and state.state_now(self._session) == token
                return token, {}
            if not delta:
                return token, {}
            self._still = False
            told = {*delta.created, *delta.updated, *delta.destroyed}
            if not told.isdisjoint(self._named.keys() | self._removed):
                return token, self._later(delta)
            if (yield from self._apply(delta)):
                yield FetchPoint()
            token = delta.state
        try:
            return token, self._later(state.changes(self._session, token))
        except TokenLost:
            return token, {}

    def _short(self, listed: Mapping[str, int]) -> list[str]:
        """The folders of which the server counts more than it listed."""
        boxes = self._survey.boxes
        return [key for key in self._opened if (boxes[key].folder.messages or 0) > listed[key]]

    def _look_again(self, folder_ids: Sequence[str], token: str) -> Generator[Change, None, bool]:
        """Name what a listing of each folder by itself has more than the one before.

        Unless the account moves meanwhile: what came after the token may be gone without a word.
        Returns whether it stands still.
        """
        try:
            most = self._survey.most(folder_ids)
            ids = state.all_ids(self._session, folder_ids, most=most)
        except ServerMisbehaved:
            return True  # what was listed is kept, and the contradiction is told
        if state.state_now(self._session) != token:
            return False
        if (yield from self._name([each for each in ids if each not in self._named])):
            yield FetchPoint()
        return True

    def _later(self, delta: Delta) -> dict[str, int]:
        """How many Emails came to each folder, and are left to the next run."""
        counts: dict[str, int] = {}
        for part, _ in self._session.get("Email", delta.created, ["mailboxIds"]):
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


def _standing_still(
    session: Session, survey: Survey, folders: Sequence[Folder]
) -> Iterator[Change]:
    """Nothing changed since the last run."""
    for folder in folders:
        event = _open(survey, folder, complete=False)
        yield event
        if isinstance(event, FolderOpened):
            yield FolderDone(folder_id=folder.folder_id, token=_token(session, survey.state))


def _token(session: Session, state: str) -> dict[str, str]:
    """A state and whose it is: of this account (RFC 8620 section 5.1), at this endpoint."""
    return {"state": state, "account": session.account_id, "service": session.settings.service}
