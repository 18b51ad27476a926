"""Flat real-mode binaries: loaded and entered at 0000:7c00, as a BIOS does with a boot sector."""

from __future__ import annotations

from vmm import layout
from vmm.boot.image import Image
from vmm.boot.loader import Loader
from vmm.kvm.regs import EntryState

BOOT_DRIVE = 0x80  # DL, by convention


def load(loader: Loader, image: Image) -> EntryState:
    size = image.source.size
    loader.put_file("flat image", layout.REAL_MODE_IMAGE, image.source, (0, size), size)
    return EntryState(
        mode="real16",
        rip=layout.REAL_MODE_IMAGE,
        regs={"rsp": layout.REAL_MODE_IMAGE, "rdx": BOOT_DRIVE},
    )
