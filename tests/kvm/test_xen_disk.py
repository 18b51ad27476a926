"""A guest that drives a PV disk all wrong: it gets errors, and only what it wrote is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import guests
from vmm.config import VmConfig
from vmm.machine import Machine

ROWS = [row for row in guests.load()[0].values() if row.image == "xendisk.elf"]
CASES = [
    pytest.param(row, chip, id=f"{row.name}-{chip}", marks=pytest.mark.needs("kvm", *row.needs))
    for row in ROWS
    for chip in row.irqchips
]
SECTORS, SECTOR = 2048, 512
WRITTEN = range(64, 72)  # sectors, by subtest "writes"


@pytest.mark.parametrize(("row", "irqchip"), CASES)
def test_hostile_driver_gets_errors_and_its_disk_back(
    row: guests.Guest, irqchip: str, tmp_path: Path
) -> None:
    guests.build()
    output, image = tmp_path / "console", tmp_path / "image"
    sectors = [bytes([n % 251]) * SECTOR for n in range(SECTORS)]
    image.write_bytes(b"".join(sectors))
    settings = row.settings(irqchip, tmp_path) | {"disks": [f"{image},bus=xen"]}

    with Machine(VmConfig.of(consoles=[f"file:{output}"], **settings)) as machine:
        code = machine.run().code

    assert not row.complaints(output.read_text(errors="replace"), code)
    for n in WRITTEN:
        sectors[n] = b"\xc3" * SECTOR
    assert image.read_bytes() == b"".join(sectors)
