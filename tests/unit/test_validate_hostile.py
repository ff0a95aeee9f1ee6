"""What a stranger's archive may cost, and what only other containers or a base can show."""

from __future__ import annotations

import dataclasses
import gzip
import io
import json
import tarfile
import time
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import pytest

import portarchive
from portarchive.archive.tree import Limits
from portarchive.archive.tree_listing import Listing
from portarchive.errors import ExitCode, Unfinished
from portarchive.validate.checks.ledger import spans_of_set
from portarchive.validate.checks.mailbox_names import decoded, is_full_name
from portarchive.validate.ijson import Document, Entry, Member
from portarchive.validate.ijson_places import Defect
from validating import FIRST, FOLDER, Files, at, dumped, folder, good, item, partial, put, write


def nested(files: Files, path: Path, inside: str = "myarchive/") -> Path:
    """As ``tar czf x.tar.gz myarchive/`` makes it."""
    with tarfile.open(path, "w:gz") as out:
        for name, octets in sorted(files.items()):
            info = tarfile.TarInfo(inside + name)
            info.size = len(octets)
            out.addfile(info, io.BytesIO(octets))
    return path


def counts(files: Files, place: Path, **how: Any) -> dict[str, int]:
    report = portarchive.validate(write(files, place), **how)
    assert not report.counts["F-001"]
    return {code: n for code, n in report.counts.items() if code != "M-001"}


# --- cost -----------------------------------------------------------------------------------------


def test_a_bug_in_the_listing_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> Listing:
        raise OverflowError

    monkeypatch.setattr(Listing, "of", broken)
    report = portarchive.validate(write(good(), tmp_path))
    assert report.counts == {"F-001": 1}
    assert report.exit_code() is ExitCode.BUG


