"""The IMAP target keeps the contract on Dovecot, Cyrus, pymap and the scripted server."""

from __future__ import annotations

import contextlib
import datetime as dt
import re
import socket
from collections.abc import Iterator

import imapclient
import pytest

from contract.relay import Relay
from contract.target_facts import OCTETS, Held, Sending, at, mail, parcel, placed, refused
from contract.target_folders import SPECIAL
from contract.target_ground import BOX, OTHER
from contract.target_suite import TargetContract
from portarchive import keywords
from portarchive.connectors.imap import ImapSettings, ImapTarget, append_settle, open_target
from portarchive.demo.server import demo_server
from portarchive.placing import Alteration, FolderReady, FolderWish, Placed, Refused
from servers.scripted import CAPABILITIES, ScriptedServer
from servers.scripted_model import Mail, Mailbox

TARGET_CAPABILITIES = (*CAPABILITIES, "MULTIAPPEND", "CREATE-SPECIAL-USE")


TOLD = (mail(1), OCTETS["no line end"], mail(2))
"""A message that Cyrus refuses, between two others."""


class Password:
    kind = "password"
    mechanism = None

    def __init__(self, text: str) -> None:
        self.text = text

    def reveal(self) -> str:
        return self.text


class Owner:
    """An account as its owner changes it: by another client, on a connection of its own."""

    def __init__(
        self, port: int, user: str, secret: str, relay: Relay | None, connections: int
    ) -> None:
        self.port, self.user, self.secret = port, user, secret
        self.relay, self.connections = relay, connections
        self._client: imapclient.IMAPClient | None = None

    def target(self) -> ImapTarget:
        return open_target(
            ImapSettings(
                host="127.0.0.1",
                port=self.relay.port,
                tls="none",
                user=self.user,
                secret=Password(self.secret),
                connections=self.connections,
                timeout=20,
            )
        )

    @contextlib.contextmanager
    def client(self) -> Iterator[imapclient.IMAPClient]:
        """The same connection each time: pymap takes half a second for a login."""
        if self._client is None:
            self._client = imapclient.IMAPClient("127.0.0.1", self.port, ssl=False)
            self._client.normalise_times = False
            # a literal and its CRLF are sent apart: the second waits 40 ms for an ACK
            self._client.socket().setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._client.login(self.user, self.secret)
        yield self._client

    def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with client:  # logs out, and closes the socket if that cannot be done
                pass

    def names(self, client: imapclient.IMAPClient) -> list[str]:
        return [
            "NIL" if name is None else name
            for flags, _, name in client.list_folders()
            if b"\\noselect" not in {flag.lower() for flag in flags}
        ]

    def contents(self):
        with self.client() as client:
            return {tuple(name.split("/")): self.read(client, name) for name in self.names(client)}

    def read(self, client: imapclient.IMAPClient, name: str) -> list[Held]:
        client.select_folder(name, readonly=True)
        uids = client.search("ALL")
        found = []
        for start in range(0, len(uids), 100):
            part = client.fetch(uids[start : start + 100], ["FLAGS", "INTERNALDATE", "BODY.PEEK[]"])
            for uid in sorted(part):
                item = part[uid]
                flags = [flag.decode() for flag in item[b"FLAGS"]]
                epoch = round(item[b"INTERNALDATE"].timestamp())
                held = frozenset(keywords.to_archive(flags))
                found.append(Held(item[b"BODY[]"], held, epoch))
        return found

    def create(self, path) -> None:
        with self.client() as client:
            client.create_folder("/".join(path))

    def delete(self, path) -> None:
        with self.client() as client:
            client.delete_folder("/".join(path))

    def add(self, path, octets, flags=(), received=None) -> None:
        date = dt.datetime.now(dt.UTC) if received is None else received
        spelled = [keywords.to_imap(flag) for flag in flags]
        with self.client() as client:
            client.append("/".join(path), octets, spelled, date)

    def empty(self, path) -> None:
        with self.client() as client:
            client.select_folder("/".join(path))
            self.expunge(client)

    def clear(self) -> None:
        """Nothing but an empty INBOX is left."""
        with self.client() as client:
            client.select_folder("INBOX")
            self.expunge(client)
            for name in sorted(self.names(client), key=len, reverse=True):
                if name != "INBOX":
                    client.delete_folder(name)

    @staticmethod
    def expunge(client: imapclient.IMAPClient) -> None:
        uids = client.search("ALL")
        if uids:
            client.delete_messages(uids)
            client.expunge()

    def drop(self) -> None:
        self.relay.cut()


