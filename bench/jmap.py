"""The rows of JMAP: export, import and update over it, on a Cyrus that speaks IMAP as well.

The messages are the real ones, each once, without those that Cyrus takes in no way. Contenders are
a plain tool (``jmap_peer``) and portarchive itself by IMAP.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import corpus
from measure import Run, RunFailedError, Series, interleave, run
from peers import PORTARCHIVE, remove
from relays import Relay, Requests
from table import MEGABYTE, Bench, Row, ratio

_PASSWORD_VARIABLE = "PORTARCHIVE_PASSWORD"  # a variable's name
_PEER = Path(__file__).with_name("jmap_peer.py")
_CONNECTIONS = 4
_PEER_MESSAGES = 300
_FLAGS: tuple[tuple[str, ...], ...] = (("\\Seen",), ("\\Seen", "\\Answered"), (), ("\\Flagged",))
_FIRST = 1_000_000_000


@dataclass(slots=True)
class Work:
    """Portarchive and the plain tool on accounts of one Cyrus.

    Attributes:
        server: the Cyrus.
        user: whose mail is exported.
        messages: how many it has.
        scratch: for archives, files and state directories.
    """

    server: Any
    user: str
    messages: int
    scratch: Path
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    def jmap(self, user: str, port: int | None = None) -> str:
        return f"jmap://{user}@127.0.0.1:{port or self.server.http_port}"

    def imap(self, user: str) -> str:
        return f"imap://{user}@127.0.0.1:{self.server.port}?tls=none"

    def export(self, url: str, archive: Path, *, watch_memory: bool = False) -> Run:
        """A first export, complete.

        Raises:
            RunFailedError: it failed, or is not complete.
        """
        remove(archive)
        made = self._run(["export", url, archive, "--no-fsync", "--json"], watch=watch_memory)
        report = json.loads(made.stdout)
        if not report["complete"]:
            raise RunFailedError("the export is not complete")
        if url == self.jmap(self.user) and report["totals"]["messages"] != self.messages:
            raise RunFailedError(f"{report['totals']['messages']} of {self.messages} messages")
        return made

    def update(self, archive: Path, port: int) -> Run:
        """The same again through the relay.

        Raises:
            RunFailedError: it failed, or published something.
        """
        made = self._run(["export", self.jmap(self.user, port), archive, "--no-fsync", "--json"])
        if json.loads(made.stdout)["published"]:
            raise RunFailedError("portarchive published a new state though nothing had changed")
        return made

    def bring(self, archive: Path, count: int, *, watch_memory: bool = False) -> Run:
        """An import into an empty account.

        Raises:
            RunFailedError: it failed, or not everything was placed.
        """
        user = self.fresh()
        argv = ["import", archive, self.jmap(user), "--json"]
        made = self._run(argv, watch=watch_memory, state=self.scratch / f"{user}.state")
        totals = json.loads(made.stdout)["totals"]
        if totals["placed"] != count:
            raise RunFailedError(f"{totals['placed']} of {count} were placed: {totals}")
        return made

    def peer_download(self) -> Run:
        """One message a request, over four connections.

        Raises:
            RunFailedError: it failed, or files are missing.
        """
        target = self.scratch / "peer"
        remove(target)
        made = self._peer("download", self.user, target, _CONNECTIONS)
        if len(list(target.iterdir())) != self.messages:
            raise RunFailedError("messages are missing")
        return made

    def peer_upload(self, archive: Path) -> Run:
        """One upload and one Email/import a message; the time is that of all of them.

        Raises:
            RunFailedError: it failed, or not all were taken.
        """
        count = min(_PEER_MESSAGES, self.messages)
        made = self._peer("upload", self.fresh(), archive / "mail", count)
        if int(made.stdout) != count:
            raise RunFailedError(f"{int(made.stdout)} of {count} were imported")
        return replace(made, wall=made.wall * self.messages / count)

    def fresh(self) -> str:
        user = f"fresh{next(self._numbers)}"
        self.server.account(user)
        return user

    def _peer(self, what: str, user: str, directory: Path, number: int) -> Run:
        argv = [
            *(sys.executable, _PEER, what, "127.0.0.1", str(self.server.http_port), user),
            *(_PASSWORD_VARIABLE, directory, str(number)),
        ]
        return run(argv, env={_PASSWORD_VARIABLE: self.server.password})

    def _run(
        self, words: Sequence[str | Path], *, watch: bool = False, state: Path | None = None
    ) -> Run:
        env = {
            _PASSWORD_VARIABLE: self.server.password,
            "XDG_STATE_HOME": str(state or self.scratch / "state"),
            "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
        }
        return run([PORTARCHIVE, *words], env=env, watch_memory=watch)


def _clean() -> Iterator[bytes]:
    """Real messages that Cyrus takes as they are, each once; then the same with a field more.

    One at a time: the high-water mark of this process passes to those that it starts.
    """
    found: dict[bytes, Path] = {}
    for path in corpus.messages():
        octets = path.read_bytes()
        head = octets.split(b"\r\n\r\n", 1)[0]
        bare = octets.count(b"\n") != octets.count(b"\r\n")
        if not bare and b"\0" not in octets and head.isascii() and b":" in head.split(b"\r\n")[0]:
            found.setdefault(hashlib.sha256(octets).digest(), path)
    for number in itertools.count():
        mark = b"X-Copy: %d\r\n" % number if number else b""
        for path in found.values():
            yield mark + path.read_bytes()


def _load(server: Any, user: str, count: int) -> None:
    from servers.daemon import Message

    numbers = itertools.count()
    messages = _clean()

    def some(share: int) -> Iterator[Message]:
        for octets in itertools.islice(messages, share):
            number = next(numbers)
            when = datetime.fromtimestamp(_FIRST + 60 * number, UTC)
            yield Message(octets, _FLAGS[number % len(_FLAGS)], when)

    server.account(user)
    for folder, share in corpus.shares(count):
        server.append_many(user, folder, some(share))


def block(bench: Bench, wanted: Sequence[str]) -> list[Row]:
    """The rows jmap-export, jmap-imap, jmap-import, jmap-update and jmap-memory."""
    from servers.cyrus import Cyrus

    scratch = bench.memory / "jmap"
    remove(scratch)
    scratch.mkdir(parents=True)
    count = bench.sizes.jmap
    rows: list[Row] = []
    with Cyrus(directory=scratch, extra="munge8bit: no") as server:
        bench.tell(f"  loading {count} messages")
        _load(server, "jane", count)
        work = Work(server, "jane", count, scratch)
        if set(wanted) - {"jmap-memory"}:
            rows += _speed(bench, work, wanted)
        if "jmap-memory" in wanted:
            rows += _memory(bench, work)
    remove(scratch)
    return rows


def _speed(bench: Bench, work: Work, wanted: Sequence[str]) -> list[Row]:
    archive = work.scratch / "archive"
    contenders: dict[str, Callable[[], Run]] = {
        "jmap": lambda: work.export(work.jmap(work.user), archive)
    }
    if "jmap-export" in wanted:
        contenders["one a request"] = work.peer_download
    if "jmap-imap" in wanted:
        contenders["imap"] = lambda: work.export(work.imap(work.user), work.scratch / "imap")
    if "jmap-import" in wanted:
        contenders["import"] = lambda: work.bring(archive, work.messages)
        contenders["one by one"] = lambda: work.peer_upload(archive)
    runs, failed = interleave(contenders, rounds=bench.rounds, tell=bench.tell)
    title = f"{work.messages:,} messages of Cyrus"
    rows = []
    if "jmap-export" in wanted:
        about = f"export by JMAP, {title} / {_CONNECTIONS} connections, one message a request"
        row = Row("jmap-export", about, 0.2, "x")
        rows.append(ratio(row, runs, failed, "jmap", "one a request"))
    if "jmap-imap" in wanted:
        row = Row("jmap-imap", f"export by JMAP, {title} / by IMAP", 3, "x")
        rows.append(ratio(row, runs, failed, "jmap", "imap"))
    if "jmap-import" in wanted:
        about = f"import by JMAP, {title} / one upload and one import a message"
        rows.append(
            ratio(Row("jmap-import", about, 0.25, "x"), runs, failed, "import", "one by one")
        )
        rows[-1].figure += f" (from {min(_PEER_MESSAGES, work.messages)} messages)"
    if "jmap-update" in wanted:
        rows.append(_update(work, archive, failed.get("jmap", "")))
    return rows


def _update(work: Work, archive: Path, failed: str) -> Row:
    """Requests of an update with nothing changed, through a relay that counts them.

    The first export goes through it as well: it shows that it does count, and on another port an
    account is not taken to be as it was.
    """
    row = Row(
        "jmap-update", "requests of an update by JMAP, nothing changed", 3, "requests", failed
    )
    if failed:
        return row
    try:
        with Relay("127.0.0.1", work.server.http_port, listener=Requests) as relay:
            work.export(work.jmap(work.user, relay.port), archive)
            first = _counted(relay)
            made = work.update(archive, relay.port)
            requests, blobs = (now - then for now, then in zip(_counted(relay), first, strict=True))
    except RunFailedError as error:
        row.figure = str(error)
        return row
    if not first[1] or first[0] <= requests:
        row.figure = f"the relay does not count: {first} of a first export"
        return row
    row.value, row.holds = requests, blobs == 0
    row.figure = (
        f"{made.wall:.2f} s, {blobs} for octets of messages;"
        f" a first export has {first[0]}, {first[1]} for octets"
    )
    return row


def _counted(relay: Relay) -> tuple[int, int]:
    """Requests of all clients that are gone, and those for octets of messages."""
    relay.settle()
    return sum(one.count for one in relay.heard), sum(one.blobs for one in relay.heard)


def _memory(bench: Bench, work: Work) -> list[Row]:
    """Export and import with one large message among small ones."""
    size = bench.sizes.large_octets
    bench.tell(f"  loading a message of {size // MEGABYTE} MB")
    _load(work.server, "huge", 400)
    argv = [sys.executable, _PEER, "large", "127.0.0.1", str(work.server.port), "huge"]
    password = {_PASSWORD_VARIABLE: work.server.password}
    run([*argv, _PASSWORD_VARIABLE, "-", str(size)], env=password)
    huge = replace(work, user="huge", messages=401)
    archive = work.scratch / "huge"
    contenders: dict[str, Callable[[], Run]] = {
        "export": lambda: huge.export(huge.jmap("huge"), archive, watch_memory=True),
        "import": lambda: huge.bring(archive, huge.messages, watch_memory=True),
    }
    runs, failed = interleave(contenders, rounds=min(2, bench.rounds), tell=bench.tell)
    title = f"one message of {size // MEGABYTE} MB among 400"
    return [_peak(name, title, runs, failed) for name in contenders]


def _peak(name: str, title: str, runs: dict[str, Series], failed: dict[str, str]) -> Row:
    row = Row("jmap-memory", f"peak memory of {name} by JMAP, {title}", 200, "MB")
    row.figure = failed.get(name, "")
    if name in runs:
        peaks = [one.peak / MEGABYTE for one in runs[name].runs]
        row.value, row.spread = max(peaks), (min(peaks), max(peaks))
        row.figure = f"{name} {runs[name].spread()}"
        row.series = {name: runs[name].as_json()}
    return row
