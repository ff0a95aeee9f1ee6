"""``RetryingSource``: what is asked again, how long it waits, and what it gives up.

The source inside is the account in memory with the faults of each case; time is simulated.
"""

from __future__ import annotations

import pytest

from portarchive.connectors.base import Source, Wanted
from portarchive.connectors.memory import Fault, MemorySource
from portarchive.connectors.patience import Backoff
from portarchive.connectors.retry import WINDOW, RetryingSource
from portarchive.errors import (
    AuthenticationFailed,
    BodyCut,
    ConnectionLost,
    FolderUnavailable,
    RateLimited,
    ServerMisbehaved,
    TokenExpired,
    Unreachable,
)
from portarchive.progress import Waiting
from portarchive.records import (
    Failure,
    FetchPoint,
    FolderDone,
    FolderFailed,
    FolderOpened,
    MessageRef,
)

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
    """A source with messages, its wrapper, and a consumer that keeps to the contract."""

    def __init__(
        self,
        *faults: Fault,
        messages: int = 10,
        reached: bool = True,
        kind: type[MemorySource] = MemorySource,
        whole_account: bool = True,
        **options,
    ) -> None:
        self.inner = kind(faults=faults, large=30, chunk=7, whole_account=whole_account)
        self.refs = [self.inner.add(b"n: %d\r\n\r\n" % n) for n in range(messages)]
        self.clock = Clock()
        self.events: list[Waiting] = []
        self.source = RetryingSource(
            self.inner,
            observer=self.events.append,
            sleep=self.clock.sleep,
            clock=self.clock,
            random=lambda: 1.0,
            **options,
        )
        self.cuts = 0
        if reached:
            self.source.identity()

    def fetch(self, refs=None):
        """What a job would have stored: octets, or the outcome without, by uid."""
        got = {}
        for ref, outcome in self.source.fetch(self.refs if refs is None else refs):
            uid = ref.placements[0].uid
            assert uid not in got, f"{uid} was delivered twice"
            if isinstance(outcome, tuple):
                got[uid] = outcome
                continue
            try:
                got[uid] = b"".join(outcome.chunks())
            except BodyCut:
                self.cuts += 1
        return got

    def complete(self, but=()):
        return {
            uid: octets
            for uid, (_, octets) in self.inner.contents()["INBOX",].items()
            if uid not in but
        }

    def listing(self, **wanted):
        wanted = {"folders": self.source.folders(), "tokens": {}} | wanted
        return list(self.source.changes(Wanted(**wanted)))

    @property
    def waits(self):
        return [event.seconds for event in self.events]


def test_it_is_a_source_and_passes_on_what_goes_well() -> None:
    case = Case()
    assert isinstance(case.source, Source)
    assert case.source.capabilities == case.inner.capabilities
    assert case.source.identity() == case.inner.identity()
    assert case.source.folders() == case.inner.folders()
    assert case.fetch() == case.complete()
    assert case.listing() == list(
        case.inner.changes(Wanted(folders=case.inner.folders(), tokens={}))
    )
    assert case.events == []
    assert case.inner.fetches == [10]
    case.source.close()
    with pytest.raises(ConnectionLost):
        case.inner.folders()


@pytest.mark.parametrize("error", [LOST, TokenExpired("AccessTokenExpired")])
def test_a_drop_in_the_middle_costs_nothing(error) -> None:
    """Failures 18 and 29: the rest is asked for on a new connection, at once."""
    case = Case(Fault(where="fetch", error=error, after=6))
    assert case.fetch() == case.complete()
    assert case.inner.fetches == [10, 4]
    assert case.clock.slept == []
    assert case.waits == [0.0]


def test_a_connection_that_lives_for_three_messages_is_enough() -> None:
    case = Case(Fault(where="fetch", error=LOST, after=3, times=99), messages=40)
    assert case.fetch() == case.complete()
    assert case.inner.reconnects == 13
    assert case.clock.slept == []


def test_losses_without_progress_wait_longer_each_time_and_end() -> None:
    case = Case(Fault(where="reconnect", error=LOST, times=99), Fault(where="fetch", error=LOST))
    with pytest.raises(ConnectionLost, match="8 times in a row") as raised:
        case.fetch()
    assert case.clock.slept == [1, 2, 4, 8, 16, 32]
    assert "same command again" in raised.value.hint
    assert raised.value.code == "connection-lost"


