"""``portarchive demo``: the whole circle, on a machine without an account."""

from __future__ import annotations

import hashlib
import re
import tempfile
from pathlib import Path

from schema_checks import REPORT
from terminal import run

from portarchive.demo.mailbox import load


def test_for_people(tmp_path):
    said = run("demo", env={"TMPDIR": str(tmp_path)})
    assert (said.code, said.err) == (0, "")
    steps = re.findall(r"^(\d)\. (.*)$", said.out, re.MULTILINE)
    assert [number for number, _ in steps] == list("123456")
    count = load().placements
    assert f"{count} messages in the archive; published; complete" in said.out
    assert f"0 messages fetched, 0 B; {count} messages in the archive; nothing was" in said.out
    assert "every one is what it was when it came from the server" in said.out
    assert list(tmp_path.iterdir()) == []


def test_the_archive_that_it_leaves_is_whole(tmp_path):
    path = tmp_path / "archive"
    said = run("demo", "--into", path, "--json")
    assert (said.code, said.err) == (0, "")
    REPORT.validate(said.json)
    assert said.json["fine"] is True
    assert said.json["left"] is True
    assert said.json["update"]["published"] is False
    assert said.json["update"]["totals"]["fetched"] == 0
    lines = (path / "manifest-sha256.txt").read_text().splitlines()
    assert said.json["digests"] == {
        "files": len(lines),
        "octets": sum((path / line[66:]).stat().st_size for line in lines),
        "bad": [],
    }
    for line in lines:
        digest, name = line.split("  ", 1)
        assert hashlib.sha256((path / name).read_bytes()).hexdigest() == digest
    stored = {digest for digest, _, name in (line.partition("  ") for line in lines)}
    sent = {
        hashlib.sha256(message.octets()).hexdigest()
        for folder in load().folders
        for message in folder.messages
    }
    assert sent <= stored
    info = run("info", path, "--json")
    REPORT.validate(info.json)
    assert info.json["complete"] is True
    assert info.json["totals"]["items"]["messages"] == load().placements
    again = run("demo", "--into", path, "--json")
    assert again.code == 0
    assert again.json["export"]["totals"]["fetched"] == 0
    assert again.json["export"]["published"] is False


def test_a_place_that_is_taken(tmp_path):
    (tmp_path / "letter.txt").write_text("mine")
    said = run("demo", "--into", tmp_path, "-q")
    assert said.code == 14
    assert [entry.name for entry in tmp_path.iterdir()] == ["letter.txt"]


def test_damage_is_found(tmp_path, monkeypatch, capsys):
    """The proof proves: a file that is changed behind its back is named, and the code is 3."""
    from portarchive.cli import demo

    whole = demo._check

    def spoil(reader):
        victim = next(Path(reader.root).rglob("*.eml"))
        victim.write_bytes(victim.read_bytes() + b"x")
        return whole(reader)

    monkeypatch.setattr(demo, "_check", spoil)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    from portarchive.cli import main

    assert main(["demo"]) == 3
    assert "1 file wrong" in capsys.readouterr().out
