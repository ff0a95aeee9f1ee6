"""A validation as SARIF 2.1.0 (OASIS Standard, with Errata 01), for scanners and their viewers.

A code is a rule, a finding a result. Findings are placed relative to the archive's root, which
stands as the base ``ARCHIVE``: where it lies is not told, a viewer asks for it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from portarchive import __version__
from portarchive.cli.output import counted
from portarchive.cli.safe_text import safe
from portarchive.cli.validate_view import Group, grouped, line_and_column, verdict
from portarchive.errors import ExitCode
from portarchive.validate.report import Finding, Report

SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
ROOT = "ARCHIVE"
"""The uriBaseId of the archive's root."""


def sarif_of(report: Report, *, strict: bool) -> dict[str, Any]:
    """The log: one run, its rules only those that were broken.

    Args:
        report: of one archive.
        strict: whether warnings count; shows in the exit code.
    """
    groups = [group for _, of_severity in grouped(report) for group in of_severity]
    archive = _archive(report)
    results = [
        _result(found, number, archive)
        for number, group in enumerate(groups)
        for found in group.findings
    ]
    code = report.exit_code(strict=strict)
    properties = report.to_dict()
    del properties["findings"]
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "portarchive",
                        "semanticVersion": __version__,
                        "rules": [_rule(group) for group in groups],
                    }
                },
                "invocations": [
                    {
                        "executionSuccessful": code is not ExitCode.BUG,
                        "exitCode": int(code),
                        "exitCodeDescription": verdict(report, strict=strict),
                        "toolExecutionNotifications": [
                            _cut(group, number)
                            for number, group in enumerate(groups)
                            if group.count > len(group.findings)
                        ],
                    }
                ],
                "originalUriBaseIds": {ROOT: {"description": {"text": "The root of the archive."}}},
                "columnKind": "unicodeCodePoints",
                "results": results,
                "properties": properties,
            }
        ],
    }


def _archive(report: Report) -> dict[str, Any]:
    """The location of what concerns no single file."""
    name = safe(report.archive).rstrip("/").rpartition("/")[2]
    return {"message": {"text": f"the archive {name}".rstrip()}}


def _rule(group: Group) -> dict[str, Any]:
    row = group.row
    rule: dict[str, Any] = {
        "id": row.id,
        "shortDescription": {"text": row.meaning},
        "defaultConfiguration": {"level": _level(group)},
        "properties": {"clause": row.clause, "count": group.count},
    }
    if row.hint:
        rule["help"] = {"text": row.hint}
    return rule


def _level(group: Group) -> str:
    """SARIF has our three words, and ``none`` (§3.27.10)."""
    return "none" if group.row.severity is None else group.row.severity.value


def _result(found: Finding, rule: int, archive: Mapping[str, Any]) -> dict[str, Any]:
    place = f"{found.code}\0{found.path}\0{found.pointer}\0{found.text}"
    return {
        "ruleId": found.code,
        "ruleIndex": rule,
        "level": found.severity.value,
        "message": {"text": _message(found)},
        "locations": [_location(found) if found.path else dict(archive)],
        "partialFingerprints": {"finding/v1": hashlib.sha256(place.encode()).hexdigest()},
    }


def _message(found: Finding) -> str:
    """Plain text in which nothing is a placeholder (§3.11.5) or an embedded link (§3.11.6)."""
    text = safe(found.text).replace("{", "{{").replace("}", "}}")
    return text.replace("](", "] (")


def _location(found: Finding) -> dict[str, Any]:
    path, pointer = safe(found.path), safe(found.pointer)
    location: dict[str, Any] = {}
    if _leads_out(path):
        # no URI may be made of it: a viewer would follow it
        location["logicalLocations"] = [{"fullyQualifiedName": f"{path} {pointer}".rstrip()}]
        return location
    physical: dict[str, Any] = {
        "artifactLocation": {"uri": quote(path, safe="/"), "uriBaseId": ROOT}
    }
    location["physicalLocation"] = physical
    place = line_and_column(pointer)
    if place is not None:
        physical["region"] = {"startLine": place[0], "startColumn": place[1]}
    elif pointer:
        location["logicalLocations"] = [{"fullyQualifiedName": pointer}]
    return location


def _leads_out(path: str) -> bool:
    return path.startswith("/") or not {"", ".", ".."}.isdisjoint(path.split("/"))


def _cut(group: Group, rule: int) -> dict[str, Any]:
    return {
        "level": "note",
        "message": {
            "text": f"{group.row.id}: {counted(len(group.findings), 'finding')} of"
            f" {group.count:,} are listed."
        },
        "associatedRule": {"id": group.row.id, "index": rule},
    }
