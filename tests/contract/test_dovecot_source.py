"""The IMAP source keeps the contract on a real Dovecot, reached through a wire that can be cut."""

from __future__ import annotations

import pytest

from contract.relay import Relay
from contract.source_suite import SourceContract
from portarchive import keywords
from portarchive.connectors.imap import ImapSettings, open_source


class Password:
    kind = "password"
    mechanism = None

    def __init__(self, text: str) -> None:
        self.text = text

    def reveal(self) -> str:
        return self.text


class DovecotProvider:
    """One user of Dovecot. What the owner does goes to the server itself, not through the wire."""

    def __init__(self, account, relay: Relay, connections: int) -> None:
        self.account, self.relay, self.connections = account, relay, connections
        self.secret = account.password

    def source(self):
        return open_source(
            ImapSettings(
                host="127.0.0.1",
                port=self.relay.port,
                tls="none",
                user=self.account.user,
                secret=Password(self.secret),
                connections=self.connections,
                timeout=20,
            )
        )

    def add(self, folder, octets, flags=(), received=None):
        return str(self.account.append(folder, octets, spelled(flags), received))

    def copy(self, folder, uid, to):
        with self.account.connect() as client:
            client.select(f'"{folder}"')
            client.uid("COPY", uid, f'"{to}"')
        return str(max(self.account.messages(to)))

    def expunge(self, folder, *uids):
        self.account.expunge(folder, [int(uid) for uid in uids])

    def set_flags(self, folder, uid, flags):
        self.account.set_flags(folder, [int(uid)], spelled(flags))

    def create(self, folder):
        self.account.create(folder)

    def rename(self, folder, to):
        self.account.rename(folder, to)

    def delete(self, folder):
        self.account.delete(folder)

    def reset_uidvalidity(self, folder):
        self.account.reset_uidvalidity(folder)

    def drop(self):
        self.relay.cut()

    def contents(self):
        return {
            (folder, str(uid)): (frozenset(keywords.to_archive(message.flags)), message.octets)
            for folder in self.names()
            for uid, message in self.account.messages(folder).items()
        }

    def names(self):
        root = self.account.server.directory / "mail" / self.account.user / "Maildir"
        found = {
            decode(str(path.parent.relative_to(root)))
            for path in root.rglob("cur")
            if path.parent != root
        }
        return ["INBOX", *sorted(found)]


def decode(name: str) -> str:
    from imapclient.imap_utf7 import decode as of_wire

    return of_wire(name.encode("ascii"))


def spelled(flags) -> list[str]:
    return [keywords.to_imap(flag) for flag in flags]


class TestDovecot(SourceContract):
    """One connection, and two."""

    @pytest.fixture(params=[1, 2])
    def provider(self, request, dovecot_user):
        with Relay(dovecot_user.server.port) as relay:
            yield DovecotProvider(dovecot_user, relay, request.param)
