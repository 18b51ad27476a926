"""Disk images for stock guests."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MIB = 1 << 20


def image(folder: Path, size: int) -> Path:
    path = folder / "disk.img"
    with path.open("wb") as file:
        file.truncate(size)
    return path


def ext4(path: Path) -> Path:
    subprocess.run(["/sbin/mkfs.ext4", "-q", "-F", str(path)], check=True)
    return path


@contextmanager
def loop_device(path: Path) -> Iterator[str]:
    """The image as a block device of the host."""
    subprocess.run(["modprobe", "loop"], check=True)
    made = subprocess.run(
        ["losetup", "-f", "--show", str(path)], check=True, capture_output=True, text=True
    )
    device = made.stdout.strip()
    try:
        yield device
    finally:
        subprocess.run(["losetup", "-d", device], check=True)


@contextmanager
def host_mount(device: str, folder: Path) -> Iterator[Path]:
    """A file system of the guest's, where the host sees it."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "ext4", device, str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)
