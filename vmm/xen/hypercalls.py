"""Which function answers a hypercall, and what the guest finds in RAX.

A handler gets the domain and the call and returns the result, or raises XenError, or Again if the
guest shall make the call anew. Numbers and sub-operations that nobody answers give ENOSYS. All are
counted by name.
"""

from __future__ import annotations

from time import monotonic

from vmm import log
from vmm.errors import StateError, VmmError
from vmm.native import ffi, lib
from vmm.xen import (
    abi,
    assistop,
    consoleop,
    deniedop,
    evtchnop,
    grantop,
    hvmop,
    memoryop,
    physdevop,
    schedop,
    timerop,
    vcpuop,
    versionop,
)  # fmt: skip
from vmm.xen.abi import Again, XenError
from vmm.xen.call import Call
from vmm.xen.multicall import multicall

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from vmm.xen.domain import Answerer, XenDomain

    Handler = Callable[[XenDomain, Call], int]
    # The hypercall's name, its sub-operations, and the bits of the first argument that tell which;
    # no bits: it has none, and its handler stands at 0.
    Row = tuple[str, Mapping[int, Handler], int]

ALL = (1 << 32) - 1
TABLE: dict[int, Row] = {
    abi.PLATFORM_OP: ("platform_op", {0: deniedop.versioned}, 0),
    abi.MEMORY_OP: ("memory_op", memoryop.OPS, 0x3F),
    abi.SET_TIMER_OP: ("set_timer_op", {0: timerop.set_timer_op}, 0),
    abi.XEN_VERSION: ("xen_version", versionop.OPS, ALL),
    abi.CONSOLE_IO: ("console_io", consoleop.OPS, ALL),
    abi.GRANT_TABLE_OP: ("grant_table_op", grantop.OPS, 0xFFF),
    abi.VM_ASSIST: ("vm_assist", {0: assistop.vm_assist}, 0),
    abi.VCPU_OP: ("vcpu_op", {**vcpuop.OPS, **timerop.VCPU_OPS}, ALL),
    abi.SCHED_OP: ("sched_op", schedop.OPS, ALL),
    abi.EVENT_CHANNEL_OP: ("event_channel_op", evtchnop.OPS, ALL),
    abi.PHYSDEV_OP: ("physdev_op", physdevop.OPS, ALL),
    abi.HVM_OP: ("hvm_op", hvmop.OPS, ALL),
    abi.SYSCTL: ("sysctl", {0: deniedop.versioned}, 0),
    abi.DOMCTL: ("domctl", {0: deniedop.versioned}, 0),
    abi.KEXEC_OP: ("kexec_op", {0: deniedop.denied}, 0),
    abi.XENPMU_OP: ("xenpmu_op", {0: deniedop.not_built}, 0),
    abi.DM_OP: ("dm_op", {0: deniedop.device_model}, 0),
    abi.HYPFS_OP: ("hypfs_op", {0: deniedop.denied}, 0),
}


def hypercall(domain: XenDomain, index: int, vcpu: Any, complete: Callable[[], None]) -> int | None:
    """Answers the hypercall in the `struct vcpu *`'s exit. Context: the thread of vCPU `index`.

    `complete` has KVM take the result, so that registers may be written. The reason (SHUTDOWN_*) if
    the guest asked for its end with it, else `None`.
    """
    registers = ffi.new("struct vcpu_hypercall *")
    lib.vcpu_hypercall(vcpu, registers)
    call = Call(index, domain.kvm[index], domain.memory, registers)
    result = 0
    try:
        if registers.cpl:
            raise XenError(abi.EPERM)
        result = answer(domain, call)
    except XenError as refused:
        result = -refused.number
    except Again as again:
        lib.vcpu_hypercall_result(vcpu, 0)
        complete()
        domain.backend.vcpu_call_again(domain.kvm[index], call, again.params)
        return None
    except schedop.Shutdown as shutdown:
        lib.vcpu_hypercall_result(vcpu, 0)
        return shutdown.reason
    lib.vcpu_hypercall_result(vcpu, result)
    return None


def name_of(number: int, first: int) -> tuple[str, int]:
    """A call's name and sub-operation (0 where it has none), from its number and first argument."""
    if number == abi.MULTICALL:
        return "multicall", 0
    if number not in TABLE:
        return "unknown", first
    group, operations, mask = TABLE[number]
    handler = operations.get(first & mask)
    own = handler.__name__ if handler else "unknown"
    return (f"{group} {own}" if mask else group), first & mask


def place_of(name: str) -> tuple[int, int]:
    """The number and sub-operation of a call's name. KeyError for none that is answered here."""
    for number, (group, operations, mask) in TABLE.items():
        for op, handler in operations.items():
            if name == (f"{group} {handler.__name__}" if mask else group):
                return number, op
    raise KeyError(name)


def answer_by(domain: XenDomain, name: str, answerer: Answerer | None) -> None:
    """See Machine.on_hypercall()."""
    place = place_of(name)
    domain.backend.answer_all()
    if answerer is None:
        domain.handlers.pop(place, None)
    else:
        domain.handlers[place] = answerer


def answer(domain: XenDomain, call: Call) -> int:
    """The result of one call, which is counted, and told to whoever looks on.

    Raises what its handler does.
    """
    if domain.observer is None:
        return _answer(domain, call)
    began = monotonic()
    result: int | BaseException = 0
    try:
        result = _answer(domain, call)
        return result
    except BaseException as raised:
        result = raised
        raise
    finally:
        domain.observer.answered(call, began, result)


def _answer(domain: XenDomain, call: Call) -> int:
    name, error = "unknown", 0
    try:
        if call.number == abi.MULTICALL:
            name = "multicall"
            return multicall(domain, call, answer)
        if call.number not in TABLE:
            raise XenError(abi.ENOSYS)
        name, operation = name_of(call.number, call.params[0])
        handler = TABLE[call.number][1].get(operation)
        if handler is None:
            raise XenError(abi.ENOSYS)
        with domain.lock:
            domain.latch(call.wide)
        if domain.handlers and (own := domain.handlers.get((call.number, operation))):
            return own(call, lambda: handler(domain, call))
        return handler(domain, call)
    except XenError as refused:
        error = refused.number
        raise
    except StateError:  # the machine ends, and with it the vCPU that should have done something
        error = abi.EINVAL
        raise XenError(error) from None
    except (VmmError, OSError) as failed:  # what the host refuses does not end the guest
        error = abi.ENOMEM if getattr(failed, "errno", 0) == abi.ENOMEM else abi.EINVAL
        log.limited("xen.hypercall_failed", call=name, error=str(failed))
        raise XenError(error) from None
    finally:
        _count(domain, call, name, error)


def _count(domain: XenDomain, call: Call, name: str, error: int) -> None:
    with domain.lock:
        domain.calls[name] = domain.calls.get(name, 0) + 1
        if error:
            key = f"{name} {error}"
            domain.refused[key] = domain.refused.get(key, 0) + 1
    if error == abi.ENOSYS:
        log.limited("xen.hypercall_unknown", "info", number=call.number, argument=call.params[0])
