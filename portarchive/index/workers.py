"""The processes that read messages: started when there is enough to do, answered in order.

This process reads too, whenever the others have enough to do, so that no processor waits for
another. One thread a process feeds it; what one process cannot stand is given to others in halves,
until the one message is alone that no process survives: it is ``parser-failed`` like any other.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import BinaryIO, Final, NamedTuple, Self, cast

from portarchive.index import content, worker
from portarchive.index.worker import Answer, Asked, read_frame, write_frame

MOST: Final = 8
"""Processes, unless told otherwise."""
_AHEAD: Final = 2
_HELD: Final = 8
_PROGRAM: Final = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from portarchive.index.worker import serve; serve()"
)


class Read(NamedTuple):
    """An answer, and how many messages it is about."""

    messages: int
    answer: Answer


class Workers:
    """A context manager. Answers come in the order in which was asked.

    Args:
        jobs: processes that read, this one included; None: one a processor, at most ``MOST``.
    """

    def __init__(self, jobs: int | None) -> None:
        jobs = min(os.cpu_count() or 1, MOST) if jobs is None else jobs
        self._others = max(jobs - 1, 0)
        self._closing = False
        self._idle: queue.LifoQueue[subprocess.Popen[bytes]] = queue.LifoQueue()
        self._all: list[subprocess.Popen[bytes]] = []
        self._pool: ThreadPoolExecutor | None = None
        self._pending: deque[Future[list[Answer]]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closing = True
        if error is not None:
            for process in self._all:
                process.kill()
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
        for process in self._all:
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()
            process.wait()

    def start(self) -> None:
        """Start the processes."""
        if self._pool is not None or not self._others:
            return
        self._pool = ThreadPoolExecutor(self._others, "index")
        for _ in range(self._others):
            self._idle.put(self._process())

    def ask(self, messages: list[Asked]) -> Iterator[Read]:
        """Have messages read; yields what was answered meanwhile."""
        busy = sum(not future.done() for future in self._pending)
        if self._pool is not None and busy < self._others * _AHEAD:
            self._pending.append(self._pool.submit(self._answers, messages))
        else:
            done: Future[list[Answer]] = Future()
            self._pending.append(done)
            done.set_result([worker.answer(messages)])
        while self._pending and (
            self._pending[0].done() or len(self._pending) > self._others * _HELD
        ):
            yield from self._next()

    def rest(self) -> Iterator[Read]:
        """What is still to be answered."""
        while self._pending:
            yield from self._next()

    def _next(self) -> Iterator[Read]:
        for answer in self._pending.popleft().result():
            yield Read(len(answer[1]), answer)

    def _process(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _PROGRAM, json.dumps(sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._all.append(process)
        return process

    def _answers(self, messages: list[Asked]) -> list[Answer]:
        """In a thread of its own: keeps one process busy."""
        process = self._idle.get()
        try:
            found = _answered(process, messages)
            if found is None and self._closing:
                return []
            if found is None:
                process.kill()
                process.wait()
                process = self._process()
        finally:
            self._idle.put(process)
        if found is not None:
            return [found]
        if len(messages) == 1:
            size, digest, _ = messages[0]
            return [worker.made([content.blank(size, digest, "parser-failed")])]
        half = len(messages) // 2
        return [*self._answers(messages[:half]), *self._answers(messages[half:])]


def _answered(process: subprocess.Popen[bytes], messages: list[Asked]) -> Answer | None:
    try:
        write_frame(cast("BinaryIO", process.stdin), messages)
        answer: Answer | None = read_frame(cast("BinaryIO", process.stdout))
    except (OSError, ValueError):
        return None
    return answer
