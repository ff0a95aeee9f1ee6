"""The index of whole archives: made, brought up to date, kept where it belongs, and harmless."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import archive_facts
from exporting import account, export, mail
from portarchive.archive.contents import Contents, open_contents
from portarchive.archive.lock import WriterLock
from portarchive.connectors.memory import MemorySource
from portarchive.errors import Refused
from portarchive.index import build as build_module
from portarchive.index import columns, content, delivery, structure, vetting_worker, worker
from portarchive.index.build import IndexReport, build
from portarchive.index.place import building, is_current, locate, state_of
from portarchive.index.vetting import Vetting
from portarchive.index.workers import Workers
from portarchive.progress import Event, FolderStarted, Notice, Passed

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "samples/archive"
FOREIGN = ROOT / "tests/corpus/good"


def indexed(archive: Path, place: Path, **options: Any) -> IndexReport:
    options.setdefault("jobs", 1)
    with open_contents(archive) as contents:
        return build(contents, place, **options)


def rows(place: Path, table: str = "messages") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table(place / f"{table}.parquet").to_pylist()
    return found


def everything(place: Path) -> dict[str, list[dict[str, Any]]]:
    return {name: rows(place, name) for name in columns.TABLES}


@contextmanager
def opened(archive: Path) -> Iterator[Contents]:
    with open_contents(archive) as contents:
        yield contents


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("sample") / "index"
    indexed(SAMPLE, place)
    return place


# --- what is in it ------------------------------------------------------------------------------


def test_one_row_a_message_and_folder(sample: Path) -> None:
    facts = archive_facts.read(SAMPLE)
    wanted = [
        (path, item.uid, item.sha256, kept)
        for path in sorted(facts.items, key=str.encode)
        for kept, items in ((False, facts.items[path]), (True, facts.kept[path]))
        for item in items
    ]
    found = rows(sample)
    assert [(row["folder"], row["uid"], row["sha256"], row["kept"]) for row in found] == wanted
    assert [row["row_id"] for row in found] == list(range(len(found)))
    for row in found:
        octets = (SAMPLE / row["member"]).read_bytes()
        assert row["filename"] == Path(row["member"]).name
        assert row["size"] == len(octets)


def test_the_schema_is_the_documented_one(sample: Path) -> None:
    for name, table in columns.TABLES.items():
        schema = pq.read_schema(sample / f"{name}.parquet")
        assert schema.names == columns.names(table), name
        assert not {row for row in schema.names if not row.isidentifier()}


def test_the_state_tells_what_it_was_built_from(sample: Path) -> None:
    state = json.loads((sample / "index.json").read_bytes())
    facts = archive_facts.read(SAMPLE)
    assert state["archive"]["fingerprint"] == facts.fingerprint
    assert {folder["path"]: folder["items"] for folder in state["folders"]} == {
        path: len(items) for path, items in facts.items.items()
    }
    for name, told in state["tables"].items():
        assert told["rows"] == len(rows(sample, name))
        assert told["octets"] == (sample / f"{name}.parquet").stat().st_size


def test_flags_keywords_and_colours(tmp_path: Path) -> None:
    source = account("ids")
    for flags in (
        ["\\Seen", "\\Flagged", "$MailFlagBit1", "Work"],
        ["\\Flagged", "$MailFlagBit0", "$MailFlagBit1", "$MailFlagBit2"],
        ["$MailFlagBit0"],
        ["\\Deleted"],
    ):
        source.add(mail(str(flags)), "INBOX", flags=flags)
    export(source, tmp_path / "a")
    indexed(tmp_path / "a", tmp_path / "i")
    found = [(row["flags"], row["keywords"], row["colour"]) for row in rows(tmp_path / "i")]
    assert found == [
        (["$seen", "$flagged"], ["$MailFlagBit1", "Work"], "yellow"),
        (["$flagged"], ["$MailFlagBit0", "$MailFlagBit1", "$MailFlagBit2"], None),
        ([], ["$MailFlagBit0"], None),
        (["\\Deleted"], [], None),
    ]


def test_expires_never_costs_a_message(tmp_path: Path) -> None:
    source = account("ids")
    values = ["Mon, 1 Jan 2001 00:00:00 +0000", "Mon, 1 Jan 2099 00:00:00 +0000", "rubbish"]
    for value in values:
        source.add(f"Expires: {value}\r\n\r\nx\r\n".encode(), "INBOX")
    source.add(b"".join(f"Expires: {value}\r\n".encode() for value in values) + b"\r\n", "INBOX")
    export(source, tmp_path / "a")
    before = archive_facts.files(tmp_path / "a", private=True)
    indexed(tmp_path / "a", tmp_path / "i")
    assert [row["expires_count"] for row in rows(tmp_path / "i")] == [1, 1, 1, 3]
    assert archive_facts.files(tmp_path / "a", private=True) == before


def test_threads_join_what_names_the_same(tmp_path: Path) -> None:
    source = MemorySource()
    for fields in (
        "Message-ID: <a@x>",
        "Message-ID: <b@x>\r\nIn-Reply-To: <a@x>",
        "Message-ID: <c@x>\r\nReferences: <gone@x>",
        "References: <gone@x>",
        "Message-ID: <d@x>",
        "Subject: Re: none",
    ):
        source.add(f"{fields}\r\n\r\nx\r\n".encode(), "INBOX")
    export(source, tmp_path / "a")
    indexed(tmp_path / "a", tmp_path / "i")
    found = rows(tmp_path / "i")
    if all(row["thread_from"] == "server" for row in found):
        pytest.fail("this source must not have thread ids of its own")
    one, two, three, four, five, six = (row["thread"] for row in found)
    assert one == two
    assert three == four
    assert len({one, three, five, six}) == 4
    assert [row["thread_from"] for row in found] == ["references"] * 5 + ["alone"]


BOUNCE = b"""\
Content-Type: multipart/report; report-type=delivery-status; boundary=b

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx
%s
Final-Recipient: rfc822; a@b
Action: failed
Status: 5.1.1
--b
Content-Type: text/rfc822-headers

