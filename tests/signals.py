"""Processes that take signals as one does that a person started."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def usual_signals() -> Iterator[None]:
    """What is started meanwhile ends by Ctrl-C and by a hang-up.

    ``nohup`` and a shell's ``&`` have us ignore them, and what is ignored stays so across exec;
    what is caught is back at its default (POSIX, exec).
    """
    wanted = (signal.SIGINT, signal.SIGHUP)
    ignored = [number for number in wanted if signal.getsignal(number) is signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, lambda *_: None)
    try:
        yield
    finally:
        for number in ignored:
            signal.signal(number, signal.SIG_IGN)
