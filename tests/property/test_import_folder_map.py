"""What an owner, a server or another archive does between two imports makes nothing come twice.

The target is an account that gives roles by name or by request; its owner makes, renames and
deletes mailboxes; archives are imported in turn, in part or whole, with a ledger or without.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from importing import letter, place, totals
from portarchive.connectors.maildir.target import MaildirTarget
from portarchive.connectors.memory import MemoryAccount, MemoryTarget
from portarchive.jobs.selection import Selection

NAMED = {"Sent": "sent", "Sent Messages": "sent", "Trash": "trash", "Spam": "junk"}
"""As Dovecot's sample configuration has it: two names for one role."""

Plan = dict[str, tuple[str | None, list[str]]]
"""An archive: by path, role and names of messages; one with a ! is marked as deleted."""

PATHS = ["INBOX", "Posteingang", "Sent", "sent", "Gesendet", "Gesendet/2019", "Sent/2019",
         "Sent Messages", "Bin", "Trash", "Spam", "INBOX/Sent"]  # fmt: skip

ARCHIVES = st.dictionaries(
    st.sampled_from(PATHS),
    st.tuples(
        st.sampled_from([None, None, "inbox", "sent", "sent", "trash", "junk"]),
        st.lists(st.sampled_from(["a", "b", "c", "d", "e!", "f!"]), max_size=3, unique=True),
    ),
    min_size=1,
    max_size=5,
)
OWNER = st.one_of(
    st.tuples(st.just("make"), st.sampled_from(PATHS)),
    st.tuples(st.just("delete"), st.integers(0, 9)),
    st.tuples(st.just("rename"), st.tuples(st.integers(0, 9), st.sampled_from(["", *PATHS]))),
    st.tuples(st.just("import"), st.tuples(st.integers(0, 1), st.sampled_from(["", *PATHS]))),
    st.tuples(st.just("file"), st.sampled_from(PATHS)),
)


def written(root: Path, plan: Plan) -> Path:
    """The archive, as another generator writes it."""
    for path, (role, messages) in plan.items():
        own = root / "mail" / path
        own.mkdir(parents=True, exist_ok=True)
        items = []
        for uid, name in enumerate(messages, 1):
            (own / f"{uid}.eml").write_bytes(letter(name))
            flags = ["\\Deleted"] if name.endswith("!") else []
            received = f"2024-01-01T00:00:{ord(name[0]) - 97:02}+00:00"
            items.append(
                {"uid": str(uid), "filename": f"{uid}.eml", "flags": flags,
                 "portarchive:received_at": received}
            )  # fmt: skip
        header: dict[str, Any] = {"name": path.rpartition("/")[2], "items": items}
        (own / "folder.json").write_text(json.dumps(header | ({"role": role} if role else {})))
    metadata = {
        "archive": {"id": root.name, "version": "draft-ietf-mailmaint-pdparchive-02"},
        "dataset": {"extent": "FULL", "datatypes": ["MAIL"]},
        "datasource": {"service": "imaps://old.example.org", "account": "jane"},
    }
    (root / "archive.json").write_text(json.dumps(metadata))
    return root


def held(account: MemoryAccount) -> Counter[bytes]:
    return Counter(message for box in account.contents().values() for _, message in box.values())


def meant(*plans: Plan) -> Counter[bytes]:
    return Counter(letter(name) for plan in plans for _, names in plan.values() for name in names)


class Story:
    """An account, and what came to be of its messages by its owner's own hand.

    Attributes:
        renamed: mailboxes that the owner gave another name.
    """

    def __init__(self, directory: Path, archives: list[Plan], named: bool, state: bool) -> None:
        self.archives = archives
        self.paths = [
            written(directory / f"archive{number}", each) for number, each in enumerate(archives)
        ]
        self.account = MemoryAccount(NAMED if named else None)
        self.state = directory / "state" if state else None
        self.renamed = set[str]()

    def place(self, number: int, chosen: str = "") -> Any:
        options: dict[str, Any] = {}
        if chosen:
            if chosen not in self.archives[number]:
                return None
            options["selection"] = Selection(folders=(chosen,))
        report = place(self.paths[number], MemoryTarget(self.account), self.state, **options)
        assert report.complete
        return report

    def act(self, what: str, how: Any) -> None:
        there = sorted(self.account.contents())
        number = how[0] if what == "rename" else how
        some = there[number % len(there)] if isinstance(number, int) else ()
        if what == "make" and tuple(how.split("/")) not in there:
            self.account.create_folder(how)
        elif what == "delete" and some != ("INBOX",):
            self.account.delete_folder(some)
        elif what == "rename" and some != ("INBOX",) and tuple(how[1].split("/")) not in there:
            boxes = self.account.mailboxes().values()
            self.renamed |= {one.record.folder_id for one in boxes if one.record.path == some}
            self.account.rename_folder(some, how[1] or f"renamed {len(self.renamed)}")
        elif what == "import":
            self.place(how[0] % len(self.archives), how[1])
        elif what == "file" and tuple(how.split("/")) in there:
            self.account.add(letter("own"), how)

    def away(self) -> Counter[bytes]:
        """In mailboxes that the owner renamed: who moves mail has it once more."""
        boxes = self.account.mailboxes()
        return Counter(
            item.message.octets
            for folder_id in self.renamed & boxes.keys()
            for item in boxes[folder_id].items.values()
        )


