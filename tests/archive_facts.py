"""What an archive on disk says, read without the program under test, and what must always hold.

Nothing of ``portarchive`` is imported here: the chain, the digests, the items and the ledger are
read with ``json`` and ``hashlib`` alone.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import posixpath
import shutil
import stat
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

PRIVATE = ".portarchive"
ROOT_FILES = {"archive.json", "manifest.json", "manifest-sha256.txt"}
P = "portarchive:"
KEPT, PLACEHOLDER, SIZE, SHA256, RECEIVED = (
    P + name for name in ("kept", "placeholder", "size", "sha256", "received_at")
)


class Item(NamedTuple):
    """What makes a message in a folder: not where its octets lie."""

    uid: str
    flags: tuple[str, ...]
    received: str | None
    sha256: str


@dataclass(slots=True)
class Facts:
    """An archive in short. All by path below ``mail/``."""

    items: dict[str, list[Item]] = field(default_factory=dict)
    kept: dict[str, list[Item]] = field(default_factory=dict)
    placeholders: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    headers: dict[str, dict[str, Any]] = field(default_factory=dict)
    manifest: dict[str, Any] = field(default_factory=dict)
    archive: dict[str, Any] = field(default_factory=dict)
    fingerprint: str = ""

    def ledger(self, path: str) -> dict[str, Any]:
        (entry,) = [entry for entry in self.manifest["folders"] if entry["path"] == path]
        return entry

    def what(self) -> tuple[Any, ...]:
        """All that two archives of the same mailbox must have in common."""
        return self.items, self.kept, self.placeholders, self.headers


def sha256(octets: bytes) -> str:
    return hashlib.sha256(octets).hexdigest()


def strict(octets: bytes) -> Any:
    """JSON without a name that occurs twice."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len(dict(pairs)) == len(pairs), pairs
        return dict(pairs)

    return json.loads(octets.decode("utf-8"), object_pairs_hook=unique)


def files(root: Path, *, private: bool = False) -> dict[str, str]:
    """The digest of every file by POSIX path; without ``.portarchive/``."""
    found = {}
    for here, directories, names in os.walk(root):
        if Path(here) == root and not private:
            directories[:] = [name for name in directories if name != PRIVATE]
        for name in names:
            path = Path(here, name)
            found[path.relative_to(root).as_posix()] = sha256(path.read_bytes())
    return found


def messages(root: Path) -> dict[str, str]:
    """The digest of every ``.eml``."""
    return {path: digest for path, digest in files(root).items() if path.endswith(".eml")}


def digests(root: Path) -> dict[str, str]:
    """manifest-sha256.txt, each path once."""
    found: dict[str, str] = {}
    for line in (root / "manifest-sha256.txt").read_text("utf-8").splitlines():
        digest, path = line[:64], line[66:]
        assert line[64:66] == "  ", line
        assert path not in found, f"{path} has two lines"
        found[path] = digest
    return found


def folder_json(root: Path, path: str) -> dict[str, Any]:
    return strict((root / "mail" / path / "folder.json").read_bytes())


def read(root: Path) -> Facts:
    """The facts; digests are compared by ``check``."""
    facts = Facts()
    octets = (root / "archive.json").read_bytes()
    facts.fingerprint = sha256(octets)
    facts.archive = strict(octets)
    facts.manifest = strict((root / "manifest.json").read_bytes())
    for file in sorted((root / "mail").rglob("folder.json")):
        path = file.parent.relative_to(root / "mail").as_posix()
        document = strict(file.read_bytes())
        facts.items[path] = [_item(entry) for entry in document.pop("items")]
        facts.kept[path] = [_item(entry) for entry in document.pop(KEPT, [])]
        facts.placeholders[path] = [
            (entry["uid"], entry[SHA256]) for entry in document.pop(PLACEHOLDER, [])
        ]
        facts.headers[path] = document
    return facts


def _item(entry: dict[str, Any]) -> Item:
    assert isinstance(entry["flags"], list)
    return Item(entry["uid"], tuple(entry["flags"]), entry.get(RECEIVED), entry[SHA256])


def check_chain(root: Path) -> None:
    """archive.json, manifest.json, manifest-sha256.txt and every file that it names."""
    archive = strict((root / "archive.json").read_bytes())
    manifest = _link(root, archive["archive"][P + "manifest"], "manifest.json")
    digests_file = _link(root, strict(manifest)["files"], "manifest-sha256.txt")
    assert strict(manifest)["files"]["count"] == digests_file.count(b"\n")
    assert strict(manifest)["archive_id"] == archive["archive"]["id"]
    for path, digest in digests(root).items():
        assert sha256((root / path).read_bytes()) == digest, path


