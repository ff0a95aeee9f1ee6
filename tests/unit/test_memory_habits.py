"""The habits of the account in memory as a target: each does what it says, and only if asked."""

from __future__ import annotations

import itertools

import pytest

from contract.target_facts import Sending, mail, numbers, parcel, placed, refused
from portarchive.connectors.memory import Fault, MemoryAccount, MemoryTarget, Rewriting
from portarchive.errors import ConnectionLost, RateLimited
from portarchive.placing import (
    Alteration,
    FolderLook,
    LineEnds,
    Merged,
    Placed,
    Spot,
    Unsure,
)
from portarchive.records import Received

NOW = 1_700_000_000
LOST = ConnectionLost("the server closed the connection")


class Case:
    """An account with INBOX (F1) and B (F2)."""

    def __init__(self, *, account: MemoryAccount | None = None, **options) -> None:
        self.account = account or MemoryAccount()
        if account is None:
            self.account.create_folder("B")
        habits = {name: options.pop(name) for name in list(options) if name in HABITS}
        self.target = MemoryTarget(
            self.account, rewriting=Rewriting(**habits), now=lambda: NOW, **options
        )

    def send(self, *octets: bytes, **how) -> Sending:
        parcels = [parcel(n, each, "F1", **how) for n, each in enumerate(octets)]
        return Sending().run(self.target, parcels)

    def stored(self, folder_id: str = "F1"):
        return [item.message for item in self.account.mailboxes()[folder_id].items.values()]

    def flags(self):
        return [item.flags for item in self.account.mailboxes()["F1"].items.values()]

    def look(self) -> FolderLook:
        return next(event for event in self.target.existing(["F1"]) if type(event) is FolderLook)


HABITS = set(Rewriting.__slots__)


def test_without_habits_everything_stays() -> None:
    case = Case()
    odd = [b"", b"\0", b"a\nb\r\nc\r", b"Subject: " + b"x " * 200 + b"\r\n\r\n"]
    case.send(*odd, flags=["$seen", "Anything"])
    assert [message.octets for message in case.stored()] == odd
    assert set(case.flags()) == {("$seen", "Anything")}
    assert case.target.capabilities.alterations == frozenset()


def test_it_adds_a_received_field_another_one_each_time() -> None:
    case = Case(adds_received=True)
    lf = mail(2).replace(b"\r\n", b"\n")
    case.send(mail(1), mail(1), lf)
    first, second, third = (message.octets for message in case.stored())
    assert first != second
    for octets, sent, end in ((first, mail(1), b"\r\n"), (third, lf, b"\n")):
        field, rest = octets.split(end, 1)
        assert field.startswith(b"Received: ")
        assert rest == sent


def test_it_folds_long_header_lines_and_nothing_else() -> None:
    case = Case(folds_headers=True)
    words = b" ".join(b"<%d@example.org>" % n for n in range(30))
    body = b"y " * 300 + b"\r\n"
    plain = b"Subject: short\r\n"
    unbroken = b"X-Long: " + b"z" * 200 + b"\r\n"
    case.send(plain + b"References: " + words + b"\r\n" + unbroken + b"\r\n" + body)
    (message,) = case.stored()
    header, got = message.octets.split(b"\r\n\r\n", 1)
    assert got == body
    assert plain in message.octets
    assert unbroken in message.octets
    lines = header.split(b"\r\n")
    assert all(len(line) <= 78 for line in lines if b"zzz" not in line)
    assert len(lines) > 4
    assert (
        b"References: " + words
        == header.split(b"\r\n", 1)[1].replace(b"\r\n ", b" ").split(b"\r\n")[0]
    )


@pytest.mark.parametrize(
    ("ends", "got", "alteration"),
    [
        (LineEnds.CRLF, b"a: b\r\n\r\nx\r\ny\rz\r\n", Alteration.BARE_LF),
        (LineEnds.LF, b"a: b\n\nx\ny\rz\n", Alteration.LINE_ENDS),
    ],
)
def test_line_ends(ends, got, alteration) -> None:
    case = Case(line_ends=ends)
    case.send(b"a: b\r\n\nx\ny\rz\r\n")
    assert case.stored()[0].octets == got
    assert case.target.capabilities.alterations == {alteration}


def test_keywords_get_lost_in_silence_or_are_refused() -> None:
    case = Case(drops_keywords=frozenset({"label1"}), refuses_keywords=frozenset({"$Junk"}))
    assert case.send(mail(1), flags=["$seen", "Label1", "Label2"]).keys(Placed) == [0]
    assert case.flags() == [("$seen", "Label2")]
    assert case.look().new_keywords
    sending = case.send(mail(2), flags=["$junk"])
    assert refused(sending.outcomes[0]) == "keyword"
    assert len(case.stored()) == 1


def test_only_what_is_announced_is_kept() -> None:
    case = Case(no_new_keywords=True, kept_keywords=("Label2",))
    case.send(mail(1), flags=["\\Deleted", "label2", "Label1"])
    assert case.flags() == [("\\Deleted", "label2")]
    look = case.look()
    assert not look.new_keywords
    assert look.keywords == ("$seen", "$answered", "$flagged", "$draft", "\\Deleted", "Label2")
    case = Case(no_new_keywords=True, keeps_unannounced=True)
    case.send(mail(1), flags=["Label1"])
    assert case.flags() == [("Label1",)]
    assert "Label1" not in (case.look().keywords or ())


def test_instants() -> None:
    early, future = -(1 << 31) - 5, NOW + 5
    for clamps, got in ((False, [early, future]), (True, [-(1 << 31), NOW])):
        case = Case(clamps_dates=clamps)
        for epoch in (early, future):
            case.send(mail(1), received=Received(None, epoch))
        assert [message.received.epoch for message in case.stored()] == got
        assert (Alteration.FUTURE_DATE in case.target.capabilities.alterations) == clamps


