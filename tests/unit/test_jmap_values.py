"""What JMAP connectors make of values: URLs, session objects, mailboxes, dates. No connection."""

from __future__ import annotations

import json
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portarchive.connectors.jmap import JmapSettings, convert, mailboxes, resource
from portarchive.connectors.jmap.gate import Gate
from portarchive.connectors.jmap.origin import Guard, expand
from portarchive.connectors.jmap.replies import MethodError, MethodRefused, expect
from portarchive.errors import (
    AuthenticationFailed,
    PortArchiveError,
    RateLimited,
    ServerMisbehaved,
    SettingsError,
    TokenLost,
    Unreachable,
)
from servers.jmap_server import Secret

BASE = "https://example.org/.well-known/jmap"


def guard(host: str = "example.org", *, tls: bool = True, allow: tuple[str, ...] = ()) -> Guard:
    return Guard(
        JmapSettings(
            host=host, port=443, user="jane", secret=Secret("x"), tls=tls, allow_hosts=allow
        )
    )


# --- where credentials may go -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "absolute"),
    [
        ("/jmap/", "https://example.org/jmap/"),
        ("jmap", "https://example.org/.well-known/jmap"),
        ("https://example.org:8443/x", "https://example.org:8443/x"),
        ("https://API.Example.ORG/x", "https://API.Example.ORG/x"),
        ("//example.org/d/{blobId}?t={type}", "https://example.org/d/{blobId}?t={type}"),
    ],
)
def test_urls_that_are_taken(url, absolute):
    assert guard().resolve(url, BASE, "apiUrl") == absolute


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("https://evil.example/", "foreign-host"),
        ("//evil.example/x", "foreign-host"),
        ("https://badexample.org/", "foreign-host"),
        ("https://example.org.evil.example/", "foreign-host"),
        ("https://org/", "foreign-host"),
        ("http://example.org/", "insecure-url"),
        ("http://evil.example/", "insecure-url"),
        ("https://jane@example.org/", "server-misbehaved"),
        ("https://example.org\\@evil.example/", "server-misbehaved"),
        ("https://evil.example\\.example.org/", "server-misbehaved"),
        ("https://{accountId}.example.org/", "server-misbehaved"),
        ("https://example.org:99999/", "server-misbehaved"),
        ("https://example.org:0/", "server-misbehaved"),
        ("https://[::1/", "server-misbehaved"),
        ("https://ex\u00e4mple.org/", "server-misbehaved"),
        ("file:///etc/passwd", "server-misbehaved"),
        ("https://example.org/\r\nX: y", "server-misbehaved"),
        ("x" * 5000, "server-misbehaved"),
        ("", "server-misbehaved"),
        (None, "server-misbehaved"),
        (["https://example.org/"], "server-misbehaved"),
    ],
)
def test_urls_that_are_not(url, code):
    with pytest.raises((Unreachable, ServerMisbehaved)) as caught:
        guard().resolve(url, BASE, "apiUrl")
    assert caught.value.code == code


def test_a_foreign_host_is_named_with_the_next_step():
    with pytest.raises(Unreachable) as caught:
        guard().resolve("https://files.example.net/{blobId}", BASE, "downloadUrl")
    assert "files.example.net" in caught.value.text
    assert "?allow-host=files.example.net" in (caught.value.hint or "")
    allowed = guard(allow=("files.example.net",))
    assert allowed.resolve("https://files.example.net/x", BASE, "downloadUrl")
    with pytest.raises(Unreachable):
        allowed.resolve("https://a.files.example.net/x", BASE, "downloadUrl")


def test_names_below_the_host_are_its_own_only_if_it_is_a_domain():
    assert guard().knows("api.example.org")
    assert guard().knows("api.example.org.")
    assert not guard("localhost").knows("evil.localhost")
    assert not guard("127.0.0.1").knows("9.127.0.0.1")
    assert not guard("org").knows("example.org")


def test_http_only_when_asked_for_and_never_from_https():
    plain = guard(tls=False)
    base = "http://example.org/x"
    assert plain.resolve("http://example.org/y", base, "redirect") == "http://example.org/y"
    assert plain.resolve("https://example.org/y", base, "redirect") == "https://example.org/y"
    with pytest.raises(Unreachable):
        plain.resolve("http://example.org/y", BASE, "redirect")


def test_templates_are_filled_so_that_no_value_leaves_its_place():
    template = "https://h/d/{accountId}/{blobId}/{name}?accept={type}&x={unknown}"
    filled = expand(template, accountId="a/b", blobId="../../x?y#z", name="m.eml", type="a/b;c=d")
    assert filled == "https://h/d/a%2Fb/..%2F..%2Fx%3Fy%23z/m.eml?accept=a%2Fb%3Bc%3Dd&x="


# --- the session object -------------------------------------------------------------------------


