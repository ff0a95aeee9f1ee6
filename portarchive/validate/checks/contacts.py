"""What a Card or an address book shows beyond its schema (draft §6.3.2, §6.3.3)."""

from __future__ import annotations

import re
from typing import Any

from portarchive.validate.run import ObjectFacts, Run

_BASIC = re.compile(r"\d{8}T\d{6}")


def check(run: Run, facts: ObjectFacts, value: dict[str, Any]) -> None:
    """One Card or AddressBook; its references go into ``facts``."""
    if facts.type != "Card":
        return
    version, rev = value.get("version"), value.get("rev")
    if isinstance(version, str) and version not in {"1.0", "2.0"}:
        run.report.add("C-060", facts.path, "/version")
    if isinstance(rev, str) and _BASIC.match(rev):
        run.report.add("C-055", facts.path, "/rev")
    for member in ("addressBookIds", "members", "relatedTo"):
        found = value.get(member)
        if isinstance(found, dict):
            facts.references += [(member, uid) for uid in found]
        elif isinstance(found, list):  # of the first drafts
            facts.references += [(member, uid) for uid in found if isinstance(uid, str)]
