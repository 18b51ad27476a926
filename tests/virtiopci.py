"""A driver of virtio functions, by the registers: what Linux does in its probe, step by step.

`PciConfig` is configuration space through ECAM; `VirtioPciDriver` finds the structures through the
capabilities (virtio 1.2, 4.1.4), negotiates, lays out queues and rings doorbells. Raw registers are
within reach for drivers that break the rules.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from tests.virtiodriver import Arena, DriverRing
from vmm import layout
from vmm.bus import BusProbe

ACKNOWLEDGE, DRIVER, DRIVER_OK, FEATURES_OK, NEEDS_RESET, FAILED = 1, 2, 4, 8, 0x40, 0x80
READY = ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK
NO_VECTOR = 0xFFFF
INDIRECT, EVENT_IDX, VERSION_1, ACCESS_PLATFORM, RING_RESET = 28, 29, 32, 33, 40
PATIENCE = 20.0  # s
COMMON, NOTIFY, ISR, DEVICE, ACCESS = 1, 2, 3, 4, 5  # types of structures
CAP_VENDOR, CAP_MSIX = 0x09, 0x11
IO, MEMORY, MASTER = 1, 2, 4  # bits of the command register

# Of struct virtio_pci_common_cfg: offset and size.
FIELDS = {
    "device_feature_select": (0, 4),
    "device_feature": (4, 4),
    "driver_feature_select": (8, 4),
    "driver_feature": (12, 4),
    "config_msix_vector": (16, 2),
    "num_queues": (18, 2),
    "device_status": (20, 1),
    "config_generation": (21, 1),
    "queue_select": (22, 2),
    "queue_size": (24, 2),
    "queue_msix_vector": (26, 2),
    "queue_enable": (28, 2),
    "queue_notify_off": (30, 2),
    "queue_desc": (32, 8),
    "queue_driver": (40, 8),
    "queue_device": (48, 8),
    "queue_notify_data": (56, 2),
    "queue_reset": (58, 2),
}


def wait_for(condition: Callable[[], object], what: str = "") -> None:
    """AssertionError if `condition()` does not become true within PATIENCE seconds."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"waited in vain for {what or condition}"
        time.sleep(0.0005)


class PciConfig:
    """One function's configuration space."""

    def __init__(self, mmio: BusProbe, devfn: int) -> None:
        self.mmio, self.base = mmio, layout.PCI_ECAM + (devfn << 12)

    def read(self, offset: int, size: int = 4) -> int:
        return self.mmio.read(self.base + offset, size)

    def write(self, offset: int, value: int, size: int = 4) -> None:
        self.mmio.write(self.base + offset, size, value)

    def capabilities(self) -> list[tuple[int, int]]:
        """(id, offset) in the order of the list."""
        found, at = [], self.read(0x34, 1)
        while at:
            found.append((self.read(at, 1), at))
            at = self.read(at + 1, 1)
        return found

    def bar(self, number: int) -> tuple[str, int]:
        """Address space and base of a base address register."""
        low = self.read(0x10 + 4 * number)
        if low & 1:
            return "pio", low & ~3
        high = self.read(0x14 + 4 * number) if low & 4 else 0
        return "mmio", high << 32 | low & ~0xF


class Place(NamedTuple):
    """Where a structure is."""

    space: str
    base: int
    length: int


