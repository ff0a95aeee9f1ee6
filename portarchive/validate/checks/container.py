"""The tree itself: its troubles, and files that nothing names."""

from __future__ import annotations

from portarchive.archive.dialect import METADATA_FILES
from portarchive.archive.tree import INDEX_DIR, PRIVATE_DIR
from portarchive.archive.tree_listing import File
from portarchive.validate.checks.objects import TOPS, WITHOUT_DOCUMENTS, is_document
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
    """What the opener found; of ``index/`` ``check_private`` tells it."""
    for trouble in run.listing.troubles:
        if not _is_derived(run, trouble.path):
            run.report.add(trouble.code, trouble.path, "", trouble.text)
    for code, more in run.listing.dropped.items():
        run.report.add_count(code, more)


def check_private(run: Run) -> None:
    """Forget what is derived, if the archive is ours, and what was a writer's.

    A container holds neither. In another program's archive ``index/`` is a directory like others.
    """
    listing, report = run.listing, run.report
    if run.metadata and not _is_ours(run):
        run.private = frozenset({PRIVATE_DIR})
        for trouble in listing.troubles:
            if _is_derived(run, trouble.path):
                report.add(trouble.code, trouble.path, "", trouble.text)
    for directory in sorted(run.private & listing.directories.keys()):
        count = listing.remove(directory)
        if run.tree.kind != "directory":
            report.add("Z-019", directory, "", f"{count:,} files")


def _is_derived(run: Run, path: str) -> bool:
    return run.tree.kind == "directory" and path.partition("/")[0] == INDEX_DIR


def _is_ours(run: Run) -> bool:
    archive = run.section("archive")
    generator = archive.get("generator")
    return any(name.startswith("portarchive:") for name in archive) or (
        isinstance(generator, str) and generator.lower().startswith("portarchive")
    )


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
                part = named or name == FOLDER_FILE or _is_object(path)
                report.add("M-012" if chained and part else "M-010", path)
            elif not named and _is_of_nothing(prefix + name):
                report.add("F-047", prefix + name)


def _is_object(path: str) -> bool:
    return path.partition("/")[0] in TOPS and is_document(path)


def _is_of_nothing(path: str) -> bool:
    """Whether a file that nothing names has no meaning by its place and name either."""
    if path.partition("/")[0] in {*WITHOUT_DOCUMENTS, MAIL} or path in METADATA_FILES:
        return False
    return path.rpartition("/")[2] != FOLDER_FILE and not is_document(path)


def _tell_stray(run: Run, path: str, file: File) -> None:
    if run.journal and file.expected is None:
        run.report.add("M-011", path)
    else:
        run.report.add("M-010", path)
