"""Archives by other generators and by people who mean harm, made here one by one."""

from __future__ import annotations

import gzip
import io
import json
import os
import random
import tarfile
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import pytest

from portarchive.archive.contents import Contents, Extent, Item, open_contents
from portarchive.archive.tree import Limits
from portarchive.errors import ArchiveError, Damaged, UnsafePath

ROOT = Path(__file__).resolve().parents[2]
CONTAINERS = ROOT / "tests/corpus/good/ietf-02"
LETTER = b"From: Jane <jane@example.org>\r\nSubject: one\r\n\r\nHello.\r\n"
METADATA: dict[str, Any] = {
    "archive": {"id": "a1", "name": "n", "version": "draft-ietf-mailmaint-pdparchive-02"},
    "dataset": {"extent": "full"},
    "datasource": {"service": {"id": "7", "url": "imaps://imap.example.org"}, "account": "jane"},
}


def item(uid: Any = "1", filename: Any = "1.eml", **members: Any) -> dict[str, Any]:
    return {"uid": uid, "filename": filename, "flags": [], **members}


def archive(
    root: Path,
    folders: dict[str, dict[str, Any] | None],
    files: dict[str, bytes] | None = None,
    metadata: dict[str, Any] | None = None,
) -> Path:
    """A tree: folder.json members by path below ``mail/``, and further files."""
    root.mkdir(exist_ok=True)
    (root / "archive.json").write_text(json.dumps(metadata or METADATA))
    for path, header in folders.items():
        place = root / "mail" / path
        place.mkdir(parents=True, exist_ok=True)
        if header is not None:
            (place / "folder.json").write_text(json.dumps(header, indent=1))
    for name, octets in (files or {}).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(octets)
    return root


def only(contents: Contents) -> list[Item]:
    (folder,) = contents.folders()
    return list(contents.items(folder))


def test_what_it_says_of_itself(tmp_path: Path) -> None:
    with open_contents(archive(tmp_path / "a", {})) as contents:
        assert contents.extent is Extent.FULL
        assert (contents.service, contents.account) == ("imaps://imap.example.org", "jane")
        assert contents.archive_id == "a1"
        assert contents.quirks == ("source-objects",)
        assert contents.manifest is contents.selection is contents.id_namespace is None
        assert contents.folders() == []


def test_partial_in_any_case(tmp_path: Path) -> None:
    metadata = {**METADATA, "dataset": {"extent": "Partial", "portarchive:base_id": "b"}}
    with open_contents(archive(tmp_path / "a", {}, metadata=metadata)) as contents:
        assert contents.extent is Extent.PARTIAL
        assert contents.base_id == "b"


def test_what_only_the_base_has_is_not_damaged(tmp_path: Path) -> None:
    """An archive of changes names every message and holds the new ones."""
    folders = {"INBOX": {"items": [{"uid": "1", "filename": "1.eml"}]}}
    for extent, code in (("PARTIAL", "in-base"), ("FULL", "missing")):
        metadata = {**METADATA, "dataset": {"extent": extent, "portarchive:base_id": "b-1"}}
        with open_contents(archive(tmp_path / extent, folders, metadata=metadata)) as contents:
            (item,) = only(contents)
            for read in (contents.octets, lambda item: b"".join(contents.chunks(item))):
                with pytest.raises(Damaged) as caught:
                    read(item)
                assert caught.value.code == code
                told = "lies in the base archive b-1, which was not given"
                assert (told in caught.value.text) == (extent == "PARTIAL")


def test_names_of_every_kind(tmp_path: Path) -> None:
    root = archive(
        tmp_path / "a",
        {
            "plain": {"items": []},
            "dir": {"name": "shown", "original_name": "a/b", "items": []},
            "raw": {"name": "x", "portarchive:raw_name": "Y2Fm6Q==", "items": []},
            "notbase64": {"name": "x", "portarchive:raw_name": "é", "items": []},
            "Archive": {"name": "Archive", "items": []},
            "Archive/2023": {"name": "Archive/2023", "items": []},
            "bare/below": {"name": "below", "items": []},
            "inBOX": {"name": "inBOX", "items": [], "role": "archive"},
        },
    )
    with open_contents(root) as contents:
        folders = {folder.path: folder for folder in contents.folders()}
        assert {path: folder.names for path, folder in folders.items()} == {
            "plain": ("plain",),
            "dir": ("a/b",),
            "raw": ("caf\udce9",),
            "notbase64": ("x",),
            "Archive": ("Archive",),
            "Archive/2023": ("Archive", "2023"),
            "bare/below": ("bare", "below"),
            "inBOX": ("inBOX",),
        }
        assert folders["raw"].raw_name == b"caf\xe9"
        assert folders["inBOX"].roles == ("inbox", "archive")
        assert contents.quirks == ("role-member", "source-objects", "path-as-name")


