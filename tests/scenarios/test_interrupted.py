"""Resume and crash over IMAP, with the real process: scenarios 18, 19, 20, 22 and 23."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Self

import pytest
from running import (
    KINDS,
    PASSWORD,
    Ran,
    command,
    comparable,
    environment,
    eventually,
    export,
    finish,
    judge,
    letter,
    start,
    url_of,
)

import archive_facts
from servers import scripted_faults as faults

BATCH = 500
"""Messages that a crash may cost (format.md §6)."""


def fill(scripted, count: int, folder: str = "INBOX") -> None:
    mailbox = scripted.mailbox(folder)
    for number in range(count):
        octets, email_id = letter(number, text=folder.encode()), f"{folder}{number}"
        mailbox.add(octets, ["\\Seen", "kw"], email_id=email_id)


def journal_items(root: Path) -> int:
    """How many messages the journal vouches for."""
    path = root / ".portarchive/journal"
    return path.read_bytes().count(b'"portarchive:sha256":') if path.exists() else 0


def no_torn_json(root: Path) -> None:
    for path in root.rglob("*.json"):
        archive_facts.strict(path.read_bytes())


# --- 18: the connection is lost -------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("in_literal", [None, 0, 20])
def test_18_a_drop_after_500_of_1000_costs_nothing(scripted, root, kind, in_literal) -> None:
    scripted.capabilities = list(KINDS[kind])
    fill(scripted, 1000)
    faults.drop_after(scripted, 500, in_literal=in_literal)
    ran = export(scripted, root)
    assert ran.code == 0
    assert len(ran.uids()) == 1000
    assert scripted.logins == 2
    assert scripted.bodies <= 1000 + BATCH, "more than a batch was fetched twice"


def test_18_a_server_that_hangs_up_every_200_messages(scripted, root) -> None:
    fill(scripted, 1000)
    faults.drop_after(scripted, 200, times=None, say="Too much for one connection")
    ran = export(scripted, root, "--max-wait", "1")
    assert ran.code == 0
    assert len(ran.uids()) == 1000


def test_18_a_connection_lost_for_good_is_resumed_by_the_next_run(scripted, root) -> None:
    fill(scripted, 1000)
    drop = faults.drop_after(scripted, 700)
    away = scripted.on("LOGIN", lambda event: event.bye("down"), when=lambda _: drop.hits > 0)
    also = scripted.on("AUTHENTICATE", lambda event: event.bye("x"), when=lambda _: drop.hits > 0)
    broken = export(scripted, root, "--max-wait", "0").refused(12)
    assert "again" in broken.err
    no_torn_json(root)
    assert command("info", root, root=root).code == 16
    assert journal_items(root) >= 500
    away.off()
    also.off()
    sent = scripted.bodies
    ran = export(scripted, root)
    assert ran.code == 0
    assert len(ran.uids()) == 1000
    assert scripted.bodies - sent <= 1000 - 500


# --- 18, 20: killed -------------------------------------------------------------------------------


def stopped(scripted, root: Path, number: int, *, items: int) -> Ran:
    """Begin an export and send the signal as soon as the journal has so many messages."""
    pid: list[int] = []

    def wait(_) -> None:
        eventually(lambda: journal_items(root) >= items)
        process.send_signal(number)
        eventually(lambda: process.poll() is not None)

    # A batch more than that is on its way then: what is still in buffers does not matter.
    goal = scripted.bodies + items - journal_items(root) + BATCH
    hook = scripted.on_message(wait, times=1)
    of_texts = hook.when
    hook.when = lambda delivery: of_texts(delivery) and scripted.bodies >= goal and bool(pid)
    process = start("export", url_of(scripted), root)
    pid.append(process.pid)
    ran = finish(process, root)
    # what the server still writes into a dead connection is not to be counted for the next run
    eventually(lambda: scripted.open_connections == 0)
    return ran


def test_18_kill_9_at_500_of_1500_fetches_the_rest_only(scripted, root) -> None:
    fill(scripted, 1500)
    ran = stopped(scripted, root, signal.SIGKILL, items=BATCH)
    assert ran.code == -signal.SIGKILL
    no_torn_json(root)
    had = journal_items(root)
    assert had >= BATCH
    assert command("info", root, root=root).code == 16
    sent = scripted.bodies
    ran = export(scripted, root)
    assert ran.code == 0
    assert scripted.bodies - sent == 1500 - had
    assert len(ran.uids()) == 1500
    assert sorted(ran.octets().values()) == sorted(
        letter(number, text=b"INBOX") for number in range(1500)
    )


SIGNALS = (
    signal.SIGTERM, signal.SIGKILL, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGABRT,
    signal.SIGSEGV, signal.SIGUSR1, signal.SIGKILL, signal.SIGTERM,
)  # fmt: skip


def test_20_ten_signals_in_a_row_lose_at_most_a_batch_each(scripted, root) -> None:
    scripted.capabilities = list(KINDS["plain"])  # quick listings: this is about what is fetched
    total = 11_000
    scripted.mailbox("INBOX").add_many(total, letter)
    had = 0
    for number in SIGNALS:
        sent = scripted.bodies
        ran = stopped(scripted, root, number, items=had + BATCH)
        if number in {signal.SIGTERM, signal.SIGINT}:
            assert ran.code == 130, (number, ran.err)
            assert "error: interrupted" in ran.err
        else:
            assert ran.code == -number, (number, ran.err)
        no_torn_json(root)
        now = journal_items(root)
        assert now >= had + BATCH, "what was durable is gone"
        assert scripted.bodies > sent
        had = now
    sent = scripted.bodies
    ran = export(scripted, root)
    assert ran.code == 0
    assert scripted.bodies - sent == total - had
    assert ran.uids() == [str(uid) for uid in range(1, total + 1)]


NONSENSE = {
    "a literal without end": b"* 1 FETCH (UID 1 BODY[] {99999999999999999999}\r\n",
    "unbalanced": b"* 1 FETCH (UID 1 FLAGS (((((( BODY[] {5}\r\nabcde)\r\n",
    "binary": b"\0\0\0\xff\xfe binary \r\n",
    "a goodbye of no text": b"* BYE \xff\r\n",
    "no line": b"A" * 70_000,
    "deep": b"* 1 FETCH " + b"(" * 20_000 + b"\r\n",
    "a string without end": b'* 5 FETCH (UID 5 X "' + b"y" * 10_000,
    "a code without end": b"* OK [" + b"x" * 9000 + b"\r\n",
}


@pytest.mark.parametrize("answer", NONSENSE)
def test_20_odd_input_in_the_middle_loses_at_most_a_batch(scripted, root, answer) -> None:
    fill(scripted, 1200)
    done = []

    def nonsense(delivery) -> None:
        if not done:
            delivery.send(NONSENSE[answer])
            done.append(1)
            raise faults.Drop

    hook = scripted.on_message(nonsense)
    of_texts = hook.when
    hook.when = lambda delivery: of_texts(delivery) and scripted.bodies >= 700
    ran = export(scripted, root, "--max-wait", "1")
    assert done
    if ran.code != 0:
        ran.refused(12)
        no_torn_json(root)
        ran = export(scripted, root)
    assert ran.code == 0
    assert len(ran.uids()) == 1200
    assert scripted.bodies <= 1200 + 2 * BATCH


# --- 19: what is written --------------------------------------------------------------------------


def written(scripted, root: Path) -> int:
    """Octets that a whole run writes to files, as the kernel counts them."""
    counts: list[int] = []

    def look(_) -> None:
        fields = Path(f"/proc/{process.pid}/io").read_text().split()
        counts.append(int(fields[fields.index("wchar:") + 1]))

    hook = scripted.on("LOGOUT", look)
    process = start("export", url_of(scripted), root, "--progress", "none")
    ran = finish(process, root, 120)
    hook.off()
    assert ran.code == 0
    (count,) = counts
    return count


def test_19_metadata_is_written_in_proportion(scripted, root) -> None:
    sizes = {}
    for number in (2_500, 10_000):
        shutil.rmtree(root, ignore_errors=True)
        inbox = scripted.mailbox("INBOX")
        inbox.add_many(number - len(inbox.mails), letter)
        octets = sum(len(letter(uid)) for uid in inbox.mails)
        metadata = written(scripted, root) - octets
        final = sum(
            path.stat().st_size
            for path in root.rglob("*")
            if path.is_file() and path.suffix != ".eml"
        )
        assert metadata <= 4 * final, f"{metadata} octets of metadata for {final}"
        sizes[number] = metadata / number
    assert sizes[10_000] <= 1.2 * sizes[2_500], "more for each message the more there are"


# --- 22: a torn journal ---------------------------------------------------------------------------


def killed_at(scripted, root: Path, folder: str) -> bytes:
    """Kill an export when it opens this folder; returns the journal that it leaves."""
    running: list[subprocess.Popen[str]] = []

    def kill(_) -> None:
        eventually(lambda: running)
        running[0].send_signal(signal.SIGKILL)
        eventually(lambda: running[0].poll() is not None)

    hook = scripted.on("EXAMINE", kill, when=lambda event: event.args[0] == folder.encode())
    running.append(start("export", url_of(scripted), root))
    ran = finish(running[0], root)
    hook.off()
    assert ran.code == -signal.SIGKILL, (ran.code, ran.err)
    return (root / ".portarchive/journal").read_bytes()


def test_22_a_journal_cut_anywhere_is_recovered(scripted, root) -> None:
    for name in ("Work", "Other", "Last"):
        scripted.add_mailbox(name, counted=name != "Work")  # that one is looked at alone
        fill(scripted, 6, name)
    fill(scripted, 6)
    whole = export(scripted, root.with_name("whole")).there
    journal = killed_at(scripted, root, "Work")
    assert journal_items(root) == 18
    ends = [at for at, octet in enumerate(journal) if octet == 10]
    offsets = {0, 1, len(journal), *range(0, len(journal), 211)}
    offsets |= {end + by for end in ends for by in (0, 1)}
    kept = root.with_name("kept")
    shutil.copytree(root, kept)
    refused = 0
    for offset in sorted(offsets):
        shutil.rmtree(root)
        shutil.copytree(kept, root)
        (root / ".portarchive/journal").write_bytes(journal[:offset])
        ran = export(scripted, root)
        if ran.code != 0:
            ran.refused(16)
            refused += 1
            continue
        assert comparable(ran.there) == comparable(whole), f"cut at {offset}"
    assert refused == 0, "a torn tail is what a crash leaves: it must be recovered"


def test_22_a_journal_that_is_garbage_is_refused_or_recovered(scripted, root) -> None:
    fill(scripted, 30)
    scripted.add_mailbox("Work", counted=False)  # looked at alone, when the other is here
    fill(scripted, 5, "Work")
    whole = export(scripted, root.with_name("whole")).there
    journal = killed_at(scripted, root, "Work")
    kept = root.with_name("kept")
    shutil.copytree(root, kept)
    middle = len(journal) // 2
    changed = [
        journal[:middle] + b"\0" * 40 + journal[middle + 40 :],
        journal[:middle] + journal[middle + 1 :],
        journal[:middle] + b"9" + journal[middle + 1 :],
        journal.replace(b'"flags"', b'"FLAGS"', 1),
        b"\xff\xfe" + journal,
        journal[::-1],
        journal + b"{}\n",
        b"[]\n",
        b'{"a":1}\n' * 5,
    ]
    for number, octets in enumerate(changed):
        shutil.rmtree(root)
        shutil.copytree(kept, root)
        (root / ".portarchive/journal").write_bytes(octets)
        ran = export(scripted, root)
        if ran.code == 0:
            assert comparable(ran.there) == comparable(whole), f"change {number}"
        else:
            assert ran.code in {14, 16}, ran.err
            ran.refused(ran.code)


# --- 23: no room ----------------------------------------------------------------------------------

_SMALL_DISK = r"""
mount -t tmpfs -o size=3m tmpfs "$1" || exit 99
shift; out=$1; shift; first=$1; shift
if [ "$first" = update ]; then
    mount -o remount,size=60m tmpfs "$(dirname "$out")"
    "$@" >"$TEMP/first.out" 2>&1; echo $? >"$TEMP/first.code"
    used=$(du -sk "$(dirname "$out")" | cut -f1)
    mount -o remount,size=$((used + 500))k tmpfs "$(dirname "$out")"
    touch "$TEMP/go"; while [ -e "$TEMP/go" ]; do sleep 0.02; done
