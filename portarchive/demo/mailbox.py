"""The sample mailbox: finds it, and reads ``mailbox.json`` into records.

Owns where the samples lie and what they say about folders, flags and dates. Refuses to look into
a message: the ``.eml`` files are octets.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from portarchive.errors import SettingsError

DESCRIPTION = "mailbox.json"


@dataclass(frozen=True, slots=True)
class SampleMessage:
    r"""One message in one folder. The same file in two folders is one message with two placements.

    Attributes:
        file: its octets, as a server would send them.
        uid: the IMAP UID that the demo server gives it, ascending within a folder.
        flags: IMAP spelling (``\Seen``, ``$Junk``), each once, order without meaning.
        internal_date: with the offset the server is to give (RFC 9051 section 2.3.3).
    """

    file: Path
    uid: int
    flags: tuple[str, ...]
    internal_date: datetime

    def octets(self) -> bytes:
        """The message, read anew each time."""
        return self.file.read_bytes()


@dataclass(frozen=True, slots=True)
class SampleFolder:
    """A mailbox of the sample account.

    Attributes:
        path: names from the root; none holds a ``/``.
        roles: lower case, as in RFC 8621 section 2; ``memos`` is RFC 9979's.
        selectable: False for a parent that is only a name; it has no UIDVALIDITY and no messages.
        messages: by ascending uid.
    """

    path: tuple[str, ...]
    roles: tuple[str, ...]
    subscribed: bool
    selectable: bool
    uidvalidity: int | None
    messages: tuple[SampleMessage, ...]

    @property
    def name(self) -> str:
        """The path as the demo server spells it, before modified UTF-7."""
        return "/".join(self.path)


@dataclass(frozen=True, slots=True)
class SampleMailbox:
    """The whole account: its login, its owner's name, all folders, INBOX first."""

    account: str
    owner: str
    folders: tuple[SampleFolder, ...]

    @property
    def placements(self) -> int:
        """How many messages the server holds, copies counted each."""
        return sum(len(folder.messages) for folder in self.folders)


def samples_directory() -> Path:
    """Where the samples lie: in the package when installed, beside it in a working tree.

    Raises:
        SettingsError: this installation has none.
    """
    package = Path(__file__).resolve().parent.parent
    for place in (package / "_samples", package.parent / "samples"):
        if (place / "mailbox" / DESCRIPTION).is_file():
            return place
    raise _no_samples("The sample mailbox is not part of this installation.")


def _no_samples(text: str) -> SettingsError:
    hint = "Install portarchive again, from its wheel or from its source tree."
    return SettingsError(text, hint=hint, code="no-samples")


def load(directory: Path | None = None) -> SampleMailbox:
    """The mailbox described in ``directory`` (the one of the samples if None).

    Raises:
        SettingsError: there is no sample mailbox.
    """
    where = samples_directory() / "mailbox" if directory is None else directory
    try:
        described = json.loads((where / DESCRIPTION).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise _no_samples(f"There is no sample mailbox in {where}.") from None
    return SampleMailbox(
        account=described["account"],
        owner=described["name"],
        folders=tuple(_folder(where, each) for each in described["folders"]),
    )


def _folder(where: Path, described: Mapping[str, Any]) -> SampleFolder:
    return SampleFolder(
        path=tuple(described["path"]),
        roles=tuple(described["roles"]),
        subscribed=described["subscribed"],
        selectable=described["selectable"],
        uidvalidity=described["uidvalidity"],
        messages=tuple(
            SampleMessage(
                file=where / row["file"],
                uid=row["uid"],
                flags=tuple(row["flags"]),
                internal_date=datetime.fromisoformat(row["internaldate"]),
            )
            for row in described["messages"]
        ),
    )
