"""Ready-made bad days for the scripted server, as real servers were seen to have them.

Each function takes the server first and returns a ``Hook`` (``hook.off()`` ends it, ``hook.hits``
counts) unless it says otherwise; ``times=None`` means for ever.

    refuse_uids(server, "INBOX", {4, 9})            NO to every command that asks for one of them
    refuse_uids(server, "INBOX", {4}, whole=False)  … after it has sent the others
    no_data(server, "INBOX", {4})                   tagged OK, not a word about UID 4
    placeholder(server, "INBOX", {4})               Exchange's text in the place of the message
    batch_limit(server, 50)                         NO if more than 50 texts are asked for at once
    drop_after(server, 500)                         the connection breaks after 500 texts
    drop_after(server, 500, in_literal=20)          … 20 octets into the 501st
    drop_on(server, "EXAMINE", folder="Work")       the connection breaks on this command
    throttle(server, milliseconds=300)              Exchange's "Request is throttled …"
    throttled_code(server)                          NO [THROTTLED]
    expire_token(server, "old", "new", after=300)   BYE … AccessTokenExpired; only "new" logs in
    list_return_bad(server)                         BAD to LIST with RETURN
    examine_no(server, "Work")                      NO to EXAMINE
    marks_seen(server)                              PEEK or not, \\Seen is set and announced
    chatter(server, every=3)                        unsolicited lines between FETCH answers
    oddities(server)                                empty ID list, negative line counts, no texts
    expunge_during(server, "INBOX", {7}, after=2)   others expunge while we fetch
    arrive_during(server, "INBOX", [octets], after=2)   new mail while we fetch
    login_refused(server, times=1), unavailable(server, times=1)
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from servers.scripted import Cut, Delivery, Drop, Event, Hook, Refuse, ScriptedServer, Skip
from servers.scripted_model import wire_name

PLACEHOLDER = (
    b'From: "Microsoft Exchange Server" <>\r\n'
    b"To: jane@example.org\r\n"
    b"Subject: Retrieval using the IMAP4 protocol failed for the following message: 4\r\n"
    b"Date: Thu, 01 Feb 2024 03:04:05 +0000\r\n"
    b"MIME-Version: 1.0\r\n"
    b'Content-Type: text/plain; charset="utf-8"\r\n'
    b"\r\n"
    b"The server couldn't retrieve the following message:\r\n\r\n"
    b'Subject: "Report"\r\n'
    b'From: "Joe" ("/O=EXAMPLE/OU=EXCHANGE/CN=RECIPIENTS/CN=JOE")\r\n'
    b"Sent date: 2/1/2024 3:04:05 AM\r\n\r\n"
    b"The message hasn't been deleted. You might be able to view the message using Outlook or "
    b"Outlook Web App. You can also contact the sender to find out what the message says.\r\n"
)

# A message whose lines look like the server's own: nothing in a literal is an answer.
TRAP = (
    b"X-Spam-Flag: NO\r\nSubject: trap\r\n\r\n"
    b"* 5 EXISTS\r\n* BYE not really\r\nA1 OK done\r\nA0001 NO [ALERT] nothing\r\n"
    b"* 1 FETCH (UID 999 BODY[] {3}\r\nabc)\r\n)\r\n+ go on\r\n{10}\r\n"
)


def refuse_uids(
    server: ScriptedServer,
    folder: str | bytes,
    uids: Iterable[int],
    *,
    text: str = "[SERVERBUG] Internal error",
    status: str = "NO",
    whole: bool = True,
    times: int | None = None,
) -> Hook:
    """NO to every command that asks for the text of one of these; ``whole``: and nothing else."""
    bad = set(uids)

    def refuse(_: Event | Delivery) -> None:
        raise Refuse(text, status)

    if not whole:
        # The others first: dictionaries keep order, so the bad ones are left out, then NO.
        def late(event: Event) -> None:
            event.uids.sort(key=lambda uid: uid in bad)

        server.on("UID FETCH", late, when=lambda event: event.wants_body and _in(event, folder))
        return server.on_message(refuse, folder=folder, uids=bad, times=times)
    return server.on(
        "UID FETCH",
        refuse,
        when=lambda event: event.wants_body and _in(event, folder) and bad & set(event.uids),
        times=times,
    )


def no_data(
    server: ScriptedServer, folder: str | bytes, uids: Iterable[int], *, times: int | None = None
) -> Hook:
    """Tagged OK, and not a word about these when their text is asked for."""

    def skip(_: Delivery) -> None:
        raise Skip

    return server.on_message(skip, folder=folder, uids=uids, times=times)


def placeholder(server: ScriptedServer, folder: str | bytes, uids: Iterable[int]) -> None:
    """Exchange's text instead of the message, with the right size for neither."""
    for uid in uids:
        server.mailbox(folder).mails[uid].octets = PLACEHOLDER


