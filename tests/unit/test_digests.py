"""manifest-sha256.txt: what sha256sum reads, copied block by block where nothing changed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import archive_facts
from portarchive.archive.digests import DigestBlocks, DigestsWriter, file_sha256, read_lines
from portarchive.errors import Damaged

DIGEST = "0123456789abcdef" * 4


def test_sha256sum_agrees(tmp_path: Path) -> None:
    (tmp_path / "mail").mkdir()
    writer = DigestsWriter(tmp_path / "manifest-sha256.txt")
    for name in ("plain.eml", "two  blanks.eml", "ümlaut.eml", "*star.eml"):
        file = tmp_path / "mail" / name
        file.write_bytes(name.encode() * 100)
        digest, size = file_sha256(file)
        assert (digest, size) == (archive_facts.sha256(file.read_bytes()), file.stat().st_size)
        writer.line(digest, f"mail/{name}")
    writer.close()
    octets = (tmp_path / "manifest-sha256.txt").read_bytes()
    assert (writer.sha256, writer.size, writer.count) == (
        archive_facts.sha256(octets),
        len(octets),
        4,
    )
    subprocess.run(
        ["sha256sum", "--strict", "-c", "manifest-sha256.txt"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    assert len(list(read_lines(tmp_path / "manifest-sha256.txt"))) == 4


def test_more_lines_than_a_buffer(tmp_path: Path) -> None:
    path = tmp_path / "m"
    writer = DigestsWriter(path)
    names = [f"mail/F{number // 1000}/{number}.eml" for number in range(10_000)]
    for name in names:
        writer.line(DIGEST, name)
    writer.close()
    assert writer.count == 10_000
    assert [name for _, name in read_lines(path)] == names


def test_blocks_are_copied_octet_for_octet(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    lines = [
        "mail/A/folder.json",
        "mail/A/1.eml",
        "mail/A/B/1.eml",
        "mail/Ü b/1.eml",
        "mail/A/2.eml",
        "top.txt",
    ]
    writer = DigestsWriter(old)
    for name in lines:
        writer.line(DIGEST, name)
    writer.close()
    blocks = DigestBlocks(old)
    assert set(blocks.spans) == {"mail/A", "mail/A/B", "mail/Ü b", ""}
    copied = DigestsWriter(new)
    assert blocks.copy("mail/A", copied)
    assert blocks.copy("", copied)
    assert blocks.copy("mail/Ü b", copied)
    assert not blocks.copy("mail/C", copied)
    copied.line(DIGEST, "mail/C/1.eml")
    copied.close()
    assert [name for _, name in read_lines(new)] == [
        "mail/A/folder.json",
        "mail/A/1.eml",
        "mail/A/2.eml",
        "top.txt",
        "mail/Ü b/1.eml",
        "mail/C/1.eml",
    ]
    assert copied.count == 6
    assert copied.sha256 == archive_facts.sha256(new.read_bytes())


def test_upper_case_and_binary_marks_of_others(tmp_path: Path) -> None:
    path = tmp_path / "m"
    path.write_text(f"{DIGEST.upper()} *a\n{DIGEST}  b", "utf-8")
    assert list(read_lines(path)) == [(DIGEST, "a"), (DIGEST, "b")]


@pytest.mark.parametrize(
    "line",
    [b"", b"x", DIGEST.encode(), DIGEST.encode() + b"  ", DIGEST.encode() + b" x\xff", b"\xff"],
)
def test_lines_of_another_form(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "m"
    path.write_bytes(DIGEST.encode() + b"  a\n" + line + b"\n")
    with pytest.raises(Damaged, match="line 2"):
        list(read_lines(path))
