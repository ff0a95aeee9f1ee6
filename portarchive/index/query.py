"""Asking an index: SQL, and rows that come one after another.

Owns the process that runs it (``query_worker``) and turns what goes wrong into errors. Loads
neither DuckDB nor pyarrow here, and refuses to bring an index up to date: that is ``build``.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final, NamedTuple, NoReturn, Self

from portarchive.errors import Damaged, PortArchiveError, SettingsError
from portarchive.index.place import state_of
from portarchive.index.query_worker import FrameError, read, write

PATIENCE: Final = 300.0
"""Seconds that the questions of one command may take, unless it is told otherwise."""
_PROGRAM: Final = (
    "import json, sys; sys.dont_write_bytecode = True; sys.path[:] = json.loads(sys.argv[1]); "
    "from portarchive.index.query_worker import serve; serve(sys.argv[2])"
)
REBUILD: Final = "portarchive index ARCHIVE --rebuild makes it anew"
"""The next step where an index is damaged."""
_TABLES: Final = "docs/query.md and 'describe messages' tell what there is"


class Column(NamedTuple):
    """A column of a result: its name, and its type as DuckDB names it."""

    name: str
    kind: str


class Result:
    """The answer to one statement. To be read once, before the next one is asked.

    Attributes:
        columns: of the rows.
        count: rows that were read so far.
        more: there were more rows than the limit, when all are read.
    """

    def __init__(self, session: Session, columns: list[Column]) -> None:
        self._session = session
        self.columns = columns
        self.count = 0
        self.more = False

    def batches(self) -> Iterator[list[list[Any]]]:
        """Lists of rows; values as JSON has them (docs/query.md).

        Raises:
            PortArchiveError: it went wrong in the middle.
        """
        for kind, octets in self._frames():
            if kind == b"R":
                yield json.loads(octets)

    def rows(self) -> Iterator[list[Any]]:
        """The rows one by one. Raises as ``batches``."""
        for batch in self.batches():
            yield from batch

    def octets(self) -> Iterator[bytes]:
        """The pieces of a Parquet file, if that was asked for. Raises as ``batches``."""
        for kind, octets in self._frames():
            if kind == b"O":
                yield octets

    def _frames(self) -> Iterator[tuple[bytes, bytes]]:
        while True:
            kind, octets = self._session.frame()
            if kind == b"E":
                told = json.loads(octets)
                self.count, self.more = told["rows"], told["more"]
                return
            yield kind, octets


class Session:
    """An index that is open for questions. A context manager; one thread at a time.

    Args:
        place: the directory of the index.
        timeout: seconds that all questions together may take; what is done with the answers does
            not count. None for ``PATIENCE``.
    """

    def __init__(self, place: Path, *, timeout: float | None = None) -> None:
        self._place = place
        self._state = state_of(place)
        self._timeout = timeout
        self._left = PATIENCE if timeout is None else timeout
        self._late = False
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _PROGRAM, json.dumps(_modules()), str(place)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()  # it has nothing to lose, and may be in the middle of anything
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        self._process.wait()

    def ask(
        self,
        sql: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        form: str = "rows",
        limit: int | None = None,
    ) -> Result:
        """Run one statement that reads.

        Args:
            sql: of anybody.
            parameters: values for ``$name`` in it.
            form: ``rows``, or ``parquet`` for a file.
            limit: rows at most.

        Raises:
            SettingsError: it is refused (``query-refused``), DuckDB does not understand it or
                fails at it (``query-failed``), it needs more memory (``query-memory``) or time
                (``query-timeout``) than it may have.
            Damaged: the index is not one (``index-damaged``).
        """
        asked = {
            "sql": sql.encode("utf-8", "replace").decode(),
            "parameters": dict(parameters or {}),
            "form": form,
            "limit": limit,
        }
        with self._counted(), contextlib.suppress(BrokenPipeError):  # then it has said why
            write(_pipe(self._process.stdin), b"Q", asked)
        kind, octets = self.frame()
        if kind != b"H":
            raise _ended()
        return Result(self, [Column(*pair) for pair in json.loads(octets)])

    def all(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[list[Any]]:
        """All rows of a small answer. Raises as ``ask``."""
        return list(self.ask(sql, parameters).rows())

    def changed(self) -> bool:
        """Whether the index was made anew since it was opened: rows may be of either then."""
        return state_of(self._place) != self._state

    def frame(self) -> tuple[bytes, bytes]:
        """The next piece of an answer. Raises as ``ask``."""
        with self._counted():
            try:
                found = read(_pipe(self._process.stdout))
            except FrameError:
                found = None
        if self._late:
            given = self._timeout is not None
            raise SettingsError(
                f"the query took longer than {self._timeout or PATIENCE:g} seconds,"
                " and was stopped",
                hint="ask for less, or give it more time with --timeout"
                if given
                else "ask for less; portarchive query takes more time with --timeout",
                code="query-timeout",
            )
        if found is None:
            raise _ended()
        if found[0] == b"X":
            _fail(json.loads(found[1]))
        return found

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        """Time that the process takes: it is killed when there is none left."""
        timer = threading.Timer(max(self._left, 0), self._stop)
        timer.daemon = True
        begun = time.monotonic()
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            self._left -= time.monotonic() - begun

    def _stop(self) -> None:
        self._late = True
        self._process.kill()


def _modules() -> list[str]:
    """Where Python looks for modules, by whole paths.

    The process works in the directory of the index, which may be a stranger's: there "" would be
    that one.
    """
    return [os.path.abspath(one) for one in sys.path]  # noqa: PTH100 - "" is one of them


def _pipe(pipe: Any) -> BinaryIO:
    made: BinaryIO = pipe
    return made


def _ended() -> PortArchiveError:
    return Damaged(
        "the process that reads the index ended before it had answered",
        hint=REBUILD,
        code="index-damaged",
    )


def _fail(told: Mapping[str, str]) -> NoReturn:
    text = told["text"]
    match told["kind"]:
        case "refused":
            raise SettingsError(
                f"this SQL is refused: {text}",
                hint="a query may read the tables of the index, and nothing else",
                code="query-refused",
            )
        case "memory":
            raise SettingsError(
                "the query needs more memory than it may have (1 GB)",
                hint="ask for fewer columns or rows, or sort less",
                code="query-memory",
            )
        case "parquet":
            raise SettingsError(
                f"a Parquet file has no type for the column {told['text']!r}",
                hint="ask for it as a text: cast(… AS varchar)",
                code="query-failed",
            )
        case "index":
            raise Damaged(f"the index cannot be read: {text}", hint=REBUILD, code="index-damaged")
        case _:
            raise SettingsError(f"the query failed: {text}", hint=_TABLES, code="query-failed")
