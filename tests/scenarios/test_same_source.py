"""UIDs and identity: scenarios 25, 26 and 27."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import pytest
from running import KINDS, PASSWORD, comparable, export, letter, stamps

import archive_facts
from servers.daemon import Account
from servers.scripted import ScriptedServer

DATE = datetime(2023, 4, 5, 6, 7, 8, tzinfo=UTC)


def dated(number: int) -> str:
    return f'"{1 + number % 28:02}-Mar-2024 10:{number // 60 % 60:02}:{number % 60:02} +0100"'


# --- 25 -------------------------------------------------------------------------------------------

WITHOUT_IDS = [name for name in KINDS["qresync"] if name != "OBJECTID"]


@pytest.mark.parametrize("renumber_from", [1, 5001])
@pytest.mark.parametrize("offered", [KINDS["qresync"], WITHOUT_IDS, KINDS["plain"]])
def test_25_a_new_uidvalidity_fetches_no_body_again(scripted, root, renumber_from, offered) -> None:
    scripted.capabilities = list(offered)
    inbox = scripted.mailbox("INBOX")
    for number in range(300):
        inbox.add(letter(number), ["\\Seen"], dated(number), email_id=f"E{number}")
    first = export(scripted, root)
    files = archive_facts.messages(root)
    inbox.reset_uidvalidity(77, renumber_from=renumber_from)
    inbox.set_flags(renumber_from, ["\\Seen", "new"])
    sent = scripted.body_octets
    ran = export(scripted, root, "--json")
    assert ran.code == 0
    assert scripted.body_octets == sent
    assert archive_facts.messages(root) == files, "an old file serves the new uid"
    assert set(ran.folders) == {"INBOX"}
    (note,) = [n for n in ran.folders["INBOX"]["notes"] if n["code"] == "uidvalidity-changed"]
    assert (note["old"], note["new"], note["matched"], note["fetched"]) == (1, 77, 300, 0)
    assert ran.there.headers["INBOX"]["uidvalidity"] == 77
    assert ran.uids() == [str(renumber_from + number) for number in range(300)]
    assert [i.sha256 for i in ran.there.items["INBOX"]] == [
        i.sha256 for i in first.there.items["INBOX"]
    ]
    assert ran.item(str(renumber_from))["flags"] == ["$seen", "new"]
    assert not ran.there.kept["INBOX"]
    again = stamps(root)
    assert export(scripted, root).code == 0
    assert stamps(root) == again
    inbox.add(letter(999))
    sent = scripted.bodies
    assert export(scripted, root).code == 0
    assert scripted.bodies - sent == 1


def test_25_only_what_is_unique_on_both_sides_is_matched(scripted, root) -> None:
    scripted.capabilities = WITHOUT_IDS
    inbox = scripted.mailbox("INBOX")
    for number in range(100):
        inbox.add(letter(number), date=dated(number))
    twins = [letter(500), letter(500).replace(b"walnut", b"pepper").replace(b"pepper", b"beluga")]
    for twin in twins:  # one size, one instant, one Message-ID, and not the same
        inbox.add(twin, date=dated(500))
    assert export(scripted, root).code == 0
    inbox.reset_uidvalidity(2)
    sent = scripted.bodies
    ran = export(scripted, root)
    assert ran.code == 0
    assert scripted.bodies - sent == 2
    assert list(ran.octets().values())[-2:] == twins
    (note,) = [n for n in ran.folders["INBOX"]["notes"] if n["code"] == "uidvalidity-changed"]
    assert (note["matched"], note["fetched"]) == (100, 2)


@pytest.mark.parametrize("server", ["mailbox", "cyrus_mailbox"])
def test_25_on_real_servers(request, root, server) -> None:
    account: Account = request.getfixturevalue(server)
    messages = [
        (letter(number), ["\\Seen"], DATE.replace(minute=number % 60)) for number in range(30)
    ]
    account.populate({"Work": messages})
    first = export(account, root)
    files = archive_facts.messages(root)
    old = account.reset_uidvalidity("Work")
    ran = export(account, root, "--json")
    assert ran.code == 0
    assert archive_facts.messages(root) == files
    assert ran.report["totals"]["fetched"] == 0
    (note,) = [n for n in ran.folders["Work"]["notes"] if n["code"] == "uidvalidity-changed"]
    assert (note["old"], note["matched"], note["fetched"]) == (old, 30, 0)
    assert Counter(i.sha256 for i in ran.there.items["Work"]) == Counter(
        i.sha256 for i in first.there.items["Work"]
    )


# --- 26 -------------------------------------------------------------------------------------------


def moved(scripted, **settings) -> ScriptedServer:
    """Another server, reached by another name of this machine."""
    other = ScriptedServer(**settings)
    other.host = "127.0.0.1"
    other.password = PASSWORD
    return other


def fill(server, *, count: int = 30, first: int = 0) -> None:
    for name in ("INBOX", "Work", "Sent"):
        if name != "INBOX":
            server.add_mailbox(name)
        for number in range(first, first + count):
            octets, email_id = letter(number, text=name.encode()), f"{name}{number}"
            server.mailbox(name).add(octets, date=dated(number), email_id=email_id)


def test_26_another_server_with_other_mail_is_refused(scripted, root) -> None:
    fill(scripted)
    export(scripted, root)
    before = stamps(root)
    with moved(scripted) as other:
        for name in ("INBOX", "Work", "Sent"):
            mailbox = other.mailbox("INBOX") if name == "INBOX" else other.add_mailbox(name)
            mailbox.uidvalidity = 42
            mailbox.add(letter(5000, text=name.encode()), email_id=f"Foreign-{name}")
        said = export(other, root).refused(14)
        assert "--accept-source-change" in said.err
        assert stamps(root) == before
        ran = export(other, root, "--accept-source-change")
        assert ran.code == 0
        other.check()
    assert [len(ran.uids(name)) for name in ("INBOX", "Work", "Sent")] == [1, 1, 1]
    assert sum(len(kept) for kept in ran.there.kept.values()) == 90, "nothing is thrown away"
    assert ran.there.archive["datasource"]["service"].startswith("imap://127.0.0.1")


def test_26_another_server_that_is_empty_is_refused(scripted, root) -> None:
    fill(scripted)
    export(scripted, root)
    before = stamps(root)
    with moved(scripted) as other:
        export(other, root).refused(14)
        assert stamps(root) == before


def test_26_the_same_mailbox_under_another_name_is_the_same(scripted, root) -> None:
    fill(scripted)
    first = export(scripted, root)
    with moved(scripted) as other:
        fill(other)
        other.mailbox("Work").add(letter(900), email_id="New900")
        ran = export(other, root)
        assert ran.code == 0
        assert other.bodies == 1
    assert len(ran.uids("Work")) == 31
    assert comparable(first.there)["INBOX"] == comparable(ran.there)["INBOX"]


@pytest.mark.parametrize("kind", KINDS)
def test_26_a_mailbox_that_is_empty_all_at_once(scripted, root, kind) -> None:
    scripted.capabilities = list(KINDS[kind])
    fill(scripted)
    mirror = root.with_name("mirror")
    first = export(scripted, root)
    export(scripted, mirror, "--mirror")
    files = archive_facts.messages(mirror)
    for name in ("INBOX", "Work"):
        box = scripted.mailbox(name)
        box.expunge(*list(box.mails))
    ran = export(scripted, root)
    assert ran.code == 0
    assert "INBOX lost 30 messages at once" in ran.err
    assert ran.uids() == []
    assert comparable_kept(ran) == comparable(first.there)["INBOX"]
    held = export(scripted, mirror, "--mirror")
    assert held.code == 3
    assert {path for path, entry in held.folders.items() if "held" in entry} == {"INBOX", "Work"}
    assert "INBOX" in held.out
    assert archive_facts.messages(mirror) == files
    ran = export(scripted, mirror, "--mirror", "--accept-source-change")
    assert ran.code == 0
    assert len(archive_facts.messages(mirror)) == 30


def comparable_kept(ran) -> list[tuple]:
    kept = ran.there.kept["INBOX"]
    return [(i.uid, tuple(sorted(i.flags)), i.received, i.sha256) for i in kept]


# --- 27 -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_27_folders_that_share_uidvalidity_and_uids_are_apart(scripted, root, kind) -> None:
    scripted.capabilities = list(KINDS[kind])
    names = ["INBOX", "One", "Two", "One/Two"]
    for name in names:
        mailbox = scripted.mailbox("INBOX") if name == "INBOX" else scripted.add_mailbox(name)
        mailbox.uidvalidity = 12345
        for number in range(5):
            mailbox.add(letter(number, text=name.encode()), email_id=f"{name[-3:]}{number}")
    ran = export(scripted, root)
    assert ran.code == 0
    for name in names:
        assert list(ran.octets(name).values()) == [
            letter(number, text=name.encode()) for number in range(5)
        ]
    scripted.mailbox("Two").expunge(1)
    ran = export(scripted, root)
    assert [len(ran.uids(name)) for name in names] == [5, 5, 4, 5]


@pytest.mark.parametrize("told", [0, None])
@pytest.mark.parametrize("kind", KINDS)
def test_27_a_uidvalidity_of_zero_is_accepted_and_noted(scripted, root, kind, told) -> None:
    scripted.capabilities = list(KINDS[kind])
    inbox, work = scripted.mailbox("INBOX"), scripted.add_mailbox("Work")
    inbox.uidvalidity = work.uidvalidity = told
    for number in range(10):
        inbox.add(letter(number), email_id=f"a{number}")
        work.add(letter(100 + number), email_id=f"b{number}")
    ran = export(scripted, root)
    assert ran.code == 0
    assert ran.notes() == ran.notes("Work") == ["uidvalidity-zero"]
    assert "uidvalidity" not in ran.there.headers["INBOX"]
    before = stamps(root)
    assert export(scripted, root).code == 0
    assert stamps(root) == before
    inbox.expunge(3)
    inbox.add(letter(50), email_id="a50")
    ran = export(scripted, root)
    assert ran.code == 0
    assert list(ran.octets().values()) == [
        letter(number) for number in (0, 1, 3, 4, 5, 6, 7, 8, 9, 50)
    ]
