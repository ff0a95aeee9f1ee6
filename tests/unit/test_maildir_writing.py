"""What the Maildir target leaves on disk, as Dovecot, Python's ``mailbox`` and we read it."""

from __future__ import annotations

import errno
import itertools
import mailbox
import os
import resource
import shutil
import socket
import stat
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from imapclient.imap_utf7 import decode

from portarchive.connectors.base import Wanted
from portarchive.connectors.maildir import open_source, open_target
from portarchive.errors import (
    ConnectionLost,
    ExitCode,
    Locked,
    SettingsError,
    StorageFailed,
    Unreachable,
)
from portarchive.errors import Refused as RefusedError
from portarchive.placing import (
    FolderLook,
    FolderReady,
    FolderWish,
    Parcel,
    Placed,
    Present,
    Refused,
    Spot,
    Unsure,
)
from portarchive.records import Failure, MessageRef, Received, Vanished

NOW = 1_700_000_000


def parcel(key, folder_id, octets=b"Subject: x\n\ny\n", flags=(), epoch=NOW):
    spot = Spot(folder_id, tuple(flags), Received("x", epoch))
    return Parcel(key, (spot,), len(octets), octets, lambda: iter([octets]))


def opened(root, **options):
    return open_target(str(root), {"no_fsync": "1", **options})


def made(target, *path, **wish):
    ((_, answer),) = target.ensure([FolderWish(path, **wish)])
    assert isinstance(answer, FolderReady), answer
    return answer.folder.folder_id


def placed(target, *parcels):
    outcomes = {each.key: outcome for each, outcome in target.place(parcels)}
    assert all(isinstance(outcome, Placed) for outcome in outcomes.values()), outcomes
    return outcomes


def exported(root):
    """(path, octets, flags, epoch) of each message, by our own source."""
    source = open_source(str(root), {})
    folders = {folder.folder_id: folder for folder in source.folders()}
    events = list(source.changes(Wanted(folders=list(folders.values()), tokens={})))
    refs = [event for event in events if isinstance(event, MessageRef)]
    found = []
    for ref, body in source.fetch(refs):
        assert not isinstance(body, Failure | Vanished)
        (spot,) = ref.placements
        flags = frozenset(spot.flags)
        path = folders[spot.folder_id].path
        found.append((path, b"".join(body.chunks()), flags, spot.received.epoch))
    source.close()
    return sorted(found, key=repr)


# --- where it may write


def test_a_new_tree_is_made_when_it_is_needed_and_is_nobody_elses(tmp_path):
    root = tmp_path / "new" / "Maildir"
    old = os.umask(0)
    try:
        target = opened(root)
        assert target.folders() == []
        assert not root.parent.exists()
        made(target, "Work", "2024")
    finally:
        os.umask(old)
    directories = [root.parent, root, root / "cur", root / ".Work.2024", root / ".Work.2024/tmp"]
    assert {stat.S_IMODE(each.stat().st_mode) for each in directories} == {0o700}
    assert (root / ".Work.2024/maildirfolder").exists()
    placed(target, parcel(1, "INBOX"))
    (file,) = (root / "cur").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [folder.path for folder in target.folders()] == [("INBOX",), ("Work", "2024")]
    target.close()
    with pytest.raises(ConnectionLost):
        target.folders()


@pytest.mark.parametrize("what", ["file", "Maildir beside"])
def test_a_foreign_directory_is_refused(tmp_path, what):
    (tmp_path / "letter.txt").write_text("dear Jane")
    if what == "Maildir beside":
        (tmp_path / "Maildir/cur").mkdir(parents=True)
    with pytest.raises(RefusedError) as caught:
        opened(tmp_path)
    assert caught.value.exit_code == ExitCode.REFUSED
    assert caught.value.code == "foreign-directory"
    with pytest.raises(Unreachable):
        opened(tmp_path / "letter.txt")
    (tmp_path / "empty").mkdir()
    assert opened(tmp_path / "empty").folders() == []


