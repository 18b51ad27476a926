"""Virtio devices served in Python: the hooks, the chains, what a driver can do to them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.native import sanitize
from tests.native.virtiorig import VirtioRig
from tests.virtiopci import DEVICE, NEEDS_RESET, wait_for
from vmm.context import DeviceContext
from vmm.native import lib
from vmm.virtio.chain import Chain, ServedQueue
from vmm.virtio.served import ServedDevice


class Upper(ServedDevice):
    """Answers with the request in capitals; queue 1 only swallows."""

    device_id = 0x3F
    queue_sizes = (16, 4)
    features = 1 << 3
    config = b"hello\x01"
    config_writable = b"\0\0\0\0\0\xff"

    def __init__(self, name: str, context: DeviceContext) -> None:
        super().__init__(name, context)
        self.heard: list[tuple[Any, ...]] = []
        self.act: Callable[[Chain], object] = lambda chain: chain.write(chain.read().upper())

    def started(self, features: int) -> None:
        self.heard.append(("started", features >> 3 & 1))

    def kick(self, queue: ServedQueue) -> None:
        for chain in queue:
            if queue.index == 0:
                self.act(chain)

    def stopped(self) -> None:
        self.heard.append(("stopped",))

    def config_written(self, config: bytes) -> None:
        self.heard.append(("config", config))

    def state(self) -> Any:
        return {"heard": len(self.heard)}

    def restore(self, state: Any) -> None:
        self.heard.append(("restored", state))


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
    kept: list[Chain] = []
    rig.device.act = lambda chain: (chain.keep(), kept.append(chain))
    ring.add([b"1"], [8])
    ring.publish()
    rig.driver.notify(0)
    wait_for(lambda: kept, "the device to have it")

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


# --- life


def test_hooks_follow_the_driver(rig: VirtioRig) -> None:
    for decline in (0, 1 << 3):
        rig.driver.reset()
        rig.driver.probe(rig.arena, decline=decline)
        rig.settle()

    assert rig.device.heard == [("started", 1), ("stopped",), ("started", 0)]


def test_queue_reset_leaves_the_other_queue_alone(rig: VirtioRig) -> None:
    ring, other = rig.driver.probe(rig.arena)
    rig.driver.reset_queue(1)
    ring.add([b"still here"], [16])

    assert rig.exchange(0, ring)[0].data == b"STILL HERE"
    fresh = rig.driver.ring(rig.arena, 1)
    rig.driver.enable(1, fresh)
    fresh.add([b"x"])
    assert rig.exchange(1, fresh)
    assert other.collect() == []


def test_broken_ring_needs_a_reset(rig: VirtioRig) -> None:
    ring, _ = rig.driver.probe(rig.arena)
    ring.set_avail_idx(100)
    rig.driver.notify(0)

    wait_for(lambda: rig.driver.status & NEEDS_RESET, "the need of a reset")
    ring, _ = rig.driver.probe(rig.arena)
    ring.add([b"again"], [16])
    assert rig.exchange(0, ring)[0].data == b"AGAIN"


def test_pause_waits_for_kept_chains_and_takes_no_more(rig: VirtioRig) -> None:
    ring, _ = rig.driver.probe(rig.arena)
    kept: list[Chain] = []
    rig.device.act = lambda chain: (chain.keep(), kept.append(chain))
    ring.add([b"1"], [8])
    ring.publish()
    rig.driver.notify(0)
    wait_for(lambda: kept, "the device to have it")
    lib.virtio_ask_pause(rig.core.pointer)
    ring.add([b"2"], [8])
    ring.publish()
    rig.driver.notify(0)
    rig.settle()
    assert lib.virtio_wait_quiet(rig.core.pointer, 0)

    rig.loop.call(kept[0].done)
    assert lib.virtio_wait_quiet(rig.core.pointer, 20000) == 0
    assert len(kept) == 1

    rig.core.resume()
    wait_for(lambda: len(kept) == 2, "the second chain")


def test_failure_of_a_hook_reaches_the_machine(rig: VirtioRig) -> None:
    errors: list[BaseException] = []
    rig.loop.on_failure = errors.append
    ring, _ = rig.driver.probe(rig.arena)
    rig.device.act = lambda chain: 1 // 0
    ring.add([b"1"], [8])
    ring.publish()
    rig.driver.notify(0)

    wait_for(lambda: errors, "the exception")
    assert isinstance(errors[0], ZeroDivisionError)
    rig.device.act = lambda chain: None
    rig.device.queues[0].again()
    wait_for(ring.collect, "the chain, which was given back")


# --- native code

NATIVE = """
#include "virtio_py.h"
// Adds `opaque`, a number, to each byte of the request.
__attribute__((visibility("default")))
void serve(const struct virtio_api *api, struct virtio_dev *d, uint32_t queue, void *opaque)
{
	struct vq *q = api->ring(d, queue);
	struct iovec piece[64];
	struct vq_chain chain = { .piece = piece, .cap = 64 };
	int got;

	while ((got = api->pop(q, &chain)) > 0) {
		uint8_t *from = piece[0].iov_base, *to = piece[1].iov_base;
		for (uint64_t i = 0; i < chain.out_len && i < chain.in_len; i++)
			to[i] = (uint8_t)(from[i] + (uintptr_t)opaque);
		api->push(q, chain.head, (uint32_t)chain.out_len);
	}
	if (got < 0)
		api->needs_reset(d, VIRTIO_FAULT_RING);
	if (api->flush(q))
		api->interrupt(d, queue);
	if (api->kicks_on(q))
		api->again(d, queue);
}
"""


def test_queue_is_served_by_somebody_s_own_native_code(tmp_path: Path) -> None:
    source, library = tmp_path / "serve.c", tmp_path / "serve.so"
    source.write_text(NATIVE)
    folders = [f"-I{sanitize.CORE}", f"-I{sanitize.CORE.parent}"]
    command = ["gcc", "-std=gnu11", "-O2", "-shared", "-fPIC", *folders]
    subprocess.run([*command, str(source), "-o", str(library)], check=True)
    import ctypes

    address = ctypes.cast(ctypes.CDLL(str(library)).serve, ctypes.c_void_p).value
    assert address is not None

    def build(context: DeviceContext) -> Upper:
        device = Upper("upper", context)
        device.serve_natively(0, address, 1)
        return device

    with VirtioRig(build) as rig:
        ring, _ = rig.driver.probe(rig.arena)
        for _ in range(1000):
            ring.add([b"HAL"], [8])
            assert rig.exchange(0, ring)[0].data == b"IBM"
        assert rig.loop.counters()["posted"] == 0
