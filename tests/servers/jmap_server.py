"""A fake JMAP server: real HTTP on a loopback port, and knobs for what a real one does unasked.

with FakeJmap(maxObjectsInGet=10) as server:    # announced limits
    server.real["maxObjectsInGet"] = 3          # smaller ones, which it does not announce
    server.on("Email/import", Drop("after"))    # see ``jmap_faults``; also "session", "api",
                                                # "upload", "download"
    server.verdict = lambda octets, wanted: {"type": "overQuota"} if … else None
    server.settings()                           # ``JmapSettings`` of its user
# at the end it fails if an announced limit was exceeded, or if it was asked nonsense
"""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import hashlib
import json
import re
import socket
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self
from urllib.parse import unquote, urlsplit

from portarchive.connectors.jmap import JmapSettings
from servers.jmap_faults import (
    LIMIT,
    NOT_REQUEST,
    UNKNOWN_CAPABILITY,
    Action,
    Drop,
    DroppedError,
    Fault,
    Slow,
    Status,
)
from servers.jmap_methods import BLOB, CORE, CYRUS_BLOB, MAIL, Methods
from servers.jmap_store import Blob, Store

PASSWORD = "pl4nted-jmap-s3cret"

LIMITS = {
    "maxSizeUpload": 50_000_000,
    "maxConcurrentUpload": 4,
    "maxSizeRequest": 10_000_000,
    "maxConcurrentRequests": 4,
    "maxCallsInRequest": 16,
    "maxObjectsInGet": 500,
    "maxObjectsInSet": 500,
}
_CHUNK = 1 << 16
_NOTICED = 5.0
"""Seconds within which the end of a connection reaches the server, through a relay as well."""

Verdict = dict[str, Any] | None


class Secret:
    """As ``JmapSettings`` wants it; ``text`` may be changed at any time."""

    def __init__(self, text: str, kind: str = "password") -> None:
        self.text, self.kind = text, kind

    def reveal(self) -> str:
        return self.text


