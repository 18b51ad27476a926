"""The platform's devices together, under the sanitizers: races and lock orders."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.native import sanitize

IRQCHIP = ("irq.c", "pic.c", "pic_state.c", "ioapic.c", "split_sink.c", "router.c", "pit.c")
TIMERS = ("pit_channel.c", "rtc.c", "rtc_time.c", "hpet.c", "legacy_route.c")
OTHERS = ("acpiregs.c", "pmtimer.c", "i8042.c", "ps2.c", "testdev.c")


@pytest.mark.parametrize("sanitizer", sanitize.SANITIZERS)
def test_storm_on_the_platform_leaves_the_sanitizer_silent(sanitizer: str, tmp_path: Path) -> None:
    units = (*sanitize.TIMER, *IRQCHIP, *TIMERS, *OTHERS)

    sanitize.run("platform_storm", units, sanitizer, tmp_path)
