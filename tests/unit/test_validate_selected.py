"""Which folders the ledger is about: as the exporter chooses them, and as it leaves the rest."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import portarchive
from exporting import account, export
from portarchive.connectors.memory import MemorySource
from portarchive.jobs.selection import Selection
from portarchive.records import Folder
from portarchive.validate.checks.selected import roles_of, takes

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
    assert takes({"selection": selection.to_json()}, names, roles) is wanted


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
    assert takes(manifest, ["INBOX"], [])


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
    assert takes(manifest, names, []) is wanted
    assert takes(manifest | {"selection": {"namespace": "all"}}, names, [])


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
