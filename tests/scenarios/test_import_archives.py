"""What is imported: read and never touched, in any container, by any generator."""

from __future__ import annotations

import io
import json
import os
import struct
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from holding import Goal
from replaying import Letter, bring, made_archive, moment, run

from closed import closed, open_place
from servers.daemon import Account

CORPUS = Path(__file__).parents[1] / "corpus"


def mail(number: int) -> bytes:
    return b"Message-ID: <%d@example.org>\r\nSubject: %d\r\n\r\nx\r\n" % (number, number)


def stamp(root: Path) -> dict[str, tuple[object, ...]]:
    return {
        str(path.relative_to(root)): (
            path.read_bytes() if path.is_file() else None,
            path.stat().st_mtime_ns,
            path.stat().st_mode,
        )
        for path in [root, *root.rglob("*")]
    }


def test_an_archive_is_only_read(
    goals: Callable[[str], Goal], mailbox: Account, root: Path, tmp_path: Path
) -> None:
    """Our own and another generator's: on a read-only medium, as nobody in particular."""
    mailbox.append_many("INBOX", [(mail(n), ("\\Seen",), None) for n in range(20)])
    own = root.parent / "own"
    url = f"{mailbox.url(tls=False)}?tls=none"
    assert run("export", url, own, "--no-fsync", state=None).code == 0
    made_archive(root, {"INBOX": [Letter(mail(n)) for n in range(20)]})
    for archive in (own, root):
        goal = goals("dovecot")
        bring(archive, goal, "--dry-run", state=tmp_path / "state")  # loads what is loaded late
        with open_place() as place:
            for path in [*archive.rglob("*"), archive]:
                path.chmod(0o555 if path.is_dir() else 0o444)
            archive.parent.chmod(0o555)
            before = stamp(archive)
            with closed():
                report = bring(archive, goal, state=place / "state")
                assert report["totals"]["placed"] == 20
                assert bring(archive, goal, state=place / "state")["totals"]["placed"] == 0
            assert stamp(archive) == before
            archive.parent.chmod(0o755)
        for path in [archive, *archive.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)


@pytest.mark.parametrize("kind", ["zip", "pdpa", "tar", "tar.gz"])
def test_containers(root: Path, goals: Callable[[str], Goal], tmp_path: Path, kind: str) -> None:
    letters = made_archive(
        root, {"INBOX": [Letter(mail(n), (), moment(n)) for n in range(20)], "A/B": [Letter(b"x")]}
    )
    packed = tmp_path / f"archive.{kind}"
    if kind in {"zip", "pdpa"}:
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as container:
            for path in sorted(root.rglob("*")):
                container.write(path, path.relative_to(root))
    else:
        with tarfile.open(packed, f"w:{kind[4:]}") as container:
            container.add(root, ".")
    before = packed.read_bytes()
    goal = goals("maildir")
    report = bring(packed, goal, state=tmp_path / "state")
    assert report["totals"]["placed"] == len(letters)
    assert goal.octets() == Counter(
        letter.octets.replace(b"\r\n", b"\n") for letter in letters.values()
    )
    assert packed.read_bytes() == before
    assert bring(packed, goal, state=None)["totals"]["placed"] == 0


def corpus_archives() -> Iterator[Path]:
    """Everything that ``validate`` accepts: the good ones, and those with mere warnings."""
    for expected in sorted(CORPUS.glob("*/*/*/expected.json")):
        if expected.parts[-4] in {"good", "warn"}:
            told = json.loads(expected.read_text())
            if not told.get("unreadable") and not told.get("limits"):
                yield expected.parent / told["archive"]


def test_every_archive_that_validate_accepts(goals: Callable[[str], Goal], tmp_path: Path) -> None:
    """Anybody's, in every dialect and container: as many messages as it has."""
    with_mail = 0
    for archive in corpus_archives():
        files = contained(archive)
        items = wanted(files)
        goal = goals("maildir")
        said = run("import", archive, goal.url, "--json", "--no-fsync", state=None)
        assert said.code in {0, 3}, (archive, said.err)
        totals = said.report["totals"]
        assert totals["messages"] == len(items), (archive, totals)
        there = [name for name in items if name in files]
        assert totals["placed"] == len(there), (archive, totals, said.report["folders"])
        assert said.code == (0 if len(there) == len(items) else 3), archive
        assert sum(goal.octets().values()) == len(there), archive
        with_mail += bool(there)
    assert with_mail > 50


def contained(archive: Path) -> dict[str, bytes]:
    """The files of an archive by path, whatever it is in."""
    if archive.is_dir():
        files = {
            str(p.relative_to(archive)): p.read_bytes() for p in archive.rglob("*") if p.is_file()
        }
    elif archive.suffix in {".zip", ".pdpa"}:
        files = zipped(archive)
    else:
        octets = archive.read_bytes()
        if archive.suffix == ".zst":
            from backports import zstd  # as the program has it on older Pythons

            octets = zstd.decompress(octets)
        files = {}
        with tarfile.open(fileobj=io.BytesIO(octets)) as tar:
            for member in tar:
                if (file := tar.extractfile(member)) is not None:
                    files[member.name.removeprefix("./")] = file.read()
    root = min((name for name in files if name.endswith(("archive.json", "index.json"))), key=len)
    cut = len(root) - len(root.rpartition("/")[2])
    return {name[cut:]: octets for name, octets in files.items()}


def zipped(archive: Path) -> dict[str, bytes]:
    """The files of a ZIP; one after another where ``zipfile`` knows its directory not (signed)."""
    try:
        with zipfile.ZipFile(archive) as opened:
            return {name: opened.read(name) for name in opened.namelist()}
    except zipfile.BadZipFile:
        octets = archive.read_bytes()
    files: dict[str, bytes] = {}
    at = 0
    while octets[at : at + 4] == b"PK\3\4":
        method, packed, named, extra = struct.unpack_from("<8xH8xI4xHH", octets, at)
        start = at + 30 + named + extra
        name = octets[at + 30 : at + 30 + named].decode()
        at = start + packed
        files[name] = zlib.decompress(octets[start:at], -15) if method else octets[start:at]
    assert files, archive
    return files


def wanted(files: dict[str, bytes]) -> list[str]:
    """The paths of all messages that an archive calls items."""
    found = []
    for name, octets in files.items():
        if name.startswith("mail/") and name.endswith("folder.json"):
            folder = json.loads(octets)
            if folder.get("deleted_at"):
                continue
            items = folder.get("items") or []
            for uid in folder.get("uids") or {} if not items else ():
                items.append(
                    {"filename": folder["uids"][uid] if isinstance(folder["uids"], dict) else uid}
                )
            for item in items:
                path = os.path.normpath(f"{Path(name).parent}/{item['filename']}")
                found.append(path)
    return found
