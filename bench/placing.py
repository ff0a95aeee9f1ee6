"""The rows of what is written to an account: import and migrate, against mbsync doing the same.

Every run gets an account of its own that is empty, on the same server; what it brought is counted
there. An import has a state directory of its own, so that only the second run knows of the first.
"""

from __future__ import annotations

import imaplib
import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import corpus
from corpus import Mailbox
from measure import Run, RunFailedError, interleave, run
from peers import MBSYNC, PORTARCHIVE, Endpoint, Portarchive, remove
from table import MEGABYTE, Bench, Row, ratio


@dataclass(slots=True)
class Placing:
    """Portarchive and mbsync, bringing one account's mail into fresh accounts.

    Attributes:
        archive: the account's mail, exported.
        scratch: for state directories, archives of migrations, mbsync's settings and Maildir.
    """

    bench: Bench
    mailbox: Mailbox
    archive: Path
    scratch: Path
    _numbers: itertools.count[int] = field(default_factory=itertools.count)
    _last: tuple[str, Path] | None = None

    def first(self) -> Run:
        """An import into an empty account.

        Raises:
            RunFailedError: it failed, or not everything is there.
        """
        user, state = self._fresh("import")
        self._last = user, state
        return self._checked(self._import(user, state), user)

    def again(self) -> Run:
        """The same once more: there is nothing to do.

        Raises:
            RunFailedError: it failed, or it placed or read a message.
        """
        if self._last is None:
            raise RunFailedError("there is no first import")
        made = self._import(*self._last)
        totals = json.loads(made.stdout)["totals"]
        if totals["placed"] or totals["bodies_read"] or totals["present"] != self.mailbox.messages:
            raise RunFailedError(f"the second import did something: {totals}")
        return made

    def migrate(self) -> Run:
        """Export, import and comparison in one command.

        Raises:
            RunFailedError: it failed, or not everything is there.
        """
        user, state = self._fresh("migrate")
        archive = self.scratch / f"{user}.archive"
        argv = [
            *(PORTARCHIVE, "migrate", self._url(self.mailbox.user), self._url(user)),
            *("--archive", archive, "--no-fsync", "--json"),
        ]
        try:
            return self._checked(self._run(argv, state), user)
        finally:
            remove(archive)

    def mbsync_push(self) -> Run:
        """mbsync from a Maildir into an empty account, FSync off.

        Raises:
            RunFailedError: it failed, or not everything is there.
        """
        near = self.scratch / "near"
        for state in near.rglob(".mbsyncstate*"):
            state.unlink()
        user, _ = self._fresh("push")
        near_store = [
            "MaildirStore near",
            f"Path {near}/",
            f"Inbox {near}/INBOX",
            "SubFolders Verbatim",
        ]
        return self._mbsync(user, near_store, "SyncState *")

    def mbsync_across(self) -> Run:
        """mbsync from account to account.

        Raises:
            RunFailedError: it failed, or not everything is there.
        """
        user, _ = self._fresh("across")
        account = _account(self.bench.endpoint, "old", self.mailbox.user)
        near_store = [*account, "", "IMAPStore near", "Account old"]
        states = self.scratch / f"{user}.states"
        states.mkdir()
        return self._mbsync(user, near_store, f"SyncState {states}/")

    def prepare(self) -> None:
        """The archive, and the Maildir that mbsync pushes: not timed."""
        Portarchive(self.bench.endpoint, self.mailbox, self.archive).export()
        near = self.scratch / "near"
        near.mkdir(parents=True)
        near_store = [
            "MaildirStore near",
            f"Path {near}/",
            f"Inbox {near}/INBOX",
            "SubFolders Verbatim",
        ]
        self._mbsync(self.mailbox.user, near_store, "SyncState *", way="Pull")

    # --- inside ---------------------------------------------------------------------------------

    def _fresh(self, word: str) -> tuple[str, Path]:
        user = f"{word}{next(self._numbers)}"
        return user, self.scratch / f"{user}.state"

    def _url(self, user: str) -> str:
        return f"imap://{user}@{self.bench.endpoint.host}:{self.bench.endpoint.port}?tls=none"

    def _import(self, user: str, state: Path) -> Run:
        argv = [PORTARCHIVE, "import", self.archive, self._url(user), "--json"]
        return self._run(argv, state)

    def _run(self, argv: Sequence[str | Path], state: Path) -> Run:
        env = {
            "PORTARCHIVE_PASSWORD": self.bench.endpoint.password,
            "XDG_STATE_HOME": str(state),
            "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
        }
        # 3: real mail has messages that Dovecot is known to change (docs/adr/0014)
        return run(argv, env=env, watch_memory=True, fine=(0, 3))

    def _mbsync(self, user: str, near: Sequence[str], state: str, *, way: str = "Push") -> Run:
        settings = self.scratch / "mbsyncrc"
        lines = [
            *("FSync no", ""),
            *(*_account(self.bench.endpoint, "server", user), ""),
            *("IMAPStore far", "Account server", ""),
            *(*near, ""),
            *("Channel one", "Far :far:", "Near :near:", "Patterns *", f"Sync {way}"),
            *(f"Create {'Far' if way == 'Push' else 'Near'}", state, ""),
        ]
        settings.write_text("\n".join(lines))
        made = run([MBSYNC, "-q", "-c", settings, "-a"], env={"HOME": str(self.scratch)})
        return self._checked(made, user)

    def _checked(self, made: Run, user: str) -> Run:
        """Count what is there, and make room for the next."""
        found = _count(self.bench.endpoint, user)
        if found != self.mailbox.messages:
            raise RunFailedError(f"{found} of {self.mailbox.messages} messages are there")
        if user != self.mailbox.user and not user.startswith("import"):
            remove(self.bench.maildir(user))
        return made


