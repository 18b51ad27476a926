"""core/devices/rtc.c: the MC146818A against its twin, and by the data sheet."""

from __future__ import annotations

import random

import pytest

from tests.native.devrig import Mix, compare
from tests.native.rtcrig import GSI, SECONDS, RtcRig
from tests.native.twins.rtc import (
    AIE,
    CENTURY,
    DM,
    H24,
    NS,
    PIE,
    SET,
    UIE,
    A,
    B,
    C,
    D,
    RtcTwin,
)
from vmm import layout
from vmm.devices.rtc import cmos_bytes, wall_time
from vmm.errors import StateError
from vmm.native import lib

INDICES = (*range(14), *range(14), CENTURY, 0x0F, 0x40, 0x7F)


def random_value(rng: random.Random, index: int) -> int:
    """Mostly something a register takes."""
    if index == A:
        return rng.choice((0x20, 0x20, 0x20, 0x70, 0x00)) | rng.randrange(16)
    if index == B:
        return rng.choice((H24, 0, DM, DM | H24)) | rng.choice((0, 0, PIE, AIE, UIE, SET, 0x70))
    if index in (1, 3, 5):
        return rng.choice((0xC0, 0xFF, rng.randrange(0x60)))
    return rng.choice((rng.randrange(256), rng.randrange(0x13)))


@pytest.mark.parametrize("seed", range(20))
def test_rtc_agrees_with_the_twin(seed: int) -> None:
    rng = random.Random(seed)
    mix = Mix({0: 2}, step=3 * NS)
    with RtcRig() as rig:
        config = rig.config
        twin = RtcTwin(SECONDS, 250_000_000, cmos_bytes(config.mem, config.cpus))
        for _ in range(1500):
            action = rng.random()
            index = rng.choice(INDICES)
            if action < 0.75:
                rig.write(0, 0, index)
                twin.write(0, 0, index, 1)
                mix.access(rng, rig, twin, random_value(rng, index))
            elif action < 0.77:
                rig.device.reset()
                twin.reset()
            elif action < 0.79:
                ns = rng.choice((NS - rng.randrange(400_000), 100 * NS, 3700 * NS))
                rig.step(ns)
                twin.step(ns)
            else:
                mix.step(rng, rig, twin)
            compare(rig, twin)


def test_time_carries_over_the_leap_day_in_bcd(rtc: RtcRig) -> None:
    assert rtc.time() == [0x20, 0x24, 0x02, 0x29, 0x23, 0x59, 0x58]
    assert rtc.get(6) == 5, "Thursday"
    rtc.step(2 * NS)

    assert rtc.time() == [0x20, 0x24, 0x03, 0x01, 0, 0, 0]
    assert rtc.get(6) == 6


def test_binary_and_12_hour_formats_show_the_same_time(rtc: RtcRig) -> None:
    rtc.put(B, DM)

    assert rtc.time() == [20, 24, 2, 29, 0x80 | 11, 59, 58]
    rtc.put(B, 0)
    assert rtc.get(4) == 0x80 | 0x11
    rtc.step(2 * NS)
    assert rtc.get(4) == 0x12, "midnight is 12 a.m."


@pytest.mark.parametrize(
    ("hour", "shown"), [(0, 0x12), (1, 0x01), (11, 0x11), (12, 0x92), (13, 0x81), (23, 0x91)]
)
def test_12_hour_mode_reads_and_writes_every_half_day(hour: int, shown: int) -> None:
    with RtcRig(f"2023-05-06T{hour:02}:30:00") as rig:
        rig.put(B, 0)
        assert rig.get(4) == shown
        rig.put(B, SET)
        rig.put(4, shown)
        rig.put(B, 0)
        rig.put(B, H24)

        assert rig.get(4) == int(str(hour), 16)


def test_set_stops_the_clock_and_clears_uie(rtc: RtcRig) -> None:
    rtc.put(B, SET | UIE | H24)
    rtc.step(10 * NS)

    assert rtc.get(0) == 0x58
    assert rtc.get(B) == SET | H24


def test_time_written_under_set_goes_on_from_there(rtc: RtcRig) -> None:
    rtc.put(B, SET | H24)
    for index, value in ((CENTURY, 0x19), (9, 0x99), (8, 0x12), (7, 0x31), (6, 6)):
        rtc.put(index, value)
    for index, value in ((4, 0x23), (2, 0x59), (0, 0x59)):
        rtc.put(index, value)
    rtc.put(B, H24)
    rtc.step(NS)

    assert rtc.time() == [0x20, 0, 1, 1, 0, 0, 0]
    assert rtc.get(6) == 7


def test_guests_weekday_counts_on_even_if_the_calendar_disagrees(rtc: RtcRig) -> None:
    rtc.put(6, 1)
    rtc.step(2 * NS)

    assert rtc.get(6) == 2


