"""A virtual machine monitor for x86-64 Linux: Python decides, C moves bytes, KVM does the work.

    from vmm import Machine, VmConfig

    with Machine(VmConfig.of(kernel="bzImage", append="quiet", mem="512M")) as machine:
        print(machine.run().cause)

The names in `__all__`, those of vmm.extend and vmm.vfio.passthrough are the public interface.
They are loaded when they are first used, so that a program pays only for what it touches.

From the bottom up, each module importing only what stands before it:

* `errors` `record` `layout` `options` `outcome`: exceptions and exit codes, the base of plain
  records, every fixed address, the table of options, how a machine ends;
* `config` with `values` `argv` `check` `tomlfile`: VmConfig and its three doors;
* `native` is the only importer of the C extension; `log` `stats` write and draw counters, `trace`
  one line for each thing that happens, `schedule` asks where a thread's time went;
* `host`: what is opened on the host; `kvm`: one class per KVM descriptor, one method per ioctl;
* `memory` (with `region` `hugepages`) `bus` `irq` `loop` `coalesce`: guest RAM, dispatch of
  accesses, interrupt lines, the I/O thread, writes that KVM queues;
* `backends` move bytes for `pci`, `virtio` and `devices`, which see the machine only through
  `context`; `extend` is what other packages make devices from;
* `vfio`: PCI functions of the host, handed to a program or a guest;
* `xen`: what a Xen guest asks of its hypervisor, and its PV devices;
* `boot`: from image files to guest memory and the boot vCPU's first registers;
* `machine` with `hardware` `guestcpuid` `twins` `vcpu` `gate` `events` `crash` `inspection`:
  building, what CPUID shows, devices on two buses, threads, life;
* `control`: one run from configuration to exit code, control socket, exit report; `lab`: a machine
  with KVM anywhere;
* `cli` and `__main__`: the command `vmm`; `sentences` tell its user what went wrong.
"""

from __future__ import annotations

__version__ = "0.1.0"  # pyproject.toml reads it from here

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vmm.config import VmConfig
    from vmm.errors import (
        BootError,
        ConfigError,
        GuestCrash,
        HostError,
        KvmError,
        StateError,
        VmmError,
    )
    from vmm.machine import Machine
    from vmm.outcome import Outcome

__all__ = [
    "BootError",
    "ConfigError",
    "GuestCrash",
    "HostError",
    "KvmError",
    "Machine",
    "Outcome",
    "StateError",
    "VmConfig",
    "VmmError",
    "__version__",
]

_HOMES = {"Machine": "vmm.machine", "VmConfig": "vmm.config", "Outcome": "vmm.outcome"}


def __getattr__(name: str) -> object:
    """A public name, from the module that defines it (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(__import__(_HOMES.get(name, "vmm.errors"), fromlist=[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
