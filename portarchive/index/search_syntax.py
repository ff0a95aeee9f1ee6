"""What people type into a search, taken apart: words, fields, negation, OR, parentheses.

Owns the grammar of docs/query.md. Knows nothing of the index: ``search_sql`` says what a term
means there. A mistake is one line that says where.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from portarchive.errors import SettingsError

TEXT_FIELDS: Final = frozenset({"from", "to", "cc", "bcc", "subject", "filename", "list", "body"})
"""Fields whose value is looked for within a text."""
FIELDS: Final = TEXT_FIELDS | {
    "before", "after", "since", "on", "has", "is", "keyword", "colour", "folder", "role", "larger",
    "smaller", "type", "id", "thread", "expires-before", "expires-after",
}  # fmt: skip
TERMS: Final = 100
"""Terms of one search."""
_DEEP: Final = 50
_ALIASES: Final = {"color": "colour", "in": "folder", "label": "keyword", "until": "before",
                   "message-id": "id", "flag": "keyword"}  # fmt: skip
_TOKEN: Final = re.compile(
    r"\s*(?:(?P<sign>[()])|(?P<minus>-)?(?:(?P<field>[A-Za-z][A-Za-z-]*):(?!//))?"
    r"(?:\"(?P<quoted>[^\"]*)\"?|(?P<word>[^\s()\"]+))?)"
)


@dataclass(frozen=True, slots=True)
class Term:
    """One thing to look for. ``field``: of ``FIELDS``, "" for a word anywhere in the header."""

    field: str
    value: str


@dataclass(frozen=True, slots=True)
class Not:
    """What must not be so."""

    node: Node


@dataclass(frozen=True, slots=True)
class Every:
    """All of them."""

    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """At least one of them."""

    nodes: tuple[Node, ...]


Node = Term | Not | Every | Either


def parse(words: Sequence[str]) -> Node:
    """Take a search apart.

    Args:
        words: as the shell gave them. One with blanks that has no syntax of its own is a phrase,
            because the shell has taken its quotation marks away.

    Raises:
        SettingsError: it does not follow the grammar, or is empty.
    """
    return _Parser(" ".join(_requoted(word) for word in words)).parse()


def terms_of(node: Node) -> list[Term]:
    """All terms, from left to right."""
    if isinstance(node, Term):
        return [node]
    if isinstance(node, Not):
        return terms_of(node.node)
    return [term for one in node.nodes for term in terms_of(one)]


def _requoted(word: str) -> str:
    if '"' in word or not re.search(r"\s", word.strip()):
        return word
    first, *others = word.split()
    for other in others:
        if other == "OR" or other[0] in "-(" or other.endswith(")"):
            return word
        if re.match(r"[A-Za-z][A-Za-z-]*:(?!//)", other):
            return word
    head = re.match(r"-?(?:[A-Za-z][A-Za-z-]*:(?!//))?", first)
    if first[0] == "(" or head is None:
        return word
    return f'{head[0]}"{word.strip()[head.end() :]}"'


def _wrong(text: str, hint: str = "docs/query.md has the grammar of searches") -> SettingsError:
    return SettingsError(f"the search cannot be understood: {text}", hint=hint, code="bad-search")


class _Parser:
    """Recursive descent: either ::= every (OR every)*; every ::= one+; one ::= -one, (…), term."""

    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._at = 0
        self._deep = 0

    def parse(self) -> Node:
        if not self._tokens:
            raise _wrong("there is nothing in it", "portarchive search ARCHIVE from:jane invoice")
        node = self._either()
        if self._at < len(self._tokens):
            raise _wrong("a ')' has no '('")
        if len(terms_of(node)) > TERMS:
            raise _wrong(f"it has more than {TERMS} terms")
        return node

    def _next(self) -> str | Term | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _either(self) -> Node:
        nodes = [self._every()]
        while self._next() == "OR":
            self._at += 1
            nodes.append(self._every())
        return nodes[0] if len(nodes) == 1 else Either(tuple(nodes))

    def _every(self) -> Node:
        nodes = []
        while self._next() not in {None, "OR", ")"}:
            nodes.append(self._one())
        if not nodes:
            raise _wrong("something is missing beside OR, or within ( )")
        return nodes[0] if len(nodes) == 1 else Every(tuple(nodes))

    def _one(self) -> Node:
        found = self._next()
        self._at += 1
        if isinstance(found, Term):
            return found
        if found == "-":
            if self._next() in {None, "OR", ")", "-"}:
                raise _wrong("a '-' has nothing behind it")
            return Not(self._one())
        self._deep += 1
        if self._deep > _DEEP:
            raise _wrong("it has too many ( within each other")
        node = self._either()
        if self._next() != ")":
            raise _wrong("a '(' has no ')'")
        self._at += 1
        self._deep -= 1
        return node


def _tokens(text: str) -> list[str | Term]:
    """Terms; ``(``, ``)``, ``-`` and ``OR`` as themselves."""
    out: list[str | Term] = []
    at = 0
    text = text.strip()
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None or found.end() == at:
            raise _wrong(f"at {text[at : at + 20]!r}")
        at = found.end()
        if found["sign"]:
            out.append(found["sign"])
            continue
        if found["minus"]:
            out.append("-")
        field, word = found["field"], found["word"]
        if field is None and word == "OR" and not found["minus"]:
            out.append("OR")
            continue
        quoted = found["quoted"]
        value = word if quoted is None else " ".join(quoted.split())
        if field is not None:
            out.append(Term(_field(field), _value(field, value)))
        elif value:
            out.append(Term("", value))
        elif quoted is not None:
            raise _wrong('"" is empty')
    return out


def _value(field: str, value: str | None) -> str:
    if not value:
        raise _wrong(f"{field}: has nothing behind it", f"write it like this: {field}:something")
    return value


def _field(name: str) -> str:
    field = _ALIASES.get(name.lower(), name.lower())
    if field not in FIELDS:
        near = difflib.get_close_matches(field, FIELDS, n=1)
        meant = f"did you mean {near[0]}:? " if near else ""
        raise _wrong(
            f"there is no field {name!r}",
            f'{meant}In "quotation marks" it is a text to look for',
        )
    return field
