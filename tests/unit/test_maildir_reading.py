"""What a Maildir tells: names, flags, dates, numbers; and what of it is not to be believed."""

from __future__ import annotations

import os
import shutil
import time

import pytest

from closed import closed, open_place
from portarchive.connectors.base import Wanted
from portarchive.connectors.maildir import dovecot, names, open_source
from portarchive.errors import SettingsError, Unreachable
from portarchive.records import (
    Failure,
    FolderDone,
    FolderFailed,
    FolderOpened,
    MessageRef,
    Vanished,
)

NOW = 1_700_000_000


def maildir(path):
    for name in ("cur", "new", "tmp"):
        (path / name).mkdir(parents=True)
    return path


def put(directory, name, octets=b"Subject: x\n\ny\n", when=NOW):
    path = directory / name
    path.write_bytes(octets)
    os.utime(path, (when, when))
    return path


def listed(path, token=None, describe=False, **options):
    """(source, refs of the first folder by uid, events)."""
    source = open_source(str(path), options)
    records = source.folders()
    tokens = {records[0].folder_id: token} if token is not None else {}
    events = list(source.changes(Wanted(folders=records, tokens=tokens, describe=describe)))
    refs = {
        ref.placements[0].uid: ref
        for ref in events
        if isinstance(ref, MessageRef) and ref.placements[0].folder_id == records[0].folder_id
    }
    return source, refs, events


def read(source, ref):
    for found, outcome in source.fetch([ref]):
        if isinstance(outcome, Failure | Vanished):
            return found, outcome
        return found, b"".join(outcome.chunks())
    raise AssertionError("no answer")


# --- names


@pytest.mark.parametrize(
    ("name", "unique", "letters"),
    [
        ("1.M2.host:2,FS", "1.M2.host", "FS"),
        ("1.M2.host,S=12,W=14:2,", "1.M2.host,S=12,W=14", ""),
        ("1.M2.host", "1.M2.host", ""),
        ("1.M2.host;2,RS", "1.M2.host", "RS"),
        ("1.M2.host!2,Sab", "1.M2.host", "Sab"),
        ("1.M2.host:1,x", "1.M2.host", ""),
        ("1.M2.host:", "1.M2.host:", ""),
        ("hello!", "hello!", ""),
        ("1.M2.host:3,S", "1.M2.host:3,S", ""),
        ("1:2.host:2,S", "1:2.host", "S"),
        ("1.M2.host:2,S,extra", "1.M2.host", "S"),
        (":2,S", ":2,S", ""),
    ],
)
def test_a_file_name_taken_apart(name, unique, letters):
    assert names.file_name(name) == (unique, letters)


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (b"Work", "Work"),
        (b"&AOk-t&AOk-", "été"),
        (b"R&-D", "R&D"),
        (b"A&B", "A&B"),
        (b"&AOk", "&AOk"),
        (b"&AE8-", "&AE8-"),  # not the canonical spelling of "O"
        ("été & co".encode(), "été & co"),
        (b"&2D3eAA-", "\U0001f600"),
        (b"caf\xe9", "caf\udce9"),
    ],
)
def test_a_folder_name_is_modified_utf7_or_utf8(octets, text):
    assert names.segment(octets)[0] == text
    assert (names.segment(octets)[1] is not None) == ("\udce9" in text)


def test_layouts_side_by_side(tmp_path):
    root = maildir(tmp_path / "Maildir")
    for name in (".Work", ".Work.Projects", ".&AOk-t&AOk-", "Lists/python", "Lists/ruby/talk"):
        maildir(root / name)
    for name in (".git/objects", "sieve/tmp", "Lists/cur", ".Trash/new"):
        (root / name).mkdir(parents=True)
    maildir(root / ".git/inside")
    maildir(tmp_path / "outside")
    (root / ".Link").symlink_to(tmp_path / "outside")
    source = open_source(str(root), {})
    assert ["/".join(each.path) for each in source.folders()] == [
        "INBOX", "Lists", "Lists/python", "Lists/ruby/talk", "Trash", "Work", "Work/Projects",
        "été",
    ]  # fmt: skip
    assert source.folders()[0].roles == ("inbox",)
    assert {each.roles for each in source.folders()[1:]} == {()}
    source.close()
    named = open_source(str(root), {"roles": "names"})
    assert {each.path: each.roles for each in named.folders()}["Trash",] == ("trash",)
    named.close()


