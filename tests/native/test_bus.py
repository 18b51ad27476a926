"""core/bus.c against its twin, Python devices behind it, and claims that move under load."""

from __future__ import annotations

import random

import pytest

from tests.native.twins.bus import BusTwin
from vmm.bus import PIO_LIMIT, Bus, BusProbe
from vmm.errors import VmmError
from vmm.native import PyDevice, lib


class Recorder:
    """Answers reads with a value made from the access, and logs everything."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.log: list[tuple[str, int, int, int]] = []

    def read(self, region: int, offset: int, size: int) -> int:
        self.log.append(("read", region, offset, size))
        return self.value(offset, size)

    def write(self, region: int, offset: int, size: int, value: int) -> None:
        self.log.append(("write", offset, size, value))

    def value(self, offset: int, size: int) -> int:
        return (self.number * 0x0101010101010101 + offset) & ((1 << 8 * size) - 1)


@pytest.mark.parametrize("seed", range(10))
def test_lookups_agree_with_the_twin_while_claims_come_and_go(seed: int) -> None:
    rng = random.Random(seed)
    bus, twin = Bus("port", PIO_LIMIT), BusTwin(PIO_LIMIT)
    probe = BusProbe(bus)
    recorders = [Recorder(n) for n in range(8)]
    devices = [PyDevice(r) for r in recorders]

    for _step in range(500):
        base, length = rng.randrange(0, 200), rng.choice((0, 1, 2, 4, 8, 30))
        number = rng.randrange(8)
        action = rng.random()
        if action < 0.15:
            mine = lib.bus_claim(bus.pointer, base, length, devices[number].dev, 0)
            assert mine == twin.claim(base, length, number)
        elif action < 0.25 and twin.claims:
            b, n, _ = rng.choice(twin.claims)
            assert lib.bus_release(bus.pointer, b, n) == twin.release(b, n)
        else:
            size = rng.choice((1, 2, 4, 8))
            value, shift = 0, 0
            for who, offset, part in twin.split(base, size):
                byte = recorders[who].value(offset, part) if who >= 0 else (1 << 8 * part) - 1
                value |= byte << shift
                shift += 8 * part
            assert probe.read(base, size) == value
    probe.close()


def test_unclaimed_accesses_read_ones_and_are_counted() -> None:
    bus = Bus("port", PIO_LIMIT)
    probe = BusProbe(bus)

    assert probe.read(0x80, 4) == 0xFFFFFFFF
    assert probe.write(0x80, 2, 0x1234) == 0

    assert bus.counts() == {"unclaimed_reads": 1, "unclaimed_writes": 1}
    probe.close()


def test_claims_end_where_the_address_space_ends() -> None:
    bus, device = Bus("port", PIO_LIMIT), PyDevice(Recorder(1))

    bus.claim(0xFFFF, 1, device.dev, "last port")

    with pytest.raises(VmmError, match="bus_claim"):
        bus.claim(0xFFF8, 16, device.dev, "too far")


def test_an_overlap_names_who_and_where() -> None:
    bus, device = Bus("port", PIO_LIMIT), PyDevice(Recorder(1))
    bus.claim(0x70, 2, device.dev, "rtc")

    with pytest.raises(VmmError, match=r"uart cannot have port 0x71\.\.0x78"):
        bus.claim(0x71, 8, device.dev, "uart")


def test_an_exception_in_a_device_is_parked_and_the_read_gives_ones() -> None:
    class Broken:
        def read(self, region: int, offset: int, size: int) -> int:
            raise KeyError("no such register")

        def write(self, region: int, offset: int, size: int, value: int) -> None:
            raise KeyError("read-only")

    bus, device = Bus("port", PIO_LIMIT), PyDevice(Broken())
    bus.claim(0x100, 4, device.dev, "broken")
    probe = BusProbe(bus)

    assert probe.read(0x100, 1) == 0xFF
    assert isinstance(device.take_parked(), KeyError)
    assert probe.write(0x100, 1, 0) == -125
    assert isinstance(device.take_parked(), KeyError)
    assert device.counts()["upcalls"] == 2
    probe.close()


def test_a_release_waits_for_the_access_that_is_under_way() -> None:
    import threading

    inside, go_on = threading.Event(), threading.Event()

    class Slow:
        def read(self, region: int, offset: int, size: int) -> int:
            inside.set()
            go_on.wait()
            return 7

        def write(self, region: int, offset: int, size: int, value: int) -> None:
            raise AssertionError("not written in this test")

    bus, device = Bus("port", PIO_LIMIT), PyDevice(Slow())
    bus.claim(0x10, 1, device.dev, "slow")
    probe = BusProbe(bus)
    answers: list[int] = []
    reader = threading.Thread(target=lambda: answers.append(probe.read(0x10, 1)))
    reader.start()
    inside.wait()

    released = threading.Event()
    releaser = threading.Thread(target=lambda: (bus.release(0x10, 1), released.set()))
    releaser.start()
    assert not released.wait(0.05)
    go_on.set()
    releaser.join()
    reader.join()

    assert answers == [7]
    assert probe.read(0x10, 1) == 0xFF
    probe.close()
