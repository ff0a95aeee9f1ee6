"""The contenders: portarchive, mbsync and the raw drain, each as a whole process.

Every contender gets a fresh target directory; making and removing it is not timed. Each checks
that it brought everything: the time of half an export says nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from corpus import Mailbox
from measure import Run, RunFailedError, run

ROOT = Path(__file__).resolve().parent.parent
PORTARCHIVE = ROOT / ".venv/bin/portarchive"
MBSYNC = ROOT / ".servers/isync/usr/bin/mbsync"
_PASSWORD_VARIABLE = "PORTARCHIVE_PASSWORD"  # a variable's name


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the accounts are: cleartext IMAP on loopback, one password for all of them."""

    host: str
    port: int
    password: str


@dataclass(frozen=True, slots=True)
class Portarchive:
    """``portarchive export`` into a new archive, and again over a finished one."""

    endpoint: Endpoint
    mailbox: Mailbox
    archive: Path
    fsync: bool = False
    watch_memory: bool = False

    def command(self) -> tuple[list[str | Path], dict[str, str]]:
        source = f"imap://{self.mailbox.user}@{self.endpoint.host}:{self.endpoint.port}"
        argv: list[str | Path] = [PORTARCHIVE, "export", source, self.archive, "--tls", "none"]
        return (
            argv if self.fsync else [*argv, "--no-fsync"],
            {_PASSWORD_VARIABLE: self.endpoint.password},
        )

    def export(self) -> Run:
        """A first export.

        Raises:
            RunFailedError: it failed, or its manifest does not account for every message.
        """
        remove(self.archive)
        made = self._run()
        manifest = json.loads((self.archive / "manifest.json").read_bytes())
        archived = sum(folder.get("archived", 0) for folder in manifest["folders"])
        if archived != self.mailbox.messages or not manifest["complete"]:
            raise RunFailedError(f"portarchive archived {archived} of {self.mailbox.messages}")
        return made

    def update(self) -> Run:
        """An export over the finished archive, with nothing changed at the source.

        Raises:
            RunFailedError: it failed, or published something.
        """
        before = self._published()
        made = self._run()
        if self._published() != before:
            raise RunFailedError("portarchive published a new state though nothing had changed")
        return made

    def _run(self) -> Run:
        argv, env = self.command()
        return run(argv, env=env, watch_memory=self.watch_memory)

    def _published(self) -> list[tuple[int, int, str]]:
        """Inode, time of change and digest of the two files that every commit replaces."""
        files = [self.archive / name for name in ("archive.json", "manifest.json")]
        if not all(file.is_file() for file in files):
            raise RunFailedError("there is no finished archive to update")
        return [
            (
                file.stat().st_ino,
                file.stat().st_mtime_ns,
                hashlib.sha256(file.read_bytes()).hexdigest(),
            )
            for file in files
        ]


@dataclass(frozen=True, slots=True)
class Mbsync:
    """isync's mbsync pulling every folder into an empty Maildir, at its default settings."""

    endpoint: Endpoint
    mailbox: Mailbox
    target: Path
    fsync: bool = False

    def pull(self) -> Run:
        """A first pull.

        Raises:
            RunFailedError: it failed, or did not bring every message.
        """
        remove(self.target)
        self.target.mkdir(parents=True)
        settings = self.target / "mbsyncrc"
        settings.write_text(self._settings())
        made = run([MBSYNC, "-q", "-c", settings, "-a"], env={"HOME": str(self.target)})
        brought = sum(1 for _ in _messages_below(self.target))
        if brought != self.mailbox.messages:
            raise RunFailedError(f"mbsync brought {brought} of {self.mailbox.messages}")
        return made

    def _settings(self) -> str:
        lines = [
            "IMAPAccount server",
            f"Host {self.endpoint.host}",
            f"Port {self.endpoint.port}",
            f"User {self.mailbox.user}",
            f"Pass {self.endpoint.password}",
            "SSLType None",
            "AuthMechs LOGIN",
            "",
            "IMAPStore far",
            "Account server",
            "",
            "MaildirStore near",
            f"Path {self.target}/mail/",
            f"Inbox {self.target}/mail/INBOX",
            "SubFolders Verbatim",
            "",
            "Channel pull",
            "Far :far:",
            "Near :near:",
            "Patterns *",
            "Sync Pull",
            "Create Near",
            "SyncState *",
        ]
        # A line before the first section is global; FSync is on unless it says otherwise.
        head = [] if self.fsync else ["FSync no", ""]
        (self.target / "mail").mkdir()
        return "\n".join([*head, *lines, ""])


def _messages_below(top: Path) -> Iterator[str]:
    for path, _, files in os.walk(top):
        if Path(path).name in {"cur", "new"}:
            yield from files


@dataclass(frozen=True, slots=True)
class Drain:
    """One FETCH of everything a folder, octets thrown away (drain.py)."""

    endpoint: Endpoint
    mailbox: Mailbox

    def pull(self) -> Run:
        """Drain every folder.

        Raises:
            RunFailedError: it failed, or fewer octets came than the messages have.
        """
        argv = [
            *(sys.executable, "-I", Path(__file__).with_name("drain.py")),
            *(self.endpoint.host, str(self.endpoint.port)),
            *(self.mailbox.user, _PASSWORD_VARIABLE),
            *(folder for folder, _ in self.mailbox.folders),
        ]
        made = run(argv, env={_PASSWORD_VARIABLE: self.endpoint.password})
        if int(made.stdout) < self.mailbox.octets:
            raise RunFailedError(f"{int(made.stdout)} of {self.mailbox.octets} octets drained")
        return made


def remove(path: Path) -> None:
    """Make room for a fresh target; what is not there is fine."""
    if path.exists():
        shutil.rmtree(path)
