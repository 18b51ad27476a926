"""A device served in Python: reset, paused, broken, and served by native code instead."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.native import sanitize
from tests.native.servedrig import Upper, keep_one
from tests.native.virtiorig import VirtioRig
from tests.virtiopci import NEEDS_RESET, wait_for
from vmm.context import DeviceContext
from vmm.native import lib


@pytest.fixture
def rig() -> Iterator[VirtioRig]:
    with VirtioRig(lambda context: Upper("upper", context)) as rig:
        yield rig


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
    kept = keep_one(rig, ring)
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
    command = ["gcc", "-std=gnu11", "-O2", "-shared", "-fPIC", *sanitize.INCLUDES]
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
