"""``index``, ``query``, ``search``, ``show``, ``import --select-query``: as a person runs them."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from schema_checks import REPORT
from terminal import PATIENCE, eventually, run, start

from indexing import archive
from portarchive.cli import main
from portarchive.index.named import NAMED


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return archive(tmp_path_factory.mktemp("index") / "mail")


@pytest.fixture
def mail(original, tmp_path):
    return shutil.copytree(original, tmp_path / "mail")


def digests(path):
    return {
        str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(path.rglob("*"))
        if file.is_file() and file.relative_to(path).parts[0] != "index"
    }


def test_index_makes_and_updates(say, mail):
    before = digests(mail)
    code, out, err = say("index", mail, "--json")
    assert (code, err) == (0, "")
    made = json.loads(out)
    REPORT.validate(made)
    assert made["rows"]["messages"] == made["read"] == 9
    assert made["index"] == str(mail / "index")
    again = json.loads(say("index", mail, "--json")[1])
    assert again["was_current"]
    anew = json.loads(say("index", mail, "--json", "--rebuild", "--jobs", "1")[1])
    assert (anew["rebuilt"], anew["read"], anew["was_current"]) == (True, 9, False)
    code, out, err = say("index", mail)
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == f"index of {mail}: 9 messages, 1 attachment, 5 senders"
    assert "up to date" in out
    assert digests(mail) == before


def test_index_goes_where_it_is_told(say, mail, tmp_path):
    assert say("index", mail, "--output", tmp_path / "there", "-q") == (0, "", "")
    assert not (mail / "index").exists()
    code, out, _ = say(
        "query", mail, "select count(*) as n from messages", "--index", tmp_path / "there",
        "--format", "csv",
    )  # fmt: skip
    assert (code, out) == (0, "n\r\n9\r\n")
    assert not (mail / "index").exists()


def test_of_a_zip_file_the_index_goes_to_the_cache(say, mail, tmp_path):
    packed = tmp_path / "mail.zip"
    with zipfile.ZipFile(packed, "w") as file:
        for path in sorted(mail.rglob("*")):
            if path.is_file() and ".portarchive" not in path.parts:
                file.write(path, path.relative_to(mail))
    code, out, _ = say("search", packed, "strasse", "--body", "--json")
    assert code == 0
    assert json.loads(out)["count"] == 1
    assert list((tmp_path / "cache/portarchive/index").iterdir())


def test_the_index_is_brought_up_to_date_by_itself(say, mail):
    code, out, _ = say("query", mail, "select count(*) as n from messages", "--format", "jsonl")
    assert (code, out) == (0, '{"n":9}\n')
    state = (mail / "index/index.json").read_text()
    (mail / "index/index.json").write_text(state.replace(json.loads(state)["archive"]["id"], "x"))
    text = (mail / "index/index.json").read_text()
    stale = text.replace(json.loads(text)["archive"]["fingerprint"], "0" * 64)
    (mail / "index/index.json").write_text(stale)
    code, out, err = say("query", mail, "select 1 as n", "--no-update", "--format", "csv")
    assert (code, out) == (0, "n\r\n1\r\n")
    assert err == "warning: the archive may have changed since it was indexed\n"
    assert (mail / "index/index.json").read_text() == stale
    say("query", mail, "select 1")
    assert (mail / "index/index.json").read_text() != stale


def test_without_an_index_no_update_is_refused(say, mail):
    code, out, err = say("query", mail, "select 1", "--no-update", "--json")
    assert (code, out) == (2, "")
    assert json.loads(err.splitlines()[-1])["code"] == "no-index"
    assert not (mail / "index").exists()


def test_a_table_for_people(say, mail):
    code, out, _ = say("query", mail, "select folder, uid, subject, size, received_at, kept, flags"
                       " from messages order by row_id")  # fmt: skip
    assert code == 0
    assert "\x1b" not in out
    assert "\u202e" not in out
    lines = out.splitlines()
    assert lines[0].split() == ["folder", "uid", "subject", "size", "received_at", "kept", "flags"]
    assert len(lines) == 10
    assert "  2024-01-15 11:00:00  " in lines[2]
    assert lines[2].endswith("$seen")


def test_a_text_that_looks_like_an_instant_is_a_text(say, mail):
    sql = (
        "select 'Reminder: TODO list from A to Z' as subject, '2024-01-15T11:00:00.5Z' as raw,"
        " timestamptz '2024-01-15 11:00:00.5+00' as at"
    )
    code, out, _ = say("query", mail, sql)
    assert code == 0
    assert out.splitlines()[1].split("  ") == [
        "Reminder: TODO list from A to Z", "2024-01-15T11:00:00.5Z", "2024-01-15 11:00:00",
    ]  # fmt: skip


def test_wide_columns_are_cut(say, mail):
    code, out, _ = say("query", mail, "select repeat('漢', 100) as wide, 1 as n")
    assert code == 0
    assert out.splitlines()[1] == "漢" * 29 + "…" + "  1"


def test_a_table_ends_somewhere(say, mail):
    code, out, _ = say("query", mail, "from range(1000)")
    assert (code, len(out.splitlines())) == (0, 102)
    assert out.splitlines()[-1].startswith("and more: ")
    assert len(say("query", mail, "from range(1000)", "--limit", "0")[1].splitlines()) == 1001
    assert len(say("query", mail, "from range(1000)", "--limit", "7")[1].splitlines()) == 9


def test_csv_is_rfc_4180_and_no_formula(say, mail):
    sql = ("select subject, -size as n, flags, '-x' as \"=head\", null as nothing, true as yes,"
           " 'a\"b,c' || chr(10) || 'd' as odd from messages where subject like '=%'")  # fmt: skip
    code, out, _ = say("query", mail, sql, "--format", "csv")
    assert code == 0
    rows = list(csv.reader(io.StringIO(out, newline="")))
    assert rows[0] == ["subject", "n", "flags", "'=head", "nothing", "yes", "odd"]
    assert rows[1][0] == "'=HYPERLINK(1)"
    assert int(rows[1][1]) < -5000
    assert rows[1][2:] == ["[]", "'-x", "", "true", 'a"b,c\nd']
    assert out.count("\r\n") == 2
    exact = say("query", mail, sql, "--format", "csv", "--exact")[1]
    assert next(csv.reader(io.StringIO(exact.split("\r\n", 1)[1])))[0] == "=HYPERLINK(1)"


def test_json_keeps_its_schema(say, mail):
    code, out, _ = say("query", mail, "select folder, size, flags from messages", "--json")
    assert code == 0
    assert out.isascii()
    told = json.loads(out)
    REPORT.validate(told)
    assert told["columns"][1] == {"name": "size", "type": "BIGINT"}
    assert (len(told["rows"]), told["count"], told["more"]) == (9, 9, False)
    told = json.loads(say("query", mail, "--named", "unread", "--json", "--limit", "1")[1])
    REPORT.validate(told)
    assert (told["named"], told["count"], told["more"]) == ("unread", 1, True)


def test_json_lines(say, mail):
    code, out, _ = say("query", mail, "select uid, subject from messages", "--format", "jsonl")
    assert code == 0
    assert out.isascii()
    assert {tuple(json.loads(line)) for line in out.splitlines()} == {("uid", "subject")}


def test_parquet_and_other_files(say, mail, tmp_path):
    file = tmp_path / "out.parquet"
    code, out, _ = say(
        "query", mail, "select * from messages", "--format", "parquet", "--out", file
    )
    assert (code, out) == (0, f"9 rows in {file}\n")
    table = pq.read_table(file)
    assert table.num_rows == 9
    assert str(table.schema.field("received_at").type).startswith("timestamp[")
    assert file.stat().st_mode & 0o777 == 0o600
    for form in ("table", "csv", "json", "jsonl"):
        file = tmp_path / form
        assert say("query", mail, "from senders", "--format", form, "--out", file)[0] == 0
        assert file.stat().st_size > 100
    assert not list(tmp_path.glob(".*"))


def test_a_file_is_whole_or_not_there(say, mail, tmp_path):
    sql = "select range, error('no more') from range(100000) where range > 90000"
    code, _, _ = say("query", mail, sql, "--format", "csv", "--out", tmp_path / "x.csv")
    assert code == 2
    assert not list(tmp_path.glob("*x.csv*"))


@pytest.mark.parametrize("inside", ["x.csv", "index/messages.parquet", "mail/x"])
def test_no_file_goes_into_the_archive(say, mail, inside):
    before = digests(mail)
    code, out, err = say("query", mail, "select 1", "--out", mail / inside)
    assert (code, out) == (2, "")
    assert "would change the archive" in err
    assert digests(mail) == before


def test_sql_that_does_more_is_one_line(say, mail):
    for sql in (
        "copy messages to 'x'",
        "select * from read_text('/etc/passwd')",
        "select 1; select 2",
    ):
        code, out, err = say("query", mail, sql)
        assert (code, out) == (2, "")
        assert "error: this SQL is refused: " in err
        assert "Traceback" not in err


def test_names_of_queries(say, mail):
    code, out, err = say("query", "--named")
    assert (code, err) == (0, "")
    assert [line.split()[0] for line in out.splitlines()[: len(NAMED)]] == list(NAMED)
    code, out, _ = say("query", mail, "--named", "--json")
    REPORT.validate(json.loads(out))
    for name in NAMED:
        assert say("query", mail, "--named", name)[0] == 0, name
    code, out, _ = say(
        "query", mail, "--named", "largest", "--param", "least=4000", "--format", "csv"
    )
    assert (code, len(out.splitlines())) == (0, 2)
    assert "did you mean bounces?" in say("query", mail, "--named", "bounce")[2]
    for words in (["--named", "largest", "--param", "x=1"], ["--named", "largest", "--param", "x"],
                  ["--named", "largest", "select 1"], []):  # fmt: skip
        assert say("query", mail, *words)[0] == 2


def test_search_for_people(say, mail):
    code, out, _ = say("search", mail, "from:karin")
    assert code == 0
    line, total = out.splitlines()
    assert line.split("  ")[0] == "2024-02-15 11:00"
    for part in ("Karin", "Rechnung für März  [1 attachment]", "INBOX:2", "mail/INBOX/"):
        assert part in line
    assert total.startswith("1 message, ")
    assert say("search", mail, "nothing-of-that-kind")[:2] == (0, "nothing was found\n")
    code, out, _ = say("search", mail, "evil@example.com")
    assert code == 0
    assert "\x1b" not in out
    assert "\u202e" not in out


def test_search_for_programs(say, mail):
    code, out, _ = say("search", mail, "-from:karin", "is:unread", "--json", "--limit", "3")
    assert code == 0
    told = json.loads(out)
    REPORT.validate(told)
    assert (told["count"], told["more"], len(told["messages"])) == (3, True, 3)
    lines = say("search", mail, "subject:twice", "--jsonl")[1].splitlines()
    assert [json.loads(line)["folder"] for line in lines] == ["Work", "Work/2019"]
    told = json.loads(say("search", mail, "strasse", "--body", "--json")[1])
    REPORT.validate(told)
    assert (told["count"], told["read"]) == (1, 9)


def test_a_search_that_is_none_is_one_line(say, mail):
    for words in (["form:jane"], ["(a"], ["is:x"], []):
        code, out, err = say("search", mail, *words)
        assert (code, out) == (2, "")
        assert err.count("\n") == 2 + ("index" in err)


def test_show(say, mail):
    code, out, err = say("show", mail, "INBOX:2")
    assert (code, err) == (0, "")
    assert "Subject: Rechnung für März\n" in out
    assert "A quiet word & more\n" in out
    assert "hidden" not in out
    assert "2  application/pdf, 3 B  Rechnung Ü.pdf" in out
    file = next((mail / "mail/Work").glob("*1.eml"))
    for name in (file, f"mail/Work/{file.name}", "Work:1"):
        assert "Subject: Twice\n" in say("show", mail, name)[1]
    assert "message-id: <" in say("show", mail, "Work:1", "--headers")[1]


def test_show_by_message_id(say, mail):
    (found,) = json.loads(say("search", mail, "from:karin", "--json")[1])["messages"]
    for word in (found["message_id"], f"<{found['message_id']}>"):
        assert "Rechnung" in say("show", mail, word)[1]
    told = json.loads(say("show", mail, found["file"], "--json")[1])
    REPORT.validate(told)
    assert told["attachments"][0]["name"] == "Rechnung Ü.pdf"


def test_show_makes_safe_what_is_shown(say, mail):
    (found,) = json.loads(say("search", mail, "from:evil", "--json")[1])["messages"]
    for more in ([], ["--headers"]):
        code, out, _ = say("show", mail, found["file"], *more)
        assert code == 0
        assert "Evil<script>" in out
        assert "\x1b" not in out
        assert "\u202e" not in out


def test_show_gives_the_octets(say, mail, capfdbinary):
    file = next((mail / "mail/INBOX").glob("*2.eml"))
    assert main(["show", str(mail), "INBOX:2", "--raw"]) == 0
    assert capfdbinary.readouterr()[0] == file.read_bytes()


@pytest.mark.parametrize(
    "word",
    ["INBOX:99", "Nowhere:1", "mail/../archive.json", "/etc/passwd", "<no@example.org>", "", "x\0"],
)
def test_show_what_is_not_there(say, mail, word):
    code, out, err = say("show", mail, word)
    assert (code, out) == (2, "")
    assert "the archive has no message" in err


def test_raw_is_not_for_a_terminal(mail):
    ours, theirs = os.openpty()
    try:
        said = run("show", mail, "INBOX:1", "--raw", stdout=theirs)
        assert said.code == 2
        assert "--force" in said.hint
        assert run("show", mail, "INBOX:1", "--raw", "--force", stdout=theirs).code == 0
        assert b"Subject: A harpsichord" in os.read(ours, 10000)
    finally:
        os.close(ours)
        os.close(theirs)


def test_a_file_that_is_a_terminal_is_one(mail):
    ours, theirs = os.openpty()
    try:
        sql = "select subject from messages where subject like 'Evil%'"
        query = ("query", mail, sql, "--out", os.ttyname(theirs), "--format")
        assert run(*query, "csv").code == 0
        told = os.read(ours, 10000)
        assert b"Evil<script>" in told
        assert b"\x1b" not in told
        said = run(*query, "parquet")
        assert (said.code, said.error) == (2, "a Parquet file is not for a terminal")
        assert run(*query, "jsonl").code == 0
        assert b"\x1b" not in os.read(ours, 10000)
        assert run(*query, "table").code == 0
        assert b"\x1b" not in os.read(ours, 10000)
    finally:
        os.close(ours)
        os.close(theirs)


def test_import_what_a_query_names(say, mail, tmp_path):
    target = f"maildir:{tmp_path / 'new'}"
    sql = "select folder, uid, subject from messages where subject = 'Twice'"
    before = digests(mail)
    code, out, _ = say("import", mail, target, "--select-query", sql, "--dry-run")
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == "selected: 2 messages"
    assert [line.split()[1] for line in lines[1:3]] == ["Twice", "Twice"]
    assert [line.split()[0].rpartition("/")[0] for line in lines[1:3]] == [
        "mail/Work", "mail/Work/2019",
    ]  # fmt: skip
    code, out, _ = say("import", mail, target, "--select-query", sql, "--json")
    assert code == 0
    told = json.loads(out)
    REPORT.validate(told)
    assert told["totals"]["placed"] == 2
    assert [one["folder"] for one in told["selected"]] == ["Work", "Work/2019"]
    for way in (["--select-query", "select member from messages where from_domain = 'example.net'"],
                ["--select-search", "from:karin has:attachment"]):  # fmt: skip
        code, out, _ = say("import", mail, f"{target}-{len(way[1])}", *way, "--json")
        assert code == 0
        assert json.loads(out)["totals"]["placed"] == 1
    assert digests(mail) == before


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--select-query", "select subject from messages"], "does not tell which messages"),
        (
            ["--select-query", "select folder, uid from messages where false"],
            "no message is selected",
        ),
        (["--select-search", "from:nobody"], "no message is selected"),
        (["--select-query", "drop view messages"], "is refused"),
        (["--select-query", "select 1", "--select", "x"], "do not go together"),
        (["--select-search", "a", "--select-query", "select 1"], "do not go together"),
    ],
)
def test_import_of_a_query_that_names_nothing(say, mail, tmp_path, words, text):
    code, out, err = say("import", mail, f"maildir:{tmp_path / 'new'}", *words)
    assert (code, out) == (2, "")
    assert text in err
    assert not (tmp_path / "new").exists()


def test_no_archive(say, tmp_path):
    for words in (["index"], ["query", "select 1"], ["search", "x"], ["show", "x:1"], ["report"]):
        assert say(words[0], tmp_path / "nothing", *words[1:])[0] == 10


def test_interrupted(mail):
    endless = "select count(*) from range(10000000) a, range(10000000) b where a.range <> b.range"
    run("index", mail)
    process = start("query", mail, endless, start_new_session=True)

    def children():
        return Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()

    eventually(children)
    (child,) = children()
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (130, "")
    assert "Traceback" not in err
    eventually(lambda: not Path(f"/proc/{child}").exists())


def test_killed(mail):
    endless = "select count(*) from range(10000000) a, range(10000000) b where a.range <> b.range"
    run("index", mail)
    process = start("query", mail, endless)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    eventually(children.read_text)
    (child,) = children.read_text().split()
    spent = Path(f"/proc/{child}/stat")
    eventually(lambda: int(spent.read_text().rpartition(")")[2].split()[11]) > 100)  # it is at work
    process.kill()
    process.communicate()
    eventually(lambda: not spent.exists())


def test_a_reader_that_has_enough(mail):
    run("index", mail)
    process = start("query", mail, "from range(10000000)", "--format", "csv")
    assert process.stdout.readline() == "range\n"
    process.stdout.close()
    assert process.wait(PATIENCE) == 0
    assert process.stderr.read() == ""
    process.stderr.close()


def test_nothing_heavy_is_loaded_by_who_asks(mail):
    run("index", mail)
    program = (
        "import sys; from portarchive.cli import main; code = main(sys.argv[1:]);"
        " print(sorted({'duckdb', 'pyarrow', 'rich', 'jsonschema'} & sys.modules.keys()), code)"
    )
    for words in (["query", mail, "select 1"], ["search", mail, "x"], ["search", "--help"],
                  ["show", mail, "INBOX:1"]):  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-c", program, *map(str, words)],
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.splitlines()[-1] == "[] 0", words
