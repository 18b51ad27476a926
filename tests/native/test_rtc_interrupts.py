"""core/devices/rtc.c: when it interrupts: updates, periods and alarms."""

from __future__ import annotations

import pytest

from tests.native.rtcrig import GSI, RtcRig
from tests.native.twins.rtc import (
    AIE,
    H24,
    NS,
    PIE,
    UIE,
    A,
    B,
    C,
)
from vmm.native import lib


def test_uip_announces_the_update_244_us_before(rtc: RtcRig) -> None:
    rtc.step(750_000_000 - 244_141 - 1)
    assert not rtc.get(A) & 0x80
    rtc.step(1)
    assert rtc.get(A) & 0x80
    assert rtc.get(0) == 0x58, "the registers still hold"
    rtc.step(244_141)

    assert not rtc.get(A) & 0x80
    assert rtc.get(0) == 0x59


@pytest.mark.parametrize(
    ("rate", "hertz"), [(1, 256), (2, 128), (3, 8192), (6, 1024), (13, 8), (15, 2)]
)
def test_periodic_interrupt_comes_at_its_rate(rtc: RtcRig, rate: int, hertz: int) -> None:
    rtc.put(A, 0x20 | rate)
    rtc.get(C)
    rtc.put(B, PIE | H24)
    count = 0
    for _ in range(4 * hertz):
        rtc.step(NS // hertz // 2)
        if rtc.level(GSI):
            assert rtc.get(C) & 0xC0 == 0xC0
            count += 1

    assert abs(count - 2 * hertz) <= 1


def test_periodic_flag_is_set_without_its_interrupt(rtc: RtcRig) -> None:
    rtc.get(C)
    rtc.step(NS // 1024 + 1000)

    assert rtc.get(C) == PIE
    assert rtc.level(GSI) == 0


def test_rate_0_gives_no_periodic_flag(rtc: RtcRig) -> None:
    rtc.put(A, 0x20)
    rtc.get(C)
    rtc.step(NS // 2)

    assert rtc.get(C) == 0


def test_unread_periodic_interrupts_are_one(rtc: RtcRig) -> None:
    rtc.put(B, PIE | H24)
    rtc.step(NS // 2)
    assert rtc.take_edges() == [(GSI, 1)]
    rtc.get(C)

    assert rtc.level(GSI) == 0


def test_update_ended_interrupt_comes_with_the_second(rtc: RtcRig) -> None:
    rtc.put(A, 0x20)
    rtc.put(B, UIE | H24)
    rtc.step(749_999_999)
    assert rtc.level(GSI) == 0
    rtc.step(1)

    assert rtc.level(GSI) == 1
    assert rtc.get(C) == 0x80 | UIE


@pytest.mark.parametrize(
    ("alarm", "seconds"),
    [
        ((0x00, 0x00, 0x05), 7),
        ((0xC0, 0xC0, 0x03), 5),
        ((0xFF, 0x01, 0x00), 62),
        ((0x01, 0xC0, 0x00), 3602),
        ((0xC0, 0xC0, 0xC0), 1),
        ((0x23, 0x59, 0x58), 86400),
    ],
)
def test_alarm_comes_when_hour_minute_and_second_match(
    rtc: RtcRig, alarm: tuple[int, int, int], seconds: int
) -> None:
    for index, value in zip((5, 3, 1), alarm, strict=True):
        rtc.put(index, value)
    rtc.put(B, AIE | H24)
    rtc.step(seconds * NS - 250_000_001)
    assert rtc.level(GSI) == 0
    rtc.step(1)

    assert rtc.level(GSI) == 1
    assert rtc.get(C) & AIE


@pytest.mark.parametrize("alarm", [(0x24, 0, 0), (0, 0x60, 0), (0, 0, 0x7F), (0x1A, 0, 0)])
def test_alarm_at_a_time_that_never_is_never_comes(
    rtc: RtcRig, alarm: tuple[int, int, int]
) -> None:
    for index, value in zip((5, 3, 1), alarm, strict=True):
        rtc.put(index, value)
    rtc.put(B, AIE | H24)
    rtc.step(3 * 86400 * NS)

    assert not rtc.get(C) & AIE
    assert rtc.level(GSI) == 0


def test_silenced_clock_keeps_its_flags(rtc: RtcRig) -> None:
    rtc.put(B, UIE | H24)
    lib.rtc_set_irq_off(rtc.device.pointer, True)
    rtc.step(NS)
    assert rtc.level(GSI) == 0
    lib.rtc_set_irq_off(rtc.device.pointer, False)

    assert rtc.level(GSI) == 1
