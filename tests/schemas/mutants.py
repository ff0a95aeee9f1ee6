"""Mutants of JSON values: deterministic, small, and mean.

A mutant is a value with one to three changes at random places, often near the root: a member
dropped, replaced, wrapped, renamed, added, a text edited. Which ones is decided by the seed alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from random import Random
from typing import Any

POOL: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        [],
        {},
        [""],
        ["x"],
        [1],
        {"": True},
        {"x": True},
        {"x": False},
        {"x": {}},
    ),
    *(-1, 0, 1, 0.5, 1.0, 9, 10, 23, 24, 59, 60, 61, 100, 101),
    *(2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**53, 2**63 - 1, 2**63, 2**64 - 1, 2**64),
    *("", "x", "a:b", "com.example:own", "vendor:", ":x", " ", "\n", "Card", "enclosure"),
    *("2026-11-24T08:00:00Z", "2026-11-24T08:00:00z", "2026-11-24T08:00:00+00:00"),
    *("2026-11-24T08:00:00+02:00", "2026-11-24T08:00:00", "2026-11-24T08:00:00.5"),
    *(
        "2026-11-24T08:00:00.50",
        "2026-11-24T08:00:00\n",
        "2026-02-30T08:00:00Z",
        "20261124T080000Z",
    ),
    *("FULL", "partial", "full ", "in-process", "in-progress", "completed", "start", "mo", "daily"),
    *("text/plain", "Text/HTML; charset=utf-8", "text/markdown;variant=CommonMark", "image/png"),
    *(
        "\\Sent",
        "\\",
        "Sent",
        "\\Sent \\Trash",
        "sent",
        "..",
        ".",
        "../x",
        "a/b",
        "/x",
        "a\\b",
        "a\0b",
    ),
    *(
        "https://example.org/a",
        "cid:1@example.org",
        "geo:48.2,16.4",
        "not a uri",
        "ines@example.org",
    ),
    *("0" * 64, "A" * 64, "AAAA", "AAA", "x" * 255, "x" * 256),
)


def mutants(values: list[Any], names: list[str], count: int, seed: str) -> Iterator[Any]:
    """``count`` mutants of the values.

    Args:
        values: what is mutated; left as it is.
        names: of the members that are added.
        count: how many.
        seed: the same seed, the same mutants.
    """
    chance = Random(seed)
    for _ in range(count):
        root = [deepcopy(chance.choice(values))]
        for _ in range(chance.choice((1, 1, 1, 2, 3))):
            _mutate(root, names, chance)
        yield root[0]


def _mutate(root: list[Any], names: list[str], chance: Random) -> None:
    places = list(_places(root))
    shallow = [(parent, key) for parent, key in places if parent is root[0]]
    parent, key = chance.choice(shallow if shallow and chance.random() < 0.4 else places)
    value = parent[key]
    change = chance.randrange(10)
    if change == 0 and parent is not root:
        del parent[key]
    elif change == 1:
        parent[key] = chance.choice(([value], {"x": value}, [value, value]))
    elif change == 2 and isinstance(parent, dict):
        other = chance.choice((key.upper(), key + "s", key[:-1], chance.choice(names)))
        parent[other] = parent.pop(key)
    elif change == 3:
        parent[key] = deepcopy(chance.choice(POOL))
    elif isinstance(value, dict):
        value[chance.choice((*names, *value, ""))] = deepcopy(chance.choice(POOL))
    elif isinstance(value, list):
        value.append(deepcopy(chance.choice((*POOL, *value))))
    elif isinstance(value, str) and change > 5:
        kin = [text for text in _STRINGS if text[:2] == value[:2]] if change > 7 else []
        parent[key] = chance.choice(("", None)) if change == 6 else chance.choice(kin or _STRINGS)
    elif isinstance(value, str):
        at = chance.randrange(len(value) + 1)
        middle = chance.choice(("", ":", "/", "\n", "\\", "é", "A", "0", " "))
        parent[key] = value[:at] + middle + value[at + chance.randrange(2) :]
    elif isinstance(value, bool):
        parent[key] = not value
    elif isinstance(value, int):
        parent[key] = chance.choice(
            (value + 1, -value, value * 2**40, str(value), float(value), *_NUMBERS)
        )
    else:
        parent[key] = deepcopy(chance.choice(POOL))


_STRINGS = [value for value in POOL if isinstance(value, str)]
_NUMBERS = [value for value in POOL if type(value) in {int, float}]


def _places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key or index) below a container."""
    for key in list(node) if isinstance(node, dict) else range(len(node)):
        yield node, key
        if isinstance(node[key], dict | list):
            yield from _places(node[key])
