"""core/pci/msix_cap.c: vectors as configuration space shows them, MSI-X and MSI."""

from __future__ import annotations

from typing import Any

import pytest

from tests.native.test_msix import DATA, LAPIC, take
from vmm.bus import MMIO_LIMIT, Bus, BusProbe
from vmm.irq import IrqRouter
from vmm.native import ffi, lib
from vmm.pci.msix import Msix

ECAM, DEVFN = 0xE000_0000, 3 << 3
MSI, MSIX = 0x05, 0x11
ENABLE_MSIX, MASK_ALL = 1 << 15, 1 << 14
ENABLE_MSI = 1
# Offsets in the MSI capability with 64-bit addresses and masks (PCI 3.0, 6.8.1).
CONTROL, ADDRESS, MESSAGE, MASK, PENDING = 2, 4, 12, 16, 20


class Function:
    """A function with vectors on a root bus of its own, and its configuration space."""

    def __init__(self, vectors: int, **place: int) -> None:
        self.router = IrqRouter(None, split=False)
        self.vectors = Msix("nic", self.router, -1, vectors)
        ident = ffi.new("struct pci_ident *", {"vendor": 0x1AF4, "device": 0x1041})
        self.function = ffi.gc(lib.pci_func_create(ident), lib.pci_func_destroy)
        if place:
            self.vectors.capability(self.function, **place)
        else:
            self.vectors.msi_capability(self.function)
        root = lib.pci_root_create(ffi.NULL, 0, ffi.NULL, ffi.NULL)
        self.root = ffi.gc(root, lib.pci_root_destroy)
        assert lib.pci_plug(self.root, self.function, DEVFN) == 0
        self.bus = Bus("address", MMIO_LIMIT)
        self.bus.claim(ECAM, 1 << 20, ffi.addressof(self.root, "dev"), "pci", lib.PCI_ECAM)
        self.probe = BusProbe(self.bus)
        self.capability = self.read(0x34, 1)

    def __enter__(self) -> Function:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.probe.close()
        self.bus.release(ECAM, 1 << 20)
        lib.pci_unplug(self.function)
        self.vectors.close()

    def read(self, offset: int, size: int) -> int:
        return self.probe.read(ECAM + (DEVFN << 12) + offset, size)

    def write(self, offset: int, value: int, size: int) -> None:
        self.probe.write(ECAM + (DEVFN << 12) + offset, size, value)

    def get(self, offset: int, size: int = 4) -> int:
        return self.read(self.capability + offset, size)

    def set(self, offset: int, value: int, size: int = 4) -> None:
        self.write(self.capability + offset, value, size)

    def routes(self) -> dict[int, tuple[int, int]]:
        return {e[0] - 24: (e[2], e[3]) for e in self.router.entries() if e[0] >= 24}


def msix(vectors: int = 5) -> Function:
    place = {"table_bar": 4, "table_offset": 0x8000, "pba_bar": 4, "pba_offset": 0xC000}
    return Function(vectors, **place)


def test_msix_capability_says_how_many_and_where() -> None:
    with msix(5) as f:
        assert f.get(0, 1) == MSIX
        assert f.get(2, 2) == 4
        assert (f.get(4), f.get(8)) == (0x8004, 0xC004)


def test_msix_control_has_two_writable_bits() -> None:
    with msix(5) as f:
        f.set(2, 0xFFFF, 2)
        assert f.get(2, 2) == ENABLE_MSIX | MASK_ALL | 4
        f.set(4, 0)
        assert f.get(4) == 0x8004


def test_msix_control_enables_and_masks_the_vectors() -> None:
    with msix() as f:
        state = f.vectors.save()
        f.vectors.load({**state, "table": [LAPIC, 0, DATA, 0] * 5})
        f.vectors.fire(1)
        assert f.vectors.pending() == {1}
        f.set(2, ENABLE_MSIX | MASK_ALL, 2)
        assert f.vectors.pending() == {1}
        f.set(2, ENABLE_MSIX, 2)
        assert f.vectors.pending() == set()
        f.set(3, 0, 1)  # its upper byte alone
        f.vectors.fire(2)
        assert 2 in f.vectors.pending()


def test_msix_is_off_after_a_reset_of_the_function() -> None:
    with msix() as f:
        f.set(2, ENABLE_MSIX, 2)
        lib.pci_func_reset(f.function)
        assert f.vectors.save()["enabled"] == 0


@pytest.mark.parametrize("vectors", [1, 2, 8, 32])
def test_msi_capability_offers_messages_with_masks(vectors: int) -> None:
    with Function(vectors) as f:
        assert f.get(0, 1) == MSI
        f.set(CONTROL, 0xFFFF, 2)
        offered = vectors.bit_length() - 1
        assert f.get(CONTROL, 2) == 0x180 | 0x70 | offered << 1 | ENABLE_MSI
        f.set(MASK, 0xFFFF_FFFF)
        assert f.get(MASK) == (1 << vectors) - 1


@pytest.mark.parametrize("vectors", [3, 64])
def test_msi_is_for_a_power_of_two_of_at_most_32(vectors: int) -> None:
    with pytest.raises(Exception, match="msi_capability"):
        Function(vectors)


def set_message(f: Function, log2: int) -> None:
    f.set(ADDRESS, LAPIC, 4)
    f.set(ADDRESS + 4, 0, 4)
    f.set(MESSAGE, 0x4047, 2)
    f.set(CONTROL, ENABLE_MSI | log2 << 4, 2)


def test_msi_messages_differ_in_the_low_bits() -> None:
    with Function(8) as f:
        set_message(f, 2)
        assert f.routes() == {n: (LAPIC, 0x4044 + n) for n in range(4)}


@pytest.mark.parametrize("log2", [6, 7])
def test_msi_counts_that_were_not_offered_give_no_more_than_there_are(log2: int) -> None:
    with Function(2) as f:
        set_message(f, log2)
        assert f.routes() == {n: (LAPIC, 0x4046 + n) for n in range(2)}


def test_msi_vector_beyond_those_enabled_is_silent() -> None:
    with Function(4) as f:
        set_message(f, 1)
        f.vectors.fire(3)
        assert take(f.vectors.fd(3)) == 1  # nobody took it
        assert set(f.routes()) == {0, 1}


def test_msi_vector_that_is_masked_shows_as_pending() -> None:
    with Function(4) as f:
        set_message(f, 2)
        f.set(MASK, 0b0100)
        f.vectors.fire(2)
        f.vectors.fire(1)
        assert f.get(PENDING) == 0b0100
        assert f.get(PENDING, 1) == 0b0100
        f.set(MASK, 0)
        assert f.get(PENDING) == 0
        assert [take(f.vectors.fd(n)) for n in range(4)] == [0, 1, 1, 0]


def test_msi_state_comes_back_with_the_functions_registers() -> None:
    saved: Any = ffi.new("struct pci_func_state *")
    with Function(2) as f, Function(2) as other:
        set_message(f, 1)
        lib.pci_func_save(f.function, saved)
        assert lib.pci_func_load(other.function, saved) == 0
        assert other.routes() == f.routes() != {}
