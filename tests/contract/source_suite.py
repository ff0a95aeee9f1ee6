"""What every ``Source`` has to do, as tests that each connector inherits.

A connector's test module subclasses ``SourceContract`` and gives it a fixture ``provider``: the
other side of the wire, as its owner changes it. Nothing here knows a protocol.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import re
from collections.abc import Iterable, Mapping
from typing import Protocol

import pytest

from contract.mirror import Mirror, order
from portarchive.connectors.base import Source, SourceCapabilities, Wanted
from portarchive.connectors.retry import RetryingSource
from portarchive.errors import ConnectorError
from portarchive.progress import silent
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


class Provider(Protocol):
    """An account that is this test's own. Folder names have slashes; flags the archive's spelling.

    Attributes:
        secret: a string that must not show anywhere: the password.
    """

    secret: str

    def source(self) -> Source:
        """A new connection. The one before is closed by now, or dead."""
        ...

    def add(
        self,
        folder: str,
        octets: bytes,
        flags: Iterable[str] = (),
        received: dt.datetime | None = None,
    ) -> str:
        """A new message; its uid."""
        ...

    def copy(self, folder: str, uid: str, to: str) -> str:
        """One more placement of the same message, by the server's own means; its uid."""
        ...

    def expunge(self, folder: str, *uids: str) -> None: ...

    def set_flags(self, folder: str, uid: str, flags: Iterable[str]) -> None: ...

    def create(self, folder: str) -> None:
        """Missing parents hold no mail."""
        ...

    def rename(self, folder: str, to: str) -> None: ...

    def delete(self, folder: str) -> None: ...

    def reset_uidvalidity(self, folder: str) -> None:
        """Another UIDVALIDITY, and other uids from 1 in the same order."""
        ...

    def drop(self) -> None:
        """All connections of the source break, without a farewell."""
        ...

    def contents(self) -> dict[tuple[str, str], tuple[frozenset[str], bytes]]:
        """By folder and uid, flags and octets; asked without the connector."""
        ...


NOON = dt.datetime(2024, 2, 29, 12, 0, 1, tzinfo=dt.timezone(dt.timedelta(hours=2)))


def mail(number: int, body: bytes = b"hello\r\n") -> bytes:
    return b"Subject: %d\r\nMessage-ID: <%d@example.org>\r\n\r\n%s" % (number, number, body)


OCTETS = {
    "plain": mail(1),
    "without a last line end": mail(2, b"no end"),
    "no body": b"Subject: no body\r\n\r\n",
    "no message-id": b"Subject: nameless\r\n\r\nx\r\n",
    "eight bits everywhere": b"Subject: caf\xe9 \xff\xfe\r\n\r\n\x80\x81 \xf0\x9f\x92\x8c\r\n",
    "a long line": mail(3, b"y" * 200_000 + b"\r\n"),
    "what looks like a reply": mail(4, b")\r\nA1 OK done\r\n* 1 FETCH (UID 1 BODY[] {3}\r\nx)\r\n"),
    "a field that looks like a tag": b"X-Spam-Flag: NO\r\nA0 BAD: no\r\n\r\n* BYE\r\n",
    "braces, quotes, percent": mail(5, b'{5}\r\n"\\" %s %n (\x7f\r\n'),
    "dots": mail(6, b".\r\n..\r\nFrom me\r\n"),
    "empty lines only": b"Subject: e\r\n\r\n\r\n\r\n\r\n",
}


def listing(source: Source, **options) -> list:
    wanted = {"folders": selectable(source), "tokens": {}} | options
    return list(source.changes(Wanted(**wanted)))


def selectable(source: Source) -> list:
    return [folder for folder in source.folders() if folder.selectable]


def of(kind, events) -> list:
    return [event for event in events if isinstance(event, kind)]


def read(pair) -> bytes:
    _, outcome = pair
    assert not isinstance(outcome, Failure | Vanished), outcome
    return b"".join(outcome.chunks())


