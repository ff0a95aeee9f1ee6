"""Gmail's labels as Google Takeout writes them: into folders, roles and flags. Pure.

A message has all its labels in one ``X-Gmail-Labels`` field, as CSV, encoded if need be. Labels
that tell a state (read, starred, a category) are flags or nothing; the others are folders. The
names of Gmail's own labels are in the language of the account, which is found out by counting.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from portarchive import keywords
from portarchive.connectors.mbox.encoded_words import decode

_LEADING: Final = re.compile(
    rb"(?:X-GM-THRID:[ \t]*(\d{1,20})[ \t]*\r?\n)?"
    rb"(X-Gmail-Labels:([^\n]*\n(?:[ \t][^\n]*\n)*))?"
    rb"(?:X-GM-THRID:[ \t]*(\d{1,20})[ \t]*\r?\n)?",
    re.IGNORECASE,
)
_FOLD: Final = re.compile(rb"\r?\n(?=[ \t])")
_KEYWORD: Final = "IMAP_"

Path = tuple[str, ...]

INBOX: Final[Path] = ("INBOX",)
ALL_MAIL: Final[Path] = ("All Mail",)
"""Where a message lies that has no label of a folder; its role is ``archive``."""

_ROLES: Final = {"sent": "sent", "drafts": "drafts", "spam": "junk", "trash": "trash"}


def _names(**told: str) -> dict[str, str]:
    return {name: kind for kind, names in told.items() for name in names.split("|")}


_LANGUAGES: Final[Mapping[str, Mapping[str, str]]] = {
    "en": _names(
        inbox="Inbox", sent="Sent|Sent Mail", drafts="Drafts|Draft", spam="Spam",
        trash="Trash|Bin", starred="Starred", important="Important", unread="Unread",
        opened="Opened", archived="Archived", category="Category",
    ),
    "de": _names(
        inbox="Posteingang", sent="Gesendet", drafts="Entwürfe|Entwurf", spam="Spam",
        trash="Papierkorb", starred="Markiert", important="Wichtig", unread="Ungelesen",
        opened="Geöffnet", archived="Archiviert", category="Kategorie",
    ),
    "fr": _names(
        inbox="Boîte de réception", sent="Envoyé|Envoyés|Messages envoyés",
        drafts="Brouillon|Brouillons", spam="Spam", trash="Corbeille",
        starred="Suivi|Suivis|Messages suivis", important="Important|Importants",
        unread="Non lu|Non lus", opened="Ouvert|Ouverts",
        archived="Archivé|Archivés|Messages archivés", category="Catégorie",
    ),
    "es": _names(
        inbox="Recibidos", sent="Enviado|Enviados", drafts="Borrador|Borradores", spam="Spam",
        trash="Papelera", starred="Destacado|Destacados", important="Importante|Importantes",
        unread="No leído|No leídos", opened="Abierto|Abiertos", archived="Archivado|Archivados",
        category="Categoría",
    ),
    "it": _names(
        inbox="Posta in arrivo", sent="Posta inviata|Inviati", drafts="Bozza|Bozze", spam="Spam",
        trash="Cestino", starred="Speciale|Speciali", important="Importante|Importanti",
        unread="Da leggere|Non letto|Non letti", opened="Aperto|Aperti",
        archived="Archiviato|Archiviati", category="Categoria",
    ),
    "nl": _names(
        inbox="Postvak IN", sent="Verzonden", drafts="Concept|Concepten", spam="Spam",
        trash="Prullenbak", starred="Met ster", important="Belangrijk", unread="Ongelezen",
        opened="Geopend", archived="Gearchiveerd", category="Categorie",
    ),
    "pt": _names(
        inbox="Caixa de entrada", sent="Enviado|Enviados|E-mails enviados",
        drafts="Rascunho|Rascunhos", spam="Spam", trash="Lixeira|Lixo",
        starred="Com estrela", important="Importante|Importantes", unread="Não lido|Não lidos",
        opened="Aberto|Abertos", archived="Arquivado|Arquivados", category="Categoria",
    ),
}  # fmt: skip
_TELLING: Final = frozenset({"inbox", "unread", "opened", "archived"})
"""The labels by which a language is known: nearly every message has one of them."""


class Leading(NamedTuple):
    """What Takeout put in front of a message's own header.

    Attributes:
        thread: X-GM-THRID, 0 if there is none.
        labels: the raw value, None if there is none.
        span: where the field of the labels lies.
    """

    thread: int
    labels: bytes | None
    span: tuple[int, int]


def leading(octets: bytes) -> Leading | None:
    """Takeout's own fields. Those that come later are the sender's, and mean nothing."""
    if octets[:2] not in {b"X-", b"x-"}:
        return None
    found = _LEADING.match(octets)
    if found is None or not found.end():
        return None
    thread = int(found[1] or found[4] or 0)
    return Leading(thread if thread < 1 << 64 else 0, found[3], found.span(2))


def parse(value: bytes) -> tuple[str, ...]:
    """The labels of one raw value, in their order, each once."""
    text = decode(_FOLD.sub(b"", value).strip())
    try:
        row = next(csv.reader([text], skipinitialspace=True), [])
    except csv.Error:
        row = text.split(",")
    return tuple(dict.fromkeys(filter(None, (label.strip() for label in row))))


def language(counted: Iterable[tuple[tuple[str, ...], int]]) -> str:
    """The language of an account: whose telling labels are met most often.

    Args:
        counted: labels of a message, and how many messages have just these.
    """
    votes: Counter[str] = Counter()
    for labels, count in counted:
        for code, names in _LANGUAGES.items():
            votes[code] += count * sum(names.get(label) in _TELLING for label in labels)
    # equal votes: the first of the table
    return max(_LANGUAGES, key=lambda code: votes[code])


class Placed(NamedTuple):
    """Where a message lies, by its labels, and with which flags."""

    paths: tuple[Path, ...]
    flags: tuple[str, ...]


class Sorting:
    """From labels to folders, in one language.

    Attributes:
        roles: of the folders that were named so far.
    """

    def __init__(self, code: str) -> None:
        self._kinds = _LANGUAGES[code]
        self._categories = tuple(
            name + mark
            for name, kind in self._kinds.items()
            if kind == "category"
            for mark in (" ", ":", "\N{NO-BREAK SPACE}:", " :")
        )
        self.roles: dict[Path, str] = {}

    def place(self, labels: tuple[str, ...]) -> Placed:
        """The folders of a message, the inbox first, and its flags."""
        paths: dict[Path, None] = {}
        flags: list[str] = []
        seen = True
        for label in labels:
            kind = self._kinds.get(label)
            if kind == "unread":
                seen = False
            elif kind == "starred":
                flags.append("$flagged")
            elif kind == "important":
                flags.append("$Important")
            elif label.startswith(_KEYWORD):
                flags.extend(keywords.to_archive(label.removeprefix(_KEYWORD).split()))
            elif kind in {"opened", "archived"} or label.startswith(self._categories):
                continue
            elif kind == "inbox":
                paths[INBOX] = None
                self.roles[INBOX] = "inbox"
            else:
                path = _path(label)
                paths[path] = None
                role = _ROLES.get(kind or "")
                if role is not None and role not in self.roles.values():
                    self.roles[path] = role
                if kind == "drafts":
                    flags.append("$draft")
        if not paths:
            paths[ALL_MAIL] = None
            self.roles[ALL_MAIL] = "archive"
        if seen:
            flags.insert(0, "$seen")
        ordered = sorted(paths, key=lambda path: path != INBOX)
        return Placed(tuple(ordered), tuple(dict.fromkeys(flags)))


def _path(label: str) -> Path:
    """A label of the user: ``/`` nests. It is never the inbox, whatever it is called."""
    parts = tuple(part for part in label.split("/") if part) or (label,)
    return (f"{parts[0]}~label",) if parts[0].upper() == "INBOX" and len(parts) == 1 else parts
