"""The console's escape key: Ctrl-A, then a letter, speaks to the machine instead of the guest.

`Scanner` is the model of what the C core does to console input, byte by byte (the two are compared
in tests). `Keys` does what a letter stands for; it runs on the I/O thread.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from vmm.control.consoles import Consoles
    from vmm.machine import Machine

ESCAPE = 0x01  # Ctrl-A

KEYS = {
    "x": "end the machine",
    "c": "show its status",
    "b": "send a serial break",
    "n": "next console",
    "h": "show these keys",
}
HELP = "".join(
    f"Ctrl-A {key:<7}{text}\n" for key, text in (*KEYS.items(), ("Ctrl-A", "send Ctrl-A itself"))
)


class Scanner:
    """Takes escapes out of console input. State: whether the last byte was the escape key."""

    def __init__(self) -> None:
        self.escaped = False

    def feed(self, data: bytes) -> tuple[bytes, list[int]]:
        """(bytes for the guest, commands), in order; the key twice stands for one to the guest."""
        guest = bytearray()
        commands: list[int] = []
        for byte in data:
            if byte == ESCAPE:
                self.escaped = not self.escaped
                if self.escaped:
                    continue
            if self.escaped:
                self.escaped = False
                commands.append(byte)
            else:
                guest.append(byte)
        return bytes(guest), commands


class Keys:
    """What the letters do to `machine`. `show` writes lines where the user sees them."""

    def __init__(self, machine: Machine, consoles: Consoles, show: Callable[[str], None]) -> None:
        self._machine = machine
        self._consoles = consoles
        self._show = show

    def press(self, byte: int, source: Any) -> None:
        """Does what the key stands for; an unknown one shows the help. Never raises.

        `source` is the C channel on which the key came.
        """
        key = chr(byte).lower()
        try:
            if key == "x":
                self._machine.stop(reason="Ctrl-A x")
            elif key == "c":
                self._show(status_line(self._machine))
            elif key == "b":
                self._consoles.port(source).send_break()
            elif key == "n":
                self._show(f"the keyboard is with {self._consoles.next()}\n")
            else:
                self._show(HELP)
        except Exception as error:  # the I/O thread must live on
            self._show(f"Ctrl-A {key if key.isprintable() else hex(byte)}: {error}\n")

    def reader_left(self, _errno: int, source: Any) -> None:
        """Whoever sits at the terminal cannot see any more that the machine runs on."""
        if self._consoles.is_heard(source):
            self._show("vmm: nobody reads the console any more; Ctrl-A x ends the machine\n")


def status_line(machine: Machine) -> str:
    """One line: name, state, vCPUs, exits so far."""
    stats = machine.stats()
    vcpus = stats.get("vcpus")
    exits = sum(vcpu["exits"] for vcpu in vcpus) if isinstance(vcpus, list) else 0
    return f"{machine.config.name}: {machine.state}, {machine.config.cpus} vCPU, {exits:,} exits\n"


def listen(machine: Machine, consoles: Consoles, write: Callable[[str], None]) -> None:
    """From now on keys on the machine's terminals do what they should; `write` goes to the user.

    What is shown begins on a line of its own; the terminal still turns "\\n" into a new line.
    """
    from vmm.native import lib

    keys = Keys(machine, consoles, lambda text: write(consoles.lead() + text))
    for loop in machine.hardware.loops.all:
        loop.on(lib.LOOP_ESCAPE, keys.press)
        loop.on(lib.LOOP_PEER_LOST, keys.reader_left)
