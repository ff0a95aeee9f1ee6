"""HTTP as JMAP needs it: who one is, TLS, and what every failure means.

The only place that knows requests. Nothing is sent to a URL that ``Guard`` did not accept, no
redirect is followed here, and no log or exception that leaves this module holds a secret, a body
or a header.
"""

from __future__ import annotations

import base64
import contextlib
import http.cookiejar
import json
import logging
import socket
import ssl
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any, Final, Protocol

import requests
import requests.adapters
import urllib3
import urllib3.exceptions

import portarchive
from portarchive.connectors.jmap.origin import is_loopback
from portarchive.connectors.jmap.resource import printable
from portarchive.connectors.jmap.settings import JmapSettings
from portarchive.errors import (
    AuthenticationFailed,
    ConnectionLost,
    ConnectorError,
    RateLimited,
    ServerMisbehaved,
    SettingsError,
    TokenExpired,
    Unreachable,
)

# Below WARNING it logs every URL, and at WARNING the header of an answer that it cannot read.
logging.getLogger("urllib3").setLevel(logging.ERROR)

CONNECT_TIMEOUT: Final = 30.0
CHUNK: Final = 1 << 16
MOST_JSON: Final = 192 << 20
"""Octets of an API answer after which it is no answer any more."""

_PROBLEM: Final = 1 << 16
_FULL: Final = 507
"""Insufficient Storage (RFC 4918 section 11.5): waiting does not mend it."""


class HttpRefused(ConnectorError):
    """An answer of 400 to 499, or 507, that is neither about the login nor about patience.

    Attributes:
        status: of HTTP.
        problem: the problem details (RFC 7807), ``{}`` without any.
    """

    code = "server-refused"

    def __init__(self, text: str, *, status: int, problem: dict[str, Any]) -> None:
        super().__init__(text)
        self.status = status
        self.problem = problem


class Sized(Protocol):
    """Octets to be sent whose number is known: iterable, and with a length."""

    def __iter__(self) -> Iterator[bytes]: ...

    def __len__(self) -> int: ...


class Reply:
    """An answer of 200 to 399 whose body is still on its way. ``close`` it, or read it whole.

    Attributes:
        status: of HTTP.
        length: octets of the body, None if that is not known.
    """

    def __init__(self, transport: Transport, response: requests.Response) -> None:
        self.status = response.status_code
        encoded = response.headers.get("Content-Encoding", "identity").lower() != "identity"
        length = response.headers.get("Content-Length", "")
        known = length.isascii() and length.isdecimal() and len(length) < 17 and not encoded
        self.length = int(length) if known else None
        self._transport = transport
        self._response = response
        self._places: list[Callable[[], None]] = []

    def hold(self, leave: Callable[[], None]) -> None:
        """Have ``leave`` called once, when the body is closed."""
        self._places.append(leave)

    def header(self, name: str) -> str:
        """A header field, ``""`` without one."""
        return self._response.headers.get(name, "")

    def chunks(self) -> Iterator[bytes]:
        """The body, decoded, ``CHUNK`` octets at most at a time.

        Raises:
            ConnectionLost: it ends early.
        """
        try:
            yield from self._response.iter_content(CHUNK)
        except _FAILURES as error:
            raise self._transport.explain(error) from None
        finally:
            self.close()

    def json(self, most: int = MOST_JSON) -> Any:
        """The body as JSON.

        Raises:
            ServerMisbehaved: it is none, or has more than ``most`` octets.
            ConnectionLost: it ends early.
        """
        parts, size = [], 0
        for chunk in self.chunks():
            parts.append(chunk)
            size += len(chunk)
            if size > most:
                self.close()
                raise ServerMisbehaved(f"the server's answer has more than {most >> 20} MB")
        try:
            return json.loads(b"".join(parts))
        except (ValueError, RecursionError):
            raise ServerMisbehaved("the server's answer is no JSON") from None

    def close(self) -> None:
        """Let go of the connection; never raises."""
        try:
            self._response.close()
        finally:
            while self._places:
                self._places.pop()()


