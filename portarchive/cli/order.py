"""What the arguments and options for one account ask for, checked; nothing is opened here."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from portarchive.access.credentials import SecretOptions
from portarchive.access.urls import (
    FORM,
    LocalSource,
    SourceUrl,
    parse_archive,
    parse_local,
    parse_source,
    with_account,
)
from portarchive.cli import arguments
from portarchive.cli.connecting import AccessOptions
from portarchive.errors import SettingsError

if TYPE_CHECKING:
    from portarchive.jobs.export import ExportOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One account and what is to be done with it, checked as far as no connection is needed.

    Attributes:
        path: where the archive is; None if the account is only to be looked at.
    """

    url: SourceUrl | LocalSource
    access: AccessOptions
    path: Path | None
    settings: ExportOptions


def order_of(given: Mapping[str, Any]) -> Order:
    """Read arguments and options.

    Args:
        given: the values of ``export``'s parameters, as they were typed.

    Raises:
        SettingsError: one of them cannot be read, or they do not fit together.
    """
    if given["source"] is None:
        raise SettingsError("SOURCE is missing: the account", hint=f"write it like this: {FORM}")
    if given["archive"] is None and not given["check"]:
        raise SettingsError(
            "ARCHIVE is missing: the directory to write",
            hint="name one, or use --check to look at the account only",
        )
    tls, token, password = given["tls"], given["token_command"], given["password_command"]
    url = parse_local(given["source"]) or parse_source(
        given["source"], tls=tls, allow_cleartext=given["allow_cleartext"]
    )
    url = with_account(url, given["account"], "--account")
    remote = password or token or given["auth"] or tls or given["budget"]
    if isinstance(url, LocalSource) and remote:
        raise SettingsError(
            f"{url.scheme}: is read from this machine, without a login",
            hint="leave out the options of access: passwords, tokens, --auth, --tls, --budget",
        )
    access = AccessOptions(
        secret=SecretOptions(
            token_command=token, password_command=password, mechanism=given["auth"]
        ),
        ca_file=arguments.readable_file("--ca-file", given["ca_file"]),
        timeout=arguments.seconds("--timeout", given["timeout"], least=1),
        connections=arguments.whole("--connections", given["connections"], least=1, most=32),
        max_wait=arguments.seconds("--max-wait", given["max_wait"], least=0),
        budget=arguments.budget(given["budget"]),
    )
    selection = arguments.selection(
        folders=given["folder"] or (),
        exclude=given["exclude"] or (),
        roles=given["role"] or (),
        since_date=given["since_date"],
        before_date=given["before_date"],
        min_size=given["min_size"],
        max_size=given["max_size"],
        keywords=given["keyword"] or (),
        namespace=given["namespace"],
    )
    path = None if given["check"] else parse_archive(given["archive"], writing=True)
    from portarchive.jobs.export import ExportOptions  # noqa: PLC0415  start-up time

    settings = ExportOptions(
        selection=selection,
        mirror=given["mirror"],
        single_copy=given["single_copy"],
        keep_drafts=given["keep_drafts"],
        accept_source_change=given["accept_source_change"],
        change_selection=given["change_selection"],
        fsync=not given["no_fsync"],
        name=given["name"],
        note=given["note"],
        legal=given["legal"],
        language=arguments.language(given["language"]),
        timezone=arguments.timezone(given["timezone"]),
        archive_id=arguments.archive_id(given["archive_id"]),
        dry_run=given["dry_run"],
        max_wait=access.max_wait,
        now=arguments.source_date_epoch(os.environ),
    )
    return Order(url=url, access=access, path=path, settings=settings)
