"""folder.json: its header, and the folders of an archive among each other (draft §6.3.1)."""

from __future__ import annotations

from functools import cache
from typing import Any

from portarchive import schema
from portarchive.archive import dialect
from portarchive.archive.tree import Stream
from portarchive.validate.checks.flags import is_flag
from portarchive.validate.checks.items import Items
from portarchive.validate.checks.mailbox_names import is_full_name
from portarchive.validate.checks.metadata import check_schema_member, schema_of, tell_misspelt
from portarchive.validate.checks.secrets import check_secrets
from portarchive.validate.ijson import Document, Entry, Member
from portarchive.validate.ijson_places import escape
from portarchive.validate.run import (
    MAIL,
    FolderFacts,
    Level,
    Run,
)
from portarchive.validate.schema_check import SchemaCheck, Violation, entries, members
from portarchive.validate.verdict import SOUND, Verdict, judge

_MANY_MEMBERS = 1000
_PLAIN = frozenset({"uids", "flags", "modseqs", "removed", "allowed_keywords"})
"""Members of many values, none of which is a credential."""
_MANY_ROLES = 20
_LONGEST = 4096
KEPT_MEMBERS = frozenset(
    {"uid", "name", "original_name", "special_use", "uidvalidity", "deleted_at"}
    | {"portarchive:noselect", "portarchive:gone_at", "portarchive:role", "portarchive:raw_name"}
)
"""What is needed of a folder when all were read."""

_KEPT = "portarchive:kept"
_PLACEHOLDER = "portarchive:placeholder"
LISTS = ("items", _KEPT, _PLACEHOLDER)
# RFC 6154, RFC 8457, RFC 9979 (written with a backslash all the same).
_USES = frozenset(
    "\\" + word
    for word in (
        *("all", "archive", "drafts", "flagged", "junk", "sent", "trash", "important"),
        *("snoozed", "scheduled", "memos"),
    )
)
_ID = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")
_IMAP_MEMBERS = {"last_uid": "P-007", "uidvalidity": "P-008", "is_subscribed": "P-009"}
_OF_MEMBER = {
    "last_uid": "P-007c",
    "uidvalidity": "P-008b",
    "is_subscribed": "P-009b",
    "items": "P-010",
    "name": "C-020",
}
_GONE_AT = "portarchive:gone_at"
_LAST_UID = 2**32 - 1


def check_folder(run: Run, directory: str, stream: Stream) -> None:
    """One folder.json, its entries included."""
    facts = FolderFacts(directory, {})
    run.folders[directory] = facts
    path = facts.file
    known = _members_read(run.dialect)
    document = Document(stream, run.limits, run.teller(path))
    number = len(run.folders)
    lists: dict[str, Items] = {}
    header: dict[str, Any] = {}
    try:
        for part in document.parts(LISTS):
            if isinstance(part, Entry):
                lists[part.list_name].entry(part.value)
            elif isinstance(part, Member):
                if part.name not in _PLAIN:
                    check_secrets(run, path, "", {part.name: part.value})
                # what nobody knows may be large, and its name is all that is looked at
                if part.name in known or len(header) < _MANY_MEMBERS:
                    header[part.name] = part.value if part.name in known else None
            elif part.list_name not in lists:
                check = _entry_check(part.list_name, run.dialect)
                lists[part.list_name] = Items(run, facts, part.list_name, number, check)
    finally:
        facts.broken = document.broken
    if not document.is_object:
        if not document.broken:
            run.report.add("F-031", path, "", "it must be an object")
        facts.broken = True
        return
    maps = dialect.has_maps(header, has_items="items" in lists)
    shape = "happel-01" if maps and not run.dialect.startswith("happel") else run.dialect
    verdict = SOUND
    if not facts.broken:
        value = header | {member: [] for member in lists}
        verdict = _check_schema(run, path, header, value, shape)
    if maps:
        items = lists["items"] = Items(run, facts, "uids", number, None)
        for item in dialect.items_of_maps(header):
            items.entry(_sound(item, verdict), item["uid"])
        if not run.dialect.startswith("happel"):
            run.report.add("F-071", path)
    for items in lists.values():
        items.finish()
    values = _sound_members(header, verdict)
    facts.header = {name: small(values[name]) for name in KEPT_MEMBERS & values.keys()}
    facts.items = lists["items"].count if "items" in lists else 0
    facts.kept = lists[_KEPT].count if _KEPT in lists else 0
    facts.placeholders = lists[_PLACEHOLDER].count if _PLACEHOLDER in lists else 0
    if run.level >= Level.STRUCTURE:
        missing = [member for member in _IMAP_MEMBERS if member not in header]
        _check_header(run, facts, path, values, missing, lists.get("items"))
        if not header.get("uid") and not verdict.has("/uid"):
            _tell_no_uid(run, facts)
        _let_go(run, facts)
        relics = [] if maps or "items" not in lists else dialect.relic_maps(header)
        if relics:
            run.report.add("C-031", path, f"/{relics[0]}")


