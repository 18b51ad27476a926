"""What KVM keeps of a Xen domain, as its interface gives it back: run states, timers, ports.

Documentation/virt/kvm/api.rst, 4.130 and 4.132. The scenarios are those of the kernel's own
xen_shinfo test that need no guest.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from struct import unpack
from typing import Any

import pytest

from tests.kvm.rig import Rig
from vmm.errors import KvmError
from vmm.memory import GuestMemory
from vmm.native import ffi, lib

pytestmark = pytest.mark.needs("kvm", "xen")

SHARED, INFO, AREA = 0x4000, 0x5040, 0x7000
PENDING, MASK, SELECTOR = 0x800, 0xA00, 8
RUNNING, RUNNABLE, BLOCKED, OFFLINE = range(4)
TWO_LEVEL = (1 << 32) - 1
INTERDOMAIN, IPI = 2, 5
PORT = 77
MS = 10**6  # ns


class Domain:
    """A VM whose vCPU 0 has its pages, and never runs."""

    def __init__(self) -> None:
        self.rig, self.memory = Rig(), GuestMemory(1 << 20)
        self.memory.attach(self.rig.vm)
        self.vm, self.vcpu = self.rig.vm, self.rig.vcpus[0]
        wanted = lib.KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL | lib.KVM_XEN_HVM_CONFIG_EVTCHN_SEND
        self.vm.xen_hvm_config(wanted, 0x40000000)
        self.set_vm("LONG_MODE", long_mode=1)
        self.set_vm("SHARED_INFO", shared_info={"gfn": SHARED >> 12})
        self.set("VCPU_ID", vcpu_id=0)
        self.set("VCPU_INFO", gpa=INFO)
        self.set("RUNSTATE_ADDR", gpa=AREA)

    def close(self) -> None:
        self.rig.close()
        self.memory.close()

    def set_vm(self, kind: str, **fields: Any) -> None:
        number = getattr(lib, f"KVM_XEN_ATTR_TYPE_{kind}")
        self.vm.xen_hvm_set_attr(
            ffi.new("struct kvm_xen_hvm_attr *", {"type": number, "u": fields})
        )

    def set(self, kind: str, **fields: Any) -> None:
        number = getattr(lib, f"KVM_XEN_VCPU_ATTR_TYPE_{kind}")
        self.vcpu.xen_set_attr(ffi.new("struct kvm_xen_vcpu_attr *", {"type": number, "u": fields}))

    def get(self, kind: str) -> Any:
        number = getattr(lib, f"KVM_XEN_VCPU_ATTR_TYPE_{kind}")
        attr = ffi.new("struct kvm_xen_vcpu_attr *", {"type": number})
        self.vcpu.xen_get_attr(attr)
        return attr.u

    def times(self) -> tuple[int, int, tuple[int, ...]]:
        """State, since when, and nanoseconds in each."""
        run = self.get("RUNSTATE_DATA").runstate
        found = (run.time_running, run.time_runnable, run.time_blocked, run.time_offline)
        return int(run.state), int(run.state_entry_time), found

    def change_times(self, how: str, state: int, entry: int, times: tuple[int, ...]) -> None:
        names = ("time_running", "time_runnable", "time_blocked", "time_offline")
        fields = dict(zip(names, times, strict=True))
        self.set(how, runstate={"state": state, "state_entry_time": entry, **fields})

    def port(self, number: int, flags: int = 0, vcpu: int = 0) -> None:
        to = {"port": {"port": number, "vcpu": vcpu, "priority": TWO_LEVEL}}
        self.set_vm(
            "EVTCHN", evtchn={"send_port": number, "type": IPI, "flags": flags, "deliver": to}
        )

    def is_pending(self, number: int) -> bool:
        return bool(self.memory.read(SHARED + PENDING + number // 8, 1)[0] >> number % 8 & 1)


@pytest.fixture
def domain() -> Iterator[Domain]:
    domain = Domain()
    yield domain
    domain.close()


def test_time_is_noted_for_the_state_that_a_vcpu_is_in(domain: Domain) -> None:
    for state in (RUNNABLE, BLOCKED, OFFLINE, RUNNING):
        domain.set("RUNSTATE_CURRENT", runstate={"state": state})
        before = domain.times()
        time.sleep(0.002)
        domain.set("RUNSTATE_CURRENT", runstate={"state": (state + 1) % 4})
        after = domain.times()

        assert before[0] == state
        assert after[2][state] >= before[2][state] + 2 * MS
        assert sum(after[2]) == after[1]
        shown = unpack("<i4xQ4Q", domain.memory.read(AREA, 48))
        assert shown == (after[0], after[1], *after[2])


def test_run_states_are_restored_and_adjusted(domain: Domain) -> None:
    domain.set("RUNSTATE_CURRENT", runstate={"state": BLOCKED})
    state, entry, times = domain.times()
    domain.change_times("RUNSTATE_ADJUST", TWO_LEVEL << 32 | TWO_LEVEL, 10, (1, 2, 3, 4))
    assert domain.times() == (state, entry + 10, tuple(n + i for i, n in enumerate(times, 1)))

    restored = (entry - 60, 10, 20, 30)
    domain.change_times("RUNSTATE_DATA", RUNNABLE, entry, restored)
    assert domain.times() == (RUNNABLE, entry, restored)
    for wrong in ((entry, 10, 20, 30), (0, 0, 0, 0)):  # they are to add up
        with pytest.raises(KvmError):
            domain.change_times("RUNSTATE_DATA", RUNNABLE, entry, wrong)
    late = int(domain.vm.get_clock().clock) + 3600 * 10**9
    with pytest.raises(KvmError):
        domain.change_times("RUNSTATE_DATA", RUNNABLE, late, (late, 0, 0, 0))


def test_timer_is_read_back_and_goes_off(domain: Domain) -> None:
    domain.memory.write(SHARED + MASK, b"\xff" * 512)
    expires = int(domain.vm.get_clock().clock) + 3600 * 10**9
    domain.set("TIMER", timer={"port": PORT, "priority": TWO_LEVEL, "expires_ns": expires})
    kept = domain.get("TIMER").timer
    assert (kept.port, kept.priority, kept.expires_ns) == (PORT, TWO_LEVEL, expires)
    assert not domain.is_pending(PORT)

    domain.set("TIMER", timer={"port": PORT, "priority": TWO_LEVEL, "expires_ns": 1})
    time.sleep(0.001)
    kept = domain.get("TIMER").timer  # what has gone off is delivered first
    assert (kept.port, kept.expires_ns) == (PORT, 0)
    assert domain.is_pending(PORT)
    domain.set("TIMER", timer={"port": 0, "priority": TWO_LEVEL, "expires_ns": 0})
    assert domain.get("TIMER").timer.port == 0


def test_sent_events_set_their_bits(domain: Domain) -> None:
    domain.memory.write(SHARED + MASK + PORT // 8, bytes([1 << PORT % 8]))
    domain.vm.xen_hvm_evtchn_send(PORT, 0, TWO_LEVEL)
    domain.vm.xen_hvm_evtchn_send(PORT + 64, 0, TWO_LEVEL)

    assert domain.is_pending(PORT)
    assert domain.is_pending(PORT + 64)
    info = domain.memory.read(INFO, 16)
    assert info[0] == 1
    assert unpack("<Q", info[SELECTOR:]) == (1 << (PORT + 64) // 64,)  # the other one is masked


def test_ports_are_told_once_changed_and_forgotten(domain: Domain) -> None:
    domain.port(PORT)
    with pytest.raises(KvmError):
        domain.port(PORT)
    domain.port(PORT, lib.KVM_XEN_EVTCHN_UPDATE, vcpu=1)
    with pytest.raises(KvmError):
        domain.port(PORT + 1, lib.KVM_XEN_EVTCHN_UPDATE)
    domain.port(PORT, lib.KVM_XEN_EVTCHN_DEASSIGN)
    with pytest.raises(KvmError):
        domain.port(PORT, lib.KVM_XEN_EVTCHN_DEASSIGN)
    domain.port(PORT)
    domain.port(PORT + 1)
    domain.port(0, lib.KVM_XEN_EVTCHN_RESET)
    domain.port(PORT)
    with pytest.raises(KvmError):
        domain.port(4096)


def test_pages_by_host_address_are_the_same_pages(domain: Domain) -> None:
    view = domain.memory.view(SHARED, 0x3000)[0]
    host = int(ffi.cast("uintptr_t", ffi.from_buffer(view)))
    domain.set("VCPU_INFO_HVA", hva=host + INFO - SHARED)
    domain.set_vm("SHARED_INFO_HVA", shared_info={"hva": host})
    domain.vm.xen_hvm_evtchn_send(PORT, 0, TWO_LEVEL)

    assert domain.is_pending(PORT)
    assert domain.memory.read(INFO, 1) == b"\1"
    domain.set_vm("SHARED_INFO_HVA", shared_info={"hva": 0})
    with pytest.raises(KvmError):
        domain.vm.xen_hvm_evtchn_send(PORT, 0, TWO_LEVEL)


def test_wallclock_is_within_a_second_of_the_hosts(domain: Domain) -> None:
    version, seconds, ns = unpack("<III", domain.memory.read(SHARED + 0xC00, 12))
    (high,) = unpack("<I", domain.memory.read(SHARED + 0xC0C, 4))
    clock = int(domain.vm.get_clock().clock)

    assert version % 2 == 0
    shown = (high << 32 | seconds) * 10**9 + ns + clock
    assert abs(shown - time.time_ns()) < 10**9
