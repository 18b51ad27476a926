"""Doorbells: guest writes that KVM turns into an eventfd's count without an exit."""

from __future__ import annotations

from vmm.native import ffi, lib
from vmm.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Doorbell(Record):
    """KVM_IOEVENTFD: a write of `size` bytes (0: any width) to `address` adds one to eventfd `fd`.

    datamatch: only writes of this value; others go to the device as if there were no doorbell.
    """

    address: int
    size: int
    fd: int
    space: str = "mmio"  # or "pio"
    datamatch: int | None = None

    def attach(self, core: Any) -> bool:
        """False if KVM refuses (no room, or a doorbell there already) or there is no VM (`None`).

        Writes then exit and reach the device that answers at the address. `core`: the VM's
        `struct vmcore *`.
        """
        return core is not None and not self._ioctl(core, 0)

    def detach(self, core: Any) -> None:
        """Writes reach the device again. Only after an attach() that was taken."""
        self._ioctl(core, lib.KVM_IOEVENTFD_FLAG_DEASSIGN)

    def _ioctl(self, core: Any, flags: int) -> int:
        """0 or an errno."""
        flags |= lib.KVM_IOEVENTFD_FLAG_PIO if self.space == "pio" else 0
        flags |= lib.KVM_IOEVENTFD_FLAG_DATAMATCH if self.datamatch is not None else 0
        fields = {
            "datamatch": self.datamatch or 0,
            "addr": self.address,
            "len": self.size,
            "fd": self.fd,
            "flags": flags,
        }
        argument = ffi.new("struct kvm_ioeventfd *", fields)
        return int(-lib.vmcore_ioctl(core, lib.KVM_IOEVENTFD, argument))
