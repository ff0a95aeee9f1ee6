"""The sample mailbox: reproducible, genuine, and with everything in it that it promises."""

from __future__ import annotations

import email
import hashlib
import io
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import wave
import zipfile
import zlib
from collections import Counter
from email.message import Message
from pathlib import Path

import pytest
from imapclient import IMAPClient

from portarchive.demo.mailbox import SampleMailbox, load, samples_directory
from portarchive.errors import SettingsError
from servers.dovecot import Dovecot

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
MAILBOX = SAMPLES / "mailbox"
OCTETS = {path.name: path.read_bytes() for path in sorted(MAILBOX.glob("*.eml"))}


@pytest.fixture(scope="module")
def mailbox() -> SampleMailbox:
    return load()


def make(*arguments: str, **environment: str) -> None:
    subprocess.run(
        [sys.executable, "-W", "error", str(SAMPLES / "make.py"), *arguments],
        check=True,
        cwd="/",
        env={**os.environ, **environment, "PYTHONDONTWRITEBYTECODE": "1"},
    )


def parts(name: str) -> list[Message]:
    return list(email.message_from_bytes(OCTETS[name]).walk())


def attached(name: str, kind: str) -> bytes:
    found = [part for part in parts(name) if part.get_content_type() == kind]
    octets = found[0].get_payload(decode=True)
    assert isinstance(octets, bytes)
    return octets


@pytest.mark.parametrize("zone", ["Pacific/Chatham", "America/St_Johns"])
def test_the_script_writes_the_committed_mailbox(tmp_path: Path, zone: str) -> None:
    make("--output", str(tmp_path / "out"), TZ=zone, LC_ALL="C", PYTHONHASHSEED="7")
    made = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    committed = {path.name: path.read_bytes() for path in MAILBOX.iterdir()}
    assert made.keys() == committed.keys()
    assert [name for name, octets in made.items() if committed[name] != octets] == []


def test_a_renewed_mailbox_loses_what_is_no_longer_written(tmp_path: Path) -> None:
    (tmp_path / "gone.eml").write_bytes(b"x")
    make("--output", str(tmp_path))
    assert not (tmp_path / "gone.eml").exists()


def test_the_samples_are_found_in_the_working_tree() -> None:
    assert samples_directory() == SAMPLES


def test_no_samples_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("portarchive.demo.mailbox.__file__", str(tmp_path / "a" / "b" / "c.py"))
    with pytest.raises(SettingsError, match="not part of this installation"):
        samples_directory()


def test_the_description_and_the_files_agree(mailbox: SampleMailbox) -> None:
    described = [message.file.name for folder in mailbox.folders for message in folder.messages]
    assert set(described) == OCTETS.keys()
    assert 70 <= len(OCTETS) <= 90
    assert mailbox.placements == len(described)
    twice = {name for name, count in Counter(described).items() if count > 1}
    assert twice == {"committee-minutes.eml", "wedding-hall.eml"}


def test_folders(mailbox: SampleMailbox) -> None:
    assert mailbox.folders[0].path == ("INBOX",)
    assert {role for folder in mailbox.folders for role in folder.roles} == {
        "inbox", "archive", "drafts", "junk", "memos", "sent", "trash",
    }  # fmt: skip
    names = [folder.name for folder in mailbox.folders]
    assert len(set(names)) == len(names)
    assert len({name.casefold() for name in names}) < len(names), "two names differ in case only"
    assert max(len(folder.path) for folder in mailbox.folders) == 3
    every = "".join(names)
    assert set('"\\:?&%,') <= set(every), "awkward names"
    assert any(ord(char) > 0xFFFF for char in every), "a name outside the BMP"
    assert [folder.name for folder in mailbox.folders if not folder.selectable] == [
        "Old post",
        "Workshop",
    ]
    assert any(folder.selectable and not folder.messages for folder in mailbox.folders)
    assert {folder.subscribed for folder in mailbox.folders if folder.selectable} == {True, False}
    validities = [folder.uidvalidity for folder in mailbox.folders if folder.selectable]
    assert len(set(validities)) == len(validities)
    for folder in mailbox.folders:
        uids = [message.uid for message in folder.messages]
        assert uids == sorted(set(uids))


