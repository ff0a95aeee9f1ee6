"""What a report tells of an archive, as numbers and short lists, by queries over the index.

Owns what is counted and how much of it is told. Knows nothing of pages, and nothing of the ledger:
what is missing is not in the index.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from portarchive.errors import Damaged
from portarchive.index.query import REBUILD, Column, Session

SIZES: Final = (
    0, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000,
    2_000_000, 5_000_000, 10_000_000, 20_000_000, 50_000_000,
)  # fmt: skip
"""Octets from which on each class of sizes counts, up to the next one."""

Row = dict[str, Any]

_TOTALS: Final = """
SELECT count(*) FILTER (NOT kept) AS messages, count(*) FILTER (kept) AS kept,
  coalesce(sum(size) FILTER (NOT kept), 0) AS octets,
  count(DISTINCT sha256) FILTER (NOT kept) AS different,
  count(DISTINCT from_address) FILTER (NOT kept) AS senders,
  count(*) FILTER (NOT kept AND NOT list_contains(flags, '$seen')) AS unread,
  count(*) FILTER (NOT kept AND list_contains(flags, '$flagged')) AS flagged,
  count(*) FILTER (NOT kept AND list_contains(flags, '$answered')) AS answered,
  count(*) FILTER (NOT kept AND received_at IS NULL) AS undated,
  count(*) FILTER (NOT kept AND attachment_count > 0) AS with_attachments,
  coalesce(sum(attachment_count) FILTER (NOT kept), 0) AS attachments,
  coalesce(sum(attachment_size) FILTER (NOT kept), 0) AS attachment_octets,
  count(*) FILTER (NOT kept AND expires_at < now()) AS expired,
  count(*) FILTER (NOT kept AND one_click) AS one_click,
  count(*) FILTER (NOT kept AND wrong_recipient) AS wrong_recipient,
  count(*) FILTER (NOT kept AND len(defects) > 0) AS defective,
  min(received_at) FILTER (NOT kept) AS first, max(received_at) FILTER (NOT kept) AS last
FROM messages"""

_LISTS: Final = {
    "months": """
SELECT year(received_at)::INTEGER AS year, month(received_at)::INTEGER AS month,
  count(*) AS messages, coalesce(sum(size), 0) AS octets
FROM messages WHERE NOT kept AND received_at IS NOT NULL GROUP BY ALL ORDER BY ALL LIMIT 12000""",
    "folders": """
SELECT folder, count(*) FILTER (NOT kept) AS messages, count(*) FILTER (kept) AS kept,
  coalesce(sum(size) FILTER (NOT kept), 0) AS octets,
  min(received_at) FILTER (NOT kept) AS first, max(received_at) FILTER (NOT kept) AS last
FROM messages GROUP BY folder ORDER BY octets DESC, folder LIMIT 200""",
    "senders": """
SELECT address, name, names, messages, octets, first_received_at AS first,
  last_received_at AS last
FROM senders ORDER BY messages DESC, octets DESC, address LIMIT 20""",
    "keywords": """
SELECT keyword, count(*) AS messages
FROM (SELECT unnest(list_concat(flags, keywords)) AS keyword FROM messages WHERE NOT kept)
GROUP BY keyword ORDER BY messages DESC, keyword LIMIT 40""",
    "types": """
SELECT a.content_type AS content_type, count(*) AS parts, coalesce(sum(a.size), 0) AS octets,
  coalesce(max(a.size), 0) AS largest
FROM attachments a JOIN messages m USING (row_id) WHERE NOT m.kept AND a.kind <> 'signature'
GROUP BY a.content_type ORDER BY octets DESC, content_type LIMIT 20""",
    "bounces": """
SELECT m.received_at AS received_at, coalesce(d.final_recipient, d.original_recipient) AS recipient,
  d.action AS action, d.status AS status, coalesce(d.detail_text, d.class_text) AS meaning,
  d.diagnostic_text AS diagnostic, d.sent_row_id IS NOT NULL AS linked,
  m.folder || ':' || m.uid AS place
FROM delivery_status d JOIN messages m USING (row_id)
WHERE NOT m.kept AND (d.action IS NULL OR d.action IN ('failed', 'delayed'))
ORDER BY m.received_at DESC NULLS LAST, d.row_id, d.ordinal LIMIT 20""",
    "duplicates": """
