"""Runs exports in children of its own and lets one call of each go wrong. A script.

Reads one JSON object a line from stdin: ``situation``, ``when`` (``past`` or ``present``),
``archive``, ``at`` and ``how`` (see ``counted_calls``), ``scribe_after`` (see ``writer``). Answers
each with one: ``status`` (exit code, or minus the signal), ``delivered`` (messages that the source
handed out), ``calls`` ([name, path] of each) and ``result`` (of the export, or ``error`` and
``exit_code``).

It forks from one warm process because a thousand fresh interpreters would take minutes.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from counted_calls import Calls
from mailboxes import BATCH, PAST, PRESENT, SITUATIONS

from portarchive.archive import batch, stray, writer
from portarchive.errors import PortArchiveError
from portarchive.jobs.export import ExportOptions, run_export
from portarchive.progress import silent

_write = os.write
_IDS = {
    "past": "00000000-0000-4000-8000-000000000001",
    "present": "00000000-0000-4000-8000-000000000002",
}


def export(job: dict[str, Any], pipe: int) -> None:
    """In the child: one export, told to the parent as it goes."""

    def tell(kind: str, value: object) -> None:
        _write(pipe, f"{json.dumps([kind, value])}\n".encode())

    assert batch.MESSAGES > BATCH
    assert writer.SCRIBE_AFTER > 1
    batch.MESSAGES = BATCH
    writer.SCRIBE_AFTER = job["scribe_after"]
    situation = SITUATIONS[job["situation"]]
    build = situation.past if job["when"] == "past" else situation.present
    assert build is not None
    source = build()
    source.after_message = lambda _: tell("delivered", 1)
    options = ExportOptions(
        now=PAST if job["when"] == "past" else PRESENT,
        archive_id=_IDS[job["when"]],
        **situation.options,
    )
    Calls(job["at"], job["how"], lambda name, path: tell("call", [name, path])).install()
    try:
        report = run_export(source, Path(job["archive"]), options, silent)
    except PortArchiveError as error:
        tell("result", {"error": error.code, "exit_code": error.exit_code, "text": error.text})
    else:
        tell("result", {"complete": report.complete, "published": report.published})


def run(job: dict[str, Any]) -> dict[str, Any]:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            export(job, writing)
        except BaseException:  # noqa: BLE001 - whatever it was, this process must not go on
            import traceback

            traceback.print_exc()
            os._exit(70)
        os._exit(0)
    os.close(writing)
    answer: dict[str, Any] = {"delivered": 0, "calls": [], "result": None}
    with os.fdopen(reading, "rb") as told:
        for line in told:
            if line.endswith(b"\n"):
                kind, value = json.loads(line)
                if kind == "delivered":
                    answer["delivered"] += 1
                elif kind == "call":
                    answer["calls"].append(value)
                else:
                    answer["result"] = value
    answer["status"] = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return answer


def main() -> None:
    assert stray is not None  # imported here, so that no child has to
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
