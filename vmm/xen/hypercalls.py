"""Which function answers a hypercall, and what the guest finds in RAX.

A handler gets the domain and the call and returns the result, or raises XenError. Numbers and
sub-operations that nobody answers give ENOSYS. All are counted by name.
"""

from __future__ import annotations

from vmm import log
from vmm.errors import StateError
from vmm.native import ffi, lib
from vmm.xen import abi, evtchnop, grantop, hvmop, memoryop, schedop, vcpuop, versionop
from vmm.xen.abi import XenError
from vmm.xen.call import Call

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from vmm.xen.domain import XenDomain

    Handler = Callable[[XenDomain, Call], int]
    # The hypercall's name, its sub-operations, and the bits of the first argument that tell which.
    Row = tuple[str, Mapping[int, Handler], int]

ALL = (1 << 32) - 1
TABLE: dict[int, Row] = {
    abi.MEMORY_OP: ("memory_op", memoryop.OPS, 0x3F),
    abi.XEN_VERSION: ("xen_version", versionop.OPS, ALL),
    abi.GRANT_TABLE_OP: ("grant_table_op", grantop.OPS, 0xFFF),
    abi.VCPU_OP: ("vcpu_op", vcpuop.OPS, ALL),
    abi.SCHED_OP: ("sched_op", schedop.OPS, ALL),
    abi.EVENT_CHANNEL_OP: ("event_channel_op", evtchnop.OPS, ALL),
    abi.HVM_OP: ("hvm_op", hvmop.OPS, ALL),
}


def hypercall(domain: XenDomain, index: int, vcpu: Any) -> int | None:
    """Answers the hypercall in the `struct vcpu *`'s exit. Context: the thread of vCPU `index`.

    The reason (SHUTDOWN_*) if the guest asked for its end with it, else `None`.
    """
    registers = ffi.new("struct vcpu_hypercall *")
    lib.vcpu_hypercall(vcpu, registers)
    name, error, result = "unknown", 0, 0
    ending: int | None = None
    try:
        call = Call(index, domain.kvm[index], domain.memory, registers)
        if registers.cpl:
            raise XenError(abi.EPERM)
        if call.number not in TABLE:
            raise XenError(abi.ENOSYS)
        group, operations, mask = TABLE[call.number]
        handler = operations.get(call.params[0] & mask)
        name = f"{group} {handler.__name__ if handler else 'unknown'}"
        if handler is None:
            raise XenError(abi.ENOSYS)
        with domain.lock:
            domain.latch(call.wide)
        result = handler(domain, call)
    except XenError as refused:
        error = refused.number
    except StateError:  # the machine ends, and with it the vCPU that should have done something
        error = abi.EINVAL
    except schedop.Shutdown as shutdown:
        ending = shutdown.reason
    lib.vcpu_hypercall_result(vcpu, -error or result)
    _count(domain, registers, name, error)
    return ending


def _count(domain: XenDomain, registers: Any, name: str, error: int) -> None:
    with domain.lock:
        domain.calls[name] = domain.calls.get(name, 0) + 1
        if error:
            key = f"{name} {error}"
            domain.refused[key] = domain.refused.get(key, 0) + 1
    if error == abi.ENOSYS:
        number, first = int(registers.number), int(registers.params[0])
        log.limited("xen.hypercall_unknown", "info", number=number, argument=first)
