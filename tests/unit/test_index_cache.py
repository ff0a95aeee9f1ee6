"""Indexes in the user's cache: what nobody can use any more is cleared, and nothing else is."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
import zipfile
from pathlib import Path

import pytest

from exporting import account, export
from portarchive.archive.contents import open_contents
from portarchive.cli import main
from portarchive.index import cache
from portarchive.index.place import locate

LONG_AGO = time.time() - cache.UNUSED - 3600


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory in which indexes lie."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache/portarchive/index"


@pytest.fixture
def packed(tmp_path: Path, home: Path) -> Path:
    """An archive whose index goes to the cache."""
    del home
    export(account("ids", INBOX=1), tmp_path / "a")
    return pack(tmp_path / "a", tmp_path / "a.zip")


def pack(archive: Path, file: Path) -> Path:
    with zipfile.ZipFile(file, "w") as out:
        for one in sorted(archive.rglob("*")):
            if one.is_file() and ".portarchive" not in one.parts:
                out.write(one, one.relative_to(archive))
    return file


def ask(archive: Path, *more: str) -> None:
    assert main(["query", str(archive), "select 1", "-q", *more]) == 0


def place_of(archive: Path) -> Path:
    with open_contents(archive) as contents:
        return locate(archive, contents)


def another(packed: Path, name: str) -> tuple[Path, Path]:
    """A copy of it, asked once: the file and its index."""
    copy = packed.with_name(name)
    shutil.copy(packed, copy)
    ask(copy)
    return copy, place_of(copy)


def aged(place: Path, when: float = LONG_AGO) -> None:
    for one in (*place.iterdir(), place):
        os.utime(one, (when, when), follow_symlinks=False)


@pytest.mark.parametrize("verb", ["query", "index"])
def test_the_index_of_an_archive_that_is_gone_is_cleared(packed: Path, verb: str) -> None:
    copy, place = another(packed, "b.zip")
    copy.unlink()
    aged(place)
    assert main([verb, str(packed), *(["select 1"] if verb == "query" else []), "-q"]) == 0
    assert [one.name for one in place.parent.iterdir()] == [place_of(packed).name]


def test_what_may_still_be_used_stays(packed: Path) -> None:
    there, there_place = another(packed, "there.zip")
    gone, gone_place = another(packed, "gone.zip")
    for place in (there_place, gone_place):
        aged(place)
    gone.unlink()
    os.utime(gone_place / cache.PATH_FILE)  # a disk that was there yesterday
    ask(packed)
    assert gone_place.is_dir()
    assert there_place.is_dir()
    assert there.exists()


def test_use_is_noted_also_where_nothing_is_built(packed: Path) -> None:
    ask(packed)
    place = place_of(packed)
    assert (place / cache.PATH_FILE).read_bytes() == os.fsencode(packed)
    aged(place)
    before = {one.name: one.read_bytes() for one in place.iterdir()}
    ask(packed, "--no-update")
    assert (place / cache.PATH_FILE).stat().st_mtime > LONG_AGO + 1
    assert {one.name: one.read_bytes() for one in place.iterdir()} == before


def test_the_index_of_an_earlier_version_tells_no_path(packed: Path) -> None:
    copy, place = another(packed, "b.zip")
    (place / cache.PATH_FILE).unlink()
    aged(place)
    ask(copy)
    assert (place / cache.PATH_FILE).exists(), "its use has been noted"
    (place / cache.PATH_FILE).write_bytes(b"/somewhere/else")
    aged(place)
    ask(packed)
    assert not place.exists()


def test_the_days_of_an_index_without_a_path_begin_when_it_is_met(packed: Path) -> None:
    there, place = another(packed, "b.zip")
    (place / cache.PATH_FILE).unlink()
    before = {one.name: one.read_bytes() for one in place.iterdir()}
    aged(place)
    for _ in range(2):
        ask(packed)
        assert {one.name: one.read_bytes() for one in place.iterdir()} == {
            **before,
            cache.PATH_FILE: b"",
        }
    assert (place / cache.PATH_FILE).stat().st_mtime > LONG_AGO + 1
    ask(there, "--no-update")
    assert (place / cache.PATH_FILE).read_bytes() == os.fsencode(there)
    (place / cache.PATH_FILE).write_bytes(b"")
    aged(place)
    ask(packed)
    assert not place.exists()


@pytest.mark.parametrize("strange", ["file", "directory", "link", "name", "upper"])
def test_what_is_no_index_is_left_alone(packed: Path, home: Path, strange: str) -> None:
    ask(packed)
    path = home / hashlib.sha256(b"/nowhere").hexdigest()
    if strange == "file":
        path.write_text("x")
    elif strange == "link":
        (packed.parent / "target").mkdir()
        path.symlink_to(packed.parent / "target")
    else:
        path = {"name": home / "notes", "upper": home / path.name.upper()}.get(strange, path)
        path.mkdir()
        if strange == "directory":
            (path / "letter.txt").write_text("x")
    for one in [*path.iterdir()] if path.is_dir() else []:
        os.utime(one, (LONG_AGO, LONG_AGO))
    os.utime(path, (LONG_AGO, LONG_AGO), follow_symlinks=False)
    ask(packed)
    assert os.path.lexists(path)


def test_an_archive_that_cannot_be_looked_at_is_not_gone(
    packed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy, place = another(packed, "b.zip")
    copy.unlink()
    aged(place)
    look = os.lstat

    def refused(path: object, **more: object) -> os.stat_result:
        if path == os.fsencode(copy):
            raise PermissionError(13, "Permission denied")
        return look(path, **more)  # type: ignore[call-overload]  # as os.lstat

    with monkeypatch.context() as patched:
        patched.setattr(os, "lstat", refused)
        ask(packed)
    assert place.is_dir()
    ask(packed)
    assert not place.exists()


def test_an_index_elsewhere_is_not_marked(packed: Path, tmp_path: Path) -> None:
    copy, place = another(packed, "b.zip")
    copy.unlink()
    aged(place)
    ask(packed, "--index", str(tmp_path / "mine"))
    ask(tmp_path / "a")
    assert not (tmp_path / "mine" / cache.PATH_FILE).exists()
    assert not (tmp_path / "a/index" / cache.PATH_FILE).exists()
    assert place.is_dir(), "the cache was not used"


def test_a_path_of_odd_signs(packed: Path, home: Path) -> None:
    strange = packed.with_name("caf\u00e9\n.zip")
    packed.rename(strange)
    ask(strange)
    (place,) = home.iterdir()
    assert (place / cache.PATH_FILE).read_bytes() == os.fsencode(strange)
