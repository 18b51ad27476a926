"""The I/O APIC of the split irqchip on a bus without KVM."""

from __future__ import annotations

from tests.native.devrig import DeviceRig
from tests.native.twins.ioapic import SELECT, WINDOW
from vmm.cdevice import CDevice
from vmm.devices.irqchip import IoApic, pic_pair
from vmm.native import ffi, lib

LEVEL, MASKED, LOGICAL, EXTINT = 1 << 15, 1 << 16, 1 << 11, 7 << 8
REMOTE_IRR = 1 << 14


class IoApicRig(DeviceRig):
    """The chip with its messages written down; `takes` decides whether an APIC accepts one."""

    def __init__(self, pins: int = 24) -> None:
        self.sent: list[tuple[int, int]] = []
        self.accept = True
        self._msi = ffi.callback("int(void *, uint64_t, uint32_t)", self._message)
        self.pic: CDevice | None = None
        super().__init__(self._build, irqchip="split", ioapic_pins=pins)
        lib.ioapic_set_msi(self.device.pointer, self._msi, ffi.NULL)
        self.ended: list[int] = []
        self._ended = ffi.callback("void(void *, uint32_t)", lambda _o, n: self.ended.append(n))

    def record_ends(self) -> None:
        """Instead of telling the split chip's sink."""
        lib.ioapic_set_ended(self.device.pointer, self._ended, ffi.NULL)

    def _build(self, context: object) -> CDevice:
        self.pic = pic_pair()
        return IoApic(context, self.pic)  # type: ignore[arg-type]

    def _message(self, _opaque: object, address: int, data: int) -> int:
        self.sent.append((address, data))
        return int(self.takes(address, data))

    def takes(self, _address: int, data: int) -> bool:
        return self.accept and data % 3 != 2

    def set_line(self, pin: int, level: int) -> None:
        lib.ioapic_set_line(self.device.pointer, pin, level)

    def hold(self, pin: int, held: bool) -> None:
        lib.ioapic_hold(self.device.pointer, pin, held)

    def end(self, vector: int) -> None:
        lib.ioapic_eoi(self.device.pointer, vector)

    def put(self, index: int, value: int) -> None:
        self.write(0, SELECT, index, 4)
        self.write(0, WINDOW, value, 4)

    def get(self, index: int) -> int:
        self.write(0, SELECT, index, 4)
        return self.read(0, WINDOW, 4)

    def entry(self, pin: int, low: int, high: int = 0) -> None:
        self.put(0x11 + 2 * pin, high)
        self.put(0x10 + 2 * pin, low)

    def routes(self) -> dict[int, tuple[int, int]]:
        return {gsi: (address, data) for gsi, _type, address, data in self.context.router.entries()}
