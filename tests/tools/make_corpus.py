"""Write the public corpus: ``python tests/tools/make_corpus.py [--output DIRECTORY]``.

Small archives of the Personal Data Portability Archive format, right and wrong, each with what a
validator must find in it. The same octets come out everywhere; only the standard library is used.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from pdpa_corpus import (
    cases_containers,
    cases_hostile,
    cases_integrity,
    cases_mail,
    cases_objects,
    cases_partial,
    cases_whole,
)
from pdpa_corpus.parts import Case, Files

ROOT = Path(__file__).resolve().parents[2]
KINDS = ("good", "warn", "bad")
CASES: tuple[Case, ...] = (
    *cases_whole.CASES,
    *cases_mail.CASES,
    *cases_objects.CASES,
    *cases_partial.CASES,
    *cases_integrity.CASES,
    *cases_hostile.CASES,
    *cases_containers.CASES,
)


def expected(case: Case) -> bytes:
    """What lies beside the archive as ``expected.json``."""
    told: dict[str, object] = {
        "about": case.about,
        "archive": "archive" + (case.packed[0] if case.packed else ""),
        "dialect": case.dialect,
        "level": "deep",
    }
    if case.base is not None:
        told["base"] = "base"
    if case.limits:
        told["limits"] = case.limits
    if case.unreadable:
        told["unreadable"] = case.unreadable
    head = json.dumps(told, indent=1, ensure_ascii=False)[:-2]
    findings = ",\n".join(
        "  " + json.dumps({"code": code, "path": path, "pointer": pointer}, ensure_ascii=False)
        for code, path, pointer in sorted(case.found)
    )
    inner = f"[\n{findings}\n ]" if findings else "[]"
    return f'{head},\n "findings": {inner}\n}}\n'.encode()


def write_tree(files: Files, root: Path) -> None:
    for name, octets in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(octets)


def write(out: Path) -> None:
    """All cases below ``out``; what else lay in its three directories is gone."""
    paths = Counter(f"{case.kind}/{case.dialect}/{case.name}" for case in CASES)
    if twice := [path for path, count in paths.items() if count > 1]:
        raise SystemExit(f"two cases of one name: {twice}")
    for kind in KINDS:
        shutil.rmtree(out / kind, ignore_errors=True)
    for case in CASES:
        here = out / case.kind / case.dialect / case.name
        here.mkdir(parents=True)
        (here / "expected.json").write_bytes(expected(case))
        if case.packed is not None:
            (here / f"archive{case.packed[0]}").write_bytes(case.packed[1])
        else:
            write_tree(case.files, here / "archive")
        if case.base is not None:
            write_tree(case.base, here / "base")
        write_tree(case.beside, here)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--output", type=Path, default=ROOT / "tests/corpus")
    write(parser.parse_args().output)


if __name__ == "__main__":
    main()
