"""What ``TargetContract`` gives to a target, and what it makes of what comes out of it.

Owns the odd messages and the judgement whether a closed list of alterations explains a difference.
"""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from portarchive.connectors.base import Target
from portarchive.errors import PortArchiveError
from portarchive.placing import Alteration, NameRules, Parcel, Placed, PlaceOutcome, Refused, Spot
from portarchive.records import Received


class Held(NamedTuple):
    """A message as its owner sees it. ``epoch``: seconds since 1970 UTC; None if there is none."""

    octets: bytes
    flags: frozenset[str]
    epoch: int | None


def mail(number: int, body: bytes = b"hello\r\n") -> bytes:
    return b"Subject: %d\r\nMessage-ID: <%d@example.org>\r\n\r\n%s" % (number, number, body)


def at(text: str) -> Received:
    """RFC 3339 as the record has it."""
    return Received(text, round(dt.datetime.fromisoformat(text).timestamp()))


NOON = at("2024-02-29T12:00:01+02:00")

OCTETS = {
    "plain": mail(1),
    "no end": mail(2, b"no end"),
    "no body": b"Subject: no body\r\n\r\n",
    "no message-id": b"Subject: nameless\r\n\r\nx\r\n",
    "no empty line": b"Subject: header only\r\n",
    "no line end": b"Subject: header only",
    "empty lines only": b"Subject: e\r\n\r\n\r\n\r\n\r\n",
    "8-bit body": mail(3, b"\x80\x81\xff \xf0\x9f\x92\x8c\r\n"),
    "8-bit header": b"Subject: caf\xe9 \xff\xfe\r\n\r\n\x80\r\n",
    "long line": mail(4, b"y" * 200_000 + b"\r\n"),
    "long header line": b"X-Long: " + b"z" * 9_000 + b"\r\n\r\nx\r\n",
    "a header line to fold": b"References: %s\r\n\r\nx\r\n"
    % b" ".join(b"<%d@example.org>" % n for n in range(200)),
    "many fields": b"".join(b"X-%d: v\r\n" % n for n in range(2000)) + b"\r\nx\r\n",
    "what looks like a reply": mail(5, b")\r\nA1 OK done\r\n* 1 FETCH (UID 1 BODY[] {3}\r\nx)\r\n"),
    "braces, quotes, percent": mail(6, b'{5}\r\n{9+}\r\n"\\" %s %n (\x7f\r\n'),
    "dots and From": mail(7, b".\r\n..\r\nFrom me\r\n>From you\r\nFrom jane Thu Jan  1 1970\r\n"),
    "From first": b"From: x@example.org\r\n\r\nFrom the first line on\r\n",
    "white at the ends": mail(8, b"   \t\r\n x \r\n\r\n \r\n"),
    "commands": mail(9, b"x DELETE victim\r\n.\r\nQUIT\r\nx DELETE INBOX\r\n"),
    "LF": mail(10).replace(b"\r\n", b"\n"),
    "LF in a CRLF message": mail(11, b"one\ntwo\r\nthree\n"),
    "CRLF in an LF message": mail(12, b"one\r\n").replace(b"\r\n", b"\n", 2) + b"two\n",
    "CR": mail(13, b"one\rtwo\r\r\nthree\r"),
    "CR before the end": mail(14, b"one\r\r\n\r\n\r"),
    "NUL": mail(15, b"a\0b\0\0c\r\n"),
    "NUL in the header": b"Subject: a\0b\r\n\r\nx\r\n",
    "controls": mail(16, bytes(range(1, 10)) + b"\x0b\x0c" + bytes(range(14, 32)) + b"\x1a\r\n"),
    "no header": b"\r\nbody alone\r\n",
    "no field": b"this is no message\r\nat all\r\n",
    "one line end": b"\r\n",
    "empty": b"",
}
"""Messages that targets stumble over; failures 34 and 35."""

_FIELD = re.compile(rb"[!-9;-~]+[ \t]*:[^\n]*\n")  # RFC 5322 §2.2: its line end is a part of it
_BARE_LF = re.compile(rb"(?<!\r)\n")


def traits(octets: bytes) -> frozenset[Alteration]:
    """What of a message a target may change or refuse, if it says so."""
    found = {
        Alteration.EMPTY: not octets,
        Alteration.NUL: b"\0" in octets,
        Alteration.NO_HEADER: _FIELD.match(octets) is None,
        Alteration.BARE_LF: _BARE_LF.search(octets) is not None,
        Alteration.EIGHT_BIT_HEADER: not header_of(octets).isascii(),
        Alteration.LAST_LF: _has_no_empty_line(octets),
        Alteration.LINE_ENDS: b"\n" in octets,
    }
    return frozenset(alteration for alteration, is_so in found.items() if is_so)


