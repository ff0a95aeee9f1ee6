"""What the mbox target leaves in its files, as Python's ``mailbox``, Dovecot and we read it."""

from __future__ import annotations

import errno
import hashlib
import itertools
import mailbox
import os
import random
import resource
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from portarchive.connectors.base import Wanted
from portarchive.connectors.local.escaped import escaped, unescaped
from portarchive.connectors.mbox import open_source, open_target
from portarchive.connectors.mbox.postmark import Own, instant, own, spelled
from portarchive.connectors.mbox.quoting import quoted, quoted_pieces, unquoted
from portarchive.errors import ExitCode, Locked, SettingsError, StorageFailed
from portarchive.errors import Refused as RefusedError
from portarchive.placing import (
    Alteration,
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
from portarchive.records import Failure, FetchPoint, MessageRef, Received, Vanished

NOW = 1_700_000_000
LINE = b"From MAILER-DAEMON@mboxrd Tue Nov 14 22:13:20 2023\n"


def parcel(key, folder_id, octets=b"Subject: x\n\ny\n", flags=(), epoch=NOW, size=0):
    spot = Spot(folder_id, tuple(flags), Received("x", epoch))

    def chunks():
        return (octets[at : at + size] for at in range(0, len(octets), size))

    whole = None if size else octets
    return Parcel(key, (spot,), len(octets), whole, chunks if size else lambda: iter([octets]))


def opened(root, **options):
    return open_target(str(root), {"no_fsync": "1", **options})


def made(target, *path):
    ((_, answer),) = target.ensure([FolderWish(path)])
    assert isinstance(answer, FolderReady), answer
    return answer.folder.folder_id


def placed(target, *parcels):
    outcomes = {each.key: outcome for each, outcome in target.place(parcels)}
    assert all(isinstance(outcome, Placed) for outcome in outcomes.values()), outcomes
    return outcomes


def held(target, *folder_ids):
    """(octets, flags, epoch) of each message, by the target."""
    messages = [each for each in target.existing(folder_ids) if isinstance(each, Present)]
    found = []
    for each, body in target.fetch(messages):
        octets = b"".join(body.chunks())
        assert each.size == len(octets)
        found.append((octets, frozenset(each.flags), each.received.epoch))
    return found


def exported(root):
    """The same by our own source, with the path before it."""
    source = open_source(str(root), {})
    folders = {folder.folder_id: folder for folder in source.folders()}
    found = []
    window: list[MessageRef] = []
    for event in source.changes(Wanted(folders=list(folders.values()), tokens={})):
        if isinstance(event, MessageRef):
            window.append(event)
        if isinstance(event, FetchPoint):
            for ref, body in source.fetch(window):
                assert not isinstance(body, Failure | Vanished)
                (spot,) = ref.placements
                path = folders[spot.folder_id].path
                octets = b"".join(body.chunks())
                found.append((path, octets, frozenset(spot.flags), spot.received.epoch))
            window = []
    source.close()
    return found


# --- spelling


@pytest.mark.parametrize("seed", range(20))
def test_quoting_is_undone_whatever_the_chunks(seed):
    chance = random.Random(seed)
    words = [b"From ", b"From", b">", b">>", b"\n", b"\r\n", b"x", b" ", b"F", b"\r", b"\0"]
    octets = b"".join(chance.choice(words) for _ in range(200))
    whole = quoted(octets)
    assert unquoted(whole) == octets
    assert b"\nFrom " not in b"\n" + whole
    for size in (1, 2, 3, 7, 50):
        pieces = [octets[at : at + size] for at in range(0, len(octets), size)]
        assert b"".join(quoted_pieces(pieces)) == whole
    assert max(map(len, quoted_pieces([b">" * 100_000] * 3))) <= 100_001


@pytest.mark.parametrize("epoch", [0, -1, NOW, 1_709_164_799, -62_135_596_800, 253_402_300_799])
@pytest.mark.parametrize("told", [Own(), Own(status=True), Own(unended=True), Own(True, True)])
def test_a_postmark_says_what_it_was_told(epoch, told):
    line = spelled(epoch, told)
    assert line.startswith(b"From MAILER-DAEMON")
    assert line.endswith(b"\n")
    assert own(line) == told
    assert instant(line) == epoch
    assert own(b"From MAILER-DAEMON Tue Nov 14 22:13:20 2023") is None
    assert own(b"From MAILER-DAEMON@mboxrdx Tue Nov 14 22:13:20 2023") is None


@pytest.mark.parametrize(
    ("name", "file"),
    [
        (b"Work", b"Work"), (b".x", b"%2Ex"), (b"%2Ex", b"%252Ex"), (b"%252Ex", b"%25252Ex"),
        (b"%41", b"%41"), (b"%", b"%"), (b"100%", b"100%"), (b"..", b"%2E."), (b"cur", b"%63ur"),
        (b"CUR", b"%43UR"), (b"%63ur", b"%2563ur"), (b"%2x", b"%2x"),
    ],
)  # fmt: skip
def test_names_that_are_escaped(name, file):
    assert escaped(name, {b"cur"}) == file
    assert unescaped(file, {b"cur"}) == name


# --- files


def test_a_file_as_it_stands(tmp_path):
    target = opened(tmp_path / "mail")
    box = made(target, "Box")
    placed(
        target,
        parcel(1, box, b"Subject: 1\n\nFrom me\n>From you\n"),
        parcel(2, box, b"Subject: 2\n\nno end"),
        parcel(3, box, b""),
    )
    unended = LINE.replace(b"mboxrd", b"mboxrd.unended")
    assert (tmp_path / "mail/Box.mbox").read_bytes() == (
        LINE + b"Subject: 1\n\n>From me\n>>From you\n\n" + unended + b"Subject: 2\n\nno end\n\n"
        + LINE + b"\n"
    )  # fmt: skip
    assert [octets for _, octets, _, _ in exported(tmp_path / "mail")] == [
        b"Subject: 1\n\nFrom me\n>From you\n", b"Subject: 2\n\nno end", b"",
    ]  # fmt: skip
    assert not list((tmp_path / "mail").glob("*.lock"))


def test_flags_stand_before_the_message_and_are_no_part_of_it(tmp_path):
    target = opened(tmp_path / "mail", status="1")
    box = made(target, "Box")
    many = tuple(f"word{number:05}" for number in range(400))
    sent = [
        (b"Subject: 1\n\n1\n", ("$seen", "$flagged", "$draft", "\\Deleted", "$Forwarded")),
        (b"Status: RO\nX-Keywords: theirs\nSubject: 2\n\n2\n", ()),
        (b"X-Status: A\nStatus: O\n\n3\n", ("$answered", "Mine")),
        (b"From here\n", ("$seen",)),
        (b"", ("$seen",)),
        (b"\n", many),
    ]
    outcomes = placed(
        target, *(parcel(n, box, octets, flags) for n, (octets, flags) in enumerate(sent))
    )
    text = (tmp_path / "mail/Box.mbox").read_bytes()
    assert text.startswith(
        LINE.replace(b"mboxrd", b"mboxrd.status")
        + b"Status: RO\nX-Status: FTD\nX-Keywords: $Forwarded\nSubject: 1\n\n1\n\n"
    )
    wanted = [(octets, frozenset(flags), NOW) for octets, flags in sent]
    assert held(target, box) == wanted
    assert [each[1:] for each in exported(tmp_path / "mail")] == wanted
    bare = [parcel(n, box, octets) for n, (octets, _) in enumerate(sent)]
    other = opened(tmp_path / "other")
    made(other, "Box")
    assert [outcome.uids[0][1] for outcome in placed(other, *bare).values()] == [
        outcome.uids[0][1] for outcome in outcomes.values()
    ], "flags are no part of what it is"


def test_another_program_that_changes_flags_changes_them(tmp_path):
    target = opened(tmp_path / "mail", status="1")
    box = made(target, "Box")
    outcomes = placed(target, parcel(1, box, b"Subject: 1\n\n1\n", ["$seen"]))
    file = tmp_path / "mail/Box.mbox"
    file.write_bytes(
        file.read_bytes().replace(
            b"Status: RO\nX-Status: \nX-Keywords: \nSubject: 1\n",
            b"Subject: 1\nStatus: O\nX-Status: F\n",
        )
    )
    (present,) = (each for each in target.existing([box]) if isinstance(each, Present))
    assert present.flags == ("$flagged",)
    assert present.uid == outcomes[1].uids[0][1]


def test_flags_that_are_none(tmp_path):
    target = opened(tmp_path / "mail", status="1")
    box = made(target, "Box")
    ((_, outcome),) = target.place([parcel(1, box, flags=["a b\nX-Evil: 1"])])
    assert isinstance(outcome, Refused)
    assert outcome.code == "keyword"
    assert held(target, box) == []
    bare = opened(tmp_path / "bare")
    assert Alteration.FLAGS in bare.capabilities.alterations
    assert not bare.capabilities.keywords
    (look,) = bare.existing([made(bare, "Box")])
    assert isinstance(look, FolderLook)
    assert look.keywords == ()


def test_the_last_message_of_another_program_stays_what_it_is(tmp_path):
    root = tmp_path / "mail"
    for number, end in enumerate([b"\n\n", b"\n", b"", b"\r\n\r\n"]):
        target = opened(root)
        box = made(target, f"Box{number}")
        file = root / f"Box{number}.mbox"
        file.write_bytes(b"From a Thu Jan  1 00:00:10 2009\nSubject: theirs\n\nx" + end)
        placed(target, parcel(1, box), parcel(2, box))
        octets = [each[0] for each in held(target, box)]
        assert octets[1:] == [b"Subject: x\n\ny\n"] * 2
        assert octets[0].rstrip() == b"Subject: theirs\n\nx"
        assert file.read_bytes().startswith(
            b"From a Thu Jan  1 00:00:10 2009\nSubject: theirs\n\nx" + end
        )
        target.close()


def test_no_content_length_swallows_what_comes_after_it(tmp_path):
    """Neither in our messages nor in another program's last one."""
    target = opened(tmp_path / "mail")
    box = made(target, "Box")
    victim = b"Subject: victim\n\nx\n"
    behind = len(b"y\n\n") + len(LINE + victim + b"\n")
    hostile = [
        b"Subject: h\nContent-Length: %d\n\ny\n" % (behind + more) for more in (-1, 0, 1)
    ] + [b"Subject: h\nContent-Length: 3\n\ny\n", b"Content-Length: 0\n\ny\n\n\n\n"]
    sent = [octets for each in hostile for octets in (each, victim)]
    placed(target, *(parcel(n, box, octets) for n, octets in enumerate(sent)))
    assert [each[0] for each in held(target, box)] == sent
    assert [each[1] for each in exported(tmp_path / "mail")] == sent
    file = tmp_path / "mail/Theirs.mbox"
    file.write_bytes(b"From a Thu Jan  1 00:00:10 2009\n" + hostile[1] + b"\n")
    theirs = made(target, "Theirs")
    placed(target, parcel(1, theirs, victim), parcel(2, theirs, victim))
    assert [each[0] for each in held(target, theirs)] == [hostile[1], victim, victim]


@pytest.mark.parametrize("status", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_whatever_is_in_a_message_comes_back(tmp_path, seed, status):
    chance = random.Random(seed)
    words = [
        b"From a Thu Jan  1 00:00:10 2009\n", LINE, b"\n", b"\n\n", b"\r\n", b"\r", b">", b"x\n",
        b"Content-Length: 7\n", b"Status: RO\n", b"X-Status: F\n", b"X-Keywords: k\n", b"From",
        b"Subject: x\n", b"X-IMAP: 1 2\n", b"X-GM-THRID: 1\n", b"\0", b"From - \n",
        b"\x01\x01\x01\x01\n",
    ]  # fmt: skip
    sent = [b"".join(chance.choices(words, k=chance.randrange(9))) for _ in range(400)]
    target = opened(tmp_path / "mail", **({"status": "1"} if status else {}))
    box = made(target, "Box")
    for start in range(0, len(sent), 90):
        batch = sent[start : start + 90]
        placed(target, *(parcel(n, box, o, size=chance.randrange(4)) for n, o in enumerate(batch)))
    assert [each[0] for each in held(target, box)] == sent
    target.close()
    assert [each[0] for each in held(opened(tmp_path / "mail"), box)] == sent
    assert [each[1] for each in exported(tmp_path / "mail")] == sent


def test_what_looks_like_takeouts_or_anothers_own_message_is_mail(tmp_path):
    target = opened(tmp_path / "mail")
    box = made(target, "Work")
    sent = [
        b"X-GM-THRID: 1\nX-Gmail-Labels: Inbox\nSubject: 1\n\n1\n",
        b"Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\nX-IMAP: 1 2\n\nx\n",
    ]
    placed(target, *(parcel(n, box, octets) for n, octets in enumerate(sent)))
    assert [each[:2] for each in exported(tmp_path / "mail")] == [
        (("Work",), octets) for octets in sent
    ]
    (tmp_path / "mail/Google.mbox").write_bytes(
        b"From 1@xxx Thu Jan  1 00:00:10 2009\n" + sent[0] + b"\n"
    )
    google = made(target, "Google")
    ((_, outcome),) = target.place([parcel(1, google)])
    assert isinstance(outcome, Refused)


def test_instants_are_exact_also_those_that_nobody_would_believe(tmp_path):
    target = opened(tmp_path / "mail")
    box = made(target, "Box")
    epochs = [0, -1, -86_400, -(10**10), NOW, 2**33, 253_402_300_799]
    placed(target, *(parcel(n, box, b"%d\n" % n, epoch=epoch) for n, epoch in enumerate(epochs)))
    assert [each[2] for each in held(target, box)] == epochs
    assert [each[3] for each in exported(tmp_path / "mail")] == epochs


def test_a_large_message_goes_through_in_pieces(tmp_path):
    target = opened(tmp_path / "mail", status="1")
    box = made(target, "Box")
    large = b"Subject: large\n\n" + b"0123456789abcdef\nFrom the middle\n" * 100_000
    sent = [large, large + b"no end", b"Subject: small\n\nx"]
    outcomes = placed(
        target, *(parcel(n, box, octets, size=100_001) for n, octets in enumerate(sent))
    )
    assert [each[0] for each in held(target, box)] == sent
    assert [outcome.uids[0][1] for outcome in outcomes.values()] == [
        hashlib.sha256(octets).hexdigest()[:32] for octets in sent
    ]
    messages = [each for each in target.existing([box]) if isinstance(each, Present)]
    assert [header for _, header in target.headers(messages)] == [
        b"Subject: large\n\n", b"Subject: large\n\n", b"Subject: small\n\n",
    ]  # fmt: skip


def test_equal_messages_are_numbered(tmp_path):
    target = opened(tmp_path / "mail")
    box = made(target, "Box")
    uids = [placed(target, parcel(1, box))[1].uids[0][1] for _ in range(3)]
    assert [uid[32:] for uid in uids] == ["", "-2", "-3"]
    assert uids == [each.uid for each in target.existing([box]) if isinstance(each, Present)]


# --- trees


def test_folders_that_have_folders(tmp_path):
    root = tmp_path / "a" / "mail"
    old = os.umask(0)
    try:
        target = opened(root)
        assert not root.parent.exists()
        paths = [
            ("Work",), ("Work", "2024"), ("Work", "2024", "May"), ("x.sbd", "y"), ("INBOX",),
            ("a.mbox", "mbox"), ("a.mbox",), (".hidden", ".more"), ("__MACOSX", "x"),
        ]  # fmt: skip
        for path in paths:
            made(target, *path)
    finally:
        os.umask(old)
    assert {folder.path for folder in target.folders()} == set(paths)
    assert {each.path for each in open_source(str(root), {}).folders()} == set(paths)
    for each in [root, *root.rglob("*")]:
        assert stat.S_IMODE(each.stat().st_mode) == (0o700 if each.is_dir() else 0o600)
    assert (root / "Work/2024/May.mbox").exists()


def test_where_thunderbird_keeps_its_folders(tmp_path):
    (tmp_path / "Work.sbd").mkdir()
    (tmp_path / "Work").write_bytes(LINE + b"Subject: x\n\ny\n\n")
    target = opened(tmp_path)
    made(target, "Work", "New")
    made(target, "Other", "below")
    assert (tmp_path / "Work.sbd/New").exists()
    assert (tmp_path / "Other.sbd/below").exists()
    placed(target, parcel(1, made(target, "Work")))
    assert (tmp_path / "Work").read_bytes() == (LINE + b"Subject: x\n\ny\n\n") * 2


@pytest.mark.parametrize("what", ["a file", "another's", "an mbox"])
def test_what_is_no_directory_of_mail_is_refused(tmp_path, what):
    root = tmp_path / "mail"
    root.mkdir()
    (root / "letter.txt").write_text("dear Jane")
    path = root / "letter.txt" if what == "a file" else root
    if what == "an mbox":
        (root / "Box").write_bytes(LINE + b"\n")
        ((_, answer),) = opened(root).ensure([FolderWish(("letter",))])
        assert isinstance(answer, FolderReady)
        return
    with pytest.raises(RefusedError) as caught:
        opened(path)
    assert caught.value.exit_code == ExitCode.REFUSED
    with pytest.raises(SettingsError):
        opened(tmp_path, format="mboxo")


def test_no_link_is_written_through(tmp_path):
    root, outside = tmp_path / "mail", tmp_path / "outside"
    outside.mkdir()
    target = opened(root)
    box = made(target, "Box")
    (root / "Dir").symlink_to(outside)
    (root / "Other.mbox").symlink_to(outside / "other")
    for path in (("Dir", "below"), ("Other",)):
        ((_, answer),) = target.ensure([FolderWish(path)])
        assert isinstance(answer, Refused), path
    (root / "Box.mbox").unlink()
    (outside / "secret").write_bytes(b"")
    (root / "Box.mbox").symlink_to(outside / "secret")
    with pytest.raises(StorageFailed):
        list(target.place([parcel(1, box)]))
    assert (outside / "secret").read_bytes() == b""
    assert [each.name for each in outside.iterdir()] == ["secret"]


# --- locks and crashes


def test_killed_at_every_step(tmp_path):
    driver = Path(__file__).with_name("placing_driver.py")
    done = subprocess.run(
        [sys.executable, driver, "mbox", tmp_path / "mail"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 15


def left_behind(root, box="Box"):
    """A lock as a killed run leaves it, with half a message in the file."""
    file = root / f"{box}.mbox"
    about = file.stat()
    (root / f"{box}.mbox.lock").write_bytes(
        b"1 portarchive %d %d\n" % (about.st_size, about.st_ino)
    )
    with file.open("ab") as out:
        out.write(LINE + b"Subject: half\n\n>From a whole line\n" + LINE[:20])
    return about.st_size


def test_what_an_interrupted_run_left_is_taken_back(tmp_path):
    target = opened(tmp_path / "mail")
    box = made(target, "Box")
    placed(target, parcel(1, box))
    whole = (tmp_path / "mail/Box.mbox").read_bytes()
    left_behind(tmp_path / "mail")
    assert len(held(target, box)) == 1
    assert (tmp_path / "mail/Box.mbox").read_bytes() == whole
    left_behind(tmp_path / "mail")
    placed(target, parcel(1, box))
    assert (tmp_path / "mail/Box.mbox").read_bytes() == whole * 2
    assert not list((tmp_path / "mail").glob("*.lock"))


def test_nothing_is_taken_back_that_another_program_wrote(tmp_path):
    target = opened(tmp_path / "mail")
    box = made(target, "Box")
    placed(target, parcel(1, box))
    left_behind(tmp_path / "mail")
    theirs = b"\n\nFrom a Thu Jan  1 00:00:10 2009\nSubject: theirs\n\nx\n\n"
    with (tmp_path / "mail/Box.mbox").open("ab") as file:
        file.write(theirs)
    placed(target, parcel(1, box))
    assert theirs in (tmp_path / "mail/Box.mbox").read_bytes()
    assert not list((tmp_path / "mail").glob("*.lock"))


@pytest.mark.parametrize("content", [b"", b"4711\n", b"0"])
def test_another_programs_lock_is_never_removed(tmp_path, monkeypatch, content):
    target = opened(tmp_path / "mail")
    box = made(target, "Box")
    lock = tmp_path / "mail/Box.mbox.lock"
    lock.write_bytes(content)
    ticks = itertools.count(0, 3)
    monkeypatch.setattr(time, "monotonic", lambda: next(ticks))
    outcomes = []
    with pytest.raises(Locked) as caught:
        outcomes.extend(target.place([parcel(1, box)]))
    assert caught.value.exit_code == ExitCode.LOCKED
    assert [type(outcome) for _, outcome in outcomes] == [Unsure]
    assert lock.read_bytes() == content
    assert (tmp_path / "mail/Box.mbox").stat().st_size == 0


def test_it_waits_for_those_who_lock_the_file_itself(tmp_path):
    target = opened(tmp_path / "mail")
    box = made(target, "Box")
    code = (
        "import fcntl,sys,time\nf=open(sys.argv[1],'r+b')\nfcntl.lockf(f,fcntl.LOCK_EX)\n"
        "print('held',flush=True)\ntime.sleep(0.4)\n"
        "f.seek(0,2)\nf.write(b'From a Thu Jan  1 00:00:10 2009\\nSubject: z\\n\\nz\\n\\n')\n"
    )
    command = [sys.executable, "-c", code, tmp_path / "mail/Box.mbox"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        placed(target, parcel(1, box))
    assert [each[0] for each in held(target, box)] == [b"Subject: z\n\nz\n", b"Subject: x\n\ny\n"]


def test_several_who_write_at_once(tmp_path):
    made(opened(tmp_path / "mail"), "Box")
    faults = []

    def write(number):
        try:
            target = opened(tmp_path / "mail")
            for each in range(20):
                placed(target, parcel(1, "Box", b"Subject: %d %d\n\nx\n" % (number, each)))
            target.close()
        except BaseException as fault:
            faults.append(fault)
            raise

    threads = [threading.Thread(target=write, args=[number]) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
    found = {each[1] for each in exported(tmp_path / "mail")}
    assert found == {b"Subject: %d %d\n\nx\n" % (n, each) for n in range(3) for each in range(20)}


@pytest.mark.parametrize("call", ["pwrite", "fsync"])
@pytest.mark.parametrize("nth", [1, 2, 3, 4])
def test_a_full_disk_leaves_no_half_message(tmp_path, monkeypatch, call, nth):
    target = open_target(str(tmp_path / "mail"), {})
    box = made(target, "Box")
    placed(target, parcel(100, box))
    whole = (tmp_path / "mail/Box.mbox").read_bytes()
    real = getattr(os, call)
    left = nth

    def full(*arguments):
        nonlocal left
        left -= 1
        if left <= 0:
            if call == "pwrite":
                with_some = arguments[1][: len(arguments[1]) // 2]
                if left == 0:
                    return real(arguments[0], with_some, *arguments[2:])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(*arguments)

    outcomes = {}
    sent = [b"Subject: %d\n\n" % n + b"z" * 600_000 for n in range(6)]
    with monkeypatch.context() as patched:
        patched.setattr(os, call, full)
        with pytest.raises(StorageFailed) as caught:
            for each, outcome in target.place(parcel(n, box, o) for n, o in enumerate(sent)):
                outcomes[each.key] = outcome
    assert caught.value.exit_code == ExitCode.STORAGE
    assert {type(outcome) for outcome in outcomes.values()} <= {Placed, Unsure}
    assert set(outcomes) == set(range(6))
    octets = (tmp_path / "mail/Box.mbox").read_bytes()
    assert octets.startswith(whole)
    there = [each[0] for each in held(target, box)]
    sure = [sent[key] for key, outcome in outcomes.items() if isinstance(outcome, Placed)]
    assert set(sure) <= set(there[1:]) <= set(sent)
    assert len(there[1:]) == len(set(there[1:]))
    rest = [parcel(n, box, each) for n, each in enumerate(sent) if each not in there]
    placed(target, *rest)
    assert sorted(each[0] for each in held(target, box))[:-1] == sorted(sent)


def test_a_real_limit_of_the_operating_system(tmp_path):
    target = opened(tmp_path / "mail")
    box = made(target, "Box")
    placed(target, parcel(1, box))
    whole = (tmp_path / "mail/Box.mbox").read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    outcomes = []
    try:
        with pytest.raises(StorageFailed):
            outcomes.extend(target.place([parcel(1, box), parcel(2, box, b"x" * 5_000_000)]))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    sure = sum(isinstance(outcome, Placed) for _, outcome in outcomes)
    assert (tmp_path / "mail/Box.mbox").read_bytes() == whole * (1 + sure)


def test_the_lock_of_the_file_is_let_go(tmp_path):
    target = opened(tmp_path / "mail")
    box = made(target, "Box")
    placed(target, parcel(1, box))
    code = "import fcntl,sys\nfcntl.lockf(open(sys.argv[1],'r+b'),fcntl.LOCK_EX|fcntl.LOCK_NB)"
    subprocess.run([sys.executable, "-c", code, tmp_path / "mail/Box.mbox"], check=True)


# --- as others read it


def test_pythons_mailbox_reads_it(tmp_path):
    target = opened(tmp_path / "mail", status="1")
    box = made(target, "Box")
    placed(
        target,
        parcel(1, box, b"Subject: 1\n\nFrom me\n", ["$seen", "$flagged"]),
        parcel(2, box, b"Subject: 2\n\nx"),
    )
    read = mailbox.mbox(tmp_path / "mail/Box.mbox", create=False)
    first, second = read
    assert (first["Subject"], second["Subject"]) == ("1", "2")
    assert (first.get_flags(), second.get_flags()) == ("ROF", "O")
    assert first.get_from() == "MAILER-DAEMON@mboxrd.status Tue Nov 14 22:13:20 2023"
    read.close()


def test_dovecot_reads_it(tmp_path):
    from servers.dovecot import Dovecot

    extra = "mail_location = mbox:~/mail:INBOX=~/mail/INBOX.mbox"
    with Dovecot(extra=extra) as server:
        home = server.directory / "mail/jane"
        target = opened(home / "mail", status="1")
        large = b"Subject: 3\n\n" + b"0123456789abcdef\n" * 100_000
        sent = [
            (b"Subject: 1\n\none\n", ["$seen", "Label"], NOW),
            (b"Subject: 2\n\ntwo\n", ["$flagged", "$answered"], NOW + 1),
            (large, [], NOW - 86_400),
        ]
        boxes = [made(target, "INBOX"), made(target, "Work")]
        placed(
            target,
            *(
                parcel(n, box, octets, flags, epoch, size=100_000 if n % 2 else 0)
                for n, (box, (octets, flags, epoch)) in enumerate(itertools.product(boxes, sent))
            ),
        )
        target.close()
        for path in [home, *home.rglob("*")]:
            os.chown(path, server._owner.pw_uid, server._owner.pw_gid)
        system = {"$seen": "\\Seen", "$flagged": "\\Flagged", "$answered": "\\Answered"}
        for name in ("INBOX", "Work.mbox"):
            found = server.messages("jane", name).values()
            assert [(set(each.flags) - {"\\Recent"}, each.date.timestamp()) for each in found] == [
                ({system[flag] for flag in flags if flag in system}, epoch)
                for _, flags, epoch in sent
            ]
            assert [each.octets for each in found] == [
                octets.replace(b"\n", b"\r\n") for octets, _, _ in sent
            ]
        server.add_flags("jane", "INBOX", [1], [r"\Flagged"])
        later = held(opened(home / "mail"), "INBOX")
        assert {"$seen", "$flagged"} <= later[0][1]
        assert [each[2] for each in later] == [epoch for _, _, epoch in sent]


def test_the_cost_does_not_grow_with_the_folder(tmp_path):
    target = opened(tmp_path / "mail")
    box = made(target, "Box")

    def calls(start: int) -> int:
        met = 0

        def profiled(frame, event, _):
            nonlocal met
            met += event == "c_call"

        sys.setprofile(profiled)
        try:
            placed(target, *(parcel(n, box, b"%d\n" % n) for n in range(start, start + 500)))
        finally:
            sys.setprofile(None)
        return met

    first = calls(0)
    placed(target, *(parcel(n, box, b"%d\n" % n) for n in range(500, 4500)))
    assert calls(4500) < first * 1.1
    assert len(held(target, box)) == 5000
