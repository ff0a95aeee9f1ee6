"""P2 and P3: under any mixture of faults the ledger adds up, and the end is always the same."""

from __future__ import annotations

import random

import pytest
from running import KINDS, comparable, export, letter

from servers import scripted_faults as faults
from servers.scripted import Drop

FOLDERS = ("INBOX", "Work", "Work/2024", "Sent")
HURRY = ("--max-wait", "0")


def fill(server, chance: random.Random) -> None:
    for name in FOLDERS:
        mailbox = server.mailbox("INBOX") if name == "INBOX" else server.add_mailbox(name)
        for number in range(chance.randint(0, 80)):
            size = chance.choice([0, 0, 0, 2000, 300_000]) if number % 10 == 0 else 0
            octets = letter(number, text=name.encode(), size=size)
            flags = chance.sample(["\\Seen", "\\Flagged", "a", "B"], chance.randint(0, 3))
            mailbox.add(octets, flags, email_id=f"{name.replace('/', '-')}{number}")


def change(server, chance: random.Random) -> None:
    """What other people do to the mailbox meanwhile."""
    mailbox = server.mailbox(chance.choice(FOLDERS))
    uids = list(mailbox.mails)
    what = chance.choice(["expunge", "arrive", "flags"])
    if what == "expunge" and uids:
        mailbox.expunge(*chance.sample(uids, min(len(uids), chance.randint(1, 5))))
    elif what == "arrive":
        for _ in range(chance.randint(1, 5)):
            number = chance.randrange(10**9)
            mailbox.add(letter(number), email_id=f"New{number}")
    elif uids:
        mailbox.set_flags(chance.choice(uids), chance.sample(["\\Seen", "c", "D"], 2))


def trouble(server, chance: random.Random) -> list:
    """A few faults at once; what comes back can be switched off."""

    def uids(name: str) -> set[int]:
        known = list(server.mailbox(name).mails)
        return set(chance.sample(known, min(len(known), chance.randint(1, 4))))

    folder = chance.choice(FOLDERS)

    def meanwhile(_) -> None:
        change(server, chance)

    def garbage(delivery) -> None:
        delivery.send(chance.randbytes(chance.randint(1, 200)))
        raise Drop

    makers = [
        lambda: faults.refuse_uids(server, folder, uids(folder), whole=chance.random() < 0.5),
        lambda: faults.no_data(server, folder, uids(folder)),
        lambda: faults.drop_after(server, chance.randint(0, 60), times=chance.choice([1, 2, None])),
        lambda: faults.drop_after(server, chance.randint(0, 60), in_literal=chance.randint(0, 50)),
        lambda: faults.drop_on(server, "EXAMINE", folder=folder, times=chance.randint(1, 3)),
        lambda: faults.drop_on(server, "UID SEARCH", times=1),
        lambda: faults.examine_no(server, folder, times=chance.choice([1, None])),
        lambda: faults.throttle(server, milliseconds=10, after=chance.randint(0, 3)),
        lambda: faults.throttled_code(server),
        lambda: faults.batch_limit(server, chance.randint(1, 20)),
        lambda: faults.chatter(server, every=chance.randint(1, 5)),
        lambda: faults.unavailable(server, command="AUTHENTICATE"),
        lambda: faults.list_return_bad(server),
        lambda: server.on("UID FETCH", meanwhile, times=chance.randint(1, 3)),
        lambda: server.on("EXAMINE", meanwhile, times=chance.randint(1, 3)),
        lambda: server.on_message(garbage, times=1),
    ]
    return [make() for make in chance.sample(makers, chance.randint(1, 4))]


@pytest.mark.parametrize("seed", range(30))
def test_p2_the_ledger_adds_up_under_random_faults(scripted, root, seed) -> None:
    """``export`` judges each archive: the sums of the ledger, and that 0 means complete."""
    chance = random.Random(seed)
    scripted.capabilities = list(KINDS[chance.choice(list(KINDS))])
    fill(scripted, chance)
    words = (*HURRY, "--connections", str(chance.choice([1, 1, 3])))
    for _ in range(chance.randint(1, 4)):
        hooks = trouble(scripted, chance)
        ran = export(scripted, root, *words)
        assert ran.code in {0, 3, 12}, (ran.code, ran.err)
        for hook in hooks:
            hook.off()
        for hook in [*scripted._hooks, *scripted._message_hooks]:
            (hook[1] if isinstance(hook, tuple) else hook).off()
        change(scripted, chance)
    ran = export(scripted, root, *words)
    assert ran.code == 0, (ran.out, ran.err)
    fresh = export(scripted, root.with_name("fresh"))
    assert comparable(ran.there) == comparable(fresh.there)
