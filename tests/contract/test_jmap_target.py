"""The JMAP target keeps the contract on a real Cyrus, reached through a wire that can be cut."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.relay import Relay
from contract.target_facts import OCTETS, Held
from contract.target_suite import TargetContract
from contract.test_imap_target_contract import Owner, Password
from portarchive import keywords
from portarchive.connectors.jmap import JmapSettings, JmapTarget, open_target
from portarchive.connectors.jmap.place import Placer
from servers.cyrus import Cyrus


def reached_by(port: int, user: str, secret: str, relay: Relay) -> JmapTarget:
    """A target behind a relay; HTTP opens connections by itself: dropped, the network is away."""
    relay.away = False
    target = open_target(
        JmapSettings(
            host="127.0.0.1", port=port, tls=False, user=user, secret=Password(secret), timeout=20
        )
    )
    reconnect = target.reconnect

    def mended() -> None:
        relay.away = False
        reconnect()

    target.reconnect = mended
    return target


class CyrusOwner(Owner):
    """The owner looks and changes by IMAP. Keywords have no case there."""

    def target(self) -> JmapTarget:
        return reached_by(self.relay.port, self.user, self.secret, self.relay)

    def contents(self):
        return {
            path: [held._replace(flags=frozenset(map(keywords.fold, held.flags))) for held in found]
            for path, found in super().contents().items()
        }

    def drop(self) -> None:
        self.relay.away = True
        self.relay.cut()


@pytest.fixture(scope="module")
def cyrus_in_memory() -> Iterator[Cyrus]:
    """Cyrus syncs each message: on a disk that takes its time."""
    memory = Path("/dev/shm")
    with Cyrus(directory=memory if memory.is_dir() else None) as server:
        yield server


class TestCyrus(TargetContract):
    """By ``Blob/set``, and by uploads where a server does not have it."""

    many = 400
    numbers = itertools.count(1)

    @pytest.fixture(params=["blobs", "uploads"])
    def provider(self, request, cyrus_in_memory, monkeypatch):
        if request.param == "uploads":
            monkeypatch.setattr(Placer, "_way", lambda self: None)
        server = cyrus_in_memory
        account = server.account(f"joe{next(self.numbers)}")
        with Relay(server.http_port) as relay:
            owner = CyrusOwner(server.port, account.user, server.password, relay, 1)
            yield owner
            owner.close()
