"""The JMAP source keeps the contract on a real Cyrus, reached through a wire that can be cut."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

import pytest

from contract.mirror import Mirror
from contract.relay import Relay
from contract.source_suite import NOON, OCTETS, SourceContract, listing, mail, of, selectable
from contract.test_dovecot_source import Password, decode, spelled
from portarchive import keywords
from portarchive.connectors.jmap import JmapSettings, open_source
from portarchive.records import FolderOpened, MessageRef
from servers.cyrus import Cyrus
from servers.daemon import wire_name
from servers.jmap_server import FakeJmap


class CyrusProvider:
    """One user of Cyrus; what the owner does goes to the server by IMAP, and not through the wire.

    The uid of a message is its EMAILID, which is the Email's id by JMAP. HTTP opens another
    connection by itself where one broke: once dropped, the network is away until the source is told
    to connect anew.
    """

    def __init__(self, account, wire: Relay) -> None:
        self.account, self.wire = account, wire
        self.secret = account.password

    def settings(self) -> JmapSettings:
        return JmapSettings(
            host="127.0.0.1", port=self.wire.port, tls=False, user=self.account.user,
            secret=Password(self.secret), timeout=20,
        )  # fmt: skip

    def source(self):
        self.wire.away = False
        source = open_source(self.settings())
        reconnect = source.reconnect

        def mended() -> None:
            self.wire.away = False
            reconnect()

        source.reconnect = mended
        return source

    def ids(self, folder) -> dict[int, str]:
        with self.account.connect() as client:
            client.select(wire_name(folder), readonly=True)
            lines = client.uid("FETCH", "1:*", "(EMAILID)")[1]
        found = [
            re.search(rb"UID (\d+).*EMAILID \((\S+?)\)|EMAILID \((\S+?)\).*UID (\d+)", line)
            for line in lines
            if line
        ]
        return {int(each[1] or each[4]): (each[2] or each[3]).decode() for each in found if each}

    def numbers(self, folder, *ids) -> list[int]:
        return [number for number, each in self.ids(folder).items() if each in ids]

    def add(self, folder, octets, flags=(), received=None):
        number = self.account.append(folder, octets, spelled(flags), received)
        return self.ids(folder)[number]

    def copy(self, folder, uid, to):
        with self.account.connect() as client:
            client.select(wire_name(folder))
            client.uid("COPY", str(self.numbers(folder, uid)[0]), wire_name(to))
        return uid

    def expunge(self, folder, *uids):
        self.account.expunge(folder, self.numbers(folder, *uids))

    def set_flags(self, folder, uid, flags):
        self.account.set_flags(folder, self.numbers(folder, uid), spelled(flags))

    def create(self, folder):
        self.account.create(folder)

    def rename(self, folder, to):
        self.account.rename(folder, to)

    def delete(self, folder):
        self.account.delete(folder)

    def drop(self):
        self.wire.away = True
        self.wire.cut()

    def contents(self):
        """Copies are one Email: it bears the keywords of any, and $seen if all do."""
        flags: dict[str, list[frozenset[str]]] = {}
        found = {}
        for name in self.account.folders():
            folder = decode(name)
            ids = self.ids(folder)
            for number, message in self.account.messages(folder).items():
                if "\\Deleted" in message.flags:
                    continue
                marks = frozenset(map(str.lower, keywords.to_archive(message.flags)))
                flags.setdefault(ids[number], []).append(marks)
                found[folder, ids[number]] = message.octets
        merged = {
            uid: frozenset().union(*each) - ({"$seen"} - frozenset.intersection(*each))
            for uid, each in flags.items()
        }
        return {(folder, uid): (merged[uid], octets) for (folder, uid), octets in found.items()}


class FakeProvider:
    """The account of a fake server; its owner changes it without asking anybody."""

    def __init__(self, server: FakeJmap, wire: Relay) -> None:
        self.server, self.wire = server, wire
        self.secret = server.secret.text

    source = CyrusProvider.source

    def settings(self) -> JmapSettings:
        return self.server.settings(port=self.wire.port)

    def path(self, folder) -> tuple[str, ...]:
        return tuple(folder.split("/"))

    def add(self, folder, octets, flags=(), received=None):
        with self.server.lock:
            words = [keywords.to_jmap(flag) for flag in flags]
            return self.server.store.add(self.path(folder), octets, words, received)

    def box(self, folder):
        return self.server.store.box_at(self.path(folder))

    def copy(self, folder, uid, to):
        del folder
        with self.server.lock:
            mail = self.server.store.mails[uid]
            self.server.store.change_boxes(mail, mail.boxes | {self.box(to).box_id})
        return uid

    def expunge(self, folder, *uids):
        with self.server.lock:
            for uid in uids:
                mail = self.server.store.mails[uid]
                self.server.store.change_boxes(mail, mail.boxes - {self.box(folder).box_id})

    def set_flags(self, folder, uid, flags):
        del folder
        with self.server.lock:
            mail = self.server.store.mails[uid]
            mail.keywords = {keywords.to_jmap(flag) for flag in flags}
            self.server.store.touch(mail)

    def create(self, folder):
        with self.server.lock:
            self.server.store.create(self.path(folder))

    def rename(self, folder, to):
        with self.server.lock:
            box = self.box(folder)
            *above, box.name = self.path(to)
            box.parent = self.box("/".join(above)).box_id if above else None
            self.server.store.log.append(("Mailbox", "updated", box.box_id))

    def delete(self, folder):
        with self.server.lock:
            self.server.store.remove_box(self.box(folder).box_id)

    drop = CyrusProvider.drop

    def contents(self):
        store = self.server.store
        with self.server.lock:
            return {
                ("/".join(store.path(store.boxes[box])), mail.mail_id): (
                    frozenset(keywords.to_archive(mail.keywords)),
                    store.blobs[mail.blob_id].octets,
                )
                for mail in store.mails.values()
                for box in mail.boxes
            }


@pytest.fixture(scope="module")
def cyrus_as_it_comes() -> Iterator[Cyrus]:
    """With its default it changes 8-bit header octets to X."""
    with Cyrus(extra="munge8bit: no") as server:
        yield server


class JmapContract(SourceContract):
    """What is not so by JMAP."""

    def test_another_uidvalidity_brings_what_identifies_a_message(self, provider) -> None:
        """JMAP has none: of an archive that another kind of source made."""
        octets = [mail(1), b"Subject: nameless\r\n\r\n", mail(3)]
        uids = [provider.add("INBOX", each, received=NOON) for each in octets]
        source = provider.source()
        (folder,) = [folder for folder in selectable(source) if folder.path == ("INBOX",)]
        token = {"uidvalidity": 7, "state": "1"}
        events = listing(source, folders=[folder], tokens={folder.folder_id: token})
        (opened,) = of(FolderOpened, events)
        assert opened.complete
        assert opened.uidvalidity is None
        refs = {ref.email_id: ref for ref in of(MessageRef, events)}
        assert [refs[uid].size for uid in uids] == [len(each) for each in octets]
        told = [refs[uid].message_id for uid in uids]
        assert told == [b"<1@example.org>", b"", b"<3@example.org>"]
        assert {ref.placements[0].received.epoch for ref in refs.values()} == {
            int(NOON.timestamp())
        }
        source.close()

    def test_an_old_uid_never_brings_a_strangers_octets(self, provider) -> None:
        """An Email's id means the same octets as long as the account lives, wherever it is."""
        provider.create("A")
        for number in range(4):
            provider.add("A", mail(number))
        source = provider.source()
        refs = of(MessageRef, listing(source))
        provider.delete("A")
        provider.create("A")
        for number in (3, 2):
            provider.add("A", mail(number))
        for ref, outcome in source.fetch(refs):
            assert not hasattr(outcome, "chunks"), ref  # the mailbox that it was named in is gone
        mirror = Mirror()
        mirror.run(source)
        assert mirror.contents() == provider.contents()
        source.close()


