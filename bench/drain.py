"""The raw drain: what one connection to this server can deliver at most.

    python drain.py HOST PORT USER PASSWORD_VARIABLE FOLDER…

Opens each folder read-only, asks for everything an export needs in one command, and throws the
octets away. Prints how many arrived.
"""

from __future__ import annotations

import os
import secrets
import socket
import sys

_WINDOW = 1 << 18


class Drain:
    """A connection that only waits for the end of each answer."""

    def __init__(self, host: str, port: int) -> None:
        self._socket = socket.create_connection((host, port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._view = memoryview(bytearray(_WINDOW))
        self.octets = self._socket.recv_into(self._view)  # the greeting

    def command(self, text: str) -> None:
        """Send a command and read until its tagged answer, which is the last thing sent."""
        # A random tag: no message of the corpus holds it at the end of what was read.
        tag = secrets.token_hex(8).encode()
        self._socket.sendall(tag + b" " + text.encode() + b"\r\n")
        tail = b""
        while True:
            count = self._socket.recv_into(self._view)
            if not count:
                raise SystemExit("the server closed the connection")
            self.octets += count
            tail = (tail + bytes(self._view[max(0, count - 1024) : count]))[-2048:]
            if not tail.endswith(b"\r\n"):
                continue
            last = tail[:-2].rpartition(b"\r\n")[2]
            if last.startswith(tag + b" OK"):
                return
            if last.startswith(tag):
                raise SystemExit(f"the server refused {text.split(maxsplit=1)[0]}")


def main() -> None:
    host, port, user, variable, *folders = sys.argv[1:]
    drain = Drain(host, int(port))
    drain.command(f'LOGIN "{user}" "{os.environ[variable]}"')
    for folder in folders:
        drain.command(f'EXAMINE "{folder}"')
        drain.command("UID FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])")
    drain.command("LOGOUT")
    print(drain.octets)


if __name__ == "__main__":
    main()
