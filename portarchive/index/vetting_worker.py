"""The process that looks at an index which is there already: all of it, in little memory.

An index that does not look exactly as it should is as good as none. What this process has seen
whole can be read by another one, for its groups of rows are no larger than those that
``assembly`` writes.
"""

from __future__ import annotations

import contextlib
import resource
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from portarchive.index import arrow, columns, delivery, structure
from portarchive.index.assembly import GROUP, GROUP_OCTETS
from portarchive.index.place import state_of
from portarchive.index.vetting import KEY, key

PROCESS_MEMORY: Final = 2 << 30
"""Octets that this process may take."""
CHILD_OCTETS: Final = 1 << 30
"""Octets of one of the smaller tables, which are held whole."""
ORDINALS: Final = max(structure.PARTS, delivery.RECIPIENTS)
"""Rows of one message in one of the smaller tables; a feedback report is a part."""
_GROUP_OCTETS: Final = 4 * GROUP_OCTETS
"""Octets of a group of rows: somewhat more than is written, for how they are counted."""
_NOT_TAKEN: Final = frozenset({"unreadable", "digest-mismatch", "size-mismatch", "parser-failed"})
_CHILDREN: Final = ("attachments", "delivery_status", "feedback_reports")
_KEYED: Final = ("folder", "uid", "size", "sha256", "defects")
_NONE: Final = bytes(KEY)


def serve(place: str) -> None:
    """Write the key of each row to stdout, or end with an error.

    Args:
        place: the directory of an index.
    """
    # the others take whole gigabytes of addresses beforehand, which the limit would count
    pa.set_memory_pool(pa.system_memory_pool())
    with contextlib.suppress(ValueError, OSError):  # not every system knows this limit
        resource.setrlimit(resource.RLIMIT_DATA, (PROCESS_MEMORY, PROCESS_MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        told = vetted(Path(place))
    except (OSError, ValueError, MemoryError, pa.ArrowException):
        sys.exit(1)
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.buffer.write(told)
        sys.stdout.buffer.flush()


def vetted(place: Path) -> bytes:
    """The key of each row, NUL for what is not taken over.

    Raises:
        ValueError, OSError, MemoryError, pa.ArrowException: it does not look as it should.
    """
    state = state_of(place)
    if state is None:
        raise ValueError("there is no index that this version can read")
    keys = bytearray()
    for group in _groups(place, "messages", state):
        if group.num_rows > GROUP or group.nbytes > _GROUP_OCTETS:
            raise ValueError("a group of rows is larger than this version writes it")
        told = (group.column(name).to_pylist() for name in _KEYED)
        for folder, uid, size, sha256, defects in zip(*told, strict=True):
            if not columns.DEFECTS.keys() >= set(defects):
                raise ValueError("a defect that this version does not know")
            found = key(folder, uid, size, sha256) if _NOT_TAKEN.isdisjoint(defects) else None
            keys += found or _NONE
    for name in _CHILDREN:
        octets, last = 0, -1
        for group in _groups(place, name, state):
            octets += group.nbytes
            if octets > CHILD_OCTETS:
                raise ValueError(f"{name} is larger than can be held")
            _expect_messages(len(keys) // KEY, name, group)
            last = _expect_order(last, name, group)
    return bytes(keys)


def _groups(place: Path, name: str, state: dict[str, Any]) -> Iterator[Any]:
    with pq.ParquetFile(place / f"{name}.parquet", page_checksum_verification=True) as file:
        if not file.schema_arrow.remove_metadata().equals(arrow.SCHEMAS[name]):
            raise ValueError(f"{name} is not what this version writes")
        if file.metadata.num_rows != state["tables"][name]["rows"]:
            raise ValueError(f"{name} has other rows than index.json says")
        for number in range(file.num_row_groups):
            if file.metadata.row_group(number).num_rows > 8 * GROUP:
                raise ValueError(f"a group of rows of {name} is larger than this version writes it")
            group = file.read_row_group(number, use_threads=False)
            _check(group, name)
            yield group


def _expect_messages(rows: int, name: str, table: Any) -> None:
    bounds = pc.min_max(table.column("row_id")).as_py()
    if table.num_rows and not 0 <= bounds["min"] <= bounds["max"] < rows:
        raise ValueError(f"{name} tells of messages that are not there")


def _expect_order(last: int, name: str, table: Any) -> int:
    """Rows rise, so that none is there twice. ``last`` is of the row before; gives the last one."""
    if not table.num_rows:
        return last
    _check_bounds("ordinal", table.column("ordinal"), 0, ORDINALS - 1)
    messages = pc.multiply_checked(table.column("row_id"), ORDINALS)
    places = pc.add_checked(messages, table.column("ordinal").cast(pa.int64())).combine_chunks()
    rises = pc.all(pc.less(places[:-1], places[1:]), min_count=0).as_py()
    if not rises or places[0].as_py() <= last:
        raise ValueError(f"{name} is not in order")
    found: int = places[-1].as_py()
    return found


def _check(table: Any, name: str) -> None:
    """Every text is UTF-8, every number can be one, and what is never null is not null."""
    table.validate(full=True)
    for field, column in zip(table.schema, table.columns, strict=True):
        if pa.types.is_list(field.type):
            _check_lists(field, column)
        elif field.name in columns.NEVER_NULL[name] and column.null_count:
            raise ValueError(f"{field.name} is null")
        elif pa.types.is_integer(field.type) and field.name not in columns.SIGNED:
            _check_bounds(field.name, column, 0, columns.LARGEST)
        elif pa.types.is_timestamp(field.type):
            instants = column.cast(pa.int64())
            _check_bounds(field.name, instants, columns.EARLIEST * 1000, columns.LATEST * 1000)


def _check_bounds(name: str, column: Any, least: int, most: int) -> None:
    found = pc.min_max(column).as_py()
    if found["min"] is not None and not least <= found["min"] <= found["max"] <= most:
        raise ValueError(f"{name} is what it cannot be")


def _check_lists(field: Any, column: Any) -> None:
    for chunk in column.chunks:
        values = chunk.flatten()
        members = values.flatten() if pa.types.is_struct(values.type) else [values]
        if chunk.null_count or values.null_count or any(one.null_count for one in members):
            raise ValueError(f"{field.name} is null")
