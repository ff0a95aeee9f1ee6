"""``portarchive export --accounts FILE``: one account after another, one report at the end.

Everything that the file says is checked before anybody is contacted. What becomes of one account
does not stop the others; an interrupt stops all.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from portarchive.access.credentials import Secret
from portarchive.access.urls import LocalSource
from portarchive.cli import failure_of
from portarchive.cli.account_lines import read_accounts
from portarchive.cli.accounts_report import Account, exit_code_of, report_of, words_of
from portarchive.cli.check import look, refuse_unmatched
from portarchive.cli.connecting import find_secret
from portarchive.cli.export import run
from portarchive.cli.output import say, to_json
from portarchive.cli.progress_view import Speech
from portarchive.cli.safe_text import safe
from portarchive.errors import ExitCode, PortArchiveError, SettingsError


def export_accounts(file: str, given: Mapping[str, Any], speech: Speech) -> int:
    """Check the file, run its accounts, report.

    Args:
        file: as it was typed.
        given: the values of ``export``'s parameters; they hold for every account, unless its line
            says otherwise.
        speech: how the run speaks.

    Raises:
        SettingsError: something is wrong with the file or beside it; nothing was begun.
        KeyboardInterrupt: after the report, which says how far it came.
    """
    accounts = read_accounts(file, given, speech)
    _refuse_shared_password(accounts, os.environ)
    interrupted = False
    try:
        _find_secrets(accounts)
        for number, account in enumerate(accounts, 1):
            _announce(number, accounts, speech)
            _run(account, speech)
            _tell_end(number, accounts, speech)
    except KeyboardInterrupt:
        interrupted = True
    with contextlib.suppress(BrokenPipeError):  # the archives stand, whoever reads on
        if speech.json:
            say(to_json(report_of(file, accounts)))
        elif not speech.quiet:
            for line in words_of(accounts, verbose=speech.verbose):
                say(line)
        sys.stdout.flush()
    if interrupted:
        raise KeyboardInterrupt
    return exit_code_of(accounts)


def _refuse_shared_password(accounts: Sequence[Account], environment: Mapping[str, str]) -> None:
    """One server's password is not shown to another one.

    Raises:
        SettingsError: PORTARCHIVE_SOURCE_PASSWORD is set, and several logins would use it.
    """
    urls = [account.order.url for account in accounts if account.asks_environment]
    logins = {(url.host, url.user) for url in urls if not isinstance(url, LocalSource)}
    if len(logins) > 1 and environment.get("PORTARCHIVE_SOURCE_PASSWORD"):
        raise SettingsError(
            f"PORTARCHIVE_SOURCE_PASSWORD is of one account, and {len(logins)} would use it",
            hint="unset it; lines have --password-command or --token-command, the keyring knows"
            " each login, and PORTARCHIVE_PASSWORD is for all if they share one",
            code="ambiguous-password",
        )


def _find_secrets(accounts: Sequence[Account]) -> None:
    """All questions to a person come first, and the same login is asked for once."""
    found: dict[object, Secret | PortArchiveError] = {}
    for account in accounts:
        url, access = account.order.url, account.order.access
        if isinstance(url, LocalSource):
            continue
        login = (url.host, url.user, access.secret)
        if login not in found:
            try:
                found[login] = find_secret(url, access)
            except PortArchiveError as error:  # of this account; the others may have theirs
                found[login] = error
        account.secret = found[login]


def _run(account: Account, speech: Speech) -> None:
    """Export one account, or look at it; what goes wrong is noted in it."""
    order, secret = account.order, account.secret
    if isinstance(secret, PortArchiveError):
        account.error = failure_of(secret)
        account.exit_code = int(secret.exit_code)
        return
    account.exit_code = int(ExitCode.INTERRUPTED)  # holds unless an end is reached
    try:
        if order.path is None:
            account.seen = look(
                order.url, order.access, order.settings.selection, speech, secret=secret
            )
            refuse_unmatched(account.seen.unmatched)
            account.exit_code = int(ExitCode.OK)
        else:
            account.exported = run(
                order.url, order.access, order.path, order.settings, speech, secret=secret
            )
            whole = account.exported.complete
            account.exit_code = int(ExitCode.OK if whole else ExitCode.INCOMPLETE)
    except Exception as error:  # noqa: BLE001  a bug in one account is not the others' loss
        account.error = failure_of(error)
        account.exit_code = int(account.error.exit_code)


def _announce(number: int, accounts: Sequence[Account], speech: Speech) -> None:
    account = accounts[number - 1]
    if speech.mode == "json":
        members = {"number": number, "of": len(accounts), **account.names()}
        _write(to_json({"event": "account-started", **members}))
    elif speech.mode != "none" and not speech.quiet:
        to = "" if account.archive is None else f" to {safe(account.archive)}"
        _write(f"account {number} of {len(accounts)}: {account.who}{to}")


def _tell_end(number: int, accounts: Sequence[Account], speech: Speech) -> None:
    account = accounts[number - 1]
    if speech.mode == "json":
        members = {"number": number, "exit_code": account.exit_code}
        _write(to_json({"event": "account-finished", **members}))
    elif account.error is not None and speech.quiet and not speech.json:
        _write(f"error: {account.who}: {account.error_text}")
        _write(f"hint: {account.error_hint}")
    elif account.error is not None and not speech.quiet:
        _write(f"account {number} of {len(accounts)} failed: {account.error_text}")


def _write(line: str) -> None:
    with contextlib.suppress(OSError, ValueError):  # nobody there: the run goes on unseen
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
