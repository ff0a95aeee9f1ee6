"""What changed in a JMAP account: nothing is lost, no ghost stays, no more is asked than needed.

Exports are real ones; the server is the fake one, whose owner acts between two of its answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from test_jmap_srv import NameServer, name_server  # noqa: F401  a fixture

import archive_facts
from exporting import export
from portarchive.cli import main
from portarchive.connectors.base import Wanted
from portarchive.connectors.jmap import JmapSource, discovery, open_source, srv, state
from portarchive.errors import ServerMisbehaved, TokenLost, Unreachable
from portarchive.jobs.report import ExportReport
from portarchive.records import Folder, FolderDone, FolderFailed, FolderOpened, MessageRef
from servers.jmap_faults import Error, Status
from servers.jmap_methods import Methods
from servers.jmap_server import PASSWORD, FakeJmap

INBOX = ("INBOX",)
WORK = ("Work",)
OTHER = ("Other",)

Answer = dict[str, Any]


def mail(number: int) -> bytes:
    return b"Message-ID: <%d@example.org>\r\nSubject: %d\r\n\r\nbody\r\n" % (number, number)


@pytest.fixture
def server() -> Iterator[FakeJmap]:
    with FakeJmap() as running:
        running.store.create(WORK)
        running.store.changes = partial(changes, running)  # type: ignore[method-assign]
        yield running


def changes(server: FakeJmap, kind: str, since: str, most: int | None) -> Answer | None:
    """As a store has them; counts are properties of mailboxes, which so change with their mail."""
    found = type(server.store).changes(server.store, kind, since, most)
    if kind == "Mailbox" and found is not None and not found["hasMoreChanges"]:
        told = {*found["created"], *found["updated"], *found["destroyed"]}
        mails = any(what == "Email" for what, _, _ in server.store.log[int(since) :])
        rest = sorted(server.store.boxes.keys() - told) if mails else []
        found = {**found, "updated": sorted([*found["updated"], *rest])}
    return found


@pytest.fixture
def source(server: FakeJmap) -> Iterator[JmapSource]:
    opened = open_source(server.settings())
    yield opened
    opened.close()


def fill(server: FakeJmap, count: int, path: tuple[str, ...] = INBOX) -> list[str]:
    first = len(server.store.mails)
    return [server.store.add(path, mail(first + number)) for number in range(count)]


def events(
    source: JmapSource,
    folders: Sequence[Folder] | None = None,
    tokens: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[Any]:
    asked = source.folders() if folders is None else folders
    return list(source.changes(Wanted(folders=asked, tokens=tokens or {})))


def of(kind: type, found: list[Any]) -> list[Any]:
    return [event for event in found if isinstance(event, kind)]


def run(server: FakeJmap, root: Path, **options: Any) -> ExportReport:
    source = open_source(server.settings())
    try:
        return export(source, root, **options)
    finally:
        source.close()


def has(root: Path) -> dict[str, dict[str, list[str]]]:
    """Items by folder: uid and flags. Every item is there once."""
    facts = archive_facts.check(root)
    for items in facts.items.values():
        assert len({item.uid for item in items}) == len(items)
    return {
        path: {item.uid: sorted(item.flags) for item in items}
        for path, items in facts.items.items()
    }


def holds(server: FakeJmap) -> dict[str, dict[str, list[str]]]:
    store = server.store
    found: dict[str, dict[str, list[str]]] = {
        "/".join(store.path(box)): {} for box in store.boxes.values()
    }
    for each in store.mails.values():
        for key in each.boxes:
            found["/".join(store.path(store.boxes[key]))][each.mail_id] = sorted(each.keywords)
    return found


def after(
    monkeypatch: pytest.MonkeyPatch, name: str, act: Callable[[], object], at: int = 1
) -> None:
    """The owner acts right after the server answered a method for the so-manyth time."""
    real = getattr(Methods, name)
    count = 0

    def method(self: Methods, *arguments: Any) -> Any:
        nonlocal count
        found = real(self, *arguments)
        count += 1
        if count == at:
            act()
        return found

    monkeypatch.setattr(Methods, name, method)


def instead(
    monkeypatch: pytest.MonkeyPatch, name: str, edit: Callable[[Answer, Answer], Answer]
) -> None:
    """The server answers something else: made of its arguments and its right answer."""
    real = getattr(Methods, name)
    monkeypatch.setattr(Methods, name, lambda self, asked: edit(asked, real(self, asked)))


def lying(
    monkeypatch: pytest.MonkeyPatch,
    server: FakeJmap,
    kind: str,
    edit: Callable[[str, Answer | None], Answer | None],
) -> None:
    """It says something else of what changed: made of the state asked for and the right answer."""
    real = server.store.changes

    def said(asked: str, since: str, most: int | None) -> Answer | None:
        found = real(asked, since, most)
        return edit(since, found) if asked == kind else found

    monkeypatch.setattr(server.store, "changes", said)


def uncounted(monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not say how many messages there are, so that no count mends what is wrong."""

    def edit(_: Answer, found: Answer) -> Answer:
        return {**found, "list": [{**each, "totalEmails": None} for each in found["list"]]}

    instead(monkeypatch, "mailbox_get", edit)


