"""Searching an archive: rows of the index, and bodies where a word may be there.

The newest first. Bodies are read one message at a time, and only those of messages that the index
leaves in doubt.
"""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from portarchive.archive import model
from portarchive.archive.contents import Contents, Item
from portarchive.archive.naming import check_relative
from portarchive.errors import ArchiveError, StorageFailed, UnsafePath
from portarchive.index.folding import folded
from portarchive.index.header import Octets
from portarchive.index.query import Session
from portarchive.index.search_sql import Compiler
from portarchive.index.search_syntax import Either, Node, Not, Term, terms_of
from portarchive.index.search_text import body_of
from portarchive.progress import Checked, Observer, silent
from portarchive.records import Received

LARGE: Final = 16 << 20
"""Octets from which on a message is read from a temporary file rather than held in memory."""
COLUMNS: Final = (
    "row_id", "folder", "uid", "member", "kept", "size", "sha256", "received_at", "date",
    "from_name", "from_address", "subject", "flags", "keywords", "attachment_count", "message_id",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A message that was found; columns of the index (docs/index.md), instants in RFC 3339."""

    folder: str
    uid: str
    file: str
    kept: bool
    size: int | None
    sha256: str | None
    received_at: str | None
    date: str | None
    from_name: str | None
    from_address: str | None
    subject: str | None
    flags: tuple[str, ...]
    attachments: int
    message_id: str | None


@dataclass(slots=True)
class Search:
    """One search, to be run once.

    Attributes:
        node: what is looked for.
        bodies: words may also be in the text of messages.
        unreadable: messages whose octets could not be had, when all is read.
        read: messages whose bodies were read.
    """

    node: Node
    bodies: bool = False
    unreadable: int = 0
    read: int = 0
    _needles: dict[str, str] = field(default_factory=dict)

    def run(
        self, session: Session, contents: Contents, observer: Observer = silent
    ) -> Iterator[Found]:
        """The messages that answer to it, the newest first.

        Args:
            session: the index.
            contents: the archive, for bodies.
            observer: is told of messages whose bodies were read.

        Raises:
            SettingsError: a value is none of its field.
            Damaged: the index is not one.
        """
        compiler = Compiler(bodies=self.bodies)
        condition = compiler.condition(self.node)
        terms = list(dict.fromkeys(terms_of(self.node)))
        doubt = any(compiler.is_open(term) for term in terms)
        held = [compiler.term(term) for term in terms] if doubt else []
        sql = (
            f"SELECT {', '.join((*COLUMNS, *held))} FROM messages WHERE {condition} "  # noqa: S608 - values are parameters
            "ORDER BY coalesce(received_at, date) DESC NULLS LAST, row_id"
        )
        for row in session.ask(sql, compiler.parameters).rows():
            if doubt:
                known: dict[Term, bool | None] = dict(zip(terms, row[len(COLUMNS) :], strict=True))
                for term in terms:
                    if not known[term] and compiler.is_open(term):
                        known[term] = None
                answer = _decided(self.node, known)
                if answer is None:
                    answer = self._look(row, known, contents, observer)
                if not answer:
                    continue
            yield _found(row)

    def _look(
        self,
        row: Sequence[Any],
        known: dict[Term, bool | None],
        contents: Contents,
        observer: Observer,
    ) -> bool:
        try:
            with tempfile.TemporaryFile() as file:
                text = body_of(octets_of(contents, item_of(row), file))
        except StorageFailed:
            raise
        except ArchiveError:
            text = ""
            self.unreadable += 1
        self.read += 1
        observer(Checked(1, 0))
        for term, told in known.items():
            if told is None:
                needle = self._needles.get(term.value)
                if needle is None:
                    needle = self._needles[term.value] = folded(term.value)
                known[term] = needle in text
        return bool(_decided(self.node, known))


def item_of(row: Sequence[Any]) -> Item:
    """The item of a row of ``COLUMNS``.

    Raises:
        UnsafePath: the index names a file that is no message of the archive: it was made by
            somebody else.
    """
    member = row[3]
    if not check_relative(member)[1:] or not member.startswith(f"{model.MAIL}/"):
        raise UnsafePath("the index names a file outside of the mail")
    return Item(
        folder=row[1], uid=row[2], member=member, flags=(), received=Received(None, None, None),
        received_from="", size=row[5], sha256=row[6], email_id=None, thread_id=None, labels=(),
        kept=row[4],
    )  # fmt: skip


def octets_of(contents: Contents, item: Item, file: Any) -> Octets:
    """The octets of a message, in memory, or of a large one in a file that is mapped.

    Args:
        contents: the archive.
        item: the message.
        file: an empty temporary file, open for the time that the octets are used.

    Raises:
        Damaged, StorageFailed: as ``Contents.octets``.
    """
    if item.size is not None and item.size <= LARGE:
        return contents.octets(item, verify=False)
    for piece in contents.chunks(item, verify=False):
        file.write(piece)
    file.flush()
    if not file.tell():
        return b""
    return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _decided(node: Node, known: dict[Term, bool | None]) -> bool | None:
    """Whether it holds; None if that hangs on what is not known (Kleene's logic)."""
    if isinstance(node, Term):
        return known[node]
    if isinstance(node, Not):
        answer = _decided(node.node, known)
        return None if answer is None else not answer
    answers = [_decided(one, known) for one in node.nodes]
    final = isinstance(node, Either)
    if final in answers:
        return final
    return None if None in answers else not final


def _found(row: Sequence[Any]) -> Found:
    told = dict(zip(COLUMNS, row, strict=False))
    return Found(
        folder=told["folder"],
        uid=told["uid"],
        file=told["member"],
        kept=told["kept"],
        size=told["size"],
        sha256=told["sha256"],
        received_at=told["received_at"],
        date=told["date"],
        from_name=told["from_name"],
        from_address=told["from_address"],
        subject=told["subject"],
        flags=(*told["flags"], *told["keywords"]),
        attachments=told["attachment_count"],
        message_id=told["message_id"],
    )