SETTINGS = settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))


@SETTINGS
@given(archive=ARCHIVES, acts=st.lists(OWNER, max_size=6), named=st.booleans(), state=st.booleans())
def test_once_whatever_the_owner_does(archive, acts, named, state) -> None:
    """After a whole import each message is there once for each folder that has it."""
    with tempfile.TemporaryDirectory() as directory:
        story = Story(Path(directory), [archive], named, state)
        for act in acts:
            story.act(*act)
            note(f"{act}: { {k: len(v) for k, v in story.account.contents().items()} }")
        story.place(0)
        found, wanted, away = held(story.account), meant(archive), story.away()
        found.pop(letter("own"), None)
        assert found >= wanted
        assert found - wanted <= away, story.account.contents()
        again = totals(story.place(0))
        assert again.get("placed", 0) == 0
        assert held(story.account) - wanted - away <= Counter(
            {letter("own"): held(story.account)[letter("own")]}
        )


@SETTINGS
@given(
    archives=st.lists(ARCHIVES, min_size=2, max_size=2),
    acts=st.lists(OWNER, max_size=6),
    named=st.booleans(),
    state=st.booleans(),
)
def test_two_archives_in_turn(archives, acts, named, state) -> None:
    """Each has all of its messages then; what both have in one folder is there once or twice."""
    with tempfile.TemporaryDirectory() as directory:
        story = Story(Path(directory), archives, named, state)
        for act in [*acts, ("import", (0, "")), ("import", (1, ""))]:
            story.act(*act)
            note(f"{act}: { {k: len(v) for k, v in story.account.contents().items()} }")
        for _ in range(2):
            for number in (0, 1):
                assert totals(story.place(number)).get("placed", 0) == 0
        found, away = held(story.account), story.away()
        found.pop(letter("own"), None)
        assert found >= meant(archives[0]) | meant(archives[1])
        assert found - away <= meant(*archives)


@SETTINGS
@given(archive=ARCHIVES, named=st.booleans(), order=st.permutations(PATHS))
def test_part_by_part_is_the_whole(archive, named, order) -> None:
    """The map is that of the whole archive, whichever part is brought, and in whichever order."""
    with tempfile.TemporaryDirectory() as directory:
        whole = Story(Path(directory, "whole"), [archive], named, False)
        report = whole.place(0)
        parts = Story(Path(directory, "parts"), [archive], named, False)
        told: dict[str, tuple[str, ...]] = {}
        for path in order:
            if (part := parts.place(0, path)) is not None:
                told |= {folder.path: folder.target for folder in part.folders}
        assert told == {folder.path: folder.target for folder in report.folders}
        # what several folders send to one trash is brought whole by a whole import only
        assert held(parts.account) <= held(whole.account)
        parts.place(0)
        assert held(parts.account) == held(whole.account)


# --- as it was found ------------------------------------------------------------------------------


def story(tmp_path: Path, *archives: Plan, named: bool = True) -> Story:
    return Story(tmp_path, list(archives), named, False)


def targets(report: Any) -> dict[str, str]:
    return {folder.path: "/".join(folder.target) for folder in report.folders}


def counts(account: MemoryAccount) -> dict[str, int]:
    return {"/".join(path): len(box) for path, box in account.contents().items() if box}


def test_a_client_makes_sent_after_the_first_import(tmp_path: Path) -> None:
    one = story(tmp_path, {"Sent Items": ("sent", ["a", "b"]), "Sent Items/2019": (None, ["c"])})
    first = targets(one.place(0))
    one.account.create_folder("Sent")
    one.account.add(letter("own"), "Sent")
    assert targets(one.place(0)) == first
    assert counts(one.account) == {"Sent Items": 2, "Sent Items/2019": 1, "Sent": 1}


def test_an_owner_makes_the_folder_that_went_to_its_role(tmp_path: Path) -> None:
    one = story(tmp_path, {"Gesendet": ("sent", ["a", "b"]), "Gesendet/2019": (None, ["c"])})
    one.account.create_folder("Sent")
    first = targets(one.place(0))
    assert first == {"Gesendet": "Sent", "Gesendet/2019": "Sent/2019"}
    for name in ("Gesendet", "Gesendet/2019"):
        one.account.create_folder(name)
    assert targets(one.place(0)) == first
    assert counts(one.account) == {"Sent": 2, "Sent/2019": 1}