def test_deep_names_cost_little(tmp_path: Path) -> None:
    """Directories that only names of members tell are counted."""
    names = {f"contacts/{n:04}/" + "/".join(["a"] * 250): b"" for n in range(900)}
    path = nested(good() | names, tmp_path / "a.tar.gz", inside="")
    tracemalloc.start()
    report = portarchive.validate(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert report.counts == {"F-016": 1}
    assert peak < 150_000_000


def test_names_whose_normal_form_takes_long(tmp_path: Path) -> None:
    marks = "\u0301" * 1000 + "\u0316" * 1000
    path = nested(good() | {f"{n:04}{marks}": b"" for n in range(2000)}, tmp_path / "a.tar.gz", "")
    started = time.process_time()
    report = portarchive.validate(path)
    assert report.counts["F-020"] == 2000
    assert time.process_time() - started < 10


def test_global_headers_are_not_copied_from_member_to_member(tmp_path: Path) -> None:
    files = good() | {f"blob/{n}": b"" for n in range(3000)}
    out = io.BytesIO()
    comments = {f"k{n}": "x" for n in range(4000)}
    with tarfile.open(fileobj=out, mode="w", pax_headers=comments) as file:
        for name, octets in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(octets)
            file.addfile(info, io.BytesIO(octets))
    path = tmp_path / "a.tar.gz"
    path.write_bytes(gzip.compress(out.getvalue()))
    begin = time.process_time()
    report = portarchive.validate(path)
    assert time.process_time() - begin < 5
    assert report.ok


def test_a_value_of_very_many_values(tmp_path: Path) -> None:
    octets = dumped(folder("INBOX", "M1", []))[1:]
    files = good() | {FOLDER: b'{"x":[' + b",".join([b"[[]]"] * 1_000_000) + b"]," + octets}
    write(files, tmp_path)
    tracemalloc.start()
    report = portarchive.validate(tmp_path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert report.counts["F-005"] == 1
    assert peak < 200_000_000


def test_many_large_members_add_up() -> None:
    inner = b"[" + b",".join([b"[]"] * 300) + b"]"
    octets = b"{" + b",".join(b'"%d":%s' % (n, inner) for n in range(9)) + b"}"
    defects: list[Defect] = []
    document = Document(
        io.BytesIO(octets), dataclasses.replace(Limits(), nodes=9000), defects.append
    )
    assert document.whole() is None
    assert [one.code for one in defects] == ["F-005"]


def test_text_in_strings_is_no_value() -> None:
    octets = json.dumps({"a": "[,{," * 5000, "items": ['"[[[[' * 5000]}).encode()
    document = Document(io.BytesIO(octets), dataclasses.replace(Limits(), nodes=100), pytest.fail)
    parts = list(document.parts(("items",)))
    assert [part.value for part in parts if isinstance(part, Member | Entry)] == [
        "[,{," * 5000,
        '"[[[[' * 5000,
    ]


def test_a_list_of_many_entries_holds_one_at_a_time() -> None:
    octets = json.dumps({"items": [[[], []]] * 500}).encode()
    document = Document(io.BytesIO(octets), dataclasses.replace(Limits(), nodes=100), pytest.fail)
    assert len(list(document.parts(("items",)))) == 501


def test_very_many_wrong_entries(tmp_path: Path) -> None:
    """After as many as a report shows they are only counted."""
    wrong = [{"uid": str(n), "filename": "x", "flags": 5} for n in range(1, 30_000)]
    files = good() | {FOLDER: dumped(folder("INBOX", "M1", wrong))}
    write(files, tmp_path)
    portarchive.validate(tmp_path, level="schema")  # what is loaded on demand is loaded
    begin = time.process_time()
    report = portarchive.validate(tmp_path, level="schema")
    assert time.process_time() - begin < 3
    assert report.counts["F-032"] == len(wrong)


def test_equal_entries_are_found_in_one_pass(tmp_path: Path) -> None:
    files = good()
    at(FOLDER, "portarchive:role", [{"a": n} for n in range(20_000)])(files)
    write(files, tmp_path)
    portarchive.validate(tmp_path, level="schema")
    begin = time.process_time()
    assert portarchive.validate(tmp_path, level="schema").counts["F-031"]
    assert time.process_time() - begin < 3


def test_very_many_unknown_members(tmp_path: Path) -> None:
    document = {f"allowed_keyword{n:x}": 0 for n in range(20_000)} | folder("INBOX", "M1", [])
    begin = time.process_time()
    assert counts(good() | {FOLDER: dumped(document)}, tmp_path)["C-104"] <= 1000
    assert time.process_time() - begin < 10


def test_a_very_long_name(tmp_path: Path) -> None:
    """Memory goes by a document's size, and not by many times that."""
    files = good()
    at("archive.json", "archive/" + "x" * 2_000_000, 1)(files)
    path = write(files, tmp_path)
    portarchive.validate(path, level="schema")
    tracemalloc.start()
    portarchive.validate(path, level="schema")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40_000_000


# --- containers and bases -------------------------------------------------------------------------


@pytest.mark.parametrize("inside", ["", "./", "myarchive/"])
def test_a_base_in_a_directory_of_its_container(tmp_path: Path, inside: str) -> None:
    base = nested(good(), tmp_path / "base.tar.gz", inside)
    files = good()
    partial(files)
    at("archive.json", "dataset/portarchive:base_id", "b47c1b85-c085-48b9-ae15-cb1b455422cd")(files)
    at(FOLDER, "items", [{**item(1), "flags": []}])(files)
    assert counts(files, tmp_path / "a", base=base) == {}


def test_a_base_of_hard_links(tmp_path: Path) -> None:
    """Both documents that are read of it are links to a member of another name."""
    base = {f"blob/{n}": good()[name] for n, name in enumerate(("archive.json", FOLDER))}
    with tarfile.open(tmp_path / "base.tar", "w") as out:
        for name, octets in (base | {FIRST: good()[FIRST]}).items():
            info = tarfile.TarInfo(name)
            info.size = len(octets)
            out.addfile(info, io.BytesIO(octets))
        for n, name in enumerate(("archive.json", FOLDER)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.LNKTYPE, f"blob/{n}"
            out.addfile(info)
    files = good()
    partial(files)
    at("archive.json", "dataset/portarchive:base_id", "b47c1b85-c085-48b9-ae15-cb1b455422cd")(files)
    at(FOLDER, "items", [item(1)])(files)
    assert counts(files, tmp_path / "a", base=tmp_path / "base.tar") == {"F-066": 1}


@pytest.mark.parametrize("inside", ["", "myarchive/"])
def test_an_unfinished_tree_in_a_container(tmp_path: Path, inside: str) -> None:
    files = {".portarchive/journal": b"", FIRST: good()[FIRST]}
    with pytest.raises(Unfinished):
        portarchive.validate(nested(files, tmp_path / "a.tar.gz", inside))


@pytest.mark.parametrize(
    ("rest", "code"), [(b"", ""), (bytes(1024), ""), (b"junk", "Z-021"), (None, "Z-014")]
)
def test_what_follows_a_compressed_tar(tmp_path: Path, rest: bytes | None, code: str) -> None:
    path = nested(good(), tmp_path / "a.tar.gz", "")
    octets = path.read_bytes()
    path.write_bytes(octets + rest if rest is not None else octets[:-8] + bytes(8))
    found = portarchive.validate(path).counts.keys() & {"Z-021", "Z-014"}
    assert found == ({code} if code else set())


def test_an_empty_folder_of_a_zip(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as out:
        for name, octets in good().items():
            out.writestr(name, octets)
        out.writestr("mail/Empty/", b"")
        out.writestr("mail/Odd/folder.json/", b"")
    found = {one.code: one.path for one in portarchive.validate(path).findings}
    assert found["P-006b"] == "mail/Empty"
    assert found["P-006"] == "mail/Odd"


# --- what must not be found -----------------------------------------------------------------------


def test_an_attachment_in_a_directory_of_mail(tmp_path: Path) -> None:
    files = good()
    files["mail/attachments/sketch-1"] = files.pop("blob/sketch-1")
    assert counts(files, tmp_path) == {}


@pytest.mark.parametrize("level", ["schema", "structure", "deep"])
def test_an_attachment_that_is_no_json(tmp_path: Path, level: str) -> None:
    files = good()
    del files["blob/sketch-1"]
    at("notes/list.json", "links/1/blobId", "x.json")(files)
    put("contacts/x.json", b"none")(files)
    assert counts(files, tmp_path, level=level) == {}


def test_a_document_that_says_what_it_is_is_told_of_though_a_blob_is_called_so(
    tmp_path: Path,
) -> None:
    files = good()
    at("notes/list.json", "links/1/blobId", "jane.json")(files)
    at("contacts/jane.json", "version", ...)(files)
    assert "P-016" in counts(files, tmp_path)


def test_a_damaged_folder_is_not_said_to_lack_a_uid(tmp_path: Path) -> None:
    files = good()
    files[FOLDER] = files[FOLDER][:40]
    assert not {"P-011", "P-010"} & counts(files, tmp_path).keys()


@pytest.mark.parametrize("number", [b"9.0", b"9e0", b"90e-1"])
def test_an_integer_with_a_fraction_of_nothing(tmp_path: Path, number: bytes) -> None:
    files = good()
    files[FOLDER] = files[FOLDER].replace(b'"last_uid": 9', b'"last_uid": ' + number)
    assert counts(files, tmp_path) == {}
    files[FOLDER] = files[FOLDER].replace(number, b"1.0")
    assert counts(files, tmp_path) == {"P-007b": 1}


def test_a_size_with_a_fraction_of_nothing(tmp_path: Path) -> None:
    files = good()
    at(FOLDER, "items/0/portarchive:size", float(len(files[FIRST]) + 1))(files)
    assert counts(files, tmp_path) == {"M-018": 1}


def test_places_in_the_maps_of_an_older_dialect(tmp_path: Path) -> None:
    """A pointer leads into the file that there is, not into what it is read as."""
    files = good()
    document = json.loads(files[FOLDER])
    del document["items"]
    document |= {"uids": {"7/1": "gone.eml"}, "flags": {"7/1": ["a b"]}}
    files[FOLDER] = dumped(document)
    report = portarchive.validate(write(files, tmp_path))
    found = {one.code: one.pointer for one in report.findings if one.path == FOLDER}
    assert found["C-111"] == "/uids/7~11"
    assert found["F-050"] == "/flags/7~11"


# --- parts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("Entw&APw-rfe", "Entwürfe"),
        ("R&-D", "R&D"),
        ("&2D3eAA-", "\U0001f600"),
        ("&AP-", "&AP-"),
        ("&,,,,-", "&,,,,-"),
        ("plain", "plain"),
    ],
)
def test_modified_utf7(name: str, wanted: str) -> None:
    assert decoded(name) == wanted


@pytest.mark.parametrize(
    ("uid", "name", "wanted"),
    [
        ("INBOX.Sent", "Sent", True),
        ("a/Entw&APw-rfe", "Entwürfe", True),
        ("Sent", "Sent", True),
        ("a\\b", "b", True),
        ("Resent", "sent", False),
        ("a.b", "c", False),
        ("a.b", "", False),
    ],
)
def test_full_names(uid: str, name: str, wanted: bool) -> None:
    assert is_full_name(uid, name) is wanted


def test_spans_of_a_set() -> None:
    assert spans_of_set("1:5,9,Mx,7:6,0,99999999999") == [(1, 5), (9, 9)]