class FakeJmap:
    """See the module.

    Args:
        blobs: ``standard`` (RFC 9404), ``cyrus`` or None.
        limits: announced.

    Attributes:
        real: limits that are smaller than announced, and ``maxSizeBlobSet``.
        mail_limits: of the account, announced.
        page, most_changes: how many a query and a changes call give at most.
        verdict, box_verdict, update_verdict: SetErrors, or None.
        poison: whether a method fails whose window has such a message (``serverFail``).
        edit_session: makes something else of the session object; ``edit_answer`` of the answer to
            a request, ``edit_upload`` of that to an upload.
        state: of the session object.
        pace: seconds that a download takes at least.
        busy: what is said to a request too many at once.
        floods: by blob id: so many octets 0 come in place of what it has. ``endless``: nobody says
            how many there will be.
        flooded: how many of those went out.
        unannounced: by blob id: so many octets of it come, the next time, the one after that, with
            nobody saying how many there will be, and then the connection ends as if all were well.
        refused: how many requests were too many at once, by limit.
        read_only: it says so when something is to be written.
        received: octets of uploads so far.
        authorizations: what came in that field, of every request.
        calls: how often each method was called; ``requests`` counts HTTP requests by place.
    """

    def __init__(self, *, blobs: str | None = "standard", user: str = "jane", **limits: int):
        self.store = Store()
        self.blobs, self.user, self.account = blobs, user, f"u-{user}"
        self.secret = Secret(PASSWORD)
        self.accepts = f"Basic {base64.b64encode(f'{user}:{PASSWORD}'.encode()).decode()}"
        self.announced = LIMITS | limits
        self.real: dict[str, int] = {}
        self.mail_limits: dict[str, int] = {}
        self.page: int | None = None
        self.most_changes: int | None = None
        self.verdict: Callable[[bytes, dict[str, Any]], Verdict] = lambda _octets, _wanted: None
        self.box_verdict: Callable[[dict[str, Any]], Verdict] = lambda _wanted: None
        self.update_verdict: Callable[[dict[str, Any]], Verdict] = lambda _patch: None
        self.poison: Callable[[bytes], bool] = lambda _octets: False
        self.edit_session: Callable[[dict[str, Any]], Any] = lambda found: found
        self.edit_answer: Callable[[dict[str, Any]], Any] = lambda found: found
        self.edit_upload: Callable[[dict[str, Any]], Any] = lambda found: found
        self.pace = 0.0
        self.state = "s1"
        self.busy = Status(400, {"type": LIMIT, "limit": "maxConcurrentRequests"})
        self.floods: dict[str, int] = {}
        self.endless = False
        self.unannounced: dict[str, list[int]] = {}
        self.flooded = 0
        self.refused: Counter[str] = Counter()
        self.read_only = False
        self.received = 0
        self.authorizations: list[str] = []
        self.calls: Counter[str] = Counter()
        self.requests: Counter[str] = Counter()
        self.complaints: list[str] = []
        self.lock = threading.RLock()
        self._faults: list[Fault] = []
        self._inside: dict[str, list[_Inside]] = defaultdict(list)
        self._connections: set[socket.socket] = set()

    def __enter__(self) -> Self:
        server = self

        class Bound(_Handler):
            jmap = server

        self._http = _Server(("127.0.0.1", 0), Bound)
        self._http.jmap = self
        self.port = self._http.server_address[1]
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()
        self.drop_all()
        if kind is None:
            self.check()

    def check(self) -> None:
        """No announced limit was exceeded."""
        assert not self.complaints, self.complaints

    def settings(self, **more: Any) -> JmapSettings:
        given: dict[str, Any] = {
            "host": "127.0.0.1", "port": self.port, "tls": False, "user": self.user,
            "secret": self.secret, "timeout": 10.0,
        }  # fmt: skip
        return JmapSettings(**(given | more))

    # --- bad days -------------------------------------------------------------------------------

    def on(self, where: str, action: Action, *, skip: int = 0, times: int = 1) -> None:
        """From now on: at ``where``, after so many that pass, so many times."""
        self._faults.append(Fault(where, action, skip, times))

    def strike(self, where: str) -> Action | None:
        """What is to happen here; what is only a delay or a break happens now."""
        with self.lock:
            (self.calls if "/" in where else self.requests)[where] += 1
            fault = next((each for each in self._faults if each.strikes(where)), None)
        action = fault.action if fault is not None else None
        if isinstance(action, Slow) and not action.after:
            time.sleep(action.seconds)
        if action == Drop("before"):
            raise DroppedError
        return action

    def drop_all(self) -> None:
        """All connections break."""
        with self.lock:
            connections, self._connections = self._connections, set()
        for connection in connections:
            cut(connection)

    def complain(self, text: str) -> None:
        self.complaints.append(text)

    def limit(self, name: str) -> int:
        return min(self.announced.get(name, 1 << 60), self.real.get(name, 1 << 60))

    def exceeds(self, name: str, count: int) -> bool:
        """Whether that is too much; more than announced is the client's fault."""
        if count > self.announced.get(name, 1 << 60):
            self.complain(f"{name}: {count}")
        return count > self.limit(name)

    @contextlib.contextmanager
    def inside(self, limit: str, connection: socket.socket) -> Iterator[bool]:
        """One more request of a kind; False if those are too many at once.

        One that its client gave up does not count, though it takes a moment to be noticed here.
        """
        me = _Inside(connection)
        with self.lock:
            before = list(self._inside[limit])
            self._inside[limit].append(me)
        try:
            ends = time.monotonic() + _NOTICED
            while (open_ := [each for each in before if not each.is_given_up()]) and (
                len(open_) >= self.announced.get(limit, 1 << 60) and time.monotonic() < ends
            ):
                time.sleep(0.005)
            with self.lock:
                fits = not self.exceeds(limit, len(open_) + 1)
                self.refused[limit] += not fits
            yield fits
        finally:
            with self.lock:
                me.is_over = True
                self._inside[limit].remove(me)

    @staticmethod
    def now() -> str:
        return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def session(self) -> Any:
        """The session object (RFC 8620 section 2)."""
        capabilities: dict[str, Any] = {CORE: {**self.announced, "collationAlgorithms": []}}
        capabilities[MAIL] = {}
        own: dict[str, Any] = {CORE: {}, MAIL: {**self.mail_limits}}
        uri = {"standard": BLOB, "cyrus": CYRUS_BLOB}.get(self.blobs or "")
        if uri is not None:
            capabilities[uri] = {}
            limit = self.announced.get("maxSizeBlobSet")
            own[uri] = {} if limit is None else {"maxSizeBlobSet": limit}
        return self.edit_session(
            {
                "capabilities": capabilities,
                "accounts": {
                    self.account: {
                        "name": self.user, "isPersonal": True, "isReadOnly": False,
                        "accountCapabilities": own,
                    }
                },
                "primaryAccounts": {MAIL: self.account},
                "username": self.user,
                "apiUrl": "/api",
                "downloadUrl": "/download/{accountId}/{blobId}/{name}?type={type}",
                "uploadUrl": "/upload/{accountId}/",
                "eventSourceUrl": "/events",
                "state": self.state,
            }
        )  # fmt: skip


