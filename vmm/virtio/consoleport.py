"""One port of a virtio console, and the channel at its other end."""

from __future__ import annotations

from vmm.backends.chardev import Chan, open_console
from vmm.errors import StateError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vmm.consoleconfig import ConsoleConfig
    from vmm.loop import IoLoop
    from vmm.portconfig import PortConfig

CONSOLE_LIMIT = 1 << 20  # bytes of output kept for a console's slow reader
PORT_LIMIT = 4 << 10  # a serial port's output stays with the guest


def open_end(config: PortConfig, end: ConsoleConfig, loop: IoLoop) -> Chan:
    """The channel of a port. HostError if the host does not give it."""
    if config.console:
        chan = open_console(end, loop, config.overflow, CONSOLE_LIMIT, config.said())
        chan.watch_panic(True)
        return chan
    chan = open_console(end, loop, "block", PORT_LIMIT, config.said())
    chan.follow_opens()
    return chan


class Port:
    """One port of a console; `config.number` is known by now."""

    def __init__(self, config: PortConfig, chan: Chan) -> None:
        self.config, self.chan = config, chan
        self.guest_open = False

    @property
    def number(self) -> int:
        assert self.config.number is not None
        return self.config.number

    @property
    def label(self) -> str:
        """The name, or what stands for it."""
        return self.config.name or f"{'hvc' if self.config.console else 'port'}{self.number}"

    @property
    def name(self) -> str:
        """How messages call it."""
        return self.label if self.config.console else self.config.said()

    def send_break(self) -> None:
        raise StateError(f"{self.name} has no break; Ctrl-O and a letter is SysRq there")

    def info(self) -> dict[str, object]:
        """What it is and who is there, as plain data."""
        return {
            "name": self.config.name,
            "nr": self.number,
            "console": self.config.console,
            "backend": self.chan.kind,
            "path": self.chan.path,
            "host-open": self.config.console or self.chan.connected,
            "guest-open": self.guest_open,
        }
