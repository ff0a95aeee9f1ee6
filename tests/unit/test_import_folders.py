"""Where the folders of an archive go: the same at every run, whatever an earlier one has made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from importing import account, archived, folder_of, letter, octets, place
from portarchive.archive.contents import ContentFolder
from portarchive.connectors.memory import MemoryAccount, MemorySource, MemoryTarget
from portarchive.jobs.replay.folders import FolderPlan, Mapper
from portarchive.jobs.replay.mailboxes import imagine, make
from portarchive.jobs.replay.names import plainer
from portarchive.keywords import ROLES
from portarchive.placing import FolderReady, FolderWish, NameRules, Refused, TargetCapabilities
from portarchive.records import Folder

RULES = NameRules()


def old(name: str, *roles: str, subscribed: bool | None = None, selectable: bool = True):
    """A folder of an archive; / parts names."""
    return ContentFolder(
        path=name.replace("\udcff", "%FF"),  # as archives spell it
        names=tuple(name.split("/")),
        header={},
        roles=roles,
        subscribed=subscribed,
        selectable=selectable,
    )


def new(name: str, *roles: str, selectable: bool = True) -> Folder:
    """A mailbox of a target."""
    return Folder(
        folder_id=f"id:{name}", path=tuple(name.split("/")), roles=roles, selectable=selectable
    )


def plan(
    folders: list[ContentFolder],
    listed: list[Folder],
    rules: NameRules = RULES,
    into: str | None = None,
    roles: frozenset[str] = frozenset(ROLES) - {"inbox"},
) -> dict[str, FolderPlan]:
    capabilities = TargetCapabilities(names=rules, roles=roles)
    mapper = Mapper(listed, capabilities, tuple(into.split("/")) if into else None)
    return {each.folder.path: each for each in mapper.plan(folders) if each.folder}


def paths(plans: dict[str, FolderPlan]) -> dict[str, str]:
    return {name: "/".join(each.path) for name, each in plans.items()}


def codes(one: FolderPlan) -> list[str]:
    return [code for code, _ in one.notes]


INBOX = new("INBOX", "inbox")


# --- by role, by path, made -----------------------------------------------------------------------


def test_by_role_then_by_path_then_made() -> None:
    found = plan(
        [old("INBOX", "inbox"), old("Gesendet", "sent"), old("Work"), old("Play", "junk")],
        [INBOX, new("Sent", "sent"), new("Work")],
    )
    assert paths(found) == {
        "INBOX": "INBOX", "Gesendet": "Sent", "Work": "Work", "Play": "Play",
    }  # fmt: skip
    assert [each.how for each in found.values()] == ["role", "role", "path", "made"]
    assert [each.role for each in found.values()] == [None, None, None, "junk"]
    assert codes(found["Gesendet"]) == ["by-role"]


def test_the_inbox_is_the_inbox_whatever_it_is_called() -> None:
    found = plan([old("Posteingang", "inbox"), old("inbox/Old")], [INBOX])
    assert paths(found) == {"Posteingang": "INBOX", "inbox/Old": "inbox/Old"}


def test_children_follow_their_parent() -> None:
    found = plan(
        [old("Gesendet", "sent"), old("Gesendet/2019"), old("Gesendet/2019/May"), old("a:b/c")],
        [INBOX, new("Sent", "sent")],
        NameRules(forbidden=":"),
    )
    parent = found["a:b/c"].path[0]
    assert parent.startswith("a_b~")
    assert paths(found) == {
        "Gesendet": "Sent",
        "Gesendet/2019": "Sent/2019",
        "Gesendet/2019/May": "Sent/2019/May",
        "a:b/c": f"{parent}/c",
    }


def test_a_role_is_given_once() -> None:
    """KW-10: the least path has it, the others keep their names."""
    found = plan([old("Sent"), old("Sent B", "sent"), old("Sent A", "sent")], [INBOX])
    assert {name: each.role for name, each in found.items()} == {
        "Sent": None, "Sent B": None, "Sent A": "sent",
    }  # fmt: skip
    assert codes(found["Sent B"]) == ["role-taken"]
    found = plan([old("Sent B", "sent"), old("Sent A", "sent")], [INBOX, new("S", "sent")])
    assert paths(found) == {"Sent B": "Sent B", "Sent A": "S"}


def test_a_role_that_the_target_cannot_give() -> None:
    found = plan([old("Sent", "sent")], [INBOX], roles=frozenset())
    assert (found["Sent"].role, found["Sent"].unasked) == (None, "sent")
    assert codes(found["Sent"]) == []
    found = plan([old("Sent", "sent")], [INBOX, new("Sent")])
    assert (found["Sent"].how, codes(found["Sent"])) == ("path", ["role-lost"])


@pytest.mark.parametrize("gives", [True, False])
def test_a_role_that_the_target_may_give_by_the_name(gives: bool) -> None:
    """Nothing untrue is said: the plan leaves it open, and then the mailbox itself is looked at."""

    class Giver(Picky):
        def ensure(self, wishes: list[FolderWish]):
            for wish, answer in super().ensure(wishes):
                roles = (wish.path[-1].lower(),) if gives else ()
                yield wish, FolderReady(replace(answer.folder, roles=roles), answer.created)

    imagined = plan([old("Sent", "sent")], [INBOX], roles=frozenset())
    imagine(list(imagined.values()), None, RULES)
    assert codes(imagined["Sent"]) == ["role-unsure"]
    made = plan([old("Sent", "sent")], [INBOX], roles=frozenset())
    make(Giver(lambda _: False), list(made.values()))
    assert codes(made["Sent"]) == ([] if gives else ["role-lost"])


def test_the_mailbox_of_a_role_is_for_one_folder_only() -> None:
    """Though that one's mail is in another, nobody else goes there; it is looked into."""
    folders = [old("Sent A", "sent"), old("Sent B", "sent")]
    listed = [INBOX, new("S", "sent"), new("Sent A")]

    def holds(_: ContentFolder, mailboxes: Sequence[Folder]) -> list[int]:
        return [each.path == ("Sent A",) for each in mailboxes]

    mapper = Mapper(listed, TargetCapabilities(names=RULES), holds=holds)
    plans = mapper.plan(folders)
    assert [each.path for each in plans] == [("Sent A",), ("Sent B",)]
    assert [[also.path for also in each.also] for each in plans] == [[("S",)], [("S",)]]


