"""What a schema said of a value, told once a place; and which places it has condemned.

What a value means is looked at only where its schema lets it pass: one defect is one finding.
Refuses to decide what a violation is called, which is the business of each check.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from portarchive.validate.report import KEPT
from portarchive.validate.schema_check import OF_NAMES, SchemaCheck, Violation

if TYPE_CHECKING:
    from portarchive.validate.run import Run


@dataclass(frozen=True, slots=True)
class Verdict:
    """The places of a value that break its schema, as far as they were told.

    Attributes:
        condemned: JSON pointers of the values that are wrong by themselves.
        incomplete: of those that lack a member.
    """

    condemned: frozenset[str] = frozenset()
    incomplete: frozenset[str] = frozenset()

    def has(self, pointer: str) -> bool:
        """Whether a value, or one that it is part of, is condemned."""
        if not self.condemned:
            return False
        while pointer:
            if pointer in self.condemned:
                return True
            pointer = pointer.rpartition("/")[0]
        return "" in self.condemned

    def touches(self, pointer: str) -> bool:
        """Whether a value, one that it is part of, or one that is part of it is condemned."""
        return self.has(pointer) or any(one.startswith(f"{pointer}/") for one in self.condemned)


SOUND = Verdict()
_SMALL, _LARGE = 100, 10_000
"""Values in one that counts as one, and more than which are not counted."""


def judge(
    run: Run,
    check: SchemaCheck,
    value: Any,
    path: str,
    code_of: Callable[[Violation], str],
    prefix: str = "",
) -> Verdict:
    """Tell what is wrong with a value of the document at ``path``.

    ``prefix``: the JSON pointer of the value. The pointers of the verdict are below the value.
    """
    if check.answer(value, unsure=False):
        return SOUND
    found = check.violations(value, briefly=run.explained >= KEPT)
    run.explained += 1 + _size(value) // _SMALL
    for violation in found:
        run.report.add(code_of(violation), path, violation.pointer(prefix), violation.text)
    return Verdict(
        frozenset(one.pointer() for one in found if _condemns(one)),
        frozenset(one.pointer() for one in found if one.missing),
    )


def _condemns(violation: Violation) -> bool:
    """Whether the value at its place is wrong by itself, and not for want of a member or a name."""
    return not violation.missing and violation.keyword not in {OF_NAMES, ""}


def _size(value: Any) -> int:
    """How many values are in one, as far as it matters."""
    stack, count = [value], 0
    while stack and count < _LARGE:
        one = stack.pop()
        count += 1
        if isinstance(one, dict | list):
            room = max(0, _LARGE - count - len(stack))
            stack.extend(islice(one.values() if isinstance(one, dict) else one, room))
    return count
