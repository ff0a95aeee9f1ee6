"""What an account holds and what changed in it, asked page by page (RFC 8620 sections 5.2, 5.5).

Owns paging and its doubts: a result that shifts while it is read, a server that never comes to an
end, a state that it cannot go on from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from portarchive.connectors.jmap.convert import object_id, whole
from portarchive.connectors.jmap.framing import Call
from portarchive.connectors.jmap.mailboxes import PROPERTIES, Box, boxes
from portarchive.connectors.jmap.replies import Answer, MethodError, expect, objects
from portarchive.connectors.jmap.session import Session
from portarchive.errors import RateLimited, ServerMisbehaved, TokenLost

_SORT: Final = [{"property": "receivedAt", "isAscending": True}]
"""A sort that every server has (RFC 8621 section 4.4.2), and that puts what is new at the end."""

_RESTARTS: Final = 4
_EMPTY_PAGES: Final = 20


@dataclass(slots=True, kw_only=True)
class Survey:
    """Mailboxes and state of an account at one moment.

    Attributes:
        boxes: by id, parents before children.
        state: of its Emails, read before the mailboxes.
    """

    boxes: dict[str, Box]
    state: str


@dataclass(slots=True)
class Delta:
    """What changed since a state: ids, each in one of the three."""

    created: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    destroyed: list[str] = field(default_factory=list)
    state: str = ""

    def __bool__(self) -> bool:
        return bool(self.created or self.updated or self.destroyed)


def survey(session: Session) -> Survey:
    """One request: the state of Emails, then the mailboxes."""
    calls: list[Call] = [
        ("Email/get", {"ids": []}),
        ("Mailbox/get", {"ids": None, "properties": list(PROPERTIES)}),
    ]
    emails, mailboxes = session.call(calls)
    state = state_of(expect("Email/get", emails).get("state"))
    return Survey(boxes=_boxes(session, mailboxes), state=state)


def survey_since(session: Session, state: str) -> tuple[Survey, Delta]:
    """One request if little changed: the changes since a state, then the mailboxes.

    Raises:
        TokenLost: the server cannot tell what changed since then.
    """
    calls: list[Call] = [
        ("Email/changes", {"sinceState": state}),
        ("Mailbox/get", {"ids": None, "properties": list(PROPERTIES)}),
    ]
    first, mailboxes = session.call(calls)
    delta = _collect(session, state, first)
    return Survey(boxes=_boxes(session, mailboxes), state=delta.state), delta


def changes(session: Session, state: str) -> Delta:
    """What changed since a state.

    Raises:
        TokenLost: the server cannot tell.
    """
    return _collect(session, state, session.call([("Email/changes", {"sinceState": state})])[0])


def all_ids(session: Session, folder_ids: Sequence[str] | None) -> list[str]:
    """The ids of all Emails, or of those in these mailboxes; sorted, distinct.

    What comes or goes while this is read is in the changes since the state before.
    """
    found: set[str] = set()
    if folder_ids is None:
        _query(session, "Email/query", {"sort": _SORT}, None, found)
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
        _query(session, "Email/query", each, expect("Email/query", answer), found)
    return sorted(found)


def state_of(value: object) -> str:
    """A state string.

    Raises:
        ServerMisbehaved: it is none.
    """
    if not isinstance(value, str) or not value:
        raise ServerMisbehaved("the server does not say in which state the account is")
    return value


def _boxes(session: Session, answer: Answer | MethodError) -> dict[str, Box]:
    if isinstance(answer, MethodError) and answer.type == "requestTooLarge":
        # More mailboxes than a server gives at once: their ids first (RFC 8620 section 5.1).
        ids: set[str] = set()
        _query(session, "Mailbox/query", {}, None, ids)
        parts = session.get("Mailbox", sorted(ids), PROPERTIES)
        found = [each for part, _ in parts for each in part]
    else:
        found = objects(expect("Mailbox/get", answer).get("list"))
    return boxes([each for each in found if object_id(each["id"]) is not None])


def _collect(session: Session, state: str, answer: Answer | MethodError) -> Delta:
    """The pages of Email/changes, the first of them at hand.

    An intermediate state may tell of a record what another one tells again: the last word counts.
    """
    last: dict[str, str] = {}
    empty = 0
    passed = {state}
    while True:
        if isinstance(answer, MethodError) and answer.type == "invalidArguments":
            raise TokenLost("the server does not know the state of the last run")  # so says Cyrus
        page = expect("Email/changes", answer)
        state = state_of(page.get("newState"))
        told = 0
        for kind in ("created", "updated", "destroyed"):
            for each in _ids(page.get(kind)):
                told += 1
                if kind != "updated" or last.get(each) != "created":
                    last[each] = kind
        if page.get("hasMoreChanges") is not True:
            break
        empty = 0 if told else empty + 1
        if state in passed or empty > _EMPTY_PAGES:
            raise TokenLost("the server has more changes and does not tell them")
        passed.add(state)
        answer = session.call([("Email/changes", {"sinceState": state})])[0]
    delta = Delta(state=state)
    for each, kind in last.items():
        getattr(delta, kind).append(each)
    return delta


def _query(
    session: Session, name: str, asked: dict[str, Any], page: Answer | None, found: set[str]
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
        seen: set[str] = set()
        while page is not None:
            ids = _ids(page.get("ids"))
            end = (whole(page.get("position")) or 0) + len(ids)
            total = whole(page.get("total"))
            if not ids and total is not None and end < total:
                raise ServerMisbehaved("the server ends a result before its end")
            if not ids or (total is not None and end >= total):
                found.update(ids)
                return
            if seen.issuperset(ids):
                raise ServerMisbehaved("the server gives the same page of a result again and again")
            seen.update(ids)
            found.update(ids)
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
