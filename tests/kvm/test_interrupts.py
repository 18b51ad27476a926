"""A guest with MSI-X, MSI and INTx functions whose interrupts come from eventfds."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import guests
from tests.kvm.interruptdev import MSI, MSIX, InterruptDevices
from vmm.config import VmConfig
from vmm.machine import Machine
from vmm.pci.root import PciRoot

GUEST = guests.load()[0]["pciirq"]
SERVED = 203  # by the pin: 200 in the storm, 3 one by one


@pytest.mark.needs("kvm", *GUEST.needs)
@pytest.mark.parametrize("irqchip", GUEST.irqchips)
def test_every_interrupt_arrives(irqchip: str, tmp_path: Path) -> None:
    guests.build()
    output = tmp_path / "console"
    settings = GUEST.settings(irqchip, tmp_path)
    config = VmConfig.of(consoles=[f"file:{output}"], pci="on", **settings)

    with Machine(config) as machine:
        hardware = machine.hardware
        root = next(device for device in hardware.devices if isinstance(device, PciRoot))
        devices = InterruptDevices(hardware.context, root)
        try:
            devices.source.check()
            code = machine.run().code
            failures = [devices.vectors[kind].counters() for kind in (MSIX, MSI)]
        finally:
            devices.close()

    assert not GUEST.complaints(output.read_text(errors="replace"), code)
    assert failures == [{"msix_failures": 0}] * 2
    assert devices.level.acks == SERVED
