"""The account in memory keeps the contract, in both of its shapes."""

from __future__ import annotations

import pytest

from contract.source_suite import SourceContract
from portarchive.connectors.base import SourceCapabilities
from portarchive.connectors.memory import MemorySource


class MemoryProvider:
    """The account is the source: a new connection is a reconnect."""

    secret = "the memory connector has no password"

    def __init__(self, **options) -> None:
        self.account = MemorySource(**options)

    def source(self):
        self.account.reconnect()
        return self.account

    def add(self, folder, octets, flags=(), received=None):
        text = None if received is None else received.isoformat()
        return self.account.add(octets, folder, flags=flags, received=text).placements[0].uid

    def copy(self, folder, uid, to):
        return self.account.copy(folder, uid, to).uid

    def expunge(self, folder, *uids):
        self.account.expunge(folder, *uids)

    def set_flags(self, folder, uid, flags):
        self.account.set_flags(folder, uid, flags)

    def create(self, folder):
        parents = folder.split("/")
        for depth in range(1, len(parents)):
            self.account.create_folder("/".join(parents[:depth]), selectable=False)
        self.account.create_folder(folder)

    def rename(self, folder, to):
        self.account.rename_folder(folder, to)

    def delete(self, folder):
        self.account.delete_folder(folder)

    def reset_uidvalidity(self, folder):
        self.account.reset_uidvalidity(folder)

    def drop(self):
        self.account.drop()

    def contents(self):
        return {
            ("/".join(path), uid): (frozenset(flags), octets)
            for path, items in self.account.contents().items()
            for uid, (flags, octets) in items.items()
        }


CAPABILITIES = [
    SourceCapabilities(removals=True, object_ids=True, flags_in_listing=True),
    SourceCapabilities(flags_in_listing=True),
    SourceCapabilities(removals=True),
]


class TestWholeAccount(SourceContract):
    """As JMAP does it."""

    @pytest.fixture(params=CAPABILITIES)
    def provider(self, request):
        return MemoryProvider(capabilities=request.param)


class TestFolderByFolder(SourceContract):
    """As IMAP does it."""

    @pytest.fixture(params=CAPABILITIES)
    def provider(self, request):
        return MemoryProvider(whole_account=False, capabilities=request.param)
