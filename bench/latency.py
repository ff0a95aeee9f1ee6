"""Who else gets through a line with a delay, 50 ms each way on loopback, and in what time.

Many folders, few messages each: what counts is how often a program waits for an answer before it
asks the next thing.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path

from corpus import Mailbox
from measure import Run, RunFailedError, run
from peers import Endpoint

_PASSWORD_VARIABLE = "PORTARCHIVE_PASSWORD"  # a variable's name


@dataclass(frozen=True, slots=True)
class OneByOne:
    """imapclient, one message a call, one file a message (one_by_one.py), of the first folders.

    A run over the whole account takes ten minutes of waiting: so it is done for some folders, and
    the time of a message holds for all of them.
    """

    endpoint: Endpoint
    mailbox: Mailbox
    target: Path
    folders: int

    def pull(self) -> Run:
        """Bring the messages of the first folders; the time is that of all of them.

        Raises:
            RunFailedError: it failed, or did not bring them all.
        """
        chosen = self.mailbox.folders[: self.folders]
        argv = [
            *(sys.executable, Path(__file__).with_name("one_by_one.py")),
            *(self.endpoint.host, str(self.endpoint.port), self.mailbox.user, _PASSWORD_VARIABLE),
            *(self.target, *(folder for folder, _ in chosen)),
        ]
        made = run(argv, env={_PASSWORD_VARIABLE: self.endpoint.password})
        wanted = sum(count for _, count in chosen)
        if int(made.stdout) != wanted:
            raise RunFailedError(f"imapclient brought {int(made.stdout)} of {wanted}")
        return replace(made, wall=made.wall * self.mailbox.messages / wanted)
