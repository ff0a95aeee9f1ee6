"""Nothing of an archive becomes a command: on real servers, with all that tries to."""

from __future__ import annotations

import contextlib
import socket

import imapclient
import pytest

from contract.relay import Relay
from contract.target_facts import NOON, Sending, mail, parcel, refused
from portarchive.connectors.imap import ImapSettings, ImapTarget, open_target
from portarchive.errors import ConnectionLost
from portarchive.placing import FolderReady, FolderWish, Placed, Present, Refused
from portarchive.records import Received

COMMANDS = (
    b"x DELETE victim\r\nx DELETE INBOX\r\nx1 CREATE injected\r\nx2 RENAME victim gone\r\n"
    b'x3 APPEND "victim" {4+}\r\nevil\r\nx4 SELECT victim\r\nx5 STORE 1:* FLAGS (\\Deleted)\r\n'
    b"x6 EXPUNGE\r\nx7 LOGOUT\r\n"
)
EVIL = [
    mail(1, COMMANDS),
    b"Subject: 2\r\nMessage-ID: <a\r\n x DELETE victim\r\n>\r\n\r\n" + COMMANDS,
    mail(3, b"\r\n" * 200 + COMMANDS * 20),
    mail(4, b")\r\n" + COMMANDS),
    mail(5, b'" {4+}\r\n' + COMMANDS),
    mail(6, b"{999999+}\r\n" + COMMANDS),
    mail(7, b"a1 OK done\r\n* BYE\r\n+ go\r\n" + COMMANDS),
    mail(8, COMMANDS.rstrip(b"\r\n")),
]
FLAGS = [
    (), ("\\Bogus",), ("a b (c",), ("$x) {3+}\r\n",), ("$x) {3+}\r\nx DELETE victim\r\n",),
    ('"', ")", "("), ("NIL", "nil"), ("\\Deleted", "\\Recent", "\\*"), ("{5}", "{5+}"),
    ("k" * 5_000,), tuple(f"keyword-{number:05}" for number in range(900)), ("[", "[x", "]"),
    ("$Forwarded\0", "\udcff", "ä"), ("+FLAGS", "~{4}", "*", "%"),
]  # fmt: skip
DATES = [
    NOON,
    Received(None, None, '"\r\nx DELETE victim\r\n'),
    Received('2024-01-01T00:00:00" {4+}\r\n', 1_700_000_000),
    Received("2024-01-01T00:00:00+99:99", 1_700_000_000),
    Received(None, -2_209_161_600),
    Received(None, 253_402_300_799),
    Received(None, 10**15),
]
BAD_HEADER = range(len(FLAGS) * len(DATES), 2 * len(FLAGS) * len(DATES))
"""Keys of what is made of the second of ``EVIL``: a line of its header is no field."""

NAMES = [
    ("x\r\nx DELETE victim",), ('x" {5+}\r\n',), ("x\0",), ("\ud800",), ("",), (),
    ('"quoted"',), ("{5+}",), ("x DELETE victim",), ("a\\",), ("(\\Sent)",), ("NIL",), ("*",),
    ("%",), ("..", "..", "etc"), ("&",), ("&AAA-",), ("victim\n",),
]  # fmt: skip


class Password:
    kind = "password"
    mechanism = None

    def reveal(self) -> str:
        return "pass"


def opened(port: int, user: str, connections: int = 1) -> ImapTarget:
    return open_target(
        ImapSettings(
            host="127.0.0.1",
            port=port,
            tls="none",
            user=user,
            secret=Password(),
            connections=connections,
            timeout=20,
        )
    )


@pytest.fixture(params=["dovecot_user", "cyrus_user"])
def account(request):
    account = request.getfixturevalue(request.param)
    for name in ("victim", "Box"):
        account.create(name)
    for number in range(3):
        account.append("victim", mail(90 + number))
        account.append("INBOX", mail(80 + number))
    return account


def everything(account) -> dict[str, list[tuple[bytes, frozenset[str]]]]:
    """All mailboxes that hold mail, by another client."""
    found = {}
    for name in account.folders():
        with contextlib.suppress(RuntimeError):  # the parent of others, no more
            found[name] = [
                (message.octets, frozenset(message.flags))
                for _, message in sorted(account.messages(name).items())
            ]
    return found


def names_of(account) -> set[str]:
    """All mailboxes, whatever their names."""
    with imapclient.IMAPClient("127.0.0.1", account.server.port, ssl=False) as client:
        client.login(account.user, account.server.password)
        return {"NIL" if name is None else name for _, _, name in client.list_folders()}


