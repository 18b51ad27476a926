"""A virtio console behind PCI with a driver that behaves as Linux; sockets as the host's ends."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.native.virtiorig import VirtioRig
from tests.vcondriver import GuestConsole, GuestPort
from vmm.portconfig import PortConfig, read_port
from vmm.virtio.console import VirtioConsole
from vmm.virtio.consoleport import Port

PATIENCE = 20


def serial(*names: str) -> list[str]:
    """Ports of those names, each with a socket called NAME.sock."""
    return [f"name={name},socket={{dir}}/{name}.sock" for name in names]


NAMED = tuple(serial("a", "b", "c", "d"))


class ConsoleRig(VirtioRig):
    """ports: as `--port` has them. `{dir}` in them is replaced by the folder."""

    def __init__(
        self, folder: Path, *ports: str, options: dict[str, Any] | None = None, **more: Any
    ) -> None:
        self.folder, self.closed = folder, False
        settings: dict[str, Any] = {"max_ports": 8, "multiport": True} | (options or {})
        super().__init__(lambda context: VirtioConsole("console0", context, **settings), **more)
        self.console: VirtioConsole = self.device
        for text in ports:
            self.add(text)

    def __exit__(self, *exception: object) -> None:
        if not self.closed:
            self.closed = True
            super().__exit__(*exception)

    def port_config(self, text: str) -> PortConfig:
        return read_port(text.replace("{dir}", str(self.folder)))

    def add(self, text: str) -> Port:
        return self.console.add(self.port_config(text))

    def guest(self, decline: int = 0) -> GuestConsole:
        return GuestConsole(self, decline)

    def connect(self, name: str) -> socket.socket:
        """Calls the socket of the port with that file name."""
        peer = socket.socket(socket.AF_UNIX)
        peer.settimeout(PATIENCE)
        peer.connect(str(self.folder / name))
        return peer

    def joined(self, guest: GuestConsole, name: str) -> tuple[GuestPort, socket.socket]:
        """A port whose socket is called NAME.sock, open at both ends."""
        peer = self.connect(f"{name}.sock")
        port = guest.open(name)
        guest.until(lambda: port.host_connected, f"the host at {name}")
        return port, peer

    def count(self, name: str) -> int:
        return self.console.counters()[name]


MakeRig = Callable[..., ConsoleRig]


@pytest.fixture
def make_rig(tmp_path: Path) -> Iterator[MakeRig]:
    made: list[ConsoleRig] = []

    def make(*ports: str, kind: type[ConsoleRig] = ConsoleRig, **more: Any) -> ConsoleRig:
        made.append(kind(tmp_path, *ports, **more))
        return made[-1]

    yield make
    for rig in made:
        rig.__exit__()


def works(rig: ConsoleRig, guest: GuestConsole) -> bool:
    """A port of that driver still carries bytes both ways."""
    port, peer = rig.joined(guest, "a")
    peer.sendall(b"ping")
    assert port.read(4) == b"ping"
    port.write_all(b"pong")
    assert receive(peer, 4) == b"pong"
    return True


def receive(peer: socket.socket, length: int) -> bytes:
    """Exactly so many bytes."""
    data = bytearray()
    while len(data) < length:
        piece = peer.recv(min(length - len(data), 1 << 20))
        assert piece, f"ended after {len(data)} of {length} bytes"
        data += piece
    return bytes(data)


def pour(peer: socket.socket, data: bytes) -> threading.Thread:
    """Sends from a thread of its own."""
    thread = threading.Thread(target=peer.sendall, args=(data,))
    thread.start()
    return thread


def drink(peer: socket.socket, length: int, result: Callable[[bytes], object]) -> threading.Thread:
    """Receives on a thread of its own."""
    thread = threading.Thread(target=lambda: result(receive(peer, length)))
    thread.start()
    return thread