def test_a_claimed_inbox_is_the_only_one(tmp_path: Path) -> None:
    root = archive(
        tmp_path / "a",
        {
            "INBOX": {"name": "INBOX", "items": []},
            "Home": {"name": "Home", "portarchive:role": ["inbox", "nonsense", 5], "items": []},
        },
    )
    with open_contents(root) as contents:
        assert {f.path: f.roles for f in contents.folders()} == {"INBOX": (), "Home": ("inbox",)}


def test_members_of_the_wrong_type_are_absent(tmp_path: Path) -> None:
    header = {
        "name": 5,
        "uid": 7,
        "uidvalidity": "9",
        "is_subscribed": "yes",
        "sort_order": True,
        "allowed_keywords": "x",
        "special_use": ["\\Sent"],
        "deleted_at": None,
        "items": [
            item(1, "1.eml", flags="x"),
            item(None, "1.eml", flags=["\\Seen", 5, ["x"]]),
            item("3", 5),
            "no object",
            item("5", "folder.json"),
            item("6", "1.eml", **{"portarchive:size": True, "portarchive:sha256": "00"}),
            item("7", "1.eml", **{"portarchive:labels": "x", "portarchive:email_id": 5}),
        ],
    }
    with open_contents(archive(tmp_path / "a", {"x": header}, {"mail/x/1.eml": LETTER})) as found:
        (folder,) = found.folders()
        assert folder.names == ("x",)
        assert folder.uid is folder.uidvalidity is folder.subscribed is folder.sort_order is None
        assert folder.allowed_keywords is None
        assert not folder.gone
        assert folder.roles == ("sent",)
        items = only(found)
        assert [i.uid for i in items] == ["1", "", "3", "", "5", "6", "7"]
        assert [i.flags for i in items[:3]] == [(), ("$seen",), ()]
        assert {i.size for i in items} == {len(LETTER), None}
        assert {i.sha256 for i in items} == {i.email_id for i in items} == {None}
        assert {i.labels for i in items} == {()}
        assert found.quirks == ("integer-uids", "imap-flags", "source-objects")
        for number in (2, 3, 4):
            with pytest.raises(Damaged, match="names no file"):
                found.octets(items[number])
        assert found.octets(items[0]) == LETTER


@pytest.mark.parametrize(
    "filename",
    [
        "../../../etc/passwd", "../../archive.json", "/etc/passwd", "..", ".", "", "a//b", "a\\b",
        "C:x", "../y/folder.json", "\0",
    ],
)  # fmt: skip
def test_a_filename_that_leads_nowhere_good(tmp_path: Path, filename: str) -> None:
    root = archive(tmp_path / "a", {"x": {"items": [item("1", filename)]}, "y": {"items": []}})
    with open_contents(root) as contents:
        (one,) = contents.items(contents.folders()[0])
        assert one.member == ""
        with pytest.raises(Damaged):
            contents.octets(one)
        with pytest.raises(Damaged):
            next(contents.chunks(one))


def test_octets_that_lie_elsewhere(tmp_path: Path) -> None:
    root = archive(
        tmp_path / "a",
        {"x": {"items": [item("1", "../y/deep/1.eml")]}, "y": {"items": []}},
        {"mail/y/deep/1.eml": LETTER},
    )
    with open_contents(root) as contents:
        (one,) = contents.items(contents.folders()[0])
        assert one.member == "mail/y/deep/1.eml"
        assert contents.octets(one) == LETTER
        assert contents.quirks == ("source-objects", "no-folder-file")


@pytest.mark.parametrize("what", ["directory", "folder.json", "archive.json", "mail"])
def test_links_are_not_followed(tmp_path: Path, what: str) -> None:
    other = archive(tmp_path / "other", {"x": {"items": [item()]}}, {"mail/x/1.eml": LETTER})
    root = archive(tmp_path / "a", {"x": {"items": [item("1", "../l/1.eml")]}})
    if what == "directory":
        (root / "mail/l").symlink_to(other / "mail/x")
    else:
        place = {"folder.json": "mail/x/folder.json"}.get(what, what)
        if what == "mail":
            (root / "mail").rename(tmp_path / "aside")
        else:
            (root / place).unlink()
        (root / place).symlink_to(other / place)
    with pytest.raises(Damaged, match="not a regular file"):
        open_contents(root)


