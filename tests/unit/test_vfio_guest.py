"""A host's function in a guest, where a step fails: what is said, and what is given back."""

from __future__ import annotations

import os
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from vmm.errors import ConfigError, HostError, VfioError
from vmm.kvm.vm import Vm
from vmm.layout import MIB
from vmm.memory import GuestMemory
from vmm.native import Fd, lib
from vmm.pci.bar import Direct
from vmm.vfio.asking import VfioFd
from vmm.vfio.devicefd import DeviceFd
from vmm.vfio.guestbars import GuestBars
from vmm.vfio.guestram import GuestRam, KvmVfio, open_device
from vmm.vfio.interrupt import Interrupt
from vmm.vfio.iommu import Iommu
from vmm.vfio.iommufd import Ioas
from vmm.vfio.sysfs import bound

ADDRESS = "0000:03:00.0"


@pytest.fixture
def memory() -> Iterator[GuestMemory]:
    made = GuestMemory(4 * MIB)
    yield made
    made.close()


class Region:
    """A BAR of one page that fails as `error` says, when read or mapped."""

    name, size = "bar0", 0x1000
    info = SimpleNamespace(offset=0, areas=((0, 0x1000),))

    def __init__(self, error: OSError | None = None) -> None:
        self.error = error

    def read(self, _offset: int, _size: int) -> int:
        if self.error:
            raise self.error
        return 0

    def map(self, _number: int) -> SimpleNamespace:
        if self.error:
            raise self.error
        return SimpleNamespace(address=0x10000)


class Bars(GuestBars):
    def _trapped(self, *_region: Any) -> tuple[()]:
        return ()


def bars(memory: GuestMemory, config: Region, bar: Region) -> GuestBars:
    device = SimpleNamespace(address=ADDRESS, config=config, regions={"bar0": bar})
    return Bars(cast(Any, device), cast(Any, None), memory, {})


@pytest.mark.parametrize(
    ("errors", "words"),
    [
        ((OSError(5, "Input/output error"), None), f"Reading BAR 0 of {ADDRESS} failed: Input"),
        (
            (None, OSError(16, "Busy")),
            f"Mapping bar0 of {ADDRESS} failed: Busy; see in /proc/iomem",
        ),
    ],
)
def test_a_register_that_cannot_be_had_is_one_sentence(
    memory: GuestMemory, errors: tuple[OSError | None, ...], words: str
) -> None:
    with pytest.raises(HostError, match=words):
        bars(memory, *map(Region, errors))


def test_a_slot_that_kvm_keeps_is_nobody_elses(
    memory: GuestMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [0, -16, 0, 0, -17, -22]
    fake = SimpleNamespace(KVM_SET_USER_MEMORY_REGION=0, vmcore_ioctl=lambda *_: answers.pop(0))
    monkeypatch.setattr("vmm.pci.bar.lib", fake)
    slots = []
    for _ in range(3):
        made = bars(memory, Region(), Region())
        (direct,) = made.bars[0].direct
        assert isinstance(direct, Direct)
        direct.attach("vm", 0xC000_0000)
        direct.detach("vm")
        made.close()
        slots.append(direct.slot)
    assert slots[1] != slots[0]  # which was not deleted
    assert slots[2] == slots[1]
    assert memory.take_slot() == slots[2]  # which was never there


class Refusing(VfioFd):
    """Every request fails."""

    def ioctl(self, name: str, _argument: object = None, _about: str = "") -> int:
        raise VfioError(name, 5)


def refusing() -> Refusing:
    return Refusing(os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC))


def test_an_interrupt_that_cannot_be_disabled_keeps_no_descriptors() -> None:
    fd = refusing()
    one = Interrupt(DeviceFd(fd), lib.VFIO_PCI_MSI_IRQ_INDEX, 2, 0)
    with pytest.raises(VfioError):
        one.enable(2)
    one._device = cast(Any, SimpleNamespace(set_irqs=lambda *_args, **_fields: None))
    vectors = one.enable(2)
    one._device = DeviceFd(fd)
    with pytest.raises(VfioError):
        one.disable()
    assert [vector.fileno() for vector in vectors] == [-1, -1]
    one.disable()
    fd.close()


@pytest.mark.parametrize("first", [True, False])
def test_kvm_forgets_a_device_that_could_not_be_attached(
    monkeypatch: pytest.MonkeyPatch, first: bool
) -> None:
    """first: KVM itself does not want to know of it."""
    space = Ioas.__new__(Ioas)
    Iommu.__init__(space)
    space.iommufd = cast(Any, SimpleNamespace(fd=SimpleNamespace(number=1)))
    fd = refusing()
    monkeypatch.setattr(space, "_open", lambda _one: fd)
    told: list[str] = []

    def known(_fd: int) -> None:
        told.append("open")
        if first:
            raise VfioError("KVM_SET_DEVICE_ATTR", 5)

    space.on_open, space.on_close = known, lambda _fd: told.append("close")
    with pytest.raises(VfioError):
        space.open(cast(Any, SimpleNamespace(node="")))
    assert told == (["open"] if first else ["open", "close"])
    assert fd.number == -1


def test_a_second_device_is_another_one_and_says_the_same_interface(memory: GuestMemory) -> None:
    ram = GuestRam.__new__(GuestRam)
    ram._api, ram._open = "legacy", {"0000:04:00.0"}
    memory.followers.append(ram)
    one = cast(Any, SimpleNamespace(address=ADDRESS))
    with pytest.raises(ConfigError, match=f"{ADDRESS} cannot have api=iommufd.*api=legacy; say"):
        open_device(memory, KvmVfio(Fd(-1)), one, "iommufd")
    ram._open.add(ADDRESS)
    with pytest.raises(ConfigError, match=f"{ADDRESS} is in this machine already"):
        open_device(memory, KvmVfio(Fd(-1)), one, "legacy")
    memory.followers.clear()


def test_without_an_iommu_there_is_no_device(monkeypatch: pytest.MonkeyPatch) -> None:
    lone = SimpleNamespace(address=ADDRESS, group=None)
    monkeypatch.setattr("vmm.vfio.sysfs.function", lambda _text: lone)
    with pytest.raises(HostError, match=f"{ADDRESS} is behind no IOMMU.*vmm vfio check {ADDRESS}"):
        bound(ADDRESS)


def test_a_machine_has_one_pseudo_device_until_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels before 6.4 know it until then, whoever closes its descriptor, and make no second."""
    answers = [0]
    fake = SimpleNamespace(
        KVM_DEV_TYPE_VFIO=4, KVM_CREATE_DEVICE=0, sys_ioctl=lambda *_: answers.pop()
    )
    monkeypatch.setattr("vmm.kvm.vm.lib", fake)
    machine = Vm(Fd(-1), 0)
    assert machine.vfio() is machine.vfio()
    machine._vfio = None  # as on a kernel that has none
    answers.append(-19)
    assert machine.vfio().number == -1


@pytest.mark.parametrize(("alone", "size"), [(True, 0x1000), (False, 0x100)])
def test_a_small_register_with_a_page_of_its_own_is_mapped(
    memory: GuestMemory, alone: bool, size: int
) -> None:
    small = Region()
    small.size, small.info = 0x100, SimpleNamespace(offset=0, areas=((0, 0x100),) if alone else ())
    made = bars(memory, Region(), small)
    (bar,) = made.bars
    assert (bar.size, [part.length for part in bar.direct]) == (size, [0x1000] * alone)
    made.close()