INSTANTS = next(
    mark.args[1]
    for mark in TargetContract.test_instants_are_kept_to_the_second.pytestmark
    if mark.name == "parametrize"
)


class KeepsOnlyLaterDates(TargetContract):
    """A server that keeps instants in 32 bits without a sign.

    Attributes:
        first_kept: the earliest instant that it keeps, in seconds since 1970.
    """

    first_kept = 0

    @pytest.mark.parametrize("text", INSTANTS)
    def test_instants_are_kept_to_the_second(self, provider, target, box, text) -> None:
        epoch = at(text).epoch
        assert epoch is not None
        if epoch >= self.first_kept:
            super().test_instants_are_kept_to_the_second(provider, target, box, text)
            return
        assert Alteration.EARLY_DATE in target.capabilities.alterations
        sending = Sending().run(target, [parcel(1, mail(1), box, received=at(text))])
        assert sending.error is None
        held = provider.contents()[BOX]
        if isinstance(sending.outcomes[1], Refused):
            assert refused(sending.outcomes[1]) == "date"
            assert held == []
        else:
            assert [each.octets for each in held] == [mail(1)]


class TestDovecot(KeepsOnlyLaterDates):
    """Dovecot over one connection, and over two."""

    window = 1200

    def explains(self, sent, got, target) -> bool:
        """A CR that stands before a line end or at the very end is lost there."""
        kept = re.sub(rb"\r(?=\r\n|\r\Z|\Z)", b"", sent)
        return super().explains(sent, got, target) or super().explains(kept, got, target)

    @pytest.fixture(params=[1, 2])
    def provider(self, request, dovecot_user):
        server = dovecot_user.server
        with Relay(server.port) as relay:
            owner = Owner(server.port, dovecot_user.user, server.password, relay, request.param)
            yield owner
            owner.close()

    @pytest.mark.parametrize("name", SPECIAL)
    def test_special_names_are_kept_or_refused(self, provider, target, name) -> None:
        """It says by no rule that some names are its own: they are tried and seen."""
        own = {
            "dots": ("a.b", ".."),
            "tilde, hash": ("~jane",),
            "what a Maildir holds": ("cur",),
        }
        if name not in own:
            super().test_special_names_are_kept_or_refused(provider, target, name)
            return
        before = provider.contents()
        answers = dict(target.ensure([FolderWish(own[name]), FolderWish(BOX)]))
        assert refused(answers[FolderWish(own[name])]) == "refused"
        assert isinstance(answers[FolderWish(BOX)], FolderReady)
        assert set(provider.contents()) == {*before, BOX}


class TestCyrus(KeepsOnlyLaterDates):
    """Cyrus, which refuses what it does not like."""

    many = 400
    first_kept = 1

    @pytest.mark.parametrize("name", OCTETS)
    def test_odd_octets_arrive_or_are_named(self, provider, target, box, name) -> None:
        """It takes a field without a line end for no header."""
        if name != "no line end":
            super().test_odd_octets_arrive_or_are_named(provider, target, box, name)
            return
        sending = Sending().run(target, [parcel(n, o, box) for n, o in enumerate(TOLD)])
        assert sending.error is None
        assert sending.keys(Placed) == [0, 2]
        assert refused(sending.outcomes[1]) == "bad-message"
        self.check(provider, target, BOX, [TOLD[0], TOLD[2]])

    @pytest.fixture
    def provider(self, cyrus_user):
        server = cyrus_user.server
        with Relay(server.port) as relay:
            owner = Owner(server.port, cyrus_user.user, server.password, relay, 1)
            yield owner
            owner.close()


