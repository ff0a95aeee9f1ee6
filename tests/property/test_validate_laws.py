"""Laws of the validator: nothing makes it raise, and no flipped octet gets by."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import portarchive
from portarchive.archive.tree import Limits
from portarchive.errors import NotAnArchive
from portarchive.validate import schema_check
from portarchive.validate.checks.items import resolve
from portarchive.validate.ijson import Document, Entry, Member
from portarchive.validate.ijson_places import Defect
from portarchive.validate.octets import Plausibility
from portarchive.validate.report import Report, printable

SAMPLE = Path(__file__).parents[2] / "samples/archive"
FILES = sorted(path.relative_to(SAMPLE).as_posix() for path in SAMPLE.rglob("*") if path.is_file())
CHAINED = [name for name in FILES if name != "archive.json"]
SHARED = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("laws") / "archive"
    shutil.copytree(SAMPLE, place)
    return place


@contextlib.contextmanager
def changed(path: Path, octets: bytes | None) -> Iterator[None]:
    """The file has these octets, or is gone, for a while."""
    before = path.read_bytes()
    try:
        if octets is None:
            path.unlink()
        else:
            path.write_bytes(octets)
        yield
    finally:
        path.write_bytes(before)


def looked_at(path: Path, **how: Any) -> Report | None:
    """The report; None if there is no archive any more. Anything else would be raised."""
    try:
        report = portarchive.validate(path, **how)
    except NotAnArchive:
        return None
    assert not report.counts["F-001"], [f.text for f in report.findings if f.code == "F-001"]
    json.dumps(report.to_dict()).encode()
    return report


@given(name=st.sampled_from(CHAINED), place=st.integers(0), bit=st.integers(0, 7))
@SHARED
def test_a_flipped_octet_is_found(tree: Path, name: str, place: int, bit: int) -> None:
    octets = bytearray((tree / name).read_bytes())
    if not octets:
        return
    octets[place % len(octets)] ^= 1 << bit
    with changed(tree / name, bytes(octets)):
        report = looked_at(tree)
    assert report is not None
    assert not report.ok


@given(name=st.sampled_from(CHAINED), cut=st.integers(0))
@SHARED
def test_a_truncated_file_is_found(tree: Path, name: str, cut: int) -> None:
    octets = (tree / name).read_bytes()
    with changed(tree / name, octets[: cut % len(octets)]):
        report = looked_at(tree)
    assert report is not None
    assert not report.ok


@given(name=st.sampled_from(FILES))
@SHARED
def test_a_missing_file_is_found(tree: Path, name: str) -> None:
    with changed(tree / name, None):
        report = looked_at(tree, level="structure")
    if name == "archive.json":
        assert report is None
    else:
        assert report is not None
        assert not report.ok


@given(name=st.sampled_from(CHAINED), suffix=st.sampled_from([".bak", "x", " ", ".json", ".eml"]))
@SHARED
def test_a_renamed_file_is_found(tree: Path, name: str, suffix: str) -> None:
    path = tree / name
    other = path.with_name(path.name + suffix)
    path.rename(other)
    try:
        report = looked_at(tree)
    finally:
        other.rename(path)
    assert report is not None
    assert not report.ok


@given(name=st.sampled_from(CHAINED), other=st.sampled_from(["copy.eml", "copy.json", "COPY"]))
@SHARED
def test_a_copy_shows(tree: Path, name: str, other: str) -> None:
    path = (tree / name).with_name(other)
    shutil.copyfile(tree / name, path)
    try:
        report = looked_at(tree)
    finally:
        path.unlink()
    assert report is not None
    assert report.counts.keys() & {"M-010", "M-012"}


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=12,
)
DOCUMENTS = [name for name in FILES if name.endswith(".json")]


def places(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value inside."""
    if way:
        yield way
    inner: Any = ()
    if isinstance(value, dict):
        inner = value.items()
    elif isinstance(value, list):
        inner = enumerate(value)
    for key, one in inner:
        yield from places(one, (*way, key))


