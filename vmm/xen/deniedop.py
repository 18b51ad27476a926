"""Hypercalls of the control domain, as Xen refuses them to others."""

from __future__ import annotations

from vmm.xen import abi
from vmm.xen.abi import XenError
from vmm.xen.memoryop import check_domain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vmm.xen.call import Call
    from vmm.xen.domain import XenDomain

VERSIONS = {abi.PLATFORM_OP: 0x03000001, abi.SYSCTL: 0x15, abi.DOMCTL: 0x15}  # Xen 4.17's


def versioned(domain: XenDomain, call: Call) -> int:
    """sysctl, domctl, platform_op: the interface's version is looked at first."""
    _command, version = call.read_struct(call.params[0], "<II")
    raise XenError(abi.EPERM if version == VERSIONS[call.number] else abi.EACCES)


def denied(domain: XenDomain, call: Call) -> int:
    raise XenError(abi.EPERM)


def not_built(domain: XenDomain, call: Call) -> int:
    raise XenError(abi.EOPNOTSUPP)


def device_model(domain: XenDomain, call: Call) -> int:
    """dm_op speaks of a domain that one serves: never of oneself."""
    check_domain(call.params[0] & 0xFFFF)
    raise XenError(abi.EPERM)
