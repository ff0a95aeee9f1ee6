"""What the user asked of an import, and what is done with keywords and odd messages by default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from portarchive.jobs.selection import Selection

Deleted = Literal["trash", "skip", "keep"]
Labels = Literal["copies", "primary"]
Verify = Literal["sample", "bytes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    r"""The default brings everything that the archive calls items, by the rules of RFC 9979.

    Attributes:
        selection: which folders and messages of the archive.
        select: only these: Message-IDs without angle brackets, or paths of files in the archive;
            None for no such limit.
        into: everything goes below this mailbox, whose names these are; roles are not looked at.
        include_kept: what the source had lost before the last export is brought as well.
        deleted: messages marked ``\Deleted`` go to the trash without the mark, are left out, or
            stay where they are with the mark (where the target can).
        labels: a message with several Gmail labels is placed in each of its folders, or in the
            first of them only.
        keywords: by folded keyword, whether it is kept; over the defaults of the registry.
        mark_imported: ``$imported`` is added to each message (RFC 9979 §7.3).
        hold_junk: ``$Junk``, ``$NotJunk`` and ``$Phishing`` are not set: they train filters.
        normalise: contradicting keywords are mended on the way (RFC 9979 §3, §4, §7).
        strict_match: only equal octets count as there already.
        verify: ``bytes`` reads everything back, ``sample`` whatever a server could trip over and
            one in ``SAMPLE`` of the rest.
        dry_run: plan only.
    """

    selection: Selection = field(default_factory=Selection)
    select: frozenset[str] | None = None
    into: tuple[str, ...] | None = None
    include_kept: bool = False
    deleted: Deleted = "trash"
    labels: Labels = "copies"
    keywords: Mapping[str, bool] = field(default_factory=dict)
    mark_imported: bool = False
    hold_junk: bool = False
    normalise: bool = False
    strict_match: bool = False
    verify: Verify = "sample"
    dry_run: bool = False


SAMPLE = 64
"""One in so many plain messages is read back whole."""
