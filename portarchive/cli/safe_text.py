"""What may reach a terminal of text that others wrote: servers, archives, mail, file names.

Everything printed by ``cli`` that is not a literal of ours goes through here. Rich markup is never
interpreted: the display uses ``rich.text.Text`` and ``markup=False`` only.
"""

from __future__ import annotations

import re

# ECMA-48: CSI; OSC, DCS, SOS, PM, APC with their strings; other escapes. 7-bit and C1 forms.
_SEQUENCE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-~]?"
)
_SPACE = re.compile(r"[\t\n\r\x0b\x0c\x85\u2028\u2029]+")
# C0, DEL, C1; marks, embeddings, overrides and isolates of the bidi algorithm (UAX 9); invisible
# operators and tag characters that only serve to deceive the eye; lone surrogates.
_DROPPED = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f]"
)
_SURROGATE = re.compile("[\ud800-\udfff]")
_URL_PASSWORD = re.compile(r"(://[^:/?#\s]*):[^\s]*@")


def safe(text: object) -> str:
    """The text on one line, without anything that a terminal or the eye could take as a command."""
    line = str(text)
    if line.isascii() and line.isprintable():
        return line
    line = _SPACE.sub(" ", _SEQUENCE.sub("", line))
    return _SURROGATE.sub("\ufffd", _DROPPED.sub("", line))


def safe_lines(text: str) -> str:
    """The same for text of several lines: the line feeds stay."""
    return "\n".join(safe(line) for line in text.split("\n"))


def without_passwords(text: str) -> str:
    """The text with what looks like a password in a URL replaced by ``***``.

    For words that repeat an argument, which may be a URL that was given in the wrong place.
    """
    return _URL_PASSWORD.sub(r"\1:***@", text)
