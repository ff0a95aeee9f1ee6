"""Which folders the ledger is about: as the exporter chooses them, and as it leaves the rest."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import portarchive
from exporting import account, export
from portarchive.connectors.memory import MemorySource
from portarchive.jobs.selection import Selection
from portarchive.records import Folder
from portarchive.validate.checks.selected import Glob, Selected, roles_of

SEGMENTS = ("INBOX", "inbox", "Work", "Wörk", "Wo\u0308rk", "a*b", "x.y", "[Gmail]", "All Mail")
NAMES = st.lists(st.sampled_from(SEGMENTS), min_size=1, max_size=3)
PATTERNS = st.lists(
    st.one_of(
        NAMES.map("/".join),
        st.text(alphabet="*?/WINBOXwork.[]öa", min_size=1, max_size=8),
        st.sampled_from(("*", "INBOX/", "inbox/*", "Work/*", "**", "W?rk", "*/Work")),
    ),
    max_size=2,
).map(tuple)
ROLES = st.lists(st.sampled_from(("inbox", "sent", "junk")), max_size=2, unique=True).map(tuple)


@given(names=NAMES, roles=ROLES, folders=PATTERNS, exclude=PATTERNS, of_role=ROLES)
@example(names=["Work", "Old"], roles=(), folders=("Work",), exclude=(), of_role=())
@example(names=["Work", "Old"], roles=(), folders=(), exclude=("Work",), of_role=())
@example(names=["Work"], roles=("sent",), folders=("INBOX",), exclude=(), of_role=("sent",))
def test_filters_mean_what_they_mean_to_the_exporter(
    names: list[str],
    roles: tuple[str, ...],
    folders: tuple[str, ...],
    exclude: tuple[str, ...],
    of_role: tuple[str, ...],
) -> None:
    selection = Selection(folders=folders, exclude=exclude, roles=of_role)
    wanted = selection.wants_folder(Folder(folder_id="1", path=tuple(names), roles=roles))
    assert Selected({"selection": selection.to_json()}).takes(names, roles) is wanted


@pytest.mark.parametrize(
    "manifest",
    [
        {},
        {"selection": None},
        {"selection": {"folders": ["Other"], "colour": "red"}},
        {"selection": {"folders": "Other"}},
        {"selection": {"folders": [1]}},
        {"selection": {}, "source": {"namespaces": {"other": "x", "shared": [5, {"prefix": 1}]}}},
    ],
)
def test_what_is_not_understood_leaves_nothing_out(manifest: dict[str, object]) -> None:
    assert Selected(manifest).takes(["INBOX"], [])


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (["shared"], False),
        (["shared", "team"], False),
        (["~joe"], False),
        (["sharedness"], True),
        (["INBOX"], True),
    ],
)
def test_folders_of_others(names: list[str], wanted: bool) -> None:
    spaces = {
        "personal": [{"prefix": "", "delimiter": "."}],
        "other": [{"prefix": "~", "delimiter": "."}],
        "shared": [{"prefix": "shared.", "delimiter": "."}],
    }
    manifest = {"selection": {}, "source": {"namespaces": spaces}}
    assert Selected(manifest).takes(names, []) is wanted
    of_all = Selected(manifest | {"selection": {"namespace": "all"}})
    assert of_all.takes(names, [])


def test_roles() -> None:
    assert roles_of({}) == []
    assert roles_of({"portarchive:role": "inbox"}) == ["inbox"]
    assert roles_of({"portarchive:role": ["sent", 5]}) == ["sent"]


def filled() -> MemorySource:
    source = account(INBOX=2, Work=2, Out=1)
    source.create_folder("Up/Down")
    source.create_folder("Bin", roles=["trash"])
    return source


@pytest.mark.parametrize(
    ("selection", "left"),
    [
        (Selection(folders=("INBOX",)), {"Work", "Out", "Up/Down", "Bin"}),
        (Selection(exclude=("Up",)), {"Up/Down"}),
        (Selection(roles=("trash",)), {"INBOX", "Work", "Out", "Up/Down"}),
        (Selection(max_size=10), set()),
    ],
)
def test_an_archive_whose_selection_was_changed(
    selection: Selection, left: set[str], tmp_path: Path
) -> None:
    source = filled()
    export(source, tmp_path / "a")
    for options in ({"change_selection": True}, {}):
        export(source, tmp_path / "a", selection=selection, **options)
        report = portarchive.validate(tmp_path / "a")
        assert {f.path for f in report.findings if f.code == "M-028"} == {
            f"mail/{path}" for path in left
        }
        assert not report.counts["M-024"]
        assert report.ok
    export(source, tmp_path / "a", change_selection=True)
    report = portarchive.validate(tmp_path / "a")
    assert not report.counts.keys() & {"M-024", "M-028"}


@given(
    pattern=st.text(alphabet="ab*?/", max_size=8),
    text=st.text(alphabet="ab/\n", max_size=10),
)
@example(pattern="a*a", text="a")
@example(pattern="*ab*b", text="ab")
def test_globs_mean_what_expressions_mean(pattern: str, text: str) -> None:
    wild = "".join({"*": ".*", "?": "."}.get(one, re.escape(one)) for one in pattern)
    assert Glob(pattern).fits(text) is bool(re.fullmatch(wild, text, re.DOTALL))


MARKS = "a" + "\u0301" * 2000 + "\u0316" * 2000
"""Whose normal form takes the longest."""


@pytest.mark.parametrize(
    ("patterns", "names", "folders"),
    [
        (["*a" * 100 + "*b"], ["a" * 4000], 1),
        ([f"*a*a*a*a*b{number}" for number in range(1000)], ["a" * 200, "a" * 4000], 200),
        (["?a" * 2000 + "*" + "??" * 2000 + "b", "*" + "?" * 4000 + "b*"], ["a" * 4000], 1000),
        (["*" + "a" * 600 + "b" + "a" * (500 + n) + "*" for n in range(50)], ["a" * 2400], 10_000),
        (["x*"], ["n" * 4000] * 250, 1000),
        (["x*"], [MARKS] * 250, 100),
        ([MARKS * 100], ["INBOX"], 1),
        ([f"?{number}*" for number in range(400_000)], ["INBOX"], 1),
        (["a*" * (8 << 20)], ["INBOX"], 1),
    ],
)
def test_patterns_that_mean_to_take_long(
    patterns: list[str], names: list[str], folders: int
) -> None:
    started = time.process_time()
    selected = Selected({"selection": {"folders": patterns}})
    for number in range(folders):
        selected.takes([f"a{number}", *names], [])
    assert time.process_time() - started < 10


def test_prefixes_that_mean_to_take_long() -> None:
    spaces = {"other": [{"prefix": f"#{number}/"} for number in range(200_000)]}
    started = time.process_time()
    selected = Selected({"selection": {}, "source": {"namespaces": spaces}})
    for _ in range(2000):
        selected.takes(["INBOX"], [])
    assert time.process_time() - started < 10
