"""Saving, loading and resetting real vCPUs and in-kernel chips; KVM's statistics."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.kvm.rig import Rig
from vmm.errors import StateError
from vmm.host import kvmprobe, kvmsteps
from vmm.kvm import irqchip_state, state, stats
from vmm.native import Fd, lib

pytestmark = pytest.mark.needs("kvm")

TSC, TSC_ADJUST, TSC_DEADLINE, PAT, STAR, LSTAR = 0x10, 0x3B, 0x6E0, 0x277, 0xC0000081, 0xC0000082
KVM_SYSTEM_TIME_NEW = 0x4B564D01
X2APIC_MODE = 1 << 10


@pytest.fixture
def rig() -> Iterator[Rig]:
    made = Rig()
    yield made
    made.close()


def without_tsc(saved: dict[str, Any]) -> dict[str, Any]:
    """The TSC counts on while we look."""
    return saved | {"msrs": [pair for pair in saved["msrs"] if pair[0] != TSC]}


def disturb(vcpu: Any) -> None:
    """What a guest in 64-bit mode leaves behind: every part of the state differs from a reset's."""
    sregs = vcpu.get_sregs()
    kvmprobe._fill_sregs(sregs, xsave=False)
    sregs.apic_base |= X2APIC_MODE
    sregs.cr2, sregs.cr8 = 0x7000, 3
    vcpu.set_sregs(sregs)
    regs = vcpu.get_regs()
    regs.rax, regs.r15, regs.rip, regs.rflags = 0x1122334455667788, 15, 0xFFFFFFFF81000000, 0x202
    vcpu.set_regs(regs)
    area = bytearray(vcpu.get_xsave(4096))
    area[160:176] = bytes(range(16))  # XMM0
    area[512:520] = (3).to_bytes(8, "little")  # XSTATE_BV: x87 and SSE are not in initial state
    vcpu.set_xsave(bytes(area))
    debugregs = vcpu.get_debugregs()
    debugregs.db[0] = 0x4000
    vcpu.set_debugregs(debugregs)
    page = bytearray(vcpu.get_lapic())
    page[0x80], page[0x320] = 0x20, 0x41  # task priority, timer vector
    vcpu.set_lapic(bytes(page))
    refused = vcpu.set_msrs({PAT: 0x0007040600070406, STAR: 0x23001000000000, LSTAR: 0x81000000})
    assert refused == []
    events = vcpu.get_vcpu_events()
    events.nmi.pending, events.nmi.masked = 1, 1
    events.interrupt.injected, events.interrupt.nr = 1, 0x31
    vcpu.set_vcpu_events(events)
    vcpu.set_mp_state(lib.KVM_MP_STATE_HALTED)


def test_every_part_differs_after_a_guest_ran(rig: Rig) -> None:
    before = rig.save(rig.vcpus[1])
    disturb(rig.vcpus[1])
    after = rig.save(rig.vcpus[1])
    same = {key for key in state.KEYS if before[key] == after[key]}
    assert same == {"xcrs"}, "the parts a round trip below would not prove"


def test_a_vcpu_goes_on_in_another_machine(rig: Rig) -> None:
    disturb(rig.vcpus[1])
    saved = json.loads(json.dumps(rig.save(rig.vcpus[1])))
    other = Rig()
    state.load(other.vcpus[1], saved)
    assert without_tsc(other.save(other.vcpus[1])) == without_tsc(saved)
    other.close()


def test_reset_returns_every_vcpu_to_its_start(rig: Rig) -> None:
    start = [rig.save(vcpu) for vcpu in rig.vcpus]
    for vcpu in rig.vcpus:
        disturb(vcpu)

    for vcpu, saved in zip(rig.vcpus, start, strict=True):
        state.reset(vcpu, saved)

    now = [rig.save(vcpu) for vcpu in rig.vcpus]
    assert [without_tsc(one) for one in now] == [without_tsc(one) for one in start]
    assert now[0]["mp_state"] == lib.KVM_MP_STATE_RUNNABLE
    assert {one["mp_state"] for one in now[1:]} == {lib.KVM_MP_STATE_UNINITIALIZED}


def test_a_hundred_resets_end_where_one_does(rig: Rig) -> None:
    start = rig.save(rig.vcpus[2])
    for _round in range(100):
        disturb(rig.vcpus[2])
        state.reset(rig.vcpus[2], start)
    assert without_tsc(rig.save(rig.vcpus[2])) == without_tsc(start)


