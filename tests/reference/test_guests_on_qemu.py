"""The guests on QEMU's emulated machines: what a guest finds there it may demand of vmm.

No KVM takes part. Subtests that QEMU itself fails are listed in guests.toml; nothing else is left
out.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.guests import BUILD, Guest, build, load
from vmm.lab import kernel

RESET, POWER_OFF = 252, 0  # codes of vmm; QEMU ends with 0 after both
FIRMWARE = ("usr/share/qemu", "usr/share/seabios")
GUESTS = [guest for guest in load()[0].values() if guest.qemu]


@pytest.fixture(scope="session")
def qemu() -> list[str]:
    build()
    root = kernel.tools()
    folders = [word for folder in FIRMWARE for word in ("-L", str(root.path / folder))]
    return [*root.command("usr/bin/qemu-system-x86_64"), *folders]


def command_line(guest: Guest, folder: Path) -> list[str]:
    """QEMU's words for a row of guests.toml."""
    machine = guest.qemu["machine"]
    words = ["-machine", f"{machine},hpet=on" if machine == "pc" else f"{machine},rtc=on"]
    words += ["-accel", "tcg", "-cpu", "max", "-m", guest.mem, "-smp", str(guest.cpus)]
    words += ["-nodefaults", "-no-reboot", "-display", "none", "-serial", "null"]
    words += ["-debugcon", "stdio", "-device", "isa-debug-exit,iobase=0xf4,iosize=4"]
    if guest.options.get("testdev"):
        words += ["-device", "pc-testdev"]
    image = guest.path
    if machine == "pc" and image.suffix == ".elf":
        image = image.with_suffix(".mb")
    words += ["-kernel", str(image), "-append", guest.command_line(guest.qemu.get("skip"))]
    modules = guest.settings("kernel", folder).get("modules", [])
    return [*words, "-initrd", ",".join(modules)] if modules else words


@pytest.mark.parametrize("guest", GUESTS, ids=lambda guest: guest.name)
def test_guest_passes_on_qemu(guest: Guest, qemu: list[str], tmp_path: Path) -> None:
    done = subprocess.run(
        [*qemu, *command_line(guest, tmp_path)],
        capture_output=True,
        text=True,
        errors="replace",
        stdin=subprocess.DEVNULL,
        timeout=guest.timeout * 2,
        cwd=BUILD,
        check=False,
    )
    code = guest.code if done.returncode == 0 and guest.code in (RESET, POWER_OFF) else None
    complaints = guest.complaints(
        done.stdout, done.returncode if code is None else code, guest.qemu.get("skip")
    )
    assert complaints == [], done.stdout + done.stderr
