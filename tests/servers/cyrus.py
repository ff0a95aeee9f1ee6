"""A real Cyrus 3.6 (IMAP and JMAP), from ``.servers/cyrus``, with a directory of its own.

    with Cyrus() as server:                         # up in about 1 s
        server.url("jane"), server.url("jane", tls=False), server.ca_file, server.password
        server.jmap_url                             # http://127.0.0.1:PORT/.well-known/jmap
    server.jmap("jane"), server.jmap("jane", tls=False)     # jmaps://jane@localhost:PORT
        server.append / populate / create / … / messages: see ``daemon.MailServer``
        server.account("jane").append("INBOX", octets)

A user exists from the first time its name is used here; the password is ``pass``. What differs
from Dovecot: OBJECTID (EMAILID is a hash of the octets), no XOAUTH2, message octets must be clean
(no bare LF, no NUL, a header), folders are created by APPEND's helper only, dates from 1970 on.
``populate`` uses APPEND: about 1,000 messages a second.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from servers.certificates import issue
from servers.daemon import (
    PASSWORD,
    Account,
    Daemon,
    MailServer,
    free_port,
    library_path,
    unpacked,
)

_SERVER_NAME = "localhost"  # also the realm of the users

_IMAPD = """
configdirectory: {directory}/conf
partition-default: {directory}/spool
defaultpartition: default
proc_path: {directory}/conf/proc
mboxname_lockpath: {directory}/conf/lock
cyrus_user: {user}
servername: {server_name}
admins: cyrus
allowplaintext: yes
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_sasldb_path: {directory}/sasldb2
sasl_mech_list: PLAIN LOGIN
altnamespace: yes
unixhierarchysep: yes
virtdomains: off
autocreate_quota: 0
autocreate_post: yes
{special_use}
conversations: yes
conversations_db: twoskip
httpmodules: jmap caldav carddav
jmap_nonstandard_extensions: yes
maxlogins_per_user: 0
maxlogins_per_host: 0
tls_server_cert: {directory}/cert.pem
tls_server_key: {directory}/key.pem
tls_session_timeout: 0
{extra}
"""

_MASTER = """
START {{
  recover cmd="{bin}/ctl_cyrusdb -C {directory}/imapd.conf -r"
}}
SERVICES {{
  imap cmd="{imapd}" listen="127.0.0.1:{port}" prefork=1
  imaps cmd="{imapd} -s" listen="127.0.0.1:{tls_port}" prefork=0
  http cmd="{bin}/httpd -C {directory}/imapd.conf -U 100" listen="127.0.0.1:{http_port}" prefork=0
  https cmd="{bin}/httpd -s -C {directory}/imapd.conf" listen="127.0.0.1:{https_port}" prefork=0
}}
EVENTS {{
}}
"""


class Cyrus(MailServer):
    """See the module.

    Args:
        directory: where mail and state live, e.g. ``Path("/dev/shm")``; default the usual temp.
        special_use: ``{folder: r"\\Sent"}``: made for every user at its first login.
        extra: more lines of ``imapd.conf``.
    """

    def __init__(
        self,
        *,
        directory: Path | None = None,
        special_use: Mapping[str, str] | None = None,
        extra: str = "",
    ) -> None:
        self._where = directory
        self._special_use = dict(special_use or {})
        self._extra = extra
        self._daemon: Daemon | None = None
        self._users: set[str] = set()

    # --- coming and going -----------------------------------------------------------------------

    def start(self) -> Self:
        for attempt in range(3):
            try:
                self._start()
                return self
            except RuntimeError:  # somebody else took a port in between
                self.stop()
                if attempt == 2:
                    raise
        raise AssertionError

    def _start(self) -> None:
        self._users.clear()
        self._daemon = daemon = Daemon("cyrus", self._where)
        self.directory = directory = daemon.directory
        # Cyrus refuses root: any other user of the system will do.
        self._owner = pwd.getpwnam("daemon") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
        packages = self._reachable(unpacked("cyrus"))
        sasl = next(packages.glob("usr/lib/*-linux-*/sasl2"))
        self._environment = {
            "LD_LIBRARY_PATH": library_path(packages),
            "SASL_PATH": str(sasl),
            "PATH": os.environ["PATH"],
        }
        self._saslpasswd = unpacked("cyrus") / "usr/sbin/saslpasswd2"
        for name in ("db", "proc", "socket", "log", "lock", "msg", "ptclient", "sync", "backup"):
            (directory / "conf" / name).mkdir(parents=True)
        (directory / "spool").mkdir()
        self.ca_file = issue(directory)
        self.port, self.tls_port, self.http_port = free_port(), free_port(), free_port()
        self.https_port = free_port()
        self.jmap_url = f"http://127.0.0.1:{self.http_port}/.well-known/jmap"
        (directory / "imapd.conf").write_text(
            _IMAPD.format(
                directory=directory,
                server_name=_SERVER_NAME,
                user=self._owner.pw_name,
                special_use=self._special_use_lines(),
                extra=self._extra,
            ),
            encoding="utf-8",
        )
        (directory / "cyrus.conf").write_text(
            _MASTER.format(
                directory=directory,
                bin=packages / "usr/lib/cyrus/bin",
                imapd=f"{packages}/usr/lib/cyrus/bin/imapd -C {directory}/imapd.conf -U 100",
                port=self.port,
                tls_port=self.tls_port,
                http_port=self.http_port,
                https_port=self.https_port,
            ),
            encoding="utf-8",
        )
        self._own()
        master = packages / "usr/lib/cyrus/bin/master"
        command = [master, "-D", "-C", directory / "imapd.conf", "-M", directory / "cyrus.conf"]
        daemon.spawn([*command, "-p", directory / "master.pid"], self._environment)
        daemon.wait_for_greeting(self.port, b"* OK")

    def _special_use_lines(self) -> str:
        if not self._special_use:  # an option without a value is an error
            return ""
        names = " | ".join(self._special_use)
        lines = [f"autocreate_inbox_folders: {names}", f"autocreate_subscribe_folders: {names}"]
        for name, use in self._special_use.items():
            lines.append(f"xlist-{use.removeprefix(chr(92)).lower()}: {name}")
        return "\n".join(lines)

    def _reachable(self, packages: Path) -> Path:
        """The programs at a place where the unprivileged owner may read them."""
        if all(path.stat().st_mode & 0o001 for path in packages.parents):
            return packages
        copy = self.directory / "packages"
        shutil.copytree(packages / "usr/lib", copy / "usr/lib", symlinks=True)
        if (packages / "lib").is_dir():
            shutil.copytree(packages / "lib", copy / "lib", symlinks=True)
        return copy

    def _own(self) -> None:
        if os.geteuid() != 0:
            return
        for path in (self.directory, *self.directory.glob("*"), *self.directory.glob("conf/*")):
            os.chown(path, self._owner.pw_uid, self._owner.pw_gid)

    def stop(self) -> None:
        if self._daemon is not None:
            self._daemon.stop()
            self._daemon = None

    # --- users ----------------------------------------------------------------------------------

    def add_user(self, user: str) -> None:
        """Let this user log in with ``PASSWORD``; its mailbox is made at its first IMAP login."""
        if user in self._users:
            return
        database = self.directory / "sasldb2"
        subprocess.run(
            [self._saslpasswd, "-p", "-c", "-f", database, "-u", _SERVER_NAME, user],
            input=PASSWORD.encode(),
            env=self._environment,
            check=True,
            capture_output=True,
        )
        if os.geteuid() == 0:
            os.chown(database, self._owner.pw_uid, self._owner.pw_gid)
        self._users.add(user)

    def url(self, user: str, *, tls: bool = True) -> str:
        self.add_user(user)
        return super().url(user, tls=tls)

    def jmap(self, user: str, *, tls: bool = True) -> str:
        """The account by JMAP, as SOURCE."""
        self.add_user(user)
        port = self.https_port if tls else self.http_port
        return f"{'jmaps' if tls else 'jmap'}://{user}@localhost:{port}"

    def connect(self, user: str):
        self.add_user(user)
        return super().connect(user)

    def account(self, user: str) -> Account:
        self.connect(user).logout()
        return super().account(user)

    def reset_uidvalidity(self, user: str, folder: str) -> int:
        """Make the folder anew with the same messages; returns the former UIDVALIDITY.

        Not for INBOX. The new UIDs start at 1; flags and dates stay, MAILBOXID does not.
        """
        old = self.uidvalidity(user, folder)
        messages = list(self.messages(user, folder).values())
        self.delete(user, folder)
        self.append_many(user, folder, messages)
        return old
