"""The ports of a machine's virtio consoles: found by name, added, removed, given other ends.

For scripts, the control socket and the exit report; any thread.
"""

from __future__ import annotations

from vmm.errors import ConfigError, StateError
from vmm.portconfig import PortConfig, read_end, read_port

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from vmm.lifecycle import Lifecycle
    from vmm.virtio.console import VirtioConsole
    from vmm.virtio.consoleport import Port

BUILT = ("ready", "running", "paused")  # states in which ports may change
READ_MAX = 1 << 20  # bytes fetched from a ring at once


class Ports:
    """`machine.ports`. Names are those of `--port`; hvc0 and port3 name what has no name."""

    def __init__(self, machine: Lifecycle) -> None:
        self._machine = machine

    def devices(self) -> list[VirtioConsole]:
        """Virtio consoles, in the order of the machine's devices."""
        found: list[VirtioConsole] = []
        for device in self._machine.hardware.devices:
            behind: Any = getattr(device, "device", None)
            if getattr(behind, "kind", "") == "vcon":
                found.append(behind)
        return found

    def all(self) -> list[Port]:
        return [port for console in self.devices() for port in console.ports.values()]

    def consoles(self) -> list[Port]:
        """Those that are hvcN in the guest."""
        return [port for port in self.all() if port.config.console]

    def info(self) -> list[dict[str, object]]:
        """Every port as plain data."""
        return [
            {"device": console.name, **port.info()}
            for console in self.devices()
            for port in console.ports.values()
        ]

    def find(self, name: str) -> tuple[VirtioConsole, Port]:
        """StateError if there is no port of that name."""
        for console in self.devices():
            port = console.find(name)
            if port is not None:
                return console, port
        there = ", ".join(port.label for port in self.all())
        raise StateError(f"There is no port called {name}; there are {there or 'none at all'}")

    # --- changes

    def add(self, port: str | PortConfig) -> dict[str, object]:
        """What `--port` would have said; a running guest is told. The new port's info()."""
        config = _read(port)
        with self._machine.moving:
            self._machine.need("add a port to", *BUILT)
            console = self._device(config.device)
            if config.name and any(config.name == other.config.name for other in self.all()):
                raise StateError(f"There is a port called {config.name} already")
            return {"device": console.name, **console.add(config).info()}

    def _device(self, name: str) -> VirtioConsole:
        for console in self.devices():
            if name in ("", console.name):
                return console
        what = f"virtio console called {name}" if name else "virtio console"
        raise StateError(
            f"This machine has no {what}; start it with --device virtio-console,ports=N, or "
            "attach one"
        )

    def remove(self, name: str) -> None:
        with self._machine.moving:
            self._machine.need("remove a port of", *BUILT)
            console, port = self.find(name)
            console.remove(port)

    def swap(self, name: str, end: str) -> dict[str, object]:
        """Gives a live port another end, spelt as in `--port`: "socket=PATH", "pty" ..."""
        with self._machine.moving:
            self._machine.need("change a port of", *BUILT)
            console, port = self.find(name)
            try:
                console.swap(port, read_end(end))
            except ValueError as error:
                raise ConfigError(f"the port's end {error}") from None
            return {"device": console.name, **port.info()}

    def resize(self, columns: int, rows: int) -> None:
        """The window of every console has this size from now on."""
        with self._machine.moving:
            for console in self.devices():
                console.resize(columns, rows)

    # --- rings

    def read(self, name: str, length: int = READ_MAX) -> bytes:
        """What the guest wrote to a port whose end is a ring; it is kept there no longer."""
        return self._ring(name).chan.take(min(length, READ_MAX))

    def write(self, name: str, data: bytes) -> int:
        """Input for a port whose end is a ring; how many bytes it had room for."""
        return self._ring(name).chan.feed(data)

    def _ring(self, name: str) -> Port:
        port = self.find(name)[1]
        if port.chan.kind != "ring":
            raise StateError(f"The end of {name} is {port.chan.kind}; only a ring can be asked")
        return port


def _read(port: Any) -> PortConfig:
    if isinstance(port, PortConfig):
        return port
    try:
        return read_port(port)
    except ValueError as error:
        raise ConfigError(f"the port {error}") from None
