"""What a JMAP server leaves out without a word, and what it says that cannot be: exit 3, not 0.

Exports are real ones, by the command line.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import archive_facts
from contract.target_facts import mail, parcel
from contract.target_ground import BOX, made
from portarchive.cli import main
from portarchive.connectors.jmap import open_target, state, windows
from portarchive.connectors.jmap.session import Session
from portarchive.errors import ExitCode
from portarchive.placing import Placed
from servers.jmap_faults import Slow
from servers.jmap_methods import Methods
from servers.jmap_server import PASSWORD, FakeJmap

INBOX = ("INBOX",)
SLOW = 12.0

Answer = dict[str, Any]


def instead(
    monkeypatch: pytest.MonkeyPatch, name: str, edit: Callable[[Methods, Answer, Any], Any]
) -> None:
    """The server answers a method in its own way: of its arguments and of how it is done right."""
    real = getattr(Methods, name)
    monkeypatch.setattr(Methods, name, lambda self, asked: edit(self, asked, real))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeJmap]:
    monkeypatch.setenv("PORTARCHIVE_PASSWORD", PASSWORD)
    with FakeJmap() as running:
        yield running


def exported(server: FakeJmap, root: Path) -> int:
    return main(["export", f"jmap://jane@127.0.0.1:{server.port}", str(root)])


# --- mailboxes ------------------------------------------------------------------------------------


def cut_off(methods: Methods, asked: Answer, real: Any) -> Any:
    """As Stalwart does: of all mailboxes as many as it gives at once, and no error."""
    if asked.get("ids") is None:
        most = methods.server.limit("maxObjectsInGet")
        asked = {**asked, "ids": list(methods.store.boxes)[:most]}
    return real(methods, asked)


@pytest.mark.parametrize("count", [4, 5, 23])
def test_mailboxes_beyond_what_is_given_at_once_are_no_mailboxes_that_are_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """They were not archived, with exit 0: no answer said that there are more."""
    monkeypatch.setenv("PORTARCHIVE_PASSWORD", PASSWORD)
    instead(monkeypatch, "mailbox_get", cut_off)
    with FakeJmap(maxObjectsInGet=5) as server:
        for number in range(count - 1):
            server.store.add((f"Box {number}",), mail(number))
        for _ in range(2):
            assert exported(server, tmp_path / "a") == ExitCode.OK
            found = archive_facts.check(tmp_path / "a").items
            assert sorted(path for path, items in found.items() if items) == sorted(
                f"Box {number}" for number in range(count - 1)
            )
        asked = server.calls["Mailbox/query"]
        assert (asked > 0) == (count >= 5)


@pytest.mark.parametrize("wrong", [7, None, "a b", "x" * 256, "\ud800", ""])
def test_a_mailbox_whose_id_is_none_is_not_passed_over(
    server: FakeJmap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: object
) -> None:
    """Its mail was not archived, with exit 0."""
    server.store.add(("Work",), mail(1))

    def edit(methods: Methods, asked: Answer, real: Any) -> Any:
        found = real(methods, asked)
        for each in found["list"] if asked.get("ids") is None else ():
            if each["name"] == "Work":
                each["id"] = wrong
        return found

    instead(monkeypatch, "mailbox_get", edit)
    assert exported(server, tmp_path / "a") == ExitCode.UNREACHABLE


def test_changed_mailboxes_are_asked_for_within_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """By reference all of them were, however many they are: the fake server complains."""

    def edit(methods: Methods, asked: Answer, real: Any) -> Any:
        return {**real(methods, asked), "updated": list(methods.store.boxes)}

    with FakeJmap(maxObjectsInGet=4) as server:
        for number in range(10):
            server.store.create((f"Box {number}",))
        session = Session(server.settings())
        before = state.survey(session)
        for box in server.store.boxes.values():
            box.order = 7
            server.store.log.append(("Mailbox", "updated", box.box_id))
        after = state.survey(session, before)
        session.close()
        assert {box.folder.sort_order for box in after.boxes.values()} == {7}
        assert server.calls["Mailbox/changes"] == 1


# --- messages -------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [None, 7, [], "b1"])
def test_a_message_of_which_it_is_not_said_where_it_is_has_not_gone(
    server: FakeJmap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: object
) -> None:
    """It counted as vanished, with exit 0, run for run."""
    bad, _ = (server.store.add(INBOX, mail(number)) for number in range(2))

    def edit(methods: Methods, asked: Answer, real: Any) -> Any:
        found = real(methods, asked)
        for each in found["list"] if "size" not in (asked.get("properties") or ()) else ():
            if each["id"] == bad:
                each["mailboxIds"] = wrong
        return found

    with pytest.MonkeyPatch.context() as patch:
        instead(patch, "email_get", edit)
        for _ in range(2):
            assert exported(server, tmp_path / "a") == ExitCode.INCOMPLETE
            ledger = archive_facts.check(tmp_path / "a").ledger("INBOX")
            assert [(each["uid"], each["code"]) for each in ledger["failed"]] == [(bad, "no-data")]
            assert ledger["archived"] == 1
    assert exported(server, tmp_path / "a") == ExitCode.OK
    assert archive_facts.check(tmp_path / "a").ledger("INBOX")["archived"] == 2


# --- placing that nobody goes on with -------------------------------------------------------------


def test_placing_that_is_given_up_waits_for_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C comes while an outcome is written down: the rest is still on its way."""
    monkeypatch.setattr(windows, "WINDOW", 1)
    with FakeJmap() as server:
        target = open_target(server.settings(timeout=60.0))
        box = made(target, BOX)
        server.on("Email/import", Slow(SLOW, after=True), skip=1, times=10)
        answers = target.place(parcel(number, mail(number), box) for number in range(9))
        _, outcome = next(answers)
        assert isinstance(outcome, Placed)
        began = time.monotonic()
        answers.close()  # type: ignore[attr-defined]  # a generator
        target.close()
        assert time.monotonic() - began < SLOW / 2
