"""Put Debian's Dovecot, Cyrus, mbsync and Chromium under ``.servers/``, without installing them.

Owns ``.servers/<group>/``: one directory a group, each the unpacked packages with every library
that this machine lacks. The packages conflict on installation only, so they are unpacked, never
installed; nothing outside ``.servers/`` is changed but apt's own package lists, and those only
when they are missing or stale. What is already there is left alone: a second run takes no time.

Exit status 0, or 1 with one line that says what to do.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SERVERS = ROOT / ".servers"

RECIPE = "1"  # raise it when what is done to the unpacked files changes

GROUPS = {
    "dovecot": ("dovecot-core", "dovecot-imapd"),
    "cyrus": (
        "cyrus-common",
        "cyrus-imapd",
        "cyrus-caldav",
        "sasl2-bin",
        "libsasl2-modules",
        "libsasl2-modules-db",
    ),
    "isync": ("isync",),
    "chromium": ("chromium", "fonts-dejavu-core"),  # looks at the pages that the program writes
}

# Dependencies of an installed server that one run from a directory has no use for. The C library
# must stay the machine's own: its loader has to match.
UNWANTED = ("libc6_", "libc-bin_", "exim4-", "gawk_", "perl", "debconf", "adduser_")

PROGRAMS = {
    "dovecot": ("usr/sbin/dovecot", "usr/bin/doveconf", "usr/lib/dovecot/imap"),
    "cyrus": (
        "usr/lib/cyrus/bin/master",
        "usr/lib/cyrus/bin/imapd",
        "usr/lib/cyrus/bin/httpd",
        "usr/sbin/saslpasswd2",
    ),
    "isync": ("usr/bin/mbsync.bin",),
    "chromium": ("usr/lib/chromium/chromium",),
}


class CannotGetError(Exception):
    """One line for a person: what is wrong and what to do."""


def library_path(root: Path) -> str:
    """The LD_LIBRARY_PATH that programs unpacked under ``root`` need."""
    found = [root / "usr/lib/dovecot", root / "usr/lib/dovecot/modules/old-stats"]
    found += sorted(root.glob("usr/lib/*-linux-*")) + sorted(root.glob("lib/*-linux-*"))
    found += sorted(root.glob("usr/lib/*-linux-*/pulseaudio"))
    return ":".join(str(path) for path in found if path.is_dir())


def apt_get(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    # The sandbox user _apt cannot write to a directory of ours.
    command = ["apt-get", "-q", "-o", "APT::Sandbox::User=root", *arguments]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=900
    )


def last_error(done: subprocess.CompletedProcess[str]) -> str:
    lines = [line for line in done.stderr.splitlines() if line.startswith("E:")]
    return lines[0] if lines else (done.stderr.strip().splitlines() or ["no message"])[-1]


def download(packages: tuple[str, ...], into: Path) -> list[Path]:
    """Fetch the packages and all their dependencies that are not installed here."""
    (into / "partial").mkdir()
    wanted = (
        "install",
        "--yes",
        "--no-install-recommends",
        "--reinstall",
        "--download-only",
        "-o",
        f"Dir::Cache::archives={into}",
        *packages,
    )
    done = apt_get(*wanted)
    if done.returncode != 0:  # no package lists yet, or stale ones
        updated = apt_get("update")
        done = apt_get(*wanted)
        if done.returncode != 0:
            why = last_error(done if updated.returncode == 0 else updated)
            cure = (
                "look at `apt-get update` and /etc/apt/sources.list"
                if os.geteuid() == 0
                else f"run it as root: sudo {sys.executable} {Path(__file__).relative_to(ROOT)}"
            )
            raise CannotGetError(f"apt-get cannot download {', '.join(packages)} ({why}); {cure}")
    return sorted(into.glob("*.deb"))


def mend_dovecot(root: Path) -> None:
    """Dovecot looks for its TLS module under /usr/lib, whatever the configuration says.

    The path is made relative; every Dovecot process runs in its ``base_dir``, where the test
    server puts a link of that name.
    """
    library = root / "usr/lib/dovecot/libdovecot.so.0.0.0"
    built_in = b"/usr/lib/dovecot/modules\0"
    octets = library.read_bytes()
    if octets.count(built_in) != 1:
        raise CannotGetError(
            f"{library} is another Dovecot than the 2.3 of Debian 12; use Debian 12"
        )
    library.write_bytes(octets.replace(built_in, b"modules".ljust(len(built_in), b"\0")))


def wrap_mbsync(root: Path, final: Path) -> None:
    """``usr/bin/mbsync`` becomes a script that finds the libraries beside it."""
    program = root / "usr/bin/mbsync"
    program.rename(program.with_suffix(".bin"))
    libraries = library_path(root).replace(str(root), str(final))
    sasl = [str(final / path.relative_to(root)) for path in root.glob("usr/lib/*/sasl2")]
    lines = ["#!/bin/sh"]
    if libraries:
        lines.append(f"export LD_LIBRARY_PATH='{libraries}'")
    if sasl:
        lines.append(f"export SASL_PATH='{sasl[0]}'")
    lines.append(f"exec '{final / 'usr/bin/mbsync.bin'}' \"$@\"")
    program.write_text("\n".join(lines) + "\n", encoding="utf-8")
    program.chmod(0o755)


def wrap_chromium(root: Path, final: Path) -> None:
    """``usr/bin/chromium`` becomes a script that finds its libraries, and fonts of our own."""
    fonts = root / "fonts.conf"
    fonts.write_text(
        "<fontconfig>"
        f"<dir>{final}/usr/share/fonts</dir><cachedir>{final}/var/cache/fontconfig</cachedir>"
        "</fontconfig>\n",
        encoding="utf-8",
    )
    libraries = library_path(root).replace(str(root), str(final))
    program = root / "usr/bin/chromium"
    program.write_text(
        "#!/bin/sh\n"
        f"export LD_LIBRARY_PATH='{libraries}'\n"
        f"export FONTCONFIG_FILE='{final / fonts.name}'\n"
        f"exec '{final}/usr/lib/chromium/chromium' \"$@\"\n",
        encoding="utf-8",
    )
    program.chmod(0o755)


def check(group: str, root: Path) -> None:
    """Every program finds all its libraries, or the name of the missing one."""
    environment = {**os.environ, "LD_LIBRARY_PATH": library_path(root), "LC_ALL": "C"}
    for program in PROGRAMS[group]:
        done = subprocess.run(
            ["ldd", str(root / program)],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        missing = [line.split()[0] for line in done.stdout.splitlines() if "not found" in line]
        if done.returncode != 0 or missing:
            names = ", ".join(missing) or done.stderr.strip()
            raise CannotGetError(f"{program} cannot run here: {names}; use Debian 12")


def make(group: str) -> bool:
    """Unpack one group; False if it was there already."""
    final = SERVERS / group
    # The place is part of the stamp: wrappers hold absolute paths, and trees get moved.
    stamp = f"{RECIPE} {final} {' '.join(GROUPS[group])}\n"
    done = final / ".complete"
    if done.is_file() and done.read_text(encoding="utf-8") == stamp:
        return False
    part = SERVERS / f"{group}.part"
    shutil.rmtree(part, ignore_errors=True)
    shutil.rmtree(final, ignore_errors=True)
    part.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="get-servers-") as scratch:
        for package in download(GROUPS[group], Path(scratch)):
            if not package.name.startswith(UNWANTED):
                subprocess.run(["dpkg", "-x", str(package), str(part)], check=True)
    if group == "dovecot":
        mend_dovecot(part)
    if group == "isync":
        wrap_mbsync(part, final)
    if group == "chromium":
        wrap_chromium(part, final)
    check(group, part)
    part.chmod(0o755)
    (part / ".complete").write_text(stamp, encoding="utf-8")
    part.rename(final)
    return True


def make_all() -> None:
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        raise CannotGetError(
            "apt-get and dpkg are needed to get the test servers; run the tests on Debian 12"
        )
    SERVERS.mkdir(exist_ok=True)
    with (SERVERS / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for group in GROUPS:
            if make(group):
                print(f"get_servers: {group} is in .servers/{group}")


def main() -> int:
    try:
        make_all()
    except CannotGetError as error:
        print(f"get_servers: {error}", file=sys.stderr)
        return 1
    except (OSError, subprocess.SubprocessError) as error:
        print(f"get_servers: {error}; remove {SERVERS} and try again", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
