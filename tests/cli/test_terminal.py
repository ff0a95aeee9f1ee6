"""On a real terminal: the question for the password, and the live display. And how it starts."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
import time

import pytest
from terminal import PATIENCE, PLANTED, environment, eventually

from servers.scripted import ScriptedServer
from signals import usual_signals


class Screen:
    """A process on a terminal of its own; ``text`` is all that it showed."""

    def __init__(self, *words):
        self._master, slave = pty.openpty()
        with usual_signals():
            self.process = subprocess.Popen(
                [sys.executable, "-m", "portarchive", *map(str, words)],
                stdin=slave,
                stdout=slave,
                stderr=slave,
                env={**environment(TERM="xterm-256color", COLUMNS="100"), "NO_COLOR": ""},
                start_new_session=True,
            )
        os.close(slave)
        self.text = ""

    def read(self):
        """What came since; False at the end."""
        if not select.select([self._master], [], [], 0.05)[0]:
            return True
        try:
            self.text += os.read(self._master, 65536).decode()
        except OSError:  # the last one let go of the terminal
            return False
        return True

    def wait_for(self, text):
        eventually(lambda: (self.read(), text in self.text)[1])

    def type(self, text):
        os.write(self._master, text.encode())

    def end(self):
        deadline = time.monotonic() + PATIENCE
        while self.read():
            assert time.monotonic() < deadline
        os.close(self._master)
        return self.process.wait(PATIENCE)


@pytest.fixture
def server():
    with ScriptedServer() as server:
        server.passwords = {"jane": PLANTED}
        server.mailbox("INBOX").add_many(1200, lambda uid: b"Subject: %d\r\n\r\n" % uid)
        yield server
        server.check()


def test_a_question_without_echo_and_a_live_display(server, tmp_path):
    screen = Screen("export", f"{server.url()}?tls=none", tmp_path / "mail")
    screen.wait_for("Password of jane at localhost: ")
    screen.type(PLANTED + "\n")
    assert screen.end() == 0
    assert PLANTED not in screen.text
    assert "\x1b[?25l" in screen.text  # the cursor is hidden while it draws,
    assert screen.text.rindex("\x1b[?25h") > screen.text.rindex("\x1b[?25l")  # and comes back
    assert "exported jane at" in screen.text
    assert "1,200 messages in 1 folder" in screen.text


def test_nothing_is_typed(server, tmp_path):
    screen = Screen("export", f"{server.url()}?tls=none", tmp_path / "mail")
    screen.wait_for("Password of jane at localhost: ")
    screen.type("\n")
    assert screen.end() == 11
    assert "error: no password was typed" in screen.text
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("signs", ["\x03", "\x04"])
def test_ctrl_c_and_ctrl_d_at_the_question(server, tmp_path, signs):
    screen = Screen("export", f"{server.url()}?tls=none", tmp_path / "mail")
    screen.wait_for("Password of jane at localhost: ")
    if signs == "\x03":
        screen.process.send_signal(2)
    else:
        screen.type(signs)
    assert screen.end() == {"\x03": 130, "\x04": 2}[signs]
    assert "Traceback" not in screen.text


LOADED = """
import json, sys
from portarchive.cli import main
code = main(sys.argv[1:])
print(json.dumps([code, sorted({name.partition(".")[0] for name in sys.modules})]), file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("words", "code"), [(["--help"], 0), (["export", "--help"], 0), (["info", "/nowhere"], 10)]
)
def test_what_is_not_loaded(words, code):
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *words],
        capture_output=True,
        text=True,
        env=environment(),
        check=True,
    )
    found, names = json.loads(done.stderr.splitlines()[-1])
    assert found == code
    heavy = {"imapclient", "jmapc", "pyarrow", "keyring", "pymap", "rich", "pydantic", "asyncio"}
    assert heavy & set(names) == set()
