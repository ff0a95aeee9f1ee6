"""Parcels in windows: what is taken ahead of its outcome, and made durable together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from portarchive.placing import Parcel

PARCELS: Final = 500
OCTETS: Final = 16 << 20
FOLDERS: Final = 32


def windows(parcels: Iterable[Parcel]) -> Iterator[list[Parcel]]:
    """At most ``PARCELS`` parcels at a time, of about ``OCTETS`` octets, for ``FOLDERS`` folders.

    Raises:
        Exception: whatever the parcels' own iterator raises, after what came before it.
    """
    window: list[Parcel] = []
    octets = 0
    folders: set[str] = set()
    source = iter(parcels)
    while True:
        try:
            parcel = next(source, None)
        except Exception:
            if window:
                yield window
            raise
        if parcel is None:
            break
        window.append(parcel)
        octets += parcel.size
        folders.update(spot.folder_id for spot in parcel.spots)
        if len(window) >= PARCELS or octets >= OCTETS or len(folders) >= FOLDERS:
            yield window
            window = []
            octets = 0
            folders = set()
    if window:
        yield window
