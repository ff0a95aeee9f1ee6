"""A real Dovecot 2.3, from ``.servers/dovecot``, with a configuration and a directory of its own.

    with Dovecot() as server:                       # up in about 0.1 s
        server.url("jane"), server.url("jane", tls=False), server.ca_file, server.password
        server.append("jane", "Work/2024", octets, [r"\\Seen", "$Forwarded"], date) -> uid
        server.populate("jane", {"INBOX": [(octets, flags, date), …]}) -> {folder: [uid, …]}
        server.create / subscribe / rename / delete / set_flags / add_flags / expunge / move
        server.reset_uidvalidity("jane", "INBOX", renumber_from=1001)
        server.messages("jane", "INBOX") -> {uid: Message(octets, flags, date)}
        server.tokens["secret"] = "jane"            # XOAUTH2 and OAUTHBEARER; delete to revoke
        server.account("jane").append("INBOX", octets)

Any user name logs in with the password ``pass``. Folders nest by ``/``, parents may be
``\\NoSelect``; Sent, Drafts, Trash, Junk and Archive have their special use (RFC 6154) unless
``special_use`` says otherwise. ``populate`` writes the Maildir itself: 10,000 messages take about
a second, UIDs are in the order given. It stores octets as they are; over IMAP Dovecot shows bare
LF as CRLF. Runs as root (mail belongs to ``mail``) or as any other user.
"""

from __future__ import annotations

import grp
import http.server
import os
import pwd
import re
import threading
import urllib.parse
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Self

from imapclient.imap_utf7 import encode as encode_name

from servers.certificates import issue
from servers.daemon import (
    PASSWORD,
    Daemon,
    MailServer,
    Message,
    epoch,
    free_port,
    library_path,
    unpacked,
)

SPECIAL_USE = {
    "Sent": r"\Sent",
    "Drafts": r"\Drafts",
    "Trash": r"\Trash",
    "Junk": r"\Junk",
    "Archive": r"\Archive",
}

_LETTERS = {r"\draft": "D", r"\flagged": "F", r"\answered": "R", r"\seen": "S", r"\deleted": "T"}

_CONFIGURATION = r"""
base_dir = {directory}/run
state_dir = {directory}/state
libexec_dir = {packages}/usr/lib/dovecot
login_plugin_dir = {packages}/usr/lib/dovecot/modules/login
mail_plugin_dir = {packages}/usr/lib/dovecot/modules
log_path = {directory}/log
import_environment = LD_LIBRARY_PATH TZ
default_internal_user = {internal_user}
default_internal_group = {internal_group}
default_login_user = {login_user}
first_valid_uid = 1
protocols = imap
listen = 127.0.0.1
ssl = {ssl}
ssl_cert = <{directory}/cert.pem
ssl_key = <{directory}/key.pem
ssl_dh =
disable_plaintext_auth = no
auth_mechanisms = plain login xoauth2 oauthbearer
auth_failure_delay = 0
mail_max_userip_connections = 100
mail_fsync = {fsync}
mail_location = maildir:~/Maildir:LAYOUT=fs
passdb {{
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = {directory}/oauth2.conf
}}
passdb {{
  driver = static
  args = password={password}
  mechanisms = plain login
}}
userdb {{
  driver = static
  args = uid={mail_user} gid={mail_group} home={directory}/mail/%u allow_all_users=yes
}}
namespace inbox {{
  inbox = yes
  separator = /
{special_use}
}}
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service imap-login {{
  chroot =
  process_min_avail = 1
  service_count = 0
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = {tls_port}
  }}
}}
service auth {{
  client_limit = 5000
}}
service imap {{
  service_count = 100
  process_min_avail = 1
}}
{extra}
"""

_OAUTH2 = """
introspection_mode = post
introspection_url = http://127.0.0.1:{port}/
username_attribute = username
active_attribute = active
active_value = true
"""


