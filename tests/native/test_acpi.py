"""core/devices/acpiregs.c and pmtimer.c: against the twin, and by the specification."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from tests.native.devrig import DeviceRig, Mix, compare
from tests.native.twins.acpi import GED, GPE0, GSI, HZ, NS, PM1_CONTROL, PM1_EVENT, SLEEP, AcpiTwin
from vmm import layout
from vmm.devices.acpi import AcpiRegisters, pm_timer
from vmm.errors import StateError
from vmm.native import ffi, lib

PM1_BITS = (lib.PM1_GBL, lib.PM1_PWRBTN, lib.PM1_SLPBTN, lib.PM1_RTC)
HALF_PERIOD = (1 << 23) * NS // HZ + 1  # of the 24-bit timer's top bit


class AcpiRig(DeviceRig):
    def __init__(self, *, reduced: bool) -> None:
        machine = "default" if reduced else "legacy"
        super().__init__(lambda context: AcpiRegisters(context, reduced=reduced), machine=machine)


@pytest.fixture
def reduced() -> Iterator[AcpiRig]:
    with AcpiRig(reduced=True) as rig:
        yield rig


@pytest.fixture
def full() -> Iterator[AcpiRig]:
    with AcpiRig(reduced=False) as rig:
        yield rig


def raise_something(rng: random.Random, rig: AcpiRig, twin: AcpiTwin) -> None:
    pointer, kind = rig.device.pointer, rng.randrange(4)
    if kind == 0:
        bits = rng.getrandbits(32)
        lib.acpiregs_ged_raise(pointer, bits)
        twin.ged |= bits
    elif kind == 1:
        bit = rng.choice(PM1_BITS)
        lib.acpiregs_pm1_raise(pointer, bit)
        twin.pm1_status |= bit
    elif kind == 2:
        bits = rng.getrandbits(16)
        lib.acpiregs_gpe_raise(pointer, bits)
        twin.gpe_status |= bits
    else:
        rig.device.wake()
        twin.status |= 0x80
        twin.pm1_status |= lib.PM1_WAK_STS
    twin.update()


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("kind", ["reduced", "full"])
def test_registers_agree_with_the_twin(kind: str, seed: int) -> None:
    rng = random.Random(seed)
    is_reduced = kind == "reduced"
    ranges = {SLEEP: 2, GED: 4} if is_reduced else {PM1_EVENT: 4, PM1_CONTROL: 2, GPE0: 4}
    mix = Mix(ranges, step=2 * HALF_PERIOD)
    twin = AcpiTwin(0 if is_reduced else 24)
    with AcpiRig(reduced=is_reduced) as rig:
        for _ in range(2000):
            action = rng.random()
            if action < 0.2:
                raise_something(rng, rig, twin)
            elif action < 0.21:
                rig.device.reset()
                twin.reset()
            elif action < 0.4:
                mix.step(rng, rig, twin)
            else:
                mix.access(rng, rig, twin, rng.choice((rng.randrange(256), 0xFF, 1, 0)))
            assert rig.device.sleep_type() == twin.type
            compare(rig, twin)


def test_sleep_control_powers_off_with_the_dsdts_type(reduced: AcpiRig) -> None:
    value = layout.ACPI_S5_TYPE << 2 | 1 << 5

    assert reduced.write(SLEEP, 0, value) == lib.DEV_EVENT_POWER_OFF
    assert reduced.write(SLEEP, 0, layout.ACPI_S5_TYPE << 2) == 0, "without SLP_EN nothing happens"
    assert reduced.read(SLEEP, 0) == layout.ACPI_S5_TYPE << 2


def test_other_sleep_types_are_told_apart(reduced: AcpiRig) -> None:
    assert reduced.write(SLEEP, 0, 3 << 2 | 1 << 5) == lib.DEV_EVENT_SLEEP
    assert reduced.device.sleep_type() == 3


def test_wake_status_is_cleared_by_writing_it(reduced: AcpiRig) -> None:
    reduced.device.wake()
    assert reduced.read(SLEEP, 1) == 0x80
    reduced.write(SLEEP, 1, 0x80)

    assert reduced.read(SLEEP, 1) == 0


def test_power_button_raises_the_event_device_until_it_is_read(reduced: AcpiRig) -> None:
    reduced.device.power_button()
    reduced.device.power_button()
    assert reduced.level(GSI) == 1

    assert reduced.read(GED, 0, 4) == layout.GED_POWER_BUTTON
    assert reduced.level(GSI) == 0
    assert reduced.read(GED, 0, 4) == 0


def test_events_of_one_kind_do_not_swallow_another(reduced: AcpiRig) -> None:
    reduced.device.power_button()
    reduced.device.hotplug()

    assert reduced.read(GED, 0, 4) == layout.GED_POWER_BUTTON | layout.GED_HOTPLUG


def test_power_button_raises_the_sci_only_when_enabled(full: AcpiRig) -> None:
    full.device.power_button()
    assert full.level(GSI) == 0
    full.write(PM1_EVENT, 2, lib.PM1_PWRBTN, 2)
    assert full.level(GSI) == 1
    full.write(PM1_EVENT, 0, lib.PM1_PWRBTN, 2)

    assert full.level(GSI) == 0
    assert full.read(PM1_EVENT, 0, 2) == 0


def test_pm1_enable_reads_back_what_can_be_enabled(full: AcpiRig) -> None:
    full.write(PM1_EVENT, 2, 0xFFFF, 2)

    assert full.read(PM1_EVENT, 2, 2) == 0x0721


def test_acpi_mode_is_always_on(full: AcpiRig) -> None:
    full.write(PM1_CONTROL, 0, 0, 2)

    assert full.read(PM1_CONTROL, 0, 2) == 1


def test_pm1_control_powers_off(full: AcpiRig) -> None:
    value = layout.ACPI_S5_TYPE << 10 | 1 << 13

    assert full.write(PM1_CONTROL, 0, value, 2) == lib.DEV_EVENT_POWER_OFF
    assert full.read(PM1_CONTROL, 0, 2) == layout.ACPI_S5_TYPE << 10 | 1


def test_gpe_raises_the_sci_while_enabled(full: AcpiRig) -> None:
    full.write(GPE0, 2, 1, 2)
    full.device.hotplug()
    assert full.level(GSI) == 1
    full.write(GPE0, 0, 1, 2)

    assert full.level(GSI) == 0


def test_timer_carry_raises_the_sci_when_the_top_bit_changes(full: AcpiRig) -> None:
    full.write(PM1_EVENT, 2, lib.PM1_TMR, 2)
    full.step(HALF_PERIOD - 1)
    assert full.level(GSI) == 0
    full.step(1)
    assert full.level(GSI) == 1
    full.write(PM1_EVENT, 0, lib.PM1_TMR, 2)
    assert full.level(GSI) == 0
    full.step(HALF_PERIOD)

    assert full.level(GSI) == 1


def test_state_survives_a_round_trip(full: AcpiRig) -> None:
    full.write(PM1_EVENT, 2, lib.PM1_PWRBTN | lib.PM1_TMR, 2)
    full.device.power_button()
    saved = full.save()
    with AcpiRig(reduced=False) as other:
        other.device.load(saved)

        assert other.save() == saved
        assert other.level(GSI) == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("version", 0),
        ("sleep_control", 0x20),
        ("sleep_status", 1),
        ("sleep_type", 8),
        ("pm1_status", 1),
        ("pm1_enable", 2),
        ("pm1_control", 1),
        ("gpe_status", 1 << 16),
        ("gpe_enable", 1 << 16),
        ("tmr_seen", 1 << 33),
        ("ged", -1),
        ("ged", "1"),
    ],
)
def test_impossible_state_is_refused(full: AcpiRig, field: str, value: object) -> None:
    before = full.save()

    with pytest.raises(StateError, match="acpi"):
        full.device.load(before | {field: value})
    assert full.save() == before


@pytest.mark.parametrize("wrong", [{"surplus": 1}, {}])
def test_state_with_other_fields_is_refused(full: AcpiRig, wrong: dict[str, Any]) -> None:
    saved = full.save() | wrong
    if not wrong:
        del saved["ged"]

    with pytest.raises(StateError, match="fields"):
        full.device.load(saved)


# --- the PM timer


@pytest.fixture
def timer() -> Iterator[DeviceRig]:
    with DeviceRig(pm_timer, machine="legacy") as rig:
        yield rig


@pytest.mark.parametrize("ns", [0, 279, 280, NS, 4_686_000_000, 4_700_000_000, 10**18])
def test_pm_timer_counts_at_its_rate_in_24_bits(timer: DeviceRig, ns: int) -> None:
    timer.step(ns)
    count = ns * HZ // NS & 0xFFFFFF

    assert timer.read(0, 0, 4) == count
    assert timer.read(0, 0, 2) == count & 0xFFFF
    assert timer.read(0, 2, 1) == count >> 16
    assert timer.read(0, 3, 1) == 0


def test_pm_timer_ignores_writes(timer: DeviceRig) -> None:
    timer.step(NS)
    timer.write(0, 0, 0, 4)

    assert timer.read(0, 0, 4) == HZ


def test_pm_timer_state_holds_its_width(timer: DeviceRig) -> None:
    assert timer.save() == {"version": 1, "bits": 24}
    timer.device.load({"version": 1, "bits": 32})
    timer.step(10 * NS)
    assert timer.read(0, 0, 4) == 10 * HZ
    with pytest.raises(StateError):
        timer.device.load({"version": 1, "bits": 31})


@pytest.mark.parametrize("bits", [0, 23, 25, 64])
def test_pm_timer_has_24_or_32_bits(timer: DeviceRig, bits: int) -> None:
    assert lib.pmtimer_create(timer.clock, bits) == ffi.NULL
