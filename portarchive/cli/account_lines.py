"""The account file against the options of ``export``: all its faults at once, or its accounts.

Refuses to contact anybody, and to repeat what could be a password.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import typer

from portarchive.access import account_file
from portarchive.access.account_file import AccountLine, Fault
from portarchive.access.credentials import SecretOptions, check_options
from portarchive.access.urls import LocalSource, parse_archive
from portarchive.cli import usage_text
from portarchive.cli.accounts_report import Account
from portarchive.cli.order import order_of
from portarchive.cli.progress_view import Speech
from portarchive.cli.safe_text import safe, without_passwords
from portarchive.cli.verbs import VERBS, command_of
from portarchive.errors import SettingsError

_LARGEST = 1 << 22
"""Octets; what is larger is another file that was named by mistake."""

_NAMED = 100
"""Faults that are named; a file with more is not what it was taken for."""

_OF_THE_RUN = frozenset({"accounts", "check", "dry_run", "json", "progress", "verbose", "quiet"})
"""Options that a line may not have: they are about all accounts."""

_OF_A_LOGIN = ("password_command", "token_command", "auth", "tls")
"""Options of the command line that mean nothing to a line about files."""

_USAGE_ERROR = cast("type[Exception]", typer.BadParameter.__mro__[1])
"""UsageError, from wherever typer has it."""


def read_accounts(file: str, given: Mapping[str, Any], speech: Speech) -> list[Account]:
    """The accounts of the file, each ready to be run.

    Args:
        file: as it was typed.
        given: the values of ``export``'s parameters.
        speech: people get the faults on stderr, a line each; programs in one text.

    Raises:
        SettingsError: the file has faults, all of which are named; or it is no such file.
    """
    if given["source"] is not None:
        raise SettingsError(
            "with --accounts, SOURCE and ARCHIVE stand in the file",
            hint="leave them out, or leave out --accounts",
        )
    if given["archive_id"] is not None:
        raise SettingsError(
            "--archive-id beside --accounts would give all archives the same identity",
            hint="write it in the line of the account that it is meant for",
        )
    _check_beside(given)
    lines, faults = account_file.parse(_octets(file))
    accounts: list[Account] = []
    for line in lines:
        try:
            accounts.append(_account(line, given, Path(file).parent))
        except SettingsError as error:
            faults.append(Fault(line.number, error.text, error.hint))
        except _USAGE_ERROR as error:
            faults.append(_usage_fault(line.number, error))
    real = [(a.line, Path(os.path.realpath(a.archive))) for a in accounts if a.archive is not None]
    faults += account_file.clashes(real)
    if faults:
        raise _refusal(file, sorted(faults, key=lambda fault: fault.number), speech)
    if not accounts:
        raise SettingsError(
            f"{safe(file)} names no account",
            hint="write one a line: SOURCE ARCHIVE [options]",
            code="bad-account-file",
        )
    return accounts


def _check_beside(given: Mapping[str, Any]) -> None:
    """What is wrong with the command line is told once, not for each line of the file.

    Raises:
        SettingsError: one of its options cannot be read.
    """
    anybody = {**given, "source": "maildir:.", "archive": "anywhere"}
    order_of({**anybody, **dict.fromkeys(_OF_A_LOGIN)})
    check_options(
        SecretOptions(
            token_command=given["token_command"],
            password_command=given["password_command"],
            mechanism=given["auth"] if given["token_command"] else None,
        )
    )


def _octets(file: str) -> bytes:
    try:
        with Path(file).open("rb") as stream:
            octets = stream.read(_LARGEST + 1)
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or "not a file name"
        raise SettingsError(
            f"the file of --accounts cannot be read: {reason}", hint="check its name"
        ) from error
    if len(octets) > _LARGEST:
        raise SettingsError(
            f"{safe(file)} is too large for a file of accounts",
            hint="it has one account a line: SOURCE ARCHIVE [options]",
            code="bad-account-file",
        )
    return octets


def _account(line: AccountLine, given: Mapping[str, Any], directory: Path) -> Account:
    """One line with what the command line adds to it.

    Raises:
        SettingsError: one of the values cannot be read, or they do not fit together.
        typer's usage error: the options cannot be read.
    """
    command = command_of(next(verb for verb in VERBS if verb.name == "export"))
    command.add_help_option = False  # it would print a page and end the run
    context = command.make_context("export", list(line.words))
    own = {
        name: value
        for name, value in context.params.items()
        if getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"
    }
    for name in sorted(_OF_THE_RUN & own.keys()):
        raise SettingsError(
            f"--{name.replace('_', '-')} is about all accounts, not about one line",
            hint="give it on the command line, beside --accounts",
        )
    if "source" not in own:
        raise SettingsError("SOURCE is missing: the account", hint="write SOURCE ARCHIVE [options]")
    merged = _merged(given, own)
    archive = None
    if merged["archive"] is not None:
        parse_archive(merged["archive"], writing=True)
        archive = account_file.place(merged["archive"], directory)
        merged["archive"] = str(archive)
    elif not merged["check"]:
        raise SettingsError(
            "ARCHIVE is missing: the directory to write", hint="write SOURCE ARCHIVE [options]"
        )
    if own.get("ca_file"):
        merged["ca_file"] = str(account_file.place(own["ca_file"], directory))
    order = order_of(merged)
    if isinstance(order.url, LocalSource):
        path = account_file.place(order.url.path, directory)
        order = replace(order, url=replace(order.url, path=str(path)))
    else:
        check_options(order.access.secret)
    return Account(line=line.number, source=own["source"], archive=archive, order=order)


def _merged(given: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """As if the line's options came after those of the command line: the last one counts."""
    merged = dict(given)
    for name, value in own.items():
        merged[name] = [*(given[name] or ()), *value] if isinstance(value, list | tuple) else value
    if own.get("password_command") is not None or own.get("token_command") is not None:
        for name in ("password_command", "token_command"):
            merged[name] = own.get(name)
    if str(own.get("source", "")).partition(":")[0].lower() in {"maildir", "mbox"}:
        for name in _OF_A_LOGIN:
            merged[name] = own.get(name)
    return merged


def _usage_fault(number: int, error: BaseException) -> Fault:
    # Of the superfluous words typer would repeat all, and a password with a blank is such words.
    if type(error) is _USAGE_ERROR:
        text = "the line has more words than SOURCE, ARCHIVE and options"
        return Fault(number, text, "put quotes around names with blanks in them")
    return Fault(number, usage_text(error), "portarchive export --help lists what there is")


def _refusal(file: str, faults: Sequence[Fault], speech: Speech) -> SettingsError:
    """All faults: a line each on stderr for people, one text for programs."""
    named = [
        without_passwords(safe(f"{file}:{fault.number}: {fault.text}; {fault.hint}"))
        for fault in faults[:_NAMED]
    ]
    if len(faults) > _NAMED:
        named.append(f"and {len(faults) - _NAMED:,} more")
    hint = "mend what is named; nothing was begun"
    if len(faults) == 1:
        named = [f"{file}:{faults[0].number}: {faults[0].text}"]
        hint = faults[0].hint or hint
    elif not (speech.json or speech.mode == "json"):
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write("".join(f"{line}\n" for line in named))
        named = [f"{safe(file)} has {len(faults)} faults"]
    return SettingsError("; ".join(named), hint=hint, code="bad-account-file")
