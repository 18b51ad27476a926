"""virtio-blk on block devices of the host: what is discarded and zeroed there reaches them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.native.blkrig import (
    DISCARD,
    ENGINES,
    FLUSH,
    IN,
    IOERR,
    OK,
    OUT,
    SECTOR,
    UNMAP,
    WRITE_ZEROES,
    BlkRig,
    segment,
)

pytestmark = pytest.mark.needs("root", "stock-kernel")

CONFIG = Path("/sys/kernel/config")
DEVICE, WCE = 4, 32  # type of the structure with the configuration, offset in it
SIZE = 16 << 20
MIB = (1 << 20) // SECTOR  # sectors


@contextmanager
def loop_device(backing: Path, *options: str) -> Iterator[Path]:
    subprocess.run(["modprobe", "loop"], check=True)
    command = ["losetup", "-f", "--show", *options, str(backing)]
    made = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    try:
        yield Path(made)
    finally:
        subprocess.run(["losetup", "-d", made], check=True)


@pytest.fixture
def backing(tmp_path: Path) -> Path:
    path = tmp_path / "backing"
    path.write_bytes(os.urandom(SIZE))
    os.sync()
    return path


@pytest.mark.parametrize("direct", [False, True])
@pytest.mark.parametrize("engine", ENGINES)
def test_discards_and_zeros_reach_the_device(engine: str, direct: bool, backing: Path) -> None:
    before, size = backing.read_bytes(), backing.stat().st_blocks
    with loop_device(backing) as device, BlkRig(device, engine=engine, direct=direct) as rig:
        rig.start()
        segments = segment(1 * MIB, MIB) + segment(4 * MIB, MIB)
        assert rig.request(DISCARD, 0, segments) == (OK, b"")
        assert backing.stat().st_blocks == size - 2 * MIB
        assert rig.request(WRITE_ZEROES, 0, segment(8 * MIB, MIB, UNMAP)) == (OK, b"")
        assert backing.stat().st_blocks == size - 3 * MIB
        assert rig.request(WRITE_ZEROES, 0, segment(6 * MIB + 3, 100)) == (OK, b"")
        assert rig.request(FLUSH) == (OK, b"")
        assert rig.request(IN, 4 * MIB, room=SECTOR) == (OK, bytes(SECTOR))
        assert rig.counters()["errors"] == rig.counters()["failed"] == 0
    after = backing.read_bytes()
    gone = [(1 * MIB, MIB), (4 * MIB, MIB), (6 * MIB + 3, 100), (8 * MIB, MIB)]
    at = 0
    for first, count in gone:
        assert after[at : first * SECTOR] == before[at : first * SECTOR]
        at = (first + count) * SECTOR
        assert after[first * SECTOR : at] == bytes(count * SECTOR)
    assert after[at:] == before[at:]


@contextmanager
def device_without_zeros() -> Iterator[Path]:
    """It discards, and can make no zeros without storing them."""
    subprocess.run(["modprobe", "null_blk", "nr_devices=0"], check=True)
    subprocess.run(["mount", "-t", "configfs", "none", str(CONFIG)], check=False)
    made = CONFIG / "nullb" / "vmmtest"
    made.mkdir()
    try:
        for name, value in (("size", 64), ("memory_backed", 1), ("discard", 1), ("power", 1)):
            (made / name).write_text(str(value))
        yield Path("/dev/vmmtest")
    finally:
        (made / "power").write_text("0")
        made.rmdir()


def discarded(device: Path) -> int:
    """Sectors that the kernel has discarded there."""
    return int(Path(f"/sys/block/{device.name}/stat").read_text().split()[13])


@pytest.mark.parametrize("engine", ENGINES)
def test_device_that_only_discards_is_discarded(engine: str) -> None:
    with device_without_zeros() as device, BlkRig(device, engine=engine) as rig:
        rig.start()
        assert rig.request(OUT, 0, b"x" * 4096) == (OK, b"")
        rig.driver.write(DEVICE, WCE, 0, 1)  # whatever is done is on stable storage
        assert rig.request(DISCARD, 0, segment(8, 8) + segment(MIB, MIB)) == (OK, b"")
        assert discarded(device) == 8 + MIB
        assert rig.request(WRITE_ZEROES, 0, segment(0, 4, UNMAP)) == (OK, b"")
        assert rig.request(IN, 0, room=8 * SECTOR) == (OK, bytes(4 * SECTOR) + b"x" * 4 * SECTOR)
        assert discarded(device) == 8 + MIB
        assert rig.counters()["unsupported"] == rig.counters()["errors"] == 0


@pytest.mark.parametrize("engine", ENGINES)
def test_device_of_large_sectors_is_discarded_in_those(engine: str, backing: Path) -> None:
    size = backing.stat().st_blocks
    with loop_device(backing, "-b", "4096") as device, BlkRig(device, engine=engine) as rig:
        rig.start()
        assert rig.device.backend.geometry.block_size == 4096
        assert rig.request(DISCARD, 0, segment(1, 1)) == (IOERR, b"")
        assert rig.request(DISCARD, 0, segment(MIB, MIB)) == (OK, b"")
        assert rig.request(WRITE_ZEROES, 0, segment(4 * MIB, 8)) == (OK, b"")
        assert rig.request(IN, 4 * MIB, room=8 * SECTOR) == (OK, bytes(8 * SECTOR))
        assert rig.request(IN, MIB, room=8 * SECTOR) == (OK, bytes(8 * SECTOR))
    assert backing.stat().st_blocks == size - MIB