def test_flags_and_dates(mailbox: SampleMailbox) -> None:
    messages = [message for folder in mailbox.folders for message in folder.messages]
    flags = {flag for message in messages for flag in message.flags}
    assert flags >= {
        "\\Seen", "\\Answered", "\\Flagged", "\\Draft", "\\Deleted",
        "$MailFlagBit0", "$MailFlagBit1", "$MailFlagBit2", "$hasattachment", "$hasnoattachment",
        "$memo", "$hasmemo", "$followed", "$muted", "$Forwarded", "$Junk", "$Phishing", "$MDNSent",
        "$canunsubscribe", "$unsubscribed", "$autosent", "$imported", "$istrusted",
        "$maskedemail", "$new", "$notify", "$Important", "todo", "Steuer2026",
    }  # fmt: skip
    assert any(not message.flags for message in messages)
    for message in messages:
        assert len({flag.casefold() for flag in message.flags}) == len(message.flags)
    offsets = {message.internal_date.utcoffset() for message in messages}
    assert len(offsets) >= 10
    assert min(message.internal_date.year for message in messages) == 1999


def test_octets_are_as_a_server_would_send_them() -> None:
    for name, octets in OCTETS.items():
        assert octets.endswith(b"\r\n") is not (name == "parcel-broken-mime.eml"), name
        assert not re.search(rb"\r(?!\n)|(?<!\r)\n|\0", octets), name
        assert b"\r\n\r\n" in octets, name
        assert octets.count(b"\r\nMIME-Version: 1.0\r\n") >= 1, name


def test_nobody_real_is_in_it() -> None:
    for name, octets in OCTETS.items():
        domains = re.findall(rb"@([A-Za-z0-9.-]+[A-Za-z0-9])", octets.partition(b"\r\n\r\n")[0])
        hosts = re.findall(rb"https?://([A-Za-z0-9.-]+)", octets)
        for domain in domains + hosts:
            assert re.search(rb"(^|\.)example\.(org|com|net)$", domain), (name, domain)
        for host in re.findall(rb"\d+\.\d+\.\d+\.\d+", octets.partition(b"\r\n\r\n")[0]):
            assert host.startswith(b"192.0.2."), (name, host)


def test_scripts_and_charsets() -> None:
    found = set()
    for name in OCTETS:
        for part in parts(name):
            charset = part.get_content_charset()
            if part.get_content_maintype() == "text" and charset not in {None, "x-unknown"}:
                octets = part.get_payload(decode=True)
                assert isinstance(octets, bytes)
                octets.decode({"iso-8859-8-i": "iso8859_8"}.get(str(charset), str(charset)))
                found.add(charset)
    assert found >= {
        "us-ascii", "utf-8", "iso-8859-1", "iso-8859-2", "iso-8859-15", "windows-1252",
        "iso-2022-jp", "koi8-r", "big5", "gb18030", "euc-kr", "iso-8859-8-i",
    }  # fmt: skip
    for name, text in {
        "amina-qanun.eml": "القاهرة",
        "noam-choir.eml": "המקהלה",
        "wire-2-answer.eml": "鉄線",
        "priya-diwali.eml": "दीपावली",
        "ida-exam.eml": "🎉",
    }.items():
        part = parts(name)[0]
        octets = part.get_payload(decode=True)
        assert isinstance(octets, bytes)
        charset = part.get_content_charset()
        assert text in octets.decode("iso8859_8" if charset == "iso-8859-8-i" else str(charset))


