"""Run the program as a person does: a process of its own, and everything that it says.

A secret that is planted must not come out anywhere: ``run`` looks for it in every output.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from signals import usual_signals

PLANTED = "pl4nted-s3cret"
"""A password that no output, no file and no error may hold."""

PATIENCE = 120.0
"""Seconds that only what hangs takes, on the slowest of machines."""


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The text of the one error line."""
        lines = [line for line in self.err.splitlines() if line.startswith("error: ")]
        assert len(lines) == 1, self.err
        return lines[0].removeprefix("error: ")

    @property
    def hint(self) -> str:
        lines = [line for line in self.err.splitlines() if line.startswith("hint: ")]
        assert len(lines) == 1, self.err
        return lines[0].removeprefix("hint: ")

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def json_error(self):
        """The object that is the last line of stderr."""
        found = json.loads(self.err.splitlines()[-1])
        assert list(found) == ["code", "message", "hint"]
        return found

    def refused(self, code: int) -> str:
        """One clear line, the next step, the exit code, no traceback, nothing on stdout."""
        assert self.code == code, self.err
        assert self.out == ""
        assert "Traceback" not in self.err
        assert self.hint
        return self.error


def environment(**more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PORTARCHIVE_")}
    kept.pop("SOURCE_DATE_EPOCH", None)
    return {
        **kept,
        "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
        "PYTHONWARNINGS": "error",
        "NO_COLOR": "1",
        **more,
    }


def start(*words: object, password: str | None = None, **more: object) -> subprocess.Popen[str]:
    secret = {} if password is None else {"PORTARCHIVE_SOURCE_PASSWORD": password}
    settings = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    extra = more.pop("env", {})
    with usual_signals():
        return subprocess.Popen(
            [sys.executable, "-m", "portarchive", *map(str, words)],
            text=True,
            env=environment(**secret, **extra),
            **{**settings, **more},
        )


def run(
    *words: object, password: str | None = None, timeout: float = PATIENCE, **more: object
) -> Said:
    process = start(*words, password=password, **more)
    try:
        out, err = process.communicate(timeout=timeout)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            process.communicate()
    said = Said(process.returncode, out or "", err or "")
    for secret in {PLANTED, password} - {None}:
        assert secret not in said.out + said.err
    return said


def files_of(directory: Path) -> list[str]:
    return sorted(str(p.relative_to(directory)) for p in directory.rglob("*"))


def holds_secret(directory: Path, secret: str = PLANTED) -> list[Path]:
    """Files that a secret got into."""
    return [
        path
        for path in directory.rglob("*")
        if path.is_file() and secret.encode() in path.read_bytes()
    ]


def eventually(condition, seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
