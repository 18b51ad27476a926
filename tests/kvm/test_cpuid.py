"""What the CPUID instruction answers in a guest, against the table that was made for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from vmm.host import kvmprobe, kvmsteps
from vmm.kvm import caps, cpuid, features
from vmm.kvm.system import System
from vmm.kvm.vcpu import KvmVcpu
from vmm.native import Fd, ffi
from vmm.values import read_cpu

# Some KVMs let the instruction through to the processor, which then answers for itself.
pytestmark = pytest.mark.needs("stock-kernel")

SPECS = (
    ("host", 1, 0),
    ("host,topology=2:3:2", 12, 7),
    ("host", 255, 254),
    ("host,vendor=GenuineIntel", 2, 1),
    ("host,-xsave,-kvmclock", 1, 0),
    ("none", 1, 0),
    ("none,topology=1:2:2", 4, 3),
)

# Bits that follow the guest's own registers: function, index -> position in the entry: bits.
DYNAMIC = {
    (1, 0): {
        features.ECX: 1 << 27,
        features.EDX: 1 << 9,
    },  # OSXSAVE; APIC, switched by its base MSR
    (7, 0): {features.ECX: 1 << 4},  # OSPKE
    (0xD, 0): {features.EBX: 0xFFFFFFFF},  # size of what XCR0 enables
    (0xD, 1): {features.EBX: 0xFFFFFFFF},
}


@pytest.fixture
def probe() -> Iterator[kvmprobe.Probe]:
    with kvmprobe.Probe("/dev/kvm") as made:
        made._sregs.cr4 &= ~kvmprobe.CR4_OSXSAVE  # some tables come without XSAVE
        yield made


def table(spec: str, cpus: int, vcpu_id: int) -> list[cpuid.CpuidEntry]:
    with System() as system:
        supported, values = system.supported_cpuid(), caps.probe(system.fd)
    return cpuid.build(supported, read_cpu(spec), cpus, vcpu_id, values, 2_000_000)


def answer(probe: kvmprobe.Probe, function: int, index: int) -> tuple[int, ...]:
    """EAX to EDX of CPUID in the guest."""
    code = b"\xb8" + function.to_bytes(4, "little") + b"\xb9" + index.to_bytes(4, "little")
    step = kvmsteps.Step(can="CPUID", source="cpuid", code=code + b"\x0f\xa2" + kvmsteps.HLT)
    assert probe.passes(step)
    regs = ffi.new("struct kvm_regs *")
    probe.fd.ioctl("KVM_GET_REGS", regs)
    return regs.rax, regs.rbx, regs.rcx, regs.rdx


@pytest.mark.parametrize(("spec", "cpus", "vcpu_id"), SPECS)
def test_the_guest_sees_the_table(
    probe: kvmprobe.Probe, spec: str, cpus: int, vcpu_id: int
) -> None:
    entries = table(spec, cpus, vcpu_id)
    KvmVcpu(Fd(probe.fd.number), 0).set_cpuid2(entries)
    for entry in entries:
        dynamic = DYNAMIC.get(entry[:2], {})
        seen = answer(probe, entry[0], entry[1])
        for place, value in enumerate(seen, start=features.EAX):
            mask = ~dynamic.get(place, 0)
            assert value & mask == entry[place] & mask, f"{entry[0]:#x}.{entry[1]} [{place}]"


def test_a_leaf_that_was_left_out_reads_as_zero(probe: kvmprobe.Probe) -> None:
    KvmVcpu(Fd(probe.fd.number), 0).set_cpuid2(table("none", 1, 0))
    assert answer(probe, 7, 1) == (0, 0, 0, 0)
    assert answer(probe, 5, 0) == (0, 0, 0, 0)
