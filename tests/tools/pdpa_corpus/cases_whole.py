"""Whole archives: the least of each dialect, and what several exporters write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pdpa_corpus.cases_integrity import chained
from pdpa_corpus.cases_partial import full, partial
from pdpa_corpus.containers import (
    SIGNATURE,
    gzipped,
    listed,
    tar_of,
    volume_label,
    zip_of,
    zipped,
    zstandard,
)
from pdpa_corpus.containers import entries as members
from pdpa_corpus.parts import (
    BLOB,
    CALENDAR,
    EVENT,
    M1,
    M2,
    NO_MANIFEST,
    NOTE,
    WHEN,
    A,
    Case,
    F,
    Files,
    Found,
    at,
    bad,
    calendars,
    contacts,
    dumped,
    everything,
    folder,
    gone,
    good,
    item,
    loaded,
    mail,
    message,
    metadata,
    moved,
    put,
    sha256,
    told,
    warn,
)

ROOT = Path(__file__).resolve().parents[3]
DRAFT = ROOT / "tests/schemas/draft"
DRAFT_NAME = "draft-{}-mailmaint-pdparchive-{}"
OLD: Found = ("F-070", A, "/archive/version")
MOVED = "mail/Moved/folder.json"
LATEST: Found = ("C-021", F, "")


def plain(kind: str, name: str, about: str, files: Files, *found: Found, **fields: Any) -> Case:
    """A case that is not that of one code."""
    return Case(kind, name, about, files, tuple(sorted(found)), **fields)


def as_ietf(number: str, *, selector: bool) -> Files:
    """The least mailbox in one of the first drafts of the working group."""
    files = mail(at(A, "/archive/version", DRAFT_NAME.format("ietf", number)))
    if selector:
        at(A, "/dataset/selector", "All mail.")(files)
    return files


def as_happel(number: str, **more: Any) -> Files:
    """The least mailbox in one of the individual drafts: maps in place of items."""
    index = "index.json"
    described: dict[str, Any] = {
        "archive": {"id": "123", "name": "Jane's mail", "timestamp": "2025-10-19-18-00"},
        "dataset": {"extent": "FULL", "datatypes": ["MAIL"], "langaguetag": "en-CA"},
        "datasource": {"service": "imap.example.org", "account": "jane"},
    }
    described["archive"]["version"] = DRAFT_NAME.format("happel", number)
    box = {
        "uidvalidity": 7,
        "last_uid": 9,
        "is_subscribed": True,
        "allowed_keywords": ["$Forwarded"],
        **more,
        "uids": {"1": "msg-1.eml", "2": "msg-2.eml"},
        "flags": {"1": ["$seen"], "2": []},
    }
    box = {name: value for name, value in box.items() if value is not ...}
    return {index: dumped(described), F: dumped(box), M1: message(1), M2: message(2)}


def happel(number: str, what: str = "F-070 minimal", *more_found: Found, **more: Any) -> Case:
    """``more``: members of the folder; Ellipsis takes one away."""
    found = [("F-070", "index.json", "/archive/version"), ("F-073", "index.json", ""), *more_found]
    return plain(
        "warn", what.replace(" ", "_"),
        "An inbox with two messages, in maps, described by index.json.",
        as_happel(number, **more), NO_MANIFEST, *found, dialect=f"happel-{number}",
    )  # fmt: skip


def of_jmap() -> Files:
    """An inbox from JMAP: opaque ids, and nothing of IMAP is invented."""
    box = {
        "$schema": loaded(mail(), F)["$schema"],
        "name": "INBOX",
        "uid": "Mf1a2b",
        "portarchive:role": "inbox",
        "sort_order": 1,
        "myrights": "lrswipktea",
        "items": [
            item(number, uid=f"Me{number}x", filename=f"Me{number}x.eml") for number in (1, 2)
        ],
    }
    return {
        A: mail()[A],
        F: dumped(box),
        "mail/INBOX/Me1x.eml": message(1),
        "mail/INBOX/Me2x.eml": message(2),
    }


def of_thunderbird() -> Files:
    """A POP3 account: opaque ids, an extension declared at the root, the draft named as -01."""
    described = metadata("MAIL")
    described["archive"]["version"] = DRAFT_NAME.format("ietf", "01")
    described["datasource"] = {"service": "pop3", "account": "5b0e6f0e-6a55-4b0e-9f5e-1c9a1c1f0f11"}
    described["net.thunderbird:extensions"] = {"profile": "pop3", "revision": 1}
    ids = ("0a4c2f66-52f5-4f47-9b0c-0f6a1d1f7a01", "0a4c2f66-52f5-4f47-9b0c-0f6a1d1f7a02")
    items = [{"uid": one, "filename": f"{one}.eml", "flags": ["$seen"]} for one in ids]
    box = {
        "$schema": loaded(mail(), F)["$schema"],
        "name": "INBOX",
        "uid": "f7c4e2a0-0d5c-4f0e-8c55-9a5f0f6c1e21",
        "items": items,
    }
    files = {A: dumped(described), F: dumped(box)}
    files |= {f"mail/INBOX/{one}.eml": message(n) for n, one in enumerate(ids, 1)}
    return files


EXAMPLES = {
    "archive": A,
    "folder": "mail/AVClub/folder.json",
    "contact": "contacts/contact.json",
    "group-contact": "contacts/group-contact.json",
    "marianne-dashwood": "contacts/marianne-dashwood.json",
    "family": "contacts/family.json",
    "favorites": "contacts/favorites.json",
    "address-book1": "contacts/address-book1.json",
    "address-book2": "contacts/address-book2.json",
    "calendar1": "calendars/calendar2/calendar1.json",
    "event1": "calendars/calendar2/event1.json",
    "folder-tasks": "tasks/AVClub Tasks/folder.json",
    "task1": "tasks/AVClub Tasks/elect a new chair.json",
    "note1": "notes/note1.json",
}


NOTICE = b"""Most documents of this archive are the examples of the draft, copied from
tests/schemas/draft/examples. The messages and two of the tasks are not. The notice there:

