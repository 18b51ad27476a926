"""The platform's devices together, under the sanitizers: races and lock orders."""

from __future__ import annotations

import pytest

from tests.native import sanitize

PIC = (*sanitize.IRQCHIP, "pic_state.c", "split_sink.c")
PIT = ("pit.c", "pit_channel.c", "legacy_route.c")
CLOCKS = ("rtc.c", "rtc_clock.c", "rtc_time.c", "hpet.c", "hpet_event.c", "hpet_state.c")
OTHERS = ("acpiregs.c", "pmtimer.c", "i8042.c", "i8042_state.c", "ps2.c", "testdev.c")


@pytest.mark.parametrize("sanitizer", sanitize.SANITIZERS)
def test_storm_on_the_platform_leaves_the_sanitizer_silent(sanitizer: str) -> None:
    units = (*sanitize.TIMER, *PIC, *PIT, *CLOCKS, *OTHERS)

    sanitize.run("platform_storm", units, sanitizer)
