"""Events of a Xen domain without KVM's help, and where its hypercalls are (core/xen/xenus.h)."""

from __future__ import annotations

import os
import random
import select
from collections.abc import Iterator
from struct import pack, unpack

import pytest

from vmm.bus import MMIO_LIMIT, PIO_LIMIT, Bus
from vmm.loop import IoLoop
from vmm.memory import GuestMemory
from vmm.native import ffi, lib, made

VMMCALL, VMCALL, RET, JMP = b"\x0f\x01\xd9", b"\x0f\x01\xc1", b"\xc3", b"\xe9"
NONE = (-2, 0)  # -ENOENT
PAGE, INFO, SIZE = 0x5000, 0x6000, 0x100000
PENDING, MASK64, MASK32 = 0x800, 0xA00, 0x880


# --- where hypercalls are -------------------------------------------------------------------------


def find(image: bytes) -> tuple[int, int]:
    distance = ffi.new("uint32_t *")
    return lib.xenus_find_site(image, len(image), distance), distance[0]


def pair(apart: int, after: bytes = RET, after_second: bytes = RET) -> bytes:
    return (VMMCALL + after).ljust(apart, b"\xcc") + VMCALL + after_second


@pytest.mark.parametrize("apart", [16, 32])
@pytest.mark.parametrize("after", [RET, JMP, b"\xeb"])
@pytest.mark.parametrize("at", [0, 1, 4095, 12345])
def test_pair_is_found(apart: int, after: bytes, at: int) -> None:
    image = bytes(at) + pair(apart, after, after) + bytes(64)

    assert find(image) == (at, apart)


@pytest.mark.parametrize(
    "image",
    [
        b"",
        bytes(4096),
        pair(24) + bytes(64),
        pair(48) + bytes(64),
        pair(16, after=b"\x90") + bytes(64),
        pair(16, after_second=b"\x90") + bytes(64),
        VMMCALL + RET + bytes(64),
        (VMCALL + RET).ljust(16, b"\xcc") + VMMCALL + RET + bytes(64),  # the other way round
    ],
)
def test_what_is_no_pair_is_not_taken_for_one(image: bytes) -> None:
    assert find(image) == NONE


def test_first_of_many_candidates_that_is_a_pair() -> None:
    lures = (VMMCALL + RET) * 100 + VMCALL * 10

    assert find(lures + bytes(50) + pair(32) + bytes(64)) == (len(lures) + 50, 32)


def test_search_ends_with_the_image() -> None:
    whole = pair(32)
    for length in range(len(whole)):
        assert find(whole[:length]) == NONE
    assert find(whole) == (0, 32)


def test_noise_is_searched_as_the_model_does() -> None:
    dice = random.Random(4)
    words = (VMMCALL, VMCALL, RET, JMP, b"\x0f", b"\x01", bytes(9), bytes(12), b"\x90")
    for _ in range(3000):
        image = b"".join(dice.choices(words, k=30)).ljust(100, b"\0")
        model = next(
            (
                (at, by)
                for at in range(len(image) - 35)
                for by in (16, 32)
                if image[at : at + 3] == VMMCALL
                and image[at + by : at + by + 3] == VMCALL
                and {image[at + 3], image[at + by + 3]} <= {0xC3, 0xE9, 0xEB}
            ),
            NONE,
        )
        assert find(image) == model


# --- events ---------------------------------------------------------------------------------------


