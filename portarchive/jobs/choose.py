"""Which folders of an account a job is about."""

from __future__ import annotations

from collections.abc import Sequence

from portarchive.errors import SettingsError
from portarchive.jobs.selection import Selection
from portarchive.records import Folder


def folders(listed: Sequence[Folder], selection: Selection) -> list[Folder]:
    """The folders of a selection.

    Raises:
        SettingsError: folders were asked for, and none of this account is such a one; or a
            pattern names none.
    """
    unmatched = selection.unmatched(listed)
    chosen = [folder for folder in listed if selection.wants_folder(folder)]
    if unmatched or (listed and not chosen):
        what = ", ".join(unmatched) if unmatched else "the selection"
        raise SettingsError(
            f"no folder of this account matches {what}",
            hint="portarchive export SOURCE --check lists the folders of the account",
            code="no-such-folder",
        )
    return chosen
