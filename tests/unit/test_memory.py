"""The account in memory is what the tests of others stand on: its own behaviour, step by step."""

from __future__ import annotations

import pytest

from portarchive.connectors.base import Source, SourceCapabilities, Wanted
from portarchive.connectors.memory import Fault, MemorySource
from portarchive.errors import ConnectionLost, RateLimited, TokenExpired, Unreachable
from portarchive.records import (
    Failure,
    FetchPoint,
    FolderDone,
    FolderFailed,
    FolderOpened,
    MessageRef,
    Received,
    Removal,
    Vanished,
)

MAIL = b"Subject: one\r\nMESSAGE-id:\r\n <a@b>\r\n\r\nbody\r\n"


def listing(source: MemorySource, **wanted):
    wanted = {"folders": source.folders(), "tokens": {}} | wanted
    return list(source.changes(Wanted(**wanted)))


def of(kind, events):
    return [event for event in events if isinstance(event, kind)]


def tokens(events):
    return {event.folder_id: event.token for event in of(FolderDone, events)}


def test_it_is_a_source() -> None:
    source = MemorySource()
    assert isinstance(source, Source)
    assert source.identity().protocol == "memory"


def test_one_message_in_two_mailboxes_is_one_reference() -> None:
    source = MemorySource()
    source.create_folder("Archive/2026", roles=["archive"])
    added = source.add(MAIL, ["INBOX", "Archive/2026"], flags=["$seen"])
    events = listing(source)
    (ref,) = of(MessageRef, events)
    assert [(p.folder_id, p.uid, p.flags) for p in ref.placements] == [
        ("F2", "1", ("$seen",)),
        ("F1", "1", ("$seen",)),
    ]
    assert ref.email_id == added.email_id
    assert [done.listed for done in of(FolderDone, events)] == [1, 1]
    assert [type(event).__name__ for event in events] == [
        *["FolderOpened"] * 2,
        "MessageRef",
        "FetchPoint",
        *["FolderDone"] * 2,
    ]


def test_folder_by_folder_it_is_two() -> None:
    source = MemorySource(whole_account=False)
    source.create_folder("Z")
    source.add(MAIL, ["INBOX", "Z"])
    refs = of(MessageRef, listing(source))
    assert [[p.folder_id for p in ref.placements] for ref in refs] == [["F1"], ["F2"]]
    assert len({ref.email_id for ref in refs}) == 1


def test_parents_come_first_and_carry_roles() -> None:
    source = MemorySource()
    source.create_folder("A/B", namespace="shared", subscribed=False)
    source.create_folder("A", selectable=False)
    found = [(f.path, f.selectable, f.roles, f.messages) for f in source.folders()]
    assert found == [
        (("A",), False, (), None),
        (("A", "B"), True, (), 0),
        (("INBOX",), True, ("inbox",), 0),
    ]


def test_a_delta_names_what_changed_and_what_is_gone() -> None:
    source = MemorySource()
    keep, flip, lose = (source.add(b"n: %d\r\n\r\n" % n) for n in range(3))
    token = tokens(listing(source))
    assert listing(source, tokens=token) == [
        *of(FolderOpened, listing(source, tokens=token)),
        FolderDone(folder_id="F1", token=token["F1"]),
    ]
    source.set_flags("INBOX", flip.placements[0].uid, ["$flagged"])
    source.expunge("INBOX", lose.placements[0].uid)
    added = source.add(b"n: 4\r\n\r\n")
    events = listing(source, tokens=token)
    assert not of(FolderOpened, events)[0].complete
    assert [(r.placements[0].uid, r.placements[0].flags) for r in of(MessageRef, events)] == [
        (flip.placements[0].uid, ("$flagged",)),
        (added.placements[0].uid, ()),
    ]
    assert of(Removal, events) == [Removal("F1", (lose.placements[0].uid,))]
    assert of(FolderDone, events)[0].listed is None
    whole = listing(source, tokens=token, relist=["F1"])
    assert of(FolderOpened, whole)[0].complete
    assert keep.placements[0].uid in {r.placements[0].uid for r in of(MessageRef, whole)}
    assert of(Removal, whole) == []


