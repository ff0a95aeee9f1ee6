"""Servers for the scenarios: what must hold of the source after every test is asserted here."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from running import BEYOND_ASCII, PASSWORD

from servers.daemon import Account
from servers.dovecot import Dovecot
from servers.scripted import ScriptedServer

_numbers = itertools.count(1)

# The first static passdb of ``Dovecot`` knows "pass", for the tests' own connections.
_PASSWORDS = "".join(
    f"passdb {{\n  driver = static\n  args = password={password}\n  mechanisms = plain login\n}}\n"
    for password in (PASSWORD, BEYOND_ASCII)
)


@pytest.fixture
def root() -> Iterator[Path]:
    """Where the archive goes: in memory where there is such a place, and not there yet."""
    shm = Path("/dev/shm")
    directory = Path(tempfile.mkdtemp(prefix="scenario-", dir=shm if shm.is_dir() else None))
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
    with Dovecot(extra=_PASSWORDS) as server:
        yield server


@pytest.fixture
def mailbox(real_dovecot: Dovecot) -> Account:
    """A user of ``real_dovecot`` whom nobody used before."""
    return real_dovecot.account(f"user{next(_numbers)}")
