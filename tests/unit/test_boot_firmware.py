"""SMBIOS and MP tables, and the memory map: structure, checksums, limits."""

from __future__ import annotations

from struct import unpack_from

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import bootkit
from vmm import layout
from vmm.boot import AcpiConfig, BootConfig, firmware, mptable, smbios
from vmm.boot.e820 import RAM, RESERVED, memory_map
from vmm.boot.loader import Loader
from vmm.errors import BootError

GIB, MIB = layout.GIB, layout.MIB


def structures(data: bytes) -> list[tuple[int, bytes, list[bytes]]]:
    """(type, formatted part, strings) as a guest walks them."""
    (length,) = unpack_from("<I", data, 12)
    table = data[unpack_from("<Q", data, 16)[0] - layout.SMBIOS :]
    assert len(table) == length
    found = []
    at = 0
    while at < len(table):
        formatted = table[at : at + table[at + 1]]
        end = table.index(b"\0\0", at + len(formatted)) + 2
        strings = table[at + len(formatted) : end - 2].split(b"\0")
        found.append((formatted[0], formatted, [s for s in strings if s]))
        at = end
    return found


def test_the_smbios_anchor_is_found_and_sums_to_zero() -> None:
    data = smbios.build(layout.ram_ranges(256 * MIB), 1)

    assert data[:5] == b"_SM3_"
    assert layout.SMBIOS % 16 == 0
    assert sum(data[: data[6]]) & 0xFF == 0


def test_smbios_describes_the_machine() -> None:
    found = structures(smbios.build(layout.ram_ranges(6 * GIB), 300))

    assert [kind for kind, _, _ in found] == [0, 1, 3, 4, 16, 17, 19, 19, 32, 127]
    by_kind = {kind: formatted for kind, formatted, _ in found}
    assert by_kind[0][0x13] & 0x10  # the system is a virtual machine
    assert unpack_from("<H", by_kind[4], 0x2A)[0] == 300
    assert by_kind[4][0x23] == 255
    assert unpack_from("<H", by_kind[17], 0x0C)[0] == 6 * 1024
    assert unpack_from("<Q", by_kind[16], 0x0F)[0] == 6 * GIB
    ends = [unpack_from("<QQ", f, 0x0F) for kind, f, _ in found if kind == 19]
    assert ends == [(0, 3 * GIB - 1), (4 * GIB, 7 * GIB - 1)]
    assert found[1][2][0] == b"vmm"


def test_smbios_memory_beyond_16_bits_of_mib_is_in_the_extended_size() -> None:
    found = structures(smbios.build([(0, 64 * GIB)], 1))

    (device,) = [f for kind, f, _ in found if kind == 17]
    assert unpack_from("<H", device, 0x0C)[0] == 0x7FFF
    assert unpack_from("<I", device, 0x1C)[0] == 64 * 1024


def entries_of(table: bytes) -> list[bytes]:
    at, found = 44, []
    while at < len(table):
        size = 20 if table[at] == 0 else 8
        found.append(table[at : at + size])
        at += size
    return found


def test_the_mp_table_lists_processors_and_isa_interrupts() -> None:
    pointer, table = mptable.build((0, 1, 2), pic=True)

    assert pointer[:4] == b"_MP_"
    assert unpack_from("<I", pointer, 4)[0] == layout.MP_TABLE
    assert (len(pointer), sum(pointer) & 0xFF) == (16, 0)
    assert table[:4] == b"PCMP"
    assert sum(table) & 0xFF == 0
    assert unpack_from("<H", table, 4)[0] == len(table)
    entries = entries_of(table)
    assert len(entries) == unpack_from("<H", table, 34)[0]
    assert [(e[1], e[3]) for e in entries if e[0] == 0] == [(0, 3), (1, 1), (2, 1)]
    pins = {e[5]: e[7] for e in entries if e[0] == 3}
    assert pins == {irq: 2 if irq == 0 else irq for irq in range(16) if irq != 2}
    assert [(e[1], e[7]) for e in entries if e[0] == 4] == [(3, 0), (1, 1)]


