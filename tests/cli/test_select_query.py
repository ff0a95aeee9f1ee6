"""``import --select-query`` and ``--select-search``: what is named comes, and nothing else."""

from __future__ import annotations

import json

import pytest
from schema_checks import REPORT

from exporting import export
from indexing import mail
from portarchive.archive.contents import open_contents
from portarchive.connectors.memory import MemorySource

OLD = ("old one", "old two", "old three")
NEW = ("new one", "new two")


@pytest.fixture
def reborn(tmp_path):
    """An archive in which each live message has the folder and uid of one that is kept."""
    source = MemorySource()
    for subject in OLD:
        source.add(mail(subject), received="2024-01-15T12:00:00+00:00")
    path = tmp_path / "mail"
    export(source, path)
    source.expunge("INBOX", 1, 2, 3)
    source.reset_uidvalidity("INBOX")
    for subject in NEW:
        source.add(mail(subject), received="2024-02-15T12:00:00+00:00")
    export(source, path)
    with open_contents(path) as contents:
        (inbox,) = contents.folders()
        live = {item.uid for item in contents.items(inbox)}
        kept = {item.uid for item in contents.items(inbox, kept=True)}
    assert live < kept, "else the archive is not what these tests are about"
    return path


def subjects(target):
    """The subjects of all messages of a Maildir, in order."""
    found = []
    for directory in ("new", "cur"):
        for file in target.rglob(f"{directory}/*"):
            head = file.read_bytes().partition(b"\r\n\r\n")[0].partition(b"\n\n")[0]
            (line,) = [line for line in head.splitlines() if line.startswith(b"Subject: ")]
            found.append(line.removeprefix(b"Subject: ").decode())
    return sorted(found)


BY_FILE = "select folder, uid, member as file, subject from messages where subject = '{}'"


@pytest.mark.parametrize("subject", [*OLD, *NEW])
@pytest.mark.parametrize(
    "way",
    [
        ["--select-query", BY_FILE],
        ["--select-query", BY_FILE.replace("folder, uid, ", "")],
        ["--select-query", BY_FILE.replace(" as file", "")],
        ["--select-search", 'subject:"{}"'],
    ],
    ids=["file", "file-alone", "member", "search"],
)
def test_a_message_whose_uid_another_one_has(say, reborn, tmp_path, subject, way):
    target = tmp_path / "new"
    words = [word.format(subject) for word in way]
    command = ("import", reborn, f"maildir:{target}", *words, "--include-kept")
    code, out, _ = say(*command, "--dry-run")
    assert code == 0
    assert out.splitlines()[0] == "selected: 1 message"
    assert "1 message, " in out.splitlines()[2]
    code, out, err = say(*command, "--json")
    assert (code, "warning" in err) == (0, False)
    told = json.loads(out)
    REPORT.validate(told)
    assert [one["subject"] for one in told["selected"]] == [subject]
    assert (told["totals"]["placed"], told["complete"]) == (1, True)
    assert subjects(target) == [subject]


def test_the_preview_counts_what_is_placed(say, reborn, tmp_path):
    sql = "select folder, uid, member, subject from messages"
    command = ("import", reborn, f"maildir:{tmp_path / 'new'}", "--select-query", sql)
    code, out, _ = say(*command, "--include-kept", "--dry-run")
    assert (code, out.splitlines()[0]) == (0, "selected: 5 messages")
    code, out, _ = say(*command, "--include-kept", "--json")
    assert (code, json.loads(out)["totals"]["placed"]) == (0, 5)
    assert subjects(tmp_path / "new") == sorted((*OLD, *NEW))


def test_folder_and_uid_of_two_messages_are_refused(say, reborn, tmp_path):
    sql = "select folder, uid from messages where subject = 'old one'"
    for more in ([], ["--include-kept"], ["--dry-run"]):
        code, out, err = say(
            "import", reborn, f"maildir:{tmp_path / 'new'}", "--select-query", sql, *more
        )
        assert (code, out) == (2, "")
        assert "error: 2 messages of the archive are INBOX:1\n" in err
        assert "select member too" in err
    assert not (tmp_path / "new").exists()
    # the third of the old ones has its uid alone
    sql = sql.replace("one", "three")
    code, out, _ = say(
        "import", reborn, f"maildir:{tmp_path / 'new'}", "--select-query", sql, "--include-kept"
    )
    assert code == 0
    assert subjects(tmp_path / "new") == ["old three"]


def test_what_was_deleted_there_is_told_and_not_lost(say, reborn, tmp_path):
    target = tmp_path / "new"
    sql = "select member as file, subject from messages where subject like '% one' order by subject"
    command = ("import", reborn, f"maildir:{target}", "--select-query", sql)
    code, out, err = say(*command, "--dry-run")
    assert code == 3
    left = "  and 1 message that was deleted there before the last export: it comes with"
    assert out.splitlines()[:3] == [
        "selected: 1 message",
        f"  {_file(reborn, 'new one')}  new one",
        f"{left} --include-kept",
    ]
    assert out.splitlines()[3].startswith("dry run, nothing was changed: 1 message, ")
    assert "no message of the archive" not in err
    code, out, err = say(*command)
    assert code == 3
    text = "was deleted there before the last export: --include-kept brings it"
    assert f"warning: {_file(reborn, 'old one')} {text}\n" in err
    assert f"    {_file(reborn, 'old one')} {text}\n" in out
    assert "not in the archive" not in out
    assert subjects(target) == ["new one"]
    code, out, err = say(*command, "--include-kept")
    assert (code, "warning" in err) == (0, False)
    assert subjects(target) == ["new one", "old one"]


