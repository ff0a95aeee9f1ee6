"""Names: what a mailbox can be called on a target, from the names that it has in the archive.

Whatever is cut or changed is marked with a digest of the folder's own path in the archive, never
of where its parent went: the names are the same at every run. Pure; knows of no mailbox.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import Final

from portarchive.placing import NameRules

Path = tuple[str, ...]

INBOX: Final[Path] = ("INBOX",)

_SINGLE: Final = 60
"""Octets of a name that a target which refused another is asked for."""
_MARK: Final = 9
_LEAST: Final = 12
"""Octets that a mark needs to be worth a place below its parent."""
_SURE: Final = 200
"""Octets of a name on the wire that no target was seen to refuse."""
_TAKEN: Final = frozenset(
    {"cur", "new", "tmp", "subscriptions", "maildirfolder", "maildirsize", "other users",
     "shared folders"}
)  # fmt: skip
_UNWILLING: Final = ("~", ".", "#", "dovecot", "cyrus.")
_ODD: Final = frozenset('*%"\\')


def below(base: Path, name: str, whole: str, rules: NameRules, root: Path = ()) -> Path:
    """The path of a mailbox below another, made fit.

    Args:
        base: where its parent is.
        name: its own, as in the archive.
        whole: what tells it from all other folders of the archive.
        rules: of the target.
        root: below which a single name goes that is too long for its parent.
    """
    path = (*base, _fit_name(name, rules))
    deepest = rules.max_depth if rules.separator else 1
    if deepest is not None and len(path) > deepest:
        joined = "_".join(path[deepest - 1 :])
        path = (*path[: deepest - 1], _marked(joined, whole, rules.max_name))
    if rules.max_path is not None and _length(path, rules) > rules.max_path:
        path = _shortened(path, whole, rules, root)
    return path


def beside(path: Path, whole: str, rules: NameRules, root: Path = ()) -> Path:
    """Another path, because that one is another folder's; arguments as of ``below``."""
    found = (*path[:-1], _marked(path[-1], whole, rules.max_name))
    if rules.max_path is not None and _length(found, rules) > rules.max_path:
        return _shortened(path, whole + "\0", rules, root)
    return found


def plainer(path: Path, whole: str, rules: NameRules, root: Path = ()) -> list[Path]:
    """Other paths for a mailbox that the target refused to make, in the order they are tried.

    The last name in plain letters; then a single one below ``root``, at last at the top.

    Args:
        path: what it refused.
        whole: what tells it from all other folders of the archive.
        rules: of the target.
        root: below which everything goes.
    """
    single = _plain(whole, whole, rules)
    found = [(*path[:-1], _plain(path[-1], whole, rules)), (*root, single)]
    return found if not root else [*found, (single,)]


def mark_of(name: str) -> str:
    """The mark of a name; of one without any its last letters."""
    return name[-_MARK:]


def own_mark(whole: str) -> str:
    """The mark of a name that was cut, changed, or a twin's."""
    return "~" + hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()[: _MARK - 1]


def plain_mark(whole: str) -> str:
    """The mark of the names that ``plainer`` gives."""
    # another than that of ``beside``: a twin may have that name
    return own_mark("plain\0" + whole)


def _plain(name: str, whole: str, rules: NameRules) -> str:
    letters = "".join(
        sign if sign.isascii() and (sign.isalnum() or sign in "_-") else "_" for sign in name
    )
    mark = plain_mark(whole)
    return letters[: min(rules.max_name or _SINGLE, _SINGLE) - len(mark)] + mark


def key_of(path: Path, rules: NameRules) -> Path:
    """Under which two paths are one mailbox."""
    names = [unicodedata.normalize("NFC", name) for name in path]
    if rules.fold_case:
        names = [name.casefold() for name in names]
    if names and names[0].upper() == "INBOX":
        names[0] = "INBOX"
    return tuple(names)


def may_be_refused(path: Path) -> bool:
    """Whether servers were seen to refuse such a name without telling that they would.

    Those that keep mailboxes in directories do not like names that these have for other ends, nor
    long ones, which modified UTF-7 makes longer (RFC 9051 §A.1).
    """
    return _wire_length("/".join(path)) > _SURE or any(
        name.lower() in _TAKEN
        or not name.strip(".")
        or name.startswith(_UNWILLING)
        or not _ODD.isdisjoint(name)
        for name in path
    )


def _wire_length(text: str) -> int:
    """Octets in modified UTF-7, or at most two more for each of its runs."""
    runs = 4 * len(re.findall(r"[^ -~]+", text))
    return (
        sum(1 if " " <= sign <= "~" else 3 * len(sign.encode("utf-16-be")) // 2 for sign in text)
        + runs
    )


def _shortened(path: Path, whole: str, rules: NameRules, root: Path) -> Path:
    most = rules.max_path or 0
    for base in (path[:-1], root, ()):
        room = most - _length(base, rules) - len(rules.separator) * bool(base)
        if room >= _LEAST or not base:
            limit = min(room, rules.max_name or room)
            return (*base, _marked(path[-1], whole, limit))
    raise AssertionError


def _fit_name(name: str, rules: NameRules) -> str:
    bad = set(rules.forbidden) | set(rules.separator)
    fitted = "".join(
        "_" if sign in bad or not sign.isprintable() or "\ud800" <= sign <= "\udfff" else sign
        for sign in name
    )
    if rules.trims:
        fitted = " ".join(fitted.split())
    long = rules.max_name is not None and len(fitted.encode()) > rules.max_name
    return _marked(fitted, name, rules.max_name) if fitted != name or not fitted or long else name


def _marked(name: str, whole: str, limit: int | None) -> str:
    """A name of so many octets at most with a mark of the whole, which no other name has."""
    mark = own_mark(whole)
    if limit is not None:
        name = name.encode()[: max(0, limit - len(mark))].decode("utf-8", "ignore")
    return name + mark


def _length(path: Path, rules: NameRules) -> int:
    return sum(len(name.encode()) for name in path) + len(rules.separator) * max(0, len(path) - 1)
