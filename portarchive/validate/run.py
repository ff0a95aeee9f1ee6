"""One validation in progress: what the checks share, and the guard around each of them."""

from __future__ import annotations

import os
import sys
from array import array
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, NamedTuple

from portarchive.archive.dialect import CURRENT
from portarchive.archive.tree import INDEX_DIR, PRIVATE_DIR, BadMemberError, Limits, Tree
from portarchive.archive.tree_listing import Listing
from portarchive.validate.ijson_places import Defect
from portarchive.validate.report import Report, Row
from portarchive.validate.verdict import SOUND, Verdict

MAIL = "mail"
FOLDER_FILE = "folder.json"
MANIFEST_FILE = "manifest.json"
DIGESTS_FILE = "manifest-sha256.txt"
JUNK = frozenset({".DS_Store", "Thumbs.db", "desktop.ini", "__MACOSX"})
_APPLE_DOUBLE = "._"
"""Begins the name of the file in which macOS keeps what another file system has no place for."""


def is_junk(name: str) -> bool:
    """Whether a file of this name is a desktop's, and no part of an archive."""
    return name in JUNK or name.startswith(_APPLE_DOUBLE)


def in_junk(directory: str) -> bool:
    """Whether a directory is a desktop's, or lies in one of these."""
    return not JUNK.isdisjoint(directory.split("/"))


class Level(IntEnum):
    """How far to look; each includes those before it."""

    SCHEMA = 1
    STRUCTURE = 2
    DEEP = 3


@dataclass(slots=True)
class FolderFacts:
    """What a folder.json says, as far as others have to know.

    Attributes:
        directory: where it lies (``mail/INBOX``).
        header: its members that are small.
        items, kept, placeholders: how many entries.
        broken: it could not be read to its end.
        uids: of ``items``, in a partial archive and in a base: uid → (filename, what the entry
            says, so that equal entries give equal numbers).
        decimal: the decimal uids of ``items``, in order.
        removed: of a partial archive: (index, uid).
    """

    directory: str
    header: dict[str, Any]
    items: int = 0
    kept: int = 0
    placeholders: int = 0
    broken: bool = False
    uids: dict[str, tuple[str, int]] = field(default_factory=dict)
    decimal: array[int] = field(default_factory=lambda: array("Q"))
    removed: list[tuple[int, str]] = field(default_factory=list)

    @property
    def path(self) -> str:
        """Below ``mail/``."""
        return self.directory.partition("/")[2]

    @property
    def file(self) -> str:
        """The folder.json itself; that of the root lies in no directory."""
        return f"{self.directory}/{FOLDER_FILE}" if self.directory else FOLDER_FILE

    @property
    def is_mail(self) -> bool:
        """Whether it is a folder of mail."""
        return self.directory.startswith(f"{MAIL}/")

    @property
    def uid(self) -> str | None:
        """Its uid, if that is a string that says something."""
        value = self.header.get("uid")
        return value if isinstance(value, str) and value else None


class BlobLink(NamedTuple):
    """What a Link with a blobId says.

    Attributes:
        pointer: JSON pointer of the Link.
        blob: its blobId.
        rel: "" for none.
        size: None for none.
    """

    pointer: str
    blob: str
    rel: str
    size: int | None


@dataclass(slots=True)
class ObjectFacts:
    """What a contact, event, … says, as far as others have to know.

    Attributes:
        path: its file.
        type: its @type.
        uid, id: as they stand; "" for none.
        references: (member, uid named) of all that it refers to.
        links: those with a blobId.
        recurs: of an event: whether it has recurrence rules.
        recurrence, start: its recurrenceId and start, "" for none.
        sure: it says itself what it is; otherwise it may be somebody's attachment.
    """

    path: str
    type: str
    uid: str
    id: str
    references: list[tuple[str, str]] = field(default_factory=list)
    links: list[BlobLink] = field(default_factory=list)
    recurs: bool = False
    recurrence: str = ""
    start: str = ""
    sure: bool = True


