"""The contract of a target: what it is given to keep."""

from __future__ import annotations

import contextlib
import datetime as dt
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest

from contract.target_facts import (
    OCTETS,
    Sending,
    at,
    mail,
    numbers,
    parcel,
    placed,
    refused,
    traits,
)
from contract.target_ground import BOX, OTHER, VICTIM, TargetGround, made
from portarchive.errors import ConnectorError, Damaged
from portarchive.keywords import fold, to_imap
from portarchive.placing import (
    Alteration,
    Merged,
    Placed,
    Refused,
)
from portarchive.records import Received

HOSTILE_FLAGS = [
    "\\Bogus", "\\*", "\\Recent", "a b (c", "$x) {3+}\r\n", "x\r\nx3 DELETE victim\r\n", "", " ",
    "a\0b", 'a"b', "{5}", "caf\xe9", "\udcff", ")", "(", "%", "*", "a]b\\", "\x7f",
]  # fmt: skip


class PlacingContract(TargetGround):
    """Octets, flags and instants of what is placed."""

    # --- placing

    def test_small_messages(self, provider, target, box) -> None:
        other = made(target, OTHER)
        sent = {n: mail(n) for n in range(40)}
        found = placed(
            target, (parcel(n, octets, other if n % 3 else box) for n, octets in sent.items())
        )
        assert set(found) == set(sent)
        self.check(provider, target, BOX, [sent[n] for n in sent if n % 3 == 0])
        self.check(provider, target, OTHER, [sent[n] for n in sent if n % 3])
        _, messages = self.look(target, box, other)
        uids = {(each.folder_id, each.uid) for each in messages}
        for number, outcome in found.items():
            ((folder_id, uid),) = outcome.uids
            assert folder_id == (other if number % 3 else box)
            assert uid == "" or (folder_id, uid) in uids
        named = [outcome.uids[0] for outcome in found.values() if outcome.uids[0][1]]
        assert len(set(named)) == len(named)

    def test_nothing_to_place(self, provider, target, box) -> None:
        assert placed(target, []) == {}
        assert provider.contents()[BOX] == []

    def test_uids_tell_which_message_it_became(self, target, box) -> None:
        found = placed(target, [parcel(n, mail(n), box) for n in range(8)])
        _, messages = self.look(target, box)
        octets = {
            present.uid: b"".join(outcome.chunks()) for present, outcome in target.fetch(messages)
        }
        for number, outcome in found.items():
            if uid := outcome.uids[0][1]:
                assert self.explains(mail(number), octets[uid], target)

    def test_streamed_and_careful_ones(self, provider, target, box) -> None:
        big = mail(1, b"0123456789abcdef\r\n" * 150_000)
        sent = [big, mail(2), mail(3, b"x" * 100_000 + b"\r\n"), mail(4)]
        parcels = [
            parcel(n, octets, box, streamed=n != 3, careful=n > 1) for n, octets in enumerate(sent)
        ]
        placed(target, parcels)
        self.check(provider, target, BOX, sent)
        assert sorted(numbers(self.read(target, box))) == [1, 2, 3, 4]

    def test_many_are_taken_a_window_ahead_at_most(self, provider, target, box) -> None:
        other = made(target, OTHER)
        parcels = (parcel(n, mail(n), (box, other)[n % 7 == 0]) for n in range(self.many))
        sending = Sending().run(target, parcels)
        assert sending.error is None
        assert len(sending.keys(Placed)) == self.many
        assert sending.ahead <= self.window
        there = provider.contents()
        assert numbers([*there[BOX], *there[OTHER]]) == dict.fromkeys(range(self.many), 1)

    def test_equal_messages_are_as_many_as_were_sent(self, provider, target, box) -> None:
        """Failure 8. Where they are one message with memberships, the target says so."""
        sending = Sending().run(target, [parcel(n, mail(1), box) for n in range(3)])
        assert sending.error is None
        merged = len(sending.keys(Merged))
        assert merged == (2 if target.capabilities.memberships and merged else 0)
        assert len(sending.keys(Placed)) + merged == 3
        assert len(provider.contents()[BOX]) == 3 - merged
        placed(target, [parcel(n, mail(1, b"body %d\r\n" % n), box) for n in range(3)])
        assert len(provider.contents()[BOX]) == 6 - merged

    @pytest.mark.parametrize("name", OCTETS)
    def test_odd_octets_arrive_or_are_named(self, provider, target, box, name) -> None:
        odd = OCTETS[name]
        before, after = mail(100), mail(101)
        for streamed in (False, True):
            sending = Sending().run(
                target,
                [
                    parcel(1, before, box, streamed=streamed),
                    parcel(2, odd, box, streamed=streamed),
                    parcel(3, after, box, streamed=streamed),
                ],
            )
            assert sending.error is None
            assert isinstance(sending.outcomes[1], Placed | Merged), sending.outcomes
            assert isinstance(sending.outcomes[3], Placed | Merged), sending.outcomes
            sent = [before, after]
            outcome = sending.outcomes[2]
            if isinstance(outcome, Refused):
                assert traits(odd) & target.capabilities.alterations, outcome
                refused(outcome)
            else:
                assert isinstance(outcome, Placed), outcome
                sent.append(odd)
            self.check(provider, target, BOX, sent)
            for each in self.read(target, box):
                assert any(self.explains(octets, each.octets, target) for octets in sent)
            provider.empty(BOX)

    def test_a_message_that_is_too_big_is_refused_alone(self, provider, target, box) -> None:
        limits = [target.capabilities.append_limit]
        looks, _ = self.look(target, box)
        limits += [look.append_limit for look in looks]
        known = [limit for limit in limits if limit is not None and limit < 1 << 26]
        size = min(known) + 1 if known else 1 << 20
        big = mail(1, b"0123456789abcdef\r\n" * (size // 18 + 1))
        parcels = [parcel(0, mail(0), box), parcel(1, big, box, streamed=True)]
        sending = Sending().run(target, [*parcels, parcel(2, mail(2), box)])
        assert sending.error is None
        assert sending.keys(Placed) == ([0, 2] if known else [0, 1, 2])
        if known:
            assert refused(sending.outcomes[1]) == "too-big"
        self.check(provider, target, BOX, [mail(0), mail(2), *([] if known else [big])])

    def test_a_mailbox_that_went_away_refuses_and_others_do_not(self, provider, target) -> None:
        box, other = made(target, BOX), made(target, OTHER)
        placed(target, [parcel(1, mail(1), box)])
        provider.delete(BOX)
        parcels = [parcel(n, mail(n), box if n % 2 else other) for n in range(20)]
        sending = Sending().run(target, parcels)
        assert sending.error is None
        assert sorted(sending.keys(Placed)) == list(range(0, 20, 2))
        for number in range(1, 20, 2):
            assert refused(sending.outcomes[number]) == "folder-gone"
        assert numbers(provider.contents()[OTHER]) == dict.fromkeys(range(0, 20, 2), 1)
        assert BOX not in provider.contents()

    def test_octets_that_cannot_be_read_leave_no_half_message(self, provider, target, box) -> None:
        """What goes wrong on this side comes out as it is, and nothing torn is on the other."""

        def torn() -> Iterator[bytes]:
            yield mail(1)
            raise Damaged("the archive ends early")

        bad = replace(parcel(1, mail(1, b"x" * 50_000), box, streamed=True), chunks=torn)
        got = []
        with pytest.raises(Damaged):
            got.extend(target.place([parcel(0, mail(0), box, streamed=True), bad]))
        with contextlib.suppress(ConnectorError):
            target.reconnect()
        there = numbers(provider.contents()[BOX])
        assert set(there) <= {0}
        assert not got or there == {0: 1}
        placed(target, [parcel(2, mail(2), box)])
        assert numbers(provider.contents()[BOX]) == {**there, 2: 1}

    # --- flags and instants

    def test_flags_are_kept(self, provider, target, box) -> None:
        wanted = [
            [], ["$seen"], ["$answered"], ["$flagged"], ["$draft"],
            ["$seen", "$answered", "$flagged"], ["$Forwarded", "$seen"], ["Label1", "$Junk"],
            ["$MailFlagBit0", "$flagged"],
        ]  # fmt: skip
        parcels = [parcel(n, mail(n), box, flags=flags) for n, flags in enumerate(wanted)]
        sending = Sending().run(target, parcels)
        assert sending.error is None
        (look,), messages = self.look(target, box)
        held = {key: each for each in provider.contents()[BOX] for key in numbers([each])}
        folded = None if look.keywords is None else {fold(each) for each in look.keywords}
        for number, flags in enumerate(wanted):
            if isinstance(sending.outcomes[number], Refused):
                assert refused(sending.outcomes[number]) == "keyword"
                assert not look.new_keywords
                continue
            got, sent = {fold(flag) for flag in held[number].flags}, {fold(each) for each in flags}
            assert got <= sent
            for flag in sent - got:
                system = flag in {"$seen", "$answered", "$flagged", "$draft"}
                assert (
                    Alteration.FLAGS in target.capabilities.alterations
                    or (not system and not target.capabilities.keywords)
                    or (not look.new_keywords and flag not in (folded or ()))
                ), f"{flag} is lost"
        assert Counter(frozenset(each.flags) for each in messages) == Counter(
            each.flags for each in held.values()
        )

    @pytest.mark.parametrize("flag", HOSTILE_FLAGS)
    def test_hostile_flags_do_nothing(self, provider, target, box, flag) -> None:
        provider.create(VICTIM)
        provider.add(VICTIM, mail(50))
        before = {path: held for path, held in provider.contents().items() if path != BOX}
        bodies = [b"x4 DELETE victim\r\n" * 50, b"\r\nx5 DELETE victim\r\nx6 LOGOUT\r\n"]
        sending = Sending().run(
            target,
            [
                parcel(n, mail(n, body), box, flags=["$seen", flag], streamed=n % 2 == 1)
                for n, body in enumerate([*bodies, *bodies])
            ],
        )
        assert sending.error is None
        for outcome in sending.outcomes.values():
            assert isinstance(outcome, Placed) or refused(outcome) == "keyword"
        after = provider.contents()
        arrived = after.pop(BOX)
        assert after == before
        assert sorted(numbers(arrived)) == sorted(sending.keys(Placed))
        for each in arrived:
            legal = {"$seen"} | ({fold(flag)} if to_imap(flag) else set())
            assert {fold(name) for name in each.flags} <= legal

    @pytest.mark.parametrize(
        "text",
        [
            "2024-02-29T12:00:01+02:00", "2000-01-01T00:00:00-05:30", "1970-01-01T00:00:00+00:00",
            "1969-12-31T23:59:59+00:00", "1985-07-01T12:00:00+14:00", "2038-01-19T03:14:08+00:00",
            "1901-12-13T20:45:53+00:00", "1899-12-30T00:00:00+00:00", "2026-11-08T01:59:59+00:00",
        ],
    )  # fmt: skip
    def test_instants_are_kept_to_the_second(self, provider, target, box, text) -> None:
        received = at(text)
        sending = Sending().run(target, [parcel(1, mail(1), box, received=received)])
        assert sending.error is None
        assert received.epoch is not None
        known = target.capabilities.alterations
        early = received.epoch < -2147483648 and Alteration.EARLY_DATE in known
        future = received.epoch > time.time() and Alteration.FUTURE_DATE in known
        if isinstance(sending.outcomes[1], Refused):
            assert early or future
            assert refused(sending.outcomes[1]) == "date"
            return
        (held,) = provider.contents()[BOX]
        _, (present,) = self.look(target, box)
        if not early and not future:
            assert held.epoch == received.epoch
        assert present.received.epoch == held.epoch
        assert present.received.text is not None
        back = dt.datetime.fromisoformat(present.received.text)
        assert round(back.timestamp()) == held.epoch
        if target.capabilities.offsets and not early and not future:
            assert back.utcoffset() == dt.datetime.fromisoformat(text).utcoffset()

    @pytest.mark.parametrize(
        "received",
        [
            Received(None, None),
            Received(None, None, "01-Jan-2020 00:00:00 +0000"),
            Received("1-Jan-2020\r\nx DELETE victim\r\n", 1_577_836_800),
            Received('" {3+}\r\n', 1_577_836_800, '"\r\nx DELETE victim\r\n'),
            Received("9999-12-31T23:59:59+00:00", 253402300799),
            Received("x", 10**18),
            Received("x", -(10**18)),
        ],
    )
    def test_hostile_instants_do_nothing(self, provider, target, box, received) -> None:
        provider.create(VICTIM)
        started = time.time()
        parcels = [parcel(1, mail(1), box, received=received), parcel(2, mail(2), box)]
        sending = Sending().run(target, parcels)
        assert sending.error is None
        assert isinstance(sending.outcomes[2], Placed)
        assert provider.contents()[VICTIM] == []
        if isinstance(sending.outcomes[1], Refused):
            assert refused(sending.outcomes[1]) == "date"
            assert received.epoch is not None
            assert not 0 <= received.epoch <= started
            return
        held = next(each for each in provider.contents()[BOX] if numbers([each]) == {1: 1})
        if received.epoch is None:
            assert held.epoch is not None
            assert started - 60 <= held.epoch <= time.time() + 60
        elif 0 <= received.epoch <= started:
            assert held.epoch == received.epoch

    # --- one message in several mailboxes

    def test_memberships(self, provider, target, box) -> None:
        if not target.capabilities.memberships:
            assert not target.capabilities.labels
            return
        other = made(target, OTHER)
        found = placed(target, [parcel(1, mail(1), box, other, flags=["$seen"])])
        assert {folder_id for folder_id, _ in found[1].uids} == {box, other}
        there = provider.contents()
        assert there[BOX] == there[OTHER]
        assert len(there[BOX]) == 1
        _, messages = self.look(target, box, other)
        assert [each.folder_id for each in messages] == [box, other]
        if target.capabilities.object_ids:
            assert {each.email_id for each in messages} == {found[1].email_id}
