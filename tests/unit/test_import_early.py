"""Dates before 1970, and dates that only the header has."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

from importing import folder_of, letter, place
from portarchive.connectors.memory import MemoryAccount, MemoryTarget

WITHOUT = "yesterday"
DATES = ("1965-03-01T10:00:00Z", "1901-12-14T00:00:00+01:00", WITHOUT)


def written(root: Path) -> Path:
    """An archive by another generator, with a message for each of these dates."""
    inbox = root / "mail" / "INBOX"
    inbox.mkdir(parents=True)
    metadata = {
        "archive": {"id": "made", "version": "draft-ietf-mailmaint-pdparchive-02"},
        "dataset": {"extent": "FULL", "datatypes": ["MAIL"]},
    }
    (root / "archive.json").write_text(json.dumps(metadata))
    items = []
    for number, text in enumerate(DATES):
        name = f"{number}.eml"
        (inbox / name).write_bytes(letter(text))
        items.append({"uid": f"{number}", "filename": name, "portarchive:received_at": text})
    (inbox / "folder.json").write_text(json.dumps({"name": "INBOX", "items": items}))
    return root


def test_early_dates_are_kept_and_those_of_headers_counted(tmp_path: Path) -> None:
    archive = written(tmp_path / "archive")
    to = MemoryAccount()
    for dry_run in (True, False):
        report = place(archive, MemoryTarget(to), dry_run=dry_run)
        told = folder_of(report, "INBOX")
        assert (told.date_from_header, told.undated) == (1, 0)
        assert report.to_json()["totals"]["date_from_header"] == 1
    (box,) = to.mailboxes().values()
    meant = [*DATES[:2], "2026-11-03T10:00:01+00:00"]
    assert [item.message.received.epoch for item in box.items.values()] == [
        round(datetime.fromisoformat(text).timestamp()) for text in meant
    ]
