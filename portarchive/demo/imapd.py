"""The server process of the demo: pymap with the sample mailbox in memory.

Started by ``demo.server`` and by nobody else. It reads one line of JSON from standard input
(``description``: path of mailbox.json, ``password``), prints one (``port``), and serves until its
standard input ends. Owns all that knows pymap. Refuses every interface but 127.0.0.1.

What pymap does not do by itself is added here: special-use attributes in LIST (RFC 6154 section 2)
and identifiers that are the same at each start (UIDVALIDITY, UID, and the ids of RFC 8474), so that
an archive of the samples is reproducible.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import random
import sys
import threading
from argparse import Namespace
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from proxyprotocol.reader import ProxyProtocolReader
from pymap.backend.dict import Config, Login
from pymap.backend.dict.filter import FilterSet
from pymap.backend.dict.mailbox import MailboxData, MailboxSet
from pymap.config import BackendCapability
from pymap.imap import IMAPServer
from pymap.listtree import ListEntry, ListTree
from pymap.parsing.message import AppendMessage
from pymap.parsing.specials.flag import Flag
from pymap.user import Passwords, UserMetadata

from portarchive.demo.mailbox import SampleFolder, SampleMailbox, load

LOOPBACK: Final = "127.0.0.1"
INBOX: Final = "INBOX"


class SampleConfig(Config):
    """pymap's settings, and one more capability."""

    @property
    def backend_capability(self) -> BackendCapability:
        """What the server announces after login, besides pymap's own."""
        return BackendCapability(
            idle=True, object_id=True, multi_append=True, custom=[b"SPECIAL-USE"]
        )


@dataclasses.dataclass(frozen=True)
class RoleEntry(ListEntry):
    """A line of LIST with its special use."""

    uses: tuple[bytes, ...] = ()

    @property
    def attributes(self) -> Sequence[bytes]:
        """Without the backslash, which pymap puts in front of each."""
        return [*super().attributes, *self.uses]


class RoleTree(ListTree):
    """The mailbox names, those with a role marked as such."""

    def __init__(self, delimiter: str, uses: Mapping[str, tuple[bytes, ...]]) -> None:
        super().__init__(delimiter)
        self._uses = uses

    def list_matching(self, ref_name: str, filter_: str) -> Iterable[ListEntry]:
        """The lines that answer LIST (RFC 9051 section 6.3.9)."""
        for entry in super().list_matching(ref_name, filter_):
            uses = self._uses.get(entry.name, ())
            yield RoleEntry(entry.name, entry.exists, entry.marked, entry.has_children, uses)


class SampleData(MailboxData):
    """A mailbox whose UIDVALIDITY and UIDs are given."""

    async def fill(self, folder: SampleFolder) -> None:
        """Takes in the messages of the folder; what arrives later gets the UIDs that follow."""
        if folder.uidvalidity is not None:
            self._uid_validity = folder.uidvalidity
        self._max_uid = 0
        for message in folder.messages:
            self._max_uid = message.uid - 1
            flags = frozenset(Flag(flag) for flag in message.flags)
            await self.append(AppendMessage(message.octets(), message.internal_date, flags))


class SampleSet(MailboxSet):
    """All mailboxes of the account."""

    def __init__(self, mailbox: SampleMailbox) -> None:
        super().__init__()
        self._uses = {
            folder.name: tuple(role.capitalize().encode() for role in folder.roles)
            for folder in mailbox.folders
            if folder.name != INBOX  # a name that needs no attribute (RFC 9051 section 5.1)
        }

    async def list_mailboxes(self) -> ListTree:
        """All names; parents that do not exist come along as not selectable."""
        return RoleTree(self.delimiter, self._uses).update(INBOX, *self._set)

    async def fill(self, mailbox: SampleMailbox) -> None:
        """Makes the mailboxes of the account, in their order."""
        for folder in mailbox.folders:
            await self.set_subscribed(folder.name, folder.subscribed)
            if not folder.selectable:
                continue
            data = SampleData(self._content_cache, self._thread_cache)
            if folder.name == INBOX:
                self._inbox = data
            else:
                self._set[folder.name] = data
            await data.fill(folder)


async def serve(mailbox: SampleMailbox, password: str) -> None:
    """Listens on a free port, says which, and never returns."""
    config = SampleConfig(
        Namespace(passlib_cfg=None, proxy_protocol=None),
        host=LOOPBACK,
        port=0,
        tls_enabled=False,
        demo_data=False,
        demo_user=mailbox.account,
        demo_password=password,
    )
    config.apply_context()
    login = Login(config)
    hashed = await Passwords(config).hash_password(password)
    user = UserMetadata(config, mailbox.account, password=hashed)
    await login.demo_user_identity.set(user)

    random.seed(mailbox.account)  # pymap draws its object ids here: the same ones at each start
    mailboxes = SampleSet(mailbox)
    await mailboxes.fill(mailbox)
    config.set_cache[mailbox.account] = (mailboxes, FilterSet())

    reader = ProxyProtocolReader(config.proxy_protocol)
    connected = reader.get_callback(IMAPServer(login, config))
    server = await asyncio.start_server(connected, LOOPBACK, 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        sys.stdout.write(json.dumps({"port": port}) + "\n")
        sys.stdout.flush()
        await server.serve_forever()


def leave_when_alone() -> None:
    """Ends the process at once when standard input does: whoever started us is gone or done."""
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os._exit(0)


def main() -> None:
    """Reads the order, then serves until standard input ends."""
    order: dict[str, Any] = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=leave_when_alone, daemon=True).start()
    asyncio.run(serve(load(Path(order["description"]).parent), order["password"]))


if __name__ == "__main__":
    main()
