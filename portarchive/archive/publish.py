"""The commit: how staged files become the archive, and how an interrupted commit is finished.

The order is the contract (docs/adr/0006):

1. every staged file and a redo record are written and synced,
2. an existing archive.json moves to ``.portarchive/archive.json.prev``: from here the tree is
   *unfinished* for everybody,
3. the staged files are renamed to their places, folder.json files of renamed mailboxes go,
4. every touched directory is synced,
5. the new archive.json is renamed in,
6. only now the files of dropped items are unlinked,
7. journal, old archive.json and redo record are removed.

Whoever opens the archive for writing finds the redo record and goes on where the last one stopped.
Each step can be done twice.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from portarchive.archive import ijson, journal, model
from portarchive.archive.durable import DIRECTORY_MODE, Durability, make_directories
from portarchive.archive.naming import check_relative
from portarchive.errors import Damaged

STAGED = "staged"
REDO = "redo.json"
PREVIOUS = model.ARCHIVE_FILE + ".prev"


@dataclass(slots=True)
class Staging:
    """What is to be published: staged files with their places, and files to be dropped after."""

    private: Path
    renames: list[tuple[str, str]] = field(default_factory=list)
    drops: list[str] = field(default_factory=list)

    def place(self, final: str) -> Path:
        """A staged file for a place in the archive (POSIX, relative to its root)."""
        directory = self.private / STAGED
        if not self.renames:
            shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir(DIRECTORY_MODE, exist_ok=True)
        name = f"{len(self.renames):06d}"
        self.renames.append((name, final))
        return directory / name

    def withdraw(self) -> None:
        """The file staged last is not to be published after all."""
        name, _ = self.renames.pop()
        (self.private / STAGED / name).unlink()


def publish(
    root: Path,
    staging: Staging,
    archive_json: bytes,
    durability: Durability,
    before_cleanup: Callable[[], None] | None = None,
) -> str:
    """Commit.

    Args:
        root: of the archive.
        staging: everything but archive.json, written and closed.
        archive_json: the new commit point.
        durability: syncs or not.
        before_cleanup: called when the new state is published and the journal still there.

    Returns:
        The fingerprint: SHA-256 of archive.json.
    """
    fingerprint = hashlib.sha256(archive_json).hexdigest()
    staged = staging.private / STAGED
    durability.write(staged / model.ARCHIVE_FILE, archive_json)
    durability.files(root, [staged / name for name, _ in staging.renames])
    durability.directory(staged)
    redo = {
        "redo": 1,
        "archive": fingerprint,
        "renames": staging.renames,
        "drops": staging.drops,
    }
    durability.replace(staging.private / REDO, model.dumps(redo).encode())
    _carry_out(root, redo, durability, before_cleanup)
    return fingerprint


def discard(root: Path) -> None:
    """Remove what was staged and journaled and is not to be published."""
    private = root / model.PRIVATE_DIR
    for name in (journal.NAME, REDO + ".new"):
        (private / name).unlink(missing_ok=True)
    shutil.rmtree(private / STAGED, ignore_errors=True)


def finish_interrupted(
    root: Path, durability: Durability, before_cleanup: Callable[[], None] | None = None
) -> bool:
    """Finish a commit that was interrupted. Needs the writer's lock.

    ``before_cleanup``: as in ``publish``.

    Returns:
        Whether there was one.

    Raises:
        Damaged: the redo record is not ours, or what it needs is gone.
    """
    private = root / model.PRIVATE_DIR
    if (private / REDO).exists():
        redo = ijson.load_object(private / REDO, f"{model.PRIVATE_DIR}/{REDO}")
        _check(redo)
        _carry_out(root, redo, durability, before_cleanup)
        return True
    if (private / PREVIOUS).exists() and not (root / model.ARCHIVE_FILE).exists():
        # No order of ours leaves this; a person may have removed the redo record.
        (private / PREVIOUS).rename(root / model.ARCHIVE_FILE)
        durability.directory(root)
    return False


def _check(redo: dict[str, Any]) -> None:
    try:
        for staged, final in redo["renames"]:
            if not staged.isdecimal():
                raise ValueError(staged)  # noqa: TRY301 - one way out for everything malformed
            check_relative(final)
        for name in redo["drops"]:
            check_relative(name)
        int(redo["archive"], 16)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise Damaged("the redo record of the interrupted commit is not ours") from None


def _carry_out(
    root: Path,
    redo: dict[str, Any],
    durability: Durability,
    before_cleanup: Callable[[], None] | None,
) -> None:
    private = root / model.PRIVATE_DIR
    staged = private / STAGED
    commit_point = root / model.ARCHIVE_FILE
    if not _is(commit_point, redo["archive"]):
        if commit_point.exists():
            commit_point.rename(private / PREVIOUS)
            durability.directory(private)
            durability.directory(root)
        touched = {root}
        for name, final in redo["renames"]:
            place = root / final
            source = staged / name
            if source.exists():
                touched.update(make_directories(place.parent, root))
                source.rename(place)
            elif not place.exists():
                raise Damaged(
                    f"the interrupted commit cannot be finished: {final} is gone",
                    hint="export into a new directory; this one is left as it is",
                )
            touched.add(place.parent)
        for name in redo["drops"]:
            if name.endswith(f"/{model.FOLDER_FILE}"):  # no reader is to find a folder twice
                with contextlib.suppress(FileNotFoundError):
                    (root / name).unlink()
                    touched.add((root / name).parent)
        durability.files(root, sorted(touched))
        try:
            (staged / model.ARCHIVE_FILE).rename(commit_point)
        except FileNotFoundError:
            raise Damaged(
                "the interrupted commit cannot be finished: its archive.json is gone",
                hint="export into a new directory; this one is left as it is",
            ) from None
        durability.directory(root)
    dropped_in: set[Path] = set()
    for name in redo["drops"]:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(root / name)  # noqa: PTH108 - a hundred thousand of them
        dropped_in.add((root / name).parent)
    for directory in sorted(dropped_in, key=lambda path: -len(path.parts)):
        if directory == root / model.MAIL:
            continue
        with contextlib.suppress(OSError):  # not empty, or gone: it stays as it is
            directory.rmdir()
            dropped_in.add(directory.parent)
    for directory in sorted(dropped_in):
        if directory.is_dir():
            durability.directory(directory)
    if before_cleanup is not None:
        before_cleanup()
    for name in (journal.NAME, PREVIOUS, REDO):
        (private / name).unlink(missing_ok=True)
    shutil.rmtree(staged, ignore_errors=True)
    durability.directory(private)


def _is(path: Path, fingerprint: str) -> bool:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == fingerprint
    except FileNotFoundError:
        return False