"""


def examples() -> Files:
    """The draft's examples, each where its tree has it; messages and two tasks are ours."""
    files = {
        place: (DRAFT / f"examples/{name}.json").read_bytes() for name, place in EXAMPLES.items()
    }
    for number, name in enumerate(("msg-1.eml", "msg-3.eml", "imported-ABC.eml"), 1):
        files[f"mail/AVClub/{name}"] = message(number)
    task = loaded(files, EXAMPLES["task1"])
    for uid, name in (
        ("65047c09-f236-485b-a011-5f68580c0d4d", "send Jan newsletter"),
        ("bd57adf2-3862-4256-ac2e-aafaf2ce8d71", "add Mary to project folders"),
    ):
        files[f"tasks/AVClub Tasks/{name}.json"] = dumped(task | {"uid": uid, "title": name})
    return files


def of_the_draft() -> Case:
    card, group = "contacts/contact.json", "contacts/group-contact.json"
    box = "mail/AVClub/folder.json"
    return plain(
        "warn", "examples_of_the_draft",
        "The examples of the draft as one archive; codes tell where they disagree with its text.",
        examples(), NO_MANIFEST,
        ("C-004", A, ""), ("C-007", A, "/dataset/languagetag"),
        ("C-009", A, "/archive/archive_id"), ("C-012", A, "/archive/version"),
        *(("F-044", A, "/dataset/datatypes") for _ in ("CONTACTS", "CALENDARS", "TASKS", "NOTES")),
        ("F-054", box, "/items"),
        ("P-019", card, "/relatedTo/urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"),
        ("P-019b", group, "/members/urn:uuid:03a0e51f-d1aa-4385-8a53-e29025acd8af"),
        ("P-019b", group, "/members/urn:uuid:b8767877-b4a1-4c70-9acc-505d3819e519"),
        ("C-058", "contacts/address-book1.json", "/uid"),
        ("C-040", "tasks/AVClub Tasks/folder.json", ""),
        ("C-072", "tasks/AVClub Tasks/elect a new chair.json", "/progress"),
        ("C-072", "tasks/AVClub Tasks/send Jan newsletter.json", "/progress"),
        ("C-072", "tasks/AVClub Tasks/add Mary to project folders.json", "/progress"),
        ("P-035", "notes/note1.json", "/links/1/blobId"),
        beside={"NOTICE": NOTICE + (DRAFT / "NOTICE").read_bytes()},
    )  # fmt: skip