def test_another_uidvalidity_brings_what_identifies_a_message() -> None:
    source = MemorySource(capabilities=SourceCapabilities(removals=True), large=10)
    source.add(MAIL, received="2025-02-03T04:05:06+02:00")
    source.add(b"no: id\r\n\r\n")
    first = listing(source)
    assert all(r.size is None and r.placements[0].flags is None for r in of(MessageRef, first))
    source.reset_uidvalidity("INBOX")
    source.reconnect()
    opened, *refs = listing(source, tokens=tokens(first), relist=["F1"])[:3]
    assert opened.complete
    assert opened.uidvalidity != tokens(first)["F1"]["uidvalidity"]
    assert [ref.message_id for ref in refs] == [b"<a@b>", b""]
    assert refs[0].size == len(MAIL)
    assert refs[0].placements[0].received == Received("2025-02-03T04:05:06+02:00", 1738548306)
    assert refs[0].email_id is None


def test_without_removals_every_listing_is_whole() -> None:
    source = MemorySource(capabilities=SourceCapabilities(flags_in_listing=True))
    source.add(MAIL)
    again = listing(source, tokens=tokens(listing(source)))
    assert of(FolderOpened, again)[0].complete


def test_a_uid_of_an_earlier_uidvalidity_is_gone() -> None:
    source = MemorySource()
    source.add(b"first\r\n\r\n")
    source.add(b"second\r\n\r\n")
    source.expunge("INBOX", 1)
    refs = of(MessageRef, listing(source))
    source.reset_uidvalidity("INBOX")
    source.add(b"a stranger under the old uid\r\n\r\n")
    source.reconnect()
    assert [outcome for _, outcome in source.fetch(refs)] == [Vanished()]


def test_what_arrives_meanwhile_is_named_once_more_and_then_counted() -> None:
    source = MemorySource()
    source.add(b"a: 1\r\n\r\n")
    points = iter(range(9))

    def deliver(event):
        if isinstance(event, FetchPoint):
            source.add(b"a: later %d\r\n\r\n" % next(points))

    source.after_event = deliver
    events = listing(source)
    assert [type(event).__name__ for event in events][1:] == [
        *["MessageRef", "FetchPoint"] * 2,
        "FolderDone",
    ]
    assert events[-1].listed == 2
    assert events[-1].arrived_later == 1


def test_bodies_large_and_small() -> None:
    source = MemorySource(large=64, chunk=10)
    small, large = source.add(b"x" * 64), source.add(b"y" * 65)
    found = {}
    for ref, body in source.fetch([small, large]):
        assert (body.octets is None) == (ref == large)
        found[ref] = list(body.chunks())
    assert found[small] == [b"x" * 64]
    assert [len(chunk) for chunk in found[large]] == [10] * 6 + [5]


def test_a_body_is_read_once_and_in_time() -> None:
    source = MemorySource(large=0, chunk=2)
    refs = [source.add(b"abcdef") for _ in range(3)]
    stream = source.fetch(refs)
    _, body = next(stream)
    assert b"".join(body.chunks()) == b"abcdef"
    with pytest.raises(RuntimeError):
        next(body.chunks())
    _, body = next(stream)
    begun = body.chunks()
    next(begun)
    _, late = next(stream)
    with pytest.raises(RuntimeError):
        next(begun)
    next(stream, None)
    with pytest.raises(RuntimeError):
        next(late.chunks())


def test_fetch_completes_the_reference_and_knows_what_is_gone() -> None:
    source = MemorySource(capabilities=SourceCapabilities())
    source.create_folder("B")
    source.add(MAIL, ["INBOX", "B"], flags=["$seen"])
    source.add(MAIL)
    refs = of(MessageRef, listing(source))
    source.expunge("B", 1)
    source.expunge("INBOX", 2)
    (both, body), (_, gone) = source.fetch(refs)
    assert [(p.uid, p.flags) for p in both.placements] == [("1", ()), ("1", ("$seen",))]
    assert all(p.received for p in both.placements)
    assert (both.size, body.octets) == (len(MAIL), MAIL)
    assert gone == Vanished()


@pytest.mark.parametrize("error", [ConnectionLost("gone"), TokenExpired("old"), RateLimited("no")])
def test_faults_strike_where_they_are_told(error) -> None:
    source = MemorySource(faults=[Fault(where="fetch", error=error, after=2, times=2)])
    refs = [source.add(b"%d" % n) for n in range(5)]
    for _ in range(2):
        stream = source.fetch(refs)
        assert [next(stream)[1].octets, next(stream)[1].octets] == [b"0", b"1"]
        with pytest.raises(type(error), match=error.text):
            next(stream)
        if not isinstance(error, RateLimited):
            with pytest.raises(ConnectionLost):
                next(source.fetch(refs))
            source.reconnect()
    assert len(list(source.fetch(refs))) == 5


