"""Laws of the import under any history of faults: nothing twice, nothing missing in silence.

The target is an account in memory behind ``RetryingTarget``. What its **rewriting model** can do,
drawn anew for each history:

* put another ``Received`` field before each message (failure 12), fold header lines over 78 octets,
  turn bare LF into CR LF, or CR LF into LF, in all that it stores;
* what is on the closed lists of real servers, in headers (Message-IDs too) and in bodies: NUL
  becomes 0x80, octets over 127 of a header become X, one CR of several before an LF is lost;
* put a footer below the body of each message that has a Message-ID, and be known for nothing of it;
* give each message a new ``Message-ID`` and keep the old one in
  ``X-MS-Exchange-Parent-Message-Id`` (failure 14);
* lose keywords without a word, refuse them, announce only some and lose or keep the others;
* turn dates in the future into now;
* refuse single messages, messages over a limit, and all when the account is full;
* accept a message and store it nowhere (failure 9);
* tell no uids (no UIDPLUS), answer a whole window at once and late, take one or many ahead;
* know one message in several mailboxes, as JMAP does (then without rewriting);
* break the connection at any step, before or after a message is stored or a mailbox is made,
  once or again and again, or while it is read.

The archive is this program's own or another's, without digests. A run may be of some messages
only. The owner of the new account gets mail, throws some away, and copies what is there.

Two messages are *the same one* for this model if Message-ID and body are equal (line ends and
empty lines at the end apart), without Message-ID if From, Date, Subject and body are, and if there
is none of these either, if their dates are equal too. Messages of one Message-ID, one date and
different bodies are different ones.

Where a footer was added, a message of the same name and date can be a changed one as well as
another one. If an import takes it for the first, it says that it is altered: it may be missing
here for as long as that is said. A message without Message-ID below which a server writes is
nobody's any more: the model has no such server (docs/adr/0015).
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hypothesis import HealthCheck, note, settings
from hypothesis import event as noted
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

import archive_facts
from importing import account, archived, letter, normal, place, totals
from portarchive.archive.contents import open_contents
from portarchive.connectors.memory import (
    Fault,
    MemoryAccount,
    MemoryTarget,
    Rewriting,
)
from portarchive.errors import ConnectionLost, ConnectorError, RateLimited
from portarchive.jobs.replay.report import ImportReport
from portarchive.likeness import converted
from portarchive.placing import Alteration, LineEnds, Parcel
from portarchive.records import Received

Path_ = tuple[str, ...]
Key = tuple[bytes, ...]
Held = dict[Path_, Counter[Key]]

SOURCES = ("INBOX", "Work", "Work/2019", "Bin")
LOST = ConnectionLost("the server closed the connection")


# --- identity, apart from the program under test --------------------------------------------------


def key(message: bytes, epoch: int | None) -> Key:
    text = normal(message)
    head, body = ("", text[1:]) if text[:1] == b"\n" else (text, b"")
    if text[:1] != b"\n" and b"\n\n" in text:
        head, _, body = text.partition(b"\n\n")
    fields: dict[bytes, bytes] = {}
    for line in re.sub(rb"\n[ \t]", b" ", head or b"").split(b"\n"):
        name, colon, value = line.partition(b":")
        if colon:
            fields.setdefault(name.strip().lower(), b" ".join(value.split()))
    body = body.rstrip(b"\n")
    name = fields.get(b"x-ms-exchange-parent-message-id") or fields.get(b"message-id", b"")
    if name and not name.endswith(b"@memory.example>"):
        return name, body
    words = tuple(fields.get(each, b"") for each in (b"date", b"from", b"subject"))
    return (*words, body) if any(words) else (b"%d" % (epoch or 0), body)


# --- what there is --------------------------------------------------------------------------------


def bodies() -> st.SearchStrategy[bytes]:
    return st.sampled_from(
        [
            b"",
            b"hello\r\n",
            b"no end",
            b"\r\n\r\nempty lines\r\n\r\n",
            b"\xff\xfe 8bit\r\n",
            b"dots\r\n.\r\n..\r\nFrom me\r\n",
            b"x" * 1600 + b"\r\n",
            b"nul\0nul\r\n",
            b"two\r\r\nthree\r\r\r\n",
        ]
    )


@st.composite
def messages(draw: st.DrawFn, number: int) -> bytes:
    """The number is that of the message; no two of them are the same one unless it is meant."""
    kind = draw(
        st.sampled_from(
            ["plain", "plain", "twin", "nameless", "lf", "mixed", "bare", "long", "8bit", "nul",
             "nameless 8bit"]
        )
    )  # fmt: skip
    body = draw(bodies()) + b"%d" % number
    if kind == "twin":
        return letter("twin", body)
    if kind == "nameless":
        return b"From: x\r\nSubject: %d\r\n\r\n" % number + body
    if kind == "nameless 8bit":
        return b"From: x\r\nSubject: \xe9 %d\r\n\r\n" % number + body
    if kind == "8bit":
        return letter(f"caf\xe9{number}", body)
    if kind == "nul":
        return letter(f"n\0{number}", body)
    if kind == "lf":
        return normal(letter(f"m{number}", body))
    if kind == "mixed":
        return letter(f"m{number}", b"one\ntwo\r\n" + body)
    if kind == "bare":
        return draw(st.sampled_from([b"\r\n", b"X: y\r\n\r\n", b"X: y\r\n", b"words\r\n"])) + body
    if kind == "long":
        words = b"".join(b" <%d.%d@example.org>" % (number, n) for n in range(9))
        return letter(f"m{number}", body, fields=b"References:" + words + b"\r\n")
    return letter(f"m{number}", body)


FLAGS = st.sets(
    st.sampled_from(["$seen", "$flagged", "Label1", "Label2", "$Junk", "$notify", "\\Deleted"]),
    max_size=3,
)


def refuses(parcel: Parcel, octets: bytes) -> tuple[str, str] | None:
    return ("refused", "not this one") if octets.endswith(b"3") else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Changing(Rewriting):
    """More habits, see the module."""

    nul: bool = False
    eight_bit_header: bool = False
    cr_run: bool = False
    footer: bool = False

    @property
    def alterations(self) -> frozenset[Alteration]:
        found = set(Rewriting.alterations.fget(self))
        found |= {Alteration.NUL} if self.nul else set()
        found |= {Alteration.EIGHT_BIT_HEADER} if self.eight_bit_header else set()
        found |= {Alteration.CR_RUN} if self.cr_run and self.line_ends is not LineEnds.LF else set()
        return frozenset(found)

    def octets(self, octets: bytes, serial: int) -> bytes:
        if self.footer and re.search(rb"(?im)^message-id:", octets):
            octets += b"\r\n-- \r\nscanned by nobody\r\n"
        return self.changed(Rewriting.octets(self, octets, serial))

    def changed(self, octets: bytes) -> bytes:
        """What it is known for."""
        if self.eight_bit_header:
            cut = re.search(rb"(?:\A|\n)\r?\n", octets)
            end = cut.end() if cut else len(octets)
            octets = re.sub(rb"[\x80-\xff]", b"X", octets[:end]) + octets[end:]
        if self.nul:
            octets = octets.replace(b"\0", b"\x80")
        if Alteration.CR_RUN in self.alterations:
            octets = re.sub(rb"\r(\r+\n)", rb"\1", octets)
        return octets


REWRITING = st.builds(
    Changing,
    nul=st.booleans(),
    eight_bit_header=st.booleans(),
    cr_run=st.booleans(),
    footer=st.sampled_from([False, False, True]),
    adds_received=st.booleans(),
    folds_headers=st.booleans(),
    line_ends=st.sampled_from([None, None, LineEnds.CRLF, LineEnds.LF]),
    drops_keywords=st.sampled_from([frozenset(), frozenset({"label1"})]),
    refuses_keywords=st.sampled_from([frozenset(), frozenset({"Label2"})]),
    no_new_keywords=st.booleans(),
    keeps_unannounced=st.booleans(),
    clamps_dates=st.booleans(),
    changes_message_id=st.booleans(),
    refuses=st.sampled_from([None, None, refuses]),
    append_limit=st.sampled_from([None, None, 1500]),
    loses=st.sampled_from([None, None, 5]),
)


class Traced(MemoryTarget):
    """Knows of each message that it stored what was sent for it."""

    def __init__(self, account: MemoryAccount, origins: dict[int, Key], **how) -> None:
        super().__init__(account, **how)
        self.origins = origins

    def _store(self, parcel):
        outcome = super()._store(parcel)
        sent = b"".join(parcel.chunks())
        epoch = parcel.spots[0].received.epoch
        for box in self.account.mailboxes().values():
            for item in box.items.values():
                self.origins.setdefault(id(item.message), key(sent, epoch))
        return outcome


class Importing(RuleBasedStateMachine):
    """An old account, its archive, and a new account; see the module."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="import-laws-"))
        self.archive, self.state = self.root / "archive", self.root / "state"
        self.source = account()
        for name in SOURCES[1:]:
            roles = ("trash",) if name == "Bin" else ()
            self.source.create_folder(name, roles=roles)
        self.target = MemoryAccount()
        self.numbers = iter(range(1, 10_000))
        self.origins: dict[int, Key] = {}
        self.kept: list[object] = []  # messages whose ids must not be given to others
        self.tree: dict[str, str] = {}

    def teardown(self) -> None:
        shutil.rmtree(self.root)

    @initialize(
        rewriting=REWRITING,
        memberships=st.booleans(),
        uidplus=st.booleans(),
        late=st.booleans(),
        window=st.integers(1, 9),
        roles=st.booleans(),
        digests=st.booleans(),
        data=st.data(),
    )
    def begin(self, rewriting, memberships, uidplus, late, window, roles, digests, data) -> None:
        self.digests = digests
        self.memberships = memberships
        self.rewriting = Rewriting() if memberships else rewriting
        self.how = {"uidplus": uidplus, "answers_late": late, "window": window}
        if roles:
            self.target.create_folder("Deleted Items", roles=("trash",))
        for _ in range(data.draw(st.integers(1, 12))):
            self.add(data)
        self.export()

    def export(self) -> None:
        export = self.root / "export"
        archived(export, self.source)
        shutil.rmtree(self.archive, ignore_errors=True)
        shutil.copytree(export, self.archive)
        if not self.digests:
            _without_digests(self.archive)
        self.tree = archive_facts.files(self.archive, private=True)

    def add(self, data: st.DataObject) -> None:
        number = next(self.numbers)
        octets = data.draw(messages(number))
        names = st.lists(st.sampled_from(SOURCES), min_size=1, max_size=2, unique=True)
        flags = data.draw(FLAGS)
        if not self.memberships:  # several mailboxes of one message bear one set of flags there
            names = st.lists(st.sampled_from(SOURCES), min_size=1, max_size=1)
        when = 1_600_000_000 + number * 60
        if data.draw(st.integers(0, 9)) == 0:
            when = data.draw(st.sampled_from([-3_000_000_000, 4_000_000_000])) + number
        if b"<twin@" in octets and data.draw(st.booleans()):
            when = 1_600_000_000
        offset = data.draw(st.sampled_from(["+00:00", "+05:30"]))
        received = Received(_text(when, offset), when)
        for _ in range(data.draw(st.sampled_from([1, 1, 1, 1, 2]))):  # twice: equal octets
            self.source.add(
                octets,
                [tuple(name.split("/")) for name in data.draw(names)],
                flags=flags,
                received=received,
            )

    # --- what happens to the old account ------------------------------------------------------

    @rule(data=st.data())
    def more_mail_comes_and_is_exported(self, data) -> None:
        self.add(data)
        self.export()

    @rule(data=st.data(), flags=FLAGS)
    def the_old_account_changes_and_is_exported(self, data, flags) -> None:
        places = [
            (name, uid)
            for name in SOURCES
            for uid in self.source.contents()[tuple(name.split("/"))]
        ]
        if places:
            name, uid = data.draw(st.sampled_from(places))
            if data.draw(st.booleans()):
                self.source.set_flags(name, uid, flags)
            else:
                self.source.expunge(name, uid)
            self.export()

    # --- what happens to the new account ------------------------------------------------------

    @rule(data=st.data())
    def its_owner_throws_mail_away(self, data) -> None:
        held = [(path, uid) for path, box in self.target.contents().items() for uid in box]
        if held:
            self._keep()
            path, uid = data.draw(st.sampled_from(held))
            self.target.expunge(path, uid)

    @rule(data=st.data(), known=st.booleans())
    def its_owner_gets_mail(self, data, known) -> None:
        """Their own, or a copy of what the archive has, by another way and on another day.

        The copy has the line ends that this server gives to all that it stores, and what else it
        is known to change is changed; where that makes others, the copy has its date too: equal
        octets are not to be had there.
        """
        paths = list(self.target.contents())
        octets, received = letter(f"owner{next(self.numbers)}"), None
        boxes = self.source.mailboxes().values()
        mail = [item.message for box in boxes for item in box.items.values()]
        if known and mail and not self.memberships:  # where equal octets are one message
            message = data.draw(st.sampled_from(mail))
            ends = self.rewriting.line_ends
            octets = b"".join(converted([message.octets], LineEnds.CRLF))
            if b"one\ntwo" in message.octets:  # has both, and is sent as it is
                octets = message.octets
            octets = Rewriting(line_ends=ends).octets(octets, 0)
            name = key(message.octets, message.received.epoch)
            kept = octets
            if isinstance(self.rewriting, Changing):
                kept = self.rewriting.changed(octets)
            if (
                kept != octets
                or ends is not None
                or (len(name) == 2 and not name[0].startswith(b"<"))
            ):
                received = message.received
            octets = kept
        else:
            name = key(octets, None)
        ref = self.target.add(octets, [data.draw(st.sampled_from(paths))], received=received)
        uid = int(ref.placements[0].uid)
        box = self.target.mailboxes()[ref.placements[0].folder_id]
        message = box.items[uid].message
        if len(name) == 2 and not name[0].startswith(b"<"):
            name = key(message.octets, message.received.epoch)
        self.origins[id(message)] = name

    @precondition(lambda self: not self.memberships)
    @rule(data=st.data())
    def its_owner_copies_mail(self, data) -> None:
        """To another mailbox or the same, with its date, as COPY does."""
        boxes = self.target.mailboxes()
        held = [(box, uid) for box, each in boxes.items() for uid in each.items]
        if held:
            box, uid = data.draw(st.sampled_from(held))
            path = data.draw(st.sampled_from([each.record.path for each in boxes.values()]))
            message = boxes[box].items[uid].message
            ref = self.target.add(message.octets, [path], received=message.received)
            to = self.target.mailboxes()[ref.placements[0].folder_id]
            copy = to.items[int(ref.placements[0].uid)].message
            self.kept.append(copy)
            self.origins[id(copy)] = self.origins[id(message)]

    @rule()
    def the_ledger_is_deleted(self) -> None:
        shutil.rmtree(self.state, ignore_errors=True)

    # --- imports ------------------------------------------------------------------------------

    @rule(
        faults=st.lists(
            st.builds(
                Fault,
                where=st.sampled_from(
                    ["any", "folders", "ensure", "made", "existing", "headers", "fetch", "chunks",
                     "place", "stored"]
                ),
                error=st.sampled_from([LOST, LOST, RateLimited("slow", retry_after=3.0)]),
                after=st.integers(0, 15),
                times=st.sampled_from([1, 1, 2, 4, 9]),
            ),
            max_size=3,
        ),
        drop_every=st.sampled_from([None, None, 3, 7, 11, 29]),
        ledger=st.booleans(),
        options=st.fixed_dictionaries(
            {},
            optional={
                "deleted": st.sampled_from(["trash", "skip", "keep"]),
                "include_kept": st.booleans(),
                "mark_imported": st.booleans(),
                "hold_junk": st.booleans(),
                "normalise": st.booleans(),
                "verify": st.sampled_from(["sample", "bytes"]),
                "strict_match": st.booleans(),
                "select": st.sets(st.integers(0, 3), max_size=3),
            },
        ),
        quota=st.sampled_from([None, None, None, 0, 400]),
    )  # fmt: skip
    def an_import(self, faults, drop_every, ledger, options, quota) -> None:
        if (some := options.pop("select", None)) is not None:  # every fourth, and the like
            files = sorted({file for _, file, _, _ in self.items({"include_kept": True})})
            options["select"] = frozenset(f for n, f in enumerate(files) if n % 4 in some)
        if self._rewrites():
            options.pop("strict_match", None)  # which says of itself that it makes duplicates then
        faults = [Fault(where=f.where, error=f.error, after=f.after, times=f.times) for f in faults]
        rewriting = self.rewriting
        if quota is not None and not self.memberships:
            used = sum(len(o) for box in self.target.contents().values() for _, o in box.values())
            rewriting = _with_quota(rewriting, used + quota)
        target = Traced(
            self.target,
            self.origins,
            rewriting=rewriting,
            memberships=self.memberships,
            faults=faults,
            drop_every=drop_every,
            large=900,
            chunk=700,
            **self.how,
        )
        before = self.held()
        ended: ConnectorError | None = None
        report: ImportReport | None = None
        try:
            report = place(self.archive, target, self.state if ledger else None, **options)
        except ConnectorError as error:
            ended = error
        self._keep()
        after = self.held()
        note(f"{totals(report) if report else ended!r}")
        noted("ended by an error" if ended else "went through")
        wanted = self.wanted(report, options)
        if report is None:
            # wherever things went: nothing is there more often than the archive has it
            for name in {each for box in after.values() for each in box}:
                more = _sum(after, name) - _sum(before, name)
                assert 0 <= more <= max(0, self.archive_count(name)), (name, more)
            return
        failed = self.failed(report, options)
        for path in {*before, *after, *wanted}:
            for name in {*before.get(path, ()), *after.get(path, ()), *wanted.get(path, ())}:
                had, has = before.get(path, Counter())[name], after.get(path, Counter())[name]
                want = wanted.get(path, Counter())[name]
                if self.memberships:
                    want = min(want, 1) if had == 0 else min(want, had)
                lack = max(0, want - had)
                placed = has - had
                assert 0 <= placed <= lack, ("twice", path, name, had, has, want)
                missing = lack - placed
                assert missing <= failed.get(path, Counter())[name], (
                    "missing", path, name, had, has, want,
                )  # fmt: skip

    @precondition(lambda self: self.tree)
    @invariant()
    def the_archive_is_as_it_was(self) -> None:
        assert archive_facts.files(self.archive, private=True) == self.tree

    # --- the model's own counting -------------------------------------------------------------

    def _rewrites(self) -> bool:
        plain = Rewriting()
        names = ("adds_received", "folds_headers", "line_ends", "changes_message_id")
        if isinstance(self.rewriting, Changing):
            plain = Changing()
            names += ("nul", "eight_bit_header", "cr_run", "footer")
        return any(getattr(self.rewriting, name) != getattr(plain, name) for name in names)

    def _keep(self) -> None:
        boxes = self.target.mailboxes().values()
        self.kept += [item.message for box in boxes for item in box.items.values()]

    def held(self) -> Held:
        """What the new account has, by what it was when it was sent there."""
        return {
            box.record.path: Counter(self.origins[id(item.message)] for item in box.items.values())
            for box in self.target.mailboxes().values()
        }

    def items(self, options) -> Iterator[tuple[str, str, Key, bool]]:
        """Archive path, file, identity, and whether it is marked as deleted."""
        with open_contents(self.archive) as contents:
            for folder in contents.folders():
                for kept in (False, True) if options.get("include_kept") else (False,):
                    for item in contents.items(folder, kept=kept):
                        if item.member not in options.get("select", {item.member}):
                            continue
                        name = key(contents.octets(item), item.received.epoch)
                        yield folder.path, item.member, name, "\\Deleted" in item.flags

    def archive_count(self, name: Key) -> int:
        return sum(each == name for _, _, each, _ in self.items({"include_kept": True}))

    def place_of(self, report: ImportReport, path: str, deleted: bool, options) -> Path_ | None:
        policy = options.get("deleted", "trash")
        if deleted and policy == "skip":
            return None
        if deleted and policy == "trash":
            return next(folder.target for folder in report.folders if folder.path == "Bin")
        return next(folder.target for folder in report.folders if folder.path == path)

    def wanted(self, report: ImportReport | None, options) -> Held:
        found: Held = {}
        if report is not None:
            for path, _, name, deleted in self.items(options):
                place = self.place_of(report, path, deleted, options)
                if place is not None:
                    found.setdefault(place, Counter())[name] += 1
        return found

    def failed(self, report: ImportReport, options) -> Held:
        """What is named as missing with its reason, or as sent and not seen again."""
        footer = isinstance(self.rewriting, Changing) and self.rewriting.footer
        doubt = {"body", "octets"} if footer else set()
        named = {
            entry["file"]
            for folder in report.folders
            for entry in (*folder.failed, *folder.altered)
            if {"not-read-back", *doubt} & {*entry.get("what", ["not-read-back"])}
        }
        found: Held = {}
        for path, file, name, deleted in self.items(options):
            place = self.place_of(report, path, deleted, options)
            if place is not None and file in named:
                found.setdefault(place, Counter())[name] += 1
        return found


