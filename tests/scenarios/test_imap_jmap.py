"""IMAP and JMAP: one account read by both, and mail brought from one to the other and back.

The checker of two archives knows the table of docs/jmap.md and nothing else: whatever differs and
is not in it fails the test.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest
from replaying import difference, run

from servers.cyrus import Cyrus
from servers.daemon import Account, Message

PASSWORD = "pass"
ZONES = [dt.timezone(dt.timedelta(minutes=60 * hours)) for hours in (0, 2, -8)]
FLAGS = [
    (), ("\\Seen",), ("\\Answered", "\\Seen"), ("\\Flagged",), ("\\Draft", "\\Seen"),
    ("$Forwarded", "MyLabel"), ("$MailFlagBit0", "\\Flagged", "\\Seen"), ("$Junk",),
]  # fmt: skip
FOLDERS = ["INBOX", "Work", "Work/2024", "\xc4rger & Co", "Sent"]


def letter(number: int, text: bytes = b"") -> bytes:
    head = b"Message-ID: <%d@both.example>\r\nFrom: a@b.example\r\n" % number
    return head + b"Subject: %d\r\n\r\n.\r\nFrom here \xe4\r\n%s\r\n" % (number, text)


def moment(number: int) -> dt.datetime:
    return dt.datetime(2020, 1, 1, 12, tzinfo=ZONES[number % 3]) + dt.timedelta(seconds=61 * number)


def filled(account: Account) -> Account:
    """A mailbox in which each row of the table has its case."""
    number = 0
    for folder in FOLDERS:
        messages = []
        for count in range(16):
            number += 1
            body = b"x" * 1_100_000 if number == 7 else b"x" * (number * 37 % 400)
            messages.append(Message(letter(number, body), FLAGS[count % 8], moment(number)))
        account.append_many(folder, messages)
    copies = letter(9000)
    account.append_many("INBOX", [
        Message(copies, ("\\Seen", "One"), moment(500)),
        Message(copies, ("\\Flagged",), moment(400)),
        Message(copies, ("\\Seen",), moment(600)),
        Message(letter(9001), ("\\Seen",), moment(401)),
        Message(letter(9002), ("\\Deleted", "\\Seen"), moment(402)),
        Message(letter(9003), ("\\Deleted",), moment(403)),
    ])  # fmt: skip
    account.append_many("Work", [
        Message(copies, ("Two", "\\Seen"), moment(300)),
        Message(letter(9001), ("\\Seen", "Both"), moment(700)),
        Message(letter(9003), (), moment(404)),
    ])  # fmt: skip
    account.create("Empty")
    account.subscribe("Empty")
    return account


def jmap(account: Account) -> str:
    server = account.server
    assert isinstance(server, Cyrus)
    return f"jmap://{account.user}@127.0.0.1:{server.http_port}"


def imap(account: Account) -> str:
    return f"{account.url(tls=False)}?tls=none"


def do(*words: object, state: Path, code: int = 0) -> Any:
    said = run(*words, "--json", state=state, password=PASSWORD)
    assert said.code == code, (said.code, said.err, said.out[:3000])
    return said.report


def folders(root: Path) -> dict[str, dict[str, Any]]:
    """folder.json by directory, with the octets of each item."""
    found = {}
    for file in (root / "mail").rglob("folder.json"):
        folder = json.loads(file.read_bytes())
        for item in folder["items"]:
            item["octets"] = (file.parent / item.pop("filename")).read_bytes()
        found[str(file.parent.relative_to(root / "mail"))] = folder
    return found


# --- the table ------------------------------------------------------------------------------------


def by_the_table(found: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """What JMAP makes of an archive that IMAP has: docs/jmap.md, row by row."""
    copies: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for folder in found.values():
        # what is marked as deleted is not there; its flags and date count for no copy
        folder["items"] = [each for each in folder["items"] if "\\Deleted" not in each["flags"]]
        for item in folder["items"]:
            copies[item["portarchive:email_id"]].append(item)
    for folder in found.values():
        # uid and file name come from the Email's id; the order is that of the ids; copies are one
        items = {item["portarchive:email_id"]: item for item in folder["items"]}
        for email_id, item in items.items():
            item["uid"] = email_id
            # flags of all copies, but seen only if all are; lower case; sorted
            every = [{flag.lower() for flag in each["flags"]} for each in copies[email_id]]
            seen = {"$seen"} - set.intersection(*every)
            item["flags"] = sorted(set.union(*every) - seen)
            # an instant without a zone; SAVEDATE is not told
            item["portarchive:received_at"] = re.sub(
                r"\+00:00$", "Z", item["portarchive:received_at"]
            )
            item.pop("portarchive:save_date", None)
        folder["items"] = [items[key] for key in sorted(items)]
        # UIDVALIDITY, last UID, mod-sequences and rights are of IMAP, the order of JMAP
        for member in ("uidvalidity", "last_uid", "highest_modseq", "myrights"):
            folder.pop(member)
    return found


def of_jmap(found: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The same, without what JMAP alone tells."""
    for folder in found.values():
        for member in ("sort_order", "myrights", "portarchive:display_name"):
            folder.pop(member, None)
    return found