def test_faults_in_changes_bodies_and_reconnects() -> None:
    source = MemorySource(
        faults=[
            Fault(where="changes", error=ConnectionLost("x"), after=1),
            Fault(where="chunks", error=ConnectionLost("x"), after=1),
            Fault(where="reconnect", error=Unreachable("x")),
        ],
        large=0,
        chunk=1,
    )
    ref = source.add(b"abc")
    folders = source.folders()
    events = source.changes(Wanted(folders=folders, tokens={}))
    next(events)
    with pytest.raises(ConnectionLost):
        next(events)
    with pytest.raises(Unreachable):
        source.reconnect()
    with pytest.raises(ConnectionLost):
        source.folders()
    source.reconnect()
    _, body = next(source.fetch([ref]))
    chunks = body.chunks()
    assert next(chunks) == b"a"
    with pytest.raises(ConnectionLost):
        next(chunks)
    assert source.reconnects == 2


def test_an_iterator_dies_with_its_connection() -> None:
    source = MemorySource()
    source.add(MAIL)
    events = source.changes(Wanted(folders=source.folders(), tokens={}))
    next(events)
    source.reconnect()
    with pytest.raises(ConnectionLost):
        next(events)


@pytest.mark.parametrize(("whole_batch", "before"), [(True, 0), (False, 2)])
def test_poison_breaks_every_batch_that_has_it(whole_batch, before) -> None:
    source = MemorySource()
    refs = [source.add(b"%d" % n) for n in range(4)]
    source.poison(refs[2], whole_batch=whole_batch)
    for _ in range(2):
        got = []
        with pytest.raises(ConnectionLost):
            got.extend(source.fetch(refs))
        assert len(got) == before
        source.reconnect()
    assert len(list(source.fetch(refs[:2] + refs[3:]))) == 3
    assert source.fetches == [4, 4, 3]


def test_answers_by_order() -> None:
    source = MemorySource()
    refs = [source.add(b"%d" % n) for n in range(4)]
    source.answer(refs[0], Failure("server-refused", "no"))
    source.answer(refs[1], Vanished())
    source.answer(refs[2], None)
    outcomes = {ref.email_id: outcome for ref, outcome in source.fetch(refs)}
    assert outcomes[refs[0].email_id] == Failure("server-refused", "no")
    assert outcomes[refs[1].email_id] == Vanished()
    assert refs[2].email_id not in outcomes
    assert outcomes[refs[3].email_id].octets == b"3"


def test_folders_come_go_and_refuse() -> None:
    source = MemorySource()
    source.create_folder("A")
    source.create_folder("B")
    source.create_folder("C")
    wanted = source.folders()
    source.add(MAIL, "C")
    source.delete_folder("A")
    source.refuse_folder("B", "no-permission", "go away")
    source.rename_folder("C", "D/E")
    events = listing(source, folders=wanted)
    assert of(FolderFailed, events) == [
        FolderFailed("F2", "folder-unavailable", "there is no such mailbox"),
        FolderFailed("F3", "no-permission", "go away"),
    ]
    assert [e.folder.path for e in of(FolderOpened, events)] == [("D", "E"), ("INBOX",)]
    source.refuse_folder("B", None)
    assert of(FolderFailed, listing(source)) == []
    with pytest.raises(ValueError, match="already"):
        source.create_folder("B")


def test_copies_share_their_id() -> None:
    source = MemorySource()
    source.create_folder("B")
    source.add(MAIL, flags=["$seen"])
    placement = source.copy("INBOX", 1, "B")
    assert placement.flags == ("$seen",)
    (ref,) = of(MessageRef, listing(source))
    assert len(ref.placements) == 2
    with pytest.raises(ValueError, match="already"):
        source.copy("INBOX", 1, "B")
    with pytest.raises(LookupError):
        source.expunge("Nowhere", 1)


def test_reading_changes_nothing() -> None:
    source = MemorySource()
    refs = [source.add(MAIL) for _ in range(3)]
    before = source.contents()
    listing(source)
    list(source.fetch(refs))
    assert source.contents() == before
    assert before == {("INBOX",): {str(n): ((), MAIL) for n in (1, 2, 3)}}
    source.close()
    with pytest.raises(ConnectionLost):
        source.identity()