@dataclass(slots=True)
class Run:
    """What the checks share.

    Attributes:
        prefix: the directory of the container that is the archive's root, with "/", or "".
        metadata: archive.json, {} if it cannot be read.
        metadata_file: which file that is.
        manifest: manifest.json; None if there is none that can be read.
        ledger: the directories of the folders that manifest.json has.
        private: directories at the root that are no part of the archive.
        journal: an export is, or was, going on in this directory.
        held: (path, findings, how many more of a code) of files that may be attachments and not
            the documents that they were taken for: to be told when blobIds are known.
        held_rows: how many findings of each code that are.
        without_folder: directories of which P-006 was told; so is every file in them.
        with_base: whether there is a base to compare with.
        explained: values whose violations were told as fully as can be.
        verdicts: of archive.json and manifest.json, by path.
        digest_lines: lines of manifest-sha256.txt, None if it was not read.
        unread: (code, path) of the files that could not be had, so that each is told once.
    """

    tree: Tree
    listing: Listing
    limits: Limits
    level: Level
    report: Report
    prefix: str = ""
    dialect: str = CURRENT
    metadata: dict[str, Any] = field(default_factory=dict)
    metadata_file: str = "archive.json"
    partial: bool = False
    manifest: dict[str, Any] | None = None
    ledger: frozenset[str] = frozenset()
    digest_lines: int | None = None
    private: frozenset[str] = frozenset({INDEX_DIR, PRIVATE_DIR})
    journal: bool = False
    folders: dict[str, FolderFacts] = field(default_factory=dict)
    objects: list[ObjectFacts] = field(default_factory=list)
    held: list[tuple[str, tuple[Row, ...], tuple[tuple[str, int], ...]]] = field(
        default_factory=list
    )
    held_rows: Counter[str] = field(default_factory=Counter)
    without_folder: set[str] = field(default_factory=set)
    with_base: bool = False
    explained: int = 0
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    unread: set[tuple[str, str]] = field(default_factory=set)

    def section(self, name: str) -> dict[str, Any]:
        """A section of archive.json, {} if it is none."""
        value = self.metadata.get(name)
        return value if isinstance(value, dict) else {}

    def verdict(self, path: str) -> Verdict:
        """What the schema said of archive.json or manifest.json."""
        return self.verdicts.get(path, SOUND)

    def teller(self, path: str) -> Callable[[Defect], None]:
        """What a document of this path tells its defects to."""

        def tell(defect: Defect) -> None:
            self.report.add(defect.code, path, defect.pointer, defect.text)

        return tell

    def guarded(self, what: str, path: str, step: Callable[[], None]) -> None:
        """Do one step; whatever goes wrong in it is a finding, never silence.

        A file that cannot be had is the archive's fault, anything else is ours (F-001).
        """
        try:
            step()
        except BadMemberError as error:
            # a container that breaks off is told once, not once a pass
            if path or not self.report.counts[error.code]:
                self.tell_unread(error.code, path, error.text)
        except OSError as error:
            why = os.strerror(error.errno) if error.errno else "I/O error"
            self.tell_unread("M-026", path, f"it cannot be read: {why}")
        except Exception as error:  # noqa: BLE001 - a check must not take the others with it
            self.report.add("F-001", path, "", f"{what}: {where(error)}")

    def tell_unread(self, code: str, path: str, text: str) -> None:
        """A file that could not be had; a document is read once more when it is hashed."""
        if (code, path) not in self.unread:
            self.unread.add((code, path))
            self.report.add(code, path, "", text)


def where(error: BaseException) -> str:
    """The kind of an exception and the line it came from, without its text: that may be mail."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return type(error).__name__
    code = trace.tb_frame.f_code
    name = os.path.basename(code.co_filename)  # noqa: PTH119 - a name of a module, not a file
    return f"{type(error).__name__} at {name}:{trace.tb_lineno}, Python {sys.version.split()[0]}"
