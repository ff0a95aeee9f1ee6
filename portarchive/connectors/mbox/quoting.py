r"""Quoting of ``From `` at the beginning of a line, done and undone. Pure.

mboxrd: each line ``>*From `` of a message got one more ``>``; taking one off gives the message as
it was. mboxo: only ``From `` got one, so that ``>From `` may be either, and nothing can be undone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

# "(?m)^" would be looked for at every octet; a line end is looked for in great strides
_QUOTED: Final = re.compile(rb"\n>(?=>*From )")
_QUOTED_FIRST: Final = re.compile(rb">+From ")
_TO_QUOTE: Final = re.compile(rb"\n>*(?=From )")
_BEGUN: Final = re.compile(rb"(?:F(?:r(?:om?)?)?)\Z")
_LONGEST_LINE: Final = 1 << 16


def unquoted(octets: bytes) -> bytes:
    """A whole message with one level taken off."""
    if b">From " not in octets:
        return octets
    octets = _QUOTED.sub(b"\n", octets)
    return octets[1:] if _QUOTED_FIRST.match(octets) else octets


def unquoted_pieces(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same for a message in pieces; holds no more than a piece and a line."""
    held = b""
    inside = False  # of a line whose beginning is out already
    for piece in pieces:
        data = held + piece
        held = b""
        end = data.rfind(b"\n") + 1
        if inside:
            if not end:
                yield data
                continue
            first = data.index(b"\n") + 1
            yield data[:first]
            data, end, inside = data[first:], end - first, False
        if len(data) - end > _LONGEST_LINE and data[end : end + 1] != b">":
            yield unquoted(data[:end]) + data[end:]
            inside = True
            continue
        if len(data) - end > _LONGEST_LINE:  # quotes, and a line that goes on for ever
            yield unquoted(data)
            inside = True
            continue
        held = data[end:]
        if end:
            yield unquoted(data[:end])
    if held:
        yield held if inside else unquoted(held)


def quoted(octets: bytes) -> bytes:
    """A whole message with one level put on (mboxrd)."""
    if b"From " not in octets:
        return octets
    return _TO_QUOTE.sub(rb"\g<0>>", b"\n" + octets)[1:]


def quoted_pieces(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same for a message in pieces; holds no more than a piece."""
    held = b""
    fresh = True  # all of the line so far, if anything, is quotes
    for piece in pieces:
        data = held + piece
        found = _BEGUN.search(data, max(0, len(data) - 4))
        held = found[0] if found is not None else b""
        data = data[: len(data) - len(held)]
        if not data:
            continue
        if fresh:
            data = _TO_QUOTE.sub(rb"\g<0>>", b"\n" + data)[1:]
        else:
            data = _TO_QUOTE.sub(rb"\g<0>>", data)
        end = data.rfind(b"\n") + 1
        fresh = (fresh or end > 0) and not data[end:].strip(b">")
        yield data
    if held:
        yield held
