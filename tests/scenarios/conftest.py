"""Servers for the scenarios: what must hold of the source after every test is asserted here."""

from __future__ import annotations

import contextlib
import itertools
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import real_mail
from holding import Goal, ImapGoal, MaildirGoal, MboxGoal, Pymap
from running import BEYOND_ASCII, PASSWORD

from portarchive.demo.server import demo_server
from servers.cyrus import Cyrus
from servers.daemon import Account
from servers.dovecot import Dovecot
from servers.scripted import ScriptedServer


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Which mail the tests with real mail had."""
    for line in real_mail.said:
        terminalreporter.write_line(line)


_numbers = itertools.count(1)

# The first static passdb of ``Dovecot`` knows "pass", for the tests' own connections.
_PASSWORDS = "".join(
    f"passdb {{\n  driver = static\n  args = password={password}\n  mechanisms = plain login\n}}\n"
    for password in (PASSWORD, BEYOND_ASCII)
)


_MEMORY = Path("/dev/shm") if Path("/dev/shm").is_dir() else None


@pytest.fixture
def root() -> Iterator[Path]:
    """Where the archive goes: in memory where there is such a place, and not there yet."""
    directory = Path(tempfile.mkdtemp(prefix="scenario-", dir=_MEMORY))
    yield directory / "archive"
    shutil.rmtree(directory)


@pytest.fixture
def scripted() -> Iterator[ScriptedServer]:
    """A scripted server that holds the test to P7: nothing that could change the source."""
    with ScriptedServer() as server:
        server.password = PASSWORD
        yield server
    server.check()


@pytest.fixture(scope="session")
def real_dovecot() -> Iterator[Dovecot]:
    """A Dovecot where the planted passwords are good as well."""
    with Dovecot(directory=_MEMORY, extra=_PASSWORDS) as server:
        yield server


@pytest.fixture
def mailbox(real_dovecot: Dovecot) -> Account:
    """A user of ``real_dovecot`` whom nobody used before."""
    return real_dovecot.account(f"user{next(_numbers)}")


@pytest.fixture(scope="session")
def real_cyrus() -> Iterator[Cyrus]:
    """A Cyrus that syncs to memory: on a disk it takes its time."""
    with Cyrus(directory=_MEMORY, special_use={"Sent": r"\Sent", "Trash": r"\Trash"}) as server:
        yield server


@pytest.fixture
def cyrus_mailbox(real_cyrus: Cyrus) -> Account:
    """A user of ``real_cyrus`` whom nobody used before; its mailbox exists."""
    return real_cyrus.account(f"user{next(_numbers)}")


@pytest.fixture
def goals(request: pytest.FixtureRequest) -> Iterator[Callable[[str], Goal]]:
    """Makes empty targets by kind: ``goals("cyrus")``, each time another one."""
    with contextlib.ExitStack() as stack:

        def directory() -> Path:
            made = tempfile.mkdtemp(prefix="goal-", dir=_MEMORY)
            stack.callback(shutil.rmtree, made)
            return Path(made)

        def pymap() -> Goal:
            folder = {"path": ["INBOX"], "roles": ["inbox"], "subscribed": True}
            folder |= {"selectable": True, "uidvalidity": 7, "messages": []}
            described = {"account": "jane", "name": "Jane", "folders": [folder]}
            where = directory()
            (where / "mailbox.json").write_text(json.dumps(described))
            demo = stack.enter_context(demo_server(where))
            return ImapGoal("pymap", Pymap(demo.port, demo.user, demo.password).account(demo.user))

        def make(kind: str) -> Goal:
            if kind in {"dovecot", "cyrus"}:
                account = request.getfixturevalue(f"real_{kind}").account(f"goal{next(_numbers)}")
                return ImapGoal(kind, account, PASSWORD if kind == "dovecot" else None)
            if kind == "pymap":
                return pymap()
            if kind.startswith("maildir"):
                layout = "?layout=fs" if kind == "maildir" else ""
                return MaildirGoal(directory() / "Maildir", layout=layout)
            return MboxGoal(directory() / "mbox", status=kind == "mbox")

        yield make