def explained(sent: bytes, got: bytes, alterations: Iterable[Alteration]) -> bool:
    """Whether a closed list explains what became of a message."""
    known = frozenset(alterations)
    candidates = {sent}
    if Alteration.LAST_LF in known and _has_no_empty_line(sent):
        candidates |= {sent.removesuffix(b"\n"), sent.removesuffix(b"\n").removesuffix(b"\r")}
    ends = {each.replace(b"\r\n", b"\n") for each in candidates}
    if {Alteration.LINE_ENDS, Alteration.BARE_LF} & known:
        candidates |= {_BARE_LF.sub(b"\r\n", each) for each in candidates}
    if Alteration.LINE_ENDS in known:
        candidates |= ends
    if Alteration.NUL in known:
        candidates |= {each.replace(b"\0", b"") for each in candidates}
    return any(_octet_by_octet(each, got, known) for each in candidates)


def _octet_by_octet(sent: bytes, got: bytes, known: frozenset[Alteration]) -> bool:
    """Whether they are of one size and differ only where an octet may have been replaced."""
    if len(sent) != len(got):
        return False
    header = len(header_of(sent))
    return all(
        octet == other
        or (octet == 0 and Alteration.NUL in known)
        or (octet > 127 and place < header and Alteration.EIGHT_BIT_HEADER in known)
        for place, (octet, other) in enumerate(zip(sent, got, strict=True))
    )


def header_of(octets: bytes) -> bytes:
    """Up to and with the first empty line."""
    end = re.search(rb"(?:\A|\n)\r?\n", octets)
    return octets[: end.end()] if end else octets


def _has_no_empty_line(octets: bytes) -> bool:
    return re.search(rb"(?:\A|\n)\r?\n", octets) is None


def fits(path: tuple[str, ...], rules: NameRules) -> bool:
    """Whether a mailbox may have this path by what the target says of itself."""
    whole = sum(len(name.encode()) for name in path) + len(rules.separator) * (len(path) - 1)
    return (
        all(
            name
            and not (rules.separator and rules.separator in name)
            and not set(rules.forbidden) & set(name)
            and not (rules.trims and name != name.strip(" "))
            and (rules.max_name is None or len(name.encode()) <= rules.max_name)
            for name in path
        )
        and (rules.max_path is None or whole <= rules.max_path)
        and (rules.max_depth is None or len(path) <= rules.max_depth)
        and (bool(rules.separator) or len(path) == 1)
    )


# --- placing ------------------------------------------------------------------------------------


def parcel(
    key: int,
    octets: bytes,
    *folder_ids: str,
    flags: Sequence[str] = (),
    received: Received = NOON,
    streamed: bool = False,
    careful: bool = False,
) -> Parcel:
    """``streamed``: in chunks of 10,000 octets only."""

    def chunks() -> Iterator[bytes]:
        for start in range(0, len(octets), 10_000):
            yield octets[start : start + 10_000]

    spots = tuple(Spot(folder_id, tuple(flags), received) for folder_id in folder_ids)
    return Parcel(
        key, spots, len(octets), None if streamed else octets, chunks=chunks, careful=careful
    )


@dataclass
class Sending:
    """One call of ``place``: what was taken, what was answered, what it ended with.

    Attributes:
        ahead: the most parcels that were taken and not answered, without the one on its way.
    """

    taken: dict[int, Parcel] = field(default_factory=dict)
    outcomes: dict[int, PlaceOutcome] = field(default_factory=dict)
    error: PortArchiveError | None = None
    ahead: int = 0

    def run(self, target: Target, parcels: Iterable[Parcel]) -> Sending:
        """Place them; each parcel comes back once, itself, and none that was not taken."""
        try:
            for found, outcome in target.place(self._take(parcels)):
                assert self.taken[found.key] is found
                assert found.key not in self.outcomes, "two outcomes for one parcel"
                self.outcomes[found.key] = outcome
        except PortArchiveError as error:
            self.error = error
        assert set(self.taken) == set(self.outcomes), "parcels that were taken have no outcome"
        return self

    def _take(self, parcels: Iterable[Parcel]) -> Iterator[Parcel]:
        for each in parcels:
            self.ahead = max(self.ahead, len(self.taken) - len(self.outcomes))
            self.taken[each.key] = each
            yield each

    def keys(self, kind: type) -> list[int]:
        return [key for key, outcome in self.outcomes.items() if isinstance(outcome, kind)]


def placed(target: Target, parcels: Iterable[Parcel]) -> dict[int, Placed]:
    """Place them; all have to get there."""
    sending = Sending().run(target, parcels)
    assert sending.error is None, sending.error
    for outcome in sending.outcomes.values():
        assert isinstance(outcome, Placed), outcome
    return {key: outcome for key, outcome in sending.outcomes.items() if type(outcome) is Placed}


def refused(outcome: object) -> str:
    assert isinstance(outcome, Refused), outcome
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", outcome.code)
    return outcome.code


def numbers(held: Iterable[Held]) -> Counter[int]:
    """How often each message of ``mail`` is there; anything else fails."""
    found: Counter[int] = Counter()
    for each in held:
        number = re.match(rb"Subject: (\d+)\r?\n", each.octets)
        assert number is not None, each.octets[:80]
        found[int(number[1])] += 1
    return found
