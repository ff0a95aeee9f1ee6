"""Whether an index that is there already is one of ours, told by a process of its own.

It may have come with a stranger's archive, and a few octets of a Parquet file can stand for more
than any memory holds. So all of it is looked at where that is limited (``vetting_worker``), before
this process reads a row of it. Loads no pyarrow here.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from portarchive.index.place import state_of

KEY: Final = 16
"""Octets of a key."""
LEAST_ITEM: Final = 64
"""Octets of an item in folder.json, at least, whose row can be taken over: those of its SHA-256."""
SPARE_ROWS: Final = 100_000
"""Rows that an index may have beyond that: most of an archive may be gone since it was made."""
_PROGRAM: Final = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from portarchive.index.vetting_worker import serve; serve(sys.argv[2])"
)


def key(folder: str, uid: str, size: int | None, sha256: str | None) -> bytes | None:
    """What a row is found again by; None for what tells too little."""
    if size is None or sha256 is None:
        return None
    text = f"{folder}\0{uid}\0{size}\0{sha256}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=KEY).digest()


class Vetting:
    """Begun when it is made, so that other work goes on meanwhile. A context manager.

    Args:
        place: the directory of an index; None if none is to be looked at.
        listed: octets of all folder.json of the archive. An index of far more rows than these
            can list is not looked at: a key is held for each.
    """

    def __init__(self, place: Path | None, listed: int = 0) -> None:
        self._place = place
        self._state = None if place is None else state_of(place)
        self._process: subprocess.Popen[bytes] | None = None
        if place is not None and self._state is not None:
            rows = self._state["tables"]["messages"]["rows"]
            if rows <= listed // LEAST_ITEM + SPARE_ROWS:
                self._process = _started(place)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self._process.kill()
            if self._process.stdout is not None:
                self._process.stdout.close()
            self._process.wait()

    def keys(self) -> bytes | None:
        """``KEY`` octets for each row, NUL for what is not taken over; None: it is none of ours."""
        if self._process is None or self._state is None:
            return None
        told, _ = self._process.communicate()
        wanted = self._state["tables"]["messages"]["rows"] * KEY
        return told if self._process.returncode == 0 and len(told) == wanted else None

    def holds(self) -> bool:
        """Whether nobody has put another index there since: what was opened is what was seen."""
        return self._place is not None and state_of(self._place) == self._state


def _started(place: Path) -> subprocess.Popen[bytes] | None:
    """None if the system gives no process: then the index is built anew, which needs none."""
    try:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _PROGRAM, json.dumps(sys.path), str(place)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
    except OSError:
        return None
