"""Imports that are killed, cut off, refused and put off: nothing twice, nothing missing, ever."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import running
from holding import Goal, ImapGoal
from replaying import (
    Letter,
    bring,
    fresh_directory,
    made_archive,
    moment,
    named,
    run,
    state_environment,
)

from portarchive.connectors.imap import append_settle
from servers.scripted import CAPABILITIES, Drop, Refuse, ScriptedServer
from servers.scripted_append import Arrival
from servers.scripted_faults import drop_on

CORPUS = Path(__file__).parents[1] / "corpus"


def mail(number: int, size: int = 0) -> bytes:
    """Every fifth without a Message-ID."""
    name = b"" if number % 5 == 4 else b"Message-ID: <%d@example.org>\r\n" % number
    return b"%sSubject: %d\r\n\r\n%s\r\n" % (name, number, b"x" * size)


def number_of(octets: bytes) -> int:
    return int(octets.partition(b"Subject: ")[2].split(b"\r\n")[0])


# --- killed -------------------------------------------------------------------------------------

KILLS = (0, 1, 90, 250, 400, 599)
"""Messages that are stored when the process is killed, one after the other."""


@pytest.mark.parametrize("ledger", ["kept", "deleted", "none"])
@pytest.mark.parametrize("connections", [1, 4])
def test_killed_again_and_again(
    goals: Callable[[str], Goal], root: Path, tmp_path: Path, ledger: str, connections: int
) -> None:
    """``kill -9`` of the real process; each run goes on from where the last one was ended."""
    goal = goals("dovecot")
    assert isinstance(goal, ImapGoal)
    letters = [Letter(mail(n, 6000), ("$seen",), moment(n)) for n in range(600)]
    made_archive(root, {"INBOX": letters[:300], "Work": letters[300:]})
    home = goal.account.server.directory / "mail" / goal.account.user / "Maildir"
    state = None if ledger == "none" else tmp_path / "state"
    killed = 0
    for stored in KILLS:
        killed += killed_at(root, goal, state, stored, home, connections)
        if ledger == "deleted":
            fresh_directory(tmp_path / "state")
    assert killed >= 3, "the process was too fast for the test"
    report = bring(root, goal, "--connections", connections, state=state)
    there = Counter(goal.octets())
    assert there == Counter(letter.octets for letter in letters)
    totals = report["totals"]
    assert totals["present"] + totals["placed"] == 600
    assert bring(root, goal, state=state)["totals"]["placed"] == 0


def killed_at(
    archive: Path, goal: Goal, state: Path | None, stored: int, home: Path, connections: int
) -> bool:
    """Start an import and kill it when so many messages are stored; whether it still ran."""
    words = ["import", archive, goal.url, "--connections", connections]
    process = subprocess.Popen(
        [sys.executable, "-m", "portarchive", *map(str, words)],
        env=running.environment(None, state_environment(state, goal.password)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        files = sum(len(list(each.iterdir())) for each in home.rglob("cur"))
        if files >= stored and (stored or time.monotonic() > deadline - 59.5):
            break
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


# --- cut off ------------------------------------------------------------------------------------

OFFERS = {
    "multiappend": (*CAPABILITIES, "MULTIAPPEND", "CREATE-SPECIAL-USE"),
    "pipelined": CAPABILITIES,
    "one by one": tuple(name for name in CAPABILITIES if name != "LITERAL+"),
    "without uids": tuple(name for name in CAPABILITIES if name not in {"UIDPLUS", "LITERAL+"}),
    "nothing": ("IMAP4rev1",),
}
COUNT = 230


@pytest.fixture(autouse=True)
def _no_settling(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scripted server is done with a command before it drops a connection."""
    monkeypatch.setattr(append_settle, "QUIET", 0.0)


@pytest.fixture
def server(scripted: ScriptedServer) -> ScriptedServer:
    scripted.writable = True
    scripted.capabilities = OFFERS["multiappend"]
    return scripted


class ScriptedGoal(Goal):
    """A scripted server, asked for what it holds."""

    def __init__(self, server: ScriptedServer) -> None:
        super().__init__("other", running.url_of(server), running.PASSWORD)
        self.server = server

    def numbers(self) -> Counter[int]:
        return Counter(
            number_of(mail.octets)
            for mailbox in self.server.mailboxes
            for mail in mailbox.mails.values()
        )


@pytest.fixture
def archive(root: Path) -> Path:
    letters = [Letter(mail(n), ("$seen",) if n % 2 else (), moment(n)) for n in range(COUNT)]
    made_archive(root, {"INBOX": letters[:130], "Work": letters[130:]})
    return root


def once(count: int = COUNT, *without: int) -> dict[int, int]:
    return dict.fromkeys((number for number in range(count) if number not in without), 1)


