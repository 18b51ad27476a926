"""A virtio disk on a bus without KVM, and requests as a driver makes them."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest

from tests.native.virtiorig import VirtioRig
from tests.virtiodriver import DriverRing, Used
from vmm.backends.block import BlockBackend
from vmm.backends.image import BlockConfig
from vmm.virtio.blk import Blk

SECTOR = 512
SECTORS = 4096  # of a disk with numbers
WCE = 32  # offset in the configuration space
OK, IOERR, UNSUPP = 0, 1, 2
IN, OUT, FLUSH, GET_ID, LIFETIME, DISCARD, WRITE_ZEROES, SECURE_ERASE = 0, 1, 4, 8, 10, 11, 13, 14
UNMAP = 1
F_RO, F_FLUSH, F_CONFIG_WCE, F_MQ, F_DISCARD, F_WRITE_ZEROES = 5, 9, 11, 12, 13, 14
ENGINES = ("io_uring", "threads")


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """Each sector begins with its number."""
    path = tmp_path / "disk.img"
    path.write_bytes(b"".join(struct.pack("<Q504x", n) for n in range(SECTORS)))
    return path


def sectors(path: Path, first: int, count: int = 1) -> bytes:
    return path.read_bytes()[first * SECTOR : (first + count) * SECTOR]


def header(kind: int, sector: int = 0) -> bytes:
    return struct.pack("<IIQ", kind, 0, sector)


def segment(sector: int, count: int, flags: int = 0) -> bytes:
    return struct.pack("<QII", sector, count, flags)


class BlkRig(VirtioRig):
    """`image` becomes the disk; `device.backend` is its back-end."""

    def __init__(
        self,
        image: Path,
        *,
        queues: int = 1,
        serial: str = "a serial",
        settings: dict[str, Any] | None = None,
        **config: Any,
    ) -> None:
        def build(context: Any) -> Blk:
            backend = BlockBackend(
                "disk0", BlockConfig(path=str(image), **config), context.loop, queues * 256
            )
            return Blk("disk0", context, backend, queues=queues, serial=serial)

        super().__init__(build, **(settings or {}))

    def start(self, decline: int = 0) -> DriverRing:
        """The first ring, with all features but those declined (a mask)."""
        self.rings: list[DriverRing] = self.driver.probe(self.arena, decline=decline)
        ring: DriverRing = self.rings[0]
        return ring

    def request(
        self, kind: int, sector: int = 0, data: bytes = b"", room: int = 0
    ) -> tuple[int, bytes]:
        """One request on the first ring: its status, and what came back before it."""
        [used] = self.send([header(kind, sector), data] if data else [header(kind, sector)], room)
        return used.data[-1], used.data[:-1]

    def send(self, out: list[bytes], room: int = 0) -> list[Used]:
        ring = self.rings[0]
        ring.add(out, [room, 1] if room else [1])
        return self.exchange(0, ring)

    def counters(self) -> dict[str, int]:
        counters: dict[str, int] = self.pci.counters()
        return counters
