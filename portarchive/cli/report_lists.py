"""Sections of the report that are lists: sizes, attachments, keywords, reports, defects."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from portarchive.cli.output import counted, octets
from portarchive.cli.report_plot import Series, columns_plot, few
from portarchive.cli.report_tables import Mark, bars, folded_away, table, text_of

if TYPE_CHECKING:
    from portarchive.index.report import ArchiveFacts


def sizes(facts: ArchiveFacts) -> Iterator[str]:
    """How large messages are, and the largest ones."""
    from portarchive.index.report import SIZES  # noqa: PLC0415  start-up time

    if not any(facts.sizes):
        return
    last = max(at for at, count in enumerate(facts.sizes) if count)
    counts = facts.sizes[: last + 1]
    edges = [octets(size).replace(".0 ", " ") for size in SIZES]
    names = [
        f"{edges[at]} to {edges[at + 1]}" if at + 1 < len(SIZES) else f"{edges[at]} and more"
        for at in range(len(counts))
    ]
    labels = {at: f"≥ {edges[at]}" if at else "0" for at in few(len(counts), 16)}
    title = "Messages by size"
    yield "<h2>Sizes</h2>"
    yield f"<figure><figcaption>{title}</figcaption>"
    yield columns_plot(Series("sizes", title, counts, names, labels, "messages", "a"))
    yield "</figure>"
    yield from folded_away(
        "The numbers, by size",
        table(["Size", "Messages"], zip(names, counts, strict=True), numbers=(1,)),
    )
    yield "<h3>The largest messages</h3>"
    yield from table(
        ["Size", "Received", "From", "Subject", "Where"],
        (
            (
                octets(row["size"]), day(row["received_at"]), row["from_address"], row["subject"],
                row["place"],
            )
            for row in facts.lists["largest"]
        ),
        numbers=(0,),
    )  # fmt: skip


def attachments(facts: ArchiveFacts) -> Iterator[str]:
    """What is attached, by media type."""
    rows = facts.lists["types"]
    if not rows:
        return
    yield "<h2>Attachments by type</h2>"
    heavy = bars([row["octets"] for row in rows], "b")
    yield from table(
        ["Type", "Parts", "Size", "", "Largest"],
        (
            (row["content_type"], row["parts"], octets(row["octets"]), heavy[at],
             octets(row["largest"]))
            for at, row in enumerate(rows)
        ),
        numbers=(1, 2, 4),
        codes=(0,),
    )  # fmt: skip


def keywords(facts: ArchiveFacts) -> Iterator[str]:
    """Flags and keywords."""
    rows = facts.lists["keywords"]
    if not rows:
        return
    yield "<h2>Flags and keywords</h2>"
    counts = bars([row["messages"] for row in rows], "a")
    yield from table(
        ["Keyword", "Messages", ""],
        ((row["keyword"], row["messages"], counts[at]) for at, row in enumerate(rows)),
        numbers=(1,),
        codes=(0,),
    )


def duplicates(facts: ArchiveFacts) -> Iterator[str]:
    """Messages that are there more than once."""
    total = facts.totals
    if not total["duplicated"]:
        return
    yield "<h2>Duplicates</h2>"
    yield (
        f"<p>{counted(total['duplicated'], 'message')} are there more than once, octet by octet:"
        f" {counted(total['copies_over'], 'copy', 'copies')} over, {octets(total['octets_over'])}."
        " Copies in several folders are as the account had them.</p>"
    )
    yield from table(
        ["Copies", "Size over", "Subject", "Where"],
        (
            (
                row["copies"],
                octets(row["octets_over"] or 0),
                row["subject"],
                ", ".join(row["places"]),
            )
            for row in facts.lists["duplicates"]
        ),
        numbers=(0, 1),
    )


def reports(facts: ArchiveFacts) -> Iterator[str]:
    """Mail that did not arrive, and complaints (RFC 3464, RFC 5965)."""
    total, rows = facts.totals, facts.lists["bounces"]
    if rows:
        yield "<h2>Mail that did not arrive</h2>"
        yield (
            f"<p>{counted(total['failed'], 'recipient')} failed, {total['delayed']:,} delayed,"
            " by the reports in the archive (RFC 3464); the newest first.</p>"
        )
        yield from table(
            ["Reported", "Recipient", "Action", "Status", "Meaning", "The server's words", "Where"],
            (
                (
                    day(row["received_at"]), row["recipient"], row["action"], row["status"],
                    row["meaning"], row["diagnostic"], row["place"],
                )
                for row in rows
            ),
            codes=(3,),
        )  # fmt: skip
    if facts.lists["feedback"]:
        yield "<h2>Feedback reports</h2>"
        yield from table(
            ["Type", "Reports"],
            ((row["feedback_type"], row["reports"]) for row in facts.lists["feedback"]),
            numbers=(1,),
        )


def offers(facts: ArchiveFacts) -> Iterator[str]:
    """What senders offer (RFC 8058) and say of its end (RFC 10080), by their fields."""
    rows = facts.lists["offers"]
    if not rows and not facts.totals["expired"]:
        return
    yield "<h2>Newsletters and what expires</h2>"
    if facts.totals["expired"]:
        yield (
            f"<p>{counted(facts.totals['expired'], 'message')} expired by the sender's word"
            " (RFC 10080). They are kept like all others.</p>"
        )
    if rows:
        yield from table(
            ["Sender", "Messages", "With one-click unsubscription", "With wrong-recipient report"],
            (
                (row["from_address"], row["messages"], row["one_click"], row["wrong_recipient"])
                for row in rows
            ),
            numbers=(1, 2, 3),
        )


def defects(facts: ArchiveFacts) -> Iterator[str]:
    """What is wrong with messages."""
    from portarchive.index.columns import DEFECTS  # noqa: PLC0415  start-up time

    rows = facts.lists["defects"]
    if not rows:
        return
    yield "<h2>What is wrong with messages</h2>"
    yield "<p>They came so, and are kept so, octet for octet.</p>"
    yield from table(
        ["Code", "Messages", "Meaning", "Example"],
        (
            (row["defect"], row["messages"], DEFECTS.get(row["defect"], ""), row["example"])
            for row in rows
        ),
        numbers=(1,),
        codes=(0,),
    )


def day(instant: object) -> Mark | None:
    """The day of an instant; None for None."""
    return (
        None if instant is None else Mark(f'<span class="day">{text_of(str(instant)[:10])}</span>')
    )
