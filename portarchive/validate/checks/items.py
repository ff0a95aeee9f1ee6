"""The entries of a folder.json, one by one as they stream: the hot path of the validator.

Each entry is judged against the schema, its file is looked up and marked as named, and what only
shows in company (a uid twice, a file twice) is found with one set a folder.
"""

from __future__ import annotations

from array import array
from typing import Any

from portarchive.archive.dialect import METADATA_FILES
from portarchive.archive.tree_listing import File
from portarchive.validate.checks.flags import SYSTEM, is_flag, likeness
from portarchive.validate.checks.secrets import check_secrets
from portarchive.validate.ijson_places import escape
from portarchive.validate.run import (
    DIGESTS_FILE,
    FOLDER_FILE,
    MANIFEST_FILE,
    FolderFacts,
    Level,
    Run,
)
from portarchive.validate.schema_check import SchemaCheck, Violation
from portarchive.validate.verdict import SOUND, judge

_LAST_UID = 2**32 - 1
_SIZE = "portarchive:size"
_SHA256 = "portarchive:sha256"
_DATES = ("portarchive:received_at", "portarchive:received_at_raw")
_EXPUNGED = ("expunged_at", "portarchive:expunged_at")
_OF_THE_ROOT = frozenset({*METADATA_FILES, MANIFEST_FILE, DIGESTS_FILE})
_KNOWN = frozenset(
    {"uid", "filename", "flags", _SIZE, _SHA256, *_DATES, *_EXPUNGED}
    | {"portarchive:email_id", "portarchive:thread_id", "portarchive:save_date"}
)
"""Members that hold no credential."""