def test_a_role_draws_nobody_to_the_name_of_another() -> None:
    """Nor to what is above one; whether that one has a mailbox yet or not."""
    for name in ("Sent", "Sent/2019"):
        for there in ([], [new("Gesendet")]):
            found = plan([old("Gesendet", "sent"), old(name)], [INBOX, new("Sent", "sent"), *there])
            assert paths(found) == {"Gesendet": "Gesendet", name: name}
            assert [each.path for each in found["Gesendet"].also] == [("Sent",)]


@pytest.mark.parametrize(
    "name",
    ["..", ".x", "cur", "New", "tmp", "~x", "subscriptions", "a*b", "ü" * 80, "x" * 201,
     "Other Users"],
)  # fmt: skip
def test_the_plan_says_that_a_name_may_be_refused(name: str) -> None:
    found = plan([old(name), old("Entwürfe"), old("a.b & c")], [INBOX])
    imagine(list(found.values()), None, RULES)
    assert [codes(each) for each in found.values()] == [["name-unsure"], [], []]
    assert plainer(found[name].path, name, RULES)[0][0] in found[name].notes[0][1]


def test_nothing_goes_to_where_it_would_be_sent() -> None:
    """KW-10: what is scheduled keeps a name without a role, apart from such a mailbox."""
    later = new("Scheduled", "scheduled")
    found = plan([old("Scheduled", "scheduled")], [INBOX, later])
    assert found["Scheduled"].role is None
    assert found["Scheduled"].path[0].startswith("Scheduled~")
    assert "role-lost" in codes(found["Scheduled"])


