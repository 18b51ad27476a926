"""A run that has a state directory: its configuration on disk, its control socket, its events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmm.control.events import EventLog
from vmm.control.qmp import ControlServer
from vmm.control.statedir import StateDir
from vmm.control.verbs import Target
from vmm.control.version import numbers

if TYPE_CHECKING:
    from vmm.config import VmConfig
    from vmm.machine import Machine


class StateSession:
    """Locked and written at construction, serving from `serve` to `hush`."""

    def __init__(self, config: VmConfig) -> None:
        toml = config.to_toml()
        self.directory = StateDir(config.state_dir)
        self.events = EventLog()
        self._server: ControlServer | None = None
        try:
            self.directory.write_config(toml)
        except BaseException:
            self.directory.close()
            raise

    def serve(self, machine: Machine) -> None:
        """Opens the control socket; the machine's events go out on it."""
        target = Target(machine=machine, events=self.events, version=numbers(), watching=[])
        self._server = ControlServer(self.directory.socket, target)
        self._server.start()
        machine.on_event = self._emit

    def _emit(self, name: str, fields: dict[str, object]) -> None:
        """Called by the machine. QMP's STOP means paused, so the end goes out as SHUTDOWN."""
        self.events.emit("SHUTDOWN" if name == "STOP" else name, fields)

    def hush(self) -> None:
        """Ends the control socket. Before the machine closes: a command must find it whole."""
        server, self._server = self._server, None
        if server is not None:
            server.close()

    def close(self) -> None:
        self.hush()
        self.directory.close()
