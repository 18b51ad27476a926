"""Bytes through hvc0: CPU between two marks around 128 KiB, as serial.py does for ttyS0."""

from __future__ import annotations

from tests.benchmarks import guest, tools
from tests.benchmarks.boot import APPEND, prefer_reader, warm_up
from tests.benchmarks.results import Measures
from tests.benchmarks.serial import poured

CONSOLE = (
    "-chardev",
    "stdio,id=c",
    "-device",
    "virtio-serial-pci",
    "-device",
    "virtconsole,chardev=c",
)


def measure(rounds: int) -> Measures:
    """CPU seconds and exits per byte; the first of `rounds` only warms up."""
    found = Measures()
    initrd = guest.pouring()
    append = f"{APPEND} cryptomgr.notests".replace("ttyS0", "hvc0")
    prefer_reader()
    subjects = {
        "vmm": tools.vmm_linux(append, initrd, ("--console", "virtio")),
        "qemu pc": qemu_linux(append, initrd),
    }
    for argv in subjects.values():
        warm_up(argv)
    for _ in range(rounds - 1):
        for name, argv in subjects.items():
            for what, value in poured(argv).items():
                found.add(f"hvc/{what}/{name}", value)
    return found


def qemu_linux(append: str, initrd: str) -> list[str]:
    return tools.pc(*CONSOLE, *tools.qemu_image(append, initrd))
