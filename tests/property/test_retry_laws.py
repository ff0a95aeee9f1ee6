"""Laws of ``RetryingSource`` under any sequence of faults: nothing lost in silence, nothing twice.

Inside is the account in memory; the consumer is a job reduced to its bookkeeping.
"""

from __future__ import annotations

from collections import Counter

from hypothesis import event as noted
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.mirror import Mirror
from portarchive.connectors.base import SourceCapabilities
from portarchive.connectors.memory import Fault, MemorySource
from portarchive.connectors.retry import RetryingSource
from portarchive.errors import (
    AuthenticationFailed,
    BodyCut,
    ConnectionLost,
    ConnectorError,
    RateLimited,
    ServerMisbehaved,
    TokenExpired,
    Unreachable,
)
from portarchive.records import (
    Failure,
    Vanished,
)

ERRORS = st.sampled_from(
    [
        ConnectionLost("lost"),
        ConnectionLost("lost"),
        TokenExpired("expired"),
        RateLimited("slow"),
        RateLimited("slow", retry_after=7.0),
        RateLimited("slow", retry_after=99_999.0),
        ServerMisbehaved("nonsense"),
        Unreachable("refused"),
        AuthenticationFailed("no"),
    ]
)
PLACES = st.sampled_from(["identity", "folders", "changes", "fetch", "chunks", "reconnect"])
FAULTS = st.lists(
    st.builds(
        Fault,
        where=PLACES,
        error=ERRORS,
        after=st.integers(0, 12),
        times=st.integers(1, 9),
    ),
    max_size=5,
)
OCTETS = st.lists(st.binary(max_size=60), min_size=1, max_size=25)


def wrapped(inner: MemorySource, **options) -> RetryingSource:
    now = [0.0]

    def sleep(seconds: float) -> None:
        assert 0 < seconds <= 3600
        now[0] += seconds

    return RetryingSource(
        inner,
        observer=lambda event: None,
        sleep=sleep,
        clock=lambda: now[0],
        random=lambda: 0.5,
        **options,
    )


def drain(source: RetryingSource, refs):
    """What a job would have, and the error that ended it, if one did."""
    got: list[tuple[str, object]] = []
    try:
        for ref, outcome in source.fetch(refs):
            uid = ref.placements[0].uid
            if isinstance(outcome, Failure | Vanished):
                got.append((uid, outcome))
                continue
            try:
                got.append((uid, b"".join(outcome.chunks())))
            except BodyCut:
                continue
    except ConnectorError as error:
        return got, error
    return got, None


@settings(max_examples=300, deadline=None)
@given(octets=OCTETS, faults=FAULTS, poison=st.sets(st.integers(0, 24)), whole=st.booleans())
def test_each_message_once_or_named_or_an_error(octets, faults, poison, whole) -> None:
    inner = MemorySource(large=30, chunk=7, faults=faults)
    refs = [inner.add(each) for each in octets]
    for number in poison:
        if number < len(refs):
            inner.poison(refs[number], whole_batch=whole)
    got, error = drain(wrapped(inner), refs)
    assert max(Counter(uid for uid, _ in got).values(), default=0) <= 1
    right = {ref.placements[0].uid: each for ref, each in zip(refs, octets, strict=True)}
    for uid, outcome in got:
        assert isinstance(outcome, Failure) or outcome == right[uid]
    if error is None:
        assert {uid for uid, _ in got} == set(right)
    noted("ended by an error" if error else "went through")


@settings(max_examples=200, deadline=None)
@given(
    octets=OCTETS,
    faults=st.lists(
        st.builds(
            Fault,
            where=st.sampled_from(["fetch", "chunks", "reconnect"]),
            error=st.sampled_from([ConnectionLost("lost"), RateLimited("slow", retry_after=7.0)]),
            after=st.integers(0, 12),
        ),
        max_size=2,
    ),
)
def test_two_losses_cost_nothing(octets, faults) -> None:
    inner = MemorySource(large=30, chunk=7, faults=faults)
    refs = [inner.add(each) for each in octets]
    got, error = drain(wrapped(inner), refs)
    assert error is None
    assert dict(got) == {
        ref.placements[0].uid: each for ref, each in zip(refs, octets, strict=True)
    }