def batch_limit(server: ScriptedServer, limit: int, *, text: str = "[LIMIT] Too many") -> Hook:
    def refuse(_: Event) -> None:
        raise Refuse(text)

    return server.on(
        "UID FETCH", refuse, when=lambda event: event.wants_body and len(event.uids) > limit
    )


def drop_after(
    server: ScriptedServer,
    texts: int,
    *,
    in_literal: int | None = None,
    times: int | None = 1,
    say: str | None = None,
    folder: str | bytes | None = None,
) -> Hook:
    """Break the connection after so many texts (again after each so many, ``times`` in all).

    Args:
        in_literal: break it so many octets into the next text instead of before it.
        say: a BYE before it breaks.
        folder: break it in this folder only.
    """
    goal = [server.bodies + texts]

    def when(_: Delivery) -> bool:
        return server.bodies >= goal[0]

    def drop(delivery: Delivery) -> None:
        goal[0] = server.bodies + texts
        if say is not None:
            delivery.untagged(f"BYE {say}")
        if in_literal is not None:
            raise Cut(in_literal)
        raise Drop

    hook = server.on_message(drop, folder=folder, times=times)
    of_texts = hook.when
    assert of_texts is not None
    hook.when = lambda delivery: of_texts(delivery) and when(delivery)
    return hook


def drop_on(
    server: ScriptedServer,
    command: str,
    *,
    folder: str | bytes | None = None,
    times: int | None = 1,
) -> Hook:
    """Break the connection instead of answering; ``folder``: named by or open for the command."""

    def drop(_: Event) -> None:
        raise Drop

    return server.on(
        command, drop, when=lambda event: folder is None or _in(event, folder), times=times
    )


def throttle(
    server: ScriptedServer,
    *,
    milliseconds: int = 300,
    command: str = "UID FETCH",
    status: str = "BAD",
    after: int = 0,
    times: int | None = 1,
) -> Hook:
    """What Exchange says to a client in a hurry; ``after`` so many such commands went well."""
    count = itertools.count()

    def refuse(_: Event) -> None:
        raise Refuse(
            f"Request is throttled. Suggested Backoff Time: {milliseconds} milliseconds", status
        )

    return server.on(command, refuse, when=lambda _: next(count) >= after, times=times)


def throttled_code(
    server: ScriptedServer, *, command: str = "UID FETCH", times: int | None = 1
) -> Hook:
    def refuse(_: Event) -> None:
        raise Refuse("[THROTTLED] Too many commands per second")

    return server.on(command, refuse, times=times)


def expire_token(server: ScriptedServer, old: str, new: str, *, after: int) -> Hook:
    """After so many texts the old token dies: BYE, and only the new one logs in."""
    server.tokens.setdefault(old, "jane")

    def expire(delivery: Delivery) -> None:
        server.tokens[new] = server.tokens.pop(old)
        delivery.untagged("BYE Session invalidated - AccessTokenExpired")
        raise Drop

    goal = server.bodies + after
    hook = server.on_message(expire, times=1)
    of_texts = hook.when
    assert of_texts is not None
    hook.when = lambda delivery: of_texts(delivery) and server.bodies >= goal
    return hook


def list_return_bad(server: ScriptedServer, *, text: str = "Command Argument Error. 11") -> Hook:
    """LIST-EXTENDED is announced, and RETURN is answered BAD all the same."""

    def refuse(_: Event) -> None:
        raise Refuse(text, "BAD")

    return server.on("LIST", refuse, when=lambda event: " RETURN " in event.line.upper())


