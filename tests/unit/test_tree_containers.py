"""Trees: what each opener yields, refuses, and never does."""

from __future__ import annotations

import gzip
import io
import os
import struct
import subprocess
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
    Tree,
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


def link(name: str, target: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = tarfile.LNKTYPE, target
    return info


def streamed(tree: Tree, *, of: str = "") -> dict[str, bytes]:
    """What ``stream`` yields, with the hard links whose names begin so."""
    return {
        name: b"".join(iter(lambda stream=stream: stream.read(4099), b""))
        for name, stream in tree.stream(lambda name: name.startswith(of))
    }


def test_hard_links_are_data(tmp_path: Path) -> None:
    files = good()
    path = tarred(files, tmp_path / "a", link("x/1", "archive.json"), link("x/2", "x/1"))
    tree = open_tree(path, Limits())
    listing = Listing.of(tree, Limits())
    assert {path: file.alias for path, file in listing.files() if file.alias} == {
        "x/1": "archive.json",
        "x/2": "archive.json",
    }
    more = dict.fromkeys(("x/1", "x/2"), files["archive.json"])
    assert streamed(tree, of="x/") == files | more
    assert streamed(tree, of="y/") == files
    # nobody reads the member itself
    kept = {name: stream for name, stream in tree.stream(lambda _: True) if name == "x/2"}
    assert kept["x/2"].read(99999) == files["archive.json"]


@pytest.mark.parametrize("limits", [Limits(value=50), Limits(document=50)])
def test_hard_links_to_much_are_not_kept(tmp_path: Path, limits: Limits) -> None:
    files = {"a": b"x" * 40, "b": b"x" * 60}
    path = tarred(files, tmp_path / "a", link("a1", "a"), link("a2", "a"), link("b1", "b"))
    tree = open_tree(path, limits)
    list(tree.scan())
    told = {}
    for name, stream in tree.stream(lambda _: True):
        try:
            told[name] = len(stream.read(100))
        except BadMemberError as error:
            told[name] = error.code
    both = 40 if limits.value == 50 else "F-002"
    assert told == {"a": 40, "a1": 40, "a2": both, "b": 60, "b1": "F-002"}


def test_a_link_that_leads_out_of_the_root_of_the_archive(tmp_path: Path) -> None:
    files = {"archive.json": b"{}", "rive.json": b"x", "m/archive.json": b"{}"}
    path = tarred(files, tmp_path / "a", link("m/x", "archive.json"), link("m/y", "m/archive.json"))
    listing = Listing.of(open_tree(path, Limits()), Limits())
    listing.descend("m")
    found = {name: listing.file(file.alias) for name, file in listing.files() if file.alias}
    assert found == {"x": None, "y": listing.file("archive.json")}


def test_headers_of_gnu_tar(tmp_path: Path) -> None:
    """Of --label and --incremental, as the tool writes them."""
    write(good(), tmp_path / "a")
    how = ["--label", "Mail", "--listed-incremental", tmp_path / "snar"]
    subprocess.run(["tar", "-C", tmp_path / "a", *how, "-cf", tmp_path / "a.tar", "."], check=True)
    assert read(tmp_path / "a.tar") == good()
    assert not troubles(tmp_path / "a.tar")


def plain_zip(path: Path) -> tuple[bytes, int, tuple[int, ...]]:
    """A ZIP file, where its end record is, and (count, size, offset) of it."""
    octets = zipped(good(), path).read_bytes()
    at = octets.rindex(b"PK\x05\x06")
    return octets, at, struct.unpack_from("<H2L", octets, at + 10)


def end64(count: int, size: int, offset: int, at: int) -> bytes:
    """ZIP64 end record and locator."""
    record = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, size, offset)
    return record + struct.pack("<4sLQL", b"PK\x06\x07", 0, at, 1)


@pytest.mark.parametrize("field", ["crc", "size", "packed"])
def test_wide_headers_that_disagree(tmp_path: Path, field: str) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as out, out.open("a.json", "w", force_zip64=True) as member:
        member.write(b"12345678")
    octets = bytearray(path.read_bytes())
    assert troubles(path) == []
    extra = 30 + len("a.json")
    assert struct.unpack_from("<HHQQ", octets, extra) == (1, 16, 8, 8)
    octets[{"crc": 14, "size": extra + 4, "packed": extra + 12}[field]] ^= 1
    path.write_bytes(octets)
    assert troubles(path) == ["Z-004"]


def test_a_directory_of_a_zip_that_holds_octets(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as out:
        out.writestr(zipfile.ZipInfo("a/"), b"")
        out.writestr(zipfile.ZipInfo("b/"), b"hidden")
    assert troubles(tmp_path / "a.zip") == ["Z-004"]


def test_a_zip64_end_record_beside_real_values(tmp_path: Path) -> None:
    octets, at, told = plain_zip(tmp_path / "a")
    path = tmp_path / "a.zip"
    path.write_bytes(octets[:at] + end64(*told, at) + octets[at:])
    assert not troubles(path)
    assert read(path) == good()
    # readers would differ about which of the two is meant
    path.write_bytes(octets[:at] + end64(told[0], told[1], told[2] + 1, at) + octets[at:])
    assert troubles(path) == ["Z-001"]
    # a locator of nothing, in what may be anybody's octets
    path.write_bytes(octets[:at] + end64(*told, at + 5)[-20:] + octets[at:])
    assert troubles(path) == ["Z-011"]
    assert read(path) == good()


@pytest.mark.parametrize(
    ("between", "counted", "code"),
    [
        (b"PK\x05\x05\4\0sign", False, None),
        (b"PK\x05\x05\4\0sign", True, None),
        (b"PK\x05\x05\5\0sign", False, "Z-011"),
        (b"PK\x05\x05\5\0sign", True, "Z-002"),
        (b"anything", False, "Z-011"),
        (b"anything", True, "Z-002"),
    ],
)
def test_what_follows_the_central_directory(
    tmp_path: Path, between: bytes, counted: bool, code: str | None
) -> None:
    octets, at, (_, size, _) = plain_zip(tmp_path / "a")
    end = bytearray(octets[at:])
    end[12:16] = (size + len(between) * counted).to_bytes(4, "little")
    path = tmp_path / "a.zip"
    path.write_bytes(octets[:at] + between + end)
    assert troubles(path) == ([code] if code else [])
    assert read(path) == good()


@pytest.mark.parametrize(
    ("raw", "told", "code"),
    [
        ("th\u00e9".encode(), "th\u00e9", None),
        ("th\u00e9".encode("cp437"), "th\u00e9", None),
        ("th\u00e9".encode("cp1252"), "th\u00e9", "Z-016"),
        ("th\u00e9".encode(), None, "Z-016"),
    ],
)
def test_a_name_marked_by_an_extra_field(
    tmp_path: Path, raw: bytes, told: str | None, code: str | None
) -> None:
    info = zipfile.ZipInfo("th??"[: len(raw)])
    if told is not None:
        field = b"\1" + zlib.crc32(raw).to_bytes(4, "little") + told.encode()
        info.extra = struct.pack("<2H", 0x7075, len(field)) + field
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(info, b"x")
    path.write_bytes(path.read_bytes().replace(info.filename.encode(), raw))
    assert troubles(path) == ([code] if code else [])
    assert read(path) == {"th\u00e9": b"x"}


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


def test_private_files_of_a_directory_are_not_its_own(tmp_path: Path) -> None:
    path = write(good() | {".portarchive/journal": b""}, tmp_path / "a")
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
