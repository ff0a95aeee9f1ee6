"""The chain archive.json, manifest.json, manifest-sha256.txt, files; and the ledger.

These files are portarchive's own extension of the draft; docs/format describes them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pdpa_corpus.parts import (
    M1,
    SUB,
    WHEN,
    A,
    F,
    Files,
    Spoil,
    at,
    bad,
    contacts,
    dumped,
    folder,
    gone,
    good,
    loaded,
    mail,
    message,
    put,
    sha256,
    told,
    warn,
)

MANIFEST, DIGESTS = "manifest.json", "manifest-sha256.txt"
Change = Callable[[dict[str, Any]], object]


def link(name: str, octets: bytes) -> dict[str, Any]:
    """One link of the chain."""
    return {"path": name, "sha256": sha256(octets), "bytes": len(octets)}


def ledger_entry(path: str, count: int) -> dict[str, Any]:
    return {
        "path": path,
        "listed": count,
        "archived": count,
        "skipped": [],
        "vanished": {"count": 0, "uids": ""},
        "failed": [],
    }


def whole(*spoils: Spoil) -> Files:
    """Two folders, sizes and digests in the items."""
    items = [told(1, message(1)), told(2, message(2))]
    return mail(at(F, "/items", items), put(SUB, dumped(folder("Sub", "M2", []))), *spoils)


def chained(
    *spoils: Spoil,
    lines: Callable[[list[bytes]], list[bytes]] = list,
    ledger: Change = lambda _: None,
    after: tuple[Spoil, ...] = (),
) -> Files:
    """With manifests.

    Args:
        spoils: before anything is hashed.
        lines: changes manifest-sha256.txt, and the chain still holds.
        ledger: changes manifest.json likewise.
        after: what breaks the chain.
    """
    files = whole(*spoils)
    true = [f"{sha256(files[name])}  {name}\n".encode() for name in sorted(files) if name != A]
    written = lines(true)
    files[DIGESTS] = b"".join(written)
    manifest = {
        "$schema": "urn:portarchive:schema:manifest:1",
        "archive_id": loaded(files, A)["archive"]["id"],
        "generator": "an exporter 1.0",
        "created": WHEN,
        "files": link(DIGESTS, files[DIGESTS]) | {"count": len(written)},
        "source": {"protocol": "imap", "service": "imaps://imap.example.org", "account": "jane"},
        "selection": {},
        "folders": [ledger_entry("INBOX", 2), ledger_entry("INBOX/Sub", 0)],
        "complete": True,
    }
    ledger(manifest)
    files[MANIFEST] = dumped(manifest)
    at(A, "/archive/portarchive:manifest", link(MANIFEST, files[MANIFEST]))(files)
    for spoil in after:
        spoil(files)
    return files


def inbox(**members: Any) -> Change:
    return lambda manifest: manifest["folders"][0].update(members)


def lost(manifest: dict[str, Any]) -> None:
    manifest["folders"].append(ledger_entry("Lost", 0))


def failed(manifest: dict[str, Any]) -> None:
    manifest["complete"] = False
    one = {"uid": "3", "code": "server-refused", "text": "NO", "stored": False}
    manifest["folders"][0] |= {"listed": 3, "failed": [one]}


def open_sum(manifest: dict[str, Any]) -> None:
    manifest["complete"] = False
    manifest["folders"][0] |= {"listed": 3}


def without_sub(**selection: Any) -> Change:
    """Another selection than the one that the archive was begun with."""

    def change(manifest: dict[str, Any]) -> None:
        manifest["selection"] = selection
        manifest["folders"].pop()

    return change


def extra(line: bytes) -> Callable[[list[bytes]], list[bytes]]:
    return lambda lines: [*lines, line]


def named(path: str) -> Callable[[list[bytes]], list[bytes]]:
    return extra(b"%s  %s\n" % (b"a" * 64, path.encode()))


def otherwise(lines: list[bytes]) -> list[bytes]:
    """As ``find . -type f`` and another system write them."""
    return [line.replace(b"  ", b"  ./").replace(b"\n", b"\r\n") for line in lines]


def without_message(lines: list[bytes]) -> list[bytes]:
    return [line for line in lines if not line.endswith(M1.encode() + b"\n")]


def flip(files: Files) -> None:
    files[M1] = files[M1].replace(b"This is", b"That is")


def edit(files: Files) -> None:
    files[MANIFEST] = files[MANIFEST].replace(b'"jane"', b'"joan"')


UNNAMED = at(A, "/archive/portarchive:manifest")
UNCHAINED = (gone(MANIFEST), UNNAMED)
SKIPPED = {"reason": "size", "count": 2, "uids": "3:9"}

CASES = (
    bad("M-002", "manifest missing", "manifest.json is missing.",
        chained(after=(gone(MANIFEST),)), (MANIFEST, ""), chained=True),
    bad("M-003", "manifest edited", "manifest.json has another digest than archive.json says.",
        chained(after=(edit,)), (MANIFEST, ""), chained=True),
    bad("M-004", "manifest with a member more", "manifest.json does not meet its schema.",
        chained(ledger=lambda manifest: manifest.update(extra=1)), (MANIFEST, ""), chained=True),
    bad("M-005", "manifest of another", "archive_id is another one.",
        chained(ledger=lambda manifest: manifest.update(archive_id="another")),
        (MANIFEST, "/archive_id"), chained=True),
    bad("M-006", "line of no form", "The last line of manifest-sha256.txt is hello.",
        chained(lines=extra(b"hello\n")), (DIGESTS, "5:1"), chained=True),
    bad("M-007", "line leads out", "manifest-sha256.txt names ../x.",
        chained(lines=named("../x")), (DIGESTS, "5:67"), chained=True),
    bad("M-008", "file missing", "A file of manifest-sha256.txt is missing.",
        chained(lines=named("blob/x")), ("blob/x", ""), chained=True),
    bad("M-009", "octet flipped", "A message is not the one that was hashed.",
        chained(after=(flip,)), (M1, ""), chained=True),
    warn("M-010", "left over", "A message file that no item and no manifest names.",
         chained(after=(put("mail/INBOX/msg-3.eml", message(3)),)),
         ("mail/INBOX/msg-3.eml", ""), chained=True),
    good("M-011", "left over by a run", "The same while a journal lies in .portarchive/.",
         chained(after=(put("mail/INBOX/msg-3.eml", message(3)),
                        put(".portarchive/journal", b""))),
         ("mail/INBOX/msg-3.eml", ""), chained=True),
    bad("M-012", "message not hashed", "A message is in no line of manifest-sha256.txt.",
        chained(lines=without_message), (M1, ""), chained=True),
    good("M-013", "rubbish of a desktop", "Thumbs.db lies among the messages.",
         chained(after=(put("mail/INBOX/Thumbs.db", b"x"),)),
         ("mail/INBOX/Thumbs.db", ""), chained=True),
    good("M-013", "AppleDouble", "macOS keeps its own beside a Card.",
         contacts(put("contacts/._jane.json", b"\0\5\x16\7\0\2\0\0Mac OS X\xff")),
         ("contacts/._jane.json", "")),
    good("M-013", "folder of a desktop", "__MACOSX/ has a copy of folder.json, and no messages.",
         mail(put("__MACOSX/mail/INBOX/folder.json", mail()[F])),
         ("__MACOSX/mail/INBOX/folder.json", "")),
    bad("M-014", "line twice", "manifest-sha256.txt names a file twice.",
        chained(lines=lambda lines: [*lines, lines[0]]), (DIGESTS, "5:67"), chained=True),
    bad("M-015", "lines miscounted", "manifest.json counts 3 lines of 4.",
        chained(ledger=lambda manifest: manifest["files"].update(count=3)),
        (DIGESTS, ""), chained=True),
    warn("M-016", "line too many", "manifest-sha256.txt covers index/x, which is derived.",
         chained(lines=named("index/x")), (DIGESTS, "5:67"), chained=True),
    bad("P-006", "folder.json never written", "The manifests have messages and no folder.json.",
        chained(gone(F)), ("mail/INBOX", ""), ("M-023", "mail/INBOX", ""), chained=True),
    warn("M-029", "lines of another system", "Paths begin with ./, lines end in CRLF.",
         chained(lines=otherwise, after=UNCHAINED),
         (DIGESTS, "1:1"), ("M-017", DIGESTS, ""), chained=True),
    warn("M-030", "manifest not named", "archive.json does not name the manifest.json.",
         chained(after=(UNNAMED,)), (MANIFEST, ""), chained=True),
    bad("M-003", "digests edited and manifest not named",
        "Nothing names the manifest.json, and it names another manifest-sha256.txt.",
        chained(ledger=lambda manifest: manifest["files"].update(sha256="0" * 64),
                after=(UNNAMED,)), (DIGESTS, ""), ("M-030", MANIFEST, ""), chained=True),
    bad("M-005", "manifest of another and not named",
        "Nothing names the manifest.json, and it is about another archive.",
        chained(ledger=lambda manifest: manifest.update(archive_id="another"), after=(UNNAMED,)),
        (MANIFEST, "/archive_id"), ("M-030", MANIFEST, ""), chained=True),
    bad("M-015", "lines miscounted and manifest not named",
        "Nothing names the manifest.json, and it counts 7 lines of 4.",
        chained(ledger=lambda manifest: manifest["files"].update(count=7), after=(UNNAMED,)),
        (DIGESTS, ""), ("M-030", MANIFEST, ""), chained=True),
    bad("M-004", "path of a folder empty", "A folder of the ledger has an empty path.",
        chained(ledger=inbox(path="")), (MANIFEST, "/folders/0/path"), chained=True),
    bad("M-004", "count of a folder below 0", "A folder of the ledger listed -1.",
        chained(ledger=inbox(listed=-1)), (MANIFEST, "/folders/0/listed"), chained=True),
    bad("F-030", "link a number", "portarchive:manifest is 5.",
        chained(after=(at(A, "/archive/portarchive:manifest", 5),)),
        (A, "/archive/portarchive:manifest"), chained=True),
    good("M-017", "digests only", "There is a manifest-sha256.txt and nothing that names it.",
         chained(after=UNCHAINED), (DIGESTS, ""), chained=True),
    bad("M-020", "item lost", "The ledger archived three messages, the folder has two items.",
        chained(ledger=inbox(listed=3, archived=3)), ("mail/INBOX", ""), chained=True),
    bad("M-021", "message unaccounted for", "Three were listed, two archived, none skipped.",
        chained(ledger=open_sum), (MANIFEST, "/folders/0"), chained=True),
    bad("M-021", "vanished and an item", "uid 2 is an item, and vanished.",
        chained(ledger=inbox(listed=3, vanished={"count": 1, "uids": "2"})),
        (MANIFEST, "/folders/0"), chained=True),
    bad("M-021", "skipped and vanished", "uid 5 is both.",
        chained(ledger=inbox(listed=8, skipped=[{"reason": "size", "count": 5, "uids": "3:7"}],
                             vanished={"count": 1, "uids": "5"})),
        (MANIFEST, "/folders/0"), chained=True),
    bad("M-022", "not complete", "complete is false, and nothing is missing.",
        chained(ledger=lambda manifest: manifest.update(complete=False)),
        (MANIFEST, "/complete"), chained=True),
    bad("M-023", "folder lost", "The ledger has a folder that is not here.",
        chained(ledger=lost), ("mail/Lost", ""), chained=True),
    warn("M-024", "folder unknown", "A folder is not in the ledger.",
         chained(ledger=lambda manifest: manifest["folders"].pop()), ("mail/INBOX/Sub", ""),
         chained=True),
    good("M-025", "one failed", "The ledger says itself that a message is missing.",
         chained(ledger=failed), (MANIFEST, "/folders"), chained=True),
    bad("M-027", "uids miscounted", "Two were skipped, and seven uids are named.",
        chained(ledger=inbox(listed=4, skipped=[SKIPPED])),
        (MANIFEST, "/folders/0/skipped/0"), chained=True),
    warn("M-024", "folder unknown and selected", "The ledger lacks a folder that a pattern names.",
         chained(ledger=without_sub(folders=["Inbox/*", "Other"])), ("mail/INBOX/Sub", ""),
         chained=True),
    good("M-028", "folder not selected", "The selection has no such pattern any more.",
         chained(at(F, "/portarchive:role", "inbox"), ledger=without_sub(roles=["inbox"])),
         ("mail/INBOX/Sub", ""), chained=True),
    good("M-028", "folder excluded", "The selection leaves out a folder that is here.",
         chained(ledger=without_sub(exclude=["INBOX/S?b"])), ("mail/INBOX/Sub", ""),
         chained=True),
    bad("M-026", "file not readable", "The file of a message may not be read by anybody.",
        whole(), (M1, ""), unreadable=(M1,)),
    bad("M-026", "folder.json not readable", "The folder.json of a folder may not be read.",
        chained(), (F, ""), unreadable=(F,), chained=True),
    bad("M-026", "directory not readable", "The directory of a folder may not be read by anybody.",
        whole(), ("mail/INBOX/Sub", ""), unreadable=("mail/INBOX/Sub",)),
)  # fmt: skip