def _sound(item: dict[str, Any], verdict: Verdict) -> dict[str, Any]:
    """An item that the maps of an older dialect make, without what their schema has condemned."""
    if verdict is SOUND:
        return item
    key = escape(item["uid"])
    if verdict.has(f"/uids/{key}"):
        item = {name: item[name] for name in item if name != "filename"}
    return item | {"flags": []} if verdict.touches(f"/flags/{key}") else item


def _sound_members(header: dict[str, Any], verdict: Verdict) -> dict[str, Any]:
    """The members that mean something: those that the schema lets pass."""
    if verdict is SOUND:
        return header
    return {
        name: value
        for name, value in header.items()
        # that it is there says enough
        if name == _GONE_AT or not verdict.has(f"/{escape(name)}")
    }


@cache
def _members_read(of_dialect: str) -> frozenset[str]:
    """The members of a folder.json whose values are looked at."""
    of_schemas = {*members("folder", of_dialect), *members("folder", schema.CURRENT)}
    return frozenset(of_schemas | set(members("folder", "happel-01")) | KEPT_MEMBERS)


def small(value: Any) -> Any:
    """A value of the header that stays in memory with those of all other folders."""
    if isinstance(value, str):
        return value[:_LONGEST]
    if isinstance(value, list):
        return [one[:_LONGEST] for one in value[:_MANY_ROLES] if isinstance(one, str)]
    return None if isinstance(value, dict) else value


def _let_go(run: Run, facts: FolderFacts) -> None:
    """What only one folder.json needed, or only a comparison that will not be made."""
    if not run.partial:
        facts.removed = []
    if not (run.partial and run.with_base):
        facts.uids = {}


def _entry_check(member: str, of_dialect: str) -> SchemaCheck | None:
    try:
        found = entries("folder", of_dialect, member)
    except LookupError:
        found = None
    return found or entries("folder", schema.CURRENT, member)


def _check_schema(
    run: Run, path: str, header: dict[str, Any], value: dict[str, Any], shape: str
) -> Verdict:
    verdict = judge(run, schema_of("folder", shape), value, path, _code)
    check_schema_member(run, path, header, "folder")
    tell_misspelt(run, path, "", header, members("folder", shape))
    return verdict


def _code(violation: Violation) -> str:
    if violation.missing in _IMAP_MEMBERS and not violation.place:  # of the happel dialects
        return _IMAP_MEMBERS[violation.missing]
    member = violation.missing or (violation.place[0] if violation.place else "")
    return _OF_MEMBER.get(str(member), "F-031")


def _check_header(
    run: Run,
    facts: FolderFacts,
    path: str,
    header: dict[str, Any],
    missing: list[str],
    items: Items | None,
) -> None:
    add = run.report.add
    if not facts.is_mail:
        top = facts.directory.partition("/")[0]
        if top in {"contacts", "calendars"}:
            add("F-040", path)
        elif facts.directory != MAIL:
            add("C-040", path)
    else:
        _check_imap(run, facts, path, header, missing, items)
        _check_uid(run, facts, path, header)
    if items is not None:
        last = header.get("last_uid")
        if isinstance(last, str) and last.isdecimal():
            last = int(last[:20])
        if isinstance(last, int) and last < items.highest:
            add("P-007b", path, "/last_uid", f"it is {last}, and an item has uid {items.highest}")
    _check_use(run, path, header)
    _check_keywords(run, path, header)
    _check_changes(run, facts, path, header)
    if header.get("sort_order") == 0:
        add("C-029", path, "/sort_order")
    if header.get("highest_modseq") == 0:
        add("C-030", path, "/highest_modseq")
    name = header.get("name")
    own = header.get("original_name", name)
    last_part = facts.directory.rpartition("/")[2]
    if isinstance(name, str) and "/" in name and facts.is_mail:
        add("C-037", path, "/name")
    elif (
        isinstance(own, str)
        and "original_name" not in header
        and "portarchive:raw_name" not in header
        and own != last_part
        and facts.is_mail
    ):
        add("F-055", path, "/name")


