"""Codes of our own page (F), of containers (Z), of integrity (M) and of messages (E)."""

from __future__ import annotations

from portarchive.validate.codes import error, note, warning

_OURS = "format: hostile input"
_FLAGS = "format: flags"
_CHAIN = "format: manifests"
_LEDGER = "format: ledger"
_INCREMENT = "format: partial archives"
_ZIP = "APPNOTE"
_TAR = "POSIX pax"
_MESSAGE = "RFC 5322"

_FORMAT = (
    error(
        "F-001",
        "-",
        "A check of the validator broke down.",
        "A bug of ours: please report it.",
        no_case="It is no property of an archive. An archive that shows it shows a bug, which is"
        " mended; the archive then has the findings that it should have had.",
    ),
    error(
        "F-002",
        _OURS,
        "A JSON document is over the limit of size.",
        "The rest of it is not checked.",
    ),
    error("F-003", _OURS, "A JSON value is nested too deeply.", "At most 64 levels."),
    error("F-004", _OURS, "A JSON string is over the limit of length.", "At most 16 MiB."),
    error(
        "F-005",
        _OURS,
        "One value of a document, or all that it makes hold at once, is over the limit of size.",
        "The rest is not checked.",
    ),
    error(
        "F-010",
        _OURS,
        "A name is unsafe.",
        "The file is left alone: the archive errs or means harm.",
    ),
    error("F-011", _OURS, "A name is not UTF-8.", "The file is left alone."),
    error("F-012", _OURS, "A link.", "It is not followed; data is in regular files."),
    error("F-013", _OURS, "Neither a file nor a directory.", "It is left alone."),
    error(
        "F-014",
        _OURS,
        "Two names are one on some systems (case, Unicode forms).",
        "One of them would be lost there.",
    ),
    error(
        "F-015",
        _OURS,
        "A name occurs twice in the container.",
        "The first counts here; another reader takes the last.",
    ),
    error("F-016", _OURS, "Too many entries.", "The rest is not looked at."),
    error("F-017", _OURS, "The container expands out of proportion.", "It is not read."),
    error("F-018", _OURS, "The archive is over the limit of size in all.", "It is not read."),
    error(
        "F-019", _OURS, "A name is both a file and a directory.", "No file system can hold both."
    ),
    warning(
        "F-020",
        _OURS,
        "A name is not portable.",
        "Some systems cannot unpack it, or show it wrongly.",
    ),
    error("F-030", "6.1", "archive.json does not meet its schema.", "See schemas/pdpa."),
    error("F-031", "6.3.1", "folder.json does not meet its schema.", "See schemas/pdpa."),
    error(
        "F-032", "6.3.1", "An entry of folder.json does not meet its schema.", "See schemas/pdpa."
    ),
    error("F-034", "6.3.4", "An event does not meet its schema.", "See schemas/pdpa."),
    error(
        "F-035",
        "RFC 8984 §1.4",
        "A time or duration of an event or task is none.",
        "A day and an hour that there are, 2026-11-24T19:00:00; a duration like PT1H30M.",
    ),
    warning(
        "F-036",
        "6.2",
        "A document is of no type that is known.",
        "@type or $schema tells what it is.",
    ),
    warning(
        "F-040",
        "6.3.1",
        "A folder.json lies under contacts/ or calendars/.",
        "It is not used there.",
    ),
    error(
        "F-041", "6.3.1", "Two folders have the same uid.", "An update would go to the wrong one."
    ),
    warning(
        "F-042", "6.3.1", "removed in a full archive.", "It tells what a partial one takes away."
    ),
    warning(
        "F-043",
        "6.2",
        "A file lies in mail/ itself.",
        "Messages lie in the directories of folders.",
    ),
    warning("F-044", "6.1", "datatypes does not name what lies here.", "A reader may skip it."),
    note(
        "F-045",
        "6.1",
        "datatypes names what is not here.",
        "Nothing of it was there, or it is missing.",
    ),
    warning(
        "F-046", "9.2", "A document seems to hold a credential.", "Never export any; change it."
    ),
    note(
        "F-047",
        "6.2",
        "A file that no directory, type or reference of the draft gives a meaning.",
        "It is not looked into, but for I-JSON in a .json.",
    ),
    warning(
        "F-050", _FLAGS, "A flag is no keyword that IMAP can carry.", "An importer has to drop it."
    ),
    warning("F-051", _FLAGS, "An item has a flag twice, but for case.", "It is one keyword."),
    warning("F-052", _FLAGS, r"An item has \Recent.", "It belongs to a session, not to a message."),
    note("F-053", _FLAGS, "Items have no flags member.", "No flags, or unknown: nothing tells."),
    note(
        "F-054",
        "format: dates",
        "Items have no received date.",
        "An importer must guess; other members may hold it.",
    ),
    note(
        "F-055",
        "format: names",
        "The directory of a folder is named otherwise than the mailbox.",
        "original_name should tell.",
    ),
    error(
        "F-056",
        "format: items",
        "An item says itself that the server no longer has it.",
        "Its place is portarchive:kept; an importer brings back what items holds.",
    ),
    warning(
        "F-060", _INCREMENT, "A message is both in items and removed.", "One of the two is wrong."
    ),
    error(
        "F-061",
        _INCREMENT,
        "The base is another archive than the one that is updated.",
        "Give the right one.",
    ),
    error(
        "F-062", _INCREMENT, "The base is not a full archive, or none at all.", "Give the full one."
    ),
    error(
        "F-063",
        _INCREMENT,
        "A folder has another UIDVALIDITY than in the base.",
        "Its UIDs mean other messages.",
    ),
    warning(
        "F-064",
        _INCREMENT,
        "removed names what the base does not have.",
        "The base may be a later one.",
    ),
    warning(
        "F-066",
        _INCREMENT,
        "An unchanged item of the base is listed.",
        "A partial archive omits it (§4.2).",
    ),
    warning(
        "F-067",
        _INCREMENT,
        "A tombstone for a folder that the base does not have.",
        "The base may be a later one.",
    ),
    note(
        "F-068",
        _INCREMENT,
        "A base was given, and the archive is a full one.",
        "Only folder paths were compared.",
    ),
    warning(
        "F-069",
        _INCREMENT,
        "A full archive names a base.",
        "Only a partial one updates another; a reader cannot tell which is meant.",
    ),
    warning(
        "F-070",
        "format: dialects",
        "The archive is in an older dialect.",
        "It is read; write the newest one.",
    ),
    warning(
        "F-071",
        "format: dialects",
        "Quirk uids-map: a folder has the maps of an older dialect in place of items.",
        "Read as items.",
    ),
    warning(
        "F-072",
        "format: dialects",
        "Quirk role-member: role in place of special_use.",
        "Read as special_use.",
    ),
    warning(
        "F-073",
        "format: dialects",
        "Quirk index-file: index.json in place of archive.json.",
        "Read as archive.json.",
    ),
    warning(
        "F-074",
        "format: dialects",
        "There is an index.json beside archive.json.",
        "Another reader may take that one; leave one of the two.",
    ),
    error(
        "F-075",
        _INCREMENT,
        "A folder.json of the base cannot be read.",
        "What is updated there cannot be compared; validate the base.",
    ),
    error(
        "F-076",
        _INCREMENT,
        "An item has the file of another message of the base.",
        "One of the two messages would be lost; every item has a file of its own, for life.",
    ),
    warning(
        "F-077",
        _INCREMENT,
        "A message of the base has another file here.",
        "An item keeps its file name for life, and a message never changes.",
    ),
)

