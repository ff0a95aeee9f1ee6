"""Mailboxes and subscriptions of a target: CREATE, SUBSCRIBE, and what became of it by LIST.

Refusals are data. What is there afterwards is believed from the listing alone: a server may name
a mailbox otherwise than it was asked to.
"""

from __future__ import annotations

import unicodedata
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from portarchive.connectors.imap import mailbox_rules
from portarchive.connectors.imap.folders import folder_id, list_folders, wire_of
from portarchive.connectors.imap.known_changes import Server
from portarchive.connectors.imap.mailbox_rules import UnsendableNameError
from portarchive.connectors.imap.names import Literal, Part, Prefix, argument
from portarchive.connectors.imap.responses import Status
from portarchive.connectors.imap.session import Session
from portarchive.errors import FolderUnavailable
from portarchive.placing import FolderReady, FolderWish, Refused
from portarchive.records import Folder


@dataclass(slots=True)
class _Making:
    """One wish on its way.

    Attributes:
        wire: the name to be made, None if it is there already.
        use: the attribute to be given to it.
        refused: why it is not even tried.
        status: of CREATE.
        no_role: the words with which the server refused the attribute.
    """

    wish: FolderWish
    wire: bytes | None = None
    use: bytes | None = None
    refused: Refused | None = None
    status: Status | None = None
    no_role: str | None = None

    @property
    def created(self) -> bool:
        """CREATE was answered OK."""
        return self.status is not None and self.status.ok


class Maker:
    """Makes mailboxes over one session.

    Args:
        session: with nothing on its way.
        prefixes: the namespaces.
        separator: of the personal one.
        known: the mailboxes that were listed last, by folder_id.
        kind: of server.
    """

    def __init__(
        self,
        session: Session,
        prefixes: list[Prefix],
        separator: str,
        known: Mapping[str, Folder],
        kind: Server = Server.OTHER,
    ) -> None:
        self._session = session
        self._prefixes = prefixes
        self._separator = separator
        self._known = known
        self._kind = kind
        space = mailbox_rules.personal(prefixes)
        self._prefix = b"" if space is None else space.prefix

    def ensure(
        self, wishes: Sequence[FolderWish]
    ) -> Iterator[tuple[FolderWish, FolderReady | Refused]]:
        """See ``Target.ensure``."""
        makings = [self._plan(wish) for wish in wishes]
        self._create(making for making in makings if making.wire is not None)
        again = [making for making in makings if making.use and not making.created]
        for making in again:
            if making.status is not None and making.status.code != b"ALREADYEXISTS":
                making.no_role = making.status.words
                making.use = None
        self._create(making for making in again if making.use is None)
        every = list_folders(self._session, self._prefixes)[0]
        listed = mailbox_rules.open_to_mail(self._kind, every)
        found = [self._find(making, listed) for making in makings]
        unwilling = self._subscribe(makings, found)
        for at, (making, folder) in enumerate(zip(makings, found, strict=True)):
            yield making.wish, _outcome(making, folder, unwilling.get(at))

    def _plan(self, wish: FolderWish) -> _Making:
        here = None if wish.folder_id is None else self._known.get(wish.folder_id)
        if wish.folder_id is not None and (here is None or here.selectable):
            return _Making(wish)
        try:
            wire = mailbox_rules.wire_name(
                wish.path, self._prefix, self._separator, utf8=self._session.utf8
            )
            if wish.folder_id is not None:
                wire = wire_of(wish.folder_id)
            argument(wire, utf8=self._session.utf8)
        except (UnsendableNameError, FolderUnavailable) as exc:
            text = f"this cannot be the name of a mailbox here: {exc}"
            return _Making(wish, refused=Refused("refused", text))
        if wire == b"INBOX":  # every account has it
            return _Making(wish)
        settable = "CREATE-SPECIAL-USE" in self._session.capabilities
        settable = settable and not mailbox_rules.is_closed(self._kind, wish.role)
        return _Making(wish, wire, mailbox_rules.attribute(wish.role) if settable else None)

    # --- commands -------------------------------------------------------------------------------

    def _create(self, makings: Iterable[_Making]) -> None:
        commands: list[tuple[Part, ...]] = []
        order = []
        for making in makings:
            if making.wire is None:
                continue
            use = b"" if making.use is None else b" (USE (" + making.use + b"))"
            commands.append((b"CREATE ", argument(making.wire, utf8=self._session.utf8), use))
            order.append(making)
        for making, status in zip(order, self._run(commands), strict=True):
            making.status = status

    def _subscribe(
        self, makings: Sequence[_Making], found: Sequence[Folder | None]
    ) -> dict[int, str]:
        """Subscribe and unsubscribe; why not, by number, where the server refuses."""
        numbers, commands = list[int](), list[tuple[Part, ...]]()
        for at, (making, folder) in enumerate(zip(makings, found, strict=True)):
            wanted = making.wish.subscribe
            if folder is None or wanted is None or folder.subscribed is wanted:
                continue
            word = b"SUBSCRIBE " if wanted else b"UNSUBSCRIBE "
            name = argument(wire_of(folder.folder_id), utf8=self._session.utf8)
            numbers.append(at)
            commands.append((word, name))
        answers = self._run(commands)
        return {
            at: status.words for at, status in zip(numbers, answers, strict=True) if not status.ok
        }

    def _run(self, commands: Sequence[tuple[Part, ...]]) -> list[Status]:
        """The answers to these, sent ahead of each other as far as there is room."""
        session = self._session
        answers: list[Status] = []
        waiting: deque[bytes] = deque()

        def settle(left: int) -> None:
            while len(waiting) > left:
                status = session.finish(waiting.popleft())
                if not status.ok:
                    session.check(status, temporary=False)
                answers.append(status)

        for command in commands:
            alone = any(isinstance(part, Literal) for part in command)
            while waiting and (alone or not session.has_room()):
                settle(len(waiting) - 1)
            waiting.append(session.send(*command))
            if alone:
                settle(0)
        settle(0)
        return answers

    # --- what became of it ----------------------------------------------------------------------

    def _find(self, making: _Making, listed: Sequence[Folder]) -> Folder | None:
        """The mailbox that a wish became, in the spelling of the server."""
        if making.refused is not None:
            return None
        wish = making.wish
        key = wish.folder_id if making.wire is None else folder_id(making.wire)
        inbox = key is None
        same = [
            [folder for folder in listed if folder.folder_id == key],
            [folder for folder in listed if inbox and "inbox" in folder.roles],
            [folder for folder in listed if folder.path == wish.path],
        ]
        if making.created:
            same.append([folder for folder in listed if _bare(folder) == _bare(wish)])
        for folders in same:
            for folder in folders:
                if folder.selectable and not folder.unlisted:
                    return folder
        return None


def _bare(named: Folder | FolderWish) -> list[str]:
    return [unicodedata.normalize("NFC", name).casefold() for name in named.path]


def _outcome(
    making: _Making, folder: Folder | None, unwilling: str | None
) -> FolderReady | Refused:
    if making.refused is not None:
        return making.refused
    if folder is None:
        status = making.status
        if status is None:
            return Refused("folder-gone", "the server does not list it any more")
        said = "the server does not list it" if status.ok else status.words
        return Refused("refused", said)
    wish, lost = making.wish, list[str]()
    if wish.role is not None and wish.role not in folder.roles:
        lost.append(f"role: {making.no_role or 'this server gives none'}")
    if unwilling is not None:
        lost.append(f"subscription: {unwilling}")
    elif wish.subscribe is not None:
        folder = replace(folder, subscribed=wish.subscribe)
    return FolderReady(folder, making.created, tuple(lost))