fi
"$@" >"$TEMP/full.out" 2>"$TEMP/full.err"; echo $? >"$TEMP/full.code"
rm -rf "$TEMP/full"; cp -a "$out" "$TEMP/full" 2>/dev/null
mount -o remount,size=60m tmpfs "$(dirname "$out")"
touch "$TEMP/go"; while [ -e "$TEMP/go" ]; do sleep 0.02; done
"$@" >"$TEMP/again.out" 2>"$TEMP/again.err"; echo $? >"$TEMP/again.code"
cp -a "$out" "$TEMP/again"
"""


class SmallDisk:
    """Runs the same export in a disk without room, then with room."""

    def __init__(self, scripted, temp: Path, how: str) -> None:
        self.temp = temp
        (temp / "disk").mkdir()
        words = [sys.executable, "-m", "portarchive", "export", url_of(scripted)]
        out = temp / "disk/archive"
        # In a process group of its own, to be ended whole if the test fails.
        self._process = subprocess.Popen(
            ["unshare", "-rm", "sh", "-c", _SMALL_DISK, "sh", temp / "disk", out, how, *words, out],
            env=environment(PASSWORD, {"TEMP": str(temp)}),
            process_group=0,
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def stand(self) -> None:
        """Until it waits for us."""
        eventually(lambda: (self.temp / "go").exists() or self._process.poll() is not None, 60)

    def go_on(self) -> None:
        (self.temp / "go").unlink()

    def end(self) -> None:
        assert self._process.wait(60) == 0

    def ran(self, name: str) -> Ran:
        code = int((self.temp / f"{name}.code").read_text())
        out, err = ((self.temp / f"{name}.{part}").read_text() for part in ("out", "err"))
        return judge(Ran(code, out, err, self.temp / name))


def test_23_a_full_disk_stops_cleanly_and_the_next_run_fetches_the_rest(scripted, tmp_path) -> None:
    scripted.mailbox("INBOX").add_many(1500, lambda uid: letter(uid, size=3000))
    with SmallDisk(scripted, tmp_path, "first") as disk:
        disk.stand()
        full = disk.ran("full").refused(15)
        assert "make room" in full.err
        assert not (tmp_path / "full/archive.json").exists()
        no_torn_json(tmp_path / "full")
        had = journal_items(tmp_path / "full")
        assert had >= BATCH
        sent = scripted.bodies
        disk.go_on()
        disk.end()
        again = disk.ran("again")
        assert again.code == 0
        assert len(again.uids()) == 1500
        assert scripted.bodies - sent == 1500 - had


def test_23_a_disk_that_fills_up_during_an_update_leaves_the_archive_as_it_was(
    scripted, tmp_path
) -> None:
    scripted.mailbox("INBOX").add_many(700, lambda uid: letter(uid, size=3000))
    with SmallDisk(scripted, tmp_path, "update") as disk:
        disk.stand()
        assert (tmp_path / "first.code").read_text() == "0\n"
        scripted.mailbox("INBOX").add_many(600, lambda uid: letter(uid, size=3000))
        disk.go_on()
        disk.stand()
        full = disk.ran("full").refused(15)
        archive_facts.check_chain(full.root)
        assert len(archive_facts.read(full.root).items["INBOX"]) == 700
        disk.go_on()
        disk.end()
        again = disk.ran("again")
        assert again.code == 0
        assert len(again.uids()) == 1300