CONTAINS = {
    "a reply in a thread": ("moller-5-yes.eml", rb"\r\nReferences: <[^>]+>\r\n <[^>]+>"),
    "raw UTF-8 header": ("ioannis-smtputf8.eml", "\r\nSubject: Ένα".encode()),
    "raw Latin-1 header": ("elias-raw-header.eml", b"\r\nSubject: H\xe4lsning"),
    "encoded words": ("yichun-workshop.eml", rb"Subject: =\?big5\?B\?"),
    "RFC 2231 name": ("wire-3-invoice.eml", rb"filename\*0\*=iso-2022-jp'ja'"),
    "encoded word as a name": ("tax-quarter.eml", rb"filename==\?windows-1252\?Q\?"),
    "format=flowed": ("tomas-errands.eml", rb"format=flowed[^\0]*\r\nthe small ones, .* \r\n"),
    "iTIP REQUEST": ("party-invitation.eml", rb"text/calendar[^\0]*\r\nMETHOD:REQUEST\r\n"),
    "iTIP REPLY": ("committee-jane-comes.eml", rb"\r\nMETHOD:REPLY\r\n"),
    "DSN": ("bounce-failed.eml", rb"report-type=delivery-status;[^\0]*Action: failed"),
    "DSN with two actions": ("bounce-failed.eml", rb"Action: failed[^\0]*Action: delayed"),
    "international DSN": ("bounce-international.eml", rb"message/global-delivery-status"),
    "MDN": ("receipt-displayed.eml", rb"message/disposition-notification"),
    "ARF": ("complaint-abuse.eml", rb"\r\nFeedback-Type: abuse\r\nUser-Agent: "),
    "empty reverse-path": ("bounce-failed.eml", rb"^Return-Path: <>\r\n"),
    "list": ("count-2-henrik.eml", rb"\r\nList-Id: .*<swifts\.lists\.example\.net>"),
    "one-click": ("museum-november.eml", rb"\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click"),
    "wrong recipient": ("rail-wrong-recipient.eml", rb"Wrong-Recipient=One-Click\r\n"),
    "CFBL": ("tea-weekly.eml", rb"\r\nCFBL-Address: [^\r]*; report=arf\r\nCFBL-Feedback-ID: "),
    "expired": ("offer-plums.eml", rb"\r\nExpires: Fri, 18 Sep 2026 18:00:00 \+0200\r\n"),
    "malformed Expires": ("offer-shop.eml", rb"\r\nExpires: when it is gone\r\n"),
    "Expires twice": ("offer-library.eml", rb"\r\nExpires: [^\0]*\r\nExpires: "),
    "header line over 998": ("conference-long-to.eml", rb"\r\nTo: [^\r]{999,}\r\n"),
    "header without a colon": (
        "parcel-broken-mime.eml",
        rb"\r\nContent-Type multipart/alternative",
    ),
    "no closing boundary": ("parcel-broken-mime.eml", rb"(?s)^(?!.*--PARCEL--)"),
    "no body": ("tomas-no-body.eml", rb"\r\n\r\n\Z"),
    "two-digit year": ("tomas-1999.eml", rb"\r\nDate: Mon, 4 Jan 99 09:05:00 EST\r\n"),
    "a message in a message": ("virginal-forward.eml", rb"Content-Type: message/rfc822"),
    "digest": ("list-digest.eml", rb"multipart/digest"),
    "unknown charset": ("count-4-wolfgang.eml", rb"charset=x-unknown"),
}


@pytest.mark.parametrize("feature", CONTAINS)
def test_it_contains(feature: str) -> None:
    name, pattern = CONTAINS[feature]
    assert re.search(pattern, OCTETS[name])


def test_it_lacks_what_it_should_lack() -> None:
    heads = {name: octets.partition(b"\r\n\r\n")[0] for name, octets in OCTETS.items()}
    without = {
        field: {name for name, head in heads.items() if not re.search(b"(?m)^" + field, head)}
        for field in (b"Message-ID: ", b"Date: ", b"From: ", b"Subject: ")
    }
    assert without == {
        b"Message-ID: ": {"scanner-no-message-id.eml"},
        b"Date: ": {"junk-no-date.eml"},
        b"From: ": set(),
        b"Subject: ": set(),
    }


