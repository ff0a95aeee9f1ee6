"""Google Takeout: labels into folders, roles and flags; one message with several places."""

from __future__ import annotations

import base64

import pytest

from portarchive.connectors.base import Wanted
from portarchive.connectors.mbox import labels, open_source
from portarchive.connectors.mbox.encoded_words import decode
from portarchive.records import FetchPoint, FolderDone, MessageRef


def q(text: str) -> bytes:
    octets = "".join(
        chr(octet)
        if octet < 128 and chr(octet).isalnum()
        else "_"
        if octet == 32
        else f"={octet:02X}"
        for octet in text.encode()
    )
    return f"=?UTF-8?Q?{octets}?=".encode()


def message(number: int, told: bytes | None, text: bytes = b"x", *, thread: int = 77) -> bytes:
    field = b"" if told is None else b"X-Gmail-Labels: " + told + b"\r\n"
    return (
        b"From %d@xxx Sat Jan 03 01:05:%02d +0000 2015\r\nX-GM-THRID: %d\r\n%s"
        b"Subject: %d\r\n\r\n%s\r\n\r\n"
        % (1490000000000000000 + number, number, thread, field, number, text)
    )


def run(path, folders=None, **options):
    """(folder record by path, references by folder path, events)."""
    source = open_source(str(path), options)
    records = source.folders()
    wanted = [each for each in records if folders is None or "/".join(each.path) in folders]
    events, octets, pending = [], {}, []
    for event in source.changes(Wanted(folders=wanted, tokens={})):
        events.append(event)
        if isinstance(event, MessageRef):
            pending.append(event)
        elif isinstance(event, FetchPoint):
            for ref, body in source.fetch(pending):
                octets[ref.placements[0].uid] = b"".join(body.chunks())
            pending = []
    source.close()
    return {each.path: each for each in records}, events, octets


def placed(records, events):
    """{subject's number, by thread id: ({path}, flags, labels)}."""
    paths = {each.folder_id: "/".join(each.path) for each in records.values()}
    return {
        ref.thread_id: (
            [paths[place.folder_id] for place in ref.placements],
            set(ref.placements[0].flags),
            ref.labels,
        )
        for ref in events
        if isinstance(ref, MessageRef)
    }


def test_labels_are_folders_flags_and_nothing(tmp_path):
    path = tmp_path / "All mail.mbox"
    told = [
        b"Inbox,Important,Opened,Category Personal",
        b"Inbox,Unread,Category Updates",
        b"Archived,Opened,Work/Projects,Starred",
        b"Sent,Opened",
        b"Drafts",
        b"Spam,Unread",
        b"Trash,Opened",
        b"Archived,Opened",
        b'Opened,"a, b","say ""hi"""',
        b"Inbox,Work,Opened",
        None,
        b"Archived,IMAP_$Forwarded,IMAP_NotJunk",
    ]
    path.write_bytes(b"".join(message(n, each, thread=n + 1) for n, each in enumerate(told)))
    records, events, octets = run(path)
    roles = {"/".join(each): record.roles for each, record in records.items()}
    assert roles == {
        "INBOX": ("inbox",), "Work/Projects": (), "Sent": ("sent",), "Drafts": ("drafts",),
        "Spam": ("junk",), "Trash": ("trash",), "All Mail": ("archive",), "a, b": (),
        'say "hi"': (), "Work": (),
    }  # fmt: skip
    counts = {"/".join(each): record.messages for each, record in records.items()}
    assert counts == {
        "INBOX": 3, "Work/Projects": 1, "Sent": 1, "Drafts": 1, "Spam": 1, "Trash": 1,
        "All Mail": 3, "a, b": 1, 'say "hi"': 1, "Work": 1,
    }  # fmt: skip
    found = placed(records, events)
    assert found["1"] == (
        ["INBOX"], {"$seen", "$Important"}, ("Inbox", "Important", "Opened", "Category Personal"),
    )  # fmt: skip
    assert found["2"][:2] == (["INBOX"], set())
    assert found["3"][:2] == (["Work/Projects"], {"$seen", "$flagged"})
    assert found["5"][:2] == (["Drafts"], {"$seen", "$draft"})
    assert found["9"][0] == ["a, b", 'say "hi"']
    assert found["10"][0] == ["INBOX", "Work"]
    assert found["11"] == (["All Mail"], {"$seen"}, ())
    assert found["12"][:2] == (["All Mail"], {"$seen", "$Forwarded", "NotJunk"})
    ids = {ref.email_id for ref in events if isinstance(ref, MessageRef)}
    assert ids == {str(1490000000000000000 + number) for number in range(12)}
    assert len(octets) == 12
    assert all(each.startswith(b"X-GM-THRID:") for each in octets.values())


