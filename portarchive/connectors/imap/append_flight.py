"""One APPEND command on its way: which messages, and its octets piece by piece.

A command either sends all its literals ahead of the server's consent, or waits for each; the two
are never mixed in one command, so that after a refusal it is known what the server still reads.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import Final, NamedTuple

from portarchive.connectors.imap import append_form
from portarchive.connectors.imap.names import Literal, Part
from portarchive.placing import Parcel, Refused

MULTIPLE: Final = 100
"""Messages of one command (RFC 3502)."""

OCTETS: Final = 2 << 20
"""Octets of the messages of one command, but for a single larger one."""

AHEAD_MAX: Final = 1 << 20
"""A larger message is not sent before the server wants it: it may refuse it by its size."""

AHEAD_MINUS: Final = 4096
"""What LITERAL- lets go ahead (RFC 7888 §5)."""


class Mode(IntEnum):
    """How a message is sent."""

    AHEAD = 0
    """Its literal does not wait: LITERAL+, LITERAL-."""
    WAITING = 1
    """Its literal waits for the server's ``+``."""
    ALONE = 2
    """The same, and nothing else is on its way meanwhile."""


class Load(NamedTuple):
    """A message and what stands before its literal.

    Attributes:
        head: flags and date, blanks around.
        utf8: to be marked as UTF8 (RFC 6855 §4).
    """

    parcel: Parcel
    head: bytes
    utf8: bool


class Window(NamedTuple):
    """Messages for one command, all for one mailbox.

    Attributes:
        name: of the mailbox, as ``names.argument`` gives it.
    """

    folder_id: str
    name: Part
    loads: Sequence[Load]
    mode: Mode

    @property
    def octets(self) -> int:
        """Of its messages together."""
        return sum(load.parcel.size for load in self.loads)

    def halves(self) -> tuple[Window, Window]:
        """The same in two."""
        middle = len(self.loads) // 2
        return (
            self._replace(loads=self.loads[:middle]),
            self._replace(loads=self.loads[middle:]),
        )


class ShortError(Exception):
    """The octets of a message ended before its size, or went on after it."""

    def __init__(self, parcel: Parcel, octets: int) -> None:
        super().__init__(f"the message has {octets} octets where {parcel.size} were announced")
        self.parcel = parcel

    @property
    def outcome(self) -> Refused:
        """What becomes of the message."""
        return Refused("bad-message", str(self))


_tags = itertools.count(1)


class Flight:
    """A command that is being sent or was sent, without its answer yet.

    Attributes:
        tag: unlike that of any other command of this process.
        pieces: octets to be sent in order, and whether ``+`` is to be waited for behind them.
        begun: when the first of it was sent, as ``time.monotonic`` has it; None if nothing was.
    """

    __slots__ = ("begun", "octets", "pieces", "tag", "window")

    def __init__(self, window: Window) -> None:
        self.tag = b"a%d" % next(_tags)
        self.window = window
        self.octets = window.octets
        self.begun: float | None = None
        self.pieces = _ahead(self.tag, window) if self.ahead else _waiting(self.tag, window)

    @property
    def ahead(self) -> bool:
        """Its literals do not wait."""
        return self.window.mode is Mode.AHEAD

    @property
    def unbroken(self) -> bool:
        """What is left of it can be sent to its end though it was refused already."""
        return self.ahead or len(self.window.loads) == 1


Piece = tuple[bytes, bool]


def _ahead(tag: bytes, window: Window) -> Iterator[Piece]:
    if isinstance(window.name, Literal):
        raise TypeError("a name that is a literal waits for the server")
    parts = [tag, b" APPEND ", window.name]
    for parcel, head, utf8 in window.loads:
        if parcel.octets is None:
            raise TypeError("a message that is not in memory waits for the server")
        parts += [head, append_form.opening(parcel.size, ahead=True, utf8=utf8), parcel.octets]
        if utf8:
            parts.append(b")")
    parts.append(b"\r\n")
    yield b"".join(parts), False


def _waiting(tag: bytes, window: Window) -> Iterator[Piece]:
    line = tag + b" APPEND "
    if isinstance(window.name, Literal):
        yield line + b"{%d}\r\n" % len(window.name.octets), True
        line = window.name.octets
    else:
        line += window.name
    for parcel, head, utf8 in window.loads:
        yield line + head + append_form.opening(parcel.size, ahead=False, utf8=utf8), True
        line = b")" if utf8 else b""
        if parcel.octets is not None:
            line = parcel.octets + line
        else:
            yield from _streamed(parcel)
    yield line + b"\r\n", False


def _streamed(parcel: Parcel) -> Iterator[Piece]:
    left = parcel.size
    for octets in parcel.chunks():
        left -= len(octets)
        if left < 0:
            raise ShortError(parcel, parcel.size - left)
        yield octets, False
    if left:
        raise ShortError(parcel, parcel.size - left)
