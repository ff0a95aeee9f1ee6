"""Measure portarchive beside mbsync and the raw drain of the same mailboxes, in one run.

    python bench/run.py [--quick] [--rounds N] [--rows NAME,NAME]

Prints a table and writes bench/out/<date>.json. Exit status: 0 everything was measured (met or
missed), 1 something could not be.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import corpus
from measure import RunFailedError, run
from peers import MBSYNC, PORTARCHIVE
from rows import BLOCKS, NAMES
from server import ServerUnavailableError, serving
from table import QUICK, Bench, Row, Sizes

OUT = Path(__file__).resolve().parent / "out"
TMPFS = Path("/dev/shm")
_TMPFS_OCTETS = 5_000_000_000  # the mail of 140,000 messages and two copies of 100,000


def main() -> int:
    options = _options()
    if not options.quick and (not TMPFS.is_dir() or shutil.disk_usage(TMPFS).free < _TMPFS_OCTETS):
        print(f"bench: {TMPFS} must have 5 GB free (--quick needs 0.5 GB)", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that everything is cleaned up
    OUT.mkdir(exist_ok=True)
    started = time.monotonic()
    report: dict[str, Any] = {"started": datetime.now(UTC).isoformat(timespec="seconds")}
    rows: list[Row] = []
    try:
        corpus.messages()
        with (
            tempfile.TemporaryDirectory(prefix="portarchive-bench-", dir=TMPFS) as memory,
            tempfile.TemporaryDirectory(prefix="durable-", dir=OUT) as disk,
            serving(Path(memory)) as (endpoint, maildir),
        ):
            report["machine"] = _machine(disk)
            targets = Path(memory) / "targets"
            targets.mkdir()
            bench = Bench(
                endpoint,
                maildir,
                targets,
                Path(disk),
                QUICK if options.quick else Sizes(),
                options.rounds,
                _tell,
            )
            for names, block in BLOCKS:
                if wanted := [name for name in names if name in options.rows]:
                    _tell(f"{', '.join(wanted)}:")
                    rows += block(bench, wanted)
    except (corpus.CorpusUnavailableError, ServerUnavailableError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench: interrupted; servers and mail are gone", file=sys.stderr)
        return 130
    report |= {
        "rounds": options.rounds,
        "quick": options.quick,
        "seconds": round(time.monotonic() - started),
        "load_after": os.getloadavg(),
        "rows": [_as_json(row) for row in rows],
    }
    _print(rows, report)
    target = OUT / f"{datetime.now(UTC):%Y-%m-%dT%H%M%SZ}.json"
    target.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"\nwritten: {target}")
    return 1 if any(row.value is None for row in rows) else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="small mailboxes: proves the harness")
    parser.add_argument("--rounds", type=int, help="interleaved rounds (5; 2 with --quick)")
    parser.add_argument(
        "--rows", type=_names, default=NAMES, help=f"some of {','.join(NAMES)} (all)"
    )
    options = parser.parse_args()
    if options.rounds is None:
        options.rounds = 2 if options.quick else 5
    if options.rounds < 1:
        parser.error("--rounds must be 1 or more")
    return options


def _names(text: str) -> Sequence[str]:
    names = [name.strip() for name in text.split(",")]
    if unknown := [name for name in names if name not in NAMES]:
        raise argparse.ArgumentTypeError(f"no row {unknown[0]!r}; there are {', '.join(NAMES)}")
    return names


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _machine(disk: str) -> dict[str, Any]:
    """What the figures depend on; a program that does not answer is named as absent."""

    def version(program: Path) -> str:
        try:
            return run([program, "--version"]).stdout.decode().splitlines()[0]
        except (RunFailedError, OSError, IndexError):
            return "absent"

    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "portarchive": version(PORTARCHIVE),
        "mbsync": version(MBSYNC),
        "disk": _file_system(Path(disk)),
        "load_before": os.getloadavg(),
    }


def _file_system(path: Path) -> str:
    device = path.stat().st_dev
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        fields = line.split()
        if fields[2] == f"{os.major(device)}:{os.minor(device)}":
            return fields[fields.index("-") + 1]
    return "unknown"


def _as_json(row: Row) -> dict[str, Any]:
    return {
        "name": row.name,
        "title": row.title,
        "value": row.value,
        "spread": row.spread,
        "unit": row.unit,
        "bar": row.bar,
        "verdict": row.verdict,
        "figure": row.figure,
        "series": row.series,
    }


def _number(value: float, unit: str) -> str:
    return f"{value:.2f} {unit}" if unit == "x" else f"{value:.0f} {unit}"


def _print(rows: Sequence[Row], report: dict[str, Any]) -> None:
    lines = [("figure", "value", "spread", "bar", "verdict")]
    for row in rows:
        value = "-" if row.value is None else _number(row.value, row.unit)
        spread = "-" if row.spread is None else "{:.2f}-{:.2f}".format(*row.spread)
        verdict = "quick" if report["quick"] and row.value is not None else row.verdict
        lines.append((row.title, value, spread, f"<= {_number(row.bar, row.unit)}", verdict))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    machine = report["machine"]
    print(
        f"{machine['cores']} x {machine['cpu']}, Linux {machine['kernel']}, "
        f"Python {machine['python']}, {machine['portarchive']}, {machine['mbsync']}, "
        f"disk {machine['disk']}, {report['rounds']} rounds, {report['seconds']} s\n"
    )
    for number, line in enumerate(lines):
        words = "  ".join(word.ljust(width) for word, width in zip(line, widths, strict=True))
        print(words.rstrip())
        if number and rows[number - 1].figure:
            print(f"    {rows[number - 1].figure}")
    if report["quick"]:
        print("\n--quick proves the harness; its figures are mostly start-up and meet no bar.")


if __name__ == "__main__":
    sys.exit(main())
