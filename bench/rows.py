"""The rows of the table: which contenders run, and how a figure and its bar come out of them.

Rows that need the same runs share them: a block is measured once, interleaved, for all of its
rows.
"""

from __future__ import annotations

import hashlib
import os
import resource
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import corpus
import index
import jmap
import placing
import planners
import query
import takeout
import validate
from corpus import Mailbox
from latency import OneByOne
from measure import Run, RunFailedError, Series, interleave, run
from peers import PORTARCHIVE, Drain, Endpoint, Mbsync, Portarchive, remove
from relays import Answers, Relay
from table import MEGABYTE, Bench, Row, Sizes, ratio


def _full_block(bench: Bench, wanted: Sequence[str]) -> list[Row]:
    """The whole account on tmpfs without fsync: rows mbsync, drain, update and marginal."""
    sizes, memory = bench.sizes, bench.memory
    bench.tell(f"  loading {sizes.full} messages")
    whole = corpus.load(bench.maildir("full"), "full", sizes.full)
    ours = Portarchive(bench.endpoint, whole, memory / "archive")
    mbsync = Mbsync(bench.endpoint, whole, memory / "mbsync")
    contenders: dict[str, Callable[[], Run]] = {"export": ours.export}
    if "update" in wanted:
        contenders["update"] = ours.update
    if "mbsync" in wanted:
        contenders["mbsync"] = mbsync.pull
    if "drain" in wanted:
        contenders["drain"] = Drain(bench.endpoint, whole).pull
    parts: list[Mailbox] = []
    if "marginal" in wanted:
        for name, count in (("small", sizes.small), ("middle", sizes.middle)):
            bench.tell(f"  loading {count} messages")
            part = corpus.load(bench.maildir(name), name, count)
            parts.append(part)
            contenders[name] = Portarchive(bench.endpoint, part, memory / name).export
    runs, failed = interleave(contenders, rounds=bench.rounds, tell=bench.tell)

    rows = []
    count = f"{sizes.full:,} messages"
    if "mbsync" in wanted:
        row = Row("mbsync", f"export --no-fsync, {count} / mbsync, FSync off", 0.75, "x")
        rows.append(ratio(row, runs, failed, "export", "mbsync"))
    if "drain" in wanted:
        row = Row("drain", f"export --no-fsync, {count} / raw drain", 2.5, "x")
        rows.append(ratio(row, runs, failed, "export", "drain"))
    if "update" in wanted:
        row = Row("update", f"update, nothing changed, {count} / first export", 0.1, "x")
        row = ratio(row, runs, failed, "update", "export")
        rows.append(row if row.value is None else _count_octets(bench, ours, row))
    if "marginal" in wanted:
        rows.append(_marginal(sizes, runs, failed))
    for mailbox in (whole, *parts):
        bench.drop(mailbox)
    for target in ("archive", "mbsync", "small", "middle"):
        remove(memory / target)
    return rows


def _count_octets(bench: Bench, ours: Portarchive, row: Row) -> Row:
    """One more update, not timed, through the counting relay: no message text may cross.

    A first export through the same kind of relay shows that it does count.
    """
    probe = corpus.load(bench.maildir("probe"), "probe", 200)
    first = Portarchive(bench.endpoint, probe, bench.memory / "probe")
    try:
        _, counted = _relayed(first, Portarchive.export)
        octets, text = _relayed(ours, Portarchive.update)
    except RunFailedError as error:
        row.value = None
        row.figure += f"; octets not counted: {error}"
        return row
    finally:
        bench.drop(probe)
        remove(first.archive)
    if counted < probe.octets:
        row.value = None
        row.figure += (
            f"; octets not counted: the relay saw {counted} of {probe.octets} of an export"
        )
        return row
    row.holds = text == 0
    row.figure += f"; on the wire {octets:,} octets, {text:,} of message text; nothing published"
    row.series["octets_from_server"] = octets
    row.series["octets_of_message_text"] = text
    return row


def _relayed(ours: Portarchive, work: Callable[[Portarchive], Run]) -> tuple[int, int]:
    """Octets from the server and those of message text, of one run."""
    with Relay(ours.endpoint.host, ours.endpoint.port, far_listener=Answers) as relay:
        work(replace(ours, endpoint=replace(ours.endpoint, port=relay.port)))
        relay.settle()
        heard = relay.far_heard
        return sum(one.octets for one in heard), sum(one.text_octets for one in heard)


