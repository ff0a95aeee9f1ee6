"""UIDs and identity: scenarios 25, 26 and 27."""

from __future__ import annotations

import json
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


# --- another mailbox under the same UIDVALIDITY ---------------------------------------------------

IDS = {name: (*offered, "OBJECTID") for name, offered in KINDS.items()}
"""All of them with ids of mailboxes and messages."""


def put(mailbox, *numbers: int, message_id: bool = True) -> None:
    """Letters of one size and one instant."""
    for number in numbers:
        octets = letter(number, message_id=message_id)
        mailbox.add(octets, email_id=f"E{number}" if message_id else None)


@pytest.mark.parametrize("others", [0, 3])
@pytest.mark.parametrize("count", [3, 5])
@pytest.mark.parametrize("kind", IDS)
def test_a_mailbox_deleted_and_made_anew(scripted, root, kind, count, others) -> None:
    """Same name, same UIDVALIDITY, same UIDs, another MAILBOXID."""
    scripted.capabilities = list(dict.fromkeys(IDS[kind]))
    for number in range(others):  # small folders are looked at together
        put(scripted.add_mailbox(f"Other {number}", mailbox_id=f"O{number}"), 700 + number)
    put(scripted.add_mailbox("Work", mailbox_id="M1"), 101, 102, 103)
    assert export(scripted, root).code == 0
    scripted.remove_mailbox("Work")
    put(scripted.add_mailbox("Work", mailbox_id="M2"), *range(201, 201 + count))
    sent = scripted.bodies
    ran = export(scripted, root)
    assert ran.code == 0
    assert scripted.bodies - sent == count
    assert list(ran.octets("Work").values()) == [letter(201 + number) for number in range(count)]
    assert {item.sha256 for item in ran.there.kept["Work"]} == {
        archive_facts.sha256(letter(number)) for number in (101, 102, 103)
    }
    (note,) = [n for n in ran.folders["Work"]["notes"] if n["code"] == "uidvalidity-changed"]
    assert (note["matched"], note["fetched"]) == (0, count)
    before = stamps(root)
    assert export(scripted, root).code == 0
    assert stamps(root) == before


@pytest.mark.parametrize("kind", IDS)
def test_the_ids_of_messages_are_the_same_too_and_their_octets_are_not(
    scripted, root, kind
) -> None:
    """All that a listing tells is the same. The least of what matches is compared."""
    scripted.capabilities = list(dict.fromkeys(IDS[kind]))
    put(scripted.add_mailbox("Work", mailbox_id="M1"), 1, 2, 3, message_id=False)
    assert export(scripted, root).code == 0
    scripted.remove_mailbox("Work")
    put(scripted.add_mailbox("Work", mailbox_id="M2"), 4, 5, 6, message_id=False)
    ran = export(scripted, root)
    assert ran.code == 0
    assert list(ran.octets("Work").values()) == [
        letter(number, message_id=False) for number in (4, 5, 6)
    ]


@pytest.mark.parametrize("kind", IDS)
def test_two_mailboxes_that_change_places(scripted, root, kind) -> None:
    """Under one UIDVALIDITY STATUS says the same of both before and after."""
    scripted.capabilities = list(dict.fromkeys(IDS[kind]))
    one, other = (scripted.add_mailbox(name, mailbox_id=name * 2) for name in ("A", "B"))
    one.uidvalidity = other.uidvalidity = 77
    put(one, 101, 102, 103)
    put(other, 201, 202, 203)
    assert export(scripted, root).code == 0
    one.wire, other.wire = other.wire, one.wire
    sent = scripted.bodies
    ran = export(scripted, root)
    assert ran.code == 0
    assert scripted.bodies == sent, "files go along"
    assert list(ran.octets("A").values()) == [letter(number) for number in (201, 202, 203)]
    assert list(ran.octets("B").values()) == [letter(number) for number in (101, 102, 103)]
    assert not any(ran.there.kept.values())
    assert len(archive_facts.messages(root)) == 6
    before = stamps(root)
    assert export(scripted, root).code == 0
    assert stamps(root) == before


def test_an_archive_of_a_version_that_kept_no_id_in_its_tokens(scripted, root) -> None:
    one, other = (scripted.add_mailbox(name, mailbox_id=name * 2) for name in ("A", "B"))
    put(one, 101, 102, 103)
    put(other, 201, 202, 203)
    assert export(scripted, root).code == 0
    forget_ids_in_tokens(root)
    before = stamps(root)
    assert export(scripted, root).code == 0
    assert stamps(root) == before, "it goes on as ever"
    one.wire, other.wire = other.wire, one.wire
    ran = export(scripted, root)
    assert ran.code == 0
    assert list(ran.octets("A").values()) == [letter(number) for number in (201, 202, 203)]
    assert list(ran.octets("B").values()) == [letter(number) for number in (101, 102, 103)]


