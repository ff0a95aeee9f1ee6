"""Import, migrate and diff as people run them, and what a target holds afterwards.

``Goal.contents`` reads a target without the program under test. ``run`` is the command in this
process, with a state directory that the caller names: no ledger of another test is ever used.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import running
from holding import Goal, Held
from jsonschema import Draft202012Validator
from running import Ran

from portarchive.cli import main

# --- closed lists -------------------------------------------------------------------------------

CLOSED_LISTS: dict[str, frozenset[str]] = {
    "dovecot": frozenset(
        {"bare-lf", "nul", "cr-run", "early-date", "future-date", "empty", "offset"}
    ),
    "cyrus": frozenset(
        {"bare-lf", "nul", "no-header", "8bit-header", "early-date", "empty", "offset"}
    ),
    "pymap": frozenset({"last-lf", "empty"}),
    "maildir": frozenset({"line-ends", "offset", "early-date"}),
    "mbox": frozenset({"line-ends", "offset"}),
    "mbox without flags": frozenset({"line-ends", "offset", "flags"}),
}
"""What docs/import.md says of each; ``test_roundtrip`` holds the program to it."""


def uniform(octets: bytes) -> bool:
    """All line ends are CR LF, or all are LF: what "line ends only" is about."""
    feeds, pairs = octets.count(b"\n"), octets.count(b"\r\n")
    return bool(feeds) and pairs in {0, feeds} and not (pairs and b"\r\r\n" in octets)


def sent(kind: str, octets: bytes) -> bytes:
    """The octets that go to a target of that kind: its line ends, if all are alike."""
    if not uniform(octets):
        return octets
    bare = octets.replace(b"\r\n", b"\n")
    return bare if kind.startswith(("maildir", "mbox")) else bare.replace(b"\n", b"\r\n")


def becomes(kind: str, octets: bytes) -> bytes:
    """What that server is known to make of what it is sent (docs/adr/0014), to the octet."""
    if kind == "dovecot":

        def end(found: re.Match[bytes]) -> bytes:
            return b"\r" * max(1, len(found[0]) - 2) + b"\n"

        octets = re.sub(rb"\r*\n", end, octets.replace(b"\0", b"\x80"))
        return octets.removesuffix(b"\r")
    if kind == "cyrus":
        cut = re.search(rb"(?:\A|\n)\r?\n", octets)
        head = octets[: cut.end()] if cut else octets
        return bytes(88 if octet > 127 else octet for octet in head) + octets[len(head) :]
    if kind == "pymap":  # one that ends where its header ends loses its last octet
        lines = octets.split(b"\n")
        if not lines[-1].strip() and all(line.strip() for line in lines[:-1]):
            return octets[:-1]
    return octets


_HEADER = re.compile(rb"(?:(?:[^\0-\x20:\x7f]+:|[ \t])[^\n]*\n)*+(?:\r\n|\Z)", re.DOTALL)
"""Of whole lines, each with a field name and a colon, or a continuation."""


def refuses(kind: str, octets: bytes) -> bool:
    """Whether that server is known not to take such a message at all."""
    if kind in {"dovecot", "cyrus", "pymap"} and not octets:
        return True
    if kind != "cyrus":
        return False
    bare = re.search(rb"(?<!\r)\n", octets) is not None
    return bare or b"\0" in octets or _HEADER.match(octets) is None


# --- archives by anybody ------------------------------------------------------------------------


class Letter(NamedTuple):
    """A message of a made archive. ``received``: what stands in the archive, any text or None."""

    octets: bytes
    flags: tuple[str, ...] = ()
    received: str | None = None


def moment(number: int) -> str:
    """An instant of its own for each number, in changing zones."""
    zone = ("+00:00", "+02:00", "-08:00", "+05:45")[number % 4]
    return datetime.fromtimestamp(1_600_000_000 + 61 * number, UTC).strftime("%FT%T") + zone


def epoch_of(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp())


def made_archive(
    root: Path,
    folders: Mapping[str, Iterable[Letter]],
    names: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[tuple[str, str], Letter]:
    """An archive as another generator makes it: no manifest, no digests, its own layout.

    Args:
        root: where.
        folders: by path below ``mail/``.
        names: by path: further members of folder.json.

    Returns:
        By path and uid.
    """
    found = {}
    (root / "mail").mkdir(parents=True)
    metadata = {
        "archive": {"id": "made-by-hand", "version": "draft-ietf-mailmaint-pdparchive-02"},
        "dataset": {"extent": "FULL", "datatypes": ["MAIL"]},
        "datasource": {"service": "imaps://old.example.org", "account": "jane"},
    }
    (root / "archive.json").write_text(json.dumps(metadata))
    for path, letters in folders.items():
        directory = root / "mail" / path
        directory.mkdir(parents=True, exist_ok=True)
        items = []
        for number, letter in enumerate(letters, 1):
            found[path, str(number)] = letter
            (directory / f"{number:05}.eml").write_bytes(letter.octets)
            item: dict[str, Any] = {"uid": str(number), "filename": f"{number:05}.eml"}
            item["flags"] = list(letter.flags)
            if letter.received is not None:
                item["portarchive:received_at"] = letter.received
            items.append(item)
        header = {"name": path.rpartition("/")[2], "uid": path, "is_subscribed": True}
        header |= dict((names or {}).get(path, {}))
        (directory / "folder.json").write_text(json.dumps({**header, "items": items}, indent=1))
    return found


# --- running ------------------------------------------------------------------------------------

REPORT = Draft202012Validator(
    json.loads((running._SCHEMAS / "portarchive/report.schema.json").read_text()),
    registry=running._REGISTRY,
    format_checker=Draft202012Validator.FORMAT_CHECKER,
)


def run(
    *words: object,
    state: Path | None,
    password: str = running.PASSWORD,
    more: Mapping[str, str] | None = None,
) -> Ran:
    """Any verb in this process.

    Args:
        words: of the command line.
        state: ``XDG_STATE_HOME``; None for one that cannot be written to.
        password: of either account.
        more: further environment.
    """
    argv = [str(word) for word in words]
    environment = running.environment(None, state_environment(state, password) | dict(more or {}))
    out, err = running._Stream(), running._Stream()
    with (
        mock.patch.dict(os.environ, environment, clear=True),
        running._logs() as log,
        running._signals(),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        code = main(argv)
    said = Ran(code, out.text(), err.text(), Path())
    check_words(said)
    check_words(Ran(code, "", log.getvalue(), Path()), log=True)
    return said


def state_environment(state: Path | None, password: str) -> dict[str, str]:
    return {
        "PORTARCHIVE_PASSWORD": password,
        "XDG_STATE_HOME": str(state if state is not None else "/dev/null"),
    }


_ODD = re.compile("[\\0-\x09\x0b-\x1f\x7f-\x9f]")


def check_words(said: Ran, *, log: bool = False) -> None:
    """What holds of everything that is said: no traceback, no secret, nothing for a terminal."""
    both = said.out + said.err
    assert "Traceback" not in both or log, both
    for secret in running.SECRETS:
        assert secret not in both
    for planted in (running.BODY, running.SUBJECT):
        assert planted.decode() not in both
    if not log:
        odd = [sign for sign in both if _ODD.fullmatch(sign)]
        assert not odd, f"control characters on the terminal: {odd!r}"


def bring(
    archive: Path, goal: Goal, *words: object, state: Path | None = None, code: int | None = 0
) -> Any:
    """``import --json`` into a goal; returns the report, which keeps to its schema.

    ``code`` None: 0 if it says that it is complete, else 3.
    """
    said = run(
        "import", archive, goal.url, "--json", *goal.words, *words,
        state=state, password=goal.password,
    )  # fmt: skip
    if code is None:
        code = 0 if said.out and said.report["complete"] else 3
    assert said.code == code, (said.code, said.err, said.out[:4000])
    REPORT.validate(said.report)
    check_sums(said.report)
    return said.report


def check_sums(report: Mapping[str, Any]) -> None:
    """Every message of the archive is exactly one of these things."""
    for entry in (*report["folders"], report["totals"]):
        present = entry["present"] if isinstance(entry["present"], int) else sum(
            entry["present"].values()
        )  # fmt: skip
        skipped = entry["skipped"] if isinstance(entry["skipped"], int) else sum(
            entry["skipped"].values()
        )  # fmt: skip
        failed = entry.get("failed_count", entry.get("failed"))
        parts = (present, entry["placed"], entry["merged"], skipped, failed, entry["to_place"])
        assert sum(parts) == entry["messages"], entry


def named(report: Mapping[str, Any], kind: str) -> dict[tuple[str, str], dict[str, Any]]:
    """``failed`` or ``altered``, by the archive's path and uid.

    Without those that lost their flags only, at a target that is known to keep none.
    """
    return {
        (folder["path"], entry["uid"]): entry
        for folder in report["folders"]
        for entry in folder[kind]
        if not (entry.get("known") and entry.get("what") == ["flags"])
    }


def difference(*words: object, password: str, code: int | None) -> Any:
    """``diff --json``; its report keeps to its schema. ``code`` None: as it says itself."""
    said = run("diff", *words, "--json", state=None, password=password)
    if code is None:
        code = 0 if said.out and said.report["same"] else 1
    assert said.code == code, (said.code, said.err, said.out[:3000])
    REPORT.validate(said.report)
    return said.report


# --- judging ------------------------------------------------------------------------------------


def check_arrived(
    letters: Mapping[tuple[str, str], Letter],
    report: Mapping[str, Any],
    goal: Goal,
    held: Mapping[str, list[Held]],
    *,
    instants: bool = True,
) -> None:
    """Each message is on the target as it was, or named, with what its server is known to do.

    Nothing else is in the mailboxes, and nothing is there twice. Folder paths of the archive are
    those of the target (the report's ``target``).
    """
    failed, altered = named(report, "failed"), named(report, "altered")
    targets = {entry["path"]: "/".join(entry["target"]) for entry in report["folders"]}
    expected: dict[str, Counter[Any]] = defaultdict(Counter)
    lost = CLOSED_LISTS[goal.kind]
    for key, letter in letters.items():
        octets = sent(goal.kind, letter.octets)
        if key in failed:
            assert refuses(goal.kind, octets), (key, failed[key], octets[:60])
            assert failed[key]["code"], failed[key]
            continue
        if key in altered and not {"date", "early-date", "future-date"} >= set(
            altered[key]["what"]
        ):
            assert altered[key]["known"], (key, altered[key], octets[:200])
            assert set(altered[key]["what"]) <= CLOSED_LISTS[goal.kind], altered[key]
            changed = becomes(goal.kind, octets)
            assert changed != octets, (key, altered[key])
            octets = changed
        when = epoch_of(letter.received) if instants and letter.received else None
        flags = frozenset(map(str.lower, letter.flags if "flags" not in lost else ()))
        expected[targets[key[0]]][octets, flags, when] += 1
    for path, wanted in expected.items():
        seen = Counter((h.octets, h.flags, h.epoch if instants else None) for h in held[path])
        assert seen == wanted, (
            path,
            [(octets[:80], *more) for octets, *more in (seen - wanted)][:5],
            [(octets[:80], *more) for octets, *more in (wanted - seen)][:5],
        )
    for path in held.keys() - expected.keys():
        assert not held[path], path


def fresh_directory(path: Path) -> Path:
    shutil.rmtree(path, ignore_errors=True)
    return path


# --- two archives -------------------------------------------------------------------------------


def stored(root: Path) -> dict[tuple[str, ...], dict[str, bytes]]:
    """The octets of an archive by the folder's own names and uid, read without the program."""
    found: dict[tuple[str, ...], dict[str, bytes]] = {}
    names: dict[Path, tuple[str, ...]] = {root / "mail": ()}
    for file in sorted(root.glob("mail/**/folder.json"), key=lambda path: len(path.parts)):
        folder = json.loads(file.read_bytes())
        own = names[file.parent.parent]
        names[file.parent] = (*own, folder.get("original_name", folder["name"]))
        found[names[file.parent]] = {
            item["uid"]: (file.parent / item["filename"]).read_bytes() for item in folder["items"]
        }
    return found


def headers(root: Path) -> dict[tuple[str, ...], dict[str, Any]]:
    """folder.json by the folder's own names, without its items."""
    files = {
        tuple(file.parent.relative_to(root / "mail").parts): json.loads(file.read_bytes())
        for file in root.glob("mail/**/folder.json")
    }
    return {
        tuple(
            files[path[: depth + 1]].get("original_name", files[path[: depth + 1]]["name"])
            for depth in range(len(path))
        ): folder
        for path, folder in files.items()
    }


def check_differences(report: Mapping[str, Any], a: Path, b: Path, kind: str) -> Counter[str]:
    """Every difference that ``diff`` finds is on the closed list of the target that b came from.

    Returns how often each kind of alteration was the explanation.
    """
    assert report["only_folders_a"] == report["only_folders_b"] == []
    before, after = stored(a), stored(b)
    explained: Counter[str] = Counter()
    for folder in report["folders"]:
        old, new = before[tuple(folder["a"])], after[tuple(folder["b"])]
        for pair in folder["octets"]:
            was = sent(kind, old[pair["a"]])
            assert becomes(kind, was) != was, (kind, was[:80], new[pair["b"]][:80])
            assert sent(kind, new[pair["b"]]) == becomes(kind, was), (kind, was[:80])
            explained["octets"] += 1
        arrived = Counter(sent(kind, new[uid]) for uid in folder["only_b"])
        for uid in folder["only_a"]:
            was = sent(kind, old[uid])
            if arrived[becomes(kind, was)]:
                assert becomes(kind, was) != was, (kind, was[:80])
                arrived[becomes(kind, was)] -= 1
                explained["octets"] += 1
            else:
                assert refuses(kind, was), (kind, was[:80])
                explained["refused"] += 1
        assert not +arrived, (kind, [octets[:80] for octets in arrived])
        assert not folder["flags"] or "flags" in CLOSED_LISTS[kind], (kind, folder["flags"][:5])
        explained["flags"] += len(folder["flags"])
        for pair in folder["instants"]:
            early = datetime.fromisoformat(pair["instant_a"]).timestamp() < -(2**31)
            assert early, (kind, pair)
            assert "early-date" in CLOSED_LISTS[kind]
            explained["early-date"] += 1
    return explained
