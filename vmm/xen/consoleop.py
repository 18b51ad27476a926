"""console_io (xen/include/public/xen.h): the hypervisor's own console, which is our log."""

from __future__ import annotations

from vmm import log
from vmm.xen import abi
from vmm.xen.abi import Again, XenError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vmm.xen.call import Call
    from vmm.xen.domain import XenDomain

PIECE = 256  # bytes taken at once, and of one line in the log


def write(domain: XenDomain, call: Call) -> int:
    """What a hypervisor built for debugging lets every guest do. Printable ASCII is logged."""
    length = call.params[1] & 0xFFFFFFFF
    part = min(length, PIECE)
    if part:
        for line in call.read(call.params[2], part).splitlines():
            text = bytes(byte for byte in line if 0x20 <= byte < 0x7F).decode()
            if text:
                log.limited("xen.console", "info", text=text)
    if length > part:
        raise Again(call.params[0], length - part, call.params[2] + part)
    return 0


def read(domain: XenDomain, call: Call) -> int:
    raise XenError(abi.EPERM)  # of the control domain only


OPS = {0: write, 1: read}