def test_a_name_with_nothing_between_two_dots_is_a_name(tmp_path):
    root = maildir(tmp_path / "Maildir")
    for name in (".A..B", ".Work."):
        maildir(root / name)
    source = open_source(str(root), {})
    assert [each.path for each in source.folders()] == [("INBOX",), (".A..B",), (".Work.",)]
    source.close()


def test_what_is_passed_over_is_told(tmp_path):
    root = maildir(tmp_path / "Maildir")
    outside = maildir(tmp_path / "outside")
    (root / ".Link").symlink_to(outside)
    (root / "Dir").symlink_to(tmp_path)
    (root / ".vim").symlink_to(tmp_path)
    (root / "gone").symlink_to("nowhere")
    (root / ".Half/new").mkdir(parents=True)
    (root / ".Half/cur").symlink_to(outside / "cur")
    put(outside / "cur", "1.a", b"outside")
    deep = root.joinpath(*["d"] * 70)
    deep.mkdir(parents=True)
    source, _, events = listed(root)
    assert [each.path for each in source.folders()] == [("INBOX",), ("Half",)]
    (done, other) = [event for event in events if isinstance(event, FolderDone)]
    assert done.notes == (
        {"code": "links-left-out", "count": 3, "paths": [".Half/cur", ".Link", "Dir"]},
        {"code": "files-left-out", "count": 1, "paths": ["/".join(["d"] * 65)]},
    )
    assert (other.notes, other.listed) == ((), 0)
    source.close()


def test_two_folders_never_get_one_path(tmp_path):
    """Not even if a third one is called as the second one would be."""
    root = maildir(tmp_path / "Maildir")
    for name in (".Work", "Work"):
        maildir(root / name)
    source = open_source(str(root), {})
    (marked,) = [each.path[0] for each in source.folders() if "~" in each.path[0]]
    source.close()
    maildir(root / marked)
    source = open_source(str(root), {})
    assert len({each.path for each in source.folders()}) == 4
    source.close()


def test_a_directory_of_maildirs_has_no_root_folder(tmp_path):
    for name in ("Inbox", "Sent"):
        maildir(tmp_path / "Mail" / name)
    source = open_source(str(tmp_path / "Mail"), {})
    assert [each.path for each in source.folders()] == [("INBOX",), ("Sent",)]
    source.close()


def test_two_folders_of_one_name_are_two(tmp_path):
    root = maildir(tmp_path / "Maildir")
    maildir(root / ".Work")
    maildir(root / "Work")
    source = open_source(str(root), {})
    paths = [each.path for each in source.folders()]
    assert len(set(paths)) == 3
    assert ("Work",) in paths
    source.close()


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("subscriptions", "Work\nWork/Projects\n", {"Work", "Work/Projects"}),
        ("subscriptions", "V\t2\n\nWork\nWork\tProjects\nINBOX\n",
         {"Work", "Work/Projects", "INBOX"}),
        ("courierimapsubscribed", "INBOX\nINBOX.Work.Projects\n", {"INBOX", "Work/Projects"}),
        ("other", "", None),
    ],
)  # fmt: skip
def test_subscriptions(tmp_path, name, text, expected):
    root = maildir(tmp_path / "Maildir")
    maildir(root / ".Work")
    maildir(root / ".Work.Projects")
    (root / name).write_text(text)
    source = open_source(str(root), {})
    told = {"/".join(each.path): each.subscribed for each in source.folders()}
    source.close()
    if expected is None:
        assert set(told.values()) == {None}
    else:
        assert {name for name, subscribed in told.items() if subscribed} == expected


# --- messages


