"""What can go wrong with an export: one clear line, the next step, the code, no half things."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading

import pytest
from schema_checks import EVENT, REPORT
from terminal import PATIENCE, PLANTED, eventually, files_of, holds_secret, run, start

from servers.scripted import ScriptedServer
from servers.scripted_faults import login_refused, refuse_uids

OCTETS = b"Subject: %d\r\n\r\nHello.\r\n"


def fill(server):
    server.passwords = {"jane": PLANTED, "joe": PLANTED}
    inbox = server.mailbox("INBOX")
    for number in range(1, 6):
        inbox.add(OCTETS % number)
    work = server.add_mailbox("Work", attributes=["\\Archive"])
    work.add(OCTETS % 10)
    return server


@pytest.fixture
def server():
    with ScriptedServer() as server:
        yield fill(server)
        server.check()


def export(server, *words, user="jane", password=PLANTED, **settings):
    url = f"{server.url(user)}?tls=none"
    return run("export", url, *words, password=password, **settings)


# --- what goes well -------------------------------------------------------------------------------


def test_a_first_export_and_an_update(server, tmp_path):
    path = tmp_path / "mail"
    said = export(server, path)
    assert said.code == 0
    assert said.out.startswith(f"exported jane at imap://localhost:{server.port} to {path}\n")
    assert "6 messages in 2 folders" in said.out
    assert "complete: every message that the server listed is accounted for" in said.out
    assert "INBOX: 5 here, 5 fetched" in said.err
    assert holds_secret(path) == []
    sent = server.body_octets
    again = export(server, path)
    assert again.code == 0
    assert "is up to date" in again.out
    assert "nothing was published" in again.out
    assert server.body_octets == sent
    assert run("info", path).code == 0


def test_for_programs(server, tmp_path):
    said = export(server, tmp_path / "mail", "--json", "--progress", "json")
    assert said.code == 0
    REPORT.validate(said.json)
    assert said.json["totals"]["fetched"] == 6
    events = [json.loads(line) for line in said.err.splitlines()]
    for event in events:
        EVENT.validate(event)
    assert events[0]["event"] == "connected"
    assert events[-1]["event"] == "committed"
    assert events[-1]["fingerprint"] == said.json["fingerprint"]
    assert sum(event["messages"] for event in events if event["event"] == "stored") == 6


def test_quiet_is_silent(server, tmp_path):
    said = export(server, tmp_path / "mail", "-q")
    assert (said.code, said.out, said.err) == (0, "", "")
    said = export(server, tmp_path / "mail", "--progress", "none")
    assert (said.code, said.err) == (0, "")


def test_check_writes_nothing(server, tmp_path):
    said = export(server, "--check", "--exclude", "Work", cwd=tmp_path)
    assert said.code == 0
    rows = [line.split() for line in said.out.splitlines()]
    assert ["INBOX", "inbox", "5"] in rows
    assert ["Work", "archive", "1", "left", "out"] in rows
    assert "an export takes 1 folder, 5 messages" in said.out
    said = export(server, "--check", "--json", cwd=tmp_path)
    REPORT.validate(said.json)
    assert said.json["messages"] == 6
    assert {tuple(folder["names"]) for folder in said.json["folders"]} == {("INBOX",), ("Work",)}
    assert list(tmp_path.iterdir()) == []
    assert server.body_octets == 0


def test_a_dry_run_writes_nothing(server, tmp_path):
    said = export(server, tmp_path / "mail", "--dry-run")
    assert said.code == 0
    assert said.out.startswith("dry run, nothing was written: an export would fetch 6 messages")
    assert "INBOX: 5 messages, 110 B" in said.out
    assert list(tmp_path.iterdir()) == []
    assert server.body_octets == 0
    REPORT.validate(export(server, tmp_path / "mail", "--dry-run", "--json").json)


def test_filters(server, tmp_path):
    said = export(server, tmp_path / "mail", "--role", "archive", "--json")
    assert said.code == 0
    assert [folder["path"] for folder in said.json["folders"]] == ["Work"]


def test_a_token_command(server, tmp_path):
    server.tokens["t0ken"] = "jane"
    words = ["--token-command", f"{sys.executable} -c \"print('t0ken')\"", "--auth", "XOAUTH2"]
    assert export(server, tmp_path / "mail", *words, password=None).code == 0


# --- 2: usage -------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [["--folder", "Wrok"], ["--folder", "Work", "--folder", "Wrok"]])
def test_no_such_folder(server, tmp_path, words):
    said = export(server, tmp_path / "mail", *words, "--progress", "none")
    assert said.refused(2) == "the account has no folder 'Wrok'"
    assert "--check" in said.hint
    assert list(tmp_path.iterdir()) == []
    said = export(server, "--check", *words, "--progress", "none")
    assert said.code == 2
    assert "Work" in said.out


def test_nothing_matches(server, tmp_path):
    said = export(server, tmp_path / "mail", "--exclude", "*", "--progress", "none")
    said.refused(2)
    assert list(tmp_path.iterdir()) == []


# --- 3: incomplete --------------------------------------------------------------------------------


def test_something_is_missing(server, tmp_path):
    hook = refuse_uids(server, "INBOX", {4}, text="[SERVERBUG] \x1b[31mbroken")
    said = export(server, tmp_path / "mail")
    assert said.code == 3
    assert "INCOMPLETE" in said.out
    assert "INBOX uid 4: server-refused, " in said.out
    assert "\x1b" not in said.out + said.err
    report = export(server, tmp_path / "mail", "--json")
    assert report.code == 3
    REPORT.validate(report.json)
    hook.off()
    assert export(server, tmp_path / "mail").code == 0


# --- 11: login ------------------------------------------------------------------------------------


def test_a_refused_login(server, tmp_path):
    said = export(server, tmp_path / "mail", password="wr0ng-" + PLANTED)
    said.refused(11)
    assert list(tmp_path.iterdir()) == []
    login_refused(server, times=1)
    said = export(server, tmp_path / "mail", "--json")
    assert said.code == 11
    assert said.json_error["code"] == "login-refused"


@pytest.mark.parametrize("option", ["--password-command", "--token-command"])
def test_a_secret_command_that_fails(server, tmp_path, option):
    script = f"import sys; print('{PLANTED}'); print('{PLANTED}', file=sys.stderr); sys.exit(1)"
    words = [option, f'{sys.executable} -c "{script}"']
    said = export(server, tmp_path / "mail", *words, password=None)
    assert said.code == 11
    assert option in said.error
    assert said.hint
    assert list(tmp_path.iterdir()) == []


# --- 12: unreachable ------------------------------------------------------------------------------


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def unreachable(url, path, *words):
    said = run("export", url, path, *words, password=PLANTED)
    assert not path.exists()
    return said.refused(12), said.hint


def test_unknown_host_and_closed_port(tmp_path):
    error, hint = unreachable("imaps://jane@no-such-host.invalid", tmp_path / "mail")
    assert "no-such-host.invalid" in error
    assert hint
    error, _ = unreachable(f"imaps://jane@127.0.0.1:{free_port()}", tmp_path / "mail")
    assert "refuses connections" in error


def test_certificates(tmp_path):
    with ScriptedServer(tls="implicit", certificate_for="other.example") as other:
        fill(other)
        error, hint = unreachable(other.url(), tmp_path / "mail")
        assert "certificate" in error
        assert "--ca-file" in hint
        error, _ = unreachable(other.url(), tmp_path / "mail", "--ca-file", other.ca_file)
        assert "certificate" in error
        assert other.logins == 0
    for tls in ("implicit", "starttls"):
        with ScriptedServer(tls=tls) as good:
            fill(good)
            unreachable(good.url(), tmp_path / "mail")
            assert good.logins == 0
            words = [good.url(), tmp_path / tls, "--ca-file", good.ca_file]
            assert run("export", *words, password=PLANTED).code == 0


def test_a_ca_file_that_is_none(server, tmp_path):
    (tmp_path / "ca.pem").write_text("not a certificate")
    words = [server.url(), tmp_path / "mail", "--ca-file", tmp_path / "ca.pem"]
    said = run("export", *words, password=PLANTED)
    assert said.code == 2
    assert "ca.pem" in said.err
    assert said.hint


@contextlib.contextmanager
def saying(greeting):
    """The port of something that says one line to whoever comes, and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.sendall(greeting)

        thread = threading.Thread(target=answer)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_a_plaintext_server_gets_no_password(server, tmp_path):
    error, _ = unreachable(server.url(), tmp_path / "mail")
    assert "STARTTLS" in error
    assert server.logins == 0
    assert not any("LOGIN" in line or "AUTH" in line for line in server.commands)
    with saying(b"* OK [CAPABILITY IMAP4rev1] ready\r\n") as port:
        error, hint = unreachable(f"imaps://jane@127.0.0.1:{port}", tmp_path / "mail")
        assert "TLS" in error
        assert "imap://" in hint