def test_subscriptions() -> None:
    """What is made has the one of old; what is there keeps its own, and gets one at most."""
    folders = [old("A", subscribed=True), old("B", subscribed=False), old("C")]
    found = plan(folders, [INBOX])
    assert [each.subscribe for each in found.values()] == [True, False, None]
    found = plan(folders, [INBOX, new("A"), new("B"), new("C")])
    assert [each.subscribe for each in found.values()] == [True, None, None]


def test_mailboxes_of_others_and_parents_without_mail_are_no_place() -> None:
    shared = replace(new("Work"), namespace="shared")
    found = plan([old("Work"), old("Top")], [INBOX, shared, new("Top", selectable=False)])
    assert [each.how for each in found.values()] == ["made", "made"]
    assert paths(found) == {"Work": "Work", "Top": "Top"}


def test_into() -> None:
    found = plan(
        [old("INBOX", "inbox"), old("Sent", "sent"), old("Work/a")],
        [INBOX, new("Sent", "sent")],
        into="Old/mail",
    )
    assert paths(found) == {
        "INBOX": "Old/mail/INBOX", "Sent": "Old/mail/Sent", "Work/a": "Old/mail/Work/a",
    }  # fmt: skip
    assert {each.how for each in found.values()} == {"into"}
    assert {each.role for each in found.values()} == {None}


# --- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "rules"),
    [
        ("a%b*c", NameRules(forbidden="%*")),
        ("a.b", NameRules(separator=".")),
        ("tab\there", RULES),
        ("bad \udcff octet", RULES),
        (" trimmed ", NameRules(trims=True)),
        ("two  blanks", NameRules(trims=True)),
        ("x" * 300, NameRules(max_name=255)),
        ("ü" * 130, NameRules(max_name=255)),
        ("x" * 100, NameRules(max_path=60)),
    ],
)
def test_a_name_that_cannot_be_is_made_fit(name: str, rules: NameRules) -> None:
    found = plan([old(name), old(name + "/child")], [INBOX], rules)
    (fitted,) = (one := found[name.replace("\udcff", "%FF")]).path
    assert fitted != name
    assert "~" in fitted
    assert codes(one) == ["renamed"]
    assert not set(rules.forbidden + rules.separator) & set(fitted)
    assert fitted.isprintable()
    fitted.encode()
    assert len(fitted.encode()) <= (rules.max_name or rules.max_path or 1000)
    child = list(found.values())[1].path
    if rules.max_path:  # there is no room below it
        assert len(child) == 1
        assert len(child[0].encode()) <= rules.max_path
    else:
        assert child[0] == fitted
    if rules.trims:
        assert fitted == " ".join(fitted.split())


def test_too_deep_and_flat() -> None:
    folders = [old("a"), old("a/b"), old("a/b/c"), old("a/b/d")]
    for rules, deepest in ((NameRules(max_depth=2), 2), (NameRules(separator=""), 1)):
        found = plan(folders, [INBOX], rules)
        assert max(len(each.path) for each in found.values()) == deepest
        assert len({each.path for each in found.values()}) == 4


def test_twins_in_case() -> None:
    folders = [old("Work"), old("work"), old("Work/a"), old("work/a")]
    found = plan(folders, [INBOX], NameRules(fold_case=True))
    assert len({tuple(map(str.casefold, each.path)) for each in found.values()}) == 4
    assert found["Work"].path == ("Work",)
    assert found["work/a"].path[0] == found["work"].path[0]
    found = plan(folders, [INBOX])
    assert paths(found) == {name: name for name in paths(found)}


# --- the same again -------------------------------------------------------------------------------

