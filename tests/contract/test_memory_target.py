"""The account in memory keeps the contract of a target, whatever it is known to do to messages."""

from __future__ import annotations

import pytest

from contract.target_facts import Held
from contract.target_suite import TargetContract
from portarchive.connectors.memory import MemoryAccount, MemoryTarget, Rewriting
from portarchive.placing import LineEnds


class MemoryProvider:
    """An account and its owner, who needs no connection."""

    secret = "the memory connector has no password"

    def __init__(self, **options) -> None:
        self.account = MemoryAccount()
        self.options = options
        self.connection: MemoryTarget | None = None

    def target(self):
        self.connection = MemoryTarget(self.account, **self.options)
        return self.connection

    def contents(self):
        return {
            box.record.path: [
                Held(item.message.octets, frozenset(item.flags), item.message.received.epoch)
                for item in box.items.values()
            ]
            for box in self.account.mailboxes().values()
            if box.record.selectable
        }

    def create(self, path):
        there = {box.record.path for box in self.account.mailboxes().values()}
        for depth in range(1, len(path)):
            if path[:depth] not in there:
                self.account.create_folder(path[:depth], selectable=False)
        self.account.create_folder(path)

    def delete(self, path):
        self.account.delete_folder(path)

    def add(self, path, octets, flags=(), received=None):
        text = None if received is None else received.isoformat()
        self.account.add(octets, [path], flags=flags, received=text)

    def empty(self, path):
        box = next(box for box in self.account.mailboxes().values() if box.record.path == path)
        self.account.expunge(path, *box.items)

    def drop(self):
        if self.connection is not None:
            self.connection.drop()


class TestPlain(TargetContract):
    """One message after the other, and answers that come late."""

    @pytest.fixture(params=[{}, {"answers_late": True, "window": 20}, {"uidplus": False}])
    def provider(self, request):
        return MemoryProvider(**request.param)


class TestMemberships(TargetContract):
    """As JMAP does it."""

    @pytest.fixture
    def provider(self):
        return MemoryProvider(memberships=True)


class TestKnownHabits(TargetContract):
    """What is in a closed list explains what is different."""

    @pytest.fixture(
        params=[
            Rewriting(line_ends=LineEnds.CRLF, clamps_dates=True),
            Rewriting(line_ends=LineEnds.LF, append_limit=1 << 22),
            Rewriting(no_new_keywords=True, kept_keywords=("$Forwarded",)),
            Rewriting(no_new_keywords=True, refuses_keywords=frozenset({"label1"})),
            Rewriting(no_new_keywords=True, keeps_unannounced=True),
        ],
        ids=["CRLF", "LF", "few keywords", "refuses keywords", "keeps what it does not announce"],
    )
    def provider(self, request):
        return MemoryProvider(rewriting=request.param)