def _check_imap(
    run: Run,
    facts: FolderFacts,
    path: str,
    header: dict[str, Any],
    missing: list[str],
    items: Items | None,
) -> None:
    """Members that IMAP has (P-007 … P-009): missing they are a warning or a note."""
    if not missing or facts.broken or run.dialect.startswith("happel"):
        return
    decimal = items is not None and items.count > 0 and items.all_decimal
    if header.get("portarchive:noselect") is True or header.get("portarchive:gone_at"):
        decimal = False
    if decimal:
        for member in missing:
            run.report.add(_IMAP_MEMBERS[member], path, "")
    else:
        run.report.add("C-021", path, "", f"missing: {', '.join(missing)}")


def _tell_no_uid(run: Run, facts: FolderFacts) -> None:
    if facts.is_mail and not run.dialect.startswith("happel") and not facts.broken:
        run.report.add("P-011", facts.file)


def _check_uid(run: Run, facts: FolderFacts, path: str, header: dict[str, Any]) -> None:
    uid = facts.uid
    if uid is None or (_ID.issuperset(uid) and len(uid) <= 255):
        return
    names = names_of(run, facts)
    if uid not in {facts.path, "/".join(names)} and not is_full_name(uid, names[-1]):
        run.report.add("P-012" if "uidvalidity" in header else "P-053", path, "/uid")


def names_of(run: Run, facts: FolderFacts) -> list[str]:
    """The mailbox's names from the root, as far as folders that were read tell them."""
    names: list[str] = []
    directory = facts.directory
    while directory and directory != MAIL:
        parent, _, last = directory.rpartition("/")
        known = run.folders.get(directory)
        header = known.header if known is not None else {}
        name = header.get("original_name", header.get("name", last))
        names.append(name if isinstance(name, str) else last)
        directory = parent
    return names[::-1]


def _check_use(run: Run, path: str, header: dict[str, Any]) -> None:
    if run.dialect.startswith("happel"):
        return  # words without a backslash, ``inbox`` among them, are right there; so is ``role``
    use = header.get("special_use")
    if isinstance(use, str):
        if not use.startswith("\\"):
            run.report.add("C-026", path, "/special_use", f"{use[:60]!a}")
        elif use.lower() not in _USES:
            run.report.add("C-026b", path, "/special_use", f"{use[:60]!a}")
    if "role" in header:
        run.report.add("F-072", path, "/role")


def _check_keywords(run: Run, path: str, header: dict[str, Any]) -> None:
    r"""allowed_keywords: what IMAP can carry, and ``\*``, which says that any can be made."""
    allowed = header.get("allowed_keywords")
    for index, word in enumerate(allowed if isinstance(allowed, list) else ()):
        if isinstance(word, str) and word and not is_flag(word) and word != "\\*":
            run.report.add("F-050", path, f"/allowed_keywords/{index}", f"{word[:60]!a}")


def _check_changes(run: Run, facts: FolderFacts, path: str, header: dict[str, Any]) -> None:
    add = run.report.add
    removed = header.get("removed")
    if isinstance(removed, list):
        facts.removed = [(i, str(uid)) for i, uid in enumerate(removed) if _is_uid(uid)]
        numbers = any(removed[index].__class__ is int for index, _ in facts.removed)
        if numbers and not run.dialect.startswith("happel"):
            add("C-024", path, "/removed")
        if facts.removed and not run.partial:
            add("F-042", path, "/removed")
        for index, uid in facts.removed:
            if uid in facts.uids:
                add("F-060", path, f"/removed/{index}", f"uid {uid[:60]!a}")
    if "deleted_at" in header:
        if header["deleted_at"] is None:
            add("C-027", path, "/deleted_at")
        else:
            if not run.partial:
                add("P-013", path, "/deleted_at")
            if facts.items:
                add("C-028", path, "/items", f"{facts.items:,} items")


def _is_uid(value: Any) -> bool:
    """Whether the schema lets it pass as the uid of an item."""
    if isinstance(value, str):
        return bool(value)
    return value.__class__ is int and 0 < value <= _LAST_UID


def count_folders(run: Run) -> None:
    """What the report says that there is; at every level."""
    mail = [facts for facts in run.folders.values() if facts.is_mail]
    run.report.folders = len(mail)
    run.report.messages = sum(facts.items for facts in mail)
