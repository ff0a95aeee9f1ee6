"""SQL of anybody over an index: what is answered, what is refused, and that nothing gets out."""

from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from indexing import indexed
from portarchive.errors import Damaged, SettingsError
from portarchive.index import query
from portarchive.index.columns import TABLES, names
from portarchive.index.named import NAMED
from portarchive.index.query import Session
from portarchive.index.search_sql import HAS, IS
from portarchive.index.search_syntax import FIELDS


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return indexed(tmp_path_factory.mktemp("query") / "mail [1]*'x")


@pytest.fixture(scope="module")
def session(place):
    with Session(place) as session:
        yield session


def code_of(session, sql, **parameters):
    with pytest.raises(SettingsError) as raised:
        session.all(sql, parameters)
    assert raised.value.hint
    assert "\n" not in str(raised.value)
    return raised.value.code


@pytest.mark.parametrize("table", TABLES)
def test_every_table_is_there_with_its_columns(session, table):
    found = [row[0] for row in session.all(f"describe {table}")]
    assert found == names(TABLES[table])


READING = [
    "select count(*) from messages",
    "from messages limit 1",
    "with a as (select 1 as x) select * from a",
    "with recursive t(a) as (select 1 union all select a + 1 from t where a < 3) select * from t",
    "describe messages",
    "summarize senders",
    "show tables",
    "values (1)",
    "table senders",
    "select * from range(3), generate_series(1, 2), unnest([1])",
    "select m.subject, n.uid from messages m join messages n using (thread)",
    "select list_transform([1, 2], lambda x: x + 1)",
    "select * from json_each('[1, 2]')",
    "from memory.main.SENDERS",
    "with A as (select 1 as x), b as (from a) select * from b, a",
    "from messages pivot (count(*) for from_domain in ('example.org') group by folder)",
    "from messages tablesample reservoir(5 rows)",
    "from messages using sample 100%",
    "show messages",
    "show all tables",
    'select 1 as "a\'b;c" -- ; copy',
    "select row_number() over (partition by folder order by size) from messages qualify true;",
]


@pytest.mark.parametrize("sql", READING)
def test_what_reads_is_answered(session, sql):
    assert session.all(sql)


REFUSED = [
    "",
    ";",
    "-- nothing",
    "select 1; select 2",
    "copy messages to '{out}'",
    "copy (select 1) to '{out}' (format csv)",
    "with a as (copy (select 1) to '{out}') select * from a",
    "with a as (insert into messages values (1)) select * from a",
    "with a as (delete from messages returning *) select * from a",
    "attach '{out}' as x",
    "install httpfs",
    "load httpfs",
    "pragma version",
    "pragma database_list",
    "call pragma_version()",
    "call enable_logging(storage='file', storage_path='{out}')",
    "select * from enable_logging(storage='file', storage_path='{out}')",
    "select * from enable_profiling(save_location='{out}')",
    "select * from read_csv('{secret}')",
    "select * from read_csv_auto('{secret}')",
    "select * from READ_TEXT('{secret}')",
    "select * from main.read_text('{secret}')",
    "select * from read_blob('{secret}')",
    "select * from read_json('{secret}')",
    "select * from read_parquet('{secret}')",
    "select * from read_parquet('messages.parquet')",
    "select * from parquet_metadata('messages.parquet')",
    "select * from sniff_csv('{secret}')",
    "select * from glob('*')",
    "select * from '{secret}'",
    'select * from "{secret}"',
    "describe '{secret}'",
    "summarize '{secret}'",
    "select (select content from read_text('{secret}'))",
    "select 1 where exists (from read_text('{secret}'))",
    "select * from messages, lateral (from read_text('{secret}'))",
    "select * from 'https://example.org/x.csv'",
    "select * from read_csv('https://example.org/x.csv')",
    "select * from 's3://bucket/x.parquet'",
    "select * from query('select 1')",
    "select * from query_table('senders')",
    "select * from arrow_scan(1::pointer, 2::pointer, 3::pointer)",
    "select * from pandas_scan(1::pointer)",
    "select * from json_execute_serialized_sql('{{}}')",
    "select * from duckdb_secrets()",
    "select * from duckdb_settings()",
    "select * from load_aws_credentials()",
    "select current_setting('allowed_paths')",
    "select getenv('HOME')",
    "select sleep_ms(100000)",
    "select write_log('x')",
    "from pg_settings",
    "from pg_catalog.pg_settings",
    "from PG_class",
    "from system.main.duckdb_logs",
    "from duckdb_logs",
    "from sqlite_master",
    "from information_schema.tables",
    "show pg_settings",
    "describe pg_settings",
    "summarize pg_settings",
    "select (select max(setting) from pg_settings)",
    "with pg_settings as (from pg_settings) from pg_settings",
    'from "messages.parquet", (with "messages.parquet" as (select 1) from "messages.parquet")',
    "select json_serialize_plan('select current_setting(''allowed_paths'')', optimize := true)",
    "select json_serialize_plan('select * from read_csv(''messages.parquet'')')",
    "select pg_sleep(0)",
    "from sqlite_master, (with sqlite_master as (select 1) from sqlite_master)",
    "pivot messages on folder using count(*)",
    "create table t (a int)",
    "create view messages as select 1",
    "create macro f(x) as x",
    "insert into messages values (1)",
    "update messages set uid = '1'",
    "delete from messages",
    "drop view messages",
    "truncate messages",
    "alter table messages rename to x",
    "set memory_limit = '100GB'",
    "set enable_external_access = true",
    "reset lock_configuration",
    "set variable x = 1",
    "begin",
    "commit",
    "rollback",
    "checkpoint",
    "vacuum",
    "export database '{out}'",
    "import database '{out}'",
    "use memory",
    "prepare p as select 1",
    "execute p",
    "explain analyze select 1",
    "detach memory",
    "comment on table messages is 'x'",
]


