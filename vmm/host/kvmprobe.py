"""A throw-away VM that runs the steps of `kvmsteps.py` one by one and says which ones KVM can do.

It has one vCPU, no devices and no interrupt controller, so HLT comes back to us. It stands below
`vmm.kvm` in the order of imports and speaks to KVM directly.
"""

from __future__ import annotations

import os

from vmm.errors import HostError, KvmError
from vmm.host import kvmsteps as steps
from vmm.native import Fd, ffi, lib, made

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

DEADLINE = 1.0  # seconds for all steps; they take milliseconds, unless KVM lost its way
CPUID_MAX = 256
TSS_GPA = 0xFEFFD000  # three pages of nothing, for Intel hosts
NEEDED = {"KVM_CAP_USER_MEMORY": "guest memory", "KVM_CAP_IRQCHIP": "local APICs"}

CR0 = 0x80050033  # PG, AM, WP, NE, ET, MP, PE
CR4_PAE, CR4_OSFXSR, CR4_OSXMMEXCPT, CR4_OSXSAVE = 1 << 5, 1 << 9, 1 << 10, 1 << 18
EFER = 0x501  # LMA, LME, SCE
RFLAGS_FIXED = 2
MSR_STAR, MSR_LSTAR = 0xC0000081, 0xC0000082
XSAVE = (1, steps.ECX, 26)