def test_flags_letters_and_keywords(tmp_path):
    root = maildir(tmp_path / "Maildir")
    (root / "dovecot-keywords").write_text("0 $Label1\n1 NonJunk\nnonsense\n77 x\n")
    put(root / "cur", "1.a:2,PRSTDF")
    put(root / "cur", "2.a:2,Sab")
    put(root / "cur", "3.a:2,SzX")
    put(root / "new", "4.a")
    put(root / "tmp", "5.a")
    put(root / "cur", ".nfs0001")
    source, refs, events = listed(root)
    flags = {uid: set(ref.placements[0].flags) for uid, ref in refs.items()}
    assert flags == {
        "1.a": {"$Forwarded", "$answered", "$seen", "\\Deleted", "$draft", "$flagged"},
        "2.a": {"$seen", "$Label1", "NonJunk"},
        "3.a": {"$seen"},
        "4.a": set(),
    }
    (done,) = [event for event in events if isinstance(event, FolderDone)]
    assert {"code": "unknown-flag-letters", "letters": "Xz"} in done.notes
    source.close()


def test_octets_are_the_files(tmp_path):
    root = maildir(tmp_path / "Maildir")
    texts = {"1.a": b"", "2.a": b"\0\r\n\n\xff", "3.a": b"x" * 3_000_000, "4.a": b"S: 1\n\nx"}
    for name, octets in texts.items():
        put(root / "cur", f"{name}:2,S", octets)
    source, refs, _ = listed(root)
    assert {uid: read(source, ref)[1] for uid, ref in refs.items()} == texts
    (late,) = [body for _, body in source.fetch([refs["3.a"]])]
    with pytest.raises(RuntimeError):
        list(late.chunks())
    source.close()


@pytest.mark.parametrize(
    ("name", "when", "text", "notes"),
    [
        ("1600000000.M1.host", NOW, "2023-11-14T22:13:20+00:00", ()),
        ("1600000000.M1.host", 0, "2020-09-13T12:26:40+00:00", ("date-from-name",)),
        ("1600000000.M1.host", 1 << 33, "2020-09-13T12:26:40+00:00", ("date-from-name",)),
        ("message.host", 0, None, ("no-date",)),
        ("9999999999.M1.host", 0, None, ("no-date",)),
    ],
)
def test_the_date_is_the_files_or_the_names(tmp_path, name, when, text, notes):
    root = maildir(tmp_path / "Maildir")
    put(root / "new", name, when=when)
    source, refs, _ = listed(root)
    found, _ = read(source, refs[name])
    assert (found.placements[0].received.text, found.notes) == (text, notes)
    source.close()


@pytest.mark.parametrize(
    ("suffix", "notes"),
    [
        (",S=14,W=17", ()),
        (",S=15", ("wrong-size-in-name",)),
        (",W=16", ("wrong-size-in-name",)),
        (",S=1,W=1", ("wrong-size-in-name",)),
    ],
)
def test_a_wrong_size_in_a_name_is_worth_a_note(tmp_path, suffix, notes):
    root = maildir(tmp_path / "Maildir")
    put(root / "cur", f"1.a{suffix}:2,S", b"Subject: x\n\ny\n")
    source, refs, _ = listed(root)
    found, octets = read(source, refs[f"1.a{suffix}"])
    assert (len(octets), found.notes) == (14, notes)
    source.close()


def test_what_is_no_message_file_is_a_failure(tmp_path):
    root = maildir(tmp_path / "Maildir")
    put(root / "cur", "1.a:2,S")
    (tmp_path / "secret").write_bytes(b"secret")
    (root / "cur/2.a:2,S").symlink_to(tmp_path / "secret")
    (root / "cur/3.a:2,S").symlink_to(root / "cur/1.a:2,S")
    os.mkfifo(root / "cur/4.a")
    (root / "cur/5.a").mkdir()
    (root / "cur/6.a").symlink_to("6.a")
    source, refs, _ = listed(root)
    outcomes = {uid: read(source, ref)[1] for uid, ref in refs.items()}
    assert outcomes["1.a"] == outcomes["3.a"] == b"Subject: x\n\ny\n"
    assert outcomes["2.a"].code == outcomes["4.a"].code == outcomes["6.a"].code == "not-a-file"
    assert "5.a" not in outcomes
    source.close()


