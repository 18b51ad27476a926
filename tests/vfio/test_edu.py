"""A device driven from Python through VFIO, without a VM: registers, DMA both ways, interrupts."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.descriptors import await_no_more, descriptors
from tests.vfio.edu import (
    ACKNOWLEDGE,
    BUFFER,
    BUFFER_SIZE,
    DMA_DONE,
    FACTORIAL,
    FROM_DEVICE,
    ID,
    LIVENESS,
    PENDING,
    RAISE,
    REACH,
    STATUS,
    TELL,
    Edu,
)  # fmt: skip
from tests.vfio.host import drive, driver, load, until
from tests.vfio.lab import CARD, DISK, EDU, SHARED_CARD, SHARED_EDU
from vmm.errors import HostError, VfioError
from vmm.vfio import passthrough
from vmm.vfio.device import PciDevice

pytestmark = pytest.mark.needs("vfio")
PATIENCE = 30.0  # seconds an interrupt may take on an emulated CPU
SHORT = 0.2  # seconds in which one that must not come does not come
MSI_WINDOW = 0xFEE00000  # where interrupts go, so no memory can be there


@pytest.fixture
def device() -> Iterator[PciDevice]:
    with passthrough(EDU) as opened:
        yield opened


@pytest.fixture
def edu(device: PciDevice) -> Edu:
    return Edu(device)


def test_registers_answer_mapped_and_through_the_kernel(edu: Edu) -> None:
    assert edu.read(ID) & 0xFF == 0xED
    edu.write(LIVENESS, 0x12345678)
    assert edu.read(LIVENESS) == 0x12345678 ^ 0xFFFFFFFF
    edu.write(FACTORIAL, 10)
    until(lambda: not edu.read(STATUS) & 1)
    assert edu.read(FACTORIAL) == 3628800

    region = edu.device.regions["bar0"]
    assert (region.size, region.info.areas) == (1 << 20, ((0, 1 << 20),))
    region.write(LIVENESS, 4, 1)
    assert region.read(LIVENESS, 4) == edu.read(LIVENESS) == 0xFFFFFFFE
    assert edu.device.config.read(0, 4) == 0x11E81234


@pytest.mark.parametrize("vfio_device", [EDU], indirect=True)
def test_the_fixture_gives_an_open_device(vfio_device: PciDevice) -> None:
    assert Edu(vfio_device).read(ID) & 0xFF == 0xED
    assert driver(EDU) == "vfio-pci"


@pytest.mark.parametrize(("offset", "size"), [(1 << 20, 4), (-4, 4), ((1 << 20) - 2, 4), (0, 3)])
def test_accesses_outside_a_region_are_refused(edu: Edu, offset: int, size: int) -> None:
    region = edu.device.regions["bar0"]
    for access in (region.read, edu.registers.read):
        with pytest.raises(ValueError):
            access(offset, size)
    with pytest.raises(ValueError, match="areas"):
        region.map(1)


def test_dma_both_ways(edu: Edu) -> None:
    ours = edu.device.dma(2 * BUFFER_SIZE, below=REACH)
    data = os.urandom(BUFFER_SIZE)
    ours.view[:BUFFER_SIZE] = data

    edu.transfer(ours.iova, BUFFER, BUFFER_SIZE, 0)
    edu.transfer(BUFFER, ours.iova + BUFFER_SIZE, BUFFER_SIZE, FROM_DEVICE)

    assert bytes(ours.view[BUFFER_SIZE:]) == data


def test_what_is_not_mapped_any_more_is_out_of_reach(edu: Edu) -> None:
    first = edu.device.dma(BUFFER_SIZE, below=REACH)
    first.view[:] = b"x" * BUFFER_SIZE
    edu.transfer(first.iova, BUFFER, BUFFER_SIZE, 0)
    first.close()

    edu.transfer(BUFFER, first.iova, BUFFER_SIZE, FROM_DEVICE)  # the IOMMU stops it

    again = edu.device.dma(BUFFER_SIZE, iova=first.iova)
    assert bytes(again.view) == bytes(BUFFER_SIZE)
    edu.transfer(BUFFER, first.iova, BUFFER_SIZE, FROM_DEVICE)
    assert bytes(again.view) == b"x" * BUFFER_SIZE


def test_what_cannot_be_mapped_is_one_sentence(device: PciDevice) -> None:
    taken = device.dma(4096)
    for place, words in (
        (MSI_WINDOW, "the rest is reserved"),
        (1 << 60, "the rest is reserved"),
        (taken.iova, "mapped already"),
        (taken.iova + 1, "multiples of 0x1000"),
    ):
        with pytest.raises(HostError, match=words):
            device.dma(4096, iova=place)
    with pytest.raises(HostError, match="Nothing is mapped"):
        device.iommu.unmap(1 << 30)
    assert all(not first <= MSI_WINDOW <= last for first, last in device.iommu.ranges())
    taken.close()
    assert device.dma(4096).iova == taken.iova


def test_message_interrupts_arrive(edu: Edu) -> None:
    (vector,) = edu.device.interrupts["msi"].enable()
    edu.write(RAISE, 0x5)
    assert vector.wait(PATIENCE) == 1
    assert edu.read(PENDING) == 0x5
    edu.write(ACKNOWLEDGE, 0x5)
    ours = edu.device.dma(4096, below=REACH)

    edu.transfer(ours.iova, BUFFER, 4096, TELL)

    assert vector.wait(PATIENCE) == 1
    assert edu.read(PENDING) == DMA_DONE
    edu.write(ACKNOWLEDGE, DMA_DONE)
    assert vector.wait(SHORT) == 0


def test_a_level_interrupt_masks_itself_until_it_is_unmasked(edu: Edu) -> None:
    intx = edu.device.interrupts["intx"]
    assert intx.automasked
    (vector,) = intx.enable()
    edu.write(RAISE, 1)
    assert vector.wait(PATIENCE) == 1
    intx.unmask()  # still asserted: it comes again
    assert vector.wait(PATIENCE) == 1
    edu.write(ACKNOWLEDGE, 1)

    intx.unmask()

    assert vector.wait(SHORT) == 0
    intx.disable()
    edu.device.interrupts["msi"].enable()  # one kind after the other


def test_every_vector_can_be_tried_without_the_device(device: PciDevice) -> None:
    for name in ("intx", "msi", "req"):
        interrupt = device.interrupts[name]
        (vector,) = interrupt.enable()
        interrupt.trigger()
        assert vector.wait(PATIENCE) == 1, name
        interrupt.disable()
    with pytest.raises(HostError, match="msi of this device has 1 vectors, not 2"):
        device.interrupts["msi"].enable(2)


def test_vectors_are_added_while_others_are_enabled() -> None:
    load("nvme")
    drive(DISK, "nvme")
    with passthrough(DISK) as disk:
        msix = disk.interrupts["msix"]
        assert msix.resizable
        (first,) = msix.enable(1)
        vectors = msix.enable(3)
        assert vectors[0] is first
        for number, vector in enumerate(vectors):
            msix.trigger(number)
            assert vector.wait(PATIENCE) == 1
        assert disk.regions["bar0"].info.msix_mappable
        disk.reset()
    assert driver(DISK) == "nvme"


def test_two_devices_see_the_same_memory() -> None:
    load("e1000e")
    with passthrough(EDU, api="legacy") as one, passthrough(CARD, iommu=one.iommu) as other:
        edu = Edu(one)
        memory = other.dma(4096, below=REACH)
        memory.view[:4] = b"abcd"
        edu.transfer(memory.iova, BUFFER, 4, 0)
        edu.transfer(BUFFER, memory.iova + 4, 4, FROM_DEVICE)
        assert bytes(memory.view[:8]) == b"abcdabcd"


def test_resets_of_one_and_of_a_bus() -> None:
    with passthrough(EDU) as edu:
        with pytest.raises(HostError, match=r"alone: .*there is no reset of its bus"):
            edu.reset()
        assert edu.hot_reset_set() == []
        with pytest.raises(HostError, match="no bus reset here"):
            edu.hot_reset()
    load("8139cp")
    drive(SHARED_CARD, "8139cp")
    with passthrough(SHARED_EDU, group=True) as shared:
        registers = Edu(shared)
        registers.write(LIVENESS, 5)
        found = {one.address: one.owned for one in shared.hot_reset()}
        assert found == {SHARED_EDU: True, SHARED_CARD: True}
        assert shared.config.read(0, 4) == 0x11E81234
    assert driver(SHARED_CARD) == "8139cp"


def test_an_error_inside_gives_everything_back() -> None:
    before = descriptors()

    def drive_badly() -> None:
        with passthrough(EDU) as device:
            Edu(device)
            device.dma(4096)
            device.interrupts["msi"].enable()
            raise KeyError(EDU)

    with pytest.raises(KeyError):
        drive_badly()
    await_no_more(before)
    assert driver(EDU) == ""


def test_requests_that_the_kernel_refuses_name_the_call(device: PciDevice) -> None:
    with pytest.raises(VfioError, match="VFIO_DEVICE_GET_REGION_INFO"):
        device.fd.region_info(1000)