def _without_digests(archive: Path) -> None:
    """As another generator would make it: no digests, no manifest."""
    for file in archive.rglob("folder.json"):
        told = json.loads(file.read_text("utf-8"))
        for item in (*told["items"], *told.get("portarchive:kept", ())):
            item.pop("portarchive:sha256", None)
        file.write_text(json.dumps(told), "utf-8")
    metadata = json.loads((archive / "archive.json").read_text("utf-8"))
    metadata["archive"].pop("portarchive:manifest", None)
    (archive / "archive.json").write_text(json.dumps(metadata), "utf-8")
    for name in ("manifest.json", "manifest-sha256.txt"):
        (archive / name).unlink()
    shutil.rmtree(archive / ".portarchive")


def _sum(held: Held, name: Key) -> int:
    return sum(box[name] for box in held.values())


def _text(epoch: int, offset: str) -> str:
    import datetime as dt

    zone = dt.datetime.strptime(offset, "%z").tzinfo
    moment = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=epoch)
    return moment.astimezone(zone).isoformat()


def _with_quota(rewriting: Rewriting, quota: int) -> Rewriting:
    from dataclasses import replace

    return replace(rewriting, quota=quota)


TestImporting = Importing.TestCase
TestImporting.settings = settings(
    max_examples=80,
    stateful_step_count=12,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
