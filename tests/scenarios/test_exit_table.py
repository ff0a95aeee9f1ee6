"""Every published exit code by a real run, in more ways than one: a table of how runs end.

What the command line itself refuses is in ``tests/cli/test_exit_codes.py``.
"""

from __future__ import annotations

import json
import re
import shutil
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from running import KINDS, PASSWORD, Ran, command, export, letter, stamps

import archive_facts
from portarchive.errors import ExitCode
from servers import scripted_faults as faults
from servers.scripted import Drop, Refuse, ScriptedServer

HURRY = ("--max-wait", "0")


def fill(scripted, count: int = 30) -> None:
    scripted.mailbox("INBOX")
    for name in ("INBOX", "Work"):
        mailbox = scripted.mailbox("INBOX") if name == "INBOX" else scripted.add_mailbox(name)
        for number in range(count):
            mailbox.add(letter(number, text=name.encode()), email_id=f"{name}{number}")


# --- 0 --------------------------------------------------------------------------------------------


def an_empty_account(scripted, root) -> Ran:
    return export(scripted, root)


def only_a_parent(scripted, root) -> Ran:
    scripted.mailboxes.clear()
    scripted.add_mailbox("Parent", attributes=[r"\NoSelect"])
    return export(scripted, root)


def no_mailbox_at_all(scripted, root) -> Ran:
    scripted.mailboxes.clear()
    return export(scripted, root, *HURRY)


def expunged_while_we_look(scripted, root) -> Ran:
    fill(scripted)
    faults.expunge_during(scripted, "INBOX", {20, 25}, after=2)
    return export(scripted, root)


def arrivals_while_we_look(scripted, root) -> Ran:
    fill(scripted)
    faults.arrive_during(scripted, "INBOX", [letter(900), letter(901)], after=5)
    ran = export(scripted, root)
    assert len(ran.uids()) == 32
    return ran


def a_drop_that_heals(scripted, root) -> Ran:
    fill(scripted)
    faults.drop_after(scripted, 10)
    return export(scripted, root)


def a_batch_limit(scripted, root) -> Ran:
    fill(scripted)
    faults.batch_limit(scripted, 4)
    return export(scripted, root)


def a_restart_of_the_server(scripted, root) -> Ran:
    """Away, refusing connections, for more than a second in the middle."""
    fill(scripted, 400)
    port = scripted.port

    def restart(_) -> None:
        scripted._listener.shutdown(socket.SHUT_RDWR)
        scripted._listener.close()

        def again() -> None:
            time.sleep(1.2)
            scripted._listener = socket.create_server(("127.0.0.1", port), backlog=64)
            scripted._acceptor = threading.Thread(target=scripted._accept, daemon=True)
            scripted._acceptor.start()

        threading.Thread(target=again, daemon=True).start()
        raise Drop

    scripted.on_message(restart, times=1).when = lambda _: scripted.bodies >= 300
    return export(scripted, root, "--max-wait", "3")


# --- 2 --------------------------------------------------------------------------------------------


def an_account_without_the_role(scripted, root) -> Ran:
    fill(scripted)
    return export(scripted, root, "--role", "archive")


def dates_that_exclude_each_other(scripted, root) -> Ran:
    return export(scripted, root, "--since-date", "2024-02-30")


# --- 3 --------------------------------------------------------------------------------------------


def a_placeholder(scripted, root) -> Ran:
    fill(scripted)
    faults.placeholder(scripted, "INBOX", {3})
    return export(scripted, root)


def no_data(scripted, root) -> Ran:
    fill(scripted)
    faults.no_data(scripted, "INBOX", {3})
    return export(scripted, root)


def nil(scripted, root) -> Ran:
    fill(scripted)
    scripted.mailbox("INBOX").mails[3].octets = None
    return export(scripted, root)


def a_refused_message(scripted, root) -> Ran:
    fill(scripted)
    faults.refuse_uids(scripted, "INBOX", {3})
    return export(scripted, root)


def a_message_always_cut(scripted, root) -> Ran:
    fill(scripted)
    cut = faults.drop_after(scripted, 0, in_literal=5, times=None)
    of_texts = cut.when
    cut.when = lambda delivery: of_texts(delivery) and delivery.mail.uid == 3
    return export(scripted, root, *HURRY)


def a_refused_folder(scripted, root) -> Ran:
    fill(scripted)
    faults.examine_no(scripted, "Work")
    return export(scripted, root)


def a_mirror_that_would_empty(scripted, root) -> Ran:
    fill(scripted)
    export(scripted, root, "--mirror")
    scripted.mailbox("Work").expunge(*range(1, 31))
    return export(scripted, root, "--mirror")


# --- 11 -------------------------------------------------------------------------------------------