@pytest.mark.parametrize("named", [True, False])
def test_a_part_first_then_the_whole(tmp_path: Path, named: bool) -> None:
    archive: Plan = {"Sent": (None, ["a"]), "Gesendet": ("sent", ["b"]),
                     "Trash": (None, ["c"]), "Papierkorb": ("trash", ["d"])}  # fmt: skip
    one = story(tmp_path, archive, named=named)
    for part in ("Sent", "Trash", ""):
        one.place(0, part)
    assert counts(one.account) == dict.fromkeys(archive, 1)


def test_a_deleted_folder_draws_no_other_away(tmp_path: Path) -> None:
    one = story(tmp_path, {"Sent": (None, ["a"]), "Gesendet": ("sent", ["b"])})
    one.place(0)
    one.account.delete_folder("Gesendet")
    report = one.place(0)
    assert totals(report)["placed"] == 1
    assert counts(one.account) == {"Sent": 1, "Gesendet": 1}


def test_the_old_account_gets_a_folder_of_the_name(tmp_path: Path) -> None:
    """What went to *Sent* for its role stays there, and is found there."""
    one = story(
        tmp_path,
        {"Gesendet": ("sent", ["a", "b"])},
        {"Gesendet": ("sent", ["a", "b", "d"]), "Sent": (None, ["b", "c"])},
    )
    one.account.create_folder("Sent")
    one.place(0)
    report = one.place(1)
    assert targets(report) == {"Gesendet": "Gesendet", "Sent": "Sent"}
    assert held(one.account) == meant(one.archives[1])
    assert totals(one.place(1)).get("placed", 0) == 0


def test_mail_that_is_elsewhere_is_said_to_be(tmp_path: Path) -> None:
    """Half of it in each of two mailboxes: nothing is placed, and the report says where it is."""
    one = story(tmp_path, {"Gesendet": ("sent", ["a", "b", "c"])})
    one.account.create_folder("Sent")
    one.account.create_folder("Gesendet")
    instant = "2024-01-01T00:00:0{}+00:00"
    for number, (name, box) in enumerate([("a", "Sent"), ("b", "Gesendet"), ("c", "Gesendet")]):
        one.account.add(letter(name), box, received=instant.format(number))
    for dry_run in (True, False):
        report = place(one.paths[0], MemoryTarget(one.account), dry_run=dry_run)
        assert totals(report)["present"] == 3
        assert totals(report).get("to_place", 0) == 0
        (folder,) = report.folders
        assert folder.target == ("Gesendet",)
        assert {
            "code": "elsewhere",
            "text": "1 message is in Sent, and stays there",
        } in folder.notes
    assert counts(one.account) == {"Sent": 1, "Gesendet": 2}


def test_a_mailbox_that_may_have_it_and_cannot_be_opened(tmp_path: Path) -> None:
    """What it may hold is not placed; it is failed with the reason."""
    one = story(tmp_path, {"Gesendet": ("sent", ["a"])})
    one.account.create_folder("Sent")
    one.account.create_folder("Gesendet")
    one.account.refuse_folder("Gesendet", "folder-unavailable", "not now")
    report = place(one.paths[0], MemoryTarget(one.account))
    (failed,) = report.folders[0].failed
    assert failed["text"] == "it may be in Gesendet: not now"
    assert counts(one.account) == {}
    one.account.refuse_folder("Gesendet", None)
    assert place(one.paths[0], MemoryTarget(one.account)).complete
    assert counts(one.account) == {"Sent": 1}


def test_a_target_where_one_message_is_in_several_mailboxes(tmp_path: Path) -> None:
    """JMAP: what is elsewhere is not put into one mailbox more."""
    one = story(tmp_path, {"Gesendet": ("sent", ["a"]), "Work": (None, ["a"])}, named=False)
    one.account.create_folder("Gesendet")
    one.account.create_folder("Sent", roles=("sent",))
    for _ in range(2):
        assert place(one.paths[0], MemoryTarget(one.account, memberships=True)).complete
        assert counts(one.account) == {"Sent": 1, "Work": 1}
    one.account.delete_folder("Sent")
    one.account.add(letter("a"), "Gesendet", received="2024-01-01T00:00:00+00:00")
    one.account.create_folder("Outbox", roles=("sent",))
    assert place(one.paths[0], MemoryTarget(one.account, memberships=True)).complete
    assert counts(one.account)["Gesendet"] == 1


@pytest.mark.parametrize("layout", [None, "fs"])
def test_a_maildir_with_roles_by_name(tmp_path: Path, layout: str | None) -> None:
    archive = written(
        tmp_path / "a",
        {"Sent Items": ("sent", ["a"]), "Sent": (None, ["b"]), "Bin": ("trash", ["c", "e!"])},
    )

    def connect() -> MaildirTarget:
        return MaildirTarget(str(tmp_path / "t"), fsync=False, layout=layout, roles_by_name=True)

    for part in ("Sent", "Bin", ""):
        target = connect()
        options = {"selection": Selection(folders=(part,))} if part else {}
        assert place(archive, target, **options).complete
        target.close()
    target = connect()
    assert totals(place(archive, target))["present"] == 4
    target.close()