@pytest.mark.parametrize("sql", REFUSED)
def test_what_does_more_is_refused(session, sql, tmp_path, monkeypatch):
    monkeypatch.setenv("PLANTED", "a secret of the environment")
    secret, out = tmp_path / "secret.csv", tmp_path / "out"
    secret.write_text("a\nsecret\n")
    found = code_of(session, sql.format(secret=secret, out=out))
    assert found in {"query-refused", "query-failed"}
    assert [file.name for file in tmp_path.iterdir()] == ["secret.csv"]
    assert session.all("select count(*) from messages") == [[9]], "and the next one is answered"


def test_a_variable_of_the_program_is_no_table(session):
    messages_of_the_program = [1]
    assert code_of(session, "from messages_of_the_program") == "query-failed"
    assert messages_of_the_program


@pytest.mark.parametrize("sql", ["select", "selekt 1", "select nothing from messages", "from x"])
def test_what_is_no_sql_is_one_line(session, sql):
    assert code_of(session, sql) == "query-failed"


def test_deep_nesting_is_refused_or_answered(session):
    for left, right in (("(", ")"), ("[", "]"), ("(select ", ")"), ("not ", "")):
        try:
            assert len(session.all(f"select {left * 3000}1{right * 3000}")) == 1
        except SettingsError as error:
            assert error.code in {"query-refused", "query-failed"}
        assert session.all("select 1") == [[1]]


def test_a_statement_without_end_is_refused(session):
    assert code_of(session, "select 1 --" + "x" * (1 << 20)) == "query-refused"


def test_parameters(session):
    sql = "select subject from messages where from_address = $who"
    assert session.all(sql, {"who": "karin@example.net"}) == [["Rechnung für März"]]
    assert session.all(sql, {"who": "' or 1=1 --"}) == []
    assert code_of(session, sql) == "query-failed"


def test_values(session):
    row = session.all(
        "select timestamptz '2020-01-02 03:04:05+01', timestamp '2020-01-02 03:04:05',"
        " date '2020-01-02', time '10:00', interval 1 day, 'x'::blob, [1, null], {'a': [true]},"
        " 1.50::decimal(6, 3), sum(3), 9007199254740993, 'nan'::double, '-inf'::double, null,"
        " timestamptz 'infinity', '44-01-01 (BC)'::timestamp is null, 'é\x1b', map {'a': 1},"
        " 'c7c5a4f2-7a2c-4a1b-8d55-6f7e8f1d2a3b'::uuid from range(2)"
    )[0]
    assert row[:4] == ["2020-01-02T02:04:05Z", "2020-01-02T03:04:05", "2020-01-02", "10:00:00"]
    assert row[5:10] == ["78", [1, None], {"a": [True]}, 1.5, 6]
    assert row[10:14] == ["9007199254740993", "nan", "-inf", None]
    assert row[16:] == ["é\x1b", [["a", 1]], "c7c5a4f2-7a2c-4a1b-8d55-6f7e8f1d2a3b"]


