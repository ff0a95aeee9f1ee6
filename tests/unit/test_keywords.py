"""Keywords: the rules KW-1 … KW-5, KW-7, KW-10 and KW-13, as far as they are pure."""

import json

import pytest

from portarchive.keywords import (
    KEYWORDS,
    ROLES,
    WIRE_ATTRIBUTES,
    OnImport,
    SetBy,
    colour,
    fold,
    parse_flag_list,
    roles_of,
    special_use,
    to_archive,
    to_imap,
    to_jmap,
)

RFC9979 = [
    "$MailFlagBit0",
    "$MailFlagBit1",
    "$MailFlagBit2",
    "$hasattachment",
    "$hasnoattachment",
    "$memo",
    "$hasmemo",
    "$canunsubscribe",
    "$unsubscribed",
    "$autosent",
    "$followed",
    "$imported",
    "$istrusted",
    "$maskedemail",
    "$muted",
    "$new",
    "$notify",
]
OLDER = [
    "$MDNSent",
    "$Forwarded",
    "$SubmitPending",
    "$Submitted",
    "$Junk",
    "$NotJunk",
    "$Phishing",
    "$Important",
]
MAPPED = {
    "\\Seen": "$seen",
    "\\Answered": "$answered",
    "\\Flagged": "$flagged",
    "\\Draft": "$draft",
}


# --- KW-1: everything is written, in the source's spelling ----------------------------------------


