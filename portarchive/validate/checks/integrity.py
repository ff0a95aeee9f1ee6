"""The chain archive.json → manifest.json → manifest-sha256.txt → files, link by link."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from typing import Any

from portarchive import schema
from portarchive.archive.tree import Stream, unsafe_name
from portarchive.archive.tree_listing import File
from portarchive.validate.checks.secrets import check_secrets
from portarchive.validate.ijson import Document
from portarchive.validate.run import DIGESTS_FILE, MAIL, MANIFEST_FILE, Level, Run
from portarchive.validate.schema_check import whole
from portarchive.validate.verdict import judge

_LINE = re.compile(rb"(\\?)([0-9A-Fa-f]{64}) [ *](.+)", re.DOTALL)
_LONGEST = 1 << 16
_PIECE = 1 << 20
_MANY = 4


def read_manifest(run: Run, stream: Stream) -> None:
    """manifest.json, if it is ours: its schema; it stays in the run for the ledger."""
    # large where very much failed; all of it is needed for the ledger
    limits = dataclasses.replace(run.limits, nodes=_MANY * run.limits.nodes)
    document = Document(stream, limits, run.teller(MANIFEST_FILE), run.limits.value)
    value = document.whole()
    if document.broken:
        return
    link = run.section("archive").get("portarchive:manifest")
    ours = isinstance(value, dict) and str(value.get("$schema", "")).startswith("urn:portarchive:")
    if link is None and not ours:  # another program's file of that name
        check_secrets(run, MANIFEST_FILE, "", value)
        return
    check = whole("manifest", schema.OWN)
    run.verdicts[MANIFEST_FILE] = judge(run, check, value, MANIFEST_FILE, lambda _: "M-004")
    if isinstance(value, dict):
        run.manifest = value
        folders = value.get("folders")
        paths = [
            one.get("path")
            for one in (folders if isinstance(folders, list) else ())
            if isinstance(one, dict)
        ]
        run.ledger = frozenset(f"{MAIL}/{path}" for path in paths if isinstance(path, str))


def read_digests(run: Run, stream: Stream) -> None:
    """manifest-sha256.txt: each digest goes to the file that it is of."""
    report, listing = run.report, run.listing
    count = 0
    odd = ""
    for number, line in enumerate(_lines(stream), 1):
        count = number
        if line.endswith(b"\r"):  # in a path it would be escaped
            line = line[:-1]  # noqa: PLW2901 - the line without its whole end
            odd = odd or f"{number}:1"
        found = _LINE.fullmatch(line)
        if found is None:
            report.add("M-006", DIGESTS_FILE, f"{number}:1")
            continue
        raw = found[3]
        if found[1]:  # as sha256sum escapes them
            raw = raw.replace(rb"\n", b"\n").replace(rb"\r", b"\r").replace(rb"\\", b"\\")
        if raw.startswith(b"./"):  # of ``find . -type f``
            raw = raw[2:]
            odd = odd or f"{number}:67"
        name = raw.decode("utf-8", "surrogateescape")
        if unsafe_name(name) is not None:
            report.add("M-007", DIGESTS_FILE, f"{number}:67", f"{name[:120]!a}")
            continue
        top = name.partition("/")[0]
        if top in run.private or name in {
            run.metadata_file,
            MANIFEST_FILE,
            DIGESTS_FILE,
        }:
            report.add("M-016", DIGESTS_FILE, f"{number}:67", name)
            if top in run.private:
                continue
        file = listing.file(name)
        if file is None:
            report.add("M-008", name)
        elif file.expected is not None:
            report.add("M-014", DIGESTS_FILE, f"{number}:67", name)
        else:
            file.expected = bytes.fromhex(found[2].decode())
    run.digest_lines = count
    if odd:
        report.add("M-029", DIGESTS_FILE, odd)


def _lines(stream: Stream) -> Iterator[bytes]:
    """Lines without their ends; one without end is cut where nothing sensible is left."""
    rest = b""
    while octets := stream.read(_PIECE):
        lines = (rest + octets).split(b"\n")
        rest = lines.pop()
        yield from lines
        if len(rest) > _LONGEST:
            yield rest
            return
    if rest:
        yield rest


def check_chain(run: Run) -> None:
    """The links that are not lines of manifest-sha256.txt."""
    listing, report = run.listing, run.report
    link = run.section("archive").get("portarchive:manifest")
    manifest = run.manifest
    pointer = "/archive/portarchive:manifest"
    of_metadata, of_manifest = run.verdict(run.metadata_file), run.verdict(MANIFEST_FILE)
    if link is None and manifest is None:
        has = listing.file(DIGESTS_FILE) is not None
        if pointer not in of_metadata.condemned:
            report.add("M-017" if has else "M-001", DIGESTS_FILE if has else "")
        return
    known = run.metadata_file in run.verdicts  # else it could not be read, which is told
    if known and not of_metadata.has(pointer):
        if link is None:
            report.add("M-030", MANIFEST_FILE)
        elif not _follow(run, run.metadata_file, pointer, link, MANIFEST_FILE):
            return
    if manifest is None:
        return
    told, own = manifest.get("archive_id"), run.section("archive").get("id")
    told_already = not known or of_manifest.has("/archive_id") or of_metadata.has("/archive/id")
    if isinstance(told, str) and told != own and not told_already:
        report.add("M-005", MANIFEST_FILE, "/archive_id")
    files = manifest.get("files")
    if files is None or not _follow(run, MANIFEST_FILE, "/files", files, DIGESTS_FILE):
        return
    count = files.get("count")
    if of_manifest.has("/files/count"):
        return
    if type(count) is int and run.digest_lines not in {None, count}:
        text = f"{run.digest_lines:,} lines, manifest.json says {count:,}"
        report.add("M-015", DIGESTS_FILE, "", text)


def _follow(run: Run, holder: str, pointer: str, link: Any, wanted: str) -> bool:
    """One link; whether the file that it names is here."""
    report, verdict = run.report, run.verdict(holder)
    lacking = pointer in verdict.incomplete
    if verdict.has(f"{pointer}/path") or (lacking and "path" not in link):
        return False  # it is told
    if not isinstance(link, dict) or link.get("path") != wanted:
        report.add("M-004", holder, pointer, f"it does not name {wanted}")
        return False
    file = run.listing.file(wanted)
    if file is None:
        report.add("M-002", wanted, "", f"{holder} names it")
        return False
    size, digest = link.get("bytes"), link.get("sha256")
    if type(size) is int and size != file.size and not verdict.has(f"{pointer}/bytes"):
        text = f"{holder} says {size:,} octets, it has {file.size:,}"
        report.add("M-003", wanted, "", text)
    elif (
        file.sha256 is not None
        and not verdict.has(f"{pointer}/sha256")
        and not (lacking and digest is None)
        and (not isinstance(digest, str) or digest.lower() != file.sha256.hex())
    ):
        report.add("M-003", wanted, "", f"its SHA-256 is not the one that {holder} has")
    return True


def compare(run: Run) -> None:
    """What was hashed against what is claimed for it, of every file."""
    if run.level < Level.DEEP:
        return
    report = run.report
    for directory, files in run.listing.directories.items():
        for name, file in files.items():
            found = file.sha256
            if found is None:
                continue
            wrong = file.expected is not None and file.expected != found
            if wrong or (file.claim is not None and file.claim != found):
                path = f"{directory}/{name}" if directory else name
                report.add("M-009" if wrong else "M-019", path)


def follow_aliases(run: Run) -> None:
    """Hard links of a tar have the octets of the member that they name."""
    for path, file in run.listing.files():
        if file.alias:
            target: File | None = run.listing.file(file.alias)
            if target is None:
                run.report.add("F-012", path, "", "it is a hard link to nothing that is here")
            else:
                file.sha256, file.size = target.sha256, target.size
