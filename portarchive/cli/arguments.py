"""The values of options: sizes, dates, numbers, names. Each bad one is one line and exit code 2."""

from __future__ import annotations

import difflib
import re
import zoneinfo
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import cast

from portarchive.cli.progress_view import Mode
from portarchive.cli.safe_text import safe
from portarchive.errors import SettingsError
from portarchive.jobs.selection import Namespace, Selection

ROLES = frozenset(
    [
        "all",
        "archive",
        "drafts",
        "flagged",
        "important",
        "inbox",
        "junk",
        "memos",
        "scheduled",
        "sent",
        "snoozed",
        "subscribed",
        "trash",
    ]
)
"""IANA "IMAP Mailbox Name Attributes" that are roles (RFC 8621 §2, RFC 6154, RFC 9979)."""

_SIZE = re.compile(r"(\d{1,15})(?:([kKmMgG])(?:iB)?)?")
_UNIT = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")
_TIMEZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)


def size(option: str, text: str | None) -> int | None:
    """``500``, ``20k``, ``10M``, ``1G``: octets, in powers of 1024."""
    if text is None:
        return None
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise SettingsError(
            f"{option} is no size: {safe(text)!r}", hint=f"write it like this: {option} 10M"
        )
    return int(found[1]) * _UNIT[(found[2] or "").lower()]


def budget(text: str | None) -> int | None:
    """The value of ``--budget``: octets for 24 hours; 0 for ``none``, None if it was not given."""
    if text is None or text == "none":
        return None if text is None else 0
    octets = size("--budget", text)
    if not octets:
        raise SettingsError("--budget leaves nothing to fetch", hint="--budget none for no end")
    return octets


def day(option: str, text: str | None) -> date | None:
    """A calendar day as ISO 8601 has it."""
    if text is None:
        return None
    try:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", text.strip(), re.ASCII):
            return date.fromisoformat(text.strip())
    except ValueError:
        pass
    raise SettingsError(
        f"{option} is no date: {safe(text)!r}", hint=f"write it like this: {option} 2024-01-31"
    )


def whole(option: str, text: str, *, least: int, most: int) -> int:
    """A whole number within its bounds."""
    if not re.fullmatch(r"\d{1,12}", text, re.ASCII) or not least <= int(text) <= most:
        raise SettingsError(
            f"{option} is no number from {least} to {most}: {safe(text)!r}",
            hint=f"leave {option} out if in doubt",
        )
    return int(text)


def seconds(option: str, text: str, *, least: float) -> float:
    """A number of seconds; ``90``, ``2.5``, and for people ``10m``, ``2h``, ``1d``."""
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,3})?)([smhd]?)", text, re.ASCII)
    value = float(found[1]) * {"m": 60, "h": 3600, "d": 86400}.get(found[2], 1) if found else -1
    if value < least:
        raise SettingsError(
            f"{option} is no time of at least {least:g} seconds: {safe(text)!r}",
            hint=f"write it like this: {option} 90, or {option} 2h",
        )
    return value


def one_of(option: str, text: str, choices: Sequence[str]) -> str:
    """One of a few words."""
    if text not in choices:
        raise SettingsError(
            f"{option} does not take {safe(text)!r}", hint=f"it takes {', '.join(choices)}"
        )
    return text


def progress_mode(text: str) -> Mode:
    """The value of ``--progress``."""
    return cast("Mode", one_of("--progress", text, ("auto", "json", "plain", "none")))


def readable_file(option: str, text: str | None) -> Path | None:
    """A file that can be opened for reading."""
    if text is None:
        return None
    path = Path(text)
    try:
        with path.open("rb"):
            return path
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or "not a file name"
        raise SettingsError(
            f"the file of {option} cannot be read: {reason}", hint="check its name"
        ) from error


def language(text: str | None) -> str | None:
    """A language tag by its shape (RFC 5646 §2.1)."""
    if text is not None and not _LANGUAGE.fullmatch(text):
        raise SettingsError("--language is no language tag", hint="write it like this: de-AT")
    return text


