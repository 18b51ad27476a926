"""A driver of QEMU's `edu` device in Python: registers, interrupts and DMA, without any VM."""

from __future__ import annotations

from tests.vfio.host import until
from vmm.vfio.device import PciDevice

ID, LIVENESS, FACTORIAL, STATUS = 0x00, 0x04, 0x08, 0x20
RAISE, ACKNOWLEDGE, PENDING = 0x60, 0x64, 0x24
SOURCE, TARGET, COUNT, DMA_COMMAND = 0x80, 0x88, 0x90, 0x98
START, FROM_DEVICE, TELL = 1, 2, 4  # of DMA_COMMAND
DMA_DONE = 0x100  # what PENDING says after a transfer with TELL
BUFFER, BUFFER_SIZE = 0x40000, 4096
REACH = 1 << 28  # the device cannot address more


class Edu:
    def __init__(self, device: PciDevice) -> None:
        self.device = device
        self.registers = device.regions["bar0"].map()
        device.set_bus_master(True)

    def read(self, register: int) -> int:
        return self.registers.read(register, 4)

    def write(self, register: int, value: int) -> None:
        self.registers.write(register, 4, value)

    def transfer(self, source: int, target: int, size: int, command: int) -> None:
        """Starts a transfer and waits for its end."""
        for register, value in ((SOURCE, source), (TARGET, target), (COUNT, size)):
            self.write(register, value)
        self.write(DMA_COMMAND, START | command)
        until(lambda: not self.read(DMA_COMMAND) & START)
