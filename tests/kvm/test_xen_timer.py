"""The timer of a Xen domain's vCPU where KVM does not keep it."""

from __future__ import annotations

import select
from collections.abc import Callable, Iterator
from os import EFD_NONBLOCK, close, eventfd
from types import SimpleNamespace
from typing import Any

import pytest

from vmm.bus import MMIO_LIMIT, PIO_LIMIT, Bus
from vmm.kvm.system import System
from vmm.loop import IoLoop
from vmm.memory import GuestMemory
from vmm.native import ffi, lib, made
from vmm.threads import Lock
from vmm.xen import timerop
from vmm.xen.vcpus import XenVcpu

MILLISECOND = 10**6
PAGE, INFO, PENDING = 0x5000, 0x6000, 0x800
PORTS = (5, 6)  # of the two vCPUs' timers


class Rig:
    """A domain of two vCPUs that never run; the first is told by the callback's eventfd."""

    def __init__(self) -> None:
        self.system = System()
        self.vm = self.system.create_vm()
        self.buses = Bus("port", PIO_LIMIT), Bus("address", MMIO_LIMIT)
        buses = [bus.pointer for bus in self.buses]
        core = lib.vmcore_create(self.vm.fd.number, *buses)
        self.core = made(core, lib.vmcore_destroy, "core", *buses)
        self.clock = made(lib.vclock_create(False), lib.vclock_destroy, "the clock")
        lib.vclock_run(self.clock)
        self.memory = GuestMemory(1 << 20)
        self.ram = self.memory.accessor("test")
        self.loop = IoLoop()
        parts = (self.core, self.memory.pointer, self.ram.dev, self.clock, self.loop.pointer)
        self.x = made(lib.xenus_create(*parts, 2), lib.xenus_destroy, "the domain", *parts)
        self.told, self.lowered = (eventfd(0, EFD_NONBLOCK) for _ in range(2))
        lib.xenus_set_wide(self.x, True)
        lib.xenus_set_page(self.x, PAGE)
        lib.xenus_set_info(self.x, 0, INFO)
        assert lib.xenus_set_gsi(self.x, self.told, self.lowered) == 0
        self.loop.start()

    def domain(self) -> Any:
        """What timer calls use of one."""
        backend = SimpleNamespace(now=lambda: int(self.vm.get_clock().clock), vcpu_timer=self._set)
        domain: Any = SimpleNamespace(
            backend=backend, lock=Lock(), kvm=[0, 1], vcpus=[XenVcpu(), XenVcpu()],
            ports=SimpleNamespace(
                virq_port=lambda _virq, vcpu: PORTS[vcpu], check_vcpu=lambda _n: None
            ),
        )  # fmt: skip
        return domain

    def _set(self, index: int, port: int, expires: int = 0) -> None:
        lib.xenus_set_timer_port(self.x, index, port, expires)

    def pending(self) -> int:
        return self.ram.read(PAGE + PENDING, 1)[0]

    def close(self) -> None:
        self.loop.stop()
        ffi.release(self.x)
        self.loop.close()
        ffi.release(self.clock)
        ffi.release(self.core)
        self.memory.close()
        close(self.told)
        close(self.lowered)
        self.vm.close()
        self.system.close()


@pytest.fixture
def rig() -> Iterator[Rig]:
    rig = Rig()
    yield rig
    rig.close()


def call(vcpu: int, *params: int) -> Any:
    return SimpleNamespace(vcpu=vcpu, wide=True, params=(*params, *[0] * (6 - len(params))))


@pytest.mark.needs("kvm")
@pytest.mark.parametrize(
    "stop",
    [
        lambda domain: timerop.set_timer_op(domain, call(1, 0)),
        lambda domain: timerop.stop_singleshot_timer(domain, call(1, 9, 1)),
    ],
    ids=["set_timer_op", "vcpu_op"],
)
def test_timer_that_was_stopped_does_not_go_off(rig: Rig, stop: Callable[[Any], int]) -> None:
    domain, in_time = rig.domain(), False
    while not in_time:
        rig.ram.write(PAGE + PENDING, b"\0")
        soon = domain.backend.now() + 20 * MILLISECOND
        timerop.set_timer_op(domain, call(1, soon))
        stop(domain)
        in_time = domain.backend.now() < soon
    timerop.set_timer_op(domain, call(0, soon + 20 * MILLISECOND))

    select.select([rig.told], [], [])

    assert rig.pending() == 1 << PORTS[0]


@pytest.mark.needs("kvm")
def test_end_is_known_until_the_guest_was_told(rig: Rig) -> None:
    far = rig.domain().backend.now() + 10**15
    lib.xenus_set_timer_port(rig.x, 0, PORTS[0], far)
    assert lib.xenus_timer_end(rig.x, 0) == far
    lib.xenus_set_page(rig.x, lib.XENUS_NOWHERE)
    lib.xenus_set_timer_port(rig.x, 0, PORTS[0], 1)
    assert lib.xenus_timer_end(rig.x, 0) == 1  # nowhere to note it
    lib.xenus_set_page(rig.x, PAGE)
    lib.xenus_set_timer_port(rig.x, 0, PORTS[0], 1)
    assert lib.xenus_timer_end(rig.x, 0) == 0
    assert rig.pending() == 1 << PORTS[0]