def test_something_that_is_no_imap_server(tmp_path):
    with saying(b"SSH-2.0-OpenSSH_9.2 \x1b[31m\r\n") as port:
        error, _ = unreachable(f"imap://jane@127.0.0.1:{port}?tls=none", tmp_path / "mail")
        assert "IMAP" in error
        assert "\x1b" not in error


# --- 13, 14: locked, refused ----------------------------------------------------------------------


def test_a_lock_held_by_a_living_process(server, tmp_path):
    path = tmp_path / "mail"
    release = threading.Event()
    server.on(
        "UID FETCH", lambda _: release.wait(PATIENCE) and None, when=lambda event: event.wants_body
    )
    first = start("export", f"{server.url()}?tls=none", path, password=PLANTED)
    try:
        eventually(lambda: any("FETCH" in line and "BODY" in line for line in server.commands))
        said = export(server, path)
        assert said.code == 13
        assert str(first.pid) in said.error
        assert said.hint
    finally:
        release.set()
        first.communicate(timeout=PATIENCE)
    assert first.returncode == 0


def test_a_foreign_directory(server, tmp_path):
    path = tmp_path / "home"
    path.mkdir()
    (path / "letter.txt").write_text("mine")
    said = export(server, path)
    assert said.code == 14
    assert said.hint
    assert files_of(path) == ["letter.txt"]
    said = export(server, path / "letter.txt")
    assert said.code in {14, 15}
    assert said.hint
    assert (path / "letter.txt").read_text() == "mine"


