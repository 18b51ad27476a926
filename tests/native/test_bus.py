"""core/bus/bus.c against its twin, Python devices behind it, and claims that move under load."""

from __future__ import annotations

import gc
import random
import threading
import weakref
from collections.abc import Callable

import pytest

from tests.native.twins.bus import BusTwin
from vmm.bus import PIO_LIMIT, Bus, BusProbe
from vmm.errors import StateError, VmmError
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
        elif action < 0.35:
            b, n, _ = rng.choice([*twin.claims, (base, length, 0)])
            assert lib.bus_move(bus.pointer, b, n, base) == twin.move(b, n, base)
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

    assert bus.counts() == {"unclaimed_reads": 1, "unclaimed_writes": 1, "old_tables": 0}
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


class Gated:
    """Its read lasts until `go_on` is set."""

    def __init__(self) -> None:
        self.inside, self.go_on = threading.Event(), threading.Event()

    def read(self, region: int, offset: int, size: int) -> int:
        self.inside.set()
        self.go_on.wait()
        return 7

    def write(self, region: int, offset: int, size: int, value: int) -> None:
        raise AssertionError("only read here")


class Reader:
    """A thread inside a read of port 0x10, behind which there is `gated`."""

    def __init__(self, bus: Bus, gated: Gated) -> None:
        self.answers: list[int] = []
        self._bus, self._gated = bus, gated
        self._thread = threading.Thread(target=self._read)
        self._thread.start()
        gated.inside.wait()

    def _read(self) -> None:
        probe = BusProbe(self._bus)
        self.answers.append(probe.read(0x10, 1))
        probe.close()

    def end(self) -> None:
        self._gated.go_on.set()
        self._thread.join()


def test_a_released_device_stays_alive_until_the_access_inside_it_has_ended() -> None:
    bus, gated = Bus("port", PIO_LIMIT), Gated()
    device = PyDevice(gated)
    bus.claim(0x10, 1, device.dev, "gated", keep=device)
    alive = weakref.ref(device)
    del device
    reader = Reader(bus, gated)

    bus.release(0x10, 1)
    probe = BusProbe(bus)
    assert probe.read(0x10, 1) == 0xFF, "it took effect at once"
    bus.claim(0x20, 1, PyDevice(Recorder(1)).dev, "another")
    gc.collect()  # a device and its handle refer to one another
    assert alive() is not None
    reader.end()
    bus.quiesce()

    assert reader.answers == [7]
    gc.collect()
    assert alive() is None
    probe.close()


def test_a_long_access_keeps_one_table_however_often_that_changes() -> None:
    bus, gated = Bus("port", PIO_LIMIT), Gated()
    device, other = PyDevice(gated), PyDevice(Recorder(1))
    bus.claim(0x10, 1, device.dev, "gated")
    reader = Reader(bus, gated)

    for _ in range(100):
        bus.claim(0x20, 1, other.dev, "other", keep=other)
        bus.move(0x20, 1, 0x30, "other")
        bus.release(0x30, 1)

    assert bus.counts()["old_tables"] == 1
    assert len(bus._leaving) == 1
    reader.end()
    bus.quiesce()
    assert bus.counts()["old_tables"] == len(bus._leaving) == 0


def test_quiesce_waits_for_the_access_that_is_under_way() -> None:
    bus, gated = Bus("port", PIO_LIMIT), Gated()
    device = PyDevice(gated)
    bus.claim(0x10, 1, device.dev, "gated")
    reader = Reader(bus, gated)
    bus.release(0x10, 1)

    quiet = threading.Event()
    waiter = threading.Thread(target=lambda: (bus.quiesce(), quiet.set()))
    waiter.start()
    assert not quiet.wait(0.05)
    reader.end()
    waiter.join()

    assert reader.answers == [7]


class Mover:
    """A write has it do `action`, as a write to a base address register has; then answers 0x5a."""

    def __init__(self, action: Callable[[], None]) -> None:
        self.action = action

    def read(self, region: int, offset: int, size: int) -> int:
        return 0x5A

    def write(self, region: int, offset: int, size: int, value: int) -> None:
        self.action()


def test_a_device_takes_itself_off_the_bus_inside_its_own_access() -> None:
    bus = Bus("port", PIO_LIMIT)
    device = PyDevice(Mover(lambda: bus.release(0x10, 4)))
    bus.claim(0x10, 4, device.dev, "mover", keep=device)
    probe = BusProbe(bus)

    assert probe.write(0x10, 1, 1) == 0

    assert probe.read(0x10, 1) == 0xFF
    bus.claim(0x10, 4, device.dev, "another")
    probe.close()


def test_a_device_moves_itself_inside_its_own_access() -> None:
    bus = Bus("port", PIO_LIMIT)
    device = PyDevice(Mover(lambda: bus.move(0x10, 4, 0x12, "mover")))
    bus.claim(0x10, 4, device.dev, "mover", keep=device)
    probe = BusProbe(bus)

    assert probe.write(0x10, 1, 1) == 0

    assert probe.read(0x10, 4) == 0x5A5AFFFF
    bus.release(0x12, 4)
    probe.close()


def test_a_move_onto_another_device_is_refused_and_changes_nothing() -> None:
    bus, one, other = Bus("port", PIO_LIMIT), PyDevice(Recorder(1)), PyDevice(Recorder(2))
    bus.claim(0x10, 4, one.dev, "one")
    bus.claim(0x20, 4, other.dev, "other")

    with pytest.raises(VmmError, match=r"one cannot have port 0x1e\.\.0x21"):
        bus.move(0x10, 4, 0x1E, "one")

    probe = BusProbe(bus)
    assert (probe.read(0x10, 1), probe.read(0x20, 1), probe.read(0x1E, 1)) == (1, 2, 0xFF)
    probe.close()


def test_a_thread_inside_an_access_is_refused_to_wait_for_itself() -> None:
    bus = Bus("port", PIO_LIMIT)
    device = PyDevice(Mover(bus.quiesce))
    bus.claim(0x10, 4, device.dev, "mover")
    probe = BusProbe(bus)

    assert probe.write(0x10, 1, 1) == -125
    assert isinstance(device.take_parked(), StateError)
    bus.quiesce()
    probe.close()
