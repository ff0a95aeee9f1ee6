"""The chain archive.json → manifest.json → manifest-sha256.txt, read and checked.

The SHA-256 of archive.json is the archive's fingerprint; a torn or edited archive shows by a link
that does not hold.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from portarchive.archive import ijson, model
from portarchive.archive.digests import file_sha256
from portarchive.errors import Damaged


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
        """The manifest's folder entries by path."""
        entries = (self.manifest or {}).get("folders", [])
        return {entry["path"]: entry for entry in entries if isinstance(entry, dict)}


def load_published(root: Path, *, check_digests_file: bool = True) -> Published | None:
    """Read archive.json and follow the chain.

    Returns:
        None if there is no archive.json.

    Raises:
        Damaged: a document does not parse, or a link of the chain does not hold.
        OSError: a file cannot be read.
    """
    path = root / model.ARCHIVE_FILE
    try:
        octets = path.read_bytes()
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
    if check_digests_file:
        check_link(root, manifest.get("files"), model.MANIFEST_FILE)
    return Published(document, manifest, fingerprint)


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
        octets = path.read_bytes()
    except FileNotFoundError:
        raise Damaged(f"{path.name} is missing") from None
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
        raise Damaged(f"{path.name} is missing") from None
    if found != (digest, size):
        raise _broken(path.name, holder)


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
