"""How long to wait before a connection is made anew, and when that is not worth it any more.

It owns the delays, the server's own hints, and the count of losses without progress. It refuses to
know what was being done when the connection broke: ``retry`` does, and decides what to ask again.
"""

from __future__ import annotations

import random as chance
import time
from collections.abc import Callable

from portarchive.errors import (
    AuthenticationFailed,
    ConnectionLost,
    ConnectorError,
    RateLimited,
    ServerMisbehaved,
    TokenExpired,
    Unreachable,
)
from portarchive.progress import Observer, Waiting

LOGIN_PAUSE = 15.0
LOGIN_TRIES = 3

RESUME = "Run the same command again: it goes on where it stopped."

_REASONS: dict[type[ConnectorError], str] = {
    RateLimited: "the server asks for patience",
    TokenExpired: "the access token expired",
    AuthenticationFailed: "the login was refused",
    Unreachable: "the server cannot be reached",
    ServerMisbehaved: "the server's answer makes no sense",
    ConnectionLost: "the connection was lost",
}


class Backoff:
    """Delays that double: each between half and all of ``first``, 2 ``first``, … ``ceiling``."""

    def __init__(
        self,
        *,
        first: float = 1.0,
        ceiling: float = 60.0,
        random: Callable[[], float] = chance.random,
    ) -> None:
        self._first, self._ceiling, self._random = first, ceiling, random
        self._full = first

    def delay(self) -> float:
        """Seconds to wait now; the next delay is longer."""
        full, self._full = self._full, min(self._full * 2, self._ceiling)
        return full * (0.5 + self._random() / 2)

    def reset(self) -> None:
        """Begin with the first delay again."""
        self._full = self._first


class Patience:
    """Stands between what needs a connection and the connection.

    Args:
        reconnect: makes a new connection, or raises ``ConnectorError``.
        observer: is told ``Waiting``, also of 0 seconds, before each reconnect.
        max_wait: the longest wait in seconds that a server may ask for.
        sleep: waits so many seconds.
        attempts: so many losses in a row without any progress end the run, and so many entries
            given up in a row without an answer in between.
        clock: seconds, monotonic.
        random: from 0 to 1, for the jitter.

    Attributes:
        progress: how often something went well.
        generation: how many connections were made anew.
        trouble: the connection was lost and not made anew yet.
    """

    def __init__(
        self,
        reconnect: Callable[[], None],
        *,
        observer: Observer,
        max_wait: float = 3600.0,
        sleep: Callable[[float], object] = time.sleep,
        attempts: int = 8,
        clock: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = chance.random,
    ) -> None:
        self.progress = 0
        self.generation = 0
        self.trouble = False
        self.now = clock
        self._reconnect = reconnect
        self._observer = observer
        self._max_wait = max_wait
        self._sleep = sleep
        self._attempts = attempts
        self._backoff = Backoff(random=random)
        self._due = 0.0
        self._why = ""
        self._losses = 0
        self._refusals = 0
        self._given_up_in_a_row = 0

    def stand(self) -> None:
        """Return with a connection that was not lost yet; may take its time.

        Raises:
            ConnectorError: as ``lost`` does, if reconnecting fails for good.
        """
        while self.trouble:
            seconds = max(0.0, self._due - self.now())
            self._observer(Waiting(seconds, self._why))
            if seconds > 0:
                self._sleep(seconds)
            try:
                self._reconnect()
            except ConnectorError as error:
                self.lost(error)
            else:
                self.trouble = False
                self.generation += 1

    def went_well(self) -> None:
        """The server answered to the point."""
        self.progress += 1
        if self._losses or self._given_up_in_a_row:
            self._losses = self._refusals = self._given_up_in_a_row = 0
            self._backoff.reset()

    def lost(
        self,
        error: ConnectorError,
        *,
        at: float | None = None,
        given_up: int = 0,
        isolating: bool = False,
    ) -> None:
        """Note what has to be mended before the next request; raises what ends the run.

        Args:
            error: what came of the last request.
            at: when it came, by ``now``; None: now.
            given_up: entries that were given up for it. The count of losses begins anew.
            isolating: nonsense of the server counts too: it may be about a single entry.

        Raises:
            ConnectorError: the error itself if reconnecting does not mend it, or one like it with
                the next step once there was no progress for ``attempts`` times.
            RateLimited: the server wants more patience than ``max_wait``; says when to come back.
        """
        if not self._can_be_mended(error, isolating=isolating):
            raise error
        self.trouble = True
        if given_up:
            self._losses = 0
            self._backoff.reset()
            self._given_up_in_a_row += given_up
        self._losses += 1
        self._refusals += isinstance(error, AuthenticationFailed)
        if self._refusals >= LOGIN_TRIES:
            raise error
        hint = _hint(error)
        if hint is not None and hint > self._max_wait:
            raise RateLimited(
                f"{error.text} (the server asks to wait {_duration(hint)}, "
                f"the longest wait allowed here is {_duration(self._max_wait)})",
                retry_after=hint,
                hint=RESUME.replace("again", f"again in {_duration(hint)}"),
            ) from error
        if self._losses >= self._attempts or self._given_up_in_a_row >= self._attempts:
            text = f"{error.text} ({self._attempts} times in a row without any progress)"
            if isinstance(error, RateLimited):
                raise RateLimited(text, retry_after=error.retry_after, hint=RESUME) from error
            raise type(error)(text, hint=error.hint or RESUME, code=error.code) from error
        self._due = (self.now() if at is None else at) + self._delay(error, hint)
        self._why = reason(error)

    def _can_be_mended(self, error: ConnectorError, *, isolating: bool) -> bool:
        if isinstance(error, ConnectionLost | TokenExpired | RateLimited):
            return True
        if isinstance(error, Unreachable | AuthenticationFailed):
            return self.progress > 0  # it was reached before: it may come back
        return isolating and isinstance(error, ServerMisbehaved)

    def _delay(self, error: ConnectorError, hint: float | None) -> float:
        """Seconds from the loss to the next try."""
        if hint is not None:
            return hint
        if isinstance(error, AuthenticationFailed):
            return min(LOGIN_PAUSE * self._refusals, self._max_wait)
        if isinstance(error, ServerMisbehaved):
            return 0.0  # time does not mend it
        if isinstance(error, ConnectionLost | TokenExpired) and self._losses == 1:
            return 0.0
        return min(self._backoff.delay(), self._max_wait)


def reason(error: ConnectorError) -> str:
    """Why, in our own words: the server's text is nothing for a progress line or a verdict."""
    return next((text for kind, text in _REASONS.items() if isinstance(error, kind)), error.code)


def _hint(error: ConnectorError) -> float | None:
    """Seconds that the server itself named. Less than one is no hint, nor is what is no number."""
    if isinstance(error, RateLimited) and error.retry_after is not None and error.retry_after >= 1:
        return error.retry_after
    return None


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} seconds"
    if seconds < 7200:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / 3600:.1f} hours"