def test_a_link_that_comes_later_is_not_followed(tmp_path: Path) -> None:
    other = archive(tmp_path / "other", {"x": {"items": []}}, {"mail/x/1.eml": LETTER})
    root = archive(tmp_path / "a", {"x": {"items": [item("1", "../l/1.eml")]}})
    with open_contents(root) as contents:
        (root / "mail/l").symlink_to(other / "mail/x")
        (one,) = only(contents)
        for read in (contents.octets, lambda one: b"".join(contents.chunks(one))):
            with pytest.raises(Damaged, match="not a regular file"):
                read(one)


def test_a_pipe_does_not_hang(tmp_path: Path) -> None:
    root = archive(tmp_path / "a", {"x": {"items": [item()]}})
    os.mkfifo(root / "mail/x/1.eml")
    with open_contents(root) as contents:
        (one,) = only(contents)
        with pytest.raises(Damaged, match="not a regular file"):
            contents.octets(one)
        with pytest.raises(Damaged, match="not a regular file"):
            next(contents.chunks(one))


def test_too_many_entries_in_a_directory(tmp_path: Path) -> None:
    files = {f"mail/x/{number}.eml": b"" for number in range(20)}
    root = archive(tmp_path / "a", {"x": {"items": []}}, files)
    with pytest.raises(Damaged, match="over 10 entries"):
        open_contents(root, Limits(entries=10))


@pytest.mark.parametrize("text", ["[]", "5", "{}", '{"archive": []}', "", "{", '{"archive":{}}x'])
def test_metadata_that_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "archive.json").write_text(text)
    with pytest.raises(Damaged, match=r"archive\.json"):
        open_contents(tmp_path)


def test_items_that_are_no_array(tmp_path: Path) -> None:
    with pytest.raises(Damaged, match="items is not an array"):
        open_contents(archive(tmp_path / "a", {"x": {"items": {"1": "1.eml"}}}))


@pytest.mark.parametrize("link", [5, {}, {"path": "x", "sha256": "", "bytes": 0}, {"path": []}])
def test_a_chain_that_leads_nowhere(tmp_path: Path, link: Any) -> None:
    metadata = {**METADATA, "archive": {**METADATA["archive"], "portarchive:manifest": link}}
    with pytest.raises(Damaged):
        open_contents(archive(tmp_path / "a", {}, metadata=metadata))


def test_an_encrypted_file_of_age(tmp_path: Path) -> None:
    (tmp_path / "a.age").write_bytes(b"age-encryption.org/v1\n-> scrypt x 18\n")
    with pytest.raises(ArchiveError) as caught:
        open_contents(tmp_path / "a.age")
    assert caught.value.code == "encrypted"


@pytest.mark.parametrize("where", ["mail", "blob"])
def test_an_encrypted_zip(tmp_path: Path, where: str) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as out:
        out.writestr("archive.json", json.dumps(METADATA))
        out.writestr(f"{where}/x/1.eml", LETTER)
    octets = bytearray(path.read_bytes())
    for magic, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        octets[octets.rindex(magic) + flags] |= 1
    path.write_bytes(octets)
    with pytest.raises(ArchiveError) as caught:
        open_contents(path)
    assert caught.value.code == "encrypted"


