"""An archive that means harm: nothing of it becomes a command, a path or a sign on the terminal."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from holding import Goal, Held, ImapGoal
from replaying import Letter, bring, made_archive, moment, run

from contract.relay import Relay

COMMANDS = (
    b"x DELETE victim\r\nx DELETE INBOX\r\nx1 CREATE injected\r\nx2 RENAME victim gone\r\n"
    b'q2 DELETE victim\r\nx3 APPEND "victim" {4+}\r\nevil\r\nx4 SELECT victim\r\n'
    b"x5 STORE 1:* FLAGS (\\Deleted)\r\nx6 EXPUNGE\r\nx7 LOGOUT\r\n"
)
FLAGS: tuple[tuple[str, ...], ...] = (
    ("\\Bogus",), ("a b (c",), ("$x) {3+}\r\n",), ("$x) {3+}\r\nx DELETE victim\r\n",),
    ('"', ")", "("), ("\\Recent", "\\*"), ("{5}", "{5+}"), ("$Forwarded\0", "ä", "\uffff"),
    ("+FLAGS", "~{4}", "*", "%", ""), ("\x1b[2J\x1b]0;owned\x07",), ("\u202egnp.exe", "\x9b31m"),
)  # fmt: skip
SPELLABLE = {"+flags"}
"""What of these is a keyword by IMAP's grammar; all else is dropped and named."""

DATES = (
    None, "nonsense", '2024-01-01T00:00:00Z" {4+}\r\nx DELETE victim', "2024-02-30T00:00:00Z",
    "2024-01-01T00:00:00+99:99", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z",
    "1899-12-31T00:00:00Z", "\x1b[2J", "2024-01-01T00:00:00Z",
)  # fmt: skip
MESSAGES = (
    b"Message-ID: <a@x>\r\n\r\n" + COMMANDS,
    b"Message-ID: <a\r\n x DELETE victim\r\n>\r\n\r\n" + COMMANDS,
    b'Message-ID: <"\\"{5+}\r\n.@x>\r\nSubject: "\r\n\r\n' + COMMANDS,
    b"Message-ID: <b@x> {12+}\rx DELETE victim\rFrom: x\r\n\r\n)\r\n" + COMMANDS,
    b"Subject: {999999+}\r\n\r\na1 OK done\r\n* BYE\r\n+ go\r\n" + COMMANDS,
    b'Message-ID: <c@x>"\r\n\r\n' + COMMANDS.rstrip(b"\r\n"),
    b"Message-ID: <d@x>\r\n\r\n" + b"\x1b[2J\x1b]0;owned\x07" + COMMANDS * 20,
)
NAMES = (
    "x\r\nx DELETE victim", 'x" {5+}\r\n', "nul\0nul", '"quoted"', "{5+}", "x DELETE victim",
    "a\\", "(\\Sent)", "NIL", "*", "%", "..", "&", "&AAA-", "victim\n", "\x1b[2J\x1b]0;owned\x07",
    "../../victim", "\u202egnp", " ", "INBOX\r\n", "~root", "#news", "long" * 300,
)  # fmt: skip
UIDS = ("1\r\nx DELETE victim", "1:*", "*", "\x1b[31m7", "(1 2)", "9" * 400)


@pytest.fixture(params=["dovecot", "cyrus"])
def goal(request: pytest.FixtureRequest, goals: Callable[[str], Goal]) -> ImapGoal:
    """An account with a mailbox that nobody may touch."""
    goal = goals(request.param)
    assert isinstance(goal, ImapGoal)
    for number in range(3):
        goal.account.append("victim", b"Subject: victim %d\r\n\r\nx\r\n" % number, ("\\Seen",))
        goal.account.append("INBOX", b"Subject: mine %d\r\n\r\nx\r\n" % number, ())
    return goal


