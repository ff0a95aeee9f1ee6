"""Folders as servers really tell of them: encodings, delimiters, namespaces, rights, identities."""

from __future__ import annotations

from pathlib import Path

import pytest
from running import PASSWORD, REPORT, Ran, command, comparable, export, letter, stamps, url_of

from portarchive.connectors.imap.channel import Channel
from servers import scripted_faults as faults
from servers.scripted import CAPABILITIES, PLAIN_CAPABILITIES, Refuse, ScriptedServer


def by_name(ran: Ran) -> dict[tuple[str, ...], list[bytes]]:
    """The octets of each folder by its names from the root."""
    found = {}
    for path in ran.there.headers:
        names = []
        for depth in range(path.count("/") + 1):
            parent = "/".join(path.split("/")[: depth + 1])
            header = ran.there.headers[parent]
            names.append(header.get("original_name", header["name"]))
        found[tuple(names)] = list(ran.octets(path).values())
    return found


def put(server: ScriptedServer, name: str | bytes, number: int, **attributes: object) -> None:
    server.add_mailbox(name, **attributes).add(letter(number), email_id=f"M{number}")


# --- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("utf8", [True, False])
def test_names_by_either_encoding(scripted, root, utf8) -> None:
    """UTF8=ACCEPT (RFC 6855 §3): names are UTF-8, and an ampersand is one."""
    if utf8:
        scripted.capabilities.append("UTF8=ACCEPT")
    names = ["Ärger & Co", "送信済み/2024", "🎻", "R&D", "&-", "plain"]
    for number, name in enumerate(names):
        put(scripted, name.encode() if utf8 else name, number)
    ran = export(scripted, root)
    assert ran.code == 0
    wanted = {tuple(name.split("/")): [letter(number)] for number, name in enumerate(names)}
    found = by_name(ran)
    assert {name: found[name] for name in wanted} == wanted
    assert bool([line for line in scripted.commands if "{" in line]) is False


def test_the_encoding_may_change_between_runs(scripted, root) -> None:
    """A server that learns UTF8=ACCEPT: the same folders, nothing is fetched again."""
    put(scripted, "Größe & Co", 1, mailbox_id="F1")
    export(scripted, root)
    scripted.capabilities.append("UTF8=ACCEPT")
    scripted.mailbox("Größe & Co").wire = "Größe & Co".encode()
    before = stamps(root)
    assert export(scripted, root).code == 0
    assert scripted.bodies == 1
    assert stamps(root) == before


def test_two_spellings_of_one_name_are_two_folders(scripted, root) -> None:
    """Modified UTF-7, and raw UTF-8 beside it; whichever the server lists first."""
    for order in (1, -1):
        scripted.mailboxes[1:] = []
        wires = [b"&AOk-t&AOk-", "été".encode(), "été/x".encode(), b"&AOk-t&AOk-/x"]
        for number, wire in list(enumerate(wires, 1))[::order]:
            put(scripted, wire, number)
        ran = export(scripted, root.with_name(f"archive{order}"))
        assert ran.code == 0
        found = by_name(ran)
        del found["INBOX",]
        assert found == {
            ("été",): [letter(2)],
            ("&AOk-t&AOk-",): [letter(1)],
            ("été", "x"): [letter(3)],
            ("&AOk-t&AOk-", "x"): [letter(4)],
        }


def test_octets_that_do_not_decode_keep_their_mail(scripted, root) -> None:
    for number, wire in enumerate((b"\xff\xfe", b"half\xe2\x82", b"&bad", b"&AOk")):
        put(scripted, wire, number)
    ran = export(scripted, root)
    assert ran.code == 0
    assert sum(len(items) for items in ran.there.items.values()) == 4
    raw = [h for h in ran.there.headers.values() if "portarchive:raw_name" in h]
    assert len(raw) == 4


