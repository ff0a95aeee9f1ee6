"""Names: the rules of format.md §5 one by one, and sixty hostile names on a real disk."""

import errno
import hashlib
import json
import os
import unicodedata

import pytest

from portarchive.archive.naming import (
    assign,
    check_relative,
    decode_segment,
    encode_segment,
    fit,
    fold_key,
    item_filename,
    message_filename,
    needs_original_name,
    placeholder_filename,
    resolve_item,
)
from portarchive.errors import ExitCode, UnsafePath


def tag(name: str) -> str:
    return "~" + hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:8]


# name → plain directory name
HOSTILE = {
    # ordinary, and ordinary elsewhere
    "INBOX": "INBOX",
    "Sent Items": "Sent Items",
    "Envoyés": "Envoyés",
    "Envoye\u0301s": "Envoyés",
    "EnvoyÃ©s": "EnvoyÃ©s",
    "Входящие": "Входящие",
    "受信トレイ": "受信トレイ",
    "דואר נכנס": "דואר נכנס",
    "12345": "12345",
    "R&D": "R&D",
    "&AOk-": "&AOk-",
    "a_xF8FF_b": "a_xF8FF_b",
    "☃ 🎄": "☃ 🎄",
    "👩\u200d👩\u200d👧": "👩\u200d👩\u200d👧",
    "-rf": "-rf",
    "~": "~",
    "$HOME `id` 'x'": "$HOME `id` 'x'",
    ".hidden": ".hidden",
    "...x": "...x",
    "{a};b#c!^": "{a};b#c!^",
    # path tricks
    "": "%",
    ".": "%2E",
    "..": "%2E%2E",
    "...": "..%2E",
    "../../etc/passwd": "..%2F..%2Fetc%2Fpasswd",
    "/": "%2F",
    "a/b": "a%2Fb",
    "a\\b": "a%5Cb",
    "C:": "C%3A",
    "C:\\Windows": "C%3A%5CWindows",
    "\\\\server\\share": "%5C%5Cserver%5Cshare",
    "%": "%25",
    "%41": "%2541",
    "%2F": "%252F",
    "%%": "%25%25",
    # characters that some file system refuses
    'what? "now" <x> | y*': "what%3F %22now%22 %3Cx%3E %7C y%2A",
    "12:30": "12%3A30",
    " leading": "%20leading",
    "trailing ": "trailing%20",
    " ": "%20",
    "  ": "%20%20",
    "   ": "%20 %20",
    "\u00a0nbsp\u3000": "%C2%A0nbsp%E3%80%80",
    "dot.": "dot%2E",
    "dots..": "dots.%2E",
    # controls
    "new\nline": "new%0Aline",
    "\r\n* BYE": "%0D%0A%2A BYE",
    "nul\0byte": "nul%00byte",
    "\t": "%09",
    "bell\x07\x7f\x85": "bell%07%7F%C2%85",
    "\x1b[31mred": "%1B[31mred",
    "line\u2028sep\u2029": "line%E2%80%A8sep%E2%80%A9",
    "rlo\u202egnp.exe": "rlo%E2%80%AEgnp.exe",
    "\u2066iso\u2069": "%E2%81%A6iso%E2%81%A9",
    "\u200b": "%E2%80%8B",
    "\ufffe\U0010ffff": "%EF%BF%BE%F4%8F%BF%BF",
    # octets that do not decode
    "caf\udce9": "caf%E9",
    "\udcff\udcfe": "%FF%FE",
    "\ud800x": "%ED%A0%80x",
    "".join(map(chr, (0xDC80, 0xD800))): "%80%ED%A0%80",
    # an encoded character must not lend its last hex digit to a combining one
    "*\u0301": "%2A%CC%81",
    ":\u0323\u0301x": "%3A%CC%A3%CC%81x",
    # devices
    "CON": "%43ON",
    "con": "%63on",
    "Aux": "%41ux",
    "nul.txt": "%6Eul.txt",
    "NUL .tar.gz": "%4EUL .tar.gz",
    "com1": "%63om1",
    "COM¹": "%43OM¹",
    "lpt9.x": "%6Cpt9.x",
    "CONIN$": "%43ONIN$",
    "prn": "%70rn",
    "CONsole": "CONsole",
    "com10": "com10",
    "console.con": "console.con",
    # the format's own
    "folder.json": "%66older.json",
    "FOLDER.JSON": "%46OLDER.JSON",
    "folder\u200b.json": "%66older\u200b.json",
    "archive.json": "%61rchive.json",
    "manifest-sha256.txt": "%6Danifest-sha256.txt",
    "m1.eml": "%6D1.eml",
    "M1.EML": "%4D1.EML",
    ".eml": "%2Eeml",
    "*.eml": "%2A.eml",
    "1-0000000001.eml": "%31-0000000001.eml",
    ".portarchive": "%2Eportarchive",
    ".PortArchive.old": "%2EPortArchive.old",
    ".DS_Store": "%2EDS_Store",
    "__MACOSX": "%5F_MACOSX",
    "Thumbs.db": "%54humbs.db",
    "desktop.ini": "%64esktop.ini",
    "folder.json.bak": "folder.json.bak",
    # length
    "x" * 200: "x" * 200,
    "x" * 201: "x" * 191 + tag("x" * 201),
    "ü" * 150: "ü" * 95 + tag("ü" * 150),
    "u\u0308" * 150: "ü" * 95 + tag("u\u0308" * 150),
    "😀" * 75: "😀" * 47 + tag("😀" * 75),
    "?" * 300: "%3F" * 63 + tag("?" * 300),
    "x" * 190 + "??" + "y" * 9: "x" * 190 + tag("x" * 190 + "??" + "y" * 9),
    "\udcff" * 120: "%FF" * 63 + tag("\udcff" * 120),
    "con." + "y" * 300: "%63on." + "y" * 185 + tag("con." + "y" * 300),
}


