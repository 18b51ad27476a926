"""What a pause does to the clocks of a real VM."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.kvm.rig import CPUS, Rig
from vmm.kvm import clock, cpuid, features, irqchip_state
from vmm.values import CpuConfig

pytestmark = pytest.mark.needs("kvm")

TSC = 0x10


@pytest.fixture
def rig() -> Iterator[Rig]:
    made = Rig()
    yield made
    made.close()


def pause(rig: Rig, seconds: float) -> tuple[clock.Token, int]:
    """Pauses and resumes; the token, and when it resumed on the monotonic clock, in nanoseconds."""
    token = clock.paused(rig.vm, rig.vcpus)
    time.sleep(seconds)
    resumed = time.monotonic_ns()
    clock.resumed(rig.vm, rig.vcpus, token)
    return token, resumed


def test_kvmclock_goes_on_from_where_a_pause_stopped_it(rig: Rig) -> None:
    token, resumed = pause(rig, 0.5)
    now = rig.vm.get_clock().clock
    assert token.clock <= now <= token.clock + (time.monotonic_ns() - resumed) * 1.01


@pytest.mark.needs("stock-kernel")
@pytest.mark.parametrize("seconds", [0.2, 1.5])
def test_every_tsc_goes_on_from_where_a_pause_stopped_it(rig: Rig, seconds: float) -> None:
    khz = clock.tsc_khz(rig.vcpus[0])
    token, resumed = pause(rig, seconds)
    for vcpu, before in zip(rig.vcpus, token.tscs, strict=True):
        now = vcpu.get_msrs((TSC,))[TSC]
        passed = time.monotonic_ns() - resumed
        assert before <= now <= before + passed * khz / 1e6 * 1.01 + khz  # a millisecond


def test_a_pause_drops_pit_ticks_that_came_due(rig: Rig) -> None:
    chips = irqchip_state.save(rig.vm, "kernel", bool(rig.caps["KVM_CAP_PIT2"]))
    chips["pit"]["channels"][0] |= {"count": 1193, "mode": 2, "rw_mode": 3}
    irqchip_state.load(rig.vm, chips)
    pause(rig, 0.1)
    now = irqchip_state.save(rig.vm, "kernel", bool(rig.caps["KVM_CAP_PIT2"]))["pit"]["channels"][0]
    assert (now["count"], now["mode"]) == (1193, 2)


def test_the_timing_leaf_carries_the_frequency_that_kvm_tells(rig: Rig) -> None:
    khz = clock.tsc_khz(rig.vcpus[0])
    table = cpuid.prepare(rig.system.supported_cpuid(), CpuConfig(), CPUS, rig.caps, khz)
    timing = next(entry for entry in table.for_vcpu(0) if entry[0] == 0x40000010)
    assert timing[features.EAX] == khz > 0
