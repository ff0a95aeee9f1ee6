"""Big providers, each played from what users of other tools reported; failures.md §3."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from running import TOKENS, bag, comparable, export, letter, stamps

import archive_facts
from portarchive.connectors import budget, registry
from portarchive.connectors.imap.channel import Channel
from servers import scripted_faults as faults
from servers.scripted import Refuse, ScriptedServer

# --- Gmail ----------------------------------------------------------------------------------------

GMAIL = (
    "IMAP4rev1", "UNSELECT", "IDLE", "NAMESPACE", "QUOTA", "ID", "XLIST", "CHILDREN", "X-GM-EXT-1",
    "UIDPLUS", "COMPRESS=DEFLATE", "ENABLE", "MOVE", "CONDSTORE", "ESEARCH", "UTF8=ACCEPT",
    "LIST-EXTENDED", "LIST-STATUS", "LITERAL-", "SPECIAL-USE", "APPENDLIMIT=35651584",
)  # fmt: skip

FOLDERS = {
    "[Gmail]": (r"\HasChildren", r"\NoSelect"),
    "[Gmail]/All Mail": (r"\All",),
    "[Gmail]/Drafts": (r"\Drafts",),
    "[Gmail]/Sent Mail": (r"\Sent",),
    "[Gmail]/Spam": (r"\Junk",),
    "[Gmail]/Starred": (r"\Flagged",),
    "[Gmail]/Important": (r"\Important",),
    "[Gmail]/Trash": (r"\Trash",),
    "Ärger & Co": (),
    "Work": (),
}


@pytest.fixture
def gmail(scripted: ScriptedServer) -> ScriptedServer:
    """A Gmail account: 40 messages, each in All Mail, most of them in a label's folder too."""
    scripted.capabilities = list(GMAIL)
    scripted.identity = '("name" "GImap" "vendor" "Google, Inc.")'
    for name, attributes in FOLDERS.items():
        scripted.add_mailbox(name.encode(), attributes=attributes)  # UTF8=ACCEPT
    for number in range(40):
        places = [r"\\Inbox"] if number % 4 else []
        places += ["&AMQ-rger &- Co"] if number % 5 == 0 else []
        places += ["Work"] if number % 7 == 0 else []
        add(scripted, number, places)
    return scripted