NAMES = st.lists(
    st.lists(
        st.sampled_from(["a", "A", "b.c", "d:e", "x" * 40, " f ", "Sent", "Trash", "INBOX", "é"]),
        min_size=1,
        max_size=3,
    ).map("/".join),
    min_size=1,
    max_size=7,
    unique=True,
)


@settings(max_examples=400)
@given(
    names=NAMES,
    data=st.data(),
    rules=st.builds(
        NameRules,
        separator=st.sampled_from(["/", ".", ""]),
        forbidden=st.sampled_from(["", ":é"]),
        max_name=st.sampled_from([None, 24]),
        max_path=st.sampled_from([None, 60]),
        max_depth=st.sampled_from([None, 2]),
        fold_case=st.booleans(),
        trims=st.booleans(),
    ),
    into=st.sampled_from([None, None, "Old"]),
    by_name=st.booleans(),
    there=st.sets(st.sampled_from(["a", "a/a", "Sent", "Trash", "b", "b.c"]), max_size=3),
)
def test_a_second_plan_is_the_first(names, data, rules, into, by_name, there) -> None:
    """Each has a place of its own, and after all are made each has the same place.

    ``by_name``: the server gives roles to what has the right names, whoever made it; it tells
    upper from lower case then.
    """
    if by_name:
        rules = replace(rules, fold_case=False)
    roles = st.sampled_from([(), (), ("sent",), ("trash",), ("scheduled",)])
    folders = [old(name, *data.draw(roles)) for name in names]
    given_roles = frozenset() if by_name else frozenset(ROLES)
    listed = [INBOX]
    for name in sorted(there):
        role = (name.lower(),) if name in {"Sent", "Trash"} and data.draw(st.booleans()) else ()
        listed.append(new(name, *role))
    first = plan(folders, listed, rules, into, given_roles)
    places = paths(first)
    assert len(set(places.values())) == len(folders)
    for each in first.values():
        if not each.folder_id:
            name = each.path[-1].lower()
            role = (name,) if by_name and name in {"sent", "trash"} and len(each.path) == 1 else ()
            role = (each.role,) if each.role else role
            listed.append(replace(new("/".join(each.path), *role), path=each.path))
    again = plan(folders, listed, rules, into, given_roles)
    assert paths(again) == places


class Picky:
    """Makes mailboxes, but refuses some names, as servers do that do not tell their rules."""

    def __init__(self, refuses: Callable[[tuple[str, ...]], bool]) -> None:
        self.capabilities = TargetCapabilities(names=RULES)
        self.refuses = refuses
        self.made: list[Folder] = [INBOX]

    def ensure(self, wishes: list[FolderWish]):
        for wish in wishes:
            if self.refuses(wish.path):
                yield wish, Refused("refused", "no such name here")
                continue
            there = next((one for one in self.made if one.path == wish.path), None)
            folder = there or new("/".join(wish.path))
            if there is None:
                self.made.append(folder)
            yield wish, FolderReady(folder, there is None)


def odd(path: tuple[str, ...]) -> bool:
    return any(not sign.isalnum() and sign not in "_~-" for name in path for sign in name)


@pytest.mark.parametrize(
    "refuses",
    [
        odd,
        lambda path: odd(path) or path[-1].startswith("worse"),
        lambda path: odd(path) or path[-1].startswith(("child", "worse", "bad_a")),
        lambda path: odd(path) or len(path) > 1,
        lambda path: "~" not in path[-1],
        lambda path: len(path) > 1 and "~" not in path[-1],
    ],
)
def test_what_is_refused_gets_a_plain_name_and_is_found_under_it(refuses) -> None:
    folders = [
        old("bad é"), old("bad é/child"), old("bad é/worse"), old("good"), old("good/bad a/b"),
        old("bad, no mail", selectable=False), old("bad, no mail/child"),
    ]  # fmt: skip
    target = Picky(refuses)
    first = [each for each in plan(folders, target.made).values() if each.folder.selectable]
    made = make(target, first)
    assert all(each.folder_id for each in first)
    assert made == {each.path for each in folders if each.selectable}
    assert "renamed" in codes(first[0]) or not refuses(("bad é",))
    again = [each for each in plan(folders, target.made).values() if each.folder.selectable]
    assert [each.path for each in again] == [each.path for each in first]
    assert [each.folder_id for each in again] == [each.folder_id for each in first]