class Transport:
    """Requests to one server as one user. Safe for threads.

    Attributes:
        reached: something answered already, so that a failure is a connection lost.
        requests: how many were sent.
    """

    def __init__(self, settings: JmapSettings) -> None:
        """Nothing is sent yet.

        Raises:
            SettingsError: ``ca_file`` cannot be used.
            AuthenticationFailed: the command that knows the secret failed.
        """
        self.settings = settings
        self.reached = False
        self.requests = 0
        self._count = threading.Lock()
        self._secret = settings.secret.reveal()
        self._bearer = settings.secret.kind == "token"
        self._logged_in = False
        self._http = _Http()
        self._http.trust_env = False  # no .netrc: its password would go out in place of ours
        self._http.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
        self._closed = threading.Event()
        self._sockets = _Sockets()
        adapter = _Adapter(_tls_context(settings) if settings.tls else None, self._sockets)
        self._http.mount("https://", adapter)
        self._http.mount("http://", adapter)
        self._http.headers["User-Agent"] = f"portarchive/{portarchive.__version__}"
        # Compression costs more than it brings where there is no network between.
        self._encodings = "identity" if is_loopback(settings.host) else "zstd, gzip"

    def get(self, url: str, *, plain: bool = False) -> Reply:
        """GET. ``plain``: ask for the octets as they are, not compressed on the way."""
        return self._send("GET", url, plain=plain)

    def post(self, url: str, body: bytes | Sized, content_type: str) -> Reply:
        """POST; a body of 0 octets included."""
        return self._send("POST", url, body=body, content_type=content_type)

    def _send(
        self,
        method: str,
        url: str,
        *,
        body: bytes | Sized | None = None,
        content_type: str | None = None,
        plain: bool = False,
    ) -> Reply:
        headers = {
            "Authorization": self._authorization(),
            "Accept": "*/*" if plain else "application/json",
            "Accept-Encoding": "identity" if plain else self._encodings,
        }
        if content_type is not None:
            headers["Content-Type"] = content_type
        with self._count:
            self.requests += 1
        if self._closed.is_set():
            raise self.explain(OSError())
        try:
            response = self._http.request(
                method,
                url,
                data=body,
                headers=headers,
                stream=True,
                allow_redirects=False,
                timeout=(min(CONNECT_TIMEOUT, self.settings.timeout), self.settings.timeout),
            )
        except _FAILURES as error:
            raise self.explain(error) from None
        self.reached = True
        reply = Reply(self, response)
        if response.status_code >= 400:
            try:
                raise self._refused(reply)
            finally:
                reply.close()
        if response.status_code < 300:
            self._logged_in = True
        return reply

    def close(self) -> None:
        """Close all connections, those that others wait at too; nothing is sent any more.

        Never raises. Who waits for an answer gets ConnectionLost.
        """
        self._closed.set()
        self._sockets.cut()
        self._http.close()

    def pause(self, seconds: float) -> None:
        """Wait so long, or until ``close``."""
        self._closed.wait(seconds)

    def hide(self, words: str) -> str:
        """Words of the server without the secret, which it may repeat."""
        credential = self._authorization().split(" ")[1]
        for spelled in (credential, credential.rstrip("="), self._secret):
            if spelled:
                words = words.replace(spelled, "…")
        return words

    def words(self, text: object) -> str:
        """Words of the server, fit to be shown; ``""`` for what is no text.

        The secret goes first: cut short, or with a character of it replaced, nobody finds it.
        """
        return printable(self.hide(text)) if isinstance(text, str) else ""

    def _authorization(self) -> str:
        if self._bearer:
            if not self._secret.isascii() or not self._secret.isprintable() or " " in self._secret:
                raise AuthenticationFailed(
                    "the access token has characters that no token has (RFC 6750)",
                    hint="look at what the token command prints",
                )
            return f"Bearer {self._secret}"
        pair = f"{self.settings.user}:{self._secret}".encode()
        return f"Basic {base64.b64encode(pair).decode('ascii')}"

    # --- what a failure means -------------------------------------------------------------------

    def _refused(self, reply: Reply) -> ConnectorError:
        status = reply.status
        problem = _problem(reply)
        words = self.words(problem.get("detail")) or self.words(problem.get("title"))
        said = f"{status} {words}".rstrip()
        if status == 401:
            if self._bearer and self._logged_in:
                return TokenExpired(f"the access token is accepted no longer: {said}")
            return AuthenticationFailed(f"the server refused the login: {said}", hint=self._hint())
        if status == 403 and not self._logged_in:
            return AuthenticationFailed(f"the server forbids the login: {said}", hint=self._hint())
        if status in {429, 503}:
            return RateLimited(
                f"the server asks for patience: {said}",
                retry_after=_retry_after(reply.header("Retry-After")),
            )
        if status >= 500 and status != _FULL:
            return ConnectionLost(f"the server failed: {said}")
        return HttpRefused(
            f"the server refused the request: {said}", status=status, problem=problem
        )

    def _hint(self) -> str:
        if self._bearer:
            return "get a fresh token and check that it was made for JMAP and for this user"
        return (
            "check the user name and the password; many providers want an app password here, or a"
            " token (--token-command)"
        )

    def explain(self, error: Exception) -> ConnectorError:
        """The error for what became of a connection."""
        where = f"{self.settings.host}:{self.settings.port}"
        causes = list(_causes(error))
        for cause in causes:
            if isinstance(cause, ssl.SSLCertVerificationError):
                return Unreachable(
                    f"the certificate of {where} is not trusted: {cause.verify_message}",
                    hint="if you trust this server, give the certificate of its authority with"
                    " --ca-file",
                )
        if self.reached:
            return ConnectionLost(f"the connection to {where} broke")
        kinds = {kind for cause in causes for kind in type(cause).__mro__}
        if kinds & {socket.gaierror, UnicodeError, urllib3.exceptions.NameResolutionError}:
            return Unreachable(f"there is no host {self.settings.host}", hint="check the spelling")
        if ConnectionRefusedError in kinds:
            return Unreachable(f"{where} refuses connections", hint="check host and port")
        if kinds & {ssl.SSLError, urllib3.exceptions.SSLError}:
            return Unreachable(f"TLS with {where} failed", hint="check host and port")
        if kinds & {TimeoutError, urllib3.exceptions.TimeoutError}:
            return Unreachable(f"{where} does not answer")
        return Unreachable(f"{where} does not speak HTTP, or cannot be reached")