_CONTAINER = (
    error(
        "Z-001",
        _ZIP,
        "The ZIP file has no directory that can be found.",
        "It is cut off or damaged.",
    ),
    error("Z-002", _ZIP, "The directory of the ZIP file breaks off.", "It is damaged."),
    error("Z-003", _ZIP, "Two members share octets.", "No tool makes that by accident."),
    error("Z-004", _ZIP, "A member has not the size that is claimed.", "It is damaged or forged."),
    error("Z-005", _ZIP, "The octets of a member are damaged.", "Get it back from a copy."),
    error("Z-006", _ZIP, "A member is encrypted.", "It cannot be checked without its passphrase."),
    error(
        "Z-007",
        _ZIP,
        "A member is compressed in a way that is not supported.",
        "Store or deflate it.",
    ),
    error("Z-009", _ZIP, "The ZIP file is one part of several.", "Join them first."),
    warning(
        "Z-010",
        _ZIP,
        "The directory has another number of entries than it claims.",
        "It was edited or damaged.",
    ),
    warning(
        "Z-011",
        _ZIP,
        "There are octets before or after the ZIP data.",
        "Other readers may see something else.",
    ),
    note(
        "Z-012",
        "format: container",
        "archive.json is not the first member.",
        "A reader in one pass wants it first.",
    ),
    error(
        "Z-013",
        _ZIP,
        "Two headers of a member disagree.",
        "Other readers may see another name or content.",
    ),
    error("Z-014", _TAR, "The tar file is damaged or cut off.", "What comes after is not read."),
    warning("Z-016", _ZIP, "Names are not marked as UTF-8.", "Readers guess its encoding."),
    error("Z-017", _TAR, "A sparse file.", "It is not read; store it plainly."),
    warning("Z-018", _TAR, "A JSON document is a hard link.", "Other readers may not follow it."),
    warning(
        "Z-019",
        "format: container",
        "Private or derived files are in the container.",
        "Leave out .portarchive/ and index/.",
    ),
    note(
        "Z-020",
        "format: container",
        "The archive lies in a directory of the container.",
        "archive.json belongs at its root.",
    ),
    warning(
        "Z-021",
        _TAR,
        "There are octets after the end of the tar file.",
        "Other readers may see something else.",
    ),
)

