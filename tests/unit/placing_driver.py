"""Placing that is killed at every step, in processes of its own: ``placing_driver.py SCHEME DIR``.

A step is a call of the operating system that Python audits (open, rename, unlink, truncate, lock …)
or a chunk of a message that is handed over. After each kill the tree is looked at and the rest is
placed. Prints how many steps there were.
"""

from __future__ import annotations

import importlib
import os
import shutil
import signal
import sys
from collections import Counter
from pathlib import Path

STEPS = {
    "open", "os.rename", "os.remove", "os.truncate", "os.utime", "os.mkdir", "fcntl.flock",
    "fcntl.lockf", "chunk",
}  # fmt: skip
LARGE = 3
TOTAL = 6


def mail(number: int) -> bytes:
    body = b"0123456789abcdef\nFrom the middle\n" * (50_000 if number == LARGE else 3)
    return b"Subject: %d\n\n%sno end" % (number, body)


def parcels(folder_id: str, keys, step=lambda: None):
    from portarchive.placing import Parcel, Spot
    from portarchive.records import Received

    def chunks(octets: bytes):
        for start in range(0, len(octets), 600_000):
            step()
            yield octets[start : start + 600_000]

    for key in keys:
        octets = mail(key)
        spot = Spot(folder_id, ("$seen", "Label"), Received("x", 1_600_000_000 + key))
        yield Parcel(key, (spot,), len(octets), None, lambda octets=octets: chunks(octets))


def opened(scheme: str, root: Path):
    connector = importlib.import_module(f"portarchive.connectors.{scheme}")
    options = {"no_fsync": "1"} | ({"status": "1"} if scheme == "mbox" else {})
    return connector.open_target(str(root), options)


def child(scheme: str, root: Path, at: int) -> None:
    """Place everything, and be killed at that step."""
    left = at

    def step() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def audited(event: str, _: tuple) -> None:
        if event in STEPS:
            step()

    target = opened(scheme, root)
    sys.addaudithook(audited)
    for _ in target.place(parcels("Box", range(TOTAL), step)):
        pass
    os._exit(0)


def there(target) -> Counter[bytes]:
    from portarchive.placing import Present

    messages = [each for each in target.existing(["Box"]) if isinstance(each, Present)]
    return Counter(b"".join(body.chunks()) for _, body in target.fetch(messages))


def main() -> None:
    scheme, root = sys.argv[1], Path(sys.argv[2])
    from portarchive.placing import FolderWish, Placed

    whole = {mail(number): number for number in range(TOTAL)}
    at = 0
    while True:
        at += 1
        target = opened(scheme, root)
        list(target.ensure([FolderWish(("Box",))]))
        list(target.place(parcels("Box", [100])))
        target.close()
        pid = os.fork()
        if not pid:
            child(scheme, root, at)
        killed = os.waitpid(pid, 0)[1] == signal.SIGKILL
        target = opened(scheme, root)
        found = there(target)
        found.subtract([mail(100)])
        assert all(octets in whole for octets, count in found.items() if count), at
        assert max(found.values()) <= 1, at
        assert min(found.values()) >= 0, at
        missing = [number for octets, number in whole.items() if not found[octets]]
        outcomes = list(target.place(parcels("Box", missing)))
        assert all(isinstance(outcome, Placed) for _, outcome in outcomes), at
        assert there(target) == dict.fromkeys([*whole, mail(100)], 1), at
        target.close()
        shutil.rmtree(root)
        if not killed:
            break
    print(at)


if __name__ == "__main__":
    main()