@pytest.mark.parametrize("delimiter", [None, ".", "\\", "/"])
def test_delimiters(scripted, root, delimiter) -> None:
    scripted.mailbox("INBOX").delimiter = delimiter
    put(scripted, b"a.b/c", 1, delimiter=delimiter)
    put(scripted, b"a\\b", 2, delimiter=delimiter)
    found = by_name(export(scripted, root))
    for number, name in enumerate(("a.b/c", "a\\b"), 1):
        names = (name,) if delimiter is None else tuple(name.split(delimiter))
        assert found[names] == [letter(number)]


def test_a_delimiter_of_each_namespaces_own(scripted, root) -> None:
    scripted.namespaces = '(("" "/")) (("user." ".")) (("#news." "."))'
    put(scripted, "Work/2024", 1)
    put(scripted, b"user.joe.Team", 2, delimiter=".")
    put(scripted, b"#news.comp.mail", 3, delimiter=".")
    mine = by_name(export(scripted, root))
    assert ("Work", "2024") in mine
    assert not [name for name in mine if "joe" in name or "comp" in name]
    everything = export(scripted, root.with_name("all"), "--namespace", "all")
    found = by_name(everything)
    assert found["user", "joe", "Team"] == [letter(2)]
    assert found["#news", "comp", "mail"] == [letter(3)]
    spaces = everything.there.manifest["source"]["namespaces"]
    assert spaces["other"] == [{"prefix": "user.", "delimiter": "."}]


def test_the_personal_prefix_goes(scripted, root) -> None:
    scripted.namespaces = '(("INBOX." ".")) NIL NIL'
    scripted.mailbox("INBOX").delimiter = "."
    put(scripted, b"INBOX.Sent", 1, delimiter=".", attributes=(r"\Sent",))
    put(scripted, b"INBOX.Work.2024", 2, delimiter=".")
    found = by_name(export(scripted, root))
    assert found["Sent",] == [letter(1)]
    assert found["Work", "2024"] == [letter(2)]


@pytest.mark.parametrize("attribute", [r"\NoSelect", r"\NonExistent", r"\Noselect"])
def test_parents_that_hold_no_mail(scripted, root, attribute) -> None:
    scripted.add_mailbox("Work", attributes=(attribute, r"\HasChildren"))
    put(scripted, "Work/2024", 1)
    put(scripted, "Implied/child", 2)
    ran = export(scripted, root)
    assert ran.code == 0
    for parent in ("Work", "Implied"):
        assert ran.there.headers[parent]["portarchive:noselect"] is True
        assert "uidvalidity" not in ran.there.headers[parent]
    assert not [line for line in scripted.said("EXAMINE") if line == 'EXAMINE "Work"']
    assert not scripted.said("STATUS Work")


# --- LIST -----------------------------------------------------------------------------------------

ROLES = {
    "Sent": r"\Sent", "Drafts": r"\Drafts", "Junk": r"\Junk", "Trash": r"\Trash",
    "Archive": r"\Archive", "Everything": r"\All", "Stars": r"\Flagged", "Marked": r"\Important",
    "Later": "Snoozed", "Outbox": r"\Scheduled", "Notes": "Memos",
}  # fmt: skip


def add_roles(server: ScriptedServer) -> None:
    for name, attribute in ROLES.items():
        server.add_mailbox(name, attributes=(r"\HasNoChildren", attribute))


def roles_of(ran: Ran) -> dict[str, object]:
    return {path: header.get("portarchive:role") for path, header in ran.there.headers.items()}


@pytest.mark.parametrize(
    "without",
    [(), ("SPECIAL-USE",), ("LIST-STATUS",), ("LIST-EXTENDED",), ("LIST-EXTENDED", "LIST-STATUS")],
)
@pytest.mark.parametrize("bad", [False, True])
def test_kw10_roles_with_and_without_a_backslash(scripted, root, without, bad) -> None:
    """Of RFC 6154, 8457 and 9979, however little LIST can do or however much it refuses."""
    scripted.capabilities = [name for name in CAPABILITIES if name not in without]
    if bad:
        faults.list_return_bad(scripted)
    add_roles(scripted)
    scripted.mailbox("Sent").subscribed = False
    ran = export(scripted, root)
    assert ran.code == 0
    wanted = {name: attribute.lstrip("\\").lower() for name, attribute in ROLES.items()}
    wanted["Notes"] = "memos"
    assert roles_of(ran) == {**wanted, "INBOX": "inbox"}
    assert ran.there.headers["Later"]["special_use"] == r"\Snoozed"
    subscribed = {path: header["is_subscribed"] for path, header in ran.there.headers.items()}
    assert [path for path, yes in subscribed.items() if not yes] == ["Sent"]


