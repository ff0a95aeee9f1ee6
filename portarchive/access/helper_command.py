"""Run the user's own command that prints a secret.

Without a shell; stdin is the user's, so that it may ask for a PIN; stderr is handed on. The secret
is the first line of stdout and gets into no error text.
"""

from __future__ import annotations

import os
import selectors
import subprocess
import time
from collections.abc import Callable, Sequence

from portarchive.errors import AuthenticationFailed, SettingsError

_QUIET_SECONDS = 0.5
"""How long stderr is held back: long enough to know whether it shows the secret (as ``set -x``
does), short enough for a prompt."""

_LONGEST_SECRET = 1 << 20


def first_line(words: Sequence[str], *, option: str, on_stderr: Callable[[str], None]) -> str:
    """Run the command and return the first line of its stdout.

    Args:
        words: the command, ready for exec.
        option: the option it came from, for error texts.
        on_stderr: is given what it writes on stderr, in pieces, the secret replaced by ``***``.

    Raises:
        SettingsError: it cannot be started.
        AuthenticationFailed: it failed, or printed nothing usable.
    """
    try:
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it has a NUL in it"
        raise SettingsError(
            f"the command of {option} cannot be started: {reason}",
            hint="give the full path of the program; it is run without a shell",
        ) from error
    try:
        printed = _attend(process, on_stderr)
        status = process.wait()
    except BaseException:
        process.kill()
        process.wait()
        raise
    finally:
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
    if status != 0:
        raise _failed(f"the command of {option} failed with exit code {status}", option)
    line = printed.partition(b"\n")[0].removesuffix(b"\r")
    try:
        secret = line.decode()
    except UnicodeDecodeError:
        secret = ""  # and no cause is kept: its text would show octets of the secret
    if not secret or "\0" in secret:
        raise _failed(f"the command of {option} printed no secret on its first line", option)
    return secret


def _failed(text: str, option: str) -> AuthenticationFailed:
    return AuthenticationFailed(
        text,
        hint=f"run the command of {option} by hand and see what it says",
        code="secret-command-failed",
    )


def _attend(process: subprocess.Popen[bytes], on_stderr: Callable[[str], None]) -> bytes:
    """Read both pipes until the command ends; what is behind its first line is dropped.

    An agent that the command leaves running may keep the pipes open: that does not hold us up.
    """
    printed = bytearray()
    held = bytearray()
    heard = time.monotonic()
    with selectors.DefaultSelector() as selector:
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                selector.register(pipe, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(timeout=_QUIET_SECONDS / 2)
            for key, _ in ready:
                piece = os.read(key.fd, 65536)
                if not piece:
                    selector.unregister(key.fileobj)
                elif key.fileobj is process.stderr:
                    held += piece
                    heard = time.monotonic()
                elif b"\n" not in printed and len(printed) < _LONGEST_SECRET:
                    printed += piece
            if held and time.monotonic() - heard > _QUIET_SECONDS:
                on_stderr(_without(held, printed))
                held.clear()
            if not ready and process.poll() is not None:
                break
    if held:
        on_stderr(_without(held, printed))
    return bytes(printed)


def _without(shown: bytearray, printed: bytearray) -> str:
    secret = bytes(printed.partition(b"\n")[0].removesuffix(b"\r"))
    return (shown.replace(secret, b"***") if secret else shown).decode(errors="replace")
