"""The JMAP target keeps the contract on a real Cyrus, reached through a wire that can be cut."""

from __future__ import annotations

import pytest

from contract.relay import Relay
from contract.target_facts import OCTETS, Held
from contract.target_suite import TargetContract
from contract.test_imap_target_contract import Owner, Password
from portarchive import keywords
from portarchive.connectors.jmap import JmapSettings, JmapTarget, open_target


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


class TestCyrus(TargetContract):
    """By ``Blob/set``, and by uploads where a server does not have it."""

    many = 400

    @pytest.fixture(params=["blobs", "uploads"])
    def provider(self, request, cyrus_user, monkeypatch):
        server = cyrus_user.server
        with Relay(server.http_port) as relay:
            owner = CyrusOwner(server.port, cyrus_user.user, server.password, relay, 1)
            yield owner
            owner.close()
