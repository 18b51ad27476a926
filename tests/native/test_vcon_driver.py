"""Drivers of a virtio console, old and odd; numbers as in docs/console.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.native.legacydriver import ACCEPT, CONFIG, FEATURES, STATUS, LegacyDriver
from tests.native.vconrig import NAMED, ConsoleRig, MakeRig
from tests.native.virtiorig import SLOT
from tests.vcondriver import (
    CONSOLE_PORT,
    DEVICE_READY,
    EMERG_WRITE,
    HEADER,
    MULTIPORT,
    PORT_ADD,
    PORT_READY,
    SIZE,
)
from tests.virtiodriver import DriverRing
from tests.virtiopci import DEVICE, wait_for
from vmm.virtio.transport import TransportConfig

# --- what the device offers


def test_features_and_configuration_are_those_of_the_specification(make_rig: MakeRig) -> None:
    rig = make_rig("console,ring")
    rig.console.resize(132, 43)

    assert rig.driver.offered() & 7 == SIZE | MULTIPORT | EMERG_WRITE
    assert rig.driver.get("num_queues") == 18
    assert rig.driver.read(DEVICE, 0, 2) == 132
    assert rig.driver.read(DEVICE, 2, 2) == 43
    assert rig.driver.read(DEVICE, 4, 4) == 8
    assert rig.driver.read(DEVICE, 8, 4) == 0


# --- 26: the window


def test_26_window_of_a_device_without_ports_is_in_its_configuration(make_rig: MakeRig) -> None:
    rig = make_rig("console,ring", options={"max_ports": 1, "multiport": False})
    rig.console.resize(80, 25)
    rig.guest()
    assert rig.interrupts(0) == 0  # no change since the driver looked
    generation = rig.driver.get("config_generation")

    rig.console.resize(100, 40)

    rig.await_interrupt(0)
    assert rig.driver.get("config_generation") != generation
    assert (rig.driver.read(DEVICE, 0, 2), rig.driver.read(DEVICE, 2, 2)) == (100, 40)


@pytest.mark.parametrize(("order", "window"), [("linux", (25, 80)), ("spec", (80, 25))])
def test_26_window_of_a_port_comes_in_either_order(
    make_rig: MakeRig, order: str, window: tuple[int, int]
) -> None:
    rig = make_rig("console,ring", options={"resize_order": order})
    rig.console.resize(80, 25)
    guest = rig.guest()
    guest.until(lambda: 0 in guest.ports and guest.ports[0].window == window)
    events = [event for number, event, _value, _body in guest.log if number == 0]
    assert events.index(CONSOLE_PORT) < events.index(5)

    rig.console.resize(300, 7)

    expected = (7, 300) if order == "linux" else (300, 7)
    guest.until(lambda: guest.ports[0].window == expected)


# --- 27: the emergency register


@pytest.mark.parametrize("size", [1, 2, 4])
def test_27_emergency_write_needs_no_driver(make_rig: MakeRig, size: int) -> None:
    rig = make_rig("console,ring")
    for byte in b"help":
        rig.driver.write(DEVICE, 8, byte, size)
    assert rig.console.ports[0].chan.take(10) == b"help"
    assert rig.driver.read(DEVICE, 8, 4) == 0
    assert rig.driver.status == 0
    assert rig.count("emergency") == 4


def test_27_emergency_write_works_beside_a_driver_that_declined_it(make_rig: MakeRig) -> None:
    rig = make_rig("console,ring")
    guest = rig.guest(decline=EMERG_WRITE)
    guest.until(lambda: 0 in guest.ports)
    rig.driver.write(DEVICE, 8, ord("!"), 1)
    rig.driver.write(DEVICE, 9, ord("x"), 1)  # not the character's byte
    rig.driver.write(DEVICE, 0, 7, 4)  # not writable
    assert rig.console.ports[0].chan.take(10) == b"!"


def test_27_emergency_write_without_a_console_vanishes(make_rig: MakeRig) -> None:
    rig = make_rig("name=a,ring")
    rig.driver.write(DEVICE, 8, ord("!"), 1)
    assert rig.console.ports[1].chan.take(10) == b""
    assert rig.count("emergency") == 0


# --- 28: kicks before DRIVER_OK


def test_28_modern_device_waits_for_driver_ok_and_then_looks_everywhere(make_rig: MakeRig) -> None:
    rig = make_rig("console,ring", *NAMED)
    driver = rig.driver
    driver.negotiate()
    rings = [driver.ring(rig.arena, queue) for queue in range(driver.get("num_queues"))]
    for queue, ring in enumerate(rings):
        driver.enable(queue, ring, queue + 1)
    for _ in range(8):
        rings[2].add([], [4096])
    rings[3].add([HEADER.pack(0, DEVICE_READY, 1)])
    for queue in (2, 3):
        rings[queue].publish()
        driver.notify(queue)
    rig.settle()
    assert rings[3].collect() == rings[2].collect() == []

    driver.start()

    wait_for(rings[3].collect, "the packet to be taken")
    seen: list[bytes] = []
    wait_for(lambda: seen.extend(used.data for used in rings[2].collect()) or len(seen) == 5)
    assert [HEADER.unpack(data)[:2] for data in seen] == [(n, PORT_ADD) for n in range(5)]


class LegacyConsoleRig(ConsoleRig):
    """Behind the interface of before virtio 1.0."""

    def __init__(self, folder: Path, *ports: str, **more: Any) -> None:
        super().__init__(folder, *ports, transport=TransportConfig(legacy=True), msix=False, **more)

    def make_driver(self) -> Any:
        return LegacyDriver(self._probes["pio"], self._probes["mmio"], SLOT << 3)


def test_28_legacy_driver_waits_busily_for_its_packet_before_driver_ok(make_rig: MakeRig) -> None:
    """Linux before 3.18: DEVICE_READY from probe, spinning until it was taken, DRIVER_OK later."""
    rig = make_rig("console,ring", *NAMED, kind=LegacyConsoleRig)
    driver: Any = rig.driver
    driver.reset()
    driver.set(STATUS, 1 | 2, 1)
    assert driver.get(FEATURES, 4) & 7 == SIZE | MULTIPORT | EMERG_WRITE
    driver.set(ACCEPT, SIZE | MULTIPORT, 4)
    assert driver.get(CONFIG + 4, 4) == 8
    rings: list[DriverRing] = [driver.ring(rig.arena, queue) for queue in range(18)]
    for _ in range(32):
        rings[2].add([], [4096])
    rings[2].publish()
    driver.notify(2)
    rings[3].add([HEADER.pack(0, DEVICE_READY, 1)])
    rings[3].publish()
    driver.notify(3)

    wait_for(rings[3].collect, "the packet to be taken")

    assert driver.get(STATUS, 1) == 3
    added: list[int] = []
    wait_for(
        lambda: (
            added.extend(HEADER.unpack(used.data)[0] for used in rings[2].collect())
            or len(added) == 5
        )
    )
    assert added == [0, 1, 2, 3, 4]
    rings[3].add([HEADER.pack(0, PORT_READY, 1)])
    rings[3].publish()
    driver.notify(3)
    rings[1].add([b"early words"])
    rings[1].publish()
    driver.notify(1)
    wait_for(rings[1].collect, "output of port 0")
    assert rig.console.ports[0].chan.take(20) == b"early words"
    driver.set(STATUS, 7, 1)
    driver.set(STATUS, 7, 1)
    assert driver.get(STATUS, 1) == 7