class Items:
    """One list of one folder.json.

    Attributes:
        count: entries so far.
        highest: the highest decimal uid, 0 if there is none.
        all_decimal: every uid so far is an IMAP UID.
    """

    def __init__(
        self, run: Run, facts: FolderFacts, member: str, number: int, check: SchemaCheck | None
    ) -> None:
        self._run = run
        self._report = run.report
        self._facts = facts
        self._member = member
        self._number = number
        self._check = check
        self._path = facts.file
        self._files = run.listing.directories.get(facts.directory, {})
        self._structure = run.level >= Level.STRUCTURE
        self._deep = run.level >= Level.DEEP
        self._keeps_uids = run.partial and member == "items"
        self._is_items = member == "items"
        self._uids: set[int | str] = set()
        self._elsewhere = 0
        self._shared: set[str] = set()
        self._good_flags: set[str] = set()
        self._imap_flags = self._no_flags = self._no_date = 0
        self._first_imap = ""
        self.count = 0
        self.highest = 0
        self.all_decimal = True
        self._key: str | None = None

    def _place(self, number: int, member: str) -> str:
        """JSON pointer of a member of an entry."""
        if self._key is None:
            return f"/{self._member}/{number}/{member}"
        return f"/{'flags' if member == 'flags' else self._member}/{escape(self._key)}"

    def entry(self, item: Any, key: str | None = None) -> None:
        """The next entry; ``key``: its name in the maps of an older dialect."""
        number = self.count
        self._key = key
        self.count += 1
        verdict = SOUND
        if self._check is not None:
            try:
                fits = self._check.fits(item)
            except ValueError:  # a lone surrogate, say, which Rust cannot hold
                fits = False
            if not fits:
                prefix = f"/{self._member}/{number}"
                verdict = judge(self._run, self._check, item, self._path, _code, prefix)
        if item.__class__ is not dict:
            return
        if not _KNOWN.issuperset(item):
            unknown = {name: item[name] for name in item.keys() - _KNOWN}
            check_secrets(self._run, self._path, f"/{self._member}/{number}", unknown)
        if self._structure:
            values = item
            if verdict is not SOUND:  # what the schema has condemned means nothing
                wrong = {name for name in item if verdict.has(f"/{escape(name)}")}
                values = {name: item[name] for name in item if name not in wrong}
            self._means(item, values, number)

    def _means(self, item: dict[str, Any], values: dict[str, Any], number: int) -> None:
        """What an entry means by those of its ``values`` that its schema lets pass."""
        uid, filename = values.get("uid"), values.get("filename")
        if uid.__class__ is int:
            self._report.add("P-014", self._path, self._place(number, "uid"))
            uid = str(uid)
        if uid.__class__ is str and uid:
            self._uid(uid, number)
        if filename.__class__ is str and filename:
            file = self._file(filename, number)
            if file is not None:
                self._claims(values, file, number)
        flags = values.get("flags")
        if flags.__class__ is list:
            for flag in flags:
                if flag.__class__ is str and flag and flag not in self._good_flags:
                    self._flag(flag, number)
            if len(flags) > 1 and len({str(flag).lower() for flag in flags}) != len(flags):
                self._report.add("F-051", self._path, self._place(number, "flags"))
        elif self._is_items and "flags" not in item:
            self._no_flags += 1
        if self._is_items:
            if _DATES[0] not in item and _DATES[1] not in item:
                self._no_date += 1
            if _EXPUNGED[0] in item or _EXPUNGED[1] in item:
                member = _EXPUNGED[_EXPUNGED[0] not in item]
                self._report.add("F-056", self._path, f"/{self._member}/{number}/{member}")
        if self._keeps_uids and uid.__class__ is str and filename.__class__ is str:
            self._facts.uids[uid] = (filename, likeness(item) if self._run.with_base else 0)

    def _uid(self, uid: str, number: int) -> None:
        key: int | str = uid
        if uid.isdecimal() and uid.isascii() and uid[0] != "0" and len(uid) <= 10:
            key = int(uid)
            if key > self.highest:
                if key > _LAST_UID:
                    self.all_decimal = False
                else:
                    self.highest = key
        else:
            self.all_decimal = False
        before = len(self._uids)
        self._uids.add(key)
        if len(self._uids) == before:
            self._report.add("C-036", self._path, self._place(number, "uid"), f"uid {uid!a}")

    def _file(self, filename: str, number: int) -> File | None:
        """The file of an entry, marked as named; told if there is none."""
        file = self._files.get(filename)
        of_the_root = not self._facts.directory and filename in _OF_THE_ROOT
        if file is not None and filename != FOLDER_FILE and not of_the_root:
            if file.folder == self._number:
                self._twice(filename, number)
            file.folder = self._number
            file.named += 1
            return file
        pointer = self._place(number, "filename")
        path = resolve(self._facts.directory, filename)
        if path is None or path.rpartition("/")[2] == FOLDER_FILE or path in _OF_THE_ROOT:
            self._report.add("C-035", self._path, pointer, f"{filename[:120]!a}")
            return None
        if "/" in filename:
            self._elsewhere += path.rpartition("/")[0] != self._facts.directory
            if "." in filename.split("/"):
                self._report.add("C-035c", self._path, pointer, f"{filename[:120]!a}")
            file = self._run.listing.file(path)
            if path in self._shared or (file is not None and file.folder == self._number):
                self._twice(filename, number)
            self._shared.add(path)
            if file is not None:
                file.folder = self._number
                file.named += 1
                return file
        if not self._run.partial:
            self._report.add("C-111", self._path, pointer, f"{filename[:120]!a} is not here")
        elif self._is_items and not self._run.with_base:  # with a base it is looked for there
            self._report.add("C-045", self._path, pointer, f"{filename[:120]!a} is not here")
        return None

    def _twice(self, filename: str, number: int) -> None:
        pointer = self._place(number, "filename")
        self._report.add("C-036b", self._path, pointer, f"{filename[:120]!a} is another's too")

    def _claims(self, item: dict[str, Any], file: File, number: int) -> None:
        size = item.get(_SIZE)
        if size.__class__ is int and size != file.size:
            pointer = f"/{self._member}/{number}/portarchive:size"
            text = f"it says {size:,} octets, the file has {file.size:,}"
            self._report.add("M-018", self._path, pointer, text)
        if self._deep:
            digest = item.get(_SHA256)
            if digest.__class__ is str and len(digest) == 64:
                try:
                    claim = bytes.fromhex(digest)
                except ValueError:
                    return
                if file.claim is None:
                    file.claim = claim
                elif file.claim != claim:
                    pointer = f"/{self._member}/{number}/portarchive:sha256"
                    self._report.add("M-019", self._path, pointer, "two items disagree about it")

    def _flag(self, flag: str, number: int) -> None:
        pointer = self._place(number, "flags")
        if flag.startswith("\\"):
            lower = flag.lower()
            if lower in SYSTEM:
                self._imap_flags += 1
                self._first_imap = self._first_imap or pointer
            elif lower == "\\recent":
                self._report.add("F-052", self._path, pointer)
            elif lower != "\\deleted":
                self._report.add("F-050", self._path, pointer, f"{flag[:60]!a}")
        elif is_flag(flag):
            if len(self._good_flags) < 10_000:
                self._good_flags.add(flag)
        else:
            self._report.add("F-050", self._path, pointer, f"{flag[:60]!a}")

    def finish(self) -> None:
        """What is told once a folder."""
        add = self._report.add
        if self._imap_flags:
            text = f"{self._imap_flags:,} system flags as in IMAP"
            add("C-032", self._path, self._first_imap, text)
        if self._no_flags and self._facts.is_mail:
            add("F-053", self._path, f"/{self._member}", f"{self._no_flags:,} items without flags")
        if self._no_date and self._facts.is_mail:
            text = f"{self._no_date:,} items without received date"
            add("F-054", self._path, f"/{self._member}", text)
        if self._is_items and self._structure:
            self._facts.decimal = array("Q", sorted(u for u in self._uids if u.__class__ is int))
        if self._elsewhere and self._is_items:
            text = f"{self._elsewhere:,} items name files elsewhere"
            add("C-035b", self._path, f"/{self._member}", text)


def _code(violation: Violation) -> str:
    """P-010b for what makes an entry unusable, C-035 for a path that is none, else F-032."""
    if violation.place == ("filename",) and violation.keyword == "pattern":
        return "C-035"
    member = violation.place[0] if violation.place else violation.missing
    return "P-010b" if member in {"uid", "filename", ""} else "F-032"


def resolve(directory: str, filename: str) -> str | None:
    """Where an item's file lies, relative to the root; None where no item may lie.

    Lexically, as POSIX has it. It must stay under the top-level directory that it comes from;
    from the root it may lead into any.
    """
    if filename.startswith("/") or "\\" in filename or "\0" in filename:
        return None
    if "/" not in filename:
        if filename in {"", ".", ".."}:
            return None
        return f"{directory}/{filename}" if directory else filename
    parts = directory.split("/") if directory else []
    top = parts[0] if parts else ""
    for step in filename.split("/"):
        if step == "..":
            if not parts:
                return None
            parts.pop()
        elif step == "":
            return None
        elif step != ".":
            parts.append(step)
    if filename.endswith(("/.", "/..")) or len(parts) < 2 or (top and parts[0] != top):
        return None
    return "/".join(parts)
