"""A machine that ends while its disk has requests under way; the driver is played from here."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.native.blkrig import ENGINES, IN, SECTOR, header
from tests.virtiodriver import Arena, Chain, DriverRing
from tests.virtiopci import VirtioPciDriver, wait_for
from vmm.bus import BusProbe
from vmm.config import VmConfig
from vmm.errors import VmmError
from vmm.machine import Machine

pytestmark = pytest.mark.needs("kvm")

FOREVER = b"\xeb\xfe"  # jmp .
SLOT = 9
QUEUES, DEPTH = 4, 256
LENGTH = 256 << 10  # bytes a request
IMAGE = 32 << 20


def config(folder: Path, disk: str) -> VmConfig:
    """A guest that does nothing, for ever."""
    kernel = folder / "kernel"
    kernel.write_bytes(FOREVER.ljust(510, b"\x90") + b"\x55\xaa")
    device = f"virtio-blk,id=disk,addr={SLOT:x},queues={QUEUES},{disk}"
    return VmConfig.of(kernel=str(kernel), mem=64 << 20, consoles=["null"], devices=[device])


def fill(ring: DriverRing, arena: Arena, into: int) -> None:
    """As many reads as the ring takes, all to one place."""
    for number in range(DEPTH):
        sector = number * LENGTH % IMAGE // SECTOR
        request = arena.put(header(IN, sector))
        chain = Chain([(request, 16)], [(into, LENGTH), (arena.alloc(1), 1)])
        ring.add_chain(chain, indirect=True)
    ring.publish()


@pytest.mark.parametrize("engine", ENGINES)
def test_requests_under_way_end_before_the_machine(engine: str, tmp_path: Path) -> None:
    image = tmp_path / "disk.img"
    image.write_bytes(os.urandom(IMAGE))
    events: list[str] = []
    with Machine(config(tmp_path, f"path={image},direct=on,engine={engine}")) as machine:
        machine.on_event = lambda name, _fields: events.append(name)
        machine.start()
        hardware, disk = machine.hardware, _disk(machine)
        pio, mmio = BusProbe(hardware.pio), BusProbe(hardware.mmio)
        driver, arena = VirtioPciDriver(pio, mmio, SLOT << 3), Arena(hardware.memory)
        rings = driver.probe(arena)
        into = arena.alloc(LENGTH, 4096)
        for ring in rings:
            fill(ring, arena, into)
        for queue in range(QUEUES):
            driver.notify(queue)
        wait_for(lambda: disk.counters()["reads"], "the first of them")
        machine.stop()
        machine.wait(60)
        counters = disk.counters()
        pio.close()
        mmio.close()

    assert counters["errors"] == counters["failed"] == 0
    assert "BLOCK_IO_ERROR" not in events
    assert counters["reads"] == counters["chains"]


def test_device_that_is_stuck_does_not_keep_the_machine(tmp_path: Path) -> None:
    image = tmp_path / "disk.img"
    image.write_bytes(bytes(SECTOR))

    def stuck() -> None:
        raise VmmError("disk did not reset")

    with Machine(config(tmp_path, f"path={image}")) as machine:
        machine.start()
        _disk(machine).halt = stuck
        machine.stop()
        assert machine.wait(60).cause == "stopped"
        assert machine.hardware.loop.start_if_idle()  # it has ended
        machine.hardware.loop.stop()


def _disk(machine: Machine) -> Any:
    return machine.hardware.device("disk")
