"""The tree itself: its troubles, and files that nothing names."""

from __future__ import annotations

from portarchive.archive.tree import INDEX_DIR, PRIVATE_DIR
from portarchive.archive.tree_listing import File
from portarchive.validate.checks.objects import is_document
from portarchive.validate.run import (
    DIGESTS_FILE,
    FOLDER_FILE,
    MAIL,
    MANIFEST_FILE,
    Run,
    in_junk,
    is_junk,
)


def check_tree(run: Run) -> None:
    """What the opener found."""
    for trouble in run.listing.troubles:
        run.report.add(trouble.code, trouble.path, "", trouble.text)
    for code, more in run.listing.dropped.items():
        run.report.add_count(code, more)


def check_private(run: Run) -> None:
    """A container holds neither the lock and journal of a writer nor derived files."""
    if run.tree.kind == "directory":
        return
    for directory in (PRIVATE_DIR, INDEX_DIR):
        if directory in run.listing.directories:
            count = run.listing.remove(directory)
            run.report.add("Z-019", directory, "", f"{count:,} files")


def check_order(run: Run) -> None:
    """A reader in one pass wants archive.json first: in the list of the members and among them.

    A ZIP file has two orders, that of its directory and that of the octets themselves.
    """
    if run.tree.kind == "directory":
        return
    path = run.prefix + run.metadata_file
    first = run.listing.first.get(run.prefix.removesuffix("/")) == path
    if first and run.tree.kind == "zip":
        found = run.listing.file(run.metadata_file)
        start = found.place[0] if found is not None else 0
        first = all(
            file.place[0] >= start
            for files in run.listing.directories.values()
            for file in files.values()
        )
    if not first:
        run.report.add("Z-012", run.metadata_file)


def check_unnamed(run: Run) -> None:
    """Files that no folder.json and no manifest names."""
    listing, report = run.listing, run.report
    has_manifest = listing.file(DIGESTS_FILE) is not None
    chained = run.manifest is not None and has_manifest
    for directory, files in listing.directories.items():
        in_mail = directory == MAIL or directory.startswith(f"{MAIL}/")
        prefix = f"{directory}/" if directory else ""
        rubbish = in_junk(directory)
        facts = run.folders.get(directory)
        told = directory == MAIL or directory in run.without_folder
        for name, file in files.items():
            if rubbish or is_junk(name):
                if file.expected is None and not file.named:
                    report.add("M-013", prefix + name)
                continue
            named = file.named or file.attached
            if not directory and name in {run.metadata_file, MANIFEST_FILE, DIGESTS_FILE}:
                continue
            if in_mail and name != FOLDER_FILE and not named:
                if not (told or (facts is not None and facts.broken)):
                    _tell_stray(run, prefix + name, file)
            elif has_manifest and file.expected is None:
                path = prefix + name
                part = named or name == FOLDER_FILE or is_document(path)
                report.add("M-012" if chained and part else "M-010", path)


def _tell_stray(run: Run, path: str, file: File) -> None:
    if run.journal and file.expected is None:
        run.report.add("M-011", path)
    else:
        run.report.add("M-010", path)
