"""Seeking: what was sent and not answered is looked for on the target before it is sent again.

Owns the looks, the pauses between them, and the last look at the end of a run. Refuses to send, and
to judge what breaks a connection.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from portarchive.connectors.base import Target
from portarchive.jobs.replay.match import Matcher
from portarchive.jobs.replay.pieces import Piece, State
from portarchive.jobs.replay.survey import Box, survey
from portarchive.placing import Present

PAUSES: Final = (1.0, 3.0, 9.0)
"""Seconds before each further look: a server may store a message after it hung up. The last one is
only waited for while a mailbox still grows."""


class Seeker:
    """Looks for messages, and remembers which are sent again.

    Args:
        target: where they may be.
        matcher: recognises them.
        pause: waits so many seconds.
    """

    def __init__(
        self, target: Target, matcher: Matcher, pause: Callable[[float], object] = time.sleep
    ) -> None:
        self._target = target
        self._matcher = matcher
        self._pause = pause
        self._repeated: dict[str, tuple[Box, list[Piece]]] = {}

    def seek(
        self,
        by_folder: Mapping[str, list[Piece]],
        boxes: Mapping[str, Box],
        nameless: dict[str, list[Piece]],
    ) -> None:
        """What is found is placed; what is still open after that goes again.

        Args:
            by_folder: what was sent and not answered.
            boxes: what the mailboxes had before.
            nameless: what was answered without a uid: found with them, or one would be both.

        Raises:
            ConnectorError: the target is lost.
        """
        seen = self._look(by_folder, boxes, nameless, {})
        grown = False
        for pause in PAUSES:
            rest = {key: left for key, parts in by_folder.items() if (left := _open(parts))}
            if not rest or (pause == PAUSES[-1] and not grown):
                break
            self._pause(pause)
            now = self._look(rest, boxes, nameless, seen)
            grown = any(uids - seen.get(key, set()) for key, uids in now.items())
            seen |= now
        for folder_id, parts in by_folder.items():
            self._repeated.setdefault(folder_id, (boxes[folder_id], []))[1].extend(_open(parts))

    def _look(
        self,
        by_folder: Mapping[str, list[Piece]],
        boxes: Mapping[str, Box],
        nameless: dict[str, list[Piece]],
        seen: Mapping[str, set[str]],
    ) -> dict[str, set[str]]:
        """One look; returns what is new in each mailbox. One that did not grow is not matched."""
        newer = {key: top for key in by_folder if (top := boxes[key].top) is not None}
        found = survey(self._target, list(by_folder), newer)
        uids: dict[str, set[str]] = {}
        for folder_id, parts in by_folder.items():
            box, before = found[folder_id], boxes[folder_id]
            if box.failed is not None:
                for part in parts:
                    part.fail(box.failed.code, box.failed.text)
                continue
            uids[folder_id] = {present.uid for present in box.presents}
            if folder_id in seen and uids[folder_id] <= seen[folder_id]:
                continue
            answered = [part for part in nameless.pop(folder_id, ()) if not part.uid]
            new = _strange(box, before)
            for part, present, _ in self._matcher.find_sent([*answered, *parts], new):
                part.uid = present.uid
                if part.state is State.OPEN:
                    part.state = State.PLACED
                before.used.add(present.uid)
            nameless[folder_id] = [part for part in answered if not part.uid]
        return uids

    def stored_late(self) -> list[Piece]:
        """List those mailboxes once more in which a message was sent again.

        Returns:
            Placed messages that are there more often than they were placed, one entry for each
            too many: the server stored the first after it had hung up, and after the last look.

        Raises:
            ConnectorError: the target is lost.
        """
        repeated = {
            key: (box, by_key)
            for key, (box, parts) in self._repeated.items()
            if (by_key := {part.key: part for part in parts if part.state is State.PLACED})
        }
        found = survey(self._target, list(repeated))
        late: list[Piece] = []
        for folder_id, (before, by_key) in repeated.items():
            new = _strange(found[folder_id], before)
            while new:
                # copies: what cannot be compared makes nothing fail that is placed
                copies = [dataclasses.replace(part, twins=()) for part in by_key.values()]
                pairs = self._matcher.find_sent(copies, new)
                if not pairs:
                    break
                late += [by_key[piece.key] for piece, _, _ in pairs]
                taken = {present.uid for _, present, _ in pairs}
                new = [present for present in new if present.uid not in taken]
        return late


def _open(parts: Iterable[Piece]) -> list[Piece]:
    return [part for part in parts if part.state is State.OPEN]


def _strange(box: Box, before: Box) -> list[Present]:
    """What is neither old nor any message of this run."""
    old = {present.uid for present in before.presents} | before.used
    return [present for present in box.presents if present.uid not in old]
