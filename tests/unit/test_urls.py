"""SOURCE and ARCHIVE: what is read, and one clear line for what is not."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portarchive.access.urls import (
    LocalSource,
    SourceUrl,
    parse_archive,
    parse_local,
    parse_source,
    parse_target,
)
from portarchive.errors import ExitCode, SettingsError


@pytest.mark.parametrize(
    ("text", "host", "port", "user", "tls"),
    [
        ("imaps://jane@imap.example.org", "imap.example.org", 993, "jane", "implicit"),
        (
            "imaps://jane@example.org@imap.example.org",
            "imap.example.org",
            993,
            "jane@example.org",
            "implicit",
        ),
        ("imap://jane@imap.example.org", "imap.example.org", 143, "jane", "starttls"),
        ("IMAPS://jane@IMAP.Example.ORG:9930/", "imap.example.org", 9930, "jane", "implicit"),
        ("imaps://jane%40example.org@h.example", "h.example", 993, "jane@example.org", "implicit"),
        ("imaps://a%3Ab%2Fc%25@h.example", "h.example", 993, "a:b/c%", "implicit"),
        ("imaps://DOM\\jane@h.example", "h.example", 993, "DOM\\jane", "implicit"),
        ("imaps://jürgen@h.example", "h.example", 993, "jürgen", "implicit"),
        ("imaps://j%C3%BCrgen@h.example", "h.example", 993, "jürgen", "implicit"),
        ("imaps://jane@[2001:DB8::1]:994", "2001:db8::1", 994, "jane", "implicit"),
        ("imaps://jane@[fe80::1%25eth0]", "fe80::1%eth0", 993, "jane", "implicit"),
        ("imap://jane@127.0.0.1:1143?tls=none", "127.0.0.1", 1143, "jane", "none"),
        ("imap://jane@[::1]?tls=none", "::1", 143, "jane", "none"),
        ("imap://jane@localhost?tls=none", "localhost", 143, "jane", "none"),
        ("imap://jane@h.example?tls=starttls", "h.example", 143, "jane", "starttls"),
        ("imaps://jane@bücher.example", "xn--bcher-kva.example", 993, "jane", "implicit"),
        ("imaps://jane@h.example.", "h.example", 993, "jane", "implicit"),
    ],
)
def test_what_is_read(text, host, port, user, tls):
    url = parse_source(text)
    assert (url.host, url.port, url.user, url.tls) == (host, port, user, tls)


@pytest.mark.parametrize(
    "text",
    [
        "imaps://jane:s3cret@imap.example.org",
        "imaps://jane@example.org:s3cret@imap.example.org",
        "imaps://jane:s3c/ret?x#y@imap.example.org",
        "imaps://jane:s3c@ret@imap.example.org:993",
        "imaps://:s3cret@imap.example.org",
        "imap://jane:s3cret@",
    ],
)
def test_a_password_is_refused_and_not_repeated(text):
    with pytest.raises(SettingsError) as caught:
        parse_source(text)
    assert caught.value.code == "password-in-url"
    assert "s3c" not in caught.value.text + str(caught.value.hint)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "jane@imap.example.org",
        "jane:s3cret@imap.example.org",
        "imaps://",
        "imaps://imap.example.org",
        "imaps://s3cret:993",
        "imaps://@imap.example.org",
        "imaps://jane@",
        "imaps://jane@:993",
        "imaps://jane@imap.example.org:0",
        "imaps://jane@imap.example.org:65536",
        "imaps://jane@imap.example.org:imap",
        "imaps://jane@imap.example.org:",
        "imaps://jane@imap.example.org/INBOX",
        "imaps://jane@imap.example.org#x",
        "imaps://jane@imap.example.org?tls=maybe",
        "imaps://jane@imap.example.org?folder=INBOX",
        "imaps://jane@imap.example.org?tls=none",
        "imaps://jane@2001:db8::1",
        "imaps://jane@[2001:db8::1",
        "imaps://jane@[nonsense]",
        "imaps://jane@[::1]x",
        "imaps://ja%ne@imap.example.org",
        "imaps://ja%0d%0ane@imap.example.org",
        "imaps://ja%00ne@imap.example.org",
        "imaps://ja%ffne@imap.example.org",
        "imaps://ja/ne@imap.example.org",
        "imaps://jane@imap..example.org",
        "imaps://jane@-imap.example.org",
        "imaps://jane@im ap.example.org",
        "imaps://jane@faß.example",
        "imaps://jane@" + "a" * 64 + ".example",
        "https://jane@imap.example.org",
        "pop3s://jane@imap.example.org",
    ],
)
def test_what_is_not_read_is_one_line_with_the_next_step(text):
    with pytest.raises(SettingsError) as caught:
        parse_source(text)
    error = caught.value
    assert error.exit_code is ExitCode.USAGE
    assert error.text
    assert "\n" not in error.text
    assert error.hint
    assert "s3cret" not in error.text + error.hint


@pytest.mark.parametrize(
    ("text", "scheme", "path", "options"),
    [
        ("maildir:/home/jane/Maildir", "maildir", "/home/jane/Maildir", {}),
        ("maildir:Maildir", "maildir", "Maildir", {}),
        ("MAILDIR:~/Maildir", "maildir", "~/Maildir", {}),
        ("mbox:///home/jane/a b%20c?.mbox", "mbox", "/home/jane/a b%20c?.mbox", {}),
        ("mbox:/x?format=mboxo", "mbox", "/x", {"format": "mboxo"}),
        ("mbox:/x?format=mboxo&roles=names", "mbox", "/x", {"format": "mboxo", "roles": "names"}),
        ("mbox:/what?ever", "mbox", "/what?ever", {}),
        ("mbox:/what?ever=x/y", "mbox", "/what?ever=x/y", {}),
        ("maildir:/var/mail/jane@example.org", "maildir", "/var/mail/jane@example.org", {}),
    ],
)
def test_files_on_this_machine(text, scheme, path, options):
    assert parse_local(text) == LocalSource(scheme=scheme, path=path, options=options)


@pytest.mark.parametrize("text", ["maildir:", "mbox:?format=mboxo", "mbox://host/x", "mbox:a\0b"])
def test_no_path_is_one_line_with_the_next_step(text):
    with pytest.raises(SettingsError) as caught:
        parse_local(text)
    assert caught.value.code == "bad-url"
    assert caught.value.hint


def test_an_option_that_is_none_is_no_part_of_the_path(tmp_path):
    for text in ("mbox:{}?foo=1", "maildir:{}?format=mboxo&foo=1", "mbox:{}?format=MBOXO"):
        with pytest.raises(SettingsError) as caught:
            parse_local(text.format(tmp_path))
        assert caught.value.code == "bad-url"
        assert "?roles=names" in caught.value.hint
    (tmp_path / "what?ever=x").touch()
    assert parse_local(f"mbox:{tmp_path}/what?ever=x").path == f"{tmp_path}/what?ever=x"


def test_what_is_no_local_source():
    for text in ("imaps://jane@h", "jmap://jane@h", "", "maildirs:/x", "/home/jane"):
        assert parse_local(text) is None


@pytest.mark.parametrize(
    ("text", "port", "tls", "options"),
    [
        ("jmaps://jane@h.example", 443, "implicit", {}),
        ("jmaps://jane@h.example:8443", 8443, "implicit", {}),
        ("JMAP://jane@localhost:8080", 8080, "none", {}),
        ("jmap://jane@127.0.0.1", 80, "none", {}),
        ("jmaps://jane@h.example?account=Team%20A", 443, "implicit", {"account": "Team A"}),
        (
            "jmaps://jane@h.example?allow-host=b.example&account=%C3%A4&allow-host=B\u00fccher.example",
            443,
            "implicit",
            {"account": "ä", "allow-host": "b.example,xn--bcher-kva.example"},
        ),
    ],
)
def test_jmap_accounts(text, port, tls, options):
    url = parse_source(text)
    assert (url.host.rpartition("@")[0], url.port, url.tls) == ("", port, tls)
    assert url.options == options
    assert "?" not in url.service


@pytest.mark.parametrize(
    "query",
    (
        "tls=none",
        "account",
        "account=",
        "account=a&account=b",
        "allow-host=",
        "x=y",
        "account=%zz",
        "account=%00",
        "allow-host=a/b",
        "account=%0D%0A",
    ),
)
def test_parameters_that_jmap_does_not_have(query):
    with pytest.raises(SettingsError) as caught:
        parse_source(f"jmaps://jane@h.example?{query}")
    assert caught.value.code == "bad-url"


def test_jmap_in_clear_text_only_on_this_machine_or_when_insisted():
    with pytest.raises(SettingsError) as caught:
        parse_source("jmap://jane@h.example")
    assert caught.value.code == "cleartext-refused"
    assert "jmaps://" in caught.value.hint
    assert parse_source("jmap://jane@h.example", allow_cleartext=True).tls == "none"
    for scheme, tls in (("jmaps", "none"), ("jmap", "implicit"), ("jmap", "starttls")):
        with pytest.raises(SettingsError):
            parse_source(f"{scheme}://jane@localhost", tls=tls)


def test_cleartext_only_on_this_machine_or_when_insisted():
    text = "imap://jane@imap.example.org?tls=none"
    with pytest.raises(SettingsError) as caught:
        parse_source(text)
    assert caught.value.code == "cleartext-refused"
    assert parse_source(text, allow_cleartext=True).tls == "none"
    with pytest.raises(SettingsError):
        parse_source("imap://jane@localhost.example.org", tls="none")
    assert parse_source("imap://jane@127.1.2.3", tls="none").tls == "none"


def test_the_option_and_the_url_have_to_agree():
    assert parse_source("imap://j@localhost?tls=none", tls="none").tls == "none"
    for text, tls in (
        ("imap://j@localhost?tls=none", "starttls"),
        ("imaps://j@localhost", "none"),
        ("imaps://j@localhost", "starttls"),
        ("imap://j@localhost", "implicit"),
        ("imap://j@localhost", "whatever"),
    ):
        with pytest.raises(SettingsError):
            parse_source(text, tls=tls)


def test_the_service_names_no_user():
    assert parse_source("imaps://jane@[::1]:9").service == "imaps://[::1]:9"
    assert parse_source("imap://jane@h.example").service == "imap://h.example:143"


@given(st.text(st.characters(codec="utf-8")))
def test_nothing_but_a_settings_error_ever(text):
    for candidate in (text, f"imaps://{text}", f"imaps://jane@{text}", f"imap://{text}@localhost"):
        try:
            url = parse_source(candidate)
        except SettingsError:
            continue
        assert isinstance(url, SourceUrl)
        assert url.host.isascii()
        assert not set(url.host) & set(" /\\?#@\r\n\0")
        assert not set(url.user) & set("\r\n\0")


@pytest.mark.parametrize(
    "text", ["m.pdpa", "m.ZIP", "a/m.tar", "m.tar.gz", "m.tar.zst", "m.tgz", "m.zip/"]
)
def test_a_container_is_not_written_but_read(text):
    with pytest.raises(SettingsError) as caught:
        parse_archive(text, writing=True)
    assert caught.value.hint
    assert parse_archive(text, writing=False).name == text.rstrip("/").rpartition("/")[2]


def test_an_archive_is_no_url():
    for text in ("imaps://jane:s3cret@h", "", "a\0b"):
        with pytest.raises(SettingsError) as caught:
            parse_archive(text, writing=True)
        assert "s3cret" not in caught.value.text
    assert parse_archive("mail.archive", writing=True).name == "mail.archive"


# --- the other side


def test_a_target_is_written_as_a_source_is():
    for text in ("imaps://jane@example.org@imap.example.org:9930", "imap://j@[::1]?tls=none"):
        assert parse_target(text) == parse_source(text)
    assert parse_target("imap://j@h.example", tls="none", allow_cleartext=True).tls == "none"


@pytest.mark.parametrize("prefix", ["", "target-"])
@pytest.mark.parametrize(
    ("text", "tls"),
    [
        ("imaps://jane:s3cret@h.example", None),
        ("imaps://h.example", None),
        ("jane@h.example", None),
        ("x://jane@h.example", None),
        ("imaps://jane@h.example/INBOX", None),
        ("imaps://ja/ne@h.example", None),
        ("imaps://ja%ne@h.example", None),
        ("imaps://jane@h.example?tls=maybe", None),
        ("imaps://jane@h.example?tls=implicit", "none"),
        ("imap://jane@h.example?tls=none", None),
        ("imap://jane@h.example", "never"),
    ],
)
def test_errors_of_a_target_speak_of_it_and_of_its_options(text, tls, prefix):
    with pytest.raises(SettingsError) as caught:
        parse_target(text, tls=tls, prefix=prefix)
    said = f"{caught.value.text} {caught.value.hint}"
    assert "SOURCE" not in said
    assert "--folder" not in said
    assert "s3cret" not in said
    for option in ("tls", "password-command", "allow-cleartext"):
        assert (f"--{option}" in said) <= (prefix == "")
        assert (f"--target-{option}" in said) <= (prefix == "target-")
    assert re.search(r"TARGET|--(target-)?(tls|allow-cleartext)|unknown scheme", said)


def test_layout_is_for_writing_only():
    path = "maildir:/x?layout=maildir++&roles=names"
    with pytest.raises(SettingsError):
        parse_local(path)
    told = parse_local(path, side="target")
    assert (told.path, told.options) == ("/x", {"layout": "maildir++", "roles": "names"})


def test_the_order_is_told_by_what_is_done():
    for writing, word in ((True, "export"), (False, "import")):
        with pytest.raises(SettingsError) as caught:
            parse_archive("imaps://jane@h.example", writing=writing)
        assert f"portarchive {word} " in caught.value.hint
