"""Which folders and messages a selection takes, and how it is written down."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portarchive.errors import Damaged
from portarchive.jobs.selection import Selection
from portarchive.records import Folder, Placement, Received


def folder(path, *, roles=(), namespace="personal"):
    return Folder(
        folder_id=path, path=tuple(path.split("/")), roles=tuple(roles), namespace=namespace
    )


@pytest.mark.parametrize(
    ("pattern", "taken", "not_taken"),
    [
        ("Work", ["Work", "Work/A", "Work/A/B"], ["work", "Workshop", "My/Work"]),
        ("Work/", ["Work", "Work/A"], ["Workshop"]),
        ("Work/*", ["Work/A", "Work/A/B"], ["Work", "Workshop/A"]),
        ("*/2019", ["A/2019", "A/B/2019", "A/2019/May"], ["2019", "A/20199"]),
        ("*", ["INBOX", "A/B"], []),
        ("W?rk", ["Work", "Wark/A"], ["Wrk"]),
        ("inbox", ["INBOX", "Inbox", "inbox/Sub", "INBOX/Sub"], ["A/INBOX"]),
        ("Inbox/Sub", ["INBOX/Sub"], ["INBOX", "INBOX/sub"]),
        ("[Gmail]/All Mail", ["[Gmail]/All Mail"], ["G/All Mail"]),
        ("[Gmail]/*", ["[Gmail]/Sent"], ["G/Sent"]),
        ("a.b", ["a.b"], ["axb"]),
        ("Cafe\u0301", ["Caf\u00e9"], ["Cafe"]),
    ],
)
def test_patterns(pattern, taken, not_taken):
    takes = Selection(folders=(pattern,))
    leaves = Selection(exclude=(pattern,))
    for path in taken:
        assert takes.wants_folder(folder(path)), path
        assert not leaves.wants_folder(folder(path)), path
    for path in not_taken:
        assert not takes.wants_folder(folder(path)), path
        assert leaves.wants_folder(folder(path)), path


def test_folders_and_roles_add_up_and_exclusions_win():
    chosen = Selection(folders=("Work",), roles=("sent",), exclude=("Work/Old",))
    assert chosen.wants_folder(folder("Work/New"))
    assert chosen.wants_folder(folder("Gesendet", roles=["sent"]))
    assert not chosen.wants_folder(folder("Work/Old/A"))
    assert not chosen.wants_folder(folder("INBOX", roles=["inbox"]))
    assert not Selection(exclude=("Gesendet",)).wants_folder(folder("Gesendet", roles=["sent"]))


def test_namespaces():
    shared = folder("Team", namespace="shared")
    assert not Selection().wants_folder(shared)
    assert Selection(namespace="all").wants_folder(shared)


def test_a_pattern_that_names_nothing_is_told():
    chosen = Selection(folders=("Work", "Wrok"), exclude=("Nothing",))
    assert chosen.unmatched([folder("Work")]) == ("Wrok",)


def unlisted(beginning, namespace="shared"):
    path = tuple(beginning.rstrip("/").split("/"))
    return Folder(folder_id="", path=path, namespace=namespace, unlisted=beginning)


@pytest.mark.parametrize(
    ("pattern", "reaches", "not_reaching"),
    [
        ("shared", ["shared/", "shared/a/"], ["other/", "sha/"]),
        ("shared/x*", ["shared/"], ["shared/a/", "Shared/"]),
        ("shared/a/b", ["shared/", "shared/a/", "shared/a/b/c/"], ["shared/b/"]),
        ("*", ["shared/", "~"], []),
        ("*/x", ["shared/", "~"], []),
        ("s*d/x", ["shared/"], ["other/"]),
        ("s?ared/?", ["shared/"], ["shred/"]),
        ("shared?", [], ["shared/"]),
        ("~jo*", ["~"], ["~anna/"]),
        ("~joe/Sent", ["~"], ["user/"]),
        ("INBOX/x", [], ["shared/"]),
        ("Cafe\u0301/x", ["Caf\u00e9/", "Cafe\u0301/"], ["Cafe/"]),
        ("*" * 60 + "x", ["a" * 2000 + "/"], []),
    ],
)
def test_patterns_and_what_was_not_listed(pattern, reaches, not_reaching):
    takes = Selection(folders=(pattern,), namespace="all")
    for beginning in reaches:
        assert takes.wants_folder(unlisted(beginning)), beginning
        assert takes.unmatched([unlisted(beginning)]) == ()
    for beginning in not_reaching:
        assert not takes.wants_folder(unlisted(beginning)), beginning
        assert takes.unmatched([unlisted(beginning)]) == (pattern,)


def test_filters_and_what_was_not_listed():
    shared = unlisted("shared/")
    assert not Selection().wants_folder(shared)
    assert Selection(namespace="all").wants_folder(shared)
    assert Selection(namespace="all", roles=("sent",)).wants_folder(shared)
    for left_out in ("shared", "shared/*", "*", "s*", "s*/*"):
        assert not Selection(namespace="all", exclude=(left_out,)).wants_folder(shared), left_out
    for left_out in ("shared/x*", "shared/x", "other", "*x", "shared/*/*"):
        assert Selection(namespace="all", exclude=(left_out,)).wants_folder(shared), left_out


def test_a_pattern_of_many_stars_is_quick():
    assert not Selection(folders=("*" * 60 + "x",)).wants_folder(folder("a" * 2000))


def placed(text=None, flags=None):
    received = None if text is None else Received(text, 0)
    return Placement("f", "1", flags, received)


def test_days_are_those_of_the_messages_own_offset():
    chosen = Selection(since_date=date(2024, 2, 1), before_date=date(2024, 3, 1))
    assert chosen.skip_reason(placed("2024-01-31T23:59:59+00:00"), 1) == "since-date"
    # The same instant as 2024-01-31T23:30:00Z, and a day of February where it was received.
    assert chosen.skip_reason(placed("2024-02-01T00:30:00+01:00"), 1) is None
    assert chosen.skip_reason(placed("2024-02-29T23:00:00-05:00"), 1) is None
    assert chosen.skip_reason(placed("2024-03-01T00:00:00+00:00"), 1) == "before-date"


def test_sizes_and_keywords():
    chosen = Selection(min_size=10, max_size=20, keywords=("$flagged", "Invoice"))
    flagged = placed("2024-01-01T00:00:00+00:00", ("$seen", "$flagged"))
    assert chosen.skip_reason(flagged, 9) == "min-size"
    assert chosen.skip_reason(flagged, 10) is None
    assert chosen.skip_reason(flagged, 20) is None
    assert chosen.skip_reason(flagged, 21) == "max-size"
    assert chosen.skip_reason(placed(flags=("INVOICE",)), 15) is None
    assert chosen.skip_reason(placed(flags=("$seen",)), 15) == "keyword"


def test_what_is_not_known_is_never_skipped():
    chosen = Selection(
        since_date=date(2024, 1, 1),
        before_date=date(2024, 2, 1),
        min_size=1,
        max_size=2,
        keywords=("x",),
    )
    assert chosen.skip_reason(placed(), None) is None
    out_of_range = Received(None, None, "30-Dec-1899 00:00:00 +0000")
    assert chosen.skip_reason(Placement("f", "1", None, out_of_range), None) is None


names = st.lists(st.text(min_size=1, max_size=5), max_size=3).map(tuple)
selections = st.builds(
    Selection,
    folders=names,
    exclude=names,
    roles=names,
    keywords=names,
    since_date=st.none() | st.dates(),
    before_date=st.none() | st.dates(),
    min_size=st.none() | st.integers(0, 1 << 50),
    max_size=st.none() | st.integers(0, 1 << 50),
    namespace=st.sampled_from(["personal", "all"]),
)


@given(selections)
def test_written_and_read_back_it_is_the_same(chosen):
    written = chosen.to_json()
    assert Selection.from_json(written).to_json() == written


def test_everything_is_the_empty_object_and_order_does_not_matter():
    assert Selection().to_json() == {}
    assert Selection(folders=("b", "a", "b")).to_json() == Selection(folders=("a", "b")).to_json()


@pytest.mark.parametrize(
    "value",
    [
        {"colour": "red"},
        {"folders": "INBOX"},
        {"folders": [1]},
        {"since_date": "yesterday"},
        {"since_date": 5},
        {"min_size": -1},
        {"min_size": True},
        {"min_size": "5"},
        {"namespace": "mine"},
        {"namespace": ["all"]},
    ],
)
def test_a_filter_that_is_not_understood_is_not_passed_over(value):
    with pytest.raises(Damaged):
        Selection.from_json(value)


def test_the_sentence():
    assert Selection().describe() == "All folders, all messages."
    chosen = Selection(
        folders=("Work",),
        roles=("sent",),
        exclude=("Work/Old",),
        since_date=date(2024, 1, 31),
        max_size=10 << 20,
        keywords=("$flagged", "x"),
    )
    assert chosen.describe() == (
        "The folders “Work” and those of role sent but “Work/Old”; of them the messages received"
        " on 2024-01-31 or later, of at most 10,485,760 bytes and that bear $flagged or x."
    )


def test_whether_messages_are_filtered():
    assert not Selection(folders=("A",), roles=("sent",), namespace="all").needs_description
    assert Selection(min_size=0).needs_description
    assert Selection(keywords=("x",)).needs_description
    assert Selection(before_date=date(2024, 1, 1)).needs_description
