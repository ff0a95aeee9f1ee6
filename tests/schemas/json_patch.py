"""JSON Patch (RFC 6902): a document and a list of operations give another document."""

from __future__ import annotations

from copy import deepcopy
from typing import Any


class PatchFailed(ValueError):
    """An operation does not fit the document: a path that leads nowhere, a test that fails."""


def apply(document: Any, patch: list[dict[str, Any]]) -> Any:
    """The patched copy; ``document`` stays as it is. All six operations of RFC 6902 §4."""
    root = {"": deepcopy(document)}
    for operation in patch:
        _apply(root, operation)
    return root[""]


def _apply(root: dict[str, Any], operation: dict[str, Any]) -> None:
    parent, last = _locate(root, operation["path"])
    match operation["op"]:
        case "add":
            _add(parent, last, deepcopy(operation["value"]))
        case "remove":
            _take(parent, last)
        case "replace":
            _take(parent, last)
            _add(parent, last, deepcopy(operation["value"]))
        case "move":
            value = _take(*_locate(root, operation["from"]))
            _add(*_locate(root, operation["path"]), value)
        case "copy":
            _add(parent, last, deepcopy(_get(*_locate(root, operation["from"]))))
        case "test":
            if not same(_get(parent, last), operation["value"]):
                raise PatchFailed(f"{operation['path']} is not {operation['value']!r}")
        case other:
            raise PatchFailed(f"no operation {other!r}")


def same(one: Any, other: Any) -> bool:
    """Equality of JSON values (RFC 6902 §4.6): 1 is not true, whatever Python says."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def _locate(root: dict[str, Any], pointer: str) -> tuple[Any, str]:
    names = [name.replace("~1", "/").replace("~0", "~") for name in pointer.split("/")]
    node: Any = root
    for name in names[:-1]:
        node = _get(node, name)
    return node, names[-1]


def _get(parent: Any, name: str) -> Any:
    try:
        return parent[_index(parent, name)] if isinstance(parent, list) else parent[name]
    except (KeyError, TypeError) as error:
        raise PatchFailed(f"there is no {name!r}") from error


def _take(parent: Any, name: str) -> Any:
    value = _get(parent, name)
    del parent[_index(parent, name) if isinstance(parent, list) else name]
    return value


def _add(parent: Any, name: str, value: Any) -> None:
    if isinstance(parent, dict):
        parent[name] = value
    elif isinstance(parent, list):
        parent.insert(len(parent) if name == "-" else _index(parent, name, over=1), value)
    else:
        raise PatchFailed(f"{name!r} would lie in what is no container")


def _index(parent: list[Any], name: str, over: int = 0) -> int:
    if not name.isdecimal() or (name != "0" and name[0] == "0"):
        raise PatchFailed(f"{name!r} is no index")
    if int(name) >= len(parent) + over:
        raise PatchFailed(f"there is no element {name}")
    return int(name)