def test_two_files_of_one_name_are_two_messages(tmp_path):
    root = maildir(tmp_path / "Maildir")
    put(root / "cur", "1.a:2,S", b"one")
    put(root / "cur", "1.a:2,F", b"two")
    put(root / "new", "1.a", b"three")
    put(root / "cur", "2.a:2,S", b"equal")
    put(root / "cur", "2.a:2,FS", b"equal")
    put(root / "cur", "hello", b"hello")
    put(root / "cur", "hello!", b"hello!")
    os.link(put(root / "new", "3.a", b"linked"), root / "cur/3.a:2,S")  # in the middle of a move
    source, refs, events = listed(root)
    found = {uid: read(source, ref) for uid, ref in refs.items()}
    (opened,) = [event for event in events if isinstance(event, FolderOpened)]
    (done,) = [event for event in events if isinstance(event, FolderDone)]
    assert opened.counts["exists"] == done.listed == len(found) == 8
    assert source.folders()[0].messages == 9  # at a glance
    assert found["hello"][1], found["hello!"][1] == (b"hello", b"hello!")
    assert found["3.a"][1] == b"linked"
    twins = {uid: pair for uid, pair in found.items() if "%2F" in uid}
    assert sorted(octets for _, octets in twins.values()) == [
        b"equal", b"equal", b"one", b"three", b"two",
    ]  # fmt: skip
    assert {ref.notes for ref, _ in twins.values()} == {("unique-name-twice",)}
    by_octets = {octets: (uid, ref.placements[0].flags) for uid, (ref, octets) in twins.items()}
    assert by_octets[b"two"][1] == ("$flagged",)
    source.close()
    # whichever goes, the others stay what they are: alone, renamed, with other flags
    (root / "cur/1.a:2,S").unlink()
    (root / "new/1.a").unlink()
    (root / "cur/1.a:2,F").rename(root / "cur/1.a:2,")
    source, refs, events = listed(root, done.token)
    assert [uid for uid in refs if uid.startswith("1.a")] == [by_octets[b"two"][0]]
    assert events[-1].token["twins"] == ["1.a", "2.a"]
    source.close()


def test_a_message_is_found_under_its_new_name(tmp_path):
    root = maildir(tmp_path / "Maildir")
    for number in range(3):
        put(root / "new", f"{number}.a")
    source, refs, _ = listed(root)
    (root / "new/0.a").rename(root / "cur/0.a:2,S")
    (root / "new/1.a").rename(root / "cur/1.a:2,")
    (root / "cur/1.a:2,").rename(root / "cur/1.a:2,FRS")
    (root / "new/2.a").unlink()
    found = {uid: read(source, ref) for uid, ref in refs.items()}
    assert found["0.a"][0].placements[0].flags == ("$seen",)
    assert set(found["1.a"][0].placements[0].flags) == {"$flagged", "$answered", "$seen"}
    assert found["2.a"][1] == Vanished()
    source.close()


# --- numbers


def number(root, validity, **uids):
    lines = [f"3 V{validity} N100 Gaabbccddeeff00112233445566778899"]
    lines += [f"{uid} W14 :{name.replace('_', '.')}" for name, uid in uids.items()]
    (root / "dovecot-uidlist").write_text("".join(f"{line}\n" for line in lines))


