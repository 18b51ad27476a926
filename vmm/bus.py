"""The buses: who answers which port or guest-physical address. A facade over core/bus/bus_table.c.

A claim may be made, moved and released while vCPUs run, by any thread, also from inside an access:
a lookup never waits for it, and neither does who changes it. An access that is under way goes on
with the table it began with, so what was released stays alive until the last such access has ended.
"""

from __future__ import annotations

import time

from vmm.errors import StateError, VmmError
from vmm.native import check, ffi, lib, made
from vmm.threads import Lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PIO_LIMIT = 1 << 16
MMIO_LIMIT = 1 << 52
EEXIST = 17
QUIET_POLL = 50e-6  # seconds between two looks; an access lasts microseconds


class Bus:
    """One address space. `pointer` is the C bus."""

    def __init__(self, name: str, limit: int) -> None:
        self.name = name
        self.pointer = made(lib.bus_create(limit), lib.bus_destroy, f"the {name} bus")
        self._lock = Lock()  # guards the next two; held over no upcall and no wait
        self._keep: dict[int, Any] = {}  # devices stay alive as long as C may call them
        # ... those released, once each, with the last table that lacks them.
        self._leaving: dict[tuple[Any, int], tuple[int, Any]] = {}

    def claim(
        self, base: int, length: int, dev: Any, owner: str, region: int = 0, keep: Any = None
    ) -> None:
        """Gives [base, base + length) to `dev` (a `struct dev *`). VmmError if it is taken."""
        with self._lock:
            error = lib.bus_claim(self.pointer, base, length, dev, region)
            self._check(error, "bus_claim", owner, base, length)
            self._keep[base] = (dev, keep)
        self._let_go()

    def release(self, base: int, length: int) -> None:
        """Takes the range back: no access that begins from here on reaches the device.

        One under way still may. What was given as `keep` is let go when that has ended and the
        table is changed once more; see also `quiesce()`.
        """
        with self._lock:
            error = lib.bus_release(self.pointer, base, length)
            check(error, "bus_release", f"{self.name} {base:#x}")
            dev, keep = self._keep.pop(base)
            self._leaving[dev, id(keep)] = lib.bus_serial(self.pointer), keep
        self._let_go()

    def move(self, base: int, length: int, to: int, owner: str) -> None:
        """The range answers at `to` instead of `base`, and no access finds it at both or neither.

        VmmError if another device answers there, and the range then stays where it is.
        """
        with self._lock:
            error = lib.bus_move(self.pointer, base, length, to)
            self._check(error, "bus_move", owner, to, length)
            self._keep[to] = self._keep.pop(base)
        self._let_go()

    def quiesce(self) -> None:
        """Waits until no access is under way that may reach what was released before.

        Not for a thread inside an access (StateError), which would wait for itself, nor for one
        that holds a lock that a device in Python takes.
        """
        if lib.bus_inside(self.pointer):
            raise StateError(f"An access to the {self.name} bus cannot wait for its own end")
        serial = lib.bus_serial(self.pointer)
        while not lib.bus_quiet(self.pointer, serial):
            time.sleep(QUIET_POLL)
        self._let_go()

    def _check(self, error: int, call: str, owner: str, base: int, length: int) -> None:
        if error == -EEXIST:
            raise VmmError(
                f"{owner} cannot have {self.name} {base:#x}..{base + length - 1:#x}: "
                "another device answers there"
            )
        check(error, call, f"{owner} at {self.name} {base:#x}")

    def _let_go(self) -> None:
        """Forgets what was released and cannot be reached any more."""
        if not self._leaving:
            return
        with self._lock:
            left = {
                what: (serial, keep)
                for what, (serial, keep) in self._leaving.items()
                if not lib.bus_quiet(self.pointer, serial)
            }
            gone, self._leaving = self._leaving, left
        gone.clear()  # here, and not under the lock: a last reference may end a device

    def counts(self) -> dict[str, int]:
        """Accesses that no device claimed (`unclaimed_reads`, `unclaimed_writes`), tables that are
        kept for accesses under way (`old_tables`)."""
        counts = ffi.new("struct bus_counts *")
        lib.bus_counts(self.pointer, counts)
        return {name: getattr(counts, name) for name in dir(counts)}


class BusProbe:
    """Accesses a bus from Python as a vCPU would: for tests and experiments. Close it after use."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self._reader = ffi.new("struct bus_reader *")
        check(lib.bus_add_reader(bus.pointer, self._reader), "bus_add_reader")

    def read(self, address: int, size: int) -> int:
        lib.bus_reader_bind(self._reader)
        value = ffi.new("uint64_t *")
        lib.bus_read(self.bus.pointer, self._reader, address, size, value)
        return int(value[0])

    def write(self, address: int, size: int, value: int) -> int:
        """What the device answered: 0, or an enum dev_event."""
        lib.bus_reader_bind(self._reader)
        return int(lib.bus_write(self.bus.pointer, self._reader, address, size, value))

    def write_burst(self, address: int, data: bytes) -> None:
        """One-byte writes to one address, as KVM's coalesced ring gives them."""
        if lib.bus_write_burst(self.bus.pointer, self._reader, address, data, len(data)):
            lib.bus_settle(self.bus.pointer, self._reader, address)
        else:
            for byte in data:
                self.write(address, 1, byte)

    def close(self) -> None:
        lib.bus_remove_reader(self.bus.pointer, self._reader)
