"""One folder in one run: which of the named messages are here, which are wanted, which are gone.

Where a uid turns out to name another message than the one that is here under it, nothing that the
run says of the folder counts: it is ``mistaken``, and the folder is to be listed anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from portarchive.archive import model
from portarchive.archive.folder_state import FlagsJson, FolderState, order_key, same_flags
from portarchive.archive.journal import Journal
from portarchive.jobs.ledger import Entry, FolderLedger
from portarchive.jobs.loss import CAP
from portarchive.jobs.named import Named
from portarchive.jobs.recognise import Recogniser
from portarchive.jobs.selection import Selection
from portarchive.records import Folder, FolderDone, FolderOpened, MessageRef, Placement

_FLAGS_CACHE: int = 4096


class FlagTexts:
    """flags → the JSON array they are written as; the few combinations of a mailbox, remembered."""

    def __init__(self) -> None:
        self._texts: dict[tuple[str, ...], str] = {}

    def text(self, flags: tuple[str, ...]) -> str:
        """The array as JSON text."""
        text = self._texts.get(flags)
        if text is None:
            if len(self._texts) >= _FLAGS_CACHE:
                self._texts.clear()
            text = self._texts[flags] = model.dumps(list(flags))
        return text


class FolderRun:
    """The comparison of one folder, from ``FolderOpened`` to ``FolderDone``.

    Attributes:
        ledger: what became of its messages so far.
        moving: False while it stands still: nothing was named yet and the listing is a delta.
        mistaken: a uid names another message than before; what is named from then on is not wanted.
        had_count: how many wanted messages are stored.
        named: how many references there were.
    """

    def __init__(
        self,
        folder: Folder,
        state: FolderState,
        opened: FolderOpened,
        previous: Entry | None,
        flags: FlagTexts,
        recogniser: Recogniser,
    ) -> None:
        self.folder = folder
        self.state = state
        self.opened = opened
        self.previous = previous
        self.ledger = FolderLedger(state.path)
        self.ledger.notes.extend(dict(note) for note in opened.notes)
        self.moving = opened.complete
        self.done: FolderDone | None = None
        self.mistaken = False
        self._flags = flags
        self._recogniser = recogniser
        self._known: dict[str, FlagsJson] = {}
        self._labels: dict[str, bytes] | None = None
        self._journal: Journal | None = None
        self.named = 0
        self._named_new = 0
        self._new = Named()
        self._twice: set[str] = set()
        self._had: set[str] = set()
        # Which ones only matters to what an earlier run said of them; there may be 300,000.
        self._remembers = bool(previous and previous.get("notes"))
        self._has_placeholders = False
        self.had_count = 0
        self._unseen: set[str] | None = None
        self._lowest: str | None = None
        self._base = 0
        self._at_listing: int | None = None
        self._loaded = False

    def load(self, journal: Journal | None) -> None:
        """Look up what is here; before the first message is named or removed. Once."""
        if self._loaded:
            return
        self._loaded = True
        self.moving = True
        self._known = self.state.known(journal)
        self._journal = journal
        self._base = len(self._known)
        self.mistaken = self.mistaken or self._was_mistaken()
        self._has_placeholders = self.state.has_placeholders
        if self.opened.complete:
            self._unseen = set(self._known)

    def _was_mistaken(self) -> bool:
        """Whether an interrupted run had other messages under uids that are published here."""
        state = self.state
        if state.published is None or not state.new_count or state.renumbered:
            return False
        published = sum(1 for _ in state.published_lines())
        return published + state.new_count > len(self._known)

    def name(self, placement: Placement, ref: MessageRef, chosen: Selection | None) -> bool:
        """A message is named.

        Returns:
            Whether its octets are wanted here.
        """
        if self.mistaken:
            return False
        uid = placement.uid
        self.named += 1
        if self._lowest is None:  # references come in ascending order
            self._lowest = uid
        known = self._known.get(uid)
        if known is not None:
            if (ref.email_id is not None or not self._recogniser.lasting) and (
                not self._recogniser.knows(uid, ref, placement.received, self._journal)
            ):
                self.mistaken = True
                return False
            if self._unseen is not None:
                if uid not in self._unseen:
                    return self._again(uid)
                self._unseen.discard(uid)
            if placement.flags is not None:
                self._refresh(uid, known, placement.flags)
            if ref.labels is not None:
                self._relabel(uid, ref.labels)
            return False
        if not self._new.add(uid):
            return self._again(uid)
        self._named_new += 1
        if chosen is not None:
            reason = chosen.skip_reason(placement, ref.size)
            if reason is not None:
                self.ledger.skipped.setdefault(reason, []).append(uid)
                return False
        return True

    def _again(self, uid: str) -> bool:
        """A uid is given to two messages: the first is had, and which that is is chance."""
        if uid not in self._twice:
            self._twice.add(uid)
            text = "the source gives this uid to more than one message"
            self.ledger.fail(uid, "uid-twice", text, stored=False)
        return False

    def _refresh(self, uid: str, known: FlagsJson, flags: tuple[str, ...]) -> None:
        text = self._flags.text(flags).encode()
        if known != text and not same_flags(known, text):
            self.state.overlay[uid] = text

    def _relabel(self, uid: str, labels: tuple[str, ...]) -> None:
        """Labels are a set, as flags are. They are looked up late, for most sources have none."""
        if self._labels is None:
            self._labels = self.state.known_labels(self._journal)
        known = self._labels.get(uid)
        text = self._flags.text(labels).encode()
        if known != text and (known is None or set(json.loads(known)) != set(labels)):
            self.state.relabelled[uid] = text

    def had(self, uid: str) -> None:
        """A wanted message is stored."""
        self.had_count += 1
        if self._remembers:
            self._had.add(uid)
        if self._has_placeholders:
            self.state.drop_placeholders.add(uid)

    def listing_ends(self) -> None:
        """All that the folder held when it was opened is named; what follows arrived since."""
        if self._at_listing is None:
            self._at_listing = self._base - len(self.state.gone) + self._named_new

    def remove(self, uids: tuple[str, ...]) -> None:
        """The source says these are gone."""
        for uid in uids:
            if uid in self._known:
                self.state.gone.add(uid)

    def close(self, done: FolderDone, journal: Journal | None) -> None:
        """The source has named everything."""
        self.done = done
        self.listing_ends()
        notes = [dict(note) for note in done.notes]
        gone, short = self.state.gone, _short(notes)
        if self._unseen:
            gone.update(self._unseen - self._still_there(self._unseen, notes, short))
        elif not self.opened.complete and self._hidden:
            for note in notes:
                if note.get("code") == CAP:
                    note["hidden"] = self._hidden
        ledger = self.ledger
        if short:
            text = f"the server counts {short:,} message{'s'[: short > 1]} more than it lists"
            ledger.error = ("listing-mismatch", text)
        if self.opened.complete:
            ledger.listed = len(self._known) - len(gone) + self._named_new
        else:
            ledger.listed = self._base - len(gone) + self._named_new
        ledger.listed += len(self._twice)
        ledger.archived = self._base - len(gone) + self.had_count
        ledger.arrived_later = done.arrived_later
        ledger.notes.extend(notes)
        ledger.state = done.token
        ledger.forget_notes(gone)
        if self.previous is not None and not self.state.renumbered:
            ledger.carry_notes(self.previous, gone, self._had)
            if not self.state.changed:
                ledger.carry_events(self.previous)
        if self.opened.complete and self._has_placeholders:
            missing = ledger.missing
            self.state.drop_placeholders.update(self.state.placeholders(journal).keys() - missing)
        self.state.forget_index()
        self._known = {}
        self._labels = None
        self._unseen = None

    def _still_there(self, unseen: set[str], notes: list[Entry], short: int) -> set[str]:
        """Those of the messages not named that may be there all the same; says so in the notes.

        Where a provider shows the newest messages only, all below the lowest one shown; where the
        server counts more than it lists, all if they are no more than that.
        """
        still: set[str] = set()
        for note in notes:
            if note.get("code") == CAP and self._lowest is not None:
                lowest = order_key(self._lowest)
                still |= {uid for uid in unseen if order_key(uid) < lowest}
                if still:
                    note["hidden"] = len(still)
        return unseen if len(unseen - still) <= short else still

    @property
    def _hidden(self) -> int:
        """How many items were out of the server's sight when the folder was last listed."""
        if self.previous is None or self.state.renumbered:
            return 0
        notes = self.previous.get("notes", ())
        return sum(note.get("hidden", 0) for note in notes if note.get("code") == CAP)

    @property
    def disagrees(self) -> bool:
        """A delta whose sum is not what the server says it has: list the whole folder."""
        exists = self.opened.counts.get("exists")
        if self.opened.complete or self.mistaken or exists is None or self.done is None:
            return False
        hidden = self._hidden
        if not self.moving:
            previous = self.previous or {}
            skipped = sum(part["count"] for part in previous.get("skipped", ()))
            return bool(previous.get("archived", 0) + skipped - hidden != exists)
        if hidden and not any(note.get("code") == CAP for note in self.done.notes):
            return True  # all is shown now: what is hidden no more, and what is gone?
        return self._at_listing is not None and self._at_listing - hidden != exists

    def last_uid(self) -> int:
        """UIDNEXT - 1, or the greatest UID here if that is more (draft Table 2, ``last_uid``)."""
        published: Mapping[str, Any] = (
            self.state.published.header
            if self.state.published and not self.state.renumbered
            else {}
        )
        earlier = published.get("last_uid")
        return max(
            (self.opened.uidnext or 1) - 1,
            self.state.greatest_new_uid,
            earlier if isinstance(earlier, int) else 0,
        )


def _short(notes: Iterable[Entry]) -> int:
    """How many messages the server counts and does not list."""
    for note in notes:
        if note.get("code") == "count-mismatch":
            return max(0, int(note.get("exists") or 0) - int(note.get("listed") or 0))
    return 0
