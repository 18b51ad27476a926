"""The newer kernel interface, with modules that have it: devices driven from here and by guests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import guests
from tests.vfio import test_guest_devices, test_guest_edu
from tests.vfio.edu import BUFFER, BUFFER_SIZE, FROM_DEVICE, REACH, Edu
from tests.vfio.host import drive, holding, load, vmm
from tests.vfio.lab import DISK, EDU, STORE
from tests.vfio.modules import newer_interface
from vmm.errors import EXIT_OK, HostError
from vmm.vfio import passthrough

GUEST = guests.load()[0]["vfio"]
pytestmark = pytest.mark.needs("kvm", "stock-kernel", "root", "vfio-iommufd", *GUEST.needs)


@pytest.fixture(scope="module", autouse=True)
def interface() -> Iterator[None]:
    with newer_interface():
        yield


def test_dma_both_ways_through_an_address_space_of_iommufd() -> None:
    with passthrough(EDU) as device:
        assert device.iommu.name == "iommufd"
        edu = Edu(device)
        ours = device.dma(2 * BUFFER_SIZE, below=REACH)
        data = os.urandom(BUFFER_SIZE)
        ours.view[:BUFFER_SIZE] = data
        edu.transfer(ours.iova, BUFFER, BUFFER_SIZE, 0)
        edu.transfer(BUFFER, ours.iova + BUFFER_SIZE, BUFFER_SIZE, FROM_DEVICE)
        assert bytes(ours.view[BUFFER_SIZE:]) == data


HOLD = """
import sys
from vmm.vfio import passthrough
with passthrough(sys.argv[1]):
    print("open", flush=True)
    input()
"""


def test_a_device_in_use_names_the_process() -> None:
    assert vmm("bind", EDU).returncode == EXIT_OK
    with holding(HOLD, EDU) as pid:
        for api in ("iommufd", "legacy"):
            with pytest.raises(HostError, match=rf"process {pid} \("):
                passthrough(EDU, api=api).__enter__()
    assert vmm("restore").returncode == EXIT_OK


@pytest.mark.parametrize("irqchip", GUEST.irqchips)
def test_a_guest_with_a_device(irqchip: str, tmp_path: Path) -> None:
    load("nvme")
    drive(DISK, "nvme")
    assert vmm("bind", EDU, DISK).returncode == EXIT_OK
    test_guest_edu.test_a_guest_with_a_device(EDU, irqchip, tmp_path)


def test_a_disk_keeps_what_is_written(tmp_path: Path) -> None:
    load("nvme")
    drive(STORE, "nvme")
    assert vmm("bind", STORE).returncode == EXIT_OK
    test_guest_devices.test_a_disk_keeps_what_is_written(STORE, "kernel", 256, tmp_path)
