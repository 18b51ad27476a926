"""The edu device and a disk in a tiny guest: DMA, message and pin, and what means no good."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import guests
from tests.descriptors import await_no_more, descriptors
from tests.vfio.host import drive, driver, load, vmm
from tests.vfio.lab import DISK, EDU
from vmm.config import VmConfig
from vmm.errors import EXIT_OK
from vmm.machine import Machine

GUEST = guests.load()[0]["vfio"]
STORM = 200  # interrupts, one after the other
pytestmark = pytest.mark.needs("kvm", *GUEST.needs)


@pytest.fixture
def edu() -> str:
    load("nvme")
    drive(DISK, "nvme")
    assert vmm("bind", EDU, DISK).returncode == EXIT_OK
    return EDU


@pytest.mark.parametrize("irqchip", GUEST.irqchips)
def test_a_guest_with_a_device(edu: str, irqchip: str, tmp_path: Path) -> None:
    guests.build()
    output = tmp_path / "console"
    settings = GUEST.settings(irqchip, tmp_path)
    before = descriptors()
    devices = [f"vfio,host={edu},id=edu", f"vfio,host={DISK},id=disk"]
    config = VmConfig.of(consoles=[f"file:{output}"], devices=devices, **settings)
    with Machine(config) as machine:
        code = machine.run().code
        stats = machine.stats()

    assert not GUEST.complaints(output.read_text(errors="replace"), code)
    counted = stats["devices"]["edu"]
    assert counted["failures"] == 0
    assert counted["reads"] < 100  # while it moved; its registers are mapped
    assert stats["devices"]["pci"]["blocked"] > 0  # over RAM and over one another
    await_no_more(before)
    assert vmm("restore").returncode == EXIT_OK
    assert (driver(edu), driver(DISK)) == ("", "nvme")
