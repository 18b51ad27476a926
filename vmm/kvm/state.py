"""A vCPU's state as plain values: saved, restored, and returned to on a machine reset.

All functions are for the vCPU's own thread, or for any thread while the vCPU is parked with its
last access completed. CPUID is not part of it: a vCPU gets its table when it is made, before any of
this. Neither is the state of a nested guest: a vCPU that is inside one loses it.
"""

from __future__ import annotations

from vmm.errors import KvmError, StateError
from vmm.kvm import plain
from vmm.native import ffi, lib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Any

    from vmm.kvm.vcpu import KvmVcpu

VERSION = 1
KEYS = {"regs", "sregs", "xcrs", "xsave", "debugregs", "lapic", "msrs", "mp_state", "events"}

IA32_TSC, IA32_TSC_ADJUST, IA32_TSC_DEADLINE = 0x10, 0x3B, 0x6E0
IA32_FEAT_CTL = 0x3A
IA32_MCG_CAP, IA32_MC0_CTL, MC_REGISTERS, MC_BANKS_MAX = 0x179, 0x400, 4, 32
# Not in KVM's index list: eight pairs of variable MTRRs, the fixed ones, the default type.
MTRRS = (*range(0x200, 0x210), 0x250, 0x258, 0x259, *range(0x268, 0x270), 0x2FF)

MSRS_MAX = 4096
XSAVE_SIZES = range(4096, 1 << 20, 4)
LAPIC_SIZE = 1024
# Registers in the local APIC's page; a 256-bit one lies in eight words, 16 bytes apart.
SVR, ISR, TMR, IRR = 0xF0, 0x100, 0x180, 0x200
SVR_NO_EOI_BROADCAST = 1 << 12


def save(vcpu: KvmVcpu, msr_indices: Iterable[int], caps: Mapping[str, int]) -> dict[str, Any]:
    """Everything a vCPU of the same machine needs to go on from here.

    `msr_indices` is System.msr_indices(); `caps` are capability values by uapi name. Parts that
    this KVM cannot save are None. KvmError when an ioctl fails.
    """
    mp_state = vcpu.get_mp_state()  # first: it makes KVM digest INIT and SIPI that wait
    events = vcpu.get_vcpu_events()
    return {
        "version": VERSION,
        "regs": plain.dump(vcpu.get_regs()),
        "sregs": plain.dump(vcpu.get_sregs()),
        "xcrs": _save_xcrs(vcpu) if caps.get("KVM_CAP_XCRS") else None,
        "xsave": vcpu.get_xsave(_xsave_size(caps)).hex() if caps.get("KVM_CAP_XSAVE") else None,
        "debugregs": plain.dump(vcpu.get_debugregs()) if caps.get("KVM_CAP_DEBUGREGS") else None,
        "lapic": vcpu.get_lapic().hex(),
        "msrs": [[index, value] for index, value in _save_msrs(vcpu, msr_indices).items()],
        "mp_state": mp_state,
        "events": plain.dump(events),
    }


def load(vcpu: KvmVcpu, saved: object) -> None:
    """Puts a vCPU into a saved state.

    StateError for another version and for fields that are missing, unknown or out of range, before
    anything is changed; also for values that KVM refuses, and the vCPU may then hold half of the
    state and must not run.
    """
    _load(vcpu, saved, tsc=None)


def level_vectors(saved: Iterable[Mapping[str, Any]]) -> bytes | None:
    """The level-triggered vectors that some local APIC of these states holds: 256 bits.

    Held is what it has accepted and the guest has not ended. `None` if an APIC keeps ends of
    interrupts to itself: what the I/O APIC then waits for is the guest's own word.
    """
    held = 0
    for vcpu in saved:
        page = bytes.fromhex(vcpu["lapic"])
        if int.from_bytes(page[SVR : SVR + 4], "little") & SVR_NO_EOI_BROADCAST:
            return None
        held |= (_bits(page, ISR) | _bits(page, IRR)) & _bits(page, TMR)
    return held.to_bytes(32, "little")


def _bits(page: bytes, offset: int) -> int:
    words = (page[offset + 16 * n : offset + 16 * n + 4] for n in range(8))
    return int.from_bytes(b"".join(words), "little")


def reset(vcpu: KvmVcpu, saved: object) -> None:
    """Puts a vCPU back to the state saved when it was made: that of a reset, by KVM's word.

    Secondary vCPUs wait for INIT and SIPI again, pending events are gone, kvmclock and the other
    paravirtual areas are unregistered. Two things go on instead of starting anew. The TSC counts on
    from the machine's creation, as it does through a warm reset of many machines: 0 is what KVM
    takes as "in step with the other vCPUs", whatever the guest did to its counter before. kvmclock
    counts on as well; a guest takes both as they are when it boots.
    """
    _load(vcpu, saved, tsc=0)


def _load(vcpu: KvmVcpu, saved: object, tsc: int | None) -> None:
    writes = _writes(vcpu, plain.header(saved, VERSION, KEYS, "vCPU"), tsc)
    try:
        vcpu.get_mp_state()  # digests INIT and SIPI that still wait
        for write, value in writes:
            write(value)
    except KvmError as error:
        raise StateError(f"The saved state of vCPU {vcpu.id} does not fit: {error}") from error


