"""Hypercalls that carry others, that the host fails, and that change nothing when refused."""

from __future__ import annotations

import errno
from collections.abc import Callable
from struct import pack, unpack
from types import SimpleNamespace
from typing import Any

import pytest

from vmm.config import VmConfig
from vmm.errors import KvmError, StateError
from vmm.native import lib
from vmm.threads import Lock
from vmm.xen import abi, consoleop, evtchnop, hvmop, hypercalls, memoryop, schedop, timerop, vcpuop
from vmm.xen.abi import Again, XenError
from vmm.xen.call import Call
from vmm.xen.domain import XenDomain
from vmm.xen.evtchn import Port
from vmm.xen.kvmxen import KvmXen
from vmm.xen.multicall import multicall
from vmm.xen.usersite import GS_BASE, TRIES_MAX, Interception
from vmm.xen.vcpus import XenVcpu

AT = 0x1000


class FakeCall(Call):
    """Its linear addresses are places in `room`."""

    def __init__(self, wide: bool, *params: int) -> None:
        self.vcpu, self.number, self.wide = 0, abi.MULTICALL, wide
        self.params = params + (0,) * (6 - len(params))
        self.room = bytearray(0x2000)

    def read(self, linear: int, length: int) -> bytes:
        return bytes(self.room[linear % 0x2000 :][:length])

    def write(self, linear: int, data: bytes) -> None:
        self.room[linear : linear + len(data)] = data


def fake_domain(**fields: Any) -> Any:
    backend = SimpleNamespace(wide=lambda: True, set_wide=lambda _wide: None)
    defaults = {
        **{"lock": Lock(), "calls": {}, "refused": {}, "latch": lambda *_a, **_k: None},
        **{"observer": None, "handlers": {}},
    }
    return SimpleNamespace(**{**defaults, "backend": backend, **fields})


@pytest.mark.parametrize("wide", [False, True])
def test_inner_call_goes_on_with_arguments_that_fit_its_entry(wide: bool) -> None:
    layout, width = ("<8Q", 8) if wide else ("<8I", 4)
    top = (1 << 8 * width) - 0x80
    call = FakeCall(wide, AT, 1)
    call.write(AT, pack(layout, abi.CONSOLE_IO, 0, 0, 600, top, 0, 0, 0))

    with pytest.raises(Again) as again:
        multicall(fake_domain(), call, consoleop.write)

    assert again.value.params == (AT, 1)
    entry = unpack(layout, call.read(AT, 8 * width))
    assert entry[2:5] == (0, 600 - consoleop.PIECE, consoleop.PIECE - 0x80)


