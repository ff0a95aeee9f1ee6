"""Messages that a real server changes: once, whatever else lies there, and never another's place.

Cases of docs/adr/0014 on Dovecot and Cyrus: Message-IDs and bodies that are stored otherwise than
they were sent, twins, an owner's copies, a part first, archives without digests, no ledger.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from holding import Goal, ImapGoal
from replaying import Letter, becomes, bring, fresh_directory, made_archive, moment, named

INBOX = "INBOX"
HEAD = b"Date: Tue, 3 Nov 2020 10:00:01 +0000\r\nFrom: Jane <j@example.org>\r\nSubject: s\r\n"


def letter(name: bytes, body: bytes = b"hello\r\n") -> bytes:
    return (b"Message-ID: <%b@example.org>\r\n" % name if name else b"") + HEAD + b"\r\n" + body


CHANGED = {
    "dovecot": [
        letter(b"nul", b"a\0b\r\n"),
        letter(b"cr", b"a\r\r\nb\r\n"),
        letter(b"mixed", b"a\nb\r\n"),
        letter(b"a\0b"),
        letter(b"", b"nameless \0\r\n"),
        HEAD.replace(b"Subject: ", b"Subject: \0") + b"\r\nnameless\r\n",
        b"\r\n\0",
    ],
    "cyrus": [
        letter(b"caf\xe9"),
        letter("café".encode()),
        HEAD.replace(b"Subject: ", b"Subject: \xe9") + b"\r\n8-bit \xe9\r\n",
        letter(b"8bit").replace(b"Jane", b"J\xe1n\xe9"),
        b"X: \xff\r\n\r\n",
    ],
}


def archive(root: Path, *messages: bytes, same: bool = False) -> Path:
    """Of these; no archive here tells digests."""
    made_archive(
        root,
        {INBOX: [Letter(each, (), moment(0 if same else n)) for n, each in enumerate(messages)]},
    )
    return root


def held(goal: Goal) -> Counter[bytes]:
    return Counter(one.octets for one in goal.contents()[INBOX])


@pytest.fixture
def goal(request: pytest.FixtureRequest, goals: Callable[[str], Goal]) -> Goal:
    return goals(request.param)


both = pytest.mark.parametrize("goal", ["dovecot", "cyrus"], indirect=True)


@both
@pytest.mark.parametrize("ledger", [True, False])
def test_again_and_again(goal: Goal, root: Path, tmp_path: Path, *, ledger: bool) -> None:
    mail = CHANGED[goal.kind]
    made, state = archive(root, *mail), tmp_path / "state"
    stored = Counter(becomes(goal.kind, each) for each in mail)
    first = bring(made, goal, state=state, code=3)
    assert held(goal) == stored
    told = named(first, "altered")
    assert len(told) == len(mail)
    assert all(entry["known"] for entry in told.values())
    for _ in range(2):
        if not ledger:
            fresh_directory(state)
        # with a ledger all of it was told, also of an archive without digests
        again = bring(made, goal, state=state, code=0 if ledger else 3)
        assert (again["totals"]["placed"], again["totals"]["present"]) == (0, len(mail))
        assert named(again, "altered").keys() == told.keys()
        assert not ledger or again["totals"]["bodies_read"] == 0
        assert held(goal) == stored


@both
def test_an_owners_copies(goal: ImapGoal, root: Path, tmp_path: Path) -> None:
    mail = CHANGED[goal.kind]
    made = archive(root, *mail)
    bring(made, goal, state=tmp_path / "s", code=3)
    with goal.account.server.connect(goal.account.user) as client:
        client.select(INBOX)
        assert client.uid("COPY", "1:*", INBOX)[0] == "OK"
    before = held(goal)
    assert before.total() == 2 * len(mail)
    for number in range(3):
        again = bring(made, goal, state=tmp_path / str(number), code=3)
        assert (again["totals"]["placed"], again["totals"]["present"]) == (0, len(mail))
        assert held(goal) == before


@both
def test_twins_a_part_first(goal: Goal, root: Path, tmp_path: Path) -> None:
    mail = [each for message in CHANGED[goal.kind] for each in [message] * 3]
    made = archive(root, *mail, same=True)
    words = [word for n in range(1, len(mail), 3) for word in ("--select", f"INBOX:{n}")]
    bring(made, goal, *words, state=tmp_path / "part", code=3)
    assert held(goal).total() == len(mail) // 3
    whole = bring(made, goal, state=tmp_path / "whole", code=3)
    assert whole["totals"]["placed"] == len(mail) - len(mail) // 3
    for number in range(2):
        again = bring(made, goal, state=tmp_path / str(number), code=3)
        assert again["totals"]["placed"] == 0
        assert held(goal) == Counter(becomes(goal.kind, each) for each in mail)


DIFFERENT = {
    "dovecot": [
        (letter(b"", "АБ\r\n".encode()), letter(b"", "ВГ\r\n".encode())),
        (letter(b"", b"a\0b\r\n"), letter(b"", b"a\0c\r\n")),
        (letter(b"n", b"a\0b\r\n"), letter(b"n", b"a\0c\r\n")),
        (letter(b"", b"\xe9\0\r\n"), letter(b"", b"\xe8\0\r\n")),
        (letter(b"", b"a\r\r\nb\r\n"), letter(b"", b"a\r\r\r\nb\r\n")),
        (letter(b"", b"c\rd\n\r\n"), letter(b"", b"cd\n\r\n")),
    ],
    "cyrus": [
        (letter(b"", "АБ\r\n".encode()), letter(b"", "ВГ\r\n".encode())),
        (letter(b"\xe9", b"\xe9\r\n"), letter(b"\xe9", b"\xe8\r\n")),
        (letter(b"\xe9\xe9"), letter(b"\xe9\xe9\xe9")),
    ],
}


@both
def test_another_message_is_not_taken_for_it(goal: Goal, root: Path, tmp_path: Path) -> None:
    """Of one sender, date, subject, instant; what differs is nothing that this server changes."""
    numbers = itertools.count()
    for one, other in DIFFERENT[goal.kind]:
        for each in (one, other):
            made = archive(root.with_name(f"a{next(numbers)}"), each, same=True)
            report = bring(made, goal, state=tmp_path / "state", code=None)
            assert report["totals"]["placed"] == 1, each
    everything = Counter(becomes(goal.kind, each) for two in DIFFERENT[goal.kind] for each in two)
    assert held(goal) == everything
    fresh_directory(tmp_path / "state")
    for number in range(next(numbers)):
        made = root.with_name(f"a{number}")
        report = bring(made, goal, state=tmp_path / "state", code=None)
        assert report["totals"]["placed"] == 0, number
    assert held(goal) == everything
