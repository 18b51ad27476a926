"""How a Xen domain ends itself, and what the machine makes of it."""

from __future__ import annotations

import pytest

from tests import guests
from vmm.config import VmConfig
from vmm.machine import Machine


@pytest.mark.parametrize(
    ("backend", "calls"), [("kvm", "patch"), ("userspace", "patch"), ("userspace", "breakpoint")]
)
@pytest.mark.parametrize(
    ("end", "cause"),
    [
        ("poweroff", "power-off"),
        ("crash", "panic"),
        ("down", "power-off"),
        ("both", "power-off"),
        ("int1", "power-off"),
        ("watchdog", "panic"),
        ("code", "panic"),
    ],
)
@pytest.mark.needs("kvm", "xen")
def test_domain_ends_by_a_hypercall(end: str, cause: str, backend: str, calls: str) -> None:
    guests.build()
    config = VmConfig.of(
        kernel=str(guests.BUILD / "xenend.elf"),
        append=f"end={end}",
        xen=True,
        xen_backend=backend,
        xen_calls=calls,
        cpus=2,
        debug_exit=True,
        consoles=["null"],
        timeout="60",
    )

    with Machine(config) as machine:
        assert machine.run().cause == cause
