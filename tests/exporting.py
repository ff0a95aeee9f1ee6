"""Exports of an account in memory, as a command line makes them: retried, and without waiting."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from portarchive.connectors.base import Source, SourceCapabilities
from portarchive.connectors.memory import MemorySource
from portarchive.connectors.retry import RetryingSource
from portarchive.jobs.export import ExportOptions, run_export
from portarchive.jobs.report import ExportReport
from portarchive.progress import Event, silent

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
LISTS_ONLY = SourceCapabilities(flags_in_listing=True)
"""As IMAP without QRESYNC: a listing a run, with flags."""
DELTAS = SourceCapabilities(removals=True, flags_in_listing=True)
"""As IMAP with QRESYNC."""
EVERYTHING = SourceCapabilities(removals=True, object_ids=True, flags_in_listing=True)
"""As JMAP, or IMAP with OBJECTID too."""
KINDS = {"lists": LISTS_ONLY, "deltas": DELTAS, "ids": EVERYTHING}


def export(
    source: Source,
    path: Path,
    observer: Callable[[Event], None] = silent,
    *,
    retry: bool = True,
    **options: Any,
) -> ExportReport:
    """One run. ``options``: of ``ExportOptions``; ``now`` is ``NOW`` unless given."""
    options.setdefault("now", NOW)
    wrapped: Source = source
    if retry:
        wrapped = RetryingSource(source, observer=observer, sleep=lambda _: None, random=lambda: 0)
    return run_export(wrapped, path, ExportOptions(**options), observer)


def mail(name: str, size: int = 0) -> bytes:
    """A message; equal names and sizes are equal octets."""
    head = f"Message-ID: <{name}@example.org>\r\nSubject: {name}\r\n\r\n"
    return head.encode() + b"x" * size + b"\r\n"


def account(kind: str = "ids", *, whole: bool = False, **folders: int) -> MemorySource:
    """So many messages in each folder, with uids from 1 and names like ``INBOX-1``."""
    source = MemorySource(capabilities=KINDS[kind], whole_account=whole)
    for name in folders:
        if name != "INBOX":
            source.create_folder(name)
    for name, count in folders.items():
        for number in range(1, count + 1):
            source.add(mail(f"{name}-{number}"), name)
    return source


def has(source: MemorySource) -> dict[str, dict[str, tuple[tuple[str, ...], bytes]]]:
    """What the account holds, by path with slashes."""
    return {"/".join(path): items for path, items in source.contents().items()}