def session_object(**more):
    own = {"accountCapabilities": {resource.MAIL: {}}, "isPersonal": True}
    return {
        "capabilities": {resource.CORE: {"maxObjectsInGet": 7}, resource.MAIL: {}},
        "accounts": {"A": own | {"name": "jane"}, "B": own | {"name": "Team", "isPersonal": False}},
        "primaryAccounts": {resource.MAIL: "A"},
        "apiUrl": "/api",
    } | more


def test_a_session_object():
    found = resource.parse(session_object(), BASE, guard())
    assert found.api_url == "https://example.org/api"
    assert found.account(None).account_id == "A"
    assert found.account("B").name == found.account("team").name == "Team"
    limits = found.limits()
    assert (limits.max_objects_in_get, limits.max_calls_in_request) == (7, 16)
    for wanted in ("C", ""):
        with pytest.raises(SettingsError, match="account") as caught:
            found.account(wanted)
        assert "Team, jane" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"primaryAccounts": {}}, "A"),
        ({"primaryAccounts": {resource.MAIL: "nobody"}}, "A"),
        ({"primaryAccounts": [3]}, "A"),
        ({"accounts": {}}, Unreachable),
        ({"accounts": {"A": {"accountCapabilities": {}}}}, Unreachable),
        ({"accounts": 7}, Unreachable),
    ],
)
def test_the_users_own_account(more, expected):
    found = resource.parse(session_object(**more), BASE, guard())
    if isinstance(expected, str):
        assert found.account(None).account_id == expected
    else:
        with pytest.raises(expected):
            found.account(None)


def test_several_accounts_and_none_of_them_the_users_own():
    found = session_object(primaryAccounts={})
    for each in found["accounts"].values():
        each["isPersonal"] = False
    with pytest.raises(SettingsError) as caught:
        resource.parse(found, BASE, guard()).account(None)
    assert "account=" in (caught.value.hint or "")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
members = st.sampled_from(["capabilities", "accounts", "primaryAccounts", "apiUrl", "state"])


@given(st.dictionaries(members, json_values))
def test_any_session_object_is_read_or_refused(more):
    try:
        found = resource.parse(session_object(**more), BASE, guard())
        found.limits()
        found.account(None)
    except PortArchiveError as error:
        assert error.text


def test_a_limit_shrinks_below_what_was_too_much():
    limits = resource.Limits(max_objects_in_get=500)
    assert limits.shrink("maxObjectsInGet", 90)
    assert limits.max_objects_in_get == 45
    assert limits.shrink("maxObjectsInGet", 2)
    assert limits.max_objects_in_get == 1
    assert not limits.shrink("maxObjectsInGet", 1)
    assert not limits.shrink("maxUnicorns", 5)


# --- method errors ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("serverUnavailable", RateLimited),
        ("cannotCalculateChanges", TokenLost),
        ("accountNotFound", AuthenticationFailed),
        ("serverFail", MethodRefused),
        ("\x1b[31munheard-of", MethodRefused),
    ],
)
def test_what_a_method_error_means(kind, expected):
    with pytest.raises(expected) as caught:
        expect("Email/get", MethodError(kind, "", {}))
    assert caught.value.text.isprintable()


# --- mailboxes ----------------------------------------------------------------------------------


def box(key, name, parent=None, **more):
    return {"id": key, "name": name, "parentId": parent} | more


def paths(*found):
    return {key: each.folder.path for key, each in mailboxes.boxes(found).items()}


def test_paths_and_the_inbox():
    found = paths(
        box("3", "Sub", "1"),
        box("1", "Posteingang", role="inbox"),
        box("2", "INBOX"),
        box("4", "a/b", "2"),
    )
    assert found == {
        "1": ("INBOX",), "3": ("INBOX", "Sub"), "2": ("INBOX (2)",), "4": ("INBOX (2)", "a/b"),
    }  # fmt: skip
    assert list(found.values()) == sorted(found.values())
    (inbox,) = mailboxes.boxes([box("1", "Posteingang", role="inbox")]).values()
    assert inbox.folder.display_name == "Posteingang"
    assert inbox.folder.uid == inbox.folder.folder_id == "1"


def test_what_a_server_must_not_do_is_mended():
    found = mailboxes.boxes(
        [
            box("a", "x", "b"), box("b", "x", "c"), box("c", "x", "b"),
            box("d", "x", "nowhere"), box("e", "x"), box("f", "\ud800"), box("g", None),
            box("h", "", role=["inbox"]), box("i", "y", sortOrder=-3, totalEmails="many"),
        ]
    )  # fmt: skip
    told = {key: each.folder.path for key, each in found.items()}
    assert len(set(told.values())) == len(told) == 9
    assert [note["code"] for note in found["d"].notes] == ["parent-missing"]
    assert [note["code"] for note in found["b"].notes] == ["parent-circle"]
    assert (told["b"], told["a"], told["c"]) == (("x",), ("x", "x"), ("x", "x (c)"))
    assert told["f"] == ("\ufffd",)
    assert (told["g"], told["h"]) == (("g",), ("h",))
    assert found["i"].folder.messages is found["i"].folder.sort_order is None


