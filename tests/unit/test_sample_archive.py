"""``samples/archive`` is what its script makes, and what the chain of digests says it is."""

from __future__ import annotations

import filecmp
import subprocess
import sys
from pathlib import Path

from portarchive.archive.reader import ArchiveReader

SAMPLES = Path(__file__).parents[2] / "samples"


def _files(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def test_the_script_makes_the_committed_archive(tmp_path: Path) -> None:
    made = tmp_path / "archive"
    subprocess.run(
        [sys.executable, str(SAMPLES / "make_archive.py"), "--output", str(made)], check=True
    )
    committed = SAMPLES / "archive"
    names = sorted(_files(committed))
    assert _files(made) == set(names)
    _, different, unreadable = filecmp.cmpfiles(made, committed, names, shallow=False)
    assert (different, unreadable) == ([], [])


def test_every_digest_of_the_committed_archive_holds() -> None:
    reader = ArchiveReader.open(SAMPLES / "archive")
    checked = list(reader.check_digests())
    assert len(checked) > 100
    assert [problem for _, _, problem in checked if problem is not None] == []
