"""The platform ports 0x10 to 0x13: how a driver says who it is, and what it wants unplugged.

Protocol: docs/misc/hvm-emulated-unplug in Xen's tree. What may be unplugged are the devices that
are there for guests without drivers for PV ones: those with bus=both. Others on virtio, and what is
handed through, are not meant.
"""

from __future__ import annotations

from vmm import log
from vmm.native import PyDevice, lib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vmm.bus import Bus

PORTS, LENGTH = 0x10, 4
MAGIC, PROTOCOL = 0x49D2, 1
IDENT, TEXT = 0, 2  # offsets: magic and unplug mask or build; protocol and product or log byte
LINE_MAX = 256  # bytes of a log line
ONES = (1 << 64) - 1
UNPLUG_DISKS, UNPLUG_NICS, UNPLUG_AUX_DISKS = 1, 2, 4


class PlatformPorts:
    """A bus handler; accesses of other widths than the protocol's do nothing and read as ones."""

    def __init__(self, upcalls: list[PyDevice]) -> None:
        self.meant = 0  # UNPLUG_* that there is something for
        self._device = PyDevice(self)
        upcalls.append(self._device)
        self._bus: Bus | None = None
        self.reset()

    def reset(self) -> None:
        self.product = self.build = self.asked = 0
        self._line = bytearray()

    def claim(self, pio: Bus) -> None:
        pio.claim(PORTS, LENGTH, self._device.dev, "xen platform", keep=self)
        self._bus = pio

    def close(self) -> None:
        if self._bus is not None:
            self._bus.release(PORTS, LENGTH)
            self._bus.quiesce()
            self._bus = None

    def read(self, region: int, offset: int, size: int) -> int:
        return {(IDENT, 2): MAGIC, (TEXT, 1): PROTOCOL}.get((offset, size), ONES)

    def write(self, region: int, offset: int, size: int, value: int) -> int:
        """What the vCPU has to wait for: DEV_EVENT_UNPLUG, or 0."""
        if (offset, size) == (IDENT, 2):
            self.asked |= value
            log.limited("xen.unplug_asked", "info", mask=value)
            return int(lib.DEV_EVENT_UNPLUG) if value & self.meant else 0
        if (offset, size) == (IDENT, 4):
            self.build = value
        elif (offset, size) == (TEXT, 2):
            self.product = value
        elif (offset, size) == (TEXT, 1):
            self._log(value)
        return 0

    def _log(self, byte: int) -> None:
        """The guest's own log, a byte at a time; what is no printable ASCII is left out."""
        if 0x20 <= byte < 0x7F:
            self._line.append(byte)
        if self._line and (byte == 0x0A or len(self._line) >= LINE_MAX):
            log.limited("xen.platform_log", "info", text=self._line.decode())
            self._line.clear()
