"""The folders of an archive among each other, and the directories that should be folders.

Runs when every folder.json was read and every blobId is known (draft §6.3.1, §6.3.7).
"""

from __future__ import annotations

from collections import Counter

from portarchive.archive.tree_listing import File
from portarchive.validate.run import DIGESTS_FILE, FOLDER_FILE, MAIL, Run, in_junk, is_junk


def check_folders(run: Run) -> None:
    """The folders among each other, and the directories that should be folders."""
    report = run.report
    uids: dict[str, str] = {}
    uses: Counter[str] = Counter()
    for directory, facts in run.folders.items():
        if not facts.is_mail:
            continue
        if facts.uid is not None:
            other = uids.setdefault(facts.uid, directory)
            if other != directory:
                text = f"the same as in {other!a}"
                report.add("F-041", f"{directory}/{FOLDER_FILE}", "/uid", text)
        use = facts.header.get("special_use")
        if isinstance(use, str) and not facts.header.get("portarchive:gone_at"):
            uses["\\" + use.lower().removeprefix("\\")] += 1
            if uses["\\" + use.lower().removeprefix("\\")] == 2:
                report.add("C-043", f"{directory}/{FOLDER_FILE}", "/special_use", f"{use[:60]!a}")
    _check_directories(run)


def _check_directories(run: Run) -> None:
    listing, report = run.listing, run.report
    above: set[str] = set()
    for directory in run.folders:
        parent = directory.rpartition("/")[0]
        while parent and parent not in above:
            above.add(parent)
            parent = parent.rpartition("/")[0]
    # what cannot be looked at, or may not, is no proof that there is nothing
    hidden = {trouble.path.removeprefix(run.prefix) for trouble in listing.troubles}
    hidden |= {path.rpartition("/")[0] for path in hidden}
    for directory, files in listing.directories.items():
        if directory == MAIL:
            for name, file in files.items():
                if not is_junk(name) and not file.attached:
                    report.add("F-043", f"{MAIL}/{name}")
            continue
        if not directory.startswith(f"{MAIL}/") or FOLDER_FILE in files or in_junk(directory):
            continue
        below = listing.subdirectories[directory]
        if directory.endswith(f"/{FOLDER_FILE}") and not below:
            continue  # told of the directory that it lies in
        other = next((name for name in files if name.lower() == FOLDER_FILE), None)
        if other is not None:
            report.add("P-006c", f"{directory}/{other}")
            run.without_folder.add(directory)
        elif FOLDER_FILE in below:
            report.add("P-006", directory, "", f"{FOLDER_FILE} is a directory")
            run.without_folder.add(directory)
        elif any(_is_stray(name, file) for name, file in files.items()):
            if _needs_folder(run, directory, files):
                report.add("P-006", directory)
                run.without_folder.add(directory)
        elif run.partial or run.journal or directory in hidden:
            continue
        elif directory in above or not (files or below) or _holds_items(files):
            # a partial archive leaves out parents in which nothing changed
            report.add("P-006b", directory)


def _is_stray(name: str, file: File) -> bool:
    return not (file.named or file.attached or is_junk(name))


def _holds_items(files: dict[str, File]) -> bool:
    """Whether files lie here that only folders elsewhere name."""
    return any(file.named and not file.attached for file in files.values())


def _needs_folder(run: Run, directory: str, files: dict[str, File]) -> bool:
    """Whether messages that no folder.json names are a loss, and not what a run left over."""
    if any(file.expected is not None and _is_stray(name, file) for name, file in files.items()):
        return True
    if run.manifest is not None:
        return directory in run.ledger
    return DIGESTS_FILE not in run.listing.directories[""]
