"""What a simple program does: imapclient, one message a call.

    python one_by_one.py HOST PORT USER PASSWORD_VARIABLE DIRECTORY FOLDER…

Prints how many messages it wrote.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from imapclient import IMAPClient


def main() -> None:
    host, port, user, variable, directory, *folders = sys.argv[1:]
    client = IMAPClient(host, int(port), ssl=False)
    client.normalise_times = False
    client.login(user, os.environ[variable])
    target = Path(directory)
    target.mkdir(parents=True)
    count = 0
    for folder in folders:
        client.select_folder(folder, readonly=True)
        for uid in client.search():
            found = client.fetch([uid], ["FLAGS", "INTERNALDATE", "BODY.PEEK[]"])
            (target / f"{count}.eml").write_bytes(found[uid][b"BODY[]"])
            count += 1
    client.logout()
    print(count)


if __name__ == "__main__":
    main()