def test_a_role_that_two_claim(scripted, root) -> None:
    scripted.add_mailbox("Sent", attributes=(r"\Sent",))
    scripted.add_mailbox("Sent Items", attributes=(r"\Sent", r"\Archive"))
    ran = export(scripted, root)
    assert ran.there.headers["Sent"]["portarchive:role"] == "sent"
    assert ran.there.headers["Sent Items"]["portarchive:role"] == ["sent", "archive"]


def test_without_any_extension(scripted, root) -> None:
    scripted.capabilities = list(PLAIN_CAPABILITIES)
    put(scripted, "Work", 1, subscribed=False)
    ran = export(scripted, root)
    assert ran.code == 0
    assert ran.there.headers["Work"]["is_subscribed"] is False
    assert ran.there.headers["INBOX"]["is_subscribed"] is True


# --- rights, dates, metadata ----------------------------------------------------------------------


def test_rights_are_asked_of_the_folders_that_are_opened(scripted, root) -> None:
    scripted.capabilities += ["ACL", "RIGHTS=texk", "METADATA"]
    scripted.namespaces = '(("" "/")) (("Other Users/" "/")) NIL'
    put(scripted, "Work", 1, rights="lrswipkxtea")
    put(scripted, "Hidden", 2, rights=None)
    put(scripted, "Other Users/joe", 3, rights="lr")
    ran = export(scripted, root)
    assert ran.code == 0
    assert ran.there.headers["Work"]["myrights"] == "lrswipkxtea"
    assert ran.there.headers["INBOX"]["myrights"] == "lrs"
    assert "myrights" not in ran.there.headers["Hidden"]
    assert sorted(scripted.said("MYRIGHTS")) == [
        'MYRIGHTS "Hidden"', 'MYRIGHTS "INBOX"', 'MYRIGHTS "Work"',
    ]  # fmt: skip
    assert "METADATA" in ran.there.manifest["source"]["capabilities"]
    before = stamps(root)
    assert export(scripted, root).code == 0
    assert stamps(root) == before
    assert len(scripted.said("MYRIGHTS")) == 3


@pytest.mark.parametrize("answer", ['MYRIGHTS "INBOX" "\\x1b[31m"', "MYRIGHTS", "MYRIGHTS (a) (b)"])
def test_rights_that_are_none(scripted, root, answer) -> None:
    scripted.capabilities.append("ACL")

    def say(event) -> bool:
        event.untagged(answer)
        event.tagged("OK", "done")
        return True

    scripted.on("MYRIGHTS", say)
    ran = export(scripted, root)
    assert ran.code == 0
    assert "myrights" not in ran.there.headers["INBOX"]


@pytest.mark.parametrize("numbers", [True, False])
def test_save_dates(scripted, root, numbers) -> None:
    scripted.capabilities.append("SAVEDATE")
    if not numbers:
        scripted.capabilities.append("UIDONLY")
    scripted.mailbox("INBOX").add(letter(1), date='"17-Jul-1996 02:44:25 -0700"', email_id="M1")
    put(scripted, "Work", 2)
    ran = export(scripted, root)
    assert ran.item("1")["portarchive:save_date"] == "1996-07-17T02:44:25-07:00"
    assert ran.item("1", "Work")["portarchive:save_date"] == "2024-02-01T03:04:05+00:00"


# --- identities -----------------------------------------------------------------------------------


