"""SMBIOS 3.0 entry point and structures (DMTF DSP0134): what `dmidecode` shows a guest."""

from __future__ import annotations

from struct import pack

from vmm import layout

ANCHOR_SIZE = 24
TABLE_OFFSET = 32  # behind the anchor, 16-byte aligned
VENDOR, PRODUCT, VERSION, RELEASED = "vmm", "virtual machine", "1.0", "01/01/2026"

BIOS, SYSTEM, CHASSIS, PROCESSOR, MEMORY_ARRAY, MEMORY_DEVICE, MEMORY_MAPPED = (
    0,
    1,
    3,
    4,
    16,
    17,
    19,
)
BOOT_INFO, END = 32, 127
IN_MACHINE = 1 << 4  # BIOS characteristics extension byte 2: the system is a virtual machine
DEVICE_MAX = 0x7FFF  # MiB in a memory device's 16-bit size; more goes into the extended field


def build(ram: list[tuple[int, int]], cpus: int) -> bytes:
    """Entry point and table for layout.SMBIOS, where guests scan for the anchor."""
    total = sum(size for _, size in ram)
    structures = [
        _bios(),
        _system(),
        _chassis(),
        _processor(cpus),
        _memory_array(total),
        _memory_device(total),
        *(_memory_mapped(index, base, size) for index, (base, size) in enumerate(ram)),
        _structure(BOOT_INFO, 0x2000, bytes(6) + b"\0"),
        _structure(END, 0x7F00, b""),
    ]
    table = b"".join(structures)
    anchor = bytearray(
        pack(
            "<5sBBBBBBBIQ",
            b"_SM3_",
            0,
            ANCHOR_SIZE,
            3,
            0,
            0,
            1,
            0,
            len(table),
            layout.SMBIOS + TABLE_OFFSET,
        )
    )
    anchor[5] = -sum(anchor) & 0xFF
    return bytes(anchor).ljust(TABLE_OFFSET, b"\0") + table


def _structure(kind: int, handle: int, body: bytes, *strings: str) -> bytes:
    head = pack("<BBH", kind, 4 + len(body), handle)
    text = b"".join([s.encode("ascii") + b"\0" for s in strings])
    return head + body + (text or b"\0") + b"\0"


def _bios() -> bytes:
    characteristics = 1 << 3  # "not supported": no BIOS services are there
    body = pack(
        "<BBHBBQBBBBBB", 1, 2, 0xE000, 3, 0, characteristics, 0, IN_MACHINE, 1, 0, 0xFF, 0xFF
    )
    return _structure(BIOS, 0x0000, body, VENDOR, VERSION, RELEASED)


def _system() -> bytes:
    no_uuid = b"\xff" * 16  # "not present, can be set"
    body = pack("<BBBB16sBBB", 1, 2, 3, 0, no_uuid, 6, 0, 0)  # 6: woken by power switch
    return _structure(SYSTEM, 0x0100, body, VENDOR, PRODUCT, VERSION)


def _chassis() -> bytes:
    # other kind; boot-up, power and thermal state safe (3); security none (3)
    body = pack("<BBBBBBBBBIBBBBB", 1, 1, 2, 0, 0, 3, 3, 3, 3, 0, 0, 0, 0, 0, 0)
    return _structure(CHASSIS, 0x0300, body, VENDOR, VERSION)


def _processor(cpus: int) -> bytes:
    """One socket. Family, speed and caches are left unknown: CPUID tells them better."""
    small = min(cpus, 255)
    body = pack(
        "<BBBBQBBHHHBBHHHBBBBBBHHHHH",
        *(1, 3, 2, 2, 0, 2, 0, 0, 0, 0),  # socket, central, unknown family, maker, id, version
        *(0x41, 1, 0xFFFF, 0xFFFF, 0xFFFF, 0, 0, 0),  # populated+enabled, upgrade other, no caches
        *(small, small, small, 4, 2, cpus, cpus, cpus),  # 4: 64-bit capable; family 2: unknown
    )
    return _structure(PROCESSOR, 0x0400, body, "CPU 0", VENDOR)


def _memory_array(total: int) -> bytes:
    # on the mainboard (3), system memory (3), no ECC (3); capacity in the 64-bit field
    body = pack("<BBBIHHQ", 3, 3, 3, 0x8000_0000, 0xFFFE, 1, total)
    return _structure(MEMORY_ARRAY, 0x1000, body)


def _memory_device(total: int) -> bytes:
    mib = total // layout.MIB
    size, extended = (mib, 0) if mib < DEVICE_MAX else (DEVICE_MAX, mib)
    # DIMM (9), RAM (7), widths and speeds unknown
    body = pack(
        "<HHHHHBBBBBHHBBBBBIHHHH",
        *(0x1000, 0xFFFE, 0xFFFF, 0xFFFF, size, 9, 0, 1, 0, 7, 4, 0),
        *(2, 0, 0, 0, 0, extended, 0, 0, 0, 0),
    )
    return _structure(MEMORY_DEVICE, 0x1100, body, "DIMM 0", VENDOR)


def _memory_mapped(index: int, base: int, size: int) -> bytes:
    """Always in the 64-bit fields (the 32-bit ones then hold all ones)."""
    body = pack("<IIHBQQ", 0xFFFF_FFFF, 0xFFFF_FFFF, 0x1000, 1, base, base + size - 1)
    return _structure(MEMORY_MAPPED, 0x1300 + index, body)
