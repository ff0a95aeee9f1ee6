"""Likeness: what of a message's octets tells it from others, or shows that two are the same one.

Owns digests of header and body, the identifying fields, and what a target may choke on. One pass
over chunks; holds the header (bounded) and nothing of the body. Octets are only looked at.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from portarchive.placing import LineEnds


class Likeness(NamedTuple):
    """Facts of one message.

    "Canonical" octets are the message with every line end as CR LF if all its line ends are CR LF
    or all are LF; else the octets as they are. Two messages whose canonical octets are equal
    differ in line ends only.

    Attributes:
        size: octets.
        sha256: of the octets, 32 octets.
        canonical_size, canonical_sha256: of the canonical octets.
        header_sha256: of the canonical header: all up to and with the first empty line.
        body_sha256: of what follows the first empty line, each line end as CR LF, CR alone or LF
            alone too, empty lines at the end removed.
        line_ends: of the whole message.
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
            and self.longest_line <= 998
            and not (self.eight_bit_header or self.eight_bit_body or self.nul)
            and self.has_header
        )


def likeness(chunks: Iterable[bytes]) -> Likeness:
    """Look at a message once."""
    raise NotImplementedError


def converted(chunks: Iterable[bytes], ends: LineEnds) -> Iterable[bytes]:
    """The octets of a message whose line ends are all alike, with other ones (CRLF or LF)."""
    raise NotImplementedError
