"""What a device receives from the machine: everything it may touch, and nothing else."""

from __future__ import annotations

from vmm.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from vmm.bus import Bus
    from vmm.coalesce import Coalesce
    from vmm.config import VmConfig
    from vmm.irq import IrqRouter
    from vmm.loop import IoLoop, IoLoops
    from vmm.memory import GuestMemory
    from vmm.native import Fd, PyDevice


class DeviceContext(Record):
    """The parts of one machine that its devices are built from.

    `irq` is the `struct irq_hub *`, `clock` the `struct vclock *`, `core` the `struct vmcore *` of
    the C core. `loop` is the loop that the device belongs to, one of `loops`. `apic_ids` are the
    vCPUs', in their order. `vm_fd` is the VM descriptor's number, -1 in tests without KVM.
    `kvm_vfio()` is KVM's pseudo device for VFIO, which the machine keeps (vmm/kvm/vm.py).
    `upcalls` is where a device that has registers in Python adds their `PyDevice`.
    `notify(event, fields)` tells whoever listens at the control socket; `wish(what, device)` asks
    the machine to "pause", or to "detach" the device of that name, soon. Both from any thread.
    """

    config: VmConfig
    pio: Bus
    mmio: Bus
    irq: Any
    clock: Any
    loop: IoLoop
    loops: IoLoops
    core: Any
    memory: GuestMemory
    router: IrqRouter
    coalesce: Coalesce
    apic_ids: tuple[int, ...]
    vm_fd: int
    kvm_vfio: Callable[[], Fd]
    upcalls: list[PyDevice]
    notify: Callable[[str, dict[str, object]], None]
    wish: Callable[[str, str], None]
