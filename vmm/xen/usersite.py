"""Where a guest makes its hypercalls, and how they become exits without KVM's help.

Kernels call VMCALL or VMMCALL directly, each at a single place: two functions of one instruction.
KVM answers both instructions itself, so that place is found and patched to OUT, or gets a hardware
breakpoint. A kernel that the VMM itself puts into memory is searched there. One that unpacks
itself at a random address is searched when it first writes EFER or GS_BASE: MSRs that every kernel
sets before it can make a call, and that exit until then.
"""

from __future__ import annotations

from struct import pack

from vmm import log
from vmm.errors import HostError
from vmm.native import ffi, lib
from vmm.xen import abi
from vmm.xen.efer import MSR_EFER, guest_may_write

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vmm.kvm.vcpu import KvmVcpu
    from vmm.kvm.vm import Vm
    from vmm.memory import Accessor

GS_BASE = 0xC0000101
SPAN = 64 << 20  # a kernel's code around where it starts, in bytes, upwards; half of it downwards
FINE = 1 << 21
TRIES_MAX = 64  # searches in a kernel's life: each takes milliseconds, and the guest asks for them
OUT = b"\xe6" + bytes([lib.XENUS_PORT])  # out %al, $port
PATCH = OUT + b"\x90"  # in place of VMCALL or VMMCALL, with nop
PAGE_CALLS, STUB = 128, 32  # of the hypercall page
HYPERVISOR_IRET = 23  # is none for an HVM guest
HIGH_HALF = 1 << 63


class Interception:
    """One domain's. Context: a vCPU's thread, or no vCPU runs."""

    def __init__(
        self, vm: Vm, memory: Accessor, msr: int = abi.HYPERCALL_MSR, *, breakpoints: bool
    ) -> None:
        self._vm, self._memory, self._msr = vm, memory, msr
        self.breakpoints = breakpoints
        self.how = ""  # by what the place was found
        self._tries = 0
        self.linear: tuple[int, int] | None = None  # of VMMCALL and VMCALL, for breakpoints
        self._exits = bool(vm.check_extension("KVM_CAP_X86_MSR_FILTER"))
        if breakpoints and not self._exits:
            raise HostError(
                "KVM here lacks KVM_CAP_X86_MSR_FILTER, which --xen-calls breakpoint needs; "
                "use --xen-calls patch"
            )
        if self._exits:
            vm.enable_cap("KVM_CAP_X86_USER_SPACE_MSR", lib.KVM_MSR_EXIT_REASON_FILTER)

    def arm(self) -> None:
        """Another kernel will run: its place is yet to be found."""
        self.how, self.linear, self._tries = "", None, 0
        self._watch(self._msr, MSR_EFER, GS_BASE)

    def _watch(self, *indices: int) -> None:
        if self._exits:
            self._vm.exit_on_msr_writes(indices)

    def look_in(self, pieces: list[tuple[int, int]]) -> None:
        """The kernel lies there, as (base, length), and has not run yet."""
        if self.breakpoints:
            return  # where it will run is not known
        for base, length in pieces:
            found = self._search(base, base + length)
            if found is not None:
                return self._patch(found, "image")
        return None

    def written(self, vcpu: KvmVcpu, index: int, value: int) -> bool:
        """A kernel that starts writes one of its MSRs. False: it may not have that value."""
        if index == MSR_EFER and not guest_may_write(vcpu, value):
            return False
        if vcpu.set_msrs({index: value}):
            return False
        if self.how and (self.linear is None or self.linear[0] >= HIGH_HALF):
            return True  # another vCPU was first
        self._tries += 1
        if self._tries >= TRIES_MAX:
            self._settle()
        rip = int(vcpu.get_regs().rip)
        at = vcpu.translate(rip)
        if at is None:
            return True
        found = self._search(at & -FINE, at + SPAN) or self._search(at - SPAN // 2, at + FINE)
        if found is None:
            return True
        if not self.breakpoints:
            self._patch(found, "MSR")
            return True
        # A kernel that is to move to the high half has yet to do so: looked at again there.
        self.how = "breakpoint"
        self.linear = (rip + found[0] - at, rip + found[1] - at)
        if rip >= HIGH_HALF:
            self._settle()
        return True

    def _search(self, start: int, end: int) -> tuple[int, int] | None:
        """Guest-physical addresses of VMMCALL and VMCALL in RAM within these bounds."""
        distance = ffi.new("uint32_t *")
        for base, size in self._memory.memory.ranges():
            first, last = max(start, base), min(end, base + size)
            if first >= last:
                continue
            piece = ffi.from_buffer(self._memory.view(first, last - first)[0])
            offset = lib.xenus_find_site(piece, last - first, distance)
            if offset >= 0:
                return first + offset, first + offset + distance[0]
        return None

    def _patch(self, places: tuple[int, int], how: str) -> None:
        for gpa in places:
            self._memory.write(gpa, PATCH)
        self.how = how
        self._settle()
        log.event("xen.hypercalls_found", by=how, vmmcall=places[0], vmcall=places[1])

    def _settle(self) -> None:
        self._watch(self._msr)

    def fill_page(self, value: int) -> None:
        """The guest wants stubs in the page at `value`: each loads its number and makes the call.

        What is no RAM is none of its pages; Xen would fault the write.
        """
        page = bytearray(b"\xcc" * abi.PAGE)  # int3
        for number in range(PAGE_CALLS):
            code = b"\xb8" + pack("<I", number) + OUT + b"\xc3"  # mov $number, %eax; out; ret
            if number == HYPERVISOR_IRET:
                code = b"\x0f\x0b"  # ud2
            page[number * STUB : number * STUB + len(code)] = code
        try:
            self._memory.write(value & -abi.PAGE, page)
        except ValueError:
            log.limited("xen.hypercall_page_refused", "info", gpa=value)
