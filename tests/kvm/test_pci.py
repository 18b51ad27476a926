"""The PCI bus under a guest that moves registers while another CPU uses them: guests/pci."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests import guests
from vmm.config import VmConfig
from vmm.machine import Machine
from vmm.native import lib

GUEST = guests.load()[0]["pci"]
RINGS = 16  # of each doorbell, twice: before and after a move
MOVES = 400  # under load; the guest makes some more

pytestmark = pytest.mark.needs("kvm", *GUEST.needs)


@pytest.fixture(scope="module", autouse=True)
def built() -> None:
    guests.build()


@pytest.mark.parametrize("machine", ["default", "legacy"])
@pytest.mark.parametrize("irqchip", GUEST.irqchips)
def test_registers_answer_where_they_are_put_and_nowhere_else(
    irqchip: str, machine: str, tmp_path: Path
) -> None:
    output = tmp_path / "console"
    settings = GUEST.settings(irqchip, tmp_path) | {"machine": machine}

    with Machine(VmConfig.of(consoles=[f"file:{output}"], **settings)) as vm:
        code = vm.run().code
        counters = vm.stats()
        device: Any = vm.hardware.device("first")
        rung = {place: device.rung(*place) for place in device.bells}

    assert not GUEST.complaints(output.read_text(errors="replace"), code)
    assert rung == dict.fromkeys(
        [
            (region, test)
            for region in (lib.PCITEST_MEMORY, lib.PCITEST_PORTS)
            for test in (lib.PCITEST_WILDCARD, lib.PCITEST_DATAMATCH)
        ],
        2 * RINGS,
    )
    pci = counters["devices"]["pci"]
    assert MOVES <= pci["changes"] <= MOVES + 100
    assert 0 < pci["blocked"] < 20
    assert counters["upcalls"]["count"] <= pci["changes"] + 8