def _link(root: Path, link: dict[str, Any], name: str) -> bytes:
    assert link["path"] == name
    octets = (root / name).read_bytes()
    assert (link["sha256"], link["bytes"]) == (sha256(octets), len(octets)), name
    return octets


def check(root: Path) -> Facts:
    """Everything that holds for an archive after a run that ended. Returns its facts."""
    check_chain(root)
    facts = read(root)
    there = files(root)
    assert set(digests(root)) == {
        path for path in there if path not in ROOT_FILES and not path.startswith("index/")
    }, "manifest-sha256.txt names every file and no other"
    assert [path.name for path in (root / PRIVATE).iterdir()] == ["lock"], (
        "nothing is left in .portarchive"
    )
    named: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for path in facts.items:
        _check_folder(root, path, named)
    for here, directories, names in os.walk(root / "mail"):
        assert "folder.json" in names or Path(here) == root / "mail", f"{here} has no folder.json"
        del directories
    stray = [path for path in there if path.endswith(".eml") and path not in named]
    assert not stray, stray
    _check_modes(root)
    _check_dates(root, named)
    _check_ledger(facts)
    return facts


def _check_folder(root: Path, path: str, named: dict[str, list[dict[str, Any]]]) -> None:
    document = folder_json(root, path)
    assert document["$schema"] == "https://id.schemas.pub/o/DTI/PDPArchive/folder"
    items = document["items"]
    uids = [entry["uid"] for entry in items]
    assert len(set(uids)) == len(uids), f"{path}: a uid twice"
    if all(uid.isdecimal() for uid in uids):
        assert [int(uid) for uid in uids] == sorted(int(uid) for uid in uids), path
    own: set[str] = set()
    for member in ("items", KEPT, PLACEHOLDER):
        for entry in document.get(member, []):
            place = posixpath.normpath(f"mail/{path}/{entry['filename']}")
            assert place not in own, f"{place} serves two entries of one folder"
            own.add(place)
            octets = (root / place).read_bytes()
            assert (entry[SIZE], entry[SHA256]) == (len(octets), sha256(octets)), place
            named[place].append(entry)
            assert ("expunged_at" in entry) == (member == KEPT)
            assert "\\Recent" not in entry.get("flags", ())


def _check_modes(root: Path) -> None:
    for here, directories, names in os.walk(root):
        for name in directories:
            assert stat.S_IMODE(Path(here, name).stat().st_mode) == 0o700, name
        for name in names:
            assert stat.S_IMODE(Path(here, name).stat().st_mode) == 0o600, name


def _check_dates(root: Path, named: dict[str, list[dict[str, Any]]]) -> None:
    """mtime is the received date; of a file with several names or items the earliest."""
    dates: dict[tuple[int, int], list[float]] = defaultdict(list)
    for path, entries in named.items():
        about = (root / path).stat()
        for entry in entries:
            if RECEIVED in entry:
                when = datetime.fromisoformat(entry[RECEIVED]).timestamp()
                dates[about.st_ino, int(about.st_mtime)].append(when)
    for (inode, mtime), found in dates.items():
        assert mtime <= min(found), f"mtime of inode {inode}"
        assert any(number == inode for number, _ in dates)
    for path, entries in named.items():
        about = (root / path).stat()
        if about.st_nlink == 1 and len(entries) == 1 and RECEIVED in entries[0]:
            when = datetime.fromisoformat(entries[0][RECEIVED]).timestamp()
            assert int(about.st_mtime) == int(when), path


def _check_ledger(facts: Facts) -> None:
    complete = True
    for entry in facts.manifest["folders"]:
        if "error" in entry or "held" in entry:
            complete = False
            continue
        skipped = sum(part["count"] for part in entry["skipped"])
        vanished = entry["vanished"]["count"]
        failed = sum(part.get("count", 1) for part in entry["failed"])
        assert entry["listed"] == entry["archived"] + skipped + vanished + failed, entry
        assert entry["archived"] == len(facts.items[entry["path"]]), entry
        complete = complete and not failed
    assert facts.manifest["complete"] == complete


def copy(root: Path, to: Path) -> None:
    """A copy in which hard links are hard links, with all times."""
    seen: dict[int, Path] = {}

    def one(source: str, target: str) -> str:
        number = Path(source).stat().st_ino
        if number in seen:
            os.link(seen[number], target)
        else:
            shutil.copy2(source, target)
            seen[number] = Path(target)
        return target

    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(to)
    shutil.copytree(root, to, copy_function=one)