@dataclass(eq=False)
class _Inside:
    """A request that is worked on. ``is_over``: it is not any more."""

    connection: socket.socket
    is_over: bool = False

    def is_given_up(self) -> bool:
        """Whether the client closed its end before that."""
        if self.is_over:
            return False
        try:
            return not self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except (OSError, ValueError):
            return True


class _Flood(NamedTuple):
    """So many octets 0."""

    octets: int


class _Unannounced(NamedTuple):
    """Octets whose end is the end of the connection."""

    octets: bytes


def cut(connection: socket.socket) -> None:
    """With a reset: what is on its way is thrown away."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.shutdown(socket.SHUT_RDWR)
    with contextlib.suppress(OSError):
        connection.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    jmap: FakeJmap

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that broke is no news; what a test claims and anything else fails it."""
        del request, client_address
        error = sys.exception()
        closed = isinstance(error, ValueError) and "closed file" in str(error)
        if not isinstance(error, OSError) and not closed:
            self.jmap.complain(f"the server failed: {error!r}")


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    jmap: FakeJmap

    def setup(self) -> None:
        super().setup()
        with self.jmap.lock:
            self.jmap._connections.add(self.connection)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        del format, args

    def do_GET(self) -> None:
        if urlsplit(self.path).path == "/.well-known/jmap":
            self._guarded("session", self._session)
        elif self.path.startswith("/download/"):
            self._guarded("download", self._download)
        else:
            self._answer(404, {})

    def do_POST(self) -> None:
        if self.path == "/api":
            self._guarded("api", self._api)
        elif self.path.startswith("/upload/"):
            self._guarded("upload", self._upload)
        else:
            self._answer(404, {})

    def _guarded(self, where: str, work: Callable[[], tuple[int, Any]]) -> None:
        with contextlib.ExitStack() as self.staying:
            self._worked(where, work)

    def _worked(self, where: str, work: Callable[[], tuple[int, Any]]) -> None:
        server = self.jmap
        server.authorizations.append(self.headers.get("Authorization", ""))
        try:
            action = server.strike(where)
            if isinstance(action, Status):
                self._read_all()
                self._answer(action.status, action.problem, action.headers, action.reason)
                return
            if self.headers.get("Authorization") != server.accepts:
                self._read_all()
                self._answer(401, {"title": "who are you?"})
                return
            status, found = work()
            if isinstance(action, Slow) and action.after:
                time.sleep(action.seconds)
            if action == Drop("after"):
                self._drop()
            else:
                self._answer(status, found)
        except DroppedError:
            self._drop()

    def _drop(self) -> None:
        self.close_connection = True
        cut(self.connection)

    def _answer(
        self,
        status: int,
        found: Any,
        headers: dict[str, str] | None = None,
        reason: str | None = None,
    ) -> None:
        if isinstance(found, _Flood):
            self._flood(found.octets)
            return
        if isinstance(found, _Unannounced):
            self.send_response(200)
            self.send_header("Connection", "close")
            self.close_connection = True
            self.end_headers()
            self.wfile.write(found.octets)
            return
        octets = found if isinstance(found, bytes) else json.dumps(found).encode()
        self.send_response(status, reason)
        kind = "application/problem+json" if status >= 400 else "application/json"
        length = str(len(octets))
        for name, value in {
            "Content-Type": kind, "Content-Length": length, **(headers or {})
        }.items():  # fmt: skip
            self.send_header(name, value)
        # It is over for the client with the last octet: then it may send the next one.
        if len(octets) < 2:
            self.staying.close()
        self.end_headers()
        self.wfile.write(octets[:-1])
        self.staying.close()
        self.wfile.write(octets[-1:])

    def _flood(self, octets: int) -> None:
        server = self.jmap
        self.send_response(200)
        if server.endless:
            self.send_header("Connection", "close")
            self.close_connection = True
        else:
            self.send_header("Content-Length", str(octets))
        self.end_headers()
        try:
            for _ in range(octets // _CHUNK):
                self.wfile.write(bytes(_CHUNK))
                with server.lock:
                    server.flooded += _CHUNK
        except OSError:  # the client has had enough
            raise DroppedError from None

    def _read_all(self) -> bytes:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if len(body) < length:
            raise ConnectionResetError("the client ended within its request")
        return body

    # --- places ---------------------------------------------------------------------------------

    def _session(self) -> tuple[int, Any]:
        return 200, self.jmap.session()

    def _api(self) -> tuple[int, Any]:
        server = self.jmap
        body = self._read_all()
        with server.inside("maxConcurrentRequests", self.connection) as fits:
            if not fits:
                return server.busy.status, server.busy.problem
            if server.exceeds("maxSizeRequest", len(body)):
                return 400, {"type": LIMIT, "limit": "maxSizeRequest"}
            request = json.loads(body)
            calls = request.get("methodCalls")
            if not isinstance(calls, list):
                return 400, {"type": NOT_REQUEST}
            if server.exceeds("maxCallsInRequest", len(calls)):
                return 400, {"type": LIMIT, "limit": "maxCallsInRequest"}
            using = set(request["using"])
            if not using <= set(server.session()["capabilities"]):
                return 400, {"type": UNKNOWN_CAPABILITY}
            return 200, self._called(Methods(server, using), calls)

    def _called(self, methods: Methods, calls: list[Any]) -> Any:
        answers: list[list[Any]] = []
        for name, arguments, call_id in calls:
            with self.jmap.lock:
                answers.append([*methods.call(name, arguments, answers), call_id])
        time.sleep(methods.late)
        if methods.dropped:
            raise DroppedError
        return self.jmap.edit_answer({"methodResponses": answers, "sessionState": self.jmap.state})

    def _upload(self) -> tuple[int, Any]:
        server = self.jmap
        left = size = int(self.headers["Content-Length"])
        with server.inside("maxConcurrentUpload", self.connection) as fits:
            digest, parts = hashlib.sha256(), []
            while left:
                chunk = self.rfile.read(min(left, _CHUNK))
                if not chunk:  # the client gave up
                    raise DroppedError
                left -= len(chunk)
                with server.lock:
                    server.received += len(chunk)
                digest.update(chunk)
                if size <= server.store.most:
                    parts.append(chunk)
            if not fits:
                return 400, {"type": LIMIT, "limit": "maxConcurrentUpload"}
            if server.exceeds("maxSizeUpload", size):
                return 413, {"type": LIMIT, "limit": "maxSizeUpload"}
            octets = b"".join(parts) if size <= server.store.most else None
            with server.lock:
                blob_id = server.store.keep_blob(Blob(size, digest.hexdigest(), octets))
            kind = self.headers.get("Content-Type")
            return 201, server.edit_upload(
                {"accountId": server.account, "blobId": blob_id, "type": kind, "size": size}
            )

    def _download(self) -> tuple[int, Any]:
        found = re.fullmatch(r"/download/([^/]*)/([^/]*)/[^/?]*\?type=.*", self.path)
        server = self.jmap
        if not self.staying.enter_context(server.inside("maxConcurrentRequests", self.connection)):
            return server.busy.status, server.busy.problem
        time.sleep(server.pace)
        blob_id = unquote(found[2]) if found else ""
        if blob_id in server.floods:
            return 200, _Flood(server.floods[blob_id])
        blob = server.store.blobs.get(blob_id)
        if blob is None or blob.octets is None:
            return 404, {}
        if server.unannounced.get(blob_id):
            return 200, _Unannounced(blob.octets[: server.unannounced[blob_id].pop(0)])
        return 200, blob.octets