def test_backoff_doubles_to_a_ceiling_with_jitter() -> None:
    backoff = Backoff(random=lambda: 0.0)
    assert [backoff.delay() for _ in range(8)] == [0.5, 1, 2, 4, 8, 16, 30, 30]
    backoff.reset()
    assert backoff.delay() == 0.5
    drawn = {Backoff().delay() for _ in range(50)}
    assert len(drawn) > 1
    assert all(0.5 <= delay <= 1 for delay in drawn)


def test_the_servers_own_hint_is_waited_for() -> None:
    """Failure 28: "Suggested Backoff Time: 299961 milliseconds"."""
    error = RateLimited("Request is throttled", retry_after=299.961)
    case = Case(Fault(where="fetch", error=error, after=2))
    assert case.fetch() == case.complete()
    assert case.clock.slept == [299.961]
    assert case.events == [Waiting(299.961, "the server asks for patience")]
    assert case.inner.reconnects == 1
    assert case.inner.fetches == [10, 8]


def test_a_hint_too_long_ends_the_run_and_says_when_to_come_back() -> None:
    error = RateLimited("Quota exceeded", retry_after=5400)
    case = Case(Fault(where="fetch", error=error, after=2), max_wait=600)
    with pytest.raises(RateLimited, match="90 minutes") as raised:
        case.fetch()
    assert raised.value.hint == (
        "Run the same command again in 90 minutes: it goes on where it stopped."
    )
    assert case.clock.slept == []


@pytest.mark.parametrize("hint", [None, 0.0, -5.0, float("nan")])
def test_a_useless_hint_is_none(hint) -> None:
    case = Case(Fault(where="fetch", error=RateLimited("no", retry_after=hint), after=2, times=2))
    assert case.fetch() == case.complete()
    assert case.clock.slept == [1, 1]


def test_throttling_for_ever_ends_too() -> None:
    case = Case(Fault(where="fetch", error=RateLimited("no", retry_after=30), times=99))
    with pytest.raises(RateLimited, match="8 times in a row"):
        case.fetch()
    assert case.clock.slept == [30] * 7


def test_throttling_shrinks_no_request_and_blames_no_message() -> None:
    case = Case(Fault(where="fetch", error=RateLimited("no"), times=6), messages=1)
    assert case.fetch() == case.complete()
    assert case.inner.fetches == [1] * 7


@pytest.mark.parametrize("whole_batch", [True, False])
@pytest.mark.parametrize("place", [0, 517, 999])
def test_one_poisonous_message_is_isolated_and_named(whole_batch, place) -> None:
    """Failure 2: the run goes on, and says which one it did not get."""
    case = Case(messages=1000)
    case.inner.poison(case.refs[place], whole_batch=whole_batch)
    got = case.fetch()
    uid = case.refs[place].placements[0].uid
    failure = got.pop(uid)
    assert got == case.complete(but=[uid])
    assert failure.code == "connection-lost"
    assert "3 times" in failure.text
    assert case.inner.fetches.count(1) >= 3
    assert case.inner.reconnects < 30


def test_the_largest_request_can_still_be_isolated() -> None:
    case = Case(messages=2 * WINDOW)
    case.inner.poison(case.refs[0])
    got = case.fetch()
    assert isinstance(got.pop("1"), Failure)
    assert got == case.complete(but=["1"])
    assert case.inner.fetches[:3] == [2048, 32, 1]
    assert max(case.inner.fetches) == WINDOW


def test_what_was_given_up_is_asked_for_after_everything_else() -> None:
    case = Case(messages=50)
    case.inner.poison(case.refs[3])
    order = [ref.placements[0].uid for ref, _ in case.source.fetch(case.refs)]
    assert order[-1] == "4"


def test_many_poisonous_messages_with_good_ones_between() -> None:
    case = Case(messages=600)
    bad = case.refs[5:600:20]
    for ref in bad:
        case.inner.poison(ref)
    got = case.fetch()
    assert {uid for uid, outcome in got.items() if isinstance(outcome, Failure)} == {
        ref.placements[0].uid for ref in bad
    }
    assert len(got) == 600


def test_requests_grow_again_after_the_poison() -> None:
    case = Case(messages=2000)
    case.inner.poison(case.refs[0])
    case.fetch()
    assert len(case.inner.fetches) < 20


class Recording(MemorySource):
    """Notes when an iterator of ``fetch`` ends, and when it is connected anew."""

    def __init__(self, **options):
        super().__init__(**options)
        self.order = []

    def fetch(self, refs):
        try:
            yield from super().fetch(refs)
        finally:
            self.order.append("ended")

    def reconnect(self):
        self.order.append("reconnect")
        super().reconnect()


