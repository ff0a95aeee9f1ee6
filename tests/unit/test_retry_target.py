"""``RetryingTarget``: what it repeats, what it leaves to the job, how long it waits.

The target inside is the account in memory with the faults of each case; time is simulated.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import replace

import pytest

from contract.target_facts import Sending, mail, numbers, parcel
from portarchive.connectors.base import Target
from portarchive.connectors.memory import Fault, MemoryAccount, MemoryTarget, Rewriting
from portarchive.connectors.retry_target import RetryingTarget
from portarchive.errors import (
    AuthenticationFailed,
    BodyCut,
    ConnectionLost,
    RateLimited,
    ServerMisbehaved,
    TokenExpired,
    Unreachable,
)
from portarchive.placing import FolderLook, FolderReady, FolderWish, Parcel, Placed, Present, Unsure
from portarchive.progress import Waiting
from portarchive.records import Failure, FolderFailed, Vanished

LOST = ConnectionLost("the server closed the connection")


class Clock:
    """Simulated time; what is slept is noted."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class Case:
    """A target with ``messages`` in its INBOX (F1), its wrapper, and a job that does it right."""

    def __init__(
        self, *faults: Fault, messages: int = 0, reached: bool = True, inner=None, **options
    ) -> None:
        self.account = MemoryAccount()
        for number in range(messages):
            self.account.add(mail(number))
        self.inner = MemoryTarget(self.account, faults=faults, large=20, chunk=7, **(inner or {}))
        self.clock = Clock()
        self.events: list[Waiting] = []
        self.target = RetryingTarget(
            self.inner,
            observer=self.events.append,
            sleep=self.clock.sleep,
            clock=self.clock,
            random=lambda: 1.0,
            **options,
        )
        if reached:
            self.target.identity()

    def look(self, *folder_ids: str, newer_than=None) -> tuple[dict[str, list[Present]], list]:
        """By folder its messages, and what failed; a folder that begins again is void."""
        there: dict[str, list[Present]] = {}
        failed = []
        for event in self.target.existing(folder_ids or ("F1",), newer_than):
            if isinstance(event, FolderLook):
                there[event.folder_id] = []
            elif isinstance(event, FolderFailed):
                there.pop(event.folder_id, None)
                failed.append(event)
            else:
                there[event.folder_id].append(event)
        return there, failed

    def octets(self, messages: Iterable[Present]) -> dict[str, object]:
        """What a job would have read, by uid."""
        found: dict[str, object] = {}
        for present, outcome in self.target.fetch(list(messages)):
            assert present.uid not in found, "a message was handed out twice"
            if isinstance(outcome, Failure | Vanished):
                found[present.uid] = outcome
                continue
            try:
                found[present.uid] = b"".join(outcome.chunks())
            except BodyCut:
                continue
        return found

    def there(self) -> dict[int, int]:
        """How often each message is in INBOX."""
        (box,) = self.account.mailboxes().values()
        return numbers(item.message for item in box.items.values())

    def job(self, total: int, rounds: int = 100) -> int:
        """Place messages 0 to ``total`` once each; how many calls of ``place`` that took."""
        careful: set[int] = set()
        for done in range(rounds):
            present, _ = self.look()
            have = set()
            for _, header in self.target.headers(present["F1"]):
                assert isinstance(header, bytes)
                have.add(int(header.split(b"\r\n")[0].removeprefix(b"Subject: ")))
            missing = [number for number in range(total) if number not in have]
            if not missing:
                return done
            sending = Sending().run(
                self.target, [parcel(n, mail(n), "F1", careful=n in careful) for n in missing]
            )
            if sending.error is not None:
                raise sending.error
            careful = set(sending.keys(Unsure))
        raise AssertionError("the job comes to no end")

    @property
    def waits(self) -> list[float]:
        return [event.seconds for event in self.events]


def test_it_is_a_target_and_passes_on_what_goes_well() -> None:
    case = Case(messages=5)
    assert isinstance(case.target, Target)
    assert case.target.capabilities == case.inner.capabilities
    assert case.target.identity() == case.inner.identity()
    assert case.target.folders() == case.inner.folders()
    assert list(case.target.existing(["F1"])) == list(case.inner.existing(["F1"]))
    presents = case.look()[0]["F1"]
    assert list(case.target.headers(presents)) == list(case.inner.headers(presents))
    assert len(case.octets(presents)) == 5
    assert case.look(newer_than={"F1": presents[3].uid})[0]["F1"] == presents[4:]
    assert case.job(9) == 1
    assert case.there() == dict.fromkeys(range(9), 1)
    assert case.events == []
    case.target.close()
    with pytest.raises(ConnectionLost):
        case.inner.folders()