def test_the_tsc_goes_on_through_a_reset(rig: Rig) -> None:
    vcpu = rig.vcpus[0]
    start = rig.save(vcpu)
    before = vcpu.get_msrs((TSC,))[TSC]
    state.reset(vcpu, start)
    assert vcpu.get_msrs((TSC,))[TSC] > before


def test_kvmclock_is_unregistered_by_a_reset(rig: Rig) -> None:
    vcpu = rig.vcpus[0]
    start = rig.save(vcpu)
    sregs = vcpu.get_sregs()
    vcpu.set_msrs({KVM_SYSTEM_TIME_NEW: 0x1001})
    state.reset(vcpu, start)
    assert vcpu.get_msrs((KVM_SYSTEM_TIME_NEW,))[KVM_SYSTEM_TIME_NEW] == 0
    assert vcpu.get_sregs().apic_base == sregs.apic_base


def test_a_tsc_deadline_survives_only_if_the_timer_is_in_that_mode(rig: Rig) -> None:
    vcpu = rig.vcpus[0]
    page = bytearray(vcpu.get_lapic())
    page[0x320:0x324] = (1 << 18 | 0x41).to_bytes(4, "little")  # LVT timer: TSC-deadline mode
    vcpu.set_lapic(bytes(page))
    deadline = vcpu.get_msrs((TSC,))[TSC] + (1 << 44)
    vcpu.set_msrs({TSC_DEADLINE: deadline})
    other = Rig()
    state.load(other.vcpus[0], rig.save(vcpu))
    assert other.vcpus[0].get_msrs((TSC_DEADLINE,))[TSC_DEADLINE] == deadline
    other.close()


def test_a_state_that_kvm_refuses_is_told(rig: Rig) -> None:
    saved = rig.save(rig.vcpus[0])
    saved["sregs"]["cr4"] = 1 << 63
    with pytest.raises(StateError, match="state of vCPU 0 does not fit"):
        state.load(rig.vcpus[0], saved)


# --- chips ----------------------------------------------------------------------------------------


def steady(chips: dict[str, Any]) -> dict[str, Any]:
    """Without the host's time of the last reload of each PIT channel."""
    again: dict[str, Any] = json.loads(json.dumps(chips))
    for channel in again["pit"]["channels"]:
        del channel["count_load_time"]
    return again


def test_in_kernel_chips_come_back_as_they_were(rig: Rig) -> None:
    pit = bool(rig.caps["KVM_CAP_PIT2"])
    start = irqchip_state.save(rig.vm, "kernel", pit)
    changed = json.loads(json.dumps(start))
    changed["pic"][0] |= {"irq_base": 0x20, "imr": 0xFB}
    changed["pic"][1] |= {"irq_base": 0x28, "elcr": 0x0C}
    changed["ioapic"]["redirtbl"][9] = 0x0300000000018030 & ~0x10000
    changed["pit"]["channels"][2] |= {"count": 1193, "mode": 3, "rw_mode": 3}

    irqchip_state.load(rig.vm, changed)
    assert steady(irqchip_state.save(rig.vm, "kernel", pit)) == steady(changed)
    irqchip_state.load(rig.vm, start)
    assert steady(irqchip_state.save(rig.vm, "kernel", pit)) == steady(start)


# --- statistics -----------------------------------------------------------------------------------


def test_kvm_counts_the_exits_of_a_vcpu() -> None:
    step = kvmsteps.Step(can="nop", source="nop", code=b"\x90" + kvmsteps.HLT)
    with kvmprobe.Probe("/dev/kvm") as probe:
        before = stats.read(Fd(probe.fd.ioctl_value("KVM_GET_STATS_FD")))
        assert probe.passes(step)
        after = stats.read(Fd(probe.fd.ioctl_value("KVM_GET_STATS_FD")))
    assert after.keys() == before.keys()
    exits = (before["exits"], after["exits"])
    assert isinstance(exits[0], int)
    assert isinstance(exits[1], int)
    assert exits[1] > exits[0]


def test_kvm_gives_histograms_and_counters_of_the_vm(rig: Rig) -> None:
    vcpu = stats.read(rig.vcpus[0].get_stats_fd())
    histogram = vcpu["halt_wait_hist"]
    assert isinstance(histogram, list)
    assert len(histogram) > 1
    assert "remote_tlb_flush" in stats.read(rig.vm.get_stats_fd())