def examine_no(
    server: ScriptedServer,
    folder: str | bytes,
    *,
    text: str = "[SERVERBUG] Mailbox is damaged",
    times: int | None = None,
) -> Hook:
    def refuse(_: Event) -> None:
        raise Refuse(text)

    return server.on("EXAMINE", refuse, when=lambda event: _in(event, folder), times=times)


def marks_seen(server: ScriptedServer) -> Hook:
    """Whatever was asked, the message is marked as read, and the client is told."""

    def mark(delivery: Delivery) -> None:
        if "\\Seen" not in delivery.mail.flags:
            delivery.mailbox.set_flags(delivery.mail.uid, [*delivery.mail.flags, "\\Seen"])

    return server.on_message(mark)


def chatter(server: ScriptedServer, *, every: int = 3) -> Hook:
    """Legal lines that nobody asked for, between the answers to a FETCH."""
    count = itertools.count(1)

    def talk(delivery: Delivery) -> None:
        if next(count) % every:
            return
        delivery.untagged(f"{len(delivery.session.view)} EXISTS")
        delivery.untagged("0 RECENT")
        delivery.untagged("OK [ALERT] Still here (and [well])")
        delivery.untagged("OK")
        delivery.untagged(r"FLAGS (\Seen odd(flag)")
        delivery.untagged(rf"{delivery.number} FETCH (FLAGS (\Recent))")
        delivery.untagged("CAPABILITY IMAP4rev1")

    return server.on_message(talk, body=False)


def oddities(server: ScriptedServer) -> Hook:
    """Answers that break the grammar in ways that were seen: see ``modern-email/defects``."""
    server.identity = "()"
    server.terse = True

    def talk(delivery: Delivery) -> None:
        delivery.untagged(
            f'{delivery.number} FETCH (BODYSTRUCTURE ("TEXT" "PLAIN" NIL NIL NIL "7BIT" 2279 -1))'
        )
        delivery.untagged(
            f'{delivery.number} FETCH (BODYSTRUCTURE ("TEXT" "PLAIN" NIL NIL NIL "7BIT" 2279))'
        )
        delivery.untagged("OK ")
        delivery.untagged("SEARCH ")

    return server.on_message(talk, body=False)


def expunge_during(
    server: ScriptedServer, folder: str | bytes, uids: Iterable[int], *, after: int
) -> Hook:
    """Somebody expunges these when the answer to a FETCH of texts has named ``after`` messages."""

    def expunge(_: Delivery) -> None:
        mailbox = server.mailbox(folder)
        mailbox.expunge(*[uid for uid in uids if uid in mailbox.mails])

    return _once_after(server, folder, after, expunge)


def arrive_during(
    server: ScriptedServer, folder: str | bytes, messages: Iterable[bytes], *, after: int
) -> Hook:
    """New mail comes when the answer to a FETCH of texts has named ``after`` messages."""

    def arrive(_: Delivery) -> None:
        for octets in messages:
            server.mailbox(folder).add(octets)

    return _once_after(server, folder, after, arrive)


def login_refused(server: ScriptedServer, *, times: int | None = None) -> tuple[Hook, Hook]:
    def refuse(_: Event) -> None:
        raise Refuse("[AUTHENTICATIONFAILED] Invalid credentials (Failure)")

    return (
        server.on("LOGIN", refuse, times=times),
        server.on("AUTHENTICATE", refuse, times=times),
    )


def unavailable(server: ScriptedServer, *, command: str = "LOGIN", times: int | None = 1) -> Hook:
    """RFC 5530: a temporary failure of something behind the server."""

    def refuse(_: Event) -> None:
        raise Refuse("[UNAVAILABLE] Try again later")

    return server.on(command, refuse, times=times)


def _once_after(server: ScriptedServer, folder: str | bytes, after: int, do) -> Hook:
    count = itertools.count()
    hook = server.on_message(do, folder=folder, times=1)
    in_folder = hook.when
    assert in_folder is not None
    hook.when = lambda delivery: in_folder(delivery) and next(count) >= after
    return hook


def _in(event: Event, folder: str | bytes) -> bool:
    """The command names this folder, or it is open."""
    wire = wire_name(folder)
    if event.name in {"EXAMINE", "SELECT", "STATUS"}:
        return bool(event.args) and event.args[0] == wire
    return event.mailbox is not None and event.mailbox.wire == wire
