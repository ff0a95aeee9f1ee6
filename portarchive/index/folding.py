"""What does not count when texts are compared: case, accents, and the dress of a sign.

Owns the folding in Python, for the text of messages, and the same in SQL, for columns of the
index. They are alike but for signs that stand for several, other than ligatures of Latin letters,
and for small raised ones: these SQL leaves as they are, in what is looked for as well.
"""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import Final

_HYPHEN: Final = "\u00ad"
_LIGATURES: Final = ("\ufb00", "\ufb01", "\ufb02", "\ufb03", "\ufb04", "\ufb05", "\ufb06")
_DRESSED: Final = ((0xFF01, 0xFFDC), (0x1D400, 0x1D7FF))
"""Signs of full and of half width; letters and digits of formulas."""
_ODD: Final = (
    r"[\x{ad}\x{fb00}-\x{fb06}" + "".join(rf"\x{{{a:x}}}-\x{{{z:x}}}" for a, z in _DRESSED) + "]"
)
BLANKS: Final = (
    r"[\s\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}]+"
)
"""All kinds of blanks, as an expression of DuckDB."""


def folded(text: str) -> str:
    """Without case, accents and the difference between kinds of blanks."""
    if text.isascii():
        return " ".join(text.lower().split())
    # marks that stand alone go first: putting a long run of them in order takes for ever
    text = _without_accents(unicodedata.normalize("NFKD", _without_accents(text)))
    # lowering comes first: it gives one of both that are no different
    text = text.replace(_HYPHEN, "").lower().replace("\u00df", "ss").replace("\u03c2", "\u03c3")
    return " ".join(text.split())


def folded_sql(sql: str) -> str:
    """The same of an expression, but for blanks. ``parameters`` must go with it."""
    undressed = "x"
    for ligature in _LIGATURES:
        undressed = f"replace({undressed}, '{ligature}', '{_undressed(ligature)}')"
    # to translate costs a hundred times what looking costs, and few texts need it
    odd = f"CASE WHEN regexp_matches(x, '{_ODD}') THEN translate({undressed}, $dressed, $plain)"
    # in a lambda, so that the expression is worked out once
    return f"list_transform([{sql}], lambda x: {lowered_sql(f'{odd} ELSE x END')})[1]"


def lowered_sql(sql: str) -> str:
    """An expression without case and accents."""
    lowered = f"lower(strip_accents({sql}))"
    return f"replace(replace({lowered}, '\u00df', 'ss'), '\u03c2', '\u03c3')"


@cache
def parameters() -> dict[str, str]:
    """Values of the parameters of ``folded_sql``."""
    plain = {
        sign: _undressed(sign)
        for first, last in _DRESSED
        for sign in map(chr, range(first, last + 1))
    }
    table = {sign: told for sign, told in plain.items() if len(told) == 1 and told != sign}
    gone = [sign for sign, told in plain.items() if not told]
    return {"dressed": "".join((*table, *gone, _HYPHEN)), "plain": "".join(table.values())}


def _undressed(sign: str) -> str:
    return _without_accents(unicodedata.normalize("NFKD", sign))


def _without_accents(text: str) -> str:
    return "".join(sign for sign in text if unicodedata.category(sign)[0] != "M")
