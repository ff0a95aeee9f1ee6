"""Comparing two folders: pairs by octets, then by line ends, then by identity; the rest stays."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable

from portarchive import keywords
from portarchive.jobs.diff.report import Differences
from portarchive.jobs.diff.sides import Known, Side, SideFolder, Traits

Key = Callable[[int], Hashable | None]


class _Folder:
    """The messages of one side, and which of them have found their like."""

    def __init__(self, side: Side, messages: Iterable[Known]) -> None:
        self.side = side
        self.messages = list(messages)
        self.open = dict.fromkeys(range(len(self.messages)))
        self._read: dict[int, Traits | None] = {}

    def traits(self, number: int) -> Traits | None:
        message = self.messages[number]
        if message.traits is not None:
            return message.traits
        if number not in self._read:
            self._read[number] = self.side.read(message)
        return self._read[number]

    def sha256(self, number: int) -> bytes | None:
        known = self.messages[number].sha256
        if known is None:
            found = self.traits(number)
            known = found.sha256 if found is not None else None
        return known

    def canonical(self, number: int) -> bytes | None:
        found = self.traits(number)
        return found.canonical if found is not None else None

    def identity(self, number: int) -> bytes | None:
        found = self.traits(number)
        return found.identity if found is not None else None


def compare(
    folders: tuple[SideFolder, SideFolder],
    sides: tuple[Side, Side],
    *,
    exact: bool,
) -> Differences:
    """All differences of two folders that are meant to be the same.

    Args:
        folders: one of each side.
        sides: to read them.
        exact: offsets count, too.
    """
    a = _Folder(sides[0], sides[0].messages(folders[0]))
    likes = Counter(message.sha256 for message in a.messages if message.sha256 is not None)
    b = _Folder(sides[1], sides[1].messages(folders[1], likes))
    found = Differences(folders[0].path, folders[1].path)
    for one, other in _pairs(a, b, a.sha256, b.sha256):
        _same(found, a.messages[one], b.messages[other], exact=exact)
    for one, other in _pairs(a, b, a.canonical, b.canonical):
        found.line_ends += 1
        _same(found, a.messages[one], b.messages[other], exact=exact)
    for one, other in _pairs(a, b, a.identity, b.identity):
        left, right = a.messages[one], b.messages[other]
        found.add("octets", {"a": left.uid, "b": right.uid})
        _same(found, left, right, exact=exact)
    for number in a.open:
        found.add("only_a", _named(a.messages[number]))
    for number in b.open:
        found.add("only_b", _named(b.messages[number]))
    return found


def _pairs(a: _Folder, b: _Folder, key_a: Key, key_b: Key) -> list[tuple[int, int]]:
    """Pair what has equal keys; among several the most alike first."""
    if not a.open or not b.open:
        return []
    there: dict[Hashable, list[int]] = defaultdict(list)
    for number in b.open:
        if (key := key_b(number)) is not None:
            there[key].append(number)
    wanted: dict[Hashable, list[int]] = defaultdict(list)
    for number in a.open:
        if (key := key_a(number)) is not None and key in there:
            wanted[key].append(number)
    pairs: list[tuple[int, int]] = []
    for key, ones in wanted.items():
        others = there[key]
        if len(ones) == len(others) == 1:
            pairs.append((ones[0], others[0]))
        else:
            pairs += _closest(a, b, ones, others)
    for one, other in pairs:
        del a.open[one]
        del b.open[other]
    return pairs


def _closest(a: _Folder, b: _Folder, ones: list[int], others: list[int]) -> list[tuple[int, int]]:
    """Equal instant and flags first, then equal instant, equal flags, then as they come.

    Whose flags or instant may be any takes what the others leave.
    """
    pairs = []
    ones = sorted(ones, key=lambda one: _leeway(a.messages[one]))
    others = sorted(others, key=lambda other: _leeway(b.messages[other]))
    for of in (_instant_and_flags, _instant, _flags, lambda _: None):
        by: dict[Hashable, list[int]] = defaultdict(list)
        for other in others:
            by[of(b.messages[other])].append(other)
        left = []
        for one in ones:
            like = by.get(of(a.messages[one]))
            if like:
                pairs.append((one, like.pop(0)))
            else:
                left.append(one)
        taken = {other for _, other in pairs}
        ones, others = left, [other for other in others if other not in taken]
    return pairs


def _leeway(message: Known) -> int:
    return message.any_flags + message.any_instant + message.more_flags


def _instant(message: Known) -> Hashable:
    return message.received.epoch


def _flags(message: Known) -> Hashable:
    return frozenset(map(keywords.fold, message.flags))


def _instant_and_flags(message: Known) -> Hashable:
    return _instant(message), _flags(message)


def _same(found: Differences, a: Known, b: Known, *, exact: bool) -> None:
    """Flags and instant of a pair."""
    found.compared += 1
    flags_a = {keywords.fold(flag): flag for flag in a.flags}
    flags_b = {keywords.fold(flag): flag for flag in b.flags}
    more = [flags_a[key] for key in flags_a if key not in flags_b and not b.more_flags]
    other = [flags_b[key] for key in flags_b if key not in flags_a and not a.more_flags]
    if (more or other) and not (a.any_flags or b.any_flags):
        found.add("flags", {"a": a.uid, "b": b.uid, "only_a": more, "only_b": other})
    text_a, text_b = a.received.text, b.received.text
    if a.any_instant or b.any_instant:
        return
    if a.received.epoch != b.received.epoch or (exact and _offset(text_a) != _offset(text_b)):
        found.add("instants", {"a": a.uid, "b": b.uid, "instant_a": text_a, "instant_b": text_b})


def _offset(text: str | None) -> str | None:
    if text is None:
        return None
    return "+00:00" if text.endswith("Z") else text[-6:]


def _named(message: Known) -> str:
    return f"{message.uid} ({message.trouble})" if message.trouble else message.uid
