"""Documents of strangers: what ``json`` reads in one piece is read window by window the same."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portarchive.archive import contents_json
from portarchive.archive.contents_json import Document, Entry
from portarchive.archive.tree import Limits
from portarchive.errors import Damaged

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
LISTS = ("items", "other")
OBJECTS = st.fixed_dictionaries(
    {}, optional={"items": st.lists(VALUES, max_size=5) | VALUES, "other": VALUES, "name": TEXT}
)


@pytest.fixture(params=[1, 3, 16, 1 << 20])
def window(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(contents_json, "_WINDOW", request.param)
    return request.param  # type: ignore[no-any-return]


def document(text: str | bytes, **limits: int) -> Document:
    octets = text.encode() if isinstance(text, str) else text
    return Document(io.BytesIO(octets), "x.json", Limits(**limits))


def put_together(text: str) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for part in document(text).parts(LISTS):
        if isinstance(part, Entry):
            out[part.list_name].append(part.value)
        elif part.value is None and part.name in LISTS:
            out[part.name] = []
        else:
            out[part.name] = part.value
    return out


@pytest.mark.parametrize("size", [1, 2, 7, 40, 1 << 20])
@given(value=OBJECTS, ascii_only=st.booleans(), indent=st.sampled_from([None, 1]))
def test_the_parts_are_the_whole(
    size: int, value: dict[str, Any], ascii_only: bool, indent: int | None
) -> None:
    if any(name in value and value[name] is None for name in LISTS):
        return  # null where a list may stand looks like its beginning
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(contents_json, "_WINDOW", size)
        assert put_together(text) == value
        assert document(text).whole() == value


@pytest.mark.parametrize("size", [1, 5, 1 << 20])
@given(value=VALUES, at=st.integers(0, 80))
def test_a_document_that_ends_early_is_damaged(size: int, value: Any, at: int) -> None:
    text = json.dumps({"items": [value, value], "x": value})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(contents_json, "_WINDOW", size)
        with pytest.raises(Damaged):
            list(document(text[: min(at, len(text) - 1)]).parts(LISTS))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"a":1,"a":2}', "occurs twice"),
        ('{"a":{"b":1,"b":2}}', "occurs twice"),
        ('{"items":[{"b":1,"b":2}]}', "occurs twice"),
        ('{"items":[],"items":[]}', "occurs twice"),
        ('{"a":NaN}', "not JSON"),
        ('{"a":Infinity}', "not JSON"),
        (b'{"a":"\xff"}', "not UTF-8"),
        (b'\xef\xbb\xbf{"a":1}', "must be an object"),
        ('{"a":"\\ud800"}', "lone surrogate"),
        ('{"items":[{"uid":"\\uDFFF"}]}', "lone surrogate"),
        ('{"\\ud800":1}', "lone surrogate"),
        ('{"a":1}x', "follows its end"),
        ('{"a":1 "b":2}', "is expected"),
        ('{"items":[1 2]}', "is expected"),
        ("[1]", "must be an object"),
        ("", "must be an object"),
        ('{"a":' + "9" * 5000 + "}", "limit"),
        ('{"a":' + "[" * 70 + "]" * 70 + "}", "nested over 64"),
        ('{"items":[{"a":' + "[" * 70 + "]" * 70 + "}]}", "nested over 64"),
        ('{"items":[' + "[" * 200_000 + "]" * 200_000 + "]}", "nested over 64"),
        ('{"a":"' + "x" * 5000 + '"}', "over 4,000 characters"),
        ('{"items":["' + "x" * 5000 + '"]}', "over 4,000 characters"),
        ('{"' + "x" * 5000 + '":1}', "over 4,000 characters"),
        ('{"a":[' + "1," * 500_000 + "1]}", "over 900,000 octets"),
        ('{"items":[1],' + " " * 2_000_000 + '"a":1}', "over 2,000,000 octets"),
    ],
)
def test_what_is_refused(window: int, text: str | bytes, why: str) -> None:
    if len(text) > 10_000 and window < 1000:
        return  # octet by octet that takes minutes
    limited = document(text, string=4000, value=900_000, document=2_000_000)
    with pytest.raises(Damaged, match=why) as caught:
        list(limited.parts(LISTS))
    assert caught.value.code == "not-json"
    assert "\n" not in caught.value.text


def test_a_pair_of_escaped_surrogates_is_a_character(window: int) -> None:
    assert document('{"a":"\\ud83c\\udfb9"}').whole() == {"a": "🎹"}


def test_what_a_member_says_is_in_no_error() -> None:
    with pytest.raises(Damaged) as caught:
        document('{"a":"secret words" "b"}').whole()
    assert "secret" not in caught.value.text
