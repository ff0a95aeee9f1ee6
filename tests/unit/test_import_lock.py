"""One import into a target at a time, whatever its address is called and whatever cannot be had."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from importing import account, archived, letter, place
from portarchive.connectors import maildir, mbox
from portarchive.connectors.base import Target
from portarchive.connectors.memory import MemoryAccount, MemoryTarget
from portarchive.connectors.whereabouts import account_keys, inbox_keys
from portarchive.errors import Locked, StorageFailed
from portarchive.jobs.replay import target_lock
from portarchive.jobs.replay.target_lock import TargetLock

KINDS = {"maildir": maildir.open_target, "mbox": mbox.open_target}


@pytest.fixture(autouse=True)
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """In place of what all runs of this machine share."""
    found = tmp_path / "shared"
    found.mkdir()
    found.chmod(0o1777)
    monkeypatch.setattr(target_lock, "_TEMPORARY", str(found))
    monkeypatch.setattr(tempfile, "tempdir", str(found))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    return found


@pytest.fixture(params=KINDS)
def tree(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Path | str], Target]:
    """Opens a tree of files as a target."""

    def opened(path: Path | str) -> Target:
        return KINDS[request.param](str(path), {"no_fsync": "1"})

    return opened


def lock(target: Target, state: Path | None = None) -> TargetLock:
    return TargetLock(target, target.identity(), state)


def known(*keys: str) -> MemoryTarget:
    return MemoryTarget(MemoryAccount(), keys=keys)


# --- files


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("way", ["same", "link", "link above", "relative", "dots", "moved"])
def test_a_tree_of_files_is_one_by_whatever_path(
    tree: Callable[[Path | str], Target],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    way: str,
    there: bool,
) -> None:
    base = tmp_path / "mail"
    base.mkdir()
    path = base / "new" / "tree"
    if there:
        path.mkdir(parents=True)
    (tmp_path / "link").symlink_to(path)
    (tmp_path / "above").symlink_to(base)
    monkeypatch.chdir(base)
    with lock(tree(path)) as first:
        assert first.sure
        if way == "moved":  # as by a bind mount: another path, the same directory
            path = path.rename(base / "elsewhere")
        paths = {
            "same": path,
            "link": tmp_path / "link",
            "link above": tmp_path / "above" / "new" / "tree",
            "relative": "new/tree",
            "dots": f"{base}/x/../new/./tree/",
            "moved": path,
        }
        other = tree(paths[way])
        with pytest.raises(Locked, match="another import into"):
            lock(other)
        assert TargetLock(other, other.identity(), None, write=False).sure, "a plan holds no lock"
        assert lock(tree(base / "another")).sure
    with lock(other) as second:
        assert second.sure
        assert not list(path.iterdir()), "a reader would find a folder there"
    assert not list((tmp_path / "shared").iterdir())


def test_a_tree_that_cannot_be_locked_is_known_by_its_inode(
    tree: Callable[[Path | str], Target], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NFS locks no directories."""
    flock = fcntl.flock

    def refused(fd: int, how: int) -> None:
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            raise OSError(errno.EBADF, "Bad file descriptor")
        flock(fd, how)

    monkeypatch.setattr(fcntl, "flock", refused)
    (tmp_path / "link").symlink_to(tmp_path / "tree")
    with lock(tree(tmp_path / "tree")) as first:
        assert first.sure
        with pytest.raises(Locked):
            lock(tree(tmp_path / "link"), tmp_path / "state")
    with lock(tree(tmp_path / "link")) as second:
        assert second.sure


def test_a_tree_that_cannot_be_made(tree: Callable[[Path | str], Target], tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageFailed):
        lock(tree(tmp_path / "file" / "tree"))


# --- accounts


def test_one_name_in_common_is_enough(tmp_path: Path) -> None:
    with lock(known("a", "b"), tmp_path / "one") as first:
        assert first.sure
        with pytest.raises(Locked) as told:
            lock(known("b", "c"), tmp_path / "other")
        assert told.value.exit_code == 13
        assert "jane@example.org at memory:" in str(told.value)
        with lock(known("c", "d")) as another:
            assert another.sure
    assert lock(known("b", "c")).sure


