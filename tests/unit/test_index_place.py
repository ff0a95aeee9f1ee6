"""Where an index may lie, and where none is written."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest

from exporting import account, export
from portarchive.archive.contents import open_contents
from portarchive.errors import Refused, SettingsError
from portarchive.index.build import build
from portarchive.index.place import locate


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "a"
    export(account("ids", INBOX=1), path)
    return path


def everything(path: Path) -> set[str]:
    return {str(one) for one in path.rglob("*")}


@pytest.mark.parametrize(
    "inside", ["mail/new", "mail", "mail/INBOX", "", ".portarchive", "new", "index/x", "index/../y"]
)
def test_nothing_is_written_within_the_archive(archive: Path, inside: str) -> None:
    before = everything(archive)
    with open_contents(archive) as contents:
        with pytest.raises(Refused) as raised:
            locate(archive, contents, archive / inside)
        assert "within the archive" in str(raised.value)
        assert raised.value.hint
    assert everything(archive) == before


def test_a_link_into_the_archive_is_within_it(archive: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(archive / "mail")
    other = tmp_path / "other"
    other.symlink_to(archive)
    with open_contents(archive) as contents:
        for place in (link, link / "new", other / "mail", link / ".." / "x"):
            with pytest.raises(Refused):
                locate(archive, contents, place)
    with open_contents(other) as contents, pytest.raises(Refused):
        locate(other, contents, archive / "mail" / "new")


def test_its_own_place_and_all_others_may_be_named(archive: Path, tmp_path: Path) -> None:
    with open_contents(archive) as contents:
        for place in (
            archive / "index",
            archive / "mail/../index",
            tmp_path / "i",
            tmp_path / "b/c",
        ):
            assert locate(archive, contents, place) == place
            assert build(contents, place, jobs=1).rows["messages"] == 1


def test_an_unwritable_place_names_both_options(archive: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with open_contents(archive) as contents, pytest.raises(Refused) as raised:
        build(contents, tmp_path / "file", jobs=1)
    assert "--output" in (raised.value.hint or "")
    assert "--index" in (raised.value.hint or "")


def test_without_a_home_directory_there_is_one_clear_line(
    archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    # a user that the system does not know, as in a container
    monkeypatch.setattr(os, "getuid", lambda: 2_000_000_001)
    packed = archive.parent / "a.zip"
    with zipfile.ZipFile(packed, "w") as out:
        for one in sorted(archive.rglob("*")):
            out.write(one, one.relative_to(archive))
    with open_contents(packed) as contents:
        with pytest.raises(SettingsError) as raised:
            locate(packed, contents)
        assert "XDG_CACHE_HOME" in (raised.value.hint or "")
        monkeypatch.setenv("XDG_CACHE_HOME", str(archive.parent / "cache"))
        assert locate(packed, contents).is_relative_to(archive.parent / "cache")
