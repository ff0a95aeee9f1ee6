"""Names in an archive: mailbox name to directory, message to file, and which paths are safe.

Owns the encoding of format.md's naming rules and the reading rule for paths from strangers. It
refuses to touch a file system: what exists already is handed in. A name never has to be decoded to
be understood, because ``folder.json`` says what the mailbox is called; so the encoding may be
lossy where it must (length, twins), but never ambiguous within one directory.

Encoded as *controls* are the Unicode controls (C0, DEL, C1) and those of layout: the line and
paragraph separators and the bidirectional controls, which would make one name show as another.
Noncharacters and lone surrogates are encoded because I-JSON (RFC 7493 §2.1) cannot carry them.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import count

from portarchive.errors import UnsafePath

FOLDER_FILE = "folder.json"
MAIL = "mail"
MAX_SEGMENT = 200
"""UTF-8 octets of a name before it is cut. With two suffixes and ``.eml`` it stays under 255."""

MAX_PATH = 700
"""UTF-8 octets of a mailbox's path under ``mail/``, ``~`` of twins not counted.

Operating systems take 4,096 for a whole path, some no more than 1,024.
"""
MAX_DEPTH = 250
"""Names of a mailbox's path; readers take no member with more than 255 segments (``tree``)."""

_TAG_LENGTH = 9
_EMPTY = "%"

_NONCHARACTERS = "\ufdd0-\ufdef" + "".join(
    chr((plane << 16) | last) for plane in range(17) for last in (0xFFFE, 0xFFFF)
)
_ALWAYS = re.compile(
    '[\x00-\x1f\x7f-\x9f/\\\\:*?"<>|%'
    "\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff" + _NONCHARACTERS + "]"
)
# Default_Ignorable_Code_Point: HFS+ and case-folding ext4 compare names without these.
_IGNORABLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
# Windows finds a device also with an extension, and with blanks before that.
_DEVICE = re.compile(
    r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[1-9\u00b9\u00b2\u00b3]) *(?:\.|\Z)"
)
_OWN_NAMES = frozenset(
    {
        "archive.json",
        FOLDER_FILE,
        "manifest.json",
        "manifest-sha256.txt",
        # what desktops drop into any directory, and readers pass over
        ".ds_store",
        "__macosx",
        "desktop.ini",
        "thumbs.db",
    }
)
_TAGGED = re.compile(r"~[0-9a-f]{8}\Z")
_DIGITS = re.compile(r"[0-9a-f]{8,64}(?:-[0-9]{1,9})?")
"""Ids that are their own file name whatever is asked of one."""
_DRIVE = re.compile(r"[A-Za-z]:")


def fold_key(name: str) -> str:
    """The key under which siblings are twins: NFC, case folded, NFC again. Works on paths too."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def encode_segment(name: str) -> str:
    """The plain directory name of a mailbox name: at most 200 octets of UTF-8, in NFC.

    ``name`` is one path segment; octets that did not decode are surrogate escapes (PEP 383). Two
    names may get the same result, or results that some file system takes for the same:
    ``assign`` keeps siblings apart.
    """
    if not name:
        return _EMPTY
    return _cut(_encode(name, guard_first=_is_reserved(name)), name)


def decode_segment(dirname: str) -> str | None:
    """The mailbox name (NFC) behind a plain directory name, for display where nothing better is.

    None where the directory name does not tell: cut, a twin, or not written by this encoding.
    The true inverse is ``name`` and ``original_name`` of the folder.json inside.
    """
    if dirname == _EMPTY:
        return ""
    if _TAGGED.search(dirname):
        return None
    octets = re.sub(
        rb"%([0-9A-F]{2})", lambda found: bytes.fromhex(found[1].decode()), _octets(dirname)
    )
    name = octets.decode("utf-8", "surrogateescape")
    return name if encode_segment(name) == dirname else None


def fit(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names of a mailbox, so many of its last ones made into one that its path is not too long.

    They are joined by ``/``, so that the whole reads as it did. The directory of such a long name
    is cut (``encode_segment``), and ``folder.json`` says it in full.
    """
    shallow = len(names) <= MAX_DEPTH
    if shallow and 12 * sum(map(len, names)) + 2 * len(names) <= MAX_PATH:
        return names  # twelve: four octets, percent-encoded
    lengths = [len(encode_segment(name).encode()) for name in names]
    if shallow and sum(lengths) + len(names) - 1 <= MAX_PATH:
        return names
    room = MAX_PATH - MAX_SEGMENT
    kept = 0
    while kept < min(len(names), MAX_DEPTH) - 1 and room > lengths[kept]:
        room -= lengths[kept] + 1
        kept += 1
    return (*names[:kept], "/".join(names[kept:]))