@pytest.mark.parametrize("connections", [1, 2])
@pytest.mark.parametrize("careful", [False, True])
def test_messages_flags_and_dates_do_nothing_but_arrive(account, connections, careful) -> None:
    before = everything(account)
    goal = opened(account.server.port, account.user, connections)
    parcels = [
        parcel(
            number, b"X-Number: %d\r\n%s" % (number, octets), "Box", flags=flags, received=date,
            careful=careful and number % 3 == 0, streamed=number % 7 == 0,
        )
        for number, (octets, flags, date) in enumerate(
            (octets, flags, date) for octets in EVIL for flags in FLAGS for date in DATES
        )
    ]  # fmt: skip
    sending = Sending().run(goal, parcels)
    goal.close()
    assert sending.error is None
    for key in sending.keys(Refused):
        codes = {"keyword", "date", *(["bad-message"] if key in BAD_HEADER else [])}
        assert refused(sending.outcomes[key]) in codes, sending.outcomes[key]
    after = everything(account)
    arrived = {octets for octets, _ in after.pop("Box")}
    del before["Box"]
    assert after == before
    sent = {each.key: each.octets or b"".join(each.chunks()) for each in parcels}
    assert arrived == {sent[key] for key in sending.keys(Placed)}
    assert len(sending.keys(Placed)) > len(parcels) // 3


def test_names_do_nothing_but_name(account) -> None:
    before, names_before = everything(account), names_of(account)
    goal = opened(account.server.port, account.user)
    wishes = [FolderWish(path, subscribe=True, role="sent") for path in NAMES]
    answers = list(goal.ensure(wishes))
    made = [answer.folder for _, answer in answers if isinstance(answer, FolderReady)]
    placing = [parcel(number, mail(number), each.folder_id) for number, each in enumerate(made)]
    sending = Sending().run(goal, placing)
    assert sending.error is None
    assert len(sending.keys(Placed)) == len(made)
    looks = list(goal.existing([each.folder_id for each in made]))
    assert len([event for event in looks if isinstance(event, Present)]) == len(made)
    for key in ("x\r\nx DELETE victim", '"\r\n', "x\0", 'x"y', "{5+}", "(", "gone"):
        (pair,) = goal.place([parcel(1, mail(1, COMMANDS), key)])
        if key not in {each.folder_id for each in made}:
            assert refused(pair[1]) in {"folder-gone", "refused"}
        assert list(goal.existing([key]))
    goal.close()
    for name, held in before.items():
        found = account.messages(name)
        assert [found[uid].octets for uid in sorted(found)] == [octets for octets, _ in held]
    parents = {"..", "../.."}
    assert names_of(account) == names_before | {"/".join(each.path) for each in made} | (
        parents if ("..", "..", "etc") in {each.path for each in made} else set()
    )


class Tampering(Relay):
    """A wire on which one flag becomes another: the server says BAD in the middle of a window."""

    def __init__(self, port: int) -> None:
        self.armed = True
        super().__init__(port)

    def _pass(self, source: socket.socket, sink: socket.socket) -> None:  # type: ignore[override]
        with contextlib.suppress(OSError):
            while octets := source.recv(1 << 16):
                if self.armed and b"$evil!" in octets:
                    self.armed = False
                    octets = octets.replace(b"$evil!", rb"\Bogus", 1)
                sink.sendall(octets)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)


def test_bad_in_the_middle_of_a_window_is_survived(account) -> None:
    """What comes behind the window that went wrong is full of commands, and is not read as such."""
    before = everything(account)
    parcels = [
        parcel(
            number,
            mail(number, COMMANDS if number >= 100 else b"harmless\r\n"),
            "Box",
            flags=["$evil!"] if number == 50 else [],
        )
        for number in range(800)
    ]
    with Tampering(account.server.port) as relay:
        goal = opened(relay.port, account.user)
        sending = Sending().run(goal, parcels)
        assert not relay.armed
        assert isinstance(sending.error, ConnectionLost)
        assert not sending.keys(Placed)
        goal.reconnect()
        found = [event for event in goal.existing(["Box"]) if isinstance(event, Present)]
        there = {int(b"".join(outcome.chunks()).split()[1]) for _, outcome in goal.fetch(found)}
        again = Sending().run(goal, [each for each in parcels if each.key not in there])
        goal.close()
    assert again.error is None
    assert len(again.keys(Placed)) == 800 - len(there)
    after = everything(account)
    box = sorted(int(octets.split()[1]) for octets, _ in after.pop("Box"))
    assert box == list(range(800))
    del before["Box"]
    assert after == before
