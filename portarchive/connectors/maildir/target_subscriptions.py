"""The list of subscribed folders of a tree: lines are added to it, none is ever taken away.

Dovecot's ``subscriptions`` in the version that is there, else in its present one; Courier's list
where that is the only one. (doc.dovecot.org, "Mail Location Settings"; Courier's imapd.)
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from portarchive.archive.durable import Durability
from portarchive.connectors.local.storing import LINK, change_file, patiently
from portarchive.connectors.maildir import dovecot
from portarchive.connectors.maildir.names import encoded

_NEW: Final = b"V\t2\n\n"


def subscribe(root: Path, path: tuple[str, ...], separator: str, durable: Durability) -> str | None:
    """Subscribe to a folder.

    Args:
        root: of the tree.
        path: of the folder.
        separator: of the tree's own names, in lists that have no other.
        durable: whether the list is synced.

    Returns:
        Why it could not be done; None if it is done, or was before.

    Raises:
        OSError: the list cannot be written.
    """
    if path in (dovecot.subscriptions(root) or ()):
        return None
    names = [encoded(name) for name in path]
    courier = not (root / "subscriptions").exists() and (root / "courierimapsubscribed").exists()

    def change(octets: bytes) -> bytes | None:
        if courier:
            line = b".".join(names if path[0] == "INBOX" else [b"INBOX", *names])
        elif not octets or octets.startswith(b"V\t"):
            octets = octets or _NEW
            line = b"\t".join(names)
        else:
            line = separator.encode("ascii").join(names)
        if line in octets.split(b"\n"):
            return None
        return octets + (b"" if octets.endswith(b"\n") or not octets else b"\n") + line + b"\n"

    name = "courierimapsubscribed" if courier else "subscriptions"
    directory = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if patiently(lambda: change_file(directory, name, f"{name}.lock", change, durable)):
            return None
        return f"another program holds {name}.lock"
    except OSError as error:
        if error.errno in LINK:
            return f"{name} is a link"
        raise
    finally:
        os.close(directory)
