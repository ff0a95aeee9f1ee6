"""Which connector opens which scheme. Each is imported only when it is the one that is needed."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from portarchive.connectors.base import Source, Target
from portarchive.errors import RateLimited, SettingsError
from portarchive.progress import Observer

if TYPE_CHECKING:
    from portarchive.connectors.imap.settings import ImapSettings, Secret
    from portarchive.connectors.jmap.settings import JmapSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceAddress:
    """All that a connector is told of where to go, as whom and how; of a target too.

    Attributes:
        scheme: a key of ``schemes()``.
        host: a name in ASCII, or an address without brackets.
        port: 1 to 65535.
        tls: ``implicit``, ``starttls`` (required) or ``none`` (the caller has made sure).
        user: the login.
        secret: asked at every login.
        ca_file: trusted certificates in PEM, in place of the system's.
        timeout: seconds without any octet after which a connection counts as lost.
        connections: for fetching and placing, ≥ 1.
        budget: octets to fetch in 24 hours; 0 for no end, None for what the provider permits.
        options: of JMAP: ``account``, ``allow-host`` (with commas), see ``JmapSettings``.
    """

    scheme: str
    host: str
    port: int
    tls: Literal["implicit", "starttls", "none"]
    user: str
    secret: Secret
    ca_file: Path | None = None
    timeout: float = 90.0
    connections: int = 1
    budget: int | None = None
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalAddress:
    """Files on this machine. ``scheme``: ``maildir`` or ``mbox``; ``options``: the connector's."""

    scheme: str
    path: str
    options: Mapping[str, str]


def schemes() -> tuple[str, ...]:
    """The schemes that can be opened."""
    return tuple(sorted((*_FACTORIES, *_LOCAL)))


def open_source(
    address: SourceAddress | LocalAddress, *, observer: Observer, max_wait: float
) -> Source:
    """Connect and log in; what comes back waits and reconnects by itself.

    Args:
        address: where to go.
        observer: is told when the connection waits.
        max_wait: seconds that all waiting in a row may take before it is given up.

    Raises:
        SettingsError: no connector for the scheme.
        ConnectorError: as ``connectors.base.Source`` says.
    """
    from portarchive.connectors.retry import RetryingSource  # noqa: PLC0415  start-up time

    if isinstance(address, LocalAddress):
        local = _LOCAL[address.scheme](address.path, address.options)
        return RetryingSource(local, observer=observer, max_wait=max_wait)
    factory = _FACTORIES.get(address.scheme)
    if factory is None:
        raise SettingsError(f"no connector opens {address.scheme}://")

    opened = _patiently(lambda: factory(address, observer), observer, max_wait)
    source = RetryingSource(opened, observer=observer, max_wait=max_wait)
    limit = budget_of(address)
    return source if limit is None else _budgeted(source, limit, address, observer)


def open_target(
    address: SourceAddress | LocalAddress,
    *,
    observer: Observer,
    max_wait: float,
    options: Mapping[str, str] | None = None,
) -> Target:
    """Connect and log in for placing; what comes back waits and reconnects by itself.

    Args:
        address: where to go.
        observer: is told when the connection waits.
        max_wait: seconds that all waiting in a row may take before it is given up.
        options: of files: what the command line says beside the path; goes before what the path
            itself says.

    Raises:
        SettingsError: no connector for the scheme, or an option that it does not have.
        ConnectorError: as ``connectors.base.Target`` says.
    """
    from portarchive.connectors.retry_target import RetryingTarget  # noqa: PLC0415  start-up time

    if isinstance(address, LocalAddress):
        told = {**address.options, **(options or {})}
        opened = _LOCAL_TARGETS[address.scheme](address.path, told)
        return RetryingTarget(opened, observer=observer, max_wait=max_wait)
    factory = _TARGETS.get(address.scheme)
    if factory is None:
        raise SettingsError(f"no connector writes to {address.scheme}://")
    if options:
        raise SettingsError(
            f"{address.scheme}:// takes no options of files: {', '.join(sorted(options))}",
            hint="leave them out, or name maildir:PATH or mbox:PATH",
        )
    opened = _patiently(lambda: factory(address, observer), observer, max_wait)
    return RetryingTarget(opened, observer=observer, max_wait=max_wait)


GMAIL_BUDGET = 2_500_000_000
"""Octets that Gmail lets an account download by IMAP in a day."""


def budget_of(address: SourceAddress) -> int | None:
    """Octets for 24 hours; None for no end."""
    if address.budget is not None:
        return address.budget or None
    host = address.host.lower().rstrip(".")
    gmail = any(host.endswith(f".{name}") for name in ("gmail.com", "googlemail.com"))
    return GMAIL_BUDGET if gmail else None