class TestCyrus(JmapContract):
    """By ``Blob/get``, and by downloads where a server does not have it."""

    numbers = iter(range(1, 10_000))
    # Cyrus refuses a field name with a blank in it.
    octets: ClassVar = {name: each for name, each in OCTETS.items() if "like a tag" not in name}

    @pytest.fixture(params=["blobs", "downloads"])
    def provider(self, request, cyrus_as_it_comes, monkeypatch):
        if request.param == "downloads":
            from portarchive.connectors.jmap.session import Session

            monkeypatch.setattr(Session, "blob_capability", None)
        account = cyrus_as_it_comes.account(f"joe{next(self.numbers)}")
        with Relay(cyrus_as_it_comes.http_port) as wire:
            yield CyrusProvider(account, wire)

    def test_folders_come_parents_first_with_decoded_names(self, filled, source) -> None:
        """Cyrus makes mailboxes of missing parents."""
        folders = {folder.path: folder for folder in source.folders()}
        assert list(folders) == sorted(folders)
        assert set(folders) == {
            ("INBOX",), ("Work",), ("Work", "Projects"), ("Ärger & Co",), ("Ärger & Co", "日本"),
        }  # fmt: skip
        inbox, parent = folders["INBOX",], folders["Work",]
        assert (inbox.roles, inbox.display_name, inbox.messages) == (("inbox",), "Inbox", 7)
        assert (inbox.rights, inbox.sort_order, inbox.subscribed) == ("lrswipktea", 1, True)
        assert (parent.roles, parent.display_name, parent.messages) == ((), None, 0)
        assert parent.rights == "lrswipkxtea"
        assert len({folder.uid for folder in folders.values()}) == 5

    def test_copies_have_one_id_or_none(self, provider, source) -> None:
        """Equal octets are one Email there, wherever they are and however often."""
        provider.create("B")
        uid = provider.add("INBOX", mail(1))
        provider.copy("INBOX", uid, "B")
        assert provider.add("B", mail(1)) == uid
        (ref,) = of(MessageRef, listing(source))
        assert ref.email_id == uid
        assert ref.thread_id
        paths = {folder.folder_id: folder.path for folder in source.folders()}
        assert [paths[place.folder_id] for place in ref.placements] == [("B",), ("INBOX",)]
        mirror = Mirror()
        mirror.run(source)
        assert mirror.contents() == provider.contents()


NARROW = {
    "maxObjectsInGet": 3, "maxCallsInRequest": 2, "maxConcurrentRequests": 1,
    "maxSizeRequest": 700,
}  # fmt: skip


class TestFake(JmapContract):
    """Servers that give little at a time, and one that gives less than it says."""

    @pytest.fixture(params=["roomy", "narrow", "lying", "downloads"])
    def provider(self, request):
        kind = request.param
        with FakeJmap(
            blobs=None if kind == "downloads" else "standard",
            **(NARROW if kind == "narrow" else {}),
        ) as server:
            if kind in {"narrow", "lying"}:
                server.page, server.most_changes = 2, 2
            if kind == "lying":
                server.real |= NARROW | {"maxCallsInRequest": 1}
            with Relay(server.port) as wire:
                yield FakeProvider(server, wire)

    def test_folders_come_parents_first_with_decoded_names(self, filled, source) -> None:
        """A parent is a mailbox like others."""
        folders = [folder.path for folder in source.folders()]
        assert folders == sorted(folders)
        assert len(folders) == 5
        assert ("Ärger & Co", "日本") in folders
