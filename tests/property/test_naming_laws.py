"""Laws of names: whatever a server calls its mailboxes, an archive of them fits on any disk."""

import re
import unicodedata

from hypothesis import example, given, settings
from hypothesis import strategies as st

from portarchive.archive.naming import (
    assign,
    check_relative,
    decode_segment,
    encode_segment,
    fold_key,
    item_filename,
    message_filename,
    needs_original_name,
    placeholder_filename,
    resolve_item,
)
from portarchive.errors import UnsafePath

# Pieces that rules are about, so that names meet them, and each other, often.
PIECES = [
    *'aAbBiIkKsSxzZ .%/\\:*?"<>|~-_0123456789',
    *("\u0131", "\u0130", "\u017f", "\u212a", "\u212b", "ß", "\u1e9e", "é", "e\u0301", "\u0345"),
    *(
        "\u0301",
        "\u0323",
        "\u200d",
        "\u200b",
        "\u202e",
        "\ufe0f",
        "\ufeff",
        "\u034f",
        "ΐ",
        "ς",
        "Σ",
    ),
    *(
        "\n",
        "\r",
        "\0",
        "\x7f",
        "\x85",
        "\u2028",
        "\u3000",
        "\ufffe",
        "😀",
        "한",
        "\u1112\u1161\u11ab",
    ),
    *("\udc80", "\udcff", "\udce9", "\ud800", "\udfff"),
    *(
        "..",
        "con",
        "COM1",
        "NUL",
        "aux.",
        "folder.json",
        ".eml",
        ".EML",
        ".portarchive",
        "%41",
        "%2F",
    ),
    *("m1.eml", "1-0000000001.eml", ".DS_Store", "x" * 60, "é" * 90, "?" * 70),
]
ANY_CHARACTER = st.characters(codec=None) | st.characters(categories=["Cs", "Cc", "Cf", "Mn", "Zs"])
NAMES = (
    st.lists(st.sampled_from(PIECES), max_size=6).map("".join)
    | st.text(ANY_CHARACTER, max_size=30)
    | st.text(ANY_CHARACTER, min_size=50, max_size=320)
)
SIBLINGS = st.sets(NAMES, max_size=12)


# --- three file systems, each as the key under which it finds an entry ----------------------------


def ext4(name):
    return name.encode()


def apfs(name):
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold())


def ext4_folding(name):
    ignored = "\u00ad\u034f\u061c\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff"
    return apfs(re.sub(f"[{ignored}]", "", apfs(name)))


def ntfs(name):
    return "".join(char.upper() if len(char.upper()) == 1 else char for char in name)


FILE_SYSTEMS = [ext4, apfs, ext4_folding, ntfs]
DEVICES = {"CON", "PRN", "AUX", "NUL", *(f"{d}{n}" for d in ("COM", "LPT") for n in "123456789¹²³")}


def assert_fits_every_disk(entry):
    octets = entry.encode()  # strict: Unicode text
    assert 0 < len(octets) <= 255
    assert unicodedata.is_normalized("NFC", entry)
    assert entry not in {".", ".."}
    assert not re.search('[\x00-\x1f\x7f-\x9f/\\\\:*?"<>|]', entry)
    assert entry[0] != " "
    assert entry[-1] not in " ."
    assert entry.partition(".")[0].rstrip(" ").upper() not in DEVICES
    assert not re.search("[\ufdd0-\ufdef\ufffe\uffff]", entry)


def assert_apart(entries):
    for key in FILE_SYSTEMS:
        assert len({key(entry) for entry in entries}) == len(entries), key.__name__


# --- one name -----------------------------------------------------------------------------------


@given(NAMES)
def test_an_encoded_name_fits_every_disk(name):
    encoded = encode_segment(name)
    assert_fits_every_disk(encoded)
    assert len(encoded.encode()) <= 200
    assert check_relative(encoded) == (encoded,)


@given(NAMES)
def test_percent_signs_are_of_the_encoding_only(name):
    encoded = encode_segment(name)
    assert encoded == "%" or re.fullmatch(r"(?:[^%]|%[0-9A-F]{2})+", encoded)
    assert (encoded == "%") == (name == "")


@given(NAMES)
def test_no_directory_is_called_like_the_formats_own(name):
    key = fold_key(encode_segment(name))
    assert key not in {"folder.json", "archive.json", "manifest.json", "manifest-sha256.txt"}
    assert not key.startswith(".portarchive")
    assert not key.endswith(".eml") or key.startswith("%")


@given(NAMES)
def test_decoding_inverts_or_says_that_it_cannot(name):
    encoded = encode_segment(name)
    decoded = decode_segment(encoded)
    if decoded is None:
        assert re.search("~[0-9a-f]{8}$", encoded)
    else:
        assert encode_segment(decoded) == encoded
        if not re.search("[\ud800-\udfff]", name):
            assert decoded == unicodedata.normalize("NFC", name)


@given(NAMES | st.text(alphabet="%0123456789ABCDEFabcdefxé~.", max_size=20))
def test_decoding_anything_at_all(dirname):
    decoded = decode_segment(dirname)
    assert decoded is None or encode_segment(decoded) == dirname


@given(NAMES)
def test_the_twin_key_is_stable_and_blind_to_normal_forms(name):
    key = fold_key(name)
    assert fold_key(key) == key
    assert fold_key(unicodedata.normalize("NFD", name)) == key


# --- siblings -----------------------------------------------------------------------------------


