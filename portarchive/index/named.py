"""Queries with a name: what people ask of their mail most, to be run, and read as examples.

What names messages has the columns ``folder``, ``uid`` and ``file``, so that
``import --select-query`` can restore exactly these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from portarchive.errors import SettingsError


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedQuery:
    """A query.

    Attributes:
        name: as it is asked for.
        text: what it tells, in a line.
        sql: with ``$name`` for each parameter.
        parameters: name → (what it is without being given, what it means).
    """

    name: str
    text: str
    sql: str
    parameters: Mapping[str, tuple[str | None, str]] = field(default_factory=dict)

    def values(self, given: Mapping[str, str]) -> dict[str, str | None]:
        """All parameters, with what was given.

        Raises:
            SettingsError: there is no such parameter.
        """
        for name in given:
            if name not in self.parameters:
                known = ", ".join(sorted(self.parameters)) or "none"
                raise SettingsError(
                    f"the query {self.name} has no such parameter", hint=f"it has: {known}"
                )
        return {name: given.get(name, told) for name, (told, _) in self.parameters.items()}


_SINCE: Final = (None, "received on that day or later; all without it")

_ALL: Final = (
    NamedQuery(
        name="biggest-senders",
        text="who sent the most octets",
        sql="""SELECT address, name, messages, octets, attachments,
  first_received_at AS first, last_received_at AS last
FROM senders ORDER BY octets DESC, address""",
    ),
    NamedQuery(
        name="by-month",
        text="messages and octets received in each month (UTC)",
        sql="""SELECT strftime(received_at, '%Y-%m') AS month, count(*) AS messages,
  sum(size) AS octets, count(DISTINCT from_address) AS senders
FROM messages
WHERE NOT kept AND received_at IS NOT NULL
  AND ($since::DATE IS NULL OR received_at >= $since::DATE)
GROUP BY month ORDER BY month""",
        parameters={"since": _SINCE},
    ),
    NamedQuery(
        name="by-folder",
        text="messages, octets, unread and dates of each folder",
        sql="""SELECT folder, count(*) FILTER (NOT kept) AS messages,
  count(*) FILTER (NOT kept AND NOT list_contains(flags, '$seen')) AS unread,
  count(*) FILTER (kept) AS kept, sum(size) AS octets,
  min(received_at) AS first, max(received_at) AS last
FROM messages GROUP BY folder ORDER BY folder""",
    ),
    NamedQuery(
        name="largest",
        text="the largest messages, and what is attached to them",
        sql="""SELECT size, received_at, from_address, subject, attachment_names,
  folder, uid, member AS file
FROM messages WHERE size >= $least::BIGINT ORDER BY size DESC, row_id""",
        parameters={"least": ("0", "octets")},
    ),
    NamedQuery(
        name="attachments-by-type",
        text="attachments by media type: how many, how large, in how many messages",
        sql="""SELECT content_type, count(*) AS parts, count(DISTINCT row_id) AS messages,
  sum(size) AS octets, max(size) AS largest
FROM attachments WHERE kind <> 'signature' GROUP BY content_type
ORDER BY octets DESC, content_type""",
    ),
    NamedQuery(
        name="duplicates",
        text="messages that are there more than once: by their octets, or by Message-ID",
        sql="""SELECT count(*) AS copies, sum(size) - max(size) AS octets_over,
  min(subject) AS subject, min(from_address) AS from_address,
  list(folder || ':' || uid ORDER BY row_id) AS places
FROM messages WHERE NOT kept
GROUP BY CASE WHEN $by = 'message-id' THEN message_id ELSE sha256 END
HAVING count(*) > 1
  AND min(CASE WHEN $by = 'message-id' THEN message_id ELSE sha256 END) IS NOT NULL
ORDER BY octets_over DESC, min(row_id)""",
        parameters={"by": ("sha256", "sha256, or message-id")},
    ),
    NamedQuery(
        name="unread",
        text="what was never read",
        sql="""SELECT received_at, from_address, subject, folder, uid, member AS file
FROM messages
WHERE NOT kept AND NOT list_contains(flags, '$seen')
  AND ($since::DATE IS NULL OR coalesce(received_at, date) >= $since::DATE)
ORDER BY received_at DESC NULLS LAST, row_id""",
        parameters={"since": _SINCE},
    ),
    NamedQuery(
        name="threads-longest",
        text="the longest conversations",
        sql="""SELECT count(*) AS messages, count(DISTINCT from_address) AS people,
  min(coalesce(received_at, date)) AS first, max(coalesce(received_at, date)) AS last,
  arg_min(subject, coalesce(received_at, date)) AS subject, thread
