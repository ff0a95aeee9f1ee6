"""``validate``: opens an archive, runs every check over it, and returns a report.

Owns the order of things: names first, then archive.json, then every document in one go while the
octets are hashed beside it, then what only shows in company. A tree that is read in one pass is
read three times at most: for its names, for archive.json, for everything. Refuses to write
anything, to import writer or reader, and to stay silent about a check that broke down.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

from portarchive.archive.dialect import METADATA_FILES
from portarchive.archive.tree import PRIVATE_DIR, BadMemberError, Limits, Stream, Tree, open_tree
from portarchive.archive.tree_listing import File, Listing
from portarchive.errors import NotAnArchive, PortArchiveError, SettingsError, Unfinished
from portarchive.progress import Observer, silent
from portarchive.validate.checks.container import (
    check_order,
    check_private,
    check_tree,
    check_unnamed,
)
from portarchive.validate.checks.directories import check_folders
from portarchive.validate.checks.folders import check_folder, count_folders
from portarchive.validate.checks.integrity import (
    check_chain,
    compare,
    follow_aliases,
    read_digests,
    read_manifest,
)
from portarchive.validate.checks.ledger import check_ledger
from portarchive.validate.checks.messages import check_messages
from portarchive.validate.checks.metadata import check_datatypes, check_metadata
from portarchive.validate.checks.objects import WITHOUT_DOCUMENTS, check_object, is_document
from portarchive.validate.checks.partial import check_base
from portarchive.validate.checks.references import check_references
from portarchive.validate.hashing import Hashing
from portarchive.validate.ijson import Document
from portarchive.validate.meter import Meter, Metered
from portarchive.validate.report import Report
from portarchive.validate.root import descend, is_unfinished
from portarchive.validate.run import (
    DIGESTS_FILE,
    FOLDER_FILE,
    MANIFEST_FILE,
    FolderFacts,
    Level,
    Run,
    is_junk,
    where,
)

_PIECE = 1 << 20
_JOURNAL = "journal"


def validate(
    path: str | os.PathLike[str],
    *,
    level: str = "deep",
    base: str | os.PathLike[str] | None = None,
    limits: Limits | None = None,
    observer: Observer = silent,
) -> Report:
    """Validate an archive of anybody's; nothing is written, nothing of it is believed.

    Args:
        path: a directory, a ``.zip`` or ``.pdpa``, a ``.tar``, ``.tar.gz`` or ``.tar.zst``.
        level: ``schema`` (each document by itself), ``structure`` (also what they mean to each
            other and to the files), ``deep`` (also the octets of every file).
        base: the full archive that a partial one updates.
        limits: what the archive may cost.
        observer: is told ``ArchiveListed`` once and ``Checked`` as it goes on; by threads of this
            call too, but never by two at once. It must not raise.

    Returns:
        The report. Whatever is wrong with the archive is in it.

    Raises:
        NotAnArchive: there is no archive at ``path``.
        Unfinished: an export was interrupted there, or published while this was reading.
        SettingsError: there is no such level.
        OSError: ``path`` itself cannot be read.
    """
    try:
        wanted = Level[level.upper()]
    except KeyError:
        raise SettingsError(f"there is no level {level!r}: schema, structure or deep") from None
    limits = limits or Limits()
    report = Report(os.fspath(path), wanted.name.lower())
    with closing(open_tree(Path(path), limits)) as tree:
        run = Run(tree, _scanned(tree, limits, report), limits, wanted, report)
        run.with_base = base is not None
        _validate(run, Path(base) if base is not None else None, Meter(observer))
    return report


def _scanned(tree: Tree, limits: Limits, report: Report) -> Listing:
    """What the tree holds; a bug of ours that the names bring to light is a finding (F-001)."""
    try:
        return Listing.of(tree, limits)
    except (PortArchiveError, OSError):
        raise
    except Exception as error:  # noqa: BLE001 - no container makes a traceback
        report.add("F-001", "", "", f"names: {where(error)}")
        listing = Listing()
        listing.fatal = True
        return listing


def _validate(run: Run, base: Path | None, meter: Meter) -> None:
    tree, listing, report = run.tree, run.listing, run.report
    check_tree(run)
    if listing.fatal:
        return
    _find_root(run)
    if run.metadata_file:
        run.guarded("metadata", run.metadata_file, partial(_read_metadata, run))
    run.guarded("container", "", partial(check_private, run))
    report.files, report.octets = listing.count, listing.octets
    if not run.metadata_file:
        return
    _announce(run, meter)
    hashing = Hashing(tree, listing, meter)
    try:
        _look(run, hashing, base, meter)
    finally:
        hashing.stop()
    meter.finish()
    if tree.kind == "directory" and report.fingerprint != _fingerprint(tree.path, run):
        raise Unfinished(
            f"the archive at {tree.path} was updated while it was being read",
            hint="run this command again when the export has ended",
            code="changed-meanwhile",
        )


def _announce(run: Run, meter: Meter) -> None:
    """How much is to be read; a document of a tree with random access is hashed apart."""
    deep, passes = run.level is Level.DEEP, run.tree.random_access
    files = octets = 0
    for directory, inside in run.listing.directories.items():
        for name, file in inside.items():
            document = _is_document(run, f"{directory}/{name}" if directory else name)
            if not file.alias and (document or deep or not passes):
                files += 1
                octets += file.size * (1 + (document and deep and passes))
    meter.begin(files, octets)


def _fingerprint(path: Path, run: Run) -> str | None:
    """What the metadata file's digest is now; as it was, if nobody could ever read it."""
    if run.report.fingerprint is None:
        return None
    try:
        with (path / run.metadata_file).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def _look(run: Run, hashing: Hashing, base: Path | None, meter: Meter) -> None:
    deep = run.level is Level.DEEP and run.tree.random_access
    if deep:
        hashing.start()
    run.guarded("order", "", partial(check_order, run))
    run.guarded("documents", "", partial(_read_documents, run, hashing, meter))
    run.guarded("count", "", partial(count_folders, run))
    if deep:
        run.guarded("hashing", "", hashing.finish)
    run.guarded("references", "", partial(check_references, run))
    run.guarded("datatypes", "", partial(check_datatypes, run))
    if run.level >= Level.STRUCTURE:
        _compare_all(run, hashing)
        if base is not None:
            run.guarded("partial", "", partial(check_base, run, base))


