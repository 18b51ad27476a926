"""One hypercall as its handler sees it: registers, and structures in the guest's linear memory."""

from __future__ import annotations

from copy import copy
from struct import calcsize, unpack

from vmm.xen.abi import EFAULT, EINVAL, PAGE, XenError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from vmm.kvm.vcpu import KvmVcpu
    from vmm.memory import Accessor

MAX_LENGTH = PAGE  # of one structure; no call here has a longer one


class Call:
    """Context: the thread of the vCPU that made it. Each structure is read once, then decided upon.

    `wide`: made in 64-bit mode. Pointers are linear addresses (hvm_op and all others alike).
    XenError(EFAULT) where the guest has nothing mapped.
    """

    def __init__(self, vcpu: int, kvm: KvmVcpu, memory: Accessor, registers: Any) -> None:
        self.vcpu = vcpu
        self.number = int(registers.number)
        self.params = tuple(int(value) for value in registers.params)
        self.wide = bool(registers.longmode)
        self._kvm, self._memory = kvm, memory

    @property
    def mask(self) -> int:
        """The bits of a register."""
        return (1 << (64 if self.wide else 32)) - 1

    def repeat(self, kvm: KvmVcpu, back: int, params: tuple[int, ...]) -> None:
        """The guest makes it again with these arguments. `back`: bytes to the instruction."""
        regs = kvm.get_regs()
        regs.rip, regs.rax = (regs.rip - back) & self.mask, self.number
        names = ("rdi", "rsi", "rdx") if self.wide else ("rbx", "rcx", "rdx")
        for name, value in zip(names, params, strict=False):
            setattr(regs, name, value & self.mask)
        kvm.set_regs(regs)

    def another(self, number: int, params: tuple[int, ...]) -> Call:
        """A call that this one carries in its arguments."""
        call = copy(self)
        call.number, call.params = number, params
        return call

    def _pieces(self, linear: int, length: int) -> list[tuple[int, int]]:
        """[(guest-physical address, bytes)] behind a linear range, a piece for each page."""
        assert 0 < length <= MAX_LENGTH
        if linear + length > 1 << (64 if self.wide else 32):
            raise XenError(EFAULT)
        pieces = []
        while length:
            part = min(length, PAGE - linear % PAGE)
            gpa = self._kvm.translate(linear)
            if gpa is None:
                raise XenError(EFAULT)
            pieces.append((gpa, part))
            linear, length = linear + part, length - part
        return pieces

    def read(self, linear: int, length: int) -> bytes:
        try:
            pieces = self._pieces(linear, length)
            return b"".join(self._memory.read(gpa, part) for gpa, part in pieces)
        except ValueError:  # no RAM there
            raise XenError(EFAULT) from None

    def write(self, linear: int, data: bytes) -> None:
        """All of it, or nothing if a page is missing."""
        try:
            pieces = self._pieces(linear, len(data))
            for gpa, part in pieces:
                self._memory.view(gpa, part)
            for gpa, part in pieces:
                self._memory.write(gpa, data[:part])
                data = data[part:]
        except ValueError:
            raise XenError(EFAULT) from None

    def read_struct(self, linear: int, layout: str) -> tuple[int, ...]:
        """layout: as for `struct`, with its byte order."""
        return unpack(layout, self.read(linear, calcsize(layout)))

    def physical(self, linear: int, length: int) -> int:
        """Where a range lies that the hypervisor shall write for ever: EINVAL if it is in pieces.

        Xen would map both pages; KVM takes one guest-physical address.
        """
        pieces = self._pieces(linear, length)
        if len(pieces) > 1 and pieces[0][0] + pieces[0][1] != pieces[1][0]:
            raise XenError(EINVAL)
        return pieces[0][0]
