"""One folder is brought; what is in the mailbox of another is whose?

*Sent* of the archive goes where the account has its role, to *Sent Items*; later a folder of the
archive goes there by its name, and *Sent* to a mailbox of its own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from importing import archived, letter, place, totals
from portarchive.connectors.memory import MemoryAccount, MemorySource, MemoryTarget
from portarchive.jobs.replay.report import ImportReport
from portarchive.jobs.selection import Selection

INSTANT = "2026-11-03T10:00:01Z"
SENT = Selection(folders=("Sent",))


def counts(account: MemoryAccount) -> dict[str, int]:
    return {"/".join(path): len(found) for path, found in account.contents().items() if found}


class Case:
    """An account that has the archive's *Sent* in its *Sent Items*."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.source = MemorySource()
        self.source.create_folder("Sent", roles=("sent",))
        for name in ("1", "2"):
            self.source.add(letter(name), "Sent", received=INSTANT)
        self.account = MemoryAccount()
        self.account.create_folder("Sent Items", roles=("sent",))
        assert totals(self.bring())["placed"] == 2

    def bring(self, **options: Any) -> ImportReport:
        archived(self._root / "a", self.source)
        state = self._root / "state"
        return place(self._root / "a", MemoryTarget(self.account), state=state, **options)


def test_a_copy_that_is_never_brought_owns_nothing(tmp_path: Path) -> None:
    """With ``--labels primary`` a message has one place, which *Sent Items* is not."""
    case = Case(tmp_path)
    other = MemorySource()
    other.create_folder("Sent", roles=("sent",))
    other.create_folder("Sent Items")
    other.add(letter("1"), ["Sent", "Sent Items"], received=INSTANT)
    other.add(letter("2"), "Sent", received=INSTANT)
    archived(tmp_path / "b", other)
    for selection in (SENT, SENT, Selection()):
        report = place(
            tmp_path / "b",
            MemoryTarget(case.account),
            state=tmp_path / "state",
            labels="primary",
            selection=selection,
        )
        assert "placed" not in totals(report)
    assert counts(case.account) == {"Sent Items": 2}


def test_who_is_but_alike_takes_nothing_away(tmp_path: Path) -> None:
    case = Case(tmp_path)
    case.source.create_folder("Sent Items")
    case.source.add(letter("1", fields=b"X-Copy: 1\r\n"), "Sent Items", received=INSTANT)
    report = case.bring(selection=SENT)
    assert "placed" not in totals(report)
    assert counts(case.account) == {"Sent Items": 2}


def test_what_is_found_to_be_owned_is_remembered(tmp_path: Path) -> None:
    """Nobody's ledger knows what was in the mailbox; it is read once."""
    case = Case(tmp_path)
    case.source.create_folder("Sent Items")
    case.account.create_folder("Sent")
    for number in range(20):
        received = f"2026-11-04T10:00:{number:02}Z"
        own = letter(f"own{number}", b"x" * number + b"\r\n")
        case.source.add(own, "Sent Items", received=received)
        case.account.add(own, "Sent Items", received=received)
    read = []
    for number in range(3):
        case.source.add(letter(f"more{number}"), "Sent", received=INSTANT)
        report = case.bring(selection=SENT)
        assert totals(report)["placed"] == 1
        read.append(report.bodies_read)
    assert read[0] >= 20
    assert max(read[1:]) <= 2
