"""The loopback: which names and addresses of a host surely lead back to this machine.

Asks no resolver: what a name leads to besides is for whoever connects.
"""

from __future__ import annotations


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, whatever the resolver says.

    Args:
        host: ``localhost`` and all names below it (RFC 6761 §6.3), 127.0.0.0/8 (RFC 1122
            §3.2.1.3), ``::1``, also with a zone, and IPv4-mapped addresses (RFC 4291 §2.5).
    """
    host = host.lower()
    if host == "localhost" or host.endswith(".localhost"):
        return True
    from ipaddress import IPv6Address, ip_address  # noqa: PLC0415  start-up time

    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped.is_loopback
    return address.is_loopback
