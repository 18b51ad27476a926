"""The nested lab: KVM, Xen, VFIO and vhost on any machine.

`vmm lab run` boots Debian's backported kernel (L1) under QEMU with emulated SVM and an emulated
IOMMU, with the host's file tree as its root, and runs one command there. config: what is asked;
kernel: which kernel and modules; initramfs: the newc writer; image and init.sh: L1's initramfs;
qemu: the machine; session and terminal: L1 seen from outside; run: the two commands; guest: what
`make boot` boots.
"""

from __future__ import annotations

from vmm.lab.config import LabConfig

__all__ = ["LabConfig", "lab_run", "lab_shell"]


def lab_run(config: LabConfig) -> int:
    """Runs config.command in the lab; returns its exit status (vmm.lab.run lists the others)."""
    from vmm.lab import run

    return run.lab_run(config)


def lab_shell(config: LabConfig) -> int:
    """A shell in the lab on this terminal; returns its exit status."""
    from vmm.lab import run

    return run.lab_shell(config)