FROM messages WHERE NOT kept AND thread IS NOT NULL
GROUP BY thread HAVING count(*) > 1 ORDER BY messages DESC, thread""",
    ),
    NamedQuery(
        name="keywords",
        text="flags and keywords, and how many messages bear them",
        sql="""SELECT keyword, count(*) AS messages
FROM (SELECT unnest(list_concat(flags, keywords)) AS keyword FROM messages WHERE NOT kept)
GROUP BY keyword ORDER BY messages DESC, keyword""",
    ),
    NamedQuery(
        name="flagged",
        text="flagged messages with their colours (RFC 9979)",
        sql="""SELECT colour, received_at, from_address, subject, folder, uid, member AS file
FROM messages WHERE NOT kept AND list_contains(flags, '$flagged')
ORDER BY received_at DESC NULLS LAST, row_id""",
    ),
    NamedQuery(
        name="expired",
        text="messages that have expired by their own word (RFC 10080); nothing acts on it",
        sql="""SELECT expires_at, expires_ambiguous, expires_because, from_address, subject,
  folder, uid, member AS file
FROM messages WHERE expires_at < coalesce($at::TIMESTAMPTZ, now())
ORDER BY expires_at, row_id""",
        parameters={"at": (None, "expired at that instant; now without it")},
    ),
    NamedQuery(
        name="bounces",
        text="mail that did not arrive, and why (RFC 3464): a row for each recipient",
        sql="""SELECT m.received_at, coalesce(d.final_recipient, d.original_recipient) AS recipient,
  d.action, d.status, d.class_text, d.detail_text, d.diagnostic_text, d.remote_mta,
  s.subject AS sent_subject, s.folder AS sent_folder, s.uid AS sent_uid, d.error,
  m.folder, m.uid, m.member AS file
FROM delivery_status d JOIN messages m USING (row_id)
LEFT JOIN messages s ON s.row_id = d.sent_row_id
WHERE d.action IS NULL OR d.action IN ('failed', 'delayed') OR d.error IS NOT NULL
ORDER BY m.received_at DESC NULLS LAST, d.row_id, d.ordinal""",
    ),
    NamedQuery(
        name="feedback",
        text="complaints and other feedback reports (ARF, RFC 5965)",
        sql="""SELECT m.received_at, f.feedback_type, f.source_ip, f.original_rcpt_to,
  f.reported_domains, coalesce(f.incidents, 1) AS incidents, s.subject AS sent_subject,
  f.errors, m.folder, m.uid, m.member AS file
FROM feedback_reports f JOIN messages m USING (row_id)
LEFT JOIN messages s ON s.row_id = f.sent_row_id
ORDER BY m.received_at DESC NULLS LAST, f.row_id, f.ordinal""",
    ),
    NamedQuery(
        name="lists",
        text="mailing lists by their List-Id",
        sql="""SELECT list_id, count(*) AS messages, sum(size) AS octets,
  bool_or(one_click) AS one_click, max(received_at) AS last
FROM messages WHERE list_id IS NOT NULL GROUP BY list_id ORDER BY messages DESC, list_id""",
    ),
    NamedQuery(
        name="one-click",
        text="senders that offer to unsubscribe with one click (RFC 8058); nothing calls them",
        sql="""SELECT from_address, count(*) AS messages,
  count(*) FILTER (dkim_covers_list_headers) AS covered_by_dkim,
  max(received_at) AS last, arg_max(list_unsubscribe, received_at) AS list_unsubscribe
FROM messages WHERE one_click GROUP BY from_address ORDER BY messages DESC, from_address""",
    ),
    NamedQuery(
        name="wrong-recipient",
        text="senders that want to hear of a wrong recipient; nothing calls them",
        sql="""SELECT from_address, count(*) AS messages,
  count(*) FILTER (dkim_covers_list_headers) AS covered_by_dkim,
  max(received_at) AS last, arg_max(list_unsubscribe, received_at) AS list_unsubscribe
FROM messages WHERE wrong_recipient GROUP BY from_address ORDER BY messages DESC, from_address""",
    ),
    NamedQuery(
        name="missing-dates",
        text="messages without a date, or with one that nobody can read",
        sql="""SELECT received_at, received_from, received_raw, date_raw, subject,
  folder, uid, member AS file
FROM messages
WHERE received_at IS NULL OR received_from <> 'archive' OR date IS NULL ORDER BY row_id""",
    ),
    NamedQuery(
        name="defects",
        text="what is wrong with messages, by code (docs/index.md)",
        sql="""SELECT defect, count(*) AS messages, min(folder || ':' || uid) AS example
FROM (SELECT unnest(defects) AS defect, folder, uid FROM messages)
GROUP BY defect ORDER BY messages DESC, defect""",
    ),
)
NAMED: Final[Mapping[str, NamedQuery]] = {query.name: query for query in _ALL}
"""By name, in the order in which they are listed."""