def forget_ids_in_tokens(root) -> None:
    """Rewrite the manifest without them, and what names its digest and its size."""
    manifest, about = root / "manifest.json", root / "archive.json"
    document, chain = json.loads(manifest.read_text()), json.loads(about.read_text())
    assert any(entry["state"].pop("mailbox_id", None) for entry in document["folders"])
    manifest.write_text(json.dumps(document))
    octets = manifest.read_bytes()
    named = chain["archive"]["portarchive:manifest"]
    named.update(sha256=archive_facts.sha256(octets), bytes=len(octets))
    about.write_text(json.dumps(chain))


@pytest.mark.parametrize("capability", ["OBJECTID", "X-GM-EXT-1"])
def test_a_known_uid_with_another_id_is_another_message(scripted, root, capability) -> None:
    """No MAILBOXID, or the server keeps it though the mailbox is another one."""
    offered = [name for name in KINDS["neither"] if name != "OBJECTID"]
    scripted.capabilities = [*offered, capability]
    inbox = scripted.mailbox("INBOX")
    inbox.mailbox_id = "M1"
    ids = {number: f"{900 + number}" for number in range(20)}
    for number in range(10):
        inbox.add(letter(100 + number), email_id=ids[number])
    assert export(scripted, root).code == 0
    inbox.mails[4].octets, inbox.mails[4].email_id = letter(150), ids[15]
    ran = export(scripted, root)
    assert ran.code == 0
    assert ran.octets()["4"] == letter(150)
    assert [item.sha256 for item in ran.there.kept["INBOX"]] == [archive_facts.sha256(letter(103))]


# --- UIDs that do not last ------------------------------------------------------------------------


@pytest.mark.parametrize("told", [0, None, "unsteady"])
@pytest.mark.parametrize("kind", KINDS)
def test_mail_replaced_under_uids_that_do_not_last(scripted, root, kind, told) -> None:
    """UIDVALIDITY 0, none, or UIDNOTSTICKY: what is here is found by what it is."""
    scripted.capabilities = list(KINDS[kind])
    inbox = scripted.mailbox("INBOX")
    if told == "unsteady":
        scripted.on("EXAMINE", lambda event: event.untagged("OK [UIDNOTSTICKY] for now"))
    else:
        inbox.uidvalidity = told
    for number in range(10):
        inbox.add(letter(100 + number), date=dated(number), email_id=f"E{number}")
    assert export(scripted, root).code == 0
    before = stamps(root)
    assert export(scripted, root).code == 0
    assert stamps(root) == before, "the same mail is no change"
    kept = [inbox.mails[uid] for uid in (3, 4, 5)]
    inbox.mails.clear()
    inbox.next_uid = 1
    for number in range(4):
        inbox.add(letter(200 + number), date=dated(number), email_id=f"N{number}")
    for mail in kept:
        inbox.add(mail.octets, date=mail.date, email_id=mail.email_id)
    ran = export(scripted, root)
    assert ran.code == 0
    assert list(ran.octets().values()) == [
        letter(number) for number in (200, 201, 202, 203, 102, 103, 104)
    ]
    assert {item.sha256 for item in ran.there.kept["INBOX"]} == {
        archive_facts.sha256(letter(100 + number)) for number in (0, 1, 5, 6, 7, 8, 9)
    }
    before = stamps(root)
    assert export(scripted, root).code == 0
    assert stamps(root) == before


def test_uids_that_do_not_last_and_a_first_run_that_broke_off(scripted, root) -> None:
    scripted.capabilities = list(KINDS["plain"])
    inbox = scripted.mailbox("INBOX")
    inbox.uidvalidity = None
    for number in range(10):
        inbox.add(letter(100 + number), date=dated(number))
    hook = scripted.on_message(lambda delivery: delivery.event.bye("down"), uids={6})
    login = scripted.on("*", lambda event: event.bye("down"), when=lambda _: hook.hits > 0)
    assert export(scripted, root, "--max-wait", "0").code == 12
    hook.off()
    login.off()
    inbox.mails.clear()
    inbox.next_uid = 1
    for number in range(10):
        inbox.add(letter(200 + number), date=dated(number))
    ran = export(scripted, root)
    assert ran.code == 0
    assert list(ran.octets().values()) == [letter(200 + number) for number in range(10)]
