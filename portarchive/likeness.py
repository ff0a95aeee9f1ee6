"""Likeness: what of a message's octets tells it from others, or shows that two are the same one.

Owns digests of header and body, the identifying fields, and what a target may choke on. One pass
over chunks; holds the header (bounded) and nothing of the body. Octets are only looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from hashlib import sha256
from itertools import chain
from typing import Final, NamedTuple

from portarchive.placing import LineEnds

_HEADER: Final = 1 << 20
"""Octets of a header in which fields are looked for."""
_WHOLE: Final = 1 << 20
"""Octets up to which a message that comes in chunks is put together and looked at as one."""
_LONGEST: Final = 998
"""Octets of a line without its end (RFC 5322 §2.1.1)."""
_EMPTY_LINE: Final = re.compile(rb"\n\r?\n")
_FIELD: Final = re.compile(rb"[!-9;-~]+[ \t]*:")


class Likeness(NamedTuple):
    """Facts of one message.

    "Canonical" octets are the message with every line end as CR LF if all its line ends are CR LF
    or all are LF; else the octets as they are. Two messages whose canonical octets are equal
    differ in line ends only.

    Attributes:
        size: octets.
        sha256: of the octets, 32 octets.
        canonical_size, canonical_sha256: of the canonical octets.
        header_sha256: of the header, all up to and with the first empty line, each line end as
            CR LF, CR alone or LF alone too: whatever line ends follow it, and of a header that is
            fetched alone, it is the same.
        body_sha256: of what follows the first empty line, each line end as CR LF, CR alone or LF
            alone too, all line ends at its end removed (that of a last line that is not empty too:
            some servers lose it, others add it).
        line_ends: of the whole message. CR CR LF makes it ``MIXED``: as LF it would read CR LF, so
            there is no way to LF and back.
        longest_line: octets without the line end.
        eight_bit_header, eight_bit_body: an octet over 127.
        nul: an octet 0.
        has_header: the first line looks like a header field (RFC 5322 §2.2).
        message_id: the value of the first Message-ID field, unfolded, blanks around it removed;
            b"" if there is none.
        sent, sender, subject: the values of Date, From, Subject likewise, runs of blanks as one.
    """

    size: int
    sha256: bytes
    canonical_size: int
    canonical_sha256: bytes
    header_sha256: bytes
    body_sha256: bytes
    line_ends: LineEnds
    longest_line: int
    eight_bit_header: bool
    eight_bit_body: bool
    nul: bool
    has_header: bool
    message_id: bytes
    sent: bytes
    sender: bytes
    subject: bytes

    @property
    def plain(self) -> bool:
        """7-bit text in CR LF lines of at most 998 octets (RFC 5322 §2.1.1), nothing else."""
        return (
            self.line_ends is LineEnds.CRLF
            and self.longest_line <= _LONGEST
            and not (self.eight_bit_header or self.eight_bit_body or self.nul)
            and self.has_header
        )


def likeness(chunks: Iterable[bytes]) -> Likeness:
    """Look at a message once. Memory: what a small message takes, whatever the size."""
    source = iter(chunks)
    held: list[bytes] = []
    size = 0
    for chunk in source:
        held.append(chunk)
        size += len(chunk)
        if size > _WHOLE:
            look = _Look()
            for one in chain(held, source):
                look.add(one)
            return look.found()
    return likeness_of(held[0] if len(held) == 1 else b"".join(held))


def likeness_of(octets: bytes) -> Likeness:
    """Look at a message that is in memory anyway; the same result, faster."""
    size = len(octets)
    # replacing single octets is many times faster than counting or finding pairs of them
    bare = octets.replace(b"\r", b"")
    wide = _as_crlf(bare)
    uniform = True
    if len(bare) == size:
        feeds = len(wide) - size
        ends = LineEnds.LF if feeds else LineEnds.NONE
        longest = max(map(len, bare.split(b"\n")))
    elif wide == octets:
        ends = LineEnds.CRLF
        longest = max(map(len, bare.split(b"\n")))
    else:
        uniform = False
        feeds, pairs = octets.count(b"\n"), octets.count(b"\r\n")
        ends = _line_ends(feeds, pairs, odd=b"\r\r\n" in octets)
        longest = _longest(octets)
        wide = _as_crlf(octets)
    cut = _end_of_header(octets, ends)
    header = octets[:cut]
    hashed = sha256(header)
    if ends is LineEnds.LF:
        whole = hashed.copy()
        whole.update(octets[cut:])
        digest = whole.digest()
        wide_header = _as_crlf(header)
        hashed = sha256(wide_header)
        header_digest = hashed.digest()
        body = wide[len(wide_header) :]
        hashed.update(body)
        canonical_size, canonical = len(wide), hashed.digest()
    else:
        header_digest = hashed.digest()
        body = octets[cut:]
        hashed.update(body)
        canonical = digest = hashed.digest()
        canonical_size = size
    if not uniform:
        header_digest = sha256(_as_crlf(_as_lf(header))).digest()
        body = _as_crlf(_as_lf(body))
    seven_bit = octets.isascii()
    text = header if cut <= _HEADER else header[:_HEADER]
    return Likeness(
        size,
        digest,
        canonical_size,
        canonical,
        header_digest,
        sha256(body.rstrip(b"\r\n")).digest(),
        ends,
        longest,
        not seven_bit and not header.isascii(),
        not seven_bit and not body.isascii(),
        b"\0" in octets,
        _FIELD.match(text) is not None,
        *_fields(text),
    )


def surely_plain(octets: bytes) -> bool:
    """Whether ``likeness_of`` would say ``plain`` and the octets are the canonical ones.

    It takes a fifth of the time. False says nothing: a CR alone is not gone into.
    """
    if not octets.isascii() or b"\0" in octets or _FIELD.match(octets) is None:
        return False
    bare = octets.replace(b"\r", b"")
    if len(bare) == len(octets) or _as_crlf(bare) != octets:
        return False
    start, size = 0, len(octets)
    while size - start > _LONGEST:  # from the last line end that may still be reached to the next
        end = octets.rfind(b"\n", start, start + _LONGEST + 2)
        if end < 0:
            return False
        start = end + 1
    return True


def converted(chunks: Iterable[bytes], ends: LineEnds) -> Iterator[bytes]:
    """The octets of a message whose line ends are all alike, with other ones (CRLF or LF).

    What has those line ends already comes as it is. There and back gives the same octets.
    """
    crlf = ends is LineEnds.CRLF
    held = b""
    for chunk in chunks:
        octets = held + chunk if held else chunk
        # a line end may be cut in two
        held = b"\r" if octets[-1:] == b"\r" else b""
        octets = (octets[:-1] if held else octets).replace(b"\r\n", b"\n")
        if octets:
            yield _as_crlf(octets) if crlf else octets
    if held:
        yield held


def _as_crlf(octets: bytes) -> bytes:
    """LF as CR LF, where every line end is LF."""
    return octets.replace(b"\n", b"\r\n")


def _as_lf(octets: bytes) -> bytes:
    """Each line end as LF, that of CR alone too."""
    return octets.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _line_ends(feeds: int, pairs: int, *, odd: bool) -> LineEnds:
    if not feeds:
        return LineEnds.NONE
    if odd:
        return LineEnds.MIXED
    if pairs == feeds:
        return LineEnds.CRLF
    return LineEnds.MIXED if pairs else LineEnds.LF


def _longest(octets: bytes) -> int:
    lines = octets.split(b"\n")
    last = lines.pop()  # no line end follows: a CR there belongs to the line
    return max(len(last), *(len(line) - line.endswith(b"\r") for line in lines), 0)


def _end_of_header(octets: bytes, ends: LineEnds) -> int:
    """One past the first empty line; the length if there is none."""
    if octets[:1] == b"\n":
        return 1
    if octets[:2] == b"\r\n":
        return 2
    if ends is LineEnds.MIXED:
        found = _EMPTY_LINE.search(octets)
        return found.end() if found is not None else len(octets)
    empty = b"\n\r\n" if ends is LineEnds.CRLF else b"\n\n"
    at = octets.find(empty)
    return at + len(empty) if at >= 0 else len(octets)


def _fields(header: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    """Message-ID, Date, From, Subject."""
    lowered = b"\n" + header.lower()
    return (
        b"".join(_field(header, lowered, b"\nmessage-id").splitlines()).strip(),
        b" ".join(_field(header, lowered, b"\ndate").split()),
        b" ".join(_field(header, lowered, b"\nfrom").split()),
        b" ".join(_field(header, lowered, b"\nsubject").split()),
    )


def _field(header: bytes, lowered: bytes, name: bytes) -> bytes:
    """The value of the first field of a name as it stands, b"" if there is none."""
    at = lowered.find(name)
    while at >= 0:
        start = colon = at + len(name)
        while lowered[colon : colon + 1] in {b" ", b"\t"}:  # obs-optional (RFC 5322 §4.5)
            colon += 1
        if lowered[colon : colon + 1] == b":":
            end = lowered.find(b"\n", colon)
            while lowered[end + 1 : end + 2] in {b" ", b"\t"} and end >= 0:
                end = lowered.find(b"\n", end + 1)
            # ``lowered`` has one octet more in front
            return header[colon : end - 1 if end >= 0 else len(header)]
        at = lowered.find(name, start)
    return b""


class _Look:
    """A large message, chunk by chunk."""

    def __init__(self) -> None:
        self._size = self._feeds = self._pairs = 0
        self._odd = False
        self._last = b""  # the last two octets of what was seen
        self._hash = sha256()
        # of the octets with LF as CR LF, while no CR LF was seen
        self._wide = sha256()
        self._line = self._longest = 0
        self._nul = self._eight_bit_header = self._eight_bit_body = False
        self._head = bytearray()
        self._around = b"\n"  # where an empty line may begin
        self._in_body = False
        self._header = sha256()
        self._body = sha256()
        self._held = b""  # a CR that may be half of a line end
        self._empty = 0  # line ends of the body that may be its last

    def add(self, chunk: bytes) -> None:
        """The next octets."""
        if not chunk:
            return
        around = self._last + chunk
        self._size += len(chunk)
        self._feeds += chunk.count(b"\n")
        self._pairs += around.count(b"\r\n") - self._last.count(b"\r\n")
        self._odd = self._odd or b"\r\r\n" in around
        self._nul = self._nul or b"\0" in chunk
        self._measure(chunk)
        self._last = around[-2:]
        if not self._in_body:
            self._add_header(chunk)
        else:
            self._add_body(chunk)

    def _hashes(self, octets: bytes) -> None:
        self._hash.update(octets)
        if not self._pairs:
            self._wide.update(_as_crlf(octets))

    def _add_header(self, chunk: bytes) -> None:
        before = self._around + chunk
        found = _EMPTY_LINE.search(before)
        cut = found.end() - len(self._around) if found is not None else len(chunk)
        header = chunk[:cut]
        self._hashes(header)
        self._eight_bit_header = self._eight_bit_header or not header.isascii()
        if len(self._head) < _HEADER:
            self._head += header[: _HEADER - len(self._head)]
        self._header.update(_as_crlf(self._with_lf(header)))
        if found is None:
            self._around = before[-2:]
            return
        self._in_body = True
        self._add_body(chunk[cut:])

    def _add_body(self, chunk: bytes) -> None:
        self._hashes(chunk)
        self._eight_bit_body = self._eight_bit_body or not chunk.isascii()
        self._lines(self._with_lf(chunk))

    def _with_lf(self, chunk: bytes) -> bytes:
        """The next octets with LF for every line end; a CR at the end waits for what follows."""
        octets = self._held + chunk
        self._held = b"\r" if octets[-1:] == b"\r" else b""
        return _as_lf(octets[:-1] if self._held else octets)

    def _lines(self, octets: bytes) -> None:
        """Of the body, with LF for every line end."""
        text = octets.rstrip(b"\n")
        if not text:
            self._empty += len(octets)
            return
        while self._empty:
            some = min(self._empty, 4096)
            self._body.update(b"\r\n" * some)
            self._empty -= some
        self._body.update(_as_crlf(text))
        self._empty = len(octets) - len(text)

    def _measure(self, chunk: bytes) -> None:
        lines = chunk.split(b"\n")
        if len(lines) == 1:
            self._line += len(chunk)
            return
        first = self._line + len(lines[0])
        last = lines.pop()
        lengths = [len(line) - line.endswith(b"\r") for line in lines]
        lengths[0] = first - (lines[0] or self._last).endswith(b"\r")
        self._longest = max(self._longest, *lengths)
        self._line = len(last)

    def found(self) -> Likeness:
        """When all octets were given."""
        if self._held and self._in_body:
            self._lines(b"\n")
        elif self._held:
            self._header.update(b"\r\n")
        ends = _line_ends(self._feeds, self._pairs, odd=self._odd)
        digest, wide = self._hash.digest(), self._wide.digest()
        head = bytes(self._head)
        only_lf = ends is LineEnds.LF
        return Likeness(
            self._size,
            digest,
            self._size + self._feeds if only_lf else self._size,
            wide if only_lf else digest,
            self._header.digest(),
            self._body.digest(),
            ends,
            max(self._longest, self._line),
            self._eight_bit_header,
            self._eight_bit_body,
            self._nul,
            _FIELD.match(head) is not None,
            *_fields(head),
        )