def test_a_tree_keeps_its_layout(tmp_path):
    target = opened(tmp_path / "fs", layout="fs")
    assert target.capabilities.names.separator == "/"
    made(target, "A.b", "c")
    assert (tmp_path / "fs/A.b/c/cur").is_dir()
    later = opened(tmp_path / "fs")
    assert later.capabilities.names.separator == "/"
    with pytest.raises(SettingsError):
        opened(tmp_path / "fs", layout="maildir++")
    with pytest.raises(SettingsError):
        opened(tmp_path / "fs", layout="flat")
    made(opened(tmp_path / "dots"), "A", "b")
    assert opened(tmp_path / "dots").capabilities.names.separator == "."
    with pytest.raises(SettingsError):
        opened(tmp_path / "dots", layout="fs")


def test_a_tree_with_utf8_names_gets_more_of_them(tmp_path):
    for name in ("cur", ".Entwürfe/cur"):
        (tmp_path / name).mkdir(parents=True)
    target = opened(tmp_path)
    made(target, "Ärger")
    assert (tmp_path / ".Ärger/cur").is_dir()
    assert [folder.path[0] for folder in target.folders()] == ["INBOX", "Entwürfe", "Ärger"]


def test_no_link_is_written_through(tmp_path):
    root, outside = tmp_path / "Maildir", tmp_path / "outside"
    target = opened(root, layout="fs")
    box = made(target, "Box")
    for name in ("cur", "new", "tmp"):
        (outside / name).mkdir(parents=True)
    (root / "Link").symlink_to(outside)
    for path in (("Link",), ("Link", "below")):
        ((_, answer),) = target.ensure([FolderWish(path)])
        assert isinstance(answer, Refused)
    shutil.rmtree(root / "Box/cur")
    (root / "Box/cur").symlink_to(outside / "cur")
    with pytest.raises(StorageFailed):
        list(target.place([parcel(1, box)]))
    assert not list((root / "Box/tmp").iterdir())
    (root / "subscriptions").symlink_to(outside / "list")
    ((_, answer),) = target.ensure([FolderWish(("More",), subscribe=True)])
    assert answer.lost == ("subscription: subscriptions is a link",)
    assert sorted(each.name for each in outside.rglob("*")) == ["cur", "new", "tmp"]


def test_names_that_no_directory_can_have(tmp_path):
    target = opened(tmp_path / "fs", layout="fs")
    paths = [("cur",), (".hidden",), ("%2Ehidden",), ("%25",), ("..",), ("subscriptions",)]
    for path in paths:
        made(target, *path)
    assert [folder.path for folder in target.folders()] == [("INBOX",), *sorted(paths)]
    assert (tmp_path / "fs/%63ur/cur").is_dir()
    assert (tmp_path / "fs/%252Ehidden/cur").is_dir()
    assert not (tmp_path / "cur").exists()


# --- names and flags


def test_a_file_name_tells_what_it_has_to(tmp_path):
    target = opened(tmp_path / "Maildir")
    box = made(target, "Box")
    octets = b"Subject: x\r\n\r\na\nb\r"
    flags = ["$seen", "$answered", "$flagged", "$draft", "\\Deleted", "Zulu", "$Forwarded"]
    outcomes = placed(target, parcel(1, box, octets, flags))
    ((_, uid),) = outcomes[1].uids
    directory = tmp_path / "Maildir/.Box"
    (file,) = (directory / "cur").iterdir()
    assert file.name == f"{uid}:2,DFPRSTab"
    assert uid.startswith(f"{NOW}.M")
    assert uid.endswith(f",S={len(octets)},W={len(octets) + 1}")
    assert file.read_bytes() == octets
    assert file.stat().st_mtime_ns == NOW * 10**9
    assert (directory / "dovecot-keywords").read_text() == "0 Zulu\n1 $Forwarded\n"
    assert sorted(each.name for each in directory.iterdir()) == [
        "cur", "dovecot-keywords", "maildirfolder", "new", "tmp",
    ]  # fmt: skip


