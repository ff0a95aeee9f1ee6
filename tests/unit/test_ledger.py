"""The ledger's arithmetic: sets as text, the equation, and what makes an export complete."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portarchive.jobs.ledger import FolderLedger, compact, expand, is_complete, unopened


@pytest.mark.parametrize(
    ("uids", "text"),
    [
        ([], ""),
        (["7"], "7"),
        (["3", "1", "2"], "1:3"),
        (["1", "2", "4", "9", "10"], "1:2,4,9:10"),
        (["b", "a", "5"], "5,a,b"),
        (["4294967295"], "4294967295"),
    ],
)
def test_sets_as_text(uids: list[str], text: str) -> None:
    assert compact(uids) == text
    assert sorted(expand(text)) == sorted(uids)


@given(st.sets(st.integers(1, 300)))
def test_numbers_come_back(numbers: set[int]) -> None:
    text = compact(map(str, numbers))
    assert set(map(int, expand(text))) == numbers
    assert len(list(expand(text))) == len(numbers)
    assert ",," not in text


@given(st.sets(st.from_regex(r"[A-Za-z_-][A-Za-z0-9_-]{0,20}", fullmatch=True)))
def test_ids_come_back(ids: set[str]) -> None:
    assert set(expand(compact(ids))) == ids


def test_the_equation() -> None:
    ledger = FolderLedger("INBOX", listed=6, archived=2)
    assert not ledger.balanced
    ledger.skipped["size"] = ["3"]
    ledger.vanished.append("4")
    ledger.fail("5", "server-refused", "NO", stored=False)
    ledger.fail("6", "placeholder", "x" * 5000, stored=True)
    assert ledger.balanced
    entry = ledger.to_json()
    assert entry["skipped"] == [{"reason": "size", "count": 1, "uids": "3"}]
    assert entry["vanished"] == {"count": 1, "uids": "4"}
    assert [failed["uid"] for failed in entry["failed"]] == ["5", "6"]
    assert len(entry["failed"][1]["text"]) == 1000
    assert not is_complete(entry)


def test_the_words_of_a_server_are_json() -> None:
    ledger = FolderLedger("INBOX")
    ledger.fail("5", "server-refused", "\udcff bad \x00", stored=False)
    ledger.failed[0]["text"].encode("utf-8")


COMPLETE: dict[str, Any] = {
    "path": "INBOX",
    "listed": 5,
    "archived": 3,
    "skipped": [{"reason": "size", "count": 1, "uids": "3"}],
    "vanished": {"count": 1, "uids": "4"},
    "failed": [],
}


@pytest.mark.parametrize(
    ("change", "complete"),
    [
        ({}, True),
        ({"arrived_later": 7}, True),
        ({"listed": 6}, False),
        ({"archived": 4}, False),
        ({"error": {"code": "x", "text": ""}}, False),
        ({"held": "lost 30"}, False),
        ({"failed": [{"uid": "5", "code": "x", "text": "", "stored": False}]}, False),
        ({"failed": [{"uid": "5", "code": "x", "text": "", "stored": True}], "listed": 6}, False),
    ],
)
def test_complete(change: dict[str, Any], complete: bool) -> None:
    assert is_complete(COMPLETE | change) == complete


def test_a_folder_that_was_not_opened() -> None:
    assert unopened("A", "x", "why", None) == {"path": "A", "error": {"code": "x", "text": "why"}}
    assert unopened("INBOX", "x", "why", COMPLETE) == COMPLETE | {
        "error": {"code": "x", "text": "why"}
    }
    assert not is_complete(unopened("A", "x", "why", None))


def test_notes_stay_with_their_messages() -> None:
    before = FolderLedger("INBOX")
    for uid in ("1", "2", "3", "9"):
        before.note("size-mismatch", uid)
    before.note("no-date", "2")
    after = FolderLedger("INBOX")
    after.note("size-mismatch", "10")
    after.carry_notes(before.to_json(), gone={"1"}, had={"9"})
    assert after.to_json()["notes"] == [
        {"uid": "2", "code": "no-date"},
        {"code": "size-mismatch", "count": 3, "uids": "2:3,10"},
    ]


@pytest.mark.parametrize(
    "uids", [{"1.a,S=12,W=13:2", "1.a"}, {"x%2Fy", "x/y"}, {"é", "3:7", "1", "2", "3"}, {"a b"}]
)
def test_a_set_of_names_comes_back_whole(uids: set[str]) -> None:
    assert set(expand(compact(uids))) == uids
    assert sum(1 for _ in expand(compact(uids))) == len(uids)
