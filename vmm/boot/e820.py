"""The memory map a guest is told, as BIOS call e820 gives it: (base, length, type), ascending."""

from __future__ import annotations

from vmm import layout

RAM, RESERVED, ACPI, NVS = 1, 2, 3, 4

# Real-mode Intel guests without unrestricted mode execute from these pages of KVM's.
KVM_PAGES = (layout.KVM_IDENTITY_MAP, layout.KVM_TSS + 3 * layout.PAGE - layout.KVM_IDENTITY_MAP)


def memory_map(
    ram: list[tuple[int, int]], reserved: tuple[tuple[int, int], ...] = ()
) -> list[tuple[int, int, int]]:
    """The map for `ram` ranges, with the legacy area below 1 MiB and `reserved` areas taken out.

    `reserved` areas are (base, length), in RAM or outside; they must not overlap one another.
    """
    holes = sorted([(layout.EBDA, layout.HIGH_MEMORY - layout.EBDA), KVM_PAGES, *reserved])
    found = [(base, length, RESERVED) for base, length in holes]
    for base_of_ram, size in ram:
        start, end = base_of_ram, base_of_ram + size
        for base, length in holes:
            if base >= end or base + length <= start:
                continue
            if base > start:
                found.append((start, base - start, RAM))
            start = base + length
        if start < end:
            found.append((start, end - start, RAM))
    return sorted(found)
