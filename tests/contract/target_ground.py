"""The ground of ``TargetContract``: the account of a test, and how a test looks at it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Protocol

import pytest

from contract.target_facts import (
    NOON,
    Held,
    explained,
)
from portarchive.connectors.base import Target
from portarchive.placing import (
    FolderLook,
    FolderReady,
    FolderWish,
    Present,
)

Path = tuple[str, ...]


class Provider(Protocol):
    """A fresh account that is this test's own; all but ``target`` is done without the connector.

    Attributes:
        secret: a string that must not show anywhere: the password.
    """

    secret: str

    def target(self) -> Target:
        """A new connection. The one before is closed by now, or dead."""
        ...

    def contents(self) -> dict[Path, list[Held]]:
        """Every mailbox that can hold mail, empty ones too; paths as ``Folder.path`` has them."""
        ...

    def create(self, path: Path) -> None:
        """A mailbox that holds mail; missing parents are made, they may hold none."""
        ...

    def delete(self, path: Path) -> None:
        """The mailbox is gone with everything in it."""
        ...

    def add(
        self,
        path: Path,
        octets: bytes,
        flags: Iterable[str] = (),
        received: dt.datetime | None = None,
    ) -> None:
        """A new message."""
        ...

    def empty(self, path: Path) -> None:
        """All messages of the mailbox are expunged."""
        ...

    def drop(self) -> None:
        """All connections of the target break, without a farewell. Files have none."""
        ...


BOX, OTHER, VICTIM = ("Box",), ("Other",), ("victim",)


class TargetGround:
    """What the parts of the contract share.

    Attributes:
        wire: there is a connection that ``drop`` breaks.
        window: parcels that are taken ahead of their answers at most.
        many: messages of the longer tests.
    """

    wire: bool = True
    window: int = 600
    many: int = 1500

    def explains(self, sent: bytes, got: bytes, target: Target) -> bool:
        """Whether the target's closed list explains what became of a message."""
        return explained(sent, got, target.capabilities.alterations)

    @pytest.fixture
    def target(self, provider: Provider):
        target = provider.target()
        yield target
        target.close()

    @pytest.fixture
    def box(self, target):
        """A new mailbox; its folder_id."""
        return made(target, BOX)

    def check(self, provider: Provider, target: Target, path: Path, sent: list[bytes]) -> None:
        """These messages are in the mailbox, and no others."""
        left = [held.octets for held in provider.contents()[path]]
        for octets in sent:
            got = next((each for each in left if self.explains(octets, each, target)), None)
            assert got is not None, f"missing or changed: {octets[:60]!r}"
            left.remove(got)
        assert not left, f"too many: {left[0][:60]!r}"

    def look(self, target, *folder_ids: str, newer_than=None) -> tuple[list, list[Present]]:
        """The looks and failures, and the messages, in the order in which they came."""
        events = list(target.existing(folder_ids, newer_than))
        opened: list[str] = []
        for event in events:
            if isinstance(event, FolderLook):
                opened.append(event.folder_id)
            elif isinstance(event, Present):
                assert opened and opened[-1] == event.folder_id
        assert len(set(opened)) == len(opened)
        messages = [event for event in events if isinstance(event, Present)]
        assert len({(each.folder_id, each.uid) for each in messages}) == len(messages)
        return [event for event in events if not isinstance(event, Present)], messages

    def read(self, target, *folder_ids: str) -> list[Held]:
        """What the target says that is there."""
        _, messages = self.look(target, *folder_ids)
        found = []
        for present, outcome in target.fetch(messages):
            octets = b"".join(outcome.chunks())
            found.append(Held(octets, frozenset(present.flags), present.received.epoch))
        assert len(found) == len(messages)
        return found


def made(target: Target, path: Path) -> str:
    """A new mailbox; its folder_id."""
    ((_, answer),) = target.ensure([FolderWish(path)])
    assert isinstance(answer, FolderReady), answer
    assert answer.folder.path == path
    return answer.folder.folder_id


def ids(target: Target) -> dict[Path, str]:
    return {folder.path: folder.folder_id for folder in target.folders()}


def moment(number: int) -> dt.datetime:
    assert NOON.text is not None
    return dt.datetime.fromisoformat(NOON.text) + dt.timedelta(minutes=number)