_INTEGRITY = (
    note(
        "M-001",
        _CHAIN,
        "There is no manifest.",
        "Nothing tells whether files were changed or lost.",
    ),
    error("M-002", _CHAIN, "The next file of the chain is missing.", "Get it back from a copy."),
    error(
        "M-003",
        _CHAIN,
        "The next file of the chain is another one.",
        "Edited, damaged or half updated.",
    ),
    error(
        "M-004",
        _CHAIN,
        "A link of the chain, or manifest.json, does not meet its schema.",
        "See schemas/portarchive.",
    ),
    error(
        "M-005", _CHAIN, "manifest.json is about another archive.id.", "Two archives were mixed."
    ),
    error("M-006", _CHAIN, "A line of manifest-sha256.txt is none.", "<sha256><two spaces><path>."),
    error("M-007", _CHAIN, "manifest-sha256.txt names an unsafe path.", "It is not looked at."),
    error("M-008", _CHAIN, "A file of manifest-sha256.txt is missing.", "Get it back from a copy."),
    error(
        "M-009", _CHAIN, "A file is not what manifest-sha256.txt says.", "Get it back from a copy."
    ),
    warning(
        "M-010", _CHAIN, "A file that nothing names.", "Left over or added; nobody will import it."
    ),
    note(
        "M-011",
        _CHAIN,
        "A file that nothing names, of an export that goes on.",
        "The next run takes it or removes it.",
    ),
    error(
        "M-012",
        _CHAIN,
        "A file that belongs to the archive and is not in manifest-sha256.txt.",
        "A reader would take it for part of the archive.",
    ),
    note("M-013", _CHAIN, "A file of the operating system.", "Harmless; it may be removed."),
    error("M-014", _CHAIN, "manifest-sha256.txt has a path twice.", "It was edited."),
    error(
        "M-015",
        _CHAIN,
        "manifest-sha256.txt has another number of lines than manifest.json says.",
        "It was edited.",
    ),
    warning(
        "M-016",
        _CHAIN,
        "manifest-sha256.txt names a file that it should not cover.",
        "The chain covers it, or it is derived.",
    ),
    note(
        "M-017",
        _CHAIN,
        "manifest-sha256.txt is not part of a chain.",
        "It is checked all the same.",
    ),
    error(
        "M-018",
        "format: items",
        "A file has another size than its item says.",
        "Get it back from a copy.",
    ),
    error(
        "M-019",
        "format: items",
        "A file is not the one that its item says (SHA-256).",
        "Get it back from a copy.",
    ),
    error(
        "M-020",
        _LEDGER,
        "A folder has another number of items than the ledger archived.",
        "Items were lost or added.",
    ),
    error(
        "M-021",
        _LEDGER,
        "listed is not archived + skipped + vanished + failed, or one message is two of these.",
        "Messages are unaccounted for.",
    ),
    error(
        "M-022",
        _LEDGER,
        "complete is not what the ledger of the folders says.",
        "Somebody erred or edited.",
    ),
    error(
        "M-023",
        _LEDGER,
        "A folder of the ledger is not here, or its folder.json is not.",
        "It was lost.",
    ),
    warning(
        "M-024",
        _LEDGER,
        "A folder of the selection that the ledger does not have.",
        "It is not part of the proof of completeness.",
    ),
    note(
        "M-025",
        _LEDGER,
        "The archive says itself that messages are missing.",
        "Run the export again.",
    ),
    error(
        "M-026",
        _CHAIN,
        "A file or directory cannot be read.",
        "Look at its rights and at the disk.",
    ),
    error(
        "M-027",
        _LEDGER,
        "A count of the ledger is not that of its uids.",
        "Somebody erred or edited.",
    ),
    note(
        "M-028",
        _LEDGER,
        "A folder that is not of the selection.",
        "An earlier run with another selection left it; the ledger proves nothing of it.",
    ),
    warning(
        "M-029",
        _CHAIN,
        "manifest-sha256.txt has lines that end in CRLF, or paths that begin with ./.",
        "Read as if not; write what sha256sum writes of plain paths.",
    ),
    warning(
        "M-030",
        _CHAIN,
        "archive.json does not name the manifest.json that is here.",
        "What it says is checked all the same; nothing tells whether it was changed.",
    ),
)