def no_mechanism(scripted, root) -> Ran:
    scripted.mechanisms = ["GSSAPI"]
    scripted.capabilities = ["IMAP4rev1", "LOGINDISABLED"]
    return export(scripted, root)


def a_login_refused_after_a_drop(scripted, root) -> Ran:
    fill(scripted)
    drop = faults.drop_after(scripted, 10)

    def refuse(_) -> None:
        raise Refuse("[AUTHENTICATIONFAILED] changed in between")

    scripted.on("AUTHENTICATE", refuse, when=lambda _: drop.hits > 0)
    return export(scripted, root, *HURRY)


# --- 12 -------------------------------------------------------------------------------------------


def a_goodbye_at_once(scripted, root) -> Ran:
    scripted.greeting = b"* BYE overloaded\r\n"
    return export(scripted, root, *HURRY)


def a_greeting_that_is_none(scripted, root) -> Ran:
    scripted.greeting = b"220 smtp.example.org ESMTP\r\n"
    return export(scripted, root)


def a_goodbye_for_ever(scripted, root) -> Ran:
    fill(scripted)
    for number in range(10):  # two broken folders would be two failures, and exit code 3
        scripted.add_mailbox(f"More {number}").add(letter(number), email_id=f"More{number}")
    scripted.on("UID FETCH", lambda event: event.bye("Internal error"))
    scripted.on("UID SEARCH", lambda event: event.bye("Internal error"))
    return export(scripted, root, *HURRY)


def a_list_that_is_refused(scripted, root) -> Ran:
    def refuse(_) -> None:
        raise Refuse("[SERVERBUG] no list today")

    scripted.on("LIST", refuse)
    return export(scripted, root)


def silence_at_the_login(scripted, root) -> Ran:
    gone = threading.Event()
    scripted.on("AUTHENTICATE", lambda _: gone.wait(60))
    ran = export(scripted, root, "--timeout", "1", *HURRY)
    gone.set()
    return ran


def silence_in_the_middle(scripted, root) -> Ran:
    fill(scripted)
    gone = threading.Event()
    scripted.on("UID FETCH", lambda _: gone.wait(60), when=lambda event: event.wants_body)
    scripted.on("AUTHENTICATE", lambda event: event.bye("x"), when=lambda e: e.session.number > 1)
    ran = export(scripted, root, "--timeout", "1", *HURRY)
    gone.set()
    return ran


def a_throttle_beyond_patience(scripted, root) -> Ran:
    fill(scripted)
    faults.throttle(scripted, milliseconds=600_000, times=None)
    return export(scripted, root, "--max-wait", "5")


# --- 14 -------------------------------------------------------------------------------------------


def interrupted(scripted, root, *words: str) -> None:
    """An unfinished export: the server went away for good."""
    fill(scripted)
    scripted.mailbox("Work").counted = False  # looked at alone, when the others are here
    away = scripted.on("EXAMINE", lambda e: e.bye("x"), when=lambda e: e.args[0] == b"Work")
    also = scripted.on("*", lambda e: e.bye("x"), when=lambda _: away.hits > 0)
    assert export(scripted, root, *HURRY, *words).code == 12
    away.off()
    also.off()
    assert (root / ".portarchive/journal").exists()


def another_account_resumes(scripted, root) -> Ran:
    interrupted(scripted, root)
    return export(scripted, root, user="joe")


def another_host_resumes(scripted, root) -> Ran:
    interrupted(scripted, root)
    return export(f"imap://jane@127.0.0.1:{scripted.port}?tls=none", root)


def another_selection_resumes(scripted, root) -> Ran:
    interrupted(scripted, root)
    return export(scripted, root, "--folder", "INBOX")


def another_server(scripted, root) -> Ran:
    fill(scripted)
    export(scripted, root)
    with ScriptedServer() as other:
        other.password = PASSWORD
        other.host = "127.0.0.1"
        return export(other, root)


def a_file_in_the_way(scripted, root) -> Ran:
    root.mkdir()
    (root / "mail").write_text("mine")
    return export(scripted, root)


# --- 16 -------------------------------------------------------------------------------------------


def damaged(scripted, root: Path, change: Callable[[Path], None]) -> Ran:
    fill(scripted)
    export(scripted, root)
    change(root)
    before = stamps(root)
    scripted.mailbox("INBOX").add(letter(99), email_id="New99")
    ran = export(scripted, root)
    assert stamps(root) == before, "nothing was changed"
    assert command("info", root, root=root).code == 16
    return ran


def a_manifest_that_was_edited(scripted, root) -> Ran:
    def edit(root: Path) -> None:
        path = root / "manifest.json"
        path.write_bytes(path.read_bytes().replace(b'"complete":true', b'"complete":false'))

    return damaged(scripted, root, edit)


