"""How many requests may be on their way at once, and fewer from now on when that was too many."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final, Self

LONGEST: Final = 300.0
"""Seconds that anybody waits for a place. Who goes in then makes one request too many, which the
server may refuse; to wait for a place that nobody gives back would be to stand still for ever."""


class Gate:
    """Lets ``width`` requests in at a time.

    A thread that is alone inside, with a body that it has not read to the end, may go in once more:
    it would wait for itself.

    Attributes:
        width: at least 1.
    """

    def __init__(self, width: int) -> None:
        self.width = width
        self._inside: list[int] = []
        self._changed = threading.Condition()

    @property
    def crowded(self) -> bool:
        """Whether there is more than one inside."""
        return len(self._inside) > 1

    def enter(self) -> Callable[[], None]:
        """Wait for a place. What is returned gives it back: once, from any thread."""
        me = threading.get_ident()
        with self._changed:
            self._changed.wait_for(lambda: self._has_place(me), LONGEST)
            self._inside.append(me)
        return lambda: self._leave(me)

    def _has_place(self, thread: int) -> bool:
        return len(self._inside) < self.width or set(self._inside) == {thread}

    def _leave(self, thread: int) -> None:
        with self._changed:
            self._inside.remove(thread)
            self._changed.notify_all()

    def __enter__(self) -> Self:
        self.enter()
        return self

    def __exit__(self, *_: object) -> None:
        self._leave(threading.get_ident())

    def narrow(self, width: int) -> None:
        """It is not to be wider than that from now on; who is inside stays there."""
        with self._changed:
            self.width = max(1, min(self.width, width))

    def shrink(self) -> None:
        """It was too wide: less than what was inside just now."""
        with self._changed:
            self.width = max(1, min(self.width, len(self._inside)) - 1)
