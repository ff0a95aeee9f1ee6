"""JSON that may be somebody's attachment: told if it is none, never told if it is one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import portarchive
from portarchive.validate.report import KEPT
from validating import BLOB, CARD, NOTE, Files, chained, dumped, good, write

BOM = b"\xef\xbb\xbf{}"


def attached(files: Files, names: list[str]) -> None:
    """Make these files attachments of the note, in place of what it has."""
    del files[BLOB]
    note = json.loads(files[NOTE])
    note["links"] = {
        str(number): {"@type": "Link", "rel": "enclosure", "blobId": name}
        for number, name in enumerate(names)
    }
    files[NOTE] = dumped(note)


def found(files: Files, place: Path, **how: Any) -> dict[str, int]:
    counts = dict(portarchive.validate(write(files, place), **how).counts)
    counts.pop("M-001", None)
    return counts


@pytest.mark.parametrize("value", [b"42", b"-1.5", b"true", b"null", b'"text"', b"[]"])
@pytest.mark.parametrize("level", ["schema", "structure", "deep"])
def test_of_any_value(tmp_path: Path, value: bytes, level: str) -> None:
    files = good()
    attached(files, ["n.json"])
    files["files/n.json"] = value
    assert found(files, tmp_path / "a", level=level) == {}
    files = good() | {"files/n.json": value}
    assert found(files, tmp_path / "b", level=level) == {"F-047": 1}


def test_more_than_a_report_shows(tmp_path: Path) -> None:
    files = good()
    names = [f"x{number}.json" for number in range(KEPT + 3)]
    attached(files, names)
    files |= {f"files/{name}": BOM for name in names}
    assert found(files, tmp_path / "a") == {}
    files["stray/y.json"] = BOM
    report = portarchive.validate(write(files, tmp_path / "b"))
    assert (report.counts["P-003c"], report.counts["F-047"]) == (1, 1)
    assert {one.path for one in report.findings if one.code != "M-001"} == {"stray/y.json"}


def test_very_many_defects_of_one_file(tmp_path: Path) -> None:
    files = good()
    twice = ",".join(['"a":1'] * (KEPT + 3))
    files["files/n.json"] = f"{{{twice}}}".encode()
    files[CARD] = files[CARD][:-1] + f",{twice}}}".encode()
    report = portarchive.validate(write(files, tmp_path / "a"))
    assert report.counts["P-003d"] == 2 * (KEPT + 2)
    assert sum(one.code == "P-003d" for one in report.findings) == KEPT
    attached(files, ["n.json"])
    assert found(files, tmp_path / "b")["P-003d"] == KEPT + 2


def test_what_names_itself_is_no_attachment(tmp_path: Path) -> None:
    files = good()
    link = {"@type": "Link", "rel": "enclosure", "blobId": "a.json"}
    files["stuff/a.json"] = dumped({"@type": "Card", "links": {"1": link}})
    assert found(files, tmp_path / "a").keys() == {"P-016", "P-017", "C-014"}
    attached(files, ["a.json"])
    assert found(files, tmp_path / "b") == {}


def test_the_number_of_a_secretary_is_no_secret(tmp_path: Path) -> None:
    files = good()
    card = json.loads(files[CARD])
    card["phones"] = {"secretary": {"number": "tel:+1-555-0100"}}
    files[CARD] = dumped(card)
    assert found(files, tmp_path / "a") == {}
    card["phones"]["clientSecret"] = {"number": "0100"}
    files[CARD] = dumped(card)
    assert found(files, tmp_path / "b") == {"F-046": 1}


def test_what_cannot_be_read_names_nothing_and_leaves_nothing_unnamed(tmp_path: Path) -> None:
    files = chained()
    files["archive.json"] = files["archive.json"][:50]
    assert found(files, tmp_path / "a") == {"P-003": 1}