@pytest.mark.parametrize(
    ("error", "number"),
    [
        (KvmError("KVM_SIGNAL_MSI", errno.EFAULT), abi.EINVAL),
        (KvmError("KVM_SET_USER_MEMORY_REGION", errno.ENOMEM), abi.ENOMEM),
        (OSError(errno.EMFILE, "none left"), abi.EINVAL),
        (StateError("the machine ends"), abi.EINVAL),
    ],
)
def test_what_the_host_refuses_is_an_error_of_the_call(
    error: Exception, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(_domain: object, _call: object) -> int:
        raise error

    monkeypatch.setitem(hypercalls.TABLE, abi.HVM_OP, ("hvm_op", {0: failing}, 0))
    call, domain = FakeCall(True), fake_domain()
    call.number = abi.HVM_OP

    with pytest.raises(XenError, match=f"^{number}$"):
        hypercalls.answer(domain, call)

    assert domain.refused == {f"hvm_op {number}": 1}


def test_callback_that_is_refused_changes_nothing() -> None:
    switched: list[int | None] = []

    def switch(gsi: int | None) -> bool:
        if gsi is not None:
            raise XenError(abi.EINVAL)
        switched.append(gsi)
        return False

    latched: list[bool] = []
    domain = fake_domain(
        backend=SimpleNamespace(set_callback_gsi=switch),
        vcpus=[SimpleNamespace(vector=0)],
        vector=0xF3,
        params={abi.HVM_PARAM_CALLBACK_IRQ: 7},
        latch=lambda wide, again: latched.append(again),
    )
    for value in (5, abi.CALLBACK_VIA_VECTOR << 56 | 3, 9 << 56):
        call = FakeCall(True, 0, AT)
        param = pack(hvmop.PARAM, abi.DOMID_SELF, abi.HVM_PARAM_CALLBACK_IRQ, value)
        call.write(AT, param)
        with pytest.raises(XenError, match=f"^{abi.EINVAL}$"):
            hvmop.set_param(domain, call)

    assert (switched, latched, domain.vector) == ([], [], 0xF3)
    assert domain.params == {abi.HVM_PARAM_CALLBACK_IRQ: 7}


def test_kvm_hears_of_no_hypercalls_when_the_domain_could_not_be_made() -> None:
    class Vm:
        flags = 0

        def xen_hvm_config(self, flags: int, _msr: int) -> None:
            self.flags = flags

        def xen_hvm_set_attr(self, _attr: object) -> None:
            assert self.flags
            raise KvmError("KVM_XEN_HVM_SET_ATTR", errno.EINVAL)

    vm: Any = Vm()
    context: Any = SimpleNamespace(router=None, apic_ids=[0], config=VmConfig(xen=True))
    with pytest.raises(KvmError, match="SET_ATTR"):
        KvmXen(vm, context, 0, 4 << 16)
    assert vm.flags == 0


def test_channel_that_cannot_move_is_told_to_the_guest() -> None:
    def refuse(_number: int) -> None:
        raise KvmError("KVM_SET_GSI_ROUTING", errno.ENOMEM)

    port = Port(kind=abi.EVTCHNSTAT_interdomain, remote=abi.DOMID_BACKEND)
    domain = fake_domain(
        ports=SimpleNamespace(get=lambda _number: port),
        services=SimpleNamespace(channels=SimpleNamespace(follow=refuse)),
    )
    with pytest.raises(KvmError):
        evtchnop.connect(domain, 3)


def test_searches_for_the_place_of_hypercalls_end() -> None:
    watched: list[tuple[int, ...]] = []
    site = Interception.__new__(Interception)
    site._watch = lambda *indices: watched.append(indices)  # type: ignore[method-assign]
    site.breakpoints, site._msr = False, abi.HYPERCALL_MSR
    vcpu: Any = SimpleNamespace(
        set_msrs=lambda _msrs: 0,
        get_regs=lambda: SimpleNamespace(rip=0x1000),
        translate=lambda _linear: None,
    )
    site.arm()
    for _ in range(TRIES_MAX):
        assert (abi.HYPERCALL_MSR,) not in watched
        assert site.written(vcpu, GS_BASE, 0)
    assert watched[-1] == (abi.HYPERCALL_MSR,)


class FakeVcpus:
    """vCPUs of a fake domain; `held` are those that stand still."""

    def __init__(self, *held: int) -> None:
        self.held, self.states = set(held), [lib.KVM_MP_STATE_RUNNABLE] * 3
        self.own = [XenVcpu() for _ in range(3)]
        for n in held:
            self.own[n].down = True
        self.meanwhile: Callable[[], object] = lambda: None  # before another one's answer

    def hold(self, index: int, on: bool) -> None:
        self.held.add(index) if on else self.held.discard(index)

    def carry_out(self, caller: int, target: int, function: Callable[[], Any]) -> Any:
        if target != caller:
            meanwhile, self.meanwhile = self.meanwhile, lambda: None
            meanwhile()
        return function()

    def domain(self) -> Any:
        kvm = [
            SimpleNamespace(
                get_mp_state=lambda n=n: self.states[n],
                set_mp_state=lambda state, n=n: self.states.__setitem__(n, state),
            )
            for n in range(3)
        ]
        nothing = SimpleNamespace(halt=lambda: None, end=lambda: None, begin=lambda: None)
        domain = fake_domain(
            services=nothing, kvm=kvm, vcpus=self.own, hold=self.hold, carry_out=self.carry_out,
            ports=SimpleNamespace(check_vcpu=lambda _n: None, virq_port=lambda _virq, _n: 0),
            _clear=lambda: None, shared=None,
        )  # fmt: skip
        domain.backend.reset = lambda: None
        for what in ("info", "time_info", "runstate", "upcall_vector", "timer", "runstate_now"):
            setattr(domain.backend, f"vcpu_{what}", lambda *_arguments: None)
        return domain


def test_soft_reset_has_vcpus_that_were_down_wait_to_be_started() -> None:
    vcpus = FakeVcpus(1, 2)

    XenDomain.soft_reset(vcpus.domain())

    assert not vcpus.held
    assert vcpus.states[0] == lib.KVM_MP_STATE_RUNNABLE
    assert vcpus.states[1:] == [lib.KVM_MP_STATE_UNINITIALIZED] * 2


def vcpu_call(index: int) -> Any:
    call = FakeCall(True, 0, index)
    call.vcpu = index
    return call


@pytest.mark.parametrize("operation", [2, 3, 4, 7, 14, 15])
def test_what_is_done_at_once_cannot_have_been_interrupted(operation: int) -> None:
    call = FakeCall(True, operation | 1 << memoryop.CONTINUATION, AT)

    with pytest.raises(XenError, match=f"^{abi.EINVAL}$"):
        memoryop.OPS[operation](fake_domain(), call)


@pytest.mark.parametrize(("state", "now", "last"), [(0, 900, 400), (3, 900, 400), (0, 400, 0)])
def test_run_states_are_told_up_to_now(state: int, now: int, last: int) -> None:
    domain = FakeVcpus().domain()
    domain.backend.now = lambda: now
    domain.backend.vcpu_runstate_times = lambda _kvm: (state, 500, (100, 100, 100, 200))
    call = FakeCall(True, 4, 0, AT)

    vcpuop.get_runstate_info(domain, call)

    told = unpack("<i4xQ4Q", call.read(AT, 48))
    times = [100, 100, 100, 200]
    times[state] += last
    assert told == (state, 500, *times)


def test_last_two_that_go_down_at_once_end_the_domain() -> None:
    vcpus, ended = FakeVcpus(2), []
    domain = vcpus.domain()

    def other_goes_down() -> None:
        with pytest.raises(schedop.Shutdown) as shutdown:
            vcpuop.down(domain, vcpu_call(1))
        ended.append(shutdown.value.reason)

    vcpus.meanwhile = other_goes_down
    vcpuop.down(domain, vcpu_call(0))

    assert ended == [abi.SHUTDOWN_poweroff]


def test_vcpu_that_is_brought_up_while_it_goes_down_runs() -> None:
    vcpus = FakeVcpus()
    domain = vcpus.domain()
    vcpus.meanwhile = lambda: vcpuop.up(domain, vcpu_call(0))

    vcpuop.down(domain, vcpu_call(0))

    assert not vcpus.held


def test_up_lets_only_those_go_that_were_down() -> None:
    vcpus = FakeVcpus()
    vcpus.held.add(1)  # the machine's business

    vcpuop.up(vcpus.domain(), vcpu_call(1))

    assert vcpus.held == {1}


def test_code_of_the_next_shutdown_is_a_byte_and_the_first_one_stays() -> None:
    domain, call = fake_domain(shutdown_code=None), FakeCall(True, 0, AT)
    for code in (0xABCD_0003, abi.SHUTDOWN_reboot):
        call.write(AT, pack("<I", code))
        assert schedop.shutdown_code(domain, call) == 0
    call.write(AT, pack("<I", abi.SHUTDOWN_poweroff))

    with pytest.raises(schedop.Shutdown) as ended:
        schedop.shutdown(domain, call)

    assert ended.value.reason == abi.SHUTDOWN_crash


def test_timer_that_is_stopped_is_stopped_before_its_port_is_looked_at() -> None:
    """A back-end that hears of a port alone goes on with the time it has for it."""
    told: list[tuple[int, ...]] = []
    domain = FakeVcpus().domain()
    domain.ports = SimpleNamespace(virq_port=lambda _virq, _vcpu: 5, check_vcpu=lambda _vcpu: None)
    domain.backend.vcpu_timer = lambda _kvm, *what: told.append(what)
    call = FakeCall(True, 9, 0)

    timerop.stop_singleshot_timer(domain, call)

    assert told == [(0,), (5, 0)]
