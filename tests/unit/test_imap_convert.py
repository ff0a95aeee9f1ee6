"""Dates, UID sets, mailbox names, and what single providers say."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portarchive.connectors.imap import convert, login, names, quirks
from portarchive.connectors.imap.names import Listed, Prefix
from portarchive.connectors.imap.responses import parse_status
from portarchive.connectors.imap.uidset import MAX_UID, UidSet
from portarchive.errors import AuthenticationFailed, FolderUnavailable, RateLimited, TokenExpired

# --- dates --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "text", "epoch"),
    [
        (b"17-Jul-1996 02:44:25 -0700", "1996-07-17T02:44:25-07:00", 837596665),
        (b" 7-Jul-1996 02:44:25 +0200", "1996-07-07T02:44:25+02:00", 836700265),
        (b"7-Jul-1996 02:44:25 +0200", "1996-07-07T02:44:25+02:00", 836700265),
        (b"07-JUL-1996 02:44:25 +0000", "1996-07-07T02:44:25+00:00", 836707465),
        (b"01-Jan-1970 00:00:00 +0000", "1970-01-01T00:00:00+00:00", 0),
        (b"01-Jan-1970 05:30:00 +0530", "1970-01-01T05:30:00+05:30", 0),
        (b"31-Dec-2016 23:59:60 +0000", "2016-12-31T23:59:60+00:00", 1483228800),
        (b"31-Dec-9999 23:59:59 +0000", "9999-12-31T23:59:59+00:00", 253402300799),
    ],
)
def test_usable_dates(raw: bytes, text: str, epoch: int) -> None:
    assert convert.received(raw) == (text, epoch, None)


@pytest.mark.parametrize(
    "raw",
    [
        b"30-Dec-1899 00:00:00 +0000", b"31-Dec-1969 23:59:59 +0000", b"31-Feb-2020 00:00:00 +0000",
        b"01-Jan-2020 24:00:00 +0000", b"01-Jan-2020 00:60:00 +0000", b"01-Jan-2020 00:00:00 +9999",
        b"01-Foo-2020 00:00:00 +0000", b"garbage", b"01-Jan-2020 00:00:00 GMT00", b"\xff" * 26,
        b"01-Jan-2020T00:00:00 +0000",
    ],
)  # fmt: skip
def test_unusable_dates_are_kept(raw: bytes) -> None:
    assert convert.received(raw) == (None, None, convert.verbatim(raw))


@given(
    st.datetimes(min_value=dt.datetime(1971, 1, 1), max_value=dt.datetime(9998, 1, 1)),  # noqa: DTZ001
    st.integers(-23 * 60, 23 * 60),
)
def test_dates_agree_with_datetime(when: dt.datetime, minutes: int) -> None:
    aware = when.replace(microsecond=0, tzinfo=dt.timezone(dt.timedelta(minutes=minutes)))
    month = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"][
        aware.month - 1
    ]
    sign, (hours, rest) = "-" if minutes < 0 else "+", divmod(abs(minutes), 60)
    zone = f"{sign}{hours:02}{rest:02}"
    raw = f"{aware.day:2}-{month}-{aware.year:04} {aware:%H:%M:%S} {zone}".encode()
    text, epoch, kept = convert.received(raw)
    assert kept is None and epoch == int(aware.timestamp())
    assert text is not None and dt.datetime.fromisoformat(text) == aware


def test_missing_date_and_other_values() -> None:
    assert convert.received(None) == convert.received(b"") == (None, None, None)
    assert convert.save_date(b"17-Jul-1996 02:44:25 -0700") == "1996-07-17T02:44:25-07:00"
    assert convert.save_date(None) is None and convert.save_date(b"x") is None
    assert convert.object_id([b"M_1-x"]) == "M_1-x" == convert.object_id(b"M_1-x")
    for garbage in (None, [], [b"a", b"b"], b"a b", b"\x00", b"x" * 256, [None]):
        assert convert.object_id(garbage) is None


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (b"Message-ID: <a@b>\r\n\r\n", b"<a@b>"),
        (b"MESSAGE-id :\r\n <a@b>\r\n\r\n", b"<a@b>"),
        (b"Message-ID: <a\n\t@b> \n\n", b"<a\t@b>"),
        (b"Message-ID: <a@b>", b"<a@b>"),
        (b"\r\n", b""),
        (b"", b""),
    ],
)
def test_message_id(header: bytes, expected: bytes) -> None:
    assert convert.message_id(header) == expected


# --- UID sets -----------------------------------------------------------------------------------


@given(st.lists(st.integers(1, 400), max_size=80), st.lists(st.integers(1, 400), max_size=80))
def test_uid_sets_are_sets(first: list[int], second: list[int]) -> None:
    made = UidSet(first)
    assert list(made) == sorted(set(first)) and len(made) == len(set(first))
    if first:
        assert UidSet.parse(made.text().encode()) == made
    assert list(made.union(UidSet(second))) == sorted({*first, *second})
    assert list(made.within(50, 150)) == [uid for uid in sorted(set(first)) if 50 <= uid <= 150]
    assert [uid for uid in range(402) if uid in made] == sorted(set(first))
    assert made.last() == max(first, default=0)


def test_uid_sets_as_servers_write_them() -> None:
    assert UidSet.parse(b"9,1:5,4:7,3").text() == "1:7,9"
    assert UidSet.parse(b"20:10").text() == "10:20"
    assert len(UidSet.parse(b"1:4294967295")) == MAX_UID
    assert UidSet([0, 5, 1 << 40]).text() == "5"
    for bad in (b"", b"*", b"1:*", b"a", b"1,,2", b"1:2:3", b"99999999999"):
        with pytest.raises(ValueError, match="not a set"):
            UidSet.parse(bad)


# --- names --------------------------------------------------------------------------------------


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_utf7_there_and_back(text: str) -> None:
    assert names.decode_utf7(names.encode_utf7(text)) == text


@pytest.mark.parametrize("octets", [b"&", b"&AGE-", b"&2AA-", b"&bad", b"a&!!!-", b"\x07", b"&AMQ"])
def test_what_does_not_decode_is_kept(octets: bytes) -> None:
    text, raw = names.decode_name(octets, utf8=False)
    assert raw == octets and text.encode("ascii", "surrogateescape") == octets


def test_8_bit_names() -> None:
    assert names.decode_name("Größe".encode(), utf8=False) == ("Größe", None)
    assert names.decode_name(b"\xc3\xa9&AOk-", utf8=False) == ("é&AOk-", None)
    assert names.decode_name(b"R&D", utf8=True) == ("R&D", None)
    assert names.decode_name(b"\xff", utf8=True) == ("\udcff", b"\xff")


def placed(*wires: bytes, delimiter: bytes = b".", prefix: bytes = b"INBOX.") -> list[str]:
    spaces = [Prefix("personal", prefix, delimiter), Prefix("other", b"user.", delimiter)]
    entries = [Listed(wire, delimiter, ()) for wire in wires]
    return ["/".join(named.path) for named in names.place(entries, spaces, utf8=False)]


def test_the_personal_prefix_is_removed_unless_names_collide() -> None:
    assert placed(b"INBOX", b"INBOX.Sent", b"INBOX.a.b") == ["INBOX", "Sent", "a/b"]
    assert placed(b"inbox", b"INBOX.inbox") == ["INBOX", "INBOX/inbox"]
    assert placed(b"INBOX.Sent", b"Sent") == ["INBOX/Sent", "Sent"]
    assert placed(b"user.joe.x", b"INBOX.") == ["user/joe/x", "INBOX/"]
    assert placed(b"a.b", delimiter=b"", prefix=b"") == ["a.b"]
    assert placed(b"a//b", delimiter=b"/", prefix=b"") == ["a//b"]
    cases = (b"INBOX/a", b"inbox/a", b"Inbox/a", b"inbox/b", b"inbox/a/c")
    written = ["INBOX/a", "inbox/a", "Inbox/a", "INBOX/b", "INBOX/a/c"]
    assert placed(*cases, delimiter=b"/", prefix=b"") == written
    assert placed(*cases[::-1], delimiter=b"/", prefix=b"") == written[::-1]
    assert placed(b"inbox", b"INBOX", delimiter=b"/", prefix=b"") == ["inbox", "INBOX"]


def test_arguments() -> None:
    assert names.argument(b'a "b" \\c') == b'"a \\"b\\" \\\\c"'
    assert names.argument(b"\xff") == names.Literal(b"\xff")
    umlaut = "Ärger".encode()
    assert names.argument(umlaut) == names.Literal(umlaut)
    assert names.argument(umlaut, utf8=True) == b'"' + umlaut + b'"'
    for octets in (b"\xff", b"a\x1b\xc3\xa9", "a\u0085é".encode()):
        assert names.argument(octets, utf8=True) == names.Literal(octets)
    for bad in (b"a\r\nb", b"a\0"):
        with pytest.raises(FolderUnavailable):
            names.argument(bad)


# --- providers ----------------------------------------------------------------------------------


def test_two_spellings_never_get_one_path() -> None:
    plain = {"delimiter": b"/", "prefix": b""}
    for wires in ([b"&AOk-", "é".encode()], ["é".encode(), b"&AOk-"]):
        assert sorted(placed(*wires, **plain)) == ["&AOk-", "é"]
    assert len(set(placed(b"&AOk-", "é".encode(), b"&-AOk-", b"&-AOk-/x", **plain))) == 4
    assert placed(b"&AOk-/x", "é/y".encode(), **plain) == ["&AOk-/x", "é/y"]
    entries = [Listed(b"a.b", b".", ()), Listed(b"a/b", b"/", ())]
    paths = [named.path for named in names.place(entries, [], utf8=False)]
    assert len(set(paths)) == 2


@given(
    st.lists(
        st.tuples(
            st.lists(
                st.sampled_from(
                    [b"&AOk-", "é".encode(), b"&-AOk-", b"INBOX", b"inbox", b"\xe9", b""]
                ),
                min_size=1, max_size=3,
            ),
            st.sampled_from([b"/", b".", b""]),
        ),
        max_size=8,
    )
)  # fmt: skip
def test_paths_are_unique_whatever_is_listed(found: list[tuple[list[bytes], bytes]]) -> None:
    entries = [Listed(delimiter.join(parts), delimiter, ()) for parts, delimiter in found]
    entries = list({entry.wire: entry for entry in entries}.values())
    spaces = [Prefix("personal", b"INBOX.", b".")]
    forth = names.place(entries, spaces, utf8=False)
    back = names.place(entries[::-1], spaces, utf8=False)[::-1]
    assert len({named.path for named in forth}) == len(entries)
    if len({entry.delimiter for entry in entries}) == 1 and not any(
        b"inbox" in entry.wire for entry in entries
    ):
        assert forth == back


def test_how_many_commands_a_server_likes() -> None:
    exchange = {"name": "Microsoft.Exchange.Imap4.Imap4Server"}
    assert quirks.depth(exchange, "mail.example.org") == 4
    assert quirks.depth({}, "outlook.office365.com") == 4
    assert quirks.depth({"name": "Dovecot"}, "mail.example.org") is None


def test_ids_of_the_compound_form() -> None:
    assert convert.object_ids([b"EMAILID", b"M1", b"threadid", b"T1"]) == {
        "EMAILID": "M1", "THREADID": "T1",
    }  # fmt: skip
    for odd in ([], None, b"M1", [b"EMAILID"], [b"EMAILID", b"a b"], [[b"x"], b"y"]):
        assert convert.object_ids(odd) == {}


def test_placeholder_only_by_its_subject() -> None:
    text = quirks.PLACEHOLDER
    assert quirks.is_placeholder(b"From: x\r\nSubject: " + text + b": 4\r\n\r\nbody")
    assert not quirks.is_placeholder(b"Subject: Fwd: " + text + b"\r\n\r\nbody")
    assert not quirks.is_placeholder(b"Subject: x\r\n\r\nSubject: " + text)
    assert not quirks.is_placeholder(b"Subject: " + text + b"\r\n\r\n" + b"x" * 70_000)


@pytest.mark.parametrize(
    ("line", "kind", "after"),
    [
        (b"a BAD Request is throttled. Suggested Backoff Time: 299961 milliseconds", RateLimited,
         299.961),
        (b"a NO [THROTTLED] x", RateLimited, None),
        (b"a NO [UNAVAILABLE] x", RateLimited, None),
        (b"a NO [ALERT] Account exceeded command or bandwidth limits. (Failure)", RateLimited,
         None),
        (b"* BYE Session invalidated - AccessTokenExpired", TokenExpired, None),
        (b"a NO [SERVERBUG] x", None, None),
        (b"a OK Request is throttled", None, None),
    ],
)  # fmt: skip
def test_patience(line: bytes, kind: type | None, after: float | None) -> None:
    status = parse_status(line)
    assert status is not None
    found = quirks.patience(status)
    assert type(found) is (kind or type(None))
    if isinstance(found, RateLimited):
        assert found.retry_after == after


def test_caps() -> None:
    note = quirks.suspected_cap(10_000, (), "imap.mail.yahoo.com")
    assert note is not None and "export.imap.mail.yahoo.com" in note["text"]
    assert quirks.suspected_cap(2_000, (), "x") is None
    assert quirks.suspected_cap(2_000, ("X-GM-EXT-1",), "x") is not None


# --- login --------------------------------------------------------------------------------------


class Secret:
    def __init__(self, kind: str = "password", mechanism: str | None = None) -> None:
        self.kind = kind
        self.mechanism = mechanism

    def reveal(self) -> str:
        return "s3cret"


def test_mechanisms() -> None:
    assert login.choose(Secret(), {"AUTH=PLAIN", "AUTH=LOGIN"}) == "PLAIN"
    assert login.choose(Secret(), {"AUTH=GSSAPI"}) == "LOGIN"
    assert login.choose(Secret(), {"AUTH=LOGIN", "LOGINDISABLED"}) == login.SASL_LOGIN
    assert login.choose(Secret(), {"AUTH=LOGIN"}) == login.SASL_LOGIN
    assert login.choose(Secret("password", "login"), {"AUTH=LOGIN"}) == "LOGIN"
    assert login.choose(Secret("token"), {"AUTH=XOAUTH2"}) == "XOAUTH2"
    assert login.choose(Secret("token"), {"AUTH=XOAUTH2", "AUTH=OAUTHBEARER"}) == "OAUTHBEARER"
    assert login.choose(Secret("token", "xoauth2"), set()) == "XOAUTH2"
    with pytest.raises(AuthenticationFailed):
        login.choose(Secret(), {"LOGINDISABLED"})
    with pytest.raises(AuthenticationFailed, match="no login with a password"):
        login.choose(Secret("password", "LOGIN"), {"LOGINDISABLED"})
    with pytest.raises(AuthenticationFailed):
        login.choose(Secret("token"), {"AUTH=PLAIN"})


def test_exchanges() -> None:
    exchange = login.answers("OAUTHBEARER", "a=b,c", "tok", "h", 993)
    assert exchange(b"") == b"n,a=a=3Db=2Cc,\x01host=h\x01port=993\x01auth=Bearer tok\x01\x01"
    assert exchange(b'{"status":"invalid_token"}') == b"\x01"
    assert exchange.refusal == b'{"status":"invalid_token"}'
    assert login.answers("PLAIN", "ü", "p", "h", 1)(b"") == "\0ü\0p".encode()
    with pytest.raises(AuthenticationFailed):
        login.answers("PLAIN", "a\0b", "p", "h", 1)
    assert "s3cret" not in login.refused("you sent s3cret", Secret(), "s3cret").text
