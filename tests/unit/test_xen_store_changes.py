"""xenstore's transactions and watches."""

from __future__ import annotations

from contextlib import ExitStack, closing
from types import SimpleNamespace
from typing import Any

import pytest

from tests.unit.storerig import OPEN, Rig, refused
from vmm.loop import IoLoop
from vmm.memory import GuestMemory
from vmm.xen.store import TRANSACTIONS_MAX, WATCHES_MAX
from vmm.xen.storetree import NODES_MAX, TOUCHED_BYTES, TOUCHED_MAX, VALUE_MAX, StoreError
from vmm.xen.xenstore import EVENTS_MAX, XenStore


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_transaction_is_seen_at_its_end_and_whole(rig: Rig) -> None:
    store, guest = rig.store, rig.guest
    number = store.begin(guest)
    store.write(guest, "data/a", b"1", number)
    store.write(guest, "data/a", b"2", number)
    store.write(guest, "data/b", b"", number)
    store.remove(guest, "data/b", number)
    assert store.read(guest, "data/a", number) == b"2"
    with refused("ENOENT"):
        store.read(guest, "data/a")
    store.end(guest, number, True)
    assert store.read(guest, "data/a") == b"2"
    assert rig.names("/local/domain/1/data") == ["a"]
    for gone in (number, 0, 77):
        with refused("ENOENT"):
            store.end(guest, gone, True)
    number = store.begin(guest)
    store.remove(guest, "data/a", number)
    store.end(guest, number, False)
    assert rig.names("/local/domain/1/data") == ["a"]


@pytest.mark.parametrize("what", ["written", "removed", "made", "permitted"])
def test_transaction_that_somebody_overtook_fails(rig: Rig, what: str) -> None:
    store, guest, root = rig.store, rig.guest, rig.root
    store.write(guest, "data/a", b"1")
    number = store.begin(guest)
    store.read(guest, "data/a", number)
    with refused("ENOENT"):
        store.read(guest, "data/new", number)
    store.write(guest, "data/mine", b"", number)
    if what == "written":
        store.write(root, "/local/domain/1/data/a", b"2")
    elif what == "removed":
        store.remove(root, "/local/domain/1/data/a")
    elif what == "made":
        store.write(root, "/local/domain/1/data/new", b"")
    else:
        store.set_perms(root, "/local/domain/1/data/a", (("n", 0),))

    with refused("EAGAIN"):
        store.end(guest, number, True)
    assert "mine" not in rig.names("/local/domain/1/data")


def test_own_write_does_not_hide_that_somebody_was_faster(rig: Rig) -> None:
    store, guest = rig.store, rig.guest
    store.write(guest, "data/count", b"1")
    number = store.begin(guest)
    store.read(guest, "data/count", number)
    store.write(rig.root, "/local/domain/1/data/count", b"5")
    store.write(guest, "data/count", b"2", number)

    with refused("EAGAIN"):
        store.end(guest, number, True)
    assert store.read(guest, "data/count") == b"5"


