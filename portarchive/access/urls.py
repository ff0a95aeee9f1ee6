"""SOURCE, TARGET and ARCHIVE as they are written on the command line.

Owns the grammar and its one-line errors. Refuses to hold a password, and never repeats a URL that
it could not read: what was meant as a user name may be a secret.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal
from urllib.parse import unquote_to_bytes

from portarchive.access.credentials import Side
from portarchive.errors import SettingsError

Tls = Literal["implicit", "starttls", "none"]

FORM = "imaps://user@host[:port]"

_DEFAULT_PORT = {"imaps": 993, "imap": 143, "jmaps": 443, "jmap": 80}
_JMAP_FORM = "jmaps://user@host[:port][?account=NAME][&allow-host=HOST]"
_LOCAL = re.compile(r"(maildir|mbox):(?://(?=/))?(.*)", re.IGNORECASE | re.DOTALL)
_OPTIONS = {
    side: re.compile(rf"\?((?:{names})=[a-z0-9+]*(?:&(?:{names})=[a-z0-9+]*)*)\Z")
    for side, names in (("source", "format|roles"), ("target", "format|roles|layout"))
}
_LIKE_OPTIONS = re.compile(r"\?[A-Za-z_-]+=[^/?]*\Z")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)", re.ASCII)
_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_CONTAINER = re.compile(r"\.(pdpa|zip|tar|tgz|tbz2?|txz|tzst|tar\.[a-z0-9]+)", re.IGNORECASE)
# IDNA 2003 (Python's codec) and IDNA 2008 lead to different hosts where these are used.
_DEVIATIONS = frozenset("\u00df\u03c2\u200c\u200d")


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceUrl:
    """Where to connect, and as whom; a TARGET is such a one too. Holds no secret.

    Attributes:
        scheme: ``imaps``, ``imap``, ``jmaps`` or ``jmap``.
        host: in ASCII: an A-label form (RFC 5890), or an address without brackets.
        port: 1 to 65535.
        user: decoded; holds no control character.
        tls: ``implicit`` (RFC 8314), ``starttls`` (required, never "if offered") or ``none``.
        options: of JMAP: ``account``, the id or name of a shared account, decoded; ``allow-host``,
            further hosts that may see the credentials, in ASCII, with commas between.
    """

    scheme: str
    host: str
    port: int
    user: str
    tls: Tls
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def service(self) -> str:
        """The endpoint without the user: ``imaps://imap.example.org:993``."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether octets stay on this machine whatever the resolver says (RFC 6761 §6.3)."""
        if self.host == "localhost" or self.host.endswith(".localhost"):
            return True
        from ipaddress import ip_address  # noqa: PLC0415  start-up time

        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalSource:
    """Files on this machine that hold mail, or are to. No login, no secret.

    Attributes:
        scheme: ``maildir`` or ``mbox``.
        path: as the user wrote it; nothing in it is percent-decoded.
        options: what came after ``?``, by name.
    """

    scheme: str
    path: str
    options: Mapping[str, str]


def parse_local(text: str, *, side: Side = "source") -> LocalSource | None:
    """Read SOURCE as ``maildir:PATH`` or ``mbox:PATH``; None if it is of another kind.

    PATH is taken as it is, ``?`` included, but for a known option at its end: ``?format=mboxo``,
    ``?roles=names``, of a TARGET also ``?layout=fs``. ``maildir:///PATH`` is the same as
    ``maildir:/PATH``.

    Raises:
        SettingsError: there is no path, or an option that is none; unless something lies there that
            is called so.
    """
    found = _LOCAL.fullmatch(text.strip())
    if found is None:
        return None
    scheme, path = found[1].lower(), found[2]
    told = _OPTIONS[side].search(path)
    if told is not None:
        path = path[: told.start()]
    elif _LIKE_OPTIONS.search(path) and not os.path.lexists(os.path.expanduser(path)):  # noqa: PTH111 - only a look
        raise SettingsError(
            f"{scheme}: has no such option as the one behind the question mark",
            hint="the options are ?roles=names"
            + (", ?format=mboxrd and ?format=mboxo" if scheme == "mbox" else "")
            + "; a question mark that belongs to the path needs something of that name there",
            code="bad-url",
        )
    if not path or path.startswith("//") or "\0" in path:
        raise SettingsError(
            f"{scheme}: takes a path on this machine" + (", not a host" if path else ""),
            hint=f"write it like this: {scheme}:/home/jane/"
            + ("Maildir" if scheme == "maildir" else "mail.mbox"),
            code="bad-url",
        )
    pairs = (pair.partition("=") for pair in told[1].split("&")) if told is not None else ()
    return LocalSource(scheme=scheme, path=path, options={name: value for name, _, value in pairs})


