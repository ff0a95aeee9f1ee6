"""The schemas parse, are schemas, accept what they must and refuse what they must.

The examples here are small and our own. Each refusal is one mutation of an accepted example, so
that a schema that checks nothing fails the test.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from copy import deepcopy
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError

from portarchive.archive import model
from portarchive.jobs.ledger import FolderLedger, unopened
from portarchive.jobs.selection import Selection

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "schemas").rglob("*.schema.json"))
SHA = "0" * 64


def load(name: str) -> dict[str, Any]:
    loaded = json.loads((ROOT / "schemas" / name).read_text(encoding="utf-8"))
    assert isinstance(loaded, dict)
    return loaded


def checker(name: str) -> Draft202012Validator:
    return Draft202012Validator(load(name), format_checker=Draft202012Validator.FORMAT_CHECKER)


ARCHIVE = checker("pdpa/ietf-02/archive.schema.json")
FOLDER = checker("pdpa/ietf-02/folder.schema.json")
MANIFEST = checker("portarchive/manifest.schema.json")


def test_there_are_schemas() -> None:
    assert len(FILES) >= 3


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_is_a_schema(file: Path) -> None:
    schema = json.loads(file.read_text(encoding="utf-8"))
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_id_is_our_own_urn_and_listed(file: Path) -> None:
    identifier = json.loads(file.read_text(encoding="utf-8"))["$id"]
    assert identifier.startswith("urn:portarchive:schema:")
    assert f"`{identifier}`" in (ROOT / "schemas/README.md").read_text(encoding="utf-8")


def test_ids_are_unique() -> None:
    identifiers = [json.loads(file.read_text(encoding="utf-8"))["$id"] for file in FILES]
    assert len(identifiers) == len(set(identifiers))


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def test_every_reference_resolves_here_and_every_definition_is_used() -> None:
    """Nothing is ever fetched, so nothing may point outside."""
    schemas = [json.loads(file.read_text(encoding="utf-8")) for file in FILES]
    by_id = {schema["$id"]: schema for schema in schemas}
    used = {
        schema["$id"] + reference if reference.startswith("#") else reference
        for schema in schemas
        for reference in references(schema)
    }
    for reference in used:
        identifier, _, pointer = reference.partition("#")
        node = by_id[identifier]
        for name in pointer.split("/")[1:]:
            node = node[name]
    defined = {f"{one['$id']}#/$defs/{name}" for one in schemas for name in one.get("$defs", {})}
    by_tests = {"urn:portarchive:schema:report:1#/$defs/entry"}
    assert defined - by_tests <= used


def test_every_extension_member_of_the_model_is_described() -> None:
    written = {
        value
        for name, value in vars(model).items()
        if name.isupper()
        and isinstance(value, str)
        and value.startswith(model.PREFIX)
        and value != model.PREFIX
    }
    described: set[str] = set()
    for name in ("archive", "folder"):
        text = (ROOT / f"schemas/pdpa/ietf-02/{name}.schema.json").read_text(encoding="utf-8")
        described |= set(re.findall(r'"(portarchive:[a-z0-9_]+)"\s*:', text))
    assert written == described
    readme = (ROOT / "schemas/README.md").read_text(encoding="utf-8")
    assert described <= set(re.findall(r"`(portarchive:[a-z0-9_]+)`", readme))


def test_every_header_member_of_the_model_is_described() -> None:
    assert set(model.HEADER_ORDER) <= set(FOLDER.schema["properties"])


# --- archive.json -------------------------------------------------------------------------------

OURS: dict[str, Any] = {
    "$schema": "https://id.schemas.pub/o/DTI/PDPArchive/archive",
    "archive": {
        "id": "0a4f52e3-7d0c-4be2-9a0a-2f2f5a0c9d10",
        "name": "Mail of ines@example.org, 2026-11-24",
        "timestamp": "2026-11-24T08:00:00Z",
        "version": "draft-ietf-mailmaint-pdparchive-02",
        "generator": "portarchive/0.1.0",
        "portarchive:manifest": {"path": "manifest.json", "sha256": SHA, "bytes": 812},
    },
    "dataset": {
        "extent": "FULL",
        "datatypes": ["MAIL"],
        "languagetag": "und",
        "timezone": "Etc/UTC",
        "description": "All mail of the account.",
    },
    "datasource": {"service": "imaps://imap.example.org:993", "account": "ines@example.org"},
}

STRANGERS: dict[str, Any] = {
    "archive": {
        "id": "7",
        "archive_id": "extra members are welcome",
        "name": "n",
        "timestamp": "2026-01-02T03:04:05+01:00",
        "version": "v",
        "generator": "g",
    },
    "dataset": {"extent": "partial", "languagetag": "pt_br", "timezone": "America/Montreal"},
    "datasource": {"account": {"id": "x", "type": "imap"}},
}


@pytest.mark.parametrize("value", [OURS, STRANGERS], ids=["ours", "strangers"])
def test_archive_accepts(value: dict[str, Any]) -> None:
    ARCHIVE.validate(value)


def changed(value: dict[str, Any], path: str, new: Any) -> dict[str, Any]:
    """A copy with the member at ``path`` (slashes between names) set, or taken out by ``...``."""
    copy = deepcopy(value)
    *parents, last = path.split("/")
    node: Any = copy
    for name in parents:
        node = node[int(name)] if isinstance(node, list) else node[name]
    if new is ...:
        del node[last]
    else:
        node[last] = new
    return copy


@pytest.mark.parametrize(
    ("path", "new"),
    [
        ("archive", 5),
        ("archive", ...),
        ("dataset", None),
        ("dataset", ...),
        ("datasource", []),
        ("datasource", ...),
        ("archive/id", ""),
        ("archive/id", ...),
        ("archive/name", ...),
        ("archive/timestamp", "yesterday"),
        ("archive/version", 2),
        ("archive/generator", ...),
        ("archive/portarchive:manifest", {"path": "manifest.json", "bytes": 1}),
        ("archive/portarchive:manifest", {"path": "m", "sha256": "A" * 64, "bytes": 1}),
        ("dataset/extent", "complete"),
        ("dataset/extent", ...),
        ("dataset/languagetag", ...),
        ("dataset/timezone", ...),
        ("dataset/datatypes", "MAIL"),
        ("dataset/portarchive:base_id", 3),
        ("datasource/service", 993),
        ("datasource/account", ["ines"]),
    ],
)
def test_archive_refuses(path: str, new: Any) -> None:
    with pytest.raises(ValidationError):
        ARCHIVE.validate(changed(OURS, path, new))


# --- folder.json --------------------------------------------------------------------------------

MAILBOX: dict[str, Any] = {
    "$schema": "https://id.schemas.pub/o/DTI/PDPArchive/folder",
    "name": "Versandt",
    "original_name": "Versandt?",
    "portarchive:raw_name": "VmVyc2FuZHT/",
    "uid": "F61-2b",
    "uidvalidity": 1700000000,
    "last_uid": 4,
    "is_subscribed": True,
    "highest_modseq": 9007199254740991,
    "special_use": "\\Sent",
    "portarchive:role": "sent",
    "portarchive:display_name": "Sent mail",
    "allowed_keywords": ["$forwarded"],
    "myrights": "lrs",
    "sort_order": 3,
    "comment": "Messages before 2020 were left out.",
    "portarchive:gone_at": "2026-11-24T08:00:00Z",
    "items": [
        {
            "uid": "1",
            "filename": "1700000000-0000000001.eml",
            "flags": [],
            "portarchive:received_at": "2026-11-01T10:00:00+02:00",
            "portarchive:size": 0,
            "portarchive:sha256": SHA,
            "portarchive:email_id": "M1",
            "portarchive:thread_id": "T1",
            "portarchive:labels": ["\\Inbox", "Reise 2026"],
            "portarchive:save_date": "2026-11-02T10:00:00Z",
        },
        {
            "uid": "4",
            "filename": "../INBOX/1700000001-0000000009.eml",
            "flags": ["$seen", "\\Deleted"],
            "portarchive:received_at_raw": "30-Dec-1899 00:00:00 +0000",
            "portarchive:size": 12,
            "portarchive:sha256": SHA,
        },
    ],
    "portarchive:kept": [
        {
            "uid": "2",
            "filename": "1700000000-0000000002.eml",
            "flags": ["$seen"],
            "portarchive:size": 5,
            "portarchive:sha256": SHA,
            "expunged_at": "2026-11-24T08:00:00Z",
        }
    ],
    "portarchive:placeholder": [
        {
            "uid": "3",
            "filename": "1700000000-3~placeholder.eml",
            "portarchive:size": 5,
            "portarchive:sha256": SHA,
        }
    ],
}

PARENT: dict[str, Any] = {"name": "", "portarchive:noselect": True, "items": []}
UPDATE: dict[str, Any] = {
    "name": "Lists",
    "last_uid": 21,
    "recent_uid": 20,
    "uidvalidity": 1,
    "special_use": "archive",
    "sort_order": 0,
    "removed": ["3", 15],
    "deleted_at": None,
    "modseqs": {"20": 7},
    "flags": {"20": ["$seen"]},
    "items": [{"uid": 20, "filename": "x.eml"}],
}
TASKS: dict[str, Any] = {
    "name": "Chores",
    "items": [{"uid": "56cb57e3-dfa9-40b5-9011-fe658909d138", "filename": "mow the lawn.json"}],
}


@pytest.mark.parametrize(
    "value",
    [MAILBOX, PARENT, UPDATE, TASKS, MAILBOX | {"portarchive:role": ["sent", "archive"]}],
    ids=["mailbox", "parent", "update", "tasks", "two roles"],
)
def test_folder_accepts(value: dict[str, Any]) -> None:
    FOLDER.validate(value)


@pytest.mark.parametrize(
    ("path", "new"),
    [
        ("name", ...),
        ("items", ...),
        ("items", {}),
        ("uid", 7),
        ("uidvalidity", 0),
        ("uidvalidity", 2**32),
        ("uidvalidity", "1"),
        ("last_uid", -1),
        ("last_uid", "4"),
        ("is_subscribed", "yes"),
        ("highest_modseq", 2**63),
        ("highest_modseq", -1),
        ("special_use", ""),
        ("special_use", "\\"),
        ("special_use", "\\Sent \\Drafts"),
        ("special_use", ["\\Sent"]),
        ("sort_order", -1),
        ("removed", [""]),
        ("deleted_at", "never"),
        ("items/0/uid", ...),
        ("items/0/uid", ""),
        ("items/0/uid", 0),
        ("items/0/filename", ...),
        ("items/0/filename", ""),
        ("items/0/filename", "/etc/passwd"),
        ("items/0/filename", "a\0.eml"),
        ("items/0/flags", "$seen"),
        ("items/0/flags", [""]),
        ("items/0/portarchive:received_at", "01-Nov-2026"),
        ("items/0/portarchive:size", -1),
        ("items/0/portarchive:sha256", SHA + "\n"),
        ("items/0/portarchive:labels", "Reise"),
        ("items/0/portarchive:save_date", 1),
        ("portarchive:raw_name", "not base64!"),
        ("portarchive:role", "\\Sent"),
        ("portarchive:role", "Sent"),
        ("portarchive:role", ["sent"]),
        ("portarchive:noselect", False),
        ("portarchive:gone_at", "gone"),
        ("portarchive:kept/0/expunged_at", ...),
        ("portarchive:kept/0/uid", ...),
        ("portarchive:placeholder/0/portarchive:sha256", ...),
    ],
)
def test_folder_refuses(path: str, new: Any) -> None:
    with pytest.raises(ValidationError):
        FOLDER.validate(changed(MAILBOX, path, new))


# --- manifest.json ------------------------------------------------------------------------------

PROOF: dict[str, Any] = {
    "$schema": "urn:portarchive:schema:manifest:1",
    "archive_id": "0a4f52e3-7d0c-4be2-9a0a-2f2f5a0c9d10",
    "generator": "portarchive/0.1.0",
    "created": "2026-11-24T08:00:00Z",
    "files": {"path": "manifest-sha256.txt", "sha256": SHA, "bytes": 10, "count": 1},
    "source": {
        "protocol": "imap",
        "service": "imaps://imap.example.org:993",
        "account": "ines@example.org",
        "server": {"name": "Example", "version": "1"},
        "capabilities": ["CONDSTORE", "IMAP4REV1"],
        "namespaces": {"personal": [{"prefix": "", "delimiter": "/"}], "other": None},
        "state": None,
    },
    "selection": {},
    "folders": [
        {
            "path": "INBOX",
            "listed": 121,
            "archived": 117,
            "arrived_later": 2,
            "skipped": [{"reason": "size", "count": 2, "uids": "7,90"}],
            "vanished": {"count": 1, "uids": "33"},
            "failed": [
                {"uid": "5", "code": "server-refused", "text": "NO [LIMIT]", "stored": False}
            ],
            "notes": [{"uid": "11", "code": "size-mismatch", "said": 3, "was": 4}],
            "state": {"uidvalidity": 1, "anything": ["else"]},
        },
        {"path": "Broken", "error": {"code": "folder-unavailable", "text": "NO"}},
        {"path": "Emptied", "listed": 0, "archived": 0, "held": "lost all 120 messages at once"},
    ],
    "complete": False,
}


EVERY_FILTER = Selection(
    folders=("Work/*",),
    exclude=("Work/Old",),
    roles=("inbox",),
    since_date=date(2020, 1, 1),
    before_date=date(2021, 1, 1),
    min_size=0,
    max_size=10_000,
    keywords=("$flagged",),
    namespace="all",
)


@pytest.mark.parametrize("selection", [Selection(), EVERY_FILTER], ids=["all", "every filter"])
def test_manifest_accepts(selection: Selection) -> None:
    MANIFEST.validate(changed(PROOF, "selection", selection.to_json()))


def test_manifest_accepts_what_the_ledger_writes() -> None:
    ledger = FolderLedger("INBOX", listed=6, archived=1, skipped={"max-size": ["2", "3"]})
    ledger.vanished = ["4"]
    ledger.fail("5", "server-refused", "NO [LIMIT]", stored=True)
    ledger.fail("6", "no-data", "", stored=False)
    ledger.note("size-mismatch", "1")
    for uid in ("2", "3"):
        ledger.note("no-date", uid)
    ledger.held = "it lost all 120 messages at once"
    entries = [
        ledger.to_json(),
        FolderLedger("Empty").to_json(),
        unopened("Closed", "folder-unavailable", "NO", None),
        unopened("INBOX", "folder-unavailable", "NO", ledger.to_json()),
    ]
    MANIFEST.validate(changed(PROOF, "folders", entries))


def test_every_filter_is_in_that_example() -> None:
    described = MANIFEST.schema["properties"]["selection"]["properties"]
    assert set(EVERY_FILTER.to_json()) == set(described)


@pytest.mark.parametrize(
    ("path", "new"),
    [
        *((name, ...) for name in PROOF),
        ("unknown", 1),
        ("$schema", "urn:portarchive:schema:manifest:2"),
        ("created", "2026-11-24T09:00:00+01:00"),
        ("created", "Z"),
        ("files/count", ...),
        ("files/path", "other.txt"),
        ("source/protocol", "pop3"),
        ("source/password", "hunter2"),
        ("source/account", ...),
        ("complete", "yes"),
        ("selection", []),
        ("selection", {"flavour": "vanilla"}),
        ("selection", {"folders": "INBOX"}),
        ("selection", {"since_date": "last week"}),
        ("selection", {"min_size": -1}),
        ("folders/0/path", ...),
        ("folders/0/listed", ...),
        ("folders/0/listed", -1),
        ("folders/0/unknown", 1),
        ("folders/0/skipped/0/uids", ...),
        ("folders/0/vanished/count", ...),
        ("folders/0/failed/0/uid", ...),
        ("folders/0/failed/0/uids", "5"),
        ("folders/0/failed/0/code", "Server Refused"),
        ("folders/0/failed/0/stored", ...),
        ("folders/0/notes/0/code", ...),
        ("folders/1/error/text", ...),
        ("folders/2/held", ""),
    ],
)
def test_manifest_refuses(path: str, new: Any) -> None:
    with pytest.raises(ValidationError):
        MANIFEST.validate(changed(PROOF, path, new))


# --- a real archive -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the program writes: the sample mailbox, exported over IMAP."""
    path = tmp_path_factory.mktemp("demo") / "archive"
    command = [sys.executable, "-m", "portarchive", "demo", "--quiet", "--into", str(path)]
    subprocess.run(command, check=True, capture_output=True)
    return path