def needs_original_name(name: str, dirname: str) -> bool:
    """Whether folder.json must carry ``original_name`` because the directory is named otherwise."""
    return name != dirname


def assign(
    names: Iterable[str],
    published: Mapping[str, str] | None = None,
    occupied: Iterable[str] = (),
) -> dict[str, str]:
    """The directory names of all mailboxes of one directory, whatever order they come in.

    Args:
        names: mailbox names of the siblings.
        published: name to directory name of what the archive has; kept as it is, and its
            directories stay taken although the mailbox may not be among ``names`` any more.
        occupied: other entries of the same directory. Message files need not be named: no
            directory is ever called like one.

    Raises:
        UnsafePath: a published directory name is not a single safe path segment.
    """
    published = published or {}
    taken = {_slot(FOLDER_FILE), *map(_slot, occupied)}
    for dirname in published.values():
        if len(check_relative(dirname)) != 1:
            raise _unsafe(dirname, "it is not a single name")
        taken.add(_slot(dirname))
    ordered = sorted(set(names), key=_utf8_order)
    least: dict[str, str] = {}
    for name in ordered:
        least.setdefault(fold_key(name), name)

    result = {name: published[name] for name in ordered if name in published}
    twins = []
    for name in ordered:
        if name in result:
            continue
        plain = encode_segment(name)
        if least[fold_key(name)] == name and _slot(plain) not in taken:
            result[name] = plain
            taken.add(_slot(plain))
        else:
            twins.append(name)
    for name in twins:
        result[name] = _free_name(name, taken)
        taken.add(_slot(result[name]))
    return result


def message_filename(uidvalidity: int | None, uid: int) -> str:
    """The file of an IMAP message; 0 where the server has no valid UIDVALIDITY."""
    return f"{uidvalidity or 0}-{uid:010d}.eml"


def placeholder_filename(uidvalidity: int | None, uid: int) -> str:
    """The file of what a server sent in place of a message."""
    return f"{uidvalidity or 0}-{uid:010d}~placeholder.eml"


def item_filename(item_id: str, attempt: int = 0) -> str:
    """The file of a message known by a string: JMAP Email id, Maildir unique name, mbox digest.

    An id is tagged with eight hex digits of its SHA-256 when the bare name could be mistaken: it
    has an upper-case letter (or anything else a file system may fold), is over 200 octets, or ends
    like a tag itself. One that is a device or begins with an encoded character is tagged and gets
    a ``~`` in front: directories of mailboxes called ``….eml`` begin with ``%``, no file does.

    Two tags agree once in 2^32: a caller that finds the name in use for another id of the folder
    asks for the next ``attempt``.
    """
    if not attempt and _DIGITS.fullmatch(item_id):
        return f"{item_id}.eml"  # as below, a hundred thousand times
    stem = _encode(item_id, guard_first=False)
    text = "".join(stem)
    long = len(text.encode()) > MAX_SEGMENT
    guarded = not text or text.startswith("%") or _DEVICE.match(_slot(text)) is not None
    if attempt or long or guarded or _slot(item_id) != item_id or _TAGGED.search(text):
        kept = _shorten(stem) if long else text
        text = f"{'~' if guarded else ''}{kept}~{_tag(item_id, attempt)}"
    return f"{text}.eml"


def check_relative(path: str) -> tuple[str, ...]:
    """The segments of a path found in an archive, if it can only lead to a place inside.

    Raises:
        UnsafePath: it is empty, absolute, begins with a drive, has an empty, ``.`` or ``..``
            segment, a backslash or NUL, or is not Unicode text.
    """
    _check_text(path)
    parts = tuple(path.split("/"))
    for part in parts:
        if part in {"", ".", ".."}:
            raise _unsafe(path, "it has an empty, '.' or '..' segment")
    return parts


