"""The options of the verbs that write to an account: spelling, group and help text of each."""

from __future__ import annotations

from typing import Annotated

import typer

from portarchive.access.urls import FORM
from portarchive.cli.options import ACCESS, FILTER, MODE, option

WAY = "How messages are brought"
TARGET = "How to get into the new account"

Archive = Annotated[
    str,
    typer.Argument(metavar="ARCHIVE", help="The archive: a directory, .pdpa, .zip or .tar file."),
]
OldAccount = Annotated[
    str,
    typer.Argument(metavar="SOURCE", help="The old account, in the same forms as TARGET."),
]
Target = Annotated[
    str,
    typer.Argument(
        metavar="TARGET",
        help=f"The account: {FORM} or jmaps://…; its last @ counts. Or files: maildir:PATH,"
        " mbox:PATH.",
    ),
]
Select = Annotated[
    list[str] | None,
    option(
        FILTER,
        "--select",
        "Only this message: its Message-ID, its file in the archive, or FOLDER:UID. @FILE names a"
        " file with one of these a line. May be repeated.",
        "MESSAGE",
    ),
]
SelectQuery = Annotated[
    str | None,
    option(
        FILTER,
        "--select-query",
        "Only what this SQL over the index names, by folder and uid, or file (portarchive query).",
        "SQL",
    ),
]
SelectSearch = Annotated[
    str | None,
    option(
        FILTER,
        "--select-search",
        "Only what this search finds (portarchive search), e.g. 'from:jane since:2024'.",
        "WORDS",
    ),
]
Into = Annotated[
    str | None,
    option(MODE, "--into", "Put everything below this folder; / separates names.", "FOLDER"),
]
IncludeKept = Annotated[
    bool,
    option(
        MODE, "--include-kept", "Bring what the old account had deleted before the last export too."
    ),
]
Deleted = Annotated[
    str,
    option(
        WAY,
        "--deleted",
        "Messages marked \\Deleted: into the trash without the mark (trash), left out (skip), or"
        " where they were, with it (keep).",
        "trash|skip|keep",
    ),
]
Labels = Annotated[
    str,
    option(
        WAY,
        "--labels",
        "A message that is in several folders (Gmail labels): copies in each, or primary: the"
        " first only, the inbox before others.",
        "copies|primary",
    ),
]
KeepKeyword = Annotated[
    list[str] | None,
    option(WAY, "--keep-keyword", "Set it, though it is dropped by default.", "KEYWORD"),
]
DropKeyword = Annotated[
    list[str] | None, option(WAY, "--drop-keyword", "Do not set it.", "KEYWORD")
]
MarkImported = Annotated[
    bool, option(WAY, "--mark-imported", "Add the keyword $imported to each message (RFC 9979).")
]
HoldJunk = Annotated[
    bool,
    option(
        WAY,
        "--hold-junk",
        "Do not set $Junk, $NotJunk and $Phishing: they train filters, and some servers report.",
    ),
]
Normalise = Annotated[
    bool,
    option(
        WAY,
        "--normalise",
        "Leave out keywords that contradict others by RFC 9979: colours without a flag, muted and"
        " followed, with and without attachment.",
    ),
]
StrictMatch = Annotated[
    bool,
    option(
        WAY,
        "--strict-match",
        "Only equal octets count as being there already; a server that rewrites gets duplicates.",
    ),
]
Verify = Annotated[
    str,
    option(
        WAY,
        "--verify",
        "Read back the octets of odd messages and a sample of the others (sample), or of all"
        " (bytes). Count, flags, date and size are always read back.",
        "sample|bytes",
    ),
]
MboxStatus = Annotated[
    bool,
    option(
        WAY,
        "--mbox-status",
        "mbox: only: write flags and keywords into the messages, as Status and X-Keywords fields.",
    ),
]
DryRun = Annotated[
    bool, option(MODE, "--dry-run", "Print the plan: what would be made, placed and lost.")
]

MigrateDryRun = Annotated[
    bool,
    option(
        MODE,
        "--dry-run",
        "Print the plans and write nothing: of the export; and of the import, if there is an"
        " archive by now, of what that holds.",
    ),
]
PlaceConnections = Annotated[
    str,
    option(
        ACCESS,
        "--connections",
        "Connections at once (1). Providers permit few.",
        "N",
    ),
]

TargetAccount = Annotated[
    str | None,
    option(TARGET, "--target-account", "Of several accounts by JMAP: this one.", "NAME"),
]
TargetPasswordCommand = Annotated[
    str | None,
    option(
        TARGET,
        "--target-password-command",
        "Its first line is the password of TARGET; run without a shell. Otherwise from"
        " PORTARCHIVE_TARGET_PASSWORD, the keyring, or a question.",
        "COMMAND",
    ),
]
TargetTokenCommand = Annotated[
    str | None,
    option(TARGET, "--target-token-command", "The same for an OAuth access token.", "COMMAND"),
]
TargetAuth = Annotated[
    str | None,
    option(TARGET, "--target-auth", "PLAIN, LOGIN, OAUTHBEARER or XOAUTH2.", "MECHANISM"),
]
TargetTls = Annotated[
    str | None, option(TARGET, "--target-tls", "implicit, starttls or none.", "MODE")
]
TargetCaFile = Annotated[
    str | None, option(TARGET, "--target-ca-file", "Trust the certificates in this file.", "FILE")
]
KeptArchive = Annotated[
    str | None,
    option(
        MODE,
        "--archive",
        "Where the archive is made, and kept; migrate-<login> in this directory otherwise.",
        "DIRECTORY",
    ),
]
ImportPasswordCommand = Annotated[
    str | None,
    option(
        ACCESS,
        "--password-command",
        "The first line that it prints is the password; run without a shell. Otherwise from"
        " PORTARCHIVE_TARGET_PASSWORD, the keyring, or a question.",
        "COMMAND",
    ),
]