_MAIL = (
    note("E-001", _MESSAGE, "The message is empty.", ""),
    note("E-002", _MESSAGE + " §2.2", "The message does not begin with a header field.", ""),
    note("E-003", _MESSAGE + " §4", "The message has NUL octets.", ""),
    note("E-004", _MESSAGE + " §2.3", "The message has a CR without LF.", ""),
    note(
        "E-005",
        _MESSAGE + " §2.3",
        "The message has an LF without CR.",
        "Servers may refuse or change it.",
    ),
    note("E-006", _MESSAGE + " §2.1.1", "A line is longer than 998 octets.", ""),
    note(
        "E-007",
        "RFC 6532",
        "The header has octets that are not UTF-8.",
        "Some servers change them.",
    ),
    note(
        "E-008", "RFC 6532", "The header has UTF-8 beyond ASCII.", "A server needs SMTPUTF8 for it."
    ),
    note("E-009", _MESSAGE, "The message begins with a byte order mark.", ""),
    note("E-010", _MESSAGE, "The message begins with the From_ line of an mbox.", ""),
    note("E-011", _MESSAGE + " §3.6", "The message has no From or no Date field.", ""),
)

ROWS = (*_FORMAT, *_CONTAINER, *_INTEGRITY, *_MAIL)
"""Stray files, foreign manifests and rubbish of desktops: format.md sections 6 and 10."""