def test_each_message_is_fetched_once_and_listed_in_each_folder(tmp_path):
    path = tmp_path / "t.mbox"
    path.write_bytes(b"".join(message(n, b"Inbox,Work,More") for n in range(5)))
    records, events, octets = run(path)
    assert len(octets) == 5
    assert [done.listed for done in events if isinstance(done, FolderDone)] == [5, 5, 5]
    _, events, octets = run(path, folders={"Work"})
    refs = [ref for ref in events if isinstance(ref, MessageRef)]
    assert {len(ref.placements) for ref in refs} == {1}
    assert len(refs) == len(octets) == 5
    assert {each.path for each in records.values()} == {("INBOX",), ("Work",), ("More",)}


def test_encoded_labels(tmp_path):
    """Scenario 47: B and Q, folded, a character cut in two, in the language of the account."""
    whole = "Posteingang,Geöffnet,Ärger & Co/日本".encode()
    at = whole.index("Ä".encode()) + 1  # in the middle of a character
    cut = b"=?UTF-8?B?%s?=\r\n =?utf-8?B?%s?=" % (
        base64.b64encode(whole[:at]), base64.b64encode(whole[at:]),
    )  # fmt: skip
    path = tmp_path / "t.mbox"
    path.write_bytes(
        message(1, cut, thread=1)
        + message(2, q("Gesendet,Geöffnet"), thread=2)
        + message(3, b"Archiviert," + q('Ungelesen,Kategorie: "Neuigkeiten"'), thread=3)
        + message(4, q("Entwürfe") + b",Wichtig,Markiert", thread=4)
        + message(5, b"Sent,Posteingang", thread=5)
    )
    records, events, _ = run(path)
    found = placed(records, events)
    assert found["1"] == (
        ["INBOX", "Ärger & Co/日本"], {"$seen"}, ("Posteingang", "Geöffnet", "Ärger & Co/日本"),
    )  # fmt: skip
    assert found["2"][0] == ["Gesendet"]
    assert records["Gesendet",].roles == ("sent",)
    assert found["3"][:2] == (["All Mail"], set())
    assert found["4"][:2] == (["Entwürfe"], {"$seen", "$draft", "$Important", "$flagged"})
    # in a German account a label "Sent" is the user's own
    assert found["5"][0] == ["INBOX", "Sent"]
    assert records["Sent",].roles == ()


@pytest.mark.parametrize(
    ("told", "code"),
    [
        ((("Inbox", "Opened"), 5), "en"),
        ((("Boîte de réception", "Non lus"), 1), "fr"),
        ((("Caixa de entrada", "Aberto"), 1), "pt"),
        ((("Recibidos", "Abiertos"), 1), "es"),
        ((("Postvak IN", "Ongelezen"), 1), "nl"),
        ((("Posta in arrivo", "Aperti"), 1), "it"),
        ((("Входящие", "Непрочитанные"), 1), "en"),
        (((), 1), "en"),
    ],
)
def test_the_language_of_an_account(told, code):
    assert labels.language([told]) == code


