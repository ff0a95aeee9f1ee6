"""A listing that is shorter than what the server counts: it is said, and it is asked again."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from running import KINDS, export, letter

from servers.scripted_faults import arrive_during


@contextmanager
def leaving_out(scripted, inbox, *uids: int):
    """Neither SEARCH nor FETCH names these; EXISTS and STATUS count them."""
    inbox.unsearchable = set(uids)

    def cut(event) -> None:
        if event.mailbox is inbox:
            event.uids[:] = [uid for uid in event.uids if uid not in uids]

    hook = scripted.on("UID FETCH", cut)
    yield
    hook.off()
    inbox.unsearchable = set()


@pytest.fixture(params=[0, 2])
def inbox(scripted, request):
    """Ten messages, alone and with small folders that are looked at together."""
    box = scripted.mailbox("INBOX")
    for number in range(10):
        box.add(letter(number))
    for number in range(request.param):
        scripted.add_mailbox(f"Other {number}").add(letter(100 + number))
    return box


@pytest.mark.parametrize("kind", KINDS)
def test_ub11_a_short_listing_is_not_complete_and_is_asked_again(
    scripted, root, inbox, kind
) -> None:
    scripted.capabilities = list(KINDS[kind])
    with leaving_out(scripted, inbox, 5):
        for _ in range(2):  # at every run until count and listing agree
            ran = export(scripted, root)
            assert ran.code == 3
            assert "listing-mismatch" in ran.out
            assert "the server counts 1 message more than it lists" in ran.out
            (note,) = ran.folders["INBOX"]["notes"]
            assert (note["code"], note["exists"], note["listed"]) == ("count-mismatch", 10, 9)
            assert len(ran.uids()) == 9
    sent = scripted.bodies
    ran = export(scripted, root)
    assert ran.code == 0
    assert scripted.bodies - sent == 1
    assert ran.uids() == [str(uid) for uid in inbox.mails]
    assert not ran.notes()
    sent = len(scripted.commands)
    assert export(scripted, root).code == 0
    opened = [line for line in scripted.commands[sent:] if line.startswith("EXAMINE")]
    assert kind in {"neither", "plain"} or not opened, "what is settled stands still again"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("words", [(), ("--mirror",)])
def test_what_a_short_listing_leaves_out_is_not_gone(scripted, root, inbox, kind, words) -> None:
    scripted.capabilities = list(KINDS[kind])
    assert export(scripted, root, *words).code == 0
    inbox.expunge(2)
    inbox.add(letter(50))
    inbox.modseq += 100
    scripted.capabilities = [name for name in KINDS[kind] if name != "QRESYNC"]
    with leaving_out(scripted, inbox, 5, 6):
        ran = export(scripted, root, *words)
    assert ran.code == 3
    assert {"5", "6"} <= set(ran.uids()) | {item.uid for item in ran.there.kept["INBOX"]}
    ran = export(scripted, root, *words)
    assert ran.code == 0
    assert ran.uids() == [str(uid) for uid in inbox.mails]


def test_the_two_it_leaves_out_stay_items_if_nothing_else_is_missing(scripted, root, inbox) -> None:
    scripted.capabilities = list(KINDS["plain"])
    export(scripted, root)
    with leaving_out(scripted, inbox, 5, 6):
        ran = export(scripted, root)
    assert ran.code == 3
    assert ran.uids() == [str(uid) for uid in inbox.mails]
    assert not ran.there.kept["INBOX"]


def test_more_listed_than_counted_is_asked_again_and_complete(scripted, root) -> None:
    inbox = scripted.mailbox("INBOX")
    for number in range(10):
        inbox.add(letter(number))
    inbox.exists = inbox.status_messages = 8
    for _ in range(2):
        ran = export(scripted, root)
        assert ran.code == 0
        assert ran.notes() == ["count-mismatch"]
        assert "note: INBOX: count-mismatch" in ran.out
    inbox.exists = inbox.status_messages = None
    ran = export(scripted, root)
    assert (ran.code, ran.notes(), len(ran.uids())) == (0, [], 10)


@pytest.mark.parametrize("kind", KINDS)
def test_what_comes_and_goes_during_the_listing_explains_it(scripted, root, inbox, kind) -> None:
    scripted.capabilities = list(KINDS[kind])

    def busy(event) -> None:
        inbox.expunge(3)
        inbox.add(letter(60), email_id="M60")
        inbox.add(letter(61), email_id="M61")

    for name in ("UID SEARCH", "UID FETCH"):
        scripted.on(name, busy, when=lambda event: 3 in inbox.mails and not event.wants_body)
    arrive_during(scripted, "INBOX", [letter(70)], after=2)
    ran = export(scripted, root)
    assert ran.code == 0
    assert "count-mismatch" not in ran.notes()
    assert export(scripted, root).uids() == [str(uid) for uid in inbox.mails]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_taken_for_gone_and_counted_is_looked_for_again(
    scripted, root, inbox, kind
) -> None:
    """Named as new by a delta, and not there when it is fetched: the count says that it is."""
    scripted.capabilities = list(KINDS[kind])
    assert export(scripted, root).code == 0
    new = inbox.add(letter(50)).uid
    with leaving_out(scripted, inbox, new):
        export(scripted, root)
    ran = export(scripted, root)
    assert ran.code == 0
    assert ran.uids() == [str(uid) for uid in inbox.mails]
    sent = len(scripted.commands)
    assert export(scripted, root).code == 0
    opened = [line for line in scripted.commands[sent:] if line.startswith("EXAMINE")]
    assert kind in {"neither", "plain"} or not opened


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_really_gone_is_looked_for_once(scripted, root, inbox, kind) -> None:
    scripted.capabilities = list(KINDS[kind])
    assert export(scripted, root).code == 0
    new = inbox.add(letter(50)).uid
    scripted.on(
        "UID FETCH",
        lambda event: event.uids.remove(new) or inbox.expunge(new),
        when=lambda event: event.wants_body and new in inbox.mails and new in event.uids,
    )
    assert export(scripted, root).code == 0
    for _ in range(2):
        sent = len(scripted.commands)
        ran = export(scripted, root)
        assert ran.code == 0
        assert ran.uids() == [str(uid) for uid in inbox.mails]
    opened = [line for line in scripted.commands[sent:] if line.startswith("EXAMINE")]
    assert kind in {"neither", "plain"} or not opened
