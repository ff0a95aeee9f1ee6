"""The page of ``report``: an archive at a glance, opened anywhere, printed; it needs nothing else.

The page has no script and asks no network, and says so in a Content Security Policy of its own
that would stop both. Every word that is not ours is escaped, no address is a link; the style is
found by its digest. The same archive gives the same page.
"""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from portarchive import __version__
from portarchive.cli.ledger_view import counts_of, left_out_in, missing_in, remark_lines
from portarchive.cli.output import octets
from portarchive.cli.report_lists import (
    attachments,
    day,
    defects,
    duplicates,
    keywords,
    offers,
    reports,
    sizes,
)
from portarchive.cli.report_months import spans
from portarchive.cli.report_plot import Series, columns_plot
from portarchive.cli.report_style import STYLE
from portarchive.cli.report_tables import bars, folded_away, table, text_of

if TYPE_CHECKING:
    from portarchive.index.report import ArchiveFacts

GAPS = 200
"""Missing messages that are named."""
_DIGEST = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
_POLICY = f"default-src 'none'; style-src 'sha256-{_DIGEST}'; base-uri 'none'; form-action 'none'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What the archive says of itself. All of it is anybody's word.

    Attributes:
        name: of the archive.
        service, account, timestamp, generator: None where it does not say.
        fingerprint: of the archive.
        complete: of its manifest; None if there is none.
        ledger: entries of the manifest, one a folder.
        names: path of a folder → the mailbox's own names, joined by a slash.
    """

    name: str
    service: str | None
    account: str | None
    timestamp: str | None
    generator: str | None
    fingerprint: str
    complete: bool | None
    ledger: Sequence[Mapping[str, Any]]
    names: Mapping[str, str]

    def named(self, path: object) -> str:
        """A folder as people know it."""
        return self.names.get(str(path), str(path))


def page_of(about: Described, facts: ArchiveFacts) -> str:
    """The whole page."""
    body = "\n".join(_body(about, facts))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{html.escape(_POLICY)}">
<meta name="referrer" content="no-referrer">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Report on {text_of(about.name)}</title>
<style>{STYLE}</style>
</head>
<body>
{body}
</body>
</html>
"""


def _body(about: Described, facts: ArchiveFacts) -> Iterator[str]:
    yield "<header>"
    yield f"<h1><bdi>{text_of(about.name)}</bdi></h1>"
    yield _verdict(about)
    yield "<dl>"
    for name, value in (
        ("Account", about.account),
        ("Service", about.service),
        ("Made", about.timestamp),
        ("By", about.generator),
    ):
        if value:
            yield f"<dt>{name}</dt><dd><bdi>{text_of(value)}</bdi></dd>"
    yield f"<dt>Fingerprint</dt><dd><code>{text_of(about.fingerprint)}</code></dd>"
    yield "</dl></header><main>"
    yield from _cards(facts)
    yield from _time(facts)
    yield from _folders(about, facts)
    yield from _senders(facts)
    yield from sizes(facts)
    yield from attachments(facts)
    yield from keywords(facts)
    yield from _completeness(about)
    yield from duplicates(facts)
    yield from reports(facts)
    yield from offers(facts)
    yield from defects(facts)
    yield "</main>"
    yield (
        f"<footer>portarchive {html.escape(__version__)}. Messages that the server no longer had"
        " are counted apart; a message in two folders counts twice. Months are in UTC. What senders"
        " say of themselves is their word: nothing was verified, and nothing fetched.</footer>"
    )


def _verdict(about: Described) -> str:
    if about.complete is True:
        return '<p class="verdict fine">Complete: all that the server listed is accounted for</p>'
    if about.complete is False:
        return '<p class="verdict error">Incomplete: something is missing, see below</p>'
    return '<p class="verdict note">Whether it is complete is not known: it has no manifest</p>'


def _cards(facts: ArchiveFacts) -> Iterator[str]:
    total = facts.totals
    period = "\N{EN DASH}".join(
        dict.fromkeys(str(total[end])[:4] for end in ("first", "last") if total[end])
    )
    kept = f"and {total['kept']:,} deleted there" if total["kept"] else ""
    yield '<section class="cards" aria-label="Totals">'
    for value, name, more in (
        (f"{total['messages']:,}", "messages", kept or f"{total['different']:,} different ones"),
        (octets(total["octets"]), "of mail", f"{octets(total['attachment_octets'])} attached"),
        (f"{total['folders']:,}", "folders", "with messages"),
        (f"{total['senders']:,}", "senders", "by address"),
        (period or "\N{EN DASH}", "received", f"{total['undated']:,} without a date"),
        (f"{total['unread']:,}", "unread", f"{total['flagged']:,} flagged"),
    ):
        yield (
            f'<div class="card"><p class="big">{html.escape(value)}</p><p>{name}</p>'
            f'<p class="soft">{html.escape(more)}</p></div>'
        )
    yield "</section>"


