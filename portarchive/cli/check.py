"""``portarchive export SOURCE --check``: reach the account, show what it has, write nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from portarchive.access.credentials import Secret
from portarchive.access.urls import LocalSource, SourceUrl
from portarchive.cli.connecting import AccessOptions, connect
from portarchive.cli.output import columns, counted, report_head, say, to_json
from portarchive.cli.progress_view import Speech, observing
from portarchive.cli.safe_text import safe
from portarchive.errors import ExitCode, SettingsError
from portarchive.jobs.selection import Selection
from portarchive.records import Folder, SourceIdentity

_LOCAL = frozenset({"maildir", "mbox"})


def check_account(
    url: SourceUrl | LocalSource, access: AccessOptions, selection: Selection, speech: Speech
) -> int:
    """Connect, log in, list; print a table or one JSON object.

    Raises:
        SettingsError: after the list, when a ``--folder`` names no folder of the account.
    """
    seen = look(url, access, selection, speech)
    if speech.json:
        say(to_json(seen.to_json()))
    elif not speech.quiet:
        for line in seen.words():
            say(line)
    refuse_unmatched(seen.unmatched)
    return int(ExitCode.OK)


@dataclass(frozen=True, slots=True)
class Seen:
    """What an account has, beside what is asked for."""

    identity: SourceIdentity
    folders: Sequence[Folder]
    selection: Selection

    @property
    def unmatched(self) -> tuple[str, ...]:
        """Patterns of ``--folder`` that name no folder."""
        return self.selection.unmatched(self.folders)

    def to_json(self) -> dict[str, Any]:
        """The object that ``--check --json`` prints."""
        return _report(self.identity, self.folders, self.selection, self.unmatched)

    def words(self) -> list[str]:
        """The table for people; its last line but for filters is ``total``."""
        return _words(self.identity, self.folders, self.selection)

    def total(self) -> str:
        """What an export takes, in a few words."""
        return _total(self.folders, self.selection)


def look(
    url: SourceUrl | LocalSource,
    access: AccessOptions,
    selection: Selection,
    speech: Speech,
    *,
    secret: Secret | None = None,
) -> Seen:
    """Connect, log in, list.

    Raises:
        PortArchiveError: as the parts say.
    """
    with observing(speech) as observer:
        source = connect(url, access, observer=observer, secret=secret)
        try:
            identity = source.identity()
            folders = [folder for folder in source.folders() if not folder.doubtful]
            return Seen(identity, folders, selection)
        finally:
            source.close()


def refuse_unmatched(unmatched: Sequence[str]) -> None:
    """A pattern that takes nothing is a slip, and an archive without it a surprise.

    Raises:
        SettingsError: there are such patterns.
    """
    if unmatched:
        raise SettingsError(
            f"the account has no folder {', '.join(repr(safe(name)) for name in unmatched)}",
            hint="portarchive export SOURCE --check lists its folders; names count their case",
            code="no-such-folder",
        )


def _wanted_messages(folders: Sequence[Folder], selection: Selection) -> int | None:
    counts = [f.messages for f in folders if f.selectable and selection.wants_folder(f)]
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def _report(
    identity: SourceIdentity,
    folders: Sequence[Folder],
    selection: Selection,
    unmatched: Sequence[str],
) -> dict[str, Any]:
    return {
        **report_head("check"),
        "source": {
            "protocol": identity.protocol,
            "service": identity.service,
            "account": identity.account,
            "server": {str(key): str(value) for key, value in identity.server.items()},
            "capabilities": list(identity.capabilities),
        },
        "selection": selection.to_json(),
        "unmatched": list(unmatched),
        "folders": [
            {
                "names": [_scalar(name) for name in folder.path],
                "roles": list(folder.roles),
                "messages": folder.messages,
                "selectable": folder.selectable,
                "subscribed": folder.subscribed,
                "namespace": folder.namespace,
                "selected": selection.wants_folder(folder),
            }
            for folder in folders
        ],
        "messages": _wanted_messages(folders, selection),
    }


def _words(
    identity: SourceIdentity,
    folders: Sequence[Folder],
    selection: Selection,
) -> list[str]:
    server = " ".join(str(v) for k, v in identity.server.items() if k in {"name", "version"})
    about = f" ({safe(server)})" if server else ""
    login = "" if identity.protocol in _LOCAL else f", logged in as {safe(identity.account)}"
    lines = [f"{safe(identity.service)}{login}{about}", ""]
    rows = [
        (
            "/".join(folder.path),
            ", ".join(folder.roles),
            "-" if folder.messages is None else f"{folder.messages:,}",
            _remark(folder, selection),
        )
        for folder in folders
    ]
    lines += columns(("FOLDER", "ROLE", "MESSAGES", ""), rows, right=(2,))
    lines += ["", _total(folders, selection)]
    if selection.needs_description:
        lines.append(f"filters on messages are not counted here: {safe(selection.describe())}")
    return lines


def _total(folders: Sequence[Folder], selection: Selection) -> str:
    wanted = [f for f in folders if f.selectable and selection.wants_folder(f)]
    messages = _wanted_messages(folders, selection)
    total = "" if messages is None else f", {counted(messages, 'message')}"
    return f"an export takes {counted(len(wanted), 'folder')}{total}"


def _remark(folder: Folder, selection: Selection) -> str:
    if folder.unlisted is not None:
        return "the server does not list what is there"
    if not folder.selectable:
        return "holds no mail"
    if not selection.wants_folder(folder):
        if folder.namespace != "personal" and selection.namespace == "personal":
            return f"{folder.namespace}: left out (--namespace all)"
        return "left out"
    return "" if folder.namespace == "personal" else folder.namespace


def _scalar(name: str) -> str:
    """The name without lone surrogates, which I-JSON does not have (RFC 7493 §2.1)."""
    return name.encode("utf-8", "replace").decode()
