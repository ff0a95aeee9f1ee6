"""Octets of every kind, into every kind of target: as they were, or named, and once."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
import real_mail
from defective_kinds import MALFORMED
from holding import Goal
from replaying import (
    CLOSED_LISTS,
    Letter,
    bring,
    check_arrived,
    epoch_of,
    fresh_directory,
    made_archive,
    moment,
    named,
    run,
    sent,
)

KINDS = ("dovecot", "cyrus", "pymap", "maildir", "maildir of dots", "mbox", "mbox without flags")


@pytest.fixture
def goal(request: pytest.FixtureRequest, goals: Callable[[str], Goal]) -> Goal:
    return goals(request.param)


def test_malformed_ones_are_many_and_all_different() -> None:
    assert len(MALFORMED) >= 150
    assert len(set(MALFORMED.values())) == len(MALFORMED)


@pytest.mark.parametrize("goal", KINDS, indirect=True)
def test_malformed_messages(goal: Goal, root: Path, tmp_path: Path) -> None:
    letters = made_archive(root, {"INBOX": letters_of(*MALFORMED.values())})
    named_ones = twice(goal, root, letters, tmp_path / "state")
    if goal.kind.startswith(("maildir", "mbox")):
        assert not named_ones, "files keep every octet"


@pytest.mark.parametrize("goal", KINDS[1:], indirect=True)
def test_a_sample_of_real_mail(goal: Goal, root: Path, tmp_path: Path) -> None:
    spread = real_mail.sample(300)
    folders = {"INBOX": spread[:50], "Lists": spread[50:200], "Lists/Old": spread[200:]}
    letters = made_archive(root, {name: letters_of(*some) for name, some in folders.items()})
    twice(goal, root, letters, tmp_path / "state")


@pytest.mark.parametrize("goal", KINDS[:1], indirect=True)
def test_all_real_mail(goal: Goal, root: Path, tmp_path: Path) -> None:
    """The whole corpus, every octet of it read back by another client."""
    every = real_mail.messages()
    assert len(every) >= 5000 or "NOT the corpus" in real_mail.said[0]
    half = len(every) // 2
    letters = made_archive(
        root, {"INBOX": letters_of(*every[:half]), "Work": letters_of(*every[half:])}
    )
    named_ones = twice(goal, root, letters, tmp_path / "state")
    assert len(named_ones) <= len(every) // 1000


def letters_of(*messages: bytes) -> list[Letter]:
    flags = ((), ("$seen",), ("$seen", "$answered"), ("$flagged", "$Forwarded"))
    return [Letter(octets, flags[n % 4], moment(n)) for n, octets in enumerate(messages)]


def twice(
    goal: Goal, root: Path, letters: dict[tuple[str, str], Letter], state: Path
) -> set[tuple[str, str]]:
    """Import, and again without the ledger: everything is there once. Returns what was named."""
    said = run("import", root, goal.url, "--json", *goal.words, state=state, password=goal.password)
    first = said.report
    named_ones = {*named(first, "failed"), *named(first, "altered")}
    lost_flags = goal.kind == "mbox without flags" and any(one.flags for one in letters.values())
    assert said.code == (3 if named_ones or lost_flags else 0), said.err
    held = goal.contents()
    check_arrived(letters, first, goal, held)
    refused = {key: entry["code"] for key, entry in named(first, "failed").items()}
    assert len(refused) == first["totals"]["failed"]
    assert first["totals"]["placed"] == len(letters) - len(refused)
    fresh_directory(state)
    second = bring(root, goal, state=state, code=None)
    assert second["totals"]["placed"] == 0
    again = named(second, "altered")  # without the ledger nobody knows that it was named
    assert second["complete"] is not bool(refused or again or lost_flags)
    assert again.keys() <= named(first, "altered").keys()
    assert all(entry["known"] for entry in again.values())
    assert goal.contents() == held
    assert {key: entry["code"] for key, entry in named(second, "failed").items()} == refused
    return named_ones


INSTANTS = (
    "1800-01-01T00:00:00+00:00", "1899-12-31T00:00:00+00:00", "1901-12-13T20:45:51+00:00",
    "1901-12-13T20:45:52+00:00", "1960-06-01T12:00:00-03:30", "1969-12-31T23:59:59+00:00",
    "1970-01-01T00:00:00+00:00", "2037-12-31T23:59:59+00:00", "2099-01-01T00:00:00+00:00",
)  # fmt: skip


@pytest.mark.parametrize("goal", KINDS, indirect=True)
def test_instants_of_all_ages(goal: Goal, root: Path, tmp_path: Path) -> None:
    """Kept to the second, or named; found again either way, with and without Message-ID.

    What an archive says of the time before 1900 is no date of a message: the target says now.
    """
    heads = (b"Message-ID: <%d@example.org>\r\nSubject: a\r\n", b"Subject: %d\r\nFrom: a@b\r\n")
    letters = made_archive(
        root,
        {
            "INBOX": [
                Letter(head % number + b"\r\nx\r\n", ("$seen",), received)
                for head in heads
                for number, received in enumerate(INSTANTS)
            ]
        },
    )
    first = bring(root, goal, state=tmp_path / "state", code=None)
    altered = named(first, "altered")
    held = goal.contents()
    assert first["totals"]["placed"] == len(letters)
    assert first["totals"]["undated"] == len(heads) * 2
    by_octets = {one.octets: one.epoch for one in held["INBOX"]}
    for key, letter in letters.items():
        meant = epoch_of(letter.received or "")
        seen = by_octets[sent(goal.kind, letter.octets)]
        if meant < epoch_of("1900-01-01T00:00:00+00:00"):
            assert abs(seen - time.time()) < 600
        else:
            assert (seen == meant) == (key not in altered), (letter.received, altered.get(key))
    for entry in altered.values():
        assert entry["known"], entry
        assert set(entry["what"]) <= {"early-date", "future-date"} & CLOSED_LISTS[goal.kind]
    second = bring(root, goal, state=tmp_path / "another", code=None)
    assert second["totals"]["placed"] == 0
    assert goal.contents() == held
