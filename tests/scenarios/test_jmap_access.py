"""How one gets into a JMAP account from the command line, and where credentials never go.

The server is the fake one. A second one stands for a foreign host: it must not be asked anything.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import replaying
import running
from running import BODY, PASSWORD, letter

from servers.jmap_faults import Drop, Status
from servers.jmap_methods import MAIL
from servers.jmap_server import FakeJmap, Secret

NAMES = ("apiUrl", "uploadUrl", "downloadUrl")


@pytest.fixture
def server() -> Iterator[FakeJmap]:
    with FakeJmap() as server:
        password(server, PASSWORD)
        server.store.add(("INBOX",), letter(1), ["$seen"])
        server.store.add(("Work", "2024"), letter(2))
        yield server


def password(server: FakeJmap, text: str) -> None:
    server.secret = Secret(text)
    server.accepts = f"Basic {base64.b64encode(f'{server.user}:{text}'.encode()).decode()}"


def url(server: FakeJmap, query: str = "") -> str:
    return f"jmap://{server.user}@127.0.0.1:{server.port}{query}"


def export(server: FakeJmap, root: Path, *words: object, query: str = "") -> running.Ran:
    return running.command("export", url(server, query), root, *words, root=root)


def bring(server: FakeJmap, root: Path, *words: object, query: str = "") -> running.Ran:
    state = root.with_name("state")
    return replaying.run("import", root, url(server, query), *words, state=state)


def test_export_look_and_import(server: FakeJmap, root: Path) -> None:
    said = export(server, root)
    assert said.code == 0
    assert said.octets() and list(said.octets().values()) == [letter(1)]
    assert export(server, root).code == 0
    checked = running.command("export", url(server), "--check", root=root)
    assert checked.code == 0
    assert "Work/2024" in checked.out
    with FakeJmap() as other:
        password(other, PASSWORD)
        assert bring(other, root).code == 0
        assert other.store.octets(("Work", "2024")) == [letter(2)]
        assert bring(other, root).code == 0
        assert len(other.store.mails) == 2


def test_an_update_with_nothing_new_costs_little(server: FakeJmap, root: Path) -> None:
    assert export(server, root).code == 0
    server.requests.clear()
    server.calls.clear()
    assert export(server, root).code == 0
    assert sum(server.requests.values()) <= 3
    assert not server.requests["download"]
    assert not server.calls["Blob/get"]


# --- shared accounts ------------------------------------------------------------------------------


def shared(found: dict[str, Any]) -> dict[str, Any]:
    """The user's own account is another one; the one with mail in it is a share."""
    ((account_id, mine),) = found["accounts"].items()
    own = {**mine, "name": "own"}
    found["accounts"] = {"own": own, account_id: {**mine, "name": "Büro & Co", "isPersonal": False}}
    found["primaryAccounts"] = {MAIL: "own"}
    return found


@pytest.mark.parametrize(
    ("words", "query"),
    [
        (("--account", "Büro & Co"), ""),
        (("--account", "büro & co"), ""),
        (("--account", "u-jane"), ""),
        ((), "?account=B%C3%BCro%20%26%20Co"),
        (("--account", "u-jane"), "?account=u-jane"),
    ],
)
def test_a_shared_account_by_name_or_id(server: FakeJmap, root: Path, words, query) -> None:
    server.edit_session = shared
    said = export(server, root, *words, query=query)
    assert said.code == 0
    assert list(said.octets().values()) == [letter(1)]
    assert (
        json.loads((root / "archive.json").read_bytes())["datasource"]["account"]
        == "Büro & Co (u-jane)"
    )
    with FakeJmap() as other:
        password(other, PASSWORD)
        other.edit_session = shared
        assert bring(other, root, *words, query=query).code == 0
        assert len(other.store.mails) == 2


@pytest.mark.parametrize(
    ("words", "query", "code"),
    [
        (("--account", "nobody"), "", 2),
        (("--account", ""), "", 2),
        (("--account", "a"), "?account=b", 2),
        ((), "?account=", 2),
        ((), "?acount=x", 2),
        ((), "?tls=none", 2),
    ],
)
def test_accounts_that_there_are_not(server: FakeJmap, root: Path, words, query, code) -> None:
    export(server, root, *words, query=query).refused(code)
    assert not (root / "archive.json").exists()


def test_an_account_is_asked_of_jmap_only(root: Path) -> None:
    words = ("export", "imap://jane@127.0.0.1:1?tls=none", root, "--account", "x")
    running.command(*words, root=root).refused(2)
    running.command("export", "maildir:/x", root, "--account", "x", root=root).refused(2)


