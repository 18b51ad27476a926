"""The grant table as the guest arranges it: sizes, places, and what grant_table_op answers."""

from __future__ import annotations

from collections.abc import Iterator
from struct import pack, unpack_from
from typing import Any

import pytest

from vmm import layout
from vmm.bus import MMIO_LIMIT, Bus
from vmm.errors import KvmError
from vmm.memory import GuestMemory
from vmm.native import PyDevice
from vmm.threads import Lock
from vmm.xen import abi, grantop
from vmm.xen.abi import XenError
from vmm.xen.grants import FRAMES_MAX, GrantTable
from vmm.xen.overlay import PLACES_MAX, Overlay

RAM, HOLE = 16 << 20, 0xC000_0000
PAGE = 4096


class Namespace:
    def __init__(self, **fields: Any) -> None:
        self.__dict__.update(fields)


class Deaf:
    def read(self, region: int, offset: int, size: int) -> int:
        return 0

    def write(self, region: int, offset: int, size: int, value: int) -> None:
        pass


class Call:
    """A hypercall whose structures lie in `page`, linear addresses counted from 0x1000."""

    wide = True

    def __init__(self, operation: int, data: bytes, count: int = 1) -> None:
        self.params = (operation, 0x1000, count)
        self.page = bytearray(data.ljust(PAGE, b"\0"))

    def read_struct(self, linear: int, shape: str) -> tuple[int, ...]:
        return unpack_from(shape, self.page, linear - 0x1000)

    def write(self, linear: int, data: bytes) -> None:
        if not 0 <= linear - 0x1000 <= PAGE - len(data):
            raise XenError(abi.EFAULT)
        self.page[linear - 0x1000 : linear - 0x1000 + len(data)] = data


class Rig:
    def __init__(self) -> None:
        self.memory, self.mmio = GuestMemory(RAM), Bus("address", MMIO_LIMIT)
        self.overlay = Overlay(self.memory, self.mmio)
        self.grants = GrantTable(self.memory, self.overlay)
        self.domain: Any = Namespace(lock=Lock(), services=Namespace(grants=self.grants))

    def ask(self, operation: int, data: bytes, count: int = 1) -> Call:
        call: Any = Call(operation, data, count)
        assert grantop.OPS[operation](self.domain, call) == 0
        return call  # type: ignore[no-any-return]

    def refused(self, operation: int, data: bytes, count: int = 1) -> int:
        with pytest.raises(XenError) as caught:
            self.ask(operation, data, count)
        return caught.value.number


@pytest.fixture
def rig() -> Iterator[Rig]:
    rig = Rig()
    yield rig
    rig.overlay.close()
    rig.memory.close()


def test_sizes_are_told(rig: Rig) -> None:
    for domid, answer in ((abi.DOMID_SELF, (1, 64, 0)), (1, (1, 64, 0)), (0, (0, 0, -2))):
        call = rig.ask(6, pack("<H14x", domid))
        assert unpack_from("<IIh", call.page, 4) == answer
    for count in (0, 2, 1 << 31, (1 << 32) - 1):
        assert rig.refused(6, pack("<H14x", abi.DOMID_SELF), count) == abi.EINVAL


def test_versions(rig: Rig) -> None:
    assert unpack_from("<I", rig.ask(8, pack("<I", 1)).page) == (1,)
    assert rig.refused(8, pack("<I", 2)) == abi.ENOSYS
    assert rig.refused(8, pack("<I", 3)) == abi.EINVAL
    assert unpack_from("<I", rig.ask(10, pack("<H6x", abi.DOMID_SELF)).page, 4) == (1,)
    assert rig.refused(10, pack("<H6x", 0)) == abi.EPERM
    assert rig.refused(10, pack("<H6x", 9)) == abi.ESRCH


def test_table_is_told_of_where_its_frames_lie(rig: Rig) -> None:
    rig.grants.place(0, 5 * PAGE)
    setup = pack("<H2xIh6xQ", abi.DOMID_SELF, 3, 0, 0x1100)
    call = rig.ask(2, setup)

    assert unpack_from("<h", call.page, 8) == (0,)
    assert unpack_from("<3Q", call.page, 0x100) == (5, (1 << 64) - 1, (1 << 64) - 1)
    assert len(rig.grants.places) == 3
    for count, frames, domid, status in (
        (FRAMES_MAX + 1, 0x1100, 1, -1), ((1 << 32) - 1, 0x1100, 1, -1),
        (3, 0x9999, 1, -5), (3, 0x1100, 0, -2), (0, 0, 1, 0),
    ):  # fmt: skip
        call = rig.ask(2, pack("<H2xIh6xQ", domid, count, 0, frames))
        assert unpack_from("<h", call.page, 8) == (status,)


