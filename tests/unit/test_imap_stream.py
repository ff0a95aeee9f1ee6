"""The shared buffer: lines, counted octets, and the end of a connection at any octet."""

from __future__ import annotations

import itertools
import socket
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portarchive.connectors.imap import stream as stream_module
from portarchive.connectors.imap.responses import Fetch, Status, read_response
from portarchive.connectors.imap.stream import CAPACITY, Stream
from portarchive.errors import ConnectionLost, ServerMisbehaved


def fed(*pieces: bytes, end: bool = True) -> tuple[Stream, threading.Thread, socket.socket]:
    """A stream whose other side sends these pieces one by one."""
    here, there = socket.socketpair()
    here.settimeout(10)

    def feed() -> None:
        try:
            for piece in pieces:
                there.sendall(piece)
            if end:
                there.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    thread = threading.Thread(target=feed)
    thread.start()
    return Stream(here), thread, there


def close(stream: Stream, thread: threading.Thread, there: socket.socket) -> None:
    stream.sock.close()
    thread.join()
    there.close()


def test_lines_and_literals() -> None:
    stream, *rest = fed(b"one\r\ntwo\n", b"five5", b"\r\nlast")
    assert stream.line() == b"one"
    assert stream.line() == b"two"
    assert stream.take(5) == b"five5"
    assert stream.line() == b""
    with pytest.raises(ConnectionLost):
        stream.line()
    close(stream, *rest)


def test_a_line_longer_than_the_buffer_and_back() -> None:
    long = b"x" * (3 * CAPACITY)
    stream, *rest = fed(b"a\r\n" + long + b"\r\n", b"b\r\n")
    assert stream.line() == b"a"
    assert stream.line() == long
    assert stream.line() == b"b"
    with pytest.raises(ConnectionLost):
        stream.fill()
    assert len(stream.buf) == CAPACITY
    close(stream, *rest)


def test_an_endless_line_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_module, "MAX_LINE", 4 * CAPACITY)
    stream, *rest = fed(*[b"x" * CAPACITY] * 6)
    with pytest.raises(ServerMisbehaved):
        stream.line()
    close(stream, *rest)


def test_chunks_do_not_go_through_the_buffer() -> None:
    size = 20 * CAPACITY
    stream, *rest = fed(*[b"y" * CAPACITY] * 20, b"end\r\n")
    assert sum(map(len, stream.chunks(size))) == size
    assert len(stream.buf) == CAPACITY
    assert stream.line() == b"end"
    assert stream.received == size + 5
    close(stream, *rest)


def test_cut_and_silence() -> None:
    stream, *rest = fed(b"abc")
    with pytest.raises(ConnectionLost, match="middle of a message"):
        b"".join(stream.chunks(10))
    close(stream, *rest)
    stream, *rest = fed(b"abc", end=False)
    stream.sock.settimeout(0.05)
    with pytest.raises(ConnectionLost, match="silent"):
        stream.line()
    close(stream, *rest)


def test_tls_must_not_begin_with_cleartext_in_the_buffer() -> None:
    stream, *rest = fed(b"* OK\r\n* evil\r\n")
    stream.line()
    with pytest.raises(ServerMisbehaved):
        stream.rebase(stream.sock)
    close(stream, *rest)


ANSWER = (
    b"* 5 EXISTS\r\n"
    b"* OK [UIDVALIDITY 7] fine\r\n"
    b'* 1 FETCH (UID 3 FLAGS (\\Seen kw) INTERNALDATE "17-Jul-1996 02:44:25 -0700" BODY[] {30}\r\n'
    b"* 2 EXPUNGE\r\na1 NO no\r\n* BYE\r\n)\r\n"
    b"* VANISHED (EARLIER) 4:6,9\r\n"
    b"* LIST () NIL {3}\r\na\r\n\r\n"
    b"* SEARCH 1 2 3\r\n"
    b"a1 OK [READ-ONLY] done\r\n"
)


def read_all(pieces: list[bytes]) -> list[object]:
    stream, *rest = fed(*pieces)
    found: list[object] = []
    while True:
        response = read_response(stream)
        found.append(response)
        if isinstance(response, Status) and response.tag == b"a1":
            close(stream, *rest)
            return found


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, len(ANSWER)), max_size=12))
def test_any_split_gives_the_same_responses(cuts: list[int]) -> None:
    edges = sorted({0, len(ANSWER), *cuts})
    pieces = [ANSWER[low:high] for low, high in itertools.pairwise(edges)]
    assert read_all(pieces) == read_all([ANSWER])


@pytest.mark.parametrize("size", range(13))
@pytest.mark.parametrize("kind", [b"LIST", b"LSUB", b"STATUS"])
def test_a_name_without_its_quotes_takes_no_response_for_its_own(kind: bytes, size: int) -> None:
    following = b"* " + kind + b' () "/" Other\r\na1 OK done\r\n'
    stream, *rest = fed(b'* LIST () "/" My Drafts {%d}\r\n' % size + following)
    with pytest.raises(ServerMisbehaved, match="cannot be told from a literal"):
        read_response(stream)
    close(stream, *rest)


def test_what_the_whole_answer_says() -> None:
    found = read_all([ANSWER])
    fetch = next(entry for entry in found if isinstance(entry, Fetch))
    assert fetch.items[b"BODY[]"] == b"* 2 EXPUNGE\r\na1 NO no\r\n* BYE\r\n"
    assert len(found) == 7
