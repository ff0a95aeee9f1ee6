"""The chain archive.json → manifest.json → manifest-sha256.txt, read and checked.

The SHA-256 of archive.json is the archive's fingerprint; a torn or edited archive shows by a link
that does not hold.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from portarchive.archive import ijson, model
from portarchive.archive.digests import file_sha256
from portarchive.archive.naming import check_relative
from portarchive.archive.regular import open_regular, read_regular
from portarchive.errors import Damaged

_HEX = 64
_LISTS: Final = ("skipped", "failed", "notes")
_MEMBERS: Final[dict[str, type]] = {
    "listed": int, "archived": int, "vanished": dict, "state": dict, "error": dict,
    "skipped": list, "failed": list, "notes": list,
}  # fmt: skip
"""Of a folder's entry, as far as later runs build on them."""


@dataclass(frozen=True, slots=True)
class Published:
    """What an archive says of itself.

    Attributes:
        archive: archive.json.
        manifest: manifest.json; None in an archive that has none (another program's).
        fingerprint: SHA-256 of archive.json in hex.
    """

    archive: dict[str, Any]
    manifest: dict[str, Any] | None
    fingerprint: str

    def ledger(self) -> dict[str, dict[str, Any]]:
        """The manifest's folder entries by path.

        Raises:
            Damaged: one is not as they are written here (format.md §6); nothing is built on it.
        """
        entries = (self.manifest or {}).get("folders", [])
        if not isinstance(entries, list):
            raise _odd()
        found = [entry for entry in entries if isinstance(entry, dict)]
        for entry in found:
            _check_entry(entry)
        return {entry["path"]: entry for entry in found}


def load_published(root: Path) -> Published | None:
    """Read archive.json and follow the chain, down to every folder.json.

    Returns:
        None if there is no archive.json.

    Raises:
        Damaged: a document does not parse, or a link of the chain does not hold.
        OSError: a file cannot be read.
    """
    path = root / model.ARCHIVE_FILE
    try:
        octets = read_regular(path, model.ARCHIVE_FILE)
    except FileNotFoundError:
        return None
    document = ijson.parse(octets, model.ARCHIVE_FILE)
    if not isinstance(document, dict) or not isinstance(document.get("archive"), dict):
        raise Damaged(f"{model.ARCHIVE_FILE} has no 'archive' section")
    fingerprint = hashlib.sha256(octets).hexdigest()
    link = document["archive"].get(model.MANIFEST)
    if link is None:
        return Published(document, None, fingerprint)
    manifest = ijson.parse(_linked(root, link, model.ARCHIVE_FILE), model.MANIFEST_FILE)
    if not isinstance(manifest, dict):
        raise Damaged(f"{model.MANIFEST_FILE} is not a JSON object")
    check_link(root, manifest.get("files"), model.MANIFEST_FILE)
    _check_folder_files(root)
    return Published(document, manifest, fingerprint)


def _check_entry(entry: dict[str, Any]) -> None:
    for member, kind in _MEMBERS.items():
        if not isinstance(entry.get(member, kind()), kind):
            raise _odd()
    if not isinstance(entry.get("path"), str):
        raise _odd()
    parts = [part for member in _LISTS for part in entry.get(member, ())]
    if not all(isinstance(part, dict) for part in parts):
        raise _odd()
    counted = [*parts, entry.get("vanished", {})]
    if not all(isinstance(part.get("count", 0), int) for part in counted):
        raise _odd()
    if not all("count" in part for part in entry.get("skipped", ())):
        raise _odd()


def _odd() -> Damaged:
    return Damaged(
        f"{model.MANIFEST_FILE} does not account for folders as archives of ours do",
        hint="get this file back from a copy, or export into a new directory",
    )


