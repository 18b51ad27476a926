"""xenstore's messages: what each request is answered, and that no bytes upset it."""

from __future__ import annotations

import random
from struct import pack, unpack_from

import pytest

from vmm.xen import xswire
from vmm.xen.store import TRANSACTIONS_MAX, WATCHES_MAX, Client, Store
from vmm.xen.storetree import NODES_MAX

GUEST = 1


class Rig:
    def __init__(self) -> None:
        self.store = Store()
        self.guest = Client(GUEST, lambda _path, _token: None)
        root = Client(0, lambda _path, _token: None)
        self.store.connect(self.guest)
        self.store.write_all(root, {"/local/domain/1": ""}, (("n", 0), ("r", GUEST)))
        self.store.write_all(root, {"/local/domain/1/data": "v"}, (("n", GUEST),))

    def ask(self, kind: int, payload: bytes, transaction: int = 0) -> bytes:
        request = xswire.message(kind, 99, transaction, payload)
        reply = xswire.answer(self.store, self.guest, request)
        shown, number, _transaction, length = unpack_from("<4I", reply)
        assert number == 99
        assert len(reply) == 16 + length <= 16 + 4096
        assert shown == (xswire.ERROR if reply[16:] in ERRORS else kind)
        return reply[16:]


ERRORS = [
    name + b"\0"
    for name in (
        b"EINVAL", b"EACCES", b"EEXIST", b"ENOENT", b"ENOSPC", b"E2BIG", b"EBUSY", b"EAGAIN",
        b"ENOSYS", b"EPERM",
    )
]  # fmt: skip


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_a_conversation(rig: Rig) -> None:
    assert rig.ask(xswire.XS_WRITE, b"data/a\0one") == b"OK\0"
    assert rig.ask(xswire.XS_READ, b"data/a\0") == b"one"
    assert rig.ask(xswire.MKDIR, b"data/b\0") == b"OK\0"
    assert rig.ask(xswire.DIRECTORY, b"data\0") == b"a\0b\0"
    assert rig.ask(xswire.GET_PERMS, b"data\0") == b"n1\0"
    assert rig.ask(xswire.SET_PERMS, b"data/a\0n1\0b5\0") == b"OK\0"
    assert rig.ask(xswire.GET_PERMS, b"data/a\0") == b"n1\0b5\0"
    assert rig.ask(xswire.WATCH, b"data\0token\0") == b"OK\0"
    assert rig.ask(xswire.UNWATCH, b"data\0token\0") == b"OK\0"
    assert rig.ask(xswire.RM, b"data/a\0") == b"OK\0"
    assert rig.ask(xswire.GET_DOMAIN_PATH, b"7\0") == b"/local/domain/7\0"
    assert rig.ask(xswire.RESET_WATCHES, b"\0") == b"OK\0"
    number = int(rig.ask(xswire.TRANSACTION_START, b"\0")[:-1])
    assert rig.ask(xswire.XS_WRITE, b"data/t\0x", number) == b"OK\0"
    assert rig.ask(xswire.TRANSACTION_START, b"\0", number) == b"EBUSY\0"
    assert rig.ask(xswire.TRANSACTION_END, b"T\0", number) == b"OK\0"
    assert rig.ask(xswire.XS_READ, b"data/t\0") == b"x"


@pytest.mark.parametrize(
    ("kind", "payload", "error"),
    [
        (xswire.XS_READ, b"", b"EINVAL\0"),
        (xswire.XS_READ, b"data", b"EINVAL\0"),
        (xswire.XS_READ, b"data\0more\0", b"EINVAL\0"),
        (xswire.XS_READ, b"/\xff\0", b"EINVAL\0"),
        (xswire.XS_WRITE, b"data", b"EINVAL\0"),
        (xswire.XS_WRITE, b"", b"EINVAL\0"),
        (xswire.SET_PERMS, b"data\0", b"EINVAL\0"),
        (xswire.SET_PERMS, b"data\0x1\0", b"EINVAL\0"),
        (xswire.SET_PERMS, b"data\0\0", b"EINVAL\0"),
        (xswire.SET_PERMS, b"data\0n99999\0", b"EINVAL\0"),
        (xswire.SET_PERMS, b"data\0n-1\0", b"EINVAL\0"),
        (xswire.SET_PERMS, b"data\0n\xb2\0", b"EINVAL\0"),
        (xswire.WATCH, b"data\0", b"EINVAL\0"),
        (xswire.WATCH, b"data\0t", b"EINVAL\0"),
        (xswire.WATCH, b"@else\0t\0", b"EINVAL\0"),
        (xswire.TRANSACTION_END, b"X\0", b"EINVAL\0"),
        (xswire.TRANSACTION_END, b"T\0", b"ENOENT\0"),
        (xswire.GET_DOMAIN_PATH, b"x\0", b"EINVAL\0"),
        (xswire.DIRECTORY_PART, b"data\0x\0", b"EINVAL\0"),
        (xswire.DIRECTORY_PART, b"data\0-1\0", b"EINVAL\0"),
        (xswire.DIRECTORY_PART, b"data\0" + b"9" * 5 + b"\0", b"EINVAL\0"),
        (xswire.INTRODUCE, b"1\0", b"EACCES\0"),
        (xswire.RELEASE, b"1\0", b"EACCES\0"),
        (xswire.CONTROL, b"help\0", b"EACCES\0"),
        (xswire.IS_DOMAIN_INTRODUCED, b"1\0", b"EACCES\0"),
        (xswire.WATCH_EVENT, b"", b"ENOSYS\0"),
        (xswire.ERROR, b"", b"ENOSYS\0"),
        (1 << 31, b"", b"ENOSYS\0"),
    ],
)
def test_what_is_refused(rig: Rig, kind: int, payload: bytes, error: bytes) -> None:
    assert rig.ask(kind, payload) == error