@pytest.mark.parametrize("plus", [False, True])
def test_ob1_ids_of_mailboxes_messages_and_threads(scripted, root, plus) -> None:
    """OBJECTID (RFC 8474), and the compound form of its successor."""
    if plus:
        scripted.capabilities.append("OBJECTID+")
    inbox = scripted.mailbox("INBOX")
    inbox.mailbox_id = "F-in_1"
    inbox.add(letter(1), email_id="M1", thread_id="T1")
    inbox.add(letter(2), email_id="M2")
    work = scripted.add_mailbox("Work", mailbox_id="F-work")
    for number in (1, 2):
        work.add(letter(number), email_id=f"M{number}", thread_id="T1")
    ran = export(scripted, root)
    assert ran.code == 0
    assert ran.there.headers["INBOX"]["uid"] == "F-in_1"
    assert ran.there.headers["Work"]["uid"] == "F-work"
    assert ran.item("1")["portarchive:email_id"] == "M1"
    assert ran.item("1")["portarchive:thread_id"] == "T1"
    assert "portarchive:thread_id" not in ran.item("2")
    assert scripted.bodies == 3  # two, and one copy that is compared; the other one is believed
    state = ran.folders["INBOX"]["state"]
    assert state.get("account_id") == ("A1" if plus else None)
    assert bool([line for line in scripted.commands if "(UID FLAGS INTERNALDATE" in line
                 and " OBJECTID)" in line]) is plus  # fmt: skip
    before = stamps(root)
    assert export(scripted, root).code == 0
    assert stamps(root) == before


def test_ob1_keys_that_are_left_out(scripted, root) -> None:
    scripted.capabilities.append("OBJECTID+")
    scripted.account_id = None
    scripted.mailbox("INBOX").add(letter(1))  # OBJECTID ()
    scripted.mailbox("INBOX").add(letter(2))
    ran = export(scripted, root)
    assert ran.code == 0
    assert ran.there.headers["INBOX"]["uid"] == "INBOX"
    assert "portarchive:email_id" not in ran.item("1")
    assert scripted.bodies == 2


def test_ob1_a_server_that_announces_more_than_it_does(scripted, root) -> None:
    scripted.capabilities.append("OBJECTID+")

    def refuse(event) -> None:
        if "OBJECTID+" in event.line:
            raise Refuse("no", "BAD")

    scripted.on("ENABLE", refuse)
    scripted.mailbox("INBOX").add(letter(1), email_id="M1")
    ran = export(scripted, root)
    assert ran.item("1")["portarchive:email_id"] == "M1"
    assert ran.code == 0


def test_ob4_jmapaccess_is_noted(scripted, root: Path) -> None:
    scripted.capabilities.append("JMAPACCESS")
    ran = command("export", url_of(scripted), root, "-v", password=PASSWORD, root=root)
    assert ran.code == 0
    assert "by JMAP too, with the same ids: https://jmap.example/.well-known/jmap" in ran.err
    assert "JMAPACCESS" in ran.there.manifest["source"]["capabilities"]
    assert ran.out.count("note: this account can be had by JMAP too") == 1
    ran = export(scripted, root, "--progress", "json", "--json")
    assert '"code":"jmap-access"' in ran.err
    assert [notice["code"] for notice in ran.report["notices"]] == ["jmap-access"]
    REPORT.validate(ran.report)
    ran = export(scripted, root.with_name("none"), "--dry-run", "--json")
    assert [notice["severity"] for notice in ran.report["notices"]] == ["note"]
    REPORT.validate(ran.report)


def test_ob4_an_address_is_nothing_but_text(scripted, root: Path) -> None:
    scripted.capabilities.append("JMAPACCESS")
    scripted.jmap = "https://x/\x1b[31m"
    ran = command("export", url_of(scripted), root, "-v", password=PASSWORD, root=root)
    assert ran.code == 0

    def refuse(_) -> None:
        raise Refuse("not today")

    scripted.on("GETJMAPACCESS", refuse)
    assert "jmap-access" not in export(scripted, root, "--progress", "json").err


