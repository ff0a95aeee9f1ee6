"""An index of a stranger, or of a disk that went wrong: told as damaged, and never a traceback."""

from __future__ import annotations

import json
import random
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from exporting import account, export
from indexing import indexed
from portarchive.archive.contents import open_contents
from portarchive.errors import Damaged, PortArchiveError
from portarchive.index import arrow, query_tables, vetting, vetting_worker
from portarchive.index.build import build
from portarchive.index.columns import NEVER_NULL, SIGNED, TABLES
from portarchive.index.named import NAMED
from portarchive.index.place import state_of
from portarchive.index.previous import open_previous
from portarchive.index.query import Session
from portarchive.index.report import facts
from portarchive.index.search import Search, item_of
from portarchive.index.search_syntax import parse
from portarchive.index.vetting import LEAST_ITEM, SPARE_ROWS, Vetting

OTHER = {
    "string": pa.int64(), "bool": pa.string(), "int16": pa.int64(), "int32": pa.string(),
    "int64": pa.string(), "time": pa.int64(), "strings": pa.string(),
}  # fmt: skip
FAR = 2**60
"""Milliseconds: no instant of DuckDB."""
BEHIND = 4 * 10**14
"""Milliseconds: the year 14645."""


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("hostile") / "mail"
    indexed(path)
    return path


@pytest.fixture
def place(archive: Path, tmp_path: Path) -> Path:
    shutil.copytree(archive / "index", tmp_path / "index")
    return tmp_path / "index"


def restated(place: Path, change: Callable[[dict[str, Any]], None] = lambda _: None) -> None:
    """index.json with the sizes of the files as they are."""
    file = place / "index.json"
    state = json.loads(file.read_bytes())
    for name, told in state["tables"].items():
        told["octets"] = (place / f"{name}.parquet").stat().st_size
    change(state)
    file.write_text(json.dumps(state))


def replaced(place: Path, table: str, columns: dict[str, Any]) -> None:
    """Give a table other columns: names to arrays, or to one value for all rows."""
    file = place / f"{table}.parquet"
    told = pq.read_table(file)
    for name, value in columns.items():
        number = told.schema.get_field_index(name)
        kind = told.schema.field(number).type
        array = value if isinstance(value, pa.Array) else pa.array([value] * told.num_rows, kind)
        told = told.set_column(number, name, array)
    pq.write_table(told, file)
    restated(place)


def rows_of(place: Path, table: str) -> int:
    count: int = pq.read_metadata(place / f"{table}.parquet").num_rows
    return count


def asked(place: Path, archive: Path) -> set[str]:
    """Everything that verbs ask of an index; the codes of what went wrong."""
    codes = set()

    def attempt(what: Callable[[Session], object]) -> None:
        try:
            with Session(place) as session:
                what(session)
        except PortArchiveError as error:
            assert "\n" not in str(error)
            codes.add(error.code)

    def search(*words: str, bodies: bool = False) -> Callable[[Session], object]:
        def run(session: Session) -> object:
            with open_contents(archive) as contents:
                found = list(Search(parse(words), bodies=bodies).run(session, contents))
            return [sum(one.size or 0 for one in found), [" ".join(one.flags) for one in found]]

        return run

    for job in (
        search("is:read", "OR", "is:unread"),
        search("harpsichord", "is:read", "larger:1"),
        search("quiet", bodies=True),
        facts,
        lambda session: [item_of(row) for row in session.all("select * from messages")],
        *(
            lambda session, name=name: session.all(NAMED[name].sql, NAMED[name].values({}))
            for name in ("by-month", "bounces", "duplicates", "biggest-senders")
        ),
    ):
        attempt(job)
    return codes


def test_a_column_of_another_type_is_told(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    query_tables.open_tables(duckdb.connect())
    for table, listed in TABLES.items():
        good = (place / f"{table}.parquet").read_bytes()
        for column in listed:
            kind = OTHER.get(column.kind, pa.list_(pa.string()))
            wrong = pa.nulls(rows_of(place, table), kind)
            replaced(place, table, {column.name: wrong})
            with pytest.raises(ValueError, match=f"{table} has other columns"):
                query_tables.open_tables(duckdb.connect())
            (place / f"{table}.parquet").write_bytes(good)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("flags", pa.string()),
        ("size", pa.string()),
        ("received_at", pa.int64()),
        ("subject", pa.struct([("a", pa.int64())])),
        ("member", pa.int64()),
    ],
)
def test_whatever_is_asked_of_other_types_it_is_damaged(
    archive: Path, place: Path, name: str, wrong: pa.DataType
) -> None:
    replaced(place, "messages", {name: pa.nulls(rows_of(place, "messages"), wrong)})
    assert asked(place, archive) == {"index-damaged"}