class Rig:
    """A domain of two vCPUs that never run; the first is told by the callback's eventfd."""

    def __init__(self, wide: bool) -> None:
        self.buses = Bus("port", PIO_LIMIT), Bus("address", MMIO_LIMIT)
        pointers = [bus.pointer for bus in self.buses]
        self.core = made(lib.vmcore_create(-1, *pointers), lib.vmcore_destroy, "core", *pointers)
        self.clock = made(lib.vclock_create(True), lib.vclock_destroy, "the clock")
        self.memory = GuestMemory(SIZE)
        self.ram = self.memory.accessor("test")
        self.loop = IoLoop()
        parts = (self.core, self.memory.pointer, self.ram.dev, self.clock, self.loop.pointer)
        self.x = made(lib.xenus_create(*parts, 2), lib.xenus_destroy, "the domain", *parts)
        self.gsi = os.eventfd(0, os.EFD_NONBLOCK)
        self.wide = wide
        lib.xenus_set_wide(self.x, wide)
        lib.xenus_set_page(self.x, PAGE)
        lib.xenus_set_info(self.x, 0, INFO)
        self.lowered = os.eventfd(0, os.EFD_NONBLOCK)
        assert lib.xenus_set_gsi(self.x, self.gsi, self.lowered) == 0

    def told(self) -> int:
        """How often the callback was raised since the last look."""
        try:
            return os.eventfd_read(self.gsi)
        except BlockingIOError:
            return 0

    def info(self) -> tuple[int, int]:
        """The upcall byte and the selector."""
        raw = self.ram.read(INFO, 16)
        return raw[0], unpack("<Q", raw[8:])[0] if self.wide else unpack("<I", raw[4:8])[0]

    def clear_info(self) -> None:
        self.ram.write(INFO, bytes(16))

    def pending(self, port: int) -> bool:
        return bool(self.ram.read(PAGE + PENDING + port // 8, 1)[0] >> port % 8 & 1)

    def mask(self, port: int) -> None:
        at = PAGE + (MASK64 if self.wide else MASK32) + port // 8
        self.ram.write(at, bytes([self.ram.read(at, 1)[0] | 1 << port % 8]))

    def close(self) -> None:
        ffi.release(self.x)
        self.loop.close()
        self.memory.close()
        os.close(self.gsi)
        os.close(self.lowered)


@pytest.fixture(params=[True, False], ids=["64", "32"])
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    rig = Rig(request.param)
    yield rig
    rig.close()


def test_event_is_noted_and_told_once(rig: Rig) -> None:
    port = 67
    assert lib.xenus_send(rig.x, port, 0) == 0

    assert rig.pending(port)
    assert rig.info() == (1, 1 << port // (64 if rig.wide else 32))
    assert rig.told() == 1

    assert lib.xenus_send(rig.x, port, 0) == 0  # pending yet
    assert lib.xenus_send(rig.x, port + 1, 0) == 0  # the guest will see it when it looks
    assert rig.told() == 0


def test_masked_event_waits_in_silence(rig: Rig) -> None:
    rig.mask(9)
    assert lib.xenus_send(rig.x, 9, 0) == 0

    assert rig.pending(9)
    assert rig.info() == (0, 0)
    assert rig.told() == 0


def test_guest_that_took_everything_is_told_again(rig: Rig) -> None:
    rig.loop.start()
    for number in range(1, 4):
        lib.xenus_send(rig.x, number, 0)
        select.select([rig.gsi], [], [])
        assert rig.told() == 1
        rig.clear_info()
        os.eventfd_write(rig.lowered, 1)
    rig.loop.stop()
    assert rig.told() == 0


def test_line_that_is_up_is_not_raised(rig: Rig) -> None:
    lib.xenus_send(rig.x, 1, 0)
    rig.clear_info()
    lib.xenus_send(rig.x, 2, 0)  # the EOI of the first is under way
    assert rig.told() == 1
    rig.loop.start()
    os.eventfd_write(rig.lowered, 1)
    select.select([rig.gsi], [], [])
    rig.loop.stop()
    assert rig.told() == 1


def test_lowered_callback_rises_again_while_something_waits(rig: Rig) -> None:
    lib.xenus_send(rig.x, 5, 0)
    assert rig.told() == 1
    rig.loop.start()
    os.eventfd_write(rig.lowered, 1)
    select.select([rig.gsi], [], [])
    assert rig.told() == 1

    rig.clear_info()
    os.eventfd_write(rig.lowered, 1)
    rig.loop.stop()
    assert rig.told() == 0
    lib.xenus_set_gsi(rig.x, -1, -1)
    lib.xenus_send(rig.x, 6, 0)
    assert rig.told() == 0


def test_where_nothing_can_be_noted_is_an_error(rig: Rig) -> None:
    assert lib.xenus_send(rig.x, 4096 if rig.wide else 1024, 0) == -22
    assert lib.xenus_send(rig.x, 3, 2) == -22  # there is no such vCPU
    assert lib.xenus_send(rig.x, 3, 1) == 0  # it has no vcpu_info: the bit stays
    assert rig.pending(3)
    lib.xenus_set_page(rig.x, SIZE)
    assert lib.xenus_send(rig.x, 3, 0) == -14
    lib.xenus_set_page(rig.x, lib.XENUS_NOWHERE)
    assert lib.xenus_send(rig.x, 3, 0) == -22


def test_upcall_byte_that_was_set_before_is_told(rig: Rig) -> None:
    lib.xenus_tell(rig.x, 0)
    assert rig.told() == 0

    rig.ram.write(INFO, pack("<B", 1))
    lib.xenus_tell(rig.x, 0)
    assert rig.told() == 1


def test_backend_tells_the_guest_through_its_eventfd(rig: Rig) -> None:
    kick, call = (os.eventfd(0, os.EFD_NONBLOCK) for _ in range(2))
    assert lib.xenus_open_channel(rig.x, 7, 0, kick, call) == 0
    rig.loop.start()
    os.eventfd_write(call, 1)

    select.select([rig.gsi], [], [])
    assert rig.pending(7)
    assert rig.told() == 1
    lib.xenus_close_channel(rig.x, 7)
    rig.clear_info()
    os.eventfd_write(call, 1)
    rig.loop.stop()
    assert rig.told() == 0
    for fd in (kick, call):
        os.close(fd)
