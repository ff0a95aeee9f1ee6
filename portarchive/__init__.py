"""portarchive: export, check and move mailboxes in the Personal Data Portability Archive format.

``portarchive.validate(path)`` is the public library call (docs/validate.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from portarchive.validate.engine import validate as validate

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name == "validate":  # the validator and its schemas are loaded when they are wanted
        import importlib  # noqa: PLC0415 - spares it everybody else

        return importlib.import_module("portarchive.validate")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
