"""The connection breaks at each step in turn: the next run finds what is there and brings the rest.

A step is an event of a listing, a header, a message that is read, a chunk of one, a message before
and after it is stored, a mailbox before and after it is made (``MemoryTarget``).
"""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path

import pytest

from importing import account, archived, letter, normal, place
from portarchive.connectors.memory import Fault, MemoryAccount, MemoryTarget, Rewriting
from portarchive.errors import ConnectionLost, ConnectorError, RateLimited

LOST = ConnectionLost("the server closed the connection")
NAMELESS = b"From: a\r\nSubject: none\r\n\r\nbody\r\n"
TWIN = letter("twin")
MAIL = {
    "INBOX": [letter("a"), TWIN, TWIN, NAMELESS],
    "Work": [normal(letter("b")), letter("c", b"x" * 2000), letter("c", b"y" * 2000)],
    "Work/2019": [b"\r\nno header\r\n", letter("d")],
}
TOTAL = Counter((tuple(name.split("/")), normal(each)) for name in MAIL for each in MAIL[name])
KINDS = {
    "plain": {},
    "no uids": {"uidplus": False},
    "late": {"answers_late": True, "window": 4},
    "rewriting": {"rewriting": Rewriting(adds_received=True)},
    "other ids, late, no uids": {
        "rewriting": Rewriting(changes_message_id=True),
        "answers_late": True,
        "uidplus": False,
    },
}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = account(**MAIL)
    return archived(tmp_path_factory.mktemp("dropped") / "archive", source)


def there(target: MemoryAccount, kind: str) -> Counter[tuple[tuple[str, ...], bytes]]:
    """What the account has, as it was sent."""
    found = Counter()
    for path, box in target.contents().items():
        for _, octets in box.values():
            sent = normal(octets)
            if kind == "rewriting":
                sent = sent.partition(b"\n")[2]
            if kind.startswith("other ids"):
                sent = sent.partition(b"\n")[2].replace(
                    b"X-MS-Exchange-Parent-Message-Id:", b"Message-ID:"
                )
            found[path, sent] += 1
    return found


def run(archive: Path, target: MemoryAccount, kind: str, state: Path | None = None, **how) -> bool:
    """One import; False if the connection was lost for good."""
    place_to = MemoryTarget(target, large=1000, chunk=600, **KINDS[kind], **how)
    try:
        place(archive, place_to, state)
    except ConnectorError:
        return False
    return True


@pytest.mark.parametrize("kind", KINDS)
def test_at_every_step_once(archive: Path, tmp_path: Path, kind: str) -> None:
    """With the default patience nothing of it is even seen."""
    for step in itertools.count():
        target = MemoryAccount()
        fault = Fault(where="any", error=LOST, after=step)
        assert run(archive, target, kind, tmp_path / str(step), faults=[fault])
        assert there(target, kind) == TOTAL, step
        if fault.times:  # it never came to that step
            break
    assert step > 40


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("where", ["stored", "place", "made", "existing", "fetch", "headers"])
def test_at_every_step_for_good(archive: Path, tmp_path: Path, kind: str, where: str) -> None:
    """The run ends there; the next one, without a ledger, brings what is missing and no more."""
    for step in itertools.count():
        target = MemoryAccount()
        fault = Fault(where=where, error=LOST, after=step)
        end = Fault(where="reconnect", error=LOST, times=99)
        ended = not run(archive, target, kind, tmp_path / f"{step}", faults=[fault, end])
        found = there(target, kind)
        assert found <= TOTAL, step
        assert ended == (fault.times == 0)
        assert run(archive, target, kind)
        assert there(target, kind) == TOTAL, step
        if not ended:
            assert found == TOTAL
            break


@pytest.mark.parametrize("kind", KINDS)
def test_again_and_again(archive: Path, kind: str) -> None:
    """What cannot be done between two breaks is not done, or is named; never done twice."""
    for every in range(2, 60):
        target = MemoryAccount()
        run(archive, target, kind, drop_every=every)
        assert there(target, kind) <= TOTAL, every
        run(archive, target, kind, drop_every=every)
        assert there(target, kind) <= TOTAL, every
        assert run(archive, target, kind)
        assert there(target, kind) == TOTAL, every


def test_a_server_that_says_not_now(archive: Path, tmp_path: Path) -> None:
    for step in range(0, 60, 3):
        target = MemoryAccount()
        fault = Fault(where="any", error=RateLimited("slow", retry_after=30), after=step, times=2)
        assert run(archive, target, "plain", tmp_path / str(step), faults=[fault])
        assert there(target, "plain") == TOTAL, step
