"""What several modules of these tests want."""

from __future__ import annotations

import socket

import pytest

from portarchive.cli import main


@pytest.fixture
def say(capfdbinary, monkeypatch, tmp_path):
    """Runs a command in this process, in which no socket can be opened."""

    def no_network(*words, **more):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", no_network)
    monkeypatch.setattr(socket, "create_connection", no_network)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)

    def speak(*words):
        code = main([str(word) for word in words])
        out, err = capfdbinary.readouterr()
        return code, out.decode(), err.decode()

    return speak
