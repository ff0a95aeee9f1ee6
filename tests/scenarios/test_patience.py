"""Throttling, tokens that expire, and very many messages: scenarios 28, 29 and 31."""

from __future__ import annotations

import json
import time

import pytest
from running import EVENT, KINDS, TOKENS, export, letter

from servers import scripted_faults as faults

# --- 28 -------------------------------------------------------------------------------------------


def fill(scripted, count: int = 100) -> None:
    for number in range(count):
        scripted.mailbox("INBOX").add(letter(number))


@pytest.mark.parametrize("status", ["BAD", "NO"])
def test_28_the_servers_backoff_is_waited_for_once(scripted, root, status) -> None:
    fill(scripted)
    faults.throttle(scripted, milliseconds=1200, status=status, after=1)
    begun = time.monotonic()
    ran = export(scripted, root, "--progress", "json")
    assert ran.code == 0
    assert time.monotonic() - begun >= 1.2
    assert scripted.logins == 2, "reconnected once"
    events = [json.loads(line) for line in ran.err.splitlines()]
    for event in events:
        EVENT.validate(event)
    (waiting,) = [event for event in events if event["event"] == "waiting"]
    assert 0 <= waiting["seconds"] <= 1.2, "what is left of it when the rest is done"
    assert len(ran.uids()) == 100


def test_28_a_backoff_longer_than_the_user_waits_says_when_to_come_back(scripted, root) -> None:
    fill(scripted)
    hook = faults.throttle(scripted, milliseconds=299_961, after=1, times=None)
    begun = time.monotonic()
    said = export(scripted, root, "--max-wait", "30").refused(12)
    assert time.monotonic() - begun < 30, "it did not wait"
    assert "5 minutes" in said.err
    assert "again" in said.err
    assert scripted.connections <= 2, "no storm of connections"
    hook.off()
    assert export(scripted, root).code == 0


def test_28_throttled_for_ever_is_no_storm(scripted, root) -> None:
    fill(scripted)
    hook = faults.throttled_code(scripted, times=None)
    said = export(scripted, root, "--max-wait", "0").refused(12)
    assert "patience" in said.err or "THROTTLED" in said.err
    assert scripted.connections <= 10
    assert len(scripted.said("UID FETCH")) <= 40
    hook.off()
    assert export(scripted, root).code == 0


def test_28_a_login_that_is_throttled_is_waited_for(scripted, root) -> None:
    fill(scripted, 3)
    faults.throttle(scripted, command="AUTHENTICATE", milliseconds=1000, status="NO")
    ran = export(scripted, root)
    assert ran.code == 0
    assert "waiting" in ran.err


# --- 29 -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mechanism", ["XOAUTH2", "OAUTHBEARER"])
@pytest.mark.parametrize("connections", [1, 3])
def test_29_a_token_that_expires_in_the_middle_is_asked_for_again(
    scripted, root, tmp_path, mechanism, connections
) -> None:
    fill(scripted, 600)
    old, new = TOKENS
    current, following = tmp_path / "current", tmp_path / "following"
    current.write_text(old)
    following.write_text(new)
    expired = faults.expire_token(scripted, old, new, after=300)
    expire = expired.do

    def renew(delivery) -> None:
        following.replace(current)
        expire(delivery)

    expired.do = renew
    words = ["--auth", mechanism, "--token-command", f"cat {current}"]
    ran = export(scripted, root, *words, "--connections", connections, password=None)
    assert ran.code == 0
    assert expired.hits == 1
    assert len(ran.uids()) == 600
    assert {line.split()[1] for line in scripted.said("AUTHENTICATE")} == {mechanism}
    assert scripted.bodies <= 1100


def test_29_a_token_that_cannot_be_renewed_ends_with_11_and_is_resumed(
    scripted, root, tmp_path
) -> None:
    fill(scripted, 1200)
    current = tmp_path / "current"
    current.write_text(TOKENS[0])
    faults.expire_token(scripted, *TOKENS, after=1100)
    words = ["--token-command", f"cat {current}", "--max-wait", "0"]
    said = export(scripted, root, *words, password=None).refused(11)
    assert "token" in said.err
    current.write_text(TOKENS[1])
    sent = scripted.bodies
    ran = export(scripted, root, *words, password=None)
    assert ran.code == 0
    assert len(ran.uids()) == 1200
    assert scripted.bodies - sent <= 700


# --- 31 -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "count"), [("qresync", 40_000), ("plain", 150_000)])
def test_31_very_many_scattered_uids(scripted, root, kind, count) -> None:
    """Every other UID of seven digits: of 150,000 a SEARCH line of more than 1,000,000 octets."""
    scripted.capabilities = list(KINDS[kind])
    inbox = scripted.mailbox("INBOX")
    inbox.next_uid = 4_000_000
    inbox.add_many(2 * count, letter, size=60)
    inbox.mails = {uid: mail for uid, mail in inbox.mails.items() if uid % 2}
    for uid in list(inbox.mails)[::100]:
        inbox.mails[uid].size = None
    ran = export(scripted, root, "--min-size", "100")
    assert ran.code == 0
    entry = ran.folders["INBOX"]
    assert (entry["listed"], entry["archived"]) == (count, count // 100)
    assert scripted.bodies == count // 100
    assert max(map(len, scripted.commands)) <= 8000
    assert len(scripted.said("UID FETCH")) < 200
