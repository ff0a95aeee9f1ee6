"""Filters, selections, namespaces: what is left out is said, what is asked for must be there."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from running import KINDS, REPORT, command, comparable, export, letter, stamps

from servers.daemon import Account
from servers.scripted import Refuse

DATES = ("01-Jan-2020", "31-Dec-2023", "01-Jan-2024", "30-Jun-2024", "31-Dec-2024")
SIZES = (300, 1000, 2000, 20_000, 300_000)
FLAGS = (["\\Flagged"], ["Project-X", "\\Seen"], [], ["project-x"], ["\\Draft"])


def octets_of(number: int) -> bytes:
    return letter(number, size=SIZES[number])


def fill(server) -> None:
    """Five messages, each older, smaller or otherwise marked than the next."""
    if isinstance(server, Account):
        days = [datetime.strptime(f"{day} +0000", "%d-%b-%Y %z").astimezone(UTC) for day in DATES]
        flags = [
            [flag.replace("project", "Project").replace("-x", "-X") for flag in f] for f in FLAGS
        ]
        server.populate({"INBOX": [(octets_of(n), flags[n], days[n]) for n in range(5)]})
        return
    for number, day in enumerate(DATES):
        date = f'"{day} 12:00:00 +0000"'
        server.mailbox("INBOX").add(octets_of(number), FLAGS[number], date)


FILTERS = {
    "since-date": (("--since-date", "2024-01-01"), {3, 4, 5}),
    "before-date": (("--before-date", "2024-01-01"), {1, 2}),
    "min-size": (("--min-size", "3k"), {4, 5}),
    "max-size": (("--max-size", "20000"), {1, 2, 3}),
    "keyword": (("--keyword", "PROJECT-X"), {2, 4}),
}


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_filter_leaves_out_and_says_so(scripted, root, name, kind) -> None:
    scripted.capabilities = list(KINDS[kind])
    fill(scripted)
    words, wanted = FILTERS[name]
    if name == "max-size":
        wanted = {n + 1 for n in range(5) if len(octets_of(n)) <= 20_000}
    ran = export(scripted, root, *words, "--json")
    assert ran.code == 0
    assert set(map(int, ran.uids())) == wanted
    left = sorted({1, 2, 3, 4, 5} - wanted)
    (skipped,) = ran.folders["INBOX"]["skipped"]
    assert (skipped["reason"], skipped["count"]) == (name, len(left))
    assert {int(uid) for uid in expand(skipped["uids"])} == set(left)
    assert ran.report["totals"]["skipped"] == len(left)
    assert ran.there.headers["INBOX"]["comment"]
    assert ran.there.archive["dataset"]["extent"] == "FULL"
    assert ran.there.manifest["selection"]
    assert scripted.bodies == len(wanted), "what is left out is not fetched"
    said = command("info", root, root=root)
    assert f"left out by --{name}" in said.out
    before = stamps(root)
    assert export(scripted, root, *words).code == 0
    assert stamps(root) == before


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("server", ["mailbox", "cyrus_mailbox"])
def test_a_filter_on_real_servers(request, root, server, name) -> None:
    account = request.getfixturevalue(server)
    fill(account)
    words, wanted = FILTERS[name]
    if name == "max-size":
        wanted = {n + 1 for n in range(5) if len(octets_of(n)) <= 20_000}
    ran = export(account, root, *words)
    assert ran.code == 0
    assert set(map(int, ran.uids())) == wanted
    (skipped,) = ran.folders["INBOX"]["skipped"]
    assert (skipped["reason"], skipped["count"]) == (name, 5 - len(wanted))


def expand(uids: str) -> list[int]:
    found = []
    for part in uids.split(","):
        low, _, high = part.partition(":")
        found += range(int(low), int(high or low) + 1)
    return found


def test_what_a_filter_takes_later_is_fetched_later(scripted, root) -> None:
    fill(scripted)
    words = ["--keyword", "$flagged"]
    assert export(scripted, root, *words).uids() == ["1"]
    scripted.mailbox("INBOX").set_flags(3, ["\\Flagged"])
    ran = export(scripted, root, *words)
    assert ran.code == 0
    assert ran.uids() == ["1", "3"]


# --- folders --------------------------------------------------------------------------------------

TREE = {
    "Work": (), "Work/2023": (), "Work/2024": (), "Workshop": (), "Sent": ("\\Sent",),
    "Spam": ("\\Junk",), "[Gmail]/All Mail": ("\\All",), "Ärger": (),
}  # fmt: skip


def fill_tree(scripted) -> None:
    scripted.mailbox("INBOX").add(letter(0), email_id="A0")
    for number, (name, attributes) in enumerate(TREE.items(), 1):
        mailbox = scripted.add_mailbox(name, attributes=attributes)
        mailbox.add(letter(number), email_id=f"A{number}")


CHOICES = [
    (("--folder", "Work"), {"Work", "Work/2023", "Work/2024"}),
    (("--folder", "Work/*"), {"Work/2023", "Work/2024"}),
    (("--folder", "Work*"), {"Work", "Work/2023", "Work/2024", "Workshop"}),
    (("--folder", "inbox"), {"INBOX"}),
    (("--folder", "[Gmail]/All Mail"), {"[Gmail]/All Mail"}),
    (("--folder", "A\u0308rger"), {"Ärger"}),
    (("--exclude", "Work", "--exclude", "[Gmail]"), {"INBOX", "Workshop", "Sent", "Spam", "Ärger"}),
    (("--role", "sent"), {"Sent"}),
    (
        ("--role", "junk", "--folder", "Work", "--exclude", "Work/2023"),
        {"Spam", "Work", "Work/2024"},
    ),
    (("--role", "inbox"), {"INBOX"}),
]


@pytest.mark.parametrize(("words", "wanted"), CHOICES)
def test_folders_are_chosen(scripted, root, words, wanted) -> None:
    fill_tree(scripted)
    ran = export(scripted, root, *words)
    assert ran.code == 0
    assert set(ran.folders) == wanted
    assert {path for path, items in ran.there.items.items() if items} == wanted
    opened = {line for line in scripted.commands if line.startswith("EXAMINE")}
    assert len(opened) == len(wanted), "a folder that is not wanted is not opened"


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("words", [("--folder", "Wrok"), ("--folder", "work")])
def test_a_folder_that_is_not_there_ends_with_2(scripted, root, words, there) -> None:
    fill_tree(scripted)
    if there:
        export(scripted, root, "--folder", "Work")
    before = stamps(root)
    words = [*words, *(["--change-selection"] if there else [])]
    said = export(scripted, root, *words, "--progress", "none").refused(2)
    assert words[1] in said.err
    assert stamps(root) == before
    assert root.exists() == there


def test_a_folder_of_the_selection_that_is_gone_later_is_no_mistake(scripted, root) -> None:
    """The nightly run of an archive whose folder was deleted goes on."""
    fill_tree(scripted)
    words = ["--folder", "Work", "--folder", "Ärger"]
    assert export(scripted, root, *words).code == 0
    scripted.remove_mailbox("Ärger")
    scripted.mailbox("Work").add(letter(99), email_id="A99")
    ran = export(scripted, root, *words)
    assert ran.code == 0
    assert "no folder Ärger any more" in ran.err
    assert list(ran.octets("Work").values()) == [letter(1), letter(99)]
    assert [item.sha256 for item in ran.there.kept["Ärger"]], "what was had stays"


def test_another_selection_is_refused_or_recorded(scripted, root) -> None:
    fill_tree(scripted)
    first = export(scripted, root, "--folder", "Work")
    before = stamps(root)
    for words in ((), ("--folder", "Sent"), ("--folder", "Work", "--max-size", "1k")):
        said = export(scripted, root, *words).refused(14)
        assert "--change-selection" in said.err
        assert stamps(root) == before
    sent = scripted.bodies
    ran = export(scripted, root, "--change-selection")
    assert ran.code == 0
    assert set(ran.folders) == {"INBOX", *TREE}
    assert ran.there.manifest["selection"] == {}
    assert scripted.bodies - sent == len(TREE) + 1 - 3
    ran = export(scripted, root, "--folder", "Work", "--change-selection")
    assert ran.code == 0
    assert set(ran.folders) == {"Work", "Work/2023", "Work/2024"}
    for path in ran.folders:
        assert ran.there.items[path] == first.there.items[path]
    assert export(scripted, root, "--folder", "Work").code == 0


def test_a_wider_filter_fetches_what_was_left_out(scripted, root) -> None:
    fill(scripted)
    export(scripted, root, "--max-size", "1k")
    sent = scripted.bodies
    had = len(export(scripted, root, "--max-size", "1k").uids())
    ran = export(scripted, root, "--change-selection")
    assert ran.code == 0
    assert len(ran.uids()) == 5
    assert ran.folders["INBOX"]["skipped"] == []
    assert "comment" not in ran.there.headers["INBOX"]
    assert scripted.bodies - sent == 5 - had


# --- namespaces -----------------------------------------------------------------------------------


def fill_namespaces(scripted) -> None:
    scripted.namespaces = '(("" "/")) (("user/" "/")) (("shared/" "/"))'
    scripted.mailbox("INBOX").add(letter(0), email_id="N0")
    for number, name in enumerate(("Work", "user/joe", "user/joe/Sent", "shared/Team"), 1):
        scripted.add_mailbox(name).add(letter(number), email_id=f"N{number}")


def test_what_others_share_is_left_out_and_counted(scripted, root) -> None:
    fill_namespaces(scripted)
    ran = export(scripted, root)
    assert ran.code == 0
    assert set(ran.folders) == {"INBOX", "Work"}
    spaces = ran.there.manifest["source"]["namespaces"]
    assert spaces["folders_left_out"] == 3
    assert spaces["other"] == [{"prefix": "user/", "delimiter": "/"}]
    ran = export(scripted, root, "--namespace", "all", "--change-selection")
    assert ran.code == 0
    assert set(ran.folders) == {"INBOX", "Work", "user/joe", "user/joe/Sent", "shared/Team"}
    assert ran.there.manifest["source"]["namespaces"]["folders_left_out"] == 0
    assert ran.there.manifest["selection"] == {"namespace": "all"}


def shared_is_down(scripted, text: str = "[SERVERBUG] shared backend down"):
    """``*`` names what is the account's own, the others' namespace is refused."""

    def answer(event) -> bool:
        if '"shared/' in event.line:
            raise Refuse(text)
        if '"*"' in event.line:
            event.untagged('LIST () "/" INBOX')
            event.untagged('LIST () "/" Work')
            event.tagged("OK", "done")
            return True
        return False

    return scripted.on("LIST", answer)


@pytest.mark.parametrize("kind", KINDS)
def test_a_namespace_that_is_refused_is_not_taken_for_gone(scripted, root, kind) -> None:
    fill_namespaces(scripted)
    scripted.capabilities = ["NAMESPACE", *KINDS[kind]]
    words = ("--namespace", "all", "--mirror")
    assert export(scripted, root, *words).code == 0
    before = stamps(root / "mail")
    hook = shared_is_down(scripted)
    scripted.mailbox("Work").add(letter(9), email_id="N9")
    ran = export(scripted, root, *words)
    assert ran.code == 3
    assert "shared backend down" in ran.out
    assert {path for path, entry in ran.folders.items() if "error" in entry} == {
        "shared", "shared/Team",
    }  # fmt: skip
    assert ran.folders["shared/Team"]["error"]["code"] == "not-listed"
    assert ran.folders["shared/Team"]["archived"] == 1
    assert ran.uids("Work") == ["1", "2"], "the others go on"
    after = stamps(root / "mail")
    assert {path: after.get(path) for path in before if path[:4] == "shar"} == {
        path: stamp for path, stamp in before.items() if path[:4] == "shar"
    }
    left_out = ("--exclude", "shared", "--change-selection")
    personal = export(scripted, root.with_name("personal"))
    assert personal.code == 0, "nobody asked for it"
    assert set(personal.folders) == {"INBOX", "Work"}
    assert export(scripted, root.with_name("without"), *words, *left_out).code == 0
    hook.off()
    ran = export(scripted, root, *words)
    assert ran.code == 0
    assert set(ran.folders) == {"INBOX", "Work", "user/joe", "user/joe/Sent", "shared/Team"}
    assert ran.uids("shared/Team") == ["1"]
    assert "portarchive:gone_at" not in ran.there.headers["shared"]


@pytest.mark.parametrize("mirror", [True, False])
def test_a_pattern_that_may_be_about_a_refused_namespace(scripted, root, mirror) -> None:
    """It names the folders below it, not its root: they are not gone all the same."""
    fill_namespaces(scripted)
    scripted.add_mailbox("shared/xenia").add(letter(7), email_id="N7")
    words = ["--namespace", "all", "--folder", "shared/x*", "--folder", "Work"]
    words += ["--mirror"] * mirror
    assert export(scripted, root, *words).code == 0
    before = stamps(root / "mail/shared")
    hook = shared_is_down(scripted)
    for _ in range(2):
        ran = export(scripted, root, *words)
        assert ran.code == 3
        assert {path for path, entry in ran.folders.items() if "error" in entry} == {
            "shared", "shared/xenia",
        }  # fmt: skip
        assert stamps(root / "mail/shared") == before
    others = export(scripted, root.with_name("w"), "--namespace", "all", "--folder", "W*")
    assert others.code == 0, "no such pattern names anything of it"
    hook.off()
    scripted.remove_mailbox("shared/xenia")
    ran = export(scripted, root, *words)
    assert "portarchive:gone_at" in ran.there.headers["shared/xenia"], "now it is known"


def test_a_refused_namespace_at_the_first_run(scripted, root) -> None:
    fill_namespaces(scripted)
    hook = shared_is_down(scripted, "[UNAVAILABLE] shared backend down")
    words = ["--namespace", "all", "--folder", "shared/T*"]
    dry = export(scripted, root, *words, "--dry-run")
    assert dry.code == 3
    assert "shared backend down" in dry.out
    ran = export(scripted, root, *words)
    assert ran.code == 3
    assert list(ran.folders) == ["shared"]
    hook.off()
    ran = export(scripted, root, *words)
    assert ran.code == 0
    assert list(ran.folders) == ["shared/Team"]


def test_users_of_a_refused_namespace_without_a_delimiter(scripted, root) -> None:
    """RFC 2342 §5: the prefix ``~`` makes ``~joe`` of joe."""
    scripted.namespaces = '(("" "/")) (("~" "/")) NIL'
    scripted.add_mailbox("~joe/Sent").add(letter(1), email_id="N1")
    words = ["--namespace", "all", "--mirror"]
    assert export(scripted, root, *words).code == 0

    def answer(event) -> bool:
        if '"~' in event.line:
            raise Refuse("[SERVERBUG] down")
        event.untagged('LIST () "/" INBOX')
        event.tagged("OK", "done")
        return True

    scripted.on("LIST", answer)
    ran = export(scripted, root, *words)
    assert ran.code == 3
    assert ran.uids("~joe/Sent") == ["1"]
    assert "portarchive:gone_at" not in ran.there.headers["~joe/Sent"]


def test_what_was_had_of_a_namespace_before_a_crash_is_published(scripted, root) -> None:
    fill_namespaces(scripted)
    scripted.add_mailbox("shared/Zoo").add(letter(8), email_id="N8")
    words = ["--namespace", "all", "--max-wait", "0"]

    def throttle(_) -> None:
        raise Refuse("Request is throttled. Suggested Backoff Time: 900000 milliseconds")

    zoo = scripted.mailbox("shared/Zoo")
    broken = scripted.on("UID FETCH", throttle, when=lambda e: e.wants_body and e.mailbox is zoo)
    assert export(scripted, root, *words).code == 12
    broken.off()
    shared_is_down(scripted)
    ran = export(scripted, root, *words)
    assert ran.code == 3
    assert ran.uids("shared/Team") == ["1"]
    assert ran.folders["shared/Team"]["error"]["code"] == "not-listed"


def test_a_namespace_that_asks_for_patience(scripted, root) -> None:
    fill_namespaces(scripted)
    shared_is_down(scripted, "Request is throttled. Suggested Backoff Time: 90000 milliseconds")
    ran = export(scripted, root, "--namespace", "all", "--max-wait", "0")
    assert ran.code == 12
    assert "throttled" in ran.err


@pytest.mark.parametrize("kind", KINDS)
def test_a_listing_without_any_mailbox_is_not_believed(scripted, root, kind) -> None:
    fill_namespaces(scripted)
    scripted.capabilities = list(KINDS[kind])
    assert export(scripted, root, "--mirror").code == 0
    before = stamps(root)

    def nothing(event) -> bool:
        event.tagged("OK", "done")
        return True

    scripted.on("LIST", nothing)
    ran = export(scripted, root, "--mirror", "--max-wait", "0")
    assert ran.code == 12
    assert "not even an INBOX" in ran.err
    assert stamps(root) == before


def test_namespaces_of_cyrus(cyrus_mailbox, real_cyrus, root) -> None:
    other = real_cyrus.account("lender")
    other.append("Lent", letter(7))
    with other.connect() as client:
        (line,) = client.namespace()[1]
        assert client.setacl('"Lent"', cyrus_mailbox.user, "lrs")[0] == "OK"
    assert line
    cyrus_mailbox.append("Own", letter(1))
    ran = export(cyrus_mailbox, root)
    assert ran.code == 0
    assert set(ran.folders) >= {"INBOX", "Own"}
    assert not any("Lent" in path for path in ran.folders)
    assert ran.there.manifest["source"]["namespaces"]["folders_left_out"] >= 1
    ran = export(cyrus_mailbox, root, "--namespace", "all", "--change-selection")
    assert ran.code == 0
    (lent,) = [path for path in ran.folders if path.endswith("Lent")]
    assert list(ran.octets(lent).values()) == [letter(7)]
    assert next(iter(other.messages("Lent").values())).flags == ()


# --- what writes nothing --------------------------------------------------------------------------


@pytest.mark.parametrize("words", [(), ("--max-size", "1k"), ("--json",), ("--connections", "3")])
def test_a_dry_run_writes_nothing(scripted, root, words) -> None:
    fill(scripted)
    said = export(scripted, root, "--dry-run", *words)
    assert said.code == 0
    assert not root.exists()
    assert list(root.parent.iterdir()) == []
    assert scripted.bodies == 0
    if "--json" in words:
        REPORT.validate(said.report)
        assert said.report["dry_run"] is True


def test_a_dry_run_of_an_update_writes_nothing_and_is_right(scripted, root) -> None:
    fill(scripted)
    export(scripted, root)
    before, sent = stamps(root), scripted.bodies
    scripted.mailbox("INBOX").expunge(1)
    scripted.mailbox("INBOX").add(letter(9), email_id="E9")
    said = export(scripted, root, "--dry-run", "--json")
    assert said.code == 0
    (entry,) = said.report["folders"]
    assert (entry["to_fetch"], entry["to_fetch_octets"]) == (1, len(letter(9)))
    assert stamps(root) == before
    assert scripted.bodies == sent
    assert export(scripted, root).code == 0
    assert scripted.bodies - sent == 1


def test_a_dry_run_of_an_unfinished_export_writes_nothing(scripted, root) -> None:
    scripted.add_mailbox("Last").add(letter(50), email_id="L50")
    fill(scripted)
    hook = scripted.on(
        "EXAMINE", lambda event: event.bye("down"), when=lambda e: e.args[0] == b"Last"
    )
    away = scripted.on("*", lambda event: event.bye("down"), when=lambda _: hook.hits > 0)
    assert export(scripted, root, "--max-wait", "0").code == 12
    hook.off()
    away.off()
    before = stamps(root)
    said = export(scripted, root, "--dry-run", "--json")
    assert said.code == 0
    assert stamps(root) == before
    assert comparable(export(scripted, root).there)["INBOX"]


@pytest.mark.parametrize("words", [(), ("--json",), ("--folder", "INBOX"), ("-v",)])
def test_a_check_writes_nothing(scripted, root, words, monkeypatch) -> None:
    fill(scripted)
    root.parent.mkdir(exist_ok=True)
    monkeypatch.chdir(root.parent)
    said = export(scripted, root, "--check", *words)
    assert said.code == 0
    assert list(root.parent.iterdir()) == []
    assert scripted.bodies == 0
    assert not scripted.said("EXAMINE")
    if "--json" in words:
        REPORT.validate(json.loads(said.out))
        assert json.loads(said.out)["messages"] == 5
