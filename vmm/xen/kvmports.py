"""Event channels that KVM serves by itself: sends between the guest's own ports, and both ways
between the guest and eventfds.
"""

from __future__ import annotations

from vmm.native import ffi, lib
from vmm.xen import abi

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vmm.irq import IrqRouter
    from vmm.kvm.vm import Vm

PRIORITY_2LEVEL = 0xFFFFFFFF
TO_EVENTFD = (abi.EVTCHNSTAT_interdomain, 0)


class KvmPorts:
    """Those of one domain, by the guest's numbers. Context: the domain's lock.

    `vcpu_ids` are KVM's numbers of the vCPUs. KvmError where the kernel refuses.
    """

    def __init__(self, vm: Vm, router: IrqRouter, vcpu_ids: tuple[int, ...]) -> None:
        self._vm, self._router, self._vcpu_ids = vm, router, vcpu_ids
        self._sent: dict[int, tuple[int, int]] = {}  # port -> kind and target
        self._told: dict[int, tuple[int, int]] = {}  # port -> (GSI, eventfd) that tells the guest

    def connect(self, port: int, kind: int, target: int, vcpu: int) -> None:
        """What the guest sends to `port` arrives at its own port `target`, which tells `vcpu`."""
        known = self._sent.get(port) == (kind, target)
        if not known:
            self.disconnect(port)
        attr = ffi.new("struct kvm_xen_hvm_attr *", {"type": lib.KVM_XEN_ATTR_TYPE_EVTCHN})
        evtchn = attr.u.evtchn
        evtchn.send_port, evtchn.type = port, kind
        evtchn.flags = lib.KVM_XEN_EVTCHN_UPDATE if known else 0
        evtchn.deliver.port.port = target
        evtchn.deliver.port.vcpu = self._vcpu_ids[vcpu]
        evtchn.deliver.port.priority = PRIORITY_2LEVEL
        self._vm.xen_hvm_set_attr(attr)
        self._sent[port] = (kind, target)

    def listen(self, port: int, kick: int) -> None:
        """What the guest sends to `port` is counted in the eventfd `kick`."""
        if port in self._sent:
            return
        attr = ffi.new("struct kvm_xen_hvm_attr *", {"type": lib.KVM_XEN_ATTR_TYPE_EVTCHN})
        attr.u.evtchn.send_port, attr.u.evtchn.type = port, TO_EVENTFD[0]
        attr.u.evtchn.deliver.eventfd.fd = kick
        self._vm.xen_hvm_set_attr(attr)
        self._sent[port] = TO_EVENTFD

    def disconnect(self, port: int) -> None:
        """Ends either: what the guest sends to `port` is a hypercall for us again."""
        if self._sent.pop(port, None) is not None:
            self._forget(lib.KVM_XEN_EVTCHN_DEASSIGN, port)

    def _forget(self, how: int, port: int = 0) -> None:
        attr = ffi.new("struct kvm_xen_hvm_attr *", {"type": lib.KVM_XEN_ATTR_TYPE_EVTCHN})
        attr.u.evtchn.send_port, attr.u.evtchn.flags = port, how
        self._vm.change("KVM_XEN_HVM_SET_ATTR", attr, f"port {port}")

    def tell(self, port: int, vcpu: int, call: int) -> None:
        """Writing the eventfd `call` is an event of the port for `vcpu`; again when that moves."""
        known = self._told.get(port)
        gsi = known[0] if known else self._router.alloc_gsi()
        try:
            self._router.set_xen_evtchn(gsi, port, self._vcpu_ids[vcpu], PRIORITY_2LEVEL)
            self._router.commit()
            if known is None:
                self._router.attach(gsi, call)
        except BaseException:
            if known is None:
                self._router.free_gsi(gsi)  # KVM has it until the next change, and nobody raises it
            raise
        self._told[port] = gsi, call

    def untell(self, port: int) -> None:
        gsi, call = self._told.pop(port, (-1, -1))
        if gsi >= 0:
            self._router.detach(gsi, call)
            self._router.free_gsi(gsi)
            self._router.commit()

    def quiet(self) -> None:
        """KVM sets no port's bit any more. Eventfds go on counting what the guest sends."""
        for port in list(self._told):
            self.untell(port)
        for port in [port for port, what in self._sent.items() if what != TO_EVENTFD]:
            self.disconnect(port)

    def reset(self) -> None:
        """Whatever the guest sends is a hypercall for us."""
        if self._sent:
            self._forget(lib.KVM_XEN_EVTCHN_RESET)
            self._sent.clear()
