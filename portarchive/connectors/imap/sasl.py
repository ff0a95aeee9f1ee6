"""AUTHENTICATE (RFC 9051 §6.2.2) on a connection: the lines of a SASL exchange, and nothing else.

What the messages say is for ``login``. What the server sends with its ``+`` is looked at in one
place only, the refusal of an OAuth server: elsewhere servers put there what they like.
"""

from __future__ import annotations

import binascii
from typing import Final

from portarchive.connectors.imap.channel import Channel
from portarchive.connectors.imap.login import SASL_LOGIN, Answers
from portarchive.connectors.imap.responses import Continuation, Status
from portarchive.errors import ServerMisbehaved

INITIAL_MAX: Final = 4000
"""Octets of an initial response that go into the line of the command, which has 8,192 at most."""

_MOST: Final = 8
"""Challenges of one exchange. LOGIN has two, a refused OAUTHBEARER two."""


def authenticate(
    channel: Channel, mechanism: str, exchange: Answers, *, initial: bool = False
) -> Status:
    """Run one exchange to its end.

    Args:
        channel: not logged in.
        mechanism: as ``login.choose`` gives it, not ``LOGIN``.
        exchange: the client's messages.
        initial: the server has SASL-IR (RFC 4959): the first message goes with the command.

    Returns:
        The tagged answer, which may be NO or BAD.

    Raises:
        ServerMisbehaved: there is no end.
        ConnectionLost, TokenExpired, RateLimited: see ``Channel.next``.
    """
    server_first = mechanism == SASL_LOGIN
    command = b"AUTHENTICATE " + (b"LOGIN" if server_first else mechanism.encode("ascii"))
    opening: bytes | None = None
    if initial and not server_first:
        opening = _encoded(exchange(b""))
        if len(opening) <= INITIAL_MAX:
            command += b" " + opening
    tag = channel.send(command)
    asked = 0
    while (status := channel.answered(tag)) is None:
        response = channel.next()
        if isinstance(response, Status) and response.tag is not None:
            channel.keep(response)
        elif isinstance(response, Continuation):
            asked += 1
            if asked > _MOST:
                raise ServerMisbehaved("the server asks on and on at the login")
            challenge = _decoded(response.text)
            if opening is not None and not challenge.lstrip().startswith(b"{"):
                answer = opening  # it was not sent, or the server did not look at it
            else:
                answer = _encoded(exchange(challenge))
            opening = None
            channel.stream.send(answer + b"\r\n")
    return status


def _encoded(message: bytes) -> bytes:
    return binascii.b2a_base64(message, newline=False)


def _decoded(challenge: bytes) -> bytes:
    """A challenge in base64; as it stands if it is none."""
    try:
        return binascii.a2b_base64(challenge, strict_mode=True)
    except ValueError:
        return challenge
