"""Trees: what each opener yields, refuses, and never does."""

from __future__ import annotations

import gzip
import io
import os
import struct
import tarfile
import time
import zipfile
import zlib
from pathlib import Path

import pytest

from portarchive.archive.tree import (
    BadMemberError,
    Folder,
    Limits,
    Member,
    Trouble,
    open_tree,
    unsafe_name,
)
from portarchive.archive.tree_listing import Listing
from portarchive.errors import NotAnArchive
from validating import good, tarred, write, zipped


def read(path: Path, limits: Limits | None = None) -> dict[str, bytes]:
    """All that a tree holds, by its own way of reading."""
    tree = open_tree(path, limits or Limits())
    out = {}
    try:
        if tree.random_access:
            for path_, file in Listing.of(tree, Limits()).files():
                stream = tree.open(path_, file.place)
                out[path_] = b"".join(iter(lambda stream=stream: stream.read(4099), b""))
                stream.close()
        else:
            for name, stream in tree.stream():
                out[name] = b"".join(iter(lambda stream=stream: stream.read(4099), b""))
                stream.close()
    finally:
        tree.close()
    return out


def troubles(path: Path, limits: Limits | None = None) -> list[str]:
    tree = open_tree(path, limits or Limits())
    try:
        return [trouble.code for trouble in Listing.of(tree, limits or Limits()).troubles]
    finally:
        tree.close()


def compressed(files: dict[str, bytes], path: Path) -> Path:
    out = path.with_suffix(".tar.gz")
    out.write_bytes(gzip.compress(tarred(files, path).read_bytes()))
    return out


@pytest.mark.parametrize("pack", [write, zipped, tarred, compressed])
def test_what_went_in_comes_out(pack: object, tmp_path: Path) -> None:
    files = good()
    path = pack(files, tmp_path / "a")  # type: ignore[operator]
    assert read(path) == files
    assert not troubles(path)


def test_deflated_and_empty_members(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("empty", b"")
        file.writestr("zeros", b"\0" * 3_000_000)
        file.mkdir("directory")
    assert read(tmp_path / "a.zip") == {"empty": b"", "zeros": b"\0" * 3_000_000}
    assert not troubles(tmp_path / "a.zip")


def test_zip64(tmp_path: Path) -> None:
    """Sizes and offsets in the ZIP64 extra field, and a ZIP64 end record."""
    octets = b"x" * 100
    extra = struct.pack("<HHQQQ", 1, 24, 100, 100, 0)
    full, crc = 0xFFFFFFFF, zlib.crc32(octets)
    local = struct.pack("<4s5H3L2H", b"PK\x03\x04", 45, 0, 0, 0, 33, crc, full, full, 1, 20)
    local += b"a" + struct.pack("<HHQQ", 1, 16, 100, 100)
    fields = (45, 3, 45, 0, 0, 0, 0, 33, crc, full, full, 1, len(extra), 0, 0, 0, 0, full)
    central = struct.pack("<4s4B4HL2L5H2L", b"PK\x01\x02", *fields)
    central += b"a" + extra
    start = len(local) + 100
    end = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 1, 1, len(central), start)
    end += struct.pack("<4sLQL", b"PK\x06\x07", 0, start + len(central), 1)
    end += struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, *((0xFFFFFFFF,) * 2), 0)
    path = tmp_path / "a.zip"
    path.write_bytes(local + octets + central + end)
    assert read(path) == {"a": octets}
    path.write_bytes(b"#!/bin/sh\n" + local + octets + central + end)
    assert read(path) == {"a": octets}
    assert troubles(path) == ["Z-011"]


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("mail/INBOX/1.eml", None),
        ("mail/Släkt/1.eml", None),
        ("mail/a:b/1.eml", None),
        ("..a/b..", None),
        ("/etc/passwd", "F-010"),
        ("a/../b", "F-010"),
        ("a//b", "F-010"),
        ("a/./b", "F-010"),
        ("..", "F-010"),
        ("", "F-010"),
        ("c:/x", "F-010"),
        ("a\\b", "F-010"),
        ("a\0b", "F-010"),
        ("x" * 5000, "F-010"),
        ("caf\udce9", "F-011"),
    ],
)
def test_unsafe_names(name: str, code: str | None) -> None:
    found = unsafe_name(name)
    assert (found.code if found else None) == code


@pytest.mark.parametrize(
    ("names", "code"),
    [
        (["mail/A/x", "mail/a/x"], "F-014"),
        (["\u00e9", "e\u0301"], "F-014"),
        (["STRASSE", "stra\u00dfe"], "F-014"),
        (["x", "x/y"], "F-019"),
        (["aux.eml"], "F-020"),
        (["COM1"], "F-020"),
        (["a."], "F-020"),
        (["a\u202eb"], "F-020"),
        (["a\x1b[31m"], "F-020"),
        (["x" * 256], "F-020"),
        (["Contacts", "Company.eml", "nullable"], None),
    ],
)
def test_names_in_company(names: list[str], code: str | None, tmp_path: Path) -> None:
    path = zipped(dict.fromkeys(names, b""), tmp_path / "a")
    assert troubles(path) == ([code] if code else [])