def test_there_are_at_least_sixty_hostile_names():
    assert len(HOSTILE) >= 60


@pytest.mark.parametrize(("name", "dirname"), HOSTILE.items(), ids=[ascii(n)[:40] for n in HOSTILE])
def test_encode_segment(name, dirname):
    assert encode_segment(name) == dirname
    assert len(dirname.encode()) <= 200
    assert needs_original_name(name, dirname) == (name != dirname)
    decoded = decode_segment(dirname)
    if "~" in dirname[-9:] and len(name) > 50:
        assert decoded is None
    elif "\ud800" in name:  # not what any octets decode to: comes back as the octets it is made of
        assert encode_segment(decoded) == dirname
    else:
        assert decoded == unicodedata.normalize("NFC", name)


@pytest.mark.parametrize(
    "dirname", ["%4", "%zz", "a%41", "%2f", "a:b", "CON", "m1.eml", "Envoye\u0301s", "a~01234567"]
)
def test_decode_refuses_what_the_encoding_never_writes(dirname):
    assert decode_segment(dirname) is None


def test_twins_the_least_keeps_the_plain_name():
    assert assign(["sent", "SENT", "Sent"]) == {
        "SENT": "SENT",
        "Sent": "Sent" + tag("Sent"),
        "sent": "sent" + tag("sent"),
    }


def test_twins_in_normal_form_only():
    nfc, nfd = "caf\u00e9", "cafe\u0301"
    assert assign([nfc, nfd]) == {nfd: nfc, nfc: nfc + tag(nfc)}


def test_twins_before_encoding_are_twins_after_it():
    assert assign(["con", "CON"]) == {"CON": "%43ON", "con": "%63on" + tag("con")}


def test_twins_of_octets_and_of_text_that_looks_like_them():
    assert assign(["\udce9", "%E9"]) == {"\udce9": "%E9", "%E9": "%25E9"}


def test_a_mailbox_called_like_the_tagged_name_of_another():
    squatter = "a" + tag("a")
    names = assign(["A", "a", squatter])
    assert names["A"] == "A"
    assert names[squatter] == squatter
    second = hashlib.sha256(b"a\0").hexdigest()[:8]
    assert names["a"] == f"a~{second}"


def test_long_names_that_differ_at_the_end_only():
    left, right = "x" * 300 + "1", "x" * 300 + "2"
    names = assign([left, right])
    assert names == {left: encode_segment(left), right: encode_segment(right)}
    assert names[left] != names[right]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("\u0131", "i"),
        ("\u2764\ufe0f", "\u2764"),
        ("\u017f", "s"),
        ("straße", "STRASSE"),
        ("\u212a", "k"),
        ("\u03c2", "\u03c3"),
        ("\u0390", "\u03b9\u0308\u0301"),
        ("x\u200d", "x"),
    ],
)
def test_what_any_file_system_may_take_for_the_same(one, other):
    names = assign([one, other])
    least, tagged = sorted([one, other], key=str.encode)
    assert names[least] == encode_segment(least)
    assert names[tagged] == encode_segment(tagged) + tag(tagged)


