"""ZIP and tar files that are damaged, forged or odd; what is spoilt is a file of no item."""

from __future__ import annotations

import struct
import tarfile

from pdpa_corpus.containers import (
    DEFLATED,
    ENCRYPTED,
    Entry,
    entries,
    global_header,
    local_header,
    tar_entry,
    tar_of,
    tarred,
    zip_of,
    zipped,
)
from pdpa_corpus.parts import (
    CARD,
    M1,
    A,
    F,
    at,
    bad,
    contacts,
    gone,
    good,
    mail,
    moved,
    put,
    warn,
)

X = "blob/x"
OCTETS = b"some octets\n"
COMMENT = b"70000 comment=" + b"x" * (70_000 - 15) + b"\n"
METADATA_LAST = sorted(entries(mail()), key=lambda one: one.name == A.encode())
WHOLE = zipped(mail(), Entry(X.encode(), OCTETS))[1]


def spoilt_directory() -> bytes:
    """The signature of the last entry of the central directory is damaged."""
    at = WHOLE.rindex(b"PK\x01\x02")
    return WHOLE[:at] + b"XX" + WHOLE[at + 2 :]


def shared_octets() -> tuple[str, bytes]:
    """A member lies, with a header of its own, within the octets of another."""
    inner = Entry(b"blob/y", OCTETS)
    outer = Entry(X.encode(), local_header(inner) + OCTETS)
    before = len(zip_of(entries(mail()))) - _tail(len(entries(mail())))
    inner.inside = before + len(local_header(Entry(X.encode(), b"")))
    return ".zip", zip_of([*entries(mail()), outer, inner])


def _tail(count: int) -> int:
    """Octets of central directory and end record."""
    return 22 + sum(46 + len(one.name) for one in entries(mail())[:count])


def cut_tar() -> bytes:
    """The last member's header is cut in two."""
    octets = tarred(mail(put(X, OCTETS)), last=X)[1]
    at = octets.index(X.encode())
    return octets[: at + 200]


OURS = mail(at(A, "/archive/generator", "portarchive 1.0"))
NESTED = {f"jane/{name}": octets for name, octets in mail().items()}

