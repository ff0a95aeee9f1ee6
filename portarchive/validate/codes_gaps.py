"""Codes of the inconsistencies of draft -02: what was decided about each, once.

A row that no finding bears says what is done instead. The proposals for the draft's text are in
``docs/draft-feedback.md``.
"""

from __future__ import annotations

from portarchive.validate.codes import error, note, unchecked, warning

_PROSE = "A matter of the draft's prose; no archive shows it."
_EXAMPLE = "A slip of an example of the draft; no rule follows from it."
_SCHEMA = "Repaired in schemas/pdpa; what breaks the repaired schema has the code of its statement."

ROWS = (
    unchecked("C-001", "6.1", "The archive schema checks nothing in its three sections.", _SCHEMA),
    unchecked("C-002", "6.1", "Formats are annotations only.", "They are asserted."),
    warning(
        "C-003",
        "6.1 Table 1",
        "datasource.service or .account is an object.",
        "The schema and the example have a string.",
    ),
    warning(
        "C-004",
        "6.1 Table 1",
        "datatypes, service or account is missing.",
        "Table 1 does not call it optional.",
    ),
    note("C-005", "6.1 Table 1", "extent is not in upper case.", "The example has FULL."),
    note(
        "C-006",
        "6.1 Table 1",
        "datatypes has a word that is not known.",
        "MAIL, CONTACTS, CALENDARS, TASKS, NOTES, SIEVE.",
    ),
    warning(
        "C-007",
        "6.1 Table 1",
        "languagetag is not a BCP 47 tag.",
        "en-CA, not en_ca; und if unknown.",
    ),
    warning(
        "C-008",
        "6.1 Table 1",
        "timezone does not look like an IANA name.",
        "Europe/Berlin; Etc/UTC if unknown.",
    ),
    note("C-009", "6.1", "There is an archive_id beside archive.id.", "Only id is defined."),
    unchecked(
        "C-010",
        "6.1",
        "The example is FULL and yet filtered.",
        "Nothing in a file tells a filtered archive.",
    ),
    unchecked("C-011", "6.1", "Dates and names of the example disagree.", _EXAMPLE),
    warning(
        "C-012",
        "6.1 Table 1",
        "archive.version names no known revision; the shape decided.",
        "Write draft-ietf-mailmaint-pdparchive-02.",
    ),
    unchecked(
        "C-013",
        "6.1",
        "The id is unique in a scope that is not named.",
        "One archive cannot show it; P-002.",
    ),
    note(
        "C-014", "6.1", "A document has no $schema.", "Every example has one, no rule asks for it."
    ),
    note(
        "C-015",
        "6.1",
        "$schema names something else than the draft's schema of this document.",
        "See the examples.",
    ),
    error("C-020", "6.3.1", "A folder has no name.", "The schema requires it."),
    note(
        "C-021",
        "6.3.1 Table 2",
        "last_uid, uidvalidity or is_subscribed is missing, and the folder shows no IMAP UIDs.",
        "Right if the source is not IMAP or the folder holds no mail; never invent them.",
    ),
    unchecked(
        "C-022", "6.3.1", "The folder uid is SHOULD here and MUST there.", "A warning: P-011."
    ),
    unchecked("C-023", "6.3.1 Table 2", "SHOULD* points to a lost footnote.", _PROSE),
    warning(
        "C-024",
        "6.3.1 Table 2",
        "removed holds numbers.",
        "Write strings; the table is an older state.",
    ),
    unchecked(
        "C-025",
        "6.3.1",
        "UIDs are strings here and integers there.",
        "Of items and in removed both are read (P-014, C-024); last_uid is a number (P-007c).",
    ),
    warning(
        "C-026",
        "6.3.1 Table 2",
        "special_use is written without its backslash.",
        r"Write \Sent; nothing for the inbox. In the happel dialects words without one are right.",
    ),
    note(
        "C-026b",
        "6.3.1 Table 2",
        "special_use is none of the registered attributes.",
        "RFC 6154, RFC 8457, RFC 9979.",
    ),
    note("C-027", "6.3.1 Table 2", "deleted_at is null.", "Leave it out; the schema has no null."),
    warning(
        "C-028", "6.3.1", "A folder with deleted_at has items.", "A tombstone's items are empty."
    ),
    note(
        "C-029", "6.3.1 Table 2", "sort_order is 0.", "It is the default; the schema begins at 1."
    ),
    note("C-030", "6.3.1 Table 2", "highest_modseq is 0.", "RFC 7162 begins at 1; leave it out."),
    warning(
        "C-031",
        "6.3.1",
        "A folder with items has the maps uids, flags or modseqs too.",
        "Only items counts.",
    ),
    warning(
        "C-032",
        "6.3.1",
        r"A system flag is written as in IMAP (\Seen).",
        "Write $seen, $answered, $flagged, $draft.",
    ),
    unchecked(
        "C-033",
        "6.3.1 Table 2",
        r"allowed_keywords drops \*.",
        "Nothing in a file shows what was dropped.",
    ),
    unchecked("C-034", "6.3.1 Table 2", r"\Recent and LSUB are gone in IMAP4rev2.", _PROSE),
    error(
        "C-035",
        "6.3.1",
        "The filename of an item leads where no item lies.",
        "A name in the folder's directory, or a relative path that ends under mail/.",
    ),
    note(
        "C-035b",
        "6.3.1",
        "Items name files of other folders (single copy).",
        "Other readers may refuse that.",
    ),
    warning(
        "C-035c",
        "6.3.1",
        "The filename of an item has a segment that is a dot.",
        "Read without it; write the name alone.",
    ),
    error(
        "C-036",
        "6.3.1",
        "Two items of a folder have the same uid.",
        "One of them is lost on import.",
    ),
    error("C-036b", "6.3.1", "Two items of a folder have the same file.", "Every uid has its own."),
    note(
        "C-037",
        "6.3.1",
        "The name of a folder has a slash in it.",
        "A name is the last part of the path only.",
    ),
    unchecked(
        "C-038",
        "6.2",
        "Folders, messages and folder.json share a directory.",
        "Collisions show as F-014, F-015, F-019.",
    ),
    unchecked("C-039", "6.2", "The tree is drawn flat and described nested.", _PROSE),
    note(
        "C-040",
        "6.3.1",
        "A folder.json lies outside mail/.",
        "No rule says where tasks and notes have theirs.",
    ),
    warning(
        "C-041",
        "4.2",
        "A partial archive does not say which archive it updates.",
        "portarchive:base_id does.",
    ),
    unchecked("C-042", "6.3.1", "Figure 6 has the caption of Figure 5.", _EXAMPLE),
    note("C-043", "6.3.1", "Two folders have the same special use.", "An importer will pick one."),
    unchecked(
        "C-044",
        "4.2",
        "Deleted contacts and events cannot be told.",
        "The format has no place for it.",
    ),
    note(
        "C-045",
        "4.2",
        "A partial archive lists a message whose file is not here.",
        "It is in the base; --base checks it.",
    ),
    unchecked(
        "C-046",
        "6.2",
        "Mail items cannot name several mailboxes.",
        "Equal octets are a note: P-004b.",
    ),
    unchecked("C-047", "6.4.1", "Mail has no updated.", _PROSE),
    unchecked(
        "C-048", "6.1", "extent cannot tell a filter from a delta.", "Nothing in a file shows it."
    ),
    warning("C-050", "6.3.2.1", "@type is ContactCard.", "It must be Card; read as a Card."),
    unchecked(
        "C-051",
        "6.3.2.1",
        "@type should be Card.",
        "The schema makes it a constant: P-016; F-036 where nothing tells what is meant.",
    ),
    error(
        "C-052",
        "6.3.2.1",
        "A set (addressBookIds, calendarIds, members …) has a value that is not true.",
        "Leave the entry out.",
    ),
    warning(
        "C-053",
        "6.3.2.1",
        "A reference fits only the JMAP id of a book or calendar.",
        "Name it by its uid.",
    ),
    unchecked("C-054", "6.4.1", "The schema lets any offset pass.", "The statement counts: P-040."),
    note("C-055", "6.3.2.1", "rev is in the basic form of vCard.", "The schema asks for RFC 3339."),
    unchecked("C-056", "6.3.2.1", "updated cannot be unique.", _PROSE),
    note(
        "C-057",
        "6.3.2.1",
        "A reference fits only without, or only with, urn:uuid:.",
        "Spell a uid one way.",
    ),
    note(
        "C-058",
        "6.3.2.1",
        "Objects of different types have the same uid.",
        "Allowed; importers must key by type too.",
    ),
    unchecked("C-059", "6.3.2.1", "Contacts have no rule for photos as files.", _PROSE),
    note(
        "C-060", "6.3.2.1", "version of a Card is not 1.0.", "RFC 9553 has 1.0, its successor 2.0."
    ),
    unchecked("C-061", "6.2", "No rule says where address books lie.", _PROSE),
    unchecked("C-062", "6.3.2.1", "Bullet lists collapsed.", _PROSE),
    unchecked("C-063", "6.3.3", "REQUIRES is no word of BCP 14.", "Taken as a MUST: P-020."),
    warning(
        "C-070",
        "6.3.4",
        "@type is Group.",
        "§6.3.4 allows it, §6.3.8 excludes it, no schema has it.",
    ),
    unchecked(
        "C-071",
        "6.3.4",
        "calendarIds is required for tasks, whose schema lacks it.",
        "Optional for tasks; P-027 checks what it names.",
    ),
    note(
        "C-072",
        "6.3.5.1",
        "progress is in-progress.",
        "JSCalendar has in-process, the draft's schema in-progress; both are read.",
    ),
    error("C-073", "6.3.4", "An event has no start.", "RFC 8984 §5.1.1 requires it."),
    unchecked(
        "C-074",
        "6.3.4",
        "action has a value that JSCalendar has not.",
        "Read; vendor values with a prefix too.",
    ),
    unchecked("C-075", "6.3.4", "The pattern of local date-times refuses fractions.", _SCHEMA),
    unchecked("C-076", "6.3.5.1", "Recurrence rules of tasks have fewer parts.", _SCHEMA),
    note(
        "C-077",
        "6.3.4",
        "An object has members of JSCalendar 2.0.",
        "The draft builds on RFC 8984.",
    ),
    unchecked("C-079", "6.3.6", "A note cannot be attached to anything.", _PROSE),
    unchecked("C-080", "6.4.1", "JSTask is not defined.", _PROSE),
    note(
        "C-081",
        "6.3.6",
        "contentType of a note has parameters or capitals.",
        "text/plain, text/html or text/markdown.",
    ),
    unchecked(
        "C-082",
        "6.3.5.1",
        "Tasks have no directory.",
        "Read wherever a .json says that it is one.",
    ),
    unchecked("C-083", "6.2", "calendar1.json lies in calendar2/.", _EXAMPLE),
    unchecked(
        "C-090",
        "6.3.7",
        "File names need not be unique, blobIds must be.",
        "The statement counts: P-032.",
    ),
    error(
        "C-091",
        "6.3.7",
        "A blobId is no plain file name.",
        "No slash, backslash or control; not . or ..",
    ),
    unchecked(
        "C-092",
        "9.3",
        "References resolve locally here and globally there.",
        "Globally: P-018, P-027, P-032.",
    ),
    note(
        "C-093",
        "6.3.7",
        "A link has href and blobId.",
        "Nothing says which counts; blobId is looked at.",
    ),
    unchecked(
        "C-095",
        "6.2",
        "sieve/ and blob/ have no text.",
        "Their files are hashed and not looked into.",
    ),
    unchecked("C-100", "4.1", "Structures are said to be in CDDL.", _PROSE),
    unchecked(
        "C-101",
        "7.1",
        "The container is common here and open there.",
        "ZIP, tar and directories are read.",
    ),
    unchecked(
        "C-102", "7.2", "Encryption is suggested and not required.", "An encrypted member is Z-006."
    ),
    unchecked("C-103", "9", "I-JSON is required twice.", "P-003."),
    note(
        "C-104",
        "3.2.3",
        "A member's name is nearly that of a known one.",
        "Unknown members pass, misspelt ones too.",
    ),
    unchecked("C-105", "9.3", "IDs are strings here and integers there.", "P-014."),
    unchecked("C-106", "1", "References are broken.", _PROSE),
    unchecked("C-107", "1", "The format has four names.", _PROSE),
    unchecked("C-108", "3.2.1", "Mappings to Maildir and mbox are missing.", _PROSE),
    unchecked("C-109", "1", "The text calls itself -latest.", _PROSE),
    error(
        "C-111",
        "5",
        "The file that an item names is not here.",
        "The message is lost; export it again.",
    ),
    unchecked("C-112", "6.3.1", "Two example files are not JSON.", _EXAMPLE),
    unchecked("C-113", "6.3.4", "timeZone may not be null, as in RFC 8984 §4.7.1.", _SCHEMA),
    unchecked("C-114", "6.3.4", "An UnknownTrigger (RFC 8984 §4.5.2) may not be kept.", _SCHEMA),
    unchecked("C-115", "6.3.5", "color of a calendar may not be null, as in JMAP.", _SCHEMA),
    unchecked(
        "C-116",
        "6.3.8",
        "VTIMEZONE and VFREEBUSY of iCalendar have no object.",
        "Other types are P-024; timeZones of an event pass as unknown members.",
    ),
    unchecked(
        "C-117",
        "9.3",
        "Recurrences without end are to be limited.",
        "It binds who expands them; a rule without until and count is right.",
    ),
    unchecked(
        "C-118",
        "9.3",
        "References that lead elsewhere should not be fetched.",
        "It binds who reads; nothing is ever fetched here.",
    ),
)