def attachments() -> Case:
    """Files named by blobIds in every kind of directory: §6.3.7 allows any."""
    places = {
        "notes/data.json": b'{"a": 1}',
        "calendars/table.json": b"[1, 2]",
        "contacts/bom.json": b'\xef\xbb\xbf{"a": 1, "a": 2}',
        "tasks/not.json": b"no JSON at all",
        "mail/at-the-root.png": b"x",
        "mail/INBOX/in-a-folder.png": b"x",
        "root.png": b"x",
    }
    links = {
        str(number): {"@type": "Link", "rel": "enclosure", "blobId": place.rpartition("/")[2]}
        for number, place in enumerate(places)
    }
    return plain(
        "good", "attachments_in_any_folder",
        "Files named by blobIds, some of them JSON, in every kind of directory.",
        everything(at(NOTE, "/links", links), gone(BLOB), *(put(*one) for one in places.items())),
        NO_MANIFEST,
    )  # fmt: skip


def full_names() -> Files:
    """Folders whose uids are names of mailboxes, with other delimiters, in UTF-8 and UTF-7."""
    names = (
        ("Sent", "INBOX.Sent"),
        ("Entw\u00fcrfe", "a/Entw&APw-rfe"),
        ("B\u00fccher", "B\u00fccher"),
    )
    return mail(
        at(F, "/uid", "INBOX"),
        *(put(f"mail/{name}/folder.json", dumped(folder(name, uid, []))) for name, uid in names),
    )


def kept_and_missing() -> Case:
    """portarchive's own lists: kept mail, a placeholder, a parent without mail, a folder gone."""
    kept = message(3)
    place = message(4)
    entry = {"uid": "4", "filename": "msg-4~placeholder.eml"}
    entry |= {"portarchive:size": len(place), "portarchive:sha256": sha256(place)}
    failed = {"uid": "4", "code": "placeholder", "text": "", "stored": True}

    def ledger(manifest: dict[str, Any]) -> None:
        manifest["complete"] = False
        manifest["folders"][0] |= {"listed": 3, "failed": [failed]}

    parent = {"$schema": loaded(mail(), F)["$schema"], "name": "Lists", "uid": "M5"}
    files = chained(
        at(F, "/portarchive:kept", [told(3, kept) | {"expunged_at": WHEN}]),
        at(F, "/portarchive:placeholder", [entry]),
        put("mail/INBOX/msg-3.eml", kept),
        put("mail/INBOX/msg-4~placeholder.eml", place),
        put("mail/Lists/folder.json", dumped(parent | {"portarchive:noselect": True, "items": []})),
        put("mail/Lists/Old/folder.json",
            dumped(folder("Old", "M6", [], **{"portarchive:gone_at": WHEN}))),
        ledger=ledger,
    )  # fmt: skip
    return plain(
        "good", "kept_and_missing",
        "Mail that the server lost, a message that it could not deliver, a folder that is gone.",
        files, ("M-025", "manifest.json", "/folders"), ("C-021", "mail/Lists/folder.json", ""),
    )  # fmt: skip


def own_export() -> Case:
    """The sample archive of this project, as a .pdpa container."""
    root = ROOT / "samples/archive"
    files = {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and ".portarchive" not in path.parts
    }
    head = [A, "manifest.json", "manifest-sha256.txt"]
    order = head + sorted(files.keys() - set(head), key=str.encode)
    by_name = {entry.name.decode(): entry for entry in members(files)}
    return plain(
        "good", "portarchive_export", "What portarchive exports: samples/archive in a container.",
        files,
        ("C-021", "mail/Old post/folder.json", ""), ("C-021", "mail/Workshop/folder.json", ""),
        ("E-006", "mail/Swifts/%43ON/1580057610-0000000004.eml", ""),
        ("E-007", "mail/Släkt/1517248427-0000000001.eml", ""),
        ("E-008", "mail/INBOX/1503013257-0000000031.eml", ""),
        ("E-008", "mail/Workshop/Clients/1511601426-0000000001.eml", ""),
        ("E-011", "mail/Junk/1598203655-0000000008.eml", ""),
        ("P-004b", "mail", ""),
        packed=(".pdpa", zip_of([by_name[name] for name in order], wide=True)),
    )  # fmt: skip


OPAQUE_CARD = contacts(at("contacts/jane.json", "/addressBookIds"))
at(A, "/archive/version", DRAFT_NAME.format("ietf", "01"))(OPAQUE_CARD)

