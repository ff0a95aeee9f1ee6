"""A query over the index of a million messages: the whole process, from the command to the answer.

The tables are written directly, as ``portarchive index`` lays them out; the archive beside them
has one message. A run that does not give the sums that are known beforehand is void.
"""

from __future__ import annotations

import json
import statistics
import subprocess
from collections.abc import Sequence
from pathlib import Path

from measure import Run, RunFailedError, interleave, run
from peers import PORTARCHIVE, remove
from table import Bench, Row

ROWS = 1_000_000
QUICK_ROWS = 50_000
SENDERS = 20_011
BAR = 1.0
_SQL = "select from_address, count(*) as n from messages group by all order by n desc, 1"


def block(bench: Bench, wanted: Sequence[str]) -> list[Row]:
    """The row ``query``: messages by sender, and beside it the start of a process that asks 1."""
    del wanted
    rows = ROWS if bench.sizes.full >= 100_000 else QUICK_ROWS
    archive = bench.memory / "asked"
    bench.tell(f"  writing an index of {rows} rows")
    write(archive, rows)
    runs, failed = interleave(
        {
            "query": lambda: by_sender(archive, rows),
            "select 1": lambda: ask(archive, "select 1 as n"),
        },
        rounds=bench.rounds,
        tell=bench.tell,
    )
    remove(archive)
    row = Row("query", f"query, count by sender over {rows:,} rows, the whole process", BAR, "s")
    if failed:
        row.figure = "; ".join(f"{name}: {why}" for name, why in failed.items())
        return [row]
    walls = [one.wall for one in runs["query"].runs]
    row.value, row.spread = statistics.median(walls), (min(walls), max(walls))
    row.figure = f"query {runs['query'].spread()}; select 1 {runs['select 1'].spread()}"
    row.series = {name: series.as_json() for name, series in runs.items()}
    return [row]


def ask(archive: Path, sql: str) -> Run:
    """``portarchive query --no-update``."""
    return run([PORTARCHIVE, "query", archive, sql, "--no-update", "--format", "jsonl", "-q"])


def by_sender(archive: Path, rows: int) -> Run:
    """The count by sender.

    Raises:
        RunFailedError: the sums are not what was written.
    """
    made = ask(archive, _SQL)
    counts = [json.loads(line)["n"] for line in made.stdout.splitlines()]
    if sum(counts) != rows or len(counts) != SENDERS:
        raise RunFailedError(f"{sum(counts)} messages of {len(counts)} senders were counted")
    return made


def write(archive: Path, rows: int) -> None:
    """An archive of one message whose index tells of many."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from portarchive.connectors.memory import MemorySource
    from portarchive.index.arrow import SCHEMAS
    from portarchive.jobs.export import ExportOptions, run_export
    from portarchive.progress import silent

    remove(archive)
    source = MemorySource()
    source.add(b"From: jane@example.org\r\nSubject: one\r\n\r\n")
    run_export(source, archive, ExportOptions(fsync=False), silent)
    subprocess.run([PORTARCHIVE, "index", archive, "-q"], check=True)
    schema = SCHEMAS["messages"]
    place = archive / "index"
    file = place / "messages.parquet"
    step = 8192
    one = pq.read_table(file).slice(0, 1)
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for start in range(0, rows, step):
            numbers = range(start, min(start + step, rows))
            table = one.take(pa.array([0] * len(numbers))).replace_schema_metadata(None)
            senders = [(number * 7919) % SENDERS for number in numbers]
            values = {
                "row_id": list(numbers),
                "uid": [str(number) for number in numbers],
                "subject": [f"Subject number {number * 31 % 65_521}" for number in numbers],
                "from_address": [f"sender{number}@example.com" for number in senders],
                "from_name": [f"Sender {number}" for number in senders],
                "message_id": [f"{number:032x}@example.com" for number in numbers],
                "size": [1000 + number * 37 % 50_000 for number in numbers],
            }
            for name, told in values.items():
                field = schema.field(name)
                column = pa.array(told, field.type)
                table = table.set_column(schema.get_field_index(name), field, column)
            writer.write_table(table.cast(schema), row_group_size=step)
    state = json.loads((place / "index.json").read_text())
    state["tables"]["messages"] = {"rows": rows, "octets": file.stat().st_size}
    (place / "index.json").write_text(json.dumps(state))
