"""The process that runs SQL over an index: it sees the index, and nothing else.

Its database is in memory, with a view for each table. Once these are there DuckDB is locked: no
file but the tables, no network, no extension, no setting, no temporary file, nothing written; the
process itself may write no file at all, and opens no socket. It ends with its input, and whoever
started it may kill it at any moment: there is nothing to lose.

Frames on both pipes are one letter, four octets of length, and JSON (``octets``: as they are).
A request is ``Q`` ``{sql, parameters, form, limit}``. It is answered by ``H`` (names and types of
the columns), then ``R`` (rows as arrays) or ``O`` (octets of a Parquet file), then ``E`` (rows,
whether there are more); or at any place by ``X`` (kind and text of an error).
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import resource
import select
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, Final

from portarchive.index import query_tables, query_values
from portarchive.index.columns import TABLES
from portarchive.index.query_guard import NoSuchTableError, RefusedSqlError, check

MEMORY: Final = "1GB"
"""What DuckDB may take; what needs more fails, and says so."""
PROCESS_MEMORY: Final = 2 << 30
"""Octets that all of the process may take: DuckDB does not count everything it takes."""
BATCH: Final = 2048
"""Rows of a frame."""
THREADS: Final = 4
_CONFIG: Final[dict[str, Any]] = {
    "threads": min(os.cpu_count() or 1, THREADS),
    "memory_limit": MEMORY,
    "temp_directory": "",
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    "allow_unsigned_extensions": False,
}
_LOCK: Final = (
    "SET enable_progress_bar=false",
    "SET enable_progress_bar_print=false",
    "SET python_enable_replacements=false",
    "SET TimeZone='UTC'",
    "SET allowed_paths=[{paths}]",
    "SET enable_external_access=false",
    "SET lock_configuration=true",
    "BEGIN TRANSACTION READ ONLY",
)
_FORBIDDEN: Final = ("socket.", "subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.fork")
_NOISE: Final = re.compile(r"\AInvalid Input Error: |\s*\n\s*\n?LINE \d+:.*", re.DOTALL)
_FRAMES: Final = b"QHROEX"


class FrameError(Exception):
    """What comes out of a pipe is no frame."""


class NotForParquetError(Exception):
    """A Parquet file has no type for a column; the text names it."""


def write(pipe: BinaryIO, kind: bytes, value: Any) -> None:
    """One frame."""
    octets = value if isinstance(value, bytes) else json.dumps(value).encode()
    pipe.write(kind + len(octets).to_bytes(4, "little") + octets)
    pipe.flush()


def read(pipe: BinaryIO) -> tuple[bytes, bytes] | None:
    """The next frame; None where the pipe ends, also in the middle of one. Raises FrameError."""
    head = pipe.read(5)
    if len(head) < 5:
        return None
    if head[0] not in _FRAMES:
        raise FrameError
    length = int.from_bytes(head[1:], "little")
    octets = pipe.read(length)
    return None if len(octets) < length else (head[:1], octets)


def serve(place: str) -> None:
    """Answer until the input ends.

    Args:
        place: the directory of the index.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started us decides, and kills
    threading.Thread(target=_end_with_input, daemon=True).start()
    out = _own_output()
    with contextlib.suppress(BrokenPipeError):
        try:
            connection = _opened(place)
        except Exception as error:  # noqa: BLE001 - of a stranger's file, by a library of others
            write(out, b"X", {"kind": "index", "text": _words(error)})
            return
        _lock_process()
        while (frame := read(sys.stdin.buffer)) is not None:
            _answer(connection, json.loads(frame[1]), out)


def _own_output() -> BinaryIO:
    """Where frames go: no library knows of it, whatever it prints."""
    out = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)
    return out


def _end_with_input() -> None:
    """End with whoever asked, also in the middle of a statement: it may take for ever."""
    watch = select.poll()
    watch.register(sys.stdin.fileno(), 0)  # a hang-up is told without being asked for
    watch.poll()
    os._exit(1)


def _opened(place: str) -> Any:
    import duckdb  # noqa: PLC0415 - this process is the only one that needs it

    os.chdir(place)  # so that no sign of a path can be taken for a pattern of names
    connection = duckdb.connect(":memory:", config=_CONFIG)
    query_tables.open_tables(connection)
    paths = ", ".join(f"'{name}.parquet'" for name in TABLES)
    for statement in _LOCK:
        connection.execute(statement.format(paths=paths))
    return connection


