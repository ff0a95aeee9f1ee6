"""What is visited together: one file as one folder, or all files of a Takeout by their labels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from portarchive.connectors.local import dates
from portarchive.connectors.local.apart import tell_apart
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
        beside: folders of the same source. None that a label makes gets the path of one of them,
            nor its role.

    Attributes:
        boxes: the same.
        folder_ids: of all folders that have a message here.
    """

    def __init__(
        self, boxes: list[Box], *, found: Found | None = None, beside: Iterable[Folder] = ()
    ) -> None:
        self.boxes = boxes
        beside = list(beside)
        self._taken = {folder.path for folder in beside}
        self._taken_roles = {role for folder in beside for role in folder.roles}
        self._ranks: dict[Box, dict[int, int]] = {}
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
        self.number()
        used = {box: self._used(box) for box in self.boxes}
        sorting = labels.Sorting(
            labels.language(
                (fact.labels or (), used[box].get(number, 0))
                for box in self.boxes
                for number, fact in enumerate(box.index.facts)
            )
        )
        sorted_in = {
            box: [sorting.place(fact.labels or ()) for fact in box.index.facts]
            for box in self.boxes
        }
        own = self._own(
            path for found in sorted_in.values() for each in found for path in each.paths
        )
        for box in self.boxes:
            places = self._places[box] = []
            for number, (fact, placed) in enumerate(
                zip(box.index.facts, sorted_in[box], strict=True)
            ):
                keys = tuple(folder_id(own[path]) for path in placed.paths)
                flags = tuple(dict.fromkeys((*placed.flags, *fact.flags)))
                places.append((keys, flags))
                for key, path in zip(keys, placed.paths, strict=True):
                    self._paths[key] = own[path]
                    self._counts[key] = self._counts.get(key, 0) + used[box].get(number, 0)
        self._roles = {
            own[path]: role
            for path, role in sorting.roles.items()
            if path in own and role not in self._taken_roles
        }
        self.folder_ids = set(self._counts)

    def _used(self, box: Box) -> dict[int, int]:
        """How many messages have each fact."""
        used: dict[int, int] = {}
        twice = self._twice.get(box, ())
        for number, fact in enumerate(box.index.fact_numbers):
            if number not in twice:
                used[fact] = used.get(fact, 0) + 1
        return used

    def _own(self, paths: Iterable[labels.Path]) -> dict[labels.Path, labels.Path]:
        """The path of the folder that a label makes, by the one that it would have alone."""
        named = list(dict.fromkeys(paths))
        told = ["\0".join(("label", *path)).encode("utf-8", "surrogatepass") for path in named]
        own = tell_apart(list(zip(named, told, strict=True)), self._taken)
        return dict(zip(named, own, strict=True))

    def number(self) -> None:
        """Tell equal messages of several files apart, in the order of the files.

        Takeout by label has a message in several files: it is one, and counts once. Other equal
        ones are numbered over all files. What was named in this visit keeps its number.
        """
        before, self._ranks, self._twice = self._ranks, {}, {}
        if len(self.boxes) < 2:
            return
        equal = self._equal()
        ids: set[tuple[bytes, int]] = set()
        for box, numbers in equal.items():
            index, twice = box.index, self._twice.setdefault(box, set())
            mine = set()
            for number in numbers:
                if index.gmail_ids[number]:
                    one = index.digest(number), index.gmail_ids[number]
                    if one in ids:
                        twice.add(number)
                    mine.add(one)
            ids |= mine
        kept: dict[bytes, set[int]] = {}
        for box, numbers in equal.items():
            for number in numbers:
                if number < self._named(box) and number not in self._twice[box]:
                    rank = before.get(box, {}).get(number, box.index.rank(number))
                    kept.setdefault(box.index.digest(number), set()).add(rank)
                    self._rank(box, number, rank)
        last: dict[bytes, int] = {}
        for box, numbers in equal.items():
            for number in numbers:
                if number < self._named(box) or number in self._twice[box]:
                    continue
                digest = box.index.digest(number)
                rank = last.get(digest, 0) + 1
                while rank in kept.get(digest, ()):
                    rank += 1
                last[digest] = rank
                self._rank(box, number, rank)

    def _rank(self, box: Box, number: int, rank: int) -> None:
        if rank != box.index.rank(number):
            self._ranks.setdefault(box, {})[number] = rank

    def _equal(self) -> dict[Box, list[int]]:
        """The numbers of messages that are not the only one of their kind."""
        once: set[bytes] = set()
        more: set[bytes] = set()
        for box in self.boxes:
            for number in range(len(box.index)):
                digest = box.index.digest(number)
                (more if digest in once else once).add(digest)
        once.clear()
        return {
            box: [number for number in range(len(box.index)) if box.index.digest(number) in more]
            for box in self.boxes
        }

    def _named(self, box: Box) -> int:
        """How many messages of a file were named in this visit."""
        return self._next.get(box, 0) if self._indexes.get(box) is box.index else 0

    def _uid(self, box: Box, number: int) -> str:
        return box.index.uid(number, self._ranks.get(box, {}).get(number))

    def find(self, uid: str) -> tuple[Box, int] | None:
        """Where a message lies, by its uid."""
        for box, ranks in self._ranks.items():
            for number in ranks:
                if self._uid(box, number) == uid:
                    return box, number
        for box in self.boxes:
            found = box.index.find(uid)
            if found is None or found in self._twice.get(box, ()):
                continue
            if self._uid(box, found) == uid:
                return box, found
        return None

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
                uid = self._uid(box, number)
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