def value(session, sql):
    return session.all(f"select {sql}")[0][0]


@pytest.mark.parametrize(
    ("sql", "wanted"),
    [
        ("9007199254740992::hugeint", 2**53),
        ("9007199254740993::hugeint", "9007199254740993"),
        ("-170141183460469231731687303715884105727::hugeint", f"-{2**127 - 1}"),
        ("(select sum(x) from (values (9007199254740992), (1)) t(x))", "9007199254740993"),
        ("(select sum(size) from messages) > 0", True),
        ("340282366920938463463374607431768211455::uhugeint", str(2**128 - 1)),
        ("7::uhugeint", 7),
        ("18446744073709551615::ubigint", str(2**64 - 1)),
        ("-123::bignum", -123),
        ("1234567890123456789012345678901::bignum", "1234567890123456789012345678901"),
        ("1.50::decimal(6, 3)", 1.5),
        ("0.1::decimal(38, 20)", 0.1),
        ("12345678901234567890.1234567890::decimal(38, 10)", "12345678901234567890.1234567890"),
        ("9007199254740993.00::decimal(20, 2)", "9007199254740993"),
        ("[9007199254740993::hugeint]", ["9007199254740993"]),
        ("'101'::bit", "101"),
    ],
)  # fmt: skip
def test_numbers(session, sql, wanted):
    found = value(session, sql)
    assert found == wanted
    assert type(found) is type(wanted)


@pytest.mark.parametrize(
    ("sql", "wanted"),
    [
        ("timetz '10:00:00+02'", "10:00:00+02"),
        ("[timetz '10:00:00.5-02:30']", ["10:00:00.5-02:30"]),
        ("{'BIT': timetz '10:00:00+02', 'b\"IT': 1}", {"BIT": "10:00:00+02", 'b"IT': 1}),
        ("timestamptz 'infinity'", "infinity"),
        ("timestamp '-infinity'", "-infinity"),
        ("date 'infinity'", "infinity"),
        ("date '20000-01-02'", "20000-01-02"),
        ("[date '20000-01-02', null, date '2000-01-02']", ["20000-01-02", None, "2000-01-02"]),
        ("{'a': timestamptz '-infinity', 'b': 1}", {"a": "-infinity", "b": 1}),
        ("map {date '20000-01-02': [1]}", [["20000-01-02", [1]]]),
        ("timestamp '20000-01-02 03:04:05'", "20000-01-02T03:04:05.000000"),
        ("timestamp_ns '2020-01-02 03:04:05.123456789'", "2020-01-02T03:04:05.123456789"),
    ],
)
def test_times(session, sql, wanted):
    assert value(session, sql) == wanted
    both = session.all(f"select {sql} as x, 1 as y union all select null, 2 order by y")
    assert both == [[wanted, 1], [None, 2]]


def test_intervals(session):
    sql = "select interval '14 months -3 days 3.5 seconds' as i, [interval 1 day] as l"
    assert session.all(sql) == [["P14M-3DT3.5S", ["P0M1DT0S"]]]
    assert session.all("select interval 100 second") == [["P0M0DT100S"]]


@pytest.mark.parametrize("value", ["interval 1 day", "[interval 1 day]", "{'a': interval 1 day}"])
def test_an_interval_in_a_parquet_file_is_one_clear_line(session, value):
    with pytest.raises(SettingsError) as raised:
        list(session.ask(f"select 1 as a, {value} as span", form="parquet").octets())
    assert "'span'" in str(raised.value)
    assert "varchar" in (raised.value.hint or "")
    asked = session.ask(f"select cast({value} as varchar) as span", form="parquet")
    assert b"".join(asked.octets())[:4] == b"PAR1"


def test_a_limit_says_that_there_is_more(session):
    result = session.ask("from range(10)", limit=10)
    assert (len(list(result.rows())), result.count, result.more) == (10, 10, False)
    result = session.ask("from range(10000)", limit=3000)
    assert (len(list(result.rows())), result.count, result.more) == (3000, 3000, True)


