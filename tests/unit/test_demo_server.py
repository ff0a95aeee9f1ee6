"""The embedded server of the demo: holds exactly the samples, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from imapclient import IMAPClient
from imapclient.exceptions import LoginError

from portarchive.demo.mailbox import samples_directory
from portarchive.demo.server import DemoServer, demo_server
from portarchive.errors import SettingsError, Unreachable
from signals import usual_signals

CHILD = """
import sys, time
from portarchive.demo.server import demo_server
with demo_server() as server:
    print(server.process_id, server.port, flush=True)
    time.sleep(600)
"""

PATIENCE = 60.0
"""Seconds that only what hangs takes."""


@pytest.fixture(scope="module")
def server() -> Iterator[DemoServer]:
    with demo_server() as running:
        yield running


@contextlib.contextmanager
def client(server: DemoServer) -> Iterator[IMAPClient]:
    with IMAPClient(server.host, server.port, ssl=False) as connected:
        connected.normalise_times = False
        connected.login(server.user, server.password)
        yield connected


def alive(process_id: int) -> bool:
    try:
        state = Path(f"/proc/{process_id}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    except ProcessLookupError:
        return False
    return state != "Z"


def gone(process_id: int, seconds: float = PATIENCE) -> bool:
    deadline = time.monotonic() + seconds
    while alive(process_id) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not alive(process_id)


def test_every_message_comes_back(server: DemoServer) -> None:
    placements = 0
    with client(server) as imap:
        for folder in server.mailbox.folders:
            if not folder.selectable:
                continue
            opened = imap.select_folder(folder.name, readonly=True)
            assert opened[b"UIDVALIDITY"] == folder.uidvalidity
            assert opened[b"EXISTS"] == len(folder.messages)
            uids = imap.search("ALL")
            assert uids == [message.uid for message in folder.messages]
            items = ["BODY.PEEK[]", "RFC822.SIZE", "FLAGS", "INTERNALDATE"]
            rows = imap.fetch(uids, items) if uids else {}
            for message in folder.messages:
                row = rows[message.uid]
                octets = message.octets()
                assert row[b"BODY[]"] == octets, message.file.name
                assert row[b"RFC822.SIZE"] == len(octets), message.file.name
                assert sorted(flag.decode() for flag in row[b"FLAGS"]) == sorted(message.flags)
                given = row[b"INTERNALDATE"]
                assert given == message.internal_date
                assert given.utcoffset() == message.internal_date.utcoffset()
                placements += 1
    assert placements == server.mailbox.placements


def test_every_message_can_be_described(server: DemoServer) -> None:
    """Any mail program may look at the demo; malformed messages must not break the server."""
    with client(server) as imap:
        for folder in server.mailbox.folders:
            if folder.messages:
                imap.select_folder(folder.name, readonly=True)
                uids = [message.uid for message in folder.messages]
                assert set(imap.fetch(uids, ["ENVELOPE", "BODYSTRUCTURE"])) == set(uids)


def test_folders_are_nested_subscribed_and_have_their_roles(server: DemoServer) -> None:
    with client(server) as imap:
        assert imap.has_capability("SPECIAL-USE")
        listed = {name: {flag.decode() for flag in flags} for flags, _, name in imap.list_folders()}
        subscribed = {
            name for flags, _, name in imap.list_sub_folders() if b"\\Noselect" not in flags
        }
    assert list(listed) == [folder.name for folder in server.mailbox.folders]
    assert subscribed == {folder.name for folder in server.mailbox.folders if folder.subscribed}
    structural = {"\\HasChildren", "\\HasNoChildren", "\\Noselect"}
    for folder in server.mailbox.folders:
        roles = {role for role in folder.roles if role != "inbox"}
        assert {flag[1:].lower() for flag in listed[folder.name] - structural} == roles
        assert ("\\Noselect" in listed[folder.name]) is not folder.selectable


def identifiers(server: DemoServer) -> dict[str, object]:
    found: dict[str, object] = {}
    with client(server) as imap:
        for folder in server.mailbox.folders:
            if folder.selectable:
                found[folder.name] = imap.select_folder(folder.name, readonly=True)[b"MAILBOXID"]
            for message in folder.messages:
                row = imap.fetch([message.uid], ["EMAILID", "THREADID"])[message.uid]
                found[f"{folder.name}/{message.file.name}"] = (row[b"EMAILID"], row[b"THREADID"])
    return found


def test_identifiers_are_the_same_at_each_start(server: DemoServer) -> None:
    first = identifiers(server)
    with demo_server() as second:
        assert identifiers(second) == first
    minutes = [value for key, value in first.items() if key.endswith("/committee-minutes.eml")]
    assert len(minutes) == 2
    assert minutes[0] == minutes[1]


def test_it_is_a_server_like_any_other(server: DemoServer) -> None:
    with client(server) as imap:
        imap.create_folder("INBOX/Zwischenablage")
        imap.append("INBOX/Zwischenablage", b"Subject: new\r\n\r\nwords\r\n", [r"\Seen", "todo"])
        imap.select_folder("INBOX/Zwischenablage")
        assert len(imap.search("ALL")) == 1
        imap.close_folder()  # pymap says BYE to whom the selected mailbox is deleted
        imap.delete_folder("INBOX/Zwischenablage")


def test_only_the_password_lets_in(server: DemoServer) -> None:
    assert server.password not in repr(server)
    assert server.password not in server.url
    arguments = Path(f"/proc/{server.process_id}/cmdline").read_bytes()
    environment = Path(f"/proc/{server.process_id}/environ").read_bytes()
    assert server.password.encode() not in arguments + environment
    with (
        IMAPClient(server.host, server.port, ssl=False) as imap,
        pytest.raises(LoginError),
    ):
        imap.login(server.user, "guess")


def test_it_listens_on_the_loopback_interface_only(server: DemoServer) -> None:
    lines = Path("/proc/net/tcp").read_text().splitlines() + (
        Path("/proc/net/tcp6").read_text().splitlines() if Path("/proc/net/tcp6").exists() else []
    )
    listening = [
        line.split()[1]
        for line in lines
        if line.split()[3] == "0A" and line.split()[1].endswith(f":{server.port:04X}")
    ]
    assert listening == [f"0100007F:{server.port:04X}"]


def test_it_is_gone_afterwards() -> None:
    with demo_server() as server:
        assert alive(server.process_id)
        held = socket.create_connection((server.host, server.port))
    with held:
        assert gone(server.process_id, 0)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((server.host, server.port))


def test_it_is_gone_after_an_error() -> None:
    with pytest.raises(RuntimeError, match="ours"), demo_server() as server:
        raise RuntimeError("ours")
    assert gone(server.process_id, 0)


def test_it_is_killed_when_it_does_not_listen() -> None:
    with demo_server() as server:
        os.kill(server.process_id, signal.SIGSTOP)
    assert gone(server.process_id, 0)


def test_a_server_that_died_is_no_trouble_at_exit() -> None:
    with demo_server() as server:
        os.kill(server.process_id, signal.SIGKILL)
        assert gone(server.process_id)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_no_orphan_however_we_end(how: signal.Signals) -> None:
    with usual_signals():
        parent = subprocess.Popen(
            [sys.executable, "-c", CHILD],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    try:
        assert parent.stdout is not None
        process_id = int(parent.stdout.readline().split()[0])
        assert alive(process_id)
        os.killpg(parent.pid, how)  # Ctrl-C and a closed terminal reach the whole group
        _, complaints = parent.communicate(timeout=PATIENCE)
    finally:
        if parent.poll() is None:
            parent.kill()
            parent.communicate()
    assert gone(process_id)
    if how == signal.SIGINT:
        assert complaints.rstrip().endswith(b"KeyboardInterrupt")
        assert b"imapd" not in complaints
    else:
        assert complaints == b""


def test_it_says_nothing_to_the_user() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", CHILD.replace("time.sleep(600)", "pass")],
        capture_output=True,
        check=True,
        cwd="/",
    )
    assert done.stderr == b""
    assert len(done.stdout.split()) == 2


def test_one_that_does_not_start_says_why(tmp_path: Path) -> None:
    shutil.copy(samples_directory() / "mailbox" / "mailbox.json", tmp_path)
    wanted = r"did not start: FileNotFoundError.*welcome\.eml"
    with pytest.raises(Unreachable, match=wanted) as no, demo_server(tmp_path):
        pytest.fail("there is nothing to serve")
    assert "\n" not in no.value.text
    assert no.value.hint is not None


def test_no_samples_no_server(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no sample mailbox in"), demo_server(tmp_path):
        pytest.fail("there is nothing to serve")


def test_another_mailbox_can_be_served(tmp_path: Path) -> None:
    (tmp_path / "one.eml").write_bytes(b"Subject: one\r\n\r\nbody\r\n")
    row = {"uid": 7, "file": "one.eml", "flags": [], "internaldate": "2020-02-29T12:00:00-03:30"}
    inbox = {"path": ["INBOX"], "roles": ["inbox"], "subscribed": True, "selectable": True}
    described = {
        "account": "other@example.org",
        "name": "Other",
        "folders": [{**inbox, "uidvalidity": 9, "messages": [row]}],
    }
    (tmp_path / "mailbox.json").write_text(json.dumps(described))
    with demo_server(tmp_path) as server, client(server) as imap:
        assert server.user == "other@example.org"
        imap.select_folder("INBOX", readonly=True)
        assert imap.search("ALL") == [7]
