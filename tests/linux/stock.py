"""Runs a stock Debian kernel as a guest as a user would: the `vmm boot` command in a process."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vmm.lab import initramfs
from vmm.lab.guest import build_initramfs, guest_kernel, guest_modules
from vmm.lab.kernel import Kernel

TIMEOUT = 150  # seconds, inside an emulated machine that may be busy


@dataclass(frozen=True)
class Boot:
    """How one boot ended."""

    code: int
    console: str
    stderr: str
    report: dict[str, Any]

    def answers(self) -> dict[str, str]:
        """The `name=value` lines that the guest's script printed."""
        pairs = (line.strip().partition("=") for line in self.console.splitlines() if "=" in line)
        return {name: value for name, _, value in pairs}


def initrd_with(folder: Path, script: str, extra: Sequence[initramfs.Entry] = ()) -> Path:
    """The stock initramfs with `script` as /script: the command line would echo in the log."""
    path = folder / "initrd"
    path.write_bytes(build_initramfs((initramfs.file("script", script.encode(), 0o755), *extra)))
    return path


def words(script: str, append: str = "") -> str:
    """The kernel command line that runs /script, or nothing but `guest ready`."""
    run = "vmm.run=ready"
    if script:
        run = 'vmm.cmd="/bin/sh /script"'
    return f"console=ttyS0 {append} {run}"


def boot(
    folder: Path,
    options: Sequence[str] = (),
    *,
    script: str = "",
    append: str = "",
    kernel: Path | Kernel | None = None,
    modules: Sequence[str] = (),
    members: Sequence[initramfs.Entry] = (),
) -> Boot:
    """Boots to the end; `script` is run by the guest's shell, once `modules` are loaded.

    members: what the initramfs has besides.
    """
    report = folder / "report.json"
    whole = kernel if isinstance(kernel, Kernel) else None
    kernel = whole.image if whole is not None else kernel
    extra = (*members, *(guest_modules(modules, whole) if modules else ()))
    done = subprocess.run(
        [
            *(sys.executable, "-m", "vmm", "boot"),
            *("--kernel", str(kernel or guest_kernel())),
            *("--initrd", str(initrd_with(folder, script, extra))),
            *("--append", words(script, append), "--exit-report", str(report)),
            *("--timeout", str(TIMEOUT), *options),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=TIMEOUT + 60,
        check=False,
    )
    found = json.loads(report.read_text()) if report.exists() else {}
    return Boot(done.returncode, done.stdout, done.stderr, found)
