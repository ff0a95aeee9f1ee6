"""The journal: a block counts whole or not at all."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest

from portarchive.archive.durable import Durability
from portarchive.archive.journal import Journal, recover
from portarchive.errors import Damaged

QUICK = Durability(False)
BLOCKS = [
    [b'S {"source":{},"selection":{},"base":null}'],
    [b'F 0 {"path":"INBOX","uidvalidity":7}', b'I 0 {"uid":"1"}', b'I 0 {"uid":"2"}'],
    [b'F 3 {"path":"Work","uidvalidity":null}', b'I 3 {"uid":"a"}', b'P 0 {"uid":"3"}'],
    [b"X 0", b'F 0 {"path":"INBOX","uidvalidity":8}', b'I 0 {"uid":"9"}'],
]


def write(path: Path, blocks: list[list[bytes]]) -> list[list[int]]:
    journal = Journal(path, QUICK)
    offsets = [journal.append(block) for block in blocks]
    journal.close()
    return offsets


def raw(*lines: bytes) -> bytes:
    """A block that checks, whatever is in it."""
    text = b"".join(line + b"\n" for line in lines)
    return text + b"= %d %08x\n" % (len(lines), zlib.crc32(text))


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    offsets = write(path, BLOCKS[:3])
    found = recover(path)
    assert found.header == {"source": {}, "selection": {}, "base": None}
    assert found.size == path.stat().st_size
    assert [(f.path, f.uidvalidity) for f in found.folders.values()] == [
        ("INBOX", 7),
        ("Work", None),
    ]
    journal = Journal(path, QUICK)
    assert [journal.line(at) for at in found.folders[0].items] == [b'{"uid":"1"}', b'{"uid":"2"}']
    assert [journal.line(at) for at in found.folders[0].placeholders] == [b'{"uid":"3"}']
    assert [journal.line(at) for at in offsets[2]] == BLOCKS[2]
    journal.close()


def test_a_folder_can_be_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    write(path, BLOCKS)
    found = recover(path)
    assert found.folders[0].uidvalidity == 8
    assert len(found.folders[0].items) == 1
    assert found.folders[0].placeholders == []
    write(path, [[b"X 0"]])
    assert list(recover(path).folders) == [3]


def test_none_there(tmp_path: Path) -> None:
    found = recover(tmp_path / "journal")
    assert (found.header, found.size, found.folders) == (None, 0, {})


def test_cut_at_every_offset_it_is_a_number_of_whole_blocks(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    ends = [0]
    for block in BLOCKS:
        write(path, [block])
        ends.append(path.stat().st_size)
    whole = path.read_bytes()
    for size in range(len(whole) + 1):
        path.write_bytes(whole[:size])
        assert recover(path).size == max(end for end in ends if end <= size)


def test_every_single_bit_shows(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    ends = [0]
    for block in BLOCKS:
        write(path, [block])
        ends.append(path.stat().st_size)
    whole = path.read_bytes()
    for at in range(len(whole)):
        for bit in range(8):
            octets = bytearray(whole)
            octets[at] ^= 1 << bit
            path.write_bytes(octets)
            assert recover(path).size == max(end for end in ends if end <= at)


def test_a_torn_end_is_cut_off_before_anything_is_added(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    write(path, BLOCKS[:2])
    good = path.read_bytes()
    path.write_bytes(good + b"I 0 {to")
    journal = Journal(path, QUICK)
    journal.truncate(recover(path).size)
    (offset,) = journal.append([b'I 0 {"uid":"5"}'])
    assert journal.line(offset) == b'I 0 {"uid":"5"}'
    journal.close()
    assert path.read_bytes().startswith(good + b'I 0 {"uid":"5"}\n= 1 ')
    assert len(recover(path).folders[0].items) == 3


@pytest.mark.parametrize(
    "line",
    [
        b"I 4 {}",
        b"P 4 {}",
        b"X 4",
        b"Z 0 {}",
        b"F 4",
        b"F x {}",
        b'F 4 {"path":"a"}',
        b"F 4 []",
        b"S {",
        b'S {"a":1,"a":2}',
        b"S \xff",
        b"I",
        b"",
        b"F 4 null",
    ],
)
def test_a_block_that_checks_and_is_none_of_ours(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "journal"
    path.write_bytes(raw(*BLOCKS[0]) + raw(line))
    with pytest.raises(Damaged):
        recover(path)


def test_lines_are_seen_at_once_and_after_more(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal", QUICK)
    first = journal.append([b"S {}"])
    assert journal.line(first[0]) == b"S {}"
    more = journal.append([b"X %d" % number for number in range(5000)])
    assert journal.line(more[4999]) == b"X 4999"
    assert journal.line(first[0]) == b"S {}"
    journal.close()
    assert (tmp_path / "journal").stat().st_mode & 0o777 == 0o600
