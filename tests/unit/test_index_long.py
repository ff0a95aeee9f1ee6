"""Messages with headers as long as anybody likes: an index that stays small, and can be asked."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from exporting import export
from index_oracle import row_of
from portarchive.archive.contents import open_contents
from portarchive.connectors.memory import MemorySource
from portarchive.index import addresses, assembly
from portarchive.index.assembly import GROUP, GROUP_OCTETS
from portarchive.index.build import build
from portarchive.index.query import Session
from portarchive.index.search import Search
from portarchive.index.search_syntax import parse

COUNT = 1200
PEOPLE = 120
MOST = 600 << 20
BUILDING = """
import re, resource, sys
from pathlib import Path
from portarchive.archive.contents import open_contents
from portarchive.index.build import build
with open_contents(Path(sys.argv[1])) as contents:
    build(contents, Path(sys.argv[2]), jobs=1)
status = Path("/proc/self/status")
if status.exists():  # Linux counts the peak of whoever started a process into its ru_maxrss
    print(int(re.search(r"VmHWM:\\s+(\\d+) kB", status.read_text())[1]) << 10)
else:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def listed(number: int) -> bytes:
    """A message to 360 people in three fields, 350 KB of them."""
    people = b", ".join(
        b"%s <u%d.%s@example.org>" % (b"n" * 480, one, b"a" * 470) for one in range(PEOPLE)
    )
    return (
        b"From: a@example.org\r\nSubject: harps %d\r\nMessage-ID: <%d@example.org>\r\n"
        b"Date: Mon, 1 Jan 2024 10:00:00 +0000\r\nTo: %s\r\nCc: %s\r\nBcc: %s\r\n\r\nx\r\n"
    ) % (number, number, people, people, people)


def test_long_lists_of_addresses_keep_search_usable(tmp_path: Path) -> None:
    source = MemorySource()
    for number in range(COUNT):
        source.add(listed(number), received="2024-01-15T12:00:00+01:00")
    export(source, tmp_path / "a")
    place = tmp_path / "a/index"
    done = subprocess.run(
        [sys.executable, "-c", BUILDING, tmp_path / "a", place],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) < MOST
    file = pq.ParquetFile(place / "messages.parquet")
    for number in range(file.num_row_groups):
        assert file.read_row_group(number).nbytes < 1.5 * GROUP_OCTETS
    with Session(place) as session, open_contents(tmp_path / "a") as contents:
        for words in (["harps"], ["to:u119."], ["cc:nnn"]):
            assert sum(1 for _ in Search(parse(words)).run(session, contents)) == COUNT
    # taken over once more, and in groups as small
    with open_contents(tmp_path / "a") as contents:
        whole = pq.read_table(place / "messages.parquet", columns=["row_id", "subject", "sha256"])
        source.add(listed(COUNT), received="2024-01-15T12:00:00+01:00")
        export(source, tmp_path / "a")
    with open_contents(tmp_path / "a") as contents:
        assert build(contents, place, jobs=1).taken == COUNT
    told = pq.read_table(place / "messages.parquet", columns=whole.schema.names)
    assert told.slice(0, COUNT).equals(whole)


@pytest.mark.parametrize("size", [7, 512, GROUP - 1, GROUP, GROUP + 1, 3 * GROUP])
def test_small_rows_fill_a_group(size: int) -> None:
    whole = pa.table({"a": range(3 * GROUP + 5)})
    tables = iter([whole.slice(at, size) for at in range(0, whole.num_rows, size)])
    groups = list(assembly._groups(tables))
    assert [one.num_rows for one in groups] == [GROUP] * 3 + [5]
    assert pa.concat_tables(groups).equals(whole)


def test_large_rows_have_groups_of_their_own() -> None:
    rows = pa.table({"a": ["x" * (10 << 20)] * 8 + ["y"] * 100})
    groups = list(assembly._groups(iter([rows])))
    assert pa.concat_tables(groups).equals(rows)
    assert all(one.nbytes < GROUP_OCTETS + (11 << 20) for one in groups)
    assert len(groups) < 5


def test_a_field_is_cut_at_its_limit_however_simple_it_is() -> None:
    value = b", ".join(b"u%d@example.org" % one for one in range(900))
    found = addresses.parse(value)
    assert len(found[0]) == 900
    long = b", ".join(b"%s <u%d@example.org>" % (b"n" * 400, one) for one in range(900))
    row = row_of(b"To: " + long + b"\r\n\r\n")
    assert "addresses-cut" in row["defects"]
    told = sum(len(name) + len(address) for name, address in row["to_addresses"])
    assert 100_000 < told <= addresses.LONGEST