SELECT count(*) AS copies, sum(size) - max(size) AS octets_over,
  arg_min(subject, row_id) AS subject,
  list(folder || ':' || uid ORDER BY row_id)[1:5] AS places
FROM messages WHERE NOT kept AND sha256 IS NOT NULL
GROUP BY sha256 HAVING count(*) > 1 ORDER BY octets_over DESC, min(row_id) LIMIT 20""",
    "largest": """
SELECT size, received_at, from_address, subject, folder || ':' || uid AS place
FROM messages WHERE NOT kept AND size IS NOT NULL ORDER BY size DESC, row_id LIMIT 10""",
    "feedback": """
SELECT coalesce(feedback_type, 'not told') AS feedback_type, count(*) AS reports
FROM feedback_reports GROUP BY ALL ORDER BY reports DESC, feedback_type LIMIT 20""",
    "offers": """
SELECT from_address, count(*) FILTER (one_click) AS one_click,
  count(*) FILTER (wrong_recipient) AS wrong_recipient, count(*) AS messages
FROM messages WHERE NOT kept AND (one_click OR wrong_recipient)
GROUP BY from_address ORDER BY messages DESC, from_address LIMIT 20""",
    "defects": """
SELECT defect, count(*) AS messages, arg_min(folder || ':' || uid, row_id) AS example
FROM (SELECT unnest(defects) AS defect, folder, uid, row_id FROM messages WHERE NOT kept)
GROUP BY defect ORDER BY messages DESC, defect LIMIT 40""",
}

_COUNTS: Final = {
    "failed": """
SELECT count(*) FILTER (d.action = 'failed'), count(*) FILTER (d.action = 'delayed')
FROM delivery_status d JOIN messages m USING (row_id) WHERE NOT m.kept""",
    "copies": """
SELECT count(*), coalesce(sum(copies - 1), 0), coalesce(sum(over), 0)
FROM (SELECT count(*) AS copies, sum(size) - max(size) AS over FROM messages
  WHERE NOT kept AND sha256 IS NOT NULL GROUP BY sha256 HAVING count(*) > 1)""",
    "folders": "SELECT count(DISTINCT folder) FROM messages",
}


@dataclass(frozen=True, slots=True)
class ArchiveFacts:
    """What a report tells. Counts are of ``items``; what is kept is counted apart.

    Attributes:
        totals: by name; ``first`` and ``last`` are instants, the rest are counts.
        sizes: messages in each class of ``SIZES``.
        lists: by name (``months``, ``folders``, ``senders`` …), rows by column.
    """

    totals: Row
    sizes: list[int]
    lists: dict[str, list[Row]] = field(default_factory=dict)


def facts(session: Session) -> ArchiveFacts:
    """Count.

    Raises:
        Damaged: the index is not one.
    """
    totals = _rows(session, _TOTALS)[0]
    totals["failed"], totals["delayed"] = _row(session, _COUNTS["failed"])
    copies = _row(session, _COUNTS["copies"])
    totals["duplicated"], totals["copies_over"], totals["octets_over"] = copies
    totals["folders"] = _row(session, _COUNTS["folders"])[0]
    steps = ", ".join(f"size >= {step}" for step in SIZES[1:])
    counted = session.all(
        f"SELECT len(list_filter([{steps}], lambda over: over)) AS class, count(*)"  # noqa: S608 - constants
        " FROM messages WHERE NOT kept AND size IS NOT NULL GROUP BY ALL"
    )
    sizes = [0] * len(SIZES)
    for number, count in counted:
        sizes[number] = count
    return ArchiveFacts(totals, sizes, {name: _rows(session, sql) for name, sql in _LISTS.items()})


def _row(session: Session, sql: str) -> list[Any]:
    return list(_rows(session, sql)[0].values())


def _rows(session: Session, sql: str) -> list[Row]:
    result = session.ask(sql)
    names = [column.name for column in result.columns]
    found = [dict(zip(names, row, strict=True)) for row in result.rows()]
    for column in result.columns:
        if _is_number(column) and any(isinstance(row[column.name], str) for row in found):
            raise Damaged(
                "the index cannot be read: it tells of more octets than there can be",
                hint=REBUILD,
                code="index-damaged",
            )
    return found


def _is_number(column: Column) -> bool:
    return "INT" in column.kind and column.kind.isalnum()
