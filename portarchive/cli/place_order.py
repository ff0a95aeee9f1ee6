"""What the arguments of ``import`` and ``migrate`` ask for, checked; nothing is opened here."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from portarchive.access.credentials import SecretOptions
from portarchive.access.urls import LocalSource, SourceUrl, parse_local, parse_target, with_account
from portarchive.cli import arguments
from portarchive.cli.connecting import AccessOptions
from portarchive.errors import Refused, SettingsError
from portarchive.keywords import fold

if TYPE_CHECKING:
    from portarchive.jobs.replay.options import Deleted, ImportOptions, Labels, Verify
    from portarchive.jobs.same_account import Address


def target_of(
    given: Mapping[str, Any], *, prefix: str = ""
) -> tuple[SourceUrl | LocalSource, AccessOptions]:
    """TARGET, and how to get in.

    Args:
        given: the values of the verb's parameters, as they were typed.
        prefix: ``target_`` where the verb has a source too.

    Raises:
        SettingsError: one of them cannot be read, or they do not fit together.
    """
    spelled = "target-" if prefix else ""
    tls = given[f"{prefix}tls"]
    password, token = given[f"{prefix}password_command"], given[f"{prefix}token_command"]
    auth, ca_file = given[f"{prefix}auth"], given[f"{prefix}ca_file"]
    url = parse_local(given["target"], side="target") or parse_target(
        given["target"],
        tls=tls,
        allow_cleartext=given["allow_cleartext"],
        prefix="target-" if prefix else "",
    )
    url = with_account(url, given[f"{prefix}account"], f"--{spelled}account")
    if isinstance(url, LocalSource) and (tls or password or token or auth):
        raise SettingsError(
            f"{url.scheme}: is written on this machine, without a login",
            hint=f"leave out the options of access: --{spelled}tls, --{spelled}auth, passwords",
        )
    access = AccessOptions(
        secret=SecretOptions(
            token_command=token,
            password_command=password,
            mechanism=auth,
            side="target",
            prefix="target-" if prefix else "",
        ),
        ca_file=arguments.readable_file(f"--{spelled}ca-file", ca_file),
        timeout=arguments.seconds("--timeout", given["timeout"], least=1),
        connections=arguments.whole("--connections", given["connections"], least=1, most=32),
        max_wait=arguments.seconds("--max-wait", given["max_wait"], least=0),
    )
    return url, access


def file_options(given: Mapping[str, Any], url: SourceUrl | LocalSource) -> dict[str, str] | None:
    """What the command line says of a target of files.

    Raises:
        SettingsError: an option is of files, and the target is none.
    """
    options: dict[str, str] = {}
    if given["mbox_status"]:
        if not isinstance(url, LocalSource) or url.scheme != "mbox":
            raise SettingsError(
                "--mbox-status is for mbox:PATH alone",
                hint="leave it out: other targets keep flags",
            )
        options["status"] = "1"
    if given["no_fsync"] and isinstance(url, LocalSource):
        options["no_fsync"] = "1"
    return options or None


def keep_apart(archive: Path, url: SourceUrl | LocalSource, name: str) -> None:
    """An archive and the files of an account must not be in each other: one would become the other.

    Args:
        archive: a directory or a file; it need not exist.
        url: of the account.
        name: ``TARGET`` or ``SOURCE``.

    Raises:
        Refused: one lies in the other, links followed.
    """
    if not isinstance(url, LocalSource):
        return
    one, other = _real(archive), _real(Path(url.path))
    if one.is_relative_to(other) or other.is_relative_to(one):
        inside = f"the archive lies in {name}" if one.is_relative_to(other) else ""
        raise Refused(
            inside or f"{name} lies in the archive",
            hint="keep the two in directories of their own",
            code="overlap",
        )


def refuse_oneself(source: SourceUrl | LocalSource, target: SourceUrl | LocalSource) -> None:
    """An account is not migrated into itself. What only a login can tell, the job looks at.

    Raises:
        SettingsError: SOURCE and TARGET are surely one account.
    """
    from portarchive.jobs.same_account import one_account, oneself  # noqa: PLC0415  start-up time

    if one_account(_address(source), _address(target)):
        raise oneself()


def _address(url: SourceUrl | LocalSource) -> Address:
    from portarchive.jobs.same_account import Address  # noqa: PLC0415  start-up time

    if isinstance(url, LocalSource):
        return Address(f"{url.scheme}:{url.path}", "")
    account = url.options.get("account")  # of JMAP: one login may use several
    return Address(url.service, url.user if account is None else f"{url.user}\n{account}")


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))


def import_options(given: Mapping[str, Any]) -> ImportOptions:
    """The filters and policies.

    Raises:
        SettingsError: one of them cannot be read.
    """
    from portarchive.jobs.replay.options import ImportOptions  # noqa: PLC0415  start-up time

    chosen = arguments.selection(
        folders=given["folder"] or (),
        exclude=given["exclude"] or (),
        roles=given["role"] or (),
        since_date=given["since_date"],
        before_date=given["before_date"],
        min_size=given["min_size"],
        max_size=given["max_size"],
        keywords=given["keyword"] or (),
        namespace="all",
    )
    kept = [arguments.keyword("--keep-keyword", word) for word in given["keep_keyword"] or ()]
    keywords = {fold(word): True for word in kept}
    for text in given["drop_keyword"] or ():
        word = arguments.keyword("--drop-keyword", text)
        if fold(word) in keywords:
            raise SettingsError(
                "a keyword is both kept and dropped",
                hint="leave out one of --keep-keyword and --drop-keyword",
            )
        keywords[fold(word)] = False
    return ImportOptions(
        selection=chosen,
        select=_selected(given["select"]),
        into=_into(given["into"]),
        include_kept=given["include_kept"],
        deleted=cast(
            "Deleted",
            arguments.one_of("--deleted", given["deleted"], ("trash", "skip", "keep")),
        ),
        labels=cast("Labels", arguments.one_of("--labels", given["labels"], ("copies", "primary"))),
        keywords=keywords,
        mark_imported=given["mark_imported"],
        hold_junk=given["hold_junk"],
        normalise=given["normalise"],
        strict_match=given["strict_match"],
        verify=cast("Verify", arguments.one_of("--verify", given["verify"], ("sample", "bytes"))),
        dry_run=given["dry_run"],
    )


def state_directory(environment: Mapping[str, str] = os.environ) -> Path:
    """Where the ledger of a target lies (XDG Base Directory: ``XDG_STATE_HOME``)."""
    root = Path(environment.get("XDG_STATE_HOME", ""))
    base = root if root.is_absolute() else Path.home() / ".local" / "state"
    return base / "portarchive"


def _selected(given: Iterable[str] | None) -> frozenset[str] | None:
    if not given:
        return None
    found: set[str] = set()
    for text in given:
        lines = [text]
        if text.startswith("@"):
            path = arguments.readable_file("--select", text[1:])
            lines = path.read_text("utf-8", "replace").splitlines() if path is not None else []
        for line in lines:
            word = line.strip()
            if word.startswith("<") and word.endswith(">"):
                word = word[1:-1]
            if word:
                found.add(word)
    if not found:
        raise SettingsError("--select names no message", hint="check the file that it names")
    return frozenset(found)


def _into(text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    names = tuple(name for name in text.split("/") if name)
    hint = "write it like this: --into 'Old mail'"
    if any(unicodedata.category(sign) == "Cc" for sign in text):
        raise SettingsError("--into holds a control character", hint=hint)
    if not names:
        raise SettingsError("--into holds no folder name", hint=hint)
    return names
