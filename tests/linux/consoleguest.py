"""A running stock guest with named ports, whose shell does what it is told on one of them.

Machines are driven in this process. The guest's shell is told what to do line by line on a port of
its own, `orders`, and answers on the console; what shells cannot do is done by c/portio.c.
"""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.linux.stock import initrd_with
from vmm.config import VmConfig
from vmm.lab import initramfs
from vmm.lab.guest import guest_kernel, guest_modules
from vmm.machine import Machine

SOURCES = Path(__file__).parent / "c"
PATIENCE = 90  # seconds for anything that the guest does, in an emulated machine that may be busy
MIB = 1 << 20
NAMES = ("a", "b", "c", "d")
# Runs every line that comes on the port called orders; its end is that of one caller.
OBEY = """
PATH=/bin; /bin/busybox --install -s /bin
for p in /sys/class/virtio-ports/*; do
    [ "`cat $p/name 2>/dev/null`" = orders ] && orders=/dev/${p##*/}
done
echo obeying
exec 3<>$orders
while usleep 1000; do
    while read -r line <&3; do eval "$line"; echo "done: $line"; done
done
"""


def program(folder: Path, name: str) -> initramfs.Entry:
    """One of ours as a member of the guest's file system."""
    binary, source = folder / name, SOURCES / f"{name}.c"
    subprocess.run(["gcc", "-static", "-O2", "-o", str(binary), str(source)], check=True)
    return initramfs.file(f"bin/{name}", binary.read_bytes(), 0o755)


def receive(peer: socket.socket, length: int) -> bytes:
    data = bytearray()
    while len(data) < length:
        piece = peer.recv(min(length - len(data), MIB))
        assert piece, f"ended after {len(data)} of {length} bytes"
        data += piece
    return bytes(data)


def echo_through(peer: socket.socket, data: bytes) -> bytes:
    """What comes back of `data` while it is sent."""
    sending = threading.Thread(target=peer.sendall, args=(data,))
    sending.start()
    back = receive(peer, len(data))
    sending.join()
    return back


class Guest:
    """A running guest that does what it is told; `text()` is its console."""

    def __init__(self, machine: Machine, folder: Path, console: Path) -> None:
        self.machine, self.folder, self.console = machine, folder, console
        self.orders = self.connect("orders")

    def text(self) -> str:
        return self.console.read_text(errors="replace") if self.console.exists() else ""

    def until(self, condition: Callable[[], object], what: str, patience: float = PATIENCE) -> None:
        end = time.monotonic() + patience
        while not condition():
            assert time.monotonic() < end, f"waited in vain for {what}:\n{self.text()[-3000:]}"
            assert self.machine.result is None, self.text()[-3000:]
            time.sleep(0.01)

    def wait_for(self, line: str) -> None:
        self.until(lambda: line in self.text(), line)

    def connect(self, name: str) -> socket.socket:
        peer = socket.socket(socket.AF_UNIX)
        peer.settimeout(PATIENCE)
        peer.connect(str(self.folder / f"{name}.sock"))
        return peer

    def order(self, line: str) -> None:
        self.orders.sendall(f"{line}\n".encode())

    def do(self, line: str) -> str:
        """Has the line done; what the console shows of it."""
        before = len(self.text())
        self.order(line)
        self.until(lambda: f"done: {line}" in self.text()[before:], line)
        return self.text()[before:]

    def upcalls(self) -> int:
        """Entries into Python that guest accesses made. No vCPU is asked, as that would be one."""
        hardware = self.machine.hardware
        accesses = sum(device.counts()["upcalls"] for device in hardware.python_devices)
        return accesses + sum(int(vcpu.pointer.counters.returns) for vcpu in hardware.vcpus)

    def posted(self) -> int:
        """What loops have told Python so far."""
        return sum(loop.counters()["posted"] for loop in self.machine.hardware.loops.all)


@contextmanager
def guest(
    folder: Path, *ports: str, modules: Sequence[str] = (), append: str = "", **settings: object
) -> Iterator[Guest]:
    """`modules` are loaded before the guest obeys; `append` is more for the kernel."""
    console = folder / "console"
    ours = [program(folder, source.stem) for source in SOURCES.glob("*.c")]
    initrd = initrd_with(folder, OBEY, [*ours, *guest_modules(modules)])
    named = [*ports, *(f"name={name},socket={folder}/{name}.sock" for name in ("orders", *NAMES))]
    config = VmConfig.of(
        **{
            "kernel": str(guest_kernel()),
            "initrd": str(initrd),
            "append": f'console=ttyS0 quiet {append} vmm.cmd="/bin/sh /script"',
            "consoles": [f"file:{console}"],
            "ports": named,
            "cpus": 2,
            "timeout": str(10 * PATIENCE),
            **settings,
        }
    )
    with Machine(config) as machine:
        machine.start()
        running = Guest(machine, folder, console)
        running.wait_for("obeying")
        yield running
        machine.stop()
        machine.wait()
