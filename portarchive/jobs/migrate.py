"""Migrate: export, import, and a comparison of what was meant with what is there."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from portarchive import keywords
from portarchive.archive.contents import Item, open_contents
from portarchive.archive.dialect import METADATA_FILES
from portarchive.connectors.base import Source, Target
from portarchive.jobs.diff.report import DiffReport
from portarchive.jobs.diff.run import run_diff
from portarchive.jobs.diff.sides import AccountSide, ArchiveSide
from portarchive.jobs.export import ExportOptions, run_export
from portarchive.jobs.replay.deliver import LOST
from portarchive.jobs.replay.gather import as_record
from portarchive.jobs.replay.merged import COPIES_MERGED, DATE_MERGED, FLAGS_MERGED
from portarchive.jobs.replay.options import ImportOptions
from portarchive.jobs.replay.policies import Policies
from portarchive.jobs.replay.report import ImportReport
from portarchive.jobs.replay.run import run_import, same_service
from portarchive.jobs.report import ExportReport
from portarchive.jobs.same_account import refuse_oneself
from portarchive.progress import Observer


@dataclass(slots=True)
class MigrateReport:
    """The outcome of ``run_migrate``.

    Attributes:
        exported: the archive is kept, whatever came after.
        imported: in a dry run the plan, of what the archive has by now; None without an archive.
        compared: the archive against the target, by the import's own rules: what these leave out
            or cannot bring is in ``imported``, and no difference here; but flags are one where the
            target keeps none at all. Nor is it one what of copies became one (``merged``). None
            in a dry run.
    """

    exported: ExportReport
    imported: ImportReport | None = None
    compared: DiffReport | None = None

    @property
    def complete(self) -> bool:
        """Everything is on the other side."""
        return (
            self.exported.complete
            and self.imported is not None
            and self.imported.complete
            and (self.compared is None or self.compared.same)
        )

    def to_json(self) -> dict[str, Any]:
        """The object that ``--json`` prints (schemas/portarchive/migrate.schema.json)."""
        return {
            "command": "migrate",
            "complete": self.complete,
            "export": self.exported.to_json(),
            "import": self.imported.to_json() if self.imported is not None else None,
            "diff": self.compared.to_json() if self.compared is not None else None,
        }


def run_migrate(
    source: Source,
    archive: Path,
    connect: Callable[[], Target],
    read: Callable[[], Source],
    export_options: ExportOptions,
    import_options: ImportOptions,
    observer: Observer,
    *,
    state: Path | None = None,
) -> MigrateReport:
    """Bring an account to another provider by way of an archive.

    Args:
        source: the old account.
        archive: where the archive is made, or brought up to date.
        connect: opens the new account to write; called when the archive stands; in a dry run too,
            if there is one already.
        read: opens the new account to read it back.
        export_options: see there.
        import_options: see there.
        observer: is told what happens.
        state: for the ledger.

    Raises:
        SettingsError: both are one account.
        PortArchiveError: as the three say. The archive is kept, and the same call goes on.
    """
    report = MigrateReport(run_export(source, archive, export_options, observer))
    dry_run = export_options.dry_run or import_options.dry_run
    if dry_run:
        import_options = dataclasses.replace(import_options, dry_run=True)
    if export_options.dry_run and not (archive / METADATA_FILES[0]).is_file():
        return report
    with open_contents(archive) as contents:
        target = connect()
        try:
            refuse_oneself(source, contents, target)
            report.imported = run_import(
                contents, target, import_options, observer, archive=archive, state=state
            )
            identity = target.identity()
            keeps_flags = target.capabilities.keywords
        finally:
            target.close()
        if dry_run:
            return report
        dropped = {
            folder.path: {
                keywords.fold(entry["keyword"])
                for entry in folder.dropped
                if entry["reason"] in LOST
            }
            for folder in report.imported.folders
        }
        policies = Policies(
            import_options,
            same_provider=same_service(contents.service, identity.service),
            jmap=identity.protocol == "jmap",
        )
        left_out = {folder.path: folder.left_out for folder in report.imported.folders}

        present = {folder.path: folder.found for folder in report.imported.folders}
        merged = {folder.path: folder.merged_into for folder in report.imported.folders}

        def became_one(what: str, item: Item) -> bool:
            return item.uid in merged.get(item.folder, {}).get(what, ())

        def was_there(item: Item) -> bool:
            """Its owner may have changed it since; ``differs`` of the import names it."""
            return item.uid in present.get(item.folder, ())

        def flags(item: Item) -> tuple[str, ...]:
            lost: set[str] = dropped.get(item.folder, set())
            meant = policies.treat(item.flags).flags
            return tuple(flag for flag in meant if keywords.fold(flag) not in lost)

        def leave_out(item: Item) -> bool:
            return (
                policies.treat(item.flags).deleted  # it is in the trash
                or item.uid in left_out.get(item.folder, ())
                or became_one(COPIES_MERGED, item)
            )

        new = read()
        try:
            report.compared = run_diff(
                ArchiveSide(
                    contents,
                    str(archive),
                    wanted=lambda folder: import_options.selection.wants_folder(as_record(folder)),
                    leave_out=leave_out,
                    flags=flags,
                    any_instant=lambda item: (
                        item.received.epoch is None
                        or was_there(item)
                        or became_one(DATE_MERGED, item)
                    ),
                    any_flags=lambda item: keeps_flags and was_there(item),
                    more_flags=lambda item: became_one(FLAGS_MERGED, item),
                ),
                AccountSide(new),
                observer,
                mapping={folder.names: folder.target for folder in report.imported.folders},
                extra=False,
            )
        finally:
            new.close()
    return report
