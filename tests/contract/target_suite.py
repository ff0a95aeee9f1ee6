"""What every ``Target`` has to do, as tests that each connector inherits.

A connector's test module subclasses ``TargetContract`` and gives it a fixture ``provider``: the
account, as its owner sees and changes it. Nothing here knows a protocol.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import replace

import pytest

from contract.target_facts import (
    Sending,
    mail,
    numbers,
    parcel,
    placed,
)
from contract.target_folders import FoldersContract
from contract.target_ground import BOX, OTHER, Provider, ids, made, moment
from contract.target_placing import PlacingContract
from portarchive.connectors.base import Target
from portarchive.connectors.retry_target import RetryingTarget
from portarchive.errors import ConnectorError
from portarchive.keywords import ROLES
from portarchive.placing import (
    Alteration,
    FolderWish,
    LineEnds,
    Placed,
    TargetCapabilities,
    Unsure,
)
from portarchive.progress import silent


class TargetContract(FoldersContract, PlacingContract):
    """Inherit, and give a fixture ``provider``.

    Attributes:
        wire: there is a connection that ``drop`` breaks.
        window: parcels that are taken ahead of their answers at most.
        many: messages of the longer tests.
    """

    # --- before the work

    def test_it_is_a_target(self, target) -> None:
        assert isinstance(target, Target)
        known = target.capabilities
        assert isinstance(known, TargetCapabilities)
        assert known.line_ends in {LineEnds.CRLF, LineEnds.LF}
        assert known.roles <= set(ROLES) - {"inbox"}
        assert known.append_limit is None or known.append_limit > 0
        assert all(isinstance(each, Alteration) for each in known.alterations)
        assert len(known.names.separator) <= 1
        target.folders()
        assert target.capabilities == known

    def test_identity_says_who_and_where_and_no_secret(self, provider, target) -> None:
        identity = target.identity()
        assert target.identity() == identity
        assert identity.account
        assert identity.service
        assert provider.secret not in repr(identity)
        assert provider.secret not in repr(target)

    # --- the connection

    def breaking(
        self, provider: Provider, box: str, *, total: int, at_key: int, how: str
    ) -> Iterator:
        """Parcels, with the connection broken while one of them is on its way."""

        def broken_chunks(octets: bytes) -> Iterator[bytes]:
            for start in range(0, len(octets), 50_000):
                if start == 200_000:
                    provider.drop()
                yield octets[start : start + 50_000]

        for number in range(total):
            if number != at_key:
                yield parcel(number, mail(number), box, streamed=number % 5 == 0)
            elif how == "before it is taken":
                provider.drop()
                yield parcel(number, mail(number), box)
            else:
                big = mail(number, b"0123456789abcdef\r\n" * 60_000)
                yield replace(
                    parcel(number, big, box, streamed=True),
                    chunks=lambda big=big: broken_chunks(big),
                )

    @pytest.mark.parametrize("how", ["before it is taken", "within its octets"])
    @pytest.mark.parametrize("at_key", [0, 7, 39])
    def test_a_break_leaves_nothing_unaccounted(self, provider, target, box, how, at_key) -> None:
        total = 40
        parcels = self.breaking(provider, box, total=total, at_key=at_key, how=how)
        sending = Sending().run(target, parcels)
        if self.wire:
            assert isinstance(sending.error, ConnectorError)
            assert provider.secret not in f"{sending.error!r} {sending.error.hint}"
        else:
            assert sending.error is None
        kinds = {type(outcome) for outcome in sending.outcomes.values()}
        assert kinds <= ({Placed, Unsure} if self.wire else {Placed})
        target.reconnect()
        there = numbers(self.read(target, box))
        assert max(there.values(), default=1) == 1
        assert set(there) <= set(sending.taken)
        assert set(sending.keys(Placed)) <= set(there)
        missing = [number for number in range(total) if number not in there]
        placed(target, [parcel(number, mail(number), box, careful=True) for number in missing])
        assert numbers(provider.contents()[BOX]) == dict.fromkeys(range(total), 1)

    def test_on_a_dead_connection_only_connector_errors_come_out(self, provider, target) -> None:
        box = made(target, BOX)
        placed(target, [parcel(1, mail(1), box)])
        _, messages = self.look(target, box)
        for ask in (
            target.folders,
            target.identity,
            lambda: list(target.ensure([FolderWish(OTHER)])),
            lambda: list(target.existing([box])),
            lambda: list(target.headers(messages)),
            lambda: [b"".join(outcome.chunks()) for _, outcome in target.fetch(messages)],
            lambda: list(target.place([parcel(2, mail(2), box)])),
        ):
            provider.drop()
            # It may connect anew by itself; whatever else goes wrong is a ConnectorError.
            try:
                ask()
            except ConnectorError as error:
                assert provider.secret not in f"{error!r} {error.hint}"
            target.reconnect()
        assert ("Box",) in {folder.path for folder in target.folders()}
        provider.drop()
        target.close()
        target.close()

    def test_closing_twice_is_closing(self, provider) -> None:
        target = provider.target()
        target.close()
        target.close()
        later = provider.target()
        later.folders()
        later.close()

    def test_wrapped_it_survives_what_breaks_it(self, provider, target) -> None:
        """As a job does it: after each end of ``place``, look what is there, place the rest."""
        wrapped = RetryingTarget(target, observer=silent, sleep=lambda seconds: None)
        box, total = made(wrapped, BOX), 120
        steps = itertools.count()
        breaks = {9, 10, 47, 90, 150}

        def parcels(keys: Iterable[int], careful: set[int]) -> Iterator:
            for key in keys:
                if next(steps) in breaks:
                    provider.drop()
                yield parcel(key, mail(key), box, careful=key in careful)

        unsure: set[int] = set()
        for _ in range(20):
            there = set(numbers(self.read(wrapped, box)))
            missing = [key for key in range(total) if key not in there]
            if not missing:
                break
            sending = Sending().run(wrapped, parcels(missing, unsure))
            assert sending.error is None
            unsure = set(sending.keys(Unsure))
        assert numbers(provider.contents()[BOX]) == dict.fromkeys(range(total), 1)

    # --- the law above all

    def test_what_it_finds_is_never_changed(self, provider, target) -> None:
        for path in (BOX, OTHER):
            provider.create(path)
            for number in range(4):
                provider.add(path, mail(number), ["$flagged"] if number % 2 else [], moment(number))
        before = provider.contents()
        boxes = ids(target)
        list(target.ensure([FolderWish(BOX), FolderWish(OTHER, boxes[OTHER])]))
        _, messages = self.look(target, boxes[BOX], boxes[OTHER])
        list(target.headers(messages))
        self.read(target, boxes[BOX], boxes[OTHER])
        assert provider.contents() == before
        placed(target, [parcel(n, mail(100 + n), boxes[BOX]) for n in range(3)])
        target.close()
        after = provider.contents()
        assert [each for each in after[BOX] if each in before[BOX]] == before[BOX]
        assert len(after[BOX]) == len(before[BOX]) + 3
        assert after[OTHER] == before[OTHER]
        assert set(after) == set(before)
