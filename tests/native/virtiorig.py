"""PCI devices, virtio ones above all, on a root without KVM, and drivers for them."""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self

import pytest

from tests.native.devrig import Rig
from tests.virtiodriver import Arena, DriverRing, Used
from tests.virtiopci import CAP_MSIX, PATIENCE, PciConfig, VirtioPciDriver, wait_for
from vmm.context import DeviceContext
from vmm.devices.ports import reset_port
from vmm.layout import MIB
from vmm.memory import GuestMemory
from vmm.pci.root import PciRoot
from vmm.record import replace
from vmm.virtio.device import VirtioDevice
from vmm.virtio.rng import Rng
from vmm.virtio.transport import TransportConfig, VirtioPci

SLOT = 3
MSIX_ENABLE = 1 << 15
RNG_ID = 4


class PlugRig(Rig):
    """A PCI device, `pci`, on the bus of a machine without KVM; its loop runs, its clock does not.

    `events` are what devices told.
    """

    def __init__(self, make: Callable[[DeviceContext], Any], **settings: Any) -> None:
        super().__init__(**settings)
        self.memory = GuestMemory(64 * MIB)
        self.memory.fresh = False  # rings are laid out anew where others were
        self.arena = Arena(self.memory)
        self.events: list[tuple[str, dict[str, object]]] = []
        notify = lambda name, fields: self.events.append((name, fields))  # noqa: E731
        self.context = replace(self.context, memory=self.memory, notify=notify)
        self._port = reset_port(legacy=False)
        self.root = PciRoot(self.context, self._port)
        self.root.claim(self.pio, self.mmio)
        self.pci = make(self.context)
        self.root.plug(self.pci.function, SLOT << 3)
        self.config_space = PciConfig(self._probes["mmio"], SLOT << 3)
        self.loop.start()
        self.driver: Any = self.make_driver()

    def make_driver(self) -> Any:
        return None

    def virtio_driver(self) -> VirtioPciDriver:
        return VirtioPciDriver(self._probes["pio"], self._probes["mmio"], SLOT << 3)

    def __enter__(self) -> Self:
        return self

    def _close_devices(self) -> None:
        self.pci.close()
        self.loop.stop()
        self.root.close()
        self._port.close()
        self.memory.close()

    def bar(self, number: int, offset: int, size: int = 4, value: int | None = None) -> int:
        """Reads or writes behind a base address register."""
        space, base = self.config_space.bar(number)
        probe = self._probes[space]
        if value is None:
            return probe.read(base + offset, size)
        return probe.write(base + offset, size, value)

    def enable_vectors(self) -> None:
        """As a driver does; they stay masked."""
        [at] = [at for kind, at in self.config_space.capabilities() if kind == CAP_MSIX]
        self.config_space.write(at + 2, MSIX_ENABLE, 2)

    def vector_fd(self, vector: int) -> int:
        return int(self.pci.msix.fd(vector))

    def interrupts(self, vector: int) -> int:
        """How often the vector was raised since the last time."""
        try:
            return int.from_bytes(os.read(self.vector_fd(vector), 8), "little")
        except BlockingIOError:
            return 0

    def await_interrupt(self, vector: int) -> None:
        ready, _, _ = select.select([self.vector_fd(vector)], [], [], 20)
        assert ready, f"vector {vector} stays silent"
        self.interrupts(vector)

    def exchange(self, queue: int, ring: DriverRing, count: int = 1) -> list[Used]:
        """Publishes what was added, rings if wanted, and waits until `count` chains are used."""
        done: list[Used] = []
        if ring.publish():
            self.driver.notify(queue)
        wait_for(lambda: done.extend(ring.collect()) or len(done) >= count, "used chains")
        return done

    @contextmanager
    def stuck(self) -> Iterator[None]:
        """The loop stands still in the body."""
        entered, leave = threading.Event(), threading.Event()
        self.loop.call(lambda: entered.set() or leave.wait())
        assert entered.wait(PATIENCE)
        try:
            yield
        finally:
            leave.set()

    def settle(self) -> None:
        """Returns when the loop has done what was asked of it before."""
        seen: list[bool] = []
        self.loop.call(lambda: seen.append(True))
        wait_for(lambda: seen, "the loop")


class VirtioRig(PlugRig):
    """`device` is what `build` made, behind `pci`; `driver` its driver.

    With `msix` the vectors are on: what they got is in their eventfds, since no KVM takes it away.
    """

    def __init__(
        self,
        build: Callable[[DeviceContext], VirtioDevice],
        *,
        msix: bool = True,
        transport: TransportConfig | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(lambda context: VirtioPci(context, build(context), transport), **settings)
        self.device: Any = self.pci.device
        self.core = self.pci.core
        if msix:
            self.enable_vectors()

    def make_driver(self) -> Any:
        return self.virtio_driver()


def rng_rig(**more: Any) -> VirtioRig:
    """An entropy device: the least there is behind the transport."""
    return VirtioRig(lambda context: Rng("rng0", context), **more)


@pytest.fixture
def pin_rig() -> Iterator[VirtioRig]:
    """Without vectors: interrupts come on the function's pin."""
    with rng_rig(msix=False) as rig:
        yield rig


def works(rig: VirtioRig) -> bool:
    """A driver that starts anew gets its random bytes."""
    [ring] = rig.driver.probe(rig.arena)
    ring.add([], [64])
    [used] = rig.exchange(0, ring)
    return used.written == 64 and used.data != bytes(64)
