"""What the fake JMAP server does on a bad day: data, to be put into ``FakeJmap.on``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

LIMIT = "urn:ietf:params:jmap:error:limit"
NOT_REQUEST = "urn:ietf:params:jmap:error:notRequest"
UNKNOWN_CAPABILITY = "urn:ietf:params:jmap:error:unknownCapability"


@dataclass(frozen=True)
class Status:
    """An HTTP answer in place of the right one.

    Attributes:
        problem: RFC 7807, or other JSON, or other octets.
        reason: words of the status line, None for the usual ones.
    """

    status: int
    problem: Any = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    reason: str | None = None


@dataclass(frozen=True)
class Drop:
    """The connection breaks: before anything is done, or after all of it."""

    when: Literal["before", "after"]


@dataclass(frozen=True)
class Slow:
    """So many seconds until anything is done; ``after``: until it is answered."""

    seconds: float
    after: bool = False


@dataclass(frozen=True)
class Error:
    """A method-level error (RFC 8620 section 3.6.2)."""

    type: str
    more: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Partly:
    """``serverPartialFail``: only so many of what is to be created are, and it does not say which.

    The method is done for the first ones.
    """

    done: int


Action = Status | Drop | Slow | Error | Partly


@dataclass
class Fault:
    """An action at a place, after so many that pass, so many times."""

    where: str
    action: Action
    skip: int = 0
    times: int = 1

    def strikes(self, where: str) -> bool:
        if where != self.where or not self.times:
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.times -= 1
        return True


class DroppedError(Exception):
    """The connection is to be broken now."""


class MethodFailedError(Exception):
    """A method-level error."""

    def __init__(self, kind: str, **more: Any) -> None:
        super().__init__(kind)
        self.answer = {"type": kind, **more}
