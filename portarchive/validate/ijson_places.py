"""Where in a JSON value the defects are: the slow and exact second look of ``ijson``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from portarchive.archive.tree import Limits

_SURROGATE = re.compile("[\ud800-\udfff]")
NONCHARACTER = re.compile(
    "[\ufdd0-\ufdef\ufffe\uffff"
    + "".join(chr(plane << 16 | last) for plane in range(1, 17) for last in (0xFFFE, 0xFFFF))
    + "]"
)
SAFE = 2**53 - 1
_HUGE = 400


class Defect(NamedTuple):
    """One departure from I-JSON.

    Attributes:
        code: P-003 with its letter, or F-002 … F-005.
        pointer: JSON pointer, or ``line:column`` where there is no value.
        text: what is wrong; no content of the document but member names.
    """

    code: str
    pointer: str
    text: str


class _Pairs(list[tuple[str, Any]]):
    """An object as it stands in the text, twins included."""


class _Odd(NamedTuple):
    """A number that I-JSON does not have."""

    code: str
    text: str


def escape(name: str) -> str:
    """A member name as part of a JSON pointer (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1") if "/" in name or "~" in name else name


def _integer(digits: str) -> int | _Odd:
    value = int(digits[:_HUGE])
    return value if abs(value) <= SAFE else _Odd("P-003g", f"an integer of {len(digits)} digits")


def _float(digits: str) -> float | _Odd:
    value = float(digits)
    infinite = value in {float("inf"), float("-inf")}
    return _Odd("P-003h", "a number beyond a double") if infinite else value


def _constant(name: str) -> _Odd:
    return _Odd("P-003", f"{name} is not JSON")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_Pairs,
    parse_int=_integer,
    parse_float=_float,
    parse_constant=_constant,
)


def defects_in(text: str, pointer: str, limits: Limits) -> Iterator[Defect]:
    """All defects of one value that parses, in the order of the text.

    Args:
        text: the value.
        pointer: where it stands in its document.
        limits: for depth and strings.
    """
    try:
        value = _DECODER.decode(text)
    except RecursionError:
        yield Defect("F-003", pointer, f"nested over {limits.depth} levels")
        return
    level = pointer.count("/")
    # no pointer is made before there is a defect to tell: the way is as long as the nesting
    way: list[str | int] = []
    open_: list[Iterator[tuple[str | int, Any]]] = []

    def place(*more: str) -> str:
        return "/".join([pointer, *(escape(str(step)) for step in (*way, *more))])

    while True:
        if isinstance(value, list):
            if level + len(open_) >= limits.depth:
                yield Defect("F-003", place(), f"nested over {limits.depth} levels")
            elif isinstance(value, _Pairs):
                names: set[str] = set()
                for name, _ in value:
                    for code, why in _in_string(name, limits, "member name"):
                        yield Defect(code, place(name), why)
                    if name in names:
                        yield Defect("P-003d", place(name), "the member occurs twice")
                    names.add(name)
                open_.append(iter(value))
                way.append("")
            else:
                open_.append(enumerate(value))
                way.append(0)
        elif isinstance(value, _Odd):
            yield Defect(value.code, place(), value.text)
        elif isinstance(value, str):
            for code, why in _in_string(value, limits, "string"):
                yield Defect(code, place(), why)
        following = None
        while open_ and (following := next(open_[-1], None)) is None:
            open_.pop()
            way.pop()
        if following is None:
            return
        way[-1], value = following


def _in_string(value: str, limits: Limits, what: str) -> Iterator[tuple[str, str]]:
    if len(value) > limits.string:
        yield "F-004", f"a {what} of {len(value):,} characters"
    if value.isascii():
        return
    if _SURROGATE.search(value):
        yield "P-003e", f"a {what} with a lone surrogate"
    if NONCHARACTER.search(value):
        yield "P-003f", f"a {what} with a noncharacter"
