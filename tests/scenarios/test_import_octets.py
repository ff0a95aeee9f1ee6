"""Octets of every kind, into every kind of target: as they were, or named, and once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import real_mail
from defective_kinds import MALFORMED
from replaying import (
    Goal,
    Letter,
    bring,
    check_arrived,
    fresh_directory,
    made_archive,
    moment,
    named,
    run,
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
    assert said.code == (3 if named_ones else 0), said.err
    held = goal.contents()
    check_arrived(letters, first, goal, held)
    refused = {key: entry["code"] for key, entry in named(first, "failed").items()}
    assert len(refused) == first["totals"]["failed"]
    assert first["totals"]["placed"] == len(letters) - len(refused)
    fresh_directory(state)
    second = bring(root, goal, state=state, code=3 if refused else 0)
    assert second["totals"]["placed"] == 0
    assert goal.contents() == held
    assert {key: entry["code"] for key, entry in named(second, "failed").items()} == refused
    return named_ones
