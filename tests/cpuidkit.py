"""A small CPUID table as KVM gives it, and tables built from it."""

from __future__ import annotations

from vmm.kvm import cpuid, features
from vmm.values import read_cpu

CAPS = {"KVM_CAP_TSC_DEADLINE_TIMER": 1}
INDEXED = 1


def text(name: str) -> tuple[int, int, int]:
    raw = name.encode()
    return tuple(int.from_bytes(raw[at : at + 4], "little") for at in (0, 8, 4))  # type: ignore[return-value]


def host(
    *, vendor: str = "AuthenticAMD", leaf1: str = "", topoext: bool = True
) -> list[cpuid.CpuidEntry]:
    """A small table as KVM gives it: a few features, two caches, the KVM leaves."""
    table = features.table()
    ecx = sum(1 << table[name][3] for name in ("xsave", "avx", "fma", "pni", *leaf1.split()))
    edx = sum(1 << table[name][3] for name in ("fpu", "apic", "fxsr", "sse", "sse2", "tsc"))
    cache = 4 if vendor == "GenuineIntel" else 0x8000001D
    return [
        (0, 0, 0, 0xD, *text(vendor)),
        (1, 0, 0, 0x00A20F12, 0x07100800, ecx, edx),
        (7, 0, INDEXED, 0, 1 << 5 | 1 << 16, 0, 0),
        (0xB, 0, INDEXED, 0, 0, 0, 7),
        (0xD, 0, INDEXED, 0xE7, 0x980, 0x980, 0),
        (0xD, 2, INDEXED, 0x100, 0x240, 0, 0),
        (0xD, 5, INDEXED, 0x40, 0x340, 0, 0),
        (0xD, 6, INDEXED, 0x200, 0x380, 0, 0),
        (0xD, 7, INDEXED, 0x400, 0x580, 0, 0),
        (cache, 0, INDEXED, 0x121, 0x02C0003F, 0x3F, 0),
        (cache, 1, INDEXED, 0x163, 0x03C0003F, 0x7FFF, 1),
        (0x80000000, 0, 0, 0x80000021, *text(vendor)),
        (0x80000001, 0, 0, 0x00A20F12, 0, topoext << 22, 1 << 29 | 1 << 20),
        (0x80000008, 0, 0, 0x3030, 0, 0x7001, 0),
        (0x8000001E, 0, 0, 0, 0, 0, 0),
        (0x40000000, 0, 0, 0x40000001, *text("KVMKVMKVM\0\0\0")),
        (0x40000001, 0, 0, 0x01007EFB, 0, 0, 0),
    ]


def build(
    spec: str = "host", cpus: int = 1, vcpu_id: int = 0, **about: object
) -> dict[tuple[int, int], tuple[int, ...]]:
    caps = about.pop("caps", CAPS)
    khz = about.pop("tsc_khz", 2_500_000)
    entries = cpuid.build(host(**about), read_cpu(spec), cpus, vcpu_id, caps, khz)  # type: ignore[arg-type]
    return {entry[:2]: entry for entry in entries}