def test_another_source(server, tmp_path):
    path = tmp_path / "mail"
    assert export(server, path).code == 0
    before = {
        name: (path / name).read_bytes() for name in files_of(path) if (path / name).is_file()
    }
    said = export(server, path, user="joe")
    assert said.code == 14
    assert "--accept-source-change" in said.hint
    assert "Traceback" not in said.err
    after = {name: (path / name).read_bytes() for name in files_of(path) if (path / name).is_file()}
    lock = ".portarchive/lock"
    assert {**before, lock: b""} == {**after, lock: b""}
    assert export(server, path).code == 0


def test_another_selection(server, tmp_path):
    path = tmp_path / "mail"
    assert export(server, path).code == 0
    said = export(server, path, "--folder", "INBOX")
    assert said.code == 14
    assert "--change-selection" in said.hint
    assert export(server, path, "--folder", "INBOX", "--change-selection").code == 0


# --- 15: storage ----------------------------------------------------------------------------------


def limit_files():
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))


def test_a_file_that_cannot_grow_and_then_can(server, tmp_path):
    server.mailbox("INBOX").add(b"Subject: big\r\n\r\n" + b"x" * 50_000)
    path = tmp_path / "mail"
    said = export(server, path, preexec_fn=limit_files)
    assert said.code == 15
    assert said.hint
    assert "Traceback" not in said.err
    assert not (path / "archive.json").exists()
    assert run("info", path).code == 16
    assert export(server, path).code == 0
    assert holds_secret(path) == []


def in_a_small_disk(directory):
    """A command that mounts 200 kB at ``directory`` in a mount namespace of its own."""
    script = 'mount -t tmpfs -o size=200k tmpfs "$1" && shift && exec "$@"'
    return ["unshare", "-rm", "sh", "-c", script, "sh", str(directory)]


def test_a_full_disk(server, tmp_path):
    server.mailbox("INBOX").add(b"Subject: big\r\n\r\n" + b"x" * 500_000)
    words = [sys.executable, "-m", "portarchive", "export", f"{server.url()}?tls=none"]
    done = subprocess.run(
        [*in_a_small_disk(tmp_path), *words, str(tmp_path / "mail"), "--json"],
        check=False,
        env={**os.environ, "PORTARCHIVE_PASSWORD": PLANTED},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 15, done.stderr
    error = json.loads(done.stderr.splitlines()[-1])
    assert error["code"] == "storage-failed"
    assert "make room" in error["hint"]
    assert PLANTED not in done.stderr + done.stdout


def test_a_place_that_cannot_be_written(server, tmp_path):
    (tmp_path / "file").write_text("")
    for path in ("/proc/mail", tmp_path / "file" / "mail"):
        said = export(server, path, "--progress", "none")
        said.refused(15)


# --- 130: interrupted -----------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_and_then_the_rest(server, tmp_path, number):
    path = tmp_path / "mail"
    release = threading.Event()
    hook = server.on(
        "UID FETCH", lambda _: release.wait(PATIENCE) and None, when=lambda event: event.wants_body
    )
    process = start("export", f"{server.url()}?tls=none", path, password=PLANTED)
    eventually(lambda: any("FETCH" in line and "BODY" in line for line in server.commands))
    process.send_signal(number)
    out, err = process.communicate(timeout=PATIENCE)
    release.set()
    assert (process.returncode, out) == (130, "")
    assert "error: interrupted\nhint: " in err
    assert "Traceback" not in err
    hook.off()
    said = export(server, path)
    assert said.code == 0
    assert export(server, path).code == 0
