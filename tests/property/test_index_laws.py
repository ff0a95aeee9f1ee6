"""The index: an update is a rebuild, row for row; and no octets are too strange for it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import index_oracle
from exporting import export
from portarchive.archive.contents import open_contents
from portarchive.archive.received import field_date
from portarchive.connectors.memory import MemorySource
from portarchive.index import addresses, authentication, build, columns, dates, words
from portarchive.index.assembly import Plan
from portarchive.index.threads import Threads

FOLDERS = ("INBOX", "Sent", "Lists")
REPORT = b"""\
Content-Type: multipart/report; report-type=delivery-status; boundary=b

--b
Content-Type: message/delivery-status

Reporting-MTA: dns;x

Action: failed
Final-Recipient: rfc822; a@b
Status: 5.0.0
--b
Content-Type: message/rfc822

Message-ID: <1@x>

--b--
"""
ATTACHED = b"""\
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: image/png

x
--b--
"""
BODIES = st.sampled_from(
    [
        b"x\r\n",
        b"From: Jane <jane@example.org>\r\nSubject: =?utf-8?q?=C3=A4?=\r\n\r\n",
        ATTACHED,
        REPORT,
        b"Content-Type: message/feedback-report\r\n\r\nFeedback-Type: abuse\r\n",
    ]
)
STEPS = st.one_of(
    st.tuples(st.just("add"), st.sampled_from(FOLDERS), st.integers(1, 6), BODIES),
    st.tuples(st.just("flag"), st.sampled_from(FOLDERS), st.integers(0, 9), st.just(b"")),
    st.tuples(st.just("expunge"), st.sampled_from(FOLDERS), st.integers(0, 9), st.just(b"")),
    st.tuples(st.just("renumber"), st.sampled_from(FOLDERS), st.just(0), st.just(b"")),
)


def message(number: int, body: bytes) -> bytes:
    before = b"References: <%d@x>\r\n" % (number // 2) if number % 2 else b""
    return b"Message-ID: <%d@x>\r\n" % number + before + body


def play(source: MemorySource, step: tuple[str, str, int, bytes]) -> None:
    what, folder, number, body = step
    uids = sorted(source.contents().get((folder,), {}), key=int)
    if what == "add":
        source.add(message(number, body), folder)
    elif what == "renumber":
        source.reset_uidvalidity(folder)
    elif uids:
        uid = uids[number % len(uids)]
        if what == "flag":
            source.set_flags(folder, uid, ["\\Seen", "Work"])
        else:
            source.expunge(folder, uid)


def tables(place: Path) -> dict[str, list[dict[str, Any]]]:
    return {name: pq.read_table(place / f"{name}.parquet").to_pylist() for name in columns.TABLES}


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.lists(STEPS, max_size=8), min_size=1, max_size=4), st.sampled_from([2, 8192]))
def test_an_update_is_a_rebuild(rounds: list[list[Any]], group: int) -> None:
    from portarchive.index import assembly

    before = assembly.GROUP
    assembly.GROUP = group  # type: ignore[misc]  # row groups of two: rows come from many of them
    try:
        with tempfile.TemporaryDirectory() as name:
            _play_and_compare(Path(name), rounds)
    finally:
        assembly.GROUP = before  # type: ignore[misc]


def _play_and_compare(root: Path, rounds: list[list[Any]]) -> None:
    source = MemorySource()
    for folder in FOLDERS[1:]:
        source.create_folder(folder)
    for steps in rounds:
        for step in steps:
            play(source, step)
        export(source, root / "a", accept_source_change=True)
        with open_contents(root / "a") as contents:
            updated = build.build(contents, root / "updated", jobs=1)
            rebuilt = build.build(contents, root / "rebuilt", jobs=1, rebuild=True)
        assert updated.rows == rebuilt.rows
        assert updated.was_current or updated.defects == rebuilt.defects
        assert tables(root / "updated") == tables(root / "rebuilt")


@given(st.lists(st.integers(-50, 50), max_size=60))
def test_runs_are_the_plan(sources: list[int]) -> None:
    plan = Plan()
    for one in sources:
        if one >= 0:
            plan.read(one)
        else:
            plan.taken(-one)
    found: list[tuple[bool, int]] = []
    for over, first, last in plan.runs(0, len(sources)):
        assert first < last
        found += [(over, number) for number in range(first, last)]
    assert found == [(one < 0, abs(one)) for one in sources]


@given(st.lists(st.lists(st.integers(0, 12), min_size=1, max_size=4), max_size=20), st.randoms())
def test_threads_do_not_depend_on_the_order(rows: list[list[int]], random: Any) -> None:
    def named(order: list[int]) -> dict[int, str | None]:
        threads = Threads()
        for row in order:
            threads.add(rows[row])
        return {row: threads.name(place) for place, row in enumerate(order)}

    order = list(range(len(rows)))
    wanted = named(order)
    random.shuffle(order)
    assert named(order) == wanted
    for row, identifiers in enumerate(rows):
        for other, others in enumerate(rows):
            if {*identifiers, *others} - {0} and set(identifiers) & set(others) - {0}:
                assert wanted[row] == wanted[other]


NOISE = st.one_of(
    st.binary(max_size=300),
    st.lists(
        st.sampled_from([
            b"From: ", b"To: ", b"Subject: ", b"Date: ", b"Content-Type: ", b"multipart/mixed",
            b"; boundary=b", b"--b", b"--b--", b"\r\n", b"\n", b"\r", b" ", b"\t", b":", b";", b"<",
            b">", b"(", b")", b'"', b"\\", b",", b"@", b"a", b"\xff", b"\0", b"=?utf-8?q?", b"?=",
            b"Message-ID: ", b"References: ", b"Expires: ", b"Mon, 1 Jan 2024 10:00:00 +0000",
            b"message/delivery-status", b"message/rfc822", b"text/plain", b"h=from:to",
            b"Authentication-Results: ", b"DKIM-Signature: ", b"=", b"*", b"'", b"%41",
            b"filename*0*=utf-8''", b"Content-Disposition: attachment",
        ]),
        max_size=60,
    ).map(b"".join),
)  # fmt: skip


@settings(max_examples=300)
@given(NOISE)
def test_any_octets_make_a_row(octets: bytes) -> None:
    row = index_oracle.row_of(octets)
    assert row["size"] == len(octets)
    assert set(row["defects"]) <= set(columns.DEFECTS)
    assert not [one for one in index_oracle.differences(octets) if not one.startswith("parts")]


@given(NOISE)
def test_values_never_raise(value: bytes) -> None:
    words.decode(value)[0].encode()
    for name, address in addresses.parse(value)[0]:
        (name + address).encode()
    authentication.results([value])
    authentication.signatures([value])


DATES = st.builds(
    "{}{} {} {} {}:{}:{} {}".format,
    st.sampled_from(["Mon, ", "", "Tue,  "]),
    st.integers(0, 33),
    st.sampled_from(["Jan", "feb", "DEC", "Foo"]),
    st.sampled_from([1969, 1970, 2024, 9999, 24, 0]),
    st.sampled_from(["00", "23", "24", "7"]),
    st.sampled_from(["00", "59", "60"]),
    st.sampled_from(["00", "59", "60", "61"]),
    st.sampled_from(["+0000", "-0130", "+2400", "+0060", "-0000", "EST", "", "+0100 (CET)"]),
)


@given(DATES)
def test_the_quick_way_and_the_slow_way_agree(text: str) -> None:
    """From 1970 on, where the index's dates begin (docs/index.md)."""
    slow = dates.of_received(field_date(text.encode()))
    assert dates.parse(text.encode()) == (None if slow is not None and slow.epoch < 0 else slow)