def _marginal(sizes: Sizes, runs: Mapping[str, Series], failed: Mapping[str, str]) -> Row:
    """What one more message costs: early (small to middle) and late (middle to full)."""
    row = Row("marginal", "marginal cost of a message, late / early", 1.3, "x")
    names = ("small", "middle", "export")
    row.series = {name: runs[name].as_json() for name in names if name in runs}
    missing = [f"{name}: {failed[name]}" for name in names if name in failed]
    if missing:
        row.figure = "; ".join(missing)
        return row
    walls = [[one.wall for one in runs[name].runs] for name in names]

    def costs(small: float, middle: float, full: float) -> tuple[float, float]:
        return (
            (middle - small) / (sizes.middle - sizes.small),
            (full - middle) / (sizes.full - sizes.middle),
        )

    early, late = costs(*(statistics.median(each) for each in walls))
    within = [costs(*each) for each in zip(*walls, strict=True)]
    row.figure = (
        f"{sizes.small:,} to {sizes.middle:,}: {early * 1e6:.0f} us; "
        f"{sizes.middle:,} to {sizes.full:,}: {late * 1e6:.0f} us a message"
    )
    row.series["early_seconds"], row.series["late_seconds"] = early, late
    if early <= 0 or any(one <= 0 for one, _ in within):
        row.figure += "; too noisy: a larger account took less time than a smaller one"
        return row
    row.value = late / early
    row.spread = (min(b / a for a, b in within), max(b / a for a, b in within))
    return row


def _durable_block(bench: Bench, _: Sequence[str]) -> list[Row]:
    """Both at their defaults, both on disk; what the other left unwritten is synced first."""
    bench.tell(f"  loading {bench.sizes.durable} messages")
    mailbox = corpus.load(bench.maildir("durable"), "durable", bench.sizes.durable)
    ours = Portarchive(bench.endpoint, mailbox, bench.disk / "archive", fsync=True)
    mbsync = Mbsync(bench.endpoint, mailbox, bench.disk / "mbsync", fsync=True)

    def alone(target: Path, contender: Callable[[], Run]) -> Callable[[], Run]:
        def settled() -> Run:
            remove(target)
            os.sync()
            return contender()

        return settled

    contenders = {
        "export": alone(ours.archive, ours.export),
        "mbsync": alone(mbsync.target, mbsync.pull),
    }
    runs, failed = interleave(contenders, rounds=bench.rounds, tell=bench.tell)
    row = Row(
        "durable", f"export, durable, {mailbox.messages:,} messages / mbsync, default", 0.5, "x"
    )
    bench.drop(mailbox)
    remove(ours.archive)
    remove(mbsync.target)
    return [ratio(row, runs, failed, "export", "mbsync")]


def _memory_block(bench: Bench, _: Sequence[str]) -> list[Row]:
    """Peak memory of export and update: one huge message, and one huge folder."""
    sizes = bench.sizes
    loads: tuple[tuple[str, str, Callable[[Path, str, int], Mailbox], int], ...] = (
        (
            "huge",
            f"one message of {sizes.large_octets // MEGABYTE} MB",
            corpus.load_large,
            sizes.large_octets,
        ),
        ("many", f"{sizes.many:,} messages in one folder", corpus.load_small, sizes.many),
    )
    rows = []
    for user, title, load, size in loads:
        bench.tell(f"  loading {title}")
        mailbox = load(bench.maildir(user), user, size)
        ours = Portarchive(bench.endpoint, mailbox, bench.memory / "archive", watch_memory=True)
        contenders = {"export": ours.export, "update": ours.update}
        runs, failed = interleave(contenders, rounds=bench.rounds, tell=bench.tell)
        for name in contenders:
            row = Row(
                "memory", f"peak memory of {name}, {title}", 150, "MB", figure=failed.get(name, "")
            )
            if name in runs:
                peaks = [one.peak / MEGABYTE for one in runs[name].runs]
                row.value, row.spread = max(peaks), (min(peaks), max(peaks))
                row.figure = f"{name} {runs[name].spread()}; no figure can be below {_floor()} MB"
                row.series = {name: runs[name].as_json()}
            rows.append(row)
        bench.drop(mailbox)
        remove(ours.archive)
    return rows


_WAY = 0.05
"""Seconds on the line, one way: 100 ms there and back."""


