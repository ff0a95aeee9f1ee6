"""Partial archives, alone and with the full one that they update."""

from __future__ import annotations

from pdpa_corpus.parts import (
    M1,
    M2,
    WHEN,
    A,
    Case,
    F,
    Files,
    Found,
    Spoil,
    at,
    bad,
    dumped,
    folder,
    gone,
    good,
    item,
    mail,
    message,
    moved,
    put,
    warn,
)

BASE_ID = "0d6f3c34-7f5e-4f3f-9d52-3b0e8a3f1c11"
GONE = "mail/Gone/folder.json"


def full(*spoils: Spoil) -> Files:
    """The full archive that is updated."""
    return mail(at(A, "/archive/id", BASE_ID), *spoils)


def partial(*spoils: Spoil) -> Files:
    """An update in which nothing happened."""
    return mail(
        at(A, "/dataset/extent", "PARTIAL"), at(A, "/dataset/portarchive:base_id", BASE_ID),
        gone(M1), gone(M2), at(F, "/items", []), *spoils,
    )  # fmt: skip


FLAGS = at(F, "/items", [item(1, flags=["$flagged"])])
NO_FILE: Found = ("C-045", F, "/items/0/filename")

CASES: tuple[Case, ...] = (
    good("C-045", "file in the base", "An item has new flags; its file is in the base only.",
         partial(FLAGS), (F, "/items/0/filename")),
    warn("C-024", "removed a number", "removed holds a number.",
         partial(at(F, "/removed", [1])), (F, "/removed")),
    warn("C-028", "tombstone with items", "A folder with deleted_at has an item.",
         partial(at(F, "/deleted_at", WHEN), FLAGS), (F, "/items"), NO_FILE),
    warn("C-041", "update of what", "Nothing tells which archive is updated.",
         partial(at(A, "/dataset/portarchive:base_id")), (A, "/dataset")),
    warn("P-051", "another directory", "A folder of the base has another path, and its old name.",
         partial(moved(F, "mail/Moved/folder.json")), ("mail/Moved/folder.json", ""),
         ("F-055", "mail/Moved/folder.json", "/name"), base=full()),
    bad("C-111", "file in neither", "The file of an item is neither here nor in the base.",
        partial(FLAGS), (F, "/items"), base=full(gone(M1))),
    bad("C-111", "another file of a known uid", "An item of the base names another file.",
        partial(FLAGS, at(F, "/items/0/filename", "msg-9.eml")), (F, "/items"), base=full()),
    warn("F-060", "in items and removed", "A message is in items and in removed.",
         partial(FLAGS, at(F, "/removed", ["1"])), (F, "/removed/0"), NO_FILE),
    bad("F-061", "wrong base", "The base has another id than portarchive:base_id says.",
        partial(), (A, "/dataset/portarchive:base_id"), base=mail()),
    bad("F-062", "base a partial one", "The base is a partial archive itself.",
        partial(), None, base=full(at(A, "/dataset/extent", "PARTIAL"))),
    bad("F-063", "another uidvalidity", "The UIDs of the base mean other messages.",
        partial(at(F, "/uidvalidity", 8)), (F, "/uidvalidity"), base=full()),
    warn("F-064", "removed from nothing", "removed names a uid that the base does not have.",
         partial(at(F, "/removed", ["8"])), (F, "/removed/0"), base=full()),
    warn("F-066", "item unchanged", "An item is listed as it is in the base.",
         partial(at(F, "/items", [item(1)])), (F, "/items"), base=full()),
    warn("F-066", "item spelt otherwise", "An item is as in the base, but for \\Seen and $seen.",
         partial(at(F, "/items", [item(1)])), (F, "/items"),
         base=full(at(F, "/items/0/flags", ["\\Seen"]))),
    bad("F-031", "removed an empty uid", "removed holds an empty string.",
        partial(at(F, "/removed", [""])), (F, "/removed/0"), base=full()),
    bad("F-076", "file of another message", "A new item has the file of an item of the base.",
        partial(at(F, "/items", [item(9, filename="msg-1.eml")]), put(M1, message(9))),
        (F, "/items"), base=full()),
    good("M-001", "file of a message removed", "The item of the base that had the file is removed.",
         partial(at(F, "/removed", ["1"]), at(F, "/items", [item(9, filename="msg-1.eml")]),
                 put(M1, message(9))), chained=True, base=full()),
    warn("F-077", "another file name", "An item of the base has another file, which is here.",
         partial(FLAGS, at(F, "/items/0/filename", "msg-9.eml"),
                 put("mail/INBOX/msg-9.eml", message(9))), (F, "/items"), base=full()),
    warn("F-077", "another message", "The file of an item of the base has more octets than it had.",
         partial(FLAGS, put(M1, message(1) + b"More.\r\n")), (F, "/items"), base=full()),
    bad("F-075", "folder of the base damaged", "folder.json of the base is cut off.",
        partial(at(F, "/removed", ["1"])), (F, ""),
        base=full(put(F, full()[F][:-60]))),
    warn("F-067", "tombstone of nothing", "deleted_at of a folder that the base does not have.",
         partial(put(GONE, dumped(folder("Gone", "M9", [], deleted_at=WHEN)))),
         (GONE, "/deleted_at"), base=full()),
    good("F-068", "full with a base", "The archive is a full one and needs no base.",
         mail(), None, base=full()),
)  # fmt: skip