@pytest.mark.parametrize("table", TABLES)
def test_what_is_never_null_is_damaged_where_it_is(place: Path, table: str) -> None:
    replaced(place, table, dict.fromkeys(NEVER_NULL[table]))
    with Session(place) as session:
        for name in sorted(NEVER_NULL[table]):
            if rows_of(place, table):
                with pytest.raises(Damaged) as raised:
                    session.all(f"select {name} from {table}")
                assert raised.value.code == "index-damaged"


@pytest.mark.parametrize("table", TABLES)
def test_numbers_and_instants_that_cannot_be_are_damaged(place: Path, table: str) -> None:
    wrong = {}
    for column, field in zip(TABLES[table], arrow.SCHEMAS[table], strict=True):
        if pa.types.is_integer(field.type) and column.name not in SIGNED:
            wrong[column.name] = [-1, 2**62] if column.kind == "int64" else [-1]
        elif column.kind == "time":
            wrong[column.name] = [FAR, -FAR, BEHIND, -BEHIND]
        elif column.kind == "strings":
            wrong[column.name] = [["a", None]]
    good = (place / f"{table}.parquet").read_bytes()
    for number in range(4):
        now = {name: values[number] for name, values in wrong.items() if number < len(values)}
        replaced(place, table, now)
        with Session(place) as session:
            for name in now if rows_of(place, table) else ():
                with pytest.raises(Damaged) as raised:
                    session.all(f"select {name} from {table}")
                assert raised.value.code == "index-damaged"
        (place / f"{table}.parquet").write_bytes(good)


@pytest.mark.parametrize(
    "columns",
    [
        {"flags": None},
        {"member": None},
        {"folder": None, "kept": None},
        {"size": -5},
        {"size": 2**53},
        {"received_at": FAR},
        {"received_at": BEHIND},
        {"flags": [None]},
        {"to_addresses": [{"name": None, "address": None}]},
        {"member": "mail/../../../etc/passwd", "size": 1},
        {"member": "mail/a\0b", "size": 1},
        {"attachment_count": None, "date": None, "subject": None},
    ],
)
def test_whatever_is_asked_of_odd_values_it_is_one_line(
    archive: Path, place: Path, columns: dict[str, Any]
) -> None:
    replaced(place, "messages", columns)
    assert asked(place, archive) <= {"index-damaged", "unsafe-path"}


def test_octets_that_a_disk_has_changed_are_damage(archive: Path, place: Path) -> None:
    chance = random.Random(3)
    good = (place / "messages.parquet").read_bytes()
    for flips in (1, 2, 4, 8, 40) * 5:
        octets = bytearray(good)
        for _ in range(flips):
            octets[chance.randrange(len(octets))] ^= chance.randrange(1, 256)
        (place / "messages.parquet").write_bytes(octets)
        with Session(place) as session:
            for sql in ("from messages", "select count(*), max(lower(subject)) from messages"):
                try:
                    session.all(sql)
                except PortArchiveError as error:
                    assert error.code in {"index-damaged", "query-memory"}, error


def test_a_wrong_statement_is_none_of_the_index(place: Path) -> None:
    with Session(place) as session:
        for sql in ("select cast(subject as integer) from messages", "select error('Corrupted')"):
            with pytest.raises(PortArchiveError) as raised:
                session.all(sql)
            assert raised.value.code == "query-failed"


@pytest.mark.parametrize(
    "change",
    [
        {"defects": ["x"]},
        {"defects": "abc"},
        {"defects": {"a": "x"}},
        {"defects": {"nul": -1}},
        {"defects": {"nul": True}},
        {"defects": {"\x1b[31mred": 1}},
        {"defects": None},
        {"tables": []},
    ],
)
def test_an_odd_index_json_is_as_good_as_none(
    archive: Path, place: Path, change: dict[str, Any]
) -> None:
    assert state_of(place) is not None
    restated(place, lambda state: state.update(change))
    assert state_of(place) is None
    with open_contents(archive) as contents:
        report = build(contents, place, jobs=1)
    assert (report.was_current, report.rebuilt) == (False, True)


@pytest.mark.parametrize("count", [-3, 2**60, 10**400, 1.5, True, None, "3"])
def test_a_number_of_rows_that_cannot_be_is_none(place: Path, count: object) -> None:
    restated(place, lambda state: state["tables"]["messages"].update(rows=count))
    assert state_of(place) is None