def test_who_knows_no_other_name_is_known_by_the_address(tmp_path: Path) -> None:
    with lock(known(), tmp_path / "state") as first:
        assert first.sure
        with pytest.raises(Locked):
            lock(known(), tmp_path / "state")
        other = MemoryTarget(MemoryAccount(), login="other")
        assert lock(other, tmp_path / "state").sure
    assert lock(known()).sure, "who asked for no state is not told of it"
    (tmp_path / "file").write_bytes(b"")
    assert not lock(known(), tmp_path / "file").sure


@pytest.mark.parametrize("state", ["file", "read-only"])
@pytest.mark.parametrize("place", ["runtime", "shared", "temporary"])
def test_without_a_state_directory_another_place_is_taken(
    tmp_path: Path, shared: Path, monkeypatch: pytest.MonkeyPatch, state: str, place: str
) -> None:
    unusable = tmp_path / "state"
    unusable.write_bytes(b"")
    if state == "read-only":
        unusable = Path("/proc/portarchive")
    at = tmp_path / "at"
    at.mkdir(mode=0o700)
    if place != "shared":
        monkeypatch.setattr(target_lock, "_TEMPORARY", str(tmp_path / "none"))
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    if place == "runtime":
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(at))
    if place == "temporary":
        monkeypatch.setattr(tempfile, "tempdir", str(at))
    with lock(known("a"), unusable) as first:
        assert first.sure
        (made,) = (shared if place == "shared" else at).iterdir()
        assert stat.S_IMODE(made.stat().st_mode) == 0o700
        (file,) = made.iterdir()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert not file.stat().st_size, "it tells nothing"
        with pytest.raises(Locked):
            lock(known("a"), unusable)
    assert not list(made.iterdir())


@pytest.mark.parametrize("squatted", ["link", "link to nothing", "file", "open to all", "strange"])
def test_a_place_that_is_not_ours_alone_is_not_used(
    tmp_path: Path, shared: Path, monkeypatch: pytest.MonkeyPatch, squatted: str
) -> None:
    """Whoever made the directory first could remove the locks in it, or have us write elsewhere."""
    name = shared / f"portarchive-{os.geteuid()}"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    if squatted.startswith("link"):
        name.symlink_to(elsewhere if squatted == "link" else elsewhere / "none")
    elif squatted == "file":
        name.write_bytes(b"")
    else:
        name.mkdir(mode=0o700)
        if squatted == "open to all":
            name.chmod(0o777)
        else:  # the owner is another one
            another = os.geteuid() + 1
            monkeypatch.setattr(os, "geteuid", lambda: another)
            name.rename(shared / f"portarchive-{os.geteuid()}")
    with lock(known("a")) as held:
        assert not held.sure
    assert not list(elsewhere.iterdir())


def test_a_lock_file_is_no_link(tmp_path: Path, shared: Path) -> None:
    with lock(known("a")):
        (made,) = shared.iterdir()
        (file,) = made.iterdir()
    victim = tmp_path / "victim"
    file.symlink_to(victim)
    assert not lock(known("a")).sure
    assert not victim.exists()


def test_one_place_by_two_ways_does_not_lock_us_out(
    tmp_path: Path, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "link").symlink_to(shared)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "link"))
    assert lock(known("a", "b")).sure


def test_what_a_killed_run_left_is_nobodys(shared: Path) -> None:
    with lock(known("a")):
        (made,) = shared.iterdir()
        (file,) = made.iterdir()
    file.touch(mode=0o600)
    assert lock(known("a")).sure


