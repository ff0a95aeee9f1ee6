"""``info`` and ``ls`` on archives: what is here, what is kept, what is missing and why."""

from __future__ import annotations

import json
import re
import shutil
from datetime import date
from hashlib import sha256
from pathlib import Path

import pytest
from schema_checks import ENTRY, REPORT
from terminal import PATIENCE, run, start

from portarchive.cli import main
from portarchive.connectors.memory import MemorySource
from portarchive.jobs.export import ExportOptions, run_export
from portarchive.jobs.selection import Selection
from portarchive.progress import silent
from portarchive.records import Failure

HOSTILE = "Evil\x1b[31m\u202ename"


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """An archive with everything in it that the two verbs tell of."""
    path = tmp_path_factory.mktemp("reading") / "mail"
    account = MemorySource()
    account.create_folder("Work", roles=("archive",))
    account.create_folder("Work/2019")
    account.create_folder("Closed")
    account.create_folder("Gone")
    account.create_folder((HOSTILE,))
    for number in range(1, 6):
        account.add(
            b"Subject: %d\r\n\r\nx\r\n" % number,
            flags=["$seen"] if number % 2 else [],
            received=f"2024-01-{number:02}T12:00:00+01:00",
        )
    account.add(b"Subject: both\r\n\r\n", ["INBOX", "Work/2019"], received="2023-05-05T00:00:00Z")
    account.add(b"Subject: old\r\n\r\n", "Work", received="1999-01-01T00:00:00+00:00")
    account.add(b"Subject: evil\r\n\r\n", [(HOSTILE,)], received="2024-02-02T00:00:00+00:00")
    account.add(b"Subject: gone\r\n\r\n", "Gone", received="2024-02-02T00:00:00+00:00")
    options = ExportOptions(
        selection=Selection(since_date=date(2000, 1, 1)), name=f"Mail {HOSTILE}", note="kept"
    )
    run_export(account, path, options, silent)
    account.expunge("INBOX", 2)
    account.delete_folder("Gone")
    account.refuse_folder("Closed", "folder-unavailable", f"no entry {HOSTILE}")
    bad = account.add(b"Subject: bad\r\n\r\n", received="2024-03-01T00:00:00+00:00")
    account.answer(bad, Failure("server-refused", f"broken {HOSTILE}"))
    run_export(account, path, options, silent)
    return path


@pytest.fixture
def say(capsys):
    def speak(*words):
        code = main([str(word) for word in words])
        out, err = capsys.readouterr()
        assert "\x1b" not in out + err
        assert "\u202e" not in out + err
        return code, out, err

    return speak


def test_info_for_people(say, original):
    code, out, err = say("info", original)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "Mail Evilname"
    assert "  note        kept" in lines
    table = {line.split()[0]: line.split() for line in lines if re.match(r"\w\S*  ", line)}
    assert table["INBOX"][1:] == ["inbox", "5", "85", "B", "2023-05-05", "2024-01-05", "1", "1"]
    assert "INCOMPLETE. Missing:" in lines
    assert "  INBOX uid 7: server-refused, broken Evilname" in lines
    assert "  Closed: folder-unavailable, no entry Evilname" in lines
    assert any(line.startswith("Gone (gone from the server)") for line in lines)
    assert "Work: 1 message left out by --since-date" in lines


def test_info_for_programs(say, original):
    code, out, err = say("info", original, "--json")
    assert (code, err) == (0, "")
    report = json.loads(out)
    REPORT.validate(report)
    assert report["complete"] is False
    folders = {folder["path"]: folder for folder in report["folders"]}
    inbox = folders["INBOX"]
    assert inbox["roles"] == ["inbox"]
    assert inbox["items"]["messages"] == 5
    assert inbox["items"]["first"] == "2023-05-05T00:00:00Z"
    assert inbox["items"]["last"] == "2024-01-05T11:00:00Z"
    assert inbox["kept"]["messages"] == 1
    assert inbox["ledger"]["failed"] == 1
    assert folders["Gone"]["gone_at"]
    assert report["totals"]["items"]["messages"] == sum(
        folder["items"]["messages"] for folder in report["folders"]
    )
    assert {(gap["folder"], gap["uids"], gap["code"]) for gap in report["missing"]} == {
        ("INBOX", "7", "server-refused"),
        ("Closed", None, "folder-unavailable"),
    }
    assert [gap["code"] for gap in report["left_out"]] == ["skipped-since-date"]


def test_the_fingerprint_is_that_of_archive_json(say, original):
    fingerprint = sha256((original / "archive.json").read_bytes()).hexdigest()
    assert f"fingerprint {fingerprint}" in say("info", original)[1]
    for words in (["info"], ["ls"]):
        assert json.loads(say(*words, original, "--json")[1])["fingerprint"] == fingerprint


def test_ls_names_folders(say, original):
    code, out, err = say("ls", original)
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "Closed", "Evilname", "Gone", "INBOX  (inbox)", "Work  (archive)", "Work/2019",
    ]  # fmt: skip


