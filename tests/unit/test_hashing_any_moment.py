"""An interrupt while the hashing begins or is waited for: nothing that it began outlives it.

Ctrl-C comes where it comes. In a process of its own each time; what is left behind is what that
process still has to wait for.
"""

from __future__ import annotations

import linecache
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from portarchive.archive.tree import Limits, open_tree
from portarchive.archive.tree_listing import Listing
from portarchive.progress import silent
from portarchive.validate import hashing
from portarchive.validate.hashing import Hashing
from portarchive.validate.meter import Meter
from validating import chained, write

PATIENCE = 120
WATCHED = {hashing.__file__, threading.__file__}
BLOCKS = ("lock.acquire(block", "handle.join(")
"""In what lines of threading.py a join waits."""
WHOLE, INTERRUPTED, LEFT_BEHIND, UNLIKE = 0, 2, 3, 4
WAITS = "import sys; sys.stdin.buffer.read()"
NO_STACK = 1 << 47
"""Octets that no process can have for a thread."""


class Moments:
    """Where the main thread may be interrupted: at each line, and as each function is left.

    No thread goes beyond the birth of its process before the interrupt, unless it is joined; one
    that ``start`` had no time to note stays there, so that nobody but ``stop`` knows the process.
    """

    def __init__(self, one: Hashing, at: int) -> None:
        self._one = one
        self._left = at
        self._last: dict[FrameType, int] = {}
        self.keeps_lock = False
        self.settled = threading.Event()

    def of_main(self, frame: FrameType, event: str, _: Any) -> Any:
        if frame.f_code.co_filename not in WATCHED:
            return None
        if event == "return" or (event == "line" and not self._leaves_a_block(frame)):
            self._left -= 1
            if not self._left:
                self._note_lock(frame)
                raise KeyboardInterrupt
            if any(words in _line(frame) for words in BLOCKS):
                self.settled.set()
        return self.of_main

    def _leaves_a_block(self, frame: FrameType) -> bool:
        """Back at a ``with``: no signal is handled between the end of its block and that."""
        before = self._last.get(frame, 0)
        self._last[frame] = frame.f_lineno
        return before > frame.f_lineno and _line(frame).startswith("with ")

    def _note_lock(self, frame: FrameType) -> None:
        """Python's own Condition may stay locked for ever; a thread that begins waits for it."""
        condition = frame.f_locals.get("self")
        if isinstance(condition, threading.Condition):
            self.keeps_lock = frame.f_code.co_name in {"__enter__", "__exit__"} and (
                condition._lock.locked()  # type: ignore[attr-defined]  # what is at stake
            )

    def of_thread(self, frame: FrameType, event: str, _: Any) -> Any:
        if frame.f_code.co_filename != hashing.__file__:
            return None
        if event == "line" and frame.f_code.co_name == "_feed" and "process" in frame.f_locals:
            self.settled.wait()
            if threading.current_thread() not in self._one._threads:
                threading.Event().wait()
        return self.of_thread

    def wait_for_births(self) -> None:
        """Until every thread that the system has, and that can begin, has its process."""
        until = time.monotonic() + PATIENCE
        while len(self._one._processes) < len(list(Path("/proc/self/task").iterdir())) - 1:
            if self.keeps_lock or time.monotonic() > until:
                break
            time.sleep(0.001)


def _line(frame: FrameType) -> str:
    return linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip()


def traced(moments: Moments, step: Callable[[], None]) -> int:
    sys.settrace(moments.of_main)
    try:
        step()
    except KeyboardInterrupt:
        return INTERRUPTED
    finally:
        sys.settrace(None)
    return WHOLE


def in_a_child(work: Callable[[], int]) -> int:
    """What ``work`` returns in a process of its own, -14 if it does not end."""
    pid = os.fork()
    if pid == 0:
        code = UNLIKE
        try:
            signal.alarm(PATIENCE)
            sys.setswitchinterval(PATIENCE)  # a thread goes on until it waits
            code = work()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def after_stop(one: Hashing, code: int) -> int:
    one.stop()
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return code
    return LEFT_BEHIND


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Hashing]:
    """Makes the hashing of an archive that is worth two processes."""
    monkeypatch.setattr(hashing, "_FEW_FILES", 0)
    monkeypatch.setattr(hashing, "_CHUNK_FILES", 2)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    path = write(chained(), tmp_path / "a")

    def make() -> Hashing:
        tree = open_tree(path, Limits())
        return Hashing(tree, Listing.of(tree, Limits()), Meter(silent))

    return make


def test_while_it_begins(fresh: Callable[[], Hashing], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashing, "_PROGRAM", WAITS)

    def work(at: int) -> int:
        one = fresh()
        moments = Moments(one, at)
        threading.settrace(moments.of_thread)
        code = traced(moments, one.start)
        moments.wait_for_births()
        moments.settled.set()
        return after_stop(one, code)

    for at in count(1):
        code = in_a_child(lambda at=at: work(at))  # type: ignore[misc]  # of this round
        if code == WHOLE:
            break
        assert code == INTERRUPTED, at
    assert at > 200


def test_while_it_is_waited_for(fresh: Callable[[], Hashing]) -> None:
    def work(at: int) -> int:
        one = fresh()
        moments = Moments(one, at)
        threading.settrace(moments.of_thread)
        one.start()
        moments.wait_for_births()
        code = traced(moments, one.finish)
        moments.settled.set()
        return after_stop(one, code)

    for at in count(1):
        code = in_a_child(lambda at=at: work(at))  # type: ignore[misc]  # of this round
        if code == WHOLE:
            break
        assert code == INTERRUPTED, at
    assert at > 20


def test_it_ends_what_was_begun_by_one_who_ignores_sigterm(
    fresh: Callable[[], Hashing], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashing, "_PROGRAM", WAITS)

    def work() -> int:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        one = fresh()
        one.start()
        while not one._processes:
            time.sleep(0.001)
        return after_stop(one, WHOLE)

    assert in_a_child(work) == WHOLE


def test_where_no_thread_is_to_be_had(fresh: Callable[[], Hashing]) -> None:
    def work() -> int:
        threading.stack_size(NO_STACK)
        one = fresh()
        one.start()
        one.finish()
        all_hashed = all(file.sha256 for _, file in one._listing.files())
        return after_stop(one, WHOLE if all_hashed else UNLIKE)

    assert in_a_child(work) == WHOLE
