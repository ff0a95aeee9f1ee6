"""The validator: looks at an archive, trusts nothing, judges clause by clause.

The room and the public call have one name, so the module itself can be called:
``portarchive.validate(path)`` is ``portarchive.validate.engine.validate(path)``, loaded on demand.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _Callable(ModuleType):
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        from portarchive.validate.engine import validate  # noqa: PLC0415 - loads the schemas

        return validate(*args, **kwargs)


sys.modules[__name__].__class__ = _Callable
