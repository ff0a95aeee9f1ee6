"""The JMAP target keeps the contract on Cyrus and on the fake server, on a wire that can be cut."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.relay import Relay
from contract.target_facts import Held
from contract.target_folders import SPECIAL
from contract.target_placing import PlacingContract
from contract.target_suite import TargetContract
from contract.test_imap_target_contract import KeepsOnlyLaterDates, Owner, Password
from portarchive import keywords
from portarchive.connectors.jmap import JmapSettings, JmapTarget, open_target, settle
from portarchive.connectors.jmap.importing import Importer
from portarchive.placing import FolderReady, FolderWish
from servers.cyrus import Cyrus
from servers.jmap_server import FakeJmap


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


numbers = itertools.count(1)


@pytest.fixture
def cyrus_owner(cyrus_in_memory):
    server = cyrus_in_memory
    account = server.account(f"joe{next(numbers)}")
    with Relay(server.http_port) as relay:
        owner = CyrusOwner(server.port, account.user, server.password, relay, 1)
        yield owner
        owner.close()


class TestCyrus(KeepsOnlyLaterDates):
    """By ``Blob/set``."""

    many = 400
    first_kept = 1

    @pytest.fixture
    def provider(self, cyrus_owner):
        return cyrus_owner

    @pytest.mark.parametrize("name", SPECIAL)
    def test_special_names_are_kept_or_refused(self, provider, target, name) -> None:
        """It composes letters (RFC 5198): the mailbox is found by either spelling."""
        if name != "decomposed":
            super().test_special_names_are_kept_or_refused(provider, target, name)
            return
        composed = ("\xc4rger",)
        for created in (True, False):
            ((_, answer),) = target.ensure([FolderWish(SPECIAL[name])])
            assert isinstance(answer, FolderReady)
            assert (answer.created, answer.folder.path) == (created, composed)
        assert composed in provider.contents()


class TestCyrusUploads(PlacingContract):
    """By uploads, as where a server makes no blobs in a request."""

    many = 100

    @pytest.fixture
    def provider(self, cyrus_owner, monkeypatch):
        monkeypatch.setattr(Importer, "_way", lambda self: None)
        return cyrus_owner

    test_instants_are_kept_to_the_second = test_hostile_flags_do_nothing = None  # as above
    test_hostile_instants_do_nothing = None


class FakeOwner:
    """An account of the fake server, changed where it lies."""

    def __init__(self, server: FakeJmap, relay: Relay) -> None:
        self.server, self.relay = server, relay
        self.secret = server.secret.text

    def target(self) -> JmapTarget:
        return reached_by(self.relay.port, self.server.user, self.secret, self.relay)

    def contents(self):
        store = self.server.store
        found = {store.path(box): [] for box in store.boxes.values()}
        for mail in store.mails.values():
            octets = store.blobs[mail.blob_id].octets
            assert octets is not None
            epoch = round(dt.datetime.fromisoformat(mail.received).timestamp())
            marks = frozenset(keywords.to_archive(sorted(mail.keywords)))
            for box_id in mail.boxes:
                found[store.path(store.boxes[box_id])].append(Held(octets, marks, epoch))
        return found

    def create(self, path) -> None:
        self.server.store.create(path)

    def delete(self, path) -> None:
        store = self.server.store
        store.remove_box(store.box_at(path).box_id)

    def add(self, path, octets, flags=(), received=None) -> None:
        self.server.store.add(path, octets, flags, received)

    def empty(self, path) -> None:
        store = self.server.store
        box_id = store.box_at(path).box_id
        for mail in list(store.mails.values()):
            if box_id in mail.boxes:
                store.change_boxes(mail, mail.boxes - {box_id})

    def drop(self) -> None:
        self.relay.away = True
        self.relay.cut()


SMALL = {
    "maxSizeUpload": 3_000_000, "maxConcurrentUpload": 1, "maxSizeRequest": 20_000,
    "maxConcurrentRequests": 1, "maxCallsInRequest": 2, "maxObjectsInGet": 7, "maxObjectsInSet": 3,
}  # fmt: skip


@pytest.fixture
def fake(request, monkeypatch) -> Iterator[FakeOwner]:
    """Announced limits are kept, or it fails; of its real ones it says nothing."""
    # it does nothing any more for a connection that is gone
    monkeypatch.setattr(settle, "QUIET", 0.0)
    way = request.param
    blobs = {"cyrus": "cyrus", "uploads": None}.get(way, "standard")
    limits = SMALL if way == "small" else {}
    with FakeJmap(blobs=blobs, **limits) as server, Relay(server.port) as relay:
        server.store.merges = way != "copies"
        server.store.own_blob_ids = way == "copies"
        if way == "smaller":
            # a message over the real limit of an upload is refused, as it has to be
            server.real |= {**SMALL, "maxSizeUpload": 50_000_000}
        yield FakeOwner(server, relay)


@pytest.mark.parametrize("fake", ["cyrus", "small"], indirect=True)
class TestFake(TargetContract):
    """With plenty of room, and with hardly any."""

    many = 300

    @pytest.fixture
    def provider(self, fake):
        return fake


@pytest.mark.parametrize("fake", ["uploads", "copies", "smaller"], indirect=True)
class TestFakePlacing(PlacingContract):
    """No blobs in a request; equal messages that stay two; limits that are found on the way."""

    many = 300

    @pytest.fixture
    def provider(self, fake):
        return fake
