"""Writes the sample mailbox: ``python samples/make.py`` renews ``samples/mailbox``.

``--maildir DIR`` makes a Maildir tree of it instead, ``--output DIR`` writes the mailbox elsewhere.
No clock, no chance, nothing but the standard library: every run writes the same octets.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

sys.dont_write_bytecode = True  # this directory is shipped as it is: set before what follows

from compose import Letter, Placed, number  # noqa: E402 - see above
from letters import abroad, club, family, offers, reports, workshop  # noqa: E402 - see above

HERE = Path(__file__).resolve().parent
ACCOUNT, OWNER = "jane@example.org", "Jane Lindqvist"
# path, role, subscribed; a parent that is not named here holds no mail
FOLDERS: tuple[tuple[str, str, bool], ...] = (
    ("INBOX", "inbox", True),
    ("Archive", "archive", True),
    ("Drafts", "drafts", True),
    ("Junk", "junk", True),
    ("Memos", "memos", True),
    ("Newsletters", "", True),
    ("Old post/C:\\MAIL\\1999", "", False),
    ("Postmaster", "", True),
    ("Sent", "sent", True),
    ("Släkt", "", True),
    ("Släkt/Mormor", "", True),
    ("Släkt/Mormor/Brev på svenska", "", True),
    ("Swifts", "", True),
    ("Swifts/CON", "", False),
    ("Swifts/Committee", "", True),
    ("Swifts/Counts: how many?", "", True),
    ('Swifts/He said "never again"', "", False),
    ("Templates", "", False),
    ("Trash", "trash", True),
    ("Workshop/Clients", "", True),
    ("Workshop/Clients/Møller, Århus", "", True),
    ("Workshop/Offers & invoices 100%", "", True),
    ("Workshop/Suppliers", "", True),
    ("Workshop/Suppliers/取引先", "", True),
    ("newsletters", "", False),
    ("موسيقى", "", True),
    ("🎹 Ideas", "", True),
)
SYSTEM_LETTERS = {
    "\\Draft": "D",
    "\\Flagged": "F",
    "\\Answered": "R",
    "\\Seen": "S",
    "\\Deleted": "T",
}


@dataclass(frozen=True)
class Mail:
    """One line of mailbox.json: a letter in a folder."""

    letter: Letter
    place: Placed
    uid: int

    @property
    def file(self) -> str:
        return f"{self.letter.slug}.eml"


def collect() -> list[Letter]:
    rooms = (family, workshop, abroad, club, reports, offers)
    found = [one for room in rooms for one in room.letters()]
    slugs = [one.slug for one in found]
    if len(set(slugs)) != len(slugs):
        raise SystemExit("two letters have the same name")
    return found


def arranged(letters: Iterable[Letter]) -> dict[str, list[Mail]]:
    """The mailbox folder by folder, in the order of arrival; UIDs have gaps, as mail was deleted."""
    folders: dict[str, list[Mail]] = {path: [] for path, _, _ in FOLDERS}
    pairs = [(place, one) for one in letters for place in one.places]
    for place, one in sorted(pairs, key=lambda pair: (pair[0].received, pair[1].slug)):
        row = folders[place.folder]
        row.append(Mail(one, place, (row[-1].uid if row else 0) + 1 + number(one.slug) % 4))
    return folders


def uid_validity(path: str) -> int:
    return 1_500_000_000 + number(path) % 100_000_000


def parents(path: str) -> list[str]:
    names = path.split("/")
    return ["/".join(names[:depth]) for depth in range(1, len(names))]


def write_mailbox(target: Path) -> None:
    """``mailbox.json`` and one ``.eml`` a message. One message in two folders is one file."""
    target.mkdir(parents=True, exist_ok=True)
    letters = collect()
    wanted = {f"{one.slug}.eml": one.octets for one in letters}
    for stale in target.glob("*.eml"):
        if stale.name not in wanted:
            stale.unlink()
    for name, octets in wanted.items():
        (target / name).write_bytes(octets)
    (target / "mailbox.json").write_bytes(described(arranged(letters)).encode())


def described(folders: Mapping[str, list[Mail]]) -> str:
    """JSON with one message a line, so that a change shows as one."""
    known = {path: (role, subscribed) for path, role, subscribed in FOLDERS}
    every = sorted({*known, *(above for path in known for above in parents(path))}, key=str.encode)
    blocks: list[str] = []
    for path in sorted(every, key=lambda path: path != "INBOX"):
        role, subscribed = known.get(path, ("", False))
        head = {
            "path": path.split("/"),
            "roles": [role] if role else [],
            "subscribed": subscribed,
            "selectable": path in known,
            "uidvalidity": uid_validity(path) if path in known else None,
        }
        rows = [
            {
                "uid": mail.uid,
                "file": mail.file,
                "flags": list(mail.place.flags),
                "internaldate": mail.place.received.isoformat(),
            }
            for mail in folders.get(path, [])
        ]
        lines = ",".join("\n   " + json.dumps(row, ensure_ascii=False) for row in rows)
        blocks.append(json.dumps(head, ensure_ascii=False)[:-1] + f', "messages": [{lines}]}}')
    intro = f'{{"account": "{ACCOUNT}", "name": "{OWNER}",\n "folders": [\n  '
    return intro + ",\n  ".join(blocks) + "\n ]}\n"


def write_maildir(target: Path) -> None:
    """A Maildir tree as Dovecot lays it out with LAYOUT=fs: INBOX is the root, a folder a directory.

    Names are in modified UTF-7, flags in the file name, keywords by letter with their names in
    ``dovecot-keywords``, the internal date is the time of the file. The offset of the internal date
    has no place in a Maildir.
    """
    folders = arranged(collect())
    for path, mails in folders.items():
        where = target if path == "INBOX" else target.joinpath(*map(modified_utf7, path.split("/")))
        for part in ("cur", "new", "tmp"):
            (where / part).mkdir(parents=True, exist_ok=True)
        keywords = sorted(
            {flag for mail in mails for flag in mail.place.flags if flag not in SYSTEM_LETTERS}
        )
        if keywords:
            names = "".join(f"{at} {keyword}\n" for at, keyword in enumerate(keywords))
            (where / "dovecot-keywords").write_text(names, encoding="ascii", newline="\n")
        for mail in mails:
            size, epoch = len(mail.letter.octets), int(mail.place.received.timestamp())
            marks = {
                SYSTEM_LETTERS.get(flag) or chr(ord("a") + keywords.index(flag))
                for flag in mail.place.flags
            }
            name = f"{epoch}.M{mail.uid}P1.samples,S={size},W={size}:2,{''.join(sorted(marks))}"
            (where / "cur" / name).write_bytes(mail.letter.octets)
            os.utime(where / "cur" / name, (epoch, epoch))
    listed = "".join(
        "/".join(map(modified_utf7, p.split("/"))) + "\n"
        for p, _, subscribed in FOLDERS
        if subscribed
    )
    (target / "subscriptions").write_text(listed, encoding="ascii", newline="\n")


def modified_utf7(name: str) -> str:
    """RFC 3501 section 5.1.3."""
    out, run = "", ""
    for char in [*name, ""]:
        if char and not " " <= char <= "~":
            run += char
            continue
        if run:
            coded = run.encode("utf-7").decode()
            out += "&" + coded[1:].rstrip("-").replace("/", ",") + "-"
            run = ""
        out += "&-" if char == "&" else char
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the sample mailbox.")
    parser.add_argument("--output", type=Path, default=HERE / "mailbox", metavar="DIR")
    parser.add_argument(
        "--maildir", type=Path, metavar="DIR", help="make a Maildir tree in DIR instead"
    )
    chosen = parser.parse_args()
    if chosen.maildir is None:
        write_mailbox(chosen.output)
    elif chosen.maildir.exists() and any(chosen.maildir.iterdir()):
        raise SystemExit(f"{chosen.maildir} is not empty")
    else:
        write_maildir(chosen.maildir)


if __name__ == "__main__":
    main()
