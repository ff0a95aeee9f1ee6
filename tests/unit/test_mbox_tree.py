"""Which mbox files a tree has, what their folders are called, and what is refused."""

from __future__ import annotations

import os

import pytest

from closed import closed, open_place
from portarchive.connectors.base import Wanted
from portarchive.connectors.mbox import open_source
from portarchive.errors import ExitCode, SettingsError, Unreachable
from portarchive.records import FolderDone, FolderFailed, MessageRef

ONE = b"From a Sat Jan  3 01:05:34 2015\nSubject: 1\n\nx\n\n"


def lay(root, **files):
    for name, octets in files.items():
        path = root / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(octets)


def folders(path, **options):
    source = open_source(str(path), options)
    found = {"/".join(each.path): each for each in source.folders() if not each.doubtful}
    source.close()
    return found


def doubtful(path):
    """What would be a folder only if the archive had one of that path."""
    source = open_source(str(path), {})
    found = {"/".join(each.path) for each in source.folders() if each.doubtful}
    source.close()
    return found


def visited(path):
    """(messages by folder, code of the failure by folder)."""
    source = open_source(str(path), {})
    records = [each for each in source.folders() if not each.doubtful]
    names = {each.folder_id: "/".join(each.path) for each in records}
    named, failed = {}, {}
    for event in source.changes(Wanted(folders=records, tokens={})):
        if isinstance(event, MessageRef):
            name = names[event.placements[0].folder_id]
            named[name] = named.get(name, 0) + 1
        elif isinstance(event, FolderFailed):
            failed[names[event.folder_id]] = event.code
    source.close()
    return named, failed


def test_one_file_is_one_folder(tmp_path):
    (tmp_path / "Old mail.mbox").write_bytes(ONE * 3)
    found = folders(tmp_path / "Old mail.mbox")
    assert [(name, each.messages, each.roles) for name, each in found.items()] == [
        ("Old mail", 3, ())
    ]
    (tmp_path / "inbox").write_bytes(ONE)
    (only,) = folders(tmp_path / "inbox").values()
    assert (only.path, only.roles) == (("inbox",), ())
    (only,) = folders(tmp_path / "inbox", roles="names").values()
    assert (only.path, only.roles) == (("INBOX",), ("inbox",))


def test_thunderbird(tmp_path):
    """Well-known names mean what they say where Thunderbird's own files lie beside them."""
    lay(
        tmp_path,
        Inbox=ONE,
        Inbox_dot_msf=b'// <!-- <mdb:mork:z v="1.4"/> -->',
        Sent=ONE * 2,
        Drafts=b"",
        Trash=ONE,
        Work=ONE,
        Work_dot_sbd__Projects=ONE,
        Work_dot_sbd__Projects_dot_sbd__2024=b"",
        filterlog_dot_html=b"<html>",
        msgFilterRules_dot_dat=b"version=9",
    )
    found = folders(tmp_path)
    assert {name: (each.roles, each.messages) for name, each in found.items()} == {
        "INBOX": (("inbox",), 1), "Sent": (("sent",), 2), "Drafts": (("drafts",), 0),
        "Trash": (("trash",), 1), "Work": ((), 1), "Work/Projects": ((), 1),
        "Work/Projects/2024": ((), 0),
    }  # fmt: skip
    assert next(iter(found)) == "INBOX"


def test_a_tree_of_files_has_no_roles_unless_asked(tmp_path):
    lay(tmp_path, inbox=ONE, sent=ONE, lists__python_dot_mbox=ONE)
    assert {name: each.roles for name, each in folders(tmp_path).items()} == {
        "inbox": (), "sent": (), "lists/python": (),
    }  # fmt: skip
    assert {name: each.roles for name, each in folders(tmp_path, roles="names").items()} == {
        "INBOX": ("inbox",), "sent": ("sent",), "lists/python": (),
    }  # fmt: skip


def test_apple_mail(tmp_path):
    lay(tmp_path, Work_dot_mbox__mbox=ONE, Work_dot_mbox__table_of_contents=b"\0\1")
    assert list(folders(tmp_path)) == ["Work"]


