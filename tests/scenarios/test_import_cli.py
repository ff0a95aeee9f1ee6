"""``import``, ``migrate`` and ``diff`` as people type them: exit codes, plans, subsets, secrets."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import replaying
import running
from holding import Goal, ImapGoal, MboxGoal
from replaying import Letter, bring, difference, made_archive, moment, run
from running import BEYOND_ASCII, PASSWORD, WRONG, Ran

from portarchive.connectors.imap import ImapSettings, open_target
from portarchive.jobs.replay.target_lock import TargetLock
from servers.daemon import Account
from servers.scripted import ScriptedServer

DAY = datetime(2024, 3, 1, 8, 0, tzinfo=UTC)


def mail(number: int, body: bytes = b"x") -> bytes:
    return b"Message-ID: <%d@example.org>\r\nSubject: %d\r\n\r\n%s\r\n" % (number, number, body)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def goal(goals: Callable[[str], Goal]) -> ImapGoal:
    found = goals("dovecot")
    assert isinstance(found, ImapGoal)
    found.account.create("Sent")
    return found


@pytest.fixture
def archive(root: Path) -> Path:
    """Ten messages in three folders, two of them marked as deleted, one with odd keywords."""
    made_archive(
        root,
        {
            "INBOX": [Letter(mail(n), ("$seen",), moment(n)) for n in range(4)]
            + [Letter(mail(4), ("\\Deleted", "$seen"), moment(4))],
            "Sent Mail": [Letter(mail(n), ("$seen",), moment(n)) for n in range(5, 7)],
            "Sent Mail/2019": [Letter(mail(7), ("$istrusted", "$new", "$Forwarded"), moment(7))],
            "Odd": [Letter(mail(8), ("$Junk", "\\Deleted"), moment(8)), Letter(b"", (), moment(9))],
        },
        {"Sent Mail": {"special_use": "\\Sent"}},
    )
    return root


def numbers(goal: Goal) -> dict[str, list[int]]:
    """The messages of each mailbox that has any."""
    return {
        name: sorted(int(held.octets.split(b"<")[1].split(b"@")[0]) for held in found)
        for name, found in goal.contents().items()
        if found
    }


ALL = {"INBOX": [0, 1, 2, 3], "Sent": [5, 6], "Sent/2019": [7], "Trash": [4, 8]}

# --- exit codes ---------------------------------------------------------------------------------


def test_what_a_run_says_and_how_it_ends(archive: Path, goal: ImapGoal, state: Path) -> None:
    """3 while something is missing and named, 0 without it, 0 again with nothing to do."""
    said = run("import", archive, goal.url, state=state, password=goal.password)
    assert said.code == 3
    assert "INCOMPLETE" in said.out
    assert "mail/Odd/00002.eml" in said.out
    assert "Sent Mail: goes to Sent, which has the role sent" in said.out
    assert "$istrusted not set on 1 message" in said.out
    assert "2 marked as deleted go to the trash" in said.out
    assert numbers(goal) == ALL
    said = run("import", archive, goal.url, "--exclude", "Odd", state=state, password=goal.password)
    assert said.code == 0
    assert "complete: 8 messages of the archive accounted for" in said.out
    assert "0 placed" in said.out
    assert numbers(goal) == ALL


@pytest.mark.parametrize(
    ("words", "code", "clue"),
    [
        (["--deleted", "burn"], 2, "--deleted"),
        (["--labels", "some"], 2, "--labels"),
        (["--verify", "never"], 2, "--verify"),
        (["--into", "//"], 2, "--into holds no folder name"),
        (["--into", "a\nb"], 2, "--into holds a control character"),
        (["--drop-keyword", "a b"], 2, "--drop-keyword is no keyword"),
        (["--keep-keyword", "(x"], 2, "--keep-keyword is no keyword"),
        (["--select", "@nowhere"], 2, "--select"),
        (["--folder", "Nowhere"], 2, "Nowhere"),
        (["--mbox-status"], 2, "--mbox-status"),
        (["--keep-keyword", "$new", "--drop-keyword", "$NEW"], 2, "keyword"),
        (["--connections", "0"], 2, "--connections"),
        (["--max-size", "much"], 2, "--max-size"),
    ],
)
def test_usage(
    archive: Path, goal: ImapGoal, state: Path, words: list[str], code: int, clue: str
) -> None:
    said = run("import", archive, goal.url, *words, state=state, password=goal.password)
    assert clue in said.refused(code).err
    assert numbers(goal) == {}


def test_targets_that_are_none(archive: Path, goal: ImapGoal, state: Path, tmp_path: Path) -> None:
    secret = goal.url.replace("://", "://jane:pl4nted@", 1)
    for target in (secret, "imaps://", "nothing", "ftp://jane@localhost", str(tmp_path)):
        run("import", archive, target, state=state).refused(2)
    run("import", tmp_path / "nothing", goal.url, state=state).refused(10)
    run("import", archive, goal.url, state=state, password=WRONG).refused(11)
    run(
        "import", archive, "imap://jane@localhost:1?tls=none", "--max-wait", "0", state=state
    ).refused(12)
    (tmp_path / "file").write_text("a file")
    run("import", archive, f"maildir:{tmp_path}/file", state=state).refused(12)
    (archive / "archive.json").write_text("{")
    run("import", archive, goal.url, state=state, password=goal.password).refused(16)
    assert numbers(goal) == {}


def test_a_target_in_the_archive_and_the_other_way_round(
    archive: Path, state: Path, tmp_path: Path
) -> None:
    before = {path: path.read_bytes() for path in archive.rglob("*") if path.is_file()}
    link = tmp_path / "link"
    link.symlink_to(archive)
    for place in (archive, archive / "mail" / "x", link / "new", archive.parent):
        for scheme in ("maildir", "mbox"):
            said = run("import", archive, f"{scheme}:{place}", state=state).refused(14)
            assert "lies in" in said.err
    old, new = tmp_path / "old", tmp_path / "new"
    (old / "cur").mkdir(parents=True)
    for kept in (old / "archive", new / "archive", old):
        words = ("migrate", f"maildir:{old}", f"maildir:{new}", "--archive", kept)
        run(*words, state=state).refused(14)
    assert not new.exists()
    assert sorted(path.name for path in old.iterdir()) == ["cur"]
    after = {path: path.read_bytes() for path in archive.rglob("*") if path.is_file()}
    assert before == after


def test_plans_of_migrate_and_sides_that_are_not_there(state: Path, tmp_path: Path) -> None:
    old, new, kept = tmp_path / "old", tmp_path / "new", tmp_path / "kept"
    for name in ("cur", "new", "tmp"):
        (old / name).mkdir(parents=True)
    (old / "cur" / "1600000000.a:2,S").write_bytes(b"Message-ID: <a@x>\n\nhello\n")
    words = ("migrate", f"maildir:{old}", f"maildir:{new}", "--archive", kept)
    said = run(*words, "--dry-run", state=state)
    assert said.code == 0
    assert "the import can be planned when there is an archive" in said.out
    assert not new.exists()
    assert run("export", f"maildir:{old}", kept, state=state).code == 0
    said = run(*words, "--dry-run", state=state)
    assert said.code == 0
    assert "1 message, " in said.out
    assert "would be placed" in said.out
    assert not list(new.rglob("*"))
    said = run("diff", kept, f"maildir:{tmp_path}/none", state=state).refused(10)
    assert "there is nothing at" in said.err


class Secret:
    kind = "password"
    mechanism = None

    def __init__(self, text: str) -> None:
        self.text = text

    def reveal(self) -> str:
        return self.text


def test_two_imports_into_one_account(archive: Path, goal: ImapGoal, state: Path) -> None:
    """The second ends with 13 and changes nothing, whatever host and state directory are called."""
    bring(archive, goal, "--folder", "Sent Mail", state=state)
    before = goal.contents()
    server, user = goal.account.server, goal.account.user
    secret = Secret(goal.password)
    settings = ImapSettings(
        host="127.0.0.1", port=server.port, user=user, secret=secret, tls="none"
    )
    target = open_target(settings)
    with TargetLock(target, target.identity(), None) as held:
        assert held.sure
        assert "localhost" in goal.url
        for its in (state, None):
            said = run("import", archive, goal.url, state=its, password=goal.password)
            assert "another import into" in said.refused(13).err
        assert goal.contents() == before
        said = run("import", archive, goal.url, "--dry-run", state=state, password=goal.password)
        assert said.code == 0, "a plan takes no lock"
    target.close()
    assert bring(archive, goal, state=state, code=3)["totals"]["placed"] == 6
    assert numbers(goal) == ALL


def test_a_message_that_is_not_what_its_item_says(
    mailbox: Account, goal: ImapGoal, state: Path, root: Path
) -> None:
    """Damaged octets are not brought; the rest is."""
    mailbox.append_many("INBOX", [(mail(n), (), DAY) for n in range(5)])
    assert run("export", address(mailbox), root, "--no-fsync", state=None).code == 0
    victim = sorted((root / "mail" / "INBOX").glob("*.eml"))[2]
    victim.chmod(0o600)
    victim.write_bytes(victim.read_bytes().replace(b"Subject", b"Sabject"))
    report = bring(root, goal, state=state, code=3)
    (entry,) = report["folders"][0]["failed"]
    assert entry["code"] == "digest-mismatch"
    assert numbers(goal) == {"INBOX": [0, 1, 3, 4]}


def address(account: Account) -> str:
    return f"{account.url(tls=False)}?tls=none"


# --- the plan -----------------------------------------------------------------------------------


def test_a_dry_run_changes_nothing_and_tells_all(
    archive: Path, goal: ImapGoal, state: Path
) -> None:
    (archive / "mail" / "Odd" / "00001.eml").write_bytes(b"Subject: a\0b\r\n\r\nx\ny\r\n")
    words = ["import", archive, goal.url, "--dry-run"]
    before = goal.contents()
    said = run(*words, state=state, password=goal.password)
    assert said.code == 0
    for line in (
        "dry run, nothing was changed: 10 messages",
        "Sent Mail → Sent (by its role): 2 to place, 0 there already",
        "Sent Mail/2019 → Sent/2019 (new): 1 to place",
        "Odd → Odd (new): 2 to place",
        "1 message: nul",
        "1 message: empty",
        "$istrusted not set on 1 message: it is the old provider's word",
        "2 marked as deleted go to the trash",
    ):
        assert line in said.out, (line, said.out)
    report = bring(archive, goal, "--dry-run", state=state)
    assert report["totals"]["to_place"] == 10
    assert report["totals"]["placed"] == 0
    losses = {path["path"]: path["losses"] for path in report["folders"]}
    assert losses["Odd"] == {"bare-lf": 1, "empty": 1, "nul": 1}
    assert goal.contents() == before
    assert not state.exists()


def test_what_a_plan_says_comes_true(archive: Path, goal: ImapGoal, state: Path) -> None:
    planned = bring(archive, goal, "--dry-run", state=state)
    done = bring(archive, goal, state=state, code=3)
    for one, other in zip(planned["folders"], done["folders"], strict=True):
        for name in ("path", "target", "how", "created", "messages", "dropped", "notes"):
            assert one[name] == other[name], (one, other)
        assert one["to_place"] == other["placed"] + other["failed_count"]
    after = bring(archive, goal, "--dry-run", state=None)
    assert after["totals"]["to_place"] == 1


# --- subsets and policies -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--select", "2@example.org"], {"INBOX": [2]}),
        (["--select", "<2@example.org>", "--select", "INBOX:1"], {"INBOX": [0, 2]}),
        (["--select", "mail/Sent Mail/00001.eml"], {"Sent": [5]}),
        (["--folder", "Sent Mail"], ALL | {"INBOX": [], "Trash": []}),
        (["--role", "sent"], {"Sent": [5, 6]}),
        (["--folder", "INBOX", "--deleted", "skip"], {"INBOX": [0, 1, 2, 3]}),
        (["--folder", "INBOX", "--deleted", "keep"], {"INBOX": [0, 1, 2, 3, 4]}),
        (["--since-date", "2020-09-13", "--before-date", "2020-09-14", "--role", "inbox"],
         {"INBOX": [0, 1, 2, 3], "Trash": [4]}),
        (["--keyword", "$Forwarded"], {"Sent/2019": [7]}),
        (["--into", "Old/2020", "--exclude", "Odd", "--deleted", "skip"],
         {"Old/2020/INBOX": [0, 1, 2, 3], "Old/2020/Sent Mail": [5, 6],
          "Old/2020/Sent Mail/2019": [7]}),
    ],
)  # fmt: skip
def test_subsets(
    archive: Path, goal: ImapGoal, state: Path, words: list[str], expected: dict[str, list[int]]
) -> None:
    for _ in range(2):
        bring(archive, goal, *words, state=state, code=0)
        assert numbers(goal) == {name: some for name, some in expected.items() if some}


def test_a_file_of_messages(archive: Path, goal: ImapGoal, state: Path, tmp_path: Path) -> None:
    chosen = tmp_path / "chosen"
    chosen.write_text("<0@example.org>\n\n  Sent Mail:2\nmail/Sent Mail/2019/00001.eml\n")
    report = bring(archive, goal, "--select", f"@{chosen}", state=state)
    assert numbers(goal) == {"INBOX": [0], "Sent": [6], "Sent/2019": [7]}
    assert report["totals"]["skipped_by_reason"] == {"not-selected": 7}


def test_policies_for_keywords(archive: Path, goal: ImapGoal, state: Path) -> None:
    """The defaults, and each of them overridden."""
    words = ["--keep-keyword", "$ISTRUSTED", "--drop-keyword", "$forwarded", "--mark-imported"]
    report = bring(archive, goal, *words, "--exclude", "Odd", state=state)
    (held,) = goal.contents()["Sent/2019"]
    assert held.flags == {"$istrusted", "$imported"}
    dropped = {(e["keyword"], e["reason"]) for f in report["folders"] for e in f["dropped"]}
    assert dropped == {("$new", "announces-old-mail"), ("$Forwarded", "asked")}
    bring(archive, goal, "--folder", "Odd", "--hold-junk", state=state, code=3)
    assert [held.flags for held in goal.contents()["Trash"] if b"<8@" in held.octets] == [set()]


def labelled(root: Path) -> None:
    """One message with three labels, as an export of Gmail has it, and one with none."""
    made_archive(
        root,
        {
            "All Mail": [Letter(mail(1), (), moment(1)), Letter(mail(2), (), moment(2))],
            "INBOX": [Letter(mail(1), (), moment(1))],
            "Work": [Letter(mail(1), (), moment(1))],
        },
        {"All Mail": {"special_use": "\\All"}},
    )
    for path in ("All Mail", "INBOX", "Work"):
        file = root / "mail" / path / "folder.json"
        folder = json.loads(file.read_text())
        for item in folder["items"]:
            item["portarchive:email_id"] = (
                f"M{(root / 'mail' / path / item['filename']).read_bytes()[13:14]}"
            )
        file.write_text(json.dumps(folder))


def test_labels(root: Path, goals: Callable[[str], Goal], state: Path) -> None:
    labelled(root)
    copies, primary = goals("dovecot"), goals("dovecot")
    planned = run("import", root, copies.url, "--dry-run", state=state, password=copies.password)
    assert "2 messages of these are copies in a further folder" in planned.out
    bring(root, copies, state=state)
    assert numbers(copies) == {"INBOX": [1], "Work": [1], "All Mail": [1, 2]}
    report = bring(root, primary, "--labels", "primary", state=state)
    assert numbers(primary) == {"INBOX": [1], "All Mail": [2]}
    assert report["totals"]["skipped_by_reason"] == {"copy": 2}


def test_what_the_source_had_deleted(
    mailbox: Account, goal: ImapGoal, root: Path, state: Path
) -> None:
    """Kept messages come with ``--include-kept`` only."""
    uids = mailbox.append_many("INBOX", [(mail(n), (), DAY) for n in range(4)])
    assert run("export", address(mailbox), root, "--no-fsync", state=None).code == 0
    mailbox.expunge("INBOX", uids[:2])
    assert run("export", address(mailbox), root, "--no-fsync", state=None).code == 0
    bring(root, goal, state=state)
    assert numbers(goal) == {"INBOX": [2, 3]}
    report = bring(root, goal, "--include-kept", state=state)
    assert numbers(goal) == {"INBOX": [0, 1, 2, 3]}
    assert report["totals"]["placed"] == 2
    assert (report["totals"]["kept"], report["totals"]["kept_brought"]) == (2, 2)


def test_a_keyword_that_the_server_does_not_keep(goal: ImapGoal, root: Path, state: Path) -> None:
    """Dovecot takes keywords of 50 octets at most: refused or lost, it is named."""
    made_archive(root, {"INBOX": [Letter(mail(1), ("k" * 60, "$Forwarded"), moment(1))]})
    report = bring(root, goal, state=state, code=None)
    (held,) = goal.contents()["INBOX"]
    assert held.flags == {"$forwarded"}
    named = [entry["keyword"] for entry in report["folders"][0]["dropped"]]
    assert named == ["k" * 60] or replaying.named(report, "altered")


# --- diff ---------------------------------------------------------------------------------------


def test_diff_and_its_exit_codes(mailbox: Account, root: Path, tmp_path: Path) -> None:
    mailbox.append_many("INBOX", [(mail(n), ("\\Seen",), DAY) for n in range(4)])
    assert run("export", address(mailbox), root, "--no-fsync", state=None).code == 0
    url = address(mailbox)
    assert difference(root, url, password=PASSWORD, code=0)["totals"]["compared"] == 4
    assert difference(url, root, "--exact", password=PASSWORD, code=0)["same"]
    assert difference(root, root, password=PASSWORD, code=0)["same"]
    mailbox.append("INBOX", mail(9), (), DAY)
    mailbox.set_flags("INBOX", [1], ["\\Flagged"])
    mailbox.expunge("INBOX", [2])
    mailbox.create("More")
    said = run("diff", root, url, state=None)
    assert said.code == 1
    assert "DIFFERENT" in said.out
    found = difference(root, url, password=PASSWORD, code=1)
    assert found["only_folders_b"] == [["More"]]
    assert {kind: count for kind, count in found["totals"].items() if count} == {
        "compared": 3, "only_a": 1, "only_b": 1, "flags": 1,
    }  # fmt: skip
    assert found["folders"][0]["flags"][0]["only_a"] == ["$seen"]
    run("diff", root, tmp_path / "nothing", state=None).refused(10)
    run("diff", root, url, state=None, password=WRONG).refused(11)
    run("diff", root, url, "--include-kept", state=None).refused(2)


def test_a_folder_that_neither_side_has_is_a_slip(mailbox: Account, root: Path) -> None:
    mailbox.append("INBOX", mail(1), (), DAY)
    mailbox.create("Only here")
    url = address(mailbox)
    assert run("export", url, root, "--no-fsync", state=None).code == 0
    mailbox.create("Later")
    for words in (["--folder", "Q"], ["--folder", "INBOX", "--folder", "Q"]):
        for other in (root, url):
            said = run("diff", root, other, *words, state=None).refused(2)
            assert "neither A nor B has a folder 'Q'" in said.err
    said = run("diff", root, root, "--role", "sent", state=None).refused(2)
    assert "the selection has no folder" in said.err
    assert difference(root, url, "--folder", "INBOX", password=PASSWORD, code=0)["same"]
    # one side has it: that is a difference
    found = difference(root, url, "--folder", "Later", password=PASSWORD, code=1)
    assert found["only_folders_b"] == [["Later"]]


# --- migrate ------------------------------------------------------------------------------------


def fill(account: Account) -> None:
    for folder in ("INBOX", "Work", "Sent", "Größe"):
        account.append_many(
            folder,
            [
                (mail(len(folder) * 100 + n), ("\\Seen", "$Forwarded")[: n % 3], DAY)
                for n in range(8)
            ],
        )
    account.append("Work", mail(1000), ("\\Deleted",), DAY)


def migrated(*words: object, state: Path, code: int, more: dict[str, str]) -> Any:
    said = run("migrate", *words, "--json", "--no-fsync", state=state, password="", more=more)
    assert said.code == code, (said.code, said.err, said.out[:3000])
    replaying.REPORT.validate(said.report)
    return said.report


def test_from_one_provider_to_another(
    mailbox: Account, goals: Callable[[str], Goal], root: Path, state: Path
) -> None:
    """Dovecot to Cyrus; again, with nothing to do; again, with new mail alone."""
    fill(mailbox)
    goal = goals("cyrus")
    words = [address(mailbox), goal.url, "--archive", root]
    more = {
        "PORTARCHIVE_SOURCE_PASSWORD": PASSWORD,
        "PORTARCHIVE_TARGET_PASSWORD": goal.password,
    }
    planned = migrated(*words, "--dry-run", state=state, code=0, more=more)
    assert planned["import"] is planned["diff"] is None
    assert not root.exists()
    report = migrated(*words, state=state, code=0, more=more)
    assert report["complete"]
    assert report["import"]["totals"]["placed"] == 33
    assert report["diff"]["same"]
    there = goal.contents()
    assert Counter(map(len, there.values())) == Counter({8: 4, 1: 1}), there.keys()
    assert [held.octets for held in there["Trash"]] == [mail(1000)]
    report = migrated(*words, state=state, code=0, more=more)
    assert report["import"]["totals"]["placed"] == report["export"]["totals"]["fetched"] == 0
    assert goal.contents() == there
    mailbox.append("Work", mail(2000), (), DAY)
    report = migrated(*words, state=state, code=0, more=more)
    assert report["import"]["totals"]["placed"] == report["export"]["totals"]["fetched"] == 1
    assert report["diff"]["same"]
    assert len(goal.contents()["Work"]) == 9


def test_each_side_has_its_own_secret(
    mailbox: Account, goal: ImapGoal, root: Path, state: Path, tmp_path: Path
) -> None:
    """By commands and by the environment; neither is said anywhere (``run`` looks)."""
    mailbox.append("INBOX", mail(1), (), DAY)
    script = tmp_path / "secret"
    script.write_text(f"#!/bin/sh\necho asked >>{tmp_path}/asked\necho '{BEYOND_ASCII}'\n")
    script.chmod(0o755)
    source = tmp_path / "source"
    source.write_text(f"#!/bin/sh\necho '{PASSWORD}'\n")
    source.chmod(0o755)
    report = migrated(
        address(mailbox), goal.url, "--archive", root, "--password-command", source,
        "--target-password-command", script, "-v", "-v", state=state, code=0, more={},
    )  # fmt: skip
    assert report["diff"]["same"]
    assert (tmp_path / "asked").read_text() == "asked\n", "asked for once, for write and read"
    for wrong in ("PORTARCHIVE_SOURCE_PASSWORD", "PORTARCHIVE_TARGET_PASSWORD"):
        more = {
            "PORTARCHIVE_SOURCE_PASSWORD": PASSWORD,
            "PORTARCHIVE_TARGET_PASSWORD": BEYOND_ASCII,
            wrong: WRONG,
        }
        said = run(
            "migrate", address(mailbox), goal.url, "--archive", root, state=state, more=more,
            password="",
        )  # fmt: skip
        said.refused(11)
    for path in [*root.rglob("*"), *state.rglob("*")]:
        if path.is_file():
            for secret in running.SECRETS:
                assert secret.encode() not in path.read_bytes()


@pytest.mark.parametrize("kind", ["maildir", "maildir of dots", "mbox", "mbox without flags"])
def test_to_files(
    mailbox: Account, goals: Callable[[str], Goal], root: Path, state: Path, kind: str
) -> None:
    fill(mailbox)
    goal = goals(kind)
    more = {"PORTARCHIVE_PASSWORD": PASSWORD}
    words = [address(mailbox), goal.url, "--archive", root]
    words += [word for word in goal.words if word != "--no-fsync"]
    code = 0 if kind != "mbox without flags" else 3
    report = migrated(*words, state=state, code=code, more=more)
    assert report["diff"]["same"] is report["complete"] is not code
    assert sum(goal.octets().values()) == 33
    assert migrated(*words, state=state, code=code, more=more)["import"]["totals"]["placed"] == 0


def test_an_mbox_without_flags_says_what_is_lost(
    mailbox: Account, goals: Callable[[str], Goal], root: Path, state: Path
) -> None:
    """In words and as JSON, of ``import`` and ``migrate``: exit code 3, and no "no difference"."""
    mailbox.append_many(
        "INBOX", [(mail(n), ("\\Seen", "$Forwarded")[: n % 3], DAY) for n in range(6)]
    )
    goal = goals("mbox without flags")
    lost = {("$seen", "no-flags-there"): 4, ("$Forwarded", "no-flags-there"): 2}
    words = ("migrate", address(mailbox), goal.url, "--archive", root, "--no-fsync")
    more = {"PORTARCHIVE_PASSWORD": PASSWORD}
    for _ in range(2):
        said = run(*words, state=state, password="", more=more)
        assert said.code == 3
        assert "$seen not set on 4 messages: an mbox keeps flags only with" in said.out
        assert "no difference" not in said.out
        report = migrated(*words[1:], state=state, code=3, more=more)
        told = report["import"]["folders"][0]
        assert {(e["keyword"], e["reason"]): e["count"] for e in told["dropped"]} == lost
        assert told["altered_count"] == report["diff"]["totals"]["flags"] == 4
        assert {entry["known"] for entry in told["altered"]} == {True}
    planned = bring(root, goals("mbox without flags"), "--dry-run", state=state)
    assert planned["folders"][0]["losses"] == {"flags": 4}
    with_status = goals("mbox")
    bring(root, with_status, state=state)
    # the flags that lie there are seen, whoever wrote them
    assert bring(root, goals_of(with_status), state=None)["totals"]["altered"] == 0


def goals_of(goal: Goal) -> Goal:
    """The same files, written to without ``--mbox-status``."""
    assert isinstance(goal, MboxGoal)
    return MboxGoal(goal.root, status=False)


def test_an_account_is_not_migrated_into_itself(
    mailbox: Account, root: Path, state: Path, tmp_path: Path
) -> None:
    """2, before anything is written; by another address, once the login tells."""
    mailbox.append_many("INBOX", [(mail(n), ("\\Deleted",), DAY) for n in range(4)])
    url = address(mailbox)
    before = mailbox.messages("INBOX")
    for host in ("localhost", "127.0.0.1", "LOCALHOST"):
        other = url.replace("localhost", host)
        said = run("migrate", url, other, "--archive", root, state=state).refused(2)
        assert "SOURCE and TARGET are one account" in said.err
        assert not root.exists()
    secure = mailbox.url(tls=True)  # another port of the same server
    said = run(
        "migrate", url, secure, "--archive", root, "--target-ca-file", mailbox.server.ca_file,
        state=state,
    ).refused(2)  # fmt: skip
    assert "SOURCE and TARGET are one account" in said.err
    assert mailbox.messages("INBOX") == before
    assert mailbox.folders() == ["INBOX"]
    old = tmp_path / "old"
    (old / "cur").mkdir(parents=True)
    (tmp_path / "link").symlink_to(old)
    for path in (old, tmp_path / "link", f"{old}/../old/"):
        words = ("migrate", f"maildir:{old}", f"maildir:{path}", "--archive", tmp_path / "kept")
        assert "one account" in run(*words, state=state).refused(2).err


@pytest.mark.parametrize(
    ("uidvalidity", "ids", "one"),
    [(1, "", False), (1_700_000_000, "A", False), (1_700_000_000, "", True)],
)
def test_accounts_with_the_same_numbers(
    root: Path, state: Path, tmp_path: Path, uidvalidity: int, ids: str, one: bool
) -> None:
    """Migrated twice, with new mail between: UIDs and sizes are the same, and that is our work."""
    with ScriptedServer() as old, ScriptedServer() as new:
        for server, prefix in ((old, ids), (new, "")):
            server.password = PASSWORD
            server.host = "127.0.0.1" if server is new else "localhost"
            server.mailbox("INBOX").uidvalidity = uidvalidity
            if not ids:
                server.capabilities = [word for word in server.capabilities if word != "OBJECTID"]
            for number in range(4):
                if server is old or one:
                    octets = mail(number)
                    server.mailbox("INBOX").add(octets, date=DAY, email_id=f"{prefix}{number}")
        new.writable = True
        words = ("migrate", running.url_of(old), running.url_of(new), "--archive", root)
        if one:
            assert "one account" in run(*words, state=state).refused(2).err
            return
        for number in range(4, 6):
            assert run(*words, state=state).code == 0
            old.mailbox("INBOX").add(mail(number), date=DAY, email_id=f"{ids}{number}")
        held = [each.octets for each in new.mailbox("INBOX").mails.values()]
        assert held == [mail(number) for number in range(5)]


def test_an_archive_of_another_account_is_not_overwritten(
    mailbox: Account, goal: ImapGoal, root: Path, state: Path, real_dovecot
) -> None:
    """14, before anything is brought."""
    mailbox.append("INBOX", mail(1), (), DAY)
    more = {"PORTARCHIVE_PASSWORD": PASSWORD}
    migrated(address(mailbox), goal.url, "--archive", root, state=state, code=0, more=more)
    other = real_dovecot.account("somebodyelse")
    other.append("INBOX", mail(2), (), DAY)
    said: Ran = run(
        "migrate", address(other), goal.url, "--archive", root, state=state, more=more, password=""
    )
    said.refused(14)
    assert numbers(goal) == {"INBOX": [1]}


def test_a_message_that_cannot_be_brought(
    real_dovecot, goals: Callable[[str], Goal], root: Path, state: Path
) -> None:
    """3: the archive has it, the new provider refuses it; it is named, and no difference."""
    account = real_dovecot.account("withnul")
    account.append_many("INBOX", [(mail(1), (), DAY), (b"no header at all\r\n\r\nx\r\n", (), DAY)])
    goal = goals("cyrus")
    more = {"PORTARCHIVE_SOURCE_PASSWORD": PASSWORD, "PORTARCHIVE_TARGET_PASSWORD": goal.password}
    report = migrated(address(account), goal.url, "--archive", root, state=state, code=3, more=more)
    assert report["export"]["complete"]
    assert report["import"]["totals"]["failed"] == 1
    assert report["diff"]["same"]
    assert not report["complete"]
