"""The three standard descriptors, which every other part takes for given."""

from __future__ import annotations

import os

STDERR = 2


def reserve() -> None:
    """Opens /dev/null where stdin, stdout or stderr is closed.

    Otherwise the next descriptor opened, a VM's or a disk's, would take that number, and whoever
    writes to stdout would write there. Call it before anything is opened.
    """
    fd = os.open(os.devnull, os.O_RDWR)  # the lowest free number
    while fd <= STDERR:
        os.set_inheritable(fd, True)
        fd = os.open(os.devnull, os.O_RDWR)
    os.close(fd)
