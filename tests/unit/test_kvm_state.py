"""Saved vCPU and irqchip states and statistics files: what is refused before KVM sees any of it."""

from __future__ import annotations

import copy
import json
import struct
from typing import Any

import pytest

from vmm.errors import HostError, KvmError, StateError
from vmm.kvm import clock, irqchip_state, plain, state, stats
from vmm.native import ffi, lib

CAPS = dict.fromkeys(("KVM_CAP_XCRS", "KVM_CAP_XSAVE", "KVM_CAP_DEBUGREGS", "KVM_CAP_PIT2"), 1)
TSC, FEAT_CTL, TSC_DEADLINE, STAR, HYPERV = 0x10, 0x3A, 0x6E0, 0xC0000081, 0x40000020


class FakeVcpu:
    """Remembers what it was given, in order, and gives it back."""

    id = 7
    refuse: tuple[int, ...] = ()

    def __init__(self) -> None:
        self.msrs = {TSC: 1000, TSC_DEADLINE: 0, STAR: 5, 0x179: 1, HYPERV: 1}
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
    return state.save(vcpu, [TSC_DEADLINE, TSC, STAR, HYPERV], CAPS)


# --- vCPU -----------------------------------------------------------------------------------------


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


def test_msrs_of_interfaces_never_offered_are_left_out(saved: dict[str, Any]) -> None:
    assert HYPERV not in dict(saved["msrs"])


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


# --- structures -----------------------------------------------------------------------------------


def test_structures_come_back_as_they_were() -> None:
    first, second = ffi.new("struct kvm_sregs *"), ffi.new("struct kvm_sregs *")
    first.cr3, first.tr.base, first.interrupt_bitmap[2] = 0x1234, (1 << 64) - 1, 77
    plain.fill(second, plain.dump(first), "sregs")
    assert bytes(ffi.buffer(first)) == bytes(ffi.buffer(second))


# --- irqchip --------------------------------------------------------------------------------------


class FakeVm:
    def __init__(self) -> None:
        self.log: list[str] = []

    def get_irqchip(self, chip_id: int) -> Any:
        return ffi.new("struct kvm_irqchip *", {"chip_id": chip_id})

    def set_irqchip(self, chip: Any) -> None:
        self.log.append(f"chip {chip.chip_id}")

    def get_pit2(self) -> Any:
        return ffi.new("struct kvm_pit_state2 *")

    def set_pit2(self, pit: Any) -> None:
        self.log.append("pit")


def test_all_chips_are_saved_and_loaded() -> None:
    vm: Any = FakeVm()
    irqchip_state.load(vm, json.loads(json.dumps(irqchip_state.save(vm, "kernel", CAPS))))
    chips = (lib.KVM_IRQCHIP_PIC_MASTER, lib.KVM_IRQCHIP_PIC_SLAVE, lib.KVM_IRQCHIP_IOAPIC)
    assert vm.log == [*(f"chip {chip}" for chip in chips), "pit"]


def test_a_split_irqchip_has_nothing_in_the_kernel() -> None:
    vm: Any = FakeVm()
    irqchip_state.load(vm, irqchip_state.save(vm, "split", CAPS))
    assert vm.log == []


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("version", 0, "has version 0"),
        ("irqchip", "none", "cannot be 'none'"),
        ("pic", None, "not a pair"),
        ("pic", [{}, {}], "PIC does not hold exactly"),
        ("ioapic", {}, "IO-APIC does not hold exactly"),
        ("pit", {"channels": [], "flags": 0}, "is not a list of 3"),
    ],
)
def test_an_impossible_irqchip_state_changes_nothing(key: str, value: object, says: str) -> None:
    vm: Any = FakeVm()
    saved = irqchip_state.save(vm, "kernel", CAPS) | {key: value}
    with pytest.raises(StateError, match=says):
        irqchip_state.load(vm, saved)
    assert vm.log == []


# --- statistics -----------------------------------------------------------------------------------

NAME = 16


def statistics(*rows: tuple[bytes, list[int]]) -> bytes:
    """A statistics file: header, id, descriptors, values."""
    at, body, values = 24 + NAME, b"", b""
    for name, numbers in rows:
        body += struct.pack("=IhHII", 0, 0, len(numbers), len(values), 0) + name.ljust(NAME, b"\0")
        values += struct.pack(f"={len(numbers)}Q", *numbers)
    head = struct.pack("=6I", 0, NAME, len(rows), 24, at, at + len(body))
    return head + b"kvm-1".ljust(NAME, b"\0") + body + values


def test_statistics_are_read_by_name_and_histograms_as_lists() -> None:
    data = statistics((b"exits", [12]), (b"wait_hist", [1, 2, 3]), (b"sixteen_letters_", [1 << 63]))
    assert stats.parse(data) == {
        "exits": 12,
        "wait_hist": [1, 2, 3],
        "sixteen_letters_": 1 << 63,
    }


