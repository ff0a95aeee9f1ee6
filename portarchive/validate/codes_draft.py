"""Codes of the statements of draft-ietf-mailmaint-pdparchive-02: P-001 … P-059, in its order."""

from __future__ import annotations

from portarchive.validate.codes import error, note, unchecked, warning

_IMPORTER = "It binds the importer; an archive cannot show it."
_TWO = "It takes two exports of the same source to see."

ROWS = (
    unchecked(
        "P-001", "3.1.6", "The format MAY serve as a live store while developing.", "A permission."
    ),
    error("P-002", "6.1", "archive.id is missing or empty.", "Give each archive an id of its own."),
    error("P-003", "6.1", "A document is not JSON.", "RFC 8259 says what is."),
    error("P-003b", "6.1", "A document is not UTF-8.", "Write UTF-8 (RFC 7493 §2.1)."),
    error(
        "P-003c",
        "6.1",
        "A document begins with a byte order mark.",
        "Leave it out (RFC 8259 §8.1).",
    ),
    error(
        "P-003d",
        "6.1",
        "A member name occurs twice in one object.",
        "Readers keep either (RFC 7493 §2.3).",
    ),
    error(
        "P-003e", "6.1", "A string holds a lone surrogate.", "Escape pairs only (RFC 7493 §2.1)."
    ),
    error(
        "P-003f", "6.1", "A string holds a noncharacter.", "Unicode reserves it (RFC 7493 §2.1)."
    ),
    warning(
        "P-003g", "6.1", "An integer is beyond ±(2^53-1).", "Write it as a string (RFC 7493 §2.2)."
    ),
    warning(
        "P-003h",
        "6.1",
        "A number is beyond an IEEE 754 double.",
        "Write it as a string (RFC 7493 §2.2).",
    ),
    warning(
        "P-004",
        "6.2",
        "Two files hold the same item (equal @type and uid).",
        "Export one copy; collections are told by ids.",
    ),
    note(
        "P-004b",
        "6.2",
        "The same message octets lie here more than once.",
        "Mail has no other way to be in two folders (C-046).",
    ),
    unchecked(
        "P-005",
        "6.2",
        "Nested source folders MUST stay nested.",
        "Only the source knows its nesting. P-006b shows a parent that is no folder.",
    ),
    error(
        "P-006",
        "6.3.1",
        "A directory with messages has no folder.json.",
        "Without it neither flags nor UIDs are known.",
    ),
    warning(
        "P-006b",
        "6.3.1",
        "A directory under mail/ is empty, has folders below it or only files that folders"
        " elsewhere name, and has no folder.json itself.",
        "Every mail folder has one, its parents too.",
    ),
    error(
        "P-006c",
        "6.3.1",
        "The folder's file is spelt otherwise than folder.json.",
        "The name is REQUIRED as it is, in lower case.",
    ),
    warning(
        "P-007",
        "6.3.1 Table 2",
        "last_uid is missing in a folder of IMAP UIDs.",
        "Write UIDNEXT - 1.",
    ),
    error(
        "P-007b",
        "6.3.1 Table 2",
        "last_uid is less than the UID of an item.",
        "It is the highest UID ever given out.",
    ),
    error("P-007c", "6.3.1 Table 2", "last_uid is no number of 32 bits.", "Write UIDNEXT - 1."),
    warning(
        "P-008",
        "6.3.1 Table 2",
        "uidvalidity is missing in a folder of IMAP UIDs.",
        "Without it a UID means nothing later.",
    ),
    error(
        "P-008b",
        "6.3.1 Table 2",
        "uidvalidity is no number from 1 to 2^32-1.",
        "As the server said.",
    ),
    warning(
        "P-009", "6.3.1 Table 2", "is_subscribed is missing in a folder of IMAP UIDs.", "Write it."
    ),
    error("P-009b", "6.3.1 Table 2", "is_subscribed is not true or false.", "Write a boolean."),
    error(
        "P-010",
        "6.3.1 Table 2",
        "items is missing, or no array.",
        "Write an empty array for no items.",
    ),
    error(
        "P-010b",
        "6.3.1 Table 2",
        "An item lacks uid or filename, or one of them is none.",
        "Each item has both, not empty.",
    ),
    warning("P-011", "6.3.1", "A folder has no uid.", "RFC 8474's MAILBOXID, else its path."),
    note(
        "P-012",
        "6.3.1",
        "The uid of an IMAP folder is neither an RFC 8474 id nor its full name.",
        "An id has 1 to 255 of A-Z a-z 0-9 _ -.",
    ),
    warning(
        "P-013",
        "6.3.1",
        "A full archive has a folder with deleted_at.",
        "Tombstones are for partial ones.",
    ),
    warning("P-014", "6.3.1", "The uid of an item is a number.", "Write it as a string."),
    unchecked("P-015", "6.3.2.1", "A contact MAY carry rev.", "A permission; its form: C-055."),
    error(
        "P-016",
        "6.3.2.1",
        "A Card does not meet the schema of a contact that is a file.",
        "See schemas/pdpa.",
    ),
    error("P-017", "6.3.2.1", "A Card has no uid or no updated.", "Both are mandatory."),
    error(
        "P-017b", "6.3.2.1", "Two Cards have the same uid.", "It is what an importer knows them by."
    ),
    warning(
        "P-018",
        "6.3.2.1",
        "addressBookIds names an address book that is not here.",
        "Export the book too, unless there is a reason not to.",
    ),
    warning(
        "P-019",
        "6.3.2.1",
        "relatedTo names a Card that is not here.",
        "Export it too, unless there is a reason not to.",
    ),
    note(
        "P-019b",
        "6.3.2.1",
        "members of a group names a Card that is not here.",
        "A group may have members of other systems.",
    ),
    error("P-020", "6.3.3", "An address book does not meet its schema.", "See schemas/pdpa."),
    error("P-020b", "6.3.3", "Two address books have the same uid.", "Cards name them by it."),
    error("P-021", "6.3.4", "An event, task or calendar has no uid.", "It is mandatory."),
    error("P-021b", "6.3.5", "Two calendars have the same uid.", "Events name them by it."),
    error(
        "P-022",
        "6.3.4",
        "An event or calendar has no updated, or one that is no date-time.",
        "RFC 3339, UTC.",
    ),
    error(
        "P-023", "6.3.4", "sequence is no integer from 0.", "As the source has it, or not at all."
    ),
    error(
        "P-024",
        "6.3.4",
        "An object under calendars/ or tasks/ is of no type that belongs there.",
        "@type is Event, Task or Calendar.",
    ),
    note(
        "P-025",
        "6.3.4",
        "Many events share one uid and none has a recurrence rule.",
        "Export recurrences as rules, not one by one.",
    ),
    error("P-026", "6.3.4", "An event has no calendarIds, or an empty one.", "Name its calendar."),
    warning(
        "P-027",
        "6.3.5",
        "calendarIds names a calendar that is not here.",
        "Export the calendar too.",
    ),
    error("P-028", "6.3.5.1", "A task does not meet its schema.", "See schemas/pdpa."),
    note(
        "P-029",
        "6.3.6",
        "A note looks like HTML and is not marked text/html.",
        "Mark it; do not flatten it.",
    ),
    error(
        "P-030", "6.3.6", "A note does not meet its schema.", "uid, updated and body are mandatory."
    ),
    unchecked(
        "P-031",
        "6.3.7",
        "An attachment MAY be a file named by its blobId.",
        "A permission; see P-035.",
    ),
    error(
        "P-032",
        "6.3.7",
        "Several files bear the name of one blobId.",
        "Nothing else in the archive may be called like that.",
    ),
    unchecked("P-033", "6.3.7", "Attachments MAY lie in any folder.", "A permission."),
    unchecked("P-034", "6.3.7", "The importer MUST search all folders for a blobId.", _IMPORTER),
    warning(
        "P-035",
        "6.3.7",
        "The file of an enclosure is not in the archive.",
        "Add it, or give an href.",
    ),
    warning(
        "P-035b",
        "6.3.7",
        "The file of a link has another size than the link says.",
        "Compare the file.",
    ),
    note(
        "P-036", "6.3.7", "A blobId that is no enclosure names no file here.", "It MAY be left out."
    ),
    error(
        "P-037",
        "6.3.7",
        "A link has neither href nor blobId, or is no Link.",
        "Give one of the two.",
    ),
    unchecked("P-038", "6.3.7", "rel MAY have other values.", "A permission."),
    error(
        "P-039",
        "6.4.1",
        "A calendar does not meet its schema.",
        "uid, updated and name are mandatory.",
    ),
    error("P-040", "6.4.1", "updated is not in UTC.", "End it in Z."),
    unchecked("P-041", "6.4.1", "updated MUST be read as UTC.", _IMPORTER),
    unchecked("P-042", "6.4.1", "A new object MUST keep its UID.", _IMPORTER),
    unchecked("P-043", "6.4.1", "The importer MUST look for an object with that UID.", _IMPORTER),
    unchecked(
        "P-044", "6.4.1", "An object that is similar enough SHOULD NOT be changed.", _IMPORTER
    ),
    unchecked("P-045", "6.4.1", "… and its updated MUST NOT be bumped.", _IMPORTER),
    unchecked(
        "P-046", "6.4.1", "Care SHOULD be taken with fields that the system updates.", _IMPORTER
    ),
    unchecked("P-047", "6.4.1", "System fields SHOULD NOT move updated.", _TWO),
    unchecked("P-048", "6.4.1", "Internal fields SHOULD be treated with common sense.", _IMPORTER),
    unchecked("P-049", "6.4.1", "A changed object SHOULD take the imported updated.", _IMPORTER),
    unchecked(
        "P-050", "6.4.1", "updated SHOULD move only with a change that the user can see.", _TWO
    ),
    warning(
        "P-051",
        "6.4.2",
        "A folder of the base has another path here.",
        "Map names by a stable algorithm. Checked with a base only.",
    ),
    unchecked(
        "P-052",
        "6.4.2",
        "A system with mailbox ids MUST export them.",
        "Only the source knows; see P-011.",
    ),
    note(
        "P-053",
        "6.4.2",
        "The uid of a folder is neither an id nor the full name of the mailbox.",
        "A system without ids uses the full name.",
    ),
    unchecked(
        "P-054", "6.4.2", "An importer that ports an account MUST keep the nesting.", _IMPORTER
    ),
    unchecked("P-055", "6.4.2", "The blobId of the same octets SHOULD be stable.", _TWO),
    unchecked(
        "P-056", "9", "A producer MUST conform to I-JSON.", "The same as P-003, which is checked."
    ),
    unchecked("P-057", "9.3", "An importer MAY reject what is not I-JSON.", "A permission."),
    unchecked("P-058", "App. B", "Membership MUST NOT be inferred from directories.", _IMPORTER),
    unchecked("P-059", "App. B", "A Card MUST be added to every book it names.", _IMPORTER),
)