def test_what_is_written_is_valid(archive: Path) -> None:
    def read(path: Path) -> Any:
        return json.loads(path.read_text(encoding="utf-8"))

    ARCHIVE.validate(read(archive / "archive.json"))
    MANIFEST.validate(read(archive / "manifest.json"))
    folders = sorted(archive.glob("mail/**/folder.json"))
    assert len(folders) > 20
    for folder in folders:
        FOLDER.validate(read(folder))


def test_what_is_written_has_no_member_that_no_schema_describes(archive: Path) -> None:
    """The schemas of the draft are open; we are not: a misspelt member of ours shows here."""
    described = set(FOLDER.schema["properties"])
    of_an_item = set(FOLDER.schema["$defs"]["item"]["properties"])
    for path in archive.glob("mail/**/folder.json"):
        folder = json.loads(path.read_text(encoding="utf-8"))
        assert set(folder) <= described
        for item in folder["items"]:
            assert set(item) <= of_an_item
    written = json.loads((archive / "archive.json").read_text(encoding="utf-8"))
    for section in ("archive", "dataset", "datasource"):
        assert set(written[section]) <= set(ARCHIVE.schema["properties"][section]["properties"])


def test_what_the_readme_says_of_the_chain_is_so(archive: Path) -> None:
    subprocess.run(
        ["sha256sum", "--check", "--quiet", "manifest-sha256.txt"], cwd=archive, check=True
    )
    told = subprocess.run(
        [sys.executable, "-m", "portarchive", "info", "--json", str(archive)],
        check=True,
        capture_output=True,
    )
    fingerprint = json.loads(told.stdout)["fingerprint"]
    assert fingerprint == hashlib.sha256((archive / "archive.json").read_bytes()).hexdigest()
