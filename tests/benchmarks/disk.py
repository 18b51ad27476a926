"""Reads of a disk: CPU per 4 KiB request, one and 32 at a time, and per byte of 1 MiB requests.

The disk is a file in memory (tmpfs), so that what is measured is the way there and back. QEMU has a
thread of its own for the disk, and aio=threads: with aio=io_uring it makes no progress where the
clock counts instructions.
"""

from __future__ import annotations

from tests.benchmarks import guest, tools
from tests.benchmarks.boot import APPEND, PATIENCE, prefer_reader, warm_up
from tests.benchmarks.process import Watched, say
from tests.benchmarks.results import Measures
from tests.benchmarks.stage import PLACE

IMAGE = PLACE / "disk.img"
MIB = 1 << 20
SIZE = 64 * MIB
QEMU = (
    *("-object", "iothread,id=io"),
    *("-drive", f"file={IMAGE},format=raw,if=none,id=d,aio=threads,cache=writeback"),
    *("-device", "virtio-blk-pci,drive=d,iothread=io,disable-legacy=on"),
    *("-boot", "strict=on"),  # the firmware leaves the disk alone
)
# Parts of guests/bench/diskload.c: name, the mark at its begin and at its end, requests or bytes.
PARTS = (
    ("single", guest.SINGLE, guest.MANY, 2048),
    ("many", guest.MANY, guest.LARGE, 8192),
    ("large", guest.LARGE, guest.DISK_END, 2 * SIZE),
)


def measure(rounds: int) -> Measures:
    """CPU seconds per request or byte; the first of `rounds` only warms up."""
    found = Measures()
    make_image()
    initrd, append = guest.reading(), f"{APPEND} cryptomgr.notests"
    prefer_reader()
    subjects = {
        "vmm": vmm(append, initrd),
        "vmm threads": vmm(append, initrd, ",engine=threads"),
        "qemu pc": qemu(append, initrd),
    }
    for argv in subjects.values():
        warm_up(argv)
    for number in range(1, rounds):
        for name, argv in subjects.items():
            say(f"disk: {name}, round {number}")
            for what, value in read(argv).items():
                found.add(f"disk/{what}/{name}", value)
    return found


def make_image() -> None:
    with IMAGE.open("wb") as image:
        for number in range(SIZE // MIB):
            image.write(bytes([number]) * MIB)


def vmm(append: str, initrd: str, more: str = "") -> list[str]:
    return tools.vmm_linux(append, initrd, ("--disk", f"{IMAGE}{more}"))


def qemu(append: str, initrd: str) -> list[str]:
    return tools.pc(*QEMU, "-serial", "stdio", *tools.qemu_image(append, initrd))


def read(argv: list[str]) -> dict[str, float]:
    found: dict[str, float] = {}
    with Watched(argv) as run:
        run.until(guest.SINGLE, PATIENCE)
        cpu = run.cpu_ns()
        for name, _begin, end, amount in PARTS:
            run.until(end, PATIENCE)
            say(f"disk: {name} read")
            now = run.cpu_ns()
            found[name] = (now - cpu) / 1e9 / amount
            cpu = now
    return found
