"""The Dovecot that everybody is measured against: the one of the tests, its mail on tmpfs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from peers import ROOT, Endpoint

# 300,000 messages in a folder and a message of 200 MB are beyond Dovecot's default of 256 MB.
_EXTRA = "default_vsz_limit = 2G\n"


class ServerUnavailableError(Exception):
    """Dovecot or mbsync are not here and could not be brought, or Dovecot does not start."""


@contextmanager
def serving(directory: Path) -> Iterator[tuple[Endpoint, Callable[[str], Path]]]:
    """Bring the servers if they are missing, and run Dovecot with its mail below ``directory``.

    Yields the endpoint and the function that tells a user's Maildir.

    Raises:
        ServerUnavailableError: with the reason and the next step.
    """
    tools = ROOT / "tests/tools/get_servers.py"
    brought = subprocess.run(
        [sys.executable, tools], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False
    )
    if brought.returncode:
        raise ServerUnavailableError(brought.stderr.decode(errors="replace").strip())
    sys.path.insert(0, str(ROOT / "tests"))
    from servers.dovecot import Dovecot

    # Dovecot's mail processes run as another user and must pass through here.
    directory.chmod(0o755)
    server = Dovecot(directory=directory, extra=_EXTRA)
    try:
        server.start()
    except RuntimeError as error:
        raise ServerUnavailableError(str(error)) from None
    try:
        endpoint = Endpoint("127.0.0.1", server.port, server.password)
        yield endpoint, lambda user: server.maildir(user, "INBOX")
    finally:
        server.stop()
