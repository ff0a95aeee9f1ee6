"""A sudden emptiness is a fault until the user says otherwise (format.md section 6).

A folder not of role trash or junk that loses at least 20 items and all of its own, or half the
account at once: with ``--mirror`` it is left alone and named; in keep mode it is a warning.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from portarchive.archive import model
from portarchive.archive.folder_state import FolderState, StillItems
from portarchive.archive.writer import ArchiveWriter

MANY = 20
CAP = "suspected-cap"
_EXPECTED_TO_EMPTY = frozenset({"trash", "junk"})


def suspicious(
    writer: ArchiveWriter, states: Iterable[FolderState], contradicted: Collection[str] = ()
) -> list[tuple[FolderState, int]]:
    """The folders whose loss is not to be believed at once, with the number of items lost.

    ``contradicted``: paths of folders of which the server itself said two different counts.
    """
    lost: list[tuple[FolderState, int, int]] = []
    account = 0
    ledger = writer.published.ledger() if writer.published else {}
    candidates = list(states)
    for state in candidates:
        before = int(ledger.get(state.path, {}).get("archived", 0))
        account += before
        if _is_emptied_by_people(state):
            continue
        gone = sum(1 for _ in state.lost_lines(writer.journal))
        if gone:
            lost.append((state, gone, before))
    everywhere = sum(gone for _, gone, _ in lost)
    half = everywhere >= MANY and 2 * everywhere >= account
    found = [
        (state, gone)
        for state, gone, before in lost
        if (gone >= MANY and gone >= before) or half or state.path in contradicted
    ]
    if not found:
        return []
    still = StillItems(candidates, writer.journal)
    judged: list[tuple[FolderState, int, int]] = []
    for state, _, before in lost:
        gone = sum(1 for line in state.lost_lines(writer.journal) if not still.has(line))
        judged.append((state, gone, before))
    everywhere = sum(gone for _, gone, _ in judged)
    half = everywhere >= MANY and 2 * everywhere >= account
    return [
        (state, gone)
        for state, gone, before in judged
        if gone and ((gone >= MANY and gone >= before) or half or state.path in contradicted)
    ]


def _is_emptied_by_people(state: FolderState) -> bool:
    header = state.header or (state.published.header if state.published else {})
    roles = header.get(model.ROLE)
    return bool(_EXPECTED_TO_EMPTY.intersection(roles if isinstance(roles, list) else [roles]))
