"""A vCPU descriptor: registers, CPUID, MSRs, local APIC, events.

The ioctls of a vCPU take its lock in the kernel and therefore block while it is in KVM_RUN: call
these only from the vCPU's own thread, or before that thread has started.
"""

from __future__ import annotations

from vmm.native import Fd, ffi, lib

CR4_PGE = 1 << 7
CPUID_MAX = 256  # KVM_MAX_CPUID_ENTRIES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from vmm.kvm.cpuid import CpuidEntry


class KvmVcpu:
    """One method per ioctl; structures are cffi ones with the uapi's field names."""

    def __init__(self, fd: Fd, vcpu_id: int) -> None:
        self.fd = fd
        self.id = vcpu_id

    def close(self) -> None:
        self.fd.close()

    def _get(self, name: str, ctype: str) -> Any:
        value = ffi.new(f"struct {ctype} *")
        self.fd.ioctl(name, value, about=f"vCPU {self.id}")
        return value

    def _set(self, name: str, value: Any) -> None:
        self.fd.ioctl(name, value, about=f"vCPU {self.id}")

    def get_regs(self) -> Any:
        return self._get("KVM_GET_REGS", "kvm_regs")

    def set_regs(self, regs: Any) -> None:
        self._set("KVM_SET_REGS", regs)

    def get_sregs(self) -> Any:
        return self._get("KVM_GET_SREGS", "kvm_sregs")

    def set_sregs(self, sregs: Any) -> None:
        self._set("KVM_SET_SREGS", sregs)

    def get_mp_state(self) -> int:
        """KVM_MP_STATE_*."""
        return int(self._get("KVM_GET_MP_STATE", "kvm_mp_state").mp_state)

    def set_mp_state(self, state: int) -> None:
        self._set("KVM_SET_MP_STATE", ffi.new("struct kvm_mp_state *", {"mp_state": state}))

    def get_vcpu_events(self) -> Any:
        return self._get("KVM_GET_VCPU_EVENTS", "kvm_vcpu_events")

    def set_vcpu_events(self, events: Any) -> None:
        self._set("KVM_SET_VCPU_EVENTS", events)

    def get_lapic(self) -> bytes:
        """The local APIC's register page, 1024 bytes."""
        return bytes(ffi.buffer(self._get("KVM_GET_LAPIC", "kvm_lapic_state")))

    def set_lapic(self, page: bytes) -> None:
        state = ffi.new("struct kvm_lapic_state *")
        ffi.memmove(state, page, min(len(page), ffi.sizeof(state[0])))
        self._set("KVM_SET_LAPIC", state)

    def get_xcrs(self) -> Any:
        return self._get("KVM_GET_XCRS", "kvm_xcrs")

    def set_xcrs(self, xcrs: Any) -> None:
        self._set("KVM_SET_XCRS", xcrs)

    def get_xsave(self, size: int) -> bytes:
        """FPU state in `size` bytes (KVM_CAP_XSAVE2's value, or 4096)."""
        area = ffi.new("char[]", max(size, 4096))
        name = "KVM_GET_XSAVE2" if size > 4096 else "KVM_GET_XSAVE"
        self.fd.ioctl(name, area, about=f"vCPU {self.id}")
        return bytes(ffi.buffer(area))

    def set_xsave(self, area: bytes) -> None:
        self._set("KVM_SET_XSAVE", ffi.from_buffer(area))

    def get_debugregs(self) -> Any:
        return self._get("KVM_GET_DEBUGREGS", "kvm_debugregs")

    def set_debugregs(self, regs: Any) -> None:
        self._set("KVM_SET_DEBUGREGS", regs)

    def set_cpuid2(self, entries: Sequence[CpuidEntry]) -> None:
        table = ffi.new("struct kvm_cpuid2 *", {"nent": len(entries), "entries": len(entries)})
        for slot, entry in zip(table.entries, entries, strict=False):
            slot.function, slot.index, slot.flags, slot.eax, slot.ebx, slot.ecx, slot.edx = entry
        self._set("KVM_SET_CPUID2", table)

    def enforce_hyperv_cpuid(self) -> None:
        """What CPUID does not show of Hyper-V is not there: #GP and HV_STATUS_ACCESS_DENIED."""
        fields = {"cap": lib.KVM_CAP_HYPERV_ENFORCE_CPUID, "args": [1]}
        self._set("KVM_ENABLE_CAP", ffi.new("struct kvm_enable_cap *", fields))

    def get_cpuid2(self) -> dict[int, tuple[int, int, int, int]]:
        """EAX to EDX of each leaf as the guest sees it; of several, the first sub-leaf's."""
        table = ffi.new("struct kvm_cpuid2 *", {"nent": CPUID_MAX, "entries": CPUID_MAX})
        self.fd.ioctl("KVM_GET_CPUID2", table, about=f"vCPU {self.id}")
        rows = reversed(list(table.entries[0 : table.nent]))
        return {row.function: (row.eax, row.ebx, row.ecx, row.edx) for row in rows}

    def get_msrs(self, indices: Sequence[int]) -> dict[int, int]:
        """The MSRs that KVM lets us read, by index; one that it refuses is left out."""
        values: dict[int, int] = {}
        left = list(indices)
        while left:
            table = _msr_table((index, 0) for index in left)
            done = self.fd.ioctl("KVM_GET_MSRS", table, about=f"vCPU {self.id}")
            values.update((e.index, e.data) for e in table.entries[0:done])
            left = left[done + 1 :]  # KVM stops at the first it refuses
        return values

    def set_msrs(self, values: dict[int, int]) -> list[int]:
        """Writes MSRs; returns the indices that KVM refused."""
        refused: list[int] = []
        left = list(values.items())
        while left:
            done = self.fd.ioctl("KVM_SET_MSRS", _msr_table(left), about=f"vCPU {self.id}")
            refused.extend(index for index, _ in left[done : done + 1])
            left = left[done + 1 :]
        return refused

    def setup_mce(self, banks: int, capabilities: int = 0) -> None:
        """KVM_X86_SETUP_MCE: IA32_MCG_CAP with `banks` banks."""
        self.fd.ioctl("KVM_X86_SETUP_MCE", ffi.new("uint64_t *", banks | capabilities))

    def kvmclock_ctrl(self) -> bool:
        """Tells the guest's kvmclock that it was paused; False if the guest has no kvmclock."""
        return bool(lib.sys_ioctl_value(self.fd.number, lib.KVM_KVMCLOCK_CTRL, 0) == 0)

    def set_tsc_khz(self, khz: int) -> None:
        self.fd.ioctl_value("KVM_SET_TSC_KHZ", khz, about=f"vCPU {self.id}")

    def get_tsc_khz(self) -> int:
        return self.fd.ioctl_value("KVM_GET_TSC_KHZ")

    def nmi(self) -> None:
        self.fd.ioctl_value("KVM_NMI")

    def flush_tlb(self) -> None:
        """Forgets the guest's translations: KVM does so when CR4.PGE changes."""
        sregs = self.get_sregs()
        sregs.cr4 ^= CR4_PGE
        self.set_sregs(sregs)
        sregs.cr4 ^= CR4_PGE
        self.set_sregs(sregs)

    def xen_set_attr(self, attr: Any) -> None:
        self._set("KVM_XEN_VCPU_SET_ATTR", attr)

    def xen_get_attr(self, attr: Any) -> None:
        """Fills `attr`, a `struct kvm_xen_vcpu_attr *` whose type is set."""
        self._set("KVM_XEN_VCPU_GET_ATTR", attr)

    def translate(self, linear: int) -> int | None:
        """The guest-physical address behind a linear one, None if it is not mapped."""
        t = ffi.new("struct kvm_translation *", {"linear_address": linear})
        self.fd.ioctl("KVM_TRANSLATE", t)
        return int(t.physical_address) if t.valid else None

    def get_stats_fd(self) -> Fd:
        return Fd(self.fd.ioctl_value("KVM_GET_STATS_FD"))


def _msr_table(pairs: Iterable[tuple[int, int]]) -> Any:
    items = list(pairs)
    table = ffi.new("struct kvm_msrs *", {"nmsrs": len(items), "entries": len(items)})
    for slot, (index, data) in zip(table.entries, items, strict=False):
        slot.index, slot.data = index, data
    return table
