"""Where a server's session object is (RFC 8620 section 2.2): where it was, by DNS, at the host."""

from __future__ import annotations

from typing import Any, Final

from portarchive.connectors.jmap import resource, srv
from portarchive.connectors.jmap.origin import Guard, is_loopback
from portarchive.connectors.jmap.settings import JmapSettings
from portarchive.connectors.jmap.transport import HttpRefused, Transport
from portarchive.errors import ConnectorError, ServerMisbehaved, Unreachable

_HOPS: Final = 5
_SERVICES: Final = 10
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
    urls, foreign = _candidates(settings, guard, known)
    for url in urls:
        try:
            return resource.parse(*_follow(transport, guard, url), guard)
        except HttpRefused as error:
            last = Unreachable(
                f"{settings.host} has no JMAP there (HTTP {error.status})",
                hint="check host and port; the provider may have another name for JMAP",
            )
        except Unreachable as error:
            if error.code != Unreachable.code:  # a foreign host, or without TLS
                raise
            last = error
        except ServerMisbehaved as error:  # perhaps a web site that has a page for every address
            if not foreign:
                raise
            last = error
    assert last is not None  # noqa: S101  # the host itself is always a candidate
    if foreign:
        raise Unreachable(
            f"{last.text}; by DNS its JMAP is on another host, {', '.join(foreign)}, and a password"
            " or token is sent to no host that you did not name",
            hint=f"if you trust it, add ?allow-host={foreign[0]} to the URL of the account",
            code="foreign-host",
        )
    raise last


def _candidates(
    settings: JmapSettings, guard: Guard, known: str | None
) -> tuple[list[str], list[str]]:
    """URLs in the order to try them, the host itself last; and hosts that must not be asked."""
    urls: list[str] = []
    foreign: list[str] = []
    if known is not None:
        urls.append(known)
    elif settings.tls and settings.port == _HTTPS and not is_loopback(settings.host):
        for host, port in srv.lookup(settings.host)[:_SERVICES]:
            if guard.knows(host):
                urls.append(f"https://{host}:{port}/.well-known/jmap")
            elif host not in foreign:
                foreign.append(host)
    return [*urls, f"{settings.origin}/.well-known/jmap"], foreign


def _follow(transport: Transport, guard: Guard, url: str) -> tuple[Any, str]:
    """GET, with redirects as far as the guard lets them lead; the JSON and where it was."""
    for _ in range(_HOPS):
        reply = transport.get(url)
        if reply.status < 300:
            return reply.json(), url
        reply.close()
        url = guard.resolve(reply.header("Location"), url, "redirect")
    raise ServerMisbehaved("the server's JMAP address redirects in circles")