def test_frames_keep_their_contents_when_they_move(rig: Rig) -> None:
    rig.grants.granted = {0: 0xFEFF9, 1: 0xFEFF8}
    rig.grants.place(0, 7 * PAGE)
    assert rig.memory.read(7 * PAGE, 16) == pack("<HHIHHI", 1, 0, 0xFEFF9, 1, 0, 0xFEFF8)
    rig.memory.write(7 * PAGE + 80, b"entry")
    rig.grants.place(0, HOLE)

    assert rig.memory.read(HOLE + 80, 5) == b"entry"
    rig.grants.place(0, HOLE)
    assert rig.memory.read(HOLE + 80, 5) == b"entry"
    generation = rig.memory.generation
    for index in range(1, FRAMES_MAX):
        rig.grants.place(index, HOLE + index * PAGE)
    assert rig.memory.generation == generation
    rig.grants.reset()
    assert rig.grants.places == [None]


@pytest.mark.parametrize("index", [FRAMES_MAX, 1 << 31, (1 << 63) - 1])
def test_frames_that_there_are_not(rig: Rig, index: int) -> None:
    with pytest.raises(XenError, match=f"^{abi.EINVAL}$"):
        rig.grants.place(index, 7 * PAGE)


def test_pages_appear_only_where_nothing_answers(rig: Rig) -> None:
    device = PyDevice(Deaf())
    rig.mmio.claim(HOLE, PAGE, device.dev, "other")
    rig.mmio.claim(HOLE + 3 * PAGE, PAGE, device.dev, "other")
    chips = (layout.IOAPIC, layout.LAPIC, layout.LAPIC + layout.MIB - PAGE)
    for gpa in (HOLE, HOLE + 3 * PAGE, *chips, MMIO_LIMIT, (1 << 64) - PAGE):
        with pytest.raises(XenError, match=f"^{abi.EINVAL}$"):
            rig.grants.place(0, gpa)
    rig.grants.place(1, HOLE + PAGE)
    with pytest.raises(ValueError, match="write"):
        rig.memory.write(HOLE + 2 * PAGE, b"no room was kept there")
    rig.grants.place(0, layout.XEN_PAGES + 3 * PAGE)


def test_places_have_an_end(rig: Rig) -> None:
    for number in range(PLACES_MAX - 1):
        rig.grants.place(0, HOLE + number * (1 << 20))
    with pytest.raises(XenError, match=f"^{abi.ENOMEM}$"):
        rig.grants.place(0, HOLE + (64 << 20))
    rig.grants.place(0, HOLE)


def test_pages_that_cannot_be_shared_leave_nothing_behind(rig: Rig) -> None:
    class Vm:
        def __init__(self) -> None:
            self.slots: dict[int, int] = {}

        def set_memory_region(self, slot: int, gpa: int, size: int, _hva: int) -> None:
            self.slots[slot] = size

    vm: Any = Vm()
    rig.memory._vm = vm
    free = rig.memory.take_slot()
    rig.memory.give_slot(free)

    with pytest.raises(KvmError, match="gmem_add"):  # there is RAM
        rig.overlay.add(RAM - PAGE, PAGE)

    assert vm.slots == {free: 0}
    assert rig.memory.take_slot() == free
    rig.mmio.claim(RAM - PAGE, PAGE, PyDevice(Deaf()).dev, "another")


def test_place_is_free_again_when_the_host_has_no_descriptors(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_gpa: int, _size: int) -> None:
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patched:
        patched.setattr(rig.memory, "add_pages", fail)
        with pytest.raises(OSError, match="Too many"):
            rig.overlay.add(HOLE, PAGE)
        with pytest.raises(XenError, match=f"^{abi.EINVAL}$"):
            rig.overlay.back(HOLE)

    rig.overlay.back(HOLE)
    assert rig.memory.read(HOLE, 4) == bytes(4)