def _compare_all(run: Run, hashing: Hashing) -> None:
    """What needs everything to have been read."""
    for path, code, text in sorted(hashing.bad):
        run.tell_unread(code, path, text)
    for what, check in (
        ("aliases", follow_aliases),
        ("folders", check_folders),
        ("chain", check_chain),
        ("digests", compare),
        ("ledger", check_ledger),
        ("strays", check_unnamed),
    ):
        run.guarded(what, "", partial(check, run))
    if run.level is Level.DEEP:
        run.guarded("messages", "", partial(check_messages, run, hashing))


def _find_root(run: Run) -> None:
    """Where archive.json is; "" for ``metadata_file`` if a damaged container hides it.

    Raises:
        NotAnArchive, Unfinished: it is nowhere.
    """
    listing, tree = run.listing, run.tree
    if tree.kind == "directory":
        run.journal = (tree.path / PRIVATE_DIR / _JOURNAL).exists()
    elif inside := descend(listing):
        run.prefix = f"{inside}/"
        run.report.add("Z-020", inside)
    for name in METADATA_FILES:
        if listing.file(name) is not None:
            run.metadata_file = name
            return
    run.metadata_file = ""
    path = tree.path
    if (path / PRIVATE_DIR).is_dir() if tree.kind == "directory" else is_unfinished(listing):
        raise Unfinished(
            f"the archive at {path} is unfinished: an export was interrupted",
            hint="run the same export again; it goes on where it stopped",
        )
    if run.report.ok:
        raise NotAnArchive(
            f"there is no archive at {path}: it has no {METADATA_FILES[0]}",
            hint=f"name the directory or container that holds {METADATA_FILES[0]} at its root",
        )


def _streams(run: Run, linked: Callable[[str], bool]) -> Iterator[tuple[str, Stream]]:
    """The members of a tree that is read in one pass, below the archive's root.

    ``linked``: of which paths hard links are members like others.
    """
    cut = len(run.prefix)

    def wanted(name: str) -> bool:
        return name.startswith(run.prefix) and linked(name[cut:])

    for name, stream in run.tree.stream(wanted):
        if name.startswith(run.prefix):
            yield name[cut:], stream


def _read_metadata(run: Run) -> None:
    path = run.metadata_file
    if run.tree.random_access:
        file = run.listing.file(path)
        with closing(
            run.tree.open(run.prefix + path, file.place if file is not None else None)
        ) as stream:
            _take_metadata(run, stream)
        return
    # the loop must still stand at the member while that is read
    for name, stream in _streams(run, path.__eq__):
        if name == path:
            found = run.listing.file(path)
            if found is not None and found.alias:
                run.report.add("Z-018", path)
            _take_metadata(run, stream)
            return
    raise BadMemberError("F-012", "it is a hard link to nothing that is here")


