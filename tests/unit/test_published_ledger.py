"""What a manifest says of its folders is looked at before anything is built on it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from exporting import account, export
from portarchive.archive.manifest import Published, load_published
from portarchive.errors import Damaged

Entry = dict[str, Any]


def entry(**members: object) -> Callable[[Entry], None]:
    return lambda found: found.update(members)


ODD = {
    "vanished": entry(vanished=7),
    "vanished count": entry(vanished={"count": "1"}),
    "skipped": entry(skipped=5),
    "skipped count": entry(skipped=[{"reason": "x"}]),
    "failed": entry(failed=["1"]),
    "failed count": entry(failed=[{"count": None}]),
    "notes": entry(notes=["x"]),
    "state": entry(state=None),
    "archived": entry(archived="3"),
    "path": entry(path=["INBOX"]),
    "no path": lambda found: found.pop("path"),
}


def edit(root: Path, change: Callable[[Any], None]) -> None:
    """Change manifest.json, and have archive.json name what it is now."""
    manifest = json.loads((root / "manifest.json").read_bytes())
    change(manifest)
    octets = json.dumps(manifest).encode()
    (root / "manifest.json").write_bytes(octets)
    document = json.loads((root / "archive.json").read_bytes())
    link = document["archive"]["portarchive:manifest"]
    link.update(sha256=hashlib.sha256(octets).hexdigest(), bytes=len(octets))
    (root / "archive.json").write_text(json.dumps(document))


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD.keys())
def test_an_odd_entry_is_damage(tmp_path: Path, odd: Callable[[Entry], None]) -> None:
    source = account()
    export(source, tmp_path / "a")
    edit(tmp_path / "a", lambda manifest: odd(manifest["folders"][0]))
    with pytest.raises(Damaged, match=r"manifest\.json does not account"):
        export(source, tmp_path / "a")


def test_folders_that_are_no_list(tmp_path: Path) -> None:
    export(account(), tmp_path / "a")
    edit(tmp_path / "a", lambda manifest: manifest.update(folders={"INBOX": 1}))
    published = load_published(tmp_path / "a")
    assert published is not None
    with pytest.raises(Damaged):
        published.ledger()


def test_members_that_are_not_there() -> None:
    found = {"path": "INBOX", "error": {"code": "x", "text": "y"}}
    assert Published({}, {"folders": [found]}, "").ledger() == {"INBOX": found}
    assert Published({}, None, "").ledger() == {}