def test_the_mp_table_has_no_timer_and_no_pic_where_there_are_none() -> None:
    entries = entries_of(mptable.build((0,), pic=False)[1])

    assert {e[5]: e[7] for e in entries if e[0] == 3} == {n: n for n in range(1, 16) if n != 2}
    assert [(e[1], e[7]) for e in entries if e[0] == 4] == [(1, 1)]


def test_the_largest_mp_table_fits() -> None:
    _pointer, table = mptable.build(tuple(range(layout.MAX_VCPUS)), pic=True)

    assert layout.MP_TABLE + len(table) <= layout.RESET_VECTOR


def test_an_mp_table_without_room_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mptable, "AREA", 100)

    with pytest.raises(BootError, match="fewer vCPUs"):
        mptable.build((0, 1), pic=True)


def test_firmware_writes_what_is_asked_for() -> None:
    memory = bootkit.Memory()
    loader = Loader(memory)
    config = BootConfig(kernel="k", acpi=AcpiConfig(), mptable=True)

    rsdp = firmware.place(loader, config)

    assert memory.read(rsdp, 8) == b"RSD PTR "
    assert memory.read(layout.EBDA, 4) == b"_MP_"
    names = ["ACPI tables", "ACPI RSDP", "SMBIOS", "MP table pointer", "MP table", "reset vector"]
    assert [p.name for p in loader.pieces] == names


def test_firmware_writes_only_the_reset_vector_if_nothing_is_asked_for() -> None:
    memory = bootkit.Memory()
    loader = Loader(memory)

    rsdp = firmware.place(loader, BootConfig(kernel="k", smbios=False))

    assert rsdp == 0
    assert [p.name for p in loader.pieces] == ["reset vector"]


@given(
    st.integers(1, 24 * 1024).map(lambda mib: mib * MIB),
    st.sets(st.integers(0, 200), max_size=4),
)
def test_memory_maps_are_ordered_disjoint_and_complete(size: int, slots: set[int]) -> None:
    ram = layout.ram_ranges(size)
    reserved = tuple((MIB + slot * 64 * MIB, 3 * MIB) for slot in slots)

    entries = memory_map(ram, reserved)

    ends = [base + length for base, length, _ in entries]
    assert all(end <= base for end, (base, _, _) in zip(ends, entries[1:], strict=False))
    assert all(length > 0 for _, length, _ in entries)
    holes = [(layout.EBDA, MIB), *((base, base + length) for base, length in reserved)]
    taken = sum(
        max(0, min(end, base + length) - max(start, base))
        for start, end in holes
        for base, length in ram
    )
    assert sum(length for _, length, kind in entries if kind == RAM) == size - taken


def test_kvms_own_pages_are_reserved() -> None:
    assert (layout.KVM_IDENTITY_MAP, 0x4000, RESERVED) in memory_map([(0, 256 * MIB)])


def test_find_takes_the_highest_free_place() -> None:
    loader = Loader(bootkit.Memory(64 * MIB))
    loader.claim("top", 60 * MIB, 4 * MIB)
    loader.claim("middle", 32 * MIB, MIB)

    assert loader.find(MIB, 1 << 32) == 59 * MIB
    assert loader.find(28 * MIB, 1 << 32) == 4 * MIB
    assert loader.find(MIB, 33 * MIB) == 31 * MIB
    assert loader.find(31 * MIB + 1, 1 << 32) is None


def test_find_prefers_memory_above_4_gib_only_within_the_limit() -> None:
    loader = Loader(bootkit.Memory(6 * GIB))

    assert loader.find(MIB, 1 << 46) == 7 * GIB - MIB
    assert loader.find(MIB, 4 * GIB) == 3 * GIB - MIB
