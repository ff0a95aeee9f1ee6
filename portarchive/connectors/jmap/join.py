"""A message that the account has already: its mailboxes and keywords are joined (``Merged``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from portarchive import keywords
from portarchive.connectors.jmap import convert
from portarchive.connectors.jmap.refusals import refusal
from portarchive.connectors.jmap.replies import MethodError, expect
from portarchive.connectors.jmap.resource import MAIL
from portarchive.connectors.jmap.session import Session
from portarchive.placing import Merged, Parcel, PlaceOutcome, Refused

TRIES: Final = 3
"""How often one change is asked for whose method fails."""


def join(
    session: Session, twins: Sequence[tuple[Parcel, str]]
) -> list[tuple[Parcel, PlaceOutcome]]:
    """Add what is missing to Emails that exist; what they have they keep.

    Args:
        session: logged in.
        twins: messages, and the ids of the Emails that they are.
    """
    if not twins:
        return []
    ids = list(dict.fromkeys(email_id for _, email_id in twins))
    there: dict[str, Mapping[str, Any]] = {
        email["id"]: email
        for emails, _ in session.get("Email", ids, ["mailboxIds", "keywords"])
        for email in emails
    }
    updates: dict[str, dict[str, bool]] = {}
    boxes = {email_id: set(convert.mailbox_ids(email)) for email_id, email in there.items()}
    most = most_mailboxes(session)
    full: set[int] = set()
    for parcel, email_id in twins:
        email = there.get(email_id)
        if email is None:
            continue
        every = boxes[email_id] | {spot.folder_id for spot in parcel.spots}
        if most is not None and len(every) > max(most, len(boxes[email_id])):
            full.add(parcel.key)
            continue
        boxes[email_id] = every
        patch = _patch(parcel, email)
        if patch:
            updates.setdefault(email_id, {}).update(patch)
    failed: dict[str, Mapping[str, Any]] = {}
    keys = list(updates)
    while keys:
        size = session.limits.max_objects_in_set
        part, keys = keys[:size], keys[size:]
        failed |= _update(session, {key: updates[key] for key in part})
    results: list[tuple[Parcel, PlaceOutcome]] = []
    for parcel, email_id in twins:
        if email_id not in there:
            words = "the server says that it has this message, and does not show it"
            results.append((parcel, Refused("refused", words)))
        elif parcel.key in full:
            text = f"it exists, and no message may be in more than {most} mailboxes"
            results.append((parcel, Refused("limit", text)))
        elif email_id in failed:
            refused = refusal(failed[email_id])
            text = f"it exists, and could not be joined: {refused.text}"
            results.append((parcel, Refused(refused.code, text)))
        else:
            uids = tuple((spot.folder_id, email_id) for spot in parcel.spots)
            results.append((parcel, Merged(uids, email_id)))
    return results


def most_mailboxes(session: Session) -> int | None:
    """How many an Email may be in (RFC 8621 section 1.3.1); None where no limit is named."""
    return convert.whole(session.account.capabilities.get(MAIL, {}).get("maxMailboxesPerEmail"))


def _update(
    session: Session, updates: Mapping[str, Any], tries: int = TRIES
) -> dict[str, Mapping[str, Any]]:
    """Change some Emails; why it could not be done, by id. Done twice it is done once."""
    answer = session.call([("Email/set", {"update": updates})])[0]
    if not isinstance(answer, MethodError):
        failed, done = answer.get("notUpdated"), answer.get("updated")
        failed = failed if isinstance(failed, Mapping) else {}
        done = done if isinstance(done, Mapping) else {}
        # what is in neither was not done, whatever the server means by it
        refused = [key for key in updates if key in failed or key not in done]
        words = {key: failed.get(key) for key in refused}
        return {key: each if isinstance(each, Mapping) else {} for key, each in words.items()}
    if answer.type == "serverUnavailable":
        expect("Email/set", answer)
    if len(updates) == 1:
        if tries > 1:
            return _update(session, updates, tries - 1)
        return dict.fromkeys(updates, answer.arguments)
    if answer.type == "requestTooLarge":
        session.limits.shrink("maxObjectsInSet", len(updates))
    keys = list(updates)
    middle = len(keys) // 2
    return _update(session, {key: updates[key] for key in keys[:middle]}) | _update(
        session, {key: updates[key] for key in keys[middle:]}
    )


def _patch(parcel: Parcel, email: Mapping[str, Any]) -> dict[str, bool]:
    """A PatchObject (RFC 8620 section 5.3)."""
    boxes = set(convert.mailbox_ids(email))
    marks = {keywords.to_jmap(flag) for flag in convert.flags(email.get("keywords"))}
    patch = {
        f"mailboxIds/{_escaped(spot.folder_id)}": True
        for spot in parcel.spots
        if spot.folder_id not in boxes
    }
    for spot in parcel.spots:
        for flag in spot.flags:
            mark = keywords.to_jmap(flag)
            if mark is not None and mark not in marks:
                patch[f"keywords/{_escaped(mark)}"] = True
    return patch


def _escaped(token: str) -> str:
    """A token of a JSON pointer (RFC 6901 section 4)."""
    return token.replace("~", "~0").replace("/", "~1")