def _account(endpoint: Endpoint, name: str, user: str) -> list[str]:
    return [
        f"IMAPAccount {name}",
        f"Host {endpoint.host}",
        f"Port {endpoint.port}",
        f"User {user}",
        f"Pass {endpoint.password}",
        "SSLType None",
        "AuthMechs LOGIN",
    ]


def _count(endpoint: Endpoint, user: str) -> int:
    """All messages of an account, as its server counts them."""
    with imaplib.IMAP4(endpoint.host, endpoint.port) as server:
        server.login(user, endpoint.password)
        _, listed = server.list()
        total = 0
        for line in listed:
            if not isinstance(line, bytes) or b"\\Noselect" in line:
                continue
            name = line.rsplit(b' "/" ', 1)[-1].decode()
            _, answer = server.status(name, "(MESSAGES)")
            words = answer[0]
            total += int(words.rsplit(b"MESSAGES ", 1)[1].split(b")")[0]) if words else 0
        return total


def block(bench: Bench, wanted: Sequence[str]) -> list[Row]:
    """The rows import, import-again, import-memory and migrate."""
    count = bench.sizes.durable
    bench.tell(f"  loading {count} messages")
    mailbox = corpus.load(bench.maildir("placing"), "placing", count)
    scratch = bench.memory / "placing"
    remove(scratch)
    scratch.mkdir(parents=True)
    work = Placing(bench, mailbox, scratch / "archive", scratch)
    work.prepare()
    contenders: dict[str, Callable[[], Run]] = {}
    if {"import", "import-again", "import-memory"} & set(wanted):
        contenders["import"] = work.first
    if "import-again" in wanted:
        contenders["again"] = work.again
    if "import" in wanted:
        contenders["mbsync push"] = work.mbsync_push
    if "migrate" in wanted:
        contenders["migrate"] = work.migrate
        contenders["mbsync across"] = work.mbsync_across
    runs, failed = interleave(contenders, rounds=bench.rounds, tell=bench.tell)
    rows = []
    title = f"{count:,} messages"
    if "import" in wanted:
        row = Row("import", f"import into an empty account, {title} / mbsync push", 0.35, "x")
        rows.append(ratio(row, runs, failed, "import", "mbsync push"))
    if "import-again" in wanted:
        row = Row("import-again", f"import again, nothing to do, {title} / first", 0.15, "x")
        rows.append(ratio(row, runs, failed, "again", "import"))
    if "import-memory" in wanted:
        row = Row("import-memory", f"import, {title}, peak", 200, "MB")
        if "import" in runs:
            peaks = [one.peak / MEGABYTE for one in runs["import"].runs]
            row.value, row.spread = max(peaks), (min(peaks), max(peaks))
            row.series = {"import": runs["import"].as_json()}
        else:
            row.figure = failed.get("import", "")
        rows.append(row)
    if "migrate" in wanted:
        row = Row("migrate", f"migrate, {title} / mbsync from account to account", 0.6, "x")
        rows.append(ratio(row, runs, failed, "migrate", "mbsync across"))
    bench.drop(mailbox)
    remove(scratch)
    return rows
