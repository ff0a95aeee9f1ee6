"""Whose mail it is: several accounts of one login, another server, a server that counts more."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import archive_facts
from exporting import export, mail
from importing import place
from portarchive.connectors.base import Wanted
from portarchive.connectors.jmap import JmapSource, open_source, open_target
from portarchive.errors import SettingsError, WrongSource
from portarchive.jobs.report import ExportReport
from portarchive.placing import FolderLook, Present
from portarchive.records import FolderDone, FolderFailed, FolderOpened, MessageRef
from servers.jmap_methods import Methods
from servers.jmap_server import FakeJmap
from servers.jmap_store import Store

INBOX = ("INBOX",)


@pytest.fixture
def server() -> Iterator[FakeJmap]:
    with FakeJmap() as running:
        yield running


def several(server: FakeJmap, patch: pytest.MonkeyPatch, **named: dict[str, Any]) -> dict[str, Any]:
    """More accounts of the login: by id, with what the session object says of each."""
    own, real = server.account, Methods._done
    stores = {own: server.store} | {key: Store() for key in named}

    def session(found: dict[str, Any]) -> dict[str, Any]:
        for key, said in named.items():
            found["accounts"][key] = found["accounts"][own] | said
        return found

    def done(self: Methods, name: str, arguments: dict[str, Any], answers: list[Any]) -> Any:
        wanted = arguments.get("accountId")
        self.store = stores[wanted]
        return real(self, name, arguments | {"accountId": own}, answers) | {"accountId": wanted}

    server.edit_session = session
    patch.setattr(Methods, "_done", done)
    return stores


def fill(store: Store, *numbers: int, path: tuple[str, ...] = INBOX) -> None:
    for number in numbers:
        store.add(path, mail(f"{number}"))


def run(server: FakeJmap, root: Path, **settings: Any) -> ExportReport:
    source = open_source(server.settings(**settings))
    try:
        return export(source, root)
    finally:
        source.close()


def opened(server: FakeJmap, **settings: Any) -> JmapSource:
    return open_source(server.settings(**settings))


def sums(store: Store) -> set[str]:
    return {store.blobs[each.blob_id].sha256 for each in store.mails.values()}


def stored(root: Path) -> set[str]:
    facts = archive_facts.check(root)
    return {item.sha256 for items in facts.items.values() for item in items}


PERSONAL = {"name": "second", "isPersonal": True}
SHARED = {"name": "Info", "isPersonal": False}


# --- accounts of one login ------------------------------------------------------------------------


def test_the_identity_is_the_login_for_ones_own_account_only(
    server: FakeJmap, monkeypatch: pytest.MonkeyPatch
) -> None:
    several(server, monkeypatch, two=PERSONAL, s1=SHARED, s2=SHARED)
    found = []
    for account in (None, server.account, "second", "two", "s1", "s2", "info (S2)"):
        source = opened(server, account=account)
        found.append(source.identity().account)
        source.close()
    assert found == [
        "jane", "jane", "second (two)", "second (two)", "Info (s1)", "Info (s2)", "Info (s2)"
    ]  # fmt: skip


def test_an_account_whose_name_is_its_id(server: FakeJmap, monkeypatch: pytest.MonkeyPatch) -> None:
    several(server, monkeypatch, joe={**SHARED, "name": "joe"}, jane={**SHARED, "name": "jane"})
    found = []
    for account in (None, "joe", "jane"):
        source = opened(server, account=account)
        found.append(source.identity().account)
        source.close()
    assert found == ["jane", "joe", "jane (jane)"]


@pytest.mark.parametrize(("personal", "account"), [(True, "jane"), (False, "Jane")])
def test_the_only_account_of_a_server_that_names_no_primary_one(
    server: FakeJmap, personal: bool, account: str
) -> None:
    def session(found: dict[str, Any]) -> dict[str, Any]:
        found["accounts"][server.account] |= {"name": "Jane", "isPersonal": personal}
        return found | {"primaryAccounts": {}}

    server.edit_session = session
    source = opened(server)
    assert source.identity().account == account
    source.close()


def test_accounts_of_one_name_are_told_apart_by_their_ids(
    server: FakeJmap, monkeypatch: pytest.MonkeyPatch
) -> None:
    several(server, monkeypatch, two=PERSONAL, s1=SHARED, s2=SHARED)
    with pytest.raises(SettingsError) as caught:
        opened(server, account="Info")
    assert "Info (s1), Info (s2)" in (caught.value.hint or "")
    assert "second (" not in (caught.value.hint or "")
    heard: list[Any] = []
    opened(server, observer=heard.append).close()
    (notice,) = (each for each in heard if getattr(each, "code", "") == "other-accounts")
    assert notice.text.endswith("Info (s1), Info (s2), second")


@pytest.mark.parametrize(
    ("first", "then"), [(None, "second"), ("second", None), ("s1", "s2"), (None, "s1")]
)
def test_an_archive_is_of_one_account(
    server: FakeJmap,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    first: str | None,
    then: str | None,
) -> None:
    """Same ids of mailboxes and messages, same states."""
    stores = several(server, monkeypatch, two=PERSONAL, s1=SHARED, s2=SHARED)
    for at, store in enumerate(stores.values()):
        fill(store, *range(10 * at + 10, 10 * at + 15))
    assert run(server, tmp_path / "a", account=first).complete
    before = stored(tmp_path / "a")
    with pytest.raises(WrongSource):
        run(server, tmp_path / "a", account=then)
    assert stored(tmp_path / "a") == before


@pytest.mark.parametrize("token", ["whose", "other account", "other endpoint", "silent"])
def test_a_state_counts_only_where_it_was_had(
    server: FakeJmap, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    stores = several(server, monkeypatch, two=PERSONAL)
    for store in stores.values():
        fill(store, 1, 2, 3)
    own = opened(server)
    (box,) = own.folders()
    (done,) = (e for e in own.changes(Wanted(folders=[box], tokens={})) if type(e) is FolderDone)
    given = dict(done.token)
    source = own
    if token == "other account":
        source = opened(server, account="two")
    elif token == "other endpoint":
        source = opened(server, host="localhost")
    elif token == "silent":
        given = {"state": given["state"], "mailbox_id": box.uid}
    (box,) = source.folders()
    found = list(source.changes(Wanted(folders=[box], tokens={box.folder_id: given})))
    assert [e.complete for e in found if isinstance(e, FolderOpened)] == [token != "whose"]
    refs = [each for each in found if isinstance(each, MessageRef)]
    assert len(refs) == (0 if token == "whose" else 3)
    assert all(ref.message_id for ref in refs), "for matching"
    own.close()
    source.close()


def test_archives_of_versions_whose_tokens_do_not_say_whose_they_are(
    server: FakeJmap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Listed anew once, nothing is fetched again; and what went meanwhile is noticed."""
    root = tmp_path / "a"
    fill(server.store, *range(5))
    with monkeypatch.context() as patch:
        patch.setattr(
            "portarchive.connectors.jmap.changes._token", lambda _, state: {"state": state}
        )
        run(server, root)
    entry = archive_facts.check(root).ledger("INBOX")
    assert set(entry["state"]) == {"state"}
    server.store.destroy(next(iter(server.store.mails)))
    fill(server.store, 77)
    server.calls.clear()
    report = run(server, root)
    assert report.complete
    assert (report.totals.fetched, server.calls["Email/query"]) == (1, 1)
    assert stored(root) == sums(server.store)
    entry = archive_facts.check(root).ledger("INBOX")
    assert entry["state"]["account"] == server.account
    server.calls.clear()
    server.requests.clear()
    assert not run(server, root).published
    assert sum(server.requests.values()) <= 3
    assert not server.calls["Email/query"]
    assert not server.calls["Blob/get"]


