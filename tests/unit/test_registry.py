"""Opening a target: which connector, with what, and the patience of the first login."""

from __future__ import annotations

import subprocess
import sys

import pytest

from contract.target_facts import mail, parcel, placed
from portarchive.access.credentials import Secret
from portarchive.connectors import registry
from portarchive.connectors.base import Target
from portarchive.connectors.retry_target import RetryingTarget
from portarchive.errors import AuthenticationFailed, RateLimited, SettingsError, Unreachable
from portarchive.placing import FolderReady, FolderWish
from portarchive.progress import Waiting, silent
from servers import scripted_faults


def address(server, **changes):
    values = {"scheme": "imap", "host": "localhost", "port": server.port, "tls": "none"}
    values |= {"user": "jane", "secret": Secret.known("pass", origin="the test"), "timeout": 20.0}
    return registry.SourceAddress(**(values | changes))


def opened(where, **options):
    target = registry.open_target(where, **({"observer": silent, "max_wait": 60.0} | options))
    assert isinstance(target, RetryingTarget)
    assert isinstance(target, Target)
    return target


@pytest.mark.parametrize("scheme", ["maildir", "mbox"])
def test_files(tmp_path, scheme):
    target = opened(registry.LocalAddress(scheme=scheme, path=str(tmp_path / "x"), options={}))
    assert target.identity().protocol == scheme
    ((_, ready),) = target.ensure([FolderWish(("Box",))])
    assert isinstance(ready, FolderReady)
    placed(target, [parcel(1, mail(1), ready.folder.folder_id)])
    target.close()
    assert any(path.is_file() for path in (tmp_path / "x").rglob("*"))


def test_options_of_the_command_line_go_before_those_of_the_path(tmp_path):
    where = registry.LocalAddress(
        scheme="maildir", path=str(tmp_path / "x"), options={"layout": "fs"}
    )
    opened(where).close()
    with pytest.raises(SettingsError):
        opened(where, options={"layout": "round"})
    with pytest.raises(SettingsError):
        opened(where, options={"no-such": "1"})


def test_a_server(scripted):
    scripted.writable = True
    target = opened(address(scripted))
    inbox = next(folder for folder in target.folders() if "inbox" in folder.roles)
    placed(target, [parcel(n, mail(n), inbox.folder_id) for n in range(3)])
    target.close()
    assert len(scripted.mailbox("INBOX").mails) == 3


def test_not_now_is_no_refusal_at_the_first_login(scripted, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    hooks = [
        scripted_faults.unavailable(scripted, command=command, times=1)
        for command in ("LOGIN", "AUTHENTICATE")
    ]
    heard = []
    opened(address(scripted), observer=heard.append).close()
    assert sum(hook.hits for hook in hooks) >= 1
    assert [event for event in heard if isinstance(event, Waiting)]


def test_what_is_refused_stays_refused(scripted):
    scripted_faults.login_refused(scripted)
    with pytest.raises(AuthenticationFailed):
        opened(address(scripted))
    with pytest.raises(Unreachable):
        opened(address(scripted, port=1))


def test_more_patience_than_allowed(scripted):
    for command in ("LOGIN", "AUTHENTICATE"):
        scripted_faults.unavailable(scripted, command=command, times=None)
    with pytest.raises(RateLimited):
        opened(address(scripted), max_wait=0.0)


def test_what_cannot_be_opened(scripted):
    with pytest.raises(SettingsError, match="pop3s"):
        opened(address(scripted, scheme="pop3s"))
    with pytest.raises(SettingsError, match="no options of files: layout"):
        opened(address(scripted), options={"layout": "fs"})


def test_only_the_connector_that_is_needed_is_loaded(tmp_path):
    code = (
        "import sys; from portarchive.connectors import registry; "
        "from portarchive.progress import silent; "
        "where = registry.LocalAddress(scheme='maildir', path=sys.argv[1], options={}); "
        "registry.open_target(where, observer=silent, max_wait=1.0).close(); "
        "print([name for name in ('imapclient', 'portarchive.connectors.imap',"
        " 'portarchive.connectors.mbox', 'portarchive.connectors.memory') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "x")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "[]"
