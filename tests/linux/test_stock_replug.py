"""A stock Debian kernel whose controllers come and go, all of them with bytes on their way.

The number is that of docs/console.md.
"""

from __future__ import annotations

import hashlib
import os
import random
import socket
import threading
from pathlib import Path

import pytest

from tests.linux.consoleguest import Guest, echo_through, guest
from tests.linux.images import MIB

pytestmark = pytest.mark.needs("kvm", "stock-kernel")

PIECE = 5000  # bytes: what portio's verb plug echoes
DISK_EVERY = 5  # cycles
DISK = 64 << 10
# Reads the disk over and over while there is one, also when it is asked to go.
READ = (
    "while [ ! -e /tmp/enough ]; do if [ -b /dev/vda ]; then "
    "echo disk=`sha256sum </dev/vda 2>/dev/null`; else usleep 20000; fi; done &"
)


@pytest.mark.parametrize(("machine", "cycles"), [("default", 100), ("legacy", 5)])
def test_controllers_come_and_go_under_traffic(machine: str, cycles: int, tmp_path: Path) -> None:
    """18: told by the generic event device, by a general-purpose event. Disks, too."""
    data = random.Random(machine).randbytes(MIB)
    modules = ("virtio_pci", "virtio_blk")
    with guest(tmp_path, modules=modules, machine=machine) as running:
        for order in ("portio echo a 1000000000 &", f"portio plug x {cycles} &", READ):
            running.order(order)
        before = open_files()
        with running.connect("a") as peer:
            beside = Beside(peer, data[: 64 << 10])
            beside.start()
            for number in range(cycles):
                if number % DISK_EVERY == 0:
                    disk_visits(running, tmp_path / "disk", data[number : number + DISK])
                console_visits(running, data[number * PIECE : (number + 1) * PIECE])
            beside.enough.set()
            beside.join()
        assert beside.same
        assert beside.echoes > cycles / 10
        running.wait_for(f"plugged-x={cycles}")
        stats = running.machine.stats()["devices"]
        assert stats["pci"]["blocked"] == 0
        assert stats["virtio-console0"]["faults"] == stats["virtio-console0"]["refused"] == 0
        running.until(lambda: open_files() == before, "descriptors to be closed")


class Beside(threading.Thread):
    """An echo on a device that stays."""

    def __init__(self, peer: socket.socket, data: bytes) -> None:
        super().__init__(daemon=True)
        self.peer, self.data, self.enough = peer, data, threading.Event()
        self.echoes, self.same = 0, True

    def run(self) -> None:
        while not self.enough.wait(0.02):
            self.same = echo_through(self.peer, self.data) == self.data and self.same
            self.echoes += 1


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def console_visits(guest: Guest, piece: bytes) -> None:
    """It is asked to go with bytes on their way both ways."""
    guest.machine.attach_device("virtio-console,id=v,ports=4")
    guest.machine.ports.add(f"name=x,device=v,socket={guest.folder}/x.sock")
    with guest.connect("x") as peer:
        assert echo_through(peer, piece) == piece
        peer.sendall(20 * piece)
        leave(guest, "v")


def disk_visits(guest: Guest, path: Path, content: bytes) -> None:
    path.write_bytes(content)
    guest.machine.attach_device(f"virtio-blk,id=d,path={path}")
    line = f"disk={hashlib.sha256(content).hexdigest()}"
    guest.until(lambda: guest.text().count(line) > 1, "the disk's content, twice")
    leave(guest, "d")


def leave(guest: Guest, name: str) -> None:
    guest.machine.detach_device(name)
    guest.until(lambda: guest.machine.hardware.device(name) is None, f"{name} to go")