def _place(root: Path, link: Any, holder: str) -> tuple[Path, str, int]:
    try:
        name, digest, size = str(link["path"]), str(link["sha256"]), int(link["bytes"])
    except (KeyError, TypeError, ValueError):
        raise Damaged(f"{holder} does not say where the chain goes on") from None
    if name not in {model.MANIFEST_FILE, model.DIGESTS_FILE}:
        raise Damaged(f"{holder} names a manifest that is none of an archive's files")
    return root / name, digest, size


def _linked(root: Path, link: Any, holder: str) -> bytes:
    path, digest, size = _place(root, link, holder)
    try:
        octets = read_regular(path, path.name)
    except FileNotFoundError:
        raise _missing(path.name) from None
    if len(octets) != size or hashlib.sha256(octets).hexdigest() != digest:
        raise _broken(path.name, holder)
    return octets


def check_link(root: Path, link: Any, holder: str) -> None:
    """Compare one file with what the file before it in the chain says.

    Raises:
        Damaged: it is missing or another one.
    """
    path, digest, size = _place(root, link, holder)
    try:
        found = file_sha256(path)
    except FileNotFoundError:
        raise _missing(path.name) from None
    if found != (digest, size):
        raise _broken(path.name, holder)


def _check_folder_files(root: Path) -> None:
    """Compare every folder.json with its line: what stands there is what an update builds on.

    Raises:
        Damaged: one is missing, another one, or named nowhere.
    """
    named: set[str] = set()
    ending = f"/{model.FOLDER_FILE}\n".encode()
    with open_regular(root / model.DIGESTS_FILE, model.DIGESTS_FILE) as file:
        text = file.read()
    at = text.find(ending)
    while at >= 0:
        start = text.rfind(b"\n", 0, at) + 1
        line = text[start : at + len(ending) - 1].decode("utf-8", "replace")
        digest, name = line[:_HEX], line[_HEX + 2 :]
        try:
            found, _ = file_sha256(root.joinpath(*check_relative(name)))
        except FileNotFoundError:
            raise _missing(name) from None
        if found != digest:
            raise _broken(name, model.DIGESTS_FILE)
        named.add(name)
        at = text.find(ending, at + len(ending))
    for path in folder_files(root):
        if path not in named:
            raise Damaged(
                f"{path} is in no manifest: it was put there by something else",
                hint="remove it, or get the archive back from a copy",
                code="chain-broken",
            )


def folder_files(root: Path) -> Iterator[str]:
    """The folder.json files that lie under ``mail/``, relative to the root."""
    stack = [model.MAIL]
    while stack:
        here = stack.pop()
        try:
            entries = os.scandir(root / here)
        except FileNotFoundError:
            return
        with entries:
            for entry in entries:
                if entry.name == model.FOLDER_FILE:
                    yield f"{here}/{entry.name}"
                elif may_be_folder(entry.name) and entry.is_dir(follow_symlinks=False):
                    stack.append(f"{here}/{entry.name}")


def may_be_folder(name: str) -> bool:
    """Spares a look at each of a hundred thousand messages.

    No directory of ours is called ``….eml`` unless its first character is encoded.
    """
    return not name.endswith(".eml") or name.startswith("%")


def _missing(name: str) -> Damaged:
    return Damaged(
        f"{name} is missing: the archive is damaged",
        hint="get this file back from a copy, or export into a new directory",
        code="chain-broken",
    )


def _broken(name: str, holder: str) -> Damaged:
    return Damaged(
        f"{name} is not the one that {holder} names: the archive is damaged or half updated",
        hint="if a program is writing it now, try again when that has ended; "
        "else get this file back from a copy",
        code="chain-broken",
    )


def manifest_text(manifest: dict[str, Any]) -> bytes:
    """manifest.json as it is written: folder entries one a line."""
    head = {name: value for name, value in manifest.items() if name not in {"folders", "complete"}}
    lines = ",\n".join(model.dumps(entry) for entry in manifest["folders"])
    opened = "\n" if lines else ""
    text = (
        f'{model.dumps(head)[:-1]},"folders":[\n{lines}{opened}],'
        f'"complete":{model.dumps(manifest["complete"])}}}\n'
    )
    return text.encode()