@pytest.mark.parametrize("name", NAMED)
def test_named_queries_run(session, name):
    query = NAMED[name]
    result = session.ask(query.sql, query.values({}))
    rows = list(result.rows())
    assert rows or name in {"feedback", "wrong-recipient", "threads-longest", "defects"}
    columns = [column.name for column in result.columns]
    assert len(set(columns)) == len(columns)
    assert ("folder" in columns) is ("file" in columns) or name == "by-folder"


def test_parameters_of_named_queries(session):
    query = NAMED["expired"]
    assert len(session.all(query.sql, query.values({}))) == 1
    assert not session.all(query.sql, query.values({"at": "2023-01-01"}))
    by_id = NAMED["duplicates"]
    assert session.all(by_id.sql, by_id.values({"by": "message-id"}))[0][0] == 2
    with pytest.raises(SettingsError):
        query.values({"when": "x"})


def test_a_query_that_takes_too_long_is_stopped(place):
    endless = "select count(*) from range(10000000) a, range(10000000) b where a.range <> b.range"
    begun = time.monotonic()
    with Session(place, timeout=1.5) as session:
        assert code_of(session, endless) == "query-timeout"
    assert time.monotonic() - begun < 60


def test_a_query_that_yields_rows_slowly_is_stopped_too(place):
    endless = "select a.range from range(10000000) a, range(1000000) b where a.range + b.range < 0"
    with Session(place, timeout=1.5) as session, pytest.raises(SettingsError) as raised:
        list(session.ask(endless).rows())
    assert raised.value.code == "query-timeout"


def test_a_query_may_take_its_time(place):
    """DuckDB draws a bar of progress after two seconds, and it must not land in the answer."""
    rows, took = 10_000_000, 0.0
    with Session(place, timeout=120) as session:
        while took < 4:
            begun = time.monotonic()
            found = session.all(f"select max(md5(range::varchar)) from range({rows})")
            took = time.monotonic() - begun
            rows *= 2
            assert len(found[0][0]) == 32


def test_what_is_done_with_rows_takes_no_time_of_the_query(place):
    with Session(place, timeout=2) as session:
        rows = session.ask("from range(100000)").rows()
        next(rows)
        time.sleep(2.5)
        assert sum(1 for _ in rows) == 99_999


def test_every_command_has_a_limit_of_time(place, monkeypatch):
    monkeypatch.setattr(query, "PATIENCE", 1.0)
    endless = "select count(*) from range(10000000) a, range(10000000) b where a.range <> b.range"
    with Session(place) as session, pytest.raises(SettingsError) as raised:
        session.all(endless)
    assert raised.value.code == "query-timeout"
    assert "portarchive query" in raised.value.hint


def test_no_module_is_taken_from_the_directory_of_the_index(place, tmp_path, monkeypatch):
    """It may have come with a stranger's archive, and "" of sys.path is where a process works."""
    copy, mark = tmp_path / "index", tmp_path / "was-run"
    shutil.copytree(place, copy)
    for name in ("pyarrow", "numpy", "pandas", "duckdb", "_duckdb", "pytz", "resource"):
        (copy / f"{name}.py").write_text(f"open({str(mark)!r}, 'w')\nraise ImportError\n")
    monkeypatch.setattr(sys, "path", ["", ".", *sys.path])
    with Session(copy) as session:
        assert session.all("select count(*), timestamptz '2020-01-01' from messages")[0][0] == 9
        assert next(session.ask("from senders", form="parquet").octets())[:4] == b"PAR1"
    assert not mark.exists()


NOISY = """
import json, os, sys
sys.path[:] = json.loads(sys.argv[1])
from portarchive.index import query_worker
answer = query_worker._answer
def noisy(*arguments):
    os.write(1, b"\\r 16%")
    print("a warning of a library", flush=True)
    answer(*arguments)
    os.write(1, b"\\r100%\\n")
query_worker._answer = noisy
query_worker.serve(sys.argv[2])
"""


def test_what_a_library_prints_is_no_answer(place, monkeypatch):
    monkeypatch.setattr(query, "_PROGRAM", NOISY)
    with Session(place, timeout=30) as session:
        for _ in range(3):
            assert session.all("select count(*) from messages") == [[9]]


@pytest.mark.parametrize("noise", ["\\r 16% [======", "Q", ""])
def test_an_answer_that_is_none_is_told_at_once(place, monkeypatch, noise):
    program = f"import sys, time; sys.stdout.write({noise!r}); sys.stdout.flush()"
    lasting = "; time.sleep(60)" if len(noise) > 4 else ""
    monkeypatch.setattr(query, "_PROGRAM", program + lasting)
    begun = time.monotonic()
    with Session(place, timeout=30) as session, pytest.raises(Damaged) as raised:
        session.all("select 1")
    assert raised.value.code == "index-damaged"
    assert time.monotonic() - begun < 20


