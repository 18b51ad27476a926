"""A level-triggered interrupt whose source is told of by an eventfd (core/irq/intx.h).

For sources outside of this process or behind the kernel, such as a VFIO device's INTx.
"""

from __future__ import annotations

import os

from vmm.errors import VmmError
from vmm.native import ffi, lib, made

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from vmm.loop import IoLoop


class Intx:
    """Writing `trigger` makes GSI `gsi` high; the guest's EOI makes it low and signals `resample`.

    Whoever owns the source then triggers again if it still wants service. `hub` is the machine's
    `struct irq_hub *`. `pic`: the PIC's line of that wire, where the guest may use the PIC. Nobody
    writes `trigger` any more when it is closed.
    """

    def __init__(self, hub: Any, loop: IoLoop, gsi: int, pic: int | None = None) -> None:
        line = lib.INTX_NO_PIC if pic is None else pic
        pointer = lib.intx_create(hub, loop.pointer, gsi, line)
        self.pointer: Any = made(pointer, lib.intx_destroy, "a level interrupt")
        self.trigger = int(self.pointer.trigger_fd)
        self.resample = int(self.pointer.resample_fd)
        self._gsi = gsi

    def check(self) -> None:
        """VmmError if the interrupt chip did not take it. For after the machine is built."""
        error = -lib.intx_status(self.pointer)
        if error:
            raise VmmError(
                f"Connecting the eventfds of an interrupt to GSI {self._gsi} failed: "
                f"{os.strerror(error)}"
            )

    def close(self) -> None:
        """Low, disconnected, descriptors closed. May be repeated."""
        if self.pointer is not None:
            ffi.release(self.pointer)
            self.pointer = None
