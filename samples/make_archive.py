"""Make ``samples/archive``: what an export of the sample mailbox looks like.

    python samples/make_archive.py            write samples/archive anew
    python samples/make_archive.py --output DIR

A real export from the embedded server of ``portarchive demo``, with a fixed clock and a fixed id,
and with the name of a server that does not exist in place of the loopback port. A test makes it
again and compares.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from portarchive.connectors.base import Outcome, Source, Wanted
from portarchive.connectors.imap import ImapSettings, open_source
from portarchive.demo.server import demo_server
from portarchive.jobs.export import ExportOptions, run_export
from portarchive.progress import silent
from portarchive.records import Change, Folder, MessageRef, SourceIdentity

WHEN = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
ARCHIVE_ID = "6f1c2a54-3b0e-4b57-9a55-0d7b1f4f7a10"


class _Password:
    kind = "password"
    mechanism = None

    def __init__(self, word: str) -> None:
        self._word = word

    def reveal(self) -> str:
        return self._word


class Renamed:
    """The demo's account under the name of a server that could be anybody's."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.capabilities = source.capabilities

    def identity(self) -> SourceIdentity:
        return replace(
            self._source.identity(),
            service="imaps://imap.example.org:993",
            server={"name": "pymap"},
            capabilities=("IMAP4rev1", "OBJECTID"),
        )

    def folders(self) -> Sequence[Folder]:
        return self._source.folders()

    def changes(self, wanted: Wanted) -> Iterator[Change]:
        return self._source.changes(wanted)

    def fetch(self, refs: Sequence[MessageRef]) -> Iterator[tuple[MessageRef, Outcome]]:
        return self._source.fetch(refs)

    def reconnect(self) -> None:
        self._source.reconnect()

    def close(self) -> None:
        self._source.close()


def make(output: Path) -> None:
    """Export the sample mailbox into a directory, made anew."""
    shutil.rmtree(output, ignore_errors=True)
    with demo_server() as server:
        source = open_source(
            ImapSettings(
                host=server.host,
                port=server.port,
                tls="none",
                user=server.user,
                secret=_Password(server.password),
            )
        )
        try:
            options = ExportOptions(
                archive_id=ARCHIVE_ID,
                now=WHEN,
                fsync=False,
                name="Mail of Jane, a sample",
                note="Invented mail. Made by samples/make_archive.py.",
                language="en",
                timezone="Europe/Copenhagen",
            )
            report = run_export(Renamed(source), output, options, silent)
        finally:
            source.close()
    assert report.complete
    shutil.rmtree(output / ".portarchive")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "archive")
    make(parser.parse_args().output)