@pytest.fixture
def evil(root: Path) -> dict[tuple[str, str], Letter]:
    """An archive whose every string tries something."""
    letters = [
        Letter(b"X-Number: %d\r\n%s" % (number, octets), flags, received)
        for number, (octets, flags, received) in enumerate(
            (octets, flags, received)
            for octets in MESSAGES
            for flags in FLAGS
            for received in DATES
        )
    ]
    folders = {"INBOX": letters}
    names: dict[str, dict[str, object]] = {}
    for number, name in enumerate(NAMES):
        path = f"folder{number}"
        octets = b"Subject: in folder %d\r\n\r\n%s" % (number, COMMANDS)
        folders[path] = [Letter(octets, (), moment(number))]
        names[path] = {"name": name, "uid": name, "special_use": name, "myrights": name}
    return made_archive(root, folders, names)


def test_only_what_should_be_is_changed(
    goal: ImapGoal, root: Path, evil: dict[tuple[str, str], Letter], tmp_path: Path
) -> None:
    before = goal.contents()
    report = bring(root, goal, state=tmp_path / "state", code=None)
    after = goal.contents()
    check_untouched(before, after)
    made = {"/".join(folder["target"]) for folder in report["folders"]}
    assert after.keys() <= before.keys() | made
    assert "injected" not in after
    assert "gone" not in after
    assert "victim" not in made
    assert set(goal.octets()) - {held.octets for found in before.values() for held in found} <= {
        letter.octets for letter in evil.values()
    }
    failed = sum(folder["failed_count"] for folder in report["folders"])
    arrived = sum(len(found) for found in after.values()) - 6
    assert arrived == report["totals"]["placed"] == len(evil) - failed
    everything_dropped_is_named(report, evil)
    no_new_flags = {flag for found in after.values() for held in found for flag in held.flags}
    assert no_new_flags <= {"$seen", *SPELLABLE}
    again = bring(root, goal, state=tmp_path / "another", code=None)
    assert again["totals"]["placed"] == 0
    assert goal.contents() == after


def everything_dropped_is_named(report: dict, evil: dict[tuple[str, str], Letter]) -> None:
    (inbox,) = (folder for folder in report["folders"] if folder["path"] == "INBOX")
    named = {entry["keyword"] for entry in inbox["dropped"]}
    told = {flag for flags in FLAGS for flag in flags if flag.isprintable() and flag}
    assert {flag for flag in told if flag.lower() not in SPELLABLE} - {"\\Recent", "\\*"} <= named
    counts = sum(entry["count"] for entry in inbox["dropped"])
    assert counts >= len(MESSAGES) * len(DATES) * (len(FLAGS) - 1)
    assert report["totals"]["undated"] >= len(MESSAGES) * len(FLAGS)
    for folder in report["folders"]:
        assert folder["target"] == folder["names"] or folder["notes"], folder


def check_untouched(before: dict[str, list[Held]], after: dict[str, list[Held]]) -> None:
    """What was there is there, in its place and as it was."""
    for name, held in before.items():
        assert after[name][: len(held)] == held, name
    assert after["victim"] == before["victim"]


def test_the_terminal_is_shown_no_control_character(
    goal: ImapGoal, root: Path, evil: dict[tuple[str, str], Letter], tmp_path: Path
) -> None:
    """``run`` looks for them in all that is said; here the words, with every detail."""
    before = goal.contents()
    for words in (["--dry-run"], ["-v", "-v"], ["--progress", "plain"]):
        said = run(
            "import", root, goal.url, *words, state=tmp_path / "state", password=goal.password
        )
        assert said.code in {0, 3}, said.err
        assert "victim\n" not in said.out or words
        check_untouched(before, goal.contents())
    said = run("diff", root, goal.url, state=None, password=goal.password)
    assert said.code == 1
    assert len(evil) > 700