@pytest.mark.parametrize("error", [LOST, TokenExpired("AccessTokenExpired")])
@pytest.mark.parametrize("where", ["folders", "identity"])
def test_calls_are_repeated(where, error) -> None:
    case = Case(reached=False)
    case.target.folders()
    case.inner.faults = [Fault(where=where, error=error, times=3)]
    assert getattr(case.target, where)() == getattr(case.inner, where)()
    assert case.waits == [0.0, 1.0, 2.0]


def test_a_target_that_was_never_reached_is_not_worth_it() -> None:
    case = Case(Fault(where="identity", error=Unreachable("no such host")), reached=False)
    with pytest.raises(Unreachable):
        case.target.identity()
    assert case.waits == []


# --- mailboxes


@pytest.mark.parametrize("where", ["ensure", "made"])
@pytest.mark.parametrize("after", range(4))
def test_wishes_without_an_answer_are_wished_again(where, after) -> None:
    case = Case(Fault(where=where, error=LOST, after=after))
    wishes = [FolderWish((name,)) for name in "abcd"]
    answers = list(case.target.ensure(wishes))
    assert [wish for wish, _ in answers] == wishes
    ready = [answer for _, answer in answers if isinstance(answer, FolderReady)]
    assert [each.folder.path for each in ready] == [("a",), ("b",), ("c",), ("d",)]
    assert [each.created for each in ready] == [
        not (where == "made" and place == after) for place in range(4)
    ]
    assert len(case.account.mailboxes()) == 5
    assert case.inner.reconnects == 1


def test_a_wish_that_breaks_it_each_time_ends_the_run() -> None:
    case = Case(Fault(where="ensure", error=LOST, times=999))
    with pytest.raises(ConnectionLost, match="8 times in a row") as caught:
        list(case.target.ensure([FolderWish(("a",))]))
    assert caught.value.hint
    assert len(case.waits) == 7


class Forgetful(MemoryTarget):
    """It leaves the last wish and the last message without an answer."""

    def ensure(self, wishes):
        yield from list(super().ensure(wishes))[:-1]

    def headers(self, messages):
        yield from list(super().headers(messages))[:-1]

    def existing(self, folder_ids, newer_than=None):
        yield from super().existing(folder_ids[:-1], newer_than)


def test_what_is_left_without_an_answer_is_named() -> None:
    target = RetryingTarget(Forgetful(MemoryAccount()), observer=[].append)
    with pytest.raises(ServerMisbehaved, match="without an answer"):
        list(target.ensure([FolderWish(("a",)), FolderWish(("b",))]))
    events = list(target.existing(["F1", "F2"]))
    assert [type(event) for event in events] == [FolderLook, FolderFailed]
    case = Case(messages=3)
    presents = case.look()[0]["F1"]
    target = RetryingTarget(Forgetful(case.account), observer=[].append)
    answers = dict(target.headers(presents))
    assert isinstance(answers[presents[2]], Failure)
    assert len(answers) == 3


# --- reading


@pytest.mark.parametrize("after", range(12))
def test_a_folder_that_was_begun_starts_over(after) -> None:
    case = Case(Fault(where="existing", error=LOST, after=after), messages=5)
    for name in ("b", "c"):
        case.account.create_folder(name)
        case.account.add(mail(9), name)
    ids = list(case.account.mailboxes())
    events = list(case.target.existing(ids))
    reconnects = case.inner.reconnects
    looks = [event.folder_id for event in events if isinstance(event, FolderLook)]
    assert list(dict.fromkeys(looks)) == ids
    there, failed = case.look(*ids)
    assert [len(there[folder_id]) for folder_id in ids] == [5, 1, 1]
    assert failed == []
    begun_twice = [folder_id for folder_id in ids if looks.count(folder_id) == 2]
    assert len(begun_twice) == len(looks) - 3 <= 1
    assert reconnects == (after < 10)


def test_a_folder_that_breaks_it_alone_three_times_fails() -> None:
    case = Case(messages=5)
    case.account.create_folder("b")
    case.account.add(mail(1), "b")
    ids = list(case.account.mailboxes())

    class Poisoned(MemoryTarget):
        def existing(self, folder_ids, newer_than=None):
            for event in super().existing(folder_ids, newer_than):
                if isinstance(event, Present) and event.folder_id == "F1" and event.uid == "3":
                    self._break()
                yield event

    case.inner = Poisoned(case.account)
    case.target = RetryingTarget(case.inner, observer=[].append, sleep=case.clock.sleep)
    there, failed = case.look(*ids)
    assert list(there) == ids[1:]
    assert [(each.folder_id, each.code) for each in failed] == [("F1", "connection-lost")]