_FAILURES: Final = (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError)


class _Http(requests.Session):
    """Leaves redirects alone: even one not to be followed is read to its end, however long."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        del resp


class _Sockets:
    """Those of one transport. What a thread waits at is in no pool: to close that reaches none."""

    def __init__(self) -> None:
        self._all: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._lock = threading.Lock()
        self._is_cut = False

    def add(self, connected: socket.socket | None) -> None:
        """Remember it; cut it at once if all are."""
        with self._lock:
            if connected is not None:
                self._all.add(connected)
            if self._is_cut:
                self._cut()

    def cut(self) -> None:
        """Have all that wait at one find that it broke."""
        with self._lock:
            self._is_cut = True
            self._cut()

    def _cut(self) -> None:
        for each in self._all:
            with contextlib.suppress(OSError):
                # Not ``SSLSocket.shutdown``: after that, a thread that reads gets what is encrypted
                # for what it waits for.
                socket.socket.shutdown(each, socket.SHUT_RDWR)


def _pool_of(kind: type[Any], sockets: _Sockets) -> type[Any]:
    """A kind of urllib3's pools whose connections tell of their sockets."""
    base: type[Any] = kind.ConnectionCls

    def connect(connection: Any) -> None:
        base.connect(connection)
        sockets.add(connection.sock)

    telling = type(base.__name__, (base,), {"connect": connect})
    return type(kind.__name__, (kind,), {"ConnectionCls": telling})


class _Adapter(requests.adapters.HTTPAdapter):
    """requests over our own TLS context, without the certificates that it brings along."""

    def __init__(self, context: ssl.SSLContext | None, sockets: _Sockets) -> None:
        self._context = context
        self._sockets = sockets
        super().__init__(pool_connections=8, pool_maxsize=32, max_retries=0)

    def init_poolmanager(self, *args: Any, **named: Any) -> None:
        if self._context is not None:
            named["ssl_context"] = self._context
        super().init_poolmanager(*args, **named)
        self.poolmanager.pool_classes_by_scheme = {
            "http": _pool_of(urllib3.HTTPConnectionPool, self._sockets),
            "https": _pool_of(urllib3.HTTPSConnectionPool, self._sockets),
        }

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        del url, verify, cert
        conn.cert_reqs = "CERT_REQUIRED"


def _tls_context(settings: JmapSettings) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(
            cafile=None if settings.ca_file is None else str(settings.ca_file)
        )
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(
            f"the file of trusted certificates cannot be used: {settings.ca_file}",
            hint="--ca-file wants a readable file of certificates in PEM",
        ) from error


def _problem(reply: Reply) -> dict[str, Any]:
    """The problem details of an error, ``{}`` if it has none."""
    if "json" not in reply.header("Content-Type").lower():
        return {}
    try:
        found = reply.json(_PROBLEM)
    except ConnectorError:
        return {}
    return found if isinstance(found, dict) else {}


def _retry_after(text: str) -> float | None:
    """Seconds of a Retry-After field (RFC 9110 section 10.2.3), None if it says nothing."""
    text = text.strip()
    if text.isascii() and text.isdecimal() and len(text) < 10:
        return float(text)
    at = http.cookiejar.http2time(text)  # type: ignore[attr-defined]  # typeshed has it not
    return None if at is None else max(0.0, at - time.time())


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and all that it was made of: requests and urllib3 wrap in several ways."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        cause = waiting.pop()
        if not isinstance(cause, BaseException) or id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        waiting += [*cause.args, cause.__cause__, cause.__context__, getattr(cause, "reason", None)]