@given(data=st.data(), name=st.sampled_from(DOCUMENTS), value=VALUES)
@settings(SHARED, max_examples=120)
def test_any_value_anywhere_is_only_a_finding(
    tree: Path, data: st.DataObject, name: str, value: Any
) -> None:
    document = json.loads((tree / name).read_text(encoding="utf-8"))
    way = data.draw(st.sampled_from(list(places(document))))
    inner = document
    for step in way[:-1]:
        inner = inner[step]
    if data.draw(st.booleans()):
        inner[way[-1]] = value
    elif isinstance(inner, dict):
        del inner[way[-1]]
    else:
        inner.append(value)
    with changed(tree / name, json.dumps(document).encode()):
        looked_at(tree, level=data.draw(st.sampled_from(["schema", "structure", "deep"])))


# --- containers -----------------------------------------------------------------------------------


def as_zip(tree: Path, out: Path) -> Path:
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for name in sorted(FILES, key=lambda name: name != "archive.json"):
            file.write(tree / name, name)
    return out


def as_tar(mode: str) -> Callable[[Path, Path], Path]:
    def pack(tree: Path, out: Path) -> Path:
        with tarfile.open(out, mode) as file:  # type: ignore[call-overload]
            for name in sorted(FILES, key=lambda name: name != "archive.json"):
                file.add(tree / name, name)
        return out

    return pack


def as_zstd(tree: Path, out: Path) -> Path:
    try:
        from compression.zstd import compress
    except ImportError:
        from backports.zstd import compress
    plain = as_tar("w")(tree, out.with_suffix(".plain"))
    out.write_bytes(compress(plain.read_bytes()))
    return out


PACKERS: dict[str, Callable[[Path, Path], Path]] = {
    "a.zip": as_zip,
    "a.tar": as_tar("w"),
    "a.tar.gz": as_tar("w:gz"),
    "a.tar.zst": as_zstd,
}


@pytest.fixture(scope="module")
def packed(tree: Path) -> dict[str, Path]:
    return {name: pack(tree, tree.parent / name) for name, pack in PACKERS.items()}


@pytest.mark.parametrize("name", PACKERS)
@pytest.mark.parametrize("level", ["schema", "structure", "deep"])
def test_the_container_makes_no_difference(
    tree: Path, packed: dict[str, Path], name: str, level: str
) -> None:
    found = portarchive.validate(packed[name], level=level).to_dict()
    wanted = portarchive.validate(tree, level=level).to_dict()
    assert found | {"archive": ""} == wanted | {"archive": ""}


@given(
    name=st.sampled_from(list(PACKERS)),
    edits=st.lists(st.tuples(st.integers(0), st.binary(min_size=1, max_size=6)), max_size=4),
    cut=st.none() | st.integers(0),
)
@settings(SHARED, max_examples=100)
def test_a_damaged_container_is_only_a_finding(
    packed: dict[str, Path],
    name: str,
    edits: list[tuple[int, bytes]],
    cut: int | None,
) -> None:
    octets = bytearray(packed[name].read_bytes())
    for where, put in edits:
        at = where % len(octets)
        octets[at : at + len(put)] = put
    if cut is not None:
        del octets[cut % len(octets) :]
    path = packed[name].with_name("damaged" + name)
    path.write_bytes(octets)
    looked_at(path)


# --- parts ----------------------------------------------------------------------------------------


def read(octets: bytes, limits: Limits | None = None) -> tuple[Any, list[Defect], bool]:
    defects: list[Defect] = []
    document = Document(io.BytesIO(octets), limits or Limits(), defects.append)
    value = document.whole()
    return value, defects, document.broken


@given(value=st.dictionaries(st.text(), VALUES), ascii_only=st.booleans(), indent=st.booleans())
@settings(deadline=None)
def test_what_is_json_is_read_as_json(value: Any, ascii_only: bool, indent: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=2 if indent else None)
    try:
        octets = text.encode()
    except UnicodeEncodeError:
        return
    found, defects, broken = read(octets)
    assert not broken
    if not defects:
        assert found == json.loads(text)


