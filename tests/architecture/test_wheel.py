"""What is installed is what was meant: sdist, wheel, empty environment, outside the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

import portarchive

ROOT = Path(__file__).parents[2]


def run(*command: str | Path, cwd: Path) -> str:
    """Run it without anything of the checkout on the module path."""
    quiet = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(command, cwd=cwd, env=quiet, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("sdist")
    run(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", out, cwd=ROOT)
    (archive,) = out.glob("*.tar.gz")
    return archive


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the unpacked sdist, as an index's users get it."""
    out = tmp_path_factory.mktemp("wheel")
    with tarfile.open(sdist) as tar:
        tar.extractall(out, filter="data")
    source = out / sdist.name.removesuffix(".tar.gz")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", out, cwd=source)
    (archive,) = out.glob("*.whl")
    return archive


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel and, by path only, the libraries it needs.

    A .pth file that names a directory does not run the .pth files in it, so the editable install of
    the checkout cannot leak in.
    """
    home = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", home, cwd=home)
    run(
        *(sys.executable, "-m", "pip", "--disable-pip-version-check"),
        *("--python", home / "bin/python", "install", "--quiet", "--no-deps", "--no-index", wheel),
        cwd=home,
    )
    (packages,) = home.glob("lib/python*/site-packages")
    (packages / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return home


def test_sdist_holds_what_a_packager_needs(sdist: Path) -> None:
    with tarfile.open(sdist) as tar:
        names = {name.partition("/")[2] for name in tar.getnames()}
    wanted = {"LICENSE", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "Makefile"}
    assert wanted | {"tests/architecture/test_wheel.py", "schemas/README.md"} <= names
    hidden = {name for name in names if name.startswith(".")} - {".gitignore"}
    assert not hidden
    assert not {name for name in names if "__pycache__" in name}


def test_wheel_holds_schemas_and_samples_whole(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    for room in ("schemas", "samples"):
        sources = [
            file
            for file in (ROOT / room).rglob("*")
            if file.is_file() and "__pycache__" not in file.parts
        ]
        assert sources, f"{room}/ is empty"
        for file in sources:
            inside = f"portarchive/_{file.relative_to(ROOT).as_posix()}"
            assert content[inside] == file.read_bytes()
    assert "portarchive/py.typed" in content
    assert not [name for name in content if "__pycache__" in name]
    assert not [name for name in content if name.split("/")[0] in {"tests", "bench", "docs"}]


def test_installed_wheel_runs_outside_the_checkout(installed: Path, tmp_path: Path) -> None:
    where = run(
        *(installed / "bin/python", "-c"),
        "import portarchive; print(portarchive.__file__)",
        cwd=tmp_path,
    )
    assert Path(where.strip()).is_relative_to(installed.resolve())
    told = run(installed / "bin/portarchive", "--version", cwd=tmp_path)
    assert portarchive.__version__ in told
    assert "export" in run(installed / "bin/portarchive", "--help", cwd=tmp_path)


FIND = (
    "from portarchive.demo.mailbox import load, samples_directory as where; load(); print(where())"
)


def test_installed_wheel_finds_its_samples(installed: Path, tmp_path: Path) -> None:
    found = run(installed / "bin/python", "-c", FIND, cwd=tmp_path)
    assert Path(found.strip()).is_relative_to(installed.resolve())


def test_editable_install_finds_the_checkouts_samples(tmp_path: Path) -> None:
    """An editable install may bring a copy of them; what counts is what is being edited."""
    found = run(sys.executable, "-c", FIND, cwd=tmp_path)
    assert Path(found.strip()) == ROOT / "samples"
