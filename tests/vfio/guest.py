"""A stock guest with functions of the host in it, and the host's own card at their wire's end."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.linux.namespace import move, namespace
from tests.linux.stock import TIMEOUT, initrd_with
from tests.vfio.host import drive, load, until
from tests.vfio.lab import PEER
from vmm.config import VmConfig
from vmm.lab.guest import guest_kernel, guest_modules
from vmm.machine import Machine

APPEND = 'console=ttyS0 quiet vmm.cmd="/bin/sh /script"'
SHELL = "PATH=/bin; /bin/busybox --install -s /bin\n"
COMPLAINTS = "dmesg -r | grep '^<[0-3]>' | sed 's/^/complaint /'\n"


class StockGuest:
    """A machine that runs a script; `words` are `name=value` lines of its console."""

    def __init__(self, folder: Path, machine: Machine) -> None:
        self.folder, self.machine = folder, machine
        self.last: dict[str, Any] = {}  # counters at the end

    def text(self) -> str:
        console = self.folder / "console"
        return console.read_text(errors="replace") if console.exists() else ""

    def wait_for(self, line: str) -> None:
        until(lambda: line in self.text() or self.machine.result is not None)
        assert line in self.text(), self.text()[-3000:]

    @property
    def words(self) -> dict[str, str]:
        lines = (line.strip().partition("=") for line in self.text().splitlines() if "=" in line)
        return {name: value for name, _, value in lines}

    def counters(self, name: str) -> dict[str, int]:
        """Of a device, now or at the end."""
        found: dict[str, int] = (self.last or self.machine.stats())["devices"][name]
        return found

    def interrupts(self, name: str) -> dict[str, int]:
        """What the console says of /proc/interrupts: how often each of a device's came."""
        found: dict[str, int] = {}
        for line in self.text().splitlines():
            row = line.split()
            if line.startswith("irq ") and row[-1].startswith(name):
                found[row[-1]] = sum(int(word) for word in row[2:] if word.isdecimal())
        return found


def options(folder: Path, script: str, modules: Sequence[str], **settings: Any) -> VmConfig:
    return VmConfig.of(
        **{
            "kernel": str(guest_kernel()),
            "initrd": str(initrd_with(folder, SHELL + script, guest_modules(modules))),
            "append": APPEND,
            "consoles": [f"file:{folder / 'console'}"],
            "timeout": str(TIMEOUT),
            **settings,
        }
    )


@contextmanager
def stock_guest(
    folder: Path, script: str, modules: Sequence[str], **settings: Any
) -> Iterator[StockGuest]:
    """Runs until the script has ended; the machine is closed then."""
    with Machine(options(folder, script, modules, **settings)) as machine:
        machine.start()
        guest = StockGuest(folder, machine)
        yield guest
        assert machine.wait().code == 0, guest.text()[-3000:]
        guest.last = machine.stats()


@contextmanager
def peer() -> Iterator[str]:
    """The host's card in a network namespace of that name, with an address and up."""
    load("e1000e")
    drive(PEER, "e1000e")
    folder = f"/sys/bus/pci/devices/{PEER}/net"
    until(lambda: os.path.isdir(folder) and os.listdir(folder))
    with namespace() as name:
        move(os.listdir(folder)[0], name)
        yield name
    until(lambda: os.path.isdir(folder) and os.listdir(folder))
