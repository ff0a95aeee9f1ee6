"""How events look: JSON lines for programs, plain lines in a pipe, a live display on a terminal."""

from __future__ import annotations

import dataclasses
import io
import json
import typing

import pytest
from schema_checks import EVENT

from portarchive import progress
from portarchive.cli.progress_view import EVENT_NAMES, PlainLines, Speech, Tally, observing

HOSTILE = "Evil\x1b]0;pwned\x07 \x1b[31m[bold]\u202efolder"
EVENTS = [
    progress.Connected("imaps://h:993", "jane", HOSTILE),
    progress.FoldersFound(2, 1000),
    progress.FolderStarted(HOSTILE, 1000),
    progress.Stored(HOSTILE, 500, 1_000_000),
    progress.Passed(HOSTILE, 100),
    progress.Waiting(30, HOSTILE),
    progress.Notice("count-mismatch", HOSTILE),
    progress.Notice("fine", HOSTILE, "note"),
    progress.FolderFinished(HOSTILE, 999, 1),
    progress.FolderFinished("Empty", 0, 0),
    progress.Committing(3),
    progress.Committed("id", "0" * 64),
]


class Terminal(io.StringIO):
    def isatty(self):
        return True


def shown(mode, stream=None, **settings):
    stream = io.StringIO() if stream is None else stream
    with observing(Speech(mode=mode, **settings), stream) as observer:
        for event in EVENTS:
            observer(event)
    return stream.getvalue()


def test_every_event_has_a_name():
    assert set(EVENT_NAMES) == set(typing.get_args(progress.Event))


def test_json_lines_are_as_the_schema_says():
    lines = [json.loads(line) for line in shown("json").splitlines()]
    assert [line["event"] for line in lines] == [EVENT_NAMES[type(event)] for event in EVENTS]
    for line in lines:
        EVENT.validate(line)
    assert lines[3] == {"event": "stored", "path": HOSTILE, "messages": 500, "octets": 1_000_000}


def test_the_schema_has_exactly_the_members_of_each_event():
    for kind, name in EVENT_NAMES.items():
        members = {"event"} | {field.name for field in dataclasses.fields(kind)}
        assert set(EVENT.schema["$defs"][name]["properties"]) == members
        assert set(EVENT.schema["$defs"][name]["required"]) == members
    with pytest.raises(Exception, match="not valid"):
        EVENT.validate({"event": "stored", "path": "x", "messages": 1})


def test_plain_lines():
    text = shown("plain")
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "pwned" not in text
    assert text.splitlines() == [
        "connected to imaps://h:993 as jane (Evil [bold]folder)",
        "2 folders, 1,000 messages",
        "waiting 30 s: Evil [bold]folder",
        "warning: Evil [bold]folder",
        "Evil [bold]folder: 999 here, 500 fetched, 1 not to be had",
        "publishing the archive (3 files of metadata)",
    ]


def test_a_pipe_gets_plain_lines_and_verbose_says_more():
    assert shown("auto") == shown("plain")
    more = shown("plain", verbose=1)
    assert "Empty: 0 here, 0 fetched\n" in more
    assert "note: " in more
    assert set(shown("plain").splitlines()) < set(more.splitlines())


def test_none_shows_warnings_and_quiet_nothing():
    assert shown("none") == "warning: Evil [bold]folder\n"
    assert shown("plain", quiet=True) == ""
    assert shown("json", quiet=True) == shown("json")


def test_at_most_one_line_a_second():
    now = [0.0]
    out = io.StringIO()
    view = PlainLines(out, clock=lambda: now[0])
    view(progress.FoldersFound(1, 100_000))
    for _ in range(1000):
        now[0] += 0.01
        view(progress.Stored("INBOX", 100, 1000))
    lines = out.getvalue().splitlines()
    assert 9 <= len(lines) <= 11
    assert lines[1] == "INBOX: 10,000 of 100,000 messages, 100.0 kB, 10,000/s, about 9 s left"


def test_pace_without_counts():
    tally = Tally(lambda: 1.0)
    tally.add(progress.FoldersFound(1, None))
    tally.add(progress.Passed("x", 7))
    assert tally.pace() == "7 messages, 0 B"


def test_the_live_display_on_a_terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    text = shown("auto", Terminal())
    assert "\x1b[" in text  # it draws
    assert "pwned" not in text
    assert "\u202e" not in text
    assert "[bold]" in text  # markup is not interpreted
    assert "Evil [bold]folder: 999 here, 500 fetched, 1 not to be had" in text
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[33m" not in shown("auto", Terminal())


def test_a_dumb_terminal_gets_plain_lines(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    assert shown("auto", Terminal()) == shown("plain")


@pytest.mark.parametrize("mode", ["json", "plain"])
def test_a_broken_stderr_does_not_stop_a_job(mode):
    class Broken(io.StringIO):
        def write(self, _):
            raise BrokenPipeError

    shown(mode, Broken())
    closed = io.StringIO()
    closed.close()
    with observing(Speech(mode=mode), closed) as observer:
        observer(EVENTS[0])
