"""Saved vCPU states: the order of writing, and what is refused before KVM sees any of it."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from vmm.errors import KvmError, StateError
from vmm.kvm import plain, state
from vmm.native import ffi

CAPS = dict.fromkeys(("KVM_CAP_XCRS", "KVM_CAP_XSAVE", "KVM_CAP_DEBUGREGS"), 1)
TSC, FEAT_CTL, TSC_DEADLINE, STAR = 0x10, 0x3A, 0x6E0, 0xC0000081


class FakeVcpu:
    """Remembers what it was given, in order, and gives it back."""

    id = 7
    refuse: tuple[int, ...] = ()

    def __init__(self) -> None:
        self.msrs = {TSC: 1000, TSC_DEADLINE: 0, STAR: 5, 0x179: 1}
        self.log: list[str] = []
        self.mp_state = 0
        self.lapic = bytes(range(256)) * 4
        self.xsave = bytes(4096)
        for name in ("regs", "sregs", "xcrs", "debugregs", "vcpu_events"):
            value = ffi.new(f"struct kvm_{name} *")
            setattr(self, f"get_{name}", lambda value=value: value)
            setattr(self, f"set_{name}", lambda _value, name=name: self.log.append(name))

    def get_msrs(self, indices: Any) -> dict[int, int]:
        return {index: self.msrs[index] for index in indices if index in self.msrs}

    def set_msrs(self, values: dict[int, int]) -> list[int]:
        self.log.extend(f"msr {index:#x}={value}" for index, value in values.items())
        return [index for index in values if index in self.refuse]

    def get_lapic(self) -> bytes:
        return self.lapic

    def get_xsave(self, size: int) -> bytes:
        return self.xsave[:size]

    def get_mp_state(self) -> int:
        return self.mp_state

    def set_lapic(self, page: bytes) -> None:
        self.log.append("lapic")

    def set_xsave(self, area: bytes) -> None:
        self.log.append("xsave")

    def set_mp_state(self, value: int) -> None:
        self.log.append(f"mp_state={value}")


@pytest.fixture
def vcpu() -> Any:
    return FakeVcpu()


@pytest.fixture
def saved(vcpu: Any) -> dict[str, Any]:
    return state.save(vcpu, [TSC_DEADLINE, TSC, STAR], CAPS)


def test_a_saved_vcpu_survives_json(saved: dict[str, Any], vcpu: Any) -> None:
    again = json.loads(json.dumps(saved))
    assert again == saved
    state.load(vcpu, again)


def test_state_is_written_in_the_order_that_kvm_needs(saved: dict[str, Any], vcpu: Any) -> None:
    state.load(vcpu, saved)
    parts = [entry for entry in vcpu.log if not entry.startswith("msr")]
    assert parts == [
        *("sregs", "regs", "xsave", "xcrs", "debugregs", "lapic"),
        *("vcpu_events", "mp_state=0"),
    ]
    msrs = [entry for entry in vcpu.log if entry.startswith("msr")]
    assert msrs[0] == "msr 0x10=1000"
    assert msrs[-1] == "msr 0x6e0=0"
    assert vcpu.log.index("lapic") < vcpu.log.index(msrs[0])


def test_a_shuffled_state_still_writes_the_tsc_first_and_its_deadline_last(
    saved: dict[str, Any], vcpu: Any
) -> None:
    saved["msrs"].reverse()
    state.load(vcpu, saved)
    msrs = [entry for entry in vcpu.log if entry.startswith("msr")]
    assert (msrs[0], msrs[-1]) == ("msr 0x10=1000", "msr 0x6e0=0")


def test_vmx_operation_is_ended_before_control_registers_change(vcpu: Any) -> None:
    vcpu.msrs[FEAT_CTL] = 0
    state.reset(vcpu, state.save(vcpu, [TSC, FEAT_CTL], CAPS))
    assert vcpu.log[:2] == ["msr 0x3a=0", "sregs"]


def test_reset_lets_the_tsc_go_on(saved: dict[str, Any], vcpu: Any) -> None:
    state.reset(vcpu, saved)
    assert "msr 0x10=0" in vcpu.log


def test_an_msr_that_kvm_refuses_is_fine_while_it_has_the_saved_value(
    saved: dict[str, Any], vcpu: Any
) -> None:
    vcpu.refuse = (STAR,)
    state.load(vcpu, saved)


def test_an_msr_that_kvm_refuses_to_change_is_told(saved: dict[str, Any], vcpu: Any) -> None:
    vcpu.refuse = (STAR,)
    vcpu.msrs[STAR] = 6
    with pytest.raises(StateError, match="refused to set MSR 0xc0000081 of vCPU 7"):
        state.load(vcpu, saved)


def test_what_kvm_refuses_is_a_state_error(saved: dict[str, Any], vcpu: Any) -> None:
    def refuse(_value: object) -> None:
        raise KvmError("KVM_SET_SREGS", 22, "vCPU 7")

    vcpu.set_sregs = refuse
    with pytest.raises(StateError, match="state of vCPU 7 does not fit: KVM_SET_SREGS"):
        state.load(vcpu, saved)


def test_parts_that_kvm_cannot_save_are_left_alone(vcpu: Any) -> None:
    saved = state.save(vcpu, [TSC], {})
    state.load(vcpu, saved)
    assert not {"xsave", "xcrs", "debugregs"} & set(vcpu.log)


WRONG = [
    (("version",), 2, "has version 2; this program reads 1"),
    (("version",), "1", "has version '1'"),
    (("extra",), 1, "does not hold exactly"),
    (("mp_state",), 99, "MP state cannot be 99"),
    (("mp_state",), -1, "MP state cannot be -1"),
    (("mp_state",), True, "MP state cannot be True"),
    (("lapic",), "00" * 1023, "impossible length, 1023 bytes"),
    (("lapic",), "zz", "is not hexadecimal text"),
    (("xsave",), "00" * 4095, "impossible length, 4095 bytes"),
    (("xsave",), 5, "is not hexadecimal text"),
    (("regs", "rax"), 1 << 64, "regs.rax cannot be"),
    (("regs", "rax"), "0", "regs.rax cannot be"),
    (("regs", "rax"), 1.0, "regs.rax cannot be"),
    (("regs", "bogus"), 0, "regs does not hold exactly"),
    (("sregs", "cs", "selector"), 0x10000, "sregs.cs.selector cannot be"),
    (("sregs", "cs", "dpl"), -1, "sregs.cs.dpl cannot be"),
    (("sregs", "interrupt_bitmap"), [0, 0, 0], "is not a list of 4"),
    (("events", "nmi", "pending"), 256, "events.nmi.pending cannot be"),
    (("debugregs", "db"), "0000", "is not a list of 4"),
    (("xcrs",), [[0, 1]] * 17, "not a list of at most 16 pairs"),
    (("xcrs",), [[0]], "is not a pair"),
    (("msrs",), [[1 << 32, 0]], "number among the vCPU's MSRs cannot be"),
    (("msrs",), [[0x10, 1 << 64]], "0x10, cannot be"),
    (("msrs",), [[0x10, 0]] * 4097, "not a list of at most 4096 pairs"),
    (("msrs",), None, "not a list"),
]


@pytest.mark.parametrize(("path", "value", "says"), WRONG)
def test_an_impossible_vcpu_state_changes_nothing(
    saved: dict[str, Any], vcpu: Any, path: tuple[str, ...], value: object, says: str
) -> None:
    wrong = copy.deepcopy(saved)
    part = wrong
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    with pytest.raises(StateError, match=says.replace("[", r"\[")):
        state.load(vcpu, wrong)
    assert vcpu.log == []


@pytest.mark.parametrize("key", ["regs", "sregs", "msrs", "lapic", "events", "mp_state"])
def test_a_state_with_a_part_missing_is_refused(saved: dict[str, Any], vcpu: Any, key: str) -> None:
    del saved[key]
    with pytest.raises(StateError, match="does not hold exactly"):
        state.load(vcpu, saved)


@pytest.mark.parametrize("saved", [None, [], 5, "state", {}])
def test_something_that_is_no_state_is_refused(saved: object) -> None:
    with pytest.raises(StateError, match="version"):
        state.load(FakeVcpu(), saved)  # type: ignore[arg-type]


def test_structures_come_back_as_they_were() -> None:
    first, second = ffi.new("struct kvm_sregs *"), ffi.new("struct kvm_sregs *")
    first.cr3, first.tr.base, first.interrupt_bitmap[2] = 0x1234, (1 << 64) - 1, 77
    plain.fill(second, plain.dump(first), "sregs")
    assert bytes(ffi.buffer(first)) == bytes(ffi.buffer(second))


def lapic(*bits: tuple[int, int], svr: int = 0x1FF) -> dict[str, str]:
    """A vCPU's state whose local APIC has these (register, vector) bits set."""
    page = bytearray(state.LAPIC_SIZE)
    page[state.SVR : state.SVR + 4] = svr.to_bytes(4, "little")
    for register, vector in bits:
        page[register + vector // 32 * 16 + vector % 32 // 8] |= 1 << vector % 8
    return {"lapic": page.hex()}


def test_level_vectors_are_those_accepted_and_not_ended() -> None:
    first = lapic((state.IRR, 0x51), (state.TMR, 0x51), (state.TMR, 0x61), (state.ISR, 0x71))
    second = lapic((state.ISR, 0xFF), (state.TMR, 0xFF))

    assert state.level_vectors([first, second]) == (1 << 0x51 | 1 << 0xFF).to_bytes(32, "little")


def test_level_vectors_are_unknown_where_ends_are_not_broadcast() -> None:
    assert state.level_vectors([lapic(), lapic(svr=0x11FF)]) is None