def test_apple_mail_goes_on_below(tmp_path):
    lay(
        tmp_path,
        Work_dot_mbox__mbox=ONE,
        Work_dot_mbox__Inner_dot_mbox__mbox=ONE * 2,
        Work_dot_mbox__Inner_dot_mbox__table_of_contents=b"",
        Work_dot_mbox__Other=ONE * 3,
        Plain_dot_mbox__Inside=ONE,
    )
    assert {name: each.messages for name, each in folders(tmp_path).items()} == {
        "Work": 1, "Work/Inner": 2, "Work/Other": 3, "Plain.mbox/Inside": 1,
    }  # fmt: skip


def test_mail_is_told_by_how_a_file_begins_and_not_by_its_name(tmp_path):
    lay(
        tmp_path,
        inbox_dot_dat=ONE,
        old_dot_log=ONE * 2,
        mail_dot_json=b"\1\1\1\1\n",
        Work_dot_msf=b"",
        prefs_dot_dat=b"version=9",
        debug_dot_log=b"2015-01-03 started",
    )
    source = open_source(str(tmp_path), {})
    records = [each for each in source.folders() if not each.doubtful]
    events = list(source.changes(Wanted(folders=records, tokens={})))
    source.close()
    assert {each.path: each.messages for each in records} == {
        ("inbox.dat",): 1, ("old.log",): 2, ("mail.json",): None,
    }  # fmt: skip
    assert [event.notes for event in events if isinstance(event, FolderDone)] == [(), ()]


def test_what_is_passed_over_is_told(tmp_path):
    lay(tmp_path, tree__Work=ONE, tree__notes=b"no mail", outside__Secret=ONE, outside__text=b"x")
    tree = tmp_path / "tree"
    (tree / "File").symlink_to(tmp_path / "outside/Secret")
    (tree / "Dir").symlink_to(tmp_path / "outside")
    (tree / "text").symlink_to(tmp_path / "outside/text")
    (tree / "gone").symlink_to("nowhere")
    os.mkfifo(tmp_path / "outside/pipe")
    (tree / "pipe").symlink_to(tmp_path / "outside/pipe")
    tree.joinpath(*["d"] * 70).mkdir(parents=True)
    source = open_source(str(tree), {})
    events = list(source.changes(Wanted(folders=source.folders(), tokens={})))
    source.close()
    (done,) = [event for event in events if isinstance(event, FolderDone)]
    assert list(done.notes) == [
        {"code": "files-left-out", "count": 1},
        {"code": "files-left-out", "count": 1, "paths": ["/".join(["d"] * 65)]},
        {"code": "links-left-out", "count": 2, "paths": ["Dir", "File"]},
    ]


def test_two_files_never_get_one_path(tmp_path):
    lay(tmp_path, Work=ONE, Work_dot_mbox=ONE)
    (marked,) = [name for name in folders(tmp_path) if "~" in name]
    (tmp_path / marked).write_bytes(ONE)
    assert len(folders(tmp_path)) == 3


def test_junk_is_no_folder(tmp_path):
    """Scenario 48: what unpacking leaves is not counted as mail."""
    lay(
        tmp_path,
        Takeout__Mail__All_dot_mbox=ONE,
        __MACOSX__Takeout__Mail__x_dot_mbox=ONE,
        _dot_DS_Store=b"\0\0\0\1Bud1",
        Takeout__archive_browser_dot_html=b"<html>",
        Takeout__Mail__User_dot_json=b"{}",
    )
    (tmp_path / "__MACOSX").mkdir()
    (tmp_path / "__MACOSX" / "._All.mbox").write_bytes(ONE)
    assert list(folders(tmp_path)) == ["Takeout/Mail/All"]


def test_links_are_not_followed(tmp_path):
    lay(tmp_path, tree__Work=ONE, outside__Secret=ONE)
    (tmp_path / "tree/Link").symlink_to(tmp_path / "outside/Secret")
    (tmp_path / "tree/Dir").symlink_to(tmp_path / "outside")
    assert list(folders(tmp_path / "tree")) == ["Work"]


def test_names_that_do_not_decode_and_names_that_meet(tmp_path):
    (tmp_path / os.fsdecode(b"caf\xe9")).write_bytes(ONE)
    lay(tmp_path, Work=ONE, Work_dot_mbox=ONE * 2)
    found = folders(tmp_path)
    raw = {each.raw_name for each in found.values()} - {None}
    assert raw == {b"caf\xe9"}
    assert len(found) == 3
    assert sorted(each.messages for each in found.values()) == [1, 1, 2]


