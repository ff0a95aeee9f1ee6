"""What the terms of a search mean in the index, as SQL with parameters.

Values of people only ever become parameters. Refuses to know bodies: there a term is open (None),
and ``search`` reads the messages for which that matters.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from portarchive.errors import SettingsError
from portarchive.index import folding
from portarchive.index.search_syntax import Every, Node, Not, Term
from portarchive.keywords import ROLES

_SIZE: Final = re.compile(r"(\d{1,15})(?:([kKmMgG])(?:i?[bB])?|[bB])?")
_UNITS: Final = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_DAY: Final = re.compile(r"(\d{4})(?:-(\d\d?))?(?:-(\d\d?))?")
_AGO: Final = re.compile(r"(\d{1,5})([dwmy])")
_WHEN: Final = "coalesce(received_at, date)"

IS: Final = {
    "read": "list_contains(flags, '$seen')",
    "unread": "NOT list_contains(flags, '$seen')",
    "flagged": "list_contains(flags, '$flagged')",
    "unflagged": "NOT list_contains(flags, '$flagged')",
    "answered": "list_contains(flags, '$answered')",
    "unanswered": "NOT list_contains(flags, '$answered')",
    "draft": "list_contains(flags, '$draft')",
    "deleted": "list_contains(flags, '\\Deleted')",
    "forwarded": "list_contains(list_transform(keywords, lambda k: lower(k)), '$forwarded')",
    "junk": "(list_contains(roles, 'junk')"
    " OR list_contains(list_transform(keywords, lambda k: lower(k)), '$junk'))",
    "kept": "kept",
    "expired": "coalesce(expires_at < now(), false)",
    "not-expired": "coalesce(expires_at >= now(), true)",
    "bounce": "coalesce(report_type = 'delivery-status', false)",
    "defective": "len(defects) > 0",
}
_COLOURS: Final = ("red", "orange", "yellow", "green", "blue", "purple", "grey")
_SAME_IS: Final = {
    "seen": "read", "unseen": "unread", "starred": "flagged", "replied": "answered", "spam": "junk",
}  # fmt: skip
HAS: Final = {
    "attachment": "attachment_count > 0",
    "inline": "inline_count > 0",
    "keyword": "len(keywords) > 0",
    "list": "list_id IS NOT NULL",
    "unsubscribe": "len(list_unsubscribe) > 0",
    "one-click": "one_click",
    "wrong-recipient": "wrong_recipient",
    "expires": "expires_count > 0",
    "colour": "colour IS NOT NULL",
}
_SAME_HAS: Final = {"attachments": "attachment", "color": "colour", "keywords": "keyword"}


def _people(column: str) -> str:
    names = f"list_transform({column}_addresses, lambda a: concat_ws(' ', a.name, a.address))"
    return f"concat_ws(' ', array_to_string({names}, ' '), {column}_raw)"


_TEXTS: Final = {
    "from": _people("from"),
    "to": _people("to"),
    "cc": _people("cc"),
    "bcc": _people("bcc"),
    "subject": "coalesce(subject, '')",
    "filename": "array_to_string(attachment_names, ' ')",
    "list": "coalesce(list_id, '')",
}
_WORD: Final = (
    f"concat_ws(' ', subject, {_TEXTS['from']}, {_people('sender')}, {_people('reply_to')}, "
    f"{_TEXTS['to']}, {_TEXTS['cc']}, {_TEXTS['bcc']}, list_id, {_TEXTS['filename']})"
)


class Compiler:
    """A search as SQL.

    Args:
        bodies: words may also be in the text of messages, which the index does not have.
        today: the day that ``7d`` counts from, UTC; today without it.

    Attributes:
        parameters: values of ``$p1`` … in what was compiled.
    """

    def __init__(self, *, bodies: bool = False, today: date | None = None) -> None:
        self._bodies = bodies
        self._today = today or datetime.now(UTC).date()
        self.parameters: dict[str, Any] = {}
        self._values = 0
        self._known: dict[Term, str] = {}

    def condition(self, node: Node) -> str:
        """The rows for which it may hold: what bodies decide counts as held.

        Raises:
            SettingsError: a value is none of its field.
        """
        return self._node(node, wanted=True)

    def term(self, term: Term) -> str:
        """Whether a term holds in the header, as SQL. ``body:`` never does. Raises as above."""
        if term not in self._known:
            self._known[term] = self._term(term)
        return self._known[term]

    def is_open(self, term: Term) -> bool:
        """Whether a body may decide a term that does not hold in the header."""
        return term.field == "body" or (self._bodies and not term.field)

    def _node(self, node: Node, *, wanted: bool) -> str:
        if isinstance(node, Term):
            held = self.term(node)
            # behind a negation the unknown body must be taken not to have it
            return f"({held} OR {wanted})" if self.is_open(node) else held
        if isinstance(node, Not):
            return f"NOT ({self._node(node.node, wanted=not wanted)})"
        between = " AND " if isinstance(node, Every) else " OR "
        return "(" + between.join(self._node(one, wanted=wanted) for one in node.nodes) + ")"

    def _value(self, value: Any) -> str:
        self._values += 1
        name = f"p{self._values}"
        self.parameters[name] = value
        return f"${name}"

    def _term(self, term: Term) -> str:
        if term.field == "body":
            return "false"
        if not term.field:
            return self._contains(_WORD, term.value)
        if term.field in _TEXTS:
            return self._contains(_TEXTS[term.field], term.value)
        found: str = _MEANINGS[term.field](self, term.value)
        return found

    def _contains(self, text: str, value: str) -> str:
        if " " in value:
            text = f"regexp_replace({text}, '{folding.BLANKS}', ' ', 'g')"
        return f"contains({self.folded(text)}, {self.folded(self._value(value))})"

    def folded(self, text: str) -> str:
        """An expression without what does not count when texts are compared."""
        self.parameters.update(folding.parameters())
        return folding.folded_sql(text)

    # fields

    def _before(self, value: str) -> str:
        return self._at("<", self._days(value, "before")[0])

    def _since(self, value: str) -> str:
        return self._at(">=", self._days(value, "since")[0])

    def _after(self, value: str) -> str:
        return self._at(">=", self._days(value, "after")[1])

    def _on(self, value: str) -> str:
        first, end = self._days(value, "on")
        return f"({self._at('>=', first)} AND {self._at('<', end)})"

    def _expires_before(self, value: str) -> str:
        return self._at("<", self._days(value, "expires-before")[0], "expires_at")

    def _expires_after(self, value: str) -> str:
        return self._at(">=", self._days(value, "expires-after")[1], "expires_at")

    def _at(self, sign: str, day: date, column: str = _WHEN) -> str:
        instant = self._value(f"{day.isoformat()} 00:00:00+00")
        return f"coalesce({column} {sign} {instant}::TIMESTAMPTZ, false)"

    def _days(self, value: str, field: str) -> tuple[date, date]:
        """The first day of a span of time, and the first one behind it."""
        value = {"today": "0d", "yesterday": "1d"}.get(value.lower(), value)
        try:
            found = _days(value, self._today)
        except (ValueError, OverflowError):
            found = None
        if found is None:
            raise _bad(field, value, "2024-01-31, 2024-01, 2024, today or 7d")
        return found

    def _larger(self, value: str) -> str:
        return f"coalesce(size > {self._value(_octets('larger', value))}, false)"

    def _smaller(self, value: str) -> str:
        return f"coalesce(size < {self._value(_octets('smaller', value))}, false)"

    def _is(self, value: str) -> str:
        return _one_of(IS, _SAME_IS, "is", value)

    def _has(self, value: str) -> str:
        return _one_of(HAS, _SAME_HAS, "has", value)

    def _keyword(self, value: str) -> str:
        word = value.lower()
        if word in {"\\seen", "\\answered", "\\flagged", "\\draft"}:
            word = "$" + word[1:]
        # people leave out what flags and labels of the system begin with
        words = [word] if word[0] in "$\\" else [word, f"${word}", f"\\{word}"]
        folded = "list_transform(list_concat(flags, keywords, labels), lambda k: lower(k))"
        return f"list_has_any({folded}, [{', '.join(map(self._value, words))}])"

    def _colour(self, value: str) -> str:
        word = "grey" if value.lower() == "gray" else value.lower()
        if word not in _COLOURS:
            raise _bad("colour", value, ", ".join(_COLOURS))
        return f"coalesce(colour = {self._value(word)}, false)"

    def _role(self, value: str) -> str:
        if value.lower() not in ROLES:
            raise _bad("role", value, ", ".join(sorted(ROLES)))
        return f"list_contains(roles, {self._value(value.lower())})"

    def _folder(self, value: str) -> str:
        """The folder of that path or of these last names, wherever it lies, and those in it."""
        pattern = re.sub(r"([\[\]])", r"[\1]", value.strip("/")).replace("\\", "\\\\")
        given = folding.lowered_sql(self._value(pattern))
        names = (folding.lowered_sql("folder"), folding.lowered_sql("url_decode(folder)"))
        return "(" + " OR ".join(
            f"('/' || {name} || '/') GLOB ('*/' || {given} || '/*')" for name in names
        ) + ")"  # fmt: skip

    def _type(self, value: str) -> str:
        given = self._value(value.lower().rstrip("/*"))
        held = f"t = {given} OR starts_with(t, {given} || '/')"
        return f"len(list_filter(content_types, lambda t: {held})) > 0"

    def _id(self, value: str) -> str:
        return f"coalesce(message_id = {self._value(value.strip('<>'))}, false)"

    def _thread(self, value: str) -> str:
        return f"coalesce(thread = {self._value(value)}, false)"


_MEANINGS: Final[dict[str, Callable[[Compiler, str], str]]] = {
    "before": Compiler._before,  # noqa: SLF001 - its own table
    "since": Compiler._since,  # noqa: SLF001
    "after": Compiler._after,  # noqa: SLF001
    "on": Compiler._on,  # noqa: SLF001
    "expires-before": Compiler._expires_before,  # noqa: SLF001
    "expires-after": Compiler._expires_after,  # noqa: SLF001
    "larger": Compiler._larger,  # noqa: SLF001
    "smaller": Compiler._smaller,  # noqa: SLF001
    "is": Compiler._is,  # noqa: SLF001
    "has": Compiler._has,  # noqa: SLF001
    "keyword": Compiler._keyword,  # noqa: SLF001
    "colour": Compiler._colour,  # noqa: SLF001
    "role": Compiler._role,  # noqa: SLF001
    "folder": Compiler._folder,  # noqa: SLF001
    "type": Compiler._type,  # noqa: SLF001
    "id": Compiler._id,  # noqa: SLF001
    "thread": Compiler._thread,  # noqa: SLF001
}


def _bad(field: str, value: str, like: str) -> SettingsError:
    return SettingsError(
        f"the search cannot be understood: {field}: does not take {value!r}",
        hint=f"it takes {like}",
        code="bad-search",
    )


def _one_of(known: dict[str, str], aliases: dict[str, str], field: str, value: str) -> str:
    word = value.lower()
    word = aliases.get(word, word)
    if word not in known:
        raise _bad(field, value, ", ".join(sorted(known)))
    return known[word]


def _octets(field: str, value: str) -> int:
    found = _SIZE.fullmatch(value)
    if found is None:
        raise _bad(field, value, "500, 20k, 10M, 1G (k is 1024)")
    return int(found[1]) * _UNITS[(found[2] or "").lower()]


def _days(value: str, today: date) -> tuple[date, date] | None:
    ago = _AGO.fullmatch(value.lower())
    if ago is not None:
        day = _ago(today, int(ago[1]), ago[2])
        return day, day + timedelta(days=1)
    found = _DAY.fullmatch(value)
    if found is None:
        return None
    year, month, day_ = (None if part is None else int(part) for part in found.groups())
    return _span(year or 0, month, day_)


def _span(year: int, month: int | None, day: int | None) -> tuple[date, date]:
    if month is None:
        return date(year, 1, 1), date(year + 1, 1, 1)
    if day is None:
        return date(year, month, 1), date(year + month // 12, month % 12 + 1, 1)
    first = date(year, month, day)
    return first, first + timedelta(days=1)


def _ago(today: date, count: int, unit: str) -> date:
    if unit in "dw":
        return today - timedelta(days=count * (7 if unit == "w" else 1))
    months = today.year * 12 + today.month - 1 - count * (12 if unit == "y" else 1)
    year, month = divmod(months, 12)
    return date(year, month + 1, min(today.day, calendar.monthrange(year, month + 1)[1]))