@pytest.mark.parametrize(
    ("raw", "flags"),
    [
        (b"", ()),
        (b"   ", ()),
        (b"\\Seen", ("$seen",)),
        (b"\\SEEN \\answered \\FlAgGeD \\draft", ("$seen", "$answered", "$flagged", "$draft")),
        (b"$Forwarded \\Seen NonJunk", ("$Forwarded", "$seen", "NonJunk")),
        (b"\\DELETED \\Seen", ("\\Deleted", "$seen")),
        (b"\\Recent \\Seen \\RECENT", ("$seen",)),
        (b"\\Foo \\XFoo", ("\\Foo", "\\XFoo")),
        (b"$label1 $HasAttachment Junk", ("$label1", "$HasAttachment", "Junk")),
        (b"[Gmail]/x [Imap]", ("[Gmail]/x", "[Imap]")),
        (b"a  b\tc\r\nd", ("a", "b", "c", "d")),
        ("café".encode(), ("café",)),
        (b"caf\xe9", ("café",)),
        (b"\xff\xfe", ("ÿþ",)),
        (b"\xed\xa0\x80", ("í\xa0\x80",)),
        (b"\xef\xbf\xbe", ("ï¿¾",)),
        (b"nul\x00 x", ("nul\0", "x")),
        (b'"quoted" {3} (', ('"quoted"', "{3}", "(")),
        (b"x" * 5000, ("x" * 5000,)),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_kw1_what_the_server_lists_is_what_is_written(raw, flags):
    assert parse_flag_list(raw) == flags
    assert json.loads(json.dumps(flags, ensure_ascii=False).encode()) == list(flags)


def test_kw1_surrogates_become_what_json_can_carry():
    assert to_archive(["caf\udce9", "x\ud800", "\ufffe"]) == ("café", "x\ufffd", "\ufffd")


def test_permanent_flags_without_the_star():
    assert parse_flag_list(b"\\Answered \\Deleted $Junk \\*") == ("$answered", "\\Deleted", "$Junk")


def test_repeated_lists_are_the_same_object():
    assert parse_flag_list(b"\\Seen $Kw") is parse_flag_list(b"\\Seen " + b"$Kw")


def test_lists_of_a_hostile_length_are_not_kept():
    raw = b"\\Seen " + b"k" * 5000
    assert parse_flag_list(raw) is not parse_flag_list(raw)


# --- KW-2: case --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flags", "written"),
    [
        (["$Junk", "$junk", "$JUNK"], ("$Junk",)),
        (["$junk", "x", "$Junk", "X"], ("$junk", "x")),
        (["\\Seen", "$seen", "$SEEN"], ("$seen",)),
        (["$SEEN", "\\Seen"], ("$SEEN",)),
        (["\\deleted", "\\DELETED"], ("\\Deleted",)),
        (["\\foo", "\\FOO"], ("\\foo",)),
        # outside of ASCII nothing is folded: the Kelvin sign is no k
        (["mar\u212aed", "marked"], ("mar\u212aed", "marked")),
        (["É", "é"], ("É", "é")),
    ],
)
def test_kw2_the_first_spelling_is_written(flags, written):
    assert to_archive(flags) == written


# --- KW-3: there and back ------------------------------------------------------------------------


def test_kw3_there_are_29_of_them():
    assignable = {name for name, keyword in KEYWORDS.items() if keyword.sharing != "RESERVED"}
    assert assignable == {fold(name) for name in [*RFC9979, *OLDER, *MAPPED.values()]}
    assert len(assignable) == 29


@pytest.mark.parametrize("flag", [*MAPPED, *OLDER, *RFC9979])
def test_kw3_imap_archive_jmap_archive_imap(flag):
    (archived,) = to_archive([flag])
    keyword = to_jmap(archived)
    assert keyword == keyword.lower()
    (again,) = to_archive([keyword])
    assert fold(again) == fold(archived)
    assert fold(to_imap(again)) == fold(flag)


@pytest.mark.parametrize(("flag", "archived"), MAPPED.items())
def test_kw3_the_four_in_each_place(flag, archived):
    assert to_archive([flag]) == (archived,)
    assert to_imap(archived) == to_imap(archived.upper()) == to_imap(flag.lower()) == flag
    assert to_jmap(archived) == to_jmap(flag) == archived


# --- KW-4: \Recent and \Deleted ------------------------------------------------------------------


def test_kw4_recent_is_never_stored_nor_sent():
    assert to_archive(["\\Recent", "\\recent"]) == ()
    assert to_imap("\\Recent") is None
    assert to_jmap("\\Recent") is None
    assert to_imap("$recent") is None
    assert to_jmap("$Recent") is None


def test_kw4_deleted_has_one_spelling_and_no_place_in_jmap():
    assert to_archive(["\\deleted"]) == ("\\Deleted",)
    assert to_imap("\\DELETED") == "\\Deleted"
    assert to_jmap("\\Deleted") is None


# --- KW-5 and the grammar of the command line -----------------------------------------------------


@pytest.mark.parametrize(
    "octet", sorted(set(range(0x100)) - set(range(0x21, 0x7F)) | set(b'(){]%*"\\'))
)
def test_kw5_no_other_character_reaches_the_wire(octet):
    for flag in (
        chr(octet),
        f"a{chr(octet)}",
        f"{chr(octet)}b",
        f"a{chr(octet)}b",
        f"$a{chr(octet)}\n",
    ):
        assert to_imap(flag) is None
        assert to_jmap(flag) is None
        assert "".join(to_archive([flag])) in {flag, ""}


@pytest.mark.parametrize("octet", sorted(set(range(0x21, 0x7F)) - set(b'(){]%*"\\')))
def test_kw5_every_legal_character_does(octet):
    flag = f"K{chr(octet)}"
    assert to_imap(flag) == flag
    assert to_jmap(flag) == flag.lower()


@pytest.mark.parametrize(
    "flag",
    [
        "",
        "\\Bogus",
        "\\",
        "\\*",
        "\\Seen\\Seen",
        "\\Seen ",
        "$seen\r\nA1 DELETE INBOX",
        "a\n",
        "x) {3+}",
        "[Gmail]",
        "naïve",
        "\ud800",
    ],
)
def test_kw5_what_is_no_flag_is_sent_nowhere(flag):
    assert to_imap(flag) is None
    assert to_jmap(flag) is None


def test_kw5_length_is_a_limit_of_jmap_only():
    assert to_jmap("k" * 255) == "k" * 255
    assert to_jmap("k" * 256) is None
    assert to_imap("k" * 256) == "k" * 256


# --- KW-7: registered keywords --------------------------------------------------------------------


def test_kw7_import_policies():
    dropped = {k.name: k.on_import for k in KEYWORDS.values() if k.on_import is not OnImport.KEEP}
    assert dropped == {
        "$istrusted": OnImport.DROP_ELSEWHERE,
        "$new": OnImport.DROP,
        "$notify": OnImport.DROP,
        "$recent": OnImport.DROP,
    }


def test_kw7_server_owned_keywords():
    owned = {keyword.name for keyword in KEYWORDS.values() if keyword.set_by is SetBy.SERVER}
    assert owned == {
        "$autosent",
        "$canunsubscribe",
        "$imported",
        "$istrusted",
        "$maskedemail",
        "$new",
        "$notify",
        "$recent",
    }


def test_the_registry_as_registered():
    assert list(KEYWORDS) == [fold(keyword.name) for keyword in KEYWORDS.values()]
    for name in RFC9979:
        assert KEYWORDS[fold(name)].name == name
        assert KEYWORDS[fold(name)].reference.startswith("RFC 9979 §")
    shared = {k.name for k in KEYWORDS.values() if k.sharing == "SHARED"}
    assert shared == {*RFC9979, "$MDNSent", "$SubmitPending", "$Submitted", "$Phishing"}
    assert KEYWORDS["$important"].sharing == "PRIVATE"
    jmap_only = {k.name for k in KEYWORDS.values() if k.scope == "JMAP-only"}
    assert jmap_only == {*MAPPED.values(), "$recent"}


# --- KW-10: roles ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attributes", "roles"),
    [
        (["\\HasNoChildren", "\\Sent"], ("sent",)),
        (["\\SENT", "sent", "\\sent"], ("sent",)),
        (["\\Junk", "\\Archive"], ("junk", "archive")),
        (["Snoozed"], ("snoozed",)),
        (["\\Scheduled", "\\Memos"], ("scheduled", "memos")),
        (["\\Important", "\\All", "\\Flagged"], ("important", "all", "flagged")),
        (["inbox"], ("inbox",)),
        (["\\Drafts", "\\Trash"], ("drafts", "trash")),
        (
            [
                *("\\HasChildren", "\\NonExistent", "\\Remote", "\\Subscribed", "\\Marked"),
                *("\\Unmarked", "\\Noinferiors", "\\Noselect", "", "\\", "\\\\Sent", "x\ud800"),
            ],
            (),
        ),
    ],
)
def test_kw10_attributes_to_roles(attributes, roles):
    assert roles_of(attributes) == roles


