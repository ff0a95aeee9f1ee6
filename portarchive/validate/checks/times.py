"""Times and durations of events and tasks: what their schema's pattern cannot tell (RFC 8984 §1.4).

Owns LocalDateTime (§1.4.4), Duration and SignedDuration (§1.4.6, §1.4.7). Times with an offset have
a format in the schemas. A duration may leave out what lies between its parts (``PT1H5S``), as many
programs do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from portarchive.validate.ijson_places import escape
from portarchive.validate.run import ObjectFacts, Run
from portarchive.validate.verdict import Verdict

_LOCAL = re.compile(r"(\d{4})(-\d\d-\d\dT\d\d:\d\d:)(\d\d)(?:\.\d*[1-9])?", re.ASCII)
_DURATION = re.compile(
    r"P(?=[\dT])(?:\d+W)?(?:\d+D)?(?:T(?=\d)(?:\d+H)?(?:\d+M)?(?:\d+(?:\.\d+)?S)?)?", re.ASCII
)
_LONGEST = 100
_TIMES = ("start", "due", "recurrenceId")
_DURATIONS = ("duration", "estimatedDuration")
_RULES = ("recurrenceRules", "excludedRecurrenceRules")
_LEAP_YEAR, _LEAP_SECOND, _LAST_SECOND = "2000", "60", "59"


def is_local_time(text: str) -> bool:
    """Whether a text is a LocalDateTime, of a day that there is."""
    found = _LOCAL.fullmatch(text) if len(text) <= _LONGEST else None
    if found is None:
        return False
    year, rest, second = found.groups()
    # datetime has neither the year 0, a leap year, nor leap seconds
    year = _LEAP_YEAR if year == "0000" else year
    try:
        datetime.fromisoformat(year + rest + (_LAST_SECOND if second == _LEAP_SECOND else second))
    except ValueError:
        return False
    return True


def is_duration(text: str, *, signed: bool = False) -> bool:
    """Whether a text is a Duration; ``signed``: or a SignedDuration."""
    if signed and text[:1] in {"+", "-"}:
        text = text[1:]
    return len(text) <= _LONGEST and _DURATION.fullmatch(text) is not None


def check_times(run: Run, facts: ObjectFacts, value: dict[str, Any], verdict: Verdict) -> None:
    """Every time and duration of an Event or Task, its overrides included."""
    for pointer, is_right in _found(value):
        if not is_right and not verdict.has(pointer):
            run.report.add("F-035", facts.path, pointer)


def _found(value: dict[str, Any]) -> Iterator[tuple[str, bool]]:
    yield from _of_one(value, "")
    overrides = value.get("recurrenceOverrides")
    for time, patch in overrides.items() if isinstance(overrides, dict) else ():
        here = f"/recurrenceOverrides/{escape(time)}"
        yield here, is_local_time(time)
        if isinstance(patch, dict):
            yield from _of_one(patch, here)


def _of_one(value: dict[str, Any], here: str) -> Iterator[tuple[str, bool]]:
    for name in _TIMES:
        if isinstance(value.get(name), str):
            yield f"{here}/{name}", is_local_time(value[name])
    for name in _DURATIONS:
        if isinstance(value.get(name), str):
            yield f"{here}/{name}", is_duration(value[name])
    for name in _RULES:
        rules = value.get(name)
        for index, rule in enumerate(rules if isinstance(rules, list) else ()):
            if isinstance(rule, dict) and isinstance(rule.get("until"), str):
                yield f"{here}/{name}/{index}/until", is_local_time(rule["until"])
    alerts = value.get("alerts")
    for key, alert in alerts.items() if isinstance(alerts, dict) else ():
        trigger = alert.get("trigger") if isinstance(alert, dict) else None
        offset = trigger.get("offset") if isinstance(trigger, dict) else None
        if isinstance(offset, str):
            yield f"{here}/alerts/{escape(key)}/trigger/offset", is_duration(offset, signed=True)