@pytest.mark.parametrize("after", range(6))
@pytest.mark.parametrize("error", [LOST, RateLimited("[THROTTLED]", retry_after=30)])
def test_headers_and_bodies_come_once_each(error, after) -> None:
    case = Case(messages=6)
    presents = case.look()[0]["F1"]
    case.inner.faults = [
        Fault(where=where, error=error, after=after) for where in ("headers", "fetch", "chunks")
    ]
    headers = list(case.target.headers(presents))
    assert sorted(present.uid for present, _ in headers) == [present.uid for present in presents]
    assert case.octets(presents) == {
        str(uid): item.message.octets for uid, item in case.account.mailboxes()["F1"].items.items()
    }
    if isinstance(error, RateLimited):
        assert set(case.clock.slept) == {30.0}


def test_a_body_that_is_cut_each_time_is_given_up() -> None:
    case = Case(messages=3)
    presents = case.look()[0]["F1"]
    big = case.account.add(mail(9, b"x" * 200)).placements[0].uid
    presents = case.look()[0]["F1"]

    class Cutting(MemoryTarget):
        def fetch(self, messages):
            for present, body in super().fetch(messages):
                if present.uid == big:
                    self.faults = [Fault(where="chunks", error=LOST, after=2)]
                yield present, body

    case.inner = Cutting(case.account, large=60, chunk=7)
    case.target = RetryingTarget(case.inner, observer=[].append, sleep=case.clock.sleep)
    found = case.octets(presents)
    assert len(found) == 4
    assert isinstance(found[big], Failure)
    assert found[big].code == "cut"


def test_after_a_reconnect_elsewhere_a_reading_goes_on() -> None:
    case = Case(messages=6)
    events = case.target.existing(["F1"])
    looks, seen = 0, []
    for number, event in enumerate(events):
        if isinstance(event, FolderLook):
            looks, seen = looks + 1, []
        else:
            seen.append(event.uid)
        if number == 3:
            case.inner.drop()
            case.target.folders()
    assert looks == 2
    assert seen == ["1", "2", "3", "4", "5", "6"]


# --- placing


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("where", ["place", "stored"])
@pytest.mark.parametrize("after", [0, 3, 8, 19])
def test_place_ends_early_and_leaves_the_rest_in_the_iterable(where, after, late) -> None:
    case = Case(
        Fault(where=where, error=LOST, after=after), inner={"answers_late": late, "window": 4}
    )
    parcels = iter([parcel(n, mail(n), "F1") for n in range(20)])
    sending = Sending().run(case.target, parcels)
    assert sending.error is None
    assert case.inner.reconnects == 1
    assert case.waits == [0.0]
    first = after - after % 4 if late else after
    assert sending.keys(Placed) == list(range(first))
    assert sending.keys(Unsure) == list(range(first, after - after % 4 + 4))
    assert [each.key for each in parcels] == list(range(after - after % 4 + 4, 20))
    assert case.there() == dict.fromkeys(range(after + (where == "stored")), 1)
    assert case.job(20) <= 1
    assert case.there() == dict.fromkeys(range(20), 1)


def test_nothing_is_sent_twice_by_it() -> None:
    case = Case(Fault(where="stored", error=LOST, after=5))
    Sending().run(case.target, [parcel(n, mail(n), "F1") for n in range(20)])
    assert case.inner.sent == list(range(6))


@pytest.mark.parametrize("every", [3, 5, 7, 11, 29])
@pytest.mark.parametrize("late", [False, True])
def test_a_job_that_looks_gets_there_however_often_it_breaks(every, late) -> None:
    case = Case(inner={"answers_late": late, "window": 3}, attempts=50)
    case.target.folders()
    case.inner.drop_every = every
    # Reading a folder takes a step a message, so it breaks more rarely the more is there.
    rounds = itertools.count()
    while len(case.there()) < 30 and next(rounds) < 300:
        have = set(case.there())
        wanted = [parcel(n, mail(n), "F1") for n in range(30) if n not in have]
        sending = Sending().run(case.target, wanted)
        assert sending.error is None
    assert case.there() == dict.fromkeys(range(30), 1)


