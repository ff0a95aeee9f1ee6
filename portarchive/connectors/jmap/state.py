"""What an account holds and what changed in it, asked page by page (RFC 8620 sections 5.2, 5.5).

Owns paging and its doubts: a result that shifts while it is read, a server that never comes to an
end, a state that it cannot go on from; and the list of mailboxes, which is brought up to date once
it is known. Keeps nothing from one run to the next: a subscription is no change to some servers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

from portarchive.connectors.jmap.convert import object_id, whole
from portarchive.connectors.jmap.framing import Call
from portarchive.connectors.jmap.mailboxes import PROPERTIES, Box, boxes, orphans
from portarchive.connectors.jmap.replies import (
    Answer,
    LimitReached,
    MethodError,
    expect,
    objects,
)
from portarchive.connectors.jmap.session import Session
from portarchive.errors import RateLimited, ServerMisbehaved, TokenLost

_SORT: Final = [{"property": "receivedAt", "isAscending": True}]
"""A sort that every server has (RFC 8621 section 4.4.2), and that puts what is new at the end."""

_RESTARTS: Final = 4
_EMPTY_PAGES: Final = 20

MOST_CHANGES: Final = 1_000_000
"""Ids of one delta. Beyond that the folders are listed whole, which costs no more."""

MOST: Final = 10_000_000
"""Ids of all that is listed together, where a server does not say how many there are."""

SURPLUS: Final = 100_000
"""So many more than twice what the mailboxes count may be listed: they change meanwhile."""

_ALL_MAILBOXES: Final[Call] = ("Mailbox/get", {"ids": None, "properties": list(PROPERTIES)})

_Found = dict[str, Mapping[str, Any]]
"""Mailboxes by id as the server described them."""


class _Mailboxes(NamedTuple):
    """``state``: what ``Mailbox/changes`` goes on from; None if the server does not say."""

    found: _Found
    state: str | None


@dataclass(slots=True, kw_only=True)
class Survey:
    """Mailboxes and state of an account at one moment.

    Attributes:
        boxes: by id, parents before children.
        state: of its Emails, read before the mailboxes.
        mailboxes: what ``boxes`` were made of, for the next survey.
    """

    boxes: dict[str, Box]
    state: str
    mailboxes: _Mailboxes

    def most(self, folder_ids: Sequence[str] | None) -> int:
        """How many Emails may be listed in these mailboxes, or in all, and be believed."""
        keys = self.boxes.keys() if folder_ids is None else folder_ids
        counts = [self.boxes[key].folder.messages for key in keys if self.boxes[key].readable]
        if None in counts:
            return MOST
        return min(MOST, SURPLUS + 2 * sum(count for count in counts if count is not None))


@dataclass(slots=True)
class Delta:
    """What changed since a state: ids, each in one of the three."""

    created: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    destroyed: list[str] = field(default_factory=list)
    state: str = ""

    def __bool__(self) -> bool:
        return bool(self.created or self.updated or self.destroyed)


def survey(session: Session, known: Survey | None = None) -> Survey:
    """One request: the state of Emails, then the mailboxes.

    Args:
        session: logged in.
        known: an earlier one of the same session: only what changed of the mailboxes is asked for.
    """
    emails, mailboxes = _with_mailboxes(session, ("Email/get", {"ids": []}), known)
    state = state_of(expect("Email/get", emails).get("state"))
    return _survey(state, mailboxes)


def survey_since(session: Session, state: str, known: Survey | None) -> tuple[Survey, Delta]:
    """One request if little changed: the changes since a state, then the mailboxes.

    Args:
        session: logged in.
        state: of the Emails.
        known: see ``survey``.

    Raises:
        TokenLost: the server cannot tell what changed since then.
    """
    first, mailboxes = _with_mailboxes(session, ("Email/changes", {"sinceState": state}), known)
    delta = _collect(session, "Email", state, first)
    return _survey(delta.state, mailboxes), delta


def state_now(session: Session) -> str:
    """The state of the Emails."""
    return state_of(session.ask("Email/get", {"ids": []}).get("state"))


def changes(session: Session, state: str) -> Delta:
    """What changed since a state.

    Raises:
        TokenLost: the server cannot tell.
    """
    answer = session.call([("Email/changes", {"sinceState": state})])[0]
    return _collect(session, "Email", state, answer)


def all_ids(session: Session, folder_ids: Sequence[str] | None, *, most: int = MOST) -> list[str]:
    """The ids of all Emails, or of those in these mailboxes; sorted, distinct.

    What comes or goes while this is read is in the changes since the state before.

    Args:
        session: logged in.
        folder_ids: None for the whole account.
        most: more are not believed.

    Raises:
        ServerMisbehaved: the server lists more than that, ends early, or goes in circles.
    """
    found: set[str] = set()
    if folder_ids is None:
        _query(session, "Email/query", {"sort": _SORT}, None, found, most)
        return sorted(found)
    asked: list[dict[str, Any]] = [
        {"filter": {"inMailbox": key}, "sort": _SORT} for key in folder_ids
    ]
    calls: list[Call] = [("Email/query", {**each, "calculateTotal": True}) for each in asked]
    for each, answer in zip(asked, session.call(calls), strict=True):
        if isinstance(answer, MethodError) and answer.type == "invalidArguments":
            key = each["filter"]["inMailbox"]
            there = session.ask("Mailbox/get", {"ids": [key], "properties": ["id"]})
            if not objects(there.get("list")):
                continue  # the mailbox is gone by now
        _query(session, "Email/query", each, expect("Email/query", answer), found, most)
    return sorted(found)


def state_of(value: object) -> str:
    """A state string.

    Raises:
        ServerMisbehaved: it is none.
    """
    if not isinstance(value, str) or not value:
        raise ServerMisbehaved("the server does not say in which state the account is")
    return value


# --- mailboxes ----------------------------------------------------------------------------------


def _survey(state: str, mailboxes: _Mailboxes) -> Survey:
    return Survey(boxes=boxes(list(mailboxes.found.values())), state=state, mailboxes=mailboxes)


def _with_mailboxes(
    session: Session, first: Call, known: Survey | None
) -> tuple[Answer | MethodError, _Mailboxes]:
    """What a call answers and, after it and in the same request if they fit, the mailboxes.

    Of those that changed the same properties are asked for as of all: what ``updatedProperties``
    (RFC 8621 section 2.2) could spare is little, and the counts of threads that it names are dear.
    """
    if known is None or known.mailboxes.state is None:
        answer, mailboxes = session.call([first, _ALL_MAILBOXES])
        return answer, _listed(session, mailboxes)
    calls: list[Call] = [first, ("Mailbox/changes", {"sinceState": known.mailboxes.state})]
    if len(known.mailboxes.found) <= session.limits.max_objects_in_get:
        # else they may be more than may be asked for at once
        calls += [_changed_mailboxes("/created"), _changed_mailboxes("/updated")]
    try:
        answers = session.call(calls)
    except LimitReached:  # fewer calls in a request than these
        answers = session.call(calls[:2])
    try:
        return answers[0], _brought_up(
            session, known.mailboxes.found, known.mailboxes.state, answers
        )
    except (TokenLost, ServerMisbehaved):
        return answers[0], _listed(session, session.call([_ALL_MAILBOXES])[0])


def _changed_mailboxes(path: str) -> Call:
    ids = {"resultOf": "1", "name": "Mailbox/changes", "path": path}
    return "Mailbox/get", {"#ids": ids, "properties": list(PROPERTIES)}


def _brought_up(
    session: Session, known: _Found, state: str, answers: Sequence[Answer | MethodError]
) -> _Mailboxes:
    """The mailboxes as they are now; ``answers``: to the calls of ``_with_mailboxes``.

    Raises:
        TokenLost: the server cannot tell, or what it tells does not fit together.
        ServerMisbehaved: it knows no Mailbox/changes, or answers it badly.
    """
    first = answers[1]
    delta = _collect(session, "Mailbox", state, first)
    told = [*delta.created, *delta.updated]
    one_page = isinstance(first, dict) and first.get("hasMoreChanges") is not True
    fresh = _at_hand(told, answers[2:]) if one_page else None
    if fresh is None:
        parts = session.get("Mailbox", told, PROPERTIES)
        asked = set(told)
        fresh = {each["id"]: each for part, _ in parts for each in part if each["id"] in asked}
    changed = {*told, *delta.destroyed}
    found = {key: each for key, each in known.items() if key not in changed} | fresh
    if orphans(found) - orphans(known):
        # the parent came, or went, between the two answers; or the server lies
        raise TokenLost("the server told of a mailbox and not of its parent")
    return _Mailboxes(found, delta.state)


def _at_hand(told: Sequence[str], answers: Sequence[Answer | MethodError]) -> _Found | None:
    """What was told to have changed, of ``Mailbox/get`` in the same request; None if not all."""
    found: _Found = {}
    gone: set[str] = set()
    for answer in answers if told else ():
        if isinstance(answer, MethodError):
            return None
        found |= {each["id"]: each for each in objects(answer.get("list"))}
        missing = answer.get("notFound")
        gone.update(map(str, missing) if isinstance(missing, list) else ())
    if any(each not in found and each not in gone for each in told):
        return None
    return {each: found[each] for each in told if each in found}


def _listed(session: Session, answer: Answer | MethodError) -> _Mailboxes:
    """All mailboxes; the answer to ``_ALL_MAILBOXES`` is at hand.

    Raises:
        ServerMisbehaved: one has no id. To pass it over would lose its mail without a word.
    """
    found: list[dict[str, Any]] = []
    most = session.resource.limits().max_objects_in_get
    if isinstance(answer, MethodError) and answer.type == "requestTooLarge":
        answer, most = session.ask("Mailbox/get", {"ids": [], "properties": ["id"]}), 0
    else:
        answer = expect("Mailbox/get", answer)
        found = objects(answer.get("list"))
        if len(found) < len(answer["list"]) or any(object_id(each["id"]) is None for each in found):
            raise ServerMisbehaved("the server tells of a mailbox and not of its id")
    if len(found) >= most:
        # There may be more than are given at once (RFC 8620 section 5.1): by their ids. Some
        # servers (Stalwart) do not say that they gave no more, as the section wants it.
        ids: set[str] = set()
        _query(session, "Mailbox/query", {}, None, ids, MOST)
        ids.difference_update(each["id"] for each in found)
        found += [
            each for part, _ in session.get("Mailbox", sorted(ids), PROPERTIES) for each in part
        ]
    state = answer.get("state")
    return _Mailboxes(
        {each["id"]: each for each in found}, state if isinstance(state, str) and state else None
    )


# --- pages --------------------------------------------------------------------------------------


def _collect(
    session: Session, kind: Literal["Email", "Mailbox"], state: str, answer: Answer | MethodError
) -> Delta:
    """The pages of ``/changes``, the first of them at hand.

    An intermediate state may tell of a record what another one tells again: the last word counts.
    """
    name = f"{kind}/changes"
    last: dict[str, str] = {}
    empty = 0
    passed = {state}
    while True:
        if isinstance(answer, MethodError) and answer.type == "invalidArguments":
            raise TokenLost("the server does not know the state of the last run")  # so says Cyrus
        page = expect(name, answer)
        state = state_of(page.get("newState"))
        news = 0
        for word in ("created", "updated", "destroyed"):
            for each in _ids(page.get(word)):
                before = last.get(each)
                if before != word and (word, before) != ("updated", "created"):
                    news += 1
                    last[each] = word
        if page.get("hasMoreChanges") is not True:
            break
        empty = 0 if news else empty + 1
        if state in passed or empty > _EMPTY_PAGES or len(last) > MOST_CHANGES:
            raise TokenLost("the server has more changes and does not tell them")
        passed.add(state)
        answer = session.call([(name, {"sinceState": state})])[0]
    delta = Delta(state=state)
    for each, word in last.items():
        getattr(delta, word).append(each)
    return delta


def _query(
    session: Session,
    name: str,
    asked: dict[str, Any],
    page: Answer | None,
    found: set[str],
    most: int,
) -> None:
    """All pages of one query, the first of them perhaps at hand.

    Each page begins after the last object of the one before, wherever that is by now: by position
    one that moved up would be passed over. When that object is gone the reading starts over; where
    it is always gone, or never asked for by it, positions have to do.
    """
    anchored = True
    for restart in range(_RESTARTS):
        if page is None:
            page = session.ask(name, {**asked, "calculateTotal": True})
        counted = whole(page.get("total"))
        looked_again = False
        seen: set[str] = set()
        while page is not None:
            ids = _ids(page.get("ids"))
            end = (whole(page.get("position")) or 0) + len(ids)
            total = whole(page.get("total"))
            if not ids and total is not None and end < total:
                raise ServerMisbehaved("the server ends a result before its end")
            if not ids and not looked_again and len(seen) < (counted or 0):
                # Fewer than it counted at first: they went meanwhile, or it ends early.
                looked_again = True
                page = session.ask(name, {**asked, "position": len(seen), "calculateTotal": True})
                continue
            if not ids or (total is not None and end >= total):
                found.update(ids)
                return
            if seen.issuperset(ids):
                if looked_again:
                    return
                raise ServerMisbehaved("the server gives the same page of a result again and again")
            seen.update(ids)
            found.update(ids)
            if len(found) > most:
                raise ServerMisbehaved("the server lists far more than there is by its own count")
            by_position = {**asked, "position": end}
            anchor = {**asked, "anchor": ids[-1], "anchorOffset": 1}
            answer = session.call([(name, anchor if anchored else by_position)])[0]
            if isinstance(answer, MethodError) and answer.type == "invalidArguments" and anchored:
                anchored = False
                answer = session.call([(name, by_position)])[0]
            if isinstance(answer, MethodError) and answer.type == "anchorNotFound":
                anchored = restart < _RESTARTS - 2
                page = None
            else:
                page = expect(name, answer)
    raise RateLimited("what is in the account changes faster than it can be listed")


def _ids(found: object) -> list[str]:
    if not isinstance(found, list):
        raise ServerMisbehaved("the server's answer has no list of ids")
    ids = [object_id(each) for each in found]
    if None in ids:
        raise ServerMisbehaved("the server's answer has an id that is none")
    return [each for each in ids if each is not None]
