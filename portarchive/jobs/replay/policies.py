r"""Policies: what becomes of the flags of a message on its way into another provider.

Owns the defaults (RFC 9979, IANA registry) and their overrides; every keyword that is not brought
is named with a reason. Refuses to know a target: what one cannot keep is found out by ``deliver``.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from portarchive import keywords
from portarchive.jobs.replay.options import ImportOptions

JUNK: Final = frozenset({"$junk", "$notjunk", "$phishing"})
_SENDS: Final = frozenset({"$submitpending"})
_BITS: Final = frozenset({"$mailflagbit0", "$mailflagbit1", "$mailflagbit2"})
_DELETED: Final = "\\deleted"
IMPORTED: Final = "$imported"


class Treatment(NamedTuple):
    r"""What is done with one message.

    Attributes:
        flags: to be set, archive spelling.
        dropped: (keyword, reason) of what is not set.
        deleted: it bears ``\Deleted`` and the policy is not to keep that.
    """

    flags: tuple[str, ...]
    dropped: tuple[tuple[str, str], ...]
    deleted: bool


class Policies:
    """The rules for one import.

    Args:
        options: what the user asked for.
        same_provider: the target is the service that the archive came from.
        jmap: the target takes JMAP keywords only.
    """

    def __init__(self, options: ImportOptions, *, same_provider: bool, jmap: bool = False) -> None:
        self._options = options
        self._same = same_provider
        self._spelling = keywords.to_jmap if jmap else keywords.to_imap
        self._jmap = jmap
        self._known: dict[tuple[str, ...], Treatment] = {}

    def treat(self, flags: tuple[str, ...]) -> Treatment:
        """What is done with a message that bears these flags."""
        found = self._known.get(flags)
        if found is None:
            found = self._treat(flags)
            if len(self._known) < 4096:
                self._known[flags] = found
        return found

    def _treat(self, flags: tuple[str, ...]) -> Treatment:
        options = self._options
        keys = {keywords.fold(flag) for flag in flags}
        kept: list[str] = []
        dropped: list[tuple[str, str]] = []
        deleted = _DELETED in keys
        for flag in flags:
            key = keywords.fold(flag)
            if key == _DELETED:
                if options.deleted == "keep" and not self._jmap:
                    kept.append(flag)
                    deleted = False
                continue
            reason = self._reason(flag, key, keys)
            if reason is None:
                kept.append(flag)
            else:
                dropped.append((flag, reason))
        if options.mark_imported and IMPORTED not in keys:
            kept.append(IMPORTED)
        return Treatment(tuple(kept), tuple(dropped), deleted)

    def _reason(self, flag: str, key: str, keys: set[str]) -> str | None:
        """Why the flag is not set, None if it is."""
        if self._spelling(flag) is None:
            return "not-in-grammar"
        wanted = self._options.keywords.get(key)
        if wanted is not None:
            return None if wanted else "asked"
        if key in JUNK and self._options.hold_junk:
            return "held-junk"
        if key in _SENDS:
            return "would-send"
        registered = keywords.KEYWORDS.get(key)
        policy = registered.on_import if registered is not None else keywords.OnImport.KEEP
        if policy is keywords.OnImport.DROP:
            return "announces-old-mail"
        if policy is keywords.OnImport.DROP_ELSEWHERE and not self._same:
            return "of-the-old-provider"
        if self._options.normalise:
            return _contradiction(key, keys)
        return None


def _contradiction(key: str, keys: set[str]) -> str | None:
    """What RFC 9979 says must not stand together (KW-6)."""
    if key in _BITS and "$flagged" not in keys:
        return "colour-without-flag"
    if key == "$muted" and "$followed" in keys:
        return "followed-and-muted"
    if key == "$hasnoattachment" and "$hasattachment" in keys:
        return "both-attachment-keywords"
    return None