def test_throttled_in_the_middle_it_waits_as_told() -> None:
    """Failure 28: once, no storm."""
    told = RateLimited("Suggested Backoff Time: 299961 milliseconds", retry_after=299.961)
    case = Case(Fault(where="place", error=told, after=5))
    assert case.job(20) == 2
    assert case.there() == dict.fromkeys(range(20), 1)
    assert case.clock.slept == [pytest.approx(299.961)]
    assert len(case.events) == 1


def test_more_patience_than_allowed_ends_the_run_and_says_when() -> None:
    told = RateLimited("come back tomorrow", retry_after=86400)
    case = Case(Fault(where="place", error=told, after=5))
    sending = Sending().run(case.target, [parcel(n, mail(n), "F1") for n in range(20)])
    assert isinstance(sending.error, RateLimited)
    assert "24.0 hours" in f"{sending.error.hint}"
    assert sending.keys(Placed) == [0, 1, 2, 3, 4]
    assert sending.keys(Unsure) == [5, 6, 7]


@pytest.mark.parametrize(
    "error", [LOST, TokenExpired("expired"), ServerMisbehaved("BAD"), RateLimited("not now")]
)
def test_losses_in_a_row_without_a_placed_one_end_it_whatever_is_read(error) -> None:
    case = Case(Fault(where="place", error=error, times=999))
    with pytest.raises(type(error), match="8 times in a row without a message placed") as caught:
        case.job(3)
    assert caught.value.hint
    assert case.there() == {}
    # 1, 2, 4 … seconds although the reading between went well
    assert sum(case.clock.slept) >= 60


def test_a_placed_one_between_begins_the_count_anew() -> None:
    case = Case(Fault(where="place", error=LOST, after=1, times=999))
    assert case.job(40) == 40
    assert case.there() == dict.fromkeys(range(40), 1)
    assert case.clock.slept == []


def test_an_expired_token_costs_nothing() -> None:
    """Failure 29."""
    case = Case(Fault(where="stored", error=TokenExpired("AccessTokenExpired"), after=300))
    assert case.job(320) == 2
    assert case.there() == dict.fromkeys(range(320), 1)
    assert case.clock.slept == []


def test_a_login_that_is_refused_for_good_ends_it() -> None:
    case = Case(
        Fault(where="place", error=LOST),
        Fault(where="reconnect", error=AuthenticationFailed("wrong"), times=99),
    )
    with pytest.raises(AuthenticationFailed):
        case.job(3)
    assert len(case.waits) == 3


def test_a_reconnect_that_takes_its_time() -> None:
    case = Case(
        Fault(where="place", error=LOST, after=2),
        Fault(where="reconnect", error=Unreachable("away"), times=4),
    )
    assert case.job(5) == 2
    assert case.there() == dict.fromkeys(range(5), 1)
    assert case.clock.slept == [1.0, 2.0, 4.0, 8.0]


def test_an_error_of_the_parcels_is_not_the_connections() -> None:
    case = Case()

    def parcels():
        yield parcel(0, mail(0), "F1")
        raise ConnectionLost("the source of the parcels broke")

    with pytest.raises(ConnectionLost, match="of the parcels"):
        list(case.target.place(parcels()))
    assert case.inner.reconnects == 0
    assert case.waits == []


def test_octets_that_cannot_be_read_are_not_the_connections() -> None:
    case = Case()

    def torn():
        yield b"Subject"
        raise OSError("gone")

    bad: Parcel = replace(parcel(0, mail(0), "F1", streamed=True), chunks=torn)
    with pytest.raises(OSError, match="gone"):
        list(case.target.place([bad]))
    assert case.waits == []
    assert case.there() == {}


def test_a_place_that_is_left_early_takes_no_more() -> None:
    case = Case(inner={"window": 4})
    taken = []

    def parcels():
        for number in range(100):
            taken.append(number)
            yield parcel(number, mail(number), "F1")

    answers = case.target.place(parcels())
    next(answers)
    answers.close()
    assert taken == [0, 1, 2, 3]
    assert case.there() == {0: 1}


def test_refusals_pass_through() -> None:
    habits = Rewriting(refuses=lambda each, _: ("limit", "[LIMIT]") if each.key % 2 else None)
    case = Case(inner={"rewriting": habits})
    sending = Sending().run(case.target, [parcel(n, mail(n), "F1") for n in range(6)])
    assert sending.keys(Placed) == [0, 2, 4]
    assert {each.code for each in sending.outcomes.values() if hasattr(each, "code")} == {"limit"}
