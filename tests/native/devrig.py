"""One device in C on a manual clock and a bus of its own; its lines are written down."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Protocol, Self

from vmm.bus import MMIO_LIMIT, PIO_LIMIT, Bus, BusProbe
from vmm.cdevice import CDevice
from vmm.coalesce import Coalesce
from vmm.config import VmConfig
from vmm.context import DeviceContext
from vmm.irq import IrqRouter
from vmm.kvm.topology import apic_ids
from vmm.loop import IoLoops
from vmm.native import Fd, ffi, lib, made


class Rig:
    """A machine without KVM, memory and devices. Use as a context manager.

    `edges` are (GSI, level) in order since `take_edges()`.
    """

    def __init__(self, **settings: Any) -> None:
        self.config = VmConfig.of(kernel="-", **settings)
        self.edges: list[tuple[int, int]] = []
        self.levels: dict[int, int] = {}
        self.clock = made(lib.vclock_create(True), lib.vclock_destroy, "clock")
        self.hub = made(lib.irq_hub_create(), lib.irq_hub_destroy, "hub")
        self._set = ffi.callback("void(void *, uint32_t, int)", self._line_changed)
        sink = ffi.new("struct irq_sink *", {"set": self._set})
        lib.irq_hub_set_sink(self.hub, sink[0])
        self.loops = IoLoops(1)
        self.loop = self.loops.first
        self.pio, self.mmio = Bus("port", PIO_LIMIT), Bus("address", MMIO_LIMIT)
        self.context = DeviceContext(
            config=self.config,
            pio=self.pio,
            mmio=self.mmio,
            irq=self.hub,
            clock=self.clock,
            loop=self.loop,
            loops=self.loops,
            core=None,
            memory=None,  # type: ignore[arg-type]
            router=IrqRouter(None, split=self.config.irqchip == "split"),
            coalesce=Coalesce(ffi.NULL, self.clock, self.loop, usable=False),
            apic_ids=apic_ids(self.config.cpu, self.config.cpus),
            vm_fd=-1,
            kvm_vfio=lambda: Fd(-1),
            upcalls=[],
            notify=lambda _name, _fields: None,
            wish=lambda _what, _device: None,
        )
        self._probes = {"pio": BusProbe(self.pio), "mmio": BusProbe(self.mmio)}

    def _line_changed(self, _chip: object, gsi: int, level: int) -> None:
        self.edges.append((gsi, level))
        self.levels[gsi] = level

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        for probe in self._probes.values():
            probe.close()
        self._close_devices()
        self.context.coalesce.close()
        self.loops.close()

    def _close_devices(self) -> None:
        pass

    @property
    def now(self) -> int:
        return int(lib.vclock_ns(self.clock))

    def step(self, ns: int) -> None:
        lib.vclock_step(self.clock, ns)

    def take_edges(self) -> list[tuple[int, int]]:
        edges, self.edges = self.edges, []
        return edges

    def level(self, gsi: int) -> int:
        return self.levels.get(gsi, 0)


class DeviceRig(Rig):
    """One device in C, with its accesses by region."""

    def __init__(self, build: Callable[[DeviceContext], CDevice], **settings: Any) -> None:
        super().__init__(**settings)
        self.device: Any = build(self.context)
        self.device.claim(self.pio, self.mmio)

    def _close_devices(self) -> None:
        self.device.close()

    def _place(self, region: int) -> tuple[str, int]:
        return next((space, base) for space, base, _, r in self.device.claims if r == region)

    def read(self, region: int, offset: int = 0, size: int = 1) -> int:
        space, base = self._place(region)
        return self._probes[space].read(base + offset, size)

    def write(self, region: int, offset: int, value: int, size: int = 1) -> int:
        """The device's answer: 0 or an enum dev_event."""
        space, base = self._place(region)
        return self._probes[space].write(base + offset, size, value)

    def save(self) -> dict[str, Any]:
        return dict(self.device.save())


class Twin(Protocol):
    """What the model of a device offers. `edges` is its list of (GSI, level)."""

    edges: list[tuple[int, int]]

    def read(self, region: int, offset: int, size: int) -> int: ...
    def write(self, region: int, offset: int, value: int, size: int) -> int: ...
    def step(self, ns: int) -> None: ...
    def save(self) -> dict[str, Any]: ...


class Lines:
    """Interrupt lines of a twin: `edges` gets the changes, as the hub would report them."""

    def __init__(self) -> None:
        self.edges: list[tuple[int, int]] = []
        self._levels: dict[int, int] = {}

    def set(self, gsi: int, level: object) -> None:
        if self._levels.get(gsi, 0) != int(bool(level)):
            self._levels[gsi] = int(bool(level))
            self.edges.append((gsi, int(bool(level))))


def compare(rig: DeviceRig, twin: Twin) -> None:
    """Same edges since the last time, same state."""
    edges, twin.edges[:] = list(twin.edges), []
    assert rig.take_edges() == edges
    assert rig.save() == twin.save()


class Mix:
    """A random mix of accesses to (region, bytes) ranges, and of steps in time."""

    def __init__(
        self, ranges: dict[int, int], sizes: tuple[int, ...] = (1,), step: int = 0
    ) -> None:
        self.ranges = ranges
        self.sizes = sizes
        self.max_step = step

    def access(self, rng: random.Random, rig: DeviceRig, twin: Twin, value: int) -> None:
        """One read or write of `value` on both; the answers must be the same."""
        region = rng.choice(list(self.ranges))
        size = rng.choice(self.sizes)
        offset = rng.randrange(self.ranges[region] - size + 1)
        if rng.random() < 0.5:
            mine, other = rig.read(region, offset, size), twin.read(region, offset, size)
        else:
            value &= (1 << 8 * size) - 1
            mine, other = (
                rig.write(region, offset, value, size),
                twin.write(region, offset, value, size),
            )
        assert mine == other, f"region {region} offset {offset} size {size}"

    def step(self, rng: random.Random, rig: DeviceRig, twin: Twin) -> None:
        ns = rng.randrange(self.max_step)
        rig.step(ns)
        twin.step(ns)
