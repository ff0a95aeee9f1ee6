"""The members of archive.json and folder.json, and the order in which they are written.

Owns the names and nothing else: no I/O. Clauses: draft-ietf-mailmaint-pdparchive-02 §6.1 (Table 1)
and §6.3.1 (Table 2). Extension members bear ``PREFIX``.
"""

from __future__ import annotations

import json
from typing import Any

import portarchive

DRAFT = "draft-ietf-mailmaint-pdparchive-02"
GENERATOR = f"portarchive/{portarchive.__version__}"
ARCHIVE_SCHEMA = "https://id.schemas.pub/o/DTI/PDPArchive/archive"
FOLDER_SCHEMA = "https://id.schemas.pub/o/DTI/PDPArchive/folder"
MANIFEST_SCHEMA = "urn:portarchive:schema:manifest:1"

PREFIX = "portarchive:"

MAIL = "mail"
ARCHIVE_FILE = "archive.json"
MANIFEST_FILE = "manifest.json"
DIGESTS_FILE = "manifest-sha256.txt"
FOLDER_FILE = "folder.json"
PRIVATE_DIR = ".portarchive"
INDEX_DIR = "index"

RAW_NAME = PREFIX + "raw_name"
ROLE = PREFIX + "role"
DISPLAY_NAME = PREFIX + "display_name"
NOSELECT = PREFIX + "noselect"
GONE_AT = PREFIX + "gone_at"
KEPT = PREFIX + "kept"
PLACEHOLDER = PREFIX + "placeholder"
MANIFEST = PREFIX + "manifest"
BASE_ID = PREFIX + "base_id"

RECEIVED_AT = PREFIX + "received_at"
RECEIVED_AT_RAW = PREFIX + "received_at_raw"
SIZE = PREFIX + "size"
SHA256 = PREFIX + "sha256"
EMAIL_ID = PREFIX + "email_id"
THREAD_ID = PREFIX + "thread_id"
LABELS = PREFIX + "labels"
SAVE_DATE = PREFIX + "save_date"
EXPUNGED_AT = "expunged_at"

ITEM_LISTS = ("items", KEPT, PLACEHOLDER)
"""The members of folder.json that are written one entry a line, in this order, after all others."""

HEADER_ORDER = (
    "$schema",
    "name",
    "original_name",
    RAW_NAME,
    "uid",
    "uidvalidity",
    "last_uid",
    "is_subscribed",
    "highest_modseq",
    "special_use",
    ROLE,
    DISPLAY_NAME,
    "allowed_keywords",
    "myrights",
    "sort_order",
    "removed",
    "deleted_at",
    "comment",
    NOSELECT,
    GONE_AT,
)

MAX_SAFE_INTEGER = 2**53 - 1
"""RFC 7493 §2.2: larger integers do not survive every JSON reader."""


def dumps(value: Any) -> str:
    """One JSON value as it is written everywhere: non-ASCII as itself, no blanks (RFC 7493)."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def ordered_header(header: dict[str, Any]) -> dict[str, Any]:
    """The header in the order of Table 2; members that are not ours follow, as they came."""
    known = {name: header[name] for name in HEADER_ORDER if name in header}
    return known | {name: value for name, value in header.items() if name not in known}


def item_line(
    uid: str,
    filename: str,
    flags_json: str,
    received_json: str,
    size: int,
    sha256: str,
    rest: str = "",
) -> str:
    """One entry of ``items``. Strings are to be JSON-safe already: this is the hot path.

    Args:
        uid: without characters that JSON would escape.
        filename: likewise.
        flags_json: the array as text.
        received_json: ``"portarchive:received_at":"…",`` or the raw member, or empty.
        size: octets of the file.
        sha256: hex.
        rest: further members, each with its leading comma.
    """
    return (
        f'{{"uid":"{uid}","filename":"{filename}","flags":{flags_json},{received_json}'
        f'"portarchive:size":{size},"portarchive:sha256":"{sha256}"{rest}}}'
    )
