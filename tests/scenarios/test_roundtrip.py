"""There and back: from archive to provider to archive, again and again; nothing is lost or added.

Each step is judged by ``diff``, and each difference that it finds must be on the closed list of the
provider that was passed through. Folders, roles, subscriptions, flags and instants are compared
without the program as well.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import replaying
from defective_kinds import MALFORMED, PLAIN
from holding import Goal
from replaying import Letter, bring, check_differences, difference, made_archive, moment, run

from portarchive.connectors.imap.known_changes import ALTERATIONS, Server
from portarchive.connectors.maildir import open_target as open_maildir
from portarchive.connectors.mbox import open_target as open_mbox

KEYWORDS = (
    "$Forwarded", "$MailFlagBit0", "$MailFlagBit1", "$MailFlagBit2", "$Junk", "$NotJunk", "NonJunk",
    "$label1", "a.b/c'd", "+plus", "[bracket", "~tilde", "UPPER", "$MDNSent", "k" * 50,
)  # fmt: skip
SYSTEM = ((), ("$seen",), ("$answered", "$seen"), ("$flagged",), ("$draft", "$seen"))
INSTANTS = (
    "1970-01-01T00:00:01+00:00", "1999-12-31T23:59:59-11:00", "2000-02-29T12:00:00+05:45",
    "2016-12-31T23:59:59+00:00", "2024-03-31T02:30:00+02:00", "2024-10-27T02:30:00+01:00",
)  # fmt: skip
ROLES = {"Sent": "\\Sent", "Drafts": "\\Drafts", "Trash": "\\Trash", "Junk": "\\Junk"}
NOT_SUBSCRIBED = ("Quiet", "Work/2024")
FOLDERS = (
    "INBOX", *ROLES, "Work", "Work/2024", "Work/2024/März & Co", "日本語", "Quiet", "Empty",
    "a name with blanks", "Sent/Old",
)  # fmt: skip
TREE = {path: {} for path in FOLDERS}


def letters() -> dict[str, list[Letter]]:
    """A mailbox with everything that a mailbox has."""
    folders: dict[str, list[Letter]] = {path: [] for path in FOLDERS}
    number = 0

    def add(path: str, octets: bytes, flags: Sequence[str] = (), received: str = "") -> None:
        nonlocal number
        number += 1
        folders[path].append(Letter(octets, tuple(flags), received or moment(number)))

    for path in FOLDERS:
        for count in range(0 if path == "Empty" else 6):
            add(path, PLAIN.replace(b"<plain@", b"<%d@" % (number * 7 + count)), SYSTEM[count % 5])
    for keyword in KEYWORDS:
        add("Work", PLAIN.replace(b"<plain@", b"<%s-%d@" % (b"k", number)), [keyword, "$seen"])
    for instant in INSTANTS:
        add("INBOX", PLAIN.replace(b"<plain@", b"<at-%d@" % number), (), instant)
    for received in ("", "", moment(5), moment(5)):  # equal octets, some at one instant
        add("Work/2024", PLAIN, ("$flagged",), received)
    for malformed in MALFORMED.values():
        if 1 < len(malformed) < 100_000:
            # unlike messages that are alike in what they are known by: the octet tests' matter
            octets = re.sub(rb"(?<=<)(?=plain@|nested@)|(?<=Subject: )", b"%d" % number, malformed)
            add("日本語", octets, ("$seen",))
    return folders


@pytest.fixture
def start(root: Path) -> Path:
    names = {path: {"special_use": use} for path, use in ROLES.items()}
    names |= {path: {"is_subscribed": False} for path in NOT_SUBSCRIBED}
    made_archive(root, letters(), names)
    return root


def test_the_closed_lists_are_those_of_the_program(tmp_path: Path) -> None:
    kinds = {"dovecot": Server.DOVECOT, "cyrus": Server.CYRUS, "pymap": Server.PYMAP}
    told = {kind: ALTERATIONS[server] for kind, server in kinds.items()}
    files = {
        "maildir": open_maildir(str(tmp_path / "a"), {}),
        "mbox": open_mbox(str(tmp_path / "b"), {"status": "1"}),
        "mbox without flags": open_mbox(str(tmp_path / "c"), {}),
    }
    for kind, target in files.items():
        told[kind] = target.capabilities.alterations
        target.close()
    assert {kind: frozenset(map(str, found)) for kind, found in told.items()} == (
        replaying.CLOSED_LISTS
    )


@pytest.mark.parametrize(
    "chain",
    [
        ("dovecot", "cyrus", "dovecot", "cyrus"),
        ("maildir", "mbox", "pymap", "maildir of dots", "dovecot"),
        ("cyrus", "maildir", "pymap", "mbox", "cyrus"),
    ],
    ids="-".join,
)
def test_from_archive_to_archive(
    chain: Sequence[str], goals: Callable[[str], Goal], start: Path, tmp_path: Path
) -> None:
    explained: Counter[str] = Counter()
    archive = start
    for step, kind in enumerate(chain):
        goal = goals(kind)
        following = start.parent / f"after-{step}"
        brought = bring(archive, goal, state=tmp_path / "state", code=None)
        passed(goal, following)
        explained += (found := step_between(archive, following, goal))
        assert brought["totals"]["failed"] == found["refused"], (kind, found)
        same_tree(archive, following, goal)
        archive = following
    assert set(+explained) <= {"octets", "refused", "early-date"}
    if "cyrus" in chain:
        assert explained["refused"]


def passed(goal: Goal, archive: Path) -> None:
    """Export what the target holds."""
    said = run("export", goal.source, archive, "--no-fsync", state=None, password=goal.password)
    assert said.code == 0, said.err


def step_between(a: Path, b: Path, goal: Goal) -> Counter[str]:
    report = difference(a, b, password=goal.password, code=None)
    found = check_differences(report, a, b, goal.kind)
    assert report["same"] is (not +found), (report["totals"], found)
    account = difference(a, goal.url, password=goal.password, code=None)
    assert account["totals"] == report["totals"]
    exact = difference(b, goal.url, "--exact", password=goal.password, code=0)
    assert exact["same"]
    return found


def same_tree(a: Path, b: Path, goal: Goal) -> None:
    """Folders with their roles and subscriptions, as far as such a target has them."""
    before, after = replaying.headers(a), replaying.headers(b)
    assert before.keys() == after.keys()
    for names, header in before.items():
        use, subscribed = header.get("special_use"), header.get("is_subscribed")
        if use is not None and goal.kind in {"dovecot", "cyrus"}:
            assert after[names].get("special_use") == use, (names, goal.kind)
        if subscribed is not None and goal.kind in {"dovecot", "cyrus", "pymap", "maildir"}:
            assert after[names].get("is_subscribed") is subscribed, (names, goal.kind)