def _budgeted(source: Source, limit: int, address: SourceAddress, observer: Observer) -> Source:
    from portarchive.connectors import budget  # noqa: PLC0415  start-up time

    path = budget.state_file(address.host.lower(), address.user, os.environ)
    return budget.BudgetedSource(source, limit, budget.Spent(path), observer)


Factory = Callable[[SourceAddress, Observer], Source]
Opened = TypeVar("Opened")


def _patiently(connect: Callable[[], Opened], observer: Observer, max_wait: float) -> Opened:
    """Connect; "not now" is no refusal, not at the first login either."""
    from portarchive.connectors.patience import Patience  # noqa: PLC0415  start-up time

    opened: list[Opened] = []
    patience = Patience(lambda: opened.append(connect()), observer=observer, max_wait=max_wait)
    try:
        return connect()
    except RateLimited as error:
        patience.lost(error)
        patience.stand()
    return opened[-1]


def _open_imap(address: SourceAddress, observer: Observer) -> Source:
    from portarchive.connectors import imap  # noqa: PLC0415  start-up time

    return imap.open_source(_imap_settings(address, observer))


def _open_imap_target(address: SourceAddress, observer: Observer) -> Target:
    from portarchive.connectors import imap  # noqa: PLC0415  start-up time

    return imap.open_target(_imap_settings(address, observer))


def _imap_settings(address: SourceAddress, observer: Observer) -> ImapSettings:
    from portarchive.connectors import imap  # noqa: PLC0415  start-up time

    return imap.ImapSettings(
        host=address.host,
        port=address.port,
        tls=address.tls,
        user=address.user,
        secret=address.secret,
        ca_file=address.ca_file,
        timeout=address.timeout,
        connections=address.connections,
        observer=observer,
    )


def _open_jmap(address: SourceAddress, observer: Observer) -> Source:
    from portarchive.connectors import jmap  # noqa: PLC0415  start-up time

    return jmap.open_source(_jmap_settings(address, observer))


def _open_jmap_target(address: SourceAddress, observer: Observer) -> Target:
    from portarchive.connectors import jmap  # noqa: PLC0415  start-up time

    return jmap.open_target(_jmap_settings(address, observer))


def _jmap_settings(address: SourceAddress, observer: Observer) -> JmapSettings:
    from portarchive.connectors import jmap  # noqa: PLC0415  start-up time

    hosts = address.options.get("allow-host", "")
    return jmap.JmapSettings(
        host=address.host,
        port=address.port,
        tls=address.tls != "none",
        user=address.user,
        secret=address.secret,
        account=address.options.get("account"),
        allow_hosts=tuple(hosts.split(",")) if hosts else (),
        ca_file=address.ca_file,
        timeout=address.timeout,
        connections=address.connections,
        observer=observer,
    )


def _open_maildir(path: str, options: Mapping[str, str]) -> Source:
    from portarchive.connectors import maildir  # noqa: PLC0415  start-up time

    return maildir.open_source(path, options)


def _open_mbox(path: str, options: Mapping[str, str]) -> Source:
    from portarchive.connectors import mbox  # noqa: PLC0415  start-up time

    return mbox.open_source(path, options)


def _open_maildir_target(path: str, options: Mapping[str, str]) -> Target:
    from portarchive.connectors import maildir  # noqa: PLC0415  start-up time

    return maildir.open_target(path, options)


def _open_mbox_target(path: str, options: Mapping[str, str]) -> Target:
    from portarchive.connectors import mbox  # noqa: PLC0415  start-up time

    return mbox.open_target(path, options)


_LOCAL: Mapping[str, Callable[[str, Mapping[str, str]], Source]] = {
    "maildir": _open_maildir,
    "mbox": _open_mbox,
}

_FACTORIES: Mapping[str, Factory] = {
    "imaps": _open_imap,
    "imap": _open_imap,
    "jmaps": _open_jmap,
    "jmap": _open_jmap,
}

_LOCAL_TARGETS: Mapping[str, Callable[[str, Mapping[str, str]], Target]] = {
    "maildir": _open_maildir_target,
    "mbox": _open_mbox_target,
}

_TARGETS: Mapping[str, Callable[[SourceAddress, Observer], Target]] = {
    "imaps": _open_imap_target,
    "imap": _open_imap_target,
    "jmaps": _open_jmap_target,
    "jmap": _open_jmap_target,
}
