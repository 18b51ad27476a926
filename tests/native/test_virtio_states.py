"""Virtio devices saved and loaded, under traffic, broken, or never started."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from tests.native.servedrig import Upper, collect, exchange
from tests.native.virtiorig import VirtioRig
from tests.virtiopci import NEEDS_RESET, READY, wait_for
from vmm.errors import StateError


@pytest.fixture
def rig() -> Iterator[VirtioRig]:
    with VirtioRig(lambda context: Upper("upper", context)) as rig:
        yield rig


def saved_in_mid_traffic(rig: VirtioRig) -> tuple[Any, dict[str, Any]]:
    """Ring and state, with one chain used and unseen, and one that waits."""
    ring, _ = rig.driver.probe(rig.arena)
    for number in range(30):
        exchange(rig, ring, b"n%d" % number)
    ring.add([b"used"], [8])
    ring.publish()
    rig.driver.notify(0)
    wait_for(lambda: rig.core.counters()["chains"] == 31, "the chain")
    rig.pci.pause()
    ring.add([b"waits"], [8])
    ring.publish()
    return ring, rig.pci.save()


def test_state_is_plain_data_with_versions(rig: VirtioRig) -> None:
    _ring, saved = saved_in_mid_traffic(rig)

    assert set(saved) == {"version", "function", "device", "msix", "transport", "core"}
    assert saved["core"]["version"] == saved["transport"]["version"] == 1
    assert saved["core"]["status"] == READY
    assert saved["core"]["last_avail"][0] == saved["core"]["used_idx"][0] == 31
    assert saved["transport"]["queue_vector"][:3] == [1, 2, 0xFFFF]
    assert copy.deepcopy(saved) == saved


def test_loaded_device_goes_on_where_the_saved_one_was(rig: VirtioRig) -> None:
    ring, saved = saved_in_mid_traffic(rig)
    rig.pci.resume()
    assert collect(ring, 2) == [b"USED", b"WAITS"]
    rig.driver.reset()
    rig.pci.pause()
    # Back to the rings as they were: the used index of then, the second chain not used.
    ring.memory.write(ring.used + 2, (31).to_bytes(2, "little"))

    rig.pci.load(saved)

    ring.used_idx = 31
    chain = ring.add([b"second"], [8])
    ring.chains[chain.head] = chain
    assert rig.driver.status == READY
    again = rig.pci.save()
    for part in ("core", "transport", "msix", "function"):
        assert again[part] == saved[part]
    assert ("restored", {"heard": 1}) in rig.device.heard
    rig.pci.resume()
    wait_for(lambda: rig.core.counters()["chains"] >= 33, "the chain that waited")


def test_broken_device_is_broken_after_loading(rig: VirtioRig) -> None:
    ring, _ = rig.driver.probe(rig.arena)
    ring.set_avail_idx(100)
    rig.driver.notify(0)
    wait_for(lambda: rig.driver.status & NEEDS_RESET, "the need of a reset")
    rig.pci.pause()
    saved = rig.pci.save()

    rig.pci.load(saved)
    rig.pci.resume()

    assert rig.driver.status == READY | NEEDS_RESET
    ring, _ = rig.driver.probe(rig.arena)
    assert exchange(rig, ring, b"well") == b"WELL"


def test_device_that_never_ran_needs_no_pause(rig: VirtioRig) -> None:
    saved = rig.pci.save()
    rig.driver.probe(rig.arena)

    rig.pci.load(saved)

    assert rig.driver.status == 0
    assert rig.driver.get("queue_enable") == 0


@pytest.mark.parametrize(
    ("part", "field", "value"),
    [
        ("core", "version", 2),
        ("core", "queue_count", 3),
        ("core", "config_len", 7),
        ("core", "status", 0x10),
        ("core", "acked", 1 << 63),
        ("core", "running", 2),
        ("core", "enabled", [2] * 128),
        ("core", "size", [1]),
        ("transport", "version", 0),
        ("device", "version", 0),
        ("msix", "version", 0),
        ("function", "version", 0),
    ],
)
def test_state_that_does_not_fit_is_refused(
    rig: VirtioRig, part: str, field: str, value: object
) -> None:
    _ring, saved = saved_in_mid_traffic(rig)
    with pytest.raises(StateError):
        rig.pci.load({**saved, part: {**saved[part], field: value}})
    with pytest.raises(StateError):
        rig.pci.load({name: state for name, state in saved.items() if name != part})
    rig.pci.resume()
    ring, _ = rig.driver.probe(rig.arena)
    assert exchange(rig, ring, b"alive") == b"ALIVE"


def test_saved_rings_that_cannot_be_need_a_reset(rig: VirtioRig) -> None:
    _ring, saved = saved_in_mid_traffic(rig)
    core = {**saved["core"], "desc": [1 << 60] * 128}

    rig.pci.load({**saved, "core": core})
    rig.pci.resume()

    wait_for(lambda: rig.driver.status & NEEDS_RESET, "the need of a reset")
