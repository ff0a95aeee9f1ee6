"""``export --accounts``: many accounts in a row, whatever becomes of one, and one report."""

from __future__ import annotations

import json
import signal
import socket
import sys
import threading

import pytest
from schema_checks import EVENT, REPORT
from terminal import PATIENCE, PLANTED, eventually, holds_secret, run, start
from test_terminal import Screen

from portarchive.cli import accounts, main
from servers.scripted import ScriptedServer
from servers.scripted_faults import refuse_uids

OCTETS = b"Subject: %d\r\n\r\nHello.\r\n"
PASS = {"PORTARCHIVE_PASSWORD": "pass"}


def letters(*numbers):
    return [(OCTETS % number, (), None) for number in numbers]


def says(text):
    """A command, quoted as for a shell, that prints the text."""
    return f'"{sys.executable} -c \'print(\\"{text}\\")\'"'


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@pytest.fixture
def jane(dovecot, request):
    account = dovecot.account(f"jane-{abs(hash(request.node.nodeid))}")
    account.populate({"INBOX": letters(1, 2, 3), "Work": letters(4)})
    return account


@pytest.fixture
def joe(dovecot, request):
    account = dovecot.account(f"joe-{abs(hash(request.node.nodeid))}")
    account.populate({"INBOX": letters(5, 6)})
    return account


@pytest.fixture
def scripted():
    with ScriptedServer() as server:
        server.passwords = {"jane": PLANTED, "joe": PLANTED}
        for number in range(1, 6):
            server.mailbox("INBOX").add(OCTETS % number)
        yield server
        server.check()


def listed(directory, *lines):
    """An account file with these lines; its path."""
    path = directory / "accounts.txt"
    path.write_text("\n".join(lines) + "\n")
    return path


def export(file, *words, env=PASS, **settings):
    return run("export", "--accounts", file, *words, env=env, **settings)


def report(said, *, code):
    """The one object, which is as the schema says and adds up."""
    assert said.code == code, said.err
    found = said.json
    REPORT.validate(found)
    assert found["complete"] is (code == 0)
    codes = [account["exit_code"] for account in found["accounts"]]
    totals = found["totals"]
    assert totals["accounts"] == len(codes)
    assert totals["complete"] == codes.count(0)
    assert totals["incomplete"] == codes.count(3)
    assert totals["interrupted"] == codes.count(130)
    assert totals["not_begun"] == codes.count(None)
    assert totals["failed"] == sum(code not in {0, 3, 130, None} for code in codes)
    for account in found["accounts"]:
        inside = account.get("report")
        if inside is not None and inside["command"] == "export":
            assert inside["archive"] == account["archive"]
    return found


# --- what goes well -------------------------------------------------------------------------------


def test_two_accounts_and_their_update(dovecot, jane, joe, tmp_path):
    (tmp_path / "lists").mkdir()
    file = listed(
        tmp_path / "lists",
        "# what we keep",
        f'{jane.url(tls=False)}?tls=none "../mail/jane #1"',
        "",
        f"{joe.url()} ../mail/joe --ca-file ca.pem --name 'Joe''s' --folder INBOX  # the son",
    )
    (tmp_path / "lists/ca.pem").write_bytes(dovecot.ca_file.read_bytes())
    said = export(file, cwd="/")
    assert said.code == 0, said.err
    first, second, last = said.out.splitlines()
    assert first.startswith(f"complete     {jane.user} at imap://localhost:{dovecot.port}: ")
    assert first.endswith("mail/jane #1, 4 fetched")
    assert second.startswith(f"complete     {joe.user} at imaps://localhost:{dovecot.tls_port}: ")
    assert last.startswith("2 accounts: 2 complete; 6 messages in the archives, 6 fetched (")
    assert f"account 1 of 2: {jane.user} at " in said.err
    assert said.err.index("account 1 of 2") < said.err.index("account 2 of 2")
    assert run("info", tmp_path / "mail/jane #1").code == 0
    told = run("info", tmp_path / "mail/joe", "--json").json
    assert told["header"]["archive"]["name"] == "Joes"
    assert told["selection"]["folders"] == ["INBOX"]

    jane.append("INBOX", OCTETS % 7)
    again = report(export(file, "--json", cwd=tmp_path), code=0)
    assert [one["report"]["totals"]["fetched"] for one in again["accounts"]] == [1, 0]
    assert [one["report"]["published"] for one in again["accounts"]] == [True, False]
    assert [one["line"] for one in again["accounts"]] == [2, 4]
    assert again["totals"]["messages"] == 7
    assert again["totals"]["fetched"] == 1


