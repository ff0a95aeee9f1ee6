"""The reader: an archive on disk, looked at. Writes nothing, locks nothing.

Reads the directory form. What it promises is what the chain of digests promises; judging an
archive clause by clause is the validator's business.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from portarchive.archive import lock, model
from portarchive.archive.digests import file_sha256, read_lines
from portarchive.archive.folder_file import FolderFile
from portarchive.archive.layout import Layout
from portarchive.archive.lock import writer_of
from portarchive.archive.manifest import Published, load_published
from portarchive.archive.naming import check_relative, resolve_item
from portarchive.errors import Damaged, DigestMismatch, NotAnArchive, Unfinished, UnsafePath


@dataclass(frozen=True, slots=True)
class FolderEntry:
    """One folder of an archive.

    Attributes:
        path: POSIX, below ``mail/``.
        names: the mailbox's own names from the root.
        header: folder.json without its lists.
    """

    path: str
    names: tuple[str, ...]
    header: dict[str, Any]
    _file: FolderFile

    def items(self) -> Iterator[dict[str, Any]]:
        """The messages, streaming."""
        return self._file.entries("items")

    def kept(self) -> Iterator[dict[str, Any]]:
        """What the source no longer has."""
        return self._file.entries(model.KEPT)

    def placeholders(self) -> Iterator[dict[str, Any]]:
        """What a provider gave in place of messages."""
        return self._file.entries(model.PLACEHOLDER)

    def file_of(self, entry: dict[str, Any]) -> str:
        """Where the octets of an entry lie, relative to the archive's root.

        Raises:
            UnsafePath: its ``filename`` leads out of ``mail/``.
        """
        return resolve_item(f"{model.MAIL}/{self.path}", str(entry.get("filename", "")))


class ArchiveReader:
    """An archive, opened for reading. Use ``open``.

    Attributes:
        root: its directory.
        archive: archive.json.
        manifest: manifest.json, None in an archive that has none.
        fingerprint: SHA-256 of archive.json in hex.
    """

    def __init__(self, root: Path, published: Published) -> None:
        self.root = root
        self.archive = published.archive
        self.manifest = published.manifest
        self.fingerprint = published.fingerprint

    @classmethod
    def open(cls, root: Path) -> ArchiveReader:
        """Open a directory.

        Raises:
            NotAnArchive: there is none.
            Unfinished: an export was interrupted here, or is at work.
            Damaged: a document does not parse or the chain does not hold.
        """
        if not root.exists():
            raise NotAnArchive(f"there is nothing at {root}")
        if not root.is_dir():
            raise NotAnArchive(
                f"{root} is not a directory",
                hint="this version reads archives that are directories; unpack it first",
            )
        published = load_published(root)
        if published is None:
            # A commit may have been under way between two looks.
            published = load_published(root)
        if published is None:
            if (root / model.PRIVATE_DIR).is_dir():
                writer = writer_of(root / model.PRIVATE_DIR / lock.NAME)
                if writer is not None:
                    raise Unfinished(
                        f"an export into {root} is at work, and there is nothing to be read yet: "
                        f"{writer}",
                        hint="wait until it has ended",
                        code="being-written",
                    )
                raise Unfinished(
                    f"the archive at {root} is unfinished: an export was interrupted",
                    hint="run the same export again; it goes on where it stopped",
                )
            raise NotAnArchive(
                f"there is no archive at {root}: it has no {model.ARCHIVE_FILE}",
                hint=f"name the directory that holds {model.ARCHIVE_FILE}",
            )
        return cls(root, published)

    def unchanged(self) -> bool:
        """Whether archive.json is still the one that was opened (nobody published meanwhile)."""
        try:
            return file_sha256(self.root / model.ARCHIVE_FILE)[0] == self.fingerprint
        except FileNotFoundError:
            return False

    def folders(self) -> list[FolderEntry]:
        """Every folder, by path."""
        layout = Layout(self.root)
        names = layout.names()
        return [
            FolderEntry(path, names.get(path, tuple(path.split("/"))), file.header, file)
            for path, file in sorted(layout.published.items(), key=lambda pair: pair[0].encode())
        ]

    def check_digests(self) -> Iterator[tuple[str, int, ArchiveProblem | None]]:
        """Read every file that manifest-sha256.txt names and compare.

        Yields:
            (path, octets, None) for each file that is what it claims, else the problem.
        """
        for digest, name in read_lines(self.root / model.DIGESTS_FILE):
            try:
                path = self.root.joinpath(*check_relative(name))
                if path.is_symlink():
                    raise UnsafePath(f"{name} is a link")  # noqa: TRY301 - one way out
                found, size = file_sha256(path)
            except (UnsafePath, Damaged) as error:
                yield name, 0, error
            except OSError as error:
                yield name, 0, Damaged(f"{name} cannot be read: {os.strerror(error.errno or 0)}")
            else:
                wrong = DigestMismatch(f"{name} is not what its digest says")
                yield name, size, None if found == digest else wrong


ArchiveProblem = Damaged | UnsafePath