def test_ls_lists_messages(say, original):
    code, out, err = say("ls", original, "INBOX")
    assert (code, err) == (0, "")
    assert len(out.splitlines()) == 5
    first = out.splitlines()[0].split()
    assert first[:4] == ["1", "2024-01-01T12:00:00+01:00", "17", "B"]
    assert (original / first[4]).read_bytes() == b"Subject: 1\r\n\r\nx\r\n"
    assert first[5:] == ["$seen"]


def test_ls_of_several_folders_has_titles(say, original):
    out = say("ls", original, "inbox", "Work/2019/")[1].splitlines()
    assert out[0] == "INBOX:"
    assert out[6] == "Work/2019:"
    assert len(out) == 8


def test_ls_kept_and_missing(say, original):
    kept = say("ls", original, "--kept")[1].splitlines()
    # One message of INBOX, and the one of the folder that is gone.
    assert [line.split()[0] for line in kept if line.startswith(" ")] == ["1", "2"]
    assert all("deleted 20" in line for line in kept if line.startswith(" "))
    missing = say("ls", original, "INBOX", "--missing")[1]
    assert missing == "         7  server-refused: broken Evilname\n"


@pytest.mark.parametrize(
    ("words", "listed", "count"),
    [
        ([], "folders", 6),
        (["INBOX"], "items", 5),
        (["INBOX", "Work/2019"], "items", 6),
        (["--kept"], "kept", 2),
        (["--missing"], "missing", 2),
        (["Work", "--kept"], "kept", 0),
    ],
)
def test_ls_for_programs(say, original, words, listed, count):
    report = json.loads(say("ls", original, *words, "--json")[1])
    REPORT.validate(report)
    assert (report["listed"], len(report["entries"])) == (listed, count)
    lines = [json.loads(line) for line in say("ls", original, *words, "--jsonl")[1].splitlines()]
    assert lines == report["entries"]
    for line in lines:
        ENTRY.validate(line)


def test_no_such_folder(say, original):
    code, out, err = say("ls", original, HOSTILE + "x")
    assert (code, out) == (2, "")
    assert err.startswith("error: the archive has no folder 'Evilnamex'\nhint: ")


@pytest.mark.parametrize("verb", ["info", "ls"])
def test_no_archive_there(say, verb, tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "x").write_text("x")
    for name in ("nothing", "file", "other"):
        code, out, err = say(verb, tmp_path / name)
        assert (code, out) == (10, ""), name
        assert len(err.splitlines()) <= 2
        assert err.startswith("error: ")


@pytest.mark.parametrize("verb", ["info", "ls"])
def test_unfinished_and_damaged(say, verb, original, tmp_path):
    path = shutil.copytree(original, tmp_path / "mail", symlinks=True)
    (path / "manifest.json").write_bytes((path / "manifest.json").read_bytes() + b" ")
    assert say(verb, path)[0] == 16
    (path / "archive.json").unlink()
    code, _, err = say(verb, path)
    assert code == 16
    assert "unfinished" in err
    (path / "archive.json").write_bytes(b"{")
    assert say(verb, path)[0] == 16


def test_an_archive_of_another_program(say, original, tmp_path):
    path = shutil.copytree(original, tmp_path / "mail", symlinks=True)
    for name in ("manifest.json", "manifest-sha256.txt"):
        (path / name).unlink()
    document = json.loads((path / "archive.json").read_bytes())
    del document["archive"]["portarchive:manifest"]
    (path / "archive.json").write_text(json.dumps(document))
    inbox = path / "mail/INBOX/folder.json"
    content = json.loads(inbox.read_bytes())
    for item in content["items"]:
        for member in [name for name in item if name.startswith("portarchive:")]:
            del item[member]
    del content["portarchive:role"]
    content["special_use"] = "\\Inbox"
    inbox.write_text(json.dumps(content, indent=2))
    code, out, err = say("info", path)
    assert (code, err) == (0, "")
    assert "no manifest: nothing says whether this archive is complete" in out
    report = json.loads(say("info", path, "--json")[1])
    REPORT.validate(report)
    shown = {folder["path"]: folder for folder in report["folders"]}["INBOX"]
    assert shown["roles"] == ["inbox"]
    assert shown["items"] == {
        "messages": 5, "octets": 85, "undated": 5, "first": None, "last": None,
    }  # fmt: skip
    assert say("ls", path, "INBOX")[0] == 0
    assert say("ls", path, "--missing")[:2] == (0, "")


def test_an_archive_that_changes_while_it_is_read(say, original, tmp_path, monkeypatch):
    monkeypatch.setattr("portarchive.archive.reader.ArchiveReader.unchanged", lambda _: False)
    code, _, err = say("info", original)
    assert code == 16
    assert "was updated while it was being read" in err


def test_a_reader_that_has_enough_is_no_error(original):
    process = start("ls", original, "INBOX", "--jsonl", env={"PYTHONUNBUFFERED": "1"})
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(PATIENCE) == 0
    assert process.stderr.read() == ""
    process.stderr.close()


def test_a_full_output(original):
    with Path("/dev/full").open("w") as full:
        said = run("info", original, stdout=full)
    assert said.code == 15
    assert said.error.startswith("the output cannot be written")
