"""Malformed mail: nothing stops the index, and it finds what Python's email package finds."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

import index_oracle
from portarchive.index import columns

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scenarios"))

from defective_mail import CORPUS
from index_malformed import every

SAMPLES = Path(__file__).resolve().parents[2] / "samples/archive/mail"
MALFORMED = {**CORPUS, **dict(every())}


def test_there_are_enough_of_them() -> None:
    assert len(MALFORMED) >= 150


@pytest.mark.parametrize("name", MALFORMED)
def test_whatever_the_email_package_finds_is_found(name: str) -> None:
    assert not index_oracle.differences(MALFORMED[name])


@pytest.mark.parametrize("name", MALFORMED)
def test_it_takes_no_time_and_fits_its_columns(name: str) -> None:
    started = time.process_time()
    row = index_oracle.row_of(MALFORMED[name])
    assert time.process_time() - started < 3
    assert "parser-failed" not in row["defects"]
    assert set(row["defects"]) <= set(columns.DEFECTS)
    for column in columns.CONTENT:
        value = row[column.name]
        if column.kind == "string" and value is not None:
            assert len(value) <= 4 * 4000, column.name  # an octet may be spelled in four characters
            value.encode("utf-8")
        elif column.kind == "strings":
            assert len(value) <= 1000, column.name
            assert all(len(one) <= 4 * 2048 for one in value), column.name


def test_the_samples_too() -> None:
    messages = sorted(SAMPLES.rglob("*.eml"))
    assert len(messages) > 50
    for message in messages:
        assert not index_oracle.differences(message.read_bytes()), message
