"""`vmm boot --disk` on an image that somebody else has."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests import guests
from vmm.backends.image import BlockConfig, open_image
from vmm.errors import EXIT_HOST

pytestmark = pytest.mark.needs("kvm")

BUILD = guests.GUESTS / "build"


@pytest.fixture(scope="module", autouse=True)
def built() -> None:
    guests.build()


def boot(*options: str) -> subprocess.CompletedProcess[str]:
    kernel = str(BUILD / "hello.elf")
    command = [sys.executable, "-m", "vmm", "boot", "-k", kernel, "--debug-exit", *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def test_image_in_use_ends_the_command_with_a_sentence(tmp_path: Path) -> None:
    image = tmp_path / "disk.img"
    image.write_bytes(bytes(1 << 20))

    file = open_image(BlockConfig(path=str(image)))
    refused = boot("--disk", str(image))
    file.close()
    taken = boot("--disk", str(image))

    assert refused.returncode == EXIT_HOST
    assert refused.stderr.count("\n") == 1
    assert f"{image} is used by another machine or disk" in refused.stderr
    assert taken.returncode == 1  # as this guest ends
    assert "CONFIG_VIRTIO_BLK" in taken.stderr


def test_disk_with_workers_leaves_no_thread_behind(tmp_path: Path) -> None:
    image = tmp_path / "disk.img"
    image.write_bytes(bytes(1 << 20))

    done = boot("--disk", f"{image},engine=threads,queues=4")

    assert done.returncode == boot().returncode
