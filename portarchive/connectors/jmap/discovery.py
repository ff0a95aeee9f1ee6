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


    def _discover(self) -> resource.Resource:
        """The session object, from where it was found before, or by DNS, or from the host."""
        last: ConnectorError | None = None
        for url in self._candidates():
            try:
                found, at = self._follow(url)
            except HttpRefused as error:
                last = Unreachable(
                    f"{self.settings.host} has no JMAP there (HTTP {error.status})",
                    hint="check host and port; the provider may have another name for JMAP",
                )
            except Unreachable as error:
                if error.code == "foreign-host":
                    raise
                last = error
            else:
                session = resource.parse(found, at, self._guard)
                self._found_at = at
                return session
        assert last is not None  # noqa: S101  # the host itself is always a candidate
        raise last

    def _candidates(self) -> Iterator[str]:
        settings = self.settings
        if self._found_at is not None:
            yield self._found_at
        elif settings.tls and settings.port == 443 and not is_loopback(settings.host):
            for service in srv.lookup(settings.host):
                if self._guard.knows(service.host):
                    yield self._guard.service_of(*service)
        yield f"{settings.origin}/.well-known/jmap"

    def _follow(self, url: str) -> tuple[Any, str]:
        """GET, with redirects as far as ``Guard`` lets them lead; the JSON and where it was."""
        for _ in range(_HOPS):
            reply = self._transport.get(url)
            if reply.status < 300:
                return reply.json(), url
            reply.close()
            url = self._guard.resolve(reply.header("Location") or None, url, "redirect")
        raise ServerMisbehaved("the server's JMAP address redirects in circles")

