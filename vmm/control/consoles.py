"""The serial ports of a machine as its user sees them: which one hears the keyboard.

Several `--console stdio` share one terminal: all of them write to it, one at a time reads from it.
"""

from __future__ import annotations

from vmm.backends import chardev
from vmm.devices.uart import SerialPort
from vmm.errors import StateError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from vmm.machine import Machine


class Consoles:
    """All serial ports in the order of their names. I/O thread only once it runs."""

    def __init__(self, machine: Machine) -> None:
        self.ports = [p for p in machine.hardware.devices if isinstance(p, SerialPort)]
        self.sharing = [port for port in self.ports if port.chan.kind == "stdio"]
        for port in self.sharing[1:]:
            _give_keyboard(port, False)

    def port(self, source: Any) -> SerialPort:
        """The port whose channel is `source`, a pointer that the loop posted."""
        for port in self.ports:
            if port.chan.pointer == source:
                return port
        raise StateError("that console is gone")

    def next(self) -> str:
        """Hands the keyboard to the next port that shares the terminal; its name."""
        if len(self.sharing) < 2:
            raise StateError("there is only one console on this terminal")
        _give_keyboard(self.sharing[0], False)
        self.sharing.append(self.sharing.pop(0))
        _give_keyboard(self.sharing[0], True)
        return self.sharing[0].name


def _give_keyboard(port: SerialPort, on: bool) -> None:
    import os

    keyboard = chardev.private_descriptor(chardev.STDIN, os.O_RDONLY) if on else -1
    port.chan.attach(keyboard, chardev.private_descriptor(chardev.STDOUT, os.O_WRONLY))
