"""The frame of a request (RFC 8620 section 3.3), by jmapc; the only place that knows it.

jmapc names the calls, collects the capabilities and runs the request. What it would do to the
answer is left out: its own models drop what they do not know (``myRights``), and it would log whole
bodies. So are its connection (https only, no redirect, no other port) and its session object (no
account but the first).
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Mapping, Sequence
from typing import Any, cast

import jmapc
import jmapc.api
import jmapc.methods
import jmapc.session

from portarchive.connectors.jmap.replies import LimitReached
from portarchive.connectors.jmap.resource import Resource
from portarchive.connectors.jmap.transport import Transport
from portarchive.errors import ServerMisbehaved

logging.getLogger("jmapc").setLevel(logging.CRITICAL)  # below that it would log bodies

Call = tuple[str, Mapping[str, Any]]
"""A method and its arguments. ``#name`` is a result reference to an earlier call by its number in
the list: ``{"resultOf": "0", "name": "Email/get", "path": "/list/*/blobId"}``."""


class _Method(jmapc.methods.Method):
    """Any method, with arguments as they are: jmapc's own know a few, and null not at all."""

    def __init__(self, name: str, arguments: Mapping[str, Any], using: Sequence[str]) -> None:
        self.jmap_method = name
        self.arguments = dict(arguments)
        self.using = set(using)  # type: ignore[misc]  # a class attribute there, for all calls

    def to_dict(self, *args: Any, **named: Any) -> dict[str, Any]:
        del args, named
        return self.arguments


class _Client(jmapc.Client):
    """jmapc over our own connection and session object.

    Attributes:
        last_size: octets of the last request of this thread.
    """

    def __init__(self, transport: Transport, found: resource.Resource) -> None:
        super().__init__(host=transport.settings.host)
        self._transport = transport
        self._url = found.api_url
        self._local = threading.local()
        self.jmap_session = jmapc.session.Session(
            username="", api_url=found.api_url, download_url="", upload_url="",
            event_source_url="", state=found.state,
            primary_accounts=jmapc.session.SessionPrimaryAccount(core="", mail=found.primary),
            capabilities=jmapc.session.SessionCapabilities(
                core=cast("Any", {}), extensions=dict.fromkeys(found.capabilities, {})
            ),
        )  # fmt: skip

    @property
    def last_size(self) -> int:
        """See the class."""
        return int(getattr(self._local, "size", 1))

    def framed(self, invocations: Sequence[jmapc.methods.Request], most: int) -> list[Any]:
        """Send method calls as one request of at most so many octets; the raw responses."""
        self._local.most = most
        return cast("list[Any]", self.request(invocations))

    def _api_request(self, request: jmapc.api.APIRequest) -> Any:
        body = json.dumps(
            {"using": sorted(request.using), "methodCalls": request.method_calls},
            ensure_ascii=False,
            separators=(",", ":"),
        ).encode()
        self._local.size = len(body)
        if len(body) > self._local.most:
            raise LimitReached("maxSizeRequest")
        found = self._transport.post(self._url, body, "application/json").json()
        responses = found.get("methodResponses") if isinstance(found, dict) else None
        if not isinstance(responses, list):
            raise ServerMisbehaved("the server's answer is no JMAP response")
        return responses
