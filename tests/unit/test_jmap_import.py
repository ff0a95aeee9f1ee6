"""Whole imports into the fake JMAP server: broken at every request, counted to the last message.

Each step is one HTTP request that never arrives, or whose answer does not. The job looks what is
there and brings the rest; a second run without any memory of the first finds everything.
"""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path

import pytest

from importing import account, archived, letter, place, totals
from portarchive.archive.contents import open_contents
from portarchive.connectors.jmap import importing as importing_windows
from portarchive.connectors.jmap import open_source, open_target, settle, windows
from portarchive.connectors.retry import RetryingSource
from portarchive.errors import ConnectorError
from portarchive.jobs.export import ExportOptions, run_export
from portarchive.progress import silent
from servers.jmap_faults import Drop, Error, Partly, Status
from servers.jmap_server import FakeJmap

TWIN = letter("twin")
BIG = letter("big", b"x" * 5_000)
MAIL = {
    "INBOX": [letter("a"), TWIN, TWIN, letter("b"), BIG],
    "Work": [TWIN, letter("c"), letter("c", b"y" * 2000)],
    "Work/2019": [letter("d")],
}
TOTAL = Counter((tuple(name.split("/")), each) for name in MAIL for each in MAIL[name])


@pytest.fixture(autouse=True)
def _small(monkeypatch) -> None:
    """One message is large, and the server does nothing any more for a lost connection."""
    monkeypatch.setattr(settle, "QUIET", 0.0)
    monkeypatch.setattr(windows, "INLINE", 4_000)
    monkeypatch.setattr(importing_windows, "INLINE", 4_000)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return archived(tmp_path_factory.mktemp("jmap") / "archive", account(**MAIL))


def there(server: FakeJmap) -> Counter:
    """What the account has."""
    store = server.store
    paths = {box.box_id: store.path(box) for box in store.boxes.values()}
    return Counter(
        (paths[box_id], store.blobs[mail.blob_id].octets)
        for mail in store.mails.values()
        for box_id in mail.boxes
    )


def meant(server: FakeJmap) -> Counter:
    """What it is to have: where equal octets are one Email they are once in a mailbox."""
    return Counter(dict.fromkeys(TOTAL, 1)) if server.store.merges else TOTAL


def run(server: FakeJmap, archive: Path, state: Path | None = None):
    target = open_target(server.settings())
    try:
        return place(archive, target, state)
    finally:
        target.close()


@pytest.mark.parametrize(
    ("where", "when", "merges", "blobs"),
    [
        ("api", "before", False, None),
        ("api", "after", False, "standard"),
        ("api", "after", True, None),
        ("upload", "before", True, "standard"),
        ("upload", "after", False, None),
    ],
)
def test_broken_at_every_request(archive, tmp_path, merges, blobs, when, where) -> None:
    for step in itertools.count():
        with FakeJmap(blobs=blobs) as server:
            server.store.merges = merges
            server.on(where, Drop(when), skip=step)
            report = run(server, archive, tmp_path / f"{step}")
            assert there(server) == meant(server), step
            assert not totals(report).get("failed"), step
            struck = not server._faults[0].times
            again = run(server, archive)
            assert there(server) == meant(server), step
            found = totals(again)
            assert not found.get("placed")
            assert found["present"] + found.get("merged", 0) == sum(TOTAL.values())
        if not struck:
            assert step > (3 if where == "api" else 0)
            return


@pytest.mark.parametrize("merges", [True, False], ids=["merges", "keeps copies"])
@pytest.mark.parametrize(
    "fault",
    [
        Error("serverUnavailable"),
        Partly(2),
        Error("serverFail"),
        Error("requestTooLarge"),
        Error("stateMismatch"),
    ],
    ids=lambda fault: getattr(fault, "type", "serverPartialFail"),
)
@pytest.mark.parametrize("method", ["Email/import", "Email/set", "Mailbox/set"])
def test_what_a_method_says_no_to_is_brought_at_last(archive, merges, fault, method) -> None:
    # one request at a time: both faults are to meet the window of many, not a message alone
    with FakeJmap(maxConcurrentRequests=1) as server:
        server.store.merges = merges
        server.on(method, fault, times=2)
        report = run(server, archive)
        assert there(server) == meant(server)
        assert not totals(report).get("failed")