def test_what_was_begun_ends_before_the_reconnect() -> None:
    case = Case(Fault(where="chunks", error=LOST, after=2), messages=0, kind=Recording)
    case.fetch([case.inner.add(b"large " * 10)])
    assert case.inner.order == ["ended", "reconnect", "ended"]


def test_a_server_that_gives_nothing_at_all_is_not_sixty_failures() -> None:
    case = Case(messages=60)
    for ref in case.refs:
        case.inner.poison(ref)
    with pytest.raises(ConnectionLost, match="without any progress"):
        case.fetch()
    assert case.inner.reconnects < 30


def test_seven_poisonous_messages_in_a_row_are_seven_failures() -> None:
    case = Case(messages=7)
    for ref in case.refs:
        case.inner.poison(ref)
    assert [type(outcome) for outcome in case.fetch().values()] == [Failure] * 7


def test_a_message_given_up_is_not_asked_for_again_in_the_run() -> None:
    case = Case(messages=3)
    case.inner.poison(case.refs[1])
    first = case.fetch()
    asked = len(case.inner.fetches)
    assert case.fetch() == first
    assert case.inner.fetches[asked:] == [2]


def test_after_another_uidvalidity_it_is_another_message() -> None:
    case = Case(messages=2)
    case.inner.poison(case.refs[1])
    case.listing()
    assert isinstance(case.fetch()["2"], Failure)
    case.inner.reset_uidvalidity("INBOX")
    case.inner.expunge("INBOX", 1)
    case.inner._poison.clear()
    refs = [event for event in case.listing() if isinstance(event, MessageRef)]
    assert case.fetch(refs) == case.complete()


def test_nonsense_about_one_message_does_not_end_the_run() -> None:
    case = Case(
        Fault(where="fetch", error=ServerMisbehaved("unparsable"), after=4),
        Fault(where="fetch", error=ServerMisbehaved("unparsable"), times=3),
        messages=1,
    )
    assert case.fetch()["1"].code == "server-misbehaved"
    assert case.clock.slept == []


def test_nonsense_elsewhere_ends_it() -> None:
    case = Case(Fault(where="folders", error=ServerMisbehaved("unparsable")))
    with pytest.raises(ServerMisbehaved):
        case.source.folders()


@pytest.mark.parametrize(
    "error", [LOST, TokenExpired("old"), RateLimited("slow down", retry_after=20)]
)
def test_a_body_that_was_cut_is_handed_out_again(error) -> None:
    case = Case(Fault(where="chunks", error=error, after=4))
    case.refs.insert(5, case.inner.add(b"large " * 10))
    assert case.fetch() == case.complete()
    assert case.cuts == 1
    assert case.inner.reconnects == 1


def test_the_wait_counts_from_the_cut_not_from_the_next_question() -> None:
    error = RateLimited("slow down", retry_after=20)
    case = Case(Fault(where="chunks", error=error, after=1), messages=0)
    ref = case.inner.add(b"large " * 10)
    stream = case.source.fetch([ref])
    _, body = next(stream)
    with pytest.raises(BodyCut):
        list(body.chunks())
    case.clock.now += 15
    _, body = next(stream)
    assert b"".join(body.chunks()) == b"large " * 10
    assert case.clock.slept == [5]


def test_a_body_that_is_always_cut_is_named() -> None:
    case = Case(Fault(where="chunks", error=LOST, after=2, times=99))
    case.refs.insert(5, case.inner.add(b"large " * 10))
    got = case.fetch()
    assert got.pop("11").code == "cut"
    assert got == case.complete(but=["11"])
    assert case.cuts == 4
    assert isinstance(case.fetch()["11"], Failure)
    assert case.cuts == 4


def test_a_body_that_nobody_reads_counts_as_delivered() -> None:
    case = Case(messages=0)
    refs = [case.inner.add(b"large " * 10) for _ in range(4)]
    got = []
    for ref, body in case.source.fetch(refs):
        got.append(ref)
        next(body.chunks())
    assert len(got) == 4
    assert case.inner.reconnects == 0


def test_a_source_that_forgets_a_message_is_found_out() -> None:
    case = Case()
    case.inner.answer(case.refs[3], None)
    got = case.fetch()
    assert got.pop("4") == Failure("no-data", "the source said nothing of this message")
    assert got == case.complete(but=["4"])