def test_ids_and_paths_of_the_archive_are_only_words(
    goal: ImapGoal, root: Path, tmp_path: Path
) -> None:
    """UIDs, filenames and ids with commands in them; files outside of the archive."""
    made_archive(root, {"INBOX": [Letter(b"Subject: %d\r\n\r\nx\r\n" % n) for n in range(6)]})
    (root.parent / "secret").write_bytes(b"Subject: secret\r\n\r\nnot of the archive\r\n")
    file = root / "mail" / "INBOX" / "folder.json"
    folder = json.loads(file.read_text())
    for item, uid in zip(folder["items"], UIDS, strict=True):
        item |= {"uid": uid, "portarchive:email_id": uid, "portarchive:labels": [uid]}
        item |= {"portarchive:sha256": uid, "portarchive:size": "x DELETE victim"}
    outside = ["../../../secret", str(root.parent / "secret"), "\x1b[2J.eml", "a\r\nx.eml"]
    folder["items"] += [
        {"uid": f"9{n}", "filename": name, "flags": []} for n, name in enumerate(outside)
    ]
    file.write_text(json.dumps(folder))
    before = goal.contents()
    report = bring(root, goal, state=tmp_path / "state", code=3)
    after = goal.contents()
    check_untouched(before, after)
    assert len(after["INBOX"]) == 3 + len(UIDS)
    assert report["totals"]["failed"] == len(outside)
    assert {entry["uid"] for entry in report["folders"][0]["failed"]} == {"90", "91", "92", "93"}
    said = run("import", root, goal.url, "-v", state=None, password=goal.password)
    assert said.code == 3


class Tampering(Relay):
    """A wire on which a keyword becomes no flag: the server says BAD in the middle of a window."""

    armed = True

    def _pass(self, source: socket.socket, sink: socket.socket) -> None:  # type: ignore[override]
        with contextlib.suppress(OSError):
            while octets := source.recv(1 << 16):
                if self.armed and b"$evil!" in octets:
                    self.armed = False
                    octets = octets.replace(b"$evil!", rb"\Bogus", 1)
                sink.sendall(octets)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize("at", [0, 50, 99])
def test_bad_in_the_middle_of_a_window(goal: ImapGoal, root: Path, tmp_path: Path, at: int) -> None:
    """What comes behind the APPEND that went wrong is full of commands: none is obeyed.

    No archive can do that: it takes a wire that changes what is sent.
    """
    letters = made_archive(
        root,
        {
            "INBOX": [
                Letter(
                    b"Message-ID: <%d@x>\r\n\r\n%s" % (number, COMMANDS if number > 99 else b""),
                    ("$evil!",) if number == at else (),
                    moment(number),
                )
                for number in range(300)
            ]
        },
    )
    before = goal.contents()
    with Tampering(goal.account.server.port) as relay:
        wire = Goal(
            goal.kind, f"imap://{goal.account.user}@127.0.0.1:{relay.port}?tls=none", goal.password
        )
        report = bring(root, wire, state=tmp_path / "state", code=0)
        assert not relay.armed
    assert report["totals"]["placed"] == 300
    after = goal.contents()
    check_untouched(before, after)
    assert after.keys() == before.keys()
    arrived = [held.octets for held in after["INBOX"][3:]]
    assert sorted(arrived) == sorted(letter.octets for letter in letters.values())


@pytest.mark.parametrize(("count", "length"), [(3000, 10), (40, 4000), (1, 70_000)])
def test_keywords_without_number_or_end(
    goal: ImapGoal, root: Path, tmp_path: Path, count: int, length: int
) -> None:
    """Each passes the grammar; lines over a server's limit would end in BAD, and in commands."""
    flags = tuple(f"k{number:05}".ljust(length, "x") for number in range(count))
    letters = [Letter(b"Subject: a\r\n\r\n" + COMMANDS, flags), Letter(b"Subject: b\r\n\r\nx\r\n")]
    made_archive(root, {"INBOX": letters})
    before = goal.contents()
    report = bring(root, goal, state=tmp_path / "state", code=0)
    check_untouched(before, goal.contents())
    assert report["totals"]["placed"] == 2
    assert len(report["folders"][0]["dropped"]) == count
    assert bring(root, goal, state=tmp_path / "another")["totals"]["placed"] == 0
