r"""The label that a Gmail folder stands for. Pure.

Gmail leaves the label of the selected folder out of X-GM-LABELS: a message in INBOX that also bears
``Work`` has only ``Work`` there. Whoever wants all labels of a message adds the folder's own.
"""

from __future__ import annotations

from typing import Final

from portarchive.connectors.imap import names
from portarchive.connectors.imap.names import Listed

_SYSTEM: Final = {
    "\\sent": "\\Sent",
    "\\drafts": "\\Draft",
    "\\flagged": "\\Starred",
    "\\starred": "\\Starred",
    "\\important": "\\Important",
    "\\junk": "\\Spam",
    "\\spam": "\\Spam",
    "\\trash": "\\Trash",
}
"""By attribute of LIST (RFC 6154, and the older XLIST), as X-GM-LABELS spells it."""
_EVERYTHING: Final = frozenset({"\\all", "\\allmail"})
_OWN: Final = (b"[Gmail]/", b"[Google Mail]/")


def own_label(entry: Listed, *, utf8: bool) -> str | None:
    """The label of a folder, as ``portarchive:labels`` has it.

    Args:
        entry: as it was listed.
        utf8: UTF8=ACCEPT is enabled.

    Returns:
        None for a folder that is no label: All Mail, and what else Gmail has of its own.
    """
    if names.is_inbox(entry.wire):
        return "\\Inbox"
    attributes = [attribute.lower() for attribute in entry.attributes]
    for attribute in attributes:
        if attribute in _SYSTEM:
            return _SYSTEM[attribute]
    if not _EVERYTHING.isdisjoint(attributes) or entry.wire.startswith(_OWN):
        return None
    return label_text(entry.wire, utf8=utf8)


def label_text(octets: bytes, *, utf8: bool = False) -> str:
    """A label as text without lone surrogates."""
    return names.decode_name(octets, utf8=utf8)[0].encode("utf-8", "replace").decode("utf-8")


def with_own(labels: tuple[str, ...], own: str | None) -> tuple[str, ...]:
    """The labels of a message with the one of its folder, which comes first if it was left out."""
    return labels if own is None or own in labels else (own, *labels)
