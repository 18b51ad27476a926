"""A guest that drives xenstore's and the console's rings by itself, with an echo at the far end."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread

import pytest

from tests import guests
from vmm.config import VmConfig
from vmm.machine import Machine

ROWS = [row for row in guests.load()[0].values() if row.image == "xenmore.elf"]
CASES = [
    pytest.param(row, chip, id=f"{row.name}-{chip}", marks=pytest.mark.needs("kvm", *row.needs))
    for row in ROWS
    for chip in row.irqchips
]
BYTES = 10_000


class Echo(Thread):
    """Sends back what comes, as it comes."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen()
        self.count = 0

    def run(self) -> None:
        peer, _ = self.listener.accept()
        with peer, self.listener:
            while piece := peer.recv(1 << 12):
                self.count += len(piece)
                peer.sendall(piece)


@pytest.fixture
def echo() -> Iterator[tuple[Echo, str]]:
    with TemporaryDirectory() as short:  # sockets have short names
        path = f"{short}/echo"
        echo = Echo(path)
        echo.start()
        yield echo, path
        echo.join()


@pytest.mark.parametrize(("row", "irqchip"), CASES)
def test_guest_finds_events_clocks_and_rings_in_order(
    row: guests.Guest, irqchip: str, tmp_path: Path, echo: tuple[Echo, str]
) -> None:
    guests.build()
    output = tmp_path / "console"
    consoles = [f"file:{output}", f"xen:connect:{echo[1]}"]

    with Machine(VmConfig.of(consoles=consoles, **row.settings(irqchip, tmp_path))) as machine:
        code = machine.run().code
    echo[0].join()

    assert not row.complaints(output.read_text(errors="replace"), code)
    assert echo[0].count == BYTES
