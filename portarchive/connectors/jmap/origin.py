"""Which URL may see the credentials. Pure: no connection here.

A server names its own URLs, and a redirect or a DNS record leads to others: all of them come from
outside. They are taken if they lead to the host that the user named, on any port, or to one below
it (``api.example.org`` for ``example.org``: RFC 6186 section 6 takes such names for the domain's
own); to any other host only if the user named that one too. From https to http never, and from
this machine to another one by http never: who wants plain http at home has not agreed that a
password crosses a network.
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Final
from urllib.parse import quote, urljoin, urlsplit

from portarchive.connectors.jmap.settings import JmapSettings
from portarchive.errors import ServerMisbehaved, Unreachable

_LABELS: Final = re.compile(r"[A-Za-z0-9._-]{1,253}|\[?[0-9A-Fa-f:.%]{2,60}\]?")
_VARIABLE: Final = re.compile(r"\{([A-Za-z]+)\}")


class Guard:
    """Judges URLs for one account.

    Args:
        settings: whose host is the one that the user named.
    """

    def __init__(self, settings: JmapSettings) -> None:
        self._named = settings.host.lower()
        self._tls = settings.tls
        # plain http to another machine has been insisted on before anything is opened
        self._cleartext = not settings.tls and not is_loopback(settings.host)
        self._allowed = {host.lower() for host in settings.allow_hosts}

    def knows(self, host: str) -> bool:
        """Whether this host may see the credentials."""
        host = host.lower().rstrip(".")
        if host == self._named or host in self._allowed:
            return True
        return _is_domain(self._named) and host.endswith(f".{self._named}")

    def resolve(self, url: object, base: str, what: str) -> str:
        """A URL that the server named, made absolute against the one that it came from.

        Args:
            url: as it came; a template (RFC 6570 level 1) is left as it is.
            base: absolute, where it was found.
            what: its name for an error, e.g. ``apiUrl``.

        Raises:
            ServerMisbehaved: it is none.
            Unreachable: it leads to a foreign host, out of TLS, or without TLS off this machine;
                says what to do.
        """
        if not isinstance(url, str) or not url or len(url) > 4000 or not url.isprintable():
            raise ServerMisbehaved(f"the server's {what} is no URL")
        try:
            absolute = urljoin(base, url)
            parts = urlsplit(absolute)
            host, port = parts.hostname, parts.port
        except ValueError:
            raise ServerMisbehaved(f"the server's {what} is no URL") from None
        if parts.scheme not in {"http", "https"} or not host or not _LABELS.fullmatch(host):
            raise ServerMisbehaved(f"the server's {what} is no http URL")
        if parts.username is not None or "{" in parts.netloc or port == 0:
            raise ServerMisbehaved(f"the server's {what} is no URL to be trusted")
        if parts.scheme == "http" and (self._tls or urlsplit(base).scheme == "https"):
            raise Unreachable(
                f"the server's {what} leads out of TLS, to http://{host}",
                hint="nothing is sent there; ask who runs the server to repair it",
                code="insecure-url",
            )
        if parts.scheme == "http" and not self._cleartext and not is_loopback(host):
            raise Unreachable(
                f"the server's {what} leads to another machine without TLS, to http://{host}, and"
                " the password or token would cross the network in clear text",
                hint="nothing is sent there; ask who runs the server to repair it, or give that"
                " host itself as the server",
                code="insecure-url",
            )
        if not self.knows(host):
            raise Unreachable(
                f"the server's {what} leads to another host, {host}, and a password or token is"
                " sent to no host that you did not name",
                hint=f"if you trust it, add ?allow-host={host} to the URL of the account",
                code="foreign-host",
            )
        return absolute


def expand(template: str, **values: str) -> str:
    """Fill a URI template of level 1 (RFC 6570 section 3.2.2); an unknown variable is empty."""
    return _VARIABLE.sub(lambda found: quote(values.get(found[1], ""), safe=""), template)


def is_loopback(host: str) -> bool:
    """Whether octets stay on this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _is_domain(name: str) -> bool:
    """Whether names below this one belong to it: not below a top-level domain or an address."""
    try:
        ip_address(name)
    except ValueError:
        return "." in name
    return False