def test_files_that_are_no_mail_are_counted(tmp_path):
    lay(tmp_path, Work=ONE, notes_dot_txt=b"hello", picture=b"\x89PNG")
    source = open_source(str(tmp_path), {})
    events = list(source.changes(Wanted(folders=source.folders(), tokens={})))
    (done,) = [event for event in events if isinstance(event, FolderDone)]
    assert {"code": "files-left-out", "count": 2} in done.notes
    source.close()


def test_what_cannot_be_read_is_one_failed_folder(tmp_path):
    lay(tmp_path, Good=ONE, Mmdf=b"\1\1\1\1\nSubject: x\n\ny\n\1\1\1\1\n")
    source = open_source(str(tmp_path), {})
    records = source.folders()
    events = list(source.changes(Wanted(folders=records, tokens={})))
    source.close()
    (failed,) = [event for event in events if isinstance(event, FolderFailed)]
    assert (failed.folder_id, failed.code) == ("Mmdf", "mmdf")
    assert sum(isinstance(event, MessageRef) for event in events) == 1


def test_a_directory_that_is_closed_is_one_failed_folder():
    with open_place() as place:
        lay(
            place,
            Good=ONE,
            Work=ONE,
            Work_dot_sbd__Sub=ONE,
            Apple_dot_mbox__mbox=ONE,
            dir__Shut__Sub=ONE,
            lost_found__x=ONE,
        )
        (place / "lost_found").rename(place / "lost+found")
        names = ("Work.sbd", "Apple.mbox", "dir/Shut", "lost+found")
        with closed(*(place / name for name in names)):
            source = open_source(str(place), {})
            records = source.folders()
            events = list(source.changes(Wanted(folders=records, tokens={})))
            source.close()
        assert {"/".join(each.path): each.unlisted for each in records} == {
            "Good": None, "Work": None, "Work.sbd": "Work/", "Apple": "Apple",
            "dir/Shut": "dir/Shut/",
        }  # fmt: skip
        failed = [event for event in events if isinstance(event, FolderFailed)]
        assert {event.code for event in failed} == {"unreadable"}
        assert len(failed) == 3
        assert sum(isinstance(event, MessageRef) for event in events) == 2
        for name in ("Good", "Work"):
            (place / name).unlink()
        with closed(*(place / name for name in names)), pytest.raises(Unreachable) as caught:
            open_source(str(place), {})
        assert caught.value.code == "unreadable"


@pytest.mark.parametrize(
    ("octets", "code"),
    [
        (b"\1\1\1\1\nSubject: x\n", "mmdf"),
        (b"Subject: x\n\ny\n", "not-mbox"),
        (b"PK\3\4", "not-mbox"),
        (None, "no-such-path"),
    ],
)
def test_what_is_no_mbox_is_one_line_with_the_next_step(tmp_path, octets, code):
    path = tmp_path / "file"
    if octets is not None:
        path.write_bytes(octets)
    with pytest.raises(Unreachable) as caught:
        open_source(str(path), {})
    assert caught.value.code == code
    assert caught.value.exit_code is ExitCode.UNREACHABLE
    assert caught.value.hint
    assert "\n" not in caught.value.text


def test_a_directory_without_mail_and_options_that_are_none(tmp_path):
    with pytest.raises(Unreachable, match="no mbox file"):
        open_source(str(tmp_path), {})
    for options in ({"format": "mmdf"}, {"roles": ""}, {"colour": "red"}):
        with pytest.raises(SettingsError):
            open_source(str(tmp_path), options)


def test_mboxo_is_another_source(tmp_path):
    """Its octets are others: an archive of the one is no archive of the other."""
    path = tmp_path / "box"
    path.write_bytes(ONE)
    services = set()
    for name in ("mboxrd", "mboxo"):
        source = open_source(str(path), {"format": name})
        services.add(source.identity().service)
        assert source.identity().server == {"name": name}
        source.close()
    assert services == {f"mbox:{path}", f"mbox:{path}?format=mboxo"}


# --- damaged files


