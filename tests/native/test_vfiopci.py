"""vfiopci.c: a function whose device is a file, so that every access to it can be seen."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.native import sanitize
from tests.native.test_msix_capability import DEVFN, ECAM, ENABLE_MSIX
from vmm.bus import MMIO_LIMIT, Bus, BusProbe
from vmm.irq import IrqRouter
from vmm.native import ffi, lib
from vmm.pci.function import Ident, PciFunction
from vmm.pci.msix import Msix
from vmm.vfio.guestdevice import Core

CONFIG_AT, BAR_AT = 0x10000, 0x20000  # in the file
COMMAND, STATUS, MSI_AT, MSIX_AT, OWN_AT = 0x04, 0x06, 0x50, 0x70, 0x90
WINDOW = 0xC000_0000
VECTORS = 3


class Rig:
    def __init__(self) -> None:
        self.file = os.memfd_create("device")
        os.ftruncate(self.file, BAR_AT + 0x1000)
        self.core = Core("card", lib.vfiopci_create(self.file), ())
        self.function = PciFunction("card", Ident(vendor=1, device=2, class_code=0))
        image, passed = bytearray(256), bytearray(256)
        image[MSI_AT], image[MSI_AT + 1], image[MSI_AT + 2] = 0x05, MSIX_AT, 0x02  # two, 32 bits
        image[MSIX_AT] = 0x11
        image[0x34] = MSI_AT
        passed[STATUS : STATUS + 2] = b"\1\1"
        passed[OWN_AT : OWN_AT + 6] = b"\1\1\1\0\1\1"
        adopted = lib.vfiopci_adopt(
            self.core.pointer, self.function.pointer, CONFIG_AT, bytes(image), bytes(passed), 256
        )
        assert adopted == 0
        router = IrqRouter(None, split=False)
        self.msi, self.msix = (Msix(n, router, -1, c) for n, c in (("msi", 2), ("msix", VECTORS)))
        assert lib.msi_adopt(self.msi.pointer, self.function.pointer, MSI_AT) == 0
        assert lib.msix_adopt(self.msix.pointer, self.function.pointer, MSIX_AT) == 0
        lib.vfiopci_vectors(self.core.pointer, self.msi.pointer, self.msix.pointer, True)
        root = lib.pci_root_create(ffi.NULL, 0, ffi.NULL, ffi.NULL)
        self.root = ffi.gc(root, lib.pci_root_destroy)
        assert lib.pci_plug(self.root, self.function.pointer, DEVFN) == 0
        self.bus = Bus("address", MMIO_LIMIT)
        self.bus.claim(ECAM, 1 << 20, ffi.addressof(self.root, "dev"), "pci", lib.PCI_ECAM)
        window = lib.vfiopci_window(self.core.pointer, BAR_AT + 0x100)
        self.bus.claim(WINDOW, 64, ffi.addressof(self.core.pointer, "dev"), "bar", window)
        self.probe = BusProbe(self.bus)

    def close(self) -> None:
        self.probe.close()
        self.bus.release(ECAM, 1 << 20)
        self.bus.release(WINDOW, 64)
        lib.pci_unplug(self.function.pointer)
        for part in (self.msix, self.msi, self.function, self.core):
            part.close()
        os.close(self.file)

    def read(self, offset: int, size: int) -> int:
        return self.probe.read(ECAM + (DEVFN << 12) + offset, size)

    def write(self, offset: int, size: int, value: int) -> None:
        self.probe.write(ECAM + (DEVFN << 12) + offset, size, value)

    def device(self, offset: int, size: int) -> bytes:
        """What the device has in its configuration space."""
        return os.pread(self.file, size, CONFIG_AT + offset)

    @property
    def mode(self) -> int:
        return int(lib.vfiopci_mode(self.core.pointer))


@pytest.fixture
def rig() -> Iterator[Rig]:
    made = Rig()
    yield made
    made.close()


def test_passed_bytes_are_the_devices_and_the_others_are_not(rig: Rig) -> None:
    os.pwrite(rig.file, b"abcdef", CONFIG_AT + OWN_AT)
    assert rig.read(OWN_AT, 4) == int.from_bytes(b"abc\0", "little")
    rig.write(OWN_AT, 4, 0x04030201)
    rig.write(OWN_AT + 4, 2, 0x0605)
    assert rig.device(OWN_AT, 6) == b"\1\2\3d\5\6"
    counted = rig.core.counters()
    assert (counted["config_reads"], counted["config_writes"]) == (1, 2)
    assert counted["failures"] == 0


def test_the_command_keeps_the_device_decoding_and_has_the_guests_other_bits(rig: Rig) -> None:
    rig.write(COMMAND, 2, 0x0406)
    assert rig.read(COMMAND, 2) == 0x0406
    assert rig.device(COMMAND, 2) == b"\x07\x04"
    rig.write(COMMAND, 2, 0)
    assert rig.read(COMMAND, 2) == 0
    assert rig.device(COMMAND, 2) == b"\x03\x00"
    rig.write(COMMAND, 4, 0xF9000007)  # status bits that are cleared by writing them
    assert rig.device(COMMAND, 4) == b"\x07\x00\x00\xf9"


def test_a_reset_of_the_function_writes_nothing_but_the_command(rig: Rig) -> None:
    rig.write(OWN_AT, 1, 7)
    os.pwrite(rig.file, b"\x55", CONFIG_AT + OWN_AT)
    lib.pci_func_reset(rig.function.pointer)
    assert rig.device(OWN_AT, 1) == b"\x55"
    assert rig.device(COMMAND, 2) == b"\x03\x00"


def test_what_traps_is_an_access_of_the_device_of_that_width(rig: Rig) -> None:
    rig.probe.write(WINDOW + 8, 4, 0x11223344)
    assert os.pread(rig.file, 8, BAR_AT + 0x108) == b"\x44\x33\x22\x11\0\0\0\0"
    assert rig.probe.read(WINDOW + 9, 1) == 0x33
    assert rig.core.counters()["reads"] == rig.core.counters()["writes"] == 1
    os.ftruncate(rig.file, 0)  # it is gone
    assert rig.probe.read(WINDOW + 8, 4) == 0xFFFFFFFF
    assert rig.read(OWN_AT, 2) == 0xFFFF
    assert rig.core.counters()["failures"] == 2


def test_one_kind_of_interrupt_at_a_time_as_the_guest_wants(rig: Rig) -> None:
    """The file refuses every request; which one is meant is counted all the same."""
    core = rig.core.pointer
    assert rig.mode == lib.VFIOPCI_SILENT
    lib.vfiopci_intx(core, 100, 101)
    assert rig.mode == lib.VFIOPCI_SILENT  # held until it is plugged
    lib.vfiopci_release(core)
    assert rig.mode == lib.VFIOPCI_INTX
    rig.write(MSI_AT + 2, 2, 1)
    assert rig.mode == lib.VFIOPCI_MSI
    rig.write(MSIX_AT + 2, 2, ENABLE_MSIX)
    assert rig.mode == lib.VFIOPCI_MSIX
    rig.write(MSI_AT + 2, 2, 0)
    assert rig.mode == lib.VFIOPCI_MSIX
    rig.write(MSIX_AT + 2, 2, 0)
    assert rig.mode == lib.VFIOPCI_INTX
    lib.vfiopci_hold(core)
    assert rig.mode == lib.VFIOPCI_SILENT


@pytest.mark.parametrize(("offset", "size"), [(4, 4), (8, 2)])
def test_an_adopted_capability_keeps_its_shape(rig: Rig, offset: int, size: int) -> None:
    """32-bit addresses, no masks: what follows the data is not its own."""
    ones = (1 << 8 * size) - 1
    rig.write(MSI_AT + offset, size, ones)
    assert rig.read(MSI_AT + offset, size) == (ones & ~3 if size == 4 else ones)
    rig.write(MSI_AT + 10, 4, 0xFFFFFFFF)
    assert rig.read(MSI_AT + 10, 4) == 0
    assert rig.read(MSI_AT + 2, 2) == 0x02
    assert rig.read(MSIX_AT + 2, 2) == VECTORS - 1


def test_a_host_with_fewer_vectors_than_the_device_gives_those_it_has() -> None:
    units = ("msix.c", "msix_state.c", "router.c")
    assert sanitize.run("vfiopci_few", units, "address") == "3 vectors\n"