def _latency_block(bench: Bench, wanted: Sequence[str]) -> list[Row]:
    """Many folders over a line with a delay."""
    sizes = bench.sizes
    bench.tell(f"  loading {sizes.spread} messages in {sizes.folders} folders")
    mailbox = corpus.load_spread(bench.maildir("far"), "far", sizes.spread, sizes.folders)
    with Relay(bench.endpoint.host, bench.endpoint.port, seconds=_WAY) as line:
        far = replace(bench.endpoint, port=line.port)
        ours = Portarchive(far, mailbox, bench.memory / "archive")
        contenders: dict[str, Callable[[], Run]] = {"export": ours.export}
        mbsync = Mbsync(far, mailbox, bench.memory / "mbsync")
        simple = OneByOne(far, mailbox, bench.memory / "simple", folders=1)
        if "far-mbsync" in wanted:
            contenders["mbsync"] = mbsync.pull
        if "far-simple" in wanted:

            def pull() -> Run:
                remove(simple.target)
                return simple.pull()

            contenders["imapclient"] = pull
        runs, failed = interleave(contenders, rounds=bench.rounds, tell=bench.tell)
    about = f"100 ms away, {mailbox.messages:,} messages in {sizes.folders} folders"
    rows = []
    if "far-simple" in wanted:
        row = Row("far-simple", f"{about} / imapclient, one message a call", 0.1, "x")
        rows.append(ratio(row, runs, failed, "export", "imapclient"))
        count = mailbox.folders[0][1]
        rows[-1].figure += f" (from the {count:,} messages of one folder)"
    if "far-mbsync" in wanted:
        row = Row("far-mbsync", f"{about} / mbsync, FSync off", 1.0, "x")
        rows.append(ratio(row, runs, failed, "export", "mbsync"))
    bench.drop(mailbox)
    for target in ("archive", "mbsync", "simple"):
        remove(bench.memory / target)
    return rows


def _planners_block(bench: Bench, _: Sequence[str]) -> list[Row]:
    """One huge folder, listed in each of the four ways: the same items, and little memory."""
    count = bench.sizes.many
    rows: list[Row] = []
    items: set[str] = set()
    mailbox = Mailbox("jane", (("INBOX", count),), 0)
    for way in planners.WAYS:
        row = Row("planners", f"peak memory, {count:,} messages by {way}", 150, "MB")
        rows.append(row)
        with planners.serving(way, count) as port:
            far = Endpoint("127.0.0.1", port, planners.PASSWORD)
            ours = Portarchive(far, mailbox, bench.memory / "archive", watch_memory=True)
            try:
                made = ours.export()
            except RunFailedError as error:
                row.figure = str(error)
                continue
        bench.tell(f"    {way} {made.wall:.2f} s")
        with (ours.archive / "mail/INBOX/folder.json").open("rb") as file:
            items.add(hashlib.file_digest(file, "sha256").hexdigest())
        row.value = made.peak / MEGABYTE
        row.holds = len(items) == 1
        same = "the same items as before" if row.holds else "OTHER items than before"
        row.figure = f"{made.wall:.1f} s, {same}; no figure can be below {_floor()} MB"
    remove(bench.memory / "archive")
    return rows


