"""The tables as SQL sees them: DuckDB over the files of one index, and nothing else.

Owns the walls: one statement that only reads, no file but the tables, no network, no extension, no
setting that could change that. Knows no command and no output.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from portarchive.errors import NotAnArchive, SettingsError
from portarchive.index.columns import TABLES
from portarchive.index.place import state_of

if TYPE_CHECKING:
    import duckdb

_CONFIG: Final[dict[str, str | bool | int | float | list[str]]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "temp_directory": "",
}


class Tables:
    """An index that is open for queries. A context manager; one thread at a time.

    Attributes:
        state: what index.json says.

    Raises:
        NotAnArchive: there is no index that this version can read.
    """

    def __init__(self, place: Path) -> None:
        import duckdb  # noqa: PLC0415 - 150 ms that only a query needs

        self._duckdb = duckdb
        for _ in range(3):
            state = state_of(place)
            if state is None:
                break
            self._connection = self._open(place)
            if state_of(place) == state:  # nobody published between the two looks
                self.state: dict[str, Any] = state
                return
            self._connection.close()
        raise NotAnArchive(
            f"there is no index at {place}", hint="make one with: portarchive index ARCHIVE"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give back what it holds."""
        self._connection.close()

    def select(
        self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] | None = None
    ) -> duckdb.DuckDBPyConnection:
        """Run one SELECT; rows are fetched from what comes back.

        Instants are UTC; ``fetchall`` of them would want pytz: fetch Arrow, or cast them.

        Raises:
            SettingsError: it is no statement, more than one, or one that does more than read; or
                DuckDB says why it cannot be done.
        """
        duckdb = self._duckdb
        try:
            statements = self._connection.extract_statements(sql)
        except duckdb.Error as error:
            raise _refused(str(error)) from None
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            raise SettingsError("a query is one SELECT statement, and nothing else")
        try:
            return self._connection.execute(statements[0], parameters)
        except duckdb.Error as error:
            raise _refused(str(error)) from None

    def _open(self, place: Path) -> duckdb.DuckDBPyConnection:
        connection = self._duckdb.connect(":memory:", config=_CONFIG)
        connection.execute("SET TimeZone='UTC'")
        files = [str(place.resolve() / f"{name}.parquet") for name in TABLES]
        paths = ", ".join(_quoted(file) for file in files)
        connection.execute(f"SET allowed_paths=[{paths}]")
        connection.execute("SET enable_external_access=false")
        for name, file in zip(TABLES, files, strict=True):
            connection.execute(f"CREATE VIEW {name} AS FROM read_parquet({_quoted(file)})")
        connection.execute("SET lock_configuration=true")
        return connection


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _refused(text: str) -> SettingsError:
    return SettingsError(
        text.partition("\n")[0][:400], hint="docs/index.md lists the tables and their columns"
    )
