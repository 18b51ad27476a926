"""TSC frequency, and what a pause does to the clocks, on vCPUs that only remember."""

from __future__ import annotations

from typing import Any

import pytest

from vmm.errors import HostError, KvmError
from vmm.kvm import clock
from vmm.native import ffi, lib

TSC = 0x10


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

    def get_tsc_khz(self) -> int:
        return 2_000_000

    def kvmclock_ctrl(self) -> bool:
        self.log.append(f"ctrl {self.id}")
        return True


class FakeClockVm:
    def __init__(self, log: list[str], *, pit: bool) -> None:
        self.log, self.pit = log, pit
        self.pair: dict[str, int] = {}  # what newer kernels tell beside the clock
        self.clock = 777

    def get_clock(self) -> Any:
        return ffi.new("struct kvm_clock_data *", {"clock": self.clock, **self.pair})

    def set_clock(self, nanoseconds: int, realtime: int | None = None) -> None:
        since = "" if realtime is None else f" as of {realtime}"
        self.log.append(f"clock {nanoseconds}{since}")

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


def test_clocks_read_as_a_pair_go_back_by_the_same_span() -> None:
    log: list[str] = []
    vcpus = [FakeClockVcpu(n, log, attributes=True) for n in range(2)]
    vm: Any = FakeClockVm(log, pit=False)
    both = lib.KVM_CLOCK_REALTIME | lib.KVM_CLOCK_HOST_TSC
    vm.pair = {"flags": both, "host_tsc": 1000, "realtime": 10}
    token = clock.paused(vm, vcpus)  # type: ignore[arg-type]

    for vcpu in vcpus:
        vcpu.host += 5_000_000  # the thread was kept waiting after the pair was read
    span = 1_000_000  # ns
    vm.clock += span
    vm.pair |= {"host_tsc": 1000 + span * 2, "realtime": 10 + span}
    clock.resumed(vm, vcpus, token)  # type: ignore[arg-type]

    cycles = vm.pair["host_tsc"] - 1000
    assert {vcpu.offset for vcpu in vcpus} == {(100 - cycles) % (1 << 64)}
    assert f"clock 777 as of {10 + span}" in log


def test_without_offsets_the_tscs_are_written_back() -> None:
    log, _vcpus = pause_and_resume(attributes=False, pit=False)
    tsc = HOST_TSC + 100
    assert log == [f"tsc 0={tsc}", f"tsc 1={tsc}", "clock 777", "ctrl 0", "ctrl 1"]