def test_sizes_are_right_whatever_the_chunks(tmp_path):
    target = opened(tmp_path / "Maildir")
    box = made(target, "Box")
    octets = b"a\r\nb\nc\r\n\rd\n"
    for size in range(1, 6):
        chunks = [octets[at : at + size] for at in range(0, len(octets), size)]
        spot = Spot(box, (), Received("x", NOW))
        list(
            target.place(
                [Parcel(1, (spot,), len(octets), None, lambda chunks=chunks: iter(chunks))]
            )
        )
    names = [file.name for file in (tmp_path / "Maildir/.Box/cur").iterdir()]
    wire = len(octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
    assert len(names) == 5
    assert all(f",S={len(octets)},W={wire}:2," in name for name in names)


def test_keywords_go_along_with_those_that_are_there(tmp_path):
    target = opened(tmp_path / "Maildir")
    box = made(target, "Box")
    file = tmp_path / "Maildir/.Box/dovecot-keywords"
    file.write_text("0 First\n2 $Junk\nno line\n3 Fourth")
    placed(target, parcel(1, box, flags=["new", "$junk", "FIRST"]))
    assert file.read_text() == "0 First\n2 $Junk\nno line\n3 Fourth\n1 new\n"
    names = [name for each in (tmp_path / "Maildir/.Box/cur").iterdir() for name in [each.name]]
    assert [name.partition(":2,")[2] for name in names] == ["abc"]


def test_26_keywords_are_all_that_a_folder_can_have(tmp_path):
    target = opened(tmp_path / "Maildir")
    box = made(target, "Box")
    placed(target, *(parcel(n, box, flags=[f"word{n}"]) for n in range(26)))
    (look, *_) = target.existing([box])
    assert isinstance(look, FolderLook)
    assert look.new_keywords is False
    assert {"$seen", "\\Deleted", "$Forwarded", "word0", "word25"} <= set(look.keywords)
    outcomes = [
        outcome
        for _, outcome in target.place(
            [
                parcel(1, box, flags=["word26", "$seen"]),
                parcel(2, box, flags=["WORD25"]),
                parcel(3, box, flags=["$Forwarded"]),  # has a letter of its own
            ]
        )
    ]
    refused = [outcome for outcome in outcomes if isinstance(outcome, Refused)]
    assert [outcome.code for outcome in refused] == ["keyword"]
    assert len(outcomes) == 3
    assert len(list((tmp_path / "Maildir/.Box/cur").iterdir())) == 28


def test_dovecots_own_lock_is_respected(tmp_path, monkeypatch):
    target = opened(tmp_path / "Maildir")
    box = made(target, "Box")
    lock = tmp_path / "Maildir/.Box/dovecot-uidlist.lock"
    lock.write_text("1:elsewhere")
    ticks = itertools.count(0, 3)
    monkeypatch.setattr(time, "monotonic", lambda: next(ticks))
    outcomes = []
    with pytest.raises(Locked):
        outcomes.extend(target.place([parcel(1, box), parcel(2, box, flags=["word"])]))
    assert lock.exists()
    assert [type(outcome) for _, outcome in outcomes] == [Unsure, Placed]
    lock.unlink()
    placed(target, parcel(2, box, flags=["word"]))


@pytest.mark.parametrize("name", ["dovecot-uidlist.lock", "dovecot-keywords.lock"])
@pytest.mark.parametrize(("text", "age"), [("{dead}:{host}", 0), ("", 130)])
def test_a_lock_of_nobody_is_no_lock(tmp_path, name, text, age):
    target = opened(tmp_path / "Maildir")
    box = made(target, "Box")
    lock = tmp_path / "Maildir/.Box" / name
    ended = subprocess.Popen(["true"])
    ended.wait()
    lock.write_text(text.format(dead=ended.pid, host=socket.gethostname()))
    if name == "dovecot-keywords.lock":
        age = 130  # it holds what is to be the file, and tells of nobody
    os.utime(lock, (time.time() - age,) * 2)
    placed(target, parcel(1, box, flags=["word"]))
    assert not lock.exists()


@pytest.mark.parametrize("text", ["{mine}:{host}", "{dead}:elsewhere", "", "x", "0:{host}"])
def test_a_lock_of_somebody_is_one(tmp_path, monkeypatch, text):
    target = opened(tmp_path / "Maildir")
    box = made(target, "Box")
    lock = tmp_path / "Maildir/.Box/dovecot-uidlist.lock"
    ended = subprocess.Popen(["true"])
    ended.wait()
    told = text.format(mine=os.getpid(), dead=ended.pid, host=socket.gethostname())
    lock.write_text(told)
    ticks = itertools.count(0, 3)
    monkeypatch.setattr(time, "monotonic", lambda: next(ticks))
    with pytest.raises(Locked, match=r"dovecot-uidlist\.lock"):
        list(target.place([parcel(1, box, flags=["word"])]))
    assert lock.read_text() == told


def test_instants_that_a_source_would_not_believe_are_believed_of_ours(tmp_path):
    target = opened(tmp_path / "Maildir")
    box = made(target, "Box")
    epochs = [0, 1, -1, -86_400 * 400, NOW, 4_000_000_000]
    placed(target, *(parcel(n, box, b"%d\n" % n, epoch=epoch) for n, epoch in enumerate(epochs)))
    found = {octets: epoch for _, octets, _, epoch in exported(tmp_path / "Maildir")}
    assert found == {b"%d\n" % n: epoch for n, epoch in enumerate(epochs)}


def test_unique_names_never_collide(tmp_path):
    target = opened(tmp_path / "Maildir")
    box = made(target, "Box")
    outcomes = placed(target, *(parcel(n, box, epoch=NOW) for n in range(1200)))
    assert len({outcome.uids[0][1] for outcome in outcomes.values()}) == 1200


# --- subscriptions


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, "V\t2\n\nWork\t&AMQ-rger\n"),
        ("V\t2\n\nINBOX\n", "V\t2\n\nINBOX\nWork\t&AMQ-rger\n"),
        ("INBOX\nOld.One", "INBOX\nOld.One\nWork.&AMQ-rger\n"),
        ("Work.&AMQ-rger\n", "Work.&AMQ-rger\n"),
    ],
)
def test_subscriptions_are_added_in_the_version_that_is_there(tmp_path, before, after):
    root = tmp_path / "Maildir"
    target = opened(root)
    made(target, "INBOX")
    if before is not None:
        (root / "subscriptions").write_text(before)
    made(target, "Work", "Ärger", subscribe=True)
    made(target, "Work", "Ärger", subscribe=True)
    made(target, "Not", subscribe=False)
    assert (root / "subscriptions").read_text() == after
    subscribed = {folder.path for folder in target.folders() if folder.subscribed}
    assert ("Work", "Ärger") in subscribed
    assert ("Not",) not in subscribed


