"""Imports into an account in memory, as a command line makes them: retried, and without waiting."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from exporting import NOW
from portarchive.archive.contents import open_contents
from portarchive.connectors.base import Target
from portarchive.connectors.memory import MemoryAccount, MemorySource, MemoryTarget
from portarchive.connectors.retry import RetryingSource
from portarchive.connectors.retry_target import RetryingTarget
from portarchive.jobs.export import ExportOptions, run_export
from portarchive.jobs.replay.options import ImportOptions
from portarchive.jobs.replay.report import FolderReport, ImportReport
from portarchive.jobs.replay.run import run_import
from portarchive.placing import Present
from portarchive.progress import Event, silent

LATER = NOW.timestamp()


def retrying(target: Target, observer: Callable[[Event], None] = silent) -> RetryingTarget:
    """The target as jobs see it; nothing is waited for."""
    return RetryingTarget(target, observer=observer, sleep=lambda _: None, random=lambda: 0.5)


def place(
    archive: Path,
    target: Target,
    state: Path | None = None,
    observer: Callable[[Event], None] = silent,
    sleep: Callable[[float], object] = lambda _: None,
    **options: Any,
) -> ImportReport:
    """One run of an import. ``options``: of ``ImportOptions``; ``sleep``: between two looks."""
    with open_contents(archive) as contents:
        report = run_import(
            contents,
            retrying(target, observer),
            ImportOptions(**options),
            observer,
            archive=archive,
            state=state,
            sleep=sleep,
        )
    check_equation(report)
    return report


def check_equation(report: ImportReport) -> None:
    """Each message of the archive is accounted for, once, folder by folder."""
    for folder in report.folders:
        assert folder.messages == (
            sum(folder.present.values())
            + folder.to_place
            + folder.placed
            + folder.merged
            + folder.failed_count
            + sum(folder.skipped.values())
        ), folder
        assert report.dry_run or not folder.to_place
        assert all(entry["code"] and entry["text"] for entry in folder.failed)


def folder_of(report: ImportReport, path: str) -> FolderReport:
    """The report of one folder of the archive."""
    (found,) = [folder for folder in report.folders if folder.path == path]
    return found


def totals(report: ImportReport) -> dict[str, Any]:
    """What is not nothing of the report's sums."""
    told = report.to_json()["totals"]
    return {name: value for name, value in told.items() if value}


def archived(path: Path, source: MemorySource) -> Path:
    """An export of an account to a directory."""
    wrapped = RetryingSource(source, observer=silent, sleep=lambda _: None, random=lambda: 0)
    run_export(wrapped, path, ExportOptions(now=NOW, fsync=False), silent)
    return path


def letter(
    name: str, body: bytes = b"hello\r\n", *, fields: bytes = b"", subject: str = ""
) -> bytes:
    """A message with a Message-ID; equal arguments are equal octets."""
    head = (
        f"Message-ID: <{name}@example.org>\r\nDate: Tue, 3 Nov 2026 10:00:01 +0000\r\n"
        f"From: Jane <jane@example.org>\r\nSubject: {subject or name}\r\n"
    )
    return head.encode() + fields + b"\r\n" + body


def account(**folders: Iterable[bytes]) -> MemorySource:
    """An old account with these messages."""
    source = MemorySource()
    for name, messages in folders.items():
        if name != "INBOX":
            source.create_folder(name)
        for octets in messages:
            source.add(octets, name)
    return source


def octets(target: MemoryAccount, name: str = "INBOX") -> list[bytes]:
    """What a mailbox holds, in order."""
    held = target.contents()[tuple(name.split("/"))]
    return [message for _, message in held.values()]


def flags(target: MemoryAccount, name: str = "INBOX") -> list[tuple[str, ...]]:
    """What its messages bear, in order."""
    held = target.contents()[tuple(name.split("/"))]
    return [words for words, _ in held.values()]


def presents(target: MemoryTarget, folder_id: str) -> list[Present]:
    """As a target lists them."""
    return [each for each in target.existing([folder_id]) if isinstance(each, Present)]


def normal(message: bytes) -> bytes:
    """Without difference of line ends."""
    return re.sub(rb"\r\n|\r|\n", b"\n", message)