def parse_source(text: str, *, tls: str | None = None, allow_cleartext: bool = False) -> SourceUrl:
    """Read SOURCE: ``imaps://user@host[:port]``, ``imap://user@host[:port][?tls=none]``.

    ``jmaps://user@host[:port]`` and ``jmap://…``, which is plain http, with ``?account=NAME`` and
    ``?allow-host=HOST``, the second as often as need be, joined by ``&``.

    The last ``@`` separates the host, so ``imaps://jane@example.org@imap.example.org`` works.

    Args:
        text: as the user wrote it.
        tls: what ``--tls`` says; has to agree with the URL.
        allow_cleartext: permit ``tls=none`` to a host that is not this machine.

    Raises:
        SettingsError: it is not of that form, holds a password, or would send the password in
            clear text over a network.
    """
    return _Reading("source", "").url(text, tls, allow_cleartext=allow_cleartext)


def parse_target(
    text: str,
    *,
    tls: str | None = None,
    allow_cleartext: bool = False,
    prefix: Literal["", "target-"] = "",
) -> SourceUrl:
    """Read TARGET, which is written as SOURCE is.

    Args:
        text: as the user wrote it.
        tls: what ``--tls`` or ``--target-tls`` says; has to agree with the URL.
        allow_cleartext: permit ``tls=none`` to a host that is not this machine.
        prefix: what its options begin with where the command has a SOURCE too; for error texts.

    Raises:
        SettingsError: as ``parse_source`` does.
    """
    return _Reading("target", prefix).url(text, tls, allow_cleartext=allow_cleartext)


def with_account(
    url: SourceUrl | LocalSource, name: str | None, option: str
) -> SourceUrl | LocalSource:
    """The same with the account that an option names, as ``?account=`` does.

    Args:
        url: as it was read.
        name: id or name of a JMAP account; None if the option was not given.
        option: its spelling.

    Raises:
        SettingsError: only JMAP has it; the URL names another one; it is no name.
    """
    if name is None:
        return url
    if isinstance(url, LocalSource) or not url.scheme.startswith("jmap"):
        raise SettingsError(
            f"{option} is about accounts by JMAP",
            hint=f"leave it out, or write it like this: {_JMAP_FORM}",
        )
    if url.options.get("account", name) != name:
        raise SettingsError(
            f"the URL names an account, and {option} another one", hint="leave one of them out"
        )
    if not name or not name.isprintable():
        raise SettingsError(f"{option} holds no name", hint="leave it out for the user's own one")
    return replace(url, options={**url.options, "account": name})


def parse_archive(text: str, *, writing: bool) -> Path:
    """Read ARCHIVE: a directory.

    Args:
        text: as the user wrote it.
        writing: it is to be written, after SOURCE; else read, and nothing is before it.

    Raises:
        SettingsError: it is a URL, or names a container and ``writing`` is asked for.
    """
    if _SCHEME.match(text):
        raise SettingsError(
            "ARCHIVE is a directory on this machine, and this one is a URL",
            hint=f"the order is SOURCE, then ARCHIVE: portarchive export {FORM} mail-archive"
            if writing
            else f"ARCHIVE comes first, then TARGET: portarchive import mail-archive {FORM}",
        )
    if not text or "\0" in text:
        raise SettingsError("ARCHIVE is empty", hint="name a directory, e.g. mail-archive")
    suffix = re.search(_CONTAINER.pattern + r"/*$", text, re.IGNORECASE)
    if writing and suffix is not None:
        raise SettingsError(
            f"an archive is written as a directory; this version cannot write {suffix[1]} files",
            hint="export into a directory, then pack that with the tool of your choice",
            code="container-refused",
        )
    return Path(text)


