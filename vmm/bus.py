"""The buses: who answers which port or guest-physical address. A facade over core/bus.c.

A claim may be made, moved and released while vCPUs run; a lookup never waits for it.
"""

from __future__ import annotations

from vmm.errors import VmmError
from vmm.native import check, ffi, lib, made

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PIO_LIMIT = 1 << 16
MMIO_LIMIT = 1 << 52
EEXIST = 17


class Bus:
    """One address space. `pointer` is the C bus."""

    def __init__(self, name: str, limit: int) -> None:
        self.name = name
        self.pointer = made(lib.bus_create(limit), lib.bus_destroy, f"the {name} bus")
        self._keep: dict[int, Any] = {}  # devices stay alive as long as C may call them

    def claim(
        self, base: int, length: int, dev: Any, owner: str, region: int = 0, keep: Any = None
    ) -> None:
        """Gives [base, base + length) to `dev` (a `struct dev *`). VmmError if it is taken."""
        error = lib.bus_claim(self.pointer, base, length, dev, region)
        if error == -EEXIST:
            raise VmmError(
                f"{owner} cannot have {self.name} {base:#x}..{base + length - 1:#x}: "
                "another device answers there"
            )
        check(error, "bus_claim", f"{owner} at {self.name} {base:#x}")
        self._keep[base] = (dev, keep)

    def release(self, base: int, length: int) -> None:
        """Takes the range back and waits until no access to it is under way."""
        check(lib.bus_release(self.pointer, base, length), "bus_release", f"{self.name} {base:#x}")
        while not lib.bus_quiesced(self.pointer):
            pass  # each call gives other threads the GIL; an access lasts microseconds
        self._keep.pop(base, None)

    def counts(self) -> dict[str, int]:
        """Accesses that no device claimed: `unclaimed_reads`, `unclaimed_writes`."""
        counts = ffi.new("struct bus_counts *")
        lib.bus_counts(self.pointer, counts)
        return {
            "unclaimed_reads": counts.unclaimed_reads,
            "unclaimed_writes": counts.unclaimed_writes,
        }


class BusProbe:
    """Accesses a bus from Python as a vCPU would: for tests and experiments. Close it after use."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self._reader = ffi.new("struct bus_reader *")
        check(lib.bus_add_reader(bus.pointer, self._reader), "bus_add_reader")

    def read(self, address: int, size: int) -> int:
        value = ffi.new("uint64_t *")
        lib.bus_read(self.bus.pointer, self._reader, address, size, value)
        return int(value[0])

    def write(self, address: int, size: int, value: int) -> int:
        """What the device answered: 0, or an enum dev_event."""
        return int(lib.bus_write(self.bus.pointer, self._reader, address, size, value))

    def write_burst(self, address: int, data: bytes) -> None:
        """One-byte writes to one address, as KVM's coalesced ring gives them."""
        if lib.bus_write_burst(self.bus.pointer, self._reader, address, data, len(data)):
            lib.bus_settle(self.bus.pointer, self._reader, address)

    def close(self) -> None:
        lib.bus_remove_reader(self.bus.pointer, self._reader)
