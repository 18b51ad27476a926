"""The measured programs, as argument vectors: vmm, the bare loop, QEMU, the interpreter."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from vmm.lab import guest, qemu
from vmm.lab.kernel import tools

TOP = Path(__file__).resolve().parents[2]
BUILD = TOP / "guests/build"
VMM = [str(Path(sys.prefix) / "bin/vmm")]
PYTHON = [sys.executable]
RAW = [str(BUILD / "rawvmm")]
GUEST_MIB = 256
# QEMU sets an MSR with -cpu host that not every KVM of a host takes; the lab's does.
MODEL = "host" if "VMM_LAB" in os.environ else "host,-arch-capabilities"
CPU = ["-smp", "1", "-m", str(GUEST_MIB), "-accel", "kvm", "-cpu", MODEL]
BARE = ["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]
EXIT = ["-device", "isa-debug-exit,iobase=0xf4,iosize=4"]


def vmm_boot(*words: str) -> list[str]:
    return [*VMM, "boot", "-m", f"{GUEST_MIB}M", *words]


def qemu_words(*words: str) -> list[str]:
    """QEMU from the lab's tools, with the environment variable it needs set in this process."""
    root = tools()
    os.environ["QEMU_MODULE_DIR"] = str(root.path / qemu.MODULES)
    folders = [word for folder in qemu.FIRMWARE for word in ("-L", str(root.path / folder))]
    return root.command(qemu.QEMU, *folders, *words)


def microvm(*words: str) -> list[str]:
    return qemu_words("-M", "microvm,rtc=on", *CPU, *BARE, *words)


def pc(*words: str) -> list[str]:
    return qemu_words("-M", "pc", *CPU, *BARE, *words)


def linux(append: str, initrd: str) -> tuple[str, str, str]:
    """Kernel, initrd and command line of the stock guest."""
    return str(guest.guest_kernel()), initrd, append


def qemu_linux(append: str, initrd: str) -> list[str]:
    return microvm("-serial", "stdio", *qemu_image(append, initrd))


def qemu_image(append: str, initrd: str) -> tuple[str, ...]:
    kernel, initrd, append = linux(append, initrd)
    return ("-kernel", kernel, "-initrd", initrd, "-append", append)


def vmm_linux(append: str, initrd: str, more: Sequence[str] = ()) -> list[str]:
    kernel, initrd, append = linux(append, initrd)
    return vmm_boot("--kernel", kernel, "--initrd", initrd, "--append", append, *more)
