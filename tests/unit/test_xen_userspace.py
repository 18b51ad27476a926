"""What the userspace back-end of Xen domains decides without a guest."""

from __future__ import annotations

from collections.abc import Iterator
from struct import unpack

import pytest

from vmm.errors import HostError
from vmm.memory import GuestMemory
from vmm.xen import userclock, usersite
from vmm.xen.usercaps import NEEDED, check_caps

ALL = {**dict.fromkeys(NEEDED, 1), "KVM_CAP_SYNC_REGS": 7}


@pytest.fixture
def memory() -> Iterator[GuestMemory]:
    memory = GuestMemory(1 << 20)
    yield memory
    memory.close()


@pytest.mark.parametrize("lacking", NEEDED)
def test_each_capability_that_is_lacking_is_named(lacking: str) -> None:
    with pytest.raises(HostError, match=f"lacks {lacking}, which --xen-backend userspace needs"):
        check_caps({**ALL, lacking: 0})
    check_caps(ALL)


def test_registers_must_be_shared_whole() -> None:
    with pytest.raises(HostError, match="lacks registers in KVM_CAP_SYNC_REGS"):
        check_caps({**ALL, "KVM_CAP_SYNC_REGS": 1})


@pytest.mark.parametrize(("wide", "at", "high"), [(True, 0xC00, 0xC0C), (False, 0x900, 0x924)])
def test_wallclock_has_all_its_seconds(memory: GuestMemory, wide: bool, at: int, high: int) -> None:
    began = (5 << 32 | 77) * 1_000_000_000 + 42
    userclock.write_wallclock(memory, 0x3000, wide, began)
    first = unpack("<III", memory.read(0x3000 + at, 12))
    userclock.write_wallclock(memory, 0x3000, wide, began)
    second = unpack("<III", memory.read(0x3000 + at, 12))

    assert first[1:] == second[1:] == (77, 42)
    assert memory.read(0x3000 + high, 4) == b"\x05\0\0\0"
    assert first[0] % 2 == second[0] % 2 == 0
    assert second[0] > first[0]


class Vm:
    """A VM descriptor that keeps what it is told."""

    def __init__(self, filters: bool = True) -> None:
        self.filters = filters
        self.watched: list[tuple[int, ...]] = []

    def check_extension(self, _name: str) -> int:
        return int(self.filters)

    def enable_cap(self, name: str, *_arguments: int) -> None:
        assert name == "KVM_CAP_X86_USER_SPACE_MSR"

    def exit_on_msr_writes(self, indices: tuple[int, ...]) -> None:
        self.watched.append(indices)


SITE = b"\x0f\x01\xd9\xc3".ljust(32, b"\xcc") + b"\x0f\x01\xc1\xc3"


def test_kernel_in_memory_is_patched_and_no_longer_watched(memory: GuestMemory) -> None:
    vm = Vm()
    site = usersite.Interception(vm, memory, breakpoints=False)  # type: ignore[arg-type]
    memory.write(0x12345, SITE)
    site.arm()

    site.look_in([(0x10000, 0x8000)])

    assert site.how == "image"
    assert memory.read(0x12345, 4) == b"\xe6\xe4\x90\xc3"
    assert memory.read(0x12345 + 32, 4) == b"\xe6\xe4\x90\xc3"
    site.arm()
    assert site.how == ""
    all_three = (0x40000000, 0xC0000080, 0xC0000101)
    assert vm.watched == [all_three, (0x40000000,), all_three]


def test_what_lies_outside_the_kernel_is_left_alone(memory: GuestMemory) -> None:
    site = usersite.Interception(Vm(), memory, breakpoints=False)  # type: ignore[arg-type]
    memory.write(0x30000, SITE)

    site.look_in([(0x10000, 0x8000), (0x50000, 0x1000)])

    assert site.how == ""
    assert memory.read(0x30000, len(SITE)) == SITE


def test_text_stays_as_it_is_with_breakpoints(memory: GuestMemory) -> None:
    site = usersite.Interception(Vm(), memory, breakpoints=True)  # type: ignore[arg-type]
    memory.write(0x12345, SITE)

    site.look_in([(0x10000, 0x8000)])

    assert memory.read(0x12345, len(SITE)) == SITE


def test_breakpoints_need_exits_on_msrs(memory: GuestMemory) -> None:
    with pytest.raises(HostError, match=r"lacks KVM_CAP_X86_MSR_FILTER.*use --xen-calls patch"):
        usersite.Interception(Vm(False), memory, breakpoints=True)  # type: ignore[arg-type]
    site = usersite.Interception(Vm(False), memory, breakpoints=False)  # type: ignore[arg-type]
    site.arm()


def test_page_of_calls(memory: GuestMemory) -> None:
    site = usersite.Interception(Vm(), memory, breakpoints=False)  # type: ignore[arg-type]

    site.fill_page(0x7001)  # a number in the low bits is the page's, of which there is one

    page = memory.read(0x7000, 4096)
    assert page[17 * 32 : 17 * 32 + 8] == b"\xb8\x11\0\0\0\xe6\xe4\xc3"
    assert page[23 * 32 : 23 * 32 + 3] == b"\x0f\x0b\xcc"
    assert page[127 * 32] == 0xB8
    site.fill_page(1 << 40)  # no RAM: nothing, and no error
