"""What means harm, or looks like it: names, links, bombs, limits. Nearly all in containers."""

from __future__ import annotations

import tarfile

from pdpa_corpus.containers import (
    DEFLATED,
    FIFO,
    SYMLINK,
    Entry,
    deflated_run,
    entries,
    tar_entry,
    tarred,
    zip_of,
    zipped,
)
from pdpa_corpus.parts import (
    M1,
    F,
    Files,
    at,
    bad,
    dumped,
    folder,
    mail,
    message,
    moved,
    place,
    put,
    text,
    warn,
)

MORE = "mail/INBOX/more.eml"
COMMENT = mail(at(F, "/comment", "@"))
DEEP = mail(at(F, "/x", "@"), text(F, '"@"', b"[" * 70 + b"]" * 70))
NAMED_CON = mail(moved(M1, "mail/INBOX/con.eml"), at(F, "/items/0/filename", "con.eml"))
DEEP_NAME = "blob" + "/a" * 255
ZEROS = 258 * 12_000


def long_value() -> tuple[str, bytes]:
    """folder.json with a comment of 1.2 million octets, deflated to a few thousand."""
    before, after = COMMENT[F].split(b"@")
    run = deflated_run(before, b"x", 258 * 5000, after)
    octets = before + b"x" * (258 * 5000) + after
    members = [one for one in entries(COMMENT) if one.name != F.encode()]
    return ".zip", zip_of([*members, Entry(F.encode(), octets, DEFLATED, run)])


def bomb() -> tuple[str, bytes]:
    """Three million zeros in 20 kB."""
    run = deflated_run(b"", b"\0", ZEROS)
    return zipped(mail(), Entry(b"blob/zeros", b"\0" * ZEROS, DEFLATED, run))


def not_utf8() -> tarfile.TarInfo:
    return tarfile.TarInfo(b"mail/INBOX/caf\xe9.eml".decode("utf-8", "surrogateescape"))


def link_to(files: Files, name: str) -> tuple[str, bytes]:
    return tarred(files, tar_entry(name, tarfile.SYMTYPE, "/etc/hostname"))


CASES = (
    bad("F-002", "document too large", "folder.json is over a limit of 1,500 octets.",
        mail(at(F, "/comment", "x" * 2000)), (F, ""), limits={"document": 1500}),
    bad("F-003", "too deep", "A member is nested 70 deep.", DEEP, (F, "/x" + "/0" * 63)),
    bad("F-004", "string too long", "A comment is over a limit of 200 characters.",
        mail(at(F, "/comment", "x" * 201)), (F, "/comment"), limits={"string": 200}),
    bad("F-005", "value too large", "A comment is over a limit of 100,000 octets, and a window.",
        mail(), (F, place(COMMENT[F], b'"@"')), packed=long_value(), limits={"value": 100_000}),
    bad("F-005", "values too many", "A member has more values than a limit of 200.",
        mail(at(F, "/x", [[]] * 100)), (F, place(mail(at(F, "/x", [[]] * 100))[F], b"[\n  []")),
        limits={"nodes": 200}),
    bad("F-010", "name leads out", "A member is called ../x.",
        mail(), ("../x", ""), packed=zipped(mail(), Entry(b"../x"))),
    bad("F-010", "name absolute", "A member is called /etc/x.",
        mail(), ("/etc/x", ""), packed=zipped(mail(), Entry(b"/etc/x"))),
    bad("F-010", "name with a backslash", "A member is called ..\\x.",
        mail(), ("..\\x", ""), packed=zipped(mail(), Entry(b"..\\x"))),
    bad("F-010", "name with a drive", "A member is called C:x, in a tar file.",
        mail(), ("C:x", ""), packed=tarred(mail(), tarfile.TarInfo("C:x"))),
    bad("F-010", "name too deep", "A member lies in 255 directories.",
        mail(), (DEEP_NAME[:400], ""), packed=zipped(mail(), Entry(DEEP_NAME.encode()))),
    bad("F-011", "name not UTF-8", "A member's name is in Latin-1.",
        mail(), ("mail/INBOX/caf\\udce9.eml", ""), packed=tarred(mail(), not_utf8())),
    bad("F-012", "symbolic link in tar", "A member is a symbolic link.",
        mail(), (MORE, ""), packed=link_to(mail(), MORE)),
    bad("F-012", "symbolic link in zip", "A member is a symbolic link.",
        mail(), (MORE, ""),
        packed=zipped(mail(), Entry(MORE.encode(), b"/etc/hostname", mode=SYMLINK))),
    bad("F-012", "hard link forwards", "A hard link names a member that has not been.",
        mail(), (MORE, ""),
        packed=tarred(mail(), tar_entry(MORE, tarfile.LNKTYPE, "mail/INBOX/later.eml"))),
    bad("F-013", "pipe", "A member is a named pipe.",
        mail(), (MORE, ""), packed=tarred(mail(), tar_entry(MORE, tarfile.FIFOTYPE))),
    bad("F-013", "pipe in zip", "A member is a named pipe.",
        mail(), (MORE, ""), packed=zipped(mail(), Entry(MORE.encode(), mode=FIFO))),
    bad("F-014", "twins by case", "Two names differ in case only.",
        mail(), (M1, ""), ("M-010", "mail/INBOX/MSG-1.eml", ""),
        packed=zipped(mail(), Entry(b"mail/INBOX/MSG-1.eml", message(3)))),
    bad("F-014", "directories twins by case", "Two folders lie in Work and work.",
        mail(), ("mail/work", ""), packed=zipped(mail(
            put("mail/Work/folder.json", dumped(folder("Work", "M3", []))),
            put("mail/work/folder.json", dumped(folder("work", "M4", [])))))),
    bad("F-014", "twins by form", "Two names differ in their Unicode form only.",
        mail(), ("blob/caf\u00e9", ""),
        packed=zipped(mail(), Entry("blob/café".encode()), Entry("blob/cafe\u0301".encode()))),
    bad("F-015", "name twice", "Two members have one name, and other octets.",
        mail(), (M1, ""), packed=zipped(mail(), Entry(M1.encode(), message(3)))),
    bad("F-016", "too many entries", "There are more members than a limit of 3.",
        mail(), None, packed=zipped(mail()), limits={"entries": 3}, chained=True),
    bad("F-016", "directories of names", "Names of two members make eight directories of nothing.",
        mail(), None, packed=zipped(mail(), Entry(b"a/b/c/d/e/x"), Entry(b"f/g/h/i/j/x")),
        limits={"entries": 400}, chained=True),
    bad("F-017", "bomb", "The file holds 155 times its size, and the limit is 100 times.",
        mail(), None, packed=bomb(), limits={"expansion": 100, "expansion_floor": 1 << 20},
        chained=True),
    bad("F-018", "too large in all", "The members are over a limit of 500 octets in all.",
        mail(), None, packed=zipped(mail()), limits={"total": 500}, chained=True),
    bad("F-019", "file and directory", "mail/INBOX is a file and a directory.",
        mail(), ("mail/INBOX", ""), ("F-043", "mail/INBOX", ""),
        packed=zipped(mail(), Entry(b"mail/INBOX", b"x"))),
    warn("F-020", "device of Windows", "A message's file is called con.eml.",
         NAMED_CON, ("mail/INBOX/con.eml", ""), packed=zipped(NAMED_CON)),
    warn("F-020", "name for a terminal", "A member's name has an escape sequence.",
         mail(), ("blob/\\x1b[2Jx", ""), packed=zipped(mail(), Entry(b"blob/\x1b[2Jx"))),
)  # fmt: skip
