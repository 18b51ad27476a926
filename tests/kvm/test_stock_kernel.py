"""The probe for stock kernels on a real vCPU: steps that pass, fault and never end; its verdict."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from vmm.errors import HostError
from vmm.host import kvmprobe, kvmsteps
from vmm.host.kvm import stock_kernel_problem
from vmm.host.kvmsteps import HLT, INSTRUCTIONS, Step

pytestmark = pytest.mark.needs("kvm")


@pytest.fixture
def probe() -> Iterator[kvmprobe.Probe]:
    with kvmprobe.Probe("/dev/kvm") as made:
        yield made


def step(source: str, code: str) -> Step:
    return Step(can=source, source=source, code=bytes.fromhex(code) + HLT)


def test_a_step_that_arrives_at_its_end_passes(probe: kvmprobe.Probe) -> None:
    assert probe.passes(step("nop", "90"))


def test_a_step_that_faults_does_not_pass(probe: kvmprobe.Probe) -> None:
    assert not probe.passes(step("ud2", "0f 0b"))


def test_a_step_that_ends_elsewhere_does_not_pass(probe: kvmprobe.Probe) -> None:
    assert not probe.passes(step("hlt; nop", "f4 90"))


def test_the_vcpu_is_whole_again_after_a_triple_fault(probe: kvmprobe.Probe) -> None:
    # lidt (%rsi) from zeroes, then ud2: no handler for anything
    assert not probe.passes(step("lidt (%rsi); ud2", "0f 01 1e 0f 0b"))
    assert probe.passes(step("nop", "90"))


def test_an_endless_step_is_cut_off(probe: kvmprobe.Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kvmprobe, "DEADLINE", 0.05)
    endless = step("1: jmp 1b", "eb fe")
    monkeypatch.setattr(kvmsteps, "INSTRUCTIONS", (endless,))
    with pytest.raises(HostError, match="/dev/kvm never comes back from a guest that runs `1: jmp"):
        kvmprobe.failures(probe)


def test_a_step_is_left_out_if_cpuid_does_not_offer_its_instruction(
    probe: kvmprobe.Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = step("ud2", "0f 0b")
    absent = Step(can="UD2", source=wrong.source, code=wrong.code, leaf=(0x2FFFFFFF, 0, 0))
    monkeypatch.setattr(kvmsteps, "INSTRUCTIONS", (absent,))
    assert kvmprobe.failures(probe)[0] == []


def test_the_sentence_names_the_instructions_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = [step(name, "0f 0b") for name in ("A", "B", "C", "D", "E")]
    monkeypatch.setattr(kvmsteps, "INSTRUCTIONS", tuple(wrong))
    assert stock_kernel_problem() == "/dev/kvm cannot run A, B, C and 2 more in guest kernel mode"
    monkeypatch.setattr(kvmsteps, "INSTRUCTIONS", tuple(wrong[:1]))
    assert stock_kernel_problem() == "/dev/kvm cannot run A in guest kernel mode"


def test_the_probe_leaves_no_descriptor_behind() -> None:
    stock_kernel_problem()
    before = sorted(os.listdir("/proc/self/fd"))
    stock_kernel_problem()
    assert sorted(os.listdir("/proc/self/fd")) == before


@pytest.mark.needs("stock-kernel")
def test_a_kvm_that_boots_a_stock_kernel_has_no_problem() -> None:
    assert stock_kernel_problem() is None


@pytest.mark.needs("stock-kernel")
def test_every_step_that_cpuid_offers_passes_there(probe: kvmprobe.Probe) -> None:
    offered = [one for one in INSTRUCTIONS if probe.has(one.leaf)]
    assert len(offered) >= 6
    assert all(probe.passes(one) for one in offered)
