"""Content-Type and Content-Disposition: their value and parameters (RFC 2045 §5.1, RFC 2231).

Never raises. Names of files come decoded, whichever of the three ways of spelling them a writer
took: RFC 2231, RFC 2047 words (which do not belong here), or bare octets.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

from portarchive.index import words

TEXT: Final = 1024
"""Characters of a parameter."""
_MOST: Final = 100
_LONGEST: Final = 1 << 16
_CACHED: Final = 160
_PARAMETER: Final = re.compile(
    rb";\s*([^\s=;\"]{1,200})\s*=\s*(?:\"([^\"\\]*(?:\\.[^\"\\]*)*)\"?|([^;]*))", re.DOTALL
)
_PERCENT: Final = re.compile(rb"%([0-9A-Fa-f]{2})")
_SECTION: Final = re.compile(rb"([^*]+)(?:\*(\d{1,3}))?(\*)?")
_TYPE: Final = 127
"""Characters of a media type (RFC 6838 §4.2 has 127 for either half; nobody needs more)."""


class Valued(NamedTuple):
    """A structured value.

    Attributes:
        value: what stands before the parameters, lower case.
        parameters: name in lower case → octets as written, without quotes. Sections of RFC 2231
            keep their names (``filename*0*``).
    """

    value: str
    parameters: dict[bytes, bytes]

    def text(self, name: bytes) -> tuple[str | None, str | None]:
        """A parameter decoded, and a defect or None."""
        found = self.parameters.get(name)
        if found is None or name + b"*" in self.parameters:
            return _rfc2231(self.parameters, name)
        text, defect = words.decode(found)
        return text[:TEXT], defect

    def token(self, name: bytes) -> str | None:
        """A parameter that is a word of a protocol, lower case."""
        found = self.text(name)[0]
        return None if found is None else found.strip().lower()


def parse(value: bytes) -> Valued:
    """The value of a field, unfolded."""
    return _cached(value) if len(value) <= _CACHED else _parse(value)


def _parse(value: bytes) -> Valued:
    main, semicolon, _ = value.partition(b";")
    parameters: dict[bytes, bytes] = {}
    if semicolon:
        for found in _PARAMETER.finditer(value[:_LONGEST]):
            name, quoted, plain = found.groups()
            if quoted is not None:
                plain = quoted
                if b"\\" in plain:
                    plain = plain.replace(b"\\\\", b"\\").replace(b'\\"', b'"')
            else:
                plain = _bare(plain)
            parameters.setdefault(name.lower(), plain)
            if len(parameters) >= _MOST:
                break
    main = _bare(main).strip()
    return Valued(main[:_TYPE].decode("ascii", "replace").lower(), parameters)


def _bare(value: bytes) -> bytes:
    """Without blanks and a comment at its end."""
    value = value.rstrip()
    if value.endswith(b")"):
        return value[: max(value.rfind(b"("), 0)].rstrip()
    return value


_cached = lru_cache(maxsize=2048)(_parse)


def _rfc2231(parameters: dict[bytes, bytes], name: bytes) -> tuple[str | None, str | None]:
    sections: dict[int, tuple[bytes, bool]] = {}
    for spelled, value in parameters.items():
        found = _SECTION.fullmatch(spelled) if spelled.startswith(name) else None
        if found is not None and found[1] == name and (found[2] or found[3]):
            sections[int(found[2] or 0)] = value, found[3] is not None
    if not sections:
        plain = parameters.get(name)
        return (None, None) if plain is None else (words.decode(plain)[0][:TEXT], None)
    charset = ""
    octets = b""
    for number in sorted(sections):
        value, extended = sections[number]
        if extended:
            if number == min(sections) and value.count(b"'") >= 2:
                told, _, rest = value.partition(b"'")
                charset, value = told.decode("ascii", "replace"), rest.partition(b"'")[2]
            value = _PERCENT.sub(lambda pair: bytes([int(pair[1], 16)]), value)
        octets += value
    if charset:
        text, good = words.in_charset(octets, charset)
        return text[:TEXT], None if good else "parameter-bad"
    text, defect = words.decode(octets)
    return text[:TEXT], defect