def test_files_are_accounts_too(dovecot, jane, tmp_path):
    maildir = tmp_path / "Maildir"
    for name in ("cur", "new", "tmp"):
        (maildir / name).mkdir(parents=True)
    (maildir / "cur/1.x:2,S").write_bytes(OCTETS % 1)
    file = listed(tmp_path, f"{jane.url(tls=False)} jane", "maildir:Maildir files")
    said = export(
        file, "--tls", "none", "--password-command", f"{sys.executable} -c \"print('pass')\""
    )
    assert said.code == 0, said.err + said.out
    assert "complete     maildir:Maildir: 1 message in " in said.out


def test_check_and_dry_run_write_nothing(jane, joe, tmp_path):
    file = listed(
        tmp_path, f"{jane.url(tls=False)} jane --exclude Work", f"{joe.url(tls=False)} joe"
    )
    said = export(file, "--tls", "none", "--check", "--folder", "INBOX")
    assert said.code == 0
    service = f"imap://localhost:{jane.server.port}"
    assert said.out.splitlines() == [
        f"complete     {jane.user} at {service}: an export takes 1 folder, 3 messages",
        f"complete     {joe.user} at {service}: an export takes 1 folder, 2 messages",
        "2 accounts: 2 complete",
    ]
    assert "FOLDER" in export(file, "--tls", "none", "--check", "-v").out
    found = report(export(file, "--tls", "none", "--check", "--json"), code=0)
    assert [one["report"]["command"] for one in found["accounts"]] == ["check", "check"]
    dry = report(export(file, "--tls", "none", "--dry-run", "--json"), code=0)
    assert [one["report"]["dry_run"] for one in dry["accounts"]] == [True, True]
    said = export(file, "--tls", "none", "--dry-run")
    assert "would fetch 2 messages" in said.out
    assert list(tmp_path.iterdir()) == [file]
    bare = listed(tmp_path, jane.url(tls=False), f"{joe.url(tls=False)} joe --folder Wrok")
    found = report(export(bare, "--tls", "none", "--check", "--json"), code=3)
    assert [one["exit_code"] for one in found["accounts"]] == [0, 2]
    assert found["accounts"][0]["archive"] is None
    assert found["accounts"][1]["error"]["code"] == "no-such-folder"
    assert found["accounts"][1]["report"]["unmatched"] == ["Wrok"]


def test_events_say_whose_they_are(jane, joe, tmp_path):
    file = listed(tmp_path, f"{jane.url(tls=False)} jane", f"{joe.url(tls=False)} joe")
    said = export(file, "--tls", "none", "--json", "--progress", "json")
    report(said, code=0)
    events = [json.loads(line) for line in said.err.splitlines()]
    for event in events:
        EVENT.validate(event)
    accounts = [event for event in events if event["event"].startswith("account-")]
    assert [(event["event"], event["number"]) for event in accounts] == [
        ("account-started", 1),
        ("account-finished", 1),
        ("account-started", 2),
        ("account-finished", 2),
    ]
    assert accounts[2]["source"] == joe.url(tls=False)
    assert (events[0], events[-1]) == (accounts[0], accounts[3])


# --- what goes wrong for one ----------------------------------------------------------------------


