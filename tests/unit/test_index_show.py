"""A message taken apart to be shown, and messages that a person may mean."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporting import account, export, mail
from portarchive.archive.contents import open_contents
from portarchive.errors import SettingsError
from portarchive.index.search_message import find, one_of, take_apart


@pytest.mark.parametrize(
    ("charset", "text"),
    [("koi8-r", "Отчёт за март"), ("iso-8859-2", "Žluťoučký kůň"), ("utf-8", "Žluťoučký")],
)
def test_bare_octets_are_in_the_charset_of_the_message(charset: str, text: str) -> None:
    octets = (
        b"Subject: " + text.encode(charset) + b"\r\nFrom: " + text.encode(charset) + b" <a@b.c>\r\n"
        b"Content-Type: text/plain; charset=" + charset.encode() + b"\r\n\r\nx\r\n"
    )
    shown = take_apart(octets)
    assert ("Subject", text) in shown.fields
    assert ("subject", text) in shown.every
    assert ("From", f"{text} <a@b.c>") in shown.fields


def test_of_several_messages_the_files_are_named(tmp_path: Path) -> None:
    source = account("ids", INBOX=1)
    export(source, tmp_path / "a")
    source.expunge("INBOX", 1)
    source.reset_uidvalidity("INBOX")
    source.add(mail("another"), "INBOX")
    export(source, tmp_path / "a")
    with open_contents(tmp_path / "a") as contents:
        found = find(contents, tmp_path / "a", "INBOX:1")
        assert len(found) == 2
        with pytest.raises(SettingsError) as raised:
            one_of(found, "INBOX:1")
        for item in found:
            assert item.member in (raised.value.hint or "")
            assert find(contents, tmp_path / "a", item.member) == [item]