def a_manifest_that_is_gone(scripted, root) -> Ran:
    return damaged(scripted, root, lambda root: (root / "manifest.json").unlink())


def an_archive_json_cut_short(scripted, root) -> Ran:
    def cut(root: Path) -> None:
        path = root / "archive.json"
        path.write_bytes(path.read_bytes()[:100])

    return damaged(scripted, root, cut)


TABLE: dict[ExitCode, list[Callable]] = {
    ExitCode.OK: [
        an_empty_account, only_a_parent, expunged_while_we_look,
        arrivals_while_we_look, a_drop_that_heals, a_batch_limit, a_restart_of_the_server,
    ],
    ExitCode.USAGE: [an_account_without_the_role, dates_that_exclude_each_other],
    ExitCode.INCOMPLETE: [
        a_placeholder, no_data, nil, a_refused_message, a_message_always_cut, a_refused_folder,
        a_mirror_that_would_empty,
    ],
    ExitCode.LOGIN_REFUSED: [no_mechanism, a_login_refused_after_a_drop],
    ExitCode.UNREACHABLE: [
        no_mailbox_at_all, a_goodbye_at_once, a_greeting_that_is_none, a_goodbye_for_ever,
        a_list_that_is_refused, silence_at_the_login, silence_in_the_middle,
        a_throttle_beyond_patience,
    ],
    ExitCode.REFUSED: [
        another_account_resumes, another_host_resumes, another_selection_resumes, another_server,
        a_file_in_the_way,
    ],
    ExitCode.UNFINISHED: [
        a_manifest_that_was_edited, a_manifest_that_is_gone, an_archive_json_cut_short,
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("code", "how"), [(code, how) for code, hows in TABLE.items() for how in hows],
    ids=lambda value: value.__name__ if callable(value) else str(int(value)),
)  # fmt: skip
def test_how_a_run_ends(scripted, root, code, how) -> None:
    ran = how(scripted, root)
    assert ran.code == code, (ran.out, ran.err)
    if code not in {ExitCode.OK, ExitCode.INCOMPLETE}:
        ran.refused(int(code))
    elif code == ExitCode.INCOMPLETE:
        assert "INCOMPLETE" in ran.out
        assert ran.there.manifest["complete"] is False


@pytest.mark.parametrize("how", [interrupted])
def test_what_was_refused_can_be_resumed_by_its_own_command(scripted, root, how) -> None:
    how(scripted, root)
    before = archive_facts.files(root, private=True)
    for words, user in ((("--folder", "INBOX"), "jane"), ((), "joe")):
        assert export(scripted, root, *words, user=user).code == 14
        after = archive_facts.files(root, private=True)
        assert {k: v for k, v in after.items() if "lock" not in k} == {
            k: v for k, v in before.items() if "lock" not in k
        }
    assert export(scripted, root).code == 0


def test_errors_for_programs_have_stable_codes(scripted, root) -> None:
    fill(scripted)
    cases = {
        "no-such-folder": ("--folder", "Wrok"),
        "usage": ("--since-date", "yesterday"),
    }
    for code, words in cases.items():
        said = export(scripted, root, "--json", *words)
        error = json.loads(said.err.splitlines()[-1])
        assert (error["code"], said.code) == (code, 2)
        assert error["hint"]
    assert not root.exists()
    export(scripted, root)
    said = export(scripted, root, "--json", "--folder", "Work")
    assert json.loads(said.err.splitlines()[-1])["code"] == "other-selection"


def test_the_readme_and_this_table_know_the_same_codes() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    listed = readme.split("Exit codes:\n")[1].split("```")[0]
    codes = {int(found) for found in re.findall(r"^\s+(\d+)\s", listed, re.MULTILINE)}
    assert {int(code) for code in TABLE} <= codes


# --- messages that vanish and arrive: the ledger --------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_what_vanishes_meanwhile_is_counted_as_vanished(scripted, root, kind) -> None:
    scripted.capabilities = list(KINDS[kind])
    fill(scripted)
    gone = {5, 6, 29}
    inbox = scripted.mailbox("INBOX")
    scripted.on(
        "UID FETCH", lambda _: inbox.expunge(*gone), when=lambda event: event.wants_body, times=1
    )
    ran = export(scripted, root)
    assert ran.code == 0
    entry = ran.folders["INBOX"]
    assert (entry["listed"], entry["archived"], entry["vanished"]["count"]) == (30, 27, 3)
    assert entry["vanished"]["uids"] == "5:6,29"
    again = export(scripted, root)
    assert again.code == 0
    assert again.folders["INBOX"]["listed"] == 27
    shutil.rmtree(root)