def test_a_refused_login_and_an_unreachable_server_do_not_stop_the_others(jane, joe, tmp_path):
    port = free_port()
    file = listed(
        tmp_path,
        f"{jane.url(tls=False)} bad --password-command {says('wr0ng')}",
        f"imap://ann@127.0.0.1:{port} away",
        f"{jane.url(tls=False)} jane",
        f"{joe.url(tls=False)} notes",
        f"{joe.url(tls=False)} joe",
    )
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/letter.txt").write_text("mine")
    said = export(file, "--tls", "none")
    assert said.code == 3
    lines = said.out.splitlines()
    assert lines[0].startswith(f"failed       {jane.user} at ")
    assert lines[0].endswith("(login-refused)")
    assert lines[1].startswith("  hint: ")
    assert lines[2].startswith(f"failed       ann at imap://127.0.0.1:{port}: ")
    assert lines[2].endswith("(unreachable)")
    assert lines[4].startswith(f"complete     {jane.user} at ")
    assert lines[5].startswith(f"failed       {joe.user} at ")
    assert lines[-1].startswith("5 accounts: 2 complete, 3 failed; 6 messages in the archives")
    assert "account 2 of 5 failed: " in said.err
    assert "wr0ng" not in said.out + said.err
    found = report(export(file, "--tls", "none", "--json"), code=3)
    assert [one["exit_code"] for one in found["accounts"]] == [11, 12, 0, 14, 0]
    assert [one["error"]["code"] for one in found["accounts"] if "error" in one] == [
        "login-refused",
        "unreachable",
        "foreign-directory",
    ]
    quiet = export(file, "--tls", "none", "-q")
    assert (quiet.code, quiet.out) == (3, "")
    errors = [line for line in quiet.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 3
    assert f"error: ann at imap://127.0.0.1:{port}: " in quiet.err
    assert quiet.err.count("hint: ") == 3


def test_the_code_that_all_share(jane, tmp_path):
    wrong = f"--password-command {says('wr0ng')}"
    url = jane.url(tls=False)
    file = listed(tmp_path, f"{url} a {wrong}", f"{url} b {wrong}")
    report(export(file, "--tls", "none", "--json"), code=11)
    file = listed(tmp_path, f"{url} a {wrong}", f"imap://x@127.0.0.1:{free_port()} b")
    report(export(file, "--tls", "none", "--json"), code=3)


def test_an_incomplete_one_names_what_is_missing(scripted, jane, tmp_path):
    refuse_uids(scripted, "INBOX", {4}, text="[SERVERBUG] broken")
    file = listed(
        tmp_path,
        f"{scripted.url('joe')} joe --password-command {says(PLANTED)}",
        f"{jane.url(tls=False)} jane",
    )
    said = export(file, "--tls", "none")
    assert said.code == 3
    assert said.out.startswith("incomplete   joe at ")
    assert "\n  INBOX uid 4: server-refused, " in said.out
    assert "2 accounts: 1 complete, 1 incomplete" in said.out
    assert "INCOMPLETE. Missing:" in export(file, "--tls", "none", "-v").out
    found = report(export(file, "--tls", "none", "--json"), code=3)
    assert [one["exit_code"] for one in found["accounts"]] == [3, 0]
    assert holds_secret(tmp_path) == [file]


def test_a_locked_archive_and_a_full_place_are_that_accounts_only(jane, joe, tmp_path):
    (tmp_path / "file").write_text("")
    file = listed(tmp_path, f"{jane.url(tls=False)} file/mail", f"{joe.url(tls=False)} joe")
    found = report(export(file, "--tls", "none", "--json"), code=3)
    assert [one["exit_code"] for one in found["accounts"]] == [15, 0]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_in_the_second(scripted, jane, joe, tmp_path, number):
    with Held(scripted) as held:
        file = listed(
            tmp_path,
            f"{jane.url(tls=False)} jane",
            f"{scripted.url('joe')} held --password-command {says(PLANTED)}",
            f"{joe.url(tls=False)} joe",
        )
        process = start(
            "export", "--accounts", file, "--tls", "none", "--json", "--progress", "json", env=PASS
        )
        eventually(held.asked)
        process.send_signal(number)
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    found = json.loads(out)
    REPORT.validate(found)
    assert [one["exit_code"] for one in found["accounts"]] == [0, 130, None]
    assert found["totals"]["not_begun"] == 1
    assert not found["complete"]
    assert json.loads(err.splitlines()[-1])["code"] == "interrupted"
    assert not (tmp_path / "joe").exists()
    assert PLANTED not in out + err
    said = export(file, "--tls", "none")
    assert said.code == 0
    assert "3 accounts: 3 complete" in said.out


def test_an_interrupt_for_people(scripted, jane, tmp_path):
    with Held(scripted) as held:
        file = listed(
            tmp_path,
            f"{scripted.url('joe')} held --password-command {says(PLANTED)}",
            f"{jane.url(tls=False)} jane",
        )
        process = start("export", "--accounts", file, "--tls", "none", env=PASS)
        eventually(held.asked)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert out.splitlines() == [
        f"interrupted  joe at imap://localhost:{scripted.port}",
        f"not begun    {jane.user} at imap://localhost:{jane.server.port}",
        "2 accounts: 1 interrupted, 1 not begun",
    ]
    assert "error: interrupted\nhint: " in err


class Held:
    """The scripted server sends no message until this ends."""

    def __init__(self, server):
        self._server = server
        self._release = threading.Event()

    def __enter__(self):
        self._hook = self._server.on(
            "UID FETCH",
            lambda _: self._release.wait(PATIENCE) and None,
            when=lambda event: event.wants_body,
        )
        return self

    def __exit__(self, *_):
        self._release.set()
        self._hook.off()

    def asked(self):
        return any("FETCH" in line and "BODY" in line for line in self._server.commands)


# --- secrets --------------------------------------------------------------------------------------


def test_without_a_terminal_a_missing_password_is_that_accounts_error(jane, tmp_path):
    file = listed(
        tmp_path,
        f"{jane.url(tls=False)} a",
        f"{jane.url(tls=False)} b --password-command {says('pass')}",
    )
    found = report(export(file, "--tls", "none", "--json", env={}), code=3)
    assert [one["exit_code"] for one in found["accounts"]] == [2, 0]
    assert found["accounts"][0]["error"]["code"] == "no-password"


def test_one_servers_password_is_not_shown_to_another(scripted, jane, tmp_path):
    file = listed(tmp_path, f"{scripted.url('joe')} joe", f"{jane.url(tls=False)} jane")
    said = export(file, "--tls", "none", env={}, password=PLANTED)
    assert "PORTARCHIVE_SOURCE_PASSWORD" in said.refused(2)
    assert scripted.logins == 0
    assert list(tmp_path.iterdir()) == [file]
    file = listed(
        tmp_path,
        f"{scripted.url('joe')} joe",
        f"{scripted.url('joe')} again --since-date 2020-01-01",
        f"{jane.url(tls=False)} jane --password-command {says('pass')}",
    )
    assert export(file, "--tls", "none", env={}, password=PLANTED).code == 0


def test_a_password_command_of_a_line_takes_the_place_of_a_general_token_command(jane, tmp_path):
    file = listed(tmp_path, f"{jane.url(tls=False)} jane --password-command {says('pass')}")
    assert export(file, "--tls", "none", "--token-command", "false", env={}).code == 0


def test_on_a_terminal_all_questions_come_first(scripted, tmp_path):
    url = scripted.url
    file = listed(
        tmp_path, f"{url('jane')} jane", f"{url('joe')} joe", f"{url('jane')} two --role inbox"
    )
    screen = Screen("export", "--accounts", file, "--tls", "none")
    screen.wait_for("Password of jane at localhost: ")
    screen.type(PLANTED + "\n")
    screen.wait_for("Password of joe at localhost: ")
    assert scripted.logins == 0
    screen.type(PLANTED + "\n")
    assert screen.end() == 0
    assert screen.text.count("Password of ") == 2
    assert "account 3 of 3: jane at " in screen.text
    assert "3 accounts: 3 complete" in screen.text
    assert PLANTED not in screen.text


def test_an_interrupt_at_a_question(scripted, tmp_path):
    file = listed(tmp_path, f"{scripted.url('jane')} jane", f"{scripted.url('joe')} joe")
    screen = Screen("export", "--accounts", file, "--tls", "none")
    screen.wait_for("Password of jane at localhost: ")
    screen.process.send_signal(signal.SIGINT)
    assert screen.end() == 130
    assert "2 accounts: 2 not begun" in screen.text
    assert scripted.logins == 0


# --- 70: our fault --------------------------------------------------------------------------------


def test_a_bug_in_one_is_not_the_others_loss(tmp_path, monkeypatch, capsys):
    def sometimes(url, *words, **settings):
        if url.path.endswith("bad"):
            raise ZeroDivisionError(f"imaps://jane:{PLANTED}@h")
        return export_one(url, *words, **settings)

    export_one = accounts.run
    monkeypatch.setattr(accounts, "run", sometimes)
    for name in ("bad", "good"):
        for part in ("cur", "new", "tmp"):
            (tmp_path / name / part).mkdir(parents=True)
    file = listed(tmp_path, "maildir:bad a", "maildir:good b")
    code = main(["export", "--accounts", str(file), "--json"])
    out, err = capsys.readouterr()
    found = json.loads(out)
    REPORT.validate(found)
    assert code == 3
    assert [one["exit_code"] for one in found["accounts"]] == [70, 0]
    assert found["accounts"][0]["error"]["code"] == "bug"
    assert "Traceback" in err
    assert PLANTED not in out + err


# --- 2: usage -------------------------------------------------------------------------------------


def test_all_faults_are_named_and_nobody_is_contacted(scripted, tmp_path):
    good = f"{scripted.url('joe')}?tls=none"
    file = listed(
        tmp_path,
        f"{good} fine",
        f"imaps://joe:{PLANTED}@h.example a",
        f"imaps://joe:pl4nted-s3 {PLANTED}@h.example b",
        f"imaps://joe@h.example c {PLANTED}@h.example",
        f"{good} d --foldr x",
        f"{good} e --json",
        f"{good} f --help",
        f"{good} 'g",
        f"{good} ./h/../fine",
        f"{good} fine/i",
        f"{good}",
        f"{good} j.zip",
        f"{good} ''",
        "imap://joe@h.example?tls=none k",
        f"{good} l --min-size 2M --max-size 1M",
        f"{good} m --ca-file nowhere.pem",
        f"{good} n --token-command x --password-command y",
        f'{good} o --password-command "\'"',
        f"{good} p --auth XOAUTH2",
        f"{good} q --check",
        f"{good} r --accounts x",
        f"{good} s -v",
        "maildir:Maildir t --auth PLAIN",
        "jmap://joe@h.example u",
        "--mirror",
        "imaps://joe@h.example ~no-such-user-here/v",
    )
    said = export(file, env={}, cwd=tmp_path)
    assert "has 25 faults" in said.refused(2)
    named = said.err.splitlines()[:-2]
    prefix = f"{file}:"
    assert all(line.startswith(prefix) for line in named)
    assert [int(line.removeprefix(prefix).split(":")[0]) for line in named] == list(range(2, 27))
    assert "the same as that of line 1" in named[7]
    assert "lies in that of line 1" in named[8]
    assert "SOURCE is missing" in named[23]
    assert scripted.logins == 0
    assert list(tmp_path.iterdir()) == [file]
    said = export(file, "--json", env={})
    assert said.code == 2
    assert said.json_error["code"] == "bad-account-file"
    assert f"{file}:26: " in said.json_error["message"]
    assert len(said.err.splitlines()) == 1


def test_one_fault_is_one_line_with_its_own_hint(tmp_path):
    file = listed(tmp_path, "", "imaps://joe@h.example a --sice-date 2020-01-01")
    said = export(file)
    assert said.refused(2).startswith(f"{file}:2: no such option: --sice-date")
    assert len(said.err.splitlines()) == 2


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", []),
        ("# nobody\n", []),
        ("x" * 5_000_000, []),
        ("imaps://a@h.example x", ["imaps://b@h.example", "y"]),
        ("imaps://a@h.example x", ["--archive-id", "00000000-0000-0000-0000-000000000000"]),
        ("imaps://a@h.example x\n" * 3, ["--connections", "many"]),
        ("imaps://a@h.example x\n" * 3, ["--token-command", "'"]),
    ],
)
def test_what_does_not_go_with_the_file(tmp_path, content, words):
    file = tmp_path / "accounts.txt"
    file.write_text(content)
    said = export(file, *words)
    said.refused(2)
    assert len(said.err.splitlines()) == 2


def test_a_file_that_cannot_be_read(tmp_path):
    for path in (tmp_path / "nowhere", tmp_path, ""):
        assert "cannot be read" in export(path).refused(2)


def test_many_faults_are_cut(tmp_path):
    file = listed(tmp_path, *["From: nobody"] * 300)
    said = export(file)
    assert "has 300 faults" in said.refused(2)
    assert "and 200 more\n" in said.err
