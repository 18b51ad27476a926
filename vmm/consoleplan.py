"""Which virtio console has which ports: from `--console virtio`, `--port` and `--device`. Pure."""

from __future__ import annotations

from vmm.portconfig import PORTS_MAX, PortConfig
from vmm.texts import twice

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from vmm.config import VmConfig

KIND = "virtio-console"
ROOM = 8  # numbers that a device with ports has at least, so that some can come later


def implied(config: VmConfig) -> bool:
    """Whether there must be a virtio console that `--device` does not name."""
    needed = config.ports or any(console.virtio for console in config.consoles)
    return bool(needed) and all(device.kind != KIND for device in config.devices)


def ports_of(config: VmConfig, name: str, *, first: bool) -> tuple[PortConfig, ...]:
    """The ports of the device called `name`; the first has all those that name none."""
    overflow = "block" if config.console_overflow == "block" else "drop"
    consoles = [
        PortConfig(end=console, console=True, overflow=overflow)
        for console in config.consoles
        if console.virtio and first
    ]
    own = (port for port in config.ports if port.device == name or (first and not port.device))
    return (*consoles, *own)


def room(ports: Sequence[PortConfig], asked: int | None, *, alone: bool = False) -> int:
    """How many numbers a device with these ports needs; 1 is one console and nothing else.

    asked: what `ports=` says, the serial ports it is to have room for. alone: without ports it is
    to be the one console.
    """
    if asked is not None:
        return asked + 1
    numbers = [port.number for port in ports if port.number is not None]
    serial = sum(not port.console for port in ports)
    consoles = sum(port.console for port in ports)
    if alone and not serial and consoles <= 1 and not any(numbers):
        return 1
    return max(ROOM, serial + max(consoles, 1), *(number + 1 for number in numbers))


def problems(config: VmConfig, devices: Sequence[str]) -> list[str]:
    """Every reason why the ports cannot be. devices: ids of the virtio consoles, in order."""
    found: list[str] = []
    for name in dict.fromkeys(port.device for port in config.ports):
        if name and name not in devices:
            found.append(f"--port names device={name}, which is no virtio-console of this machine")
    names = [port.name for port in config.ports if port.name]
    found += [f"two ports cannot both be called {name}" for name in twice(names)]
    for index, device in enumerate(devices):
        ports = ports_of(config, device, first=index == 0)
        numbers = [str(port.number) for port in ports if port.number is not None]
        found += [
            f"two ports of {device} cannot both have nr={number}" for number in twice(numbers)
        ]
        if room(ports, None) > PORTS_MAX:
            found.append(
                f"{len(ports)} ports on {device}; a virtio console has {PORTS_MAX} at most"
            )
    return found
