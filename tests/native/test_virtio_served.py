"""Virtio devices served in Python: the hooks, the chains, what a driver can do to them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.native.servedrig import Upper, keep_one
from tests.native.virtiorig import VirtioRig
from tests.virtiopci import DEVICE, wait_for
from vmm.virtio.chain import Chain, ServedQueue


@pytest.fixture
def rig() -> Iterator[VirtioRig]:
    with VirtioRig(lambda context: Upper("upper", context)) as rig:
        yield rig


def test_request_is_answered(rig: VirtioRig) -> None:
    ring, _ = rig.driver.probe(rig.arena)
    ring.add([b"some ", b"words"], [4, 100])
    [used] = rig.exchange(0, ring)

    assert used.data == b"SOME WORDS"
    assert used.written == 10
    rig.await_interrupt(1)
    assert rig.device.heard == [("started", 1)]


def test_many_requests_are_answered_in_order(rig: VirtioRig) -> None:
    ring, _ = rig.driver.probe(rig.arena)
    for number in range(100):
        for part in range(8):
            ring.add([b"n%dp%d" % (number, part)], [16])
        used = rig.exchange(0, ring, 8)
        assert [u.data for u in used] == [b"N%dP%d" % (number, part) for part in range(8)]


def test_answer_that_does_not_fit_is_cut(rig: VirtioRig) -> None:
    ring, _ = rig.driver.probe(rig.arena)
    ring.add([b"too long"], [2, 1])
    [used] = rig.exchange(0, ring)

    assert used.data == b"TOO"


def test_reading_is_limited_whatever_the_driver_says(rig: VirtioRig) -> None:
    ring, _ = rig.driver.probe(rig.arena)
    rig.device.act = lambda chain: chain.write(len(chain.read()).to_bytes(4, "little"))
    chain = ring.add([b"x"], [4])
    ring.set_desc(chain.descriptors[0], 0, 48 << 20, 1, chain.descriptors[1])
    [used] = rig.exchange(0, ring)

    assert int.from_bytes(used.data, "little") == 1 << 16


def test_views_reach_the_guest_s_memory(rig: VirtioRig) -> None:
    ring, _ = rig.driver.probe(rig.arena)

    def reverse(chain: Chain) -> None:
        source, target = chain.readable[0], chain.writable[0]
        target[: len(source)] = bytes(source)[::-1]
        chain.done(len(source))

    rig.device.act = reverse
    ring.add([b"abc"], [8])
    [used] = rig.exchange(0, ring)

    assert used.data == b"cba"


def test_readable_views_cannot_be_written(rig: VirtioRig) -> None:
    ring, _ = rig.driver.probe(rig.arena)
    seen: list[bool] = []
    rig.device.act = lambda chain: seen.append(chain.readable[0].readonly)
    ring.add([b"abc"], [8])
    rig.exchange(0, ring)

    assert seen == [True]


def test_length_used_is_never_more_than_the_driver_gave(rig: VirtioRig) -> None:
    ring, _ = rig.driver.probe(rig.arena)
    rig.device.act = lambda chain: chain.done(1000)
    ring.add([b"abc"], [8])
    [used] = rig.exchange(0, ring)

    assert used.written == 8


# --- chains that are kept, chains that are given back


def test_kept_chain_is_done_later_and_in_any_order(rig: VirtioRig) -> None:
    ring, _ = rig.driver.probe(rig.arena)
    kept: list[Chain] = []

    def keep(chain: Chain) -> None:
        chain.keep()
        kept.append(chain)

    rig.device.act = keep
    chains = [ring.add([b"%d" % n], [8]) for n in range(3)]
    ring.publish()
    rig.driver.notify(0)
    wait_for(lambda: len(kept) == 3, "the device to have them")
    assert ring.collect() == []

    for chain in (kept[2], kept[0], kept[1]):
        rig.loop.call(chain.done)
    done: list[Any] = []
    wait_for(lambda: done.extend(ring.collect()) or len(done) == 3, "the chains")

    assert [used.chain for used in done] == [chains[2], chains[0], chains[1]]


def test_chain_kept_over_a_reset_is_void(rig: VirtioRig) -> None:
    ring, _ = rig.driver.probe(rig.arena)
    kept = keep_one(rig, ring)

    rig.driver.reset()
    fresh, _ = rig.driver.probe(rig.arena)
    rig.loop.call(kept[0].done)
    rig.settle()

    assert fresh.collect() == ring.collect() == []
    rig.device.act = lambda chain: None
    fresh.add([b"2"], [8])
    assert rig.exchange(0, fresh)


def test_leaving_the_loop_holds_the_driver_up_and_loses_nothing(rig: VirtioRig) -> None:
    ring, _ = rig.driver.probe(rig.arena)
    open_ = [False]

    def kick(queue: ServedQueue) -> None:
        for chain in queue:
            if not open_[0]:
                break
            chain.write(chain.read())

    rig.device.kick = kick
    for n in range(5):
        ring.add([b"%d" % n], [8])
    ring.publish()
    rig.driver.notify(0)
    rig.settle()
    assert ring.collect() == []

    open_[0] = True
    rig.device.queues[0].again()
    done: list[Any] = []
    wait_for(lambda: done.extend(ring.collect()) or len(done) == 5, "the chains")

    assert [used.data for used in done] == [b"%d" % n for n in range(5)]


# --- configuration


def test_driver_reads_configuration(rig: VirtioRig) -> None:
    assert bytes(rig.driver.read(DEVICE, n, 1) for n in range(8)) == b"hello\x01\xff\xff"
    assert rig.driver.read(DEVICE, 0, 4) == int.from_bytes(b"hell", "little")
    assert rig.driver.places[DEVICE].length == 6


def test_driver_writes_what_it_may(rig: VirtioRig) -> None:
    rig.driver.write(DEVICE, 5, 0x42, 1)
    wait_for(lambda: rig.device.heard, "the device to hear of it")
    rig.driver.write(DEVICE, 0, 0x41414141, 4)
    rig.driver.write(DEVICE, 4, 0x41414141, 4)  # over its end
    rig.settle()

    assert rig.device.heard == [("config", b"hello\x42")]
    assert bytes(rig.driver.read(DEVICE, n, 1) for n in range(6)) == b"hello\x42"
    assert rig.core.counters()["ignored"] == 2


def test_change_of_configuration_has_a_new_generation_and_an_interrupt(rig: VirtioRig) -> None:
    rig.driver.probe(rig.arena)
    rig.settle()
    before = rig.driver.get("config_generation")

    rig.device.set_config(1, b"a")

    rig.await_interrupt(0)
    assert rig.driver.get("config_generation") == (before + 1) % 256
    assert rig.driver.read(DEVICE, 1, 1) == ord("a")


def test_change_before_the_driver_is_ready_interrupts_nobody(rig: VirtioRig) -> None:
    rig.driver.negotiate()
    rig.driver.set("config_msix_vector", 0)
    rig.device.set_config(0, b"j")

    assert rig.interrupts(0) == 0
    assert rig.driver.read(DEVICE, 0, 1) == ord("j")