def test_another_message_id_keeps_the_old_one_elsewhere() -> None:
    case = Case(changes_message_id=True)
    case.send(mail(7), b"Subject: none\r\n\r\nMessage-ID: <body>\r\n")
    first, second = (message.octets for message in case.stored())
    assert b"X-MS-Exchange-Parent-Message-Id: <7@example.org>\r\n" in first
    assert b"Message-ID: <1@memory.example>\r\n" in first
    assert b"\r\nMessage-ID: <7@" not in first
    assert second.endswith(b"\r\n\r\nMessage-ID: <body>\r\n")
    assert b"X-MS-Exchange" not in second


def test_refusals_limits_and_quota() -> None:
    case = Case(refuses=lambda each, octets: ("limit", "[LIMIT] no") if b"bad" in octets else None)
    sending = case.send(mail(1), mail(2, b"bad\r\n"), mail(3))
    assert sending.keys(Placed) == [0, 2]
    assert refused(sending.outcomes[1]) == "limit"
    case = Case(append_limit=100)
    assert case.target.capabilities.append_limit == 100
    sending = case.send(mail(1), mail(2, b"x" * 200))
    assert refused(sending.outcomes[1]) == "too-big"
    case = Case(quota=3 * len(mail(1)))
    sending = case.send(*[mail(n) for n in range(5)])
    assert sending.keys(Placed) == [0, 1, 2]
    assert {refused(sending.outcomes[n]) for n in (3, 4)} == {"over-quota"}


def test_it_says_placed_and_loses_every_third() -> None:
    """Failure 9."""
    case = Case(loses=3)
    assert len(case.send(*[mail(n) for n in range(9)]).keys(Placed)) == 9
    assert numbers(case.stored()) == dict.fromkeys((0, 1, 3, 4, 6, 7), 1)


def test_a_message_it_has_gets_one_more_mailbox() -> None:
    case = Case(memberships=True)
    first = case.send(mail(1), flags=["$seen"]).outcomes[0]
    ((_, merged),) = case.target.place([parcel(1, mail(1), "F2", "F1", flags=["Label"])])
    assert isinstance(first, Placed)
    assert isinstance(merged, Merged)
    assert merged.email_id == first.email_id
    assert case.stored() == case.stored("F2")
    assert case.flags() == [("$seen", "Label")]


# --- where it breaks


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("where", ["place", "stored"])
def test_a_break_before_it_is_stored_and_before_it_is_answered(where, late) -> None:
    case = Case(faults=[Fault(where=where, error=LOST, after=5)], window=4, answers_late=late)
    sending = case.send(*[mail(n) for n in range(12)])
    assert isinstance(sending.error, ConnectionLost)
    assert sending.keys(Placed) == list(range(4 if late else 5))
    assert sending.keys(Unsure) == list(range(4 if late else 5, 8))
    assert sorted(numbers(case.stored())) == list(range(5 + (where == "stored")))
    with pytest.raises(ConnectionLost):
        case.target.folders()
    case.target.reconnect()
    case.target.folders()


def test_a_careful_one_is_alone() -> None:
    case = Case(answers_late=True, window=10, faults=[Fault(where="stored", error=LOST, after=3)])
    parcels = [parcel(n, mail(n), "F1", careful=n >= 2) for n in range(6)]
    sending = Sending().run(case.target, parcels)
    assert sending.keys(Placed) == [0, 1, 2]
    assert sorted(numbers(case.stored())) == [0, 1, 2, 3]


def test_the_throttle_does_not_break_it() -> None:
    case = Case(faults=[Fault(where="place", error=RateLimited("later", retry_after=5), after=1)])
    sending = case.send(*[mail(n) for n in range(3)])
    assert isinstance(sending.error, RateLimited)
    assert sending.keys(Unsure) == [1, 2]
    case.target.folders()
    placed(case.target, [parcel(9, mail(9), "F1")])


@pytest.mark.parametrize("every", range(1, 8))
def test_it_breaks_every_so_many_steps(every) -> None:
    case = Case(drop_every=every)
    steps = itertools.count()
    for _ in range(5):
        with pytest.raises(ConnectionLost):
            for _ in range(20):
                case.target.folders()
                next(steps)
        case.target.reconnect()
    assert next(steps) == 5 * (every - 1)


def test_an_iterator_of_an_earlier_connection_is_dead() -> None:
    case = Case()
    for number in range(20):
        case.account.add(mail(number))
    events = case.target.existing(["F1"])
    answers = case.target.place([parcel(n, mail(n), "F2") for n in range(20)])
    next(events)
    next(answers)
    case.target.reconnect()
    with pytest.raises(ConnectionLost):
        next(events)
    assert {type(outcome) for outcome in _until_lost(answers)} == {Unsure}
    assert len(case.stored("F2")) == 1


def _until_lost(answers):
    with pytest.raises(ConnectionLost):
        for _, outcome in answers:
            yield outcome


def test_what_it_is_asked_after_another_numbering_is_gone() -> None:
    case = Case()
    for number in range(3):
        case.account.add(mail(number))
    case.account.expunge("INBOX", 1)
    before = [event for event in case.target.existing(["F1"]) if type(event) is not FolderLook]
    case.account.reset_uidvalidity("INBOX")
    assert [answer for _, answer in case.target.headers(before)] == [(), ()]


def test_spots_are_all_or_nothing() -> None:
    case = Case(memberships=True)
    each = parcel(1, mail(1), "F1", "F9")
    ((_, outcome),) = case.target.place([each])
    assert refused(outcome) == "folder-gone"
    assert each.spots[1] == Spot("F9", (), each.spots[0].received)
    assert case.stored() == []