def _time(facts: ArchiveFacts) -> Iterator[str]:
    yield "<h2>Volume over time</h2>"
    shown = spans(facts.lists["months"])
    if shown is None:
        yield '<p class="soft">No message has a date.</p>'
        return
    labels = {at: shown.short[at] for at in shown.marked}
    for key, title, unit, kind, values in (
        ("time-messages", f"Messages received by {shown.step}", "messages", "a", shown.messages),
        ("time-octets", f"Mail received by {shown.step}", "octets", "b", shown.octets),
    ):
        yield f"<figure><figcaption>{title}</figcaption>"
        yield columns_plot(Series(key, title, values, shown.names, labels, unit, kind))
        yield "</figure>"
    rows = [
        (name, shown.messages[at], octets(shown.octets[at]))
        for at, name in enumerate(shown.names)
        if shown.messages[at]
    ]
    inner = table([shown.step.title(), "Messages", "Size"], rows, numbers=(1, 2))
    yield from folded_away(f"The numbers, by {shown.step}", inner)


def _folders(about: Described, facts: ArchiveFacts) -> Iterator[str]:
    rows = facts.lists["folders"]
    yield "<h2>Folders</h2>"
    if not rows:
        yield '<p class="soft">There are no messages.</p>'
        return
    counts = bars([row["messages"] for row in rows], "a")
    heavy = bars([row["octets"] for row in rows], "b")
    cut = 8 if facts.totals["kept"] else 7
    yield from table(
        ["Folder", "Messages", "", "Size", "", "First", "Last", "Kept"][:cut],
        (
            (
                about.named(row["folder"]), row["messages"], counts[at], octets(row["octets"]),
                heavy[at], day(row["first"]), day(row["last"]), row["kept"] or None,
            )[:cut]
            for at, row in enumerate(rows)
        ),
        numbers=(1, 3, 7),
    )  # fmt: skip
    if facts.totals["folders"] > len(rows):
        yield f'<p class="soft">and {facts.totals["folders"] - len(rows):,} more</p>'


def _senders(facts: ArchiveFacts) -> Iterator[str]:
    rows = facts.lists["senders"]
    if not rows:
        return
    yield "<h2>Who writes most</h2>"
    counts = bars([row["messages"] for row in rows], "a")
    yield from table(
        ["Address", "Name", "Messages", "", "Size", "First", "Last"],
        (
            (
                row["address"], row["name"], row["messages"], counts[at], octets(row["octets"]),
                day(row["first"]), day(row["last"]),
            )
            for at, row in enumerate(rows)
        ),
        numbers=(2, 4),
    )  # fmt: skip


def _completeness(about: Described) -> Iterator[str]:
    yield "<h2>Completeness</h2>"
    yield _verdict(about)
    if not about.ledger:
        return
    counts = [(entry, counts_of(entry)) for entry in about.ledger]
    sums = {name: sum(told[name] for _, told in counts) for name in counts[0][1]}
    heads = ["Folder", "Listed", "Archived", "Left out", "Vanished", "Failed"]
    rows: list[tuple[object, ...]] = [("All folders", *sums.values())]
    rows += [(about.named(entry.get("path", "")), *told.values()) for entry, told in counts]
    yield from table(heads, rows, numbers=range(1, 6))
    gaps = [gap for entry in about.ledger for gap in missing_in(entry)]
    if gaps:
        yield "<h3>What is missing, and why</h3>"
        yield from table(
            ["Folder", "Uids", "Reason", "In the server's words"],
            (
                (about.named(gap.folder), gap.uids or "all", gap.code, gap.text)
                for gap in gaps[:GAPS]
            ),
            codes=(2,),
        )
        if len(gaps) > GAPS:
            yield f'<p class="soft">and {len(gaps) - GAPS:,} more; portarchive info names them</p>'
    left = [gap for entry in about.ledger for gap in left_out_in(entry)]
    if left:
        yield "<h3>What was left out, as asked for</h3>"
        yield from table(
            ["Folder", "What"], ((about.named(gap.folder), gap.text) for gap in left[:GAPS])
        )
    for line in remark_lines(about.ledger):
        yield f'<p class="soft">{text_of(line)}</p>'
