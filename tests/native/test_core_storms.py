"""Bus, guest memory and the kick of a vCPU under the sanitizers, with threads in each other's way.

`kick_storm` includes the vCPU's units itself, to put pauses between their steps.
"""

from __future__ import annotations

import pytest

from tests.native import sanitize

BUS = ("bus.c", "bus_table.c")
PCI = ("pci_config.c", "pci_func.c", "pci_root.c", "coalesce.c", "kvmwait.c", "timer.c")
VQ = ("gmem.c", "iov.c", "vq.c", "vq_pop.c")
STORMS = {
    "bus_storm": BUS,
    "gmem_storm": ("gmem.c",),
    "vq_storm": VQ,
    "msix_storm": ("msix.c", "msix_state.c", "router.c"),
    "intx_storm": (*sanitize.LOOP, *sanitize.IRQCHIP, "split_sink.c"),
    "pci_storm": (*BUS, *PCI, *sanitize.LOOP, *sanitize.IRQCHIP),
    "kick_storm": (*BUS, *sanitize.IRQCHIP, "vmcore.c", "kvmwait.c", "vcpu_event.c"),
    "poll_storm": ("kvmwait.c",),
    "ring_storm": (*BUS, *sanitize.IRQCHIP, "vmcore.c", "kvmwait.c", "vcpu_life.c"),
}


@pytest.mark.parametrize("sanitizer", sanitize.SANITIZERS)
@pytest.mark.parametrize("program", STORMS)
def test_storm_on_the_core_leaves_the_sanitizer_silent(program: str, sanitizer: str) -> None:
    assert sanitize.run(program, STORMS[program], sanitizer)
