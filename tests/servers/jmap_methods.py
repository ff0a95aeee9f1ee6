"""The methods of the fake JMAP server (RFC 8620, 8621, 9404), as far as they are asked for here."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

from servers.jmap_faults import Drop, Error, MethodFailedError, Partly, Slow
from servers.jmap_store import Box, Mail

if TYPE_CHECKING:
    from servers.jmap_server import FakeJmap

CORE = "urn:ietf:params:jmap:core"
MAIL = "urn:ietf:params:jmap:mail"
BLOB = "urn:ietf:params:jmap:blob"
CYRUS_BLOB = "https://cyrusimap.org/ns/jmap/blob"

_KEYWORD = re.compile(r"[!#-$&'+-\[^-z|}~]{1,255}")
_UTC_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", re.ASCII)
_RIGHTS = (
    "mayReadItems", "mayAddItems", "mayRemoveItems", "maySetSeen", "maySetKeywords",
    "mayCreateChild", "mayRename", "mayDelete", "maySubmit",
)  # fmt: skip

Arguments = dict[str, Any]
Method = Callable[[Arguments], Arguments]


class Methods:
    """The methods of one request: creation ids live as long as it does.

    Args:
        server: whose store, limits and faults they are.
        using: what the request says that it uses.

    Attributes:
        dropped: the connection is to break when all is done.
        late: seconds until it is answered.
    """

    def __init__(self, server: FakeJmap, using: set[str]) -> None:
        self.server = server
        self.store = server.store
        self.created: dict[str, str] = {}
        self.dropped = False
        self.late = 0.0
        known: dict[str, tuple[str, Method]] = {
            "Core/echo": (CORE, lambda arguments: arguments),
            "Mailbox/get": (MAIL, self.mailbox_get),
            "Mailbox/query": (MAIL, self.mailbox_query),
            "Mailbox/changes": (MAIL, self.changes("Mailbox")),
            "Mailbox/set": (MAIL, self.mailbox_set),
            "Email/get": (MAIL, self.email_get),
            "Email/query": (MAIL, self.email_query),
            "Email/changes": (MAIL, self.changes("Email")),
            "Email/set": (MAIL, self.email_set),
            "Email/import": (MAIL, self.email_import),
        }
        if server.blobs == "standard":
            known["Blob/get"], known["Blob/upload"] = (BLOB, self.blob_get), (BLOB, self.upload)
        elif server.blobs == "cyrus":
            known["Blob/get"] = CYRUS_BLOB, self.blob_get
            known["Blob/set"] = CYRUS_BLOB, self.upload
        self._known = {name: way for name, (uses, way) in known.items() if uses in using}

    def call(self, name: str, arguments: Arguments, answers: list[list[Any]]) -> list[Any]:
        """One method: its name, or ``error``, and its answer."""
        try:
            return [
                name,
                {"accountId": self.server.account, **self._done(name, arguments, answers)},
            ]
        except MethodFailedError as error:
            return ["error", error.answer]

    def _done(self, name: str, arguments: Arguments, answers: list[list[Any]]) -> Arguments:
        action = self.server.strike(name)
        self.dropped = self.dropped or action == Drop("after")
        self.late += action.seconds if isinstance(action, Slow) and action.after else 0.0
        if isinstance(action, Error):
            raise MethodFailedError(action.type, **action.more)
        method = self._known.get(name)
        if method is None:
            raise MethodFailedError("unknownMethod")
        arguments = self._resolved(arguments, answers)
        if name != "Core/echo" and arguments.get("accountId") != self.server.account:
            raise MethodFailedError("accountNotFound")
        if isinstance(action, Partly):
            for member in ("create", "emails"):
                if member in arguments:
                    some = dict(list(arguments[member].items())[: action.done])
                    method({**arguments, member: some})
            raise MethodFailedError("serverPartialFail")
        return method(arguments)

    def _resolved(self, arguments: Arguments, answers: list[list[Any]]) -> Arguments:
        """With result references replaced (RFC 8620 section 3.7)."""
        found = {key: value for key, value in arguments.items() if not key.startswith("#")}
        for key, reference in arguments.items():
            if key.startswith("#"):
                result = next((a for a in answers if a[2] == reference["resultOf"]), None)
                if result is None or result[0] != reference["name"]:
                    raise MethodFailedError("invalidResultReference")
                found[key[1:]] = _walk(result[1], reference["path"].split("/")[1:])
        return found

    # --- limits ---------------------------------------------------------------------------------

    def _limited(self, limit: str, count: int) -> None:
        if self.server.exceeds(limit, count):
            raise MethodFailedError("requestTooLarge", limit=limit)

    def _wanted(self, arguments: Arguments, every: Mapping[str, Any]) -> tuple[list[str], list]:
        ids = list(every) if arguments.get("ids") is None else list(arguments["ids"])
        if arguments.get("ids") is None and not every:
            ids = []
        if arguments.get("ids") is not None:
            self._limited("maxObjectsInGet", len(ids))
        elif len(ids) > self.server.limit("maxObjectsInGet"):
            raise MethodFailedError("requestTooLarge")
        return ids, [key for key in dict.fromkeys(ids) if key not in every]

    def _set_size(self, arguments: Arguments, *members: str) -> None:
        self._limited("maxObjectsInSet", sum(len(arguments.get(each) or ()) for each in members))

    # --- mailboxes ------------------------------------------------------------------------------

    def mailbox_get(self, arguments: Arguments) -> Arguments:
        ids, missing = self._wanted(arguments, self.store.boxes)
        found = [self._box(self.store.boxes[key]) for key in ids if key in self.store.boxes]
        return {
            "state": self.store.state,
            "list": [_some(each, arguments) for each in found],
            "notFound": missing,
        }

    def _box(self, box: Box) -> Arguments:
        inside = [mail for mail in self.store.mails.values() if box.box_id in mail.boxes]
        return {
            "id": box.box_id, "name": box.name, "parentId": box.parent, "role": box.role,
            "sortOrder": box.order, "isSubscribed": box.subscribed, "totalEmails": len(inside),
            "unreadEmails": sum("$seen" not in mail.keywords for mail in inside),
            "myRights": dict.fromkeys(_RIGHTS, True) | box.rights,
        }  # fmt: skip

    def mailbox_query(self, arguments: Arguments) -> Arguments:
        return self._page(arguments, list(self.store.boxes))

    def mailbox_set(self, arguments: Arguments) -> Arguments:
        self._set_size(arguments, "create", "update", "destroy")
        if arguments.get("destroy"):
            self.server.complain("no mailbox is ever destroyed")
            raise MethodFailedError("forbidden")
        self._may_write(arguments)
        created: Arguments = {}
        failed: Arguments = {}
        for key, wanted in (arguments.get("create") or {}).items():
            error = self.server.box_verdict(wanted) or self._box_error(wanted)
            if error is not None:
                failed[key] = error
                continue
            parent = wanted.get("parentId")
            box = Box(
                f"b{self.store.number()}", wanted["name"], self._named(parent),
                wanted.get("role"), wanted.get("isSubscribed", False), wanted.get("sortOrder", 0),
            )  # fmt: skip
            self.store.add_box(box)
            self.created[key] = box.box_id
            created[key] = {"id": box.box_id}
        updated: Arguments = {}
        not_updated: Arguments = {}
        for key, patch in (arguments.get("update") or {}).items():
            if key not in self.store.boxes:
                not_updated[key] = {"type": "notFound"}
                continue
            if "isSubscribed" in patch:
                self.store.boxes[key].subscribed = patch["isSubscribed"]
            self.store.log.append(("Mailbox", "updated", key))
            updated[key] = None
        return {
            "newState": self.store.state, "created": created, "notCreated": failed,
            "updated": updated, "notUpdated": not_updated,
        }  # fmt: skip

    def _named(self, key: str | None) -> str | None:
        return self.created.get(key[1:], key) if key and key[0] == "#" else key

    def _box_error(self, wanted: Arguments) -> Arguments | None:
        name, parent = wanted.get("name"), self._named(wanted.get("parentId"))
        mail = self.server.mail_limits
        depth = 1
        at = parent
        while at is not None:
            if at not in self.store.boxes:
                return {"type": "invalidProperties", "properties": ["parentId"]}
            at, depth = self.store.boxes[at].parent, depth + 1
        if not isinstance(name, str) or not name or not name.isprintable():
            return {"type": "invalidProperties", "properties": ["name"]}
        if mail.get("maxSizeMailboxName") and len(name.encode()) > mail["maxSizeMailboxName"]:
            self.server.complain("maxSizeMailboxName")
            return {"type": "invalidProperties", "properties": ["name"]}
        if mail.get("maxMailboxDepth") and depth > mail["maxMailboxDepth"]:
            self.server.complain("maxMailboxDepth")
            return {"type": "invalidProperties", "properties": ["parentId"]}
        if any(box.name == name for box in self.store.children(parent)):
            return {"type": "invalidProperties", "properties": ["name"]}
        role = wanted.get("role")
        if role and any(box.role == role for box in self.store.boxes.values()):
            return {"type": "invalidProperties", "properties": ["role"]}
        return None

    # --- Emails ---------------------------------------------------------------------------------

    def email_get(self, arguments: Arguments) -> Arguments:
        ids, missing = self._wanted(arguments, self.store.mails)
        found = [self._email(self.store.mails[key]) for key in ids if key in self.store.mails]
        return {
            "state": self.store.state,
            "list": [_some(each, arguments) for each in found],
            "notFound": missing,
        }

    def _email(self, mail: Mail) -> Arguments:
        blob = self.store.blobs[mail.blob_id]
        name = re.search(rb"(?im)^Message-ID:([^\n]*(?:\n[ \t][^\n]*)*)", blob.octets or b"")
        return {
            "id": mail.mail_id, "blobId": mail.blob_id, "threadId": f"T{mail.mail_id}",
            "mailboxIds": dict.fromkeys(sorted(mail.boxes), True),
            "keywords": dict.fromkeys(sorted(mail.keywords), True),
            "size": blob.size, "receivedAt": mail.received,
            "header:Message-ID:asRaw": name[1].decode("latin-1") if name else None,
        }  # fmt: skip

    def email_query(self, arguments: Arguments) -> Arguments:
        mailbox = (arguments.get("filter") or {}).get("inMailbox")
        if mailbox is not None and mailbox not in self.store.boxes:
            raise MethodFailedError("invalidArguments", arguments=["filter"])
        found = [m for m in self.store.mails.values() if mailbox is None or mailbox in m.boxes]
        found.sort(key=lambda mail: (mail.received, mail.mail_id))
        return self._page(arguments, [mail.mail_id for mail in found])

    def _page(self, arguments: Arguments, ids: list[str]) -> Arguments:
        at = arguments.get("position", 0)
        if arguments.get("anchor") is not None:
            if arguments["anchor"] not in ids:
                raise MethodFailedError("anchorNotFound")
            at = ids.index(arguments["anchor"]) + arguments.get("anchorOffset", 0)
        most = min(arguments.get("limit") or len(ids), self.server.page or len(ids))
        answer = {
            "queryState": self.store.state, "canCalculateChanges": False, "position": at,
            "ids": ids[at : at + most],
        }  # fmt: skip
        return answer | ({"total": len(ids)} if arguments.get("calculateTotal") else {})

    def changes(self, kind: str) -> Method:
        def method(arguments: Arguments) -> Arguments:
            most = arguments.get("maxChanges") or self.server.most_changes
            found = self.store.changes(kind, str(arguments.get("sinceState")), most)
            if found is None:
                raise MethodFailedError("cannotCalculateChanges")
            return found

        return method

    def email_import(self, arguments: Arguments) -> Arguments:
        self._set_size(arguments, "emails")
        self._may_write(arguments)
        before = self.store.state
        created: Arguments = {}
        failed: Arguments = {}
        sent = [self._named(wanted.get("blobId")) for wanted in arguments["emails"].values()]
        known = (self.store.blobs[blob].octets or b"" for blob in sent if blob in self.store.blobs)
        if any(map(self.server.poison, known)):
            raise MethodFailedError("serverFail", description="assertion failed")
        for key, wanted in arguments["emails"].items():
            blob_id = self._named(wanted.get("blobId"))
            if blob_id not in self.store.blobs:
                failed[key] = {"type": "invalidProperties", "properties": ["blobId"]}
                continue
            error = self.server.verdict(self.store.blobs[blob_id].octets or b"", wanted)
            error = error or self._email_error(wanted)
            twin = self.store.twin(blob_id) if self.store.merges else None
            if error is None and twin is not None:
                error = {"type": "alreadyExists", "existingId": twin.mail_id}
            if error is not None:
                failed[key] = error
                continue
            mail = self.store.add_mail(
                blob_id, wanted["mailboxIds"], wanted.get("keywords") or {},
                wanted.get("receivedAt") or self.server.now(),
            )  # fmt: skip
            told = self._email(mail)
            created[key] = {name: told[name] for name in ("id", "blobId", "threadId", "size")}
        return {
            "oldState": before, "newState": self.store.state, "created": created,
            "notCreated": failed,
        }  # fmt: skip

    def _email_error(self, wanted: Arguments) -> Arguments | None:
        boxes, words = wanted.get("mailboxIds") or {}, wanted.get("keywords") or {}
        if not boxes or not set(boxes) <= set(self.store.boxes):
            return {"type": "invalidProperties", "properties": ["mailboxIds"]}
        wrong = [word for word in words if not _KEYWORD.fullmatch(word) or word != word.lower()]
        if wrong:
            return {"type": "invalidProperties", "properties": [f"keywords/{w}" for w in wrong]}
        if wanted.get("receivedAt") and not _UTC_DATE.fullmatch(wanted["receivedAt"]):
            return {"type": "invalidProperties", "properties": ["receivedAt"]}
        most = self.server.mail_limits
        if self._too_many_boxes(boxes):
            return {"type": "tooManyMailboxes"}
        if most.get("maxKeywordsPerEmail") and len(words) > most["maxKeywordsPerEmail"]:
            return {"type": "tooManyKeywords"}
        return None

    def _too_many_boxes(self, boxes: Collection[str]) -> bool:
        announced = self.server.mail_limits.get("maxMailboxesPerEmail") or 1 << 60
        if len(boxes) > announced:
            self.server.complain(f"maxMailboxesPerEmail: {len(boxes)}")
        return len(boxes) > min(announced, self.server.real.get("maxMailboxesPerEmail", announced))

    def email_set(self, arguments: Arguments) -> Arguments:
        self._set_size(arguments, "create", "update", "destroy")
        if self._takes_away(arguments):
            raise MethodFailedError("forbidden")
        self._may_write(arguments)
        updated: Arguments = {}
        failed: Arguments = {}
        for key, patch in (arguments.get("update") or {}).items():
            mail = self.store.mails.get(key)
            if mail is None:
                failed[key] = {"type": "notFound"}
                continue
            boxes = {n[11:] for n in patch if n.startswith("mailboxIds/")} | mail.boxes
            error = self.server.update_verdict(patch)
            if error is None and self._too_many_boxes(boxes):
                error = {"type": "tooManyMailboxes"}
            if error is not None:
                failed[key] = error
                continue
            for name in patch:
                member, _, token = name.partition("/")
                token = token.replace("~1", "/").replace("~0", "~")
                (mail.boxes if member == "mailboxIds" else mail.keywords).add(token)
            self.store.touch(mail)
            updated[key] = None
        return {"newState": self.store.state, "updated": updated, "notUpdated": failed}

    def _takes_away(self, arguments: Arguments) -> bool:
        """Whether something of what is there would not be there any more; that is a complaint."""
        before = len(self.server.complaints)
        if arguments.get("destroy"):
            self.server.complain("nothing is ever destroyed")
        for patch in (arguments.get("update") or {}).values():
            for name, value in patch.items():
                member, slash, token = name.partition("/")
                if member not in {"mailboxIds", "keywords"} or not slash or not token:
                    self.server.complain(f"{name} is replaced as a whole")
                elif value is not True:
                    self.server.complain(f"{name} is taken away from what is there")
        return len(self.server.complaints) > before

    def _may_write(self, arguments: Arguments) -> None:
        if self.server.read_only:
            raise MethodFailedError("accountReadOnly")
        if arguments.get("ifInState") not in {None, self.store.state}:
            raise MethodFailedError("stateMismatch")

    # --- blobs ----------------------------------------------------------------------------------

    def upload(self, arguments: Arguments) -> Arguments:
        self._set_size(arguments, "create")
        created: Arguments = {}
        failed: Arguments = {}
        for key, wanted in arguments["create"].items():
            sources = wanted["data"] if self.server.blobs == "standard" else [wanted]
            octets = b"".join(
                base64.b64decode(each["data:asBase64"], validate=True) for each in sources
            )
            if self.server.exceeds("maxSizeBlobSet", len(octets)):
                failed[key] = {"type": "tooLarge"}
                continue
            self.created[key] = blob_id = self.store.keep(octets)
            named = "id" if self.server.blobs == "standard" else "blobId"
            created[key] = {named: blob_id, "type": wanted.get("type"), "size": len(octets)}
        return {"created": created, "notCreated": failed}

    def blob_get(self, arguments: Arguments) -> Arguments:
        self._limited("maxObjectsInGet", len(arguments["ids"]))
        found, missing = [], []
        for key in arguments["ids"]:
            blob = self.store.blobs.get(key)
            if blob is None or blob.octets is None:
                missing.append(key)
                continue
            start = arguments.get("offset", 0)
            length = arguments.get("length")
            part = blob.octets[start : None if length is None else start + length]
            data = base64.b64encode(part).decode("ascii")
            found.append({"id": key, "data:asBase64": data, "size": blob.size})
        return {"list": found, "notFound": missing}


def _some(found: Arguments, arguments: Arguments) -> Arguments:
    wanted = arguments.get("properties")
    return found if wanted is None else {"id": found["id"], **{k: found[k] for k in wanted}}


def _walk(value: Any, steps: list[str]) -> Any:
    if not steps:
        return value
    if steps[0] == "*":
        found = [_walk(each, steps[1:]) for each in value]
        return [e for each in found for e in (each if isinstance(each, list) else [each])]
    if not isinstance(value, dict) or steps[0] not in value:
        raise MethodFailedError("invalidResultReference")
    return _walk(value[steps[0]], steps[1:])