def _take_metadata(run: Run, stream: Stream) -> None:
    path = run.metadata_file
    hashed = _Hashed(stream)
    document = Document(hashed, run.limits, run.teller(path))
    value = document.whole()
    hashed.drain()
    run.report.fingerprint = hashed.hexdigest()
    if not document.broken:
        check_metadata(run, value)


def _read_documents(run: Run, hashing: Hashing, meter: Meter) -> None:
    """Every document; in a tree that is read in one pass, everything else too."""
    if run.tree.random_access:
        for path, file in _in_order(run.listing):
            if _is_document(run, path):
                run.guarded(path, path, partial(_open_document, run, path, file, meter))
                meter.add(run.level is not Level.DEEP, 0)  # else it is counted when it is hashed
        return
    deep = run.level is Level.DEEP
    for path, stream in _streams(run, partial(_is_document, run)):
        found = run.listing.file(path)
        if found is None:
            continue
        if found.alias:
            run.report.add("Z-018", path)
            run.guarded(path, path, partial(_read_document, run, path, stream))
        elif _is_document(run, path):
            hashed = _Hashed(Metered(stream, meter))
            run.guarded(path, path, partial(_read_document, run, path, hashed))
            run.guarded(path, path, hashed.drain)
            meter.add(1, 0)
            if deep:
                found.sha256 = hashed.digest()
        elif deep:
            hashing.one(path, found, stream)
        else:
            meter.add(1, found.size)


def _in_order(listing: Listing) -> Iterator[tuple[str, File]]:
    """The manifests before the rest, the rest in the order of paths."""
    for name in (MANIFEST_FILE, DIGESTS_FILE):
        file = listing.file(name)
        if file is not None:
            yield name, file
    for path, file in listing.files():
        if path not in {MANIFEST_FILE, DIGESTS_FILE}:
            yield path, file


def _kind(path: str) -> str | None:
    """Which reader a document has, by its path; None for what is no document."""
    if path in {MANIFEST_FILE, DIGESTS_FILE}:
        return path
    top, name = path.partition("/")[0], path.rpartition("/")[2]
    if name == FOLDER_FILE and top not in WITHOUT_DOCUMENTS and not is_junk(top):
        return FOLDER_FILE
    return "object" if is_document(path) else None


def _is_document(run: Run, path: str) -> bool:
    """Whether a file is read as a document at this level."""
    kind = _kind(path) if path != run.metadata_file else None
    return kind is not None and (kind != DIGESTS_FILE or run.level >= Level.STRUCTURE)


def _open_document(run: Run, path: str, file: File, meter: Meter) -> None:
    try:
        stream = Metered(run.tree.open(run.prefix + path, file.place), meter)
    except OSError:
        _without_folder(run, path)
        raise
    with closing(stream):
        _read_document(run, path, stream)


def _without_folder(run: Run, path: str) -> None:
    """A folder.json that cannot be had would name the files beside it."""
    directory, _, name = path.rpartition("/")
    if name == FOLDER_FILE:
        run.folders.setdefault(directory, FolderFacts(directory, {})).broken = True


def _read_document(run: Run, path: str, stream: Stream) -> None:
    try:
        _take_document(run, path, stream)
    except (BadMemberError, OSError):
        _without_folder(run, path)
        raise


def _take_document(run: Run, path: str, stream: Stream) -> None:
    kind = _kind(path)
    if kind == MANIFEST_FILE:
        read_manifest(run, stream)
    elif kind == DIGESTS_FILE:
        read_digests(run, stream)
    elif kind == FOLDER_FILE:
        check_folder(run, path.rpartition("/")[0], stream)
    else:
        check_object(run, path, stream)


class _Hashed:
    """A stream that is hashed as it is read."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._hash = hashlib.sha256()
        self.digest = self._hash.digest
        self.hexdigest = self._hash.hexdigest

    def read(self, size: int, /) -> bytes:
        octets = self._stream.read(size)
        self._hash.update(octets)
        return octets

    def drain(self) -> None:
        """Read what nobody read, so that the digest is of the whole.

        Raises:
            BadMemberError, OSError: it cannot be had.
        """
        while self.read(_PIECE):
            pass

    def close(self) -> None:
        self._stream.close()
