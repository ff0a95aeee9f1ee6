"""Mailboxes that change their names during a run: no message is stored as another one."""

from __future__ import annotations

import pytest
from running import KINDS, export, letter

from servers.scripted import Drop

WITH_IDS = {kind: offered for kind, offered in KINDS.items() if "OBJECTID" in offered}


def two(scripted, kind: str, count: int = 5):
    scripted.capabilities = list(WITH_IDS[kind])
    scripted.mailbox("INBOX").add(letter(1), email_id="M1")
    a, b = scripted.add_mailbox("A", mailbox_id="MA"), scripted.add_mailbox("B", mailbox_id="MB")
    for number in range(count):
        a.add(letter(1000 + number), email_id=f"A{number}")
        b.add(letter(5000 + number), email_id=f"B{number}")
    return a, b


def exchange(a, b) -> None:
    a.wire, b.wire = b.wire, a.wire


def is_true(scripted, ran) -> None:
    """Each folder has what the server has under its name, and every item its own EMAILID."""
    for path in ("A", "B"):
        mails = scripted.mailbox(path).mails
        assert ran.octets(path) == {str(uid): mail.body() for uid, mail in mails.items()}
        for uid, mail in mails.items():
            assert ran.item(str(uid), path)["portarchive:email_id"] == mail.email_id


@pytest.mark.parametrize("kind", WITH_IDS)
@pytest.mark.parametrize("count", [5, 700])
@pytest.mark.parametrize("connections", [1, 3])
def test_names_exchanged_while_bodies_are_fetched(scripted, root, kind, count, connections) -> None:
    a, b = two(scripted, kind, count)
    done: list[int] = []
    scripted.on(
        "UID FETCH",
        lambda _: done.append(1) or exchange(a, b),
        when=lambda event: event.wants_body and not done,
    )
    ran = export(scripted, root, "--connections", connections)
    assert done
    mine = {"A": {mail.body() for mail in b.mails.values()}}  # B had that name first
    mine["B"] = {mail.body() for mail in a.mails.values()}
    for path, of_now in mine.items():
        had = set(ran.octets(path).values())
        assert not (had & of_now and had - of_now), "a folder has messages of both"
    for _ in range(2):
        ran = export(scripted, root, "--connections", connections)
    assert ran.code == 0
    is_true(scripted, ran)


@pytest.mark.parametrize("kind", WITH_IDS)
def test_names_exchanged_while_the_connection_is_lost(scripted, root, kind) -> None:
    a, b = two(scripted, kind, 300)
    done: list[int] = []

    def drop(_) -> None:
        done.append(1)
        exchange(a, b)
        raise Drop

    scripted.on_message(drop, folder="A", uids={100}, times=1)
    export(scripted, root, "--max-wait", "5")
    assert done
    for _ in range(2):
        ran = export(scripted, root)
    assert ran.code == 0
    is_true(scripted, ran)


@pytest.mark.parametrize("gmail", [False, True])
def test_octets_come_with_their_own_id(scripted, root, gmail) -> None:
    """Also where nothing names the mailbox: an item never has the id of another message."""
    a, b = two(scripted, "qresync")
    a.mailbox_id = b.mailbox_id = None
    if gmail:
        kept = [name for name in scripted.capabilities if name != "OBJECTID"]
        scripted.capabilities = [*kept, "X-GM-EXT-1"]
        for box, base in ((a, 100), (b, 200)):
            for uid, mail in box.mails.items():
                mail.email_id = str(base + uid)
    ids = {mail.body(): mail.email_id for box in (a, b) for mail in box.mails.values()}
    order: list[int] = []
    scripted.on(
        "UID FETCH",
        lambda _: order.append(1) or exchange(a, b),
        when=lambda event: event.wants_body and not order,
    )
    ran = export(scripted, root)
    assert order
    for path in ("A", "B"):
        for uid, octets in ran.octets(path).items():
            assert ran.item(uid, path)["portarchive:email_id"] == ids[octets]


def test_a_dry_run_sees_another_mailbox_of_the_same_name(scripted, root) -> None:
    a, _ = two(scripted, "qresync")
    export(scripted, root)
    scripted.mailboxes.remove(a)
    new = scripted.add_mailbox("A", mailbox_id="MC")
    for number in range(3):
        new.add(letter(9000 + number), email_id=f"C{number}")
    assert "would fetch 3 messages" in export(scripted, root, "--dry-run").out
    sent = scripted.bodies
    export(scripted, root)
    assert scripted.bodies - sent == 3
