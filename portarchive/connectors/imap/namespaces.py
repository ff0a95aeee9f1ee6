"""Where the mailboxes of an account begin (RFC 2342), and what holds where a server does not say.

The prefixes decide what mailboxes are called in an archive. A server that announces NAMESPACE and
refuses it, or announces it no more, must neither end the export nor rename what is there, so that
then the prefixes are those by which the archive was named, and for a first run of a server that
refuses the shape of the listing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from portarchive.connectors.imap import list_lines, names, quirks
from portarchive.connectors.imap.names import Listed, Prefix
from portarchive.connectors.imap.parser import Token
from portarchive.connectors.imap.responses import Data, Response, Status, printable
from portarchive.connectors.imap.session import Session
from portarchive.errors import ServerMisbehaved
from portarchive.progress import Notice

KINDS: Final = ("personal", "other", "shared")

ASSUMED: Final = "assumed"
"""Member beside ``KINDS``: true if no server ever said so."""

_CONTROLS: Final = tuple(bytes((octet,)) for octet in (*range(0x20), 0x7F))
_LONGEST: Final = 1000


class Spaces(NamedTuple):
    """The namespaces of an account.

    Attributes:
        prefixes: none if there are none, or the server has not the command.
        said: as ``SourceIdentity.namespaces`` has them.
    """

    prefixes: list[Prefix]
    said: dict[str, Any] | None


def ask(session: Session) -> tuple[Spaces | None, Status | None]:
    """NAMESPACE, asked of a server that announces it.

    Returns:
        What it said; or None, and the answer that was no use.

    Raises:
        RateLimited, TokenExpired, ConnectionLost: see ``Session``; also a refusal for the moment.
    """
    if not {"NAMESPACE", "IMAP4REV2"} & session.capabilities:
        return Spaces([], None), None
    found: list[Prefix] = []
    answered = False

    def note(response: Response) -> None:
        nonlocal answered
        if isinstance(response, Data) and response.kind == b"NAMESPACE":
            told = _prefixes(response.tokens())
            if told is not None:
                answered = True
                found.extend(told)

    status = session.run(b"NAMESPACE", handle=note)
    if status.ok and answered:
        return Spaces(found, described(found, utf8=session.utf8)), None
    waiting = quirks.unwell(status)
    if waiting is not None:
        raise waiting
    return None, status


def namespaces(session: Session) -> Spaces:
    """The same, for who cannot do without the answer.

    Raises:
        RateLimited, TokenExpired, ConnectionLost: see ``ask``.
        ServerMisbehaved: it announces the command and does not answer it. Mailboxes would be made
            where they do not belong.
    """
    spaces, refusal = ask(session)
    if spaces is None:
        words = "" if refusal is None else refusal.words
        raise ServerMisbehaved(
            f"the server does not tell its namespaces, which it says it can: {words}",
            hint="run the same command later; nothing was changed",
        )
    return spaces


def _prefixes(told: list[Token]) -> list[Prefix] | None:
    """What a NAMESPACE response says; None if it is none of RFC 2342 §6."""
    found: list[Prefix] = []
    if not told:
        return None
    for kind, group in zip(KINDS, told, strict=False):
        if group is not None and not isinstance(group, list):
            return None
        for pair in group or ():
            match pair:
                case [bytes(prefix), bytes() | None as delimiter, *_] if _fits(prefix):
                    found.append(Prefix(kind, prefix, (delimiter or b"")[:1]))
                case _:
                    return None
    return found


def _fits(prefix: bytes) -> bool:
    return len(prefix) <= _LONGEST and not any(octet in prefix for octet in _CONTROLS)


def described(prefixes: Iterable[Prefix], *, utf8: bool) -> dict[str, Any]:
    """Namespaces as ``records.SourceIdentity`` has them."""
    kinds: dict[str, Any] = dict.fromkeys(KINDS)
    for space in prefixes:
        prefix = names.decode_name(space.prefix, utf8=utf8)[0]
        text = prefix.encode("utf-8", "replace").decode("utf-8")
        delimiter = space.delimiter.decode("ascii", "replace") or None
        entries = kinds[space.kind] or []
        kinds[space.kind] = [*entries, {"prefix": text, "delimiter": delimiter}]
    return kinds


def recalled(said: Mapping[str, Any] | None, *, utf8: bool) -> Spaces:
    """The inverse of ``described``, of what an archive holds; what makes no sense is left out."""
    if said is None:
        return Spaces([], None)
    found: list[Prefix] = []
    for kind in KINDS:
        group = said.get(kind)
        for pair in group if isinstance(group, list) else ():
            match pair:
                case {"prefix": str(text), "delimiter": str() | None as delimiter}:
                    prefix = _encoded(text, utf8=utf8)
                    octets = (delimiter or "").encode("ascii", "ignore")[:1]
                    if prefix is not None and _fits(prefix) and _fits(octets):
                        found.append(Prefix(kind, prefix, octets))
    kept = described(found, utf8=utf8)
    return Spaces(found, {**kept, ASSUMED: True} if said.get(ASSUMED) is True else kept)


def _encoded(text: str, *, utf8: bool) -> bytes | None:
    try:
        return text.encode() if utf8 else names.encode_utf7(text)
    except UnicodeError:
        return None


def assumed(session: Session) -> Spaces:
    """What the listing looks like, where nobody says: one personal prefix, ``INBOX.``, or none.

    Courier, and Cyrus with its old names, have all mailboxes below INBOX (RFC 2342 §5); names that
    begin with ``#`` are those of other namespaces there (§5.5). None is taken for somebody else's:
    what is one's own must not be left out.

    Raises:
        RateLimited, TokenExpired, ConnectionLost: see ``Session``.
    """
    listed: list[Listed] = []

    def note(response: Response) -> None:
        if isinstance(response, Data) and response.kind == b"LIST":
            entry = list_lines.listed(response.parts)
            if entry is not None:
                listed.append(entry)

    session.run(b'LIST "" "*"', handle=note)  # refused: so is the listing that follows
    below = [
        entry
        for entry in listed
        if entry.wire and not names.is_inbox(entry.wire) and not entry.wire.startswith(b"#")
    ]
    prefixes = {_inbox_prefix(entry) for entry in below}
    prefix = prefixes.pop() if len(prefixes) == 1 else b""
    found = [Prefix("personal", prefix, prefix[-1:])]
    if not prefix:
        delimiters = {entry.delimiter for entry in listed if entry.delimiter}
        found = [Prefix("personal", b"", delimiters.pop() if len(delimiters) == 1 else b"")]
    return Spaces(found, {**described(found, utf8=session.utf8), ASSUMED: True})


def _inbox_prefix(entry: Listed) -> bytes:
    """``INBOX`` and the delimiter as they are written, if the name is one below INBOX."""
    head = entry.wire[: len(b"INBOX") + 1]
    within = names.is_inbox(head[:-1]) and head[-1:] == entry.delimiter
    return head if within and len(entry.wire) > len(head) else b""


def notice(refusal: Status | None, spaces: Spaces, *, known: bool) -> Notice:
    """What a person is told.

    Args:
        refusal: the answer that was no use; None if the command is not announced any more.
        spaces: what holds now.
        known: the archive has the prefixes.
    """
    if known:
        how = "folders have the names that they had in the earlier run"
    else:
        prefix = next((printable(space.prefix) for space in spaces.prefixes), "")
        how = (
            f"all folders lie below {prefix!r}, which is left out of their names"
            if prefix
            else "folders have their whole names"
        ) + "; those of others cannot be told from your own"
    why = "as it once did"
    if refusal is not None:
        why = f"which it says it can ({refusal.words or 'no words'})"
    text = f"the server does not tell its namespaces, {why}: {how}"
    return Notice("no-namespaces", text)
