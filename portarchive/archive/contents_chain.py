"""The chain archive.json → manifest.json → manifest-sha256.txt → every folder.json, in any store.

Followed in archives that have one; in all others there is nothing to follow. Messages are not
looked at: each has its own digest, compared when it is read.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from contextlib import closing
from typing import Any, Final

from portarchive.archive import model
from portarchive.archive.contents_error import reading, shown
from portarchive.archive.contents_json import Document
from portarchive.archive.contents_store import Store
from portarchive.archive.naming import check_relative
from portarchive.archive.tree import Limits
from portarchive.errors import Damaged

_HEX: Final = 64
_CHUNK: Final = 1 << 20
_ENDING: Final = f"/{model.FOLDER_FILE}".encode()


def parse(octets: bytes, name: str, limits: Limits) -> Any:
    """A whole document that is in memory.

    Raises:
        Damaged: it is no I-JSON, or over a limit.
    """
    return Document(io.BytesIO(octets), name, limits).whole()


def follow_chain(store: Store, metadata: dict[str, Any], limits: Limits) -> dict[str, Any] | None:
    """Compare every link with what is there.

    Returns:
        manifest.json; None in an archive without a chain.

    Raises:
        Damaged: a link does not hold, or a document does not parse.
    """
    about = metadata.get("archive")
    link = about.get(model.MANIFEST) if isinstance(about, dict) else None
    if link is None:
        return None
    name, digest, size = _link(link, store.metadata_file)
    octets = _there(store, name, limits)
    if len(octets) != size or hashlib.sha256(octets).hexdigest() != digest:
        raise _broken(name, store.metadata_file)
    manifest = parse(octets, name, limits)
    if not isinstance(manifest, dict):
        raise Damaged(f"{name} is not a JSON object", code="not-json")
    named = _follow_digests(store, manifest)
    for directory in store.folder_files:
        if f"{directory}/{model.FOLDER_FILE}" not in named:
            raise Damaged(
                f"{shown(directory)}/{model.FOLDER_FILE} is in no manifest: "
                "it was put there by something else",
                hint="remove it, or get the archive back from a copy",
                code="chain-broken",
            )
    return manifest


def _follow_digests(store: Store, manifest: dict[str, Any]) -> set[str]:
    name, digest, size = _link(manifest.get("files"), model.MANIFEST_FILE)
    hashed = hashlib.sha256()
    found = 0
    expected: dict[str, str] = {}
    for octets in _chunks(store, name):
        hashed.update(octets)
        found += len(octets)
        for line in octets.split(b"\n"):
            if line.endswith(_ENDING):
                text = line.decode("utf-8", "replace")
                expected[text[_HEX + 2 :]] = text[:_HEX]
    if found != size or hashed.hexdigest() != digest:
        raise _broken(name, model.MANIFEST_FILE)
    for path, claimed in expected.items():
        check_relative(path)
        hashed = hashlib.sha256()
        for octets in _chunks(store, path):
            hashed.update(octets)
        if hashed.hexdigest() != claimed.lower():
            raise _broken(path, name)
    return expected.keys() | set()


def _chunks(store: Store, name: str) -> Iterator[bytes]:
    """The octets of a file, each piece but the last ending with a line if lines are short."""
    if store.size(name) is None:
        raise _missing(name)
    held = b""
    with closing(store.open(name)) as stream, reading(name):
        while octets := stream.read(_CHUNK):
            cut = octets.rfind(b"\n") + 1
            if cut:
                yield held + octets[:cut]
                held = octets[cut:]
            elif len(held) < _CHUNK:
                held += octets
            else:
                yield held
                held = octets
    if held:
        yield held


def _there(store: Store, name: str, limits: Limits) -> bytes:
    if store.size(name) is None:
        raise _missing(name)
    return store.read(name, limits.document)


def _link(link: Any, holder: str) -> tuple[str, str, int]:
    try:
        name, digest, size = str(link["path"]), str(link["sha256"]), int(link["bytes"])
    except (KeyError, TypeError, ValueError, OverflowError):
        raise Damaged(f"{holder} does not say where the chain goes on") from None
    if name not in {model.MANIFEST_FILE, model.DIGESTS_FILE}:
        raise Damaged(f"{holder} names a manifest that is none of an archive's files")
    return name, digest, size


def _missing(name: str) -> Damaged:
    return Damaged(
        f"{shown(name)} is missing: the archive is damaged",
        hint="get this file back from a copy, or export into a new directory",
        code="chain-broken",
    )


def _broken(name: str, holder: str) -> Damaged:
    return Damaged(
        f"{shown(name)} is not the one that {holder} names: the archive is damaged or half updated",
        hint="if a program is writing it now, try again when that has ended; "
        "else get this file back from a copy",
        code="chain-broken",
    )
