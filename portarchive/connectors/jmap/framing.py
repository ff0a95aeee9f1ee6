"""The frame of a request (RFC 8620 section 3.3), made by jmapc; the only place that knows it.

jmapc numbers the calls and collects the capabilities. Its connection is not used (https on port 443
only, no redirects, the first account only), nor are its models of what comes back: they drop what
they do not know (``myRights``), and whole bodies would go to its log.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import jmapc.api
import jmapc.methods

logging.getLogger("jmapc").setLevel(logging.CRITICAL)  # below that it would log bodies

Call = tuple[str, Mapping[str, Any]]
"""A method and its arguments. ``#name`` is a result reference to an earlier call by its number in
the list: ``{"resultOf": "0", "name": "Email/get", "path": "/list/*/blobId"}``."""


class _Method(jmapc.methods.Method):
    """Any method, with arguments as they are: jmapc's own know a few, and null not at all."""

    def __init__(self, name: str, arguments: dict[str, Any], using: Sequence[str]) -> None:
        self.jmap_method = name
        self.arguments = arguments
        self.using = set(using)  # type: ignore[misc]  # a class attribute there, for all calls

    def to_dict(self, *args: Any, **named: Any) -> dict[str, Any]:
        del args, named
        return self.arguments


def frame(account_id: str, calls: Sequence[Call], using: Sequence[str]) -> bytes:
    """A request: the calls, numbered from 0 as their ids.

    Args:
        account_id: for calls that name none.
        calls: at least one.
        using: capabilities beside the core one.
    """
    request = jmapc.api.APIRequest.from_calls(
        account_id,
        [
            jmapc.methods.Invocation(
                str(number), _Method(name, {"accountId": account_id, **arguments}, using)
            )
            for number, (name, arguments) in enumerate(calls)
        ],
    )
    return json.dumps(
        {"using": sorted(request.using), "methodCalls": request.method_calls},
        ensure_ascii=False,
        separators=(",", ":"),
    ).encode()