def _floor() -> int:
    """This process's own highest memory in MB: Linux counts it in the peak of what it starts."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 // MEGABYTE


def _takeout_block(bench: Bench, _: Sequence[str]) -> list[Row]:
    """A Takeout mbox on tmpfs, to tmpfs without fsync: seconds a gigabyte, and peak memory."""
    megabytes = bench.sizes.takeout_octets // MEGABYTE
    bench.tell(f"  writing a Takeout of {megabytes} MB")
    made = takeout.write(bench.memory / "takeout.mbox", bench.sizes.takeout_octets)
    archive = bench.memory / "takeout"
    runs, failed = interleave(
        {"export": lambda: takeout.export(made, archive)}, rounds=bench.rounds, tell=bench.tell
    )
    title = f"Takeout mbox, {megabytes} MB, {made.messages:,} messages"
    speed = Row("takeout", title, 10, "s/GB", figure=failed.get("export", ""))
    memory = Row("takeout", f"peak memory of it, {title}", 150, "MB", figure=speed.figure)
    if not failed:
        series = runs["export"]
        gigabytes = made.octets / 1e9
        walls = [one.wall / gigabytes for one in series.runs]
        speed.value, speed.spread = series.median / gigabytes, (min(walls), max(walls))
        rate = made.octets / MEGABYTE / series.median
        speed.figure = f"export {series.spread()}, {rate:.0f} MB/s"
        peaks = [one.peak / MEGABYTE for one in series.runs]
        memory.value, memory.spread = max(peaks), (min(peaks), max(peaks))
        memory.figure = f"no figure can be below {_floor()} MB"
        speed.series = {"export": series.as_json()}
    made.path.unlink()
    remove(archive)
    return [speed, memory]


def _validate_block(bench: Bench, wanted: Sequence[str]) -> list[Row]:
    """The validator over a whole export beside sha256sum, and over one huge folder.json."""
    rows: list[Row] = []
    archive = bench.memory / "archive"
    if "validate" in wanted:
        bench.tell(f"  exporting {bench.sizes.full} messages")
        whole = corpus.load(bench.maildir("valid"), "valid", bench.sizes.full)
        title = f"validate --level deep, {whole.messages:,} messages / sha256sum -c"
        row = Row("validate", title, 3, "x")
        try:
            Portarchive(bench.endpoint, whole, archive).export()
        except RunFailedError as error:
            row.figure = f"no archive to validate: {error}"
        else:
            contenders: dict[str, Callable[[], Run]] = {
                "validate": lambda: validate.validate(archive, "deep", whole.messages),
                "sha256sum": lambda: validate.sha256sum(archive),
            }
            runs, failed = interleave(contenders, rounds=bench.rounds, tell=bench.tell)
            row = ratio(row, runs, failed, "validate", "sha256sum")
        rows.append(row)
        bench.drop(whole)
    if "validate-folder" in wanted:
        items = bench.sizes.many
        bench.tell(f"  writing a folder of {items} items")
        octets = validate.write_folder(archive, items)
        contenders = {
            "structure": lambda: validate.validate(archive, "structure", items, watch_memory=True)
        }
        runs, failed = interleave(contenders, rounds=bench.rounds, tell=bench.tell)
        title = f"a folder.json of {items:,} items, {octets // MEGABYTE} MB, --level structure"
        speed = Row("validate-folder", title, 8, "s", figure=failed.get("structure", ""))
        peak = Row("validate-folder", f"peak memory of it, {title}", 300, "MB", speed.figure)
        if "structure" in runs:
            series = runs["structure"]
            speed.value = series.median
            walls = [one.wall for one in series.runs]
            speed.spread = (min(walls), max(walls))
            speed.figure = f"structure {series.spread()}, {octets / items:.0f} octets an item"
            peaks = [one.peak / MEGABYTE for one in series.runs]
            peak.value, peak.spread = max(peaks), (min(peaks), max(peaks))
            peak.figure = f"no figure can be below {_floor()} MB"
            speed.series = {"structure": series.as_json()}
        rows += [speed, peak]
    remove(archive)
    return rows


def _help_block(bench: Bench, _: Sequence[str]) -> list[Row]:
    """Start-up; an interpreter that does nothing beside it."""
    contenders: dict[str, Callable[[], Run]] = {
        "--help": lambda: run([PORTARCHIVE, "--help"]),
        "python -c pass": lambda: run([sys.executable, "-c", "pass"]),
    }
    runs, failed = interleave(contenders, rounds=bench.rounds * 2, tell=lambda _: None)
    row = Row("help", "portarchive --help", 150, "ms", figure=failed.get("--help", ""))
    if not failed:
        walls = [one.wall * 1000 for one in runs["--help"].runs]
        row.value, row.spread = statistics.median(walls), (min(walls), max(walls))
        row.figure = f"python alone {runs['python -c pass'].median * 1000:.0f} ms"
        row.series = {name: made.as_json() for name, made in runs.items()}
    return [row]


Block = Callable[[Bench, Sequence[str]], list[Row]]
BLOCKS: tuple[tuple[tuple[str, ...], Block], ...] = (
    (("help",), _help_block),
    (("mbsync", "drain", "update", "marginal"), _full_block),
    (("durable",), _durable_block),
    (("memory",), _memory_block),
    (("takeout",), _takeout_block),
    (("validate", "validate-folder"), _validate_block),
    (("index", "index-parsing"), index.block),
    (("query",), query.block),
    (("import", "import-again", "import-memory", "migrate"), placing.block),
    (("jmap-export", "jmap-imap", "jmap-import", "jmap-update", "jmap-memory"), jmap.block),
    (("far-simple", "far-mbsync"), _latency_block),
    (("planners",), _planners_block),
)
NAMES = tuple(name for names, _ in BLOCKS for name in names)
