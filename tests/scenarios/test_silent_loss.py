"""Silent loss and false success: failures.md scenarios 1 to 7, 10 and 11."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from running import KINDS, command, export, letter, stamps

import archive_facts
from servers import scripted_faults as faults
from servers.scripted import Drop, Refuse
from servers.scripted_faults import PLACEHOLDER

HEADERLESS = (b"no header at all\r\nnot even one\r\n", b"\r\nonly a body\r\n")


def ten(add) -> list[bytes]:
    octets = [letter(number) for number in range(5)]
    octets += [letter(number, message_id=False) for number in range(5, 8)]
    octets += HEADERLESS
    for message in octets:
        add(message)
    return octets


@pytest.mark.parametrize("kind", KINDS)
def test_01_messages_without_message_id_or_any_header_are_archived(scripted, root, kind) -> None:
    scripted.capabilities = list(KINDS[kind])
    octets = ten(scripted.mailbox("INBOX").add)
    ran = export(scripted, root, "--json")
    assert ran.code == 0
    assert list(ran.octets().values()) == octets
    entry = ran.folders["INBOX"]
    assert (entry["listed"], entry["archived"], entry["failed"]) == (10, 10, [])
    assert ran.report["totals"]["messages"] == 10


def test_01_on_dovecot(mailbox, root) -> None:
    octets = ten(lambda message: mailbox.append("INBOX", message))
    ran = export(mailbox, root)
    assert ran.code == 0
    assert list(ran.octets().values()) == octets


BAD = {4, 5, 17, 50, 51, 99, 100}


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("words", ["[SERVERBUG] Internal error", "quota exceeded (429)", ""])
def test_02_seven_refused_of_a_hundred_are_named_and_fetched_later(
    scripted, root, whole, words
) -> None:
    inbox = scripted.mailbox("INBOX")
    for number in range(100):
        inbox.add(letter(number))
    hook = faults.refuse_uids(scripted, "INBOX", BAD, text=words, whole=whole)
    ran = export(scripted, root)
    assert ran.code == 3
    assert ran.failed() == {str(uid): "server-refused" for uid in BAD}
    assert "INCOMPLETE" in ran.out
    assert all(f"INBOX uid {uid}:" in ran.out for uid in BAD)
    entry = ran.folders["INBOX"]
    assert (entry["listed"], entry["archived"]) == (100, 93)
    hook.off()
    sent = scripted.bodies
    ran = export(scripted, root)
    assert ran.code == 0
    assert scripted.bodies - sent == 7
    assert ran.uids() == [str(uid) for uid in range(1, 101)]


@pytest.mark.parametrize("code", ["UNAVAILABLE", "LIMIT", "INUSE"])
def test_02_not_now_for_seven_of_a_hundred_until_retries_end(scripted, root, code) -> None:
    inbox = scripted.mailbox("INBOX")
    for number in range(100):
        inbox.add(letter(number))
    hook = faults.refuse_uids(scripted, "INBOX", BAD, text=f"[{code}] Over quota, try later")
    ran = export(scripted, root, "--max-wait", "0")
    assert ran.code == 3
    assert set(ran.failed()) == {str(uid) for uid in BAD}
    hook.off()
    sent = scripted.bodies
    assert export(scripted, root).code == 0
    assert scripted.bodies - sent == 7


def test_03_a_size_that_is_not_the_literals_is_a_note(scripted, root) -> None:
    octets = letter(1, size=6298)
    scripted.mailbox("INBOX").add(octets, size=19189)
    scripted.mailbox("INBOX").add(letter(2))
    ran = export(scripted, root)
    assert ran.code == 0
    assert ran.octets()["1"] == octets
    assert ran.item("1")["portarchive:size"] == len(octets)
    assert ran.folders["INBOX"]["notes"] == [{"uid": "1", "code": "size-mismatch"}]
    again = export(scripted, root)
    assert again.code == 0
    assert again.there.fingerprint == ran.there.fingerprint


@pytest.mark.parametrize("kind", KINDS)
def test_04_size_0_and_a_date_of_1899_for_every_message(scripted, root, kind) -> None:
    scripted.capabilities = list(KINDS[kind])
    inbox = scripted.mailbox("INBOX")
    octets = [letter(number) for number in range(20)]
    for message in octets:
        inbox.add(message, date='"30-Dec-1899 00:00:00 +0000"', size=0)
    ran = export(scripted, root)
    assert ran.code == 0
    assert list(ran.octets().values()) == octets
    for uid in ran.uids():
        item = ran.item(uid)
        assert item["portarchive:received_at_raw"] == "30-Dec-1899 00:00:00 +0000"
        assert "portarchive:received_at" not in item
    assert "size-mismatch" in ran.notes()
    before = stamps(root)
    assert export(scripted, root).code == 0
    assert stamps(root) == before


def test_05_placeholder_is_kept_apart(scripted, root) -> None:
    inbox = scripted.mailbox("INBOX")
    octets = [letter(number) for number in range(5)]
    for message in octets:
        inbox.add(message)
    faults.placeholder(scripted, "INBOX", {2, 4})
    ran = export(scripted, root, "--json")
    assert ran.code == 3
    assert ran.failed() == {"2": "placeholder", "4": "placeholder"}
    assert all(entry["stored"] for entry in ran.folders["INBOX"]["failed"])
    assert ran.report["totals"]["failed"] == 2
    assert ran.uids() == ["1", "3", "5"]
    assert ran.there.placeholders["INBOX"] == [
        (uid, archive_facts.sha256(PLACEHOLDER)) for uid in ("2", "4")
    ]
    assert (root / "mail/INBOX/1-0000000004~placeholder.eml").read_bytes() == PLACEHOLDER
    again = export(scripted, root)
    assert again.code == 3
    assert again.failed() == {"2": "placeholder", "4": "placeholder"}
    for number in (2, 4):
        inbox.mails[number].octets = octets[number - 1]
    ran = export(scripted, root)
    assert ran.code == 0
    assert list(ran.octets().values()) == octets
    assert ran.there.placeholders["INBOX"] == []
    assert len(archive_facts.messages(root)) == 5


def test_05_mail_that_quotes_the_placeholder_is_mail(scripted, root) -> None:
    quoting = b"Subject: Fwd: what is this?\r\n\r\n> " + PLACEHOLDER.replace(b"\r\n", b"\r\n> ")
    scripted.mailbox("INBOX").add(quoting)
    ran = export(scripted, root)
    assert ran.code == 0
    assert ran.octets() == {"1": quoting}


@pytest.mark.parametrize("kind", KINDS)
def test_06_ok_without_data_is_reported_missing(scripted, root, kind) -> None:
    scripted.capabilities = list(KINDS[kind])
    inbox = scripted.mailbox("INBOX")
    for number in range(30):
        inbox.add(letter(number))
    inbox.mails[20].octets = None
    hook = faults.no_data(scripted, "INBOX", {7})
    ran = export(scripted, root)
    assert ran.code == 3
    assert ran.failed() == {"7": "no-data", "20": "nil-body"}
    assert not any(entry["stored"] for entry in ran.folders["INBOX"]["failed"])
    assert len(archive_facts.messages(root)) == 28
    hook.off()
    inbox.mails[20].octets = letter(19)
    sent = scripted.bodies
    ran = export(scripted, root)
    assert ran.code == 0
    assert scripted.bodies - sent == 2
    assert len(ran.uids()) == 30


def never_fetched(server, uids: set[int]):
    """No FETCH of any kind ever names these; SEARCH and EXISTS do."""

    def drop(event) -> None:
        event.uids = [uid for uid in event.uids if uid not in uids]

    return server.on("UID FETCH", drop)


@pytest.mark.parametrize("kind", KINDS)
def test_06_what_search_names_and_no_fetch_ever_does_is_missing_not_gone(
    scripted, root, kind
) -> None:
    scripted.capabilities = list(KINDS[kind])
    inbox = scripted.mailbox("INBOX")
    for number in range(30):
        inbox.add(letter(number))
    hook = never_fetched(scripted, {7, 8, 20})
    ran = export(scripted, root)
    assert ran.code == 3
    assert ran.failed() == {"7": "no-data", "8": "no-data", "20": "no-data"}
    asked = [
        line for line in scripted.commands if line.startswith("UID SEARCH") and "7:8,20" in line
    ]
    assert len(asked) == 1, "one search for all that is left over"
    hook.off()
    sent = scripted.bodies
    ran = export(scripted, root)
    assert ran.code == 0
    assert scripted.bodies - sent == 3
    assert len(ran.uids()) == 30


def test_06_without_a_search_to_tell_nothing_counts_as_gone(scripted, root) -> None:
    inbox = scripted.mailbox("INBOX")
    for number in range(9):
        inbox.add(letter(number))
    never_fetched(scripted, {7})

    def refuse(_) -> None:
        raise Refuse("[CANNOT] no search today")

    scripted.on("UID SEARCH", refuse, when=lambda event: event.line.endswith("UID 7"))
    ran = export(scripted, root)
    assert ran.code == 3
    assert ran.failed() == {"7": "no-data"}


def test_06_what_is_gone_by_the_time_of_the_fetch_is_no_loss(scripted, root) -> None:
    inbox = scripted.mailbox("INBOX")
    for number in range(9):
        inbox.add(letter(number))

    def expunge(_) -> None:
        inbox.expunge(7)

    scripted.on("UID FETCH", expunge, when=lambda event: event.wants_body, times=1)
    ran = export(scripted, root)
    assert ran.code == 0
    assert ran.uids() == ["1", "2", "3", "4", "5", "6", "8", "9"]


ODD_KEYWORDS = ['$A"b', 'a"b"c', "x]y", "]", "{3}", '"open', "NIL"]


@pytest.mark.parametrize("kind", KINDS)
def test_06_keywords_that_no_grammar_allows_cost_nothing(scripted, root, kind) -> None:
    scripted.capabilities = list(KINDS[kind])
    inbox = scripted.mailbox("INBOX")
    for number, odd in enumerate(ODD_KEYWORDS):
        inbox.add(letter(number), ["\\Seen", odd, "$Forwarded"])
    ran = export(scripted, root)
    assert ran.code == 0
    for uid, odd in zip(ran.uids(), ODD_KEYWORDS, strict=True):
        assert ran.item(uid)["flags"] == ["$seen", odd, "$Forwarded"]
        assert ran.item(uid)["portarchive:received_at"]
    before = stamps(root)
    assert export(scripted, root).code == 0
    assert stamps(root) == before


def test_07_a_folder_that_stops_at_ten_thousand_is_suspected(scripted, root) -> None:
    inbox = scripted.mailbox("INBOX")
    inbox.add_many(24_000, lambda uid: b"Subject: %d\r\n\r\n" % uid, size=20)
    inbox.cap = 10_000
    for number in range(3):
        inbox.add(letter(number))
    # The filter leaves all but three out: what counts is the listing.
    ran = export(scripted, root, "--min-size", "50")
    assert ran.code == 0
    assert len(ran.uids()) == 3
    (note,) = [n for n in ran.folders["INBOX"]["notes"] if n["code"] == "suspected-cap"]
    assert note["exists"] == 10_000
    assert "suspected-cap" in ran.out + ran.err, "nobody is warned"
    assert "suspected-cap" in command("info", root, root=root).out


def test_07_counts_that_disagree_are_all_three_recorded(scripted, root) -> None:
    inbox = scripted.mailbox("INBOX")
    for number in range(20):
        inbox.add(letter(number))
    inbox.exists, inbox.status_messages, inbox.unsearchable = 25, 23, {3, 4}
    ran = export(scripted, root)
    assert len(ran.uids()) == 20, "what SEARCH does not name, FETCH does"
    (note,) = [n for n in ran.folders["INBOX"]["notes"] if n["code"] == "count-mismatch"]
    assert (note["exists"], note["status"], note["listed"]) == (25, 23, 20)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("others", [0, 3])
def test_07_a_folder_said_to_be_empty_that_status_counts_is_searched(
    scripted, root, kind, others
) -> None:
    scripted.capabilities = list(KINDS[kind])
    inbox = scripted.mailbox("INBOX")
    for number in range(20):
        inbox.add(letter(number))
    for number in range(others):  # small folders are looked at together
        scripted.add_mailbox(f"Other {number}").add(letter(100 + number), email_id=f"M{number}")
    inbox.exists, inbox.status_messages = 0, 23
    ran = export(scripted, root)
    assert len(ran.uids()) == 20
    (note,) = [n for n in ran.folders["INBOX"]["notes"] if n["code"] == "count-mismatch"]
    assert (note["exists"], note["status"], note["listed"]) == (0, 23, 20)
    inbox.set_flags(3, ["later"])
    assert len(export(scripted, root).uids()) == 20


def test_10_a_thousand_with_one_subject_and_one_second(scripted, root) -> None:
    inbox = scripted.mailbox("INBOX")
    octets = [b"Subject: Re: Re: report\r\n\r\n%d\r\n" % number for number in range(1000)]
    for message in octets:
        inbox.add(message, date='"02-Mar-2024 10:00:00 +0100"')
    ran = export(scripted, root)
    assert ran.code == 0
    assert list(ran.octets().values()) == octets
    assert len(archive_facts.messages(root)) == 1000


def test_10_on_dovecot(mailbox, root) -> None:
    date = datetime(2024, 3, 2, 9, tzinfo=UTC)
    octets = [b"Subject: Re: Re: report\r\n\r\n%d\r\n" % number for number in range(1000)]
    mailbox.populate({"INBOX": [(message, (), date) for message in octets]})
    ran = export(mailbox, root)
    assert ran.code == 0
    assert sorted(ran.octets().values()) == sorted(octets)
    assert len(archive_facts.messages(root)) == 1000


def fill_twelve(scripted) -> list[str]:
    names = ["INBOX", *(f"Folder {number:02}" for number in range(11))]
    for name in names[1:]:
        scripted.add_mailbox(name)
    for name in names:
        for number in range(5):
            octets = letter(number, text=name.encode())
            scripted.mailbox(name).add(octets, email_id=f"M{name[-2:]}-{number}")
    return names


def break_listing(server, folder: bytes):
    """Whatever asks for the messages of this folder, but not for their text."""

    def drop(_) -> None:
        raise Drop

    return server.on(
        "*",
        drop,
        when=lambda event: (
            event.name in {"UID SEARCH", "UID FETCH"}
            and not event.wants_body
            and event.mailbox.wire == folder
        ),
    )


BREAKS = {
    "examine is refused": lambda server: faults.examine_no(server, "Folder 05"),
    "examine breaks the connection": lambda server: faults.drop_on(
        server, "EXAMINE", folder="Folder 05", times=None
    ),
    "the listing breaks the connection": lambda server: break_listing(server, b"Folder 05"),
}


@pytest.mark.parametrize("fault", BREAKS)
def test_11_a_folder_that_breaks_in_the_middle_leaves_the_others_whole(
    scripted, root, fault
) -> None:
    names = fill_twelve(scripted)
    hook = BREAKS[fault](scripted)
    ran = export(scripted, root, "--max-wait", "0")
    assert ran.code == 3
    assert set(ran.folders) == set(names)
    assert [path for path, entry in ran.folders.items() if "error" in entry] == ["Folder 05"]
    assert "Folder 05" in ran.out
    for name in names:
        assert len(ran.uids(name)) == (0 if name == "Folder 05" else 5)
    hook.off()
    ran = export(scripted, root)
    assert ran.code == 0
    assert all(len(ran.uids(name)) == 5 for name in names)


def test_11_a_folder_whose_messages_all_break_the_connection(scripted, root) -> None:
    names = fill_twelve(scripted)
    hook = faults.drop_on(scripted, "UID FETCH", folder="Folder 05", times=None)
    ran = export(scripted, root, "--max-wait", "0")
    assert ran.code == 3
    entry = ran.folders["Folder 05"]
    assert "error" in entry or len(entry["failed"]) == 5
    for name in names:
        assert len(ran.uids(name)) == (0 if name == "Folder 05" else 5)
    hook.off()
    assert export(scripted, root).code == 0