@pytest.mark.parametrize(
    "head",
    [
        b"\0" * 64,
        b"\0" * 5_000_000,
        b"\xef\xbb\xbf",
        b"\n\0\0\r\n\xef\xbb\xbf\0",
    ],
)
def test_mail_behind_nuls_and_a_byte_order_mark_is_mail(tmp_path, head):
    """Writers that crash leave the one, editors the other."""
    (tmp_path / "Sent").write_bytes(head + ONE * 3)
    source = open_source(str(tmp_path), {})
    events = list(source.changes(Wanted(folders=source.folders(), tokens={})))
    refs = [event for event in events if isinstance(event, MessageRef)]
    octets = {b"".join(body.chunks()) for _, body in source.fetch(refs)}
    source.close()
    assert len(refs) == 3
    assert octets == {b"Subject: 1\n\nx\n"}
    (done,) = [event for event in events if isinstance(event, FolderDone)]
    passed = [note["count"] for note in done.notes if note["code"] == "nuls-passed-over"]
    assert passed == ([head.count(0)] if b"\0" in head else [])
    assert folders(tmp_path / "Sent")["Sent"].messages == 3


def test_what_grows_behind_nuls(tmp_path):
    path = tmp_path / "Sent"
    path.write_bytes(b"\0" * 100 + ONE)
    source = open_source(str(path), {})
    assert source.folders()[0].messages == 1
    path.write_bytes(b"\0" * 100 + ONE * 2)
    assert source.folders()[0].messages == 2
    source.close()


@pytest.mark.parametrize(
    ("octets", "code"),
    [
        (b"garbage", "not-mbox"),
        (b"\0" * 100, "damaged"),
        (b"*mbx*\r\n", "not-mbox"),
        (b"\0" * 64 + b"ge-ID: <1@x>\n\nx\n\n", "not-mbox"),
        (b"\xff\xfeF\0r\0o\0m\0 \0", "not-mbox"),
    ],
)
@pytest.mark.parametrize("name", ["Old.mbox", "Old.mbx", "Inbox", "Work", "Apple.mbox/mbox"])
def test_what_should_be_an_mbox_is_refused_and_named(tmp_path, name, octets, code):
    lay(tmp_path, Good=ONE, Inbox_dot_msf=b"x", Work_dot_sbd__Sub=ONE)
    lay(tmp_path, **{name.replace("/", "__"): octets})
    shown = {"Inbox": "INBOX", "Apple.mbox/mbox": "Apple", "Work": "Work"}.get(name, "Old")
    named, failed = visited(tmp_path)
    assert failed == {shown: code}
    assert named == {"Good": 1, "Work/Sub": 1}


def test_mail_behind_a_spoilt_beginning_is_had_and_the_folder_fails(tmp_path):
    spoilt = b"\0" * 20 + ONE[20:] + ONE * 4
    lay(tmp_path, Inbox=spoilt, Inbox_dot_msf=b"x", Sent=ONE)
    assert visited(tmp_path) == ({"INBOX": 4, "Sent": 1}, {"INBOX": "damaged"})
    assert visited(tmp_path / "Inbox") == ({"Inbox": 4}, {"Inbox": "damaged"})
    (tmp_path / "Inbox").write_bytes(ONE * 5)
    assert visited(tmp_path) == ({"INBOX": 5, "Sent": 1}, {})


def test_what_may_have_been_an_mbox_is_doubtful(tmp_path):
    lay(
        tmp_path,
        Sent=b"garbage",
        Zero=b"\0" * 10,
        Work_dot_sbd__Sub=ONE,
        Label_dot_mbox=ONE,
        Label=b"no mail",
        table_of_contents=b"\0\1",
        x_dot_log=b"2015",
        outside__Moved=ONE,
    )
    (tmp_path / "Link").symlink_to(tmp_path / "outside/Moved")
    (tmp_path / "Linked.sbd").symlink_to(tmp_path / "outside")
    assert doubtful(tmp_path) == {"Sent", "Zero", "x.log", "Link", "Linked.sbd"}
    for path in (tmp_path / "Work.sbd/Sub", tmp_path / "Label.mbox", tmp_path / "outside/Moved"):
        path.unlink()
    with pytest.raises(Unreachable):
        open_source(str(tmp_path), {})
