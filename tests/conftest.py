"""Fixtures that every test may use: the real servers, started once a session, and fresh users."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from servers.cyrus import Cyrus
from servers.daemon import Account
from servers.dovecot import Dovecot
from servers.scripted import ScriptedServer

_numbers = itertools.count(1)

# How long an example takes says more about the machine than about the program.
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")


@pytest.fixture(scope="session")
def dovecot() -> Iterator[Dovecot]:
    """A running Dovecot; see ``servers/dovecot.py``."""
    with Dovecot() as server:
        yield server


@pytest.fixture
def dovecot_user(dovecot: Dovecot) -> Account:
    """A user of ``dovecot`` whom nobody used before: ``.url()``, ``.append(folder, octets)`` …"""
    return dovecot.account(f"user{next(_numbers)}")


@pytest.fixture(scope="session")
def cyrus() -> Iterator[Cyrus]:
    """A running Cyrus; see ``servers/cyrus.py``."""
    with Cyrus(special_use={"Sent": r"\Sent", "Trash": r"\Trash"}) as server:
        yield server


@pytest.fixture
def cyrus_user(cyrus: Cyrus) -> Account:
    """A user of ``cyrus`` whom nobody used before; its mailbox exists."""
    return cyrus.account(f"user{next(_numbers)}")


@pytest.fixture
def scripted() -> Iterator[ScriptedServer]:
    """A scripted server of the test's own; see ``servers/scripted.py`` and its faults."""
    with ScriptedServer() as server:
        yield server
