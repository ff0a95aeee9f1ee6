"""The line between a connector in memory and its account: it breaks on demand.

It owns which connection stands and which error is due at which step. It knows no message.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from portarchive.errors import ConnectionLost, ConnectorError, RateLimited

Where = Literal[
    "any", "identity", "folders", "changes", "fetch", "chunks", "reconnect",
    "ensure", "made", "existing", "headers", "place", "stored",
]  # fmt: skip


@dataclass(slots=True, kw_only=True)
class Fault:
    """An error that is raised at a place of the protocol.

    Attributes:
        where: the method; ``chunks`` for the middle of a body; ``made`` and ``stored``: the mailbox
            is made, the message is stored, and only the answer is lost; ``any`` step but
            ``reconnect``.
        error: what is raised. Every error but ``RateLimited`` also breaks the connection.
        after: how many steps go well before: events of ``changes`` and ``existing``, messages of
            ``fetch``, ``headers`` and ``place``, wishes of ``ensure``, chunks of bodies, calls of
            the others; counted over connections, anew each time it struck.
        times: how often it strikes.
    """

    where: Where
    error: ConnectorError
    after: int = 0
    times: int = 1


class Line:
    """The one connection, as part of a connector.

    Attributes:
        faults: errors to come; the first that is due strikes.
        reconnects: how often ``reconnect`` was called.
    """

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self.faults = list(faults)
        self.reconnects = 0
        self._steps: dict[int, int] = {}
        self._session = 0
        self._dead = False

    def drop(self) -> None:
        """The connection breaks now."""
        self._dead = True

    def reconnect(self) -> None:
        """A new connection; what was begun on the old one is dead."""
        self.reconnects += 1
        self._session += 1
        self._dead = False
        self._step("reconnect", self._session)

    def close(self) -> None:
        """Nothing can be asked any more, until ``reconnect``."""
        self._dead = True

    def _stands(self, session: int) -> None:
        if self._dead or session != self._session:
            raise ConnectionLost("the connection is closed")

    def _break(self) -> None:
        self._dead = True
        raise ConnectionLost("the server closed the connection")

    def _step(self, where: Where, session: int) -> None:
        """One step at this place; raises the fault that is due."""
        self._stands(session)
        places = {where} if where == "reconnect" else {where, "any"}
        for fault in [fault for fault in self.faults if fault.where in places and fault.times > 0]:
            done = self._steps.get(id(fault), 0)
            if done < fault.after:
                self._steps[id(fault)] = done + 1
                continue
            self._steps[id(fault)] = 0
            fault.times -= 1
            self._dead = self._dead or not isinstance(fault.error, RateLimited)
            raise copy.copy(fault.error)
