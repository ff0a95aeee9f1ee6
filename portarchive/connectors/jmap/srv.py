"""The DNS service record ``_jmap._tcp`` (RFC 8620 section 2.2, RFC 2782).

The only place that knows dnspython. Whatever goes wrong is "no record": the host itself is asked. A
target that is no host name is no server: anybody's record may hold any octets.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

LIFETIME: Final = 4.0
"""Seconds for the whole question."""

_HOST: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]{0,251}[a-z0-9_])?")


class Service(NamedTuple):
    """Where a domain's JMAP server is. ``host``: lower case, without a last dot."""

    host: str
    port: int


def lookup(domain: str, *, nameservers: tuple[str, ...] = (), port: int = 53) -> list[Service]:
    """The servers of a domain in the order in which to try them; empty if it names none.

    Args:
        domain: in ASCII.
        nameservers: addresses to ask in place of the system's.
        port: of those.
    """
    import dns.exception  # noqa: PLC0415  start-up time
    import dns.rdatatype  # noqa: PLC0415
    import dns.resolver  # noqa: PLC0415

    try:
        resolver = dns.resolver.Resolver(configure=not nameservers)
        if nameservers:
            resolver.nameservers = list(nameservers)
            resolver.port = port
        answer = resolver.resolve(
            f"_jmap._tcp.{domain}.", dns.rdatatype.SRV, lifetime=LIFETIME, search=False
        )
    except (dns.exception.DNSException, OSError, ValueError):
        return []
    found = sorted(
        (
            record.priority,
            -record.weight,
            record.target.to_text(omit_final_dot=True).lower(),
            record.port,
        )
        for record in answer
    )
    # A lone "." says that there is no such service (RFC 2782).
    return [Service(host, port) for _, _, host, port in found if _HOST.fullmatch(host) and port]