class Turning(MemorySource):
    """Answers with the placements in another order, and of a message nobody asked for."""

    def fetch(self, refs):
        turned = [ref._replace(placements=ref.placements[::-1]) for ref in refs]
        return super().fetch([*turned, self.add(b"not asked for")])


def test_an_answer_counts_for_a_message_by_any_of_its_placements() -> None:
    case = Case(messages=0, kind=Turning)
    case.inner.create_folder("B")
    ref = case.inner.add(b"a: b\r\n\r\n", ["INBOX", "B"])
    assert [found.email_id for found, _ in case.source.fetch([ref])] == [ref.email_id]


def test_leaving_in_the_middle_leaves_nothing_open() -> None:
    case = Case()
    stream = case.source.fetch(case.refs)
    next(stream)
    stream.close()
    assert case.fetch() == case.complete()


def test_an_interrupt_passes() -> None:
    def interrupted(seconds):
        raise KeyboardInterrupt

    inner = MemorySource(faults=[Fault(where="fetch", error=RateLimited("no", retry_after=60))])
    source = RetryingSource(inner, observer=lambda event: None, sleep=interrupted)
    with pytest.raises(KeyboardInterrupt):
        list(source.fetch([inner.add(b"x")]))


# --- folders, identity, reconnect ---------------------------------------------------------------


@pytest.mark.parametrize("where", ["identity", "folders"])
def test_single_calls_are_repeated(where) -> None:
    case = Case(Fault(where=where, error=LOST, times=3), reached=False)
    getattr(case.source, where)()
    assert case.clock.slept == [1, 2]


def test_a_server_that_restarts_may_refuse_connections_for_a_while() -> None:
    case = Case(
        Fault(where="fetch", error=LOST, after=5),
        Fault(where="reconnect", error=Unreachable("refused"), times=5),
    )
    assert case.fetch() == case.complete()
    assert case.clock.slept == [1, 2, 4, 8, 16]
    assert case.events[1] == Waiting(1.0, "the server cannot be reached")


def test_a_server_never_reached_is_not_waited_for() -> None:
    case = Case(Fault(where="identity", error=Unreachable("refused")), reached=False)
    with pytest.raises(Unreachable):
        case.source.identity()
    assert case.clock.slept == []


@pytest.mark.parametrize("times", [2, 3])
def test_a_login_refused_at_a_reconnect_is_tried_twice_more(times) -> None:
    case = Case(
        Fault(where="fetch", error=LOST, after=5),
        Fault(where="reconnect", error=AuthenticationFailed("no"), times=times),
    )
    if times == 2:
        assert case.fetch() == case.complete()
    else:
        with pytest.raises(AuthenticationFailed):
            case.fetch()
    assert case.clock.slept == [15, 30]


def test_logins_refused_now_and_then_are_not_added_up() -> None:
    refused = [
        Fault(where="reconnect", error=AuthenticationFailed("no"), times=2),
        Fault(where="reconnect", error=AuthenticationFailed("no"), after=1, times=1),
    ]
    case = Case(Fault(where="fetch", error=LOST, after=3, times=2), *refused)
    assert case.fetch() == case.complete()
    assert case.clock.slept == [15, 30, 15]


def test_a_wrong_password_is_not_tried_twice() -> None:
    case = Case(Fault(where="identity", error=AuthenticationFailed("no")), reached=False)
    with pytest.raises(AuthenticationFailed):
        case.source.identity()
    assert case.inner.reconnects == 0


def test_what_is_no_matter_of_the_connection_passes() -> None:
    case = Case(Fault(where="fetch", error=FolderUnavailable("gone")))
    with pytest.raises(FolderUnavailable):
        case.fetch()


def test_reconnect_persists() -> None:
    case = Case(Fault(where="reconnect", error=LOST, times=2))
    case.source.reconnect()
    assert case.fetch() == case.complete()


# --- changes ------------------------------------------------------------------------------------


def three_folders(*faults, **options) -> Case:
    case = Case(*faults, whole_account=False, **options)
    for name in ("A", "B"):
        case.inner.create_folder(name)
        case.inner.add(b"in %s\r\n\r\n" % name.encode(), name)
    return case


def named(events):
    """By folder id: what the last opening of each folder named."""
    found = {}
    for event in events:
        if isinstance(event, FolderOpened):
            found[event.folder.folder_id] = []
        if isinstance(event, MessageRef):
            found[event.placements[0].folder_id].append(event.placements[0].uid)
    return found


