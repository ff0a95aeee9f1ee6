"""The contents of anybody's archive: folders, items and octets, wherever and however they lie.

Reads what ``validate`` accepts: directories, ZIP and tar files, every dialect of the draft, other
generators, with or without a manifest. What was tolerated is named in ``Contents.quirks``. Writes
nothing, into the archive or beside it, and believes nothing: a rule that is broken is an
``ArchiveError`` of one line. Judging an archive clause by clause is the validator's business.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from portarchive.archive import dialect, model, received
from portarchive.archive.contents_chain import follow_chain, parse
from portarchive.archive.contents_error import in_base, reading, shown
from portarchive.archive.contents_folder import (
    ContentFolder,
    Item,
    ItemReader,
    entry_quirks,
    folder_of,
    with_inbox,
)
from portarchive.archive.contents_json import Document, Entry
from portarchive.archive.contents_store import Store, open_store
from portarchive.archive.tree import Limits, Stream
from portarchive.errors import ArchiveError, Damaged, DigestMismatch, UnsafePath
from portarchive.records import Received

__all__ = ["ContentFolder", "Contents", "Extent", "Item", "Limits", "open_contents"]

WHOLE: Final = 1 << 30
"""Octets of a message that ``Contents.octets`` holds at once; more go through ``chunks``."""

_MAPS: Final = frozenset({"uids", "flags", "modseqs"})
_ITEMS_OPEN: Final = b',"items":[\n'
_FIRST_LINE: Final = 1 << 20
_HEAD: Final = 1 << 14
_OF_SERVICE: Final = ("url", "uri", "host", "id", "name", "type")
_OF_ACCOUNT: Final = ("email", "address", "login", "username", "name", "id")
_OWN_QUIRKS: Final = ("no-folder-file", "no-items", "path-as-name")
"""Tolerances that no finding of its own shows: files in a directory without folder.json (not
read), a folder.json without items, ``name`` that is the whole path."""


class Extent(StrEnum):
    """What an archive is (draft §6.1)."""

    FULL = "FULL"
    PARTIAL = "PARTIAL"


class _Source(NamedTuple):
    """Where the entries of a folder are.

    Attributes:
        file: the folder.json.
        maps: in the old shape.
    """

    file: str
    maps: bool


def open_contents(path: Path, limits: Limits | None = None) -> Contents:
    """Open an archive of anybody's for reading; every folder.json is looked at.

    Args:
        path: a directory, ``.zip`` or ``.pdpa``, ``.tar``, ``.tar.gz`` or ``.tar.zst``.
        limits: what the archive may cost.

    Raises:
        NotAnArchive: there is none.
        Unfinished: an export was interrupted here.
        Damaged: a document does not parse, the chain of digests does not hold, or the container
            leaves in doubt what is in it.
        UnsafePath: a name leads out.
        ArchiveError: it is encrypted.
        StorageFailed: it cannot be read, or there is no room to unpack a compressed tar.
    """
    limits = limits or Limits()
    store = open_store(path, limits)
    try:
        return Contents(store, limits)
    except BaseException:
        store.close()
        raise


class Contents:
    """An opened archive. One thread at a time; a context manager. Use ``open_contents``.

    Attributes:
        kind: ``directory``, ``zip`` or ``tar``.
        metadata: archive.json (index.json in the oldest dialects).
        dialect: one of ``dialect.DIALECTS``.
        manifest: manifest.json, checked; None in an archive without a chain.
        archive_id: ``archive.id``; None if it has none.
        base_id: of a PARTIAL archive: the archive that it updates.
        fingerprint: SHA-256 of the metadata file in hex.
        service, account: ``datasource``; of objects the member that says most.
        protocol: what the manifest says it was exported from: ``imap``, ``jmap``, ``maildir`` ….
        id_namespace: ``protocol``, if ``Item.email_id`` and ``ContentFolder.uid`` are ids that the
            account itself gave (RFC 8474, X-GM-MSGID, JMAP); None if they are nobody's.
        extent: FULL unless it says PARTIAL.
        selection: of the manifest, {} for all; None in an archive without one.
    """

    def __init__(self, store: Store, limits: Limits) -> None:
        self._store = store
        self._limits = limits
        self._met: set[str] = {"nested-root"} if store.nested else set()
        self._flags: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._sources: dict[str, _Source] = {}
        self.kind = store.kind
        octets = store.read(store.metadata_file, limits.document)
        self.fingerprint = hashlib.sha256(octets).hexdigest()
        metadata = parse(octets, store.metadata_file, limits)
        if not isinstance(metadata, dict) or not isinstance(metadata.get("archive"), dict):
            raise Damaged(f"{store.metadata_file} has no 'archive' section", code="not-json")
        self.metadata: dict[str, Any] = metadata
        identified = dialect.identify(metadata, store.metadata_file)
        self.dialect = identified.dialect
        self._met.update(identified.quirks)
        self.manifest = follow_chain(store, metadata, limits)
        self.archive_id = _text(self._section("archive").get("id"))
        dataset, source = self._section("dataset"), self._section("datasource")
        self.base_id = _text(dataset.get(model.BASE_ID))
        extent = dataset.get("extent")
        partial = isinstance(extent, str) and extent.upper() == Extent.PARTIAL
        self.extent = Extent.PARTIAL if partial else Extent.FULL
        self.service = self._named(source.get("service"), _OF_SERVICE)
        self.account = self._named(source.get("account"), _OF_ACCOUNT)
        self.protocol, self.id_namespace = self._protocol()
        selection = (self.manifest or {}).get("selection")
        self.selection: dict[str, Any] | None = selection if isinstance(selection, dict) else None
        self._folders = self._read_folders()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give back what it holds; a temporary file is gone then."""
        self._store.close()

    def unchanged(self) -> bool:
        """Whether it is still the archive that was opened: nobody published meanwhile."""
        return self._store.unchanged()

    @property
    def quirks(self) -> tuple[str, ...]:
        """The named tolerances that were needed: of ``dialect.QUIRKS``, and ours after them."""
        names = [*(quirk.name for quirk in dialect.QUIRKS), *_OWN_QUIRKS]
        return tuple(name for name in names if name in self._met)

    # what it says of itself

    def _section(self, name: str) -> Mapping[str, Any]:
        value = self.metadata.get(name)
        return value if isinstance(value, dict) else {}

    def _named(self, value: Any, members: tuple[str, ...]) -> str | None:
        if isinstance(value, dict):
            self._met.add("source-objects")
            value = next((value[name] for name in members if _text(value.get(name))), None)
        return _text(value)

    def _protocol(self) -> tuple[str | None, str | None]:
        source = (self.manifest or {}).get("source")
        if not isinstance(source, dict):
            return None, None
        protocol = _text(source.get("protocol"))
        offered = source.get("capabilities")
        names = {str(name).upper() for name in offered} if isinstance(offered, list) else set()
        given = protocol == "jmap" or (
            protocol == "imap" and not names.isdisjoint({"OBJECTID", "OBJECTID+", "X-GM-EXT-1"})
        )
        return protocol, protocol if given else None

    # folders

    def folders(self) -> list[ContentFolder]:
        """Every folder that has a folder.json, by path in UTF-8 order."""
        return list(self._folders)

    def _read_folders(self) -> list[ContentFolder]:
        names: dict[str, tuple[str, ...]] = {"": ()}
        out = []
        if self._store.loose:
            self._met.add("no-folder-file")
        cut = len(model.MAIL) + 1
        for directory in sorted(self._store.folder_files, key=str.encode):
            path = directory[cut:]
            file = f"{directory}/{model.FOLDER_FILE}"
            header, maps = self._read_header(file)
            self._sources[path] = _Source(file, maps)
            parent = _names_of(path.rpartition("/")[0], names)
            folder = folder_of(path, parent, header, self.dialect, self._met)
            if path:
                names[path] = folder.names
            out.append(folder)
        return with_inbox(out)

    def _read_header(self, file: str) -> tuple[dict[str, Any], bool]:
        """folder.json without lists and maps, and whether it is in the old shape."""
        if self.manifest is not None:
            header = self._own_header(file)
            if header is not None:
                return header, False
        header = {}
        has_items = False
        for part in self._parts(file):
            if isinstance(part, Entry):
                entry_quirks(part.value, self._met)
            elif part.name not in model.ITEM_LISTS:
                header[part.name] = part.value
            elif part.value is not None:
                raise Damaged(f"{shown(file)}: {part.name} is not an array", code="not-json")
            else:
                has_items = has_items or part.name == "items"
        maps = dialect.has_maps(header, has_items=has_items)
        if maps:
            if not self.dialect.startswith("happel"):
                self._met.add("uids-map")
            for entry in dialect.items_of_maps(header):
                entry_quirks(entry, self._met)
        elif not has_items:
            self._met.add("no-items")
        elif dialect.relic_maps(header):
            self._met.add("relic-maps")
        return {name: value for name, value in header.items() if name not in _MAPS}, maps

    def _own_header(self, file: str) -> dict[str, Any] | None:
        """The header, if the first line shows our own layout: then lists only come after it."""
        with closing(self._store.open(file)) as stream, reading(file):
            first = _first_line(stream)
        if not first.endswith(_ITEMS_OPEN):
            return None
        try:
            header = parse(first[: -len(_ITEMS_OPEN)] + b"}", file, self._limits)
        except Damaged:
            return None
        if not isinstance(header, dict) or not _MAPS.isdisjoint(header):
            return None
        return None if any(name in header for name in model.ITEM_LISTS) else header

    def _parts(self, file: str) -> Iterator[Any]:
        with closing(self._store.open(file)) as stream, reading(file):
            yield from Document(stream, file, self._limits).parts(model.ITEM_LISTS)

    # items

    def listed(self) -> int:
        """Octets of all folder.json: what bounds the number of items before they are read."""
        return sum(self._store.size(source.file) or 0 for source in self._sources.values())

    def items(self, folder: ContentFolder, kept: bool = False) -> Iterator[Item]:  # noqa: FBT001, FBT002 - of the contract
        """The messages of a folder in the order of its list, streaming.

        An entry that cannot be read, or whose octets are missing, comes all the same: it was a
        message of somebody's, and ``octets`` says what is wrong.

        Args:
            folder: of ``folders``.
            kept: what the source no longer had, in place of what it had.

        Raises:
            Damaged: folder.json was changed meanwhile, and does not parse.
        """
        source = self._sources[folder.path]
        reader = ItemReader(
            folder.path,
            kept=kept,
            flags=self._flags,
            size_of=self._store.size,
            look=self._look,
        )
        wanted = model.KEPT if kept else "items"
        members: dict[str, Any] = {}
        for part in self._parts(source.file):
            if part.__class__ is Entry:
                if part.list_name == wanted:
                    yield reader.item(part.value)
            elif source.maps and part.name in _MAPS:
                members[part.name] = part.value
        if source.maps and not kept:
            for entry in dialect.items_of_maps(members):
                yield reader.item(entry)

    def unnamed(self, counts: Mapping[str, int]) -> int:
        """How many files of mail in these folders, and beside all folders, no folder names.

        Folders are read once more only where there are more files than entries.

        Args:
            counts: by path, how many entries ``items`` gave.

        Raises:
            Damaged: as ``items``.
        """
        cut = len(model.MAIL) + 1
        left: dict[str, set[str]] = {}
        for directory, names in self._store.mail_files():
            path = directory[cut:]
            known = counts.get(path, 0 if path not in self._sources else len(names))
            if len(names) > known:
                left[directory] = set(names)
        for folder in self._folders if left else ():
            for kept in (False, True):
                for item in self.items(folder, kept):
                    directory, _, name = item.member.rpartition("/")
                    if directory in left:
                        left[directory].discard(name)
        return sum(map(len, left.values()))

    def _look(self, member: str) -> tuple[Received, str]:
        """The date that the header of a message tells."""
        head = b""
        try:
            with closing(self._store.open(member)) as stream, reading(member):
                while octets := stream.read(max(_HEAD, len(head))):
                    head += octets
                    if received.has_whole_header(head):
                        break
        except (Damaged, UnsafePath):
            return received.UNKNOWN, received.NONE
        return received.of_header(head)

    # octets

    def octets(self, item: Item, *, verify: bool = True) -> bytes:
        """A message at once.

        Args:
            item: of ``items``; at most ``WHOLE`` octets.
            verify: compare with the size and digest that the item claims.

        Raises:
            Damaged: its octets are missing or cannot be had.
            DigestMismatch: they are not what the item says.
            StorageFailed: the system does not give them.
        """
        member = _member(item)
        try:
            octets = self._store.read(member, WHOLE)
        except Damaged:
            with self._in_base(member):
                raise
        if verify and (
            (item.size is not None and item.size != len(octets))
            or (item.sha256 is not None and hashlib.sha256(octets).hexdigest() != item.sha256)
        ):
            raise _mismatch(item)
        return octets

    def chunks(self, item: Item, size: int = 1 << 18, *, verify: bool = True) -> Iterator[bytes]:
        """A message piece by piece; what is wrong with its digest shows after the last one.

        Raises:
            As ``octets``.
        """
        member = _member(item)
        hashed = hashlib.sha256() if verify and item.sha256 is not None else None
        found = 0
        with self._in_base(member):
            opened = self._store.open(member)
        with closing(opened) as stream, reading(member):
            while octets := stream.read(size):
                found += len(octets)
                if hashed is not None:
                    hashed.update(octets)
                yield octets
        if verify and (
            (item.size is not None and item.size != found)
            or (hashed is not None and hashed.hexdigest() != item.sha256)
        ):
            raise _mismatch(item)

    @contextmanager
    def _in_base(self, member: str) -> Iterator[None]:
        """What an archive of changes (PARTIAL) does not hold is not missing but elsewhere."""
        try:
            yield
        except Damaged as error:
            if error.code != "missing" or self.extent is not Extent.PARTIAL:
                raise
            raise in_base(member, self.base_id) from None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _names_of(path: str, known: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The names of a mailbox; of directories without folder.json their own names."""
    nearest, unknown = path, []
    while nearest not in known:
        nearest, _, name = nearest.rpartition("/")
        unknown.append(name)
    found = known[nearest]
    for name in reversed(unknown):
        found = (*found, name)
    return found


def _first_line(stream: Stream) -> bytes:
    line = io.BytesIO()
    while line.tell() < _FIRST_LINE:
        octets = stream.read(1 << 16)
        end = octets.find(b"\n") + 1
        line.write(octets[:end] if end else octets)
        if end or not octets:
            break
    return line.getvalue()


def _member(item: Item) -> str:
    if not item.member:
        raise Damaged(
            f"an item of {shown(item.folder)!r} (uid {shown(item.uid)!r}) names no file under "
            f"{model.MAIL}/",
            hint="'portarchive validate' tells all that is wrong with the archive",
            code="no-member",
        )
    return item.member


def _mismatch(item: Item) -> ArchiveError:
    return DigestMismatch(
        f"{shown(item.member)} is not what its item says: its octets were changed",
        hint="get this file back from a copy",
    )