def test_links_and_devices_of_a_tar(tmp_path: Path) -> None:
    def entry(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, target
        return info

    path = tarred(
        good(),
        tmp_path / "a",
        entry("copy", tarfile.LNKTYPE, "archive.json"),
        entry("before", tarfile.LNKTYPE, "after"),
        entry("soft", tarfile.SYMTYPE, "/etc/passwd"),
        entry("device", tarfile.CHRTYPE),
        entry("fifo", tarfile.FIFOTYPE),
        entry("./directory", tarfile.DIRTYPE),
    )
    found = list(open_tree(path, Limits()).scan())
    assert [one.code for one in found if isinstance(one, Trouble)] == ["F-012"] * 2 + ["F-013"] * 2
    assert Folder("directory") in found
    copy = next(one for one in found if isinstance(one, Member) and one.name == "copy")
    assert copy.alias == "archive.json"
    assert copy.size == len(good()["archive.json"])
    assert "copy" not in read(path)


def test_a_tar_header_that_wants_gigabytes(tmp_path: Path) -> None:
    info = tarfile.TarInfo("x")
    info.type = tarfile.XHDTYPE
    info.size = (8 << 30) - 1
    (tmp_path / "a.tar").write_bytes(info.tobuf(tarfile.USTAR_FORMAT) + b"\0" * 4096)
    assert troubles(tmp_path / "a.tar") == ["Z-014"]


def test_a_damaged_tar_header_is_no_end(tmp_path: Path) -> None:
    path = tarred(good(), tmp_path / "a")
    octets = bytearray(path.read_bytes())
    where = octets.index(b"calendars/home.json")
    octets[where] ^= 1
    path.write_bytes(octets)
    assert troubles(path) == ["Z-014"]


def test_a_bomb_in_a_tar(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    with tarfile.open(path, "w:gz") as file:
        info = tarfile.TarInfo("zeros")
        info.size = 60 << 20
        file.addfile(info, io.BytesIO(bytes(60 << 20)))
    assert troubles(path) == ["F-017"]
    with pytest.raises(BadMemberError):
        read(path)


def test_members_that_lie_about_their_size(tmp_path: Path) -> None:
    """Inflating stops at the claimed length, and says so."""
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("x", b"\0" * 100_000)
    octets = bytearray((tmp_path / "a.zip").read_bytes())
    for at in (octets.index(b"PK\x01\x02") + 24, 22):
        octets[at : at + 4] = (10).to_bytes(4, "little")
    (tmp_path / "a.zip").write_bytes(octets)
    with pytest.raises(BadMemberError) as caught:
        read(tmp_path / "a.zip")
    assert caught.value.code == "Z-004"


def test_a_link_is_not_followed_even_when_it_comes_later(tmp_path: Path) -> None:
    path = write(good(), tmp_path / "a")
    tree = open_tree(path, Limits())
    (path / "archive.json").unlink()
    (path / "archive.json").symlink_to("/etc/hostname")
    with pytest.raises(OSError, match=r".*"):
        tree.open("archive.json", None)


def test_private_and_derived_files_of_a_directory_are_not_its_own(tmp_path: Path) -> None:
    path = write(good() | {".portarchive/journal": b"", "index/x.parquet": b""}, tmp_path / "a")
    listing = Listing.of(open_tree(path, Limits()), Limits())
    assert listing.count == len(good())


def test_many_troubles_are_counted_and_not_kept(tmp_path: Path) -> None:
    path = zipped({f"x{n}.": b"" for n in range(1500)}, tmp_path / "a")
    tree = open_tree(path, Limits())
    listing = Listing.of(tree, Limits())
    tree.close()
    assert len(listing.troubles) == 1000
    assert listing.dropped == {"F-020": 500}


@pytest.mark.parametrize("octets", [b"", b"PK", b"hello world", bytes(1024)])
def test_what_is_no_container(octets: bytes, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(octets)
    with pytest.raises(NotAnArchive):
        open_tree(tmp_path / "x", Limits())
    with pytest.raises(NotAnArchive):
        open_tree(tmp_path / "missing", Limits())
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(NotAnArchive):
        open_tree(tmp_path / "fifo", Limits())


def test_a_hundred_thousand_entries_take_seconds(tmp_path: Path) -> None:
    """Linear: no bar of speed, only that nothing is quadratic."""
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        for number in range(60_000):
            file.writestr(zipfile.ZipInfo(f"mail/x/{number:06}.eml"), b"")
    begun = time.process_time()
    assert not troubles(tmp_path / "a.zip")
    assert time.process_time() - begun < 60