def test_a_listing_that_breaks_starts_over_with_the_folders_not_done() -> None:
    case = three_folders(Fault(where="changes", error=LOST, after=6))
    events = case.listing()
    opened = [event.folder.path for event in events if isinstance(event, FolderOpened)]
    assert opened == [("A",), ("B",), ("B",), ("INBOX",)]
    assert named(events) == {"F1": [str(n) for n in range(1, 11)], "F12": ["1"], "F14": ["1"]}
    assert [event.folder_id for event in events if isinstance(event, FolderDone)] == [
        "F12",
        "F14",
        "F1",
    ]


class Breaking(MemorySource):
    """The connection breaks whenever the folder B is opened."""

    def changes(self, wanted):
        for event in super().changes(wanted):
            if isinstance(event, FolderOpened) and event.folder.path == ("B",):
                self.drop()
                self.folders()
            yield event


def test_a_folder_that_always_breaks_the_connection_fails_alone() -> None:
    """Failure 11: other folders done, that one named."""
    case = three_folders(kind=Breaking)
    events = case.listing()
    failed = [event for event in events if isinstance(event, FolderFailed)]
    assert [(event.folder_id, event.code) for event in failed] == [("F14", "connection-lost")]
    assert sorted(named(events)) == ["F1", "F12"]
    assert events[-1] == failed[0]


class Forgetful(MemorySource):
    """Never finishes the INBOX."""

    def changes(self, wanted):
        for event in super().changes(wanted):
            if not (isinstance(event, FolderDone) and event.folder_id == "F1"):
                yield event


def test_a_folder_left_unfinished_is_named() -> None:
    case = three_folders(kind=Forgetful)
    assert case.listing()[-1] == FolderFailed(
        "F1", "no-data", "the source did not finish this folder"
    )


def test_a_listing_that_never_gets_through_ends_the_run() -> None:
    case = three_folders(Fault(where="changes", error=LOST, after=3, times=999), attempts=3)
    with pytest.raises(ConnectionLost, match="3 times in a row"):
        case.listing()


def export(case: Case):
    """What a job does: fetch at each point what is not stored yet."""
    stored, outcomes, pending = {}, {}, {}
    done = set()
    for event in case.source.changes(Wanted(folders=case.source.folders(), tokens={})):
        if isinstance(event, MessageRef):
            pending[event.placements[0][:2]] = event
        elif isinstance(event, FetchPoint):
            refs = [ref for key, ref in pending.items() if key not in stored]
            pending = {}
            for ref, outcome in case.source.fetch(refs):
                if isinstance(outcome, tuple):
                    outcomes[ref.placements[0][:2]] = outcome
                    continue
                try:
                    stored[ref.placements[0][:2]] = b"".join(outcome.chunks())
                except BodyCut:
                    case.cuts += 1
        elif isinstance(event, FolderDone):
            done.add(event.folder_id)
    return stored, outcomes, done


def test_a_reconnect_during_the_fetch_lists_the_folder_once_more() -> None:
    case = three_folders(Fault(where="fetch", error=LOST, after=5, times=2))
    stored, outcomes, done = export(case)
    assert len(stored) == 12
    assert outcomes == {}
    assert done == {"F1", "F12", "F14"}
    assert sum(case.inner.fetches) < 12 + 3 * 10


def test_a_folder_is_not_blamed_while_its_messages_come() -> None:
    case = Case(messages=1)
    left = iter(range(6))

    def arrive_and_break(event):
        if isinstance(event, FetchPoint) and next(left, None) is not None:
            case.inner.add(b"one more\r\n\r\n")
            case.inner.drop()

    case.inner.after_event = arrive_and_break
    stored, _, done = export(case)
    assert len(stored) == 7
    assert done == {"F1"}


class Stubborn(MemorySource):
    """Its iterators outlive their connection; resumed after a reconnect they tell nonsense."""

    def changes(self, wanted):
        began = self.reconnects
        for event in super().changes(wanted):
            yield event
            assert began == self.reconnects, "an iterator of an earlier connection was resumed"


def test_an_iterator_of_an_earlier_connection_is_not_resumed() -> None:
    case = Case(Fault(where="fetch", error=LOST, after=5), kind=Stubborn)
    stored, _, _ = export(case)
    assert len(stored) == 10
    assert case.inner.reconnects == 1


def test_poison_between_listing_and_fetch_comes_to_an_end() -> None:
    case = three_folders()
    case.inner.poison(case.refs[4])
    stored, outcomes, done = export(case)
    assert len(stored) == 11
    assert [failure.code for failure in outcomes.values()] == ["connection-lost"]
    assert done == {"F1", "F12", "F14"}
