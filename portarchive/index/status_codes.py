"""Enhanced status codes (RFC 3463): taken apart and put into words.

The words are for people. No list decides whether a code is valid: what is not in it is told by its
class and subject alone (the registry of RFC 5248 grows).
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_CODE: Final = re.compile(r"\s*([245])\.(0|[1-9][0-9]{0,2})\.(0|[1-9][0-9]{0,2})(?![.0-9])")

CLASSES: Final = {2: "success", 4: "persistent transient failure", 5: "permanent failure"}
SUBJECTS: Final = {
    0: "other or undefined",
    1: "addressing",
    2: "mailbox",
    3: "mail system",
    4: "network and routing",
    5: "mail delivery protocol",
    6: "message content or media",
    7: "security or policy",
}
DETAILS: Final = {
    (0, 0): "other undefined status",
    (1, 0): "other address status",
    (1, 1): "bad destination mailbox address",
    (1, 2): "bad destination system address",
    (1, 3): "bad destination mailbox address syntax",
    (1, 4): "destination mailbox address ambiguous",
    (1, 5): "destination mailbox address valid",
    (1, 6): "mailbox has moved",
    (1, 7): "bad sender's mailbox address syntax",
    (1, 8): "bad sender's system address",
    (1, 9): "message relayed to a system that does not report",
    (1, 10): "recipient address has a null MX",
    (2, 0): "other or undefined mailbox status",
    (2, 1): "mailbox disabled, not accepting messages",
    (2, 2): "mailbox full",
    (2, 3): "message length exceeds administrative limit",
    (2, 4): "mailing list expansion problem",
    (3, 0): "other or undefined mail system status",
    (3, 1): "mail system full",
    (3, 2): "system not accepting network messages",
    (3, 3): "system not capable of selected features",
    (3, 4): "message too big for system",
    (3, 5): "system incorrectly configured",
    (4, 0): "other or undefined network or routing status",
    (4, 1): "no answer from host",
    (4, 2): "bad connection",
    (4, 3): "directory server failure",
    (4, 4): "unable to route",
    (4, 5): "mail system congestion",
    (4, 6): "routing loop detected",
    (4, 7): "delivery time expired",
    (5, 0): "other or undefined protocol status",
    (5, 1): "invalid command",
    (5, 2): "syntax error",
    (5, 3): "too many recipients",
    (5, 4): "invalid command arguments",
    (5, 5): "wrong protocol version",
    (6, 0): "other or undefined media error",
    (6, 1): "media not supported",
    (6, 2): "conversion required and prohibited",
    (6, 3): "conversion required but not supported",
    (6, 4): "conversion with loss performed",
    (6, 5): "conversion failed",
    (7, 0): "other or undefined security status",
    (7, 1): "delivery not authorized, message refused",
    (7, 2): "mailing list expansion prohibited",
    (7, 3): "security conversion required but not possible",
    (7, 4): "security features not supported",
    (7, 5): "cryptographic failure",
    (7, 6): "cryptographic algorithm not supported",
    (7, 7): "message integrity failure",
}


class Status(NamedTuple):
    """A code taken apart; all None for what is no code."""

    status_class: int | None
    subject: int | None
    detail: int | None
    class_text: str | None
    subject_text: str | None
    detail_text: str | None


NONE: Final = Status(None, None, None, None, None, None)


def explain(code: str) -> Status:
    """The parts of ``5.1.1``, with words for those that have some. What follows is a comment.

    A class is 2, 4 or 5 (RFC 3463 §2); no number has a zero in front of it (RFC 3464 §2.3.4).
    """
    found = _CODE.match(code)
    if found is None:
        return NONE
    kind, subject, detail = (int(digits) for digits in found.groups())
    return Status(
        kind,
        subject,
        detail,
        CLASSES.get(kind),
        SUBJECTS.get(subject),
        DETAILS.get((subject, detail)),
    )
