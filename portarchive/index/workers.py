"""The processes that read messages: started when there is enough to do, answered in order.

One thread a process feeds it; what one process cannot stand is given to others in halves, until
the one message is alone that no process survives: it is ``parser-failed`` like any other.
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

from portarchive.index import worker
from portarchive.index.worker import Answer, Asked, read_frame, write_frame

MOST: Final = 8
"""Processes, unless told otherwise."""
_AHEAD: Final = 3
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
        jobs: processes; 0 reads in this process.
    """

    def __init__(self, jobs: int | None) -> None:
        self._jobs = min(os.cpu_count() or 1, MOST) if jobs is None else jobs
        self._started = False
        self._idle: queue.LifoQueue[subprocess.Popen[bytes]] = queue.LifoQueue()
        self._all: list[subprocess.Popen[bytes]] = []
        self._pool: ThreadPoolExecutor | None = None
        self._pending: deque[tuple[int, Future[list[Answer]]]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for process in self._all:
            if error is not None:
                process.kill()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
        for process in self._all:
            process.wait()

    def start(self) -> None:
        """Start the processes: from here on they answer."""
        if self._started or not self._jobs:
            return
        self._started = True
        self._pool = ThreadPoolExecutor(self._jobs, "index")
        for _ in range(self._jobs):
            self._idle.put(self._process())

    def ask(self, messages: list[Asked]) -> Iterator[Read]:
        """Have messages read; yields what was answered meanwhile."""
        if self._pool is None:
            yield Read(len(messages), worker.answer(messages))
            return
        self._pending.append((len(messages), self._pool.submit(self._answers, messages)))
        while len(self._pending) > self._jobs * _AHEAD or self._pending[0][1].done():
            yield from self._next()
            if not self._pending:
                return

    def rest(self) -> Iterator[Read]:
        """What is still to be answered."""
        while self._pending:
            yield from self._next()

    def _next(self) -> Iterator[Read]:
        _, future = self._pending.popleft()
        for answer in future.result():
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
            return [_failed(size, digest)]
        half = len(messages) // 2
        return [*self._answers(messages[:half]), *self._answers(messages[half:])]


def _answered(process: subprocess.Popen[bytes], messages: list[Asked]) -> Answer | None:
    try:
        write_frame(cast("BinaryIO", process.stdin), messages)
        answer: Answer | None = read_frame(cast("BinaryIO", process.stdout))
    except (OSError, ValueError):
        return None
    return answer


def _failed(size: int | None, digest: str | None) -> Answer:
    answer = worker.answer([(size, digest, None)])
    return answer