def resolve_item(folder: str, filename: str) -> str:
    """Where the file of an item lies, relative to the root of the archive.

    Args:
        folder: the directory of the folder.json, relative to the root (``mail/INBOX``).
        filename: from an item: a POSIX path relative to that directory, resolved lexically; ``..``
            is how items name octets that are shared between folders.

    Raises:
        UnsafePath: as ``check_relative``, or the path leaves the archive or ends outside ``mail/``.
    """
    base = _folder_parts(folder)
    if "/" not in filename and filename not in {"", ".", ".."}:
        _check_text(filename)
        return f"{folder}/{filename}"
    _check_text(filename)
    resolved = list(base)
    steps = filename.split("/")
    for step in steps:
        if not step:
            raise _unsafe(filename, "it has an empty segment")
        if step == "..":
            if not resolved:
                raise _unsafe(filename, "it leads out of the archive")
            resolved.pop()
        elif step != ".":
            resolved.append(step)
    if steps[-1] in {".", ".."} or len(resolved) < 2 or resolved[0] != MAIL:
        raise _unsafe(filename, f"it does not end in a file under {MAIL}/")
    return "/".join(resolved)


@lru_cache(maxsize=64)
def _folder_parts(folder: str) -> tuple[str, ...]:
    parts = check_relative(folder)
    if parts[0] != MAIL:
        raise _unsafe(folder, f"it is not under {MAIL}/")
    return parts


def _check_text(path: str) -> None:
    if not path:
        raise _unsafe(path, "it is empty")
    if path.startswith("/") or _DRIVE.match(path):
        raise _unsafe(path, "it is absolute")
    if "\\" in path or "\0" in path:
        raise _unsafe(path, "it has a backslash or NUL")
    try:
        path.encode()
    except UnicodeEncodeError as error:
        raise _unsafe(path, "it is not Unicode text") from error


def _unsafe(path: str, reason: str) -> UnsafePath:
    # ascii(): the path is a stranger's, and this text goes to terminals and logs
    shown = ascii(path if len(path) <= 120 else path[:117] + "...")
    return UnsafePath(
        f"unsafe path {shown} in the archive: {reason}",
        hint="the archive is damaged or was made to do harm; do not use it",
    )


def _slot(name: str) -> str:
    """What any file system may take for the same name: coarser than ``fold_key``.

    Ignorable characters fall away, and upper-casing first makes one of ``i`` and dotless ``i``.
    """
    return fold_key(fold_key(_IGNORABLE.sub("", name)).upper())


def _is_reserved(name: str) -> bool:
    slot = _slot(name)
    return (
        slot in {"", ".", ".."}
        or slot in _OWN_NAMES
        or slot.endswith(".eml")
        or slot.startswith(".portarchive")
        or _DEVICE.match(slot) is not None
    )


def _encode(name: str, *, guard_first: bool) -> list[str]:
    """The encoded characters, one an element: a name is cut between them only."""
    text = unicodedata.normalize("NFC", name)
    last = len(text) - 1
    pieces: list[str] = []
    after_encoded = False
    for index, char in enumerate(text):
        blank = char.isspace()
        after_encoded = (
            _ALWAYS.match(char) is not None
            or (index == 0 and (guard_first or blank))
            or (index == last and (blank or char == "."))
            # it would combine with a hex digit, and the result were not NFC
            or (after_encoded and unicodedata.combining(char) != 0)
        )
        pieces.append(
            "".join(f"%{octet:02X}" for octet in _octets(char)) if after_encoded else char
        )
    return pieces


def _cut(pieces: list[str], name: str) -> str:
    whole = "".join(pieces)
    if len(whole.encode()) <= MAX_SEGMENT:
        return whole
    return f"{_shorten(pieces)}~{_tag(name)}"


def _shorten(pieces: list[str]) -> str:
    room = MAX_SEGMENT - _TAG_LENGTH
    kept = []
    for piece in pieces:
        room -= len(piece.encode())
        if room < 0:
            break
        kept.append(piece)
    return "".join(kept)


def _free_name(name: str, taken: set[str]) -> str:
    plain = encode_segment(name)
    candidates = (f"{plain}~{_tag(name, attempt)}" for attempt in count())
    return next(candidate for candidate in candidates if _slot(candidate) not in taken)


def _tag(name: str, attempt: int = 0) -> str:
    return hashlib.sha256(_octets(name) + b"\0" * attempt).hexdigest()[: _TAG_LENGTH - 1]


def _octets(text: str) -> bytes:
    """UTF-8; surrogate escapes are the octets they stand for, other surrogates as they would be."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def _utf8_order(name: str) -> tuple[bytes, str]:
    return _octets(name), name