def test_a_compressed_tar_that_is_a_bomb(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    with gzip.open(path, "wb") as out:
        for _ in range(64):
            out.write(bytes(1 << 20))
    with pytest.raises(Damaged) as caught:
        open_contents(path)
    assert caught.value.code == "too-large"


def test_a_name_that_leads_out_of_a_tar(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as out:
        for name, octets in (("archive.json", json.dumps(METADATA).encode()), ("../x", b"x")):
            info = tarfile.TarInfo(name)
            info.size = len(octets)
            out.addfile(info, io.BytesIO(octets))
    with pytest.raises(UnsafePath):
        open_contents(path)


def test_documents_and_messages_that_are_hard_links_in_a_tar(tmp_path: Path) -> None:
    """They are data, as GNU tar writes the second name of a file (format: container)."""
    folder = json.dumps({"name": "x", "items": [item()]}).encode()
    with tarfile.open(tmp_path / "a.tar", "w") as out:
        real = {"blob/1": json.dumps(METADATA).encode(), "blob/2": folder, "blob/3": LETTER}
        for name, octets in real.items():
            info = tarfile.TarInfo(name)
            info.size = len(octets)
            out.addfile(info, io.BytesIO(octets))
        links = {"archive.json": "blob/1", "mail/x/folder.json": "blob/2", "again": "blob/3"}
        for name, target in (links | {"mail/x/1.eml": "again"}).items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.LNKTYPE, target
            out.addfile(info)
    with open_contents(tmp_path / "a.tar") as contents:
        (found,) = only(contents)
        assert contents.octets(found) == LETTER


@pytest.mark.parametrize("case", sorted(CONTAINERS.glob("in_*")), ids=lambda case: case.name)
def test_containers_that_validate_takes_are_read(case: Path) -> None:
    (path,) = case.glob("archive.*")
    with open_contents(path) as contents:
        assert len(only(contents)) == 2


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_folder_that_only_a_link_holds(tmp_path: Path, kind: str) -> None:
    """What cannot be read must not be silently absent."""
    path = tmp_path / f"a.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as out:
            out.writestr("archive.json", json.dumps(METADATA))
            link = zipfile.ZipInfo("mail/x")
            link.external_attr = 0o120777 << 16
            out.writestr(link, "/etc")
    else:
        with tarfile.open(path, "w") as out:
            info = tarfile.TarInfo("archive.json")
            info.size = len(octets := json.dumps(METADATA).encode())
            out.addfile(info, io.BytesIO(octets))
            info = tarfile.TarInfo("mail/x")
            info.type, info.linkname = tarfile.SYMTYPE, "/etc"
            out.addfile(info)
    with pytest.raises(Damaged, match="symbolic link"):
        open_contents(path)


def everything(path: Path) -> None:
    """Read all that can be read; only ``ArchiveError`` may come out of it."""
    try:
        contents = open_contents(path, Limits(document=1 << 20, value=1 << 20, total=1 << 24))
    except ArchiveError as error:
        assert "\n" not in error.text
        return
    with contents:
        for folder in contents.folders():
            for kept in (False, True):
                for one in contents.items(folder, kept):
                    try:
                        contents.octets(one)
                        for _ in contents.chunks(one):
                            pass
                    except ArchiveError as error:
                        assert "\n" not in error.text


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("suffix", [".zip", ".tar", ".tar.gz"])
def test_damage_anywhere_is_an_archive_error(tmp_path: Path, suffix: str, seed: int) -> None:
    root = archive(
        tmp_path / "a",
        {"x": {"name": "x", "items": [item(), item("2", "../x/2.eml")]}},
        {"mail/x/1.eml": LETTER, "mail/x/2.eml": LETTER * 40},
    )
    path = tmp_path / f"a{suffix}"
    if suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
            for file in sorted(root.rglob("*")):
                out.write(file, file.relative_to(root))
    else:
        with tarfile.open(path, "w:gz" if suffix == ".tar.gz" else "w") as out:
            out.add(root, ".")
    whole = path.read_bytes()
    chance = random.Random(seed)
    for _ in range(60):
        octets = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            octets[chance.randrange(len(octets))] = chance.randrange(256)
        if chance.random() < 0.2:
            del octets[chance.randrange(len(octets)) :]
        path.write_bytes(octets)
        everything(path)


@pytest.mark.parametrize("seed", range(4))
def test_damage_to_documents_is_an_archive_error(tmp_path: Path, seed: int) -> None:
    header = {"name": "x", "special_use": "\\Sent", "items": [item(), item("2", "2.eml")]}
    root = archive(tmp_path / "a", {"x": header}, {"mail/x/1.eml": LETTER})
    chance = random.Random(seed)
    for name in ("archive.json", "mail/x/folder.json"):
        whole = (root / name).read_bytes()
        for _ in range(100):
            octets = bytearray(whole)
            for _ in range(chance.randint(1, 3)):
                at = chance.randrange(len(octets))
                octets[at : at + chance.randint(0, 3)] = chance.choice(
                    [
                        b'"',
                        b"\\",
                        b"{",
                        b"[",
                        b"]",
                        b"}",
                        b",",
                        b"0",
                        b"\xff",
                        b"\\ud800",
                        b"",
                        b"-",
                    ]
                )
            (root / name).write_bytes(octets)
            everything(root)
        (root / name).write_bytes(whole)


@pytest.mark.parametrize("layout", ["one line", "indented", "maps"])
def test_a_long_list_takes_little_memory(tmp_path: Path, layout: str) -> None:
    """Whoever wrote it; maps are small for they are held."""
    count = 2_000 if layout == "maps" else 30_000
    root = archive(tmp_path / "a", {"x": {"items": []}}, {"mail/x/1.eml": LETTER})
    entries = [
        item(str(number), "1.eml", **{"portarchive:received_at": "2026-11-03T10:00:00Z"})
        for number in range(count)
    ]
    if layout == "maps":
        text = json.dumps({"uids": {one["uid"]: "1.eml" for one in entries}, "flags": {}})
    else:
        text = json.dumps({"items": entries}, indent=1 if layout == "indented" else None)
    (root / "mail/x/folder.json").write_text(text)
    del entries, text
    tracemalloc.start()
    try:
        with open_contents(root) as contents:
            (folder,) = contents.folders()
            found = sum(1 for _ in contents.items(folder))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found == count
    assert peak < 12 << 20