def test_dovecots_numbers_are_the_uids(tmp_path):
    root = maildir(tmp_path / "Maildir")
    for name in ("x.a", "y.a", "z.a"):
        put(root / "cur", f"{name}:2,S")
    number(root, 7, y_a=10, x_a=9)
    source, refs, events = listed(root)
    assert list(refs) == ["9", "10", "z.a"]  # z.a came since Dovecot last looked
    assert source.folders()[0].uid == "aabbccddeeff00112233445566778899"
    (opened,) = [event for event in events if isinstance(event, FolderOpened)]
    (done,) = [event for event in events if isinstance(event, FolderDone)]
    assert (opened.uidvalidity, opened.uidnext) == (7, 100)
    assert done.token == {"by": "uid", "uidvalidity": 7, "named": ["z.a"]}
    source.close()
    number(root, 7, y_a=10, x_a=9, z_a=11)
    source, refs, _ = listed(root, done.token)
    assert list(refs) == ["9", "10", "z.a"]  # it keeps the uid that it was first seen under
    source.close()


def test_a_folder_that_goes_by_names_stays_so(tmp_path):
    root = maildir(tmp_path / "Maildir")
    put(root / "cur", "x.a:2,S")
    source, refs, events = listed(root)
    assert list(refs) == ["x.a"]
    token = events[-1].token
    assert token == {"by": "name"}
    source.close()
    number(root, 7, x_a=1)
    source, refs, events = listed(root, token)
    assert list(refs) == ["x.a"]
    assert events[0].uidvalidity is None
    source.close()
    source, refs, _ = listed(root)  # another archive begins anew
    assert list(refs) == ["1"]
    source.close()


@pytest.mark.parametrize(
    "text",
    [
        "3 V0 N1\n1 :x.a\n",
        "3 V99999999999 N1\n1 :x.a\n",
        "3 N1\n1 :x.a\n",
        "2 V7 N1\n1 :x.a\n",
        "3 V7 N3\n1 :x.a\n1 :y.a\n",
        "3 V7 N3\n0 :x.a\n",
        "3 V7 N3\n5 :somebody.elses\n",
        "\0\0\0",
        "",
    ],
)
def test_a_list_that_cannot_be_relied_on_is_none(tmp_path, text):
    root = maildir(tmp_path / "Maildir")
    put(root / "cur", "x.a:2,S")
    (root / "dovecot-uidlist").write_text(text)
    source, refs, events = listed(root)
    assert list(refs) == ["x.a"]
    assert events[0].uidvalidity is None
    source.close()


def test_an_old_list_and_couriers(tmp_path):
    root = maildir(tmp_path / "Maildir")
    (root / "courierimapuiddb").write_text("1 1234 3\n1 x.a\n2 y.a:2,S\n")
    listed_by = dovecot.uid_list(root)
    assert listed_by is not None
    assert (listed_by.uidvalidity, listed_by.uidnext) == (1234, 3)
    assert listed_by.uids == {"x.a": 1, "y.a": 2}


def test_the_list_lost_means_other_uids_with_what_identifies(tmp_path):
    root = maildir(tmp_path / "Maildir")
    put(root / "cur", "x.a:2,S", b"Message-ID: <1@x>\n\ny\n")
    number(root, 7, x_a=1)
    source, _, events = listed(root)
    token = events[-1].token
    source.close()
    (root / "dovecot-uidlist").unlink()
    source, refs, events = listed(root, token)
    assert events[0].uidvalidity is None
    ref = refs["x.a"]
    assert (ref.size, ref.message_id, ref.placements[0].received.epoch) == (21, b"<1@x>", NOW)
    source.close()


def test_a_copied_folder_has_no_id(tmp_path):
    root = maildir(tmp_path / "Maildir")
    maildir(root / ".Copy")
    number(root, 7)
    number(root / ".Copy", 7)
    source = open_source(str(root), {})
    assert {each.uid for each in source.folders()} == {None}
    source.close()


def test_a_name_that_is_a_number_is_no_uid(tmp_path):
    """Nor can anything else be: a message without a number, beside one that has that number."""
    root = maildir(tmp_path / "Maildir")
    for name in ("aaa", "5", "%35", "6%"):
        put(root / "cur", f"{name}:2,S", name.encode())
    number(root, 7, aaa=5)
    source, refs, events = listed(root)
    assert {uid: read(source, ref)[1] for uid, ref in refs.items()} == {
        "5": b"aaa", "%35": b"5", "%2535": b"%35", "6%25": b"6%",
    }  # fmt: skip
    token = events[-1].token
    assert token["named"] == ["%2535", "%35", "6%25"]
    source.close()
    number(root, 7, **{"aaa": 5, "5": 6, "%35": 7})
    source, again, _ = listed(root, token)
    assert list(again) == list(refs)
    source.close()


