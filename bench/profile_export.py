"""Where the time of an export goes: functions by cProfile, system calls by strace.

    python bench/profile_export.py [--messages N] [--top N] [--sort tottime|cumulative]

cProfile sees the main thread of the first process only; where py-spy is installed, it records all
threads and child processes as a flame graph into bench/out/ too. Both slow the export down: shares
are to be believed, seconds are not. strace counts a second export of its own.
"""

from __future__ import annotations

import argparse
import pstats
import shutil
import sys
import tempfile
from pathlib import Path

import corpus
from measure import RunFailedError, run
from peers import Portarchive, remove
from run import OUT, TMPFS
from server import ServerUnavailableError, serving

_CALLS_SHOWN = 15


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--messages", type=int, default=12_000)
    parser.add_argument("--top", type=int, default=25, help="functions to show")
    parser.add_argument("--sort", choices=("tottime", "cumulative"), default="tottime")
    options = parser.parse_args()
    try:
        with (
            tempfile.TemporaryDirectory(prefix="portarchive-bench-", dir=TMPFS) as scratch,
            serving(Path(scratch)) as (endpoint, maildir),
        ):
            mailbox = corpus.load(maildir("profile"), "profile", options.messages)
            ours = Portarchive(endpoint, mailbox, Path(scratch) / "archive")
            plain = ours.export()  # warms the server's indexes up, too
            plain = ours.export()
            print(f"{mailbox.messages:,} messages, {mailbox.octets:,} octets: {plain.wall:.2f} s\n")
            _functions(ours, Path(scratch), options)
            _system_calls(ours, Path(scratch))
            _flame_graph(ours)
    except (corpus.CorpusUnavailableError, ServerUnavailableError, RunFailedError) as error:
        print(f"profile_export: {error}", file=sys.stderr)
        return 1
    return 0


def _functions(ours: Portarchive, scratch: Path, options: argparse.Namespace) -> None:
    argv, env = ours.command()
    remove(ours.archive)
    profile = scratch / "profile"
    run([sys.executable, "-m", "cProfile", "-o", profile, *argv], env=env)
    stats = pstats.Stats(str(profile))
    stats.strip_dirs().sort_stats(options.sort).print_stats(options.top)


def _system_calls(ours: Portarchive, scratch: Path) -> None:
    strace = shutil.which("strace")
    if strace is None:
        print("strace is not installed: system calls were not counted.")
        return
    argv, env = ours.command()
    remove(ours.archive)
    counts = scratch / "calls"
    run(
        [strace, "-f", "-c", "-S", "calls", "-U", "name,calls,errors", "-o", counts, *argv], env=env
    )
    # strace prints a column of dashes above and below the calls.
    lines = [line.split() for line in counts.read_text(encoding="utf-8").splitlines()]
    calls = [(line[0], int(line[1])) for line in lines if len(line) > 1 and line[1].isdecimal()]
    total = [count for name, count in calls if name == "total"]
    print(f"{'system call':<20}{'calls':>10}{'a message':>12}")
    for name, count in [call for call in calls if call[0] != "total"][:_CALLS_SHOWN]:
        print(f"{name:<20}{count:>10}{count / ours.mailbox.messages:>12.2f}")
    for count in total:
        print(f"{'all':<20}{count:>10}{count / ours.mailbox.messages:>12.2f}\n")


def _flame_graph(ours: Portarchive) -> None:
    spy = shutil.which("py-spy")
    if spy is None:
        print("py-spy is not installed: no flame graph of all threads and processes.")
        return
    argv, env = ours.command()
    remove(ours.archive)
    OUT.mkdir(exist_ok=True)
    graph = OUT / "export.svg"
    run([spy, "record", "--subprocesses", "--output", graph, "--", *argv], env=env)
    print(f"flame graph: {graph}")


if __name__ == "__main__":
    sys.exit(main())
