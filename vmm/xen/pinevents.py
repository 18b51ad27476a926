"""Events of a domain with KVM's help whose callback is an interrupt pin: all are set here, in C.

KVM tells vCPUs by vectors alone, and says to nobody that it has set a vCPU's byte. So it sets none
while a pin is the callback: no port of the guest's, no timer and no interrupt is known to it, and
polls are yields. What is left in KVM is the guest's sends to back-ends, which set nothing.
"""

from __future__ import annotations

from vmm.native import check, ffi, lib, made
from vmm.xen.callbackline import CallbackLine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from vmm.context import DeviceContext


class PinEvents:
    """Made when a guest first wants it, and there until the domain ends; then `quiet()` or not.

    Pages are guest-physical, `None` for none. Context: that of the methods of Backend.
    """

    def __init__(self, context: DeviceContext, vcpus: list[Any]) -> None:
        memory = context.memory
        self._memory = memory.accessor("xen events")
        loop, dev = context.loop.pointer, self._memory.dev
        args = (context.core, memory.pointer, dev, context.clock, loop)
        pointer = lib.xenus_create(*args, len(vcpus))
        keep = (*args, context.loop, *vcpus)
        self._x: Any = made(pointer, lib.xenus_destroy, "the Xen domain's events", *keep)
        for index, vcpu in enumerate(vcpus):
            lib.xenus_know_vcpu(self._x, index, vcpu)
        self._line = CallbackLine(context, self._x)
        self._channels: set[int] = set()

    def close(self) -> None:
        """No vCPU runs."""
        self._line.set(None)
        ffi.release(self._x)

    def set_line(self, gsi: int | None) -> None:
        self._line.set(gsi)

    def quiet(self) -> None:
        """It knows of nothing any more."""
        self._line.set(None)
        self.set_page(None)
        for port in list(self._channels):
            self.close_channel(port)

    def counters(self) -> dict[str, int]:
        counts = ffi.new("struct xenus_counters *")
        lib.xenus_counters(self._x, counts)
        return {name: n for name in dir(counts) if (n := getattr(counts, name))}

    # --- pages

    def set_page(self, gpa: int | None) -> None:
        lib.xenus_set_page(self._x, lib.XENUS_NOWHERE if gpa is None else gpa)

    def set_wide(self, wide: bool) -> None:
        lib.xenus_set_wide(self._x, wide)

    def set_info(self, index: int, gpa: int | None) -> None:
        """The vCPU is told of what is noted there already."""
        lib.xenus_set_info(self._x, index, lib.XENUS_NOWHERE if gpa is None else gpa)
        lib.xenus_tell(self._x, index)

    # --- telling vCPUs

    def set_vector(self, index: int, vector: int) -> None:
        lib.xenus_set_vector(self._x, index, vector)

    def set_timer(self, index: int, port: int, expires: int) -> None:
        lib.xenus_set_timer_port(self._x, index, port, expires)

    def timer_end(self, index: int) -> int:
        """Of one that is still to go off; 0: there is none."""
        return int(lib.xenus_timer_end(self._x, index))

    def send(self, port: int, vcpu: int) -> bool:
        return lib.xenus_send(self._x, port, vcpu) == 0

    def open_channel(self, port: int, vcpu: int, kick: int, call: int) -> None:
        result = lib.xenus_open_channel(self._x, port, vcpu, kick, call)
        check(result, "xenus_open_channel", f"port {port}")
        self._channels.add(port)

    def close_channel(self, port: int) -> None:
        self._channels.discard(port)
        lib.xenus_close_channel(self._x, port)
