"""What a JMAP server may say to a message that is placed, and what comes of it.

The server is the fake one: it fails the test when an announced limit is exceeded, and never lets
anything be taken away.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from contract.target_facts import Sending, at, mail, parcel, placed, refused
from contract.target_ground import BOX, OTHER, made
from contract.test_jmap_target import SMALL
from portarchive.connectors.jmap import JmapTarget, open_target, settle
from portarchive.connectors.jmap.importing import TRIES
from portarchive.connectors.jmap.session import Session, Uploaded
from portarchive.connectors.jmap.windows import INLINE, WINDOW
from portarchive.errors import ConnectorError
from portarchive.placing import Merged, Placed, Refused
from servers.jmap_faults import Error
from servers.jmap_server import FakeJmap

WAYS = ("standard", "cyrus", None)


@pytest.fixture(autouse=True)
def _no_settling(monkeypatch) -> None:
    monkeypatch.setattr(settle, "QUIET", 0.0)


@pytest.fixture(params=WAYS, ids=str)
def server(request) -> Iterator[FakeJmap]:
    with FakeJmap(blobs=request.param) as server:
        yield server


@pytest.fixture
def target(server) -> Iterator[JmapTarget]:
    target = open_target(server.settings())
    yield target
    target.close()


@pytest.fixture
def box(target) -> str:
    return made(target, BOX)


def held(server: FakeJmap, path=BOX) -> list[int]:
    """The numbers of the messages in a mailbox."""
    return sorted(int(octets.split(b"\r\n")[0][9:]) for octets in server.store.octets(path))


def only(number: int, error: dict):
    """A verdict about one message."""

    def verdict(octets: bytes, _wanted: dict):
        return error if octets.startswith(b"Subject: %d\r\n" % number) else None

    return verdict


# --- one message ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ({"type": "overQuota"}, "over-quota"),
        ({"type": "maxQuotaReached"}, "over-quota"),
        ({"type": "tooManyKeywords"}, "keyword"),
        ({"type": "tooManyMailboxes"}, "limit"),
        ({"type": "tooLarge"}, "too-big"),
        ({"type": "invalidEmail"}, "bad-message"),
        ({"type": "forbidden"}, "refused"),
        ({"type": "invalidProperties", "properties": ["keywords"]}, "keyword"),
        ({"type": "invalidProperties", "properties": ["keywords/a"]}, "keyword"),
        ({"type": "invalidProperties", "properties": ["receivedAt"]}, "date"),
        ({"type": "invalidProperties", "properties": ["mailboxIds"]}, "folder-gone"),
        ({"type": "invalidProperties", "properties": ["mailboxIds/x"]}, "folder-gone"),
        ({"type": "invalidProperties", "properties": ["subject"]}, "refused"),
        ({"type": "invalidProperties", "properties": "blobId"}, "refused"),
        ({"type": "invalidProperties"}, "refused"),
        ({"type": "alreadyExists"}, "refused"),
        ({"type": "alreadyExists", "existingId": "no such"}, "refused"),
        ({"type": "alreadyExists", "existingId": "M0"}, "refused"),
        ({"type": "serverFail"}, "refused"),
        ({"type": "a\x1b[31mnewType\r\n", "description": "\x1b]0;x\x07"}, "refused"),
        ({"type": 7, "description": [], "properties": {}}, "refused"),
        ({"type": None}, "refused"),
        ({"description": "no type"}, "refused"),
    ],
    ids=lambda found: str(found)[:60],
)
def test_a_refusal_is_about_one_message(server, target, box, error, code) -> None:
    server.verdict = only(3, error)
    sending = Sending().run(target, [parcel(n, mail(n), box) for n in range(6)])
    assert sending.error is None
    assert refused(sending.outcomes[3]) == code
    assert isinstance(sending.outcomes[3], Refused)
    assert sending.outcomes[3].text.isprintable()
    assert sending.keys(Placed) == [0, 1, 2, 4, 5]
    assert held(server) == [0, 1, 2, 4, 5]


def test_words_of_a_refusal_say_what_and_why(server, target, box) -> None:
    error = {"type": "invalidProperties", "properties": ["keywords/x"], "description": "Why not."}
    server.verdict = only(0, error)
    (outcome,) = Sending().run(target, [parcel(0, mail(0), box)]).outcomes.values()
    assert outcome == Refused("keyword", "invalidProperties keywords/x Why not.")


def test_no_answer_for_a_message_is_no_success(server, target, box, monkeypatch) -> None:
    call = Session.call

    def deaf(self, calls, **named):
        answers = call(self, calls, **named)
        for (name, _), answer in zip(calls, answers, strict=True):
            if name == "Email/import":
                answer["created"].pop("e1", None)
        return answers

    monkeypatch.setattr(Session, "call", deaf)
    sending = Sending().run(target, [parcel(n, mail(n), box) for n in range(3)])
    assert refused(sending.outcomes[1]) == "refused"


@pytest.mark.parametrize("answer", [{"created": None}, {"created": [], "notCreated": 7}, {}])
def test_a_senseless_answer_is_no_success(server, target, box, monkeypatch, answer) -> None:
    call = Session.call

    def foolish(self, calls, **named):
        answers = call(self, calls, **named)
        return [
            answer if name == "Email/import" else told
            for (name, _), told in zip(calls, answers, strict=True)
        ]

    monkeypatch.setattr(Session, "call", foolish)
    sending = Sending().run(target, [parcel(n, mail(n), box) for n in range(3)])
    assert [refused(outcome) for outcome in sending.outcomes.values()] == ["refused"] * 3


def test_dates_that_no_json_has_are_refused_before_they_are_sent(server, target, box) -> None:
    received = [
        at("2024-01-01T00:00:00+00:00")._replace(epoch=epoch) for epoch in (10**12, -(10**12))
    ]
    sending = Sending().run(
        target, [parcel(n, mail(n), box, received=each) for n, each in enumerate(received)]
    )
    assert [refused(outcome) for outcome in sending.outcomes.values()] == ["date", "date"]


# --- copies ---------------------------------------------------------------------------------------


def test_what_is_there_is_joined(server, target, box) -> None:
    """Mailboxes and keywords are united; nothing is taken away, the first instant stays."""
    other = made(target, OTHER)
    placed(target, [parcel(0, mail(0), box, flags=["$seen", "Old"])])
    later = at("2025-01-01T00:00:00+00:00")
    twins = [parcel(0, mail(0), other, flags=["$flagged", "~1/x"], received=later)]
    (outcome,) = Sending().run(target, twins).outcomes.values()
    (email,) = server.store.mails.values()
    assert outcome == Merged(((other, email.mail_id),), email.mail_id)
    assert email.boxes == {box, other}
    assert email.keywords == {"$seen", "old", "$flagged", "~1/x"}
    assert email.received == "2024-02-29T10:00:01Z"
    before = server.calls["Email/set"]
    (outcome,) = Sending().run(target, twins).outcomes.values()
    assert isinstance(outcome, Merged)
    assert server.calls["Email/set"] == before, "there was nothing to change"


def test_many_copies_within_the_limits() -> None:
    with FakeJmap(**SMALL) as server:
        target = open_target(server.settings())
        box, other = made(target, BOX), made(target, OTHER)
        placed(target, [parcel(n, mail(n), box) for n in range(20)])
        sending = Sending().run(target, [parcel(n, mail(n), other) for n in range(20)])
        assert len(sending.keys(Merged)) == 20
        assert held(server, BOX) == held(server, OTHER) == list(range(20))
        target.close()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ({"type": "tooManyMailboxes"}, "limit"),
        ({"type": "tooManyKeywords"}, "keyword"),
        ({"type": "overQuota"}, "over-quota"),
        ({"type": "forbidden", "description": "not yours"}, "refused"),
    ],
)
def test_what_cannot_be_joined_is_named(server, target, box, error, code) -> None:
    other = made(target, OTHER)
    placed(target, [parcel(0, mail(0), box)])
    server.update_verdict = lambda _patch: error
    sending = Sending().run(target, [parcel(n, mail(n), other) for n in range(2)])
    assert refused(sending.outcomes[0]) == code
    assert sending.keys(Placed) == [1]


@pytest.mark.parametrize("kind", ["serverFail", "requestTooLarge", "serverPartialFail"])
def test_joining_that_fails_is_done_in_parts(server, target, box, kind) -> None:
    other = made(target, OTHER)
    placed(target, [parcel(n, mail(n), box) for n in range(8)])
    server.on("Email/set", Error(kind), times=2)
    sending = Sending().run(target, [parcel(n, mail(n), other) for n in range(8)])
    assert len(sending.keys(Merged)) == 8
    assert held(server, OTHER) == list(range(8))


# --- octets that get lost or changed --------------------------------------------------------------


def test_a_blob_that_is_not_known_is_uploaded_again(server, target, box) -> None:
    """Failure 24."""
    seen: set[bytes] = set()

    def forgetful(octets: bytes, _wanted: dict):
        if octets in seen:
            return None
        seen.add(octets)
        return {"type": ("blobNotFound", "notFound")[len(seen) % 2]}

    server.verdict = forgetful
    assert len(placed(target, [parcel(n, mail(n), box) for n in range(WINDOW + 20)])) == WINDOW + 20
    assert held(server) == list(range(WINDOW + 20))


def test_a_blob_that_is_never_known_is_given_up(server, target, box) -> None:
    server.verdict = only(1, {"type": "invalidProperties", "properties": ["blobId"]})
    sending = Sending().run(target, [parcel(n, mail(n), box) for n in range(3)])
    assert refused(sending.outcomes[1]) == "refused"
    assert sending.keys(Placed) == [0, 2]
    made_within = server.blobs is not None
    assert server.requests["upload"] == (TRIES - 1 if made_within else 3 + TRIES - 1)


def test_a_message_that_the_server_rewrites_is_altered(server, target, box) -> None:
    def repaired(octets: bytes) -> bytes | None:
        if octets.startswith(b"Subject: 2"):
            return octets + b"-- \r\nYour provider\r\n"
        return octets.replace(b"o", b"0") if octets.startswith(b"Subject: 4") else None

    server.store.rewrite = repaired
    found = placed(target, [parcel(n, mail(n), box) for n in range(6)])
    assert {n: outcome.altered for n, outcome in found.items()} == {
        n: n in {2, 4} for n in range(6)
    }


def test_blob_ids_of_its_own_say_nothing(server, target, box) -> None:
    server.store.own_blob_ids = True
    found = placed(target, [parcel(n, mail(n), box) for n in range(6)])
    assert not any(outcome.altered for outcome in found.values())


def test_an_upload_that_was_cut_is_refused(server, target, box, monkeypatch) -> None:
    monkeypatch.setattr(Session, "upload", lambda self, octets: Uploaded("G1", len(octets) - 1))
    big = mail(1, b"x" * INLINE)
    sending = Sending().run(target, [parcel(0, big, box)])
    assert refused(sending.outcomes[0]) == "refused"


# --- the fake server itself -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        {"destroy": ["ID"]},
        {"update": {"ID": {"keywords/$seen": None}}},
        {"update": {"ID": {"keywords": {"$flagged": True}}}},
        {"update": {"ID": {"mailboxIds": {}}}},
    ],
    ids=str,
)
def test_the_fake_server_complains_before_anything_is_taken_away(arguments: dict) -> None:
    with FakeJmap() as server:
        email = server.store.add(("INBOX",), mail(1), ["$seen"])
        session = Session(server.settings())
        filled = json.loads(json.dumps(arguments).replace("ID", email))
        session.call([("Email/set", filled)])
        session.close()
        assert server.complaints
        assert server.store.mails[email].keywords == {"$seen"}
        server.complaints.clear()


def test_a_claim_that_fails_within_the_fake_server_fails_the_test() -> None:
    def claims(octets: bytes, wanted: dict) -> None:
        raise AssertionError("never asked for")

    with FakeJmap() as server:
        server.verdict = claims
        target = open_target(server.settings())
        key = made(target, BOX)
        with pytest.raises(ConnectorError):
            list(target.place([parcel(1, mail(1), key)]))
        target.close()
        assert "never asked for" in server.complaints[0]
        server.complaints.clear()