def test_published_directories_keep_their_names():
    first = assign(["sent"])
    assert first == {"sent": "sent"}
    later = assign(["SENT", "sent"], published=first)
    assert later == {"sent": "sent", "SENT": "SENT" + tag("SENT")}
    # the least name is new, the other keeps what it has; what is gone still takes its place
    assert assign(["SENT"], published=first) == {"SENT": "SENT" + tag("SENT")}
    assert assign(["sent"], published={"sent": "odd"}) == {"sent": "odd"}


def test_occupied_entries_are_avoided():
    assert assign(["Cur"], occupied=["cur"]) == {"Cur": "Cur" + tag("Cur")}


@pytest.mark.parametrize("dirname", ["../x", "a/b", "", "..", "/x", "a\\b", "C:x"])
def test_a_published_name_from_a_hostile_archive(dirname):
    with pytest.raises(UnsafePath):
        assign(["x"], published={"x": dirname})


def test_hostile_names_side_by_side_on_this_disk(tmp_path):
    names = assign(HOSTILE)
    for name, dirname in names.items():
        directory = tmp_path / dirname
        directory.mkdir()
        assert directory.parent == tmp_path
        record = {"name": ascii(name), "original": needs_original_name(name, dirname)}
        (directory / "folder.json").write_text(json.dumps(record))
    (tmp_path / "folder.json").write_text("{}")
    for file in (message_filename(1, 1), item_filename("m1"), item_filename("*")):
        (tmp_path / file).write_bytes(b"")
    entries = list(tmp_path.iterdir())
    assert len(entries) == len(HOSTILE) + 4
    found = {
        json.loads((entry / "folder.json").read_text())["name"]: entry.name
        for entry in entries
        if entry.is_dir()
    }
    assert found == {ascii(name): dirname for name, dirname in names.items()}


def test_the_disk_would_refuse_what_is_not_encoded(tmp_path):
    with pytest.raises(OSError, match=os.strerror(errno.ENAMETOOLONG)):
        (tmp_path / ("x" * 300)).mkdir()


# --- files --------------------------------------------------------------------------------------


def test_message_files():
    assert message_filename(1107190787, 17) == "1107190787-0000000017.eml"
    assert message_filename(1, 2**32 - 1) == "1-4294967295.eml"
    assert message_filename(None, 5) == message_filename(0, 5) == "0-0000000005.eml"
    assert placeholder_filename(7, 5) == "7-0000000005~placeholder.eml"


@pytest.mark.parametrize(
    ("item_id", "filename"),
    [
        ("m1", "m1.eml"),
        ("1f40fc92da241694750979ee6cf582f2", "1f40fc92da241694750979ee6cf582f2.eml"),
        ("1f40fc92da241694750979ee6cf582f2-2", "1f40fc92da241694750979ee6cf582f2-2.eml"),
        ("M1", "M1" + tag("M1") + ".eml"),
        ("x" * 200, "x" * 200 + ".eml"),
        ("x" * 255, "x" * 191 + tag("x" * 255) + ".eml"),
        ("1700000000.m1p2.host:2,s", "1700000000.m1p2.host%3A2,s.eml"),
        ("con", "~con" + tag("con") + ".eml"),
        ("nul.x", "~nul.x" + tag("nul.x") + ".eml"),
        ("aux.a", "~aux.a" + tag("aux.a") + ".eml"),
        ("a~01234567", "a~01234567" + tag("a~01234567") + ".eml"),
        ("*x", "~%2Ax" + tag("*x") + ".eml"),
        ("", "~" + tag("") + ".eml"),
        ("..", ".%2E.eml"),
        ("../../x", "..%2F..%2Fx.eml"),
        ("\udce9", "~%E9" + tag("\udce9") + ".eml"),
    ],
)
def test_item_files(item_id, filename):
    assert item_filename(item_id) == filename


@pytest.mark.parametrize("item_id", ["COM1.a", "com1.a", "Nul", "con"])
def test_no_item_file_is_a_device(item_id):
    assert item_filename(item_id).startswith("~")


def test_ids_that_differ_in_case_only_have_files_that_differ_in_more():
    names = [item_filename(item_id) for item_id in ("Mab", "mab", "MAB", "mAb")]
    assert len({fold_key(name) for name in names}) == 4


