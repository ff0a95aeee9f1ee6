"""Which old item is which new message: never a guess."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from portarchive.archive import model
from portarchive.jobs.rematch import Rematcher, message_id, normal
from portarchive.records import MessageRef, Placement, Received

EPOCH = 1_767_225_600


def item(root: Path, uid: str, octets: bytes, *, second: int = 0, **more: Any) -> bytes:
    directory = root / "mail" / "INBOX"
    directory.mkdir(parents=True, exist_ok=True)
    (directory / f"{uid}.eml").write_bytes(octets)
    entry = {
        "uid": uid,
        "filename": f"{uid}.eml",
        "flags": [],
        model.RECEIVED_AT: f"2026-01-01T00:00:{second:02}Z",
        model.SIZE: len(octets),
        **more,
    }
    return model.dumps(entry).encode()


def ref(uid: str, size: int, name: bytes | None, *, second: int = 0, **more: Any) -> MessageRef:
    received = Received("…", EPOCH + second)
    return MessageRef((Placement("F1", uid, (), received),), size=size, message_id=name, **more)


def pairs(root: Path, lines: list[bytes], refs: list[MessageRef], *, ids: bool = True) -> set[Any]:
    found = list(Rematcher(root, "INBOX", lambda: iter(lines), ids=ids).match(refs))
    assert len({old["uid"] for _, old in found}) == len(found), "an old item twice"
    return {(new.placements[0].uid, old["uid"]) for new, old in found}


A = b"Message-ID: <a@x>\r\n\r\n1"
B = b"Message-ID: <b@x>\r\n\r\n2"
NONE = b"Subject: without id\r\n\r\n"


def test_by_size_instant_and_message_id(tmp_path: Path) -> None:
    lines = [item(tmp_path, "1", A), item(tmp_path, "2", B), item(tmp_path, "3", NONE)]
    refs = [ref("11", len(B), b"<b@x>"), ref("12", len(A), b"<a@x>"), ref("13", len(NONE), b"")]
    assert pairs(tmp_path, lines, refs) == {("11", "2"), ("12", "1"), ("13", "3")}


@pytest.mark.parametrize(
    "other",
    [
        ref("11", len(A) + 1, b"<a@x>"),
        ref("11", len(A), b"<a@x>", second=1),
        ref("11", len(A), b"<b@x>"),
        ref("11", len(A), b""),
        ref("11", len(A), None),
        MessageRef((Placement("F1", "11", (), None),), size=len(A), message_id=b"<a@x>"),
        MessageRef(
            (Placement("F1", "11", (), Received(None, None)),), size=len(A), message_id=b"<a@x>"
        ),
        MessageRef((Placement("F1", "11", (), Received("…", EPOCH)),), message_id=b"<a@x>"),
    ],
)
def test_any_difference_is_a_difference(tmp_path: Path, other: MessageRef) -> None:
    assert pairs(tmp_path, [item(tmp_path, "1", A)], [other]) == set()


def test_twins_on_either_side_are_not_matched(tmp_path: Path) -> None:
    one, two = item(tmp_path, "1", A), item(tmp_path, "2", A)
    new = ref("11", len(A), b"<a@x>")
    assert pairs(tmp_path, [one, two], [new]) == set()
    assert pairs(tmp_path, [one], [new, ref("12", len(A), b"<a@x>")]) == set()


def test_an_id_goes_before_everything(tmp_path: Path) -> None:
    lines = [
        item(tmp_path, "1", A, **{model.EMAIL_ID: "M1"}),
        item(tmp_path, "2", B, **{model.EMAIL_ID: "M2"}),
    ]
    refs = [ref("11", len(B), None, email_id="M2"), ref("12", len(A), b"<a@x>", email_id="M9")]
    assert pairs(tmp_path, lines, refs) == {("11", "2"), ("12", "1")}
    assert pairs(tmp_path, lines, refs, ids=False) == {("12", "1")}


def test_different_ids_and_no_message_id_to_speak_for_them(tmp_path: Path) -> None:
    lines = [item(tmp_path, "1", NONE, **{model.EMAIL_ID: "M1"})]
    refs = [ref("11", len(NONE), b"", email_id="M9")]
    assert pairs(tmp_path, lines, refs) == set()
    assert pairs(tmp_path, lines, refs, ids=False) == {("11", "1")}


@pytest.mark.parametrize(
    ("size", "second", "matches"),
    [(len(A), 0, True), (0, 0, True), (None, 0, True), (999, 0, False), (len(A), 1, False)],
)
def test_an_id_alone_is_not_enough(tmp_path: Path, size: Any, second: int, matches: bool) -> None:
    """Size and instant speak against it where they are known; 0 is what a server says else."""
    lines = [item(tmp_path, "1", A, **{model.EMAIL_ID: "M1"})]
    refs = [ref("11", size, None, email_id="M1", second=second)]
    assert pairs(tmp_path, lines, refs) == ({("11", "1")} if matches else set())


def test_an_item_without_an_id_is_matched_as_ever(tmp_path: Path) -> None:
    lines = [item(tmp_path, "1", A)]
    assert pairs(tmp_path, lines, [ref("11", len(A), b"<a@x>", email_id="M1")]) == {("11", "1")}


def test_two_copies_of_one_id(tmp_path: Path) -> None:
    """Cyrus: copies in one folder share their EMAILID."""
    lines = [item(tmp_path, uid, A, **{model.EMAIL_ID: "M1"}) for uid in ("1", "2")]
    refs = [ref(uid, len(A), b"<a@x>", email_id="M1") for uid in ("11", "12", "13")]
    found = pairs(tmp_path, lines, refs)
    assert {old for _, old in found} == {"1", "2"}
    assert len(found) == 2


@pytest.mark.parametrize("ids", [True, False])
def test_the_old_items_are_not_held_in_memory(tmp_path: Path, ids: bool) -> None:
    """A quarter of a million of them, of 300 octets each, are not unheard of."""
    count = 4000
    item(tmp_path, "1", A)

    def lines() -> Iterator[bytes]:
        for uid in range(count):
            text = f"2026-01-01T{uid // 3600:02}:{uid // 60 % 60:02}:{uid % 60:02}Z"
            more = {model.EMAIL_ID: f"M{uid}"} if ids else {}
            entry = {"uid": str(uid), "filename": "1.eml", model.RECEIVED_AT: text, **more}
            yield model.dumps({**entry, model.SIZE: uid, model.SHA256: "0" * 64}).encode()

    refs = [ref(str(n), n, b"<a@x>", second=n, email_id=f"M{n}") for n in range(count)]
    tracemalloc.start()
    try:
        matched = sum(1 for _ in Rematcher(tmp_path, "INBOX", lines, ids=ids).match(refs))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert matched == count
    assert peak / count < 600


def test_a_file_that_is_gone_is_no_match(tmp_path: Path) -> None:
    line = item(tmp_path, "1", A)
    (tmp_path / "mail/INBOX/1.eml").unlink()
    assert pairs(tmp_path, [line], [ref("11", len(A), b"<a@x>")]) == set()


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (b"Message-ID: <a@b>\r\n\r\n", b"<a@b>"),
        (b"message-id:<a@b>\r\n\r\n", b"<a@b>"),
        (b"X: y\nMESSAGE-ID :\n <a@b>\n\n", b"<a@b>"),
        (b"Message-ID:\r\n\t<a\r\n @b>\r\n\r\n", b"<a@b>"),
        (b"Message-ID: <one>\r\nMessage-ID: <two>\r\n\r\n", b"<one>"),
        (b"X-Message-ID: <no>\r\n\r\n", b""),
        (b"Subject: x\r\n\r\nMessage-ID: <body@x>\r\n", b""),
        (b"\r\nMessage-ID: <body@x>\r\n", b""),
        (b"\nMessage-ID: <body@x>\n", b""),
        (b"Subject: x\r\n Message-ID: <folded>\r\n\r\n", b""),
        (b"Message-ID: <end>", b"<end>"),
        (b"", b""),
        (b"\xff\xfe\0", b""),
    ],
)
def test_the_message_id_of_a_header(header: bytes, found: bytes) -> None:
    assert message_id(header) == found


def test_blanks_do_not_count() -> None:
    assert normal(b" <a b\r\n\t@c> ") == b"<ab@c>"