@pytest.mark.parametrize(
    ("rights", "letters"),
    [
        ({"mayReadItems": True}, "lr"),
        ({"maySetSeen": True, "mayRename": True}, "s"),
        ({"mayRename": True, "mayDelete": True, "mayRemoveItems": True, "mayAdmin": True}, "xtea"),
        ({"mayReadItems": 1, "mayAddItems": "yes"}, ""),
        (None, None),
    ],
)
def test_rights_as_letters(rights, letters):
    (found,) = mailboxes.boxes([box("1", "x", myRights=rights)]).values()
    assert found.folder.rights == letters


def test_a_mailbox_that_may_not_be_read():
    rights = {"mayReadItems": False}
    empty, full = mailboxes.boxes(
        [box("1", "a", myRights=rights), box("2", "b", myRights=rights, totalEmails=5)]
    ).values()
    assert (empty.readable, empty.folder.selectable) == (False, False)
    assert (full.readable, full.folder.selectable) == (False, True)


parents = st.lists(st.sampled_from(["1", "2", "3", "4", "5", "9", None]), min_size=5, max_size=5)
names = st.lists(st.sampled_from(["x", "x (2)", "x (3)", "INBOX", ""]), min_size=5, max_size=5)
roles = st.lists(st.sampled_from(["inbox", "sent", None]), min_size=5, max_size=5)


@given(parents, names, roles)
def test_every_mailbox_has_a_path_of_its_own(above, called, known_as):
    found = mailboxes.boxes(
        [
            box(str(number), name, parent, role=role)
            for number, (parent, name, role) in enumerate(
                zip(above, called, known_as, strict=True), 1
            )
        ]
    )
    told = [each.folder.path for each in found.values()]
    assert sorted(found) == ["1", "2", "3", "4", "5"]
    assert len(set(told)) == 5
    assert told == sorted(told)
    for path in told:
        assert len(path) == 1 or path[:-1] in told
    if "inbox" in known_as:
        assert ("INBOX",) in told


# --- Emails -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "epoch"),
    [
        ("2024-02-29T10:00:01Z", 1709200801),
        ("2024-02-29T10:00:01.5Z", 1709200801),
        ("1899-01-01T00:00:00Z", -2240524800),
        ("2024-02-30T10:00:01Z", None),
        ("2024-02-29T10:00:01+02:00", None),
        ("2024-02-29T10:00:61Z", None),
        ("0000-01-01T00:00:00Z", None),
        ('2024-02-29T10:00:01Z"', None),
        ("now", None),
        ("\ud800", None),
    ],
)
def test_received(text, epoch):
    found = convert.received(text)
    assert found.epoch == epoch
    assert found.text == (text if epoch is not None else None)
    assert (found.raw is None) == (epoch is not None)
    json.dumps(found.raw).encode()


def test_keywords_are_sorted_and_only_what_is_true():
    assert convert.flags({"$seen": True, "b": True, "a": True, "c": False, "d": 1}) == (
        "$seen", "a", "b",
    )  # fmt: skip
    assert convert.flags(["$seen"]) == convert.flags(None) == ()
    many = {f"keyword-{number}": True for number in range(200)}
    assert len(convert.flags(many)) == 200


def test_an_email():
    ref = convert.reference(
        {
            "id": "M1", "threadId": "T1", "size": 12, "keywords": {"$seen": True},
            "receivedAt": "2024-02-29T10:00:01Z",
        },
        ["b", "a"],
    )  # fmt: skip
    assert [place.folder_id for place in ref.placements] == ["b", "a"]
    assert {place.uid for place in ref.placements} == {"M1"}
    assert (ref.size, ref.email_id, ref.thread_id, ref.notes) == (12, "M1", "T1", ())
    bad = convert.reference({"id": "M1", "threadId": 3, "size": -1, "receivedAt": 7}, ["a"])
    assert (bad.size, bad.thread_id, bad.notes) == (None, None, ("no-date",))


# --- the gate -----------------------------------------------------------------------------------


def test_a_gate_lets_in_as_many_as_it_is_wide():
    gate, inside, most = Gate(3), [], []
    lock = threading.Lock()

    def work() -> None:
        with gate:
            with lock:
                inside.append(1)
                most.append(len(inside))
            if len(most) == 8:
                gate.shrink()
            with lock:
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(most) == 20
    assert max(most) <= 3
    assert gate.width < 3
    gate.shrink()
    assert gate.width == 1
