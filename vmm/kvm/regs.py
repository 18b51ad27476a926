"""The registers a vCPU starts with, for each way into a boot image.

real16: as after reset, but at a chosen address below 1 MiB. protected32: flat 4 GiB segments,
paging off (PVH start info ABI, multiboot 1 section 3.2). long64: paging on with the tables at
layout.BOOT_PAGE_TABLES (Linux x86 boot protocol, 64-bit entry).
"""

from __future__ import annotations

from vmm import layout
from vmm.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from vmm.kvm.vcpu import KvmVcpu

CR0_PE, CR0_ET, CR0_PG = 1 << 0, 1 << 4, 1 << 31
CR4_PAE = 1 << 5
EFER_LME, EFER_LMA = 1 << 8, 1 << 10
RFLAGS_FIXED = 1 << 1

CODE, DATA, TSS = 0xB, 0x3, 0xB  # segment types: execute/read/accessed, read/write/accessed, busy
BOOT_CS, BOOT_DS, BOOT_TR = 0x10, 0x18, 0x20  # selectors in the boot GDT


class EntryState(Record):
    """Where the boot vCPU starts.

    `mode` is "real16" (CS base 0), "protected32" (flat 4 GiB segments, paging off) or "long64"
    (identity page tables at `layout.BOOT_PAGE_TABLES`). The last two find a GDT at `layout.GDT`
    whose selectors are `layout.BOOT_CS` and `layout.BOOT_DS`. `regs` holds general registers by
    their 64-bit names; those not named start as zero.
    """

    mode: str
    rip: int
    regs: dict[str, int]


def enter(vcpu: KvmVcpu, entry: EntryState) -> None:
    """Sets segments, control registers and general registers of the boot vCPU."""
    sregs = vcpu.get_sregs()
    if entry.mode == "real16":
        _real_mode(sregs)
    elif entry.mode in ("protected32", "long64"):
        _flat(sregs, long_mode=entry.mode == "long64")
    else:
        raise ValueError(f"unknown entry mode {entry.mode}")
    vcpu.set_sregs(sregs)
    regs = vcpu.get_regs()
    for name in ("rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp"):
        setattr(regs, name, entry.regs.get(name, 0))
    regs.rip = entry.rip
    regs.rflags = RFLAGS_FIXED
    vcpu.set_regs(regs)


def _segment(seg: Any, kind: int, selector: int, **more: int) -> None:
    fields = {"base": 0, "limit": 0xFFFFFFFF, "type": kind, "selector": selector, "present": 1}
    fields |= {"dpl": 0, "db": 1, "s": 1, "l": 0, "g": 1, "avl": 0, "unusable": 0}
    for name, value in (fields | more).items():
        setattr(seg, name, value)


def _real_mode(sregs: Any) -> None:
    for name in ("cs", "ds", "es", "fs", "gs", "ss"):
        kind = CODE if name == "cs" else DATA
        _segment(getattr(sregs, name), kind, 0, limit=0xFFFF, db=0, g=0)


def _flat(sregs: Any, *, long_mode: bool) -> None:
    _segment(sregs.cs, CODE, BOOT_CS, l=int(long_mode), db=int(not long_mode))
    for name in ("ds", "es", "fs", "gs", "ss"):
        _segment(getattr(sregs, name), DATA, BOOT_DS)
    _segment(sregs.tr, TSS, BOOT_TR, limit=0x67, s=0, db=0, g=0)
    sregs.gdt.base, sregs.gdt.limit = layout.GDT, 5 * 8 - 1
    sregs.idt.base, sregs.idt.limit = 0, 0
    sregs.cr0 = CR0_PE | CR0_ET
    sregs.cr3, sregs.cr4, sregs.efer = 0, 0, 0
    if long_mode:
        sregs.cr3 = layout.BOOT_PAGE_TABLES
        sregs.cr4 = CR4_PAE
        sregs.cr0 |= CR0_PG
        sregs.efer = EFER_LME | EFER_LMA