def test_attachments_are_genuine() -> None:
    page = attached("moller-4-estimate.eml", "application/pdf")
    start = int(page.rsplit(b"startxref\n", 1)[1].split(b"\n")[0])
    assert page[start : start + 4] == b"xref"
    for entry in re.findall(rb"(\d{10}) 00000 n", page):
        assert re.match(rb"\d obj|\d 0 obj", page[int(entry) :])

    picture = attached("moller-3-rose.eml", "image/png")
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    at, chunks = 8, {}
    while at < len(picture):
        size, kind = struct.unpack_from(">I4s", picture, at)
        data = picture[at + 8 : at + 8 + size]
        assert struct.unpack_from(">I", picture, at + 8 + size)[0] == zlib.crc32(kind + data)
        chunks[kind] = data
        at += 12 + size
    width, height = struct.unpack_from(">II", chunks[b"IHDR"])
    assert len(zlib.decompress(chunks[b"IDAT"])) == height * (width + 1)

    with zipfile.ZipFile(io.BytesIO(attached("count-6-results.eml", "application/zip"))) as pack:
        assert pack.testzip() is None
        rows = pack.read("count_2026.csv").decode().split("\r\n")[1:-1]
    assert sum(int(row.rsplit(",", 1)[1]) for row in rows) == 1306

    with wave.open(io.BytesIO(attached("choir-pitch.eml", "audio/wav"))) as tone:
        assert (tone.getframerate(), tone.getnframes()) == (8000, 1200)

    invitation = attached("committee-meeting.eml", "application/ics").decode().split("\r\n")
    assert (invitation[0], invitation[-1]) == ("BEGIN:VCALENDAR", "END:VCALENDAR")


def test_the_signature_covers_the_part() -> None:
    octets = OCTETS["museum-loan-signed.eml"]
    boundary = re.search(rb'boundary="([^"]+)"', octets)
    assert boundary is not None
    signed = octets.split(b"--" + boundary[1])[1][2:-2]
    signature = attached("museum-loan-signed.eml", "application/pkcs7-signature")
    digest = hashlib.sha256(signed).digest()
    assert b"\x06\x09*\x86H\x86\xf7\x0d\x01\x09\x041\x22\x04\x20" + digest in signature


def test_names_of_attachments_decode() -> None:
    [invoice] = [
        p for p in parts("wire-3-invoice.eml") if p.get_content_type() == "application/pdf"
    ]
    assert invoice.get_filename() == "請求書-2026-0093.pdf"
    [rose] = [p for p in parts("moller-3-rose.eml") if p.get_content_type() == "image/png"]
    assert rose.get_filename() == "roset \N{EN DASH} nærbillede.png"


def test_a_maildir_is_refused_where_something_lies(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("keep")
    with pytest.raises(subprocess.CalledProcessError):
        make("--maildir", str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_dovecot_serves_the_maildir(dovecot: Dovecot, mailbox: SampleMailbox) -> None:
    root = dovecot.maildir("sampler", "INBOX")
    root.parent.mkdir(parents=True)
    make("--maildir", str(root))
    if os.geteuid() == 0:
        for path in (root.parent, *root.parent.rglob("*")):
            shutil.chown(path, "mail", "mail")
    port = int(re.search(r":(\d+)", dovecot.url("sampler", tls=False).rpartition("@")[2])[1])  # type: ignore[index]  # it has a port
    with IMAPClient("127.0.0.1", port, ssl=False) as client:
        client.normalise_times = False
        client.login("sampler", dovecot.password)
        listed = {name: flags for flags, _, name in client.list_folders()}
        assert listed.keys() == {folder.name for folder in mailbox.folders}
        subscribed = {name for _, _, name in client.list_sub_folders()}
        assert subscribed == {folder.name for folder in mailbox.folders if folder.subscribed}
        for folder in mailbox.folders:
            assert (
                b"\\noselect" not in {f.lower() for f in listed[folder.name]}
            ) is folder.selectable
            if not folder.messages:
                continue
            client.select_folder(folder.name, readonly=True)
            items = ["BODY.PEEK[]", "FLAGS", "INTERNALDATE"]
            seen = client.fetch(client.search("ALL"), items)
            assert [
                (
                    row[b"BODY[]"],
                    {flag.decode() for flag in row[b"FLAGS"]} - {"\\Recent"},
                    row[b"INTERNALDATE"].timestamp(),
                )
                for _, row in sorted(seen.items())
            ] == [
                (message.octets(), set(message.flags), message.internal_date.timestamp())
                for message in folder.messages
            ]


def test_the_description_is_readable_line_by_line() -> None:
    text = (MAILBOX / "mailbox.json").read_text(encoding="utf-8")
    assert json.loads(text)["account"] == "jane@example.org"
    rows = [line for line in text.split("\n") if '"file"' in line]
    assert len(rows) == load().placements