def test_directory_that_is_too_long_comes_in_parts(rig: Rig) -> None:
    names = [f"{index:03}" + "n" * 60 for index in range(150)]
    for name in names:
        rig.ask(xswire.MKDIR, b"data/" + name.encode() + b"\0")
    assert rig.ask(xswire.DIRECTORY, b"data\0") == b"E2BIG\0"
    found, offset, generations = b"", 0, set()
    while not found.endswith(b"\0\0"):
        part = rig.ask(xswire.DIRECTORY_PART, f"data\0{offset}\0".encode())
        generation, _, part = part.partition(b"\0")
        generations.add(generation)
        found += part
        offset = len(found)

    assert found == "".join(f"{name}\0" for name in names).encode() + b"\0"
    assert len(generations) == 1
    assert rig.ask(xswire.DIRECTORY_PART, b"data/" + names[0].encode() + b"\x000\0")[-1:] == b"\0"


def test_events_longer_than_a_message_are_none() -> None:
    assert xswire.event("a", "t") == pack("<4I", 15, 0, 0, 4) + b"a\0t\0"
    assert xswire.event("a" * 3000, "t" * 2000) is None


def test_random_payloads_are_answered(rig: Rig) -> None:
    dice = random.Random(6)
    alphabet = [b"data", b"/", b"\0", b"a", b"\xff", b"n1", b"@", b"T", b"0", b"local/domain/1"]
    for _ in range(5000):
        payload = b"".join(dice.choice(alphabet) for _ in range(dice.randrange(8)))
        rig.ask(dice.randrange(24), payload[:4096], dice.choice([0, 0, 1, 2, 1 << 31]))


def sensible(dice: random.Random, kind: int) -> bytes:
    """A payload of the right shape, more or less."""
    path = b"data" + b"".join(
        b"/" + dice.choice([b"a", b"b", b"c"]) for _ in range(dice.choice([0, 1, 1, 2]))
    )
    path = dice.choice(
        [path, path, path, b"/local/domain/1/" + path, b"name", b"/", b"@releaseDomain"]
    )
    second = {
        xswire.XS_WRITE: dice.randbytes(dice.choice([0, 3, 2048, 2049])),
        xswire.WATCH: b"token%d\0" % dice.randrange(200),
        xswire.UNWATCH: b"token%d\0" % dice.randrange(200),
        xswire.SET_PERMS: b"\0".join(
            dice.choice([b"n1", b"r0", b"b2", b"w3"]) for _ in range(dice.randrange(1, 8))
        )
        + b"\0",
        xswire.DIRECTORY_PART: b"%d\0" % dice.choice([0, 0, 1, 99999]),
    }
    alone = {
        xswire.TRANSACTION_START: b"\0", xswire.RESET_WATCHES: b"\0",
        xswire.TRANSACTION_END: dice.choice([b"T\0", b"F\0"]), xswire.GET_DOMAIN_PATH: b"7\0",
    }  # fmt: skip
    whole = alone.get(kind, path + b"\0" + second.get(kind, b""))
    return whole[: dice.randrange(len(whole))] if dice.random() < 0.05 else whole


def test_random_sessions_stay_within_their_quotas(rig: Rig) -> None:
    """Requests that mostly mean something, in any order and in any transaction."""
    dice, well = random.Random(8), set()
    kinds = [kind for kind in xswire.HANDLERS if kind != xswire.RESET_WATCHES]
    for number in range(8000):
        kind = xswire.RESET_WATCHES if number % 997 == 996 else dice.choice(kinds)
        transaction = dice.choice([0, 0, 0, *rig.guest.transactions, 4711])
        reply = rig.ask(kind, sensible(dice, kind), transaction)
        if reply not in ERRORS:
            well.add(kind)
        assert len(rig.guest.watches) <= WATCHES_MAX
        assert len(rig.guest.transactions) <= TRANSACTIONS_MAX
        assert rig.store.size() <= NODES_MAX + 4

    assert well == set(xswire.HANDLERS)