@pytest.mark.parametrize(
    ("roles", "attribute"),
    [
        ([], None),
        (["inbox"], None),
        (["inbox", "sent"], None),
        (["sent"], "\\Sent"),
        (["archive", "sent"], "\\Sent"),
        (["all", "archive"], "\\Archive"),
        (["snoozed"], "\\Snoozed"),
        (["memos", "scheduled"], "\\Scheduled"),
        (["important"], "\\Important"),
        (["x-vendor"], None),
        (["x-vendor", "trash"], "\\Trash"),
    ],
)
def test_kw10_special_use_of_a_folder(roles, attribute):
    assert special_use(roles) == special_use(reversed(roles)) == attribute


def test_kw10_both_spellings_lead_to_the_role():
    for role, attribute in ROLES.items():
        assert roles_of([role]) == (role,)
        if attribute is None:
            assert role == "inbox"
            continue
        assert special_use([role]) == attribute
        assert roles_of([attribute]) == roles_of([WIRE_ATTRIBUTES[role]]) == (role,)
    assert [
        WIRE_ATTRIBUTES[role] for role in ("sent", "important", "snoozed", "scheduled", "memos")
    ] == [*("\\Sent", "\\Important", "Snoozed", "Scheduled", "Memos")]


# --- KW-13: colours -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bits", "name"),
    [
        ("000", "red"),
        ("100", "orange"),
        ("010", "yellow"),
        ("110", "green"),
        ("001", "blue"),
        ("101", "purple"),
        ("011", "grey"),
        ("111", None),
    ],
)
def test_kw13_colours(bits, name):
    keywords = [f"$MailFlagBit{place}" for place, bit in enumerate(bits) if bit == "1"]
    assert colour(["$flagged", *keywords]) == name
    assert colour(["x", *(keyword.upper() for keyword in keywords), "\\Flagged"]) == name
    assert colour(keywords) is None
