"""Places that may not be looked into, for root as well, who may look anywhere."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NOBODY = 65534


@contextmanager
def open_place() -> Iterator[Path]:
    """A directory that anybody may use, and that goes away with all that is in it."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        place.chmod(0o777)
        yield place


@contextmanager
def closed(*paths: Path) -> Iterator[None]:
    """Nobody may read these meanwhile; root, who may, is somebody else for as long."""
    modes = {path: path.stat().st_mode for path in paths}
    for path in paths:
        path.chmod(0)
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        for path, mode in modes.items():
            path.chmod(mode & 0o7777)
