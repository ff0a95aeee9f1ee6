"""Keeps in ``draft/`` what the draft's schemas say, without its prose, and its examples.

    python tests/schemas/keep_draft.py <a checkout of the draft's schemas/ and examples/>

Run it when the draft moves. What it writes is under the Revised BSD License, see ``draft/NOTICE``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

KEPT = Path(__file__).with_name("draft")
ANNOTATIONS = {"title", "description", "$comment", "examples"}
OF_NAMED_SCHEMAS = {"properties", "$defs"}


def facts(schema: Any) -> Any:
    """The schema without annotations: every instance gets the same verdict from it."""
    if isinstance(schema, list):
        return [facts(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: {inner: facts(each) for inner, each in value.items()}
        if name in OF_NAMED_SCHEMAS
        else facts(value)
        for name, value in schema.items()
        if name not in ANNOTATIONS
    }


def read(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))


def kept_from(draft: Path) -> dict[str, Any]:
    """Path below ``draft/`` → content, from the draft's own files."""
    schemas = sorted((draft / "schemas").glob("*-schema.json"))
    kept = {f"schemas/{file.name}": facts(read(file)) for file in schemas}
    return kept | {
        f"examples/{file.name}": read(file) for file in sorted((draft / "examples").glob("*.json"))
    }


def main() -> None:
    for name, content in kept_from(Path(sys.argv[1])).items():
        file = KEPT / name
        file.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(content, indent=1, ensure_ascii=False)
        file.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