def test_migrate_names_an_account_on_either_side(server: FakeJmap, root: Path) -> None:
    server.edit_session = shared
    with FakeJmap() as other:
        password(other, PASSWORD)
        other.edit_session = shared
        said = replaying.run(
            "migrate", url(server), url(other), "--archive", root, "--account", "u-jane",
            "--target-account", "u-jane", state=root.with_name("state"),
        )  # fmt: skip
        assert said.code == 0, said.err
        assert len(other.store.mails) == 2


# --- foreign hosts --------------------------------------------------------------------------------


@pytest.fixture
def foreign() -> Iterator[FakeJmap]:
    """The same machine by another name."""
    with FakeJmap() as server:
        password(server, PASSWORD)
        yield server


def leading(name: str, to: FakeJmap) -> Any:
    def edit(found: dict[str, Any]) -> dict[str, Any]:
        return {**found, name: f"http://localhost:{to.port}{found[name]}"}

    return edit


@pytest.mark.parametrize("name", NAMES)
def test_credentials_go_to_no_host_that_was_not_named(
    server: FakeJmap, foreign: FakeJmap, root: Path, name: str
) -> None:
    """Failure 33."""
    assert export(server, root).code == 0
    server.edit_session = leading(name, foreign)
    # where octets come by Blob/get there is no need to download
    reading, writing = name == "apiUrl", name in {"apiUrl", "uploadUrl"}
    for said, refused in ((export(server, root), reading), (bring(server, root), writing)):
        if refused:
            assert said.code == 12
            assert "localhost" in said.err
            assert "allow-host=localhost" in said.err
        else:
            assert said.code == 0, said.err
    assert foreign.authorizations == []


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_no_redirect_leads_them_astray(
    server: FakeJmap, foreign: FakeJmap, root: Path, status: int
) -> None:
    location = {"Location": f"http://localhost:{foreign.port}/.well-known/jmap"}
    server.on("session", Status(status, {}, location))
    said = export(server, root)
    assert said.code == 12
    assert "allow-host=localhost" in said.err
    assert foreign.authorizations == []


def test_a_host_that_was_named_is_trusted(server: FakeJmap, root: Path) -> None:
    server.edit_session = lambda found: {
        **found,
        **{name: f"http://localhost:{server.port}{found[name]}" for name in NAMES},
    }
    assert export(server, root, query="?allow-host=localhost").code == 0
    assert bring(server, root, query="?allow-host=localhost").code == 0


@pytest.mark.parametrize("value", [None, 7, "", "ftp://127.0.0.1/x", "http://[", "http://a\nb/"])
@pytest.mark.parametrize("name", NAMES)
def test_urls_that_are_none(server: FakeJmap, root: Path, name: str, value: object) -> None:
    server.edit_session = lambda found: {**found, name: value}
    for said in (export(server, root), bring(server, root)):
        assert said.code in {0, 10, 12}
        assert "Traceback" not in said.err
        assert "\n" not in said.err.partition("error: ")[2].split("hint: ")[0].rstrip("\n")


@pytest.mark.parametrize(
    "found",
    [
        b"", b"{", b"[]", b"null", b'"x"', b"[" * 100_000, b"\xff\xfe",
        b'{"capabilities":{},"accounts":{},"apiUrl":"/api"}',
        b'{"capabilities":7,"accounts":[],"apiUrl":{}}',
    ],
    ids=lambda found: found[:20].decode("latin-1"),
)  # fmt: skip
def test_session_objects_that_are_none(server: FakeJmap, root: Path, found: bytes) -> None:
    server.on("session", Status(200, found))
    said = export(server, root)
    assert said.code == 12
    assert said.err.count("error: ") == 1


# --- patience and breaks --------------------------------------------------------------------------


def test_an_export_and_an_import_survive_their_connection(server: FakeJmap, root: Path) -> None:
    for skip in (2, 3):
        server.on("api", Drop("after"), skip=skip)
    assert export(server, root).code == 0
    with FakeJmap() as other:
        password(other, PASSWORD)
        other.store.merges = False
        other.on("Email/import", Drop("after"))
        other.on("Mailbox/set", Drop("before"))
        assert bring(other, root).code == 0
        assert len(other.store.mails) == 2


def test_a_login_that_is_refused(server: FakeJmap, root: Path) -> None:
    server.accepts = "another"
    export(server, root).refused(11)
    assert set(server.authorizations) != {""}


def test_no_word_of_mail_or_password_in_a_report(server: FakeJmap, root: Path) -> None:
    assert export(server, root).code == 0
    with FakeJmap() as other:
        password(other, PASSWORD)
        words = BODY.decode()
        other.verdict = lambda _octets, _wanted: {"type": "invalidEmail", "description": "no"}
        said = bring(other, root, "--json")
        assert said.code == 3
        assert words not in said.out
        assert {each["code"] for f in said.report["folders"] for each in f["failed"]} == {
            "bad-message"
        }
