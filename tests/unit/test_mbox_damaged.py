"""A damaged mbox is never taken for no mail: what the archive has of it stays, and it is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import archive_facts
from exporting import export
from portarchive.connectors.mbox import open_source
from portarchive.errors import Unreachable
from portarchive.jobs.report import ExportReport


def post(number: int, fields: bytes = b"") -> bytes:
    return (
        b"From - Thu Feb  1 03:04:05 2024\nMessage-ID: <%d@example.org>\nSubject: %d\n%s\n"
        b"body %d\n\n" % (number, number, fields, number)
    )


def posts(first: int, end: int) -> bytes:
    return b"".join(map(post, range(first, end)))


def run(path: Path, root: Path, **options: object) -> ExportReport:
    source = open_source(str(path), {})
    try:
        return export(source, root, fsync=False, **options)
    finally:
        source.close()


def errors(report: ExportReport) -> dict[str, str]:
    return {entry["path"]: entry["error"]["code"] for entry in report.folders if "error" in entry}


def counts(root: Path) -> dict[str, int]:
    return {path: len(items) for path, items in archive_facts.check(root).items.items() if items}


def torn(octets: bytes) -> bytes:
    """The first postmark and more of it are NULs."""
    return b"\0" * 64 + octets[64:]


def behind_nuls(octets: bytes) -> bytes:
    return b"\0" * 64 + octets


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("name", ["Inbox", "Sent", "Old.mbox"])
@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (torn, {"Sent": "not-mbox"}),
        (lambda _: b"garbage", {"Inbox": "not-mbox", "Sent": "not-mbox", "Old.mbox": "not-mbox"}),
        (lambda octets: b"\0" * len(octets), {}),
    ],
)
def test_nothing_of_a_damaged_file_is_lost(
    tmp_path: Path, name: str, spoil: Callable[[bytes], bytes], code: dict[str, str], mirror: bool
) -> None:
    """By its name, by what lies beside it, or because the archive has it."""
    tree, root = tmp_path / "tree", tmp_path / "a"
    tree.mkdir()
    (tree / "Inbox").write_bytes(posts(0, 15))
    (tree / "Inbox.msf").write_bytes(b"// <!-- <mdb:mork")
    (tree / "Sent").write_bytes(posts(20, 50))
    (tree / "Old.mbox").write_bytes(posts(60, 64))
    (tree / "Other").write_bytes(posts(70, 72))
    assert run(tree, root, mirror=mirror).complete
    before = counts(root)
    assert before == {"INBOX": 15, "Sent": 30, "Old": 4, "Other": 2}
    path = tree / name
    good = path.read_bytes()
    path.write_bytes(spoil(good))
    (tree / "Other").write_bytes(posts(70, 73))
    report = run(tree, root, mirror=mirror)
    shown = {"Inbox": "INBOX", "Old.mbox": "Old"}.get(name, name)
    assert not report.complete
    assert errors(report).keys() == {shown}
    assert errors(report)[shown] == code.get(name, "damaged")
    assert counts(root) == {**before, "Other": 3}
    path.write_bytes(good)
    assert run(tree, root, mirror=mirror).complete
    assert counts(root) == {**before, "Other": 3}
    assert not any(archive_facts.check(root).kept.values())


def test_new_mail_behind_a_spoilt_beginning_is_had(tmp_path: Path) -> None:
    tree, root = tmp_path / "tree", tmp_path / "a"
    tree.mkdir()
    path = tree / "Old.mbox"
    path.write_bytes(posts(0, 15))
    run(tree, root, mirror=True)
    path.write_bytes(torn(posts(0, 20)))
    report = run(tree, root, mirror=True)
    assert errors(report) == {"Old": "damaged"}
    assert report.totals.fetched == 5
    assert counts(root) == {"Old": 20}
    again = run(tree, root, mirror=True)
    assert again.totals.fetched == 0
    assert not again.published


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("spoil", [torn, lambda _: b"garbage", behind_nuls])
def test_the_labels_of_a_damaged_takeout_stay(
    tmp_path: Path, spoil: Callable[[bytes], bytes], mirror: bool
) -> None:
    """Which folders were in it, nobody can tell from what is left."""
    tree, root = tmp_path / "tree", tmp_path / "a"
    tree.mkdir()

    def letter(number: int, labels: bytes) -> bytes:
        octets = post(number, b"To: jane@example.org\n").partition(b"\n")
        return octets[0] + b"\nX-GM-THRID: 77\nX-Gmail-Labels: " + labels + b"\n" + octets[2]

    path = tree / "All mail.mbox"
    path.write_bytes(letter(0, b"Rare") + b"".join(letter(n, b"Work") for n in range(1, 5)))
    (tree / "lists.mbox").write_bytes(posts(50, 52))
    assert run(tree, root, mirror=mirror).complete
    before = counts(root)
    assert before == {"Rare": 1, "Work": 4, "lists": 2}
    path.write_bytes(spoil(path.read_bytes()))
    report = run(tree, root, mirror=mirror)
    assert counts(root) == before
    assert not any(archive_facts.check(root).kept.values())
    assert report.complete == (spoil is behind_nuls)
    if not report.complete:
        assert {"Rare", "Work"} <= errors(report).keys()


def test_a_file_that_became_a_link(tmp_path: Path) -> None:
    tree, root = tmp_path / "tree", tmp_path / "a"
    (tree / "Deep").mkdir(parents=True)
    for name in ("Sent", "Other", "Deep/Below"):
        (tree / name).write_bytes(posts(20, 25))
    run(tree, root, mirror=True)
    for name in ("Sent", "Deep"):
        (tree / name).rename(tmp_path / name)
        (tree / name).symlink_to(tmp_path / name)
    report = run(tree, root, mirror=True)
    assert {*errors(report)} >= {"Sent", "Deep/Below"}
    assert counts(root) == {"Sent": 5, "Other": 5, "Deep/Below": 5}


def test_what_never_was_a_folder_is_none(tmp_path: Path) -> None:
    tree, root = tmp_path / "tree", tmp_path / "a"
    tree.mkdir()
    (tree / "Sent").write_bytes(posts(0, 3))
    (tree / "README").write_bytes(b"no mail")
    for _ in range(2):
        report = run(tree, root)
        assert report.complete
        assert [entry["path"] for entry in report.folders] == ["Sent"]
    (tree / "Sent").write_bytes(b"garbage")
    with pytest.raises(Unreachable):
        run(tree, root, mirror=True)
    assert counts(root) == {"Sent": 3}


def test_a_preview_says_it_too(tmp_path: Path) -> None:
    tree, root = tmp_path / "tree", tmp_path / "a"
    tree.mkdir()
    for name in ("Sent", "Other"):
        (tree / name).write_bytes(posts(0, 3))
    run(tree, root)
    (tree / "Sent").write_bytes(b"garbage")
    report = run(tree, root, dry_run=True)
    assert not report.complete
    assert errors(report) == {"Sent": "not-mbox"}
