"""What an archive knows of the names of its folders, for a source that does not tell them now.

It reads what an earlier run was told; what the names are is the connector's matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from portarchive.archive import journal, model
from portarchive.archive.durable import Durability
from portarchive.archive.manifest import Published, load_published
from portarchive.archive.writer import ArchiveWriter
from portarchive.connectors.base import Recalling, Source
from portarchive.records import SourceIdentity

_NAMESPACES = "namespaces"


def for_journal(identity: SourceIdentity) -> dict[str, Any]:
    """What the next run needs of this one if it breaks off."""
    return {_NAMESPACES: identity.namespaces}


def recalled(
    source: Source, identity: SourceIdentity, path: Path, durability: Durability | None
) -> SourceIdentity:
    """The source with the names that the archive has, if it does not tell its namespaces.

    Args:
        source: not listed yet.
        identity: its own.
        path: of the archive; there may be none.
        durability: with which an interrupted run is finished first; None: nothing is written.

    Returns:
        The identity, which may be another one now.

    Raises:
        Locked, Damaged, OSError: see ``ArchiveWriter``.
        ConnectorError: the source is lost.
    """
    if not _silent(identity) or not isinstance(source, Recalling):
        return identity
    left = path / model.PRIVATE_DIR / journal.NAME
    if not (path / model.ARCHIVE_FILE).exists() and not left.exists():
        return identity
    if durability is None:
        published = load_published(path)
        header = journal.recover(left).header or {}
        base = published.fingerprint if published is not None else None
        sources = _sources(published, header if header.get("base") == base else None)
    else:
        writer = ArchiveWriter(path, durability)
        try:
            sources = _sources(writer.published, writer.unfinished)
        finally:
            writer.close()
    return recalled_from(source, identity, sources)


def recalled_from(
    source: Source, identity: SourceIdentity, sources: Iterable[Mapping[str, Any]]
) -> SourceIdentity:
    """The same, of what is known already.

    Args:
        source: not listed yet.
        identity: its own.
        sources: what is said of it: ``source`` of a manifest. The first that fits counts.

    Raises:
        ConnectorError: the source is lost.
    """
    if not _silent(identity) or not isinstance(source, Recalling):
        return identity
    for told in sources:
        said = told.get(_NAMESPACES, False)
        if told.get("protocol") == identity.protocol and (said is None or isinstance(said, dict)):
            source.recall(said)
            return source.identity()
    return identity


def _silent(identity: SourceIdentity) -> bool:
    """Whether namespaces are not told: refused, or (by IMAP alone there are any) not announced."""
    if identity.namespaces is None:
        return identity.protocol == "imap"
    return bool(identity.namespaces.get("assumed"))


def _sources(
    published: Published | None, unfinished: Mapping[str, Any] | None
) -> list[Mapping[str, Any]]:
    """What is said of the source: by the run that broke off, and by the archive."""
    manifest = published.manifest if published is not None else None
    found = [(unfinished or {}).get("source"), (manifest or {}).get("source")]
    return [each for each in found if isinstance(each, dict)]
