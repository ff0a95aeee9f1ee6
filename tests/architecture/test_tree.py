"""The files of the project: nothing in them that belongs to one machine."""

from __future__ import annotations

import os
import re
import stat
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOT_OURS = {"__pycache__", "node_modules", "dist", "out"}
# Jane is the person of all examples.
OF_A_MACHINE = re.compile(r"(?<![\w.~-])/(?:home|root|work|Users|mnt|srv)/(?!jane\b)[\w.-]")
AN_INDEX = re.compile(r"index-url|find-links|trusted-host|PIP_INDEX")


def files() -> Iterator[Path]:
    for folder, names, inside in os.walk(ROOT):
        names[:] = [n for n in names if n not in NOT_OURS and (n == ".ci" or n[0] != ".")]
        yield from (Path(folder, name) for name in inside)


def texts() -> Iterator[tuple[Path, str]]:
    for file in files():
        if file.suffix in {".eml", ".pdpa", ".pyc"} or file.name == "LICENSE":
            continue
        try:
            yield file, file.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue


def test_the_walk_sees_the_tree() -> None:
    seen = {str(file.relative_to(ROOT)) for file in files()}
    assert {"Makefile", ".ci/run", "portarchive/errors.py", "schemas/README.md"} <= seen
    assert len(seen) > 50


def test_no_path_of_a_machine() -> None:
    found = [
        f"{file.relative_to(ROOT)}: {match.group()}"
        for file, text in texts()
        if file != Path(__file__)
        for match in OF_A_MACHINE.finditer(text)
    ]
    assert not found, found


def test_the_pattern_finds_a_path_of_a_machine() -> None:
    assert OF_A_MACHINE.search("see /" + "home/ines/mail")
    assert not OF_A_MACHINE.search("https://example.org/home/page")


@pytest.mark.parametrize("name", ["Makefile", ".ci/run", "pyproject.toml"])
def test_no_index_is_named(name: str) -> None:
    """Packages come from whatever index the machine is set up for."""
    assert not AN_INDEX.search((ROOT / name).read_text(encoding="utf-8"))


def test_no_password_in_an_example_url() -> None:
    """What a README shows is what people type."""
    a_password = re.compile(r"(?:imap|jmap)s?://[^/\s@:]+:[^/\s@]+@")
    for file, text in texts():
        if file.suffix == ".md":
            assert not a_password.search(text), file


def test_ci_is_executable_and_is_make_test() -> None:
    script = ROOT / ".ci/run"
    assert script.stat().st_mode & stat.S_IXUSR
    assert "make --no-print-directory test" in script.read_text(encoding="utf-8")


def test_python_range_is_the_same_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["requires-python"] == ">=3.11,<3.15"
    assert "(3, 11) <= sys.version_info[:2] < (3, 15)" in (ROOT / "Makefile").read_text()
    assert "Python 3.11 to 3.14" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_octets_are_left_alone_by_git() -> None:
    attributes = (ROOT / ".gitattributes").read_text(encoding="utf-8").splitlines()
    assert {"*.eml -text", "samples/** -text", "tests/corpus/** -text"} <= set(attributes)


def test_links_between_the_documents_lead_somewhere() -> None:
    link = re.compile(r"\]\((?!https?://|mailto:|#)([^)#\s]+)")
    for file, text in texts():
        if file.suffix == ".md":
            for match in link.finditer(text):
                assert (file.parent / match.group(1)).exists(), f"{file.name}: {match.group(1)}"