class Dovecot(MailServer):
    """See the module.

    Args:
        directory: where mail and state live, e.g. ``Path("/dev/shm")``; default the usual temp.
        special_use: ``{folder: r"\\Sent"}``, instead of ``SPECIAL_USE``.
        tls: False: a server that knows no TLS at all.
        fsync: Dovecot's ``mail_fsync``.
        extra: more lines of configuration, at the end.
    """

    def __init__(
        self,
        *,
        directory: Path | None = None,
        special_use: Mapping[str, str] | None = None,
        tls: bool = True,
        fsync: str = "never",
        extra: str = "",
    ) -> None:
        self.tokens: dict[str, str] = {}
        self._where = directory
        self._special_use = SPECIAL_USE if special_use is None else special_use
        self._tls = tls
        self._fsync = fsync
        self._extra = extra
        self._daemon: Daemon | None = None

    # --- coming and going -----------------------------------------------------------------------

    def start(self) -> Self:
        self._oauth = _Introspection(self.tokens)
        for attempt in range(3):
            try:
                self._start()
                return self
            except RuntimeError:  # somebody else took the port in between
                self._stop_daemon()
                if attempt == 2:
                    self._oauth.stop()
                    raise
        raise AssertionError

    def _start(self) -> None:
        packages = unpacked("dovecot")
        self._daemon = daemon = Daemon("dovecot", self._where)
        self.directory = directory = daemon.directory
        self.ca_file = issue(directory)
        for name in ("run", "state", "mail"):
            (directory / name).mkdir(mode=0o755)
        # Where the mended library looks for the TLS module: see tests/tools/get_servers.py.
        (directory / "run/modules").symlink_to(packages / "usr/lib/dovecot/modules")
        if os.geteuid() == 0:
            internal, login, owner = (pwd.getpwnam(n) for n in ("daemon", "nobody", "mail"))
        else:
            internal = login = owner = pwd.getpwuid(os.geteuid())
        self._owner = owner
        os.chown(directory / "mail", owner.pw_uid, owner.pw_gid)
        self.port = free_port()
        tls_port = free_port() if self._tls else 0
        self.tls_port = tls_port or None
        special_use = "\n".join(
            f'  mailbox "{name}" {{\n    special_use = {use}\n  }}'
            for name, use in self._special_use.items()
        )
        configuration = directory / "dovecot.conf"
        configuration.write_text(
            _CONFIGURATION.format(
                directory=directory,
                packages=packages,
                internal_user=internal.pw_name,
                internal_group=grp.getgrgid(internal.pw_gid).gr_name,
                login_user=login.pw_name,
                mail_user=owner.pw_name,
                mail_group=grp.getgrgid(owner.pw_gid).gr_name,
                ssl="yes" if self._tls else "no",
                fsync=self._fsync,
                password=PASSWORD,
                port=self.port,
                tls_port=tls_port,
                special_use=special_use,
                extra=self._extra,
            ),
            encoding="utf-8",
        )
        (directory / "oauth2.conf").write_text(_OAUTH2.format(port=self._oauth.port))
        environment = {"LD_LIBRARY_PATH": library_path(packages), "PATH": os.environ["PATH"]}
        # The master would look for doveconf in /usr/bin: doveconf is asked to start the master.
        doveconf, dovecot = packages / "usr/bin/doveconf", packages / "usr/sbin/dovecot"
        command = [doveconf, "-c", configuration, "-m", "master"]
        daemon.spawn([*command, "-e", dovecot, "-F", "-c", configuration], environment)
        daemon.wait_for_greeting(self.port, b"* OK")

    def stop(self) -> None:
        self._stop_daemon()
        self._oauth.stop()

    def _stop_daemon(self) -> None:
        if self._daemon is not None:
            self._daemon.stop()
            self._daemon = None

    def log(self) -> str:
        """What Dovecot has logged so far."""
        return "" if self._daemon is None else self._daemon.log()

    # --- behind the server's back ---------------------------------------------------------------

    def maildir(self, user: str, folder: str) -> Path:
        """The directory that holds this folder's ``cur`` and ``dovecot-uidlist``."""
        root = self.directory / "mail" / user / "Maildir"
        return root if folder.upper() == "INBOX" else root / encode_name(folder).decode("ascii")

    def populate(
        self, user: str, folders: Mapping[str, Iterable[Message | tuple[object, ...]]]
    ) -> dict[str, list[int]]:
        """Fill folders by writing the Maildir; returns the UIDs. Existing messages stay.

        Dates are kept to the second, from 1970 on.
        """
        with self.connect(user) as client:
            for name in folders:
                if not self.maildir(user, name).joinpath("cur").is_dir():
                    client.create(encode_name(name).join((b'"', b'"')).decode("ascii"))
                client.select(encode_name(name).join((b'"', b'"')).decode("ascii"))
        return {name: self._deliver(user, name, found) for name, found in folders.items()}

    def _deliver(
        self, user: str, folder: str, messages: Iterable[Message | tuple[object, ...]]
    ) -> list[int]:
        directory = self.maildir(user, folder)
        validity, following, lines = self._uidlist(directory)
        keywords = self._keywords(directory)
        uids = []
        for octets, flags, date in (Message(*message) for message in messages):
            letters = "".join(sorted(self._letter(flag, keywords) for flag in flags))
            # W is the size over IMAP, where every bare LF becomes CRLF.
            size = len(octets) + len(re.findall(rb"(?<!\r)\n", octets))
            base = f"{epoch(date)}.M{following}V{validity}.test,S={len(octets)},W={size}"
            path = directory / "cur" / f"{base}:2,{letters}"
            path.write_bytes(octets)
            os.utime(path, (epoch(date), epoch(date)))
            if os.geteuid() == 0:
                os.chown(path, self._owner.pw_uid, self._owner.pw_gid)
            lines.append(f"{following} :{base}")
            uids.append(following)
            following += 1
        self._write(
            directory / "dovecot-keywords", [f"{n} {keyword}" for keyword, n in keywords.items()]
        )
        self._write_uidlist(directory, validity, following, lines)
        return uids

    def reset_uidvalidity(
        self, user: str, folder: str, *, renumber_from: int = 1, uidvalidity: int | None = None
    ) -> int:
        """Give the folder another UIDVALIDITY and its messages new UIDs; returns the former.

        Flags, keywords and dates stay. Default UIDVALIDITY: the old one plus 1.
        """
        directory = self.maildir(user, folder)
        old, _, lines = self._uidlist(directory)
        new = old + 1 if uidvalidity is None else uidvalidity
        renumbered = [
            f"{renumber_from + number} {line.split(' ', 1)[1]}" for number, line in enumerate(lines)
        ]
        root = self.directory / "mail" / user / "Maildir"
        # The indexes know the old numbers. (The list index is the root's.)
        for index in [*directory.glob("dovecot.index*"), *root.glob("dovecot.list.index*")]:
            index.unlink()
        self._write_uidlist(directory, new, renumber_from + len(lines), renumbered)
        return old

    @staticmethod
    def _uidlist(directory: Path) -> tuple[int, int, list[str]]:
        head, *lines = (directory / "dovecot-uidlist").read_text(encoding="ascii").splitlines()
        found = re.match(r"3 V(\d+) N(\d+)", head)
        if found is None:
            raise RuntimeError(f"unknown dovecot-uidlist: {head}")
        present = {path.name.split(":")[0] for path in (directory / "cur").iterdir()}
        present |= {path.name.split(":")[0] for path in (directory / "new").iterdir()}
        lines = [line for line in lines if line.split(":", 1)[1].split(":")[0] in present]
        return int(found[1]), int(found[2]), lines

    def _write_uidlist(
        self, directory: Path, validity: int, following: int, lines: list[str]
    ) -> None:
        head = f"3 V{validity} N{following} G{os.urandom(16).hex()}"
        self._write(directory / "dovecot-uidlist", [head, *lines])

    def _write(self, path: Path, lines: list[str]) -> None:
        part = path.with_name(path.name + ".part")
        part.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        os.chown(part, self._owner.pw_uid, self._owner.pw_gid)
        part.rename(path)

    @staticmethod
    def _keywords(directory: Path) -> dict[str, int]:
        path = directory / "dovecot-keywords"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return {word: int(number) for number, word in (line.split(" ", 1) for line in lines)}

    @staticmethod
    def _letter(flag: str, keywords: dict[str, int]) -> str:
        if flag.lower() in _LETTERS:
            return _LETTERS[flag.lower()]
        number = keywords.setdefault(flag, len(keywords))
        if number > 25:
            raise ValueError("Dovecot's Maildir has room for 26 keywords a folder in file names")
        return "abcdefghijklmnopqrstuvwxyz"[number]


class _Introspection:
    """RFC 7662 for Dovecot's oauth2 passdb: is this token one of ``tokens``, and whose?"""

    def __init__(self, tokens: Mapping[str, str]) -> None:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:  # http.server's name
                length = int(self.headers.get("Content-Length", "0"))
                form = urllib.parse.parse_qs(self.rfile.read(length).decode())
                user = tokens.get(form.get("token", [""])[0])
                body = b'{"active": "false"}'
                if user is not None:
                    body = f'{{"active": "true", "username": "{user}"}}'.encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
