"""The options that verbs share: spelling, group and help text of each, as types to annotate with.

Values stay as they were typed; ``arguments`` reads them, so that every bad one is one clear line.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from portarchive.access.urls import FORM

MODE = "What is written"
FILTER = "Which folders and messages"
ACCESS = "How to get in"
ABOUT = "What the archive says of itself"
OUTPUT = "Output"


def option(panel: str, spelling: str, text: str, metavar: str | None = None) -> Any:
    """An option as typer wants it; ``spelling`` holds all its names, parted by blanks."""
    return typer.Option(*spelling.split(), help=text, metavar=metavar, rich_help_panel=panel)


def counting(panel: str, spelling: str, text: str) -> Any:
    """An option that may be repeated for more of it."""
    return typer.Option(*spelling.split(), help=text, count=True, rich_help_panel=panel)


Source = Annotated[
    str | None,
    typer.Argument(
        metavar="SOURCE",
        help=f"The account: {FORM} or jmaps://…; its last @ counts. Or files: maildir:PATH,"
        " mbox:PATH.",
    ),
]
Archive = Annotated[str, typer.Argument(metavar="ARCHIVE", help="The directory of the archive.")]
ArchiveToWrite = Annotated[
    str | None,
    typer.Argument(metavar="ARCHIVE", help="The directory to write. Not needed with --check."),
]

Accounts = Annotated[
    str | None,
    option(
        MODE,
        "--accounts",
        "In place of SOURCE and ARCHIVE: a file that has them, one account a line, each with"
        " options of its own if need be.",
        "FILE",
    ),
]
Mirror = Annotated[
    bool,
    option(
        MODE,
        "--mirror",
        "Keep nothing that the server no longer has. Without it, deleted mail stays in the archive,"
        " apart from the rest.",
    ),
]
SingleCopy = Annotated[
    bool,
    option(
        MODE,
        "--single-copy",
        "One file for a message that is in several folders. Other readers may refuse the archive.",
    ),
]
KeepDrafts = Annotated[bool, option(MODE, "--keep-drafts", "Keep deleted drafts as well.")]
Check = Annotated[
    bool,
    option(MODE, "--check", "Connect, log in, show the folders with their counts; write nothing."),
]
DryRun = Annotated[bool, option(MODE, "--dry-run", "Say what would be done; write nothing.")]
AcceptSourceChange = Annotated[
    bool,
    option(
        MODE,
        "--accept-source-change",
        "Go on although the archive came from another account or server.",
    ),
]
ChangeSelection = Annotated[
    bool,
    option(
        MODE,
        "--change-selection",
        "Go on although the archive was made with other filters. It is recorded.",
    ),
]
NoFsync = Annotated[
    bool,
    option(MODE, "--no-fsync", "Do not wait for the disk: faster, but a power cut may cost mail."),
]

Folders = Annotated[
    list[str] | None,
    option(
        FILTER,
        "--folder",
        "Take this folder and those in it. * stands for anything; / separates names, whose case"
        " counts. May be repeated, and adds up with --role.",
        "PATTERN",
    ),
]
Exclude = Annotated[
    list[str] | None,
    option(
        FILTER,
        "--exclude",
        "Leave out this folder and those in it, whatever else takes them.",
        "PATTERN",
    ),
]
Roles = Annotated[
    list[str] | None,
    option(
        FILTER, "--role", "Take the folders of this role: inbox, sent, archive, junk, …", "ROLE"
    ),
]
SinceDate = Annotated[
    str | None,
    option(FILTER, "--since-date", "Messages received on that day (2024-01-31) or later.", "DAY"),
]
BeforeDate = Annotated[
    str | None, option(FILTER, "--before-date", "Messages received before that day.", "DAY")
]
MinSize = Annotated[
    str | None,
    option(
        FILTER,
        "--min-size",
        "Messages of at least that size: 500, 20k, 10M, 1G (k is 1024).",
        "SIZE",
    ),
]
MaxSize = Annotated[
    str | None, option(FILTER, "--max-size", "Messages of at most that size.", "SIZE")
]
Keywords = Annotated[
    list[str] | None,
    option(
        FILTER,
        "--keyword",
        "Messages that bear it, e.g. '$flagged'. Repeated: any of them.",
        "KEYWORD",
    ),
]
Namespace = Annotated[
    str,
    option(
        FILTER,
        "--namespace",
        "all: with the mailboxes that others share with you.",
        "personal|all",
    ),
]

JmapAccount = Annotated[
    str | None,
    option(
        ACCESS,
        "--account",
        "Of several accounts that the user has by JMAP: this one, by its name or id (own one).",
        "NAME",
    ),
]
PasswordCommand = Annotated[
    str | None,
    option(
        ACCESS,
        "--password-command",
        "The first line that it prints is the password; run without a shell. Otherwise from"
        " PORTARCHIVE_SOURCE_PASSWORD, the keyring, or a question.",
        "COMMAND",
    ),
]
TokenCommand = Annotated[
    str | None,
    option(
        ACCESS,
        "--token-command",
        "The same for an OAuth access token; run again at each login.",
        "COMMAND",
    ),
]
Auth = Annotated[
    str | None,
    option(
        ACCESS,
        "--auth",
        "PLAIN, LOGIN, OAUTHBEARER or XOAUTH2; otherwise the best that the server offers.",
        "MECHANISM",
    ),
]
TlsMode = Annotated[
    str | None,
    option(
        ACCESS,
        "--tls",
        "implicit (as imaps:// has it), starttls (as imap:// has it; required, not merely tried)"
        " or none.",
        "MODE",
    ),
]
AllowCleartext = Annotated[
    bool,
    option(
        ACCESS,
        "--allow-cleartext",
        "Permit --tls none to another machine: the network sees the password.",
    ),
]
CaFile = Annotated[
    str | None,
    option(
        ACCESS, "--ca-file", "Trust the certificates in this PEM file, not the system's.", "FILE"
    ),
]
Connections = Annotated[
    str,
    option(
        ACCESS,
        "--connections",
        "Fetch over so many connections at once (1). Providers permit few.",
        "N",
    ),
]
Timeout = Annotated[
    str,
    option(
        ACCESS,
        "--timeout",
        "The silence after which a connection counts as lost (90 seconds).",
        "TIME",
    ),
]
Budget = Annotated[
    str | None,
    option(
        ACCESS,
        "--budget",
        "Stop after so much mail in 24 hours, all runs for the account counted: 2500M, 1G, or none."
        " What is left is named, with the time to go on. For Gmail 2,500 MB unless told otherwise.",
        "SIZE",
    ),
]
MaxWait = Annotated[
    str,
    option(
        ACCESS, "--max-wait", "How long to wait for a server that asks for patience (1h).", "TIME"
    ),
]

Name = Annotated[str | None, option(ABOUT, "--name", "Its name.", "TEXT")]
Note = Annotated[str | None, option(ABOUT, "--note", "A note for whoever opens it.", "TEXT")]
Legal = Annotated[str | None, option(ABOUT, "--legal", "Rights and restrictions.", "TEXT")]
Language = Annotated[
    str | None, option(ABOUT, "--language", "The language of the mail, e.g. de-AT.", "TAG")
]
Timezone = Annotated[
    str | None, option(ABOUT, "--timezone", "The owner's time zone, e.g. Europe/Vienna.", "ZONE")
]
ArchiveId = Annotated[
    str | None,
    option(
        ABOUT,
        "--archive-id",
        "Its identity in place of a random one, for reproducible archives.",
        "UUID",
    ),
]

Json = Annotated[bool, option(OUTPUT, "--json", "One JSON object on stdout in place of words.")]
Progress = Annotated[
    str,
    option(
        OUTPUT,
        "--progress",
        "auto, plain (lines), json (one object a line) or none; on stderr.",
        "MODE",
    ),
]
Verbose = Annotated[int, counting(OUTPUT, "--verbose -v", "Say more.")]
Quiet = Annotated[bool, option(OUTPUT, "--quiet -q", "Say nothing but errors.")]
