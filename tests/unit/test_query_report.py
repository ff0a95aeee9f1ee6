"""What a report counts, and its plots: axes that can be read, months without gaps."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexing import indexed
from portarchive.cli.report_months import MOST, spans
from portarchive.cli.report_plot import Series, bar, columns_plot, few
from portarchive.cli.report_tables import Mark, bars, table
from portarchive.index.query import Session
from portarchive.index.report import SIZES, facts


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    with Session(indexed(tmp_path_factory.mktemp("report") / "mail")) as session:
        return facts(session)


def test_totals(told):
    total = told.totals
    assert (total["messages"], total["kept"], total["folders"], total["senders"]) == (8, 1, 4, 5)
    assert (total["unread"], total["flagged"], total["attachments"]) == (6, 1, 1)
    assert (total["duplicated"], total["copies_over"], total["failed"]) == (1, 1, 1)
    assert (total["expired"], total["one_click"], total["undated"]) == (1, 1, 0)
    assert total["first"] == "2024-01-15T11:00:00Z"


def test_lists(told):
    assert [row["month"] for row in told.lists["months"]] == [1, 2, 3, 4, 5, 6, 7]
    assert sum(row["messages"] for row in told.lists["folders"]) == 8
    assert sum(told.sizes) == 8
    assert len(told.sizes) == len(SIZES)
    assert told.lists["bounces"][0]["recipient"] == "gone@example.com"
    assert told.lists["duplicates"][0]["places"] == ["Work:1", "Work/2019:1"]
    assert {row["keyword"] for row in told.lists["keywords"]} == {"$seen", "$flagged"}
    assert [row["content_type"] for row in told.lists["types"]] == ["application/pdf"]


def rows(*months, messages=1):
    return [
        {"year": year, "month": month, "messages": messages, "octets": 10} for year, month in months
    ]


def test_months_have_no_gaps():
    found = spans(rows((2023, 11), (2024, 2)))
    assert found.names == ["2023-11", "2023-12", "2024-01", "2024-02"]
    assert found.messages == [1, 0, 0, 1]
    assert found.marked == [0, 1, 2, 3]
    assert spans([]) is None


@pytest.mark.parametrize(
    ("first", "last", "step", "name"),
    [
        ((2024, 5), (2024, 5), "month", "2024-05"),
        ((2005, 1), (2024, 12), "month", "2005-01"),
        ((2005, 1), (2025, 1), "quarter", "2005 Q1"),
        ((1950, 1), (2024, 12), "year", "1950"),
        ((1601, 1), (2024, 12), "decade", "1600s"),
        ((1, 1), (9999, 12), "century", "0000s"),
    ],
)
def test_steps_of_time(first, last, step, name):
    found = spans(rows(first, last))
    assert (found.step, found.names[0]) == (step, name)
    assert len(found.names) <= MOST
    assert 0 < len(found.marked) <= 13


@given(
    st.lists(st.tuples(st.integers(1, 9999), st.integers(1, 12), st.integers(1, 10**6)), min_size=1)
)
@settings(deadline=None)
def test_no_message_is_lost_over_time(months):
    found = spans(
        [{"year": y, "month": m, "messages": count, "octets": count} for y, m, count in months]
    )
    assert sum(found.messages) == sum(count for _, _, count in months)
    assert len(found.names) <= MOST


@given(st.lists(st.integers(0, 10**13), max_size=60), st.sampled_from(["messages", "octets"]))
@settings(deadline=None)
def test_any_plot_is_well_formed_and_within_its_frame(values, unit):
    names = [f"<{at}>" for at in range(len(values))]
    labels = {at: names[at] for at in few(len(values))}
    plot = columns_plot(Series("x", "A & B", values, names, labels, unit, "a"))
    svg = ET.fromstring(plot)
    assert svg.get("role") == "img"
    assert [part.tag for part in svg][:2] == ["title", "desc"]
    shown = [part for part in svg if part.tag == "rect"]
    assert len(shown) == sum(value > 0 for value in values)
    for part in shown:
        x, y, wide, high = (float(part.get(name)) for name in ("x", "y", "width", "height"))
        assert 0 <= x <= x + wide <= 960
        assert 20 <= y <= y + high <= 222
    ticks = [part.text for part in svg if part.get("class") == "tick end"]
    assert 2 <= len(ticks) <= 8
    assert len(set(ticks)) == len(ticks)


def test_the_axis_has_units():
    plot = columns_plot(Series("x", "t", [3_400_000], ["n"], {}, "octets", "b"))
    assert '<text class="unit" x="64" y="12">MB</text>' in plot
    assert ">4</text>" in plot


def test_bars():
    assert 'width="50.00"' in bar(1, 2, "a")
    assert 'width="0.60"' in bar(1, 10**6, "a")
    assert 'width="0.00"' in bar(0, 0, "a")
    assert len(bars([1, 2], "a")) == 2


def test_cells_of_strangers_are_escaped():
    page = "".join(table(["A", "", "N"], [("<b>\x1b[31m\u202e", Mark("<i>"), 1234)], numbers=(2,)))
    assert "<bdi>&lt;b&gt;</bdi>" in page
    assert '<td class="bars"><i></td>' in page
    assert '<td class="count">1,234</td>' in page
    assert "&hellip;" not in page
    assert "…</bdi>" in "".join(table(["A"], [("x" * 1000,)]))