@given(value=st.dictionaries(st.text(max_size=3), VALUES, max_size=4), window=st.integers(1, 16))
@example(value={"a": 1.5, "b": -1e22, "items": [0.25, 1e-7, [3.5e30]]}, window=2)
@settings(deadline=None)
def test_windows_make_no_difference(value: Any, window: int) -> None:
    """A number is cut anywhere: after its point, its e, its sign."""
    text = json.dumps(value)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("portarchive.validate.ijson._WINDOW", window)
        found, defects, broken = read(text.encode())
    patched = read(text.encode())
    assert (found, defects, broken) == patched


@given(octets=st.binary(max_size=60) | st.text(alphabet='{}[]":,\\u0d8e1.-tn \n').map(str.encode))
@example(b'{"a":"\\ud800"}')
@settings(deadline=None, max_examples=400)
def test_what_python_cannot_read_is_told(octets: bytes) -> None:
    _, defects, broken = read(octets)
    try:
        json.loads(octets.decode())
    except (ValueError, RecursionError):
        assert defects
    if broken:
        assert defects


@given(pieces=st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"a" * 500, b"From: x", b"\0"])))
def test_plausibility_does_not_depend_on_the_pieces(pieces: list[bytes]) -> None:
    head = b"From: a\r\nDate: b\r\n\r\n"
    whole, cut = Plausibility(), Plausibility()
    whole.feed(head + b"".join(pieces))
    for piece in (head, *pieces):
        cut.feed(piece)
    assert whole.finish() == cut.finish()


ITEM = {
    "uid": "4",
    "filename": "1-4.eml",
    "flags": ["$seen"],
    "portarchive:received_at": "2019-07-30T21:00:51+02:00",
    "portarchive:size": 5,
    "portarchive:sha256": "a" * 64,
}
SPICE = st.sampled_from(
    ["2016-12-31T23:59:60Z", "2019-02-30T00:00:00Z", "a" * 64 + "\n", "\\Sent\n", "../x", "0", ""]
)


@given(
    member=st.sampled_from(list(ITEM)),
    value=VALUES | SPICE | st.text() | st.datetimes().map(str),
    list_name=st.sampled_from(["items", "portarchive:kept", "portarchive:placeholder"]),
)
@settings(deadline=None, max_examples=300)
def test_the_two_schema_checkers_agree(member: str, value: Any, list_name: str) -> None:
    check = schema_check.entries("folder", "ietf-02", list_name)
    assert check is not None
    item = ITEM | {"expunged_at": "2020-01-01T00:00:00Z", member: value}
    slow = not list(schema_check._slow(check._reference).iter_errors(item))
    assert check.fits(item) == slow


@given(
    directory=st.sampled_from(["mail/INBOX", "mail/a/b", "tasks/x"]),
    name=st.lists(st.sampled_from(["..", ".", "", "a", "mail", "b.eml"]), min_size=1, max_size=6),
)
def test_a_filename_never_leads_out(directory: str, name: list[str]) -> None:
    path = resolve(directory, "/".join(name))
    if path is not None:
        top = directory.partition("/")[0]
        assert os.path.normpath(f"/{directory}/{'/'.join(name)}") == f"/{path}"
        assert path.startswith(f"{top}/")


@given(st.text() | st.binary().map(lambda octets: octets.decode("utf-8", "surrogateescape")))
def test_nothing_drives_a_terminal(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    shown.encode()


def test_parts_stream_lists_and_nothing_else() -> None:
    octets = json.dumps({"a": [1], "items": [1, {"b": 2}], "c": None}, indent=1).encode()
    document = Document(io.BytesIO(octets), Limits(), pytest.fail)
    parts = [part for part in document.parts(("items",)) if isinstance(part, Member | Entry)]
    assert parts == [
        Member("a", [1]),
        Entry("items", 0, 1),
        Entry("items", 1, {"b": 2}),
        Member("c", None),
    ]