def add(server: ScriptedServer, number: int, labels: list[str]) -> None:
    """A message with its labels; it is in the folder of each, and in All Mail."""
    folders = {r"\\Inbox": "INBOX", "&AMQ-rger &- Co": "Ärger & Co"}
    flags = [r"\Seen", "$Forwarded", "odd]key[word"] if number % 3 else []
    for folder in ("[Gmail]/All Mail", *(folders.get(label, label) for label in labels)):
        server.mailbox(folder.encode()).add(
            letter(number),
            flags,
            email_id=str(1_700_000_000_000_000_000 + number),
            thread_id=str(1_700_000_000_000_000_000 + number // 2),
            labels=" ".join(f'"{label}"' if " " in label or "\\" in label else label
                            for label in labels),
        )  # fmt: skip


def test_gmail_fetches_each_body_once_and_all_mail_last(gmail, root) -> None:
    ran = export(gmail, root)
    assert ran.code == 0
    assert gmail.bodies == 40
    examined = [line for line in gmail.commands if line.startswith(("EXAMINE", "UID FETCH"))]
    with_text = [
        examined[at - 1]
        for at, line in enumerate(examined)
        if "BODY.PEEK[]" in line and examined[at - 1].startswith("EXAMINE")
    ]
    assert with_text[-1] == 'EXAMINE "[Gmail]/All Mail"'
    only_there = [n for n in range(40) if n % 4 == 0 and n % 5 and n % 7]
    last = [line for line in gmail.commands if "BODY.PEEK[]" in line][-1]
    assert re.findall(r"\d+", last.split(" ")[2]) == [str(n + 1) for n in only_there]
    every = ran.there.items["[Gmail]/All Mail"]
    assert len(every) == 40
    assert len(ran.there.items["INBOX"]) == 30
    inodes = {path.stat().st_ino for path in root.rglob("*.eml")}
    assert len(inodes) == 40


def test_gmail_ids_labels_and_odd_keywords_are_kept(gmail, root) -> None:
    ran = export(gmail, root)
    item = ran.item("36", "[Gmail]/All Mail")
    assert item["portarchive:email_id"] == "1700000000000000035"
    assert item["portarchive:thread_id"] == "1700000000000000017"
    assert item["portarchive:labels"] == [r"\Inbox", "Ärger & Co", "Work"]
    assert item["flags"] == ["$seen", "$Forwarded", "odd]key[word"]
    assert ran.item("1", "[Gmail]/All Mail")["portarchive:labels"] == ["Ärger & Co", "Work"]
    header = ran.there.headers["[Gmail]/All Mail"]
    assert header["portarchive:role"] == "all"
    assert header["special_use"] == r"\All"


def test_gmail_leaves_the_open_folder_out_of_the_labels(gmail, root) -> None:
    """In each of its folders a message has all its labels, that of the folder too."""
    folders = {
        "[Gmail]/Drafts": r"\Draft", "[Gmail]/Sent Mail": r"\Sent", "[Gmail]/Spam": r"\Spam",
        "[Gmail]/Starred": r"\Starred", "[Gmail]/Important": r"\Important",
        "[Gmail]/Trash": r"\Trash", "Ärger & Co": "Ärger & Co", "INBOX": r"\Inbox", "Work": "Work",
    }  # fmt: skip
    sent = (
        " ".join('"' + label.replace("\\", "\\\\") + '"' for label in [*folders.values(), "Später"])
        .replace("Ärger &", "&AMQ-rger &-")
        .replace("Später", "Sp&AOQ-ter")
    )
    for name in ("[Gmail]/All Mail", *folders):
        gmail.mailbox(name.encode()).add(letter(77), email_id="77", labels=sent)
    ran = export(gmail, root)
    assert ran.code == 0
    wanted = {*folders.values(), "Später"}
    for name in ("[Gmail]/All Mail", *folders):
        (labels,) = [
            item["portarchive:labels"]
            for item in archive_facts.folder_json(root, name)["items"]
            if item["portarchive:email_id"] == "77"
        ]
        assert set(labels) == wanted, name
        assert len(labels) == len(wanted), name
    before = stamps(root)
    assert export(gmail, root).code == 0
    assert stamps(root) == before


def test_gmail_single_copy_has_one_file_a_message(gmail, root) -> None:
    ran = export(gmail, root, "--single-copy")
    assert ran.code == 0
    assert len(archive_facts.messages(root)) == 40
    plain = export(gmail, root.with_name("plain"))
    assert bag(ran.there) == bag(plain.there)


def test_gmail_an_update_fetches_only_what_is_new(gmail, root) -> None:
    export(gmail, root)
    before = stamps(root)
    assert export(gmail, root).code == 0
    assert stamps(root) == before
    add(gmail, 50, [r"\\Inbox", "Work"])
    gmail.mailbox("Work").expunge(1)  # a label taken off
    sent = gmail.bodies
    ran = export(gmail, root)
    assert ran.code == 0
    assert gmail.bodies - sent == 1
    fresh = export(gmail, root.with_name("fresh"))
    assert comparable(ran.there) == comparable(fresh.there)


@pytest.mark.parametrize(
    "without", [(), ("CONDSTORE",), ("LIST-STATUS",), ("CONDSTORE", "ESEARCH")]
)
@pytest.mark.parametrize("alone", [False, True])
def test_gmail_labels_that_changed_are_refreshed(gmail, root, without, alone) -> None:
    """Put on, taken off, and the last one taken off; those that stand still are left alone."""
    gmail.capabilities = [name for name in GMAIL if name not in without]
    every = gmail.mailbox("[Gmail]/All Mail")
    every.mails[3].labels = "one two"
    export(gmail, root)
    for box in gmail.mailboxes:
        box.counted = not alone
    for uid, labels in (
        (3, "two one"),
        (1, r'"\\Inbox" Later'),
        (2, ""),
        (36, r'"\\Inbox" "&AMQ-rger &- Co"'),
    ):
        every.mails[uid].labels = labels
        every.set_flags(uid, every.mails[uid].flags)
    sent = gmail.bodies
    gmail.commands.clear()
    ran = export(gmail, root)
    assert ran.code == 0
    assert gmail.bodies == sent
    for uid, labels in (
        ("1", [r"\Inbox", "Later"]),
        ("2", []),
        ("3", ["one", "two"]),  # a set: the same as it was
        ("36", [r"\Inbox", "Ärger & Co"]),
        ("4", [r"\Inbox"]),
    ):
        assert ran.item(uid, "[Gmail]/All Mail")["portarchive:labels"] == labels
    assert ran.item("1")["portarchive:labels"] == [r"\Inbox"]
    if not without:
        asked = [line for line in gmail.said("UID FETCH") if "X-GM-LABELS" in line]
        assert asked
        assert all("CHANGEDSINCE" in line or "1:3,36" in line for line in asked), asked
    published = stamps(root)
    assert export(gmail, root).code == 0
    assert stamps(root) == published


def test_gmail_labels_and_flags_of_a_run_that_was_interrupted(gmail, root) -> None:
    """What the journal holds is refreshed as well."""
    every = gmail.mailbox("[Gmail]/All Mail")

    def throttle(_) -> None:
        raise Refuse("Request is throttled. Suggested Backoff Time: 900000 milliseconds")

    hook = gmail.on("UID FETCH", throttle, when=lambda e: e.wants_body and e.mailbox is every)
    assert export(gmail, root, "--max-wait", "0").code == 12
    hook.off()
    inbox = gmail.mailbox("INBOX")
    inbox.mails[1].labels = "Later"
    inbox.set_flags(1, [r"\Flagged"])
    sent = gmail.bodies
    ran = export(gmail, root)
    assert ran.code == 0
    assert gmail.bodies == 40
    assert sent > 20
    assert ran.item("1")["portarchive:labels"] == [r"\Inbox", "Later"]
    assert ran.item("1")["flags"] == ["$flagged"]


def test_gmail_a_folder_limit_is_suspected(gmail, root) -> None:
    """Settings, IMAP: folders contain no more than 1,000 messages."""
    box = gmail.mailbox("[Gmail]/All Mail")
    box.add_many(1500, letter)
    box.cap = 1000
    ran = export(gmail, root, "--folder", "[Gmail]/All Mail")
    assert ran.code == 0
    assert "suspected-cap" in ran.notes("[Gmail]/All Mail")
    assert "Settings, IMAP" in ran.out


@pytest.mark.parametrize(
    "text",
    [
        "[THROTTLED] Too many requests",
        "Account exceeded command or bandwidth limits. (Failure)",
        "[OVERQUOTA] Account exceeded bandwidth limits",
    ],
)
def test_gmail_throttling_is_waited_out(gmail, root, text) -> None:
    calls = []

    def refuse(event) -> None:
        calls.append(event.line)
        raise Refuse(text)

    gmail.on("UID FETCH", refuse, when=lambda event: event.wants_body, times=2)
    ran = export(gmail, root)
    assert ran.code == 0
    assert calls
    assert len(ran.there.items["[Gmail]/All Mail"]) == 40


# --- the budget -----------------------------------------------------------------------------------


@pytest.fixture
def state(root, monkeypatch) -> Path:
    """Where the count is kept: of this test alone."""
    directory = root.with_name("state")
    monkeypatch.setenv("XDG_STATE_HOME", str(directory))
    return directory


def later(state: Path, hours: int) -> None:
    """So many hours pass for the count."""
    (file,) = state.rglob("*.json")
    counted = json.loads(file.read_text())
    moved = {str(int(hour) - hours): octets for hour, octets in counted["hours"].items()}
    file.write_text(json.dumps({"hours": moved}))


def test_the_budget_ends_a_run_cleanly_and_the_next_day_goes_on(gmail, root, state) -> None:
    size = len(letter(39))
    words = ["--budget", str(15 * size)]
    ran = export(gmail, root, *words)
    assert ran.code == 3
    assert gmail.bodies == 15
    left = ran.folders["[Gmail]/All Mail"]["failed"]
    assert len(left) == 1
    assert left[0]["code"] == "budget"
    assert left[0]["count"] == len(list(archive_facts_expand(left[0]["uids"])))
    when = re.search(r"go on after (\S+ \S+) UTC", left[0]["text"])
    assert when is not None
    moment = datetime.strptime(when[1], "%Y-%m-%d %H:%M").replace(tzinfo=UTC)
    assert timedelta(hours=22) < moment - datetime.now(UTC) <= timedelta(hours=24)
    assert "go on after" in ran.out + ran.err
    assert "budget" in ran.out
    entry = ran.folders["INBOX"]
    assert entry["listed"] == 30
    assert 15 <= entry["archived"] < 30

    again = export(gmail, root, *words, "--json")  # on the same day: nothing
    assert again.code == 3
    assert [notice["code"] for notice in again.report["notices"]] == ["budget"]
    assert gmail.bodies == 15
    later(state, 25)
    assert export(gmail, root, *words).code == 3
    assert gmail.bodies == 30
    later(state, 25)
    done = export(gmail, root, *words)
    assert done.code == 0
    assert gmail.bodies == 40
    assert len(done.there.items["[Gmail]/All Mail"]) == 40
    later(state, 25)
    before = stamps(root)
    assert export(gmail, root, *words).code == 0
    assert stamps(root) == before


def archive_facts_expand(uids: str) -> list[int]:
    numbers: list[int] = []
    for part in uids.split(","):
        low, _, high = part.partition(":")
        numbers += range(int(low), int(high or low) + 1)
    return numbers


def test_the_budget_is_of_the_account_not_of_the_archive(gmail, root, state) -> None:
    size = len(letter(39))
    words = ["--budget", str(25 * size)]
    export(gmail, root, *words)
    assert gmail.bodies == 25
    other = export(gmail, root.with_name("other"), *words)
    assert other.code == 3
    assert gmail.bodies == 25
    joe = export(gmail, root.with_name("joe"), *words, user="joe")
    assert joe.code == 3
    assert gmail.bodies == 50
    assert export(gmail, root.with_name("free"), "--budget", "none").code == 0


def spent_of(state: Path) -> int:
    """Octets that the count says were had."""
    (file,) = state.rglob("*.json")
    return sum(json.loads(file.read_text())["hours"].values())


def test_the_budget_is_kept_where_a_listing_need_not_name_sizes(scripted, root, state) -> None:
    scripted.capabilities = ["IMAP4rev1"]
    inbox = scripted.mailbox("INBOX")
    for number in range(200):
        inbox.add(letter(number, size=50_000))
    ran = export(scripted, root, "--budget", "520k")
    assert ran.code == 3
    assert scripted.bodies == 10
    assert scripted.body_octets <= 520_000
    (left,) = ran.folders["INBOX"]["failed"]
    assert left["count"] == 190
    ran = export(scripted, root, "--budget", "none")
    assert ran.code == 0
    assert scripted.bodies == 200


@pytest.mark.parametrize("told", [0, 17])
@pytest.mark.parametrize("connections", [1, 3])
def test_sizes_that_are_wrong_cost_one_message_at_most(
    scripted, root, state, told, connections
) -> None:
    """0 is what a server says that does not know; 17 is a lie."""
    scripted.capabilities = ["IMAP4rev1"]
    inbox = scripted.mailbox("INBOX")
    for number in range(300):
        inbox.add(letter(number, size=50_000), size=told)
    ran = export(scripted, root, "--budget", "520k", "--connections", connections)
    assert ran.code == 3
    size = len(letter(299, size=50_000))
    assert 520_000 <= spent_of(state) < 520_000 + size
    entry = ran.folders["INBOX"]
    assert entry["archived"] == 11
    assert entry["listed"] == 300
    (left,) = entry["failed"]
    assert left["count"] == 289
    assert export(scripted, root, "--budget", "none").code == 0


def test_a_message_over_the_budget_has_a_day_of_its_own(gmail, root, state) -> None:
    big = letter(99, size=30_000)
    gmail.mailbox("Work").add(big, email_id="99")
    words = ["--budget", "20k", "--folder", "Work"]
    first = export(gmail, root, *words)
    assert first.code == 3
    assert first.failed("Work") if "uid" in first.folders["Work"]["failed"][0] else True
    later(state, 25)
    second = export(gmail, root, *words)
    assert second.code == 0
    assert big in second.octets("Work").values()


def test_what_cannot_be_kept_is_said_and_harms_nothing(gmail, root, monkeypatch) -> None:
    blocked = root.with_name("blocked")
    blocked.parent.mkdir(parents=True, exist_ok=True)
    blocked.write_text("a file")
    monkeypatch.setenv("XDG_STATE_HOME", str(blocked))
    ran = export(gmail, root, "--budget", "1G")
    assert ran.code == 0
    assert "will not know of today's downloads" in ran.err


@pytest.mark.parametrize("octets", [b"", b"{", b"[]", b'{"hours": 5}', b'{"hours": {"x": "y"}}'])
def test_a_count_that_makes_no_sense_counts_for_nothing(tmp_path, octets) -> None:
    file = tmp_path / "count.json"
    file.write_bytes(octets)
    spent = budget.Spent(file)
    assert spent.total() == 0
    spent.add(7)
    spent.save()
    assert budget.Spent(file).total() == 7


def test_what_is_spent_is_free_again_a_day_later(tmp_path) -> None:
    now = [1_800_000_000.0]
    spent = budget.Spent(tmp_path / "count.json", clock=lambda: now[0])
    for octets in (100, 50, 25):
        spent.add(octets)
        now[0] += 3600
    assert spent.total() == 175
    first = datetime.fromtimestamp(1_800_000_000 // 3600 * 3600, UTC)
    assert spent.free_at(100) == first + timedelta(hours=24)
    assert spent.free_at(30) == first + timedelta(hours=25)
    assert spent.free_at(0) == first + timedelta(hours=26)
    now[0] += 22 * 3600
    assert spent.total() == 25


def test_gmail_has_a_budget_of_its_own_and_others_have_none() -> None:
    def limit(host: str, given: int | None = None) -> int | None:
        address = registry.SourceAddress(
            scheme="imaps", host=host, port=993, tls="implicit", user="jane",
            secret=None, budget=given,  # type: ignore[arg-type]  # not asked for here
        )  # fmt: skip
        return registry.budget_of(address)

    assert limit("imap.gmail.com") == 2_500_000_000
    assert limit("IMAP.googlemail.com.") == 2_500_000_000
    assert limit("imap.gmail.com", 0) is None
    assert limit("imap.gmail.com", 7) == 7
    assert limit("imap.notgmail.com") is None
    assert limit("imap.example.org") is None
    assert limit("imap.example.org", 7) == 7


@pytest.mark.parametrize("text", ["0", "much", "-1", "2500 M"])
def test_a_budget_that_is_none_is_one_clear_line(scripted, root, text) -> None:
    export(scripted, root, "--budget", text).refused(2)


# --- Outlook.com, Microsoft 365, Exchange ---------------------------------------------------------

EXCHANGE = (
    "IMAP4", "IMAP4rev1", "SASL-IR", "UIDPLUS", "MOVE", "ID", "UNSELECT", "CHILDREN", "IDLE",
    "NAMESPACE", "LITERAL+",
)  # fmt: skip


@pytest.fixture
def exchange(scripted: ScriptedServer) -> ScriptedServer:
    """Sizes three times too large, dates of 1899, a placeholder, names with a slash replaced."""
    scripted.capabilities = list(EXCHANGE)
    scripted.mechanisms = ["PLAIN", "XOAUTH2"]
    inbox = scripted.mailbox("INBOX")
    for number in range(600):
        octets = letter(number)
        date = '"30-Dec-1899 00:00:00 +0000"' if number % 10 == 0 else "DATE"
        sent = date if number % 10 == 0 else '" 1-Feb-2024 03:04:05 +0100"'
        inbox.add(octets, date=sent, size=3 * len(octets))
    faults.placeholder(scripted, "INBOX", {17})
    scripted.add_mailbox("Sent Items")
    scripted.add_mailbox("A_xF8FF_B").add(letter(1))
    return scripted


def test_exchange_on_a_bad_day(exchange, root, tmp_path) -> None:
    """All at once: a token that dies, a throttle that names its patience, sizes, dates."""
    current = tmp_path / "token"
    current.write_text(TOKENS[0])
    hook = faults.expire_token(exchange, *TOKENS, after=300)
    renewed = exchange.on("*", lambda _: current.write_text(TOKENS[1]) and None,
                          when=lambda _: hook.hits > 0, times=1)  # fmt: skip
    faults.throttle(exchange, milliseconds=200, after=1)
    words = ["--token-command", f"cat {current}", "--progress", "json"]
    ran = export(exchange, root, *words, password=None)
    assert ran.code == 3, ran.out + ran.err
    assert ran.failed() == {"17": "placeholder"}
    assert len(ran.octets()) == 599
    assert ran.octets()["300"] == letter(299)
    waits = [json.loads(line) for line in ran.err.splitlines()]
    assert any(event["event"] == "waiting" for event in waits)
    sizes = next(n for n in ran.folders["INBOX"]["notes"] if n["code"] == "size-mismatch")
    assert sizes["count"] == 599
    assert ran.item("1")["portarchive:received_at_raw"] == "30-Dec-1899 00:00:00 +0000"
    assert ran.item("2")["portarchive:received_at"] == "2024-02-01T03:04:05+01:00"
    assert ran.uids("A_xF8FF_B") == ["1"]
    assert renewed.hits == 1
    assert exchange.bodies <= 600 + 2 * 500


def test_exchange_is_asked_for_few_things_at_once(exchange, root, monkeypatch) -> None:
    """It answers "Request is throttled" to clients in a hurry."""
    exchange.identity = '("name" "Microsoft.Exchange.Imap4.Imap4Server" "version" "15.20")'
    for number in range(30):
        exchange.add_mailbox(f"Folder {number}").add(letter(number))
    most = []
    send = Channel.send

    def counted(channel, *parts):
        tag = send(channel, *parts)
        most.append(channel.in_flight)
        return tag

    monkeypatch.setattr(Channel, "send", counted)
    assert export(exchange, root).code == 3  # the placeholder
    assert max(most) <= 5
    exchange.identity = '("name" "Another")'
    most.clear()
    assert export(exchange, root.with_name("fast")).code == 3
    assert max(most) > 20


# --- Yahoo, Proton Bridge, iCloud -----------------------------------------------------------------


def test_yahoo_shows_ten_thousand(scripted, root) -> None:
    scripted.capabilities = ["IMAP4rev1", "ID", "NAMESPACE", "UIDPLUS", "LITERAL+", "UNSELECT"]
    scripted.add_mailbox("Bulk", attributes=[r"\Junk"])
    inbox = scripted.mailbox("INBOX")
    inbox.add_many(24_000, letter)
    inbox.cap = 10_000
    ran = export(scripted, root, "--min-size", "1M")
    assert ran.code == 0
    assert ran.notes() == ["suspected-cap"]
    assert "10,000 messages" in ran.out
    assert ran.folders["INBOX"]["listed"] == 10_000


def test_proton_bridge_says_size_0(scripted, root) -> None:
    scripted.capabilities = ["IMAP4rev1", "ID", "IDLE", "MOVE", "STARTTLS", "UIDPLUS", "UNSELECT"]
    for name in ("Folders", "Labels"):
        scripted.add_mailbox(name, attributes=[r"\NoSelect"])
    scripted.add_mailbox("All Mail", attributes=[r"\All"])
    for folder in ("INBOX", "All Mail"):
        for number in range(20):
            scripted.mailbox(folder).add(letter(number), size=0)
    ran = export(scripted, root)
    assert ran.code == 0
    assert all(ran.octets(folder)["20"] == letter(19) for folder in ("INBOX", "All Mail"))
    for folder in ("INBOX", "All Mail"):
        (note,) = ran.folders[folder]["notes"]
        assert (note["code"], note["count"]) == ("size-mismatch", 20)


def test_proton_bridge_with_a_filter_by_size_takes_what_it_cannot_judge(scripted, root) -> None:
    scripted.capabilities = ["IMAP4rev1"]
    scripted.mailbox("INBOX").add(letter(1), size=0)
    ran = export(scripted, root, "--min-size", "100", "--max-size", "1M")
    assert ran.uids() == ["1"]


def test_icloud_leaves_messages_out_of_its_answers(scripted, root) -> None:
    """OK, and not a word about some of them; alone they come."""
    scripted.capabilities = ["IMAP4rev1", "SASL-IR", "ESEARCH", "ID", "LITERAL+", "CONDSTORE"]
    inbox = scripted.mailbox("INBOX")
    for number in range(30):
        inbox.add(letter(number))
    faults.no_data(scripted, "INBOX", {3, 4, 29}, times=3)
    ran = export(scripted, root)
    assert ran.code == 0
    assert len(ran.octets()) == 30
    faults.no_data(scripted, "INBOX", {31})
    inbox.add(letter(31))
    ran = export(scripted, root)
    assert ran.code == 3
    assert ran.failed() == {"31": "no-data"}


def test_the_state_is_private(gmail, root, state) -> None:
    export(gmail, root, "--budget", "1G")
    (file,) = state.rglob("*.json")
    assert oct(file.stat().st_mode)[-3:] == "600"
    assert oct(file.parent.stat().st_mode)[-3:] == "700"
    assert "jane" not in file.read_text() + file.name
    assert list(file.parent.iterdir()) == [file]
