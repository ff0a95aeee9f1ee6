"""Becoming: what a target is known to make of the octets that it is sent.

Owns the foretelling of the changes on the closed lists (docs/adr/0014), to the octet. Matching
takes a stored message for a changed one only if it is exactly what this target makes of it. Refuses
to guess what is on no list, and to judge what a target did.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from typing import Final

from portarchive.placing import Alteration

FORETOLD: Final = frozenset(
    {Alteration.BARE_LF, Alteration.NUL, Alteration.CR_RUN, Alteration.EIGHT_BIT_HEADER}
)
"""Those changes that leave a message whose octets can be told beforehand."""

_EMPTY_LINE: Final = re.compile(rb"\n\r?\n")
_LINE_END: Final = re.compile(rb"\r*\n")
_EIGHT_BIT: Final = bytes(range(128, 256))
_TO_X: Final = bytes.maketrans(_EIGHT_BIT, b"X" * len(_EIGHT_BIT))
_TO_0X80: Final = bytes.maketrans(b"\0", b"\x80")
_SOME: Final = 1 << 16


def becomes(chunks: Iterable[bytes], changes: Collection[str]) -> Iterator[bytes]:
    """The octets that are kept of those that are sent.

    Args:
        chunks: what is sent, however it is cut.
        changes: which of ``FORETOLD`` the target is known for. ``8bit-header``: octets over 127 up
            to and with the first empty line become X. ``nul``: 0 becomes 0x80. ``bare-lf``: LF
            alone becomes CR LF. ``cr-run``: of several CR before an LF one is lost, and of those
            at the very end one too.
    """
    if Alteration.EIGHT_BIT_HEADER in changes:
        chunks = _seven_bit_header(chunks)
    if Alteration.NUL in changes:
        chunks = (chunk.translate(_TO_0X80) for chunk in chunks)
    if Alteration.BARE_LF in changes or Alteration.CR_RUN in changes:
        bare, runs = Alteration.BARE_LF in changes, Alteration.CR_RUN in changes
        chunks = _line_ends(chunks, bare=bare, runs=runs)
    yield from chunks


def _seven_bit_header(chunks: Iterable[bytes]) -> Iterator[bytes]:
    around = b"\n"  # an empty line may be cut in three
    in_body = False
    for chunk in chunks:
        if in_body:
            yield chunk
            continue
        before = around + chunk
        found = _EMPTY_LINE.search(before)
        cut = found.end() - len(around) if found is not None else len(chunk)
        yield chunk[:cut].translate(_TO_X) + chunk[cut:]
        in_body = found is not None
        around = before[-2:]


def _line_ends(chunks: Iterable[bytes], *, bare: bool, runs: bool) -> Iterator[bytes]:
    def kept(count: int) -> int:
        """Of so many CR before an LF."""
        return count - runs if count > 1 else count or bare

    def end(found: re.Match[bytes]) -> bytes:
        return b"\r" * kept(len(found[0]) - 1) + b"\n"

    held = 0  # CR at the end of what came: a message may be nothing else
    for chunk in chunks:
        text = chunk.lstrip(b"\r")
        held += len(chunk) - len(text)
        if not text:
            continue
        if text[:1] == b"\n":
            yield from _returns(kept(held))
            yield b"\n"
            text = text[1:]
        else:
            yield from _returns(held)
        whole = len(text)
        text = text.rstrip(b"\r")
        held = whole - len(text)
        yield _LINE_END.sub(end, text)
    yield from _returns(held - (runs and held > 0))


def _returns(count: int) -> Iterator[bytes]:
    while count > 0:
        yield b"\r" * min(count, _SOME)
        count -= _SOME
