"""Parcels cut into windows: what goes to the server in one request, or alone. Knows no connection.

The limits are looked at anew for each window: a server's real ones are found on the way.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from portarchive.connectors.jmap.resource import Limits
from portarchive.placing import Parcel

WINDOW: Final = 50
"""Messages of one request."""

WINDOW_OCTETS: Final = 4 << 20
INLINE: Final = 1 << 20
"""Octets of a message that still travels within a request, in base64."""

FRAME: Final = 2048
"""Octets of a request beside the messages, and of what is said of one message, with room."""


class Windows:
    """Takes parcels from an iterable as they are asked for, one more than it gives at most.

    Args:
        limits: of the session; they shrink.
        parcels: to be cut.
    """

    def __init__(self, limits: Limits, parcels: Iterable[Parcel]) -> None:
        self._limits = limits
        self._parcels = iter(parcels)
        self._held: Parcel | None = None

    def next(self) -> list[Parcel]:
        """The next window; empty at the end. A large message and a careful one travel alone."""
        most = min(WINDOW, self._limits.max_objects_in_set)
        room = min(WINDOW_OCTETS, self._limits.max_size_request)
        window: list[Parcel] = []
        used = FRAME
        while (parcel := self._take()) is not None:
            alone = parcel.careful or parcel.octets is None or parcel.size > INLINE
            used += weight(parcel)
            if window and (alone or used > room):
                self._held = parcel
                break
            window.append(parcel)
            if alone or len(window) >= most:
                break
        return window

    def rest(self) -> list[Parcel]:
        """What was taken and is in no window."""
        held, self._held = self._held, None
        return [held] if held is not None else []

    def _take(self) -> Parcel | None:
        held, self._held = self._held, None
        return held if held is not None else next(self._parcels, None)


def weight(parcel: Parcel) -> int:
    """Octets that a message takes in a request, at most: base64 takes four for three."""
    flags = sum(len(flag) + 8 for spot in parcel.spots for flag in spot.flags)
    return (parcel.size + 2) // 3 * 4 + 300 + 40 * len(parcel.spots) + flags
