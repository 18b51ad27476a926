"""The threaded parts of the core under the thread and the address sanitizer."""

from __future__ import annotations

import pytest

from tests.native import sanitize

STORMS = {
    "loop_storm": sanitize.LOOP,
    "timer_storm": sanitize.TIMER,
    "chan_storm": sanitize.CHAN,
    "chan_life": sanitize.CHAN,
    "uart_storm": sanitize.UART,
}


@pytest.mark.parametrize("sanitizer", sanitize.SANITIZERS)
@pytest.mark.parametrize("program", STORMS)
def test_storm_leaves_the_sanitizer_silent(program: str, sanitizer: str) -> None:
    assert sanitize.run(program, STORMS[program], sanitizer)


@pytest.mark.parametrize(("program", "sanitizer"), [("race", "thread"), ("stale", "address")])
def test_sanitizer_reports_what_it_is_for(program: str, sanitizer: str) -> None:
    with pytest.raises(AssertionError, match=f"status {sanitize.REPORT}"):
        sanitize.run(program, (), sanitizer)
