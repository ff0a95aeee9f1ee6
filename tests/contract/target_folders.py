"""The contract of a target: its mailboxes, and what is in them."""

from __future__ import annotations

from collections import Counter

import pytest

from contract.target_facts import (
    fits,
    header_of,
    mail,
    numbers,
    parcel,
    placed,
    refused,
)
from contract.target_ground import BOX, OTHER, VICTIM, TargetGround, ids, made, moment
from portarchive.keywords import ROLES
from portarchive.placing import (
    FolderLook,
    FolderReady,
    FolderWish,
    Refused,
)
from portarchive.records import FolderFailed, Vanished

SPECIAL: dict[str, tuple[str, ...]] = {
    "umlauts": ("Ärger & Co", "日本"),
    "what UTF-7 looks like": ("&ZeVnLIqe-", "a&b", "&-"),
    "wild cards": ("50% *", "*", "%"),
    "quotes": ('say "hi"', "back\\slash"),
    "blanks": ("two  blanks", "a b"),
    "blanks at the ends": (" before", "after "),
    "numeric": ("2024", "007"),
    "dots": ("a.b", "..", ".hidden"),
    "slashes": ("a/b",),
    "colons and pipes": ("a:b|c<d>e?",),
    "brackets, braces": ("[Gmail]", "{3+}", "(x)"),
    "tilde, hash": ("~jane", "#news"),
    "emoji": ("\U0001f48c",),
    "decomposed": ("A\u0308rger",),
    "NIL": ("NIL",),
    "what a Maildir holds": ("cur", "new", "tmp"),
    "long": ("n" * 150,),
    "longer than any": ("n" * 1200,),
    "deep": tuple("abcdefghijkl"),
}
"""Paths that are legal in principle. A target makes them or refuses them; failure 39."""

HOSTILE: dict[str, tuple[str, ...]] = {
    "a command": ("x\r\nx1 DELETE victim\r\n",),
    "LF": ("x\ny",),
    "CR": ("x\ry",),
    "NUL": ("x\0y",),
    "no name": ("",),
    "no name within": ("x", "", "y"),
    "no path": (),
    "no character": ("x\udc80\udcff",),
    "a literal": ("{4}\r\nx2 DELETE victim",),
}
"""Paths that no mailbox has. They are refused, and nothing else happens."""


