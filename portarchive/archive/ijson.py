"""I-JSON (RFC 7493) in: what a reader of ours accepts as a JSON document.

Refuses duplicate names, invalid UTF-8, lone surrogates in names and absurd sizes with one
``Damaged``; it judges no schema.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from portarchive.archive.regular import open_regular
from portarchive.errors import Damaged

MAX_DOCUMENT = 1 << 30


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) != len(pairs):
        raise ValueError("a member name occurs twice (RFC 7493 section 2.3)")
    return out


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def parse(octets: bytes, name: str) -> Any:
    """Parse one document.

    Raises:
        Damaged: it is not I-JSON; ``name`` says which file.
    """
    try:
        return json.loads(
            octets.decode("utf-8"), object_pairs_hook=_no_duplicates, parse_constant=_no_constant
        )
    except (ValueError, RecursionError) as error:
        raise Damaged(f"{name} does not parse: {error}", code="not-json") from None


def load(path: Path, name: str) -> Any:
    """Read and parse one file of at most ``MAX_DOCUMENT`` octets.

    Raises:
        Damaged: too large, or not I-JSON.
        OSError: it cannot be read.
    """
    with open_regular(path, name) as file:
        octets = file.read(MAX_DOCUMENT + 1)
    if len(octets) > MAX_DOCUMENT:
        raise Damaged(f"{name} is larger than 1 GiB")
    return parse(octets, name)


def load_object(path: Path, name: str) -> dict[str, Any]:
    """``load``, for a document that must be an object."""
    value = load(path, name)
    if not isinstance(value, dict):
        raise Damaged(f"{name} is not a JSON object", code="not-json")
    return value
