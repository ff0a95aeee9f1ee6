"""Messages: what their octets show, as notes, and which of them lie here more than once."""

from __future__ import annotations

from portarchive.validate.hashing import Hashing
from portarchive.validate.octets import CODES
from portarchive.validate.run import MAIL, Run


def check_messages(run: Run, hashing: Hashing) -> None:
    """The marks of every message that an item names, and equal octets (P-004b)."""
    for path, marks in sorted(hashing.marks):
        file = run.listing.file(path)
        if file is None or not file.named:
            continue
        for mark, code in CODES.items():
            if marks & mark:
                run.report.add(code, path)
    digests = [
        file.sha256
        for directory, files in run.listing.directories.items()
        if directory.startswith(f"{MAIL}/")
        for file in files.values()
        if file.named and file.sha256 is not None
    ]
    again = len(digests) - len(set(digests))
    if again:
        run.report.add("P-004b", MAIL, "", f"{again:,} files hold octets that another has too")
