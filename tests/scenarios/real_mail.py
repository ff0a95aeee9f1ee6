"""Real messages: the corpus of the benchmark where it can be had, else the project's samples.

Which of the two it was is said at the end of every run (``conftest.pytest_terminal_summary``).
``PORTARCHIVE_FULL_CORPUS=1`` takes no excuse: without the corpus the tests fail.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from functools import cache
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]
said: list[str] = []


@cache
def messages() -> tuple[bytes, ...]:
    """All different, in a fixed order."""
    corpus = _corpus()
    try:
        found = corpus.messages()
        said.append(f"real mail: {len(found):,} messages of {corpus.PACKAGE}")
    except corpus.CorpusUnavailableError as error:
        if os.environ.get("PORTARCHIVE_FULL_CORPUS") == "1":
            raise
        found = sorted((ROOT / "samples" / "mailbox").glob("*.eml"))
        said.append(f"real mail: NOT the corpus, {len(found)} samples in its place. {error}")
    return tuple(dict.fromkeys(path.read_bytes() for path in found))


def sample(count: int) -> tuple[bytes, ...]:
    """So many of them, spread over the whole."""
    every = messages()
    return every[:: max(1, len(every) // count)][:count]


def _corpus() -> ModuleType:
    spec = importlib.util.spec_from_file_location("corpus", ROOT / "bench" / "corpus.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["corpus"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module
