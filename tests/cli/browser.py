"""A real Chromium, without a window: opens a page and tells what it did, asked for and showed.

Speaks the DevTools protocol over two pipes, so that no port is open and no library is needed.
``tests/tools/get_servers.py`` puts the browser under ``.servers/``.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

PROGRAM = Path(__file__).resolve().parents[2] / ".servers/chromium/usr/bin/chromium"
FLAGS = (
    "--headless",
    "--no-sandbox",  # it is not installed; the pages are ours
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)
# The protocol wants its pipes as descriptors 3 and 4.
_PLACE_PIPES = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4);"
    " os.execv(sys.argv[3], sys.argv[3:])"
)
_PATIENCE = 60.0


@dataclass
class Page:
    """What became of a page.

    Attributes:
        requests: all URLs that were asked for, the page's own first.
        blocked: what the page's Content Security Policy stopped, and other words of the console.
        dialogs: messages of ``alert`` and its kin.
    """

    browser: Browser
    session: str
    requests: list[str] = field(default_factory=list)
    blocked: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)

    def ask(self, expression: str):
        """The value of an expression of JavaScript, evaluated from outside of the page."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def call(self, method: str, **parameters: object):
        return self.browser.call(method, self.session, **parameters)

    def pdf(self) -> bytes:
        return base64.b64decode(self.call("Page.printToPDF")["data"])


class Browser:
    """One browser; to be used as a context."""

    def __init__(self) -> None:
        assert PROGRAM.exists(), "make servers"
        self._pages: dict[str, Page] = {}
        self._answers: dict[int, dict] = {}
        self._number = 0
        self._buffer = b""

    def __enter__(self) -> Self:
        self._home = tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True)
        theirs_in, ours_out = os.pipe()
        ours_in, theirs_out = os.pipe()
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 10) for fd in (theirs_in, theirs_out)]
        try:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-I", "-S", "-c", _PLACE_PIPES, *map(str, high)),
                    *(PROGRAM, *FLAGS, f"--user-data-dir={self._home.name}/profile"),
                ],
                env={**os.environ, "HOME": self._home.name},
                pass_fds=high,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        finally:
            for fd in (theirs_in, theirs_out, *high):
                os.close(fd)
        self._in, self._out = ours_in, ours_out
        return self

    def __exit__(self, *failure: object) -> None:
        with contextlib.suppress(OSError, AssertionError):
            self.call("Browser.close")
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._in)
        os.close(self._out)
        self._home.cleanup()

    def open(self, url: str, *, width: int = 1100, height: int = 900) -> Page:
        """Open a page in a tab of its own, and give it time to do what it wants."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = self._pages[session] = Page(self, session)
        for domain in ("Page", "Network", "Runtime", "Log"):
            page.call(f"{domain}.enable")
        page.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        page.call("Page.navigate", url=url)
        deadline = time.monotonic() + _PATIENCE
        while page.ask("document.readyState") != "complete":
            assert time.monotonic() < deadline
        self._listen(0.5)
        return page

    def call(self, method: str, session: str | None = None, **parameters: object):
        """One command and its result."""
        number = self._send(method, session, parameters)
        deadline = time.monotonic() + _PATIENCE
        while number not in self._answers:
            assert time.monotonic() < deadline, method
            self._read(1)
        answer = self._answers.pop(number)
        assert "error" not in answer, answer
        return answer["result"]

    def _send(self, method: str, session: str | None, parameters: object) -> int:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        return self._number

    def _listen(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._read(left)

    def _read(self, seconds: float) -> None:
        if not select.select([self._in], [], [], seconds)[0]:
            return
        octets = os.read(self._in, 1 << 20)
        assert octets, "the browser is gone"
        *whole, self._buffer = (self._buffer + octets).split(b"\0")
        for text in whole:
            self._take(json.loads(text))

    def _take(self, message: dict) -> None:
        if "id" in message:
            self._answers[message["id"]] = message
            return
        page = self._pages.get(message.get("sessionId", ""))
        if page is None:
            return
        about = message["params"]
        match message["method"]:
            case "Network.requestWillBeSent":
                page.requests.append(about["request"]["url"])
            case "Log.entryAdded":
                page.blocked.append(about["entry"]["text"])
            case "Page.javascriptDialogOpening":
                page.dialogs.append(about["message"])
                # not ``call``: that would wait in the middle of another call
                self._send("Page.handleJavaScriptDialog", page.session, {"accept": True})