def test_another_attempt_is_another_name():
    names = {item_filename("m1", attempt) for attempt in range(5)}
    assert len(names) == 5


# --- paths of strangers -------------------------------------------------------------------------


def test_check_relative_gives_the_segments():
    assert check_relative("mail/INBOX/1-0000000001.eml") == ("mail", "INBOX", "1-0000000001.eml")
    assert check_relative("mail/a: b/...x") == ("mail", "a: b", "...x")


UNSAFE = [
    "",
    "/",
    "/etc/passwd",
    "../x",
    "a/../b",
    "a/..",
    "..",
    ".",
    "./a",
    "a/./b",
    "a//b",
    "a/",
    "//server/share",
    "a\\b",
    "..\\..\\x",
    "a\0b",
    "C:",
    "C:x",
    "c:/x",
    "\ud800",
    "caf\udce9",
]


@pytest.mark.parametrize("path", UNSAFE, ids=ascii)
def test_check_relative_refuses(path):
    with pytest.raises(UnsafePath) as caught:
        check_relative(path)
    assert caught.value.exit_code is ExitCode.UNFINISHED
    assert caught.value.hint


def test_the_error_shows_a_strangers_path_harmlessly():
    with pytest.raises(UnsafePath) as caught:
        check_relative("/\x1b]0;title\x07\u202e\n" + "x" * 10_000)
    text = str(caught.value)
    assert text.isascii()
    assert text.isprintable()
    assert len(text) < 250


@pytest.mark.parametrize(
    ("folder", "filename", "path"),
    [
        ("mail/INBOX", "1.eml", "mail/INBOX/1.eml"),
        ("mail/INBOX", "..x.eml", "mail/INBOX/..x.eml"),
        ("mail/INBOX", "sub/1.eml", "mail/INBOX/sub/1.eml"),
        ("mail/INBOX", "./1.eml", "mail/INBOX/1.eml"),
        ("mail/B", "../A/1.eml", "mail/A/1.eml"),
        ("mail/B/C", "../../A/1.eml", "mail/A/1.eml"),
        ("mail/B", "../../mail/A/1.eml", "mail/A/1.eml"),
        ("mail", "1.eml", "mail/1.eml"),
    ],
)
def test_resolve_item(folder, filename, path):
    assert resolve_item(folder, filename) == path


@pytest.mark.parametrize(
    ("folder", "filename"),
    [
        ("mail/INBOX", "../../../etc/passwd"),
        ("mail/INBOX", "../../archive.json"),
        ("mail/INBOX", "../../index/x"),
        ("mail/INBOX", "../../../mail/A/1.eml"),
        ("mail/INBOX", ".."),
        ("mail/INBOX", "."),
        ("mail/INBOX", ""),
        ("mail/INBOX", "x/"),
        ("mail/INBOX", "x/.."),
        ("mail/INBOX", "x/."),
        ("mail/INBOX", "a//b"),
        ("mail/INBOX", "/etc/passwd"),
        ("mail/INBOX", "..\\x"),
        ("mail/INBOX", "C:x"),
        ("mail/INBOX", "a\0"),
        ("mail/INBOX", "\ud800"),
        ("mail/INBOX", "../.."),
        ("contacts/a", "1.eml"),
        ("mail/../contacts", "1.eml"),
        ("", "1.eml"),
        ("mailbox/a", "1.eml"),
    ],
)
def test_resolve_item_refuses(folder, filename):
    with pytest.raises(UnsafePath):
        resolve_item(folder, filename)


@pytest.mark.parametrize(
    "names",
    [
        ("a",) * 2500,
        tuple(f"{number:02}" + "é" * 78 for number in range(40)),
        ("/" * 300, "x" * 5000, "y"),
        ("\udce9" * 900, "z"),
        tuple("x" * 200 for _ in range(5)),
        ("a",) * 251,
        ("",) * 300,
    ],
)
def test_no_path_is_too_long(names):
    fitted = fit(names)
    assert len(fitted) <= 250
    assert "/".join(fitted) == "/".join(names)
    path = "/".join(map(encode_segment, fitted))
    assert len(path.encode()) <= 700
    assert fit(fitted) == fitted
    assert fit((*names[:-1], names[-1] + "!")) != fitted


def test_a_path_that_fits_stays():
    for names in (("INBOX",), ("a",) * 250, ("x" * 200,) * 3, ("é" * 58, "日本語" * 20)):
        assert fit(names) == names
    assert len(fit(("a",) * 351)) == 250
