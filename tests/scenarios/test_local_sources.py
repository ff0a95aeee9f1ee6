"""Files as sources, end to end: Maildirs that a real Dovecot wrote, mbox files, Google Takeout."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import mailbox as python_mailbox
import os
import shutil
from pathlib import Path

import pytest
from running import command, export, stamps

import archive_facts
from closed import closed, open_place

DATE = b"Sat Jan 03 01:05:34 +0000 2015"


def local(url: str, root: Path, *words: object):
    return command("export", url, root, *words, password=None, root=root)


def items(ran, path: str) -> dict[str, dict]:
    document = archive_facts.folder_json(ran.root, path)
    return {item["uid"]: item for item in document["items"]}


def takeout(*told: tuple[int, bytes, bytes]) -> bytes:
    return b"".join(
        b"From %d@xxx %s\r\nX-GM-THRID: %d\r\nX-Gmail-Labels: %s\r\nSubject: %d\r\n\r\n%s\r\n\r\n"
        % (149 * 10**16 + number, DATE, 149 * 10**16, labels, number, text)
        for number, labels, text in told
    )


# --- Maildir ------------------------------------------------------------------------------------


@pytest.fixture
def written(mailbox):
    """An account that Dovecot filled by itself: APPEND, STORE, COPY, EXPUNGE, and the Maildir."""
    for name in ("Work/Projects", "Ärger & Co/日本", "Empty"):
        mailbox.create(name)
    mailbox.subscribe("Work/Projects")
    when = dt.datetime(2015, 1, 3, 1, 5, 34, tzinfo=dt.UTC)
    for number in range(12):
        octets = b"Subject: %d\r\nMessage-ID: <%d@x>\r\n\r\nbody %d\r\n" % ((number,) * 3)
        flags = [[], [r"\Seen"], [r"\Answered", r"\Flagged"], ["$Label1", "NonJunk"], [r"\Draft"]]
        mailbox.append("INBOX", octets, flags[number % 5], when + dt.timedelta(days=number))
    mailbox.append("Work/Projects", b"Subject: w\r\n\r\nx\r\n", ["$Forwarded", r"\Deleted"], when)
    mailbox.append("Ärger & Co/日本", b"Subject: j\r\n\r\nx\r\n", ["$Label1"], when)
    mailbox.expunge("INBOX", [3, 7])
    mailbox.set_flags("INBOX", [5], [r"\Seen", "$MDNSent"])
    return mailbox, mailbox.server.directory / "mail" / mailbox.user / "Maildir"


def test_a_maildir_gives_what_its_dovecot_gives(written, root, tmp_path):
    """The same items, flags, keywords, dates, UIDs and UIDVALIDITY, by file and by IMAP."""
    account, maildir = written
    by_imap = export(account, root)
    assert by_imap.code == 0, by_imap.err
    by_file = local(f"maildir:{maildir}", tmp_path / "archive")
    assert by_file.code == 0, by_file.err
    there = {
        path: held for path, held in by_imap.there.items.items()
        if "portarchive:noselect" not in by_imap.there.headers[path]
    }  # fmt: skip
    assert set(there) - {"Sent", "Drafts", "Trash", "Junk", "Archive"} <= set(by_file.there.items)
    compared = 0
    for path, held in by_file.there.items.items():
        if "portarchive:noselect" in by_file.there.headers[path]:
            continue
        one, other = items(by_imap, path), items(by_file, path)
        assert list(one) == list(other)
        for uid, item in one.items():
            again = other[uid]
            assert set(item["flags"]) == set(again["flags"])
            assert item["portarchive:received_at"] == again["portarchive:received_at"]
            octets = by_file.octets(path)[uid]
            # Dovecot keeps LF on disk; over IMAP every line ends in CRLF
            assert (
                octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") == by_imap.octets(path)[uid]
            )
        header, told = by_imap.there.headers[path], by_file.there.headers[path]
        if held:
            assert header["uidvalidity"] == told["uidvalidity"]
            assert header["last_uid"] == told["last_uid"]
        assert header["name"] == told["name"]
        assert header["is_subscribed"] == told["is_subscribed"]
        compared += len(one)
    assert compared == 12


def test_a_maildir_is_brought_up_to_date(written, root):
    account, maildir = written
    first = local(f"maildir:{maildir}", root)
    assert first.code == 0
    before = stamps(root)
    again = local(f"maildir:{maildir}", root, "--json")
    assert again.report["published"] is False
    assert stamps(root) == before
    account.append("INBOX", b"Subject: new\r\n\r\nx\r\n", [r"\Seen"])
    account.set_flags("INBOX", [5], [r"\Flagged"])
    account.expunge("INBOX", [1])
    (maildir / "new/1700000000.M1.elsewhere").write_bytes(b"Subject: delivered\n\nx\n")
    later = local(f"maildir:{maildir}", root, "--json")
    assert later.code == 0
    assert later.report["totals"]["fetched"] == 2
    found = items(later, "INBOX")
    assert "1700000000.M1.elsewhere" in found
    assert found["5"]["flags"] == ["$flagged"]
    assert "1" not in found
    document = archive_facts.folder_json(root, "INBOX")
    assert [kept["uid"] for kept in document["portarchive:kept"]] == ["1"]
    # Dovecot numbers the message that came by another way: it is the same one
    account.messages("INBOX")
    last = local(f"maildir:{maildir}", root, "--json")
    assert last.code == 0
    assert last.report["totals"]["fetched"] == 0
    assert "1700000000.M1.elsewhere" in items(last, "INBOX")


def test_a_maildir_renumbered_is_matched_and_not_read_again(written, root):
    account, maildir = written
    local(f"maildir:{maildir}", root)
    account.reset_uidvalidity("INBOX")
    ran = local(f"maildir:{maildir}", root, "--json")
    assert ran.code == 0
    assert ran.report["totals"]["fetched"] == 0
    assert ran.report["totals"]["matched"] == 10


# --- mbox ---------------------------------------------------------------------------------------


def test_an_mbox_that_python_wrote(root, tmp_path):
    path = tmp_path / "Old.mbox"
    made = python_mailbox.mbox(path)
    for number in range(20):
        message = python_mailbox.mboxMessage(b"Subject: %d\n\nFrom here to %d\n" % (number, number))
        message.set_flags("RF" if number % 2 else "")
        message.set_from("jane@example.org", (2015, 1, 3, 1, 5, number, 5, 3, 0))
        made.add(message)
    made.flush()
    made.close()
    ran = local(f"mbox:{path}", root)
    assert ran.code == 0, ran.err
    found = items(ran, "Old")
    assert len(found) == 20
    for uid, item in found.items():
        octets = ran.octets("Old")[uid]
        assert b"\nFrom here" in octets
        assert item["portarchive:sha256"] == hashlib.sha256(octets).hexdigest()
        assert set(item["flags"]) in (set(), {"$seen", "$flagged"})
        assert item["portarchive:received_at"].startswith("2015-01-03T01:05:")
    assert {"code": "mboxrd-unquoted", "count": 20} in ran.folders["Old"]["notes"]
    before = stamps(root)
    assert local(f"mbox:{path}", root).code == 0
    assert stamps(root) == before


def test_text_that_begins_with_from_stays_in_its_message(root, tmp_path):
    """Scenario 46."""
    path = tmp_path / "box"
    path.write_bytes(
        b"From a Sat Jan  3 01:05:34 2015\nSubject: 1\n\nHello,\n\nFrom what I hear\n"
        b"From b Sat Jan  3 01:05:34 2015\nis a line of text\n\n"
        b"From c Sat Jan  3 01:05:34 2015\nSubject: 2\n\nx\n\n"
    )
    ran = local(f"mbox:{path}", root)
    assert ran.code == 0
    assert len(items(ran, "box")) == 2


def test_flags_change_and_nothing_is_read_again(root, tmp_path):
    path = tmp_path / "box"
    text = b"From a Sat Jan  3 01:05:34 2015\nX-Mozilla-Status: %s\nSubject: 1\n\nx\n\n"
    path.write_bytes(text % b"0000")
    local(f"mbox:{path}", root)
    path.write_bytes(text % b"0005")
    ran = local(f"mbox:{path}", root, "--json")
    assert ran.report["totals"]["fetched"] == 0
    ((item),) = items(ran, "box").values()
    assert item["flags"] == ["$seen", "$flagged"]


def test_a_huge_message_among_small_ones(root, tmp_path):
    path = tmp_path / "box"
    post = b"From a Sat Jan  3 01:05:34 2015\nSubject: %d\n\n"
    with path.open("wb") as file:
        file.write(post % 1 + b"x\n\n" + post % 2)
        for _ in range(40):
            file.write(b">From the text\n" * 70_000)
        file.write(b"\n" + post % 3 + b"y\n\n")
    ran = local(f"mbox:{path}", root)
    assert ran.code == 0
    sizes = sorted(item["portarchive:size"] for item in items(ran, "box").values())
    assert sizes == [14, 14, 12 + 40 * 70_000 * 14]


# --- Takeout ------------------------------------------------------------------------------------


def test_a_takeout_is_stored_once_and_lies_in_each_of_its_folders(root, tmp_path):
    path = tmp_path / "Takeout/Mail/All mail Including Spam and Trash.mbox"
    path.parent.mkdir(parents=True)
    path.write_bytes(
        takeout(
            (1, b"Inbox,Work,Opened,Starred", b"one"),
            (2, b"=?UTF-8?Q?Archived,R=C3=A9sum=C3=A9s/2024,Unread?=", b"two"),
            (3, b"Archived,Opened,Important", b"three"),
            (4, b"Sent,Opened", b"four"),
        )
    )
    junk = tmp_path / "Takeout/__MACOSX"
    junk.mkdir()
    (junk / "._All mail.mbox").write_bytes(path.read_bytes())
    ran = local(f"mbox:{tmp_path / 'Takeout'}", root, "--json")
    assert ran.code == 0, ran.err
    totals = ran.report["totals"]
    assert (totals["messages"], totals["fetched"], totals["linked"]) == (5, 4, 1)
    ((one),) = items(ran, "INBOX").values()
    ((copy),) = items(ran, "Work").values()
    assert one["portarchive:labels"] == ["Inbox", "Work", "Opened", "Starred"]
    assert one["portarchive:email_id"] == "1490000000000000001"
    assert one["portarchive:thread_id"] == "1490000000000000000"
    assert one["flags"] == ["$seen", "$flagged"]
    files = [
        root / "mail" / name / item["filename"] for name, item in (("INBOX", one), ("Work", copy))
    ]
    assert files[0].stat().st_ino == files[1].stat().st_ino
    roles = {path: header.get("portarchive:role") for path, header in ran.there.headers.items()}
    assert roles == {
        "INBOX": "inbox", "Work": None, "Résumés": None, "Résumés/2024": None,
        "All Mail": "archive", "Sent": "sent",
    }  # fmt: skip
    ((two),) = items(ran, "Résumés/2024").values()
    assert two["flags"] == []
    before = stamps(root)
    assert local(f"mbox:{tmp_path / 'Takeout'}", root, "--json").report["published"] is False
    assert stamps(root) == before


def test_a_later_takeout_moves_a_message(root, tmp_path):
    path = tmp_path / "t.mbox"
    path.write_bytes(takeout((1, b"Inbox,Unread", b"one"), (2, b"Inbox,Opened", b"two")))
    local(f"mbox:{path}", root)
    path.write_bytes(
        takeout((1, b"Archived,Opened", b"one"), (2, b"Inbox,Opened", b"two"), (3, b"Inbox", b"3"))
    )
    ran = local(f"mbox:{path}", root, "--json")
    assert ran.code == 0, ran.err
    assert [item["flags"] for item in items(ran, "All Mail").values()] == [["$seen"]]
    assert len(items(ran, "INBOX")) == 2


def test_a_single_label(root, tmp_path):
    path = tmp_path / "t.mbox"
    path.write_bytes(takeout((1, b"Inbox,Work", b"one"), (2, b"Inbox", b"two")))
    ran = local(f"mbox:{path}", root, "--folder", "Work")
    assert ran.code == 0
    assert {path for path, held in ran.there.items.items() if held} == {"Work"}


# --- what no program should have written, and some have -----------------------------------------


def everything(ran) -> list[bytes]:
    """The octets of all items, copies included."""
    return sorted(
        octets
        for path in ran.there.items
        if "portarchive:noselect" not in ran.there.headers[path]
        for octets in ran.octets(path).values()
    )


def stands(url: str, ran):
    """The same command again changes nothing, and the validator finds nothing wrong."""
    before = stamps(ran.root)
    again = local(url, ran.root, "--json")
    assert (again.code, again.report["published"]) == (ran.code, False), again.err
    assert stamps(ran.root) == before
    said = command("validate", ran.root, password=None, root=ran.root)
    assert said.code == 0, said.out


def maildir(root: Path, **files: bytes) -> Path:
    for name in ("cur", "new", "tmp"):
        (root / name).mkdir(parents=True, exist_ok=True)
    for name, octets in files.items():
        (root / "cur" / name).write_bytes(octets)
    return root


def test_a_label_and_a_file_of_one_name(root, tmp_path):
    tree = tmp_path / "Takeout"
    tree.mkdir()
    (tree / "All.mbox").write_bytes(
        takeout((1, b"Sent", b"one"), (2, b"Inbox,Work", b"two"), (3, b"Work", b"three"))
    )
    post = b"From a Sat Jan  3 01:05:34 2015\nSubject: %d\n\nx\n\n"
    (tree / "Sent.mbox").write_bytes(post % 11)
    (tree / "Work").write_bytes(post % 12)
    ran = local(f"mbox:{tree}", root)
    assert ran.code == 0, ran.err
    held = {path: len(items) for path, items in ran.there.items.items()}
    labelled = {path.partition("~")[0]: path for path in held if "~" in path}
    assert held == {
        "INBOX": 1, "Sent": 1, "Work": 1, labelled["Sent"]: 1, labelled["Work"]: 2,
    }  # fmt: skip
    stands(f"mbox:{tree}", ran)


def test_two_files_of_one_unique_name(root, tmp_path):
    tree = maildir(
        tmp_path / "Maildir",
        **{"1.a:2,S": b"one\n", "1.a:2,F": b"two\n", "hello": b"3\n", "hello!": b"4\n"},
    )
    (tree / "new/1.a").write_bytes(b"three\n")
    ran = local(f"maildir:{tree}", root)
    assert ran.code == 0, ran.err
    assert everything(ran) == [b"3\n", b"4\n", b"one\n", b"three\n", b"two\n"]
    (note,) = [each for each in ran.folders["INBOX"]["notes"] if "unique" in each["code"]]
    assert note["count"] == 3
    assert "unique-name-twice" in ran.out
    stands(f"maildir:{tree}", ran)
    # the first one goes: the others are not taken for it
    (tree / "cur/1.a:2,F").unlink()
    (tree / "cur/1.a:2,S").rename(tree / "cur/1.a:2,RS")
    ran = local(f"maildir:{tree}", root, "--mirror")
    assert ran.code == 0, ran.err
    assert everything(ran) == [b"3\n", b"4\n", b"one\n", b"three\n"]


def test_names_that_are_no_unicode(root, tmp_path):
    """Of the tree, of folders and of files; they come back as they were."""
    tree = maildir(tmp_path / os.fsdecode(b"r\xe9t"))
    for directory in (tree, maildir(tree / os.fsdecode(b".x\xe9y"))):
        (directory / os.fsdecode(b"cur/a\xe9b:2,S")).write_bytes(b"Subject: 1\n\nx\n")
        (directory / "cur/100%:2,S").write_bytes(b"Subject: 2\n\nx\n")
    ran = local(f"maildir:{tree}", root)
    assert ran.code == 0, ran.err
    assert set(items(ran, "INBOX")) == set(items(ran, "x%E9y")) == {"a%E9b", "100%25"}
    assert ran.there.archive["datasource"] == {
        "service": f"maildir://{tmp_path}/r%E9t", "account": "r%E9t",
    }  # fmt: skip
    stands(f"maildir:{tree}", ran)
    local(f"maildir:{maildir(tmp_path / 'r%E9t')}", root).refused(14)
    box = tmp_path / os.fsdecode(b"b\xe9d.mbox")
    box.write_bytes(b"From a Sat Jan  3 01:05:34 2015\nSubject: 1\n\nx\n\n")
    ran = local(f"mbox:{box}", tmp_path / "other")
    assert ran.code == 0, ran.err
    assert len(items(ran, "b%E9d")) == 1
    stands(f"mbox:{box}", ran)
    nothing = os.fsdecode(b"n\xe9ant")
    local(f"mbox:{tmp_path}/{nothing}", tmp_path / "third").refused(12)


@pytest.mark.parametrize("kind", ["maildir", "mbox"])
def test_what_is_closed_is_named_and_stays(kind, tmp_path):
    with open_place() as place:
        tree, root = place / "tree", place / "archive"
        if kind == "maildir":
            shut = tree / "Shut"
            for directory in (tree, shut, shut / "Sub"):
                maildir(directory, **{"1.a:2,S": b"Subject: 1\n\nx\n"})
        else:
            shut = tree / "Shut"
            shut.mkdir(parents=True)
            for path in (tree / "INBOX", shut / "Sub"):
                path.write_bytes(b"From a Sat Jan  3 01:05:34 2015\nSubject: 1\n\nx\n\n")
        local(f"{kind}:{tree}", tmp_path / "warm")  # what is loaded on demand may be out of reach
        with closed():
            first = local(f"{kind}:{tree}", root)
        assert first.code == 0, first.err
        with closed(shut):
            ran = local(f"{kind}:{tree}", root)
        assert ran.code == 3, ran.err
        assert ran.folders["Shut"]["error"]["code"] == "unreadable"
        assert "Shut: unreadable" in ran.out
        assert len(items(ran, "Shut/Sub")) == 1
        assert "portarchive:gone_at" not in ran.there.headers["Shut/Sub"]
        with closed():
            last = local(f"{kind}:{tree}", root, "--json")
        assert last.code == 0
        assert last.report["totals"]["fetched"] == 0
        assert {path: len(held) for path, held in last.there.items.items()} == {
            path: len(held) for path, held in first.there.items.items()
        }


def test_what_is_passed_over_is_told(root, tmp_path):
    outside = maildir(tmp_path / "outside", **{"1.a": b"Subject: out\n\nx\n"})
    tree = maildir(tmp_path / "Maildir", **{"1.a": b"Subject: 1\n\nx\n"})
    (tree / ".Linked").symlink_to(outside)
    maildir(tree / ".A..B", x=b"Subject: 2\n\nx\n")
    ran = local(f"maildir:{tree}", root)
    assert ran.code == 0
    assert {path: len(held) for path, held in ran.there.items.items()} == {"INBOX": 1, ".A..B": 1}
    found = [note for entry in ran.folders.values() for note in entry["notes"]]
    assert found == [{"code": "links-left-out", "count": 1, "paths": [".Linked"]}]
    assert "links-left-out, 1 links were not followed" in ran.out
    stands(f"maildir:{tree}", ran)


@pytest.mark.parametrize("sender", ["1490000000000000001", "1490000000000000009", "bad"])
def test_equal_messages_in_two_files_of_a_takeout(root, tmp_path, sender):
    one = takeout((1, b"Work", b"one"))
    tree = tmp_path / "Takeout"
    tree.mkdir()
    (tree / "a.mbox").write_bytes(one)
    (tree / "b.mbox").write_bytes(one.replace(b"1490000000000000001@", sender.encode() + b"@"))
    ran = local(f"mbox:{tree}", root)
    assert ran.code == 0, ran.out
    assert len(items(ran, "Work")) == (1 if sender.endswith("1") else 2)
    stands(f"mbox:{tree}", ran)


def test_a_name_that_is_the_number_of_another_message(root, tmp_path):
    tree = maildir(tmp_path / "Maildir", **{"aaa:2,S": b"numbered\n", "5:2,S": b"called\n"})
    (tree / "dovecot-uidlist").write_text("3 V1700000000 N6\n5 :aaa\n")
    ran = local(f"maildir:{tree}", root)
    assert ran.code == 0, ran.out
    assert ran.octets("INBOX") == {"5": b"numbered\n", "%35": b"called\n"}
    stands(f"maildir:{tree}", ran)


def test_nobody_keeps_a_mail_out_of_the_archive(root, tmp_path):
    post = b"From a Sat Jan  3 01:05:34 2015\n%sSubject: %s\n\nx\n\n"
    forged = post % (
        b"To: x\nX-IMAP: 1\n",
        b"DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA invoice",
    )
    (tmp_path / "box").write_bytes(forged + post % (b"", b"1") + forged)
    ran = local(f"mbox:{tmp_path}/box", root)
    assert ran.code == 0
    assert len(items(ran, "box")) == 3


@pytest.mark.parametrize(
    "label", ["a/" * 2500 + "z", "a/" * 300 + "z", "/".join("é" * 80 for _ in range(40))]
)
def test_a_path_that_no_file_system_takes(root, tmp_path, label):
    path = tmp_path / "t.mbox"
    path.write_bytes(
        takeout((1, label.encode(), b"one"), (2, b"Inbox", b"two"), (3, b"a", b"three"))
    )
    ran = local(f"mbox:{path}", root)
    assert ran.code == 0, ran.err
    assert len(everything(ran)) == 3
    longest = max(ran.there.items, key=len)
    assert len(longest.encode()) <= 700
    names = []
    parts = longest.split("/")
    for depth in range(1, len(parts) + 1):
        header = ran.there.headers["/".join(parts[:depth])]
        names.append(header.get("original_name", header["name"]))
    assert "/".join(names) == label
    assert len(items(ran, longest)) == 1
    stands(f"mbox:{path}", ran)


def test_postmarks_that_lack_something(root, tmp_path):
    tree = tmp_path / "tree"
    tree.mkdir()
    post = b"From a Sat Jan  3 01:05:34 2015\nSubject: %d\n\nx\n"
    (tree / "noempty").write_bytes(b"".join(post % number for number in range(3)))
    (tree / "nodate").write_bytes(b"".join(b"From a\nSubject: %d\n\nx\n\n" % n for n in range(3)))
    (tree / "doubtful").write_bytes(post % 1 + b"\n" + post % 2 + post % 3 + b"\n" + post % 4)
    ran = local(f"mbox:{tree}", root)
    assert ran.code == 0
    assert {path: len(held) for path, held in ran.there.items.items()} == {
        "doubtful": 3, "noempty": 3, "nodate": 3,
    }  # fmt: skip
    for code in ("split-without-empty-line", "split-without-date", "postmark-without-empty-line"):
        assert f"{code}, " in ran.out
    stands(f"mbox:{tree}", ran)


# --- check, and what is refused -----------------------------------------------------------------


def test_check_lists_folders_and_counts(root, tmp_path):
    path = tmp_path / "t.mbox"
    path.write_bytes(takeout((1, b"Inbox,Work", b"one"), (2, b"Inbox", b"two")))
    said = command("export", "--check", "--json", f"mbox:{path}", password=None, root=root)
    assert said.code == 0
    told = {"/".join(each["names"]): each["messages"] for each in said.report["folders"]}
    assert told == {"INBOX": 2, "Work": 1}
    words = command("export", "--check", f"mbox:{path}", password=None, root=root)
    assert "logged in" not in words.out
    assert not root.exists()


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("mbox:{}/none", 12),
        ("maildir:{}/none", 12),
        ("mbox:{}", 12),
        ("maildir:{}", 12),
        ("mbox:{}/mmdf", 12),
        ("mbox:{}/text", 12),
        ("maildir:{}/text", 12),
        ("mbox:", 2),
        ("maildir://host/path", 2),
        ("mbox:{}/text?format=mmdf", 2),
        ("maildir:{}?format=mboxrd", 2),
        ("maildir:{}/?foo=1", 2),
        ("mbox:{}/text?format=mboxrd&foo=1", 2),
    ],
)
def test_what_cannot_be_read_is_one_line(root, tmp_path, url, code):
    (tmp_path / "text").write_bytes(b"hello\n")
    (tmp_path / "mmdf").write_bytes(b"\1\1\1\1\nSubject: x\n\ny\n\1\1\1\1\n")
    directory = tmp_path / "plain"
    directory.mkdir()
    place = directory if url.endswith("{}") or "?format=mboxrd" in url else tmp_path
    local(url.format(place), root).refused(code)
    assert not root.exists()


def test_an_option_of_access_makes_no_sense(root, tmp_path):
    (tmp_path / "box").write_bytes(b"")
    for words in (("--password-command", "pass"), ("--tls", "none"), ("--auth", "PLAIN")):
        local(f"mbox:{tmp_path}/box", root, *words).refused(2)


def test_an_empty_mbox_is_a_whole_archive(root, tmp_path):
    (tmp_path / "Empty.mbox").write_bytes(b"")
    ran = local(f"mbox:{tmp_path}/Empty.mbox", root)
    assert ran.code == 0
    assert items(ran, "Empty") == {}


def test_another_file_is_another_source(root, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).write_bytes(takeout((1, b"Inbox", name.encode())))
    assert local(f"mbox:{tmp_path}/one", root).code == 0
    local(f"mbox:{tmp_path}/two", root).refused(14)
    assert local(f"mbox:{tmp_path}/one?format=mboxo", root).refused(14)
    # a later Takeout that lies elsewhere, by the user's own word
    (tmp_path / "new").mkdir()
    shutil.copy(tmp_path / "one", tmp_path / "new/one")
    ran = local(f"mbox:{tmp_path}/new/one", root, "--accept-source-change", "--json")
    assert ran.code == 0
    assert ran.report["totals"]["fetched"] == 0


def test_the_report_names_the_kind_of_source(root, tmp_path):
    (tmp_path / "box").write_bytes(takeout((1, b"Inbox", b"x")))
    ran = local(f"mbox:{tmp_path}/box", root)
    source = json.loads((root / "manifest.json").read_text())["source"]
    assert (source["protocol"], source["account"]) == ("mbox", "box")
    assert source["service"] == f"mbox:{tmp_path}/box"
    assert source["server"]["name"] == "mboxrd"
    assert "uidvalidity" not in ran.there.headers["INBOX"]
