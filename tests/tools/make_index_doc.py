"""Write the tables of docs/index.md anew, from the columns as the code has them."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from portarchive.index.columns import DEFECTS, TABLES

_HEAD = "| column | type | unit, bound | source |"
DOC = Path(__file__).resolve().parents[2] / "docs/index.md"


def tables() -> dict[str, str]:
    """The generated parts by name: each table, and ``defects``."""
    made = {}
    for name, columns in TABLES.items():
        rows = [
            f"| `{column.name}` | {column.kind} | {column.unit} | {column.source} |"
            for column in columns
        ]
        made[name] = "\n".join([_HEAD, "| --- | --- | --- | --- |", *rows])
    codes = [f"| `{code}` | {text} |" for code, text in DEFECTS.items()]
    made["defects"] = "\n".join(["| code | what is wrong |", "| --- | --- |", *codes])
    return made


def refreshed(text: str) -> str:
    """The document with its generated parts as they should be."""
    for name, made in tables().items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(\n<!-- end -->)", re.DOTALL)
        text, count = pattern.subn(lambda found, made=made: found[1] + made + found[2], text)
        assert count == 1, name
    return text


def main() -> int:
    DOC.write_text(refreshed(DOC.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