def test_by_name_it_is_told_as_well(say, reborn, tmp_path):
    with open_contents(reborn) as contents:
        (inbox,) = contents.folders()
        (last,) = [one for one in contents.items(inbox, kept=True) if one.uid == "3"]
        octets = contents.octets(last)
    identifier = octets.partition(b"Message-ID: <")[2].partition(b">")[0].decode()
    for word in (last.member, "INBOX:3", identifier):
        code, _, err = say(
            "import", reborn, f"maildir:{tmp_path / 'new'}", "--select", word, "--dry-run"
        )
        assert code == 3
        text = "was deleted there before the last export: --include-kept brings it"
        assert err.splitlines()[-1] == f"warning: {word} {text}"
    code, _, err = say(
        "import", reborn, f"maildir:{tmp_path / 'new'}", "--select", "INBOX:9", "--dry-run"
    )
    assert code == 3
    assert err.splitlines()[-1] == "warning: no message of the archive is INBOX:9"


def test_only_what_was_deleted_there_is_one_line(say, reborn, tmp_path):
    for way in (["--select-search", "subject:old"],
                ["--select-query", "select member as file from messages where kept"]):  # fmt: skip
        code, out, err = say("import", reborn, f"maildir:{tmp_path / 'new'}", *way)
        assert (code, out) == (2, "")
        assert "error: all 3 selected messages were deleted there before the last export\n" in err
        assert "--include-kept" in err
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("sql", "text"),
    [
        ("select 'INBOX' as folder, 99 as uid", "the archive has no message INBOX:99"),
        ("select message_id as file from messages", "the archive has no message "),
        ("select 'INBOX:2' as file", "the archive has no message INBOX:2"),
        ("select '' as file", "does not tell which messages"),
        ("select folder, null as uid from messages", "does not tell which messages"),
        ("select 'mail/\x1b[31m' as file", "the archive has no message mail/"),
    ],
)
def test_what_names_no_message_is_one_line(say, reborn, tmp_path, sql, text):
    code, out, err = say("import", reborn, f"maildir:{tmp_path / 'new'}", "--select-query", sql)
    assert (code, out) == (2, "")
    assert text in err
    assert "\x1b" not in err
    assert "hint: " in err
    assert not (tmp_path / "new").exists()


def test_rows_that_name_nothing_are_passed_over(say, reborn, tmp_path):
    sql = (
        "select m.member as file, m.folder, m.uid from range(5) r(i)"
        " left join messages m on m.row_id = r.i and m.subject = 'new two'"
    )
    code, _, _ = say("import", reborn, f"maildir:{tmp_path / 'new'}", "--select-query", sql)
    assert code == 0
    assert subjects(tmp_path / "new") == ["new two"]


def test_a_file_that_two_folders_share(say, tmp_path):
    """Other generators may name one file in two folders: the one comes that was named."""
    source = MemorySource()
    source.create_folder("Work")
    source.add(mail("shared"), received="2024-01-15T12:00:00+00:00")
    source.add(mail("other"), "Work", received="2024-01-15T12:00:00+00:00")
    path = tmp_path / "mail"
    export(source, path)
    _unchain(path)
    file = path / "mail/Work/folder.json"
    told = json.loads(file.read_bytes())
    told["items"].append(
        {"uid": "7", "filename": "../" + _file(path, "shared").removeprefix("mail/"), "flags": []}
    )
    file.write_text(json.dumps(told))
    base = "select {} from messages where folder = 'Work' and subject = 'shared'"
    for number, names in enumerate(("folder, uid", "folder, uid, member as file")):
        target = tmp_path / f"new-{number}"
        code, out, _ = say(
            "import", path, f"maildir:{target}", "--select-query", base.format(names), "--json"
        )
        assert code == 0
        placed = {folder["path"]: folder["placed"] for folder in json.loads(out)["folders"]}
        assert placed == {"INBOX": 0, "Work": 1}
    sql = f"select '{_file(path, 'shared')}' as file"
    code, out, _ = say(
        "import", path, f"maildir:{tmp_path / 'all'}", "--select-query", sql, "--dry-run"
    )
    assert (code, out.splitlines()[0]) == (0, "selected: 2 messages")


def test_what_could_not_be_read_is_told(say, tmp_path):
    source = MemorySource()
    for subject in ("whole", "broken"):
        source.add(mail(subject, body="the text\r\n"), received="2024-01-15T12:00:00+00:00")
    path = tmp_path / "mail"
    export(source, path)
    (path / _file(path, "broken")).unlink()
    command = ("import", path, f"maildir:{tmp_path / 'new'}", "--dry-run", "--select-search")
    code, out, err = say(*command, 'body:"the text"')
    assert (code, out.splitlines()[0]) == (0, "selected: 1 message")
    assert "warning: 1 message could not be read, so nobody knows whether the text answers" in err
    assert "could not be read" not in say(*command, "subject:whole")[2]


def _unchain(path):
    """What no generator of ours wrote has no manifest."""
    (path / "manifest.json").unlink()
    head = path / "archive.json"
    told = json.loads(head.read_bytes())
    del told["archive"]["portarchive:manifest"]
    head.write_text(json.dumps(told))


def _file(path, subject):
    with open_contents(path) as contents:
        for folder in contents.folders():
            for kept in (False, True):
                for item in contents.items(folder, kept):
                    if f"Subject: {subject}\r\n".encode() in contents.octets(item):
                        return item.member
    raise AssertionError(subject)