# --- mailboxes ----------------------------------------------------------------------------------


def token_of(source: JmapSource) -> dict[str, dict[str, Any]]:
    return {done.folder_id: done.token for done in of(FolderDone, events(source))}


def updated(source: JmapSource, server: FakeJmap, act: Callable[[], object]) -> list[Any]:
    """An update after a flag, the owner acting between the list of folders and what changed."""
    tokens = token_of(source)
    marked(server, next(iter(server.store.mails)))
    folders = source.folders()
    act()
    server.calls.clear()
    server.requests.clear()
    return events(source, folders=folders, tokens=tokens)


def counts(found: list[Any]) -> dict[tuple[str, ...], int]:
    return {event.folder.path: event.counts["exists"] for event in of(FolderOpened, found)}


def test_mailboxes_that_changed_come_in_the_same_request_and_no_others(
    server: FakeJmap, source: JmapSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(server, 3)
    asked: list[Any] = []
    instead(monkeypatch, "mailbox_get", lambda each, found: (asked.append(each["ids"]), found)[1])

    def act() -> None:
        fill(server, 1)
        asked.clear()

    found = updated(source, server, act)
    boxes = sorted(server.store.boxes)
    assert asked == [[], boxes]
    assert server.calls["Mailbox/changes"] == 1
    assert server.requests["api"] == 3  # what changed and mailboxes, the Email, the last look
    assert counts(found) == {INBOX: 4, WORK: 0}
    assert len(of(MessageRef, found)) == 2


def test_names_and_rights_and_mailboxes_that_are_gone(server: FakeJmap, source: JmapSource) -> None:
    fill(server, 2)
    fill(server, 1, WORK)
    server.store.create(OTHER)

    def act() -> None:
        box = server.store.box_at(WORK)
        box.name, box.order, box.rights = "Labour", 7, {"mayDelete": False}
        server.store.log.append(("Mailbox", "updated", box.box_id))
        server.store.remove_box(server.store.box_at(OTHER).box_id)
        fill(server, 1)

    found = updated(source, server, act)
    (work,) = [e.folder for e in of(FolderOpened, found) if e.folder.path == WORK]
    assert (work.sort_order, work.rights) == (7, "lrswipkte")
    (failed,) = of(FolderFailed, found)
    assert failed.code == "folder-unavailable"
    assert server.calls["Mailbox/get"] == 2
    assert len(of(MessageRef, found)) == 2


@pytest.mark.parametrize(
    "kind", ["cannotCalculateChanges", "invalidArguments", "unknownMethod", "serverFail"]
)
def test_a_server_that_cannot_tell_which_mailboxes_changed(
    server: FakeJmap, source: JmapSource, kind: str
) -> None:
    fill(server, 3)
    server.on("Mailbox/changes", Error(kind), times=1000)
    found = updated(source, server, lambda: fill(server, 2, WORK))
    assert counts(found) == {INBOX: 3, WORK: 2}
    assert len(of(MessageRef, found)) == 3


def test_a_mailbox_get_that_fails_is_asked_again(server: FakeJmap, source: JmapSource) -> None:
    fill(server, 3)

    def act() -> None:
        server.on("Mailbox/get", Error("serverFail"), skip=1)
        fill(server, 1)

    found = updated(source, server, act)
    assert counts(found) == {INBOX: 4, WORK: 0}


@pytest.mark.parametrize("most", [1, 2, 3])
def test_a_server_that_takes_few_calls_at_once(most: int) -> None:
    with FakeJmap(maxCallsInRequest=most) as server:
        server.store.changes = partial(changes, server)  # type: ignore[method-assign]
        fill(server, 2)
        source = open_source(server.settings())
        found = updated(source, server, lambda: fill(server, 2))
        assert counts(found) == {INBOX: 4}
        assert server.calls["Mailbox/get"] == 1
        assert server.calls["Mailbox/changes"] == 1
        source.close()


def test_changes_of_mailboxes_in_many_pages(server: FakeJmap, source: JmapSource) -> None:
    fill(server, 2)
    server.most_changes = 2

    def act() -> None:
        for number in range(5):
            server.store.create((f"Box {number}",))
        for name in ("Box 1", "Box 3"):
            server.store.remove_box(server.store.box_at((name,)).box_id)
        fill(server, 1)

    before = state.survey(source.session)
    act()
    survey = state.survey(source.session, before)
    assert server.calls["Mailbox/changes"] > 2
    assert server.calls["Mailbox/get"] == 4  # of all, by two references in vain, of those told
    assert {box.folder.path for box in survey.boxes.values()} == {
        INBOX, WORK, ("Box 0",), ("Box 2",), ("Box 4",),
    }  # fmt: skip
    assert survey.boxes == state.survey(source.session).boxes


def test_a_mailbox_that_changes_again_between_two_pages(
    server: FakeJmap, source: JmapSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What came with the first page is old by the last."""
    before = state.survey(source.session)
    box = server.store.box_at(WORK)

    def edit(since: str, found: Answer | None) -> Answer:
        more = found is not None
        box.order = 3 if more else 9
        return {
            "oldState": since, "newState": "one" if more else "two", "hasMoreChanges": more,
            "created": [], "updated": [box.box_id], "destroyed": [],
        }  # fmt: skip

    lying(monkeypatch, server, "Mailbox", edit)
    assert state.survey(source.session, before).boxes[box.box_id].folder.sort_order == 9


def test_more_mailboxes_than_a_server_gives_at_once_are_listed_once() -> None:
    with FakeJmap(maxObjectsInGet=4) as server:
        for number in range(11):
            server.store.create((f"Box {number}",))
        source = open_source(server.settings())
        before = state.survey(source.session)
        server.store.create(("Late",))
        server.calls.clear()
        survey = state.survey(source.session, before)
        assert len(survey.boxes) == 13
        assert server.calls["Mailbox/query"] == 0
        # by id: by reference they may be more than are given
        assert server.calls["Mailbox/get"] == 1
        source.close()


def hostile(kind: str, server: FakeJmap) -> Callable[[str, Answer | None], Answer | None]:
    """What a server may say of its mailboxes."""

    def edit(since: str, found: Answer | None) -> Answer | None:
        found = found or {"oldState": since}
        return {
            "a parent destroyed": {**found, "destroyed": [server.store.box_at(WORK).box_id]},
            "ids that nobody has": {**found, "updated": ["nobody"], "destroyed": ["none"]},
            "no ids": {**found, "created": [7, None]},
            "no lists": {**found, "created": None, "updated": {}},
            "no state": {**found, "newState": None},
            "circles": {**found, "hasMoreChanges": True, "newState": since},
            "for ever": {
                **found, "hasMoreChanges": True, "newState": since + "'", "created": [],
                "updated": [], "destroyed": [],
            },
        }[kind]  # fmt: skip

    return edit


@pytest.mark.parametrize(
    "kind",
    [
        "a parent destroyed", "ids that nobody has", "no ids", "no lists", "no state", "circles",
        "for ever",
    ],
)  # fmt: skip
def test_nonsense_about_mailboxes_costs_a_whole_list_and_no_more(
    server: FakeJmap, source: JmapSource, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    server.store.create((*WORK, "Deep"))
    before = state.survey(source.session)
    lying(monkeypatch, server, "Mailbox", hostile(kind, server))
    survey = state.survey(source.session, before)
    assert survey.boxes == state.survey(source.session).boxes
    assert not any(box.notes for box in survey.boxes.values())


def test_mailboxes_that_were_not_asked_for_are_not_taken(
    server: FakeJmap, source: JmapSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = state.survey(source.session)
    fill(server, 1)
    stranger = {"id": "stranger", "name": "Stranger", "parentId": None, "totalEmails": 9}
    instead(
        monkeypatch, "mailbox_get",
        lambda _, found: {**found, "list": [*found["list"], stranger]},
    )  # fmt: skip
    assert {box.folder.path for box in state.survey(source.session, before).boxes.values()} == {
        INBOX, WORK,
    }  # fmt: skip


# --- what comes and goes while an account is read -----------------------------------------------


def moved(server: FakeJmap, uid: str) -> None:
    server.store.change_boxes(server.store.mails[uid], {server.store.box_at(WORK).box_id})


def marked(server: FakeJmap, uid: str) -> None:
    server.store.mails[uid].keywords = {"$flagged"}
    server.store.touch(server.store.mails[uid])


def destroyed(server: FakeJmap, uid: str) -> None:
    server.store.destroy(uid)


def staying(server: FakeJmap, uid: str) -> None:
    assert uid in server.store.mails


FATES = pytest.mark.parametrize(
    "fate", [staying, moved, marked, destroyed], ids=lambda each: each.__name__
)


def forgetful(monkeypatch: pytest.MonkeyPatch, server: FakeJmap) -> None:
    """Of an Email that came and went it says nothing at all (RFC 8620 section 5.2)."""

    def edit(since: str, found: Answer | None) -> Answer | None:
        if found is None:
            return None
        log = server.store.log[int(since) :]
        new = {key for what, change, key in log if (what, change) == ("Email", "created")}
        return {**found, "destroyed": [key for key in found["destroyed"] if key not in new]}

    lying(monkeypatch, server, "Email", edit)


@FATES
@pytest.mark.parametrize("when", ["state", "query", "ids looked at", "Emails", "octets"])
@pytest.mark.parametrize("at_once", [True, False], ids=["in the run", "after it"])
def test_what_comes_while_an_account_is_listed_is_no_ghost_later(
    server: FakeJmap, tmp_path: Path, fate: Any, when: str, at_once: bool
) -> None:
    """It comes after some answer; then it goes its way, in the same run or before the next one."""
    fill(server, 3)
    came: list[str] = []
    arrives = {"state": ("email_get", 2), "query": ("email_query", 1)}

    def arrive() -> None:
        came.extend(fill(server, 1))

    def go() -> None:
        if came:
            fate(server, came[0])

    root = tmp_path / "archive"
    with pytest.MonkeyPatch.context() as patch:
        forgetful(patch, server)
        uncounted(patch)
        if when in arrives:
            after(patch, arrives[when][0], arrive, arrives[when][1])
        else:
            places = {"ids looked at": "email_get", "Emails": "email_get", "octets": "blob_get"}
            after(patch, places[when], arrive, {"ids looked at": 3}.get(when, 1))
        if at_once:
            after(patch, "blob_get", go)
        run(server, root)
        if not at_once:
            go()
        run(server, root)
        run(server, root)
    assert came
    assert has(root) == holds(server)


@FATES
def test_what_is_told_as_new_a_second_time(server: FakeJmap, tmp_path: Path, fate: Any) -> None:
    """An arrival in the last moment of the first listing; the export goes on to be exact."""
    root = tmp_path / "archive"
    fill(server, 2)
    with pytest.MonkeyPatch.context() as patch:
        forgetful(patch, server)
        uncounted(patch)
        late: list[str] = []
        after(patch, "email_get", lambda: late.extend(fill(server, 1)), 2)
        report = run(server, root)
        assert report.complete
        assert has(root) == holds(server)  # it is had in the same run
        fate(server, late[0])
        run(server, root)
    assert has(root) == holds(server)


def test_nothing_is_named_after_what_cannot_be_told_any_more(
    server: FakeJmap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flag of a message that was named, then an arrival: both are left to the next run."""
    root = tmp_path / "archive"
    first = fill(server, 2)[0]
    forgetful(monkeypatch, server)
    uncounted(monkeypatch)
    came: list[str] = []

    def act() -> None:
        marked(server, first)
        came.extend(fill(server, 1))

    with pytest.MonkeyPatch.context() as patch:
        after(patch, "blob_get", act)
        report = run(server, root)
    assert archive_facts.check(root).ledger("INBOX")["arrived_later"] == 1
    assert report.complete
    assert came[0] not in has(root)["INBOX"]
    server.store.destroy(came[0])
    run(server, root)
    assert has(root) == holds(server)
    assert has(root)["INBOX"][first] == ["$flagged"]


@pytest.mark.parametrize("lively", [True, False])
def test_a_server_that_cannot_tell_what_came_meanwhile(
    server: FakeJmap, tmp_path: Path, lively: bool
) -> None:
    """Such folders are listed whole the next time, unless the state is the very same."""
    root = tmp_path / "archive"
    fill(server, 3)
    late: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        forgetful(patch, server)
        uncounted(patch)
        if lively:
            after(patch, "email_get", lambda: late.extend(fill(server, 1)), 2)
        server.on("Email/changes", Error("cannotCalculateChanges"), times=2)
        run(server, root)
        for uid in late:
            server.store.destroy(uid)
        server.calls.clear()
        run(server, root)
        assert server.calls["Email/query"] == (1 if lively else 0)
    assert has(root) == holds(server)


# --- answers that are not to be believed --------------------------------------------------------


def test_ids_that_are_left_out_are_a_limit_that_is_found(
    server: FakeJmap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither in ``list`` nor in ``notFound``: what did not fit was cut off."""
    fill(server, 20)
    instead(monkeypatch, "email_get", lambda _, found: {**found, "list": found["list"][:3]})
    report = run(server, tmp_path / "a")
    assert report.complete
    assert has(tmp_path / "a") == holds(server)


def test_a_message_that_is_always_left_out_is_no_empty_place(
    server: FakeJmap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = fill(server, 3)
    root = tmp_path / "a"
    run(server, root)
    fill(server, 1)
    instead(
        monkeypatch, "email_get",
        lambda _, found: {**found, "list": [e for e in found["list"] if e["id"] != ids[1]]},
    )  # fmt: skip
    marked(server, ids[1])
    report = run(server, root)
    assert not report.complete
    assert set(ids) <= has(root)["INBOX"].keys()
    source = open_source(server.settings())
    with pytest.raises(ServerMisbehaved, match="leaves out"):
        events(source)
    source.close()


@pytest.mark.parametrize("kind", ["circles", "for ever", "ever more"])
def test_changes_that_go_in_circles_mean_a_whole_listing(
    server: FakeJmap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(state, "MOST_CHANGES", 50)
    ids = fill(server, 5)
    root = tmp_path / "a"
    run(server, root)
    fill(server, 2)
    server.store.destroy(ids[0])
    moved(server, ids[1])
    marked(server, ids[2])
    numbers = iter(range(10_000))

    def edit(since: str, found: Answer | None) -> Answer:
        assert found is None or isinstance(found, dict)
        number = next(numbers)
        news = [f"X{number}-{at}" for at in range(10)] if kind == "ever more" else []
        state_ = f"s{number % 3}" if kind == "circles" else f"s{number}"
        return {
            "oldState": since, "newState": state_, "hasMoreChanges": True, "created": news,
            "updated": [ids[3]], "destroyed": [],
        }  # fmt: skip

    with pytest.MonkeyPatch.context() as patch:
        lying(patch, server, "Email", edit)
        with pytest.raises(TokenLost):
            state.changes(open_source(server.settings()).session, "1")
        report = run(server, root)
    assert report.complete
    assert has(root) == holds(server)
    assert sum(map(len, has(root).values())) == 6
    run(server, root)
    assert has(root) == holds(server)


@pytest.mark.parametrize("kind", ["forbidden", "serverFail", "invalidArguments", "tooManyChanges"])
def test_a_query_that_is_refused_is_no_empty_folder(
    server: FakeJmap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    root = tmp_path / "a"
    fill(server, 10)
    uncounted(monkeypatch)
    run(server, root)
    before = has(root)
    server.store.forgets = 10_000
    server.on("Email/query", Error(kind), times=10_000)
    fill(server, 1, WORK)
    report = run(server, root, mirror=True)
    assert not report.complete
    assert has(root)["INBOX"] == before["INBOX"]


def cut_off(kind: str) -> Callable[[Answer, Answer], Answer]:
    """A query whose answer ends before its end."""

    def edit(asked: Answer, found: Answer) -> Answer:
        if kind == "empty, with a total":
            return {**found, "ids": []}
        if kind == "empty, no total":
            return {"ids": [], "position": 0, "queryState": "s"}
        if kind == "empty, and says so":
            return {**found, "ids": [], "total": 0}
        first = not asked.get("position") and asked.get("anchor") is None
        return {**found, "ids": found["ids"][:7] if first else []}

    return edit


@pytest.mark.parametrize(
    "kind", ["empty, with a total", "empty, no total", "empty, and says so", "after a page"]
)
@pytest.mark.parametrize("mirror", [True, False])
def test_a_query_that_is_cut_off_is_no_empty_folder(
    server: FakeJmap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, mirror: bool
) -> None:
    root = tmp_path / "a"
    fill(server, 30)
    run(server, root)
    before = has(root)
    server.store.forgets = 10_000
    server.store.log.append(("Thread", "updated", "T"))
    instead(monkeypatch, "email_query", cut_off(kind))
    report = run(server, root, mirror=mirror)
    assert not report.complete
    assert has(root) == before
    monkeypatch.undo()
    monkeypatch.setattr(server.store, "forgets", 0)
    assert run(server, root).complete


def test_a_first_export_from_a_query_that_is_cut_off(
    server: FakeJmap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(server, 30)
    instead(monkeypatch, "email_query", cut_off("empty, no total"))
    monkeypatch.setenv("PORTARCHIVE_PASSWORD", PASSWORD)
    root = tmp_path / "a"
    assert main(["export", f"jmap://{server.user}@127.0.0.1:{server.port}", str(root)]) == 3
    assert archive_facts.check(root).ledger("INBOX")["error"]["code"] == "listing-mismatch"


def test_a_listing_that_is_not_what_the_server_counts_is_noted(
    server: FakeJmap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(server, 30)
    instead(
        monkeypatch, "email_query",
        lambda _, found: {**found, "ids": found["ids"][:20], "total": 20},
    )  # fmt: skip
    run(server, tmp_path / "a")
    entry = archive_facts.check(tmp_path / "a").ledger("INBOX")
    assert entry["notes"] == [{"code": "count-mismatch", "exists": 30, "listed": 20}]


def test_messages_that_go_while_they_are_listed_are_no_contradiction(
    server: FakeJmap, tmp_path: Path
) -> None:
    """The last one of a folder goes between the second look at the state and its description."""
    root = tmp_path / "a"
    (uid,) = fill(server, 1)
    with pytest.MonkeyPatch.context() as patch:
        after(patch, "email_query", lambda: patch.undo() or strike(patch), 1)

        def strike(patch: pytest.MonkeyPatch) -> None:
            real = server.store.changes

            def once(kind: str, since: str, most: int | None) -> Answer | None:
                found = real(kind, since, most)
                if kind == "Email" and uid in server.store.mails:
                    server.store.destroy(uid)
                return found

            patch.setattr(server.store, "changes", once)

        report = run(server, root)
    assert report.complete
    assert has(root) == holds(server)


def test_messages_that_go_between_two_pages_are_no_contradiction(
    server: FakeJmap, tmp_path: Path
) -> None:
    server.page = 4
    ids = fill(server, 10)
    with pytest.MonkeyPatch.context() as patch:
        after(patch, "email_query", lambda: server.store.destroy(ids[9]), 2)
        report = run(server, tmp_path / "a")
    assert report.complete
    assert has(tmp_path / "a") == holds(server)


def test_a_query_with_ever_new_ids_ends(
    server: FakeJmap, source: JmapSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither memory nor time without end: so many more than the mailboxes count are not there."""
    monkeypatch.setattr(state, "SURPLUS", 100)
    fill(server, 3)
    numbers = iter(range(100_000))
    pages: list[int] = []

    def edit(_asked: Answer, _found: Answer) -> Answer:
        pages.append(1)
        return {"ids": [f"X{next(numbers)}" for _ in range(10)], "position": 0, "queryState": "s"}

    instead(monkeypatch, "email_query", edit)
    with pytest.raises(ServerMisbehaved, match="far more than there is"):
        events(source)
    assert len(pages) <= 11
    monkeypatch.setattr(state, "MOST", 30)
    pages.clear()
    uncounted(monkeypatch)
    with pytest.raises(ServerMisbehaved, match="far more than there is"):
        events(source)
    assert len(pages) <= 4


# --- by DNS -------------------------------------------------------------------------------------


def test_a_foreign_host_of_a_service_record_is_named_and_not_asked(
    name_server: NameServer,  # noqa: F811  the fixture
    server: FakeJmap,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = srv.lookup
    asked = partial(real, nameservers=("127.0.0.1",), port=name_server.port)
    monkeypatch.setattr(srv, "lookup", asked)
    name_server.records = [
        "10 1 443 JMAP.Provider.Example.", "20 1 443 other.example.",
        r"5 1 443 evil\027[31m.example.", "1 1 443 api.portarchive.invalid.",
    ]  # fmt: skip
    settings = server.settings(host="portarchive.invalid", port=443, tls=True)
    with pytest.raises(Unreachable) as caught:
        open_source(settings)
    error = caught.value
    assert name_server.asked == ["_jmap._tcp.portarchive.invalid."]
    assert error.code == "foreign-host"
    assert "jmap.provider.example, other.example" in error.text
    assert error.hint is not None
    assert "?allow-host=jmap.provider.example " in error.hint
    assert error.text.isprintable()
    assert "evil" not in error.text
    assert server.authorizations == []
    name_server.records = ["10 1 443 api.portarchive.invalid."]
    with pytest.raises(Unreachable) as caught:
        open_source(settings)
    assert caught.value.code == Unreachable.code


@pytest.mark.parametrize("answer", [Status(404), Status(200, b"<html>")])
def test_a_web_site_is_no_reason_not_to_name_the_host(
    server: FakeJmap, monkeypatch: pytest.MonkeyPatch, answer: Status
) -> None:
    """The domain has a page for every address, its mail is elsewhere."""
    settings = server.settings()
    url = f"{settings.origin}/.well-known/jmap"
    monkeypatch.setattr(discovery, "_candidates", lambda *_: ([url], ["jmap.example"]))
    server.on("session", answer)
    with pytest.raises(Unreachable, match=r"another host, jmap\.example"):
        open_source(settings)
    open_source(settings).close()  # its own answer is taken where it is one


def test_the_owner_of_a_name_may_be_answered_by_itself(server: FakeJmap) -> None:
    """Without a record nothing is said of one."""
    server.on("session", Status(404))
    with pytest.raises(Unreachable) as caught:
        open_source(server.settings())
    assert caught.value.code == Unreachable.code