def _writes(
    vcpu: KvmVcpu, state: dict[str, Any], tsc: int | None
) -> list[tuple[Callable[[Any], object], Any]]:
    """What to write in which order; every value is checked before the first write happens."""
    regs, sregs = ffi.new("struct kvm_regs *"), ffi.new("struct kvm_sregs *")
    events = ffi.new("struct kvm_vcpu_events *")
    plain.fill(regs, state["regs"], "vCPU's regs")
    plain.fill(sregs, state["sregs"], "vCPU's sregs")
    plain.fill(events, state["events"], "vCPU's events")
    lapic = plain.blob(state["lapic"], range(LAPIC_SIZE, LAPIC_SIZE + 1), "vCPU's local APIC")
    mp_state = plain.number(state["mp_state"], lib.KVM_MP_STATE_SIPI_RECEIVED, "vCPU's MP state")
    msrs = _check_msrs(state["msrs"])
    if tsc is not None and IA32_TSC in msrs:
        msrs[IA32_TSC] = tsc
    early = {index: value for index, value in msrs.items() if index == IA32_FEAT_CTL}
    return [
        (vcpu.set_msrs, early),  # 0 ends VMX operation, or KVM would refuse a CR4 without VMXE
        (vcpu.set_sregs, sregs),  # mode and APIC base decide what the rest means
        (vcpu.set_regs, regs),
        *_fpu_writes(vcpu, state),
        (vcpu.set_lapic, lapic),  # before the MSRs: a TSC deadline needs its timer mode
        (lambda values: _write_msrs(vcpu, values), msrs),
        (vcpu.set_vcpu_events, events),
        (vcpu.set_mp_state, mp_state),  # last: the steps above may wake a halted vCPU
    ]


def _fpu_writes(
    vcpu: KvmVcpu, state: dict[str, Any]
) -> Iterator[tuple[Callable[[Any], object], Any]]:
    if state["xsave"] is not None:
        yield vcpu.set_xsave, plain.blob(state["xsave"], XSAVE_SIZES, "vCPU's FPU state")
    if state["xcrs"] is not None:
        xcrs = ffi.new("struct kvm_xcrs *")
        for number, value in _pairs(state["xcrs"], len(xcrs.xcrs), "vCPU's XCRs"):
            entry = xcrs.xcrs[xcrs.nr_xcrs]
            entry.xcr, entry.value = number, value
            xcrs.nr_xcrs += 1
        yield vcpu.set_xcrs, xcrs
    if state["debugregs"] is not None:
        debugregs = ffi.new("struct kvm_debugregs *")
        plain.fill(debugregs, state["debugregs"], "vCPU's debugregs")
        yield vcpu.set_debugregs, debugregs


def _xsave_size(caps: Mapping[str, int]) -> int:
    return caps.get("KVM_CAP_XSAVE2") or XSAVE_SIZES.start


def _save_xcrs(vcpu: KvmVcpu) -> list[list[int]]:
    xcrs = vcpu.get_xcrs()
    return [[entry.xcr, entry.value] for entry in xcrs.xcrs[0 : xcrs.nr_xcrs]]


def _save_msrs(vcpu: KvmVcpu, indices: Iterable[int]) -> dict[int, int]:
    """In the order in which they must be written: the TSC before its deadline."""
    banks = min(vcpu.get_msrs((IA32_MCG_CAP,)).get(IA32_MCG_CAP, 0) & 0xFF, MC_BANKS_MAX)
    mce = range(IA32_MC0_CTL, IA32_MC0_CTL + banks * MC_REGISTERS)
    wanted = dict.fromkeys((IA32_TSC, *indices, *MTRRS, *mce))
    if IA32_TSC_DEADLINE in wanted:
        del wanted[IA32_TSC_DEADLINE]
        wanted[IA32_TSC_DEADLINE] = None
    return vcpu.get_msrs(tuple(wanted))


def _check_msrs(saved: object) -> dict[int, int]:
    """By index, the TSC first and its deadline last, whatever order they were saved in."""
    pairs = dict(_pairs(saved, MSRS_MAX, "vCPU's MSRs"))
    ordered = {IA32_TSC: pairs.pop(IA32_TSC)} if IA32_TSC in pairs else {}
    last = {index: pairs.pop(index) for index in (IA32_TSC_DEADLINE,) if index in pairs}
    return ordered | pairs | last


def _write_msrs(vcpu: KvmVcpu, msrs: dict[int, int]) -> None:
    """KVM refuses some that never change, host properties: fine while they hold the value."""
    refused = vcpu.set_msrs(msrs)
    if refused:
        now = vcpu.get_msrs(refused)
        wrong = [index for index in refused if now.get(index) != msrs[index]]
        if wrong:
            names = ", ".join(f"{index:#x}" for index in wrong)
            raise StateError(f"KVM refused to set MSR {names} of vCPU {vcpu.id} to the saved value")


def _pairs(saved: object, limit: int, what: str) -> list[tuple[int, int]]:
    """[[32-bit number, 64-bit value], ...] of at most `limit` pairs."""
    if not isinstance(saved, list) or len(saved) > limit:
        raise StateError(f"The saved {what} are not a list of at most {limit} pairs")
    pairs = []
    for pair in saved:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise StateError(f"The saved {what} hold {pair!r}, which is not a pair")
        index = plain.number(pair[0], 0xFFFFFFFF, f"number among the {what}")
        pairs.append((index, plain.number(pair[1], 0xFFFFFFFFFFFFFFFF, f"{what}, {index:#x},")))
    return pairs
