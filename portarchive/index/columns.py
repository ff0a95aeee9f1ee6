"""The tables and their columns, with units and sources: docs/index.md is made from this.

Owns names, types, order and meaning. Knows no file and no pyarrow, so that a command can tell of
columns without loading it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

FORMAT: Final = 1
"""Of the tables: a column more, or another meaning, is another number."""
PARSER: Final = 3
"""Of how messages are read: whoever changes what a value is counts this up."""
LARGEST: Final = 2**53
"""Of what is counted, so that JSON has every number as one (RFC 8259 §6)."""
EARLIEST: Final = -62_135_596_800 - 172_800
LATEST: Final = 253_402_300_799 + 172_800
"""Of any instant, in seconds since 1970: the years 1 … 9999 by the calendar of any zone."""
SIGNED: Final = frozenset({"date_offset", "received_offset"})
"""Columns of numbers that may be less than nothing."""


class Column(NamedTuple):
    """One column.

    Attributes:
        name: as in SQL; none needs quotation marks.
        kind: ``string``, ``bool``, ``int16`` … ``int64``, ``time`` (an instant, UTC,
            milliseconds), ``strings``, or ``list of (a, b)`` for lists of structs of strings.
        unit: of a number, or what bounds a text; "" if there is nothing to say.
        source: where the value comes from.
    """

    name: str
    kind: str
    unit: str
    source: str


ADDRESSES: Final = "list of (name, address)"
RESULTS: Final = "list of (authserv_id, method, result)"
COMPLAINTS: Final = "list of (address, report)"

_ROW: Final = Column("row_id", "int64", "from 0", "position in the archive: folders by path, then")

ITEM: Final = (
    Column("folder", "string", "", "path below mail/"),
    Column("roles", "strings", "RFC 8621", "of the folder: portarchive:role, special_use"),
    Column("uid", "string", "", "item"),
    Column("filename", "string", "", "item: the name of the file alone"),
    Column("member", "string", "", "where the octets lie, from the root; '' if that is no place"),
    Column("kept", "bool", "", "the source no longer had it (portarchive:kept)"),
    Column("email_id", "string", "", "item: EMAILID, JMAP id, X-GM-MSGID"),
    Column("server_thread_id", "string", "", "item: THREADID, JMAP threadId, X-GM-THRID"),
    Column("labels", "strings", "", "item: X-GM-LABELS"),
    Column("flags", "strings", "", "item: $seen $answered $flagged $draft and \\-flags"),
    Column("keywords", "strings", "", "item: all others, in the server's spelling"),
    Column("colour", "string", "RFC 9979 §3.1", "of a flagged message, from $MailFlagBit*"),
    Column("received_at", "time", "", "item, else as received_from says"),
    Column("received_offset", "int16", "minutes east of UTC", "as the server sent it"),
    Column("received_from", "string", "", "archive, foreign, received-field, date-field, none"),
    Column("received_raw", "string", "", "the server's spelling of a date that is none"),
)

CONTENT: Final = (
    Column("size", "int64", "octets", "of the file; unreadable: as the item claims"),
    Column("sha256", "string", "hex", "of the file; unreadable: as the item claims"),
    Column("header_size", "int64", "octets", "up to and with the empty line"),
    Column("date", "time", "1970 … 9999", "Date"),
    Column("date_offset", "int16", "minutes east of UTC", "Date"),
    Column("date_raw", "string", "1000 characters", "Date as written"),
    Column("from_address", "string", "512 characters", "From: the first address, lower case"),
    Column("from_name", "string", "512 characters", "From: its name, decoded"),
    Column("from_domain", "string", "512 characters", "From: behind the last @, lower case"),
    Column("from_addresses", ADDRESSES, "1000 entries", "From, decoded"),
    Column("from_raw", "string", "4000 characters", "From as written, where it is not only that"),
    Column("sender_addresses", ADDRESSES, "1000 entries", "Sender"),
    Column("sender_raw", "string", "4000 characters", "likewise"),
    Column("reply_to_addresses", ADDRESSES, "1000 entries", "Reply-To"),
    Column("reply_to_raw", "string", "4000 characters", "likewise"),
    Column("to_addresses", ADDRESSES, "1000 entries", "To, all fields of it"),
    Column("to_raw", "string", "4000 characters", "likewise"),
    Column("cc_addresses", ADDRESSES, "1000 entries", "Cc, all fields of it"),
    Column("cc_raw", "string", "4000 characters", "likewise"),
    Column("bcc_addresses", ADDRESSES, "1000 entries", "Bcc, all fields of it"),
    Column("bcc_raw", "string", "4000 characters", "likewise"),
    Column("subject", "string", "4000 characters", "Subject, decoded (RFC 2047, RFC 6532)"),
    Column("subject_raw", "string", "4000 characters", "Subject as written, where that failed"),
    Column("message_id", "string", "998 characters", "Message-ID without angle brackets"),
    Column("in_reply_to", "strings", "200 entries", "In-Reply-To"),
    Column("reference_ids", "strings", "200 entries", "References; of more the first and last"),
    Column("list_id", "string", "1000 characters", "List-Id, what is in angle brackets"),
    Column("list_unsubscribe", "strings", "20 entries, 2048 characters", "List-Unsubscribe"),
    Column("list_unsubscribe_post", "string", "1000 characters", "as written"),
    Column(
        "one_click",
        "bool",
        "",
        "RFC 8058 §3.1 by its fields, all URIs of them; see dkim_covers_list_headers",
    ),
    Column("wrong_recipient", "bool", "", "draft-ietf-mailmaint-wrong-recipient, by its fields"),
    Column(
        "dkim_covers_list_headers",
        "bool",
        "null: no List-Unsubscribe",
        "one h= covers List-Unsubscribe and its Post; nothing is verified",
    ),
    Column("dkim_domains", "strings", "64 entries", "DKIM-Signature d="),
    Column("dkim_fields", "strings", "64 entries", "all that any h= covers, lower case"),
    Column(
        "cfbl_addresses", COMPLAINTS, "20 entries", "CFBL-Address (RFC 9477); report: arf, xarf"
    ),
    Column("cfbl_feedback_id", "string", "1000 characters", "CFBL-Feedback-ID without blanks"),
    Column("expires_at", "time", "1970 … 9999", "Expires (RFC 10080): the latest that can be read"),
    Column("expires_raw", "string", "1000 characters", "that one as written, else the first"),
    Column("expires_count", "int16", "fields", "Expires"),
    Column(
        "expires_valid",
        "bool",
        "null: no field",
        "expires_raw is a date-time of RFC 5322 §3.3, §4.3",
    ),
    Column("expires_ambiguous", "bool", "", "more than one field"),
    Column("expires_because", "string", "1000 characters", "Expires-Because, not interpreted"),
    Column("content_type", "string", "127 characters", "Content-Type, lower case, else text/plain"),
    Column("content_types", "strings", "64 entries", "of all parts, each once, in order"),
    Column("report_type", "string", "64 characters", "of a multipart/report (RFC 6522)"),
    Column("attachment_count", "int16", "parts", "kind attachment, see the table"),
    Column("inline_count", "int16", "parts", "kind inline"),
    Column("attachment_size", "int64", "octets", "of all of these, decoded"),
    Column("attachment_names", "strings", "100 entries", "of both, decoded"),
    Column("authentication_results", RESULTS, "64 entries", "Authentication-Results (RFC 8601)"),
    Column("defects", "strings", "codes, sorted", "what was found wrong: see below"),
)

DERIVED: Final = (
    Column("thread", "string", "", "server_thread_id, else computed over the archive"),
    Column("thread_from", "string", "", "server, references, alone"),
)

MESSAGES: Final = (
    _ROW._replace(source=f"{_ROW.source} items, then kept ones, as listed"),
    *ITEM,
    *CONTENT,
    *DERIVED,
)

_OF: Final = Column("row_id", "int64", "", "the message, in messages")
_ORDINAL: Final = Column("ordinal", "int32", "from 0", "which one of the message")

ATTACHMENTS: Final = (
    _OF,
    _ORDINAL,
    Column("part", "string", "as in IMAP", "number of the part"),
    Column("name", "string", "1024 characters", "filename=, else name= (RFC 2231, RFC 2047)"),
    Column("content_type", "string", "127 characters", "lower case"),
    Column("kind", "string", "", "attachment, inline, signature"),
    Column("disposition", "string", "64 characters", "Content-Disposition, lower case"),
    Column("content_id", "string", "998 characters", "without angle brackets"),
    Column("encoding", "string", "64 characters", "Content-Transfer-Encoding, lower case"),
    Column("size", "int64", "octets", "decoded from base64 or quoted-printable, else as it is"),
    Column("encoded_size", "int64", "octets", "in the message"),
)

_LINK: Final = (
    Column("sent_row_id", "int64", "", "the message it is about, if the archive has it"),
    Column("linked_by", "string", "", "message-id, envelope-id"),
)

DELIVERY_STATUS: Final = (
    _OF,
    _ORDINAL,
    Column("reporting_mta", "string", "2000 characters", "Reporting-MTA without its type"),
    Column("dsn_gateway", "string", "2000 characters", "DSN-Gateway without its type"),
    Column("received_from_mta", "string", "2000 characters", "Received-From-MTA without its type"),
    Column("arrival_date", "time", "", "Arrival-Date"),
    Column("original_envelope_id", "string", "2000 characters", "decoded from xtext (RFC 3461 §4)"),
    Column("final_recipient", "string", "2000 characters", "Final-Recipient"),
    Column("final_recipient_type", "string", "64 characters", "its type, lower case"),
    Column("original_recipient", "string", "2000 characters", "Original-Recipient"),
    Column("original_recipient_type", "string", "64 characters", "its type, lower case"),
    Column("action", "string", "", "failed, delayed, delivered, relayed, expanded, or as written"),
    Column("status", "string", "2000 characters", "Status as written"),
    Column("status_class", "int16", "RFC 3463 §3", "2 success, 4 transient, 5 permanent"),
    Column("subject", "int16", "RFC 3463 §3", "of the status: 1 addressing, 2 mailbox …"),
    Column("detail", "int16", "RFC 3463 §3", "of the status"),
    Column("class_text", "string", "", "in words; null if nobody knows it"),
    Column("subject_text", "string", "", "in words; null if nobody knows it"),
    Column("detail_text", "string", "", "in words; null if nobody knows it"),
    Column("remote_mta", "string", "2000 characters", "Remote-MTA without its type"),
    Column("diagnostic_type", "string", "64 characters", "Diagnostic-Code: its type"),
    Column("diagnostic_text", "string", "2000 characters", "Diagnostic-Code"),
    Column("last_attempt_date", "time", "", "Last-Attempt-Date"),
    Column("will_retry_until", "time", "", "Will-Retry-Until"),
    Column("final_log_id", "string", "2000 characters", "Final-Log-Id"),
    Column("original_message_id", "string", "998 characters", "of the returned message"),
    Column("error", "string", "", "what is wrong with the report (RFC 3464); null: nothing"),
    *_LINK,
)

FEEDBACK_REPORTS: Final = (
    _OF,
    _ORDINAL,
    Column("feedback_type", "string", "2000 characters", "Feedback-Type, lower case"),
    Column("user_agent", "string", "2000 characters", "User-Agent"),
    Column("version", "string", "2000 characters", "Version"),
    Column("original_mail_from", "string", "2000 characters", "Original-Mail-From"),
    Column("original_rcpt_to", "strings", "100 entries", "Original-Rcpt-To"),
    Column("original_envelope_id", "string", "2000 characters", "Original-Envelope-Id"),
    Column("arrival_date", "time", "", "Arrival-Date, else Received-Date"),
    Column("reporting_mta", "string", "2000 characters", "Reporting-MTA without its type"),
    Column("source_ip", "string", "2000 characters", "Source-IP as written"),
    Column("incidents", "int64", "incidents", "Incidents; null means one (RFC 5965 §3.2)"),
    Column("authentication_results", "strings", "100 entries", "as written"),
    Column("reported_domains", "strings", "100 entries", "Reported-Domain without comments"),
    Column("reported_uris", "strings", "100 entries", "Reported-URI without comments"),
    Column("original_message_id", "string", "998 characters", "of the returned message"),
    Column("cfbl_feedback_id", "string", "1000 characters", "of the returned message (RFC 9477)"),
    Column("errors", "strings", "", "what is wrong with the report (RFC 5965)"),
    *_LINK,
)

SENDERS: Final = (
    Column("address", "string", "", "messages.from_address"),
    Column("domain", "string", "", "messages.from_domain"),
    Column("name", "string", "", "the name seen most often, of equals the least"),
    Column("names", "int64", "names", "different ones"),
    Column("messages", "int64", "messages", "of the folders; a message in two counts twice"),
    Column("kept", "int64", "messages", "that the source no longer had"),
    Column("octets", "int64", "octets", "of both"),
    Column("attachments", "int64", "parts", "attachment_count of both"),
    Column("first_received_at", "time", "", "of both"),
    Column("last_received_at", "time", "", "of both"),
    Column("one_click", "int64", "messages", "that offer it"),
    Column("wrong_recipient", "int64", "messages", "that offer it"),
    Column("lists", "int64", "messages", "with List-Unsubscribe"),
)

TABLES: Final = {
    "messages": MESSAGES,
    "attachments": ATTACHMENTS,
    "delivery_status": DELIVERY_STATUS,
    "feedback_reports": FEEDBACK_REPORTS,
    "senders": SENDERS,
}
"""Name of the table, and of its file without ``.parquet``, to its columns."""

_NULL_NEVER: Final = {
    "messages": {
        "row_id", "folder", "uid", "filename", "member", "kept", "received_from", "one_click",
        "wrong_recipient", "expires_count", "expires_ambiguous", "attachment_count",
        "inline_count", "thread", "thread_from",
    },
    "attachments": {
        "row_id", "ordinal", "part", "content_type", "kind", "encoding", "size", "encoded_size",
    },
    "delivery_status": {"row_id", "ordinal"},
    "feedback_reports": {"row_id", "ordinal"},
    "senders": {
        "address", "names", "messages", "kept", "octets", "attachments", "one_click",
        "wrong_recipient", "lists",
    },
}  # fmt: skip
NEVER_NULL: Final = {
    name: frozenset(_NULL_NEVER[name])
    | {column.name for column in table if column.kind.startswith(("strings", "list"))}
    for name, table in TABLES.items()
}
"""Columns of each table that are never null: among them all lists."""

DEFECTS: Final = {
    "unreadable": "the octets are missing or cannot be had; the row is what the item says",
    "digest-mismatch": "the file is not what the item's SHA-256 says",
    "size-mismatch": "the file has another size than the item says",
    "parser-failed": "a fault of portarchive: nothing of the message was read; please report it",
    "no-header": "there is no field at all",
    "no-header-end": "no empty line ends the header",
    "header-line-odd": "a line of the header is no field",
    "header-cut": "the header is over 4 MiB; what lies behind was not looked at",
    "value-cut": "a value is longer than its column, or than what is decoded (8 KiB)",
    "addresses-cut": "a field has over 1000 addresses or 128 KiB",
    "address-odd": "a field of addresses holds something else",
    "date-bad": "Date cannot be read, or is outside of 1970 … 9999",
    "date-missing": "there is no Date (RFC 5322 §3.6)",
    "from-missing": "there is no From, or no address in it (RFC 5322 §3.6)",
    "message-id-odd": "Message-ID does not have its form",
    "repeated-field": "a field that may occur once occurs again (RFC 5322 §3.6); the first counts",
    "charset-guessed": "octets over 127 that no charset is told of and that are not UTF-8",
    "charset-unknown": "a charset that nobody knows",
    "encoded-word-bad": "an encoded word does not decode (RFC 2047)",
    "parameter-bad": "a parameter does not decode (RFC 2231)",
    "filename-odd": "the name of a file does not decode as it should",
    "content-type-bad": "a Content-Type is no media type; text/plain is taken (RFC 2045 §5.2)",
    "mime-no-boundary": "a multipart without boundary is one part",
    "mime-no-parts": "a multipart whose boundary never comes is one part",
    "mime-no-end": "the last boundary line is missing",
    "mime-too-deep": "more than 32 multiparts within each other; the rest is one part",
    "mime-too-many": "more than 1000 parts; the rest is not listed",
    "expires-bad": "an Expires field is no date",
    "nul": "there is a NUL in the header",
}
"""Codes of ``messages.defects`` and what they mean."""


def names(columns: Iterable[Column]) -> list[str]:
    """The names of columns."""
    return [column.name for column in columns]