CASES = (
    good("M-001", "minimal", "An inbox with two messages; there are no manifests.", mail(),
         chained=True),
    plain("good", "everything", "Every type of data.", everything(), NO_MANIFEST),
    plain("good", "chained", "With portarchive's manifests; nothing at all is found.", chained()),
    plain("good", "in_tar_gz", "The same as minimal, in a container.", mail(), NO_MANIFEST,
          packed=(".tar.gz", gzipped(tar_of(mail())))),
    plain("good", "in_tar_zst", "The same as minimal, in a container.", mail(), NO_MANIFEST,
          packed=(".tar.zst", zstandard(tar_of(mail())))),
    plain("good", "in_zip64", "The same as minimal, in a container.", mail(), NO_MANIFEST,
          packed=zipped(mail(), wide=True)),
    plain("good", "in_zip64_beside", "ZIP64 records, beside an end record with real values.",
          mail(), NO_MANIFEST, packed=zipped(mail(), beside=True)),
    plain("good", "in_signed_zip", "A digital signature (APPNOTE 4.3.13) follows the directory.",
          mail(), NO_MANIFEST, packed=zipped(mail(), after=SIGNATURE)),
    plain("good", "in_labelled_tar", "The first member is a volume label of GNU tar.",
          mail(), NO_MANIFEST, packed=(".tar", volume_label("Mail") + tar_of(mail()))),
    plain("good", "in_incremental_tar", "Its directories are those of GNU tar --incremental.",
          mail(), NO_MANIFEST, packed=(".tar", listed("mail/INBOX", mail()) + tar_of(mail()))),
    plain("good", "index_of_another_program", "An attachment lies in index/.",
          everything(moved(BLOB, "index/sketch-1")), NO_MANIFEST),
    plain("good", "index_of_portarchive", "What portarchive derives from an archive is none of it.",
          mail(at(A, "/archive/generator", "portarchive 1.0"), put("index/folder.json", b"{")),
          NO_MANIFEST),
    kept_and_missing(),
    plain("good", "jmap_style", "From JMAP: no uidvalidity, no last_uid, opaque ids.",
          of_jmap(), NO_MANIFEST, LATEST),
    plain("good", "partial_and_its_base", "An update: one message more, one flag, one less.",
          partial(at(F, "/items", [item(1, flags=["$seen", "$flagged"]), item(3)]),
                  at(F, "/removed", ["2"]), put("mail/INBOX/msg-3.eml", message(3))),
          NO_MANIFEST, base=full()),
    plain("good", "folder_renamed_in_a_partial_one", "A folder of the base has another name.",
          partial(moved(F, MOVED), at(MOVED, "/name", "Moved")), NO_MANIFEST, base=full()),
    plain("good", "partial_without_the_parent", "A folder changed, and that above it did not.",
          partial(gone(F), put("mail/Up/Down/folder.json", dumped(folder("Down", "M3", [])))),
          NO_MANIFEST),
    plain("good", "uids_of_mailbox_names", "The uids of folders are full names of mailboxes.",
          full_names(), NO_MANIFEST, packed=zipped(full_names())),
    plain("good", "nulls_and_triggers_of_JSCalendar",
          "What RFC 8984 and JMAP allow and the draft's schemas do not.",
          calendars(at(CALENDAR, "/color", None), at(EVENT, "/timeZone", None),
                    at(EVENT, "/alerts", {"1": {"@type": "Alert", "trigger": {
                        "@type": "com.example:Arrival"}}})), NO_MANIFEST),
    attachments(),
    own_export(),
    of_the_draft(),
    warn("F-070", "minimal", "An inbox with two messages.",
         as_ietf("01", selector=False), (A, "/archive/version"), dialect="ietf-01"),
    warn("F-070", "thunderbird style", "ZIP64, a member at the root, opaque ids, from POP3.",
         of_thunderbird(), (A, "/archive/version"), LATEST, ("F-054", F, "/items"),
         packed=zipped(of_thunderbird(), wide=True), dialect="ietf-01"),
    warn("F-070", "Card of no book", "addressBookIds may be missing in this dialect.",
         OPAQUE_CARD, (A, "/archive/version"), dialect="ietf-01"),
    warn("F-070", "minimal", "An inbox with two messages; dataset.selector.",
         as_ietf("00", selector=True), (A, "/archive/version"), dialect="ietf-00"),
    bad("C-111", "file missing", "The file of an item is not here, in an older dialect.",
        {name: octets for name, octets in as_ietf("00", selector=True).items() if name != M1},
        (F, "/items/0/filename"), OLD, dialect="ietf-00"),
    happel("02", role="inbox"),
    happel("02", what="F-070 special use", special_use="inbox"),
    happel("01", role="inbox"),
    happel("01", "P-007 members of IMAP missing", *((f"P-00{n}", F, "") for n in (7, 8, 9)),
           last_uid=..., uidvalidity=..., is_subscribed=...),
    happel("00", role="inbox"),
)  # fmt: skip
