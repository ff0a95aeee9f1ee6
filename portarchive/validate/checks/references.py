"""What objects mean to each other: equal uids, references, attachments (draft §6.2, §6.3.7)."""

from __future__ import annotations

import re
from collections import defaultdict

from portarchive.validate.checks.objects import tell
from portarchive.validate.run import MAIL, BlobLink, Level, ObjectFacts, Run

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_URN = "urn:uuid:"
_TWICE = {"Card": "P-017b", "AddressBook": "P-020b", "Calendar": "P-021b"}
_TARGETS = {
    "addressBookIds": ("AddressBook", "P-018"),
    "calendarIds": ("Calendar", "P-027"),
    "members": ("Card", "P-019b"),
    "relatedTo": ("Card", "P-019"),
}
_MANY = 3


def plain_uid(uid: str) -> str:
    """A uid as it is compared: a UUID bare and in lower case, anything else as it stands."""
    bare = uid[len(_URN) :] if uid[: len(_URN)].lower() == _URN else uid
    return bare.lower() if _UUID.fullmatch(bare) else uid


def check_references(run: Run) -> None:
    """All objects of the archive among each other."""
    wanted = {
        link.blob
        for one in run.objects
        for link in one.links
        # what names itself is nobody's attachment for that
        if one.sure or link.blob != one.path.rpartition("/")[2]
    }
    _tell_held(run, wanted)
    run.objects = [one for one in run.objects if one.sure or not _is_blob(one.path, wanted)]
    if run.level < Level.STRUCTURE:
        return
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
        if kind == "Event" and _are_instances(same):
            if len(same) >= _MANY and not any(one.recurs for one in same):
                run.report.add("P-025", same[0].path, "/uid", f"{len(same):,} events")
            continue
        for one in same[1:]:
            text = f"the same as in {same[0].path!a}"
            run.report.add(_TWICE.get(kind, "P-004"), one.path, "/uid", text)


def _are_instances(same: list[ObjectFacts]) -> bool:
    """Whether events of one uid are one event's instances, and not copies of it.

    An instance has a recurrenceId of its own (RFC 8984 §4.3.1), and one of them is the event
    itself. Many without it that begin at different times were written out one by one (P-025).
    """
    instances = [one.recurrence for one in same if one.recurrence]
    rest = [one.start for one in same if not one.recurrence]
    if len(set(instances)) != len(instances):
        return False
    return len(rest) <= 1 or (len(rest) >= _MANY and len(set(rest)) == len(rest))


def _is_blob(path: str, wanted: set[str]) -> bool:
    return path.rpartition("/")[2] in wanted


def _tell_held(run: Run, wanted: set[str]) -> None:
    for path, rows, more in run.held:
        if not _is_blob(path, wanted):
            but = "F-036" if _is_stray(run, path) else ""
            tell(
                run,
                path,
                (row for row in rows if row[0] != but),
                (one for one in more if one[0] != but),
            )
    run.held.clear()


def _is_stray(run: Run, path: str) -> bool:
    """Whether it lies among messages and no item names it, which is told apart."""
    file = run.listing.file(path)
    return path.startswith(f"{MAIL}/") and (file is None or not file.named)


def _check_blobs(run: Run) -> None:
    wanted: dict[str, list[tuple[ObjectFacts, BlobLink]]] = defaultdict(list)
    for one in run.objects:
        for link in one.links:
            if link.blob not in {"", ".", ".."} and "/" not in link.blob:
                wanted[link.blob].append((one, link))
    found: dict[str, list[str]] = defaultdict(list)
    if wanted:
        for directory, files in run.listing.directories.items():
            for name in wanted.keys() & files.keys():
                found[name].append(f"{directory}/{name}" if directory else name)
                files[name].attached = True
    for blob, uses in wanted.items():
        paths = sorted(found[blob])
        if len(paths) > 1:
            run.report.add("P-032", paths[1], "", f"also {paths[0]!a}")
        for one, link in uses:
            if not paths:
                code = "P-035" if link.rel == "enclosure" else "P-036"
                run.report.add(code, one.path, f"{link.pointer}/blobId", f"no file {blob[:80]!a}")
                continue
            file = run.listing.file(paths[0])
            if file is not None and link.size is not None and link.size != file.size:
                text = f"it says {link.size:,} octets, the file has {file.size:,}"
                run.report.add("P-035b", one.path, f"{link.pointer}/size", text)