class FoldersContract(TargetGround):
    """Making mailboxes and looking into them."""

    # --- mailboxes

    def test_folders_are_listed_parents_first(self, provider, target) -> None:
        for path in (("Work", "Projects", "2024"), BOX):
            provider.create(path)
        folders = target.folders()
        paths = [folder.path for folder in folders]
        assert len(set(paths)) == len({folder.folder_id for folder in folders}) == len(folders)
        assert {("Work", "Projects", "2024"), BOX} <= set(paths)
        for place, path in enumerate(paths):
            assert path[:-1] not in paths[place:]
        selectable = {folder.path for folder in folders if folder.selectable}
        assert set(provider.contents()) == selectable

    def test_mailboxes_are_made_in_order_with_their_parents(self, provider, target) -> None:
        before = set(provider.contents())
        wishes = [
            FolderWish(("A",)), FolderWish(("A", "B", "C")), FolderWish(("Z", "Y")),
            FolderWish(("A", "B")), FolderWish(("A",)),
        ]  # fmt: skip
        answers = list(target.ensure(wishes))
        assert [wish for wish, _ in answers] == wishes
        ready = [each for _, each in answers if isinstance(each, FolderReady)]
        assert [each.folder.path for each in ready] == [wish.path for wish in wishes]
        assert all(each.folder.selectable for each in ready)
        assert [each.created for each in ready[:3]] == [True] * 3
        assert ready[4].created is False
        assert ready[4].folder.folder_id == ready[0].folder.folder_id
        listed = {folder.folder_id: folder for folder in target.folders()}
        for each in ready:
            assert listed[each.folder.folder_id].path == each.folder.path
        wanted = {("A",), ("A", "B"), ("A", "B", "C"), ("Z", "Y")}
        assert wanted <= set(provider.contents()) <= before | wanted | {("Z",)}
        placed(target, [parcel(n, mail(n), each.folder.folder_id) for n, each in enumerate(ready)])
        assert sum(map(len, provider.contents().values())) == len(ready)

    def test_what_is_there_is_ready_and_keeps_what_it_has(self, provider, target) -> None:
        provider.create(BOX)
        provider.add(BOX, mail(1), ["$seen"])
        before = provider.contents()
        known = next(folder for folder in target.folders() if folder.path == BOX)
        provider.create(OTHER)  # and the target was not told
        provider.add(OTHER, mail(2))
        wishes = [FolderWish(BOX), FolderWish(BOX, folder_id=known.folder_id), FolderWish(OTHER)]
        for _, answer in target.ensure(wishes):
            assert isinstance(answer, FolderReady)
            assert answer.created is False
            assert answer.lost == ()
        after = provider.contents()
        assert after[BOX] == before[BOX]
        assert numbers(after[OTHER]) == {2: 1}
        assert set(after) == {*before, OTHER}

    @pytest.mark.parametrize("name", SPECIAL)
    def test_special_names_are_kept_or_refused(self, provider, target, name) -> None:
        path = SPECIAL[name]
        for depth in range(1, len(path) + 1):
            ((wish, answer),) = target.ensure([FolderWish(path[:depth])])
            if isinstance(answer, Refused):
                assert not fits(wish.path, target.capabilities.names), answer
                break
            assert answer.folder.path == wish.path
            assert answer.created
            placed(target, [parcel(1, mail(depth), answer.folder.folder_id)])
            assert numbers(provider.contents()[wish.path]) == {depth: 1}
            assert numbers(self.read(target, answer.folder.folder_id)) == {depth: 1}
        target.close()
        later = provider.target()
        listed = {folder.path for folder in later.folders() if folder.selectable}
        later.close()
        assert listed == set(provider.contents())

    @pytest.mark.parametrize("name", HOSTILE)
    def test_hostile_names_are_refused_and_do_nothing(self, provider, target, name) -> None:
        provider.create(VICTIM)
        provider.add(VICTIM, mail(1))
        before = provider.contents()
        path = HOSTILE[name]
        wishes = [FolderWish(path), *([FolderWish(("x", *path))] if path else []), FolderWish(BOX)]
        answers = list(target.ensure(wishes))
        assert [wish for wish, _ in answers] == wishes
        for wish, answer in answers:
            if wish.path == BOX:
                assert isinstance(answer, FolderReady)
            else:
                refused(answer)
        after = {path: held for path, held in provider.contents().items() if path[0] != "x"}
        assert after.pop(BOX) == []
        assert after == before

    def test_names_that_differ_in_case_only(self, provider, target) -> None:
        answers = dict(target.ensure([FolderWish(("Case",)), FolderWish(("case",))]))
        ready = [each.folder for each in answers.values() if isinstance(each, FolderReady)]
        if target.capabilities.names.fold_case:
            assert len({folder.folder_id for folder in ready}) == 1
        else:
            assert [folder.path for folder in ready] == [("Case",), ("case",)]
            assert {("Case",), ("case",)} <= set(provider.contents())

    def test_roles_are_given_or_named_as_lost(self, target) -> None:
        taken = {role for folder in target.folders() for role in folder.roles}
        wanted = sorted(set(ROLES) - taken - {"inbox"})
        wishes = [FolderWish((f"My {role}",), role=role) for role in wanted]
        for wish, answer in target.ensure(wishes):
            assert isinstance(answer, FolderReady)
            lost = any(each.split(":")[0] == "role" for each in answer.lost)
            assert lost == (wish.role not in target.capabilities.roles)
            assert lost == (wish.role not in answer.folder.roles)
        there = {role: folder.path for folder in target.folders() for role in folder.roles}
        for role in set(wanted) & target.capabilities.roles:
            assert there[role] == (f"My {role}",)

    def test_subscriptions(self, target) -> None:
        wishes = [
            FolderWish(("Yes",), subscribe=True), FolderWish(("No",), subscribe=False),
            FolderWish(("As it is",)),
        ]  # fmt: skip
        lost = [each.lost for _, each in target.ensure(wishes) if isinstance(each, FolderReady)]
        if not target.capabilities.subscriptions:
            assert lost[0] and lost[0][0].split(":")[0] == "subscription"
            return
        assert lost == [(), (), ()]
        listed = {folder.path: folder for folder in target.folders()}
        assert listed["Yes",].subscribed is True
        assert listed["No",].subscribed is False
        again = [
            FolderWish(("No",), folder_id=listed["No",].folder_id, subscribe=True),
            FolderWish(("Yes",)),
        ]
        assert all(isinstance(each, FolderReady) for _, each in target.ensure(again))
        subscribed = {folder.path for folder in target.folders() if folder.subscribed}
        assert {("Yes",), ("No",)} <= subscribed

    # --- what is there

    def test_existing_says_what_is_there(self, provider, target) -> None:
        provider.create(BOX)
        provider.create(OTHER)
        for number in range(5):
            provider.add(BOX, mail(number), ["$seen"] if number % 2 else [], moment(number))
        boxes = ids(target)
        looks, messages = self.look(target, boxes[BOX], boxes[OTHER])
        assert [look.folder_id for look in looks] == [boxes[BOX], boxes[OTHER]]
        for look, count in zip(looks, (5, 0), strict=True):
            assert look.messages in {None, count}
        assert {each.folder_id for each in messages} == {boxes[BOX]}
        held = provider.contents()[BOX]
        assert Counter(
            (frozenset(each.flags), each.received.epoch) for each in messages
        ) == Counter((each.flags, each.epoch) for each in held)
        assert {each.size for each in messages} <= {None, *(len(each.octets) for each in held)}
        given = [each.email_id is not None for each in messages]
        assert given == [target.capabilities.object_ids] * 5
        assert Counter(self.read(target, boxes[BOX])) == Counter(held)
        assert provider.contents()[BOX] == held

    def test_only_what_is_newer(self, provider, target, box) -> None:
        placed(target, [parcel(n, mail(n), box) for n in range(3)])
        _, before = self.look(target, box)
        last = before[-1]
        _, nothing = self.look(target, box, newer_than={box: last.uid})
        assert nothing in ([], before)
        placed(target, [parcel(n, mail(n), box) for n in (3, 4)])
        _, whole = self.look(target, box)
        _, newer = self.look(target, box, newer_than={box: last.uid})
        new = [each for each in whole if each.uid not in {old.uid for old in before}]
        assert len(new) == 2
        assert newer == (new if not nothing else whole)

    def test_a_mailbox_that_is_gone_fails_alone(self, provider, target, box) -> None:
        other = made(target, OTHER)
        placed(target, [parcel(1, mail(1), box), parcel(2, mail(2), other)])
        provider.delete(BOX)
        events, messages = self.look(target, box, other)
        assert [type(event) for event in events] == [FolderFailed, FolderLook]
        assert events[0].folder_id == box
        assert [each.folder_id for each in messages] == [other]

    def test_headers_end_with_the_first_empty_line(self, provider, target) -> None:
        provider.create(BOX)
        sent = [
            mail(1),
            b"Subject: folded\r\n value\r\n\r\nx\r\n\r\ny\r\n",
            mail(2, b"z" * 300_000),
        ]
        for octets in sent:
            provider.add(BOX, octets)
        before = provider.contents()
        _, messages = self.look(target, ids(target)[BOX])
        headers = dict(target.headers(messages[::-1]))
        assert set(headers) == set(messages)
        assert sorted(headers.values()) == sorted(header_of(each.octets) for each in before[BOX])
        assert list(target.headers([])) == list(target.fetch([])) == []
        assert provider.contents() == before

    def test_what_vanished_meanwhile_is_an_outcome(self, provider, target, box) -> None:
        other = made(target, OTHER)
        placed(target, [parcel(n, mail(n), box) for n in range(3)] + [parcel(3, mail(3), other)])
        _, messages = self.look(target, box, other)
        provider.empty(BOX)
        for ask in (target.headers, target.fetch):
            outcomes = [(each, outcome) for each, outcome in ask(messages)]
            assert {each for each, _ in outcomes} == set(messages)
            gone = {each.folder_id for each, outcome in outcomes if outcome == Vanished()}
            assert gone == {box}
            assert sum(outcome == Vanished() for _, outcome in outcomes) == 3
