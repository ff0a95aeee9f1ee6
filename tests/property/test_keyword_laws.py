"""Laws of keywords: nothing is lost, nothing doubled, and nothing illegal reaches a wire."""

import json
import re

from hypothesis import example, given
from hypothesis import strategies as st

from portarchive.keywords import (
    KEYWORDS,
    ROLES,
    colour,
    fold,
    parse_flag_list,
    roles_of,
    special_use,
    to_archive,
    to_imap,
    to_jmap,
)

KNOWN = st.sampled_from(
    [
        *("\\Seen", "\\Answered", "\\Flagged", "\\Draft", "\\Deleted", "\\Recent", "\\*", "\\Foo"),
        *(keyword.name for keyword in KEYWORDS.values()),
        *("NonJunk", "[Gmail]", "$label1", "caf\u00e9"),
    ]
)
ANY_CASE = KNOWN.flatmap(
    lambda flag: st.lists(st.booleans(), min_size=len(flag), max_size=len(flag)).map(
        lambda up: "".join(
            char.upper() if high else char.lower() for char, high in zip(flag, up, strict=True)
        )
    )
)
FLAGS = st.lists(ANY_CASE | st.text(st.characters(codec=None), max_size=12), max_size=12)
ATOM = re.compile(r"""[^\x00-\x20\x7f-\U0010ffff(){\]%*"\\]+""")
SYSTEM = {"\\Seen", "\\Answered", "\\Flagged", "\\Draft", "\\Deleted"}


@given(FLAGS)
def test_archive_spelling_is_idempotent(flags):
    archived = to_archive(flags)
    assert to_archive(archived) == archived


@given(FLAGS)
def test_no_two_differ_in_case_only(flags):
    keys = [fold(flag) for flag in to_archive(flags)]
    assert len(set(keys)) == len(keys)
    assert "" not in keys
    assert "\\recent" not in keys


@given(FLAGS)
def test_every_flag_is_there_and_in_order(flags):
    archived = [fold(flag) for flag in to_archive(flags)]
    expected = [fold(one) for flag in flags for one in to_archive([flag])]
    assert archived == list(dict.fromkeys(expected))


@given(FLAGS)
def test_what_is_written_is_ijson(flags):
    text = json.dumps(to_archive(flags), ensure_ascii=False)
    assert json.loads(text.encode("utf-8")) == list(to_archive(flags))


@given(FLAGS)
def test_the_wire_sees_system_flags_and_atoms_only(flags):
    for flag in (*flags, *to_archive(flags)):
        sent = to_imap(flag)
        assert sent is None or sent in SYSTEM or ATOM.fullmatch(sent)
        keyword = to_jmap(flag)
        if keyword is not None:
            assert ATOM.fullmatch(keyword)
            assert keyword == keyword.lower()
            assert len(keyword) <= 255


@given(FLAGS)
def test_imap_archive_imap(flags):
    kept = [flag for flag in to_archive(flags) if to_imap(flag) is not None]
    again = to_archive([to_imap(flag) for flag in kept])
    assert [fold(flag) for flag in again] == [fold(flag) for flag in kept]


@given(FLAGS)
def test_imap_archive_jmap_archive_imap(flags):
    kept = [flag for flag in to_archive(flags) if to_jmap(flag) is not None]
    again = to_archive([to_jmap(flag) for flag in kept])
    assert [fold(flag) for flag in again] == [fold(flag) for flag in kept]
    assert [fold(to_imap(flag)) for flag in again] == [fold(to_imap(flag)) for flag in kept]


@given(st.binary(max_size=600))
@example(b"\\Seen \xff\xfe \xed\xa0\x80 \xef\xbf\xbf")
def test_any_octets_can_be_listed(raw):
    flags = parse_flag_list(raw)
    assert to_archive(flags) == flags
    json.dumps(flags, ensure_ascii=False).encode("utf-8")
    listed = [flag for flag in raw.split() if flag.lower() not in {b"\\recent", b"\\*"}]
    assert (not flags) == (not listed)


@given(FLAGS)
def test_listed_octets_are_the_flags_they_spell(flags):
    spelled = [flag for flag in to_archive(flags) if not re.search(r"\s", flag)]
    assert set(parse_flag_list(" ".join(spelled).encode("utf-8"))) >= {
        flag for flag in spelled if ATOM.fullmatch(flag)
    }


@given(FLAGS)
def test_colours_need_a_flag(flags):
    name = colour(flags)
    assert name is None or "$flagged" in {fold(flag) for flag in to_archive(flags)}
    assert colour(to_archive(flags)) == name


@given(st.lists(st.sampled_from(list(ROLES)) | st.text(max_size=10), max_size=8))
def test_roles(names):
    roles = roles_of(names)
    assert roles_of(roles) == roles
    assert len(set(roles)) == len(roles)
    assert roles_of(f"\\{role.upper()}" for role in roles) == roles
    attribute = special_use(names)
    assert attribute == special_use(roles)
    assert attribute is None or (
        attribute.startswith("\\") and set(roles_of([attribute])) <= set(roles)
    )
