"""The configuration space that a guest finds at a function of the host: ours, and the device's own.

Ours is what belongs to the guest's machine: where registers decode, how interrupts are delivered,
the place in the bus's tree, power states. Everything else is read from and written to the device,
through VFIO, which keeps from it what would harm the host.
"""

from __future__ import annotations

from vmm.errors import HostError
from vmm.record import Record

CLASSIC, WHOLE = 256, 4096  # sizes of configuration space
COMMAND, STATUS, HEADER_TYPE, BIST, BARS, ROM = 0x04, 0x06, 0x0E, 0x0F, 0x10, 0x30
POINTER, LINE, PIN, HEADER_END = 0x34, 0x3C, 0x3D, 0x40
STATUS_CAP_LIST, MULTI_FUNCTION = 0x10, 0x80
PM, MSI, EXPRESS, MSIX = 0x01, 0x05, 0x10, 0x11  # capabilities
PM_LENGTH, PM_CONTROL, NO_SOFT_RESET, PM_STATE, PME = 8, 4, 0x08, 0x03, 0xF8
MSI_64BIT, MSI_MASKBIT = 0x80, 0x100
MSIX_LENGTH = 12
ENDPOINTS, ROOT_ENDPOINT = (0, 1), 9  # device/port types of PCI Express
LINK = ((0x0C, 8), (0x2C, 8))  # registers of a link, which an endpoint of a root complex lacks
# What needs a bus, an IOMMU or a function that the guest's machine does not have: ARI, ATS, SR-IOV,
# MR-IOV, page requests, resizable registers (twice), process address spaces; 0 is none.
HIDDEN = frozenset((0x0000, 0x000E, 0x000F, 0x0010, 0x0011, 0x0013, 0x0015, 0x001B, 0x0024))


class GuestConfig(Record):
    """`image` is what a guest finds after a reset; where `passed` is not 0 it asks the device.

    capabilities: offsets by number. writable: (offset, size, mask) of what is ours to store.
    """

    image: bytes
    passed: bytes
    capabilities: dict[int, int]
    writable: tuple[tuple[int, int, int], ...]


class _Plan:
    def __init__(self, found: bytes) -> None:
        self.found = found
        self.bytes = bytearray(found)
        self.passed = bytearray(len(found))
        self.writable: list[tuple[int, int, int]] = []

    def ours(self, at: int, length: int) -> None:
        self.passed[at : at + length] = bytes(min(length, len(self.passed) - at))

    def zero(self, at: int, length: int) -> None:
        self.ours(at, length)
        self.bytes[at : at + length] = bytes(min(length, len(self.bytes) - at))

    def word(self, at: int, size: int = 2) -> int:
        return int.from_bytes(self.found[at : at + size], "little")

    def put(self, at: int, size: int, value: int) -> None:
        self.bytes[at : at + size] = value.to_bytes(size, "little")


def guest_config(found: bytes, pin: bool) -> GuestConfig:
    """From what VFIO shows. pin: whether the function has an interrupt pin that can be used.

    HostError for a device whose capabilities do not fit where they are.
    """
    extended = len(found) >= WHOLE and found[CLASSIC : CLASSIC + 4] not in (b"\0" * 4, b"\xff" * 4)
    plan = _Plan(found[: WHOLE if extended else CLASSIC])
    plan.passed[HEADER_END:] = b"\1" * (len(plan.passed) - HEADER_END)
    plan.passed[STATUS : STATUS + 2] = b"\1\1"
    for at, length in ((COMMAND, 2), (BIST, 1), (BARS, 24), (ROM, 4), (LINE, 1)):
        plan.zero(at, length)
    plan.bytes[HEADER_TYPE] &= ~MULTI_FUNCTION
    plan.bytes[PIN] = found[PIN] if pin else 0
    capabilities = _capabilities(plan)
    if extended:
        _extended(plan)
    return GuestConfig(
        image=bytes(plan.bytes),
        passed=bytes(plan.passed),
        capabilities=capabilities,
        writable=tuple(plan.writable),
    )


def _capabilities(plan: _Plan) -> dict[int, int]:
    found: dict[int, int] = {}
    at = plan.found[POINTER] & ~3 if plan.word(STATUS) & STATUS_CAP_LIST else 0
    seen: set[int] = set()
    while HEADER_END <= at < CLASSIC and at not in seen:
        seen.add(at)
        kind = plan.found[at]
        found.setdefault(kind, at)
        plan.ours(at, 2)
        _special(plan, kind, at)
        at = plan.found[at + 1] & ~3
    return found


def _fits(kind: int, at: int, length: int) -> None:
    if at + length > CLASSIC:
        raise HostError(
            f"The device says that its capability {kind:#04x} is at {at:#x}, where {length} bytes "
            "of it do not fit; such a device cannot be passed through"
        )


def _special(plan: _Plan, kind: int, at: int) -> None:
    if kind == MSI:
        flags = plan.word(at + 2)
        wide, masks = flags & MSI_64BIT, flags & MSI_MASKBIT
        length = 10 + (4 if wide else 0) + (10 if masks else 0)
        _fits(kind, at, length)
        plan.ours(at, length)
    elif kind == MSIX:
        _fits(kind, at, MSIX_LENGTH)
        plan.ours(at, MSIX_LENGTH)
    elif kind == PM:
        _power(plan, at)
    elif kind == EXPRESS:
        _express(plan, at)


def _power(plan: _Plan, at: int) -> None:
    """The guest sees its states; the device stays awake, or its registers would be gone."""
    _fits(PM, at, PM_LENGTH)
    plan.ours(at, PM_LENGTH)
    plan.bytes[at + 3] &= ~PME
    plan.zero(at + PM_CONTROL, 4)
    plan.bytes[at + PM_CONTROL] = NO_SOFT_RESET
    plan.writable.append((at + PM_CONTROL, 1, PM_STATE))


def _express(plan: _Plan, at: int) -> None:
    """There is no port above it in the guest's machine, so it is a part of the root complex."""
    flags = plan.word(at + 2)
    if flags >> 4 & 0xF not in ENDPOINTS:
        return
    links = LINK[: flags & 0xF]
    _fits(EXPRESS, at, sum(links[-1]) if links else 4)
    plan.ours(at + 2, 2)
    plan.put(at + 2, 2, flags & ~0xF0 | ROOT_ENDPOINT << 4)
    for offset, length in links:
        plan.zero(at + offset, length)


def _extended(plan: _Plan) -> None:
    chain: list[int] = []
    at = CLASSIC
    while CLASSIC <= at < WHOLE and at not in chain:
        chain.append(at)
        at = plan.word(at + 2) >> 4 & ~3
    ends = dict(zip(sorted(chain), [*sorted(chain)[1:], WHOLE], strict=True))
    kept = [at for at in chain if plan.word(at) not in HIDDEN or at == CLASSIC]
    for at in chain:
        plan.ours(at, 4)
        if plan.word(at) in HIDDEN:
            plan.zero(at, ends[at] - at)
    for at, after in zip(kept, [*kept[1:], 0], strict=True):
        low = 0 if plan.word(at) in HIDDEN else plan.word(at, 4) & 0xFFFFF
        plan.put(at, 4, low | after << 20)