class SourceContract:
    """Inherit, and give a fixture ``provider``.

    Attributes:
        octets: messages that the other side can hold as they are.
    """

    octets: Mapping[str, bytes] = OCTETS

    def alike(self, contents: dict) -> dict:
        """What has to be equal after a flag changed, where flags are a part of the octets."""
        return contents

    @pytest.fixture
    def source(self, provider: Provider):
        source = provider.source()
        yield source
        source.close()

    @pytest.fixture
    def filled(self, provider: Provider):
        """Some messages in three folders; what the source was given."""
        provider.create("Work/Projects")
        provider.create("Ärger & Co/日本")
        for number in range(7):
            provider.add("INBOX", mail(number), ["$seen"] if number % 2 else [], NOON)
        for number in range(3):
            provider.add("Work/Projects", mail(10 + number), ["$flagged", "$Forwarded"])
        provider.add("Ärger & Co/日本", mail(20), ["$answered", "$draft"])
        return provider

    # --- before the work

    def test_it_is_a_source(self, source) -> None:
        assert isinstance(source, Source)
        assert isinstance(source.capabilities, SourceCapabilities)

    def test_identity_says_who_and_where_and_no_secret(self, provider, source) -> None:
        identity = source.identity()
        assert source.identity() == identity
        assert re.fullmatch(r"[a-z]+", identity.protocol)
        assert identity.service.startswith(identity.protocol)
        assert "@" not in identity.service
        assert identity.account
        assert list(identity.capabilities) == sorted(identity.capabilities)
        assert provider.secret not in repr(identity) + repr(vars(source))

    def test_folders_come_parents_first_with_decoded_names(self, filled, source) -> None:
        folders = source.folders()
        paths = [folder.path for folder in folders]
        assert len({folder.folder_id for folder in folders}) == len(folders)
        assert {("INBOX",), ("Work", "Projects"), ("Ärger & Co", "日本")} <= set(paths)
        for path in paths:
            if len(path) > 1 and path[:-1] in paths:
                assert paths.index(path[:-1]) < paths.index(path)
        inbox = folders[paths.index(("INBOX",))]
        assert inbox.roles == ("inbox",)
        assert inbox.selectable
        if ("Work",) in paths:
            assert not folders[paths.index(("Work",))].selectable
        assert inbox.messages in {None, 7}

    # --- listing

    def test_a_listing_names_everything_once(self, filled, source) -> None:
        mirror = Mirror()
        mirror.run(source)
        assert mirror.contents() == filled.contents()
        assert mirror.fetched == 11
        assert {done.listed for done in mirror.of(FolderDone)} == {7, 3, 1} | (
            {0} if len(mirror.of(FolderDone)) > 3 else set()
        )

    def test_an_empty_folder_is_opened_and_done(self, provider, source) -> None:
        provider.create("Empty")
        (folder,) = [folder for folder in source.folders() if folder.path == ("Empty",)]
        opened, done = listing(source, folders=[folder])
        assert isinstance(opened, FolderOpened)
        assert opened.complete
        assert opened.counts["exists"] == 0
        assert done.listed == 0

    def test_only_the_wanted_folders_are_visited(self, filled, source) -> None:
        folders = [folder for folder in source.folders() if folder.path == ("Work", "Projects")]
        events = listing(source, folders=folders)
        named = {place.folder_id for ref in of(MessageRef, events) for place in ref.placements}
        assert named == {folders[0].folder_id}
        assert listing(source, folders=[]) == []

    def test_described_references_are_enough_for_a_filter(self, filled, source) -> None:
        sizes = {(path, uid): len(octets) for (path, uid), (_, octets) in filled.contents().items()}
        paths = {folder.folder_id: "/".join(folder.path) for folder in source.folders()}
        for ref in of(MessageRef, listing(source, describe=True)):
            for placement in ref.placements:
                key = paths[placement.folder_id], placement.uid
                assert ref.size == sizes[key]
                assert frozenset(placement.flags) == filled.contents()[key][0]
                assert placement.received.epoch is not None

    def test_flags_are_in_the_listing_if_the_source_says_so(self, filled, source) -> None:
        for ref in of(MessageRef, listing(source)):
            if source.capabilities.flags_in_listing:
                assert all(placement.flags is not None for placement in ref.placements)

    def test_copies_have_one_id_or_none(self, provider, source) -> None:
        provider.create("B")
        provider.copy("INBOX", provider.add("INBOX", mail(1)), "B")
        provider.add("B", mail(1))
        refs = of(MessageRef, listing(source))
        assert sum(len(ref.placements) for ref in refs) == 3
        if source.capabilities.object_ids:
            ids = [ref.email_id for ref in refs for _ in ref.placements]
            assert len(set(ids)) in {1, 2}  # by origin, or by contents
            assert None not in ids
        mirror = Mirror()
        mirror.run(source)
        assert mirror.contents() == provider.contents()

    # --- octets

    def test_octets_are_what_the_server_has(self, provider, source) -> None:
        uids = {provider.add("INBOX", octets): octets for octets in self.octets.values()}
        mirror = Mirror()
        mirror.run(source)
        assert {uid: octets for (_, uid), octets in mirror.octets.items()} == uids

    def test_large_messages_come_in_chunks(self, provider, source) -> None:
        large = mail(1, b"0123456789abcde\n" * (3 << 16))
        large = large.replace(b"\n", b"\r\n").replace(b"\r\r\n", b"\r\n")
        provider.add("INBOX", large)
        provider.add("INBOX", mail(2))
        refs = of(MessageRef, listing(source))
        for ref, body in source.fetch(refs):
            chunks = list(body.chunks())
            octets = b"".join(chunks)
            assert body.size == len(octets)
            if ref.placements[0].uid == refs[0].placements[0].uid:
                assert body.octets is None
                assert len(chunks) > 1
                assert max(map(len, chunks)) <= 1 << 20
                assert octets == large
            else:
                assert octets == mail(2)

    def test_what_comes_back_has_everything_known(self, filled, source) -> None:
        refs = of(MessageRef, listing(source))
        contents = filled.contents()
        paths = {folder.folder_id: "/".join(folder.path) for folder in source.folders()}
        seen = set()
        for pair in source.fetch(refs):
            octets, ref = read(pair), pair[0]
            for placement in ref.placements:
                key = paths[placement.folder_id], placement.uid
                assert key not in seen
                seen.add(key)
                assert contents[key] == (frozenset(placement.flags), octets)
                assert len(placement.flags) == len(set(placement.flags))
                if key[0] == "INBOX":
                    assert placement.received.epoch == int(NOON.timestamp())
                    back = dt.datetime.fromisoformat(placement.received.text)
                    assert back == NOON
        assert seen == set(contents)

    def test_some_may_be_asked_for_in_any_order(self, filled, source) -> None:
        refs = of(MessageRef, listing(source))[::-2]
        got = [pair[0].placements[0][:2] for pair in source.fetch(refs) if read(pair)]
        assert sorted(got) == sorted(ref.placements[0][:2] for ref in refs)
        assert list(source.fetch([])) == []
        assert len(list(source.fetch(refs[:1]))) == 1

    def test_bodies_that_nobody_reads_are_skipped(self, provider, source) -> None:
        big = mail(0, b"z" * 78 + b"\r\n") + b"0123456789\r\n" * 300_000
        for number in range(3):
            provider.add("INBOX", big)
            provider.add("INBOX", mail(number))
        refs = of(MessageRef, listing(source))
        small = []
        for number, (_, body) in enumerate(source.fetch(refs)):
            if number % 3 == 0 and body.octets is None:
                next(body.chunks())
            elif body.size < 1000:
                small.append(b"".join(body.chunks()))
        assert sorted(small) == [mail(number) for number in range(3)]

    # --- what happens meanwhile

    def test_a_message_gone_before_the_fetch_is_an_outcome(self, filled, source) -> None:
        refs = of(MessageRef, listing(source))
        folders = {folder.folder_id: "/".join(folder.path) for folder in source.folders()}
        gone = [ref for ref in refs if folders[ref.placements[0].folder_id] == "INBOX"][2:5]
        filled.expunge("INBOX", *(ref.placements[0].uid for ref in gone))
        outcomes = {}
        for ref, outcome in source.fetch(refs):
            if not isinstance(outcome, Vanished):
                b"".join(outcome.chunks())
            outcomes[ref.placements[0][:2]] = outcome
        assert len(outcomes) == len(refs)
        assert {key for key, outcome in outcomes.items() if outcome == Vanished()} == {
            ref.placements[0][:2] for ref in gone
        }

    def test_what_arrives_during_the_fetch_is_had_in_the_same_run(self, filled, source) -> None:
        def deliver(event) -> None:
            if isinstance(event, MessageRef) and mirror.fetched == 1 and not came:
                came.append(event)
                folder = paths[event.placements[0].folder_id]
                filled.add(folder, mail(100), ["$seen"])

        came: list[MessageRef] = []
        paths = {folder.folder_id: "/".join(folder.path) for folder in source.folders()}
        mirror = Mirror()
        mirror.run(source, at=deliver)
        assert mirror.fetched == 12
        assert mirror.contents() == filled.contents()
        assert sum(done.arrived_later for done in mirror.of(FolderDone)) == 0
        mirror.run(source)
        assert mirror.fetched == 0

    @pytest.mark.parametrize("change", ["add", "expunge", "flag"])
    def test_nothing_between_token_and_listing_is_lost(self, provider, change) -> None:
        """A change between any two events shows in that run or in the next one."""
        for place in range(40):
            folder = f"At{place}"
            provider.create(folder)
            uids = [provider.add(folder, mail(number)) for number in range(3)]
            source = provider.source()
            steps = iter(range(1000))
            done = False

            def act(_, place=place, folder=folder, uids=uids, steps=steps) -> None:
                nonlocal done
                if next(steps) != place:
                    return
                done = True
                if change == "add":
                    provider.add(folder, mail(99), ["$seen"])
                elif change == "expunge":
                    provider.expunge(folder, uids[1])
                else:
                    provider.set_flags(folder, uids[1], ["$flagged"])

            mirror = Mirror()
            mirror.run(source, at=act)
            mirror.run(source)
            source.close()
            assert self.alike(mirror.contents()) == self.alike(provider.contents()), (
                f"a change at event {place} is lost"
            )
            provider.delete(folder)
            if not done:
                break
        assert place > 4

    # --- the next run

    def test_a_folder_standing_still_names_nothing_new(self, filled, provider, source) -> None:
        mirror = Mirror()
        mirror.run(source)
        mirror.run(source)
        assert mirror.fetched == 0
        if source.capabilities.removals:
            assert not any(opened.complete for opened in mirror.of(FolderOpened))
            assert mirror.of(MessageRef) + mirror.of(Removal) + mirror.of(FetchPoint) == []
        source.close()
        later = provider.source()
        mirror.run(later)
        later.close()
        assert mirror.fetched == 0
        assert mirror.contents() == filled.contents()

    def test_a_delta_is_the_difference_of_two_listings(self, filled, source) -> None:
        mirror = Mirror()
        mirror.run(source)
        inbox = sorted((uid for path, uid in filled.contents() if path == "INBOX"), key=order)
        filled.expunge("INBOX", inbox[0], inbox[3], inbox[4])
        filled.set_flags("INBOX", inbox[1], ["$answered", "$seen"])
        filled.set_flags("INBOX", inbox[5], [])
        new = filled.add("INBOX", mail(50), ["$Label1"])
        gone_again = filled.add("INBOX", mail(51))
        filled.expunge("INBOX", gone_again)
        filled.create("New")
        filled.add("New", mail(52))
        mirror.run(source)
        assert mirror.contents() == filled.contents()
        assert mirror.fetched == 2
        whole = Mirror()
        whole.run(source)
        assert self.alike(whole.contents()) == self.alike(mirror.contents())
        assert ("INBOX", new) in mirror.octets

    def test_a_delta_names_no_more_than_it_must(self, filled, source) -> None:
        mirror = Mirror()
        mirror.run(source)
        uid = min((uid for path, uid in filled.contents() if path == "INBOX"), key=order)
        filled.set_flags("INBOX", uid, ["$flagged"])
        mirror.run(source)
        if source.capabilities.removals:
            (ref,) = mirror.of(MessageRef)
            assert [placement.uid for placement in ref.placements] == [uid]
        assert mirror.fetched == 0

    def test_a_folder_can_be_listed_whole_in_spite_of_its_token(self, filled, source) -> None:
        mirror = Mirror()
        mirror.run(source)
        mirror.run(source, relist=frozenset({"INBOX"}))
        complete = {event.folder.path for event in mirror.of(FolderOpened) if event.complete}
        assert ("INBOX",) in complete
        if source.capabilities.removals:
            assert complete == {("INBOX",)}
        assert mirror.fetched == 0
        assert mirror.contents() == filled.contents()

    def test_another_uidvalidity_brings_what_identifies_a_message(self, provider) -> None:
        octets = [mail(1), b"Subject: nameless\r\n\r\n", mail(3)]
        for each in octets:
            provider.add("INBOX", each, received=NOON)
        mirror = Mirror()
        source = provider.source()
        mirror.run(source)
        before = mirror.of(FolderOpened)[0].uidvalidity
        source.close()
        provider.reset_uidvalidity("INBOX")
        source = provider.source()
        mirror.run(source, relist=frozenset({"INBOX"}))
        (opened,) = [event for event in mirror.of(FolderOpened) if event.folder.path == ("INBOX",)]
        assert opened.complete
        assert opened.uidvalidity != before
        refs = mirror.of(MessageRef)
        assert [ref.size for ref in refs] == [len(each) for each in octets]
        assert [ref.message_id for ref in refs] == [b"<1@example.org>", b"", b"<3@example.org>"]
        assert {ref.placements[0].received.epoch for ref in refs} == {int(NOON.timestamp())}
        assert mirror.contents() == provider.contents()
        source.close()

    def test_an_old_uid_never_brings_a_strangers_octets(self, provider) -> None:
        uids = [provider.add("INBOX", mail(number)) for number in range(4)]
        first = provider.add("INBOX", mail(4))
        provider.expunge("INBOX", uids[0])
        source = provider.source()
        refs = of(MessageRef, listing(source))
        right = {
            ref.placements[0].uid: read(pair) for pair in source.fetch(refs) for ref in [pair[0]]
        }
        provider.reset_uidvalidity("INBOX")
        assert first in right
        try:
            source.reconnect()
            for ref, outcome in source.fetch(refs):
                if not isinstance(outcome, Failure | Vanished):
                    assert b"".join(outcome.chunks()) == right[ref.placements[0].uid]
        except ConnectorError:
            pass
        source.close()

    def test_a_folder_gone_or_renamed_does_not_stop_the_others(self, filled, source) -> None:
        folders = selectable(source)
        filled.delete("Ärger & Co/日本")
        events = list(source.changes(Wanted(folders=folders, tokens={})))
        failed = of(FolderFailed, events)
        assert [folder.path for folder in folders if folder.folder_id == failed[0].folder_id] == [
            ("Ärger & Co", "日本")
        ]
        assert len(failed) == 1
        assert len(of(FolderDone, events)) == len(folders) - 1
        filled.rename("Work/Projects", "Moved")
        assert ("Moved",) in {folder.path for folder in source.folders()}
        mirror = Mirror()
        mirror.run(source)
        assert mirror.contents() == filled.contents()

    # --- the connection

    def test_after_a_reconnect_everything_is_as_before(self, filled, source) -> None:
        mirror = Mirror()
        mirror.run(source)
        filled.drop()
        source.reconnect()
        source.reconnect()
        mirror.run(source)
        assert mirror.fetched == 0
        assert mirror.contents() == filled.contents()

    def test_on_a_dead_connection_only_connector_errors_come_out(self, filled, source) -> None:
        refs = of(MessageRef, listing(source))
        wanted = Wanted(folders=selectable(source), tokens={})
        filled.drop()
        with pytest.raises(ConnectorError):
            list(source.fetch(refs))
        for ask in (
            lambda: list(source.changes(wanted)),
            lambda: list(source.fetch(refs)),
            source.folders,
            source.identity,
        ):
            # It may connect anew by itself; whatever else goes wrong is a ConnectorError too.
            with contextlib.suppress(ConnectorError):
                ask()
            filled.drop()
        source.close()
        source.close()

    def test_a_listing_may_break_and_be_begun_again(self, filled, source) -> None:
        wanted = Wanted(folders=selectable(source), tokens={})
        events = source.changes(wanted)
        next(events)
        filled.drop()
        with pytest.raises(ConnectorError):
            for event in events:
                if isinstance(event, FetchPoint):
                    list(source.fetch([]))
        source.reconnect()
        mirror = Mirror()
        mirror.run(source)
        assert mirror.contents() == filled.contents()

    def test_a_fetch_may_break_and_the_rest_be_asked_for_again(self, provider, source) -> None:
        octets = [mail(number, b"0123456789\r\n" * 200_000) for number in range(6)]
        there = {provider.add("INBOX", each): each for each in octets}
        refs = of(MessageRef, listing(source))
        got = []
        with pytest.raises(ConnectorError):
            for number, pair in enumerate(source.fetch(refs)):
                if number == 2:
                    provider.drop()
                got.append((pair[0].placements[0].uid, read(pair)))
        assert 2 <= len(got) < 6
        source.reconnect()
        have = {uid for uid, _ in got}
        rest = [ref for ref in refs if ref.placements[0].uid not in have]
        got += [(pair[0].placements[0].uid, read(pair)) for pair in source.fetch(rest)]
        assert len(got) == 6
        assert dict(got) == there

    def test_wrapped_it_survives_what_breaks_it(self, provider, source) -> None:
        big = [mail(number, b"0123456789\r\n" * 100_000) for number in range(5)]
        for number in range(20):
            provider.add("INBOX", mail(100 + number))
        for each in big:
            provider.add("INBOX", each)
        steps = iter(range(1000))
        mirror = Mirror()
        wrapped = RetryingSource(source, observer=silent, sleep=lambda seconds: None)
        # In the listing; twice among the first messages; before and after a large one.
        breaks = {5, 36, 41, 52, 53}
        mirror.run(wrapped, at=lambda _: provider.drop() if next(steps) in breaks else None)
        assert mirror.failed == mirror.failed_folders == {}
        assert mirror.contents() == provider.contents()

    # --- the law above all

    def test_the_source_is_never_changed(self, filled, source) -> None:
        before = filled.contents()
        mirror = Mirror()
        mirror.run(source, describe=True)
        mirror.run(source, relist=frozenset({"INBOX"}))
        source.close()
        again = filled.source()
        Mirror().run(again)
        again.close()
        assert filled.contents() == before
