"""A domain from a configuration: which back-end serves it, and what it shows."""

from __future__ import annotations

from vmm import log
from vmm.check import read_trace, read_xen_version
from vmm.errors import HostError, KvmError
from vmm.xen.domain import XenDomain
from vmm.xen.xenstore import XenStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vmm.context import DeviceContext
    from vmm.kvm.vm import Vm
    from vmm.xen.backend import Backend


def _serve(context: DeviceContext, domain: XenDomain) -> None:
    """Back-ends, in the order in which they begin."""
    store = domain.services.xenstore = XenStore(context)
    for config in context.config.consoles:
        if config.xen:
            from vmm.xen.console import XenConsole

            console = domain.services.console = store.console = XenConsole(context, config)
            domain.services.add(console)
    domain.services.add(store)
    if context.config.disks:
        from vmm.xen import blk

        for index, disk in blk.wanted(context.config.disks):
            domain.services.add(blk.make(context, index, disk, domain.services.grants.pointer))
    if context.config.nets:
        from vmm.xen import net

        for index, card in net.wanted(context.config.nets):
            domain.services.add(net.make(context, index, card, domain.services.grants.pointer))


def make_domain(context: DeviceContext, vm: Vm, flags: int) -> XenDomain:
    """flags: KVM_CAP_XEN_HVM's value. HostError where the host has too little. No vCPU exists."""
    version = read_xen_version(context.config.xen_version)
    assert version is not None  # checked with the configuration
    backend = _make_backend(context, vm, flags, version)
    domain = XenDomain(backend, context, len(context.apic_ids), version)
    try:
        _serve(context, domain)
        _observe(context, domain)
    except BaseException:
        domain.close()
        raise
    return domain


def _observe(context: DeviceContext, domain: XenDomain) -> None:
    """--trace xen. HostError if its file cannot be written."""
    kinds, path = read_trace(context.config.trace)
    if "xen" not in kinds:
        return
    from vmm.trace import Trace
    from vmm.xen.hypercalls import name_of
    from vmm.xen.seen import Observer

    try:
        trace = Trace(path, lambda error: log.limited("trace.ends", error=str(error)))
    except OSError as error:
        place = path or "to standard error"
        raise HostError(f"Cannot write the trace {place}: {error.strerror}") from None
    domain.observer = Observer(trace, context.apic_ids, name_of)
    domain.backend.observe(domain.observer)


def _make_backend(context: DeviceContext, vm: Vm, flags: int, version: int) -> Backend:
    wanted = context.config.xen_backend
    if wanted == "kvm" or (wanted == "auto" and flags):
        from vmm.xen.kvmcaps import check_flags
        from vmm.xen.kvmxen import KvmXen

        try:
            check_flags(flags)
            return KvmXen(vm, context, flags, version)
        except (HostError, KvmError):  # a kernel may offer what it then refuses
            if wanted == "kvm":
                raise
    if context.config.xen_pirqs != "off":
        raise HostError(
            "--xen-pirqs needs KVM_CAP_XEN_HVM, which KVM here lacks or refuses; see `vmm doctor`"
        )
    from vmm.xen.usercaps import NEEDED, check_caps
    from vmm.xen.userxen import UserXen

    check_caps({name: vm.check_extension(name) for name in NEEDED})
    breakpoints = context.config.xen_calls == "breakpoint"
    return UserXen(vm, context, version, breakpoints=breakpoints)