def test_fields_of_the_sender_mean_nothing(tmp_path):
    path = tmp_path / "t.mbox"
    forged = message(2, None, thread=2).replace(
        b"Subject:", b"From: x\r\nX-Gmail-Labels: Sent\r\nA:"
    )
    path.write_bytes(message(1, b"Inbox", thread=1) + forged)
    records, events, _ = run(path)
    assert placed(records, events)["2"][0] == ["All Mail"]
    plain = tmp_path / "plain.mbox"
    plain.write_bytes(
        b"From a Sat Jan  3 01:05:34 2015\nSubject: 1\nX-Gmail-Labels: Inbox\n\nx\n\n"
    )
    records, events, _ = run(plain)
    assert set(records) == {("plain",)}
    assert [ref.labels for ref in events if isinstance(ref, MessageRef)] == [None]


def test_another_label_is_no_other_message(tmp_path):
    path = tmp_path / "t.mbox"
    path.write_bytes(message(1, b"Inbox,Unread"))
    _, events, first = run(path)
    path.write_bytes(message(1, b"Inbox,Opened,Work"))
    records, events, second = run(path)
    assert list(first) == list(second)
    assert placed(records, events)["77"][:2] == (["INBOX", "Work"], {"$seen"})


def test_a_takeout_by_label_has_each_message_once(tmp_path):
    for name in ("Inbox", "Work"):
        (tmp_path / f"{name}.mbox").write_bytes(
            message(1, b"Inbox,Work") + message(2, b"Inbox", b"only once there")
            if name == "Inbox"
            else message(1, b"Inbox,Work")
        )
    records, events, octets = run(tmp_path)
    assert len(octets) == 2
    counts = {"/".join(each): record.messages for each, record in records.items()}
    assert counts == {"INBOX": 2, "Work": 1}
    notes = [note for done in events if isinstance(done, FolderDone) for note in done.notes]
    assert {"code": "takeout-duplicates", "count": 1} in notes


def test_a_label_and_a_file_of_one_name_are_two_folders(tmp_path):
    """Nothing of either is left out, whatever the file is."""
    plain = b"From a Sat Jan  3 01:05:34 2015\nSubject: plain\n\nx\n\n"
    (tmp_path / "All.mbox").write_bytes(
        message(1, b"Sent", thread=1) + message(2, b"Inbox,Work", thread=2)
        + message(3, b"Work", thread=3) + message(4, b"Mmdf", thread=4)
    )  # fmt: skip
    (tmp_path / "Sent.mbox").write_bytes(plain)
    (tmp_path / "Work").write_bytes(plain)
    (tmp_path / "INBOX").write_bytes(plain)
    (tmp_path / "Mmdf").write_bytes(b"\1\1\1\1\n")
    records, events, octets = run(tmp_path)
    assert len(octets) == 4 + 1  # the plain ones are equal
    counts = {"/".join(path): each.messages for path, each in records.items()}
    labelled = {name.partition("~")[0]: name for name in counts if "~" in name}
    assert counts == {
        "Sent": 1, "Work": 1, "INBOX": 1, "Mmdf": None,
        labelled["Sent"]: 1, labelled["Work"]: 2, labelled["INBOX"]: 1, labelled["Mmdf"]: 1,
    }  # fmt: skip
    assert placed(records, events)["2"][0] == [labelled["INBOX"], labelled["Work"]]
    roles = {"/".join(path): each.roles for path, each in records.items() if each.roles}
    assert roles == {"INBOX": ("inbox",), labelled["Sent"]: ("sent",)}
    assert sum(isinstance(event, FolderDone) for event in events) == 7
    (tmp_path / labelled["Sent"]).write_bytes(plain)  # a file that is called as the label would be
    records, _, _ = run(tmp_path)
    assert len(records) == 9
    assert sum(each.messages or 0 for each in records.values()) == 9


