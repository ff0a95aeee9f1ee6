"""The service record: a real resolver against a name server of the test's own."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import dns.message
import dns.rrset
import pytest

from portarchive.connectors.jmap import srv


class NameServer:
    """Answers every question with the same records; ``text``: None for no such name."""

    def __init__(self) -> None:
        self.records: list[str] = []
        self.asked: list[str] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            octets, address = self._socket.recvfrom(4096)
            if octets == b"end":
                return
            question = dns.message.from_wire(octets)
            name = question.question[0].name
            self.asked.append(name.to_text())
            answer = dns.message.make_response(question)
            if self.records:
                answer.answer.append(dns.rrset.from_text(name, 60, "IN", "SRV", *self.records))
            else:
                answer.set_rcode(3)
            self._socket.sendto(answer.to_wire(), address)

    def close(self) -> None:
        self._socket.sendto(b"end", self._socket.getsockname())
        self._thread.join(60)
        self._socket.close()

    def lookup(self) -> list[srv.Service]:
        return srv.lookup("example.org", nameservers=("127.0.0.1",), port=self.port)


@pytest.fixture
def name_server() -> Iterator[NameServer]:
    server = NameServer()
    yield server
    server.close()


def test_servers_in_the_order_to_try_them(name_server: NameServer) -> None:
    name_server.records = [
        "20 0 443 last.example.org.", "10 1 443 second.example.org.",
        "10 9 8443 First.Example.ORG.",
    ]  # fmt: skip
    assert name_server.lookup() == [
        ("first.example.org", 8443), ("second.example.org", 443), ("last.example.org", 443),
    ]  # fmt: skip
    assert name_server.asked == ["_jmap._tcp.example.org."]


def test_no_service_and_no_name(name_server: NameServer) -> None:
    name_server.records = ["0 0 0 ."]
    assert name_server.lookup() == []
    name_server.records = []
    assert name_server.lookup() == []


def test_a_name_server_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(srv, "LIFETIME", 0.2)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        found = srv.lookup("example.org", nameservers=("127.0.0.1",), port=silent.getsockname()[1])
    assert found == []
    assert srv.lookup("a" * 70 + ".example", nameservers=("127.0.0.1",)) == []
