"""The laws of an archive over any life of a mailbox, with anything going wrong in between.

A machine plays the mailbox's owner and a server on bad days; after every run that ends, the items
are what the server had, the ledger adds up, digests hold, and one more run publishes nothing.
"""

from __future__ import annotations

import shutil
import tempfile
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

import archive_facts
from exporting import KINDS, NOW, export, has, mail
from portarchive.archive import batch, writer
from portarchive.connectors.memory import Fault, MemorySource
from portarchive.errors import ConnectionLost, ConnectorError, RateLimited
from portarchive.records import Failure, MessageRef, Placement, Vanished

NAMES = ["INBOX", "A", "a", "Ä/b", "A/x", "Drafts"]
FLAGS = ["$seen", "$flagged", "$draft", "Wichtig", "\\Deleted"]
flags = st.lists(st.sampled_from(FLAGS), unique=True, max_size=3)
number = st.integers(0, 1 << 30)


class Lives(RuleBasedStateMachine):
    """See the module. ``kept``: digests that must be there; ``gone``: drafts that need not."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="laws-"))
        self.path = self.directory / "archive"
        self.batch = batch.MESSAGES, writer.SCRIBE_AFTER
        batch.MESSAGES = 3
        self.serial = 0
        self.runs = 0
        self.complete = False
        self.bad: set[tuple[str, str]] = set()
        self.ever: set[str] = set()

    def teardown(self) -> None:
        batch.MESSAGES, writer.SCRIBE_AFTER = self.batch
        shutil.rmtree(self.directory)

    @initialize(
        kind=st.sampled_from(sorted(KINDS)),
        whole=st.booleans(),
        single=st.booleans(),
        mirror=st.sampled_from([False, False, True]),
        scribe=st.sampled_from([1, 1 << 30, 1 << 30, 1 << 30]),
    )
    def begin(self, kind: str, whole: bool, single: bool, mirror: bool, scribe: int) -> None:
        writer.SCRIBE_AFTER = scribe
        self.options = {"single_copy": single, "mirror": mirror, "fsync": False}
        self.source = MemorySource(
            capabilities=KINDS[kind], whole_account=whole, large=300, chunk=100
        )
        self.source.create_folder("Drafts", roles=["drafts"])

    # --- the owner

    def names(self) -> list[str]:
        return sorted(has(self.source))

    def some(self, pick: int) -> tuple[str, str] | None:
        """One message that is there."""
        there = [(name, uid) for name, items in sorted(has(self.source).items()) for uid in items]
        return there[pick % len(there)] if there else None

    def octets(self, size: int) -> bytes:
        self.serial += 1
        return mail(f"m-{self.serial}", size)

    @rule(pick=number, count=st.integers(1, 5), size=st.sampled_from([0, 0, 250, 900]), marks=flags)
    def arrive(self, pick: int, count: int, size: int, marks: list[str]) -> None:
        for _ in range(count):
            name = self.names()[pick % len(self.names())]
            self.source.add(self.octets(size), name, flags=marks)

    @rule(pick=number, marks=flags)
    def arrive_in_two(self, pick: int, marks: list[str]) -> None:
        names = self.names()
        if len(names) > 1:
            two = [names[pick % len(names)], names[(pick + 1) % len(names)]]
            self.source.add(self.octets(0), two, flags=marks)

    @rule(pick=number)
    def expunge(self, pick: int) -> None:
        found = self.some(pick)
        if found:
            self.source.expunge(*found)

    @rule(pick=number, marks=flags)
    def mark(self, pick: int, marks: list[str]) -> None:
        found = self.some(pick)
        if found:
            self.source.set_flags(*found, marks)

    @rule(pick=number, to=number, move=st.booleans())
    def copy(self, pick: int, to: int, move: bool) -> None:
        found, target = self.some(pick), self.names()[to % len(self.names())]
        if found and target != found[0]:
            try:
                self.source.copy(*found, target)
            except ValueError:
                return
            if move:
                self.source.expunge(*found)

    @rule(name=st.sampled_from(NAMES))
    def create(self, name: str) -> None:
        if name not in self.names():
            self.source.create_folder(name)

    @rule(pick=number)
    def delete(self, pick: int) -> None:
        names = [name for name in self.names() if name != "INBOX"]
        if names:
            self.source.delete_folder(names[pick % len(names)])

    @rule(pick=number, to=st.sampled_from(NAMES))
    def rename(self, pick: int, to: str) -> None:
        names = [name for name in self.names() if name != "INBOX"]
        if names and to not in self.names():
            self.source.rename_folder(names[pick % len(names)], to)

    @rule(pick=number)
    def renumber(self, pick: int) -> None:
        self.source.reset_uidvalidity(self.names()[pick % len(self.names())])
        self.source.reconnect()

    # --- the server on a bad day

    @rule(pick=number, how=st.sampled_from(["refused", "placeholder", "silent", "vanished"]))
    def spoil(self, pick: int, how: str) -> None:
        found = self.some(pick)
        if found:
            outcome = {
                "refused": Failure("server-refused", "NO"),
                "placeholder": Failure("placeholder", "NO", b"sorry, %d\r\n" % (pick % 3)),
                "silent": None,
                "vanished": Vanished(),
            }[how]
            self.source.answer(self.ref(*found), outcome)

    @rule()
    def heal(self) -> None:
        self.source._answers.clear()

    def ref(self, name: str, uid: str) -> MessageRef:
        (box,) = [b for b in self.source._boxes.values() if "/".join(b.record.path) == name]
        return MessageRef((Placement(box.record.folder_id, uid),))

    @rule(pick=number)
    def refuse(self, pick: int) -> None:
        name = self.names()[pick % len(self.names())]
        self.source.refuse_folder(name, "folder-unavailable", "NO")

    @rule()
    def allow(self) -> None:
        for name in self.names():
            self.source.refuse_folder(name, None)

    @rule(
        where=st.sampled_from(["changes", "fetch", "chunks"]),
        after=st.integers(0, 30),
        times=st.integers(1, 2),
        limited=st.booleans(),
    )
    def trouble(self, where: str, after: int, times: int, limited: bool) -> None:
        error: ConnectorError = ConnectionLost("reset")
        if limited:
            error = RateLimited("slow down", retry_after=1)
        fault = Fault(where=where, error=error, after=after, times=times)  # type: ignore[arg-type]  # of three
        self.source.faults.append(fault)

    # --- runs

    @rule(after=st.integers(0, 25))
    def run_that_is_cut(self, after: int) -> None:
        """The process is gone, or the server for good, at any place."""
        left = [after]

        def stop(_: object) -> None:
            left[0] -= 1
            if left[0] < 0:
                raise KeyboardInterrupt

        self.source.after_event = self.source.after_message = stop
        try:
            self.run()
        except KeyboardInterrupt:
            self.complete = False
        finally:
            self.source.after_event = self.source.after_message = None
            self.source.reconnect()

    @rule(after=st.integers(0, 25), what=st.sampled_from(["arrive", "expunge", "renumber", "mark"]))
    def run_in_a_busy_hour(self, after: int, what: str) -> None:
        """Something happens in the middle."""
        left = [after]

        def meddle(_: object) -> None:
            left[0] -= 1
            if left[0] == -1:
                act = {
                    "arrive": lambda: self.arrive(after, 2, 0, []),
                    "expunge": lambda: self.expunge(after),
                    "renumber": lambda: self.source.reset_uidvalidity(self.names()[0]),
                    "mark": lambda: self.mark(after, ["$seen"]),
                }
                act[what]()

        self.source.after_event = self.source.after_message = meddle
        try:
            self.run()
        finally:
            self.source.after_event = self.source.after_message = None
        self._nothing_is_lost(archive_facts.check(self.path))
        self.complete = False

    @rule()
    def run_to_the_end(self) -> None:
        self.run()
        self.complete = True

    def run(self) -> None:
        self.runs += 1
        now = NOW + timedelta(days=self.runs)
        self.report = export(self.source, self.path, now=now, **self.options)

    # --- the laws

    @precondition(lambda self: self.complete)
    @invariant()
    def the_archive_is_the_mailbox(self) -> None:
        self.complete = False
        facts = archive_facts.check(self.path)
        assert self.report.complete == facts.manifest["complete"]
        self._ledger_and_items(facts)
        self._nothing_is_lost(facts)
        before = archive_facts.files(self.path, private=True)
        self.source.faults.clear()
        asked = len(self.source.fetches)
        failing = sum(len(entry.get("failed", ())) for entry in facts.manifest["folders"])
        gone = sum(e["vanished"]["count"] for e in facts.manifest["folders"] if "vanished" in e)
        flaky = gone or any("error" in entry for entry in facts.manifest["folders"])
        # What failed in one folder may have come from another one by then.
        flaky = flaky or (failing and self.source.capabilities.object_ids)
        self.run()
        if not flaky and self.source._answers.keys() >= self._failed(facts):
            assert not self.report.published
            lock = ".portarchive/lock"
            after = archive_facts.files(self.path, private=True)
            assert {**after, lock: ""} == {**before, lock: ""}
            assert sum(self.source.fetches[asked:]) <= 2 * failing

    def _failed(self, facts: archive_facts.Facts) -> set[tuple[str, str]]:
        ids = {"/".join(b.record.path): b.record.folder_id for b in self.source._boxes.values()}
        return {
            (ids.get(self._name(facts, entry["path"]), ""), failed["uid"])
            for entry in facts.manifest["folders"]
            for failed in entry.get("failed", ())
        }

    def _name(self, facts: archive_facts.Facts, path: str) -> str:
        parts = path.split("/")
        names = []
        for depth in range(1, len(parts) + 1):
            header = facts.headers["/".join(parts[:depth])]
            names.append(header.get("original_name", header["name"]))
        return "/".join(names)

    def _ledger_and_items(self, facts: archive_facts.Facts) -> None:
        account = has(self.source)
        paths = {self._name(facts, path): path for path in facts.items}
        ledger = {entry["path"]: entry for entry in facts.manifest["folders"]}
        for name, messages in account.items():
            entry = ledger[paths[name]]
            if "error" in entry or "held" in entry:
                continue
            missing = {failed["uid"] for failed in entry["failed"]}
            missing |= set(archive_uids(entry["vanished"]["uids"]))
            assert entry["listed"] == len(messages)
            found = facts.items[paths[name]]
            assert [item.uid for item in found] == [
                uid for uid in sorted(messages, key=int) if uid not in missing
            ]
            for item in found:
                marks, octets = messages[item.uid]
                assert set(item.flags) == set(marks)
                assert item.sha256 == archive_facts.sha256(octets)
            assert {uid for uid, _ in facts.placeholders[paths[name]]} <= missing
        for path, items in facts.items.items():
            if self._name(facts, path) not in account and "held" not in ledger.get(path, {}):
                assert not items

    def _nothing_is_lost(self, facts: archive_facts.Facts) -> None:
        """What was an item once, and was no draft when it went, is here still."""
        if self.options["mirror"]:
            if not any("held" in entry for entry in facts.manifest["folders"]):
                assert not any(facts.kept.values())
            return
        here = set(archive_facts.messages(self.path).values())
        assert self.ever <= here
        for path, items in facts.items.items():
            if self._name(facts, path) != "Drafts" and not path.startswith("Drafts"):
                self.ever |= {i.sha256 for i in items if "$draft" not in i.flags}
        drafts = {
            item.sha256
            for path, items in facts.items.items()
            for item in items
            if "$draft" in item.flags or facts.headers[path].get("portarchive:role") == "drafts"
        }
        self.ever -= drafts


def archive_uids(text: str) -> list[str]:
    """The uids of a set such as ``1:3,7``."""
    found = []
    for part in filter(None, text.split(",")):
        low, _, high = part.partition(":")
        found += [str(number) for number in range(int(low), int(high or low) + 1)]
    return found


Lives.TestCase.settings = settings(
    max_examples=150,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
test_lives = pytest.mark.slow(Lives.TestCase)