@pytest.mark.parametrize(
    ("ids", "twice"), [((1, 2, 3), 0), ((1, 1, 2), 1), ((None, None, 1), 0), ((1, 2, 1), 1)]
)
def test_equal_messages_of_several_files_are_numbered_over_all(tmp_path, ids, twice):
    """Only one that Gmail gives the same number is the same one."""
    for name, number in zip("abc", ids, strict=True):
        one = message(1, b"Work").replace(
            b"1490000000000000001@xxx",
            b"bad@xxx" if number is None else b"14900000000%d@xxx" % number,
        )
        (tmp_path / f"{name}.mbox").write_bytes(one + message(7, b"Work", b"in each of them"))
    records, events, octets = run(tmp_path)
    uids = [ref.placements[0].uid for ref in events if isinstance(ref, MessageRef)]
    assert sorted(uid[32:] for uid in uids) == sorted(
        ["", "", *(f"-{rank}" for rank in range(2, 4 - twice))]
    )
    (done,) = [event for event in events if isinstance(event, FolderDone)]
    assert len(octets) == len(set(uids)) == len(uids) == done.listed == 4 - twice
    assert records["Work",].messages == done.listed


def test_what_was_named_keeps_its_number(tmp_path):
    """A file grows during the visit by a message that another file has already."""
    one, other = message(1, b"Work", b"one"), message(2, b"Work", b"other")
    third = one.replace(b"0001@xxx", b"0009@xxx")
    (tmp_path / "a.mbox").write_bytes(other)
    (tmp_path / "b.mbox").write_bytes(one + message(3, b"Work", b"last"))
    source = open_source(str(tmp_path), {})
    uids, octets = [], []
    for event in source.changes(Wanted(folders=source.folders(), tokens={})):
        if isinstance(event, MessageRef):
            uids.append(event.placements[0].uid)
            octets += [b"".join(body.chunks()) for _, body in source.fetch([event])]
            if len(uids) == 1:
                with (tmp_path / "a.mbox").open("ab") as file:
                    file.write(third)
    source.close()
    assert len(uids) == len(set(uids)) == 4
    assert sorted(uid[32:] for uid in uids) == ["", "", "", "-2"]
    assert len(octets) == 4


def test_equal_messages_of_one_file_are_two(tmp_path):
    path = tmp_path / "t.mbox"
    path.write_bytes(message(1, b"Inbox") * 2)
    _, _, octets = run(path)
    assert sorted(uid[32:] for uid in octets) == ["", "-2"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"plain", "plain"),
        (b"=?UTF-8?Q?a=C3=A4_b?=", "aä b"),
        (b"=?utf-8?b?w6Q=?= =?utf-8?b?w6Q?=", "ää"),
        (b"x =?utf-8?q?y?= z", "x y z"),
        (b"=?utf-8?q?a?=  =?iso-8859-1?q?=E4?=", "aä"),
        (b"=?nonsense?q?=E4?=", "ä"),
        (b"=?utf-8?b?!!!?=", ""),
        (b"=?utf-8*de?q?a?=", "a"),
        ("ä".encode(), "ä"),
        (b"\xe4", "ä"),
        (b"a\x00\x1b[2J", "a\ufffd\ufffd[2J"),
        (b"=?utf-16-be?b?2AA=?=", "Ø\ufffd"),
        (b"=?", "=?"),
    ],
)
def test_encoded_words(value, text):
    assert decode(value) == text


def test_a_hostile_list_of_labels_is_only_labels():
    parsed = labels.parse(b'"' + b"a" * 200_000 + b',b\x00,"c\r\n')
    assert parsed
    assert all("\n" not in label and "\x00" not in label for label in parsed)
    placed_at = labels.Sorting("en").place(("../../etc", "INBOX", "/", "a//b"))
    assert ("INBOX",) not in placed_at.paths
    assert all(all(path) for path in placed_at.paths)