def test_couriers_list_where_that_is_the_only_one(tmp_path):
    root = tmp_path / "Maildir"
    target = opened(root)
    made(target, "INBOX")
    (root / "courierimapsubscribed").write_text("INBOX\n")
    made(target, "Work", subscribe=True)
    assert (root / "courierimapsubscribed").read_text() == "INBOX\nINBOX.Work\n"
    assert not (root / "subscriptions").exists()


# --- when it goes wrong


def test_killed_at_every_step(tmp_path):
    driver = Path(__file__).with_name("placing_driver.py")
    done = subprocess.run(
        [sys.executable, driver, "maildir", tmp_path / "Maildir"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 20


@pytest.mark.parametrize("call", ["write", "utime", "rename", "open"])
def test_a_full_disk_leaves_no_half_message(tmp_path, monkeypatch, call):
    target = open_target(str(tmp_path / "Maildir"), {})
    box = made(target, "Box")
    placed(target, parcel(100, box))
    before = exported(tmp_path / "Maildir")
    whole = getattr(os, call)
    left = 4

    def full(*arguments, **named):
        nonlocal left
        left -= 1
        if left <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return whole(*arguments, **named)

    outcomes = {}
    with monkeypatch.context() as patched:
        patched.setattr(os, call, full)
        with pytest.raises(StorageFailed) as caught:
            for each, outcome in target.place([parcel(n, box, b"%d\n" % n) for n in range(6)]):
                outcomes[each.key] = outcome
    assert caught.value.exit_code == ExitCode.STORAGE
    assert "room" in caught.value.hint
    assert set(outcomes) == set(range(6))
    assert {type(outcome) for outcome in outcomes.values()} <= {Placed, Unsure}
    after = exported(tmp_path / "Maildir")
    sure = sum(isinstance(outcome, Placed) for outcome in outcomes.values())
    assert sure <= len(after) - len(before) < 6
    assert not list((tmp_path / "Maildir/.Box/tmp").iterdir())
    placed(target, parcel(7, box))


def test_a_real_limit_of_the_operating_system(tmp_path):
    target = opened(tmp_path / "Maildir")
    box = made(target, "Box")
    octets = b"x" * 500_000
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(StorageFailed):
            list(target.place([parcel(1, box), parcel(2, box, octets)]))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert len(exported(tmp_path / "Maildir")) == 1
    assert not list((tmp_path / "Maildir/.Box/tmp").iterdir())


def test_a_tree_that_was_replaced_is_a_lost_connection(tmp_path):
    root = tmp_path / "Maildir"
    target = opened(root)
    box = made(target, "Box")
    root.rename(tmp_path / "elsewhere")
    root.mkdir()
    outcomes = []
    with pytest.raises(ConnectionLost):
        outcomes.extend(target.place([parcel(1, box)]))
    assert exported(tmp_path / "elsewhere") == []
    target.reconnect()
    assert target.folders() == []


# --- as others read it


def test_pythons_mailbox_reads_it(tmp_path):
    target = opened(tmp_path / "Maildir")
    box = made(target, "Work", "Sub")
    octets = b"Subject: 1\n\nFrom here\n"
    placed(target, parcel(1, box, octets, ["$seen", "$flagged"]), parcel(2, "INBOX"))
    read = mailbox.Maildir(tmp_path / "Maildir", create=False)
    assert read.list_folders() == ["Work.Sub"]
    (message,) = read.get_folder("Work.Sub")
    assert message.get_flags() == "FS"
    assert message.get_date() == NOW
    assert message["Subject"] == "1"
    assert len(read) == 1


@pytest.mark.parametrize("layout", ["maildir++", "fs"])
def test_dovecot_sees_it_all(dovecot, layout):
    from servers.dovecot import Dovecot

    if layout == "fs":
        check_with(dovecot, layout)
    else:
        with Dovecot(extra="mail_location = maildir:~/Maildir") as server:
            check_with(server, layout)


def check_with(server, layout):
    user = f"placed-{layout}".replace("+", "")
    home = server.directory / "mail" / user
    root = home / "Maildir"
    target = opened(root, layout=layout)
    folders = ["INBOX", "Sent", "Ärger & Co", "Work/日本/2024"]
    wishes = [FolderWish(tuple(name.split("/")), subscribe=name != "Sent") for name in folders]
    ids = {
        name: made(target, *wish.path, subscribe=wish.subscribe)
        for name, wish in zip(folders, wishes, strict=True)
    }
    early, late = 86_400, int(time.time()) - 5
    sent = {
        "INBOX": [(b"Subject: 1\n\none\n", ["$seen", "$Forwarded", "Label1"], NOW)],
        "Sent": [(b"Subject: 2\n\ntwo\n", [], early), (b"Subject: 3\n\n3\n", ["$draft"], late)],
        "Ärger & Co": [(b"Subject: 4\n\n" + b"y" * 2_000_000 + b"\n", ["$flagged", "$Junk"], NOW)],
        "Work/日本/2024": [(b"Subject: 5\n\nfive\n", ["$answered", "\\Deleted"], NOW + 1)],
    }
    numbers = itertools.count()
    placed(target, *(
        parcel(next(numbers), ids[name], octets, flags, epoch)
        for name, messages in sent.items() for octets, flags, epoch in messages
    ))  # fmt: skip
    target.close()
    for path in [home, *home.rglob("*")]:
        os.chown(path, server._owner.pw_uid, server._owner.pw_gid)
    listed = {decode(name.encode()) for name in server.folders(user)}
    assert set(folders) <= listed
    system = {
        "$seen": "\\Seen", "$draft": "\\Draft", "$flagged": "\\Flagged", "$answered": "\\Answered",
        "\\Deleted": "\\Deleted",
    }  # fmt: skip
    for name, messages in sent.items():
        found = list(server.messages(user, name).values())
        assert sorted(
            (each.octets, sorted(set(each.flags) - {"\\Recent"}), each.date.timestamp())
            for each in found
        ) == sorted(
            (
                octets.replace(b"\n", b"\r\n"),
                sorted(system.get(flag, flag) for flag in flags),
                epoch,
            )
            for octets, flags, epoch in messages
        )
    with server.connect(user) as client:
        _, lines = client.lsub('""', '"*"')
    assert len([line for line in lines if line and b"NoSelect" not in line]) == 3
    # and now together with Dovecot, which keeps its lists there
    server.append(user, "INBOX", b"Subject: 6\r\n\r\nsix\r\n", ["Label2"], datetime.now(UTC))
    later = opened(root)
    assert later.capabilities.names.separator == ("." if layout == "maildir++" else "/")
    placed(later, parcel(7, "INBOX", b"Subject: 7\n\nseven\n", ["Label3", "Label2", "$Forwarded"]))
    later.close()
    found = {each.octets[9:10]: set(each.flags) for each in server.messages(user, "INBOX").values()}
    assert found[b"6"] - {"\\Recent"} == {"Label2"}
    assert found[b"7"] - {"\\Recent"} == {"Label2", "Label3", "$Forwarded"}
    assert found[b"1"] - {"\\Recent"} == {"\\Seen", "$Forwarded", "Label1"}


def test_what_the_superuser_places_belongs_to_whom_the_tree_does(tmp_path):
    if os.geteuid() != 0:
        target = opened(tmp_path / "Maildir")
        made(target, "Box")
        assert (tmp_path / "Maildir/.Box").stat().st_uid == os.geteuid()
        return
    root = tmp_path / "Maildir"
    (root / "cur").mkdir(parents=True)
    for path in (root, root / "cur"):
        os.chown(path, 12_345, 54_321)
    target = opened(root)
    box = made(target, "Box", subscribe=True)
    placed(target, parcel(1, box, flags=["word"]))
    assert {(each.stat().st_uid, each.stat().st_gid) for each in [root, *root.rglob("*")]} == {
        (12_345, 54_321)
    }


def test_the_cost_does_not_grow_with_the_folder(tmp_path):
    target = opened(tmp_path / "Maildir")
    box = made(target, "Box")

    def calls(count: int) -> int:
        met = itertools.count()
        last = 0

        def profiled(frame, event, _):
            nonlocal last
            if event == "c_call":
                last = next(met)

        sys.setprofile(profiled)
        try:
            placed(target, *(parcel(n, box) for n in range(count)))
        finally:
            sys.setprofile(None)
        return last

    first = calls(500)
    placed(target, *(parcel(n, box) for n in range(4000)))
    assert calls(500) < first * 1.1
    assert sum(isinstance(each, Present) for each in target.existing([box])) == 5000