@dataclass(frozen=True, slots=True)
class _Reading:
    """How a URL is read, and what its errors call it.

    Attributes:
        side: ``source`` or ``target``.
        prefix: of the options that are about it.
    """

    side: Side
    prefix: str

    @property
    def word(self) -> str:
        return self.side.upper()

    @property
    def choice(self) -> str:
        return "--folder" if self.side == "source" else "--into"

    def url(self, text: str, tls: str | None, *, allow_cleartext: bool) -> SourceUrl:
        text = text.strip()
        scheme = self._scheme(text)
        rest = text.partition("://")[2]
        userinfo, at, location = rest.rpartition("@")
        if ":" in userinfo:
            raise SettingsError(
                "a password in a URL is refused: other users of this machine could read it",
                hint=f"leave it out: portarchive asks for it, or takes --{self.prefix}"
                f"password-command or PORTARCHIVE_{self.word}_PASSWORD (a colon of the user name"
                " itself is %3A)",
                code="password-in-url",
            )
        if not at:
            raise _unreadable(f"{self.word} names no user")
        location, _, query = location.partition("?")
        jmap = scheme.startswith("jmap")
        options = self._options(query) if jmap and query else {}
        host, port = self._host_and_port(location, default=_DEFAULT_PORT[scheme])
        url = SourceUrl(
            scheme=scheme,
            host=host,
            port=port,
            user=self._user(userinfo),
            tls=self._tls(scheme, "" if jmap else query, tls),
            options=options,
        )
        if url.tls == "none" and not allow_cleartext and not url.is_loopback:
            raise SettingsError(
                f"without TLS the password would cross the network to {host} in clear text",
                hint=("use jmaps://" if jmap else "use imaps://, or imap:// without tls=none")
                + f", or insist with --{self.prefix}allow-cleartext",
                code="cleartext-refused",
            )
        return url

    def _scheme(self, text: str) -> str:
        found = _SCHEME.match(text)
        if found is None:
            raise _unreadable(f"{self.word} is not a URL")
        scheme = found[1].lower()
        if scheme not in _DEFAULT_PORT:
            raise _unreadable(f"unknown scheme {scheme[:20]!r} in {self.word}")
        return scheme

    def _user(self, userinfo: str) -> str:
        if not userinfo:
            raise _unreadable(f"{self.word} names no user")
        for sign, code in (("/", "%2F"), ("?", "%3F"), ("#", "%23")):
            if sign in userinfo:
                raise SettingsError(
                    f"{self.word} has a {sign!r} before its last '@'",
                    hint=f"in a user name it is written {code}; folders are chosen with"
                    f" {self.choice}, not in the URL",
                    code="bad-url",
                )
        if _PERCENT.search(userinfo):
            raise SettingsError(
                f"the user name in {self.word} has a '%' that is no percent-encoding",
                hint="write %25 for a percent sign",
                code="bad-url",
            )
        try:
            user = unquote_to_bytes(userinfo).decode()
        except UnicodeDecodeError as error:
            raise _unreadable(f"the user name in {self.word} is not UTF-8") from error
        if any(ord(sign) < 0x20 or 0x7F <= ord(sign) < 0xA0 for sign in user):
            raise _unreadable(f"the user name in {self.word} has a control character in it")
        return user

    def _host_and_port(self, location: str, *, default: int) -> tuple[str, int]:
        if "#" in location or "/" in location.removesuffix("/"):
            raise SettingsError(
                f"{self.word} ends with its host; a path or fragment after it means nothing here",
                hint=f"choose folders with {self.choice}, e.g. {self.choice} INBOX",
                code="bad-url",
            )
        location = location.removesuffix("/")
        if location.startswith("["):
            address, bracket, tail = location[1:].partition("]")
            if not bracket or (tail and not tail.startswith(":")):
                raise _unreadable(
                    f"{self.word} has a bracket that does not close around an IPv6 address"
                )
            host, port = self._ipv6(address), tail[1:] if tail else None
        else:
            name, colon, number = location.partition(":")
            if ":" in number:
                raise SettingsError(
                    f"an IPv6 address in {self.word} needs brackets",
                    hint="write it like this: imaps://user@[2001:db8::1]:993",
                    code="bad-url",
                )
            host, port = self._host_name(name), number if colon else None
        if port is None:
            return host, default
        if not re.fullmatch(r"[0-9]{1,5}", port) or not 0 < int(port) < 65536:
            raise _unreadable(f"the port in {self.word} is not a number from 1 to 65535")
        return host, int(port)

    def _ipv6(self, text: str) -> str:
        """An address with its zone, which RFC 6874 writes after ``%25``."""
        from ipaddress import IPv6Address  # noqa: PLC0415  start-up time

        try:
            return str(IPv6Address(text.replace("%25", "%", 1)))
        except ValueError as error:
            text = f"what {self.word} has in brackets is not an IPv6 address"
            raise _unreadable(text) from error

    def _host_name(self, text: str) -> str:
        name = text.removesuffix(".")
        if not name:
            raise _unreadable(f"{self.word} names no host")
        if not name.isascii():
            if _DEVIATIONS & set(name):
                raise SettingsError(
                    f"the host in {self.word} has a character that two standards read as"
                    " different hosts",
                    hint="write the host in its xn-- form",
                    code="bad-url",
                )
            try:
                name = name.encode("idna").decode("ascii")
            except UnicodeError as error:
                raise _unreadable(f"the host in {self.word} is not a valid name") from error
        name = name.lower()
        if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in name.split(".")):
            raise _unreadable(f"the host in {self.word} is not a valid name")
        return name

    def _tls(self, scheme: str, query: str, option: str | None) -> Tls:
        asked = option
        if query:
            member, _, value = query.partition("=")
            if member != "tls" or value not in {"none", "starttls", "implicit"}:
                raise SettingsError(
                    f"the only parameter {self.word} may have is ?tls=none or ?tls=starttls",
                    hint=f"write it like this: {FORM}",
                    code="bad-url",
                )
            if option is not None and option != value:
                raise SettingsError(
                    f"{self.word} says tls={value} and --{self.prefix}tls says {option}",
                    hint="leave one of them out",
                )
            asked = value
        natural: Tls = "implicit" if scheme.endswith("s") else "starttls"
        if scheme == "jmap":
            natural = "none"
        if asked is None or asked == natural:
            return natural
        if asked == "none" and scheme == "imap":
            return "none"
        if asked not in {"none", "starttls", "implicit"}:
            raise SettingsError(
                f"--{self.prefix}tls takes implicit, starttls or none", hint="leave it out for TLS"
            )
        raise SettingsError(
            f"{scheme}:// and tls={asked} do not go together",
            hint="jmaps:// is https, jmap:// plain http"
            if scheme.startswith("jmap")
            else "imaps:// is TLS from the first octet (port 993); imap:// is STARTTLS (port 143),"
            " or none",
        )

    def _options(self, query: str) -> dict[str, str]:
        """What is behind the question mark of a JMAP account."""
        account: str | None = None
        hosts: list[str] = []
        for member in query.split("&"):
            name, _, value = member.partition("=")
            if name == "account" and account is None and value and not _PERCENT.search(value):
                account = unquote_to_bytes(value).decode("utf-8", "replace")
                if account.isprintable():
                    continue
            elif name == "allow-host" and value:
                hosts.append(self._host_name(value))
                continue
            raise SettingsError(
                f"{self.word} has a parameter that JMAP accounts do not have, or without a value",
                hint=f"write it like this: {_JMAP_FORM}",
                code="bad-url",
            )
        found = {} if account is None else {"account": account}
        return found | ({"allow-host": ",".join(hosts)} if hosts else {})


def _unreadable(text: str) -> SettingsError:
    return SettingsError(text, hint=f"write it like this: {FORM}", code="bad-url")
