"""Channels to back-ends that the host cannot make: nothing is left of them."""

from __future__ import annotations

import errno
from types import SimpleNamespace
from typing import Any

import pytest

from tests.descriptors import descriptors
from vmm.errors import KvmError, VmmError
from vmm.irq import IrqRouter
from vmm.native import lib
from vmm.xen import abi
from vmm.xen.channel import Channels
from vmm.xen.evtchn import PortTable
from vmm.xen.kvmports import KvmPorts
from vmm.xen.kvmxen import KvmXen


class Rig:
    """Ports of a domain with KVM's help, where `full` says what KVM has no room for."""

    def __init__(self) -> None:
        self.full, self.irqfds = "", dict[int, int]()
        self.router = IrqRouter(None, split=False)
        self.router._irqfd = self._irqfd  # type: ignore[method-assign]
        vm: Any = SimpleNamespace(
            xen_hvm_set_attr=lambda _attr: self._room("eventfd"), change=lambda *_args: None
        )
        backend = KvmXen.__new__(KvmXen)
        backend._by_pin, backend._pins = False, None
        backend._ports = KvmPorts(vm, self.router, (0,))
        self.ports = PortTable(1)
        self.ports.limit = 64
        self.channels = Channels(backend, self.ports)
        self.channels.start()

    def _room(self, what: str) -> None:
        if what == self.full:
            raise KvmError("an ioctl", errno.ENOMEM)

    def _irqfd(self, gsi: int, fd: int, flags: int) -> None:
        if flags & lib.KVM_IRQFD_FLAG_DEASSIGN:
            del self.irqfds[gsi]
        else:
            self._room("irqfd")
            self.irqfds[gsi] = fd

    def all_used(self) -> int:
        """A GSI of each that there are."""
        count = 0
        while True:
            try:
                self.router.alloc_gsi()
            except VmmError:
                return count
            count += 1


@pytest.mark.parametrize("full", ["irqfd", "eventfd"])
def test_what_kvm_refuses_leaves_nothing(full: str) -> None:
    rig = Rig()
    number = rig.ports.alloc_unbound(abi.DOMID_BACKEND)
    before, routes = descriptors(), rig.router.entries()
    rig.full = full

    with pytest.raises(KvmError):
        rig.channels.bind(number)

    assert (descriptors(), rig.router.entries(), rig.irqfds) == (before, routes, {})
    assert rig.all_used() == Rig().all_used()


def test_no_gsi_left_is_no_channel() -> None:
    rig = Rig()
    number = rig.ports.alloc_unbound(abi.DOMID_BACKEND)
    rig.all_used()
    before = descriptors()

    with pytest.raises(VmmError, match="GSIs are in use"):
        rig.channels.bind(number)

    assert (descriptors(), rig.channels.by_port) == (before, {})