def test_divider_reset_makes_the_first_update_half_a_second_later(rtc: RtcRig) -> None:
    rtc.put(A, 0x76)
    rtc.step(5 * NS)
    assert rtc.get(0) == 0x58
    rtc.put(A, 0x26)
    rtc.step(NS // 2 - 1)
    assert rtc.get(0) == 0x58
    rtc.step(1)

    assert rtc.get(0) == 0x59


def test_reset_keeps_time_memory_and_format_but_no_interrupts(rtc: RtcRig) -> None:
    rtc.put(B, DM | H24 | PIE | UIE)
    rtc.put(0x40, 0xAA)
    rtc.step(NS)
    rtc.device.reset()

    assert rtc.get(B) == DM | H24
    assert rtc.get(C) == 0
    assert rtc.level(GSI) == 0
    assert rtc.get(0x40) == 0xAA
    assert rtc.time() == [20, 24, 2, 29, 23, 59, 59]


def test_register_d_says_the_battery_is_good_whatever_is_written(rtc: RtcRig) -> None:
    rtc.put(D, 0)

    assert rtc.get(D) == 0x80


def test_index_ignores_the_nmi_bit_and_cannot_be_read(rtc: RtcRig) -> None:
    rtc.put(0x80 | 0x0F, 0x05)

    assert rtc.get(0x0F) == 0x05
    assert rtc.read(0, 0) == 0xFF


def test_setting_the_calendar_keeps_the_guests_format(rtc: RtcRig) -> None:
    rtc.put(B, DM | H24)
    rtc.device.set_time("1999-12-31T23:59:59.900")
    rtc.step(100_000_000)

    assert rtc.time() == [20, 0, 1, 1, 0, 0, 0]


def test_state_survives_a_round_trip_and_runs_on(rtc: RtcRig) -> None:
    rtc.put(B, AIE | H24)
    rtc.put(1, 0x03)
    rtc.put(3, 0xC0)
    rtc.put(5, 0xC0)
    rtc.step(NS)
    saved = rtc.device.save()
    with RtcRig() as other:
        other.step(rtc.now)
        other.device.load(saved)
        assert other.device.save() == saved
        for rig in (rtc, other):
            rig.step(4 * NS)
            assert rig.level(GSI) == 1

        assert other.time() == rtc.time()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("version", 0),
        ("index", 128),
        ("weekday_shift", 7),
        ("phase", NS),
        ("phase", -1),
        ("seconds", 1 << 41),
        ("flags_ns", -1),
        ("cmos", [0] * 127),
        ("cmos", [0] * 128),
        ("cmos", [256] * 128),
    ],
)
def test_impossible_state_is_refused(rtc: RtcRig, field: str, value: object) -> None:
    before = rtc.device.save()

    with pytest.raises(StateError):
        rtc.device.load(before | {field: value})
    assert rtc.device.save() == before


def test_cmos_tells_of_memory_and_processors() -> None:
    with RtcRig(mem="6G", cpus=4) as rig:
        above_4g = rig.get(0x5B) | rig.get(0x5C) << 8 | rig.get(0x5D) << 16
        above_16m = rig.get(0x34) | rig.get(0x35) << 8

        assert above_4g << 16 == 6 * layout.GIB - layout.HOLE
        assert above_16m << 16 == layout.HOLE - 16 * layout.MIB
        assert rig.get(0x15) | rig.get(0x16) << 8 == 640
        assert rig.get(0x17) | rig.get(0x18) << 8 == 0xFFFF
        assert rig.get(0x5F) == 3


@pytest.mark.parametrize("index", [0, 9, A, D, CENTURY, 128, 1 << 31])
def test_firmware_bytes_cannot_hit_the_clock(rtc: RtcRig, index: int) -> None:
    assert lib.rtc_poke(rtc.device.pointer, index, 1) < 0


def test_wall_time_reads_the_three_kinds_of_base() -> None:
    utc, local = wall_time("utc")[0], wall_time("localtime")[0]

    assert abs(local - utc) <= 14 * 3600 + 60
    assert wall_time("1970-01-02T00:00:00.5") == (86400, 500_000_000)
    assert wall_time("1970-01-02T00:00:00+02:00") == (86400, 0)
    with pytest.raises(ValueError, match="yesterday"):
        wall_time("yesterday")


def test_a_calendar_set_late_to_its_first_second_survives_save_and_load() -> None:
    with RtcRig() as rtc:
        rtc.step(3 * NS)
        assert lib.rtc_set_time(rtc.device.pointer, -(1 << 40), 0) == 0

        rtc.device.load(rtc.device.save())

        assert lib.rtc_set_time(rtc.device.pointer, -(1 << 40) - 1, 0) < 0