def instants(account: Account) -> dict[bytes, set[int]]:
    """When the copies of each message came, by its octets."""
    found = defaultdict(set)
    for folder in FOLDERS:
        for message in account.messages(folder).values():
            assert message.date is not None
            found[message.octets].add(int(message.date.timestamp()))
    return found


@pytest.fixture(scope="module")
def account(real_cyrus: Cyrus) -> Account:
    """Nothing of it is changed by any test."""
    return filled(real_cyrus.account("both"))


def test_both_archives_of_one_account_differ_by_the_table_only(
    account: Account, root: Path
) -> None:
    a, b = root.with_name("a"), root.with_name("b")
    do("export", imap(account), a, state=root)
    do("export", jmap(account), b, state=root)
    before, after = by_the_table(folders(a)), of_jmap(folders(b))
    moments = instants(account)
    for folder in (*before.values(), *after.values()):
        for item in folder["items"]:
            # the instant of an Email is that of one of its copies
            epoch = int(dt.datetime.fromisoformat(item["portarchive:received_at"]).timestamp())
            assert epoch in moments[item["octets"]]
            if len(moments[item["octets"]]) > 1:
                item.pop("portarchive:received_at")
    assert before.keys() == after.keys()
    for path, folder in before.items():
        assert folder == after[path], path
    ids = [{i["portarchive:email_id"] for f in found.values() for i in f["items"]}
           for found in (before, after)]  # fmt: skip
    assert ids[0] == ids[1]
    assert len(ids[0]) == 16 * len(FOLDERS) + 3


def test_diff_of_both_names_what_the_table_says(account: Account, root: Path) -> None:
    a, b = root.with_name("a"), root.with_name("b")
    do("export", imap(account), a, state=root)
    do("export", jmap(account), b, state=root)
    report = difference(a, b, password=PASSWORD, code=1)
    told = Counter()
    for folder in report["folders"]:
        assert not folder["octets"]
        assert not folder["only_b"]
        told.update({"/".join(folder["a"]): len(folder["only_a"])})
    # two more copies in the inbox, and what is marked as deleted
    assert +told == Counter({"INBOX": 4})
    assert not report["only_folders_a"]
    assert not report["only_folders_b"]


def test_an_archive_of_imap_goes_on_by_jmap(account: Account, root: Path) -> None:
    """EMAILID joins them: nothing is fetched again, and all is as JMAP has it."""
    mixed, new = root.with_name("a"), root.with_name("b")
    do("export", imap(account), mixed, state=root)
    report = do("export", jmap(account), mixed, state=root)
    assert report["totals"]["fetched"] == 0
    do("export", jmap(account), new, state=root)
    difference(mixed, new, "--exact", password=PASSWORD, code=0)


def test_an_archive_of_jmap_goes_on_by_imap(account: Account, root: Path) -> None:
    mixed, new = root.with_name("a"), root.with_name("b")
    do("export", jmap(account), mixed, state=root)
    report = do("export", imap(account), mixed, state=root)
    # what JMAP does not show (two copies more, two marked as deleted), and copies whose own date
    # it does not tell
    assert report["totals"]["fetched"] <= 6
    do("export", imap(account), new, state=root)
    difference(mixed, new, "--exact", password=PASSWORD, code=0)


