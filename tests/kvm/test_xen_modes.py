"""Hypercalls of 32-bit and 64-bit guests: all that a call carries arrives, whatever the mode."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import guests
from vmm.config import VmConfig
from vmm.machine import Machine
from vmm.xen import hypercalls
from vmm.xen.call import Call
from vmm.xen.domain import XenDomain

ROWS = [row for row in guests.load()[0].values() if row.image in ("xen32.elf", "xenmodes.elf")]
CASES = [
    pytest.param(row, chip, id=f"{row.name}-{chip}", marks=pytest.mark.needs("kvm", *row.needs))
    for row in ROWS
    for chip in row.irqchips
]
PROBE, ANSWER = 48, 0x1234567  # the number is free for tests (__HYPERVISOR_arch_0)
NARROW = (0x11111111, 0x22222222, 0x83333333, 0x44444444, 0x55555555, 0xF6666666)
WIDE = tuple(value << 32 | value for value in NARROW)

Arrived = list[tuple[bool, tuple[int, ...]]]


@pytest.fixture
def arrived(monkeypatch: pytest.MonkeyPatch) -> Arrived:
    """The mode and the arguments of each probing call."""
    found: Arrived = []

    def probe(_domain: XenDomain, call: Call) -> int:
        found.append((call.wide, call.params))
        return ANSWER

    monkeypatch.setitem(hypercalls.TABLE, PROBE, ("probe", {0: probe}, 0))
    return found


@pytest.mark.parametrize(("row", "irqchip"), CASES)
def test_all_six_arguments_arrive_from_every_mode(
    row: guests.Guest, irqchip: str, tmp_path: Path, arrived: Arrived
) -> None:
    guests.build()
    output = tmp_path / "console"
    config = VmConfig.of(consoles=[f"file:{output}"], **row.settings(irqchip, tmp_path))

    with Machine(config) as machine:
        code = machine.run().code

    assert not row.complaints(output.read_text(errors="replace"), code)
    wide = row.image == "xenmodes.elf"
    assert arrived == [(wide, WIDE if wide else NARROW)] * 2