def test_transaction_remembers_a_path_once_and_so_many_bytes(rig: Rig) -> None:
    store, guest = rig.store, rig.guest
    number = store.begin(guest)
    transaction = guest.transactions[number]
    for _ in range(50):
        store.write(guest, "data/a/b", b"", number)
        store.remove(guest, "data/a", number)
    assert [path.rpartition("/")[2] for path in transaction.removed] == ["a", "b"]
    with refused("ENOSPC"):
        for _ in range(TOUCHED_BYTES // VALUE_MAX):
            store.write(guest, "data/big", bytes(VALUE_MAX), number)


def test_transactions_have_quotas(rig: Rig) -> None:
    numbers = [rig.store.begin(rig.guest) for _ in range(TRANSACTIONS_MAX)]
    with refused("ENOSPC"):
        rig.store.begin(rig.guest)
    rig.store.end(rig.guest, numbers[3], False)
    number = rig.store.begin(rig.guest)
    with refused("ENOSPC"):
        for index in range(TOUCHED_MAX + 2):
            try:
                rig.store.read(rig.guest, f"data/{index}", number)
            except StoreError as error:
                if error.args != ("ENOENT",):
                    raise
    first, second = numbers[0], numbers[1]
    for index in range(600):
        rig.store.write(rig.guest, f"data/p{index}/x", b"", first)
        if index < 390:
            continue
        with refused("ENOSPC"):
            rig.store.write(rig.guest, f"data/q{index}/" + "y/" * 999 + "z", b"", second)
        break
    rig.store.end(rig.guest, first, True)
    assert rig.store.size() < 2 * NODES_MAX


def test_watches_hear_of_changes_below_them(rig: Rig) -> None:
    store, guest = rig.store, rig.guest
    store.watch(guest, "data", "t")
    store.watch(guest, "/local/domain/1/data/a", "absolute")
    assert rig.events == [("data", "t"), ("/local/domain/1/data/a", "absolute")]
    rig.events.clear()
    store.write(guest, "data/a", b"1")
    store.write(guest, "data/ab", b"1")
    store.write(guest, "data/a/b", b"1")
    assert rig.events == [
        ("data/a", "t"), ("/local/domain/1/data/a", "absolute"), ("data/ab", "t"),
        ("data/a/b", "t"), ("/local/domain/1/data/a/b", "absolute"),
    ]  # fmt: skip
    rig.events.clear()
    store.write(guest, "data/a", None)
    assert rig.events == []
    store.remove(guest, "data/a")
    assert set(rig.events) == {("data/a", "t"), ("/local/domain/1/data/a", "absolute")}
    store.unwatch(guest, "data", "t")
    with refused("ENOENT"):
        store.unwatch(guest, "data", "t")


def test_removing_what_is_above_tells_those_who_watch_below(rig: Rig) -> None:
    rig.store.write(rig.guest, "data/x/y", b"")
    rig.store.watch(rig.guest, "data/x/y", "deep")
    rig.events.clear()
    rig.store.remove(rig.guest, "data/x")

    assert rig.events == [("data/x/y", "deep")]


def test_nobody_hears_of_what_he_may_not_read(rig: Rig) -> None:
    rig.store.watch(rig.guest, "/", "all")
    rig.store.watch(rig.guest, "/secret", "key")
    rig.events.clear()
    rig.store.write(rig.root, "/secret", b"1")
    rig.store.remove(rig.root, "/secret")
    assert rig.events == []
    rig.store.write(rig.root, "/local/domain/1/name", b"n")
    assert rig.events == [("/local/domain/1/name", "all")]


def test_transaction_tells_at_its_end(rig: Rig) -> None:
    rig.store.watch(rig.root, "/local", "w")
    rig.seen.clear()
    number = rig.store.begin(rig.guest)
    rig.store.write(rig.guest, "data/a", b"", number)
    rig.store.write(rig.guest, "data/b", b"", number)
    assert rig.seen == []
    rig.store.end(rig.guest, number, True)
    assert rig.seen == [("/local/domain/1/data/a", "w"), ("/local/domain/1/data/b", "w")]


def test_what_a_transaction_removes_is_told_at_its_end(rig: Rig) -> None:
    store, guest = rig.store, rig.guest
    for path in ("data/x", "data/x/y", "data/kept"):
        store.write(guest, path, b"")
    store.watch(guest, "data", "near")
    store.watch(guest, "data/x/y", "deep")
    del rig.events[:]
    for commit in (False, True):
        number = store.begin(guest)
        store.remove(guest, "data/x", number)
        assert rig.events == []
        store.end(guest, number, commit)

    assert sorted(rig.events) == [("data/x", "near"), ("data/x/y", "deep")]


def test_no_more_events_wait_for_a_guest_than_there_is_room_for() -> None:
    with ExitStack() as stack:
        memory = stack.enter_context(closing(GuestMemory(1 << 20)))
        loop = stack.enter_context(closing(IoLoop()))
        context: Any = SimpleNamespace(loop=loop, memory=memory, notify=lambda *_event: None)
        service = stack.enter_context(closing(XenStore(context)))
        service._begin_anew()
        service._serve_soon = lambda: None  # type: ignore[method-assign]
        for number in range(EVENTS_MAX + 7):
            for _ in range(2):  # the same one once
                service._tell(service._guest, f"/{number}", "token")

        told = list(iter(service._next_event, None))
        assert told == [(f"/{number}", "token") for number in range(EVENTS_MAX)]
        assert service.counters()["xenstore_events_lost"] == 14


def test_watches_have_a_quota_and_can_all_be_forgotten(rig: Rig) -> None:
    for index in range(WATCHES_MAX):
        rig.store.watch(rig.guest, "@releaseDomain", str(index))
    with refused("E2BIG"):
        rig.store.watch(rig.guest, "data", "more")
    with refused("EEXIST"):
        rig.store.watch(rig.guest, "@releaseDomain", "5")
    number = rig.store.begin(rig.guest)
    rig.store.forget(rig.guest)
    rig.store.watch(rig.guest, "data", "more")
    with refused("ENOENT"):
        rig.store.end(rig.guest, number, True)


def test_event_on_its_way_to_an_earlier_life_of_the_guest_is_nobodys() -> None:
    """Events are told with no lock held: the guest may begin anew before it is its turn."""
    with ExitStack() as stack:
        loop = stack.enter_context(closing(IoLoop()))
        memory = stack.enter_context(closing(GuestMemory(1 << 20)))
        context: Any = SimpleNamespace(loop=loop, memory=memory)
        service = stack.enter_context(closing(XenStore(context)))
        service._begin_anew()
        first = service._guest
        context.notify = lambda *_event: None
        service.outside_watch("/data", on=True)
        service.store.write_all(service.toolstack, {"/data": ""}, OPEN)
        service.store.watch(first, "/data", "token")
        assert service._next_event() == ("/data", "token")

        context.notify = lambda *_event: service._begin_anew()  # those outside are told first
        service.outside_write("/data", b"")

        assert service._next_event() is None
        service.store.watch(service._guest, "/data", "token")
        assert service._next_event() == ("/data", "token")
        assert service._next_event() is None
