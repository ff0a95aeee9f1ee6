"""``query``, ``search``, ``show``: mail without dates, and mail that baits who reads it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from terminal import run

from exporting import export
from indexing import mail as message
from portarchive.connectors.memory import MemorySource
from portarchive.records import Received


def test_messages_without_a_date_are_unread_too(tmp_path):
    source = MemorySource()
    source.add(message("undated", Date=""), received=Received(None, None))
    source.add(message("early", Date=""), received="1969-07-20T20:17:40+00:00")
    source.add(message("later"), received="2024-01-15T12:00:00+00:00")
    export(source, tmp_path / "odd")
    query = ("query", tmp_path / "odd", "--named")
    told = run(*query, "unread", "--json").json
    about = [column["name"] for column in told["columns"]].index("subject")
    assert [row[about] for row in told["rows"]] == ["later", "early", "undated"]
    told = run(*query, "unread", "--json", "--param", "since=2000-01-01").json
    assert [row[about] for row in told["rows"]] == ["later"]
    told = run(*query, "by-month", "--json").json
    assert [row[:2] for row in told["rows"]] == [["1969-07", 1], ["2024-01", 1]]


@pytest.mark.parametrize("words", [["show", "INBOX:3"], ["search", "bait", "--body"]])
def test_nothing_that_a_message_names_is_fetched(tmp_path, words):
    """Python's own record of what a process does: no socket, no name looked up, no program run."""
    url = "http://bait.example/x"
    source = MemorySource()
    for number, kind in enumerate(("plain", "html", "html"), 1):
        body = f'<link rel="stylesheet" href="{url}"><img src="{url}"><a href="{url}">bait</a>\r\n'
        fields = {"Content_Type": f"text/{kind}", "List_Unsubscribe": f"<{url}>",
                  "List_Unsubscribe_Post": "List-Unsubscribe=One-Click"}  # fmt: skip
        source.add(message(f"m{number}", body=body, **fields))
    path = tmp_path / "mail"
    export(source, path)
    run("index", path)
    program = (
        "import sys\n"
        "from portarchive.cli import main\n"
        "seen = []\n"
        "sys.addaudithook(lambda event, args: seen.append((event, args[:1]))"
        " if event.startswith(('socket.', 'subprocess.', 'os.system', 'os.exec', 'os.spawn',"
        " 'urllib.', 'http.', 'webbrowser.')) else None)\n"
        "code = main(sys.argv[1:])\n"
        "print(sorted(seen), sys.executable, code)"
    )
    verb, *others = words
    done = subprocess.run(
        [sys.executable, "-c", program, verb, str(path), *others],
        capture_output=True,
        text=True,
        check=True,
    )
    asked = f"[('subprocess.Popen', ({sys.executable!r},))]" if verb == "search" else "[]"
    assert done.stdout.splitlines()[-1] == f"{asked} {sys.executable} 0"
    assert "bait" in done.stdout or "3 messages" in done.stdout