@settings(max_examples=150, deadline=None)
@given(
    count=st.integers(1, 400),
    poison=st.sets(st.integers(0, 399), max_size=7),
    whole=st.booleans(),
)
def test_poison_costs_itself_and_nothing_else(count, poison, whole) -> None:
    """Up to one less than ``attempts`` of them in a row; the connections made stay few."""
    inner = MemorySource()
    refs = [inner.add(b"%d" % number) for number in range(count)]
    bad = {refs[number].placements[0].uid for number in poison if number < count}
    for number in poison:
        if number < count:
            inner.poison(refs[number], whole_batch=whole)
    got, error = drain(wrapped(inner), refs)
    assert error is None
    assert len(got) == count
    assert {uid for uid, outcome in got if isinstance(outcome, Failure)} == bad
    assert inner.reconnects <= 12 * len(bad)


def truth(inner: MemorySource):
    return {
        ("/".join(path), uid): (frozenset(flags), octets)
        for path, items in inner.contents().items()
        for uid, (flags, octets) in items.items()
    }


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["add", "add", "both", "expunge", "flag", "copy", "reset", "none", "none"]),
        st.integers(0, 1000),
    ),
    max_size=12,
)


def act(inner: MemorySource, action: str, number: int) -> None:
    """The owner of the account does something, to something that is there."""
    names = list(inner.contents())
    name = names[number % len(names)]
    uids = list(inner.contents()[name])
    if action == "add":
        inner.add(b"m%d" % number * (number % 9), [name])
    elif action == "both":
        inner.add(b"n%d" % number, names)
    elif action == "reset" and number % 3 == 0:
        inner.reset_uidvalidity(name)
    elif uids and action == "expunge":
        inner.expunge(name, uids[number % len(uids)])
    elif uids and action == "flag":
        inner.set_flags(name, uids[number % len(uids)], ["$seen", f"k{number % 5}"])
    elif uids and action == "copy":
        to = names[(number + 1) % len(names)]
        message = inner._box(name).items[int(uids[number % len(uids)])].message
        if all(item.message is not message for item in inner._box(to).items.values()):
            inner.copy(name, uids[number % len(uids)], to)


@settings(max_examples=300, deadline=None)
@given(
    faults=FAULTS,
    runs=st.lists(ACTIONS, min_size=1, max_size=4),
    whole_account=st.booleans(),
    removals=st.booleans(),
    flags=st.booleans(),
)
def test_whatever_happened_a_quiet_run_ends_in_the_truth(
    faults, runs, whole_account, removals, flags
) -> None:
    """Mutations between any two events and faults anywhere: no change is lost for good."""
    capabilities = SourceCapabilities(removals=removals, flags_in_listing=flags, object_ids=True)
    inner = MemorySource(
        large=30, chunk=7, whole_account=whole_account, capabilities=capabilities, faults=faults
    )
    inner.create_folder("A")
    for number in range(6):
        inner.add(b"%d" % number * 20, ["INBOX", "A"] if number % 2 else ["A"])
    mirror = Mirror()
    for actions in runs:
        left = iter(actions)

        def meanwhile(_, left=left):
            action = next(left, None)
            if action is not None:
                act(inner, *action)

        inner.after_event = inner.after_message = meanwhile
        try:
            mirror.run(wrapped(inner))
        except ConnectorError:
            noted("a run ended by an error")
    inner.after_event = inner.after_message = None
    inner.faults.clear()
    mirror.run(wrapped(inner))
    assert mirror.octets == {key: octets for key, (_, octets) in truth(inner).items()}
    assert mirror.failed == {}
    if flags:
        assert mirror.contents() == truth(inner)
