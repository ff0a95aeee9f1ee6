"""How many requests may be on their way at once, and fewer from now on when that was too many."""

from __future__ import annotations

import threading
from typing import Self


class Gate:
    """Lets ``width`` threads in at a time. Not to be entered twice by one thread.

    Attributes:
        width: at least 1.
    """

    def __init__(self, width: int) -> None:
        self.width = width
        self._inside = 0
        self._changed = threading.Condition()

    def __enter__(self) -> Self:
        with self._changed:
            self._changed.wait_for(lambda: self._inside < self.width)
            self._inside += 1
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._inside -= 1
            self._changed.notify()

    def shrink(self) -> None:
        """It was too wide: less than what was inside just now."""
        with self._changed:
            self.width = max(1, min(self.width, self._inside) - 1)