class VirtioPciDriver:
    """The driver of one modern virtio function."""

    def __init__(self, pio: BusProbe, mmio: BusProbe, devfn: int) -> None:
        self._probes = {"pio": pio, "mmio": mmio}
        self.config = PciConfig(mmio, devfn)
        self.config.write(0x04, IO | MEMORY | MASTER, 2)
        self.places: dict[int, Place] = {}
        self.access_cap = self.multiplier = 0
        self.features = 0
        for kind, at in self.config.capabilities():
            if kind == CAP_VENDOR:
                self._found(at)

    def _found(self, at: int) -> None:
        kind, bar = self.config.read(at + 3, 1), self.config.read(at + 4, 1)
        if kind == ACCESS:
            self.access_cap = at
            return
        if kind == NOTIFY:
            self.multiplier = self.config.read(at + 16)
        space, base = self.config.bar(bar)
        place = Place(space, base + self.config.read(at + 8), self.config.read(at + 12))
        self.places.setdefault(kind, place)

    # --- registers

    def read(self, kind: int, offset: int, size: int) -> int:
        place = self.places[kind]
        return self._probes[place.space].read(place.base + offset, size)

    def write(self, kind: int, offset: int, value: int, size: int) -> None:
        place = self.places[kind]
        self._probes[place.space].write(place.base + offset, size, value)

    def get(self, field: str) -> int:
        offset, size = FIELDS[field]
        return self.read(COMMON, offset, size)

    def set(self, field: str, value: int) -> None:
        offset, size = FIELDS[field]
        if size == 8:  # two halves, as 4.1.3.1 has it
            self.write(COMMON, offset, value & 0xFFFFFFFF, 4)
            self.write(COMMON, offset + 4, value >> 32, 4)
        else:
            self.write(COMMON, offset, value, size)

    @property
    def status(self) -> int:
        return self.get("device_status")

    def add_status(self, bits: int) -> int:
        """The status after the bits were added."""
        self.set("device_status", self.status | bits)
        return self.status

    # --- the steps of a probe (3.1.1)

    def reset(self) -> None:
        """Returns when the device says it is done, as a driver has to wait."""
        self.set("device_status", 0)
        wait_for(lambda: self.status == 0, "the end of a reset")

    def offered(self) -> int:
        bits = 0
        for word in (0, 1):
            self.set("device_feature_select", word)
            bits |= self.get("device_feature") << 32 * word
        return bits

    def accept(self, features: int) -> bool:
        """Whether the device agrees: FEATURES_OK stays set."""
        for word in (0, 1):
            self.set("driver_feature_select", word)
            self.set("driver_feature", features >> 32 * word & 0xFFFFFFFF)
        self.features = features
        return bool(self.add_status(FEATURES_OK) & FEATURES_OK)

    def negotiate(self, decline: int = 0) -> None:
        """Reset, then all features that are offered but those declined (a mask)."""
        self.reset()
        self.add_status(ACKNOWLEDGE)
        self.add_status(DRIVER)
        assert self.accept(self.offered() & ~decline)

    def ring(self, arena: Arena, queue: int, size: int = 0) -> DriverRing:
        """Lays out a ring of the queue's size, or a smaller one."""
        self.set("queue_select", queue)
        return DriverRing(
            arena,
            size or self.get("queue_size"),
            event_idx=bool(self.features >> EVENT_IDX & 1),
            indirect=bool(self.features >> INDIRECT & 1),
        )

    def enable(self, queue: int, ring: DriverRing, vector: int = NO_VECTOR) -> None:
        self.set("queue_select", queue)
        self.set("queue_size", ring.size)
        self.set("queue_msix_vector", vector)
        self.set("queue_desc", ring.desc)
        self.set("queue_driver", ring.avail)
        self.set("queue_device", ring.used)
        self.set("queue_enable", 1)

    def start(self) -> None:
        assert self.add_status(DRIVER_OK) & READY == READY

    def probe(self, arena: Arena, decline: int = 0) -> list[DriverRing]:
        """From reset to DRIVER_OK with every queue enabled, vector n + 1 for queue n."""
        self.negotiate(decline)
        rings = []
        for queue in range(self.get("num_queues")):
            rings.append(self.ring(arena, queue))
            self.enable(queue, rings[-1], queue + 1)
        self.set("config_msix_vector", 0)
        self.start()
        return rings

    # --- afterwards

    def notify(self, queue: int) -> None:
        self.set("queue_select", queue)
        self.write(NOTIFY, self.get("queue_notify_off") * self.multiplier, queue, 2)

    def isr(self) -> int:
        return self.read(ISR, 0, 1)

    def reset_queue(self, queue: int) -> None:
        self.set("queue_select", queue)
        self.set("queue_reset", 1)
        wait_for(lambda: not self.get("queue_reset"), "the end of a queue's reset")
        assert not self.get("queue_enable")
