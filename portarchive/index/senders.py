"""The table of senders: what the messages of one address of From add up to."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

import pyarrow as pa

from portarchive.index import arrow

_NEEDED: Final = (
    "from_address", "from_domain", "from_name", "kept", "size", "attachment_count",
    "one_click", "wrong_recipient", "list_unsubscribe",
)  # fmt: skip


class _Sender:
    """One address."""

    __slots__ = ("domain", "first", "kept", "last", "messages", "names", "numbers")

    def __init__(self, domain: str | None) -> None:
        self.domain = domain
        self.names: Counter[str] | str | None = None
        self.messages = 0
        self.kept = 0
        self.numbers = [0, 0, 0, 0, 0]
        self.first: int | None = None
        self.last: int | None = None

    def named(self, name: str) -> None:
        """Count a name; most addresses have one, and need no counter for it."""
        if self.names is None:
            self.names = name
        elif isinstance(self.names, str):
            if self.names != name:
                self.names = Counter({self.names: self.messages + self.kept - 1, name: 1})
        else:
            self.names[name] += 1


class Senders:
    """Looks at all rows of messages, and makes the table."""

    def __init__(self) -> None:
        self._known: dict[str, _Sender] = {}

    def look(self, table: Any) -> None:
        """Count rows of messages."""
        columns = [table.column(name).to_pylist() for name in _NEEDED]
        received = table.column("received_at").combine_chunks().view(pa.int64()).to_pylist()
        for row in zip(received, *columns, strict=True):
            when, address, domain, name, kept, size, attached, one_click, wrong, uris = row
            if address is None:
                continue
            sender = self._known.get(address)
            if sender is None:
                sender = self._known[address] = _Sender(domain)
            if kept:
                sender.kept += 1
            else:
                sender.messages += 1
            if name is not None:
                sender.named(name)
            numbers = sender.numbers
            numbers[0] += size or 0
            numbers[1] += attached
            numbers[2] += one_click
            numbers[3] += wrong
            numbers[4] += bool(uris)
            if when is not None:
                if sender.first is None or when < sender.first:
                    sender.first = when
                if sender.last is None or when > sender.last:
                    sender.last = when

    def table(self) -> Any:
        """Most messages first."""
        rows = []
        known = sorted(
            self._known.items(), key=lambda one: (-one[1].messages, -one[1].kept, one[0])
        )
        for address, sender in known:
            names = sender.names
            best, different = (names, 1) if isinstance(names, str) else (None, 0)
            if isinstance(names, Counter):
                best = min(names, key=lambda name: (-names[name], name))
                different = len(names)
            octets, attachments, one_click, wrong_recipient, lists = sender.numbers
            rows.append(
                {
                    "address": address,
                    "domain": sender.domain,
                    "name": best,
                    "names": different,
                    "messages": sender.messages,
                    "kept": sender.kept,
                    "octets": octets,
                    "attachments": attachments,
                    "first_received_at": sender.first,
                    "last_received_at": sender.last,
                    "one_click": one_click,
                    "wrong_recipient": wrong_recipient,
                    "lists": lists,
                }
            )
        return arrow.table_of("senders", rows)
