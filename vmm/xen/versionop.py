"""xen_version (xen/include/public/version.h): what an unprivileged domain is told."""

from __future__ import annotations

from struct import pack

from vmm import __version__
from vmm.xen import abi
from vmm.xen.abi import XenError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vmm.xen.call import Call
    from vmm.xen.domain import XenDomain

CAPABILITIES = b"hvm-3.0-x86_32 hvm-3.0-x86_32p hvm-3.0-x86_64 "
EXTRAVERSION_SIZE, CHANGESET_SIZE, LONG_TEXT_SIZE, HANDLE_SIZE = 16, 64, 1024, 16
DENIED = b"<denied>"


def _text(call: Call, text: bytes, size: int) -> int:
    call.write(call.params[1], text.ljust(size, b"\0"))
    return 0


def version(domain: XenDomain, call: Call) -> int:
    """Major << 16 | minor. KVM answers it, where it can, before we see it."""
    return domain.version


def extraversion(domain: XenDomain, call: Call) -> int:
    return _text(call, f"-vmm{__version__}".encode()[: EXTRAVERSION_SIZE - 1], EXTRAVERSION_SIZE)


def compile_info(domain: XenDomain, call: Call) -> int:
    """Who built the hypervisor with what: nobody did."""
    return _text(call, pack("64s16s32s32s", b"vmm", b"vmm", b"", b""), 144)


def capabilities(domain: XenDomain, call: Call) -> int:
    return _text(call, CAPABILITIES, LONG_TEXT_SIZE)


def changeset(domain: XenDomain, call: Call) -> int:
    return _text(call, b"", CHANGESET_SIZE)


def platform_parameters(domain: XenDomain, call: Call) -> int:
    """Where the hypervisor lies in the guest's address space: nowhere, for HVM."""
    return _text(call, b"", 8 if call.wide else 4)


def get_features(domain: XenDomain, call: Call) -> int:
    (submap,) = call.read_struct(call.params[1], "<I")
    if submap:
        raise XenError(abi.EINVAL)
    call.write(call.params[1], pack("<II", submap, domain.backend.features))
    return 0


def pagesize(domain: XenDomain, call: Call) -> int:
    if call.params[1]:
        raise XenError(abi.EINVAL)
    return abi.PAGE


def guest_handle(domain: XenDomain, call: Call) -> int:
    """The domain's UUID: it was given none, which Xen shows as zeroes."""
    return _text(call, b"", HANDLE_SIZE)


def commandline(domain: XenDomain, call: Call) -> int:
    return _text(call, DENIED, LONG_TEXT_SIZE)


def build_id(domain: XenDomain, call: Call) -> int:
    raise XenError(abi.EPERM)  # of the control domain only


OPS = {
    0: version,
    1: extraversion,
    2: compile_info,
    3: capabilities,
    4: changeset,
    5: platform_parameters,
    6: get_features,
    7: pagesize,
    8: guest_handle,
    9: commandline,
    10: build_id,
}
