"""A Maildir tree as a ``Source``.

What numbers a message: its UID where Dovecot's own list has it, else its unique name. A source has
both kinds, even a folder may: mail that was delivered since Dovecot last looked is in no list yet.
So ``capabilities.imap_uids`` is False, and a message keeps for life the uid it was first seen
under: the token remembers the folders, and in numbered folders the messages, that go by name.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from portarchive.connectors.base import Outcome, SourceCapabilities, Wanted
from portarchive.connectors.local import roles
from portarchive.connectors.local.body import Octets, Pieces
from portarchive.connectors.local.opening import check_options, folder_id, looking
from portarchive.connectors.local.root import Root, failure
from portarchive.connectors.local.spelling import left_out, scalar, service
from portarchive.connectors.maildir import dovecot
from portarchive.connectors.maildir.folder import Files, MaildirFolder
from portarchive.connectors.maildir.layout import Place, Survey, survey
from portarchive.connectors.maildir.names import order, spelled, twin_of, unspelled
from portarchive.errors import Unreachable
from portarchive.records import (
    Change,
    Failure,
    FetchPoint,
    Folder,
    FolderDone,
    FolderFailed,
    FolderOpened,
    MessageRef,
    Placement,
    SourceIdentity,
    Vanished,
)

WINDOW: Final = 4000
"""References between two fetch points: a folder may hold a million messages."""

_CONTAINERS: Final = frozenset({"maildir", ".maildir", "mail", "mdbox", "storage"})
_HINT: Final = "write it like this: maildir:/home/jane/Maildir"


class _Numbering:
    """Which uid each message of one folder has.

    Attributes:
        uidvalidity: None if the folder goes by names.
        named: unique names that keep standing for themselves though the folder has numbers.
        goes_on: the last run had the numbers of the same UIDVALIDITY.
    """

    def __init__(self, folder: MaildirFolder, token: Mapping[str, Any] | None) -> None:
        by_name = token is not None and token.get("by") == "name"
        listed = None if by_name else folder.uid_list
        self.uidvalidity = listed.uidvalidity if listed is not None else None
        self.uidnext = listed.uidnext if listed is not None else None
        self.goes_on = (
            self.uidvalidity is not None
            and token is not None
            and (token.get("uidvalidity") == self.uidvalidity)
        )
        self.named = _names(token, "named") if self.goes_on else set()
        self._uids = listed.uids if listed is not None else {}

    def numbers_any(self, files: Files) -> bool:
        """Whether the list is of this folder at all; a stale one has none of its messages."""
        return self.goes_on or not files or any(unique in self._uids for unique in files)

    def refresh(self, folder: MaildirFolder) -> bool:
        """Take in numbers given meanwhile; False if they have another UIDVALIDITY by now."""
        if self.uidvalidity is None:
            return True
        listed = folder.uid_list
        if listed is None or listed.uidvalidity != self.uidvalidity:
            return False
        self._uids = listed.uids
        return True

    def uid(self, unique: str) -> str:
        number = None if unique in self.named else self._uids.get(unique)
        if number is not None:
            return str(number)
        if self.uidvalidity is not None:
            self.named.add(unique)
        return spelled(unique, numbered=self.uidvalidity is not None)

    def token(self, files: Files, twins: set[str]) -> dict[str, Any]:
        left = twins.intersection(map(twin_of, files)) if twins else None
        told: dict[str, Any] = {"twins": sorted(map(spelled, left))} if left else {}
        if self.uidvalidity is None:
            return {"by": "name", **told}
        left = self.named.intersection(files)
        named = sorted(spelled(unique, numbered=True) for unique in left)
        return {"by": "uid", "uidvalidity": self.uidvalidity, "named": named, **told}


def _names(token: Mapping[str, Any] | None, member: str) -> set[str]:
    """The unique names that a token tells."""
    told = None if token is None else token.get(member)
    return {unspelled(str(uid)) for uid in told} if isinstance(told, list) else set()


class MaildirSource:
    """See the module.

    Args:
        path: of the tree.
        roles_by_name: give roles to folders with well-known names.

    Raises:
        Unreachable: there is no Maildir.
    """

    capabilities = SourceCapabilities(flags_in_listing=True, imap_uids=False)

    def __init__(self, path: str, *, roles_by_name: bool = False) -> None:
        self._root = Root(path, hint=_HINT)
        self._by_name = roles_by_name
        self._folders: dict[str, MaildirFolder] = {}
        self._uniques: dict[str, dict[str, str]] = {}
        self._refused: dict[str, str] = {}
        self._notes: list[dict[str, Any]] = []
        self._look()

    def _look(self) -> Survey:
        root = self._root
        if not root.is_directory:
            raise Unreachable(
                f"{root.shown} is a file, and a Maildir is a directory",
                hint="an mbox file is mbox:PATH",
                code="not-maildir",
            )
        with looking(root, hint=_HINT):
            found = survey(root.path)
        refused = [place for place in found.places if place.refused is not None]
        if refused and len(refused) == len(found.places):
            raise Unreachable(
                f"{refused[0].directory} cannot be read: {refused[0].refused}",
                hint="see who may read it",
                code="unreadable",
            )
        if not found.places:
            raise Unreachable(
                f"{root.shown} is no Maildir: neither it nor a directory in it has cur/ or new/",
                hint="name the directory that has cur/ and new/ in it, or the one above those",
                code="not-maildir",
            )
        return found

    # --- Source

    def identity(self) -> SourceIdentity:
        """Whose mail: the name of the directory, or of the one above a mere ``Maildir``."""
        self._root.check()
        return identity_of(self._root.shown)

    def folders(self) -> Sequence[Folder]:
        """All folders, counted."""
        self._root.check()
        found = self._look()
        top = self._root.path
        self._notes = [
            *left_out("links-left-out", found.links, top),
            *left_out("files-left-out", found.deep, top),
        ]
        open_ones = [place for place in found.places if place.refused is None]
        self._refused = {
            folder_id(place.path): place.refused
            for place in found.places
            if place.refused is not None
        }
        for place in open_ones:
            key = folder_id(place.path)
            if key not in self._folders or self._folders[key].directory != place.directory:
                self._folders[key] = MaildirFolder(place.directory, self._root)
        subscribed = dovecot.subscriptions(top)
        known = roles.by_name(place.path for place in open_ones) if self._by_name else {}
        ids = self._mailbox_ids(open_ones)
        return [
            Folder(
                folder_id=folder_id(place.path),
                path=place.path,
                raw_name=place.raw,
                uid=ids.get(place.path),
                roles=("inbox",) if place.path == ("INBOX",) else _role(known.get(place.path)),
                subscribed=None if subscribed is None else place.path in subscribed,
                messages=(
                    self._folders[folder_id(place.path)].count() if place.refused is None else None
                ),
                unlisted=None if place.refused is None else f"{'/'.join(place.path)}/",
            )
            for place in found.places
        ]

    def changes(self, wanted: Wanted) -> Iterator[Change]:
        """See ``Source.changes``. Always whole listings: names cost little."""
        notes = list(self._notes)
        for wish in wanted.folders:
            refused = self._refused.get(wish.folder_id)
            if refused is not None:
                yield FolderFailed(wish.folder_id, "unreadable", refused)
                continue
            try:
                yield from self._visit(wish, wanted, notes)
            except OSError as error:
                gone = failure(self._root.shown, error)
                if gone is not None:
                    raise gone from error
                self._root.check()
                reason = error.strerror or "it cannot be read"
                yield FolderFailed(wish.folder_id, "folder-unavailable", reason)

    def fetch(self, refs: Sequence[MessageRef]) -> Iterator[tuple[MessageRef, Outcome]]:
        """See ``Source.fetch``."""
        for ref in refs:
            self._root.check()
            placement = ref.placements[0]
            folder = self._folders.get(placement.folder_id)
            unique = self._unique(placement.folder_id, placement.uid)
            if folder is None or unique is None:
                yield ref, Vanished()
                continue
            found = folder.message(unique)
            outcome = found.outcome
            if isinstance(outcome, Failure | Vanished):
                yield ref, outcome
                continue
            placed = placement._replace(flags=found.flags, received=found.received)
            try:
                yield (
                    ref._replace(placements=(placed,), size=found.size, notes=found.notes),
                    outcome,
                )
            finally:
                if isinstance(outcome, Pieces):
                    outcome.close()

    def reconnect(self) -> None:
        """Look again at what lies there."""
        self._root.connect()
        self._look()

    def close(self) -> None:
        """Nothing is held open."""
        self._root.close()

    # --- inside

    def _mailbox_ids(self, found: Sequence[Place]) -> dict[tuple[str, ...], str]:
        """Dovecot's own ids of folders, which survive a rename; a copied folder has none."""
        seen: dict[str, tuple[str, ...] | None] = {}
        for place in found:
            listed = dovecot.uid_list(place.directory)
            if listed is not None and listed.guid is not None:
                seen[listed.guid] = None if listed.guid in seen else place.path
        return {path: guid for guid, path in seen.items() if path is not None}

    def _visit(self, wish: Folder, wanted: Wanted, notes: list[dict[str, Any]]) -> Iterator[Change]:
        """``notes``: of the whole tree; the first folder that is finished takes them with it."""
        key = wish.folder_id
        folder = self._folders.get(key)
        if folder is None:
            raise FileNotFoundError(2, "there is no such folder")
        token = wanted.tokens.get(key)
        folder.twins.known |= _names(token, "twins")
        files = folder.look()
        numbering = _Numbering(folder, token)
        if not numbering.numbers_any(files):
            numbering = _Numbering(folder, {"by": "name"})
        identify = token is not None and token.get("uidvalidity") != numbering.uidvalidity
        self._uniques[key] = {}
        yield FolderOpened(
            folder=wish,
            complete=True,
            uidvalidity=numbering.uidvalidity,
            uidnext=numbering.uidnext,
            counts={"exists": len(files)},
        )
        describe = wanted.describe or identify
        listed = yield from self._name(
            key, folder, numbering, files, describe=describe, identify=identify
        )
        named = set(files)
        if named:
            files = folder.look()
            fresh = {unique: path for unique, path in files.items() if unique not in named}
            if fresh and numbering.refresh(folder):
                listed += yield from self._name(
                    key, folder, numbering, fresh, describe=describe, identify=identify
                )
                named.update(fresh)
                files = folder.look()
        if folder.unknown_letters:
            letters = "".join(sorted(folder.unknown_letters))
            notes.append({"code": "unknown-flag-letters", "letters": letters})
        told = tuple(notes)
        notes.clear()
        yield FolderDone(
            folder_id=key,
            token=numbering.token(files, folder.twins.known),
            listed=listed,
            arrived_later=sum(unique not in named for unique in files),
            notes=told,
        )

    def _name(
        self,
        key: str,
        folder: MaildirFolder,
        numbering: _Numbering,
        files: Files,
        *,
        describe: bool,
        identify: bool,
    ) -> Generator[Change, None, int]:
        """References in the order of their uids, a fetch point after each window of them.

        Returns:
            How many there were.
        """
        uniques = self._uniques[key]
        chosen = sorted(((numbering.uid(unique), unique) for unique in files), key=_by_uid)
        count = 0
        for uid, unique in chosen:
            uniques[uid] = unique
            ref = MessageRef((Placement(key, uid, folder.flags(unique)),))
            if describe:
                found = folder.describe(unique, identify=identify)
                if found is not None and isinstance(found.outcome, Octets):
                    placed = ref.placements[0]._replace(received=found.received)
                    ref = ref._replace(
                        placements=(placed,),
                        size=found.size,
                        message_id=found.outcome.octets if identify else None,
                    )
            yield ref
            count += 1
            if count == WINDOW:
                count = 0
                yield FetchPoint()
        if count:
            yield FetchPoint()
        return len(chosen)

    def _unique(self, key: str, uid: str) -> str | None:
        return self._uniques.get(key, {}).get(uid)


def identity_of(shown: Path) -> SourceIdentity:
    """Whose mail a tree holds, told from where it lies."""
    named = shown.parent if shown.name.lower() in _CONTAINERS else shown
    return SourceIdentity(
        protocol="maildir",
        service=service("maildir", shown),
        account=scalar(named.name or shown.name or "mail"),
    )


def _by_uid(pair: tuple[str, str]) -> tuple[int, str]:
    return order(pair[0])


def _role(role: str | None) -> tuple[str, ...]:
    return () if role is None else (role,)


def open_source(path: str, options: Mapping[str, str]) -> MaildirSource:
    """The tree at a path.

    Args:
        path: of the directory; ``~`` is the user's home.
        options: ``roles``: ``names`` gives roles to folders with well-known names.

    Raises:
        SettingsError: an option that is none.
        ConnectorError: there is no Maildir, or it cannot be read.
    """
    check_options("maildir", options, {"roles": ("names",)}, hint=_HINT)
    return MaildirSource(str(Path(path)), roles_by_name="roles" in options)