@pytest.mark.parametrize("status", [429, 503, 500, 502])
def test_a_server_that_asks_for_patience_gets_it(archive, status) -> None:
    with FakeJmap() as server:
        for skip in (1, 2, 4):
            server.on("api", Status(status, {}, {"Retry-After": "1"}), skip=skip)
        assert not totals(run(server, archive)).get("failed")
        assert there(server) == meant(server)


def test_copies_are_counted_and_their_keywords_united(tmp_path) -> None:
    """KW-11, KW-12: one Email has one set of keywords: that of all its copies."""
    source = account(INBOX=[letter("a")])
    source.create_folder("Work")
    source.create_folder("Other")
    source.add(TWIN, "INBOX", flags=["$seen"], received="2024-01-01T00:00:00+01:00")
    source.add(TWIN, "Work", flags=["$flagged", "Label"], received="2023-01-01T00:00:00Z")
    source.add(TWIN, "Other", flags=[], received="2025-01-01T00:00:00Z")
    archive = archived(tmp_path / "archive", source)
    with FakeJmap() as server:
        report = run(server, archive)
        assert totals(report)["placed"] == totals(report)["merged"] == 2
        twin = server.store.twin(server.store.keep(TWIN))
        assert twin is not None
        assert twin.keywords == {"$seen", "$flagged", "label"}
        assert len(twin.boxes) == 3
        again = run(server, archive)
        assert totals(again)["present"] == 4


def test_one_message_in_several_mailboxes_stays_one(tmp_path) -> None:
    """From JMAP to JMAP the set of mailboxes is kept in one import."""
    with FakeJmap() as old, FakeJmap() as new:
        old.store.merges = new.store.merges = False
        paths = [("INBOX",), ("Work",), ("Work", "2019")]
        boxes = [old.store.create(path) for path in paths[1:]] + [
            old.store.box_at(("INBOX",)).box_id
        ]
        old.store.add_mail(old.store.keep(TWIN), boxes, {"$seen"}, "2024-01-01T00:00:00Z")
        old.store.add(("INBOX",), TWIN, ["$flagged"])
        source = RetryingSource(open_source(old.settings()), observer=silent)
        run_export(source, tmp_path / "a", ExportOptions(fsync=False), silent)
        source.close()
        with open_contents(tmp_path / "a") as contents:
            assert sum(1 for f in contents.folders() for _ in contents.items(f)) == 4
        run(new, tmp_path / "a")
        emails = list(new.store.mails.values())
        assert sorted(len(email.boxes) for email in emails) == [1, 3]
        assert sorted(map(sorted, (email.keywords for email in emails))) == [
            ["$flagged"],
            ["$seen"],
        ]
        assert new.calls["Email/import"] == 1


def test_a_full_account_ends_the_run_with_all_of_it_named(tmp_path) -> None:
    archive = archived(tmp_path / "archive", account(INBOX=[letter(f"{n}") for n in range(40)]))
    with FakeJmap() as server:
        full = {"type": "overQuota", "description": "full"}
        server.verdict = lambda _octets, _wanted: full if len(server.store.mails) >= 5 else None
        report = run(server, archive)
        assert report.ended == "over-quota"
        assert totals(report)["placed"] == 5
        assert totals(report)["failed"] == 35


def test_a_keyword_too_many_costs_no_message(tmp_path) -> None:
    source = account()
    source.add(letter("a"), "INBOX", flags=["$seen", "one", "two"])
    archive = archived(tmp_path / "archive", source)
    with FakeJmap() as server:
        server.mail_limits["maxKeywordsPerEmail"] = 2
        report = run(server, archive)
        (mail,) = server.store.mails.values()
        assert "$seen" in mail.keywords
        assert len(mail.keywords) == 2
        assert not totals(report).get("failed")


