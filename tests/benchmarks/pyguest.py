"""Runs a guest with a Python device, an ioeventfd and a zone: `pyguest IMAGE APPEND PORTS`.

PORTS are those of the Python device, of the doorbell (two bytes wide) and of the zone.
"""

from __future__ import annotations

import os
import sys

from vmm.config import VmConfig
from vmm.doorbell import Doorbell
from vmm.machine import Machine
from vmm.native import PyDevice


class Answers:
    """The smallest device there is: reads as its last write."""

    def __init__(self) -> None:
        self.value = 0

    def read(self, region: int, offset: int, size: int) -> int:
        return self.value

    def write(self, region: int, offset: int, size: int, value: int) -> None:
        self.value = value


def main(argv: list[str]) -> int:
    image, append, *ports = argv
    device_port, doorbell, ring = (int(port, 0) for port in ports)
    config = VmConfig.of(kernel=image, append=append, debug_exit=True)
    event = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
    with Machine(config) as machine:
        hardware = machine.hardware
        device = PyDevice(Answers())
        hardware.python_devices.append(device)
        hardware.pio.claim(device_port, 1, device.dev, "answers", keep=device)
        bell = Doorbell(space="pio", address=doorbell, size=2, fd=event)
        assert bell.attach(hardware.core)
        hardware.coalesce.always(ring, 1)
        return machine.run().code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
