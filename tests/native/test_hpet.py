"""core/devices/hpet.c: against its twin, and by the specification."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from tests.native.devrig import DeviceRig, compare
from tests.native.twins.hpet import CAPABILITIES, ENABLE, LEVEL, MODE_32, PERIODIC, SET, HpetTwin
from vmm import layout
from vmm.devices.irqchip import interval_timer
from vmm.devices.legacy import Hpet
from vmm.devices.rtc import Rtc
from vmm.errors import StateError
from vmm.native import lib

CONFIG, STATUS, COUNTER = 0x10, 0x20, 0xF0
ROUTE_20, ROUTE_21 = 20 << 9, 21 << 9
US, MS = 1000, 1_000_000


class HpetRig(DeviceRig):
    def __init__(self) -> None:
        super().__init__(lambda context: Hpet(context, None, None), machine="legacy")

    def get(self, offset: int) -> int:
        return self.read(0, offset, 8)

    def put(self, offset: int, value: int) -> None:
        self.write(0, offset, value, 8)

    def timer(self, number: int, config: int, comparator: int) -> None:
        self.put(0x100 + 0x20 * number, config)
        self.put(0x108 + 0x20 * number, comparator)


@pytest.fixture
def hpet() -> Iterator[HpetRig]:
    with HpetRig() as rig:
        rig.put(CONFIG, 1)
        yield rig


def random_access(rng: random.Random, twin: HpetTwin) -> tuple[int, int, int]:
    """An offset, a size and a value that often make something happen."""
    number, kind = rng.randrange(3), rng.random()
    base = 0x100 + 0x20 * number
    near = (twin.counter() + rng.randrange(40_000) - 5_000) % (1 << 64)
    if kind < 0.3:
        flags = (LEVEL, ENABLE, ENABLE, PERIODIC, SET, MODE_32)
        config = sum({flag for flag in flags if rng.random() < 0.5})
        return base, rng.choice((4, 8)), config | rng.randrange(18, 26) << 9
    if kind < 0.6:
        return base + 8, rng.choice((4, 8, 8)), rng.choice((near, rng.randrange(60_000)))
    if kind < 0.75:
        return CONFIG, 8, rng.choice((1, 1, 1, 3, 2, 0))
    if kind < 0.8:
        return STATUS, 8, rng.randrange(8)
    if kind < 0.83:
        return (
            COUNTER,
            rng.choice((4, 8)),
            rng.choice((0, near, (1 << 64) - 9000, (1 << 32) - 9000)),
        )
    return rng.randrange(0x180), rng.choice((1, 2, 4, 8)), rng.getrandbits(64)


@pytest.mark.parametrize("seed", range(30))
def test_hpet_agrees_with_the_twin(seed: int) -> None:
    rng = random.Random(seed)
    twin = HpetTwin()
    with HpetRig() as rig:
        for _ in range(600):
            offset, size, value = random_access(rng, twin)
            action = rng.random()
            if action < 0.35:
                assert rig.read(0, offset, size) == twin.read(0, offset, size), hex(offset)
            elif action < 0.7:
                value &= (1 << 8 * size) - 1
                rig.write(0, offset, value, size)
                twin.write(0, offset, value, size)
            elif action < 0.71:
                rig.device.reset()
                twin.reset()
            else:
                ns = rng.randrange(400 * US)
                rig.step(ns)
                twin.step(ns)
            compare(rig, twin)


def test_capabilities_are_those_the_acpi_table_tells(hpet: HpetRig) -> None:
    assert hpet.get(0) == CAPABILITIES
    assert hpet.get(0) & 0xFFFFFFFF == layout.HPET_BLOCK_ID
    hpet.put(0, 0)
    assert hpet.get(0) == CAPABILITIES


def test_counter_runs_while_enabled_and_stands_while_not(hpet: HpetRig) -> None:
    hpet.step(MS)
    assert hpet.get(COUNTER) == MS // 10
    hpet.put(CONFIG, 0)
    hpet.step(MS)
    assert hpet.get(COUNTER) == MS // 10
    hpet.put(COUNTER, 5)
    hpet.put(CONFIG, 1)
    hpet.step(MS)

    assert hpet.get(COUNTER) == 5 + MS // 10
    assert hpet.read(0, COUNTER, 4) == 5 + MS // 10


def test_oneshot_gives_one_edge_at_its_comparator(hpet: HpetRig) -> None:
    hpet.timer(2, ENABLE | ROUTE_20, 50_000)
    hpet.step(500 * US - 1)
    assert hpet.take_edges() == []
    hpet.step(1)
    assert hpet.take_edges() == [(20, 1), (20, 0)]
    hpet.step(10 * MS)

    assert hpet.take_edges() == []


def test_periodic_timer_takes_comparator_then_period(hpet: HpetRig) -> None:
    hpet.put(0x100, ENABLE | PERIODIC | SET | ROUTE_20)
    hpet.put(0x108, 30_000)
    hpet.put(0x108, 100_000)
    hpet.step(300 * US)
    assert hpet.take_edges() == [(20, 1), (20, 0)]
    hpet.step(3 * MS)

    assert len(hpet.take_edges()) == 3 * 2
    assert hpet.get(0x108) == 430_000


def test_level_interrupt_stays_until_its_status_is_cleared(hpet: HpetRig) -> None:
    hpet.timer(0, ENABLE | LEVEL | ROUTE_21, 1000)
    hpet.step(MS)
    assert hpet.level(21) == 1
    assert hpet.get(STATUS) == 1
    hpet.put(STATUS, 1)

    assert hpet.level(21) == 0
    assert hpet.get(STATUS) == 0


def test_status_shows_without_the_interrupt(hpet: HpetRig) -> None:
    hpet.timer(0, LEVEL | ROUTE_21, 1000)
    hpet.step(MS)

    assert hpet.get(STATUS) == 1
    assert hpet.level(21) == 0


def test_32_bit_timer_wraps_at_32_bits(hpet: HpetRig) -> None:
    hpet.put(COUNTER, (1 << 32) - 1000)
    hpet.timer(0, ENABLE | MODE_32 | ROUTE_20, 500)
    hpet.step(1500 * 10)

    assert hpet.take_edges() == [(20, 1), (20, 0)]


def test_route_that_is_not_offered_is_not_taken(hpet: HpetRig) -> None:
    hpet.put(0x100, ENABLE | ROUTE_20)
    hpet.put(0x100, ENABLE | 4 << 9)

    assert hpet.get(0x100) >> 9 & 31 == 20
    assert hpet.get(0x100) >> 32 == lib.HPET_ROUTES


def test_tiny_period_interrupts_at_most_10000_times_a_second(hpet: HpetRig) -> None:
    hpet.put(0x100, ENABLE | PERIODIC | SET | ROUTE_20)
    hpet.put(0x108, 1)
    hpet.put(0x108, 1)
    hpet.step(10 * MS)

    assert len(hpet.take_edges()) <= 2 * 101


def test_legacy_replacement_takes_the_lines_of_pit_and_rtc() -> None:
    with DeviceRig(Rtc, machine="legacy") as rig:
        pit = interval_timer(rig.context)
        pit.claim(rig.pio, rig.mmio)
        hpet = Hpet(rig.context, pit, rig.device)
        rtc, rig.device = rig.device, hpet
        hpet.claim(rig.pio, rig.mmio)
        lib.rtc_set_irq_off(rtc.pointer, False)
        for offset, value in ((0x100, ENABLE), (0x120, ENABLE), (0x108, 100), (0x128, 200)):
            rig.write(0, offset, value, 8)
        rig.write(0, CONFIG, 3, 8)
        rig.step(MS)

        assert rig.take_edges() == [(0, 1), (0, 0), (8, 1), (8, 0)]
        rig.device = rtc
        rig.write(0, 0, 0x0B)
        rig.write(0, 1, 0x12)
        rig.step(1_000 * MS)
        assert rig.level(8) == 0, "the RTC is silent"
        rig.device = hpet
        rig.write(0, CONFIG, 1, 8)
        assert rig.level(8) == 1, "and comes back"
        hpet.close()
        pit.close()
        rig.device = rtc


def test_state_survives_a_round_trip(hpet: HpetRig) -> None:
    hpet.timer(0, ENABLE | LEVEL | ROUTE_21, 1000)
    hpet.put(0x120, ENABLE | PERIODIC | SET | ROUTE_20)
    hpet.put(0x128, 200_000)
    hpet.step(MS)
    saved = hpet.save()
    with HpetRig() as other:
        other.step(3 * MS)
        other.device.load(saved)
        assert other.save() == saved
        assert other.level(21) == 1
        for rig in (hpet, other):
            rig.take_edges()
            rig.step(2 * MS)

        assert other.take_edges() == hpet.take_edges() == [(20, 1), (20, 0)]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("version", 0),
        ("config", 4),
        ("status", 8),
        ("status", 1),
        ("timer_config", [1, 0, 0]),
        ("timer_config", [4 << 9, 0, 0]),
        ("timer_config", [MODE_32, 0, 0]),
        ("comparator", [1 << 64, 0, 0]),
    ],
)
def test_impossible_state_is_refused(hpet: HpetRig, field: str, value: object) -> None:
    before = hpet.save()

    with pytest.raises(StateError):
        hpet.device.load(before | {field: value})
