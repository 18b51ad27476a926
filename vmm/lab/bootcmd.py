"""`make boot`: the stock kernel on this host's KVM where that works, else in the lab.

On a terminal the guest is a shell; otherwise it runs to `guest ready`, the boot timeline is
printed and the guest powers off.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from vmm.boot import image
from vmm.errors import VmmError
from vmm.host import kvm
from vmm.host.command import own_command, vmm_command
from vmm.lab import LabConfig, guest, lab_run, lab_shell, session

HERE = "--here"  # given: no probing, this host it is
AGAIN = "from vmm.lab.bootcmd import main; sys.exit(main(sys.argv[1:]))"


def boot_command(report: str, *, interactive: bool) -> list[str]:
    """`vmm boot` with the stock kernel and initramfs; the exit report goes to `report`."""
    append = "console=ttyS0 quiet" if interactive else "console=ttyS0 quiet vmm.run=ready"
    return [
        *vmm_command("boot"),
        *("--kernel", str(guest.guest_kernel())),
        *("--initrd", str(guest.guest_initramfs())),
        *("--append", append),
        *("--exit-report", report),
    ]


def timeline(report: str) -> str:
    """The marks of an exit report as text, in milliseconds."""
    marks = json.loads(Path(report).read_text())["timings"]["marks"]
    lines = ["boot timeline (ms since start, ms since the mark before):"]
    before = 0.0
    for mark in marks:
        lines.append(
            f"  {mark['at'] * 1e3:10.1f} {(mark['at'] - before) * 1e3:10.1f}  {mark['name']}"
        )
        before = mark["at"]
    return "\n".join(lines)


def boot_here(*, interactive: bool) -> int:
    """Runs `vmm boot` on this host; returns its exit code."""
    with tempfile.TemporaryDirectory(prefix="vmm-boot-") as folder:
        report = f"{folder}/report.json"
        code = subprocess.run(boot_command(report, interactive=interactive), check=False).returncode
        if not interactive and os.path.exists(report):
            print(timeline(report), flush=True)
    return code


def main(argv: list[str]) -> int:
    interactive = os.isatty(0) and os.isatty(1)
    try:
        if HERE in argv:
            return boot_here(interactive=interactive)
        problem = kvm.stock_kernel_problem()
        if problem is None:
            return boot_here(interactive=interactive)
        session.say(f"{problem}; booting in the lab instead")
        image.identify(str(guest.guest_kernel()))  # unpacks it here, not on the emulated CPU
        again = LabConfig(command=tuple(own_command(AGAIN, HERE)))
        return lab_shell(again) if interactive else lab_run(again)
    except VmmError as error:
        print(f"vmm: {error}", file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
