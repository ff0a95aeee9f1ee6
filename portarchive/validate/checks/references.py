"""What objects mean to each other: equal uids, references, attachments (draft §6.2, §6.3.7)."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any

from portarchive.validate.run import ObjectFacts, Run

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_URN = "urn:uuid:"
_TWICE = {"Card": "P-017b", "AddressBook": "P-020b", "Calendar": "P-021b"}
_TARGETS = {
    "addressBookIds": ("AddressBook", "P-018"),
    "calendarIds": ("Calendar", "P-027"),
    "members": ("Card", "P-019"),
    "relatedTo": ("Card", "P-019"),
}
_MANY = 3


def plain_uid(uid: str) -> str:
    """A uid as it is compared: a UUID bare and in lower case, anything else as it stands."""
    bare = uid[len(_URN) :] if uid[: len(_URN)].lower() == _URN else uid
    return bare.lower() if _UUID.fullmatch(bare) else uid


def check_references(run: Run) -> None:
    """All objects of the archive among each other."""
    _check_twins(run)
    known: dict[str, dict[str, str]] = defaultdict(dict)
    ids: dict[str, set[str]] = defaultdict(set)
    for one in run.objects:
        known[one.type].setdefault(plain_uid(one.uid), one.uid)
        if one.id:
            ids[one.type].add(one.id)
    for one in run.objects:
        for member, uid in one.references:
            target, code = _TARGETS[member]
            spelt = known[target].get(plain_uid(uid))
            pointer = f"/{member}/{uid.replace('~', '~0').replace('/', '~1')}"
            if spelt is None:
                code = "C-053" if uid in ids[target] else code
                run.report.add(code, one.path, pointer)
            elif spelt != uid:
                run.report.add("C-057", one.path, pointer, f"it is spelt {spelt[:80]!a} there")
    _check_blobs(run)


def _check_twins(run: Run) -> None:
    by_key: dict[tuple[str, str], list[ObjectFacts]] = defaultdict(list)
    types: dict[str, ObjectFacts] = {}
    for one in run.objects:
        if not one.uid:
            continue
        by_key[one.type, plain_uid(one.uid)].append(one)
        first = types.setdefault(plain_uid(one.uid), one)
        if first.type != one.type:
            text = f"the {first.type} in {first.path!a} has it too"
            run.report.add("C-058", one.path, "/uid", text)
    for (kind, _), same in by_key.items():
        if len(same) == 1:
            continue
        if kind == "Event" and len({one.recurrence for one in same}) == len(same):
            if len(same) >= _MANY and not any(one.recurs for one in same):
                run.report.add("P-025", same[0].path, "/uid", f"{len(same):,} events")
            continue
        for one in same[1:]:
            text = f"the same as in {same[0].path!a}"
            run.report.add(_TWICE.get(kind, "P-004"), one.path, "/uid", text)


def _check_blobs(run: Run) -> None:
    wanted: dict[str, list[tuple[ObjectFacts, str, dict[str, Any]]]] = defaultdict(list)
    for one in run.objects:
        for pointer, link in one.links:
            blob = link.get("blobId")
            if isinstance(blob, str) and blob not in {"", ".", ".."} and "/" not in blob:
                wanted[blob].append((one, pointer, link))
    found: dict[str, list[str]] = defaultdict(list)
    if wanted:
        for directory, files in run.listing.directories.items():
            for name in wanted.keys() & files.keys():
                found[name].append(f"{directory}/{name}" if directory else name)
    for blob, uses in wanted.items():
        paths = sorted(found[blob])
        if len(paths) > 1:
            run.report.add("P-032", paths[1], "", f"also {paths[0]!a}")
        for one, pointer, link in uses:
            if not paths:
                code = "P-035" if link.get("rel") == "enclosure" else "P-036"
                run.report.add(code, one.path, f"{pointer}/blobId", f"no file {blob[:80]!a}")
                continue
            file = run.listing.file(paths[0])
            size = link.get("size")
            if file is not None and type(size) is int and size != file.size:
                text = f"it says {size:,} octets, the file has {file.size:,}"
                run.report.add("P-035b", one.path, f"{pointer}/size", text)
    for path, defects in run.failed_documents:
        if path.rpartition("/")[2] not in wanted:
            tell = run.teller(path)
            for defect in defects:
                tell(defect)
    run.failed_documents.clear()