# --- together or alone ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["all", "condstore", "none"])
def test_folders_looked_at_together_are_what_they_are_alone(scripted, root, kind) -> None:
    """Twenty small folders in one go, and each by itself: the same archives and updates."""
    without = {"all": set(), "condstore": {"QRESYNC"}, "none": {"QRESYNC", "CONDSTORE"}}[kind]
    scripted.capabilities = [n for n in CAPABILITIES if n not in without | {"OBJECTID"}]
    for number in range(20):
        scripted.add_mailbox(f"F{number:02}")
        for more in range(number):
            scripted.mailbox(f"F{number:02}").add(letter(100 * number + more))

    def both() -> tuple[Ran, Ran]:
        together = export(scripted, root)
        for mailbox in scripted.mailboxes:
            mailbox.counted = False
        alone = export(scripted, root.with_name("alone"))
        for mailbox in scripted.mailboxes:
            mailbox.counted = True
        return together, alone

    together, alone = both()
    assert (together.code, alone.code) == (0, 0)
    assert comparable(together.there) == comparable(alone.there)
    scripted.mailbox("F03").expunge(1, 2)
    scripted.mailbox("F04").set_flags(2, [r"\Seen"])
    scripted.mailbox("F05").add(letter(77))
    scripted.mailbox("F06").reset_uidvalidity(99)
    scripted.remove_mailbox("F07")
    scripted.add_mailbox("New").add(letter(78))
    sent = scripted.bodies
    together, alone = both()
    assert comparable(together.there) == comparable(alone.there)
    assert scripted.bodies - sent == 4
    assert together.folders.keys() == alone.folders.keys()


@pytest.mark.parametrize("without", [(), ("OBJECTID",), ("QRESYNC",), ("QRESYNC", "OBJECTID")])
def test_many_folders_cost_few_round_trips(scripted, root, monkeypatch, without) -> None:
    """A command that is sent while nothing is on its way begins another round trip."""
    scripted.capabilities = [name for name in CAPABILITIES if name not in without]
    for number in range(60):
        put(scripted, f"Folder {number:02}", number)
    begun = []
    send = Channel.send

    def counted(channel, *parts):
        if not channel.in_flight:
            begun.append(parts[0])
        return send(channel, *parts)

    monkeypatch.setattr(Channel, "send", counted)
    ran = export(scripted, root)
    assert ran.code == 0
    assert len(ran.folders) == 61
    assert len(scripted.said("EXAMINE")) >= 120
    assert len(begun) <= 12, begun
    begun.clear()
    for number in range(0, 60, 2):
        scripted.mailbox(f"Folder {number:02}").add(letter(100 + number), email_id=f"N{number}")
        scripted.mailbox(f"Folder {number:02}").set_flags(1, [r"\Seen"])
    assert export(scripted, root).code == 0
    assert scripted.bodies == 90
    assert len(begun) <= 12, begun


@pytest.mark.parametrize("fault", ["refused", "renumbered", "gone"])
def test_a_folder_that_changes_between_listing_and_fetching_harms_no_other(
    scripted, root, fault
) -> None:
    for number in range(12):
        name = f"F{number:02}"
        scripted.add_mailbox(name)
        for more in range(5):
            scripted.mailbox(name).add(letter(10 * number + more), email_id=f"M{number}-{more}")
    seen: list[str] = []

    def change(event) -> None:
        seen.append(event.line)
        if len(seen) < 2:
            return
        if fault == "refused":
            raise Refuse("[SERVERBUG] damaged")
        if fault == "gone":
            raise Refuse("[NONEXISTENT] no such mailbox")
        if len(seen) == 2:
            scripted.mailbox("F05").reset_uidvalidity(77, renumber_from=2)

    hook = scripted.on("EXAMINE", change, when=lambda event: event.args[0] == b"F05")
    ran = export(scripted, root, "--max-wait", "0")
    assert ran.code == 3
    for number in range(12):
        if number != 5:
            assert len(ran.uids(f"F{number:02}")) == 5
    octets = ran.octets("F05") if "F05" in ran.there.headers else {}
    assert not octets
    hook.off()
    ran = export(scripted, root)
    assert ran.code == 0
    assert list(ran.octets("F05").values()) == [letter(50 + more) for more in range(5)]
