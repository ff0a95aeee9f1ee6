"""The index: a whole process that makes one, and what it finds beside Python's email package.

    python bench/index.py ARCHIVE PLACE

makes the index and prints what was done as JSON.
"""

from __future__ import annotations

import dataclasses
import json
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import corpus
from measure import Run, RunFailedError, Series, interleave, run
from peers import ROOT, Portarchive, remove
from table import MEGABYTE, Bench, Row, Sizes

PYTHON = ROOT / ".venv/bin/python"


def build(archive: Path, place: Path, messages: int) -> Run:
    """An index from nothing, in a process of its own, memory watched.

    Raises:
        RunFailedError: it does not have a row for every message.
    """
    remove(place)
    made = run([PYTHON, Path(__file__).resolve(), archive, place], watch_memory=True)
    told = json.loads(made.stdout)
    if told["rows"]["messages"] != messages or told["read"] != messages:
        raise RunFailedError(f"the index has {told['rows']['messages']} of {messages} messages")
    if told["defects"].get("parser-failed"):
        raise RunFailedError(f"{told['defects']['parser-failed']} messages made the parser fail")
    return made


def compare(messages: list[Path]) -> tuple[int, int]:
    """Real and malformed messages read by the email package too.

    Returns:
        How many there are, and how many of them have a field or part that the index lacks.
    """
    sys.path[:0] = [str(ROOT), *(str(ROOT / "tests" / name) for name in ("", "scenarios", "unit"))]
    from defective_mail import CORPUS
    from index_malformed import every

    from index_oracle import differences

    everything = [*(path.read_bytes() for path in messages), *CORPUS.values()]
    everything += [octets for _, octets in every()]
    return len(everything), sum(bool(differences(octets)) for octets in everything)


def block(bench: Bench, wanted: Sequence[str]) -> list[Row]:
    """The index from nothing: of a small and of a large archive, and against the email package."""
    sizes = bench.sizes
    rows: list[Row] = []
    if "index" in wanted:
        contenders: dict[str, Callable[[], Run]] = {}
        counts = {"small": sizes.durable, "large": sizes.full}
        failed: dict[str, str] = {}
        for name, count in counts.items():
            bench.tell(f"  exporting {count} messages")
            mailbox = corpus.load(bench.maildir(name), name, count)
            archive = bench.memory / name
            try:
                Portarchive(bench.endpoint, mailbox, archive).export()
            except RunFailedError as error:
                failed[name] = f"no archive to index: {error}"
            else:
                place = bench.memory / f"{name}-index"
                contenders[name] = partial(build, archive, place, count)
            bench.drop(mailbox)
        runs, more = interleave(contenders, rounds=bench.rounds, tell=bench.tell)
        rows += _index_rows(sizes, runs, failed | more)
        for name in counts:
            remove(bench.memory / name)
            remove(bench.memory / f"{name}-index")
    if "index-parsing" in wanted:
        count, wrong = compare(corpus.messages())
        row = Row("index-parsing", "messages with a field that only the email package finds", 0, "")
        row.value, row.figure = float(wrong), f"of {count:,} real and malformed messages"
        rows.append(row)
    return rows


def _index_rows(sizes: Sizes, runs: Mapping[str, Series], failed: Mapping[str, str]) -> list[Row]:
    small, large = f"{sizes.durable:,}", f"{sizes.full:,}"
    speed = Row("index", f"index from nothing, {small} messages: a message", 1e6 / 6000, "us")
    flat = Row("index", f"a message of {large} / of {small}", 1.3, "x")
    memory = Row("index", f"peak memory of it, all processes, {large} messages", 600, "MB")
    if failed:
        speed.figure = flat.figure = memory.figure = "; ".join(failed.values())
        return [speed, flat, memory]
    each = {
        name: [one.wall / count for one in runs[name].runs]
        for name, count in (("small", sizes.durable), ("large", sizes.full))
    }
    costs = {name: statistics.median(walls) for name, walls in each.items()}
    speed.value = costs["small"] * 1e6
    speed.spread = (min(each["small"]) * 1e6, max(each["small"]) * 1e6)
    speed.figure = f"{1 / costs['small']:,.0f} messages/s; {runs['small'].spread()}"
    flat.value = costs["large"] / costs["small"]
    pairs = list(zip(each["large"], each["small"], strict=True))
    flat.spread = (min(a / b for a, b in pairs), max(a / b for a, b in pairs))
    flat.figure = f"{1 / costs['large']:,.0f} messages/s; {runs['large'].spread()}"
    peaks = [one.peak / MEGABYTE for one in runs["large"].runs]
    memory.value, memory.spread = max(peaks), (min(peaks), max(peaks))
    speed.series = {name: made.as_json() for name, made in runs.items()}
    return [speed, flat, memory]


def main() -> int:
    from portarchive.archive.contents import open_contents
    from portarchive.index.build import build as make

    archive, place = map(Path, sys.argv[1:])
    with open_contents(archive) as contents:
        report = make(contents, place)
    print(json.dumps(dataclasses.asdict(report), default=str))
    return 0


if __name__ == "__main__":
    sys.exit(main())
