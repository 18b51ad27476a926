"""The consoles of a machine as its user sees them: who hears the keyboard, what was lost.

Several `--console stdio` share one terminal: all of them write to it, one at a time reads from it.
"""

from __future__ import annotations

from vmm.backends import chardev
from vmm.devices.uart import SerialPort
from vmm.errors import StateError
from vmm.native import lib
from vmm.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from vmm.backends.chardev import Chan
    from vmm.machine import Machine
    from vmm.virtio.consoleport import Port
    from vmm.xen.console import XenConsole

    Console = SerialPort | Port | XenConsole


STDERR = 2


def consoles(machine: Machine) -> list[Console]:
    """Serial, virtio and Xen consoles in the order of `--console`, then those nobody named."""
    serial: list[Console] = [d for d in machine.hardware.devices if isinstance(d, SerialPort)]
    if all(console.serial for console in machine.config.consoles):
        return serial
    domain = machine.hardware.xen
    virtio: list[Console] = [*machine.ports.consoles()]
    xen: list[Console] = [domain.services.console] if domain and domain.services.console else []
    named = []
    for console in machine.config.consoles:
        kind = virtio if console.virtio else xen if console.xen else serial
        named += [kind.pop(0)] if kind else []
    return [*named, *serial, *virtio]


class Consoles:
    """All of them. I/O thread only once it runs, `lead` apart."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.ports = consoles(machine)
        self.sharing = [port for port in self.ports if port.chan.kind == "stdio"]
        for port in self.sharing[1:]:
            _give_keyboard(port, False)

    def terminals(self) -> list[tuple[str, str]]:
        """(name, path) of each pseudo-terminal, those of named ports too."""
        ports = [*self.ports]
        if self._machine.config.ports:
            ports += [port for port in self._machine.ports.all() if port not in ports]
        return [(port.name, port.chan.path) for port in ports if port.chan.kind == "pty"]

    def port(self, source: Any) -> Console:
        """The port whose channel is `source`, a pointer that the loop posted."""
        for port in self.ports:
            if port.chan.pointer == source:
                return port
        raise StateError("that console is gone")

    def is_heard(self, source: Any) -> bool:
        """Whether the channel `source` is on this terminal and still hears the keyboard."""
        mine = [port.chan.pointer for port in self.sharing]
        return source in mine and bool(lib.chan_has_peer(source))

    def next(self) -> str:
        """Hands the keyboard to the next port that shares the terminal; its name."""
        if len(self.sharing) < 2:
            raise StateError("there is only one console on this terminal")
        _give_keyboard(self.sharing[0], False)
        self.sharing.append(self.sharing.pop(0))
        _give_keyboard(self.sharing[0], True)
        return self.sharing[0].name

    def lead(self) -> str:
        """What must come before a message on stderr: a new line where the guest left one open."""
        import os

        if not os.isatty(STDERR):
            return ""
        return "\n" if any([port.chan.leaves_line_open() for port in self.sharing]) else ""


def _give_keyboard(port: Console, on: bool) -> None:
    port.chan.attach_shared(chardev.STDIN if on else -1, chardev.STDOUT)


class Loss(Record):
    """Output of one port that nobody will see."""

    console: str
    bytes: int
    reason: str

    def sentence(self) -> str:
        return f"{self.bytes:,} bytes of {self.console}'s output are lost: {self.reason}"


def losses(machine: Machine) -> list[Loss]:
    """What the consoles of a closed machine could not deliver. A ring's bytes end with it."""
    return [
        Loss(console=port.name, bytes=port.chan.lost, reason=loss_reason(port.chan))
        for port in consoles(machine)
        if port.chan.lost and port.chan.kind != "ring"
    ]


def loss_reason(chan: Chan) -> str:
    """Why a closed channel could not deliver everything, and what helps."""
    import os
    from errno import ECONNRESET, EPIPE

    where = chan.path or "standard output"
    if chan.error not in (0, EPIPE, ECONNRESET):
        problem = os.strerror(chan.error)
        return f"writing to {where} failed: {problem}; make room there, or use another --console"
    if chan.error or not chan.has_peer:
        if chan.kind == "socket":
            return f"nobody was connected to {where}; connect earlier, or use --console file:PATH"
        return f"the reader of {where} left before the guest ended"
    if chan.given_up:
        return f"nobody took them from {where}"
    return "its reader is too slow; --console-overflow block makes the guest wait for it"
