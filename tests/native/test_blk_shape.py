"""What a disk looks like: shapes that hosts report, and those that no disk can have."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tests.native.blkrig import SECTOR, BlkRig
from vmm.backends import image as images
from vmm.backends.image import BlockConfig, Geometry
from vmm.errors import VmmError
from vmm.native import Fd

SIZE = 1 << 20


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "disk.img"
    path.write_bytes(bytes(SIZE))
    return path


def test_failure_in_c_is_said_with_its_reason(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shape = Geometry(sectors=SIZE // SECTOR, block_size=1000)
    monkeypatch.setattr("vmm.backends.block.measure", lambda _file, _config: shape)

    with pytest.raises(VmmError, match="Creating disk0 failed: Invalid argument"):
        BlkRig(image)


@pytest.mark.parametrize(
    ("block", "physical", "expected"),
    [
        (512, 4096, (512, 4096)),
        (4096, 4096, (4096, 4096)),
        (512, 0, (512, 512)),
        (4096, 512, (4096, 4096)),
        (512, 520, (512, 512)),
        (512, 3 << 10, (512, 512)),
    ],
)
def test_block_device_of_odd_sizes_is_a_disk(
    block: int,
    physical: int,
    expected: tuple[int, int],
    image: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = {"BLKSSZGET": block, "BLKPBSZGET": physical, "BLKIOMIN": 0, "BLKIOOPT": 0}
    monkeypatch.setattr(images, "_ask", lambda _file, name: answers.get(name, 0))
    monkeypatch.setattr(stat, "S_ISBLK", lambda _mode: True)
    with Fd(os.open(image, os.O_RDWR)) as file:
        shape = images.measure(file, BlockConfig(path=str(image)))

    assert (shape.block_size, shape.physical_size) == expected
