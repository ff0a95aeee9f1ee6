"""What servers make of octets, told beforehand; and which of several twins is which."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from portarchive.archive.contents import ContentFolder
from portarchive.jobs.replay.becomes import FORETOLD, becomes
from portarchive.jobs.replay.pieces import Piece
from portarchive.jobs.replay.twins import couple
from portarchive.placing import Alteration, Present
from portarchive.records import Received

TABLE = [
    ("bare-lf", b"a\nb\r\n\n", b"a\r\nb\r\n\r\n"),
    ("bare-lf", b"a\r\r\nb\r", b"a\r\r\nb\r"),
    ("cr-run", b"a\r\r\r\nb\r\r\n\n\r\n", b"a\r\r\nb\r\n\n\r\n"),
    ("cr-run", b"a\rb\r\r", b"a\rb\r"),
    ("cr-run", b"\r", b""),
    ("nul", b"\0: \0\r\n\r\n\0\xe9", b"\x80: \x80\r\n\r\n\x80\xe9"),
    ("8bit-header", b"\xe9: \xff\r\n\r\n\xe9\0", b"X: X\r\n\r\n\xe9\0"),
    ("8bit-header", b"\n\xe9", b"\n\xe9"),
    ("8bit-header", b"\r\n\xe9", b"\r\n\xe9"),
    ("8bit-header", b"\xe9\n\r\xe9\n\n\xe9", b"X\n\rX\n\n\xe9"),
]


@pytest.mark.parametrize(("change", "sent", "kept"), TABLE)
def test_each_change(change: str, sent: bytes, kept: bytes) -> None:
    assert b"".join(becomes([sent], {Alteration(change)})) == kept
    assert b"".join(becomes([sent], set())) == sent
    others = FORETOLD - {Alteration(change)}
    harmless = b"a: b\r\n\r\nc\rd\r\n"
    assert b"".join(becomes([harmless], others)) == harmless


SIGNS = st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"\0", b"\xe9", b"a", b"\r" * 9]))


@given(
    signs=SIGNS,
    changes=st.sets(st.sampled_from(sorted(FORETOLD))),
    cuts=st.sets(st.integers(0, 60)),
)
@example(signs=[b"\r"] * 3, changes={Alteration.CR_RUN}, cuts={1, 2})
@example(
    signs=[b"a\n", b"\r", b"\n", b"\xe9"], changes={Alteration.EIGHT_BIT_HEADER}, cuts={1, 2, 3}
)
def test_however_it_is_cut(signs: list[bytes], changes: set[Alteration], cuts: set[int]) -> None:
    octets = b"".join(signs)
    places = sorted({0, len(octets), *(cut for cut in cuts if cut < len(octets))})
    chunks = [octets[a:b] for a, b in itertools.pairwise(places)]
    assert b"".join(becomes(chunks, changes)) == at_once(octets, changes)


def at_once(octets: bytes, changes: set[Alteration]) -> bytes:
    """The same in other words."""
    if Alteration.EIGHT_BIT_HEADER in changes:
        cut = re.search(rb"(?:\A|\n)\r?\n", octets)
        end = cut.end() if cut else len(octets)
        octets = re.sub(rb"[\x80-\xff]", b"X", octets[:end]) + octets[end:]
    if Alteration.NUL in changes:
        octets = octets.replace(b"\0", b"\x80")
    if Alteration.CR_RUN in changes:
        octets = re.sub(rb"\r(\r+\n)", rb"\1", octets)
        octets = octets.removesuffix(b"\r")
    if Alteration.BARE_LF in changes:
        octets = re.sub(rb"(?<!\r)\n", b"\r\n", octets)
    return octets


# --- twins ----------------------------------------------------------------------------------------

FOLDER = ContentFolder.__new__(ContentFolder)


def piece(key: int, *flags: str) -> Piece:
    return Piece(key, FOLDER, "F", flags, str(key), "", 1, None, None, None)


def present(uid: int, *flags: str) -> Present:
    return Present("F", str(uid), 1, flags, Received(None, None))


@pytest.mark.parametrize(
    ("meant", "there", "pairs"),
    [
        ([()], [("x",)], {(0, 0)}),
        ([("a",), ("b",)], [("B",), ("A", "\\Recent")], {(0, 1), (1, 0)}),
        ([(), ("a", "lost"), ("b", "lost")], [("b",), ("a",)], {(1, 1), (2, 0)}),
        ([("a",)], [(), ("a",), ("a",)], {(0, 1)}),
        ([(), ()], [(), ()], {(0, 0), (1, 1)}),
        ([(), ("a",)], [], set()),
        ([], [()], set()),
    ],
)  # fmt: skip
def test_twins_by_their_flags(meant, there, pairs) -> None:
    pieces = [piece(n, *flags) for n, flags in enumerate(meant)]
    presents = [present(n, *flags) for n, flags in enumerate(there)]
    assert {(one.key, int(two.uid)) for one, two in couple(pieces, presents)} == pairs


def test_many_twins_with_flags_of_their_own_take_no_time() -> None:
    pieces = [piece(n, f"a{n}") for n in range(5_000)]
    presents = [present(n, f"b{n}") for n in range(5_000)]
    assert len(couple(pieces, presents)) == 5_000