@pytest.mark.parametrize("name", ["a", "1.M2.host", "5", "%", "100%", "%2F", "a\udce9b", "05"])
def test_a_name_is_told_from_its_uid(name):
    for numbered in (False, True):
        uid = names.spelled(name, numbered=numbered)
        assert names.unspelled(uid) == name
        assert uid.encode()
        assert not (numbered and uid.isdecimal())


# --- errors


def test_what_is_no_maildir_is_one_line_with_the_next_step(tmp_path):
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "empty").mkdir()
    for name, code in (("none", "no-such-path"), ("file", "not-maildir"), ("empty", "not-maildir")):
        with pytest.raises(Unreachable) as caught:
            open_source(str(tmp_path / name), {})
        assert caught.value.code == code
        assert caught.value.hint
    with pytest.raises(SettingsError):
        open_source(str(tmp_path), {"format": "mboxrd"})


def test_a_directory_that_is_closed_is_one_failed_folder():
    with open_place() as place:
        root = maildir(place / "Maildir")
        for name in (".Work", "Shut", "Lists/Shut", "lost+found", ".Half"):
            maildir(root / name)
        for directory in (root, root / ".Half"):
            put(directory / "cur", "1.a")
        shut = [root / name for name in (".Work", "Shut", "Lists/Shut", "lost+found")]
        with closed(*shut, root / ".Half/cur"):
            source, refs, events = listed(root)
            told = {each.path: (each.unlisted, each.messages) for each in source.folders()}
            source.close()
        assert told == {
            ("INBOX",): (None, 1), ("Half",): (None, None), ("Work",): ("Work/", None),
            ("Shut",): ("Shut/", None), ("Lists", "Shut"): ("Lists/Shut/", None),
        }  # fmt: skip
        assert list(refs) == ["1.a"]
        assert {
            event.folder_id.replace("\x1f", "/"): event.code
            for event in events
            if isinstance(event, FolderFailed)
        } == {
            "Work": "unreadable", "Shut": "unreadable", "Lists/Shut": "unreadable",
            "Half": "folder-unavailable",
        }  # fmt: skip
        for directory in (root / "cur", root / "new"):
            shutil.rmtree(directory)
        with closed(*shut, root / ".Half"), pytest.raises(Unreachable) as caught:
            open_source(str(root), {})
        assert caught.value.code == "unreadable"


def test_a_folder_that_vanishes_fails_alone(tmp_path):
    root = maildir(tmp_path / "Maildir")
    maildir(root / ".Gone")
    put(root / "cur", "1.a")
    source = open_source(str(root), {})
    records = source.folders()
    for name in ("cur", "new", "tmp"):
        (root / ".Gone" / name).rmdir()
    events = list(source.changes(Wanted(folders=records, tokens={})))
    assert [event.code for event in events if isinstance(event, FolderFailed)] == [
        "folder-unavailable"
    ]
    assert sum(isinstance(event, FolderDone) for event in events) == 1
    source.close()


def test_the_account_is_named_after_the_directory(tmp_path):
    for path, account in ((tmp_path / "jane/Maildir", "jane"), (tmp_path / "backup", "backup")):
        source = open_source(str(maildir(path)), {})
        identity = source.identity()
        assert (identity.account, identity.service) == (account, f"maildir:{path}")
        source.close()


def test_describing_reads_no_message(tmp_path):
    root = maildir(tmp_path / "Maildir")
    put(root / "cur", "1.a:2,S", b"x" * 100)
    source, refs, _ = listed(root, describe=True)
    ref = refs["1.a"]
    assert (ref.size, ref.message_id) == (100, None)
    assert ref.placements[0].received.epoch == NOW < time.time()
    source.close()
