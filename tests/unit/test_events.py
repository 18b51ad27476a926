"""Guest-made events on their way to the machine and to the log."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from vmm import log
from vmm.events import EventDecoder
from vmm.native import lib


@pytest.mark.parametrize("code", [lib.DEV_EVENT_SLEEP, lib.DEV_EVENT_CRASH_LOADED])
def test_a_guest_cannot_flood_the_log(code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    monkeypatch.setattr(log, "_root", log.Logger("info", "json", lines.append))
    machine: Any = SimpleNamespace(config=SimpleNamespace(name="a"))
    vcpu: Any = SimpleNamespace(id=0)
    event = SimpleNamespace(kind=lib.VCPU_DEVICE, code=code)

    for _write in range(1000):
        EventDecoder(machine).vcpu_event(vcpu, event)

    assert 0 < len(lines) <= 2 * log.BURST