def test_an_account_that_was_imported_into_is_not_another_one(
    server: FakeJmap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was placed into one is not taken to be in the other, whose ids are the same."""
    with FakeJmap() as origin:
        fill(origin.store, *range(10, 15))
        run(origin, tmp_path / "a")
        wanted = sums(origin.store)
    stores = several(server, monkeypatch, two=PERSONAL)
    server.store.merges = stores["two"].merges = False
    fill(stores["two"], *range(20, 25))
    for account in (None, "second"):
        target = open_target(server.settings(account=account))
        place(tmp_path / "a", target, tmp_path / "state")
        target.close()
        for mine, other in zip(
            stores["two"].mails.values(), server.store.mails.values(), strict=False
        ):
            mine.received = other.received
    assert wanted <= sums(server.store)
    assert wanted <= sums(stores["two"])


# --- another server -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["other sizes", "other octets", "the same", "few"])
def test_another_server_with_the_same_login_and_the_same_ids(
    server: FakeJmap, tmp_path: Path, kind: str
) -> None:
    root = tmp_path / "a"
    count = 2 if kind == "few" else 5
    with FakeJmap() as other:
        for box in range(3):
            numbers = range(10 * box + 10, 10 * box + 10 + count)
            fill(server.store, *numbers, path=(f"F{box}",))
            shift = {"other sizes": 1000, "other octets": 50}.get(kind, 0)
            fill(other.store, *(n + shift for n in numbers), path=(f"F{box}",))
            for mine, its in zip(
                server.store.mails.values(), other.store.mails.values(), strict=True
            ):
                its.received = mine.received
        run(server, root)
        if kind == "the same":
            other.store.destroy(next(iter(other.store.mails)))
            fill(other.store, 99)
            report = run(other, root, host="localhost")
            assert report.totals.fetched == 1, "by ids, whatever the old state was"
            assert stored(root) == sums(other.store)
            return
        before = stored(root)
        with pytest.raises(WrongSource):
            run(other, root, host="localhost")
        assert stored(root) == before


# --- more is counted than listed ------------------------------------------------------------------


def capped(patch: pytest.MonkeyPatch, most: int, *, whole_account: bool = False) -> None:
    """Queries that end early and say that this is all."""
    real = Methods._page

    def page(self: Methods, arguments: dict[str, Any], ids: list[str]) -> dict[str, Any]:
        short = not whole_account or not arguments.get("filter")
        return real(self, arguments, ids[:most] if short else ids)

    patch.setattr(Methods, "_page", page)


def test_what_a_query_of_all_does_not_list_is_asked_for_folder_by_folder(
    server: FakeJmap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(server.store, *range(30))
    fill(server.store, *range(50, 60), path=("Work",))
    capped(monkeypatch, 20, whole_account=True)
    report = run(server, tmp_path / "a")
    assert report.complete
    assert stored(tmp_path / "a") == sums(server.store)
    assert not run(server, tmp_path / "a").published


def test_what_no_query_lists_is_an_error_and_the_rest_is_kept(
    server: FakeJmap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "a"
    fill(server.store, *range(30))
    fill(server.store, *range(50, 60), path=("Work",))
    capped(monkeypatch, 20)
    report = run(server, root)
    assert not report.complete
    facts = archive_facts.check(root)
    assert len(facts.items["INBOX"]) == 20
    assert facts.ledger("INBOX")["error"]["code"] == "listing-mismatch"
    assert "error" not in facts.ledger("Work")
    monkeypatch.undo()
    assert run(server, root).complete
    assert stored(root) == sums(server.store)


def test_mail_that_comes_while_it_is_looked_again(
    server: FakeJmap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of the second look counts then; the next run lists the folder whole."""
    root = tmp_path / "a"
    fill(server.store, *range(30))
    with monkeypatch.context() as patch:
        capped(patch, 20, whole_account=True)
        real = Methods.email_query

        def query(self: Methods, arguments: dict[str, Any]) -> dict[str, Any]:
            if arguments.get("filter"):
                fill(server.store, 1000 + len(server.store.mails))
            return real(self, arguments)

        patch.setattr(Methods, "email_query", query)
        run(server, root)
    server.calls.clear()
    assert run(server, root).complete
    assert server.calls["Email/query"]
    assert stored(root) == sums(server.store)


def looked(server: FakeJmap) -> list[Any]:
    target = open_target(server.settings())
    found = list(target.existing([box.folder_id for box in target.folders()]))
    target.close()
    return found


def test_a_target_that_counts_more_than_it_lists_is_not_placed_into(
    server: FakeJmap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FakeJmap() as origin:
        fill(origin.store, *range(30))
        run(origin, tmp_path / "a")
    server.store.merges = False
    target = open_target(server.settings())
    place(tmp_path / "a", target, tmp_path / "first")
    assert len(server.store.mails) == 30
    capped(monkeypatch, 20)
    place(tmp_path / "a", target, tmp_path / "second")
    target.close()
    assert len(server.store.mails) == 30, "nothing twice"
    (failed,) = looked(server)
    assert isinstance(failed, FolderFailed)
    assert failed.code == "listing-mismatch"


def test_a_target_from_which_mail_goes_while_it_is_looked_at(
    server: FakeJmap, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(server.store, *range(5))
    real, going = Methods.email_query, [next(iter(server.store.mails))]

    def query(self: Methods, arguments: dict[str, Any]) -> dict[str, Any]:
        if going:
            server.store.destroy(going.pop())
        return real(self, arguments)

    monkeypatch.setattr(Methods, "email_query", query)
    look, *presents = looked(server)
    assert isinstance(look, FolderLook)
    assert len(presents) == 4
    assert all(isinstance(each, Present) for each in presents)
