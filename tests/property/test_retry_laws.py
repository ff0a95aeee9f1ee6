"""Laws of ``RetryingSource`` under any sequence of faults: nothing lost in silence, nothing twice.

Inside is the account in memory; the consumer is a job reduced to its bookkeeping.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from hypothesis import event as noted
from hypothesis import given, settings
from hypothesis import strategies as st

from portarchive.connectors.base import SourceCapabilities, Wanted
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
    FetchPoint,
    FolderDone,
    FolderFailed,
    FolderOpened,
    MessageRef,
    Removal,
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


@dataclass
class Mirror:
    """A job's bookkeeping: what it has of an account, by folder_id and uid."""

    flags: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    octets: dict[tuple[str, str], bytes] = field(default_factory=dict)
    tokens: dict[str, dict] = field(default_factory=dict)
    failed: dict[tuple[str, str], Failure] = field(default_factory=dict)
    finished: set[str] = field(default_factory=set)

    def run(self, source: RetryingSource) -> None:
        folders = source.folders()
        self.finished = set()
        named: dict[str, set[str]] = {}
        complete: dict[str, bool] = {}
        pending: dict[tuple[str, str], MessageRef] = {}
        relist = {folder_id for folder_id, _ in self.failed}
        tokens = dict(self.tokens)
        for change in source.changes(Wanted(folders=folders, tokens=tokens, relist=relist)):
            if isinstance(change, FolderOpened):
                folder_id = change.folder.folder_id
                if tokens.get(folder_id, {}).get("uidvalidity") != change.uidvalidity:
                    self._forget(folder_id)
                named[folder_id], complete[folder_id] = set(), change.complete
                if change.complete:
                    self.failed = {k: v for k, v in self.failed.items() if k[0] != folder_id}
            elif isinstance(change, MessageRef):
                for placement in change.placements:
                    key = placement[:2]
                    named[key[0]].add(key[1])
                    known = self.flags.get(key, ())
                    self.flags[key] = known if placement.flags is None else placement.flags
                    if key not in self.octets:
                        pending[key] = change
            elif isinstance(change, Removal):
                for uid in change.uids:
                    self._drop((change.folder_id, uid))
                    named[change.folder_id].discard(uid)
            elif isinstance(change, FetchPoint):
                self._fetch(source, {ref.placements[0][:2]: ref for ref in pending.values()})
                pending = {}
            elif isinstance(change, FolderDone):
                if complete[change.folder_id]:
                    for key in [key for key in self.flags if key[0] == change.folder_id]:
                        if key[1] not in named[change.folder_id]:
                            self._drop(key)
                self.tokens[change.folder_id] = change.token
                assert change.folder_id not in self.finished
                self.finished.add(change.folder_id)
            elif isinstance(change, FolderFailed):
                self.finished.add(change.folder_id)
        assert self.finished == {folder.folder_id for folder in folders}

    def _fetch(self, source: RetryingSource, refs) -> None:
        for ref, outcome in source.fetch(list(refs.values())):
            try:
                octets = None if isinstance(outcome, tuple) else b"".join(outcome.chunks())
            except BodyCut:
                continue
            for placement in ref.placements:
                if octets is not None:
                    self.octets[placement[:2]] = octets
                    self.flags[placement[:2]] = placement.flags
                elif isinstance(outcome, Vanished):
                    self._drop(placement[:2])
                else:
                    self.failed[placement[:2]] = outcome

    def _drop(self, key: tuple[str, str]) -> None:
        self.flags.pop(key, None)
        self.octets.pop(key, None)
        self.failed.pop(key, None)

    def _forget(self, folder_id: str) -> None:
        for key in [key for key in self.flags if key[0] == folder_id]:
            self._drop(key)


def state(inner: MemorySource):
    paths = {folder.path: folder.folder_id for folder in inner.folders()}
    return {
        (paths[path], uid): (flags, octets)
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
    truth = state(inner)
    assert mirror.octets == {key: octets for key, (_, octets) in truth.items()}
    assert mirror.failed == {}
    assert set(mirror.flags) == set(truth)
    if flags:
        assert mirror.flags == {key: flags for key, (flags, _) in truth.items()}
