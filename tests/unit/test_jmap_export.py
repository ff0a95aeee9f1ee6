"""Export by JMAP from the command line, from a real Cyrus, from end to end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from servers.daemon import Account


def mail(number: int) -> bytes:
    return b"Subject: %d\r\nMessage-ID: <%d@example.org>\r\n\r\nbody %d\r\n" % (
        number, number, number,
    )  # fmt: skip


def run(*arguments: object, expected: int = 0) -> dict:
    done = subprocess.run(
        [sys.executable, "-m", "portarchive", *map(str, arguments), "--json"],
        env=dict(os.environ, PORTARCHIVE_PASSWORD="pass", PYTHONWARNINGS="error"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == expected, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return json.loads(done.stdout or "{}")


@pytest.fixture
def jane(cyrus_user: Account) -> Account:
    cyrus_user.populate(
        {
            "INBOX": [(mail(number), [r"\Seen"]) for number in range(5)],
            "Work/Ärger": [(mail(number), ["$Forwarded"]) for number in range(3, 9)],
            "Sent": [(mail(20),)],
        }
    )
    return cyrus_user


def items(archive: Path, folder: str) -> list[dict]:
    return json.loads((archive / "mail" / folder / "folder.json").read_text("utf-8"))["items"]


def test_first_run_update_and_validate(jane: Account, tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    ca_file = jane.server.ca_file
    source = jane.server.jmap(jane.user)
    report = run("export", source, archive, "--ca-file", ca_file)
    assert report["complete"]
    assert report["totals"]["fetched"] == 10
    inbox = items(archive, "INBOX")
    assert sorted(item["flags"] for item in inbox) == sorted(
        [["$seen"]] * 3 + [["$forwarded"]] * 2  # of two copies only one is seen: the Email is not
    )
    both = {item["uid"] for item in inbox} & {item["uid"] for item in items(archive, "Work/Ärger")}
    assert len(both) == 2
    header = json.loads((archive / "mail/INBOX/folder.json").read_text("utf-8"))
    assert header["name"] == "INBOX"
    assert header["portarchive:display_name"] == "Inbox"
    assert "uidvalidity" not in header
    run("validate", archive)

    assert not run("export", source, archive, "--ca-file", ca_file)["published"]
    jane.set_flags("Sent", [1], [r"\Flagged"])
    jane.expunge("INBOX", [1])
    jane.append("Work/Ärger", mail(30))
    report = run("export", source, archive, "--ca-file", ca_file)
    assert report["totals"]["fetched"] == 1
    assert len(items(archive, "INBOX")) == 4
    assert items(archive, "Sent")[0]["flags"] == ["$flagged"]
    run("validate", archive)


def test_imap_and_jmap_know_each_other_s_messages(jane: Account, tmp_path: Path) -> None:
    """EMAILID is the Email's id: nothing is fetched twice when the way in changes."""
    archive = tmp_path / "archive"
    run("export", jane.url(tls=False), archive, "--tls", "none")
    report = run("export", jane.server.jmap(jane.user, tls=False), archive)
    assert report["complete"]
    assert report["totals"]["fetched"] == 0
    assert all(item["uid"].startswith("M") for item in items(archive, "INBOX"))
    run("validate", archive)


def test_a_shared_account(jane: Account, tmp_path: Path) -> None:
    other = jane.server.account(f"{jane.user}friend")
    with jane.connect() as client:
        assert client.setacl("Work/&AMQ-rger", other.user, "lrs")[0] == "OK"
    source = other.server.jmap(other.user, tls=False)
    report = run("export", f"{source}?account={jane.user}", tmp_path / "shared")
    assert report["source"]["account"] == jane.user
    assert len(items(tmp_path / "shared", "Work/Ärger")) == 6
    assert run("export", source, tmp_path / "own")["source"]["account"] == other.user
    run("export", f"{source}?account=nobody", tmp_path / "none", expected=2)