@pytest.fixture(scope="module")
def pymap_owner():
    with demo_server() as server:
        owner = Owner(server.port, server.user, server.password, None, 1)
        yield owner
        owner.close()


@pytest.mark.slow  # half a second for each login
class TestPymap(TargetContract):
    """pymap keeps offsets, and keywords that it does not announce."""

    many = 400

    @pytest.fixture
    def provider(self, pymap_owner):
        with Relay(pymap_owner.port) as relay:
            pymap_owner.relay = relay
            pymap_owner.clear()
            yield pymap_owner

    def test_keywords_are_kept_though_it_announces_none(self, provider, target, box) -> None:
        placed(target, [parcel(1, b"Subject: 1\r\n\r\n", box, flags=["$Forwarded", "odd/one"])])
        (look,), (present,) = self.look(target, box)
        assert not look.new_keywords
        assert set(present.flags) == {"$Forwarded", "odd/one"}


class ScriptedOwner(Owner):
    """An account of the scripted server, changed where it lies."""

    def __init__(self, server: ScriptedServer, connections: int) -> None:
        self.server, self.connections = server, connections
        self.user, self.secret, self.port = "jane", server.password, server.port

    def target(self) -> ImapTarget:
        self.relay = self.server
        return super().target()

    def contents(self):
        return {
            path_of(box): [held_of(mail) for mail in box.mails.values()]
            for box in self.server.mailboxes
            if box.selectable
        }

    def create(self, path) -> None:
        self.server.add_mailbox("/".join(path), subscribed=False)

    def delete(self, path) -> None:
        self.server.remove_mailbox("/".join(path))

    def add(self, path, octets, flags=(), received=None) -> None:
        spelled = [keywords.to_imap(flag) for flag in flags]
        self.server.mailbox("/".join(path)).add(
            octets, spelled, received or dt.datetime.now(dt.UTC)
        )

    def empty(self, path) -> None:
        box = self.server.mailbox("/".join(path))
        box.expunge(*list(box.mails))

    def drop(self) -> None:
        self.server.drop_all()


def path_of(box: Mailbox) -> tuple[str, ...]:
    from imapclient.imap_utf7 import decode

    return tuple(decode(box.wire).split("/"))


def held_of(mail: Mail) -> Held:
    octets, date = mail.body(), mail.date
    assert octets is not None
    assert date is not None
    moment = dt.datetime.strptime(date.strip('"').strip(), "%d-%b-%Y %H:%M:%S %z")
    return Held(octets, frozenset(keywords.to_archive(mail.flags)), round(moment.timestamp()))


class TestScripted(TargetContract):
    """Every way of sending: with and without MULTIAPPEND, LITERAL+, LITERAL-, UIDPLUS."""

    window = 1200
    many = 700

    @pytest.fixture(autouse=True)
    def _no_settling(self, monkeypatch) -> None:
        """It does nothing any more for a connection that is gone."""
        monkeypatch.setattr(append_settle, "QUIET", 0.0)

    @pytest.fixture(
        params=[
            (TARGET_CAPABILITIES, 1),
            (TARGET_CAPABILITIES, 3),
            ([*(set(TARGET_CAPABILITIES) - {"LITERAL+"}), "LITERAL-"], 1),
            ([*(set(TARGET_CAPABILITIES) - {"LITERAL+", "UIDPLUS"})], 1),
            ([*(set(CAPABILITIES) - {"OBJECTID", "QRESYNC", "CONDSTORE"})], 1),
            (["IMAP4rev1"], 2),
        ],
        ids=["all", "three", "LITERAL-", "no LITERAL+", "no MULTIAPPEND", "nothing"],
    )
    def provider(self, request):
        capabilities, connections = request.param
        with ScriptedServer(capabilities=capabilities) as server:
            server.writable = True
            yield ScriptedOwner(server, connections)
            server.check()

    def test_what_it_finds_is_never_changed(self, provider, target) -> None:
        super().test_what_it_finds_is_never_changed(provider, target)
        assert not provider.server.said("CLOSE")
        assert {OTHER, BOX} <= set(provider.contents())