def test_a_cut_off_statistics_file_is_refused_wherever_it_ends() -> None:
    data = statistics((b"exits", [12]), (b"wait_hist", [1, 2, 3]))
    for length in range(len(data)):
        with pytest.raises(HostError, match="end before all values were read"):
            stats.parse(data[:length])


@pytest.mark.parametrize(("name_size", "count"), [(4097, 1), (16, 4097)])
def test_a_statistics_file_beyond_all_bounds_is_refused(name_size: int, count: int) -> None:
    with pytest.raises(HostError, match="KVM's statistics claim"):
        stats.parse(struct.pack("=6I", 0, name_size, count, 24, 24, 24))


# --- TSC frequency --------------------------------------------------------------------------------


class FakeTsc:
    def __init__(self, khz: int = 2_000_000, errno: int = 0) -> None:
        self.khz, self.errno = khz, errno

    def get_tsc_khz(self) -> int:
        return self.khz

    def set_tsc_khz(self, khz: int) -> None:
        if self.errno:
            raise KvmError("KVM_SET_TSC_KHZ", self.errno)
        self.khz = khz


def set_khz(vcpu: FakeTsc, khz: int, scaling: int) -> None:
    clock.set_tsc_khz(vcpu, khz, {"KVM_CAP_TSC_CONTROL": scaling})  # type: ignore[arg-type]


def test_the_tsc_takes_any_frequency_where_the_host_scales() -> None:
    vcpu = FakeTsc()
    set_khz(vcpu, 1_000_000, 1)
    assert vcpu.khz == 1_000_000


def test_without_scaling_only_the_hosts_frequency_will_do() -> None:
    set_khz(FakeTsc(), 2_000_500, 0)  # 250 ppm
    with pytest.raises(HostError, match=r"cannot scale it .* at the host's 2000000 kHz"):
        set_khz(FakeTsc(), 2_000_501, 0)


def test_a_frequency_that_kvm_refuses_is_told() -> None:
    with pytest.raises(HostError, match="Setting the TSC to 9 kHz failed: Invalid argument"):
        set_khz(FakeTsc(errno=22), 9, 1)


# --- pausing --------------------------------------------------------------------------------------

HOST_TSC = 1_000_000


class FakeClockVcpu:
    """A vCPU whose TSC is a host's that passes 5000 ticks between `paused` and `resumed`."""

    def __init__(self, vcpu_id: int, log: list[str], *, attributes: bool) -> None:
        self.id, self.log, self.attributes = vcpu_id, log, attributes
        self.offset, self.host = 100, HOST_TSC
        self.fd: Any = self

    def get_msrs(self, _indices: Any) -> dict[int, int]:
        return {TSC: self.host + self.offset}

    def set_msrs(self, values: dict[int, int]) -> list[int]:
        self.log.append(f"tsc {self.id}={values[TSC]}")
        return []

    def ioctl(self, name: str, attribute: Any, about: str) -> None:
        if not self.attributes:
            raise KvmError(name, 22, about)
        value = ffi.cast("uint64_t *", attribute.addr)
        if name == "KVM_GET_DEVICE_ATTR":
            value[0] = self.offset
        else:
            self.offset = value[0]
            self.log.append(f"offset {self.id}")

    def kvmclock_ctrl(self) -> bool:
        self.log.append(f"ctrl {self.id}")
        return True


class FakeClockVm:
    def __init__(self, log: list[str], *, pit: bool) -> None:
        self.log, self.pit = log, pit

    def get_clock(self) -> Any:
        return ffi.new("struct kvm_clock_data *", {"clock": 777})

    def set_clock(self, nanoseconds: int) -> None:
        self.log.append(f"clock {nanoseconds}")

    def get_pit2(self) -> str:
        if not self.pit:
            raise KvmError("KVM_GET_PIT2", 6)
        return "pit"

    def set_pit2(self, state: str) -> None:
        self.log.append(state)


def pause_and_resume(*, attributes: bool, pit: bool) -> tuple[list[str], list[FakeClockVcpu]]:
    log: list[str] = []
    vcpus = [FakeClockVcpu(n, log, attributes=attributes) for n in range(2)]
    vm: Any = FakeClockVm(log, pit=pit)
    token = clock.paused(vm, vcpus)  # type: ignore[arg-type]
    for vcpu in vcpus:
        vcpu.host += 5000
    clock.resumed(vm, vcpus, token)  # type: ignore[arg-type]
    return log, vcpus


def test_resuming_moves_all_tscs_by_the_same_amount_then_sets_kvmclock() -> None:
    log, vcpus = pause_and_resume(attributes=True, pit=True)
    assert log == ["offset 0", "offset 1", "pit", "clock 777", "ctrl 0", "ctrl 1"]
    assert {vcpu.offset for vcpu in vcpus} == {(100 - 5000) % (1 << 64)}


def test_without_offsets_the_tscs_are_written_back() -> None:
    log, _vcpus = pause_and_resume(attributes=False, pit=False)
    tsc = HOST_TSC + 100
    assert log == [f"tsc 0={tsc}", f"tsc 1={tsc}", "clock 777", "ctrl 0", "ctrl 1"]
