"""LOGIN and AUTHENTICATE of the scripted server (RFC 9051 §6.2.2 and §6.2.3; RFC 7628)."""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import TYPE_CHECKING

from servers.scripted import Event, Refuse
from servers.scripted_syntax import SyntaxProblem, octets_of, text_of

if TYPE_CHECKING:
    from servers.scripted_session import Session


def login(session: Session, event: Event) -> None:
    if session.has("LOGINDISABLED"):
        raise SyntaxProblem("LOGIN where it is disabled")
    user, password = (octets_of(token).decode() for token in event.args)
    _enter(session, event, user, password)


def _enter(session: Session, event: Event, user: str, password: str) -> None:
    known = session.server.passwords
    if password != (session.server.password if known is None else known.get(user)):
        raise Refuse("[AUTHENTICATIONFAILED] Wrong user or password")
    _welcome(session, event, user)


def _welcome(session: Session, event: Event, user: str) -> None:
    session.user = user
    session.server.logins += 1
    event.tagged("OK", f"[CAPABILITY {session.capabilities()}] logged in")


def _ask(session: Session, challenge: str) -> bytes:
    session.send(f"+ {challenge}\r\n".encode())
    session.flush()
    return session.read_line().strip()


def authenticate(session: Session, event: Event) -> None:
    mechanism = text_of(event.args[0]).upper()
    if mechanism not in session.server.mechanisms:
        raise Refuse("[CANNOT] no such mechanism")
    said = event.args[1] if len(event.args) > 1 else None
    if said is not None:
        session.need("SASL-IR")
    try:
        if mechanism == "LOGIN":
            user = base64.b64decode(_ask(session, "VXNlcm5hbWU6"), validate=True)
            secret = base64.b64decode(_ask(session, "UGFzc3dvcmQ6"), validate=True)
            _enter(session, event, user.decode(), secret.decode())
            return
        if session.server.deaf_to_initial:
            said = None
        answer = said if isinstance(said, bytes) else _ask(session, session.server.challenge)
        if answer == b"*":
            raise SyntaxProblem("authentication given up")
        response = base64.b64decode(answer, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise SyntaxProblem(f"not base64: {error}") from error
    if mechanism == "PLAIN":
        _, user, password = response.split("\0")
        _enter(session, event, user, password)
        return
    found = re.search(r"(?:user|a)=([^,\x01]*)", response)
    token = re.search(r"auth=Bearer ([^\x01]*)\x01\x01\Z", response)
    if token is None or (mechanism == "XOAUTH2") != response.startswith("user="):
        raise SyntaxProblem(f"not a {mechanism} response")
    user = session.server.tokens.get(token[1])
    if user is None or (found and found[1] not in {"", user}):
        refusal = {"status": "400" if mechanism == "XOAUTH2" else "invalid_token"}
        _ask(session, base64.b64encode(json.dumps(refusal).encode()).decode())
        raise Refuse("[AUTHENTICATIONFAILED] Invalid credentials")
    _welcome(session, event, user)