@pytest.mark.parametrize("columns", [{"size": 2**60}, {"folder": None}, {"date": FAR}])
def test_rows_that_cannot_be_are_not_taken_over(
    archive: Path, place: Path, columns: dict[str, Any]
) -> None:
    good = pq.read_table(place / "messages.parquet")
    replaced(place, "messages", columns)
    restated(place, lambda state: state["archive"].update(changed_meanwhile=True))
    with open_contents(archive) as contents:
        report = build(contents, place, jobs=1)
    assert report.rebuilt
    assert pq.read_table(place / "messages.parquet").equals(good)


def test_a_changed_page_is_not_taken_over(archive: Path, place: Path) -> None:
    file = place / "messages.parquet"
    good = pq.read_table(file)
    before = file.read_bytes()
    group = pq.read_metadata(file).row_group(0)
    leaves = {group.column(at).path_in_schema: group.column(at) for at in range(group.num_columns)}
    column = leaves["subject"]
    first = column.dictionary_page_offset or column.data_page_offset
    for at in range(first + 20, first + column.total_compressed_size):
        octets = bytearray(before)
        octets[at] ^= 1
        file.write_bytes(octets)
        try:
            told = pq.read_table(file).column("subject").to_pylist()
        except (OSError, ValueError):
            continue
        if told != good.column("subject").to_pylist():
            break  # what nothing but a checksum can tell
    else:
        pytest.fail("no octet of the column matters")
    file.write_bytes(octets)
    restated(place, lambda state: state["archive"].update(changed_meanwhile=True))
    with open_contents(archive) as contents:
        build(contents, place, jobs=1)
    assert pq.read_table(file).equals(good)


def test_a_few_octets_that_stand_for_much_are_not_taken_over(archive: Path, place: Path) -> None:
    """20 kB of Parquet may say the same long text in each of thousands of rows."""
    file = place / "messages.parquet"
    row = pq.read_table(file).replace_schema_metadata(None).slice(0, 1)
    rows = 8192
    texts = pa.DictionaryArray.from_arrays(
        pa.array([0] * rows, pa.int32()), pa.array(["x" * 50000])
    )
    at = row.schema.get_field_index("subject")
    table = row.take(pa.array([0] * rows)).set_column(at, "subject", texts)
    pq.write_table(
        table, file, compression="zstd", store_schema=False, dictionary_pagesize_limit=1 << 30,
        row_group_size=rows,
    )  # fmt: skip
    assert file.stat().st_size < 100_000
    assert pq.read_schema(file).equals(arrow.SCHEMAS["messages"])
    restated(place, lambda state: state["tables"]["messages"].update(rows=rows))
    restated(place, lambda state: state["archive"].update(changed_meanwhile=True))
    with open_contents(archive) as contents:
        report = build(contents, place, jobs=1)
    assert (report.rebuilt, report.rows["messages"]) == (True, 9)


def attached(place: Path, places: list[tuple[int, int]], group: int) -> None:
    """Give messages other attachments: row_id and ordinal of each."""
    file = place / "attachments.parquet"
    row = pq.read_table(file).replace_schema_metadata(None).slice(0, 1)
    table = row.take(pa.array([0] * len(places)))
    for at, numbers in enumerate(zip(*places, strict=True)):
        field = table.schema.field(at)
        table = table.set_column(at, field, pa.array(numbers, field.type))
    pq.write_table(table, file, row_group_size=group)
    rows = len(places)
    restated(place, lambda state: state["tables"]["attachments"].update(rows=rows))


@pytest.mark.parametrize("group", [1, 2, 100])
@pytest.mark.parametrize(
    ("places", "good"),
    [
        ([(0, 0), (0, 1), (2, 0)], True),
        ([(0, 3), (1, 0), (8, vetting_worker.ORDINALS - 1)], True),
        ([(0, 0), (0, 0)], False),
        ([(0, 0), (1, 0), (1, 0)], False),
        ([(0, 1), (0, 0)], False),
        ([(1, 0), (0, 1)], False),
        ([(0, 0), (0, 1), (0, 2), (0, 1)], False),
        ([(0, vetting_worker.ORDINALS)], False),
        ([(0, 0), (1, 2**31 - 1)], False),
    ],
)
def test_the_rows_of_a_smaller_table_rise(
    place: Path, places: list[tuple[int, int]], good: bool, group: int
) -> None:
    attached(place, places, group)
    with Vetting(place) as there:
        assert (there.keys() is not None) is good