def _lock_process() -> None:
    import pyarrow as pa  # noqa: PLC0415 - its files are read before that is forbidden
    import pyarrow.parquet  # noqa: PLC0415 - as above

    # the others take whole gigabytes of addresses beforehand, which the limit would count
    pa.set_memory_pool(pa.system_memory_pool())
    with contextlib.suppress(ValueError, OSError):  # not every system knows this limit
        resource.setrlimit(resource.RLIMIT_DATA, (PROCESS_MEMORY, PROCESS_MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.addaudithook(_refuse)


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if event.startswith(_FORBIDDEN):
        raise PermissionError(event)
    mode = arguments[1] if event == "open" and len(arguments) > 1 else None
    if isinstance(mode, str) and not set(mode) <= set("rbt"):
        raise PermissionError(event)


def _answer(connection: Any, asked: Mapping[str, Any], out: BinaryIO) -> None:
    sql, parameters = asked["sql"], asked["parameters"]
    failed = None
    try:
        check(connection, sql)
        relation = connection.sql(sql, params=parameters or None)
        if relation is None:
            raise RefusedSqlError("it gives no rows")  # noqa: TRY301 - answered like the others
        heads = [
            [str(name), str(kind).strip('"')]
            for name, kind in zip(relation.columns, relation.types, strict=True)
        ]
        write(out, b"H", heads)
        kinds = [kind for _, kind in heads]
        count, more = _send(query_values.texts(relation), kinds, asked["form"], asked["limit"], out)
        write(out, b"E", {"rows": count, "more": more})
    except BrokenPipeError:
        raise
    except RefusedSqlError as error:
        write(out, b"X", {"kind": "refused", "text": str(error)})
    except NotForParquetError as error:
        write(out, b"X", {"kind": "parquet", "text": str(error)})
    except NoSuchTableError as error:
        write(out, b"X", {"kind": "failed", "text": str(error)})
    except Exception as error:  # noqa: BLE001 - whatever DuckDB makes of SQL of anybody
        failed = error
    # an error ends the transaction; reading goes on in a new one
    with contextlib.suppress(Exception):
        connection.execute("ROLLBACK")
    if failed is not None:
        write(out, b"X", _failure(connection, failed))
    connection.execute("BEGIN TRANSACTION READ ONLY")


def _failure(connection: Any, error: Exception) -> dict[str, str]:
    """What to answer for a statement that DuckDB does not understand, or fails at."""
    kind = _kind(error)
    if kind == "failed" and (found := query_tables.damage(connection, error)) is not None:
        kind, error = "index", found
    return {"kind": kind, "text": _words(error)}


def _reader(relation: Any) -> Any:
    newer = getattr(relation, "to_arrow_reader", None)
    return newer(BATCH) if newer is not None else relation.fetch_arrow_reader(BATCH)


def _send(
    relation: Any, kinds: list[str], form: str, limit: int | None, out: BinaryIO
) -> tuple[int, bool]:
    reader = _reader(relation)
    try:
        taken = _Taken(reader, limit)
        if form == "parquet":
            import pyarrow.parquet as pq  # noqa: PLC0415 - loaded when the process was locked

            _check_types(reader.schema)
            with pq.ParquetWriter(_Sink(out), reader.schema, compression="zstd") as writer:
                for batch in taken:
                    writer.write_batch(batch)
        else:
            for batch in taken:
                write(out, b"R", query_values.rows(batch, kinds))
    finally:
        reader.close()
    return taken.rows, taken.more


def _check_types(schema: Any) -> None:
    """Raises NotForParquetError."""
    import pyarrow as pa  # noqa: PLC0415 - loaded when the process was locked
    import pyarrow.parquet as pq  # noqa: PLC0415 - as above

    for field in schema:
        try:
            pq.ParquetWriter(io.BytesIO(), pa.schema([field])).close()
        except pa.ArrowNotImplementedError:
            raise NotForParquetError(" ".join(field.name.split())[:100]) from None


class _Taken:
    """The batches of a reader up to a number of rows."""

    def __init__(self, reader: Any, limit: int | None) -> None:
        self._reader = reader
        self._limit = limit
        self.rows = 0
        self.more = False

    def __iter__(self) -> Iterator[Any]:
        for batch in self._reader:
            left = batch.num_rows if self._limit is None else self._limit - self.rows
            piece = batch.slice(0, left)
            self.rows += piece.num_rows
            if piece.num_rows:
                yield piece
            if piece.num_rows < batch.num_rows:
                self.more = True
                return


class _Sink(io.RawIOBase):
    """Where a Parquet file is written piece by piece: a writer of it never goes back."""

    def __init__(self, out: BinaryIO) -> None:
        super().__init__()
        self._out = out
        self._at = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def write(self, octets: Any) -> int:
        piece = bytes(octets)
        write(self._out, b"O", piece)
        self._at += len(piece)
        return len(piece)


def _kind(error: Exception) -> str:
    name = type(error).__name__
    if name in {"OutOfMemoryException", "MemoryError", "ArrowMemoryError"}:
        return "memory"
    if _words(error).startswith("Out of Memory Error"):  # of DuckDB, by way of Arrow
        return "memory"
    if name == "PermissionException":
        return "refused"
    if name in {"IOException", "FatalException", "InternalException", "SerializationException"}:
        return "index"
    return "failed"


def _words(error: Exception) -> str:
    """The first line of what a library says."""
    text = _NOISE.sub("", str(error))
    return " ".join(text.split())[:400] or type(error).__name__
