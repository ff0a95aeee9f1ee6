"""Which hosts are this machine, for all who ask."""

from __future__ import annotations

import pytest

from portarchive.connectors.whereabouts import account_keys
from portarchive.jobs.same_account import Address, one_account
from portarchive.loopback import is_loopback

HERE = ["localhost", "LOCALHOST", "mail.localhost", "127.0.0.1", "127.9.8.7", "::1", "::1%lo",
        "::ffff:127.0.0.1"]  # fmt: skip
ELSEWHERE = ["localhost.example.org", "notlocalhost", "192.0.2.1", "::2", "::ffff:192.0.2.1",
             "127.0.0.1.example.org", "", "0x7f.1", "localhost."]  # fmt: skip


@pytest.mark.parametrize("host", HERE)
def test_this_machine(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ELSEWHERE)
def test_another_machine_as_far_as_a_name_tells(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize("host", ["127.9.8.7", "::1", "::ffff:127.0.0.1"])
def test_who_compares_accounts_and_who_locks_them_agree(host: str) -> None:
    """An address that is this machine for one of them is that for the other."""
    written = f"[{host}]" if ":" in host else host
    here = Address("imap://localhost:143", "jane")
    assert one_account(here, Address(f"imap://{written}:143", "jane"))
    assert {*account_keys("127.0.0.1", 143, "jane")} & {*account_keys(host, 143, "jane")}