CASES = (
    bad("Z-001", "cut off", "The end record is missing.",
        mail(), None, packed=(".zip", WHOLE[:-30]), chained=True),
    bad("Z-002", "directory damaged", "The last entry of the central directory is damaged.",
        mail(), None, packed=(".zip", spoilt_directory())),
    bad("Z-003", "shared octets", "A member lies within the octets of another.",
        mail(), ("blob/y", ""), packed=shared_octets()),
    bad("Z-004", "size forged", "The central directory has another size than the local header.",
        mail(), (X, ""), packed=zipped(mail(), Entry(X.encode(), OCTETS, size=5))),
    bad("Z-004", "size too large", "A deflated member is shorter than it claims.",
        mail(), (X, ""), packed=zipped(mail(), Entry(
            X.encode(), OCTETS + b"x", DEFLATED,
            b"\1" + struct.pack("<2H", len(OCTETS), len(OCTETS) ^ 0xFFFF) + OCTETS))),
    bad("Z-005", "octets damaged", "The CRC-32 of a member is not that of its octets.",
        mail(), (X, ""), packed=(".zip", WHOLE.replace(OCTETS, b"same octets\n"))),
    bad("Z-006", "encrypted", "A member is encrypted.",
        mail(), (X, ""), packed=zipped(mail(), Entry(X.encode(), OCTETS, flags=ENCRYPTED))),
    bad("Z-007", "compressed oddly", "A member is compressed by method 12.",
        mail(), (X, ""), packed=zipped(mail(), Entry(X.encode(), OCTETS, method=12))),
    bad("Z-009", "second part", "The end record has the number 1 for this part.",
        mail(), None, packed=zipped(mail(), disk=1), chained=True),
    warn("Z-010", "count forged", "The end record counts 3 of 4 members.",
         mail(), None, packed=zipped(mail(), count=3)),
    warn("Z-011", "octets before", "A script stands before the ZIP data.",
         mail(), None, packed=zipped(mail(), before=b"#!/bin/sh\n")),
    good("Z-012", "archive.json last", "A reader in one pass wants it first.",
         mail(), (A, ""), packed=tarred(mail(), last=A)),
    good("Z-012", "archive.json last in zip", "It lies after all others, and is listed after them.",
         mail(), (A, ""), packed=(".zip", zip_of(METADATA_LAST))),
    good("Z-012", "archive.json listed last", "It lies before all others, and is listed last.",
         mail(), (A, ""), packed=(".zip", zip_of(entries(mail()), listed_last=[A.encode()]))),
    good("Z-012", "archive.json listed first", "It lies after all others, and is listed first.",
         mail(), (A, ""), packed=(".zip", zip_of(
             METADATA_LAST, listed_last=[one.name for one in METADATA_LAST[:-1]]))),
    bad("Z-013", "two names", "The local header has another name than the central directory.",
        mail(), (X, ""), packed=zipped(mail(), Entry(X.encode(), OCTETS, local_name=b"blob/y"))),
    bad("Z-013", "local header nowhere", "The offset of a member is 2^63 - 1.",
        mail(), (X, ""),
        packed=zipped(mail(), Entry(X.encode(), OCTETS, offset=2**63 - 1), wide=True)),
    bad("Z-014", "global header too large", "A pax header for all members has 70,000 octets.",
        mail(), None, packed=(".tar", global_header(COMMENT) + tar_of(mail())), chained=True),
    bad("Z-014", "tar cut off", "The file ends within the header of its last member.",
        mail(), None, packed=(".tar", cut_tar())),
    warn("Z-016", "name not marked", "A name is in UTF-8 and not marked as such.",
         mail(), ("blob/café", ""), packed=zipped(mail(), Entry("blob/café".encode(), flags=0))),
    warn("Z-016", "names not marked", "Two names are; it is told once.",
         mail(), ("blob/a\u00f1o", ""), packed=zipped(
             mail(), Entry("blob/a\u00f1o".encode(), flags=0),
             Entry("blob/th\u00e9".encode(), flags=0))),
    bad("Z-017", "sparse file", "A member is a sparse file of GNU tar.",
        mail(), (X, ""), packed=tarred(mail(), tar_entry(X, tarfile.GNUTYPE_SPARSE))),
    warn("Z-018", "document a hard link", "A Card is a hard link to a file in blob/.",
         contacts(moved(CARD, X)), (CARD, ""),
         packed=tarred(contacts(moved(CARD, X)), tar_entry(CARD, tarfile.LNKTYPE, X))),
    warn("Z-018", "folder a hard link", "folder.json is a hard link to a file in blob/.",
         mail(moved(F, X)), (F, ""),
         packed=tarred(mail(moved(F, X)), tar_entry(F, tarfile.LNKTYPE, X))),
    bad("P-017b", "Card a hard link", "A Card is a hard link to another, and has its uid.",
        contacts(), ("contacts/more.json", "/uid"), ("Z-018", "contacts/more.json", ""),
        packed=tarred(contacts(), tar_entry("contacts/more.json", tarfile.LNKTYPE, CARD))),
    bad("C-111", "items of a hard link", "folder.json, a hard link, names a file that is missing.",
        mail(moved(F, X), gone(M1)), (F, "/items/0/filename"), ("Z-018", F, ""),
        packed=tarred(mail(moved(F, X), gone(M1)), tar_entry(F, tarfile.LNKTYPE, X))),
    bad("P-003", "archive.json a hard link", "It is a hard link to a file that is no JSON.",
        mail(gone(A), put(X, OCTETS)), (A, "1:1"), ("Z-012", A, ""), ("Z-018", A, ""),
        packed=tarred(mail(gone(A), put(X, OCTETS)), tar_entry(A, tarfile.LNKTYPE, X))),
    warn("Z-018", "archive.json a hard link", "It is a hard link to a file in blob/.",
         mail(moved(A, X)), (A, ""), ("Z-012", A, ""),
         packed=tarred(mail(moved(A, X)), tar_entry(A, tarfile.LNKTYPE, X))),
    warn("Z-019", "private files", "The container has a .portarchive/.",
         mail(), (".portarchive", ""), packed=zipped(mail(put(".portarchive/lock", b"")))),
    warn("Z-019", "derived files in a directory", "The container has a jane/index/.",
         OURS, ("index", ""), ("Z-020", "jane", ""),
         packed=zipped({f"jane/{name}": octets for name, octets in OURS.items()}
                       | {"jane/index/x": b""})),
    good("Z-020", "in a directory", "The archive lies in the directory jane.",
         mail(), ("jane", ""), packed=zipped(NESTED)),
    warn("Z-021", "tar after tar", "A second tar file follows the first.",
         mail(), None, packed=(".tar", tar_of(mail()) + tar_of(mail(put(X, OCTETS))))),
)  # fmt: skip
