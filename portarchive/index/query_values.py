"""Values of a result as JSON can have them (docs/query.md), from batches of Arrow.

Knows nothing of files and questions. What Arrow has no true value for is made a text by DuckDB
beforehand (``texts``): that is the only SQL here.
"""

from __future__ import annotations

import datetime as dt
import decimal
import re
from collections.abc import Callable
from typing import Any, Final

from portarchive.index.columns import LARGEST

_LOST: Final = re.compile(r"\b(?:TIME WITH TIME ZONE|UHUGEINT|BIGNUM|BIT|VARIANT|GEOMETRY)\b")
"""Types that Arrow has as something else: without the offset, as another number, as octets."""
_QUOTED: Final = re.compile(r"""("(?:[^"]|"")*"|'(?:[^']|'')*')""")
_WHOLE: Final = frozenset({"UHUGEINT", "BIGNUM"})
_DIGITS: Final = re.compile(r"-?\d{1,4000}")
_ENDLESS: Final = {2**63 - 1: "infinity", -(2**63 - 1): "-infinity"}
_ENDLESS_DAY: Final = {2**31 - 1: "infinity", -(2**31 - 1): "-infinity"}


def texts(relation: Any) -> Any:
    """A relation of DuckDB whose values Arrow has truly: those of some types as texts."""
    kinds = [str(kind) for kind in relation.types]
    wanted = [_told_as(kind) for kind in kinds]
    if wanted == kinds:
        return relation
    pieces = []
    for number, (name, kind, told) in enumerate(
        zip(relation.columns, kinds, wanted, strict=True), 1
    ):
        value = f"#{number}" if kind == told else f"CAST(#{number} AS {told})"
        spelled = str(name).replace('"', '""')
        pieces.append(f'{value} AS "{spelled}"')
    return relation.project(", ".join(pieces))


def _told_as(kind: str) -> str:
    """The type under which a value is fetched."""
    pieces = _QUOTED.split(kind)  # names of members of a struct and values of an enum stay
    pieces[::2] = [_LOST.sub("VARCHAR", piece) for piece in pieces[::2]]
    return "".join(pieces)


def rows(batch: Any, kinds: list[str]) -> list[list[Any]]:
    """The rows of a batch.

    Args:
        batch: of a relation that ``texts`` gave.
        kinds: the types as DuckDB had them before.
    """
    columns = [_values(column) for column in batch.columns]
    for number, kind in enumerate(kinds):
        if kind in _WHOLE:
            columns[number] = [_number_of(one) for one in columns[number]]
    return [list(row) for row in zip(*columns, strict=True)]


def _number_of(text: str | None) -> int | str | None:
    return text if text is None or _DIGITS.fullmatch(text) is None else _whole(int(text))


def _values(column: Any) -> list[Any]:
    import pyarrow as pa  # noqa: PLC0415 - loaded when the process was locked

    kind = column.type
    try:
        told: list[Any] = column.to_pylist()
    except (ValueError, OverflowError, pa.ArrowException):
        # instants before the year 1 and after 9999, which Python has no value for
        return _one_by_one(column)
    if pa.types.is_string(kind) or pa.types.is_boolean(kind) or pa.types.is_null(kind):
        return told
    return [one if one is None else plain(one) for one in told]


def _one_by_one(column: Any) -> list[Any]:
    """The values of a column, some of which Python has no value for."""
    import pyarrow as pa  # noqa: PLC0415 - loaded when the process was locked

    kind = column.type
    if pa.types.is_temporal(kind):
        return _far(column)
    if pa.types.is_struct(kind):
        members = [_values(column.field(number)) for number in range(kind.num_fields)]
        names = [field.name for field in kind]
        found = [dict(zip(names, row, strict=True)) for row in zip(*members, strict=True)]
        valid = column.is_valid().to_pylist()
        return [one if there else None for one, there in zip(found, valid, strict=True)]
    if pa.types.is_map(kind):
        pairs = [None if not one.is_valid else _values(one.values) for one in column]
        return [one if one is None else [list(pair.values()) for pair in one] for one in pairs]
    if pa.types.is_nested(kind) and hasattr(kind, "value_type"):
        return [None if not one.is_valid else _values(one.values) for one in column]
    return [None if one is None else str(one) for one in column.cast(pa.string()).to_pylist()]


def _far(column: Any) -> list[Any]:
    import pyarrow as pa  # noqa: PLC0415 - loaded when the process was locked

    kind = column.type
    spelled = [None if one is None else str(one) for one in column.cast(pa.string()).to_pylist()]
    if pa.types.is_timestamp(kind) or pa.types.is_date32(kind):
        width, endless = (
            (pa.int32(), _ENDLESS_DAY) if pa.types.is_date32(kind) else (pa.int64(), _ENDLESS)
        )
        numbers = column.view(width).to_pylist()
        return [
            one if one is None else endless.get(number, one.replace(" ", "T"))
            for number, one in zip(numbers, spelled, strict=True)
        ]
    return spelled


def plain(value: Any) -> Any:
    """A value as JSON can have it.

    Instants in RFC 3339 or without zone, intervals as ISO 8601 has durations, octets in hex.
    """
    found = _PLAIN.get(type(value))
    if found is not None:
        return found(value)
    if isinstance(value, dt.datetime):
        return _instant(value)
    if isinstance(value, tuple) and hasattr(value, "nanoseconds"):  # what pyarrow has for INTERVAL
        return _interval(value)
    return str(value)


def _instant(value: dt.datetime) -> str:
    text = value.isoformat()
    return text.removesuffix("+00:00") + "Z" if value.tzinfo is not None else text


def _interval(value: Any) -> str:
    seconds = format(decimal.Decimal(value.nanoseconds).scaleb(-9).normalize(), "f")
    return f"P{value.months}M{value.days}DT{seconds}S"


def _number(value: float) -> float | str:
    return value if value - value == 0 else str(value)  # neither infinite nor NaN


def _decimal(value: decimal.Decimal) -> int | float | str:
    """A number if a double holds it (RFC 8259 §6), else all its digits as a text."""
    if value == value.to_integral_value():
        return _whole(int(value))
    number = float(value)
    return number if decimal.Decimal(repr(number)) == value else format(value, "f")


def _whole(value: int) -> int | str:
    return value if abs(value) <= LARGEST else str(value)


def _same(value: Any) -> Any:
    return value


_PLAIN: Final[dict[type, Callable[[Any], Any]]] = {
    str: _same,
    bool: _same,
    type(None): _same,
    int: _whole,
    float: _number,
    decimal.Decimal: _decimal,
    dt.datetime: _instant,
    dt.date: lambda value: value.isoformat(),
    dt.time: lambda value: value.isoformat(),
    bytes: lambda value: value.hex(),
    list: lambda value: [plain(one) for one in value],
    tuple: lambda value: [plain(one) for one in value],
    dict: lambda value: {str(name): plain(one) for name, one in value.items()},
}
