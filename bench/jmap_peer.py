"""A mail tool of the plain kind, over JMAP: one message a request, over a few connections.

    jmap_peer.py download HOST PORT USER VARIABLE DIRECTORY CONNECTIONS
    jmap_peer.py upload HOST PORT USER VARIABLE DIRECTORY COUNT
    jmap_peer.py large HOST PORT USER VARIABLE - OCTETS

``download``: every Email of the account becomes a file. ``upload``: the first COUNT files become
Emails in the inbox, one upload and one Email/import each. ``large``: a message of so many octets
is appended to the inbox by IMAP. VARIABLE has the password.
"""

from __future__ import annotations

import base64
import http.client
import imaplib
import json
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

MAIL = ["urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail"]


class Client:
    """One connection."""

    def __init__(self, host: str, port: int, user: str, password: str) -> None:
        self._connection = http.client.HTTPConnection(host, port)
        pair = base64.b64encode(f"{user}:{password}".encode()).decode()
        self._headers = {"Authorization": f"Basic {pair}"}
        self.session: dict[str, Any] = json.loads(self.request("GET", "/.well-known/jmap"))
        self.account: str = self.session["primaryAccounts"][MAIL[1]]

    def request(self, method: str, path: str, body: bytes | None = None, kind: str = "") -> bytes:
        headers = {**self._headers, **({"Content-Type": kind} if kind else {})}
        self._connection.request(method, path, body, headers)
        answer = self._connection.getresponse()
        found = answer.read()
        if answer.status == 301 and method == "GET":
            return self.request(method, answer.headers["Location"])
        if answer.status >= 300:
            raise SystemExit(f"{method} {path}: {answer.status}")
        return found

    def call(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        calls = [[name, {"accountId": self.account, **arguments}, "0"]]
        body = json.dumps({"using": MAIL, "methodCalls": calls}).encode()
        answer = json.loads(self.request("POST", self.session["apiUrl"], body, "application/json"))
        found: dict[str, Any] = answer["methodResponses"][0][1]
        return found

    def blob(self, blob_id: str) -> bytes:
        path = self.session["downloadUrl"]
        for name, value in {
            "accountId": self.account, "blobId": blob_id, "name": "m.eml", "type": "message/rfc822",
        }.items():  # fmt: skip
            path = path.replace(f"{{{name}}}", quote(value, safe=""))
        return self.request("GET", path)


def download(client: Client, directory: Path, clients: Sequence[Client]) -> int:
    """Octets of all messages."""
    directory.mkdir(parents=True)
    ids = client.call("Email/query", {})["ids"]
    blobs: list[str] = []
    for at in range(0, len(ids), 500):
        found = client.call("Email/get", {"ids": ids[at : at + 500], "properties": ["blobId"]})
        blobs += [each["blobId"] for each in found["list"]]

    def some(number: int) -> int:
        total = 0
        for at in range(number, len(blobs), len(clients)):
            octets = clients[number].blob(blobs[at])
            (directory / f"{at}.eml").write_bytes(octets)
            total += len(octets)
        return total

    with ThreadPoolExecutor(len(clients)) as pool:
        return sum(pool.map(some, range(len(clients))))


def upload(client: Client, files: Sequence[Path]) -> int:
    """How many messages it made."""
    inbox = next(
        each["id"]
        for each in client.call("Mailbox/get", {"properties": ["role"]})["list"]
        if each["role"] == "inbox"
    )
    path = client.session["uploadUrl"].replace("{accountId}", quote(client.account, safe=""))
    made = 0
    for file in files:
        blob = json.loads(client.request("POST", path, file.read_bytes(), "message/rfc822"))
        email = {"blobId": blob["blobId"], "mailboxIds": {inbox: True}, "keywords": {"$seen": True}}
        answer = client.call("Email/import", {"emails": {"e": email}})
        made += len(answer.get("created") or {})
    return made


def large(host: str, port: int, user: str, password: str, size: int) -> None:
    line = b"UG9ydGFibGUgbWFpbCBhcmNoaXZlcywgb25lIGxpbmUgYWZ0ZXIgYW5vdGhlciwgdGlsbCBkb25l\r\n"
    octets = b"Subject: The film\r\n\r\n" + line * (size // len(line))
    with imaplib.IMAP4(host, port) as server:
        server.login(user, password)
        status, words = server.append("INBOX", "", "", octets)
        if status != "OK":
            raise SystemExit(str(words))


def main() -> int:
    what, host, port, user, variable, directory, number = sys.argv[1:]
    where = Path(directory)
    if what == "large":
        large(host, int(port), user, os.environ[variable], int(number))
        return 0

    def client() -> Client:
        return Client(host, int(port), user, os.environ[variable])

    if what == "download":
        print(download(client(), where, [client() for _ in range(int(number))]))
    else:
        print(upload(client(), sorted(where.rglob("*.eml"))[: int(number)]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
