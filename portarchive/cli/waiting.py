"""What a terminal shows while there is nothing to count: a sign of life and the time it took."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator

_PATIENCE = 0.7
"""Seconds. What takes less is done before anybody wonders."""


@contextlib.contextmanager
def waiting(what: str, *, quiet: bool = False) -> Iterator[None]:
    """Show ``what`` and a clock on stderr while the block runs, if that is a terminal.

    Args:
        what: words of ours.
        quiet: show nothing.
    """
    if quiet or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield
        return
    done = threading.Event()
    thread = threading.Thread(target=_show, args=(what, done), name="waiting", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _show(what: str, done: threading.Event) -> None:
    """A thread of its own. A terminal that breaks is no reason to stop the work."""
    if done.wait(_PATIENCE):
        return
    from rich.console import Console  # noqa: PLC0415  rich is slow to load
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    with contextlib.suppress(OSError, ValueError):
        display = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            TimeElapsedColumn(),
            console=Console(file=sys.stderr, markup=False, emoji=False, highlight=False),
            transient=True,
        )
        with display:
            display.add_task(what, total=None)
            done.wait()