def test_of_two_who_meet_one_gets_through(tmp_path: Path) -> None:
    """Never both, never none; though each takes several names, and removes its files at the end."""
    inside, most, through = 0, 0, [0] * 60
    ready, guard = threading.Barrier(2), threading.Lock()

    def compete(*keys: str) -> None:
        nonlocal inside, most
        for number in range(len(through)):
            ready.wait()
            try:
                with lock(known(*keys), tmp_path / "state"):
                    with guard:
                        inside += 1
                        most = max(most, inside)
                        through[number] += 1
                    ready.wait(10)  # until the other one has tried
                    inside -= 1
            except Locked:
                ready.wait(10)

    others = threading.Thread(target=compete, args=("a", "b", "c"))
    others.start()
    compete("c", "x", "b")
    others.join()
    assert (most, set(through)) == (1, {1})


# --- the names of an account


def shares(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    return bool(set(one) & set(other))


HERE = account_keys("localhost", 143, "jane")


@pytest.mark.parametrize(
    ("host", "port", "login"),
    [
        ("LOCALHOST", 143, "jane"),
        ("localhost.", 143, "jane"),
        ("127.0.0.1", 143, "jane"),
        ("127.0.0.9", 143, "jane"),
        ("::1", 143, "jane"),
        ("::ffff:127.0.0.1", 143, "jane"),
        ("localhost", 993, "jane"),
        ("localhost", 443, "jane"),
        ("localhost", 143, "Jane"),
    ],
)
def test_the_same_account(host: str, port: int, login: str) -> None:
    assert shares(HERE, account_keys(host, port, login))


@pytest.mark.parametrize(
    ("host", "port", "login"),
    [("localhost", 1143, "jane"), ("localhost", 143, "john"), ("192.0.2.1", 143, "jane")],
)
def test_another_account(host: str, port: int, login: str) -> None:
    assert not shares(HERE, account_keys(host, port, login))


@pytest.mark.parametrize("host", ["", "no such host", "x" * 300, "ä.invalid", "fe80::1%nowhere"])
def test_a_host_that_cannot_be_looked_up_has_a_name(host: str) -> None:
    assert account_keys(host, 143, "jane")


@pytest.fixture
def connected() -> Iterator[socket.socket]:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as sock,
    ):
        yield sock


def test_where_the_connection_goes_is_a_name_too(connected: socket.socket) -> None:
    """Whatever the host is called: it was not looked up by us alone."""
    keys = account_keys("192.0.2.1", 143, "jane", sock=connected)
    assert shares(HERE, keys)
    assert shares(keys, account_keys("192.0.2.1", 143, "jane"))


def test_a_socket_in_the_file_system_or_a_closed_one_has_none(connected: socket.socket) -> None:
    one, other = socket.socketpair()
    with one, other:
        assert account_keys("192.0.2.1", 143, "jane", sock=one)
    connected.close()
    assert account_keys("192.0.2.1", 143, "jane", sock=connected)


def test_an_inbox_is_a_name_if_no_other_has_its_id() -> None:
    assert inbox_keys("y2bcxk40f9u7vzd2qahkh615") == ("inbox y2bcxk40f9u7vzd2qahkh615",)
    assert inbox_keys("a1") == inbox_keys(None) == ()


# --- the run


@pytest.mark.parametrize("dry", [False, True])
def test_without_any_lock_the_report_says_so(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    dry: bool,
) -> None:
    monkeypatch.setattr(target_lock, "_TEMPORARY", str(tmp_path / "none"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    archive = archived(tmp_path / "archive", account(INBOX=[letter("one")]))
    report = place(archive, known("a"), dry_run=dry)
    codes = [notice["code"] for notice in report.notices]
    assert codes.count("not-locked") == (not dry)
    assert report.complete


def test_a_run_lets_go_at_its_end(tmp_path: Path, shared: Path) -> None:
    archive = archived(tmp_path / "archive", account(INBOX=[letter("one")]))
    target = known("a")
    with lock(known("a")):
        with pytest.raises(Locked):
            place(archive, target)
        assert not target.sent
    assert place(archive, target).total("placed") == 1
    assert lock(known("a")).sure