def test_the_same_row_many_times_is_not_taken_over(archive: Path, place: Path) -> None:
    good = pq.read_table(place / "attachments.parquet")
    attached(place, [(1, 0)] * 200_000, 8192)
    restated(place, lambda state: state["archive"].update(changed_meanwhile=True))
    with open_contents(archive) as contents:
        assert build(contents, place, jobs=1).rebuilt
    assert pq.read_table(place / "attachments.parquet").equals(good)


@pytest.mark.parametrize("listed", [0, 10 * LEAST_ITEM])
def test_an_index_of_more_rows_than_the_archive_lists_is_not_looked_at(
    place: Path, monkeypatch: pytest.MonkeyPatch, listed: int
) -> None:
    started: list[Path] = []
    monkeypatch.setattr(vetting, "_started", started.append)
    most = listed // LEAST_ITEM + SPARE_ROWS
    for rows in (most + 1, most):
        restated(place, lambda state, rows=rows: state["tables"]["messages"].update(rows=rows))
        with Vetting(place, listed) as there:
            assert there.keys() is None
        assert len(started) == most + 1 - rows


def test_an_archive_tells_how_much_its_folders_list(archive: Path, tmp_path: Path) -> None:
    octets = sum(one.stat().st_size for one in (archive / "mail").rglob("folder.json"))
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as out:
        for one in sorted(archive.rglob("*")):
            if one.is_file() and not {".portarchive", "index"} & set(one.parts):
                out.write(one, one.relative_to(archive))
    for path in (archive, tmp_path / "a.zip"):
        with open_contents(path) as contents:
            assert contents.listed() == octets
            items = [
                one
                for folder in contents.folders()
                for kept in (False, True)
                for one in contents.items(folder, kept)
            ]
        assert len(items) * LEAST_ITEM < octets


def test_an_index_of_far_too_many_rows_is_built_anew(archive: Path, place: Path) -> None:
    """Every row is one of ours, and there are more than the archive can list."""
    file = place / "messages.parquet"
    good = pq.read_table(file)
    rows = SPARE_ROWS + 8192
    one = good.replace_schema_metadata(None).slice(0, 1)
    with pq.ParquetWriter(file, one.schema, compression="zstd", write_page_checksum=True) as out:
        for start in range(0, rows, 8192):
            count = min(8192, rows - start)
            table = one.take(pa.array([0] * count))
            out.write_table(
                table.set_column(0, table.schema.field(0), pa.array(range(start, start + count)))
            )
    restated(place, lambda state: state["tables"]["messages"].update(rows=rows))
    restated(place, lambda state: state["archive"].update(changed_meanwhile=True))
    with Vetting(place, rows * LEAST_ITEM) as there:
        assert there.keys() is not None, "nothing else is wrong with it"
    with open_contents(archive) as contents:
        assert build(contents, place, jobs=1).rebuilt
    assert pq.read_table(file).equals(good)


def test_an_index_that_another_build_puts_there_meanwhile_is_not_taken(place: Path) -> None:
    with Vetting(place) as there:
        restated(place, lambda state: state["archive"].update(changed_meanwhile=True))
        assert open_previous(place, there) is None


def test_what_was_opened_stays_what_it_is(place: Path) -> None:
    good = pq.read_table(place / "attachments.parquet").replace_schema_metadata(None)
    with Vetting(place) as there:
        previous = open_previous(place, there)
        assert previous is not None
        for name in TABLES:
            pq.write_table(arrow.SCHEMAS[name].empty_table(), place / "new")
            (place / "new").replace(place / f"{name}.parquet")
        assert previous.children("attachments").equals(good)
        assert sum(table.num_rows for table in previous.slices(0, 9)) == previous.rows == 9
        previous.close()


def test_a_size_that_no_file_has_is_not_told(tmp_path: Path) -> None:
    path = tmp_path / "a"
    export(account("ids", INBOX=2), path)
    told = json.loads((path / "archive.json").read_bytes())
    del told["archive"]["portarchive:manifest"]
    (path / "archive.json").write_text(json.dumps(told))
    folder = path / "mail/INBOX/folder.json"
    for octets in (2**60, 2**70):
        text = json.loads(folder.read_bytes())
        listed = next(value for value in text.values() if isinstance(value, list) and value)
        listed[0]["portarchive:size"] = octets
        listed[0]["filename"] = "missing.eml"
        folder.write_text(json.dumps(text))
        with open_contents(path) as contents:
            build(contents, tmp_path / "i", jobs=1, rebuild=True)
        with Session(tmp_path / "i") as session:
            assert session.all("select size from messages where size is null") == [[None]]