def timezone(text: str | None) -> str | None:
    """A name of the IANA time zone database; by its shape alone where that is not installed."""
    if text is None:
        return None
    if not _TIMEZONE.fullmatch(text):
        raise SettingsError("--timezone is no zone name", hint="write it like this: Europe/Vienna")
    zones = zoneinfo.available_timezones()
    if zones and text not in zones:
        by_folded = {zone.lower(): zone for zone in sorted(zones)}
        alike = difflib.get_close_matches(text.lower(), by_folded, n=1)
        meant = by_folded[alike[0]] if alike else "Europe/Vienna"
        raise SettingsError(
            f"there is no time zone {text!r}", hint=f"write it like this: --timezone {meant}"
        )
    return text


def archive_id(text: str | None) -> str | None:
    """A UUID (RFC 9562), in lower case."""
    if text is None:
        return None
    if not _UUID.fullmatch(text):
        raise SettingsError(
            "--archive-id is no UUID", hint="leave it out, and each published state gets its own"
        )
    return text.lower()


def source_date_epoch(environment: Mapping[str, str]) -> datetime | None:
    """The moment that stands for now in reproducible archives (reproducible-builds.org)."""
    text = environment.get("SOURCE_DATE_EPOCH")
    if not text:
        return None
    try:
        return datetime.fromtimestamp(int(text), UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise SettingsError(
            "SOURCE_DATE_EPOCH is no number of seconds since 1970",
            hint="unset it, unless the archive has to be reproducible",
        ) from error


def selection(
    *,
    folders: Sequence[str],
    exclude: Sequence[str],
    roles: Sequence[str],
    since_date: str | None,
    before_date: str | None,
    min_size: str | None,
    max_size: str | None,
    keywords: Sequence[str],
    namespace: str,
) -> Selection:
    """The filters of the command line.

    Raises:
        SettingsError: one of them cannot be read, or together they let nothing through.
    """
    chosen = Selection(
        folders=_patterns("--folder", folders),
        exclude=_patterns("--exclude", exclude),
        roles=tuple(_role(text) for text in roles),
        since_date=day("--since-date", since_date),
        before_date=day("--before-date", before_date),
        min_size=size("--min-size", min_size),
        max_size=size("--max-size", max_size),
        keywords=tuple(keyword("--keyword", text) for text in keywords),
        namespace=cast("Namespace", one_of("--namespace", namespace, ("personal", "all"))),
    )
    since, before = chosen.since_date, chosen.before_date
    if since is not None and before is not None and since >= before:
        raise SettingsError(
            "no message is received on or after --since-date and before --before-date",
            hint="--before-date is the first day that is left out",
        )
    least, most = chosen.min_size, chosen.max_size
    if least is not None and most is not None and least > most:
        raise SettingsError("no message is of --min-size and --max-size", hint="swap them")
    return chosen


def _patterns(option: str, texts: Sequence[str]) -> tuple[str, ...]:
    for text in texts:
        if not text.strip("/") or any(ord(sign) < 0x20 for sign in text):
            raise SettingsError(
                f"{option} holds no folder name", hint=f"write it like this: {option} 'Work/*'"
            )
    return tuple(texts)


def _role(text: str) -> str:
    role = text.lower().removeprefix("\\")
    if role not in ROLES:
        raise SettingsError(
            f"--role names no role: {safe(text)!r}", hint=f"it takes {', '.join(sorted(ROLES))}"
        )
    return role


def keyword(option: str, text: str) -> str:
    """A keyword in the archive's spelling; system flags may be given as IMAP writes them."""
    if text.lower() in {"\\seen", "\\answered", "\\flagged", "\\draft"}:
        return "$" + text[1:].lower()
    if not re.fullmatch(r"\\?[!#$&'+,\-./0-9:;<=>?@A-Z\[^_`a-z|}~]+", text):
        raise SettingsError(
            f"{option} is no keyword: {safe(text)!r}",
            hint=f"write it like this: {option} '$flagged'",
        )
    return text