# --- there and back -------------------------------------------------------------------------------


def plain(account: Account) -> Account:
    """Mail that both protocols say the same of."""
    number = 0
    for folder in FOLDERS:
        messages = []
        for count in range(12):
            number += 1
            body = b"y" * (1_200_000 if number == 5 else number * 37 % 400)
            messages.append(Message(letter(number, body), FLAGS[count % 8], moment(number)))
        account.append_many(folder, messages)
    return account


def test_from_imap_to_jmap_and_back(mailbox: Account, real_cyrus, real_dovecot, root: Path) -> None:
    plain(mailbox)
    total = 12 * len(FOLDERS)
    middle = real_cyrus.account(f"{mailbox.user}m")
    last = real_dovecot.account(f"{mailbox.user}l")
    state = root.with_name("state")
    there = do(
        "migrate", imap(mailbox), jmap(middle), "--archive", root.with_name("a"), state=state
    )
    assert there["import"]["totals"]["placed"] == total
    assert there["diff"]["same"]
    back = do("migrate", jmap(middle), imap(last), "--archive", root.with_name("b"), state=state)
    assert back["import"]["totals"]["placed"] == total
    assert back["diff"]["same"]
    only = "--exclude", "Trash"
    difference(root.with_name("a"), root.with_name("b"), *only, password=PASSWORD, code=0)
    difference(root.with_name("a"), imap(last), *only, password=PASSWORD, code=0)
    for folder in FOLDERS:
        before, after = mailbox.messages(folder).values(), last.messages(folder).values()
        assert Counter(map(comparable, after)) == Counter(map(comparable, before))
    again = do(
        "migrate", imap(mailbox), jmap(middle), "--archive", root.with_name("a"), state=state
    )
    assert again["import"]["totals"]["placed"] == again["import"]["totals"]["merged"] == 0


def comparable(message: Message) -> tuple[bytes, tuple[str, ...], float]:
    assert message.date is not None
    return message.octets, tuple(sorted(map(str.lower, message.flags))), message.date.timestamp()


def test_a_second_import_by_jmap_places_nothing(account: Account, real_cyrus, root: Path) -> None:
    """Copies in one mailbox are one Email: with the first of them all are present."""
    archive, state = root.with_name("a"), root.with_name("state")
    do("export", imap(account), archive, state=state)
    goal = real_cyrus.account(f"{account.user}g")
    first = do("import", archive, jmap(goal), state=state)["totals"]
    held = {folder: goal.messages(folder) for folder in [*FOLDERS, "Trash"]}
    # flags, dates and copies that became one are named, and no fault
    assert first["altered"]
    assert first["placed"] + first["merged"] == first["messages"] == 16 * len(FOLDERS) + 9
    assert (first["failed"], first["merged"]) == (0, 2)
    for where in (state, root.with_name("no-state")):
        again = do("import", archive, jmap(goal), state=where)["totals"]
        assert again["placed"] == again["merged"] == again["failed"] == 0
        assert again["present"] == again["messages"]
    assert {folder: goal.messages(folder) for folder in [*FOLDERS, "Trash"]} == held


def test_an_interrupted_import_goes_on(account: Account, real_cyrus, root: Path) -> None:
    """Some folders first, then all: what is there is joined or left alone."""
    archive, state = root.with_name("a"), root.with_name("state")
    do("export", jmap(account), archive, state=state)
    goal = real_cyrus.account(f"{account.user}i")
    do("import", archive, jmap(goal), "--folder", "Work", state=state)
    report = do("import", archive, jmap(goal), state=root.with_name("none"))
    totals = report["totals"]
    assert totals["failed"] == 0
    assert totals["present"] == 16 * 2 + 3
    # what is in the inbox and in Work is one Email: it is joined to the one that came first
    assert totals["merged"] == 2
    difference(archive, jmap(goal), password=PASSWORD, code=0)
