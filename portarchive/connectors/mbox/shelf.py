"""What is visited together: one file as one folder, or all files of a Takeout by their labels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from portarchive.connectors.local import dates
from portarchive.connectors.local.opening import folder_id
from portarchive.connectors.mbox import labels
from portarchive.connectors.mbox.box import Box
from portarchive.connectors.mbox.index import Index
from portarchive.connectors.mbox.tree import Found
from portarchive.records import Folder, MessageRef, Placement


class Shelf:
    """See the module.

    Args:
        boxes: the files, indexed.
        found: of the one file that is a folder by itself; None: labels make the folders.

    Attributes:
        boxes: the same.
        folder_ids: of all folders that have a message here.
    """

    def __init__(self, boxes: list[Box], *, found: Found | None = None) -> None:
        self.boxes = boxes
        self.folder_ids: set[str] = set()
        self._found = found
        self._roles: dict[labels.Path, str] = {}
        self._paths: dict[str, labels.Path] = {}
        self._counts: dict[str, int] = {}
        self._places: dict[Box, list[tuple[tuple[str, ...], tuple[str, ...]]]] = {}
        self._twice: dict[Box, set[int]] = {}
        self._wanted: set[str] = set()
        self._identify: set[str] = set()
        self._next: dict[Box, int] = {}
        self._indexes: dict[Box, Index] = {}
        self._listed: dict[str, int] = {}
        self.sort()

    def sort(self) -> None:
        """Find out where each message of the indexes lies."""
        self._counts = {}
        self._places = {}
        if self._found is not None:
            key = folder_id(self._found.path)
            self.folder_ids = {key}
            box = self.boxes[0]
            self._counts[key] = len(box.index)
            self._places[box] = [((key,), fact.flags) for fact in box.index.facts]
            return
        self._find_twice()
        used = {box: self._used(box) for box in self.boxes}
        sorting = labels.Sorting(
            labels.language(
                (fact.labels or (), used[box].get(number, 0))
                for box in self.boxes
                for number, fact in enumerate(box.index.facts)
            )
        )
        for box in self.boxes:
            places = self._places[box] = []
            for number, fact in enumerate(box.index.facts):
                placed = sorting.place(fact.labels or ())
                keys = tuple(folder_id(path) for path in placed.paths)
                flags = tuple(dict.fromkeys((*placed.flags, *fact.flags)))
                places.append((keys, flags))
                for key, path in zip(keys, placed.paths, strict=True):
                    self._paths[key] = path
                    self._counts[key] = self._counts.get(key, 0) + used[box].get(number, 0)
        self._roles = sorting.roles
        self.folder_ids = set(self._counts)

    def _used(self, box: Box) -> dict[int, int]:
        """How many messages have each fact."""
        used: dict[int, int] = {}
        twice = self._twice.get(box, ())
        for number, fact in enumerate(box.index.fact_numbers):
            if number not in twice:
                used[fact] = used.get(fact, 0) + 1
        return used

    def _find_twice(self) -> None:
        """Takeout by label has a message in several files: it is one, and counts once."""
        self._twice = {}
        if len(self.boxes) < 2:
            return
        seen: set[tuple[bytes, int]] = set()
        for box in self.boxes:
            twice = self._twice[box] = set()
            index = box.index
            mine = set()
            for number in range(len(index)):
                if not index.gmail_ids[number]:
                    continue
                one = index.digest(number), index.gmail_ids[number]
                if one in seen:
                    twice.add(number)
                else:
                    mine.add(one)
            seen |= mine

    def records(self) -> list[Folder]:
        """The folders that labels make."""
        return [
            Folder(
                folder_id=key,
                path=self._paths[key],
                roles=(self._roles[self._paths[key]],) if self._paths[key] in self._roles else (),
                messages=count,
            )
            for key, count in self._counts.items()
        ]

    # --- one visit

    def begin(self, wanted: set[str], identify: set[str]) -> None:
        """Name from the beginning, with placements in these folders only."""
        self._wanted = wanted
        self._identify = identify & wanted
        self._next = dict.fromkeys(self.boxes, 0)
        self._indexes = {box: box.index for box in self.boxes}
        self._listed = dict.fromkeys(wanted, 0)

    def count(self, key: str) -> int:
        """How many messages a folder has."""
        return self._counts.get(key, 0)

    def listed(self, key: str) -> int:
        """How many of a folder were named in this visit."""
        return self._listed[key]

    @property
    def identifies_any(self) -> bool:
        """Whether some references have to carry what a message is matched by."""
        return bool(self._identify)

    def identifies(self, ref: MessageRef) -> bool:
        """Whether this one has to."""
        return any(placement.folder_id in self._identify for placement in ref.placements)

    def references(self, *, last: bool) -> Iterator[tuple[MessageRef, Box, Index, int]]:
        """What was not named yet, in the order of the files.

        Args:
            last: with the last message of each file.
        """
        for box in self.boxes:
            index = box.index
            places = [
                (tuple(key for key in keys if key in self._wanted), flags)
                for keys, flags in self._places[box]
            ]
            twice = self._twice.get(box, ())
            listed = self._listed
            for number in self._rest(box, last=last):
                fact = index.fact_numbers[number]
                keys, flags = places[fact]
                if not keys or number in twice:
                    continue
                uid = index.uid(number)
                epoch = index.epoch(number)
                received = dates.received(epoch) if epoch is not None else dates.NO_DATE
                thread, gmail_id = index.threads[number], index.gmail_ids[number]
                if len(keys) == 1:
                    listed[keys[0]] += 1
                    placements: tuple[Placement, ...] = (Placement(keys[0], uid, flags, received),)
                else:
                    for key in keys:
                        listed[key] += 1
                    placements = tuple(Placement(key, uid, flags, received) for key in keys)
                yield (
                    MessageRef(
                        placements,
                        index.sizes[number],
                        str(gmail_id) if gmail_id else None,
                        str(thread) if thread else None,
                        index.facts[fact].labels,
                    ),
                    box,
                    index,
                    number,
                )

    def _rest(self, box: Box, *, last: bool) -> Iterable[int]:
        """The numbers of the messages of a file that were not named yet."""
        index, begun, first = box.index, self._indexes[box], self._next[box]
        if index is begun:
            end = len(index) if last else max(first, len(index) - 1)
            self._next[box] = end
            return range(first, end)
        named = {begun.uid(number) for number in range(first)}  # the file was indexed anew
        self._indexes[box], self._next[box] = index, len(index)
        return (number for number in range(len(index)) if index.uid(number) not in named)

    def notes(self) -> list[dict[str, Any]]:
        """What is worth knowing of the files, counted."""
        counts: dict[str, int] = {}
        for box in self.boxes:
            for code, count in box.counts.items():
                counts[code] = counts.get(code, 0) + count
        twice = sum(map(len, self._twice.values()))
        if twice:
            counts["takeout-duplicates"] = twice
        return [{"code": code, "count": counts[code]} for code in sorted(counts)]
