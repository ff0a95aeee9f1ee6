"""Waiting until a server is done with what a lost connection had sent.

A server that has read a request goes on with it when the connection breaks. Who looks what is there
before it is done misses those messages, and sends them twice where equal ones are not one. Nothing
in JMAP tells when that is; so it is waited until the state of the account's Emails stands still for
as long as a window takes.
"""

from __future__ import annotations

import time
from typing import Final

from portarchive.connectors.jmap.replies import expect
from portarchive.connectors.jmap.session import Session

QUIET: Final = 0.5
"""Seconds without a change, at least."""

LONGEST: Final = 10.0
"""Seconds without a change, at most, however slow the server was."""

PATIENCE: Final = 60.0
"""Seconds after which it is not waited any more: mail keeps coming."""

STEP: Final = 0.1


def settle(session: Session, slowest: float) -> None:
    """Wait until the account stands still.

    Args:
        session: connected anew.
        slowest: seconds that a window took at most.

    Raises:
        What ``Session.call`` raises.
    """
    quiet = min(LONGEST, max(QUIET, 2 * slowest))
    began = since = time.monotonic()
    seen = _state(session)
    while (now := time.monotonic()) - since < quiet and now - began < PATIENCE:
        time.sleep(min(STEP, quiet))
        state = _state(session)
        if state != seen:
            seen, since = state, time.monotonic()


def _state(session: Session) -> str | None:
    answer = session.call([("Email/get", {"ids": []})])[0]
    state = expect("Email/get", answer).get("state")
    return state if isinstance(state, str) else None