@given(SIBLINGS)
@example({"a", "A", "a~ca978112", "a~ca97811", "\u00e5", "a\u030a", "\u212b"})
@example({"con", "CON", "CoN", "con.x", "%43ON"})
@example({"", "%", "%25", "\u200b", "\u200d"})
def test_siblings_never_collide(names):
    result = assign(names)
    assert result.keys() == names
    entries = [*result.values(), "folder.json", message_filename(1, 1), placeholder_filename(1, 1)]
    entries += {item_filename(name) for name in names}
    assert_apart([*result.values(), "folder.json", message_filename(1, 1)])
    for key in FILE_SYSTEMS:
        files = {key(entry) for entry in entries[len(result) :]}
        assert not files & {key(dirname) for dirname in result.values()}
    for dirname in result.values():
        assert_fits_every_disk(dirname)


@given(st.lists(NAMES, max_size=10), st.randoms())
def test_the_order_of_the_listing_does_not_matter(names, random):
    shuffled = random.sample(names, len(names))
    assert assign(shuffled) == assign(names)


@given(SIBLINGS)
def test_the_least_twin_keeps_the_plain_name_and_the_others_are_tagged(names):
    result = assign(names)
    for name, dirname in result.items():
        plain = encode_segment(name)
        assert dirname == plain or re.fullmatch(re.escape(plain) + "~[0-9a-f]{8}", dirname)
        lesser = [
            other
            for other in names
            if fold_key(other) == fold_key(name)
            and other.encode("utf-8", "surrogatepass") < name.encode("utf-8", "surrogatepass")
        ]
        if lesser:
            assert dirname != plain


@given(SIBLINGS, SIBLINGS, SIBLINGS)
def test_what_is_published_stays_whatever_comes_and_goes(first, gone, later):
    published = assign(first)
    alive = first - gone
    result = assign(alive | later, published)
    assert all(result[name] == published[name] for name in alive)
    assert_apart(list({**published, **result}.values()))


@given(SIBLINGS)
def test_a_name_is_told_by_its_directory_and_its_folder_file_together(names):
    recorded = {
        dirname: (name if needs_original_name(name, dirname) else None)
        for name, dirname in assign(names).items()
    }
    assert {original if original is not None else d for d, original in recorded.items()} == names


@given(SIBLINGS, SIBLINGS)
def test_occupied_entries_are_left_alone(names, others):
    occupied = [encode_segment(other) for other in others]
    result = assign(names, occupied=occupied)
    for key in FILE_SYSTEMS:
        assert not {key(entry) for entry in occupied} & {key(d) for d in result.values()}


# --- trees --------------------------------------------------------------------------------------

PATHS = st.sets(st.lists(NAMES, min_size=1, max_size=4).map(tuple), max_size=8)


def directories(paths):
    """Every path and every parent of one, to its directory: siblings assigned level by level."""
    result = {(): "mail"}
    for depth in range(4):
        for parent in [path for path in result if len(path) == depth]:
            children = {
                path[depth] for path in paths if len(path) > depth and path[:depth] == parent
            }
            for name, dirname in assign(children).items():
                result[(*parent, name)] = f"{result[parent]}/{dirname}"
    return result


@settings(max_examples=60)
@given(PATHS)
def test_a_tree_of_mailboxes_is_a_tree_of_directories(paths):
    result = directories(paths)
    assert paths <= result.keys()
    assert_apart(list(result.values()))
    for path, directory in result.items():
        assert len(check_relative(directory)) == 1 + len(path)
        assert resolve_item(directory, "1-0000000001.eml") == f"{directory}/1-0000000001.eml"


# --- files --------------------------------------------------------------------------------------


@given(NAMES)
def test_a_file_of_any_id_fits_every_disk(item_id):
    name = item_filename(item_id)
    assert_fits_every_disk(name)
    assert name.endswith(".eml")
    assert not name.startswith("%")
    assert check_relative(name) == (name,)
    assert resolve_item("mail/x", name) == f"mail/x/{name}"


@given(st.sets(NAMES, max_size=12))
def test_files_of_different_ids_are_apart(ids):
    assert_apart([item_filename(item_id) for item_id in ids])


@given(st.sets(st.integers(1, 2**32 - 1)), st.none() | st.integers(1, 2**32 - 1))
def test_message_files_sort_as_their_uids_do(uids, uidvalidity):
    names = [message_filename(uidvalidity, uid) for uid in sorted(uids)]
    assert names == sorted(names)
    assert_apart(names)


# --- reading ------------------------------------------------------------------------------------

HOSTILE_PATHS = st.lists(
    st.sampled_from(["..", ".", "", "mail", "INBOX", "x.eml", "\\", "C:", "\0", "\ud800", "a"]),
    max_size=7,
).map("/".join)


@given(HOSTILE_PATHS | st.text())
def test_a_checked_path_stays_inside(path):
    try:
        parts = check_relative(path)
    except UnsafePath:
        return
    assert "/".join(parts) == path
    assert not {"", ".", ".."} & set(parts)
    assert not re.search(r"[\\\0]", path)
    path.encode()


@given(st.lists(st.sampled_from(["a", "b"]), max_size=3), HOSTILE_PATHS | st.text())
def test_a_resolved_item_stays_under_mail(folder, filename):
    try:
        path = resolve_item("/".join(["mail", *folder]), filename)
    except UnsafePath:
        return
    parts = check_relative(path)
    assert parts[0] == "mail"
    assert len(parts) >= 2