def before_it_is_stored(server: ScriptedServer, at: int) -> None:
    """The connection breaks with the message in the server's hand."""
    times = iter([True])

    def judge(arrival: Arrival) -> None:
        if number_of(arrival.octets) == at and next(times, False):
            raise Drop

    server.judges.append(judge)


def after_it_is_stored(server: ScriptedServer, at: int) -> None:
    """It is stored, and the answer never comes."""
    times = iter([True])

    def after(arrivals: list[Arrival]) -> None:
        if any(number_of(each.octets) == at for each in arrivals) and next(times, False):
            raise Drop

    server.after_append.append(after)


def bye_after_it_is_stored(server: ScriptedServer, at: int) -> None:
    times = iter([True])

    def after(arrivals: list[Arrival]) -> None:
        if any(number_of(each.octets) == at for each in arrivals) and next(times, False):
            arrivals[0].session.untagged("BYE Server shutting down")
            raise Drop

    server.after_append.append(after)


def at_the_go_ahead(server: ScriptedServer, at: int) -> None:
    """It breaks where the server was to say "+"."""
    seen = iter(range(10_000))

    def consent(line: bytes, size: int) -> None:
        if b"APPEND" in line.upper() and next(seen) == at % 20:
            raise Drop

    server.consent = consent


def bad_with_literals_in_flight(server: ScriptedServer, at: int) -> None:
    times = iter([True])

    def judge(arrival: Arrival) -> None:
        if number_of(arrival.octets) == at and next(times, False):
            raise Refuse("Too many invalid commands", "BAD")

    server.judges.append(judge)


def put_off(server: ScriptedServer, at: int) -> None:
    """THROTTLED, then UNAVAILABLE, then a back-off in milliseconds."""
    words = iter(
        ["[THROTTLED] slow down", "[UNAVAILABLE] later",
         "Request is throttled. Suggested Backoff Time: 20 milliseconds"]
    )  # fmt: skip

    def judge(arrival: Arrival) -> None:
        if number_of(arrival.octets) >= at and (text := next(words, "")):
            raise Refuse(text)

    server.judges.append(judge)


def mailbox_gone(server: ScriptedServer, at: int) -> None:
    """TRYCREATE: the mailbox is deleted by somebody else while it is filled."""
    times = iter([True])

    def judge(arrival: Arrival) -> None:
        if number_of(arrival.octets) == at and next(times, False):
            raise Refuse("[TRYCREATE] no such mailbox")

    server.judges.append(judge)


def every_few(server: ScriptedServer, at: int) -> None:
    """The connection breaks again and again, before and after, at another place each time."""
    seen = iter(range(100_000))

    def after(arrivals: list[Arrival]) -> None:
        if next(seen) % 5 == at % 5:
            raise Drop

    server.after_append.append(after)


def while_it_looks(server: ScriptedServer, at: int) -> None:
    for command in ("LIST", "SELECT", "EXAMINE", "STATUS", "CREATE", "SUBSCRIBE", "UID FETCH"):
        drop_on(server, command, times=1)


FAULTS = [
    before_it_is_stored, after_it_is_stored, bye_after_it_is_stored, at_the_go_ahead,
    bad_with_literals_in_flight, every_few, while_it_looks,
]  # fmt: skip


@pytest.mark.parametrize("offer", OFFERS)
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_connection_that_breaks(
    server: ScriptedServer,
    archive: Path,
    tmp_path: Path,
    fault: Callable[[ScriptedServer, int], None],
    offer: str,
) -> None:
    """The run itself goes on, and brings everything once."""
    server.capabilities = OFFERS[offer]
    goal = ScriptedGoal(server)
    fault(server, 57)
    if fault is while_it_looks and offer == "nothing":  # as soon as it is logged in
        first = run("import", archive, goal.url, state=None, password=goal.password)
        assert first.refused(12)
    report = bring(archive, goal, state=tmp_path / "state", code=None)
    failed = named(report, "failed")
    if fault is bad_with_literals_in_flight and offer not in {"multiappend", "pipelined"}:
        # BAD to a message that waited for the server is about that message
        assert [entry["code"] for entry in failed.values()] == ["bad-message"]
        assert goal.numbers() == once(COUNT, 57)
        bring(archive, goal, state=tmp_path / "state")
    else:
        assert not failed
        assert report["totals"]["placed"] == COUNT
    assert goal.numbers() == once()
    fresh_directory(tmp_path / "state")
    assert bring(archive, goal, state=tmp_path / "state")["totals"]["placed"] == 0
    assert goal.numbers() == once()


