"""Where in a container an archive lies: at its root, or in the one directory there.

Packing a directory by its name is what ``tar czf x.tar.gz myarchive/`` does. An archive and the
base that it updates are found alike.
"""

from __future__ import annotations

from portarchive.archive.dialect import METADATA_FILES
from portarchive.archive.tree import PRIVATE_DIR
from portarchive.archive.tree_listing import Listing
from portarchive.validate.run import is_junk


def descend(listing: Listing) -> str:
    """Make the archive's root the root of a container's listing; that directory, or ""."""
    inside = _only_directory(listing)
    if (
        not inside
        or any(listing.file(name) is not None for name in METADATA_FILES)
        or all(listing.file(f"{inside}/{name}") is None for name in METADATA_FILES)
    ):
        return ""
    listing.descend(inside)
    return inside


def is_unfinished(listing: Listing) -> bool:
    """Whether a container without metadata has what an export leaves that was interrupted."""
    inside = _only_directory(listing)
    return PRIVATE_DIR in listing.directories or (
        bool(inside) and f"{inside}/{PRIVATE_DIR}" in listing.directories
    )


def _only_directory(listing: Listing) -> str:
    inside = [name for name in listing.subdirectories[""] if not is_junk(name)]
    return inside[0] if len(inside) == 1 else ""
