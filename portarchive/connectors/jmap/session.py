"""One JMAP account: found, logged in, and methods called on it (RFC 8620).

Source and target are built on this; nothing else of the connector sends anything.

    session = Session(settings)               connect, log in; ``reconnect`` does it again
    session.call([("Mailbox/get", {"ids": None}), …], using=(MAIL,))
                                              one answer per call: a dict, or a ``MethodError``
    session.ask("Email/query", {"limit": 9})  one call; a method's error is raised
    session.get("Email", ids, ["keywords"])   objects by id, however many, within the limits
    session.download(blob_id)                 ``Reply``: length, chunks(), close()
    session.upload(octets)                    ``Uploaded(blob_id, size)``
    session.limits                            as announced, less what turned out to be too much

``accountId`` is added to arguments that have none. A session may be used by several threads.
Beside what each method names, all raise AuthenticationFailed, TokenExpired, RateLimited (HTTP 429
and 503 with their Retry-After), ConnectionLost and ServerMisbehaved, and retry nothing themselves.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from portarchive.connectors.jmap.convert import object_id, whole
from portarchive.connectors.jmap.discovery import discover
from portarchive.connectors.jmap.framing import Call, frame
from portarchive.connectors.jmap.gate import Gate
from portarchive.connectors.jmap.origin import Guard, expand
from portarchive.connectors.jmap.replies import (
    Answer,
    LimitReached,
    MethodError,
    expect,
    objects,
    texts,
    without_secret,
)
from portarchive.connectors.jmap.resource import BLOB, CYRUS_BLOB, MAIL, printable
from portarchive.connectors.jmap.settings import JmapSettings
from portarchive.connectors.jmap.transport import HttpRefused, Reply, Sized, Transport
from portarchive.errors import (
    ConnectorError,
    PortArchiveError,
    RateLimited,
    ServerMisbehaved,
)

_BUSY_TRIES: Final = 6
_JSON: Final = "application/json"
_LIMIT: Final = "urn:ietf:params:jmap:error:limit"

SELDOM: Final = 10.0
"""Seconds at least between two looks at the session object because an answer names another."""

_SOON: Final = 5.0
"""Seconds of Retry-After up to which a server that asks for patience means fewer downloads."""


class Uploaded(NamedTuple):
    """A blob of ours. ``size``: what the server counted; compare it."""

    blob_id: str
    size: int


class Session:
    """See the module.

    Attributes:
        settings: what it was opened with.
        resource: the session object.
        account: the account in use.
        limits: what one request may hold.
    """

    def __init__(self, settings: JmapSettings) -> None:
        """Find the server and log in.

        Raises:
            Unreachable, AuthenticationFailed, RateLimited, ConnectionLost, ServerMisbehaved.
            SettingsError: there is no such account; the file of certificates is none.
        """
        self.settings = settings
        self._guard = Guard(settings)
        self._found_at: str | None = None
        self._looks = threading.Lock()
        self._connect()
        self.limits = self.resource.limits()
        self._gate = Gate(self.limits.max_concurrent_requests)
        self._uploads = Gate(self.limits.max_concurrent_upload)

    @property
    def requests(self) -> int:
        """How many HTTP requests went out since the last connect."""
        return self._transport.requests

    @property
    def account_id(self) -> str:
        """Of the account in use."""
        return self.account.account_id

    def has(self, capability: str) -> bool:
        """Whether the account can do what a capability stands for."""
        return capability in self.resource.capabilities and (
            capability in self.account.capabilities or capability == CYRUS_BLOB
        )

    @property
    def blob_capability(self) -> str | None:
        """The capability that brings ``Blob/get`` and ``Blob/upload``, None without one."""
        return next((name for name in (BLOB, CYRUS_BLOB) if self.has(name)), None)

    # --- the connection -------------------------------------------------------------------------

    def reconnect(self) -> None:
        """Throw the connections away, ask for the secret anew, and log in again.

        Raises:
            ConnectionLost: the server is away for a moment; and what ``__init__`` raises.
        """
        reached = self._transport.reached
        self._transport.close()
        self._connect(reached=reached)
        self._narrow()

    def close(self) -> None:
        """Close all connections; never raises."""
        self._transport.close()

    def _connect(self, *, reached: bool = False) -> None:
        self._transport = Transport(self.settings)
        self._transport.reached = reached
        try:
            self.resource = discover(self._transport, self._guard, self._found_at)
            self._found_at = self.resource.url
            self.account = self.resource.account(self.settings.account)
        except BaseException:
            self._transport.close()
            raise
        self._told, self._looked = self.resource.state, time.monotonic()

    def _narrow(self) -> None:
        """Keep what is announced now, too. What was found to be less stays."""
        announced = self.resource.limits()
        for field in dataclasses.fields(announced):
            least = min(getattr(self.limits, field.name), getattr(announced, field.name))
            setattr(self.limits, field.name, least)
        self._gate.narrow(self.limits.max_concurrent_requests)
        self._uploads.narrow(self.limits.max_concurrent_upload)

    def _heed(self, told: object) -> None:
        """A session object of another state is read anew (RFC 8620 section 3.4), seldom.

        Args:
            told: the ``sessionState`` of an answer. Servers give one that is never that of the
                session object, or another one each time.
        """
        state = printable(told)
        with self._looks:
            now = time.monotonic()
            if state in {"", self._told, self.resource.state} or now - self._looked < SELDOM:
                return
            self._looked = now
        try:
            found = discover(self._transport, self._guard, self._found_at)
            account = found.account(self.settings.account)
        except PortArchiveError:
            return  # the answer is there; what is wrong now is told to the next request
        self._told = state
        if account.account_id == self.account_id:
            self.resource, self.account = found, account
            self._narrow()

    # --- methods --------------------------------------------------------------------------------

    def call(
        self,
        calls: Sequence[Call],
        *,
        using: Sequence[str] = (MAIL,),
        together: bool = False,
    ) -> list[Answer | MethodError]:
        """Call methods, in as few requests as the limits permit.

        Args:
            calls: names and arguments. With result references they have to fit one request.
            using: capabilities beside the core one.
            together: they have to fit one request, since one names what another creates.

        Returns:
            For each call what its method answered, or its error; ``requestTooLarge`` also for one
            that is more than a whole request may hold. Split up, some may have been answered when
            an exception is raised for the rest.

        Raises:
            LimitReached: they have to fit one request, and do not. Nothing was done.
        """
        answers: list[Answer | MethodError] = []
        linked = together or any(
            name.startswith("#") for _, arguments in calls for name in arguments
        )
        waiting = [list(calls)] if calls else []
        while waiting:
            part = waiting.pop()
            try:
                answers += self._request(part, using)
            except LimitReached as error:
                if linked:
                    raise
                if len(part) == 1:
                    answers.append(MethodError("requestTooLarge", "", {"limit": error.limit}))
                    continue
                most = min(self.limits.max_calls_in_request, (len(part) + 1) // 2)
                parts = [part[at : at + most] for at in range(0, len(part), most)]
                waiting += reversed(parts)
        return answers

    def ask(
        self, name: str, arguments: Mapping[str, Any], *, using: Sequence[str] = (MAIL,)
    ) -> Answer:
        """One call.

        Raises:
            MethodRefused and its kind: see ``expect``; and what ``call`` raises.
        """
        return expect(name, self.call([(name, arguments)], using=using)[0])

    def get(
        self, kind: str, ids: Sequence[str], properties: Sequence[str]
    ) -> Iterator[tuple[list[dict[str, Any]], list[str]]]:
        """Objects by their ids, as many at a time as the server gives.

        Args:
            kind: ``Email``, ``Mailbox``.
            ids: distinct.
            properties: to have.

        Yields:
            Objects, and those of the ids asked for that the answer does not hold.

        Raises:
            MethodRefused, and what ``call`` raises.
        """
        position = 0
        while position < len(ids):
            part = list(ids[position : position + self.limits.max_objects_in_get])
            arguments = {"ids": part, "properties": list(properties)}
            answer = self.call([(f"{kind}/get", arguments)])[0]
            too_large = isinstance(answer, MethodError) and answer.type == "requestTooLarge"
            if too_large and self.too_many(part):
                continue
            told = expect(f"{kind}/get", answer)
            found = objects(told.get("list"))
            there = {each["id"] for each in found}
            gone = texts(told.get("notFound"))
            if any(each not in there and each not in gone for each in part):
                if self.too_many(part):  # a silent cut is a limit that is not announced
                    continue
                raise ServerMisbehaved("the server leaves out objects that it was asked for")
            yield found, [each for each in part if each not in there]
            position += len(part)

    def too_many(self, ids: Sequence[str]) -> bool:
        """So many objects were too many for a ``/get``; False if it was one alone."""
        return len(ids) > 1 and self.limits.shrink("maxObjectsInGet", len(ids))

    def _request(self, calls: Sequence[Call], using: Sequence[str]) -> list[Answer | MethodError]:
        if len(calls) > self.limits.max_calls_in_request:
            raise LimitReached("maxCallsInRequest")
        try:
            body = frame(self.account_id, calls, using)
        except UnicodeEncodeError:  # half of a surrogate pair: JSON can spell it, no UTF-8 can
            raise ServerMisbehaved("the server named something that no text can hold") from None
        if len(body) > self.limits.max_size_request:
            raise LimitReached("maxSizeRequest")
        for attempt in range(_BUSY_TRIES):
            with self._gate:
                try:
                    found = self._transport.post(self.resource.api_url, body, _JSON).json()
                except HttpRefused as error:
                    self._judge(error, calls, len(body))
                else:
                    answers = self._sorted(calls, found)
                    self._heed(found.get("sessionState"))
                    return answers
            self._transport.pause(0.1 * 2**attempt)
        raise RateLimited("the server permits fewer requests at once than there are")

    def _judge(self, error: HttpRefused, calls: Sequence[Call], size: int) -> None:
        """Return if a refused request may be sent again as it is, a little later.

        Raises:
            LimitReached: it was too large; the limit is lower now.
            RateLimited: another limit, that time mends.
            ServerMisbehaved: it was refused for what it says.
        """
        limit = "maxSizeRequest" if error.status == 413 else _limit_of(error)
        if error.status != 413 and (error.problem.get("type") != _LIMIT or limit is None):
            raise ServerMisbehaved(error.text) from error
        if limit == "maxConcurrentRequests":
            self._fewer()
            return
        if limit not in {"maxSizeRequest", "maxCallsInRequest"}:
            raise RateLimited(error.text) from error
        if limit == "maxCallsInRequest" and len(calls) == 1:
            raise ServerMisbehaved("the server takes no call at all in a request") from error
        self.limits.shrink(limit, size if limit == "maxSizeRequest" else len(calls))
        raise LimitReached(limit) from error

    def _fewer(self) -> None:
        """So many requests at once were too many."""
        self._gate.shrink()
        self.limits.max_concurrent_requests = min(
            self.limits.max_concurrent_requests, self._gate.width
        )

    def _sorted(self, calls: Sequence[Call], found: Any) -> list[Answer | MethodError]:
        """The first response to each call; a call may have others after it, of other methods."""
        responses = found.get("methodResponses") if isinstance(found, dict) else None
        if not isinstance(responses, list):
            raise ServerMisbehaved("the server's answer is no JMAP response")
        first: dict[str, Answer | MethodError] = {}
        for response in responses:
            if not isinstance(response, list) or len(response) != 3:
                raise ServerMisbehaved("the server's answer is no list of method responses")
            name, arguments, call_id = response
            if not isinstance(arguments, dict) or not isinstance(call_id, str):
                raise ServerMisbehaved("the server's answer is no list of method responses")
            told = without_secret(arguments, self._transport.hide)
            if name == "error":
                kind = told.get("type")
                error = MethodError(
                    kind if isinstance(kind, str) else "serverFail",
                    printable(told.get("description")),
                    told,
                )
                first.setdefault(call_id, error)
            else:
                first.setdefault(call_id, told)
        try:
            return [first[str(number)] for number in range(len(calls))]
        except KeyError:
            raise ServerMisbehaved("the server left a method call without an answer") from None

    # --- octets ---------------------------------------------------------------------------------

    @property
    def can_download(self) -> bool:
        """Whether downloads are where the credentials may go."""
        try:
            self.check_download()
        except ConnectorError:
            return False
        return True

    def check_download(self) -> None:
        """See where downloads lead.

        Raises:
            Unreachable: to a foreign host, or out of TLS; says what to do.
            ServerMisbehaved: nowhere.
        """
        self._download_template()

    def download(self, blob_id: str, *, media_type: str = "message/rfc822") -> Reply:
        """The octets of a blob (RFC 8620 section 6.2), still to be read.

        It counts as a request until it is closed: servers count downloads among those that they
        permit at once (RFC 8620 section 2, maxConcurrentRequests), and some say so by 429 or 503.

        Raises:
            HttpRefused: e.g. ``status`` 404: there is none.
            Unreachable: downloads are on a foreign host; see ``can_download``.
            And what ``call`` raises.
        """
        url = expand(
            self._download_template(),
            accountId=self.account_id, blobId=blob_id, type=media_type, name="message.eml",
        )  # fmt: skip
        for attempt in range(_BUSY_TRIES):
            reply = self._begun(url)
            if reply is None:
                self._transport.pause(0.1 * 2**attempt)
            elif reply.status >= 300:
                reply.close()
                text = "the server redirects a download"
                raise HttpRefused(text, status=reply.status, problem={})
            else:
                return reply
        raise RateLimited("the server permits fewer downloads at once than there are")

    def _begun(self, url: str) -> Reply | None:
        """A download with its place at the gate; None if there were too many at once."""
        leave = self._gate.enter()
        try:
            reply = self._transport.get(url, plain=True)
        except ConnectorError as error:
            busy = isinstance(error, HttpRefused) and _limit_of(error) == "maxConcurrentRequests"
            if isinstance(error, RateLimited):
                # with others under way they may be too many; alone, time is all that helps
                busy = self._gate.crowded and (error.retry_after or 0) <= _SOON
            if busy:
                self._fewer()
            leave()
            if not busy:
                raise
            return None
        except BaseException:
            leave()
            raise
        reply.hold(leave)
        return reply

    def check_upload(self) -> None:
        """See where uploads lead.

        Raises:
            Unreachable: to a foreign host, or out of TLS; says what to do.
            ServerMisbehaved: nowhere.
        """
        self._upload_template()

    def upload(self, octets: bytes | Sized, *, media_type: str = "message/rfc822") -> Uploaded:
        """Make a blob of octets (RFC 8620 section 6.1). Waits while too many are on their way.

        Raises:
            LimitReached: ``maxSizeUpload``: they are too many.
            HttpRefused: refused, e.g. for a quota: ``problem``.
            Unreachable: uploads are on a foreign host.
            And what ``call`` raises.
        """
        url = expand(self._upload_template(), accountId=self.account_id)
        for attempt in range(_BUSY_TRIES):
            with self._uploads:
                if len(octets) > self.limits.max_size_upload:
                    raise LimitReached("maxSizeUpload")
                try:
                    found = self._transport.post(url, octets, media_type).json()
                    break
                except HttpRefused as error:
                    limit = _limit_of(error)
                    if error.status == 413 or limit == "maxSizeUpload":
                        # not half of it, as for requests: no message can be cut in two
                        least = min(self.limits.max_size_upload, len(octets) - 1)
                        self.limits.max_size_upload = max(1, least)
                        raise LimitReached("maxSizeUpload") from error
                    if limit not in {"maxConcurrentUpload", "maxConcurrentRequests"}:
                        raise
                    self._uploads.shrink()
            self._transport.pause(0.1 * 2**attempt)
        else:
            raise RateLimited("the server permits fewer uploads at once than there are")
        blob_id = object_id(found.get("blobId")) if isinstance(found, dict) else None
        size = whole(found.get("size")) if isinstance(found, dict) else None
        if blob_id is None or size is None or blob_id.startswith("#"):  # it would be a reference
            raise ServerMisbehaved("the server does not say what became of an upload")
        return Uploaded(blob_id, size)

    def _upload_template(self) -> str:
        return self._guard.resolve(self.resource.upload_url, self.resource.url, "uploadUrl")

    def _download_template(self) -> str:
        return self._guard.resolve(self.resource.download_url, self.resource.url, "downloadUrl")


def _limit_of(error: HttpRefused) -> str | None:
    """The limit that a problem document names (RFC 8620 section 3.6.1)."""
    limit = error.problem.get("limit")
    return limit if isinstance(limit, str) else None