@pytest.mark.parametrize("at", [0, 1, 99, 100, 129, 130, 229])
@pytest.mark.parametrize("fault", FAULTS[:3], ids=lambda fault: fault.__name__)
def test_it_breaks_at_any_message(
    server: ScriptedServer,
    archive: Path,
    tmp_path: Path,
    fault: Callable[[ScriptedServer, int], None],
    at: int,
) -> None:
    goal = ScriptedGoal(server)
    fault(server, at)
    bring(archive, goal, "--connections", 4 if at % 2 else 1, state=tmp_path / "state")
    assert goal.numbers() == once()


def test_a_server_that_asks_for_patience(
    server: ScriptedServer, archive: Path, tmp_path: Path
) -> None:
    goal = ScriptedGoal(server)
    put_off(server, 40)
    bring(archive, goal, state=tmp_path / "state")
    assert goal.numbers() == once()


def test_a_mailbox_that_goes_away(server: ScriptedServer, archive: Path, tmp_path: Path) -> None:
    """What could not be placed is named; the next run brings it."""
    goal = ScriptedGoal(server)
    mailbox_gone(server, 150)
    first = bring(archive, goal, state=tmp_path / "state", code=None)
    missing = {entry["code"] for entry in named(first, "failed").values()}
    assert missing <= {"folder-gone"}
    bring(archive, goal, state=tmp_path / "state")
    assert goal.numbers() == once()


@pytest.mark.parametrize("offer", OFFERS)
@pytest.mark.parametrize(
    ("text", "code"),
    [("[TOOBIG] too big", "too-big"), ("[LIMIT] no more", "limit"), ("go away", "refused")],
)
def test_messages_that_are_refused(
    server: ScriptedServer, archive: Path, tmp_path: Path, offer: str, text: str, code: str
) -> None:
    """They alone are missing, with the server's words; the next run tries them again."""
    server.capabilities = OFFERS[offer]
    bad = {0, 57, 58, 129, 200}

    def judge(arrival: Arrival) -> None:
        if number_of(arrival.octets) in bad:
            raise Refuse(text)

    server.judges.append(judge)
    goal = ScriptedGoal(server)
    report = bring(archive, goal, state=tmp_path / "state", code=3)
    assert goal.numbers() == once(COUNT, *bad)
    failed = named(report, "failed")
    assert len(failed) == len(bad)
    for entry in failed.values():
        assert entry["code"] == code
        assert text.rpartition("] ")[2] in entry["text"]
    server.judges.clear()
    assert bring(archive, goal, state=tmp_path / "state")["totals"]["placed"] == len(bad)
    assert goal.numbers() == once()


@pytest.mark.parametrize("offer", ["multiappend", "pipelined", "nothing"])
def test_an_account_that_is_full(
    server: ScriptedServer, archive: Path, tmp_path: Path, offer: str
) -> None:
    """Ten refusals in a row end the run; with room made, the same command brings the rest."""
    server.capabilities = OFFERS[offer]
    goal = ScriptedGoal(server)
    server.room = 140
    report = bring(archive, goal, state=tmp_path / "state", code=3)
    assert report["ended"] == "over-quota"
    assert report["totals"]["placed"] == 140
    assert {entry["code"] for entry in named(report, "failed").values()} == {"over-quota"}
    assert report["totals"]["failed"] == COUNT - 140
    said = run("import", archive, goal.url, state=None, password=goal.password)
    assert said.code == 3
    assert "full" in said.out
    server.room = None
    bring(archive, goal, state=tmp_path / "state")
    assert goal.numbers() == once()


def test_one_message_over_the_quota_is_not_the_end(
    server: ScriptedServer, archive: Path, tmp_path: Path
) -> None:
    """Nine large ones that do not fit, and small ones after each that do."""

    def judge(arrival: Arrival) -> None:
        if number_of(arrival.octets) % 10 == 3:
            raise Refuse("[OVERQUOTA] no room for that")

    server.judges.append(judge)
    goal = ScriptedGoal(server)
    report = bring(archive, goal, state=tmp_path / "state", code=3)
    assert report["ended"] is None
    assert report["totals"]["failed"] == COUNT // 10
    assert goal.numbers() == once(COUNT, *range(3, COUNT, 10))


def test_a_message_that_breaks_every_connection(
    server: ScriptedServer, archive: Path, tmp_path: Path
) -> None:
    def judge(arrival: Arrival) -> None:
        if number_of(arrival.octets) == 42:
            raise Drop

    server.judges.append(judge)
    goal = ScriptedGoal(server)
    report = bring(archive, goal, state=tmp_path / "state", code=3)
    ((_, entry),) = named(report, "failed").items()
    assert entry["code"] == "connection-lost"
    assert goal.numbers() == once(COUNT, 42)
