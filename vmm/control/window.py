"""The terminal's window: its size goes to virtio consoles that are on it, now and when it changes.

A signal handler only posts; the managing thread asks the terminal and tells the device.
"""

from __future__ import annotations

import os
from _signal import SIGWINCH  # type: ignore[import-not-found]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vmm.control.signals import Signals
    from vmm.machine import Machine

STDIN, STDOUT = 0, 1
MOST = 0xFFFF  # columns or rows, as the device's registers have them


def size() -> tuple[int, int] | None:
    """Columns and rows of the terminal, None if there is none."""
    for fd in (STDOUT, STDIN):
        try:
            columns, rows = os.get_terminal_size(fd)
        except OSError:
            continue
        return min(columns, MOST), min(rows, MOST)
    return None


def follow(machine: Machine, signals: Signals) -> None:
    """From now on virtio consoles know how large the window is, if one of them is on it."""
    if not any(console.virtio and console.kind == "stdio" for console in machine.config.consoles):
        return

    def tell() -> None:
        now = size()
        if now is not None:
            machine.ports.resize(*now)

    tell()
    signals.on(SIGWINCH, lambda: machine.post(tell))