class Probe:
    """The VM. Use as a context manager."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._open: list[Any] = []
        try:
            self._build(path)
        except BaseException:
            self.close()
            raise

    def _build(self, path: str) -> None:
        self.system = self._own(Fd(os.open(path, os.O_RDWR | os.O_CLOEXEC)))
        for name, purpose in NEEDED.items():
            if not self.system.ioctl_value("KVM_CHECK_EXTENSION", getattr(lib, name)):
                raise HostError(f"{path} lacks {name}, needed for {purpose}")
        self.vm = self._own(Fd(self.system.ioctl_value("KVM_CREATE_VM")))
        self.vm.ioctl_value("KVM_SET_TSS_ADDR", TSS_GPA)
        self._map_memory()
        self.fd = self._own(Fd(self.vm.ioctl_value("KVM_CREATE_VCPU")))
        self._set_cpuid()
        self._set_msrs()
        self._make_loop()
        self._sregs = ffi.new("struct kvm_sregs *")
        self.fd.ioctl("KVM_GET_SREGS", self._sregs)
        _fill_sregs(self._sregs, xsave=self.has(XSAVE))

    def _own(self, part: Any) -> Any:
        self._open.append(part)
        return part

    def close(self) -> None:
        self.vcpu: Any = None  # unmaps kvm_run before the descriptors close
        while self._open:
            self._open.pop().close()

    def __enter__(self) -> Probe:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def _map_memory(self) -> None:
        import mmap

        self.memory = mmap.mmap(-1, steps.SIZE)
        self.memory[:] = steps.image()
        address = int(ffi.cast("uintptr_t", ffi.from_buffer(self.memory)))
        region = {"memory_size": steps.SIZE, "userspace_addr": address}
        self.vm.ioctl(
            "KVM_SET_USER_MEMORY_REGION", ffi.new("struct kvm_userspace_memory_region *", region)
        )

    def _set_cpuid(self) -> None:
        table = ffi.new("struct kvm_cpuid2 *", {"nent": CPUID_MAX, "entries": CPUID_MAX})
        self.system.ioctl("KVM_GET_SUPPORTED_CPUID", table)
        self.fd.ioctl("KVM_SET_CPUID2", table)
        self.leaves = {
            entry.function: (entry.eax, entry.ebx, entry.ecx, entry.edx)
            for entry in table.entries[0 : table.nent]
            if entry.index == 0
        }

    def has(self, leaf: tuple[int, int, int] | None) -> bool:
        """Whether KVM shows a guest this CPUID bit: function, register 0..3, bit."""
        if leaf is None:
            return True
        function, register, bit = leaf
        return bool(self.leaves.get(function, (0, 0, 0, 0))[register] >> bit & 1)

    def _set_msrs(self) -> None:
        table = ffi.new("struct kvm_msrs *", {"nmsrs": 2, "entries": 2})
        star = steps.CS << 32 | steps.USER_BASE << 48
        for entry, values in zip(
            table.entries, ((MSR_STAR, star), (MSR_LSTAR, steps.FROM_USER)), strict=False
        ):
            entry.index, entry.data = values
        self.fd.ioctl("KVM_SET_MSRS", table)

    def _make_loop(self) -> None:
        buses = [made(lib.bus_create(1 << bits), lib.bus_destroy, "a bus") for bits in (16, 52)]
        core = made(
            lib.vmcore_create(self.vm.number, *buses), lib.vmcore_destroy, "the probe", *buses
        )
        size = self.system.ioctl_value("KVM_GET_VCPU_MMAP_SIZE")
        pointer = lib.vcpu_create(core, self.fd.number, 0, size, 0)
        self.vcpu = made(pointer, lib.vcpu_destroy, "the probe's vCPU", core)
        self._event = ffi.new("struct vcpu_event *")

    def passes(self, step: steps.Step) -> bool:
        """Runs a step. False: KVM gave up on it, or it faulted. HostError: it had to be kicked."""
        end = steps.STEP + len(step.code)
        self.memory[steps.STEP : end] = step.code
        self.memory[steps.SCRATCH : steps.STACK] = bytes(steps.STACK - steps.SCRATCH)
        self.fd.ioctl("KVM_SET_SREGS", self._sregs)
        regs = {"rip": steps.STEP, "rsp": steps.SIZE, "rsi": steps.SCRATCH, "rflags": RFLAGS_FIXED}
        self.fd.ioctl("KVM_SET_REGS", ffi.new("struct kvm_regs *", regs))
        if step.interrupt:
            self.fd.ioctl("KVM_INTERRUPT", ffi.new("uint32_t *", steps.VECTOR_INTERRUPT))
        result = lib.vcpu_run(self.vcpu, self._event)
        if result == 0 and self._event.kind == lib.VCPU_KICKED:
            raise HostError(f"{self.path} never comes back from a guest that runs `{step.source}`")
        if result != 0 or self._event.kind != lib.VCPU_HLT:
            return False
        now = ffi.new("struct kvm_regs *")
        self.fd.ioctl("KVM_GET_REGS", now)
        return bool(now.rip == (end if step.end is None else step.end + len(steps.HLT)))

    def kick(self) -> None:
        """Ends the step that runs now, or else the next. Any thread."""
        lib.vcpu_kick(self.vcpu, lib.VCPU_REQUEST_COMMANDS)


def _fill_sregs(sregs: Any, *, xsave: bool) -> None:
    for name in ("cs", "ds", "es", "fs", "gs", "ss"):
        code, segment = name == "cs", getattr(sregs, name)
        segment.base, segment.limit, segment.present, segment.s, segment.g = 0, 0xFFFFFFFF, 1, 1, 1
        segment.type, segment.l, segment.db = (0xB, 1, 0) if code else (0x3, 0, 1)
        segment.selector, segment.dpl, segment.unusable = steps.CS if code else steps.DS, 0, 0
    tss = sregs.tr
    tss.base, tss.limit, tss.selector, tss.type = steps.SCRATCH, 0x67, steps.TSS, 0xB
    tss.present, tss.s, tss.unusable = 1, 0, 0
    sregs.gdt.base, sregs.gdt.limit = steps.GDT, steps.USER_BASE + 23
    sregs.idt.base, sregs.idt.limit = steps.IDT, 0xFFF
    sregs.cr0, sregs.cr3, sregs.efer = CR0, steps.PML4, EFER
    sregs.cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT | (CR4_OSXSAVE if xsave else 0)


def failures(probe: Probe) -> tuple[list[str], list[str]]:
    """The instructions and the abilities that failed, by name."""
    from threading import Timer

    lib.vcpu_kick_signal_init()
    deadline = Timer(DEADLINE, probe.kick)
    deadline.daemon = True
    deadline.start()
    try:
        found = [
            [step.can for step in group if probe.has(step.leaf) and not probe.passes(step)]
            for group in (steps.INSTRUCTIONS, steps.ABILITIES)
        ]
    finally:
        deadline.cancel()
        deadline.join()
    return found[0], found[1]


def problem(path: str) -> str | None:
    """One sentence without its full stop, or None. OSError if `path` cannot be opened."""
    try:
        with Probe(path) as probe:
            instructions, abilities = failures(probe)
    except KvmError as error:
        return f"{path} cannot run a virtual machine: {error}"
    except HostError as error:
        return str(error)
    if instructions:
        return f"{path} cannot run {_listing(instructions)} in guest kernel mode"
    if abilities:
        return f"{path} cannot {_listing(abilities)} in 64-bit mode"
    return None


def _listing(names: list[str], shown: int = 3) -> str:
    """ "A", "A and B", "A, B, C and 4 more"."""
    rest = len(names) - shown
    words = [*names[:shown], f"{rest} more"] if rest > 0 else names
    return " and ".join((", ".join(words[:-1]), words[-1])) if len(words) > 1 else words[0]
