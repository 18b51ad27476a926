"""What VFIO tells of a device while a guest has it: it failed, or the host wants it back."""

from __future__ import annotations

from vmm import log
from vmm.closing import close_all
from vmm.errors import VfioError
from vmm.native import lib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from vmm.context import DeviceContext
    from vmm.vfio.device import PciDevice

PAUSE, UNPLUG, IGNORE = "pause", "unplug", "ignore"


class Notices:
    """Both eventfds of `host`, served on the first loop until `close()`.

    An error is told as DEVICE_ERROR and answered as `on_error` says; a request for the device as
    DEVICE_REQUESTED, and the guest is asked to let go of it, again whenever the kernel repeats it.
    """

    def __init__(self, name: str, host: PciDevice, context: DeviceContext, on_error: str) -> None:
        self.name, self._host, self._context, self._on_error = name, host, context, on_error
        self._loop = context.loops.first
        self._undo: list[Callable[[], object]] = []
        for kind, react in (("err", self._failed), ("req", self._requested)):
            self._serve(kind, react)

    def _serve(self, kind: str, react: Callable[[], None]) -> None:
        interrupt = self._host.interrupts.get(kind)
        if interrupt is None:
            return
        try:
            (vector,) = interrupt.enable()
        except VfioError as error:  # conventional PCI reports no errors, whatever it says it has
            log.event("vfio.no_notice", device=self.name, kind=kind, reason=str(error))
            return

        def came() -> None:
            if vector.wait(0):
                react()

        token = self._loop.serve(vector.fileno(), lib.EPOLLIN, came)
        self._undo += [lambda: self._loop.unserve(token), interrupt.disable]

    def _failed(self) -> None:
        self._tell("DEVICE_ERROR", action=self._on_error)
        if self._on_error == PAUSE:
            self._context.wish("pause", self.name)
        elif self._on_error == UNPLUG:
            self._context.wish("detach", self.name)

    def _requested(self) -> None:
        self._tell("DEVICE_REQUESTED")
        self._context.wish("detach", self.name)

    def _tell(self, event: str, **fields: object) -> None:
        about = {"device": self.name, "host": self._host.address, **fields}
        log.limited(event.lower().replace("_", "."), "warning", **about)
        self._context.notify(event, about)

    def close(self) -> None:
        """Neither is served any more. May be repeated."""
        undo, self._undo = self._undo, []
        close_all(undo)