def test_credentials_that_die_are_asked_for_again(archive) -> None:
    with FakeJmap() as server:
        target = open_target(server.settings())
        server.on("api", Status(401), skip=2)
        report = place(archive, target)
        assert not totals(report).get("failed")
        assert there(server) == meant(server)
        server.on("api", Status(401), times=99)
        server.accepts = "another"
        with pytest.raises(ConnectorError) as raised:
            place(archive, target)
        assert server.secret.text not in repr(raised.value)
        target.close()


# --- limits ---------------------------------------------------------------------------------------

ROOMS = [f"F{number}" for number in range(5)]


@pytest.fixture
def spread(tmp_path: Path) -> Path:
    """An archive of one message in five mailboxes, the last of which is the inbox, and another."""
    with FakeJmap() as old:
        ids = [old.store.create((name,)) for name in ROOMS[1:]]
        ids.append(old.store.box_at(("INBOX",)).box_id)
        old.store.add_mail(old.store.keep(letter("a")), ids, ["$seen"], "2020-01-01T00:00:00Z")
        old.store.add((ROOMS[1],), letter("b"))
        source = RetryingSource(open_source(old.settings()), observer=silent)
        run_export(source, tmp_path / "spread", ExportOptions(fsync=False), silent)
        source.close()
    return tmp_path / "spread"


@pytest.mark.parametrize("how", ["announced", "real"])
@pytest.mark.parametrize("merges", [True, False], ids=["merges", "keeps copies"])
def test_a_message_in_more_mailboxes_than_it_may_be_in(spread, tmp_path, how, merges) -> None:
    """It is in as many as the server lets it be, the inbox among them, at every run."""
    with FakeJmap() as server:
        server.store.merges = merges
        (server.mail_limits if how == "announced" else server.real)["maxMailboxesPerEmail"] = 3
        for state in (tmp_path / "state", tmp_path / "state", None):
            report = run(server, spread, state)
            held = there(server)
            assert held[("INBOX",), letter("a")] == 1
            assert max(held.values()) == 1
            places = sum(octets == letter("a") for _, octets in held)
            failed = [entry["code"] for folder in report.folders for entry in folder.failed]
            if merges:
                assert places == 3
                assert failed == ["limit", "limit"]
            else:  # what is one message too many is another one
                assert places == 5
                assert not failed
            assert all(len(each.boxes) <= 3 for each in server.store.mails.values())


@pytest.mark.parametrize("fault", [None, Error("serverFail"), Error("requestTooLarge")], ids=str)
def test_subscriptions_within_a_limit_that_is_not_announced(tmp_path, fault) -> None:
    names = [f"S{number:02}" for number in range(40)]
    source = account(**{name: [letter(name)] for name in names})
    where = archived(tmp_path / "subscribed", source)
    with FakeJmap() as server:
        for name in names:
            server.store.create((name,))
            server.store.box_at((name,)).subscribed = False
        if fault is None:
            server.real["maxObjectsInSet"] = 10
        else:
            server.on("Mailbox/set", fault, times=2)
        report = run(server, where)
        assert all(server.store.box_at((name,)).subscribed for name in names)
        assert not [note for folder in report.folders for note in folder.notes]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("blobs", ["standard", None])
def test_what_was_joined_when_the_answer_got_lost_is_merged(tmp_path, when, blobs) -> None:
    mail_ = [letter(f"m{number}") for number in range(20)]
    where = archived(tmp_path / "joined", account(INBOX=mail_))
    with FakeJmap(blobs=blobs) as server:
        for each in mail_[:8]:
            server.store.add(("Other",), each)
        server.on("Email/set", Drop(when))
        found = totals(run(server, where, tmp_path / "state"))
        assert (found["placed"], found["merged"]) == (12, 8)
        assert len(server.store.mails) == 20
        again = totals(run(server, where, tmp_path / "state"))
        assert again["present"] == 20
