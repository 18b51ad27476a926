"""The VM's coalesced I/O zones: writes that KVM queues without an exit (core/bus/coalesce.h)."""

from __future__ import annotations

from vmm.native import check, ffi, lib, made

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from vmm.loop import IoLoop


class Coalesce:
    """All zones of one VM. `pointer` goes to the C devices that switch their own zones.

    Close it after the devices and before the loop and the VM's descriptor.
    """

    def __init__(self, core: Any, clock: Any, loop: IoLoop, usable: bool) -> None:
        """Not `usable`: KVM lacks KVM_CAP_COALESCED_PIO; no zone ever goes on then."""
        kvm = ffi.addressof(core, "wait") if usable else ffi.NULL
        drain = ffi.cast("uint32_t(*)(void *)", ffi.addressof(lib, "vmcore_drain"))
        self._keep = (clock, loop, core)
        self.pointer: Any = made(
            lib.coalesce_create(kvm, clock, loop.pointer, drain, core),
            lib.coalesce_destroy,
            "the coalesced I/O zones",
        )
        self._zones: list[Any] = []

    def always(self, address: int, size: int, *, pio: bool = True) -> None:
        """For registers whose write is always followed by an exit soon: indices.

        `address` is a port, or guest-physical without `pio`.
        """
        zone = ffi.new("struct coalesce_zone *")
        lib.coalesce_zone_init(zone, self.pointer, address, size, pio, False)
        self._zones.append(zone)
        check(lib.coalesce_zone_set(zone, True), "KVM_REGISTER_COALESCED_MMIO", f"{address:#x}")

    def counters(self) -> dict[str, int]:
        """Timer runs, switches of zones, zones that are on."""
        counters = ffi.new("struct coalesce_counters *")
        lib.coalesce_counters(self.pointer, counters)
        return {name: getattr(counters, name) for name in dir(counters)}

    def close(self) -> None:
        """Takes all zones back. May be repeated."""
        while self._zones:
            lib.coalesce_zone_deinit(self._zones.pop())
        if self.pointer is not None:
            ffi.release(self.pointer)
            self.pointer = None