def test_what_is_refused_in_every_form_fails_alone() -> None:
    target = Picky(lambda path: "one" in path[-1])
    plans = list(plan([old("one"), old("INBOX", "inbox"), old("a")], target.made).values())
    assert make(target, plans) == {"a"}
    assert plans[0].failed == ("refused", "no such name here")
    assert plans[1].folder_id == INBOX.folder_id


# --- the trash ------------------------------------------------------------------------------------


@pytest.mark.parametrize("roles", [frozenset(), frozenset({"trash"})])
def test_the_trash_is_one_mailbox(roles) -> None:
    folders = [old("INBOX", "inbox"), old("Deleted Items", "trash")]
    mapper = Mapper([INBOX], TargetCapabilities(names=RULES, roles=roles))
    plans = mapper.plan(folders)
    trash = mapper.trash(plans)
    assert trash.path == plans[1].path == ("Deleted Items",)
    target = Picky(lambda _: False)
    make(target, plans)
    assert trash.folder_id == plans[1].folder_id


def test_the_trash_is_made_when_it_is_needed(tmp_path: Path) -> None:
    source = account(INBOX=[letter("a")])
    archive = archived(tmp_path / "a", source)
    target = MemoryAccount()
    place(archive, MemoryTarget(target))
    assert list(target.contents()) == [("INBOX",)]
    source.add(letter("b"), flags=["\\Deleted", "$seen"])
    archived(archive, source)
    for _ in range(2):
        place(archive, MemoryTarget(target))
        assert target.contents()["Trash",] == {"1": (("$seen",), letter("b"))}


# --- through a whole import -----------------------------------------------------------------------


def test_a_parent_without_mail_that_has_mail_all_the_same(tmp_path: Path) -> None:
    """Another generator's: it is made when the first message needs it."""
    source = account(**{"Top": [letter("a")], "Top/Below": [letter("b")]})
    archive = archived(tmp_path / "a", source)
    file = archive / "mail" / "Top" / "folder.json"
    text = file.read_text("utf-8")
    file.write_text(text.replace('"items"', '"portarchive:noselect":true,"items"'), "utf-8")
    _without_chain(archive)
    target = MemoryAccount()
    report = place(archive, MemoryTarget(target))
    assert report.complete
    assert octets(target, "Top") == [letter("a")]
    assert folder_of(report, "Top").target == ("Top",)


def test_two_folders_that_turn_out_to_be_one_mailbox(tmp_path: Path) -> None:
    """A server that takes names for equal and does not say so: none is counted for two."""
    source = MemorySource()
    for name in ("work", "Work"):
        source.create_folder(name)
        source.add(letter("same"), name, received="2024-01-01T00:00:00+00:00")
    archive = archived(tmp_path / "a", source)
    target = MemoryTarget(MemoryAccount())
    ensure = target.ensure
    target.ensure = lambda wishes: (
        (wish, answer)
        for wish, (_, answer) in zip(
            wishes,
            ensure([each._replace(path=tuple(map(str.lower, each.path))) for each in wishes]),
            strict=True,
        )
    )
    for _ in range(2):
        report = place(archive, target)
        assert report.complete
        assert len(octets(target.account, "work")) == 2


def _without_chain(archive: Path) -> None:
    import json
    import shutil

    metadata = json.loads((archive / "archive.json").read_text("utf-8"))
    metadata["archive"].pop("portarchive:manifest")
    (archive / "archive.json").write_text(json.dumps(metadata), "utf-8")
    for name in ("manifest.json", "manifest-sha256.txt"):
        (archive / name).unlink()
    shutil.rmtree(archive / ".portarchive")
