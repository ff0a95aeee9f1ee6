"""What a calendar, event, task or note shows beyond its schema (draft §6.3.4 … §6.3.6)."""

from __future__ import annotations

import re
from typing import Any

from portarchive.validate.checks.times import check_times
from portarchive.validate.run import ObjectFacts, Run
from portarchive.validate.verdict import Verdict

_MARKUP = re.compile(
    r"\s*<(?:!doctype\s+html|html|head|body|p|div|h[1-6]|ul|ol|table|br|span)\b", re.IGNORECASE
)
_NEWER = {
    "Event": ("recurrenceRule", "excludedRecurrenceRule", "calendarAddress", "mainLocationId"),
    "Task": ("recurrenceRule", "excludedRecurrenceRule", "calendarAddress"),
}
_PLAIN = {"text/plain", "text/html", "text/markdown"}


def check(run: Run, facts: ObjectFacts, value: dict[str, Any], verdict: Verdict) -> None:
    """One Calendar, Event, Task or Note; its references go into ``facts``."""
    add = run.report.add
    if facts.type == "Note":
        _check_note(run, facts, value)
        return
    calendars = value.get("calendarIds")
    if isinstance(calendars, dict):
        facts.references += [("calendarIds", uid) for uid in calendars]
    if facts.type == "Task" and value.get("progress") == "in-progress":
        add("C-072", facts.path, "/progress")
    for member in _NEWER.get(facts.type, ()):
        if member in value:
            add("C-077", facts.path, f"/{member}")
    if facts.type in _NEWER:
        check_times(run, facts, value, verdict)
    facts.recurs = bool(value.get("recurrenceRules") or value.get("recurrenceRule"))
    recurrence, start = value.get("recurrenceId"), value.get("start")
    facts.recurrence = recurrence if isinstance(recurrence, str) else ""
    facts.start = start if isinstance(start, str) else ""


def _check_note(run: Run, facts: ObjectFacts, value: dict[str, Any]) -> None:
    kind, body = value.get("contentType", "text/plain"), value.get("body")
    if not isinstance(kind, str):
        return
    plain = kind.partition(";")[0].strip().lower()
    if plain in _PLAIN and kind not in _PLAIN:
        run.report.add("C-081", facts.path, "/contentType")
    if isinstance(body, str) and plain == "text/plain" and _MARKUP.match(body):
        run.report.add("P-029", facts.path, "/body")