def test_a_query_that_wants_too_much_memory_fails(session):
    for sql in (
        "select list(range || repeat('x', 1000)) from range(10000000)",
        "select repeat('x', 200000000) from range(20)",
    ):
        with pytest.raises(SettingsError) as raised:
            session.all(sql)
        assert raised.value.code == "query-memory"


def test_memory_that_duckdb_does_not_count_is_limited_too(place):
    """As docs/query.md has it: on Linux. Where systems have no such limit it is answered."""
    text = (Path(__file__).parents[2] / "docs/query.md").read_text(encoding="utf-8")
    assert "process as a whole 2 GB (on Linux)" in text
    with Session(place) as session:
        try:
            told = session.all("select len(repeat('x', 3000000000))")
        except SettingsError as error:
            told = error.code
        assert told == "query-memory" or (sys.platform != "linux" and told == [[3000000000]])
        assert session.all("select 1") == [[1]]


def test_leaving_ends_the_process(place):
    with Session(place) as session:
        result = session.ask("from range(100000000)")
        next(result.rows())
        process = session._process
    assert process.poll() is not None


@pytest.mark.parametrize("harm", ["gone", "cut", "text", "columns", "link"])
def test_a_damaged_index_is_told(place, tmp_path, harm):
    copy = tmp_path / "index"
    shutil.copytree(place, copy)
    file = copy / "senders.parquet"
    if harm == "cut":
        file.write_bytes(file.read_bytes()[:-100])
    elif harm == "text":
        file.write_text("not parquet")
    elif harm == "columns":
        shutil.copy(copy / "attachments.parquet", file)
    else:
        file.unlink()
    with Session(copy) as session, pytest.raises(Damaged) as raised:
        session.all("from senders")
    assert raised.value.code == "index-damaged"
    assert "--rebuild" in (raised.value.hint or "")


def test_an_index_that_is_made_anew_meanwhile_is_noticed(place, tmp_path):
    copy = tmp_path / "index"
    shutil.copytree(place, copy)
    with Session(copy) as session:
        session.all("from senders")
        assert not session.changed()
        (copy / "index.json").unlink()
        assert session.changed()


def in_the_locked_process(code):
    """What becomes of Python code in a process that is locked as the one that runs SQL."""
    program = "from portarchive.index.query_worker import _lock_process\n_lock_process()\n"
    done = subprocess.run(
        [sys.executable, "-c", program + textwrap.dedent(code)],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr.splitlines()[-1:] or [""]


@pytest.mark.parametrize(
    "code",
    [
        "import socket; socket.socket()",
        "import socket; socket.create_connection(('127.0.0.1', 9))",
        "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9/')",
        "open('written', 'w')",
        "import subprocess; subprocess.run(['true'])",
        "import os; os.system('true')",
        "import os; os.write(os.open('written', os.O_CREAT | os.O_WRONLY), b'x')",
    ],
)
def test_the_process_itself_is_locked(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    returned, words = in_the_locked_process(code)
    assert returned == 1
    assert words[0].startswith(("PermissionError", "OSError: [Errno 27]", "urllib.error")), words
    assert not any(path.stat().st_size for path in Path.iterdir(tmp_path))


def test_the_lock_lets_reading_through():
    assert in_the_locked_process("open('/dev/null', 'rb').read()")[0] == 0


def test_sessions_side_by_side(place):
    found = []

    def ask():
        with Session(place) as session:
            found.append(session.all("select count(*) from messages"))

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [[[9]]] * 3


def test_the_document_has_every_query_and_every_field():
    text = (Path(__file__).parents[2] / "docs/query.md").read_text(encoding="utf-8")
    table = text.partition("<!-- named -->")[2].partition("<!-- end -->")[0]
    rows = [f"| `{query.name}` | {query.text} |" for query in NAMED.values()]
    assert table.splitlines()[3:] == rows
    grammar = text.partition("## search")[2].partition("## query")[0]
    for field in FIELDS:
        assert f"`{field}:" in grammar, field
    for word in (*IS, *HAS):
        assert f"`{word}`" in grammar, word
