"""The guest's sense of time: TSC frequency, and what a pause does to TSC and kvmclock.

A paused guest's time stands still: on resume TSC and kvmclock go on from where they stopped, so no
timeout expires at once, no watchdog finds a jump, and the two clocks agree with each other.
Wall-clock time in the guest is late by the length of the pause until something there (NTP) corrects
it.

The vCPU ioctls block while a vCPU is in KVM_RUN. `paused` and `resumed` therefore want every vCPU
parked; they may then be called from any thread.
"""

from __future__ import annotations

from vmm.errors import HostError, KvmError
from vmm.native import ffi, lib
from vmm.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from vmm.kvm.vcpu import KvmVcpu
    from vmm.kvm.vm import Vm

IA32_TSC = 0x10
KVM_VCPU_TSC_CTRL, KVM_VCPU_TSC_OFFSET = 0, 0  # a vCPU's device attribute, api.rst 4.80
TOLERANCE_PPM = 250  # KVM takes a frequency this near to the host's for the host's
MASK64 = (1 << 64) - 1


class Token(Record):
    """Where the clocks stood: kvmclock in nanoseconds, each vCPU's TSC, the in-kernel PIT.

    `host_tsc` is the host's TSC at the very moment of `clock`, 0 where KVM cannot tell.
    """

    clock: int
    host_tsc: int
    tscs: tuple[int, ...]
    pit: object


def tsc_khz(vcpu: KvmVcpu) -> int:
    """The guest's TSC frequency, 0 if KVM does not know it (no stable TSC on the host)."""
    try:
        return vcpu.get_tsc_khz()
    except KvmError:
        return 0


def set_tsc_khz(vcpu: KvmVcpu, khz: int, caps: Mapping[str, int]) -> None:
    """Gives the guest's TSC a frequency, before the vCPU first runs.

    HostError when the host's processor cannot scale its TSC, or not by so much.
    """
    host = tsc_khz(vcpu)
    advice = f"leave --tsc-khz out to run at the host's {host} kHz"
    near = abs(khz - host) * 1_000_000 <= host * TOLERANCE_PPM
    if not near and not caps.get("KVM_CAP_TSC_CONTROL"):
        raise HostError(
            f"Setting the TSC to {khz} kHz failed: this host cannot scale it "
            f"(KVM_CAP_TSC_CONTROL is absent); {advice}"
        )
    try:
        vcpu.set_tsc_khz(khz)
    except KvmError as error:
        raise HostError(
            f"Setting the TSC to {khz} kHz failed: {error.strerror}; take another, or {advice}"
        ) from None


def paused(vm: Vm, vcpus: Sequence[KvmVcpu]) -> Token:
    """Notes where the clocks stand. Call it as soon as every vCPU is parked."""
    tscs = tuple(vcpu.get_msrs((IA32_TSC,)).get(IA32_TSC, 0) for vcpu in vcpus)
    try:
        pit = vm.get_pit2()
    except KvmError:
        pit = None  # a split irqchip has none in the kernel
    now = vm.get_clock()
    return Token(clock=now.clock, host_tsc=_host_tsc(now), tscs=tscs, pit=pit)


def resumed(vm: Vm, vcpus: Sequence[KvmVcpu], token: object) -> None:
    """Puts the clocks back to where `paused` found them and tells the guest that it was stopped.

    The TSCs go back first, all by the same amount, so that they stay in step; kvmclock's relation
    to the TSC is computed anew when the clock is set. Where KVM reads clock and host TSC as a pair,
    both go back by the same span to the cycle, however long this thread is kept waiting in between.
    Telling the guest (KVM_KVMCLOCK_CTRL) makes Linux restart its lockup watchdogs.
    """
    assert isinstance(token, Token)
    now = vm.get_clock()
    host_tsc = _host_tsc(now)
    exact = token.host_tsc and host_tsc and _runs_at_host_rate(vcpus[0], now, token)
    _rewind_tscs(vcpus, token.tscs, host_tsc - token.host_tsc if exact else None)
    if token.pit is not None:
        vm.set_pit2(token.pit)  # drops the ticks that came due meanwhile
    vm.set_clock(token.clock, realtime=now.realtime if exact else None)
    for vcpu in vcpus:
        vcpu.kvmclock_ctrl()


def _host_tsc(clock: Any) -> int:
    """The host TSC that belongs to `clock.clock` and `clock.realtime`, 0 if KVM gave none."""
    pair = lib.KVM_CLOCK_HOST_TSC | lib.KVM_CLOCK_REALTIME
    return int(clock.host_tsc) if clock.flags & pair == pair else 0


def _runs_at_host_rate(vcpu: KvmVcpu, now: Any, token: Token) -> bool:
    """Whether the guest's TSC is the host's plus an offset: a scaled one has other spans."""
    khz, span = tsc_khz(vcpu), int(now.clock) - token.clock
    cycles = int(now.host_tsc) - token.host_tsc
    return abs(cycles * 1_000_000 - khz * int(span)) < khz * int(span) // 100 + khz


def _rewind_tscs(vcpus: Sequence[KvmVcpu], tscs: tuple[int, ...], passed: int | None) -> None:
    """`passed`: by how much, if it is known better than by looking at the first vCPU's."""
    try:
        offsets = [_tsc_offset(vcpu) for vcpu in vcpus]
    except KvmError:
        # Kernels before 5.16: KVM itself keeps writes less than a second apart in step.
        for vcpu, tsc in zip(vcpus, tscs, strict=True):
            vcpu.set_msrs({IA32_TSC: tsc})
        return
    if passed is None:
        passed = vcpus[0].get_msrs((IA32_TSC,)).get(IA32_TSC, 0) - tscs[0]
    for vcpu, offset in zip(vcpus, offsets, strict=True):
        _set_tsc_offset(vcpu, offset - passed & MASK64)


def _attribute(value: Any) -> Any:
    return ffi.new(
        "struct kvm_device_attr *",
        {
            "group": KVM_VCPU_TSC_CTRL,
            "attr": KVM_VCPU_TSC_OFFSET,
            "addr": int(ffi.cast("uintptr_t", value)),
        },
    )


def _tsc_offset(vcpu: KvmVcpu) -> int:
    """What is added to the host's (scaled) TSC."""
    value = ffi.new("uint64_t *")
    vcpu.fd.ioctl("KVM_GET_DEVICE_ATTR", _attribute(value), about=f"vCPU {vcpu.id}")
    return int(value[0])


def _set_tsc_offset(vcpu: KvmVcpu, offset: int) -> None:
    value = ffi.new("uint64_t *", offset)
    vcpu.fd.ioctl("KVM_SET_DEVICE_ATTR", _attribute(value), about=f"vCPU {vcpu.id}")
