"""Where a server's session object is (RFC 8620 section 2.2): where it was, by DNS, at the host."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from portarchive.connectors.jmap import resource, srv
from portarchive.connectors.jmap.origin import Guard, is_loopback
from portarchive.connectors.jmap.settings import JmapSettings
from portarchive.connectors.jmap.transport import HttpRefused, Transport
from portarchive.errors import ConnectorError, ServerMisbehaved, Unreachable

_HOPS: Final = 5
_HTTPS: Final = 443


def discover(transport: Transport, guard: Guard, known: str | None) -> resource.Resource:
    """Log in at the first place that has the session object.

    Args:
        transport: not used by anybody else yet.
        guard: judges where DNS and redirects lead.
        known: where it was the last time.

    Raises:
        Unreachable: it is nowhere, or behind a foreign host; says what to do.
        AuthenticationFailed, RateLimited, ConnectionLost, ServerMisbehaved.
    """
    settings = transport.settings
    last: ConnectorError | None = None
    for url in _candidates(settings, guard, known):
        try:
            found, at = _follow(transport, guard, url)
        except HttpRefused as error:
            last = Unreachable(
                f"{settings.host} has no JMAP there (HTTP {error.status})",
                hint="check host and port; the provider may have another name for JMAP",
            )
        except Unreachable as error:
            if error.code != Unreachable.code:  # a foreign host, or without TLS
                raise
            last = error
        else:
            return resource.parse(found, at, guard)
    assert last is not None  # noqa: S101  # the host itself is always a candidate
    raise last


def _candidates(settings: JmapSettings, guard: Guard, known: str | None) -> Iterator[str]:
    if known is not None:
        yield known
    elif settings.tls and settings.port == _HTTPS and not is_loopback(settings.host):
        for host, port in srv.lookup(settings.host):
            if guard.knows(host):
                yield f"https://{host}:{port}/.well-known/jmap"
    yield f"{settings.origin}/.well-known/jmap"


def _follow(transport: Transport, guard: Guard, url: str) -> tuple[Any, str]:
    """GET, with redirects as far as the guard lets them lead; the JSON and where it was."""
    for _ in range(_HOPS):
        reply = transport.get(url)
        if reply.status < 300:
            return reply.json(), url
        reply.close()
        url = guard.resolve(reply.header("Location"), url, "redirect")
    raise ServerMisbehaved("the server's JMAP address redirects in circles")
