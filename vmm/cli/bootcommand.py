"""`vmm boot` as click knows it: for help and completion; `boot.py` is how it runs."""

from __future__ import annotations

from vmm.cli.boot import boot_values
from vmm.cli.generate import table_command
from vmm.options import BOOT_OPTIONS

HELP = """Boot a kernel in a virtual machine and stay until it ends.

The exit code says how it ended (docs/exit-codes.md). Words after -- are added to the kernel's
command line. On the console, Ctrl-A h shows the keys that reach the machine instead of the guest.
"""

command = table_command(
    "boot", BOOT_OPTIONS, boot_values, HELP, words="KERNEL WORDS...", whose="the kernel's words"
)