Message-ID: <%s>
--b--
"""


def test_a_bounce_leads_to_what_was_sent(tmp_path: Path) -> None:
    source = account("ids", INBOX=0, Sent=0)
    source.add(mail("sent"), "INBOX")
    source.add(mail("sent"), "Sent")
    source.add(BOUNCE % (b"", b"sent@example.org"), "INBOX")
    source.add(BOUNCE % (b"Original-Envelope-Id: sent@example.org\n", b"no@x"), "INBOX")
    source.add(BOUNCE % (b"", b"no@x"), "INBOX")
    export(source, tmp_path / "a")
    indexed(tmp_path / "a", tmp_path / "i")
    messages = rows(tmp_path / "i")
    linked = rows(tmp_path / "i", "delivery_status")
    targets = [row["sent_row_id"] for row in linked]
    assert [messages[one]["message_id"] for one in targets[:2]] == ["sent@example.org"] * 2
    assert targets[2] is None
    assert [row["linked_by"] for row in linked] == ["message-id", "envelope-id", None]


def test_senders(tmp_path: Path) -> None:
    source = account("ids")
    for number, name in enumerate((b"", b"Jane", b"J.", b"Jane")):
        field = b"From: " + name + b" <Jane@Example.org>\r\n"
        source.add(field + b"Subject: %d\r\n\r\n" % number, "INBOX")
    source.add(b"From: joe@example.net\r\n\r\n", "INBOX")
    export(source, tmp_path / "a")
    source.expunge("INBOX", 1)
    export(source, tmp_path / "a")
    indexed(tmp_path / "a", tmp_path / "i")
    jane, joe = rows(tmp_path / "i", "senders")
    assert (jane["address"], jane["domain"]) == ("jane@example.org", "example.org")
    assert (jane["name"], jane["names"]) == ("Jane", 2)
    assert (jane["messages"], jane["kept"]) == (3, 1)
    assert (joe["address"], joe["messages"], joe["name"], joe["names"]) == (
        "joe@example.net", 1, None, 0,
    )  # fmt: skip


# --- bringing it up to date ---------------------------------------------------------------------


def test_only_what_is_new_is_read(tmp_path: Path) -> None:
    source = account("ids", INBOX=5, Sent=3)
    archive, place = tmp_path / "a", tmp_path / "a/index"
    export(source, archive)
    first = indexed(archive, place)
    assert (first.read, first.taken, first.rebuilt) == (8, 0, True)
    again = indexed(archive, place)
    assert again.was_current
    assert (again.read, again.rows) == (0, first.rows)
    source.add(mail("new"), "INBOX")
    source.set_flags("INBOX", 2, ["\\Seen"])
    source.expunge("INBOX", 3)
    export(source, archive)
    heard: list[Event] = []
    second = indexed(archive, place, observer=heard.append)
    assert (second.read, second.taken, second.rebuilt) == (1, 8, False)
    assert sum(event.messages for event in heard if isinstance(event, Passed)) == 8
    assert [event.path for event in heard if isinstance(event, FolderStarted)] == ["INBOX", "Sent"]
    mended = everything(place)
    assert [row["kept"] for row in mended["messages"]].count(True) == 1
    assert indexed(archive, place, rebuild=True).rebuilt
    assert everything(place) == mended


def many_parts(kind: str, parts: int) -> bytes:
    part = f"--b\r\nContent-Type: {kind}\r\n\r\nFinal-Recipient: rfc822; a@b\r\n"
    return (
        "From: a@example.org\r\nContent-Type: multipart/report; boundary=b\r\n\r\n"
        f"{part * parts}--b--\r\n"
    ).encode()


def test_rows_of_the_smaller_tables_rise_and_stay_few(tmp_path: Path, sample: Path) -> None:
    """Else an index of ours would not be taken over."""
    source = account("ids", INBOX=2, Sent=1, Archive=1)
    kinds = ("application/pdf", "message/delivery-status", "message/feedback-report")
    for kind in kinds:
        source.add(many_parts(kind, structure.PARTS + 5), "INBOX")
        source.add(many_parts(kind, 3), "Sent")
    group = "Final-Recipient: rfc822; a@b\r\n\r\n" * (delivery.RECIPIENTS + 5)
    source.add(many_parts(f"message/delivery-status\r\n\r\n{group}", 1), "INBOX")
    archive, place = tmp_path / "a", tmp_path / "i"
    export(source, archive)
    indexed(archive, place)
    source.add(many_parts(kinds[0], 2), "Archive")
    source.expunge("INBOX", 3)
    export(source, archive)
    for wanted in (sample, place):
        with Vetting(wanted) as there:
            assert there.keys() is not None
    assert not indexed(archive, place).rebuilt
    most = 0
    for one in (sample, place):
        for name in ("attachments", "delivery_status", "feedback_reports"):
            found = [(row["row_id"], row["ordinal"]) for row in rows(one, name)]
            assert found
            assert found == sorted(set(found))
            most = max(most, *(ordinal for _, ordinal in found))
    assert most == vetting_worker.ORDINALS - 1
    with Vetting(place) as there:
        assert there.keys() is not None


def test_without_a_process_to_look_at_it_the_index_is_built_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = account("ids", INBOX=3)
    archive, place = tmp_path / "a", tmp_path / "i"
    export(source, archive)
    indexed(archive, place)
    source.add(mail("new"), "INBOX")
    export(source, archive)
    with monkeypatch.context() as patched:
        patched.setattr(sys, "executable", str(tmp_path / "nowhere"))
        report = indexed(archive, place)
    assert (report.rebuilt, report.read) == (True, 4)
    mended = everything(place)
    indexed(archive, place, rebuild=True)
    assert everything(place) == mended


def test_an_older_parser_means_reading_anew(tmp_path: Path) -> None:
    export(account("ids", INBOX=2), tmp_path / "a")
    place = tmp_path / "i"
    indexed(tmp_path / "a", place)
    state = json.loads((place / "index.json").read_bytes())
    state["parser"] += 1
    (place / "index.json").write_text(json.dumps(state))
    assert indexed(tmp_path / "a", place).read == 2


@pytest.mark.parametrize(
    "damage",
    [
        lambda place: (place / "messages.parquet").write_bytes(b"PAR1rubbishPAR1"),
        lambda place: (place / "attachments.parquet").unlink(),
        lambda place: (place / "index.json").write_bytes(b"{"),
        lambda place: shutil.copy(place / "senders.parquet", place / "messages.parquet"),
    ],
)
def test_a_damaged_index_is_as_good_as_none(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    source = account("ids", INBOX=3)
    export(source, tmp_path / "a")
    place = tmp_path / "i"
    indexed(tmp_path / "a", place)
    good = everything(place)
    damage(place)
    assert indexed(tmp_path / "a", place).read == 3
    assert everything(place) == good


def test_a_forged_parquet_of_the_right_size_is_not_believed(tmp_path: Path) -> None:
    source = account("ids", INBOX=3)
    export(source, tmp_path / "a")
    place = tmp_path / "i"
    indexed(tmp_path / "a", place)
    good = everything(place)
    for name in ("messages", "delivery_status"):
        file = place / f"{name}.parquet"
        file.write_bytes(b"x" * file.stat().st_size)
    source.add(mail("new"), "INBOX")
    export(source, tmp_path / "a")
    assert indexed(tmp_path / "a", place).read == 4
    assert everything(place)["messages"][:3] == [
        {**row, "thread": mended["thread"]}
        for row, mended in zip(good["messages"], rows(place), strict=False)
    ]


def test_archives_of_others(tmp_path: Path) -> None:
    cases = [path.parent for path in FOREIGN.glob("*/*/expected.json")]
    assert cases
    read = 0
    for number, case in enumerate(cases):
        told = json.loads((case / "expected.json").read_bytes())
        with opened(case / told["archive"]) as contents:
            wanted = sum(
                1
                for folder in contents.folders()
                for kept in (False, True)
                for _ in contents.items(folder, kept)
            )
            report = build(contents, tmp_path / str(number), jobs=1)
        assert report.rows["messages"] == wanted
        assert report.defects.get("parser-failed", 0) == 0
        read += wanted
    assert read


def test_octets_that_are_not_to_be_had_are_a_row_all_the_same(tmp_path: Path) -> None:
    export(account("ids", INBOX=3), tmp_path / "a")
    first, second, _ = sorted((tmp_path / "a/mail/INBOX").glob("*.eml"))
    first.unlink()
    second.write_bytes(b"Subject: changed\r\n\r\n")
    report = indexed(tmp_path / "a", tmp_path / "i")
    found = rows(tmp_path / "i")
    assert [row["defects"][:1] for row in found[:1]] == [["unreadable"]]
    assert {"digest-mismatch", "size-mismatch"} <= set(found[1]["defects"])
    assert report.rows["messages"] == 3
    # neither is taken over: the files may come back
    assert indexed(tmp_path / "a", tmp_path / "i", rebuild=False).was_current
    (tmp_path / "i/index.json").write_text(
        (tmp_path / "i/index.json")
        .read_text()
        .replace('"changed_meanwhile": false', '"changed_meanwhile": true')
    )
    assert indexed(tmp_path / "a", tmp_path / "i").read == 2


def test_a_large_message_goes_through_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = account("ids", INBOX=2)
    source.add(b"Subject: large\r\n\r\n" + b"x\r\n" * 5000, "INBOX")
    export(source, tmp_path / "a")
    indexed(tmp_path / "a", tmp_path / "i")
    wanted = everything(tmp_path / "i")
    monkeypatch.setattr(build_module, "LARGE", 1000)
    indexed(tmp_path / "a", tmp_path / "j")
    assert everything(tmp_path / "j") == wanted


# --- processes ----------------------------------------------------------------------------------


def test_processes_give_the_same_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build_module, "_BATCH", 7)
    monkeypatch.setattr(build_module, "_FEW", 7)
    export(account("ids", INBOX=90, Sent=40), tmp_path / "a")
    for name, jobs in (("one", 1), ("three", 3)):
        indexed(tmp_path / "a", tmp_path / name, jobs=jobs)
    assert everything(tmp_path / "one") == everything(tmp_path / "three")


def test_a_process_that_dies_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[worker.Asked] = [(None, None, mail(str(number))) for number in range(6)]
    wanted = worker.answer(asked)
    with Workers(2) as workers:
        workers.start()
        victim = workers._all[0]
        os.kill(victim.pid, signal.SIGKILL)
        victim.wait()
        found = [*workers.ask(asked), *workers.rest()]
    assert sum(read.messages for read in found) == 6
    assert [one for read in found for one in read.answer[4]] == wanted[4]


def test_a_message_that_kills_every_process_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from portarchive.index import workers as module

    program = (
        "import portarchive.index.worker as w, os; look = w.look;"
        "w.look = lambda one: os._exit(1) if b'deadly' in one[2] else look(one); "
    )
    monkeypatch.setattr(module, "_PROGRAM", module._PROGRAM.replace("from", f"{program}from", 1))
    asked: list[worker.Asked] = [(None, None, mail(str(number))) for number in range(5)]
    asked[3] = (8, None, b"X: deadly")
    with Workers(2) as workers:
        workers.start()
        found = [*workers.ask(asked), *workers.rest()]
    defects = [read.answer[5].get("parser-failed", 0) for read in found]
    assert sum(defects) == 1
    assert sum(read.messages for read in found) == 5


def test_our_own_fault_is_a_value_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(content, "read", fails)
    assert worker.look((3, None, b"abc")).row[-1] == ["parser-failed"]


# --- where it lies ------------------------------------------------------------------------------


def test_of_a_directory_it_lies_within(tmp_path: Path) -> None:
    export(account("ids", INBOX=1), tmp_path / "a")
    with opened(tmp_path / "a") as contents:
        place = locate(tmp_path / "a", contents)
        assert place == tmp_path / "a/index"
        assert locate(tmp_path / "a", contents, tmp_path / "o") == tmp_path / "o"
        assert not is_current(place, contents)
        build(contents, place, jobs=1)
        assert is_current(place, contents)
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in place.iterdir()} == {0o600}
    # an export does not mind it, and it is in no manifest
    export(account("ids", INBOX=1), tmp_path / "a")
    archive_facts.check(tmp_path / "a")


def zipped(tree: Path, to: Path) -> Path:
    with zipfile.ZipFile(to, "w") as out:
        for file in sorted(tree.rglob("*")):
            out.write(file, file.relative_to(tree))
    return to


def tarred(tree: Path, to: Path) -> Path:
    with tarfile.open(to, "w:gz") as out:
        out.add(tree, ".")
    return to


@pytest.mark.parametrize(("suffix", "pack"), [(".zip", zipped), (".tar.gz", tarred)])
def test_of_a_container_it_lies_in_the_cache(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    suffix: str,
    pack: Callable[[Path, Path], Path],
    sample: Path,
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    packed = pack(SAMPLE, tmp_path / f"packed{suffix}")
    with opened(packed) as contents:
        place = locate(packed, contents)
        assert place.parent == tmp_path / "cache/portarchive/index"
        build(contents, place, jobs=1)
        assert is_current(place, contents)
    assert everything(place) == everything(sample)
    monkeypatch.setenv("XDG_CACHE_HOME", "not/absolute")
    with opened(packed) as contents:
        assert locate(packed, contents).is_relative_to(Path.home() / ".cache")


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    export(account("ids", INBOX=1), tmp_path / "a")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "a/index").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Refused):
        indexed(tmp_path / "a", tmp_path / "a/index")
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_directory_with_other_files_is_refused(tmp_path: Path) -> None:
    export(account("ids", INBOX=1), tmp_path / "a")
    (tmp_path / "o").mkdir()
    (tmp_path / "o/letter.txt").write_text("mine")
    with pytest.raises(Refused, match="holds no index"):
        indexed(tmp_path / "a", tmp_path / "o")
    assert [file.name for file in (tmp_path / "o").iterdir()] == ["letter.txt"]


def test_what_a_killed_build_left_is_swept(tmp_path: Path) -> None:
    export(account("ids", INBOX=1), tmp_path / "a")
    place = tmp_path / "i"
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    (place / f".building-{gone.pid}-00").mkdir(parents=True)
    (place / f".building-{os.getpid()}-00").mkdir()
    indexed(tmp_path / "a", place)
    left = {file.name for file in place.iterdir() if file.is_dir()}
    assert left == {f".building-{os.getpid()}-00"}


def test_a_number_that_another_process_has_now_keeps_nothing(tmp_path: Path) -> None:
    """In a container every run has the number of the one before, which was killed."""
    export(account("ids", INBOX=1), tmp_path / "a")
    place = tmp_path / "i"
    left = place / f".building-{os.getpid()}-00"
    left.mkdir(parents=True)
    (left / "items").write_bytes(b"x")
    os.utime(left, (1_700_000_000, 1_700_000_000))
    indexed(tmp_path / "a", place)
    assert not left.exists()


def test_a_build_that_another_container_runs_is_not_swept(tmp_path: Path) -> None:
    export(account("ids", INBOX=1), tmp_path / "a")
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    with building(tmp_path / "i") as made:
        other = made.rename(made.with_name(f".building-{gone.pid}-00"))
        os.utime(other, (1_700_000_000, 1_700_000_000))
        indexed(tmp_path / "a", tmp_path / "i")
        assert other.is_dir(), "its process cannot be seen from here, and lives"
    indexed(tmp_path / "a", tmp_path / "i", rebuild=True)
    assert not other.exists()


def test_builds_put_their_files_there_one_after_another(tmp_path: Path) -> None:
    """Else the tables of two of them could make one index, and nobody would see it."""
    export(account("ids", INBOX=1), tmp_path / "a")
    place = tmp_path / "i"
    indexed(tmp_path / "a", place)
    before = (place / "index.json").stat().st_ino
    lock = os.open(place, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    other = threading.Thread(target=indexed, args=(tmp_path / "a", place), kwargs={"rebuild": True})
    other.start()
    while not list(place.glob(".building-*/index.json")):
        assert other.is_alive(), "it did not wait"
        time.sleep(0.01)
    assert (place / "index.json").stat().st_ino == before
    os.close(lock)
    other.join()
    assert (place / "index.json").stat().st_ino != before


def test_an_archive_published_meanwhile(tmp_path: Path) -> None:
    source = account("ids", INBOX=3)
    archive, place = tmp_path / "a", tmp_path / "a/index"
    export(source, archive)
    source.add(mail("later"), "INBOX")
    heard: list[Event] = []

    def publish(event: Event) -> None:
        heard.append(event)
        if isinstance(event, FolderStarted):
            export(source, archive)

    with opened(archive) as contents:
        report = build(contents, place, jobs=1, observer=publish)
        assert report.changed_meanwhile
        assert not is_current(place, contents)
    assert [event.code for event in heard if isinstance(event, Notice)] == ["archive-changed"]
    assert (state_of(place) or {})["archive"]["changed_meanwhile"] is True
    mended = indexed(archive, place)
    assert not mended.changed_meanwhile
    assert mended.rows["messages"] == 4


# --- safety -------------------------------------------------------------------------------------


def test_no_connection_is_ever_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **_: object) -> None:
        raise AssertionError(f"a connection: {arguments}")

    for name in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, refuse)
    indexed(SAMPLE, tmp_path / "i")
    assert len(rows(tmp_path / "i")) > 50


def test_no_address_of_a_message_is_connected_to_by_a_process(tmp_path: Path) -> None:
    """The system calls of a process that reads messages: none of them makes a socket."""
    guard = (
        "import sys\n"
        "def guard(event, arguments):\n"
        "    if event.startswith(('socket.', 'subprocess.', 'os.exec', 'os.fork', 'os.system')):\n"
        "        sys.exit(f'{event} {arguments}')\n"
        "from portarchive.index import worker, arrow\n"
        "sys.addaudithook(guard)\n"
        "messages = [open(name, 'rb').read() for name in sys.argv[1:]]\n"
        "found = worker.answer([(None, None, one) for one in messages])\n"
        "print(len(found[1]), found[5].get('parser-failed', 0))\n"
    )
    names = [str(path) for path in sorted((SAMPLE / "mail").rglob("*.eml"))]
    done = subprocess.run(
        [sys.executable, "-c", guard, *names], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(len(names)), "0"]


def test_loading_the_place_loads_no_arrow() -> None:
    script = (
        "import sys; import portarchive.index.build, portarchive.index.place;"
        "sys.exit('pyarrow' in sys.modules or 'duckdb' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_building_does_not_wait_for_an_export(tmp_path: Path) -> None:
    archive = tmp_path / "a"
    export(account("ids", INBOX=2), archive)
    held = WriterLock(archive / ".portarchive/lock")
    try:
        assert indexed(archive, archive / "index").read == 2
    finally:
        held.release()
