"""Migration from IMAP to JMAP: what must differ is named as known, and the verdict is always one.

Copies of a message are one Email there. Their flags, dates and copies that became one are no fault
(docs/jmap.md has the table); whatever else differs still is.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from replaying import run

from servers.cyrus import Cyrus
from servers.daemon import Account, Message

PASSWORD = "pass"


def letter(number: int) -> bytes:
    head = b"Message-ID: <%d@merged.example>\r\nFrom: a@b.example\r\n" % number
    return head + b"Subject: %d\r\n\r\ntext %d\r\n" % (number, number)


def moment(number: int) -> dt.datetime:
    return dt.datetime(2020, 1, 1, 12, tzinfo=dt.UTC) + dt.timedelta(minutes=number)


def imap(account: Account) -> str:
    return f"{account.url(tls=False)}?tls=none"


def jmap(account: Account) -> str:
    server = account.server
    assert isinstance(server, Cyrus)
    return f"jmap://{account.user}@127.0.0.1:{server.http_port}"


class Move:
    """From one account to another, as often as it is run."""

    def __init__(self, old: Account, new: Account, root: Path) -> None:
        self.old, self.new, self.root = old, new, root

    def run(self, code: int = 0, *more: object, state: str = "state") -> dict[str, Any]:
        said = run(
            "migrate", imap(self.old), jmap(self.new), "--archive", self.root.with_name("kept"),
            *more, "--json", state=self.root.with_name(state), password=PASSWORD,
        )  # fmt: skip
        assert said.code == code, (said.code, said.err, said.out[-3000:])
        return said.report


@pytest.fixture
def move(real_dovecot, real_cyrus, mailbox: Account, root: Path) -> Move:
    return Move(mailbox, real_cyrus.account(f"{mailbox.user}n"), root)


@pytest.fixture
def of_cyrus(real_cyrus, cyrus_mailbox: Account, root: Path) -> Move:
    """The source tells by EMAILID which messages are one."""
    return Move(cyrus_mailbox, real_cyrus.account(f"{cyrus_mailbox.user}n"), root)


def named(report: dict[str, Any]) -> Counter[str]:
    """What is named as altered, all of it known."""
    entries = [entry for folder in report["import"]["folders"] for entry in folder["altered"]]
    assert all(entry["known"] for entry in entries), entries
    return Counter(word for entry in entries for word in entry["what"])


def three_times(move: Move) -> list[dict[str, Any]]:
    """The first run, the next one, and one that remembers nothing: one verdict, one naming."""
    reports = [move.run(), move.run(), move.run(state="none")]
    for report in reports:
        assert report["complete"]
        assert report["diff"]["same"]
    found = [named(report) for report in reports]
    assert found[0] == found[1] == found[2]
    for report in reports[1:]:
        totals = report["import"]["totals"]
        assert totals["present"] == totals["messages"]
    return reports


@pytest.mark.parametrize("source", ["move", "of_cyrus"])
def test_flags_and_dates_of_several_folders(source: str, request) -> None:
    """Each folder has its own flags and dates by IMAP, one set by JMAP."""
    move = request.getfixturevalue(source)
    move.old.append_many("INBOX", [Message(letter(n), ("\\Seen",), moment(n)) for n in range(4)])
    move.old.append_many(
        "Work", [Message(letter(n), ("$Forwarded",), moment(100 + n)) for n in range(2, 6)]
    )
    first = three_times(move)[0]
    assert first["import"]["totals"]["messages"] == 8
    assert named(first) == {"flags-merged": 4, "date-merged": 2}
    flags = {m.octets: m.flags for m in move.new.messages("Work").values()}
    assert {f.lower() for f in flags[letter(2)]} >= {"\\seen", "$forwarded"}
    assert "\\seen" not in {f.lower() for f in flags[letter(5)]}


@pytest.mark.parametrize("source", ["move", "of_cyrus"])
def test_copies_in_one_folder(source: str, request) -> None:
    move = request.getfixturevalue(source)
    move.old.append_many(
        "INBOX",
        [
            Message(letter(1), ("\\Seen",), moment(1)),
            Message(letter(1), ("\\Flagged",), moment(2)),
            Message(letter(1), ("\\Seen",), moment(3)),
            Message(letter(2), (), moment(4)),
        ],
    )
    reports = three_times(move)
    assert reports[0]["import"]["totals"]["messages"] == 4
    assert named(reports[0])["copies-merged"] == 2
    assert len(move.new.messages("INBOX")) == 2


def test_what_its_owner_has_there_already(of_cyrus: Move) -> None:
    """It is joined: the owner's flags and date stay, and nobody calls that a difference."""
    move = of_cyrus
    move.old.append_many("Work", [Message(letter(1), ("\\Seen",), moment(1))])
    move.new.append_many("INBOX", [Message(letter(1), ("\\Flagged",), moment(50))])
    for merged in (1, 0):
        report = move.run()
        assert report["import"]["totals"]["merged"] == merged
        assert report["diff"]["same"]
        assert report["complete"]


def test_what_is_lost_is_a_difference_still(move: Move) -> None:
    """Also of a message that has copies: the table is no excuse for more than it says."""
    move.old.append_many("INBOX", [Message(letter(n), ("\\Seen",), moment(n)) for n in range(3)])
    move.old.append_many("INBOX", [Message(letter(1), (), moment(1))])
    move.old.append_many("INBOX", [Message(b"no header", (), moment(9))])
    for _ in range(2):
        report = move.run(3)
        assert report["import"]["totals"]["failed"] == 1
        assert not report["complete"]
