"""Every reason why a PCI function cannot be used through VFIO now, with what mends it."""

from __future__ import annotations

import os

from vmm import layout
from vmm.host.survey import at, read
from vmm.record import Record
from vmm.texts import write_size
from vmm.vfio.shares import shares
from vmm.vfio.sysfs import DRIVERS, ROM_LINE, VFIO_PCI, Function, for_vfio, harmless, offenders
from vmm.vfio.usage import holders, uses

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    Found = Iterator[tuple[str, str, str]]  # level, what, mend

# What a reason means: nothing works before it is mended; the host uses the function, so taking it
# must be asked for; the host depends on it, so it must be asked for twice; worth knowing.
BROKEN, IN_USE, VITAL, NOTE = "broken", "in-use", "vital", "note"
CONTAINER, IOMMUFD = "/dev/vfio/vfio", "/dev/iommu"
FOREIGN = ("pci-stub", "xen-pciback", "uio_pci_generic", "igb_uio")
UNSAFE = "/sys/module/{}/parameters/allow_unsafe_interrupts"
CAP_IPC_LOCK = 14
MARGIN = 16 << 20  # locked memory beside guest RAM: rings, page tables' share, rounding


class Reason(Record):
    """One sentence's worth. `mend` is a command where there is one, else what to do."""

    address: str
    level: str
    what: str
    mend: str = ""


def check(
    one: Function, root: str = "/", taken: Sequence[str] = (), memory: int = 0
) -> list[Reason]:
    """All that stands against the function at once; `taken` are those bound together with it.

    memory: bytes of the guest that shall see it; 0 if none shall.
    """
    parts = (
        _endpoint(one),
        _iommu(one, root),
        _remapping(one, root),
        _nodes(root),
        _group(one, root, taken),
        _drivers(one),
        _in_use(one, root, taken),
        _permissions(one, root),
        _locked_memory(memory, root),
        _registers(one, memory),
        _resets(one),
    )
    return [
        Reason(address=one.address, level=level, what=what, mend=mend)
        for part in parts
        for level, what, mend in part
    ]


def refusals(reasons: Sequence[Reason], force: bool, really: bool) -> list[Reason]:
    """Those that keep a function from being bound, when the user has said so much."""
    allowed = {NOTE, *((IN_USE,) if force else ()), *((VITAL,) if force and really else ())}
    return [reason for reason in reasons if reason.level not in allowed]


def _endpoint(one: Function) -> Found:
    if one.bridge:
        yield BROKEN, "it is a bridge, and VFIO takes endpoints only", "name a function behind it"
    elif one.class_code >> 16 == 0x06:
        yield NOTE, f"it is the host's {one.kind}: a guest has no use for it", ""


def _iommu(one: Function, root: str) -> Found:
    if one.group is not None:
        return
    try:
        units = os.listdir(at(root, "/sys/class/iommu"))
    except OSError:
        units = []
    if units:
        what, mend = "no IOMMU of the host covers it", "take a function in another slot"
    else:
        what = "the host's IOMMU is off, so the function could reach all memory"
        mend = "switch VT-d or AMD-Vi on in the firmware, boot with intel_iommu=on"
    yield BROKEN, what, mend


def _remapping(one: Function, root: str) -> Found:
    """Whether interrupts pass the IOMMU too; those that do have chips whose names begin with IR."""
    chips = read(root, "/proc/interrupts")
    if one.group is None or "IR-" in chips or "PCI-MSI" not in chips:
        return
    paths = [UNSAFE.format(module) for module in ("vfio_iommu_type1", "iommufd")]
    if one.node:  # which of the two is used is yet to be said; this one, if nothing is
        paths.reverse()
    said = [read(root, path) for path in paths]
    if said[0] != "Y":
        yield (
            # A module that is not loaded yet may be told so, and either may do.
            BROKEN if said[0] == "N" and said[1] != "Y" else NOTE,
            "interrupts are not remapped, so whoever has the function can send any interrupt",
            f"boot without intremap=off; to live with it, echo 1 > {paths[0]}",
        )


def _nodes(root: str) -> Found:
    paths = [at(root, path) for path in (CONTAINER, IOMMUFD)]
    if not any(os.path.exists(path) for path in paths):
        if os.path.isdir(at(root, f"{DRIVERS}/{VFIO_PCI}")):
            yield BROKEN, f"neither {CONTAINER} nor {IOMMUFD} exists", "modprobe vfio_iommu_type1"
        else:
            yield NOTE, "VFIO is not loaded, which binding does", f"modprobe {VFIO_PCI}"


def _group(one: Function, root: str, taken: Sequence[str]) -> Found:
    for other in offenders(one, root, taken):
        yield (
            BROKEN,
            f"IOMMU group {one.group} also holds {other.address} ({other.kind}), "
            f"which the driver {other.driver} runs",
            f"vmm vfio bind --group {one.address}",
        )


def _drivers(one: Function) -> Found:
    if one.driver in FOREIGN:
        yield (
            IN_USE,
            f"it is bound to {one.driver}, as somebody else wanted",
            f"echo {one.address} > /sys/bus/pci/drivers/{one.driver}/unbind",
        )
    elif one.override not in ("", VFIO_PCI):
        yield (
            IN_USE,
            f"its driver_override is {one.override}, as somebody else wanted",
            f"echo > /sys/bus/pci/devices/{one.address}/driver_override",
        )
    elif not harmless(one) or not one.driver:
        what = f"runs the driver {one.driver}" if one.driver else "has no driver"
        yield NOTE, f"it {what}, not {VFIO_PCI}", f"vmm vfio bind {one.address}"
    if one.virtual_functions:
        yield (
            IN_USE,
            f"{one.virtual_functions} virtual functions of it are enabled",
            f"echo 0 > /sys/bus/pci/devices/{one.address}/sriov_numvfs",
        )


def _in_use(one: Function, root: str, taken: Sequence[str]) -> Found:
    for use in (*uses(one.address, root, taken), *shares(one.address, root)):
        yield VITAL if use.vital else IN_USE, use.what, use.mend
    for path in _device_nodes(one):
        for holder in holders(path, root):
            yield (
                BROKEN,
                f"{path} is in use by process {holder.pid} ({holder.name})",
                f"kill {holder.pid}",
            )


def _device_nodes(one: Function) -> list[str]:
    group = [f"/dev/vfio/{one.group}"] if one.group is not None else []
    return group + ([one.node] if one.node else [])


def _permissions(one: Function, root: str) -> Found:
    if for_vfio(one):
        wanted = [node for node in _device_nodes(one) if os.path.exists(at(root, node))]
        for path in wanted:
            if not os.access(at(root, path), os.R_OK | os.W_OK):
                yield BROKEN, f"{path} may not be opened", f"sudo chown $USER {path}"
    elif not os.access(at(root, f"/sys/bus/pci/devices/{one.address}/driver_override"), os.W_OK):
        yield (
            BROKEN,
            "this user may not bind it to another driver",
            f"sudo vmm vfio bind {one.address}",
        )


def _locked_memory(memory: int, root: str) -> Found:
    limit, total = locked_memory_limit(root), memory_total(root)
    need = memory + MARGIN
    if memory and total and need > total:
        what = f"DMA to {write_size(memory)} of memory needs all of it, and the host has {total:,}"
        yield BROKEN, f"{what} bytes", "say a smaller --mem"
    if memory and limit is not None and limit < need:
        yield (
            BROKEN,
            f"DMA to {write_size(memory)} of memory needs {need:,} bytes locked, "
            f"and the limit is {limit:,}",
            raise_limit(need),
        )


def raise_limit(need: int) -> str:
    """The command after which that many bytes may be locked."""
    return f"sudo prlimit --pid $$ --memlock={need}:{need} (in a unit file: LimitMEMLOCK={need})"


def memory_total(root: str = "/") -> int:
    """Bytes of memory that the host has, 0 if it does not tell."""
    for line in read(root, "/proc/meminfo").splitlines():
        name, _, amount = line.partition(":")
        if name == "MemTotal":
            return int(amount.split()[0]) << 10
    return 0


def locked_memory_limit(root: str = "/") -> int | None:
    """Bytes that this process may lock; None: all it wants."""
    import resource

    soft, _hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    return None if soft == resource.RLIM_INFINITY or _may_lock_all(root) else soft


def _may_lock_all(root: str) -> bool:
    for line in read(root, "/proc/self/status").splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> CAP_IPC_LOCK & 1)
    return False


def _registers(one: Function, memory: int) -> Found:
    if not memory:
        return  # no guest is to see it
    low = layout.PCI_MMIO32_END - layout.PCI_MMIO32
    _base, high = layout.pci_mmio64(memory)
    for bar in one.bars:
        room = layout.PCI_IO_END - layout.PCI_IO if bar.io else high if bar.wide else low
        if bar.size > room:
            name = "ROM" if bar.index == ROM_LINE else f"BAR{bar.index}"
            yield (
                BROKEN,
                f"{name} of {write_size(bar.size)} does not fit a guest's "
                f"{write_size(room)} window",
                "make it smaller with resource*_resize in sysfs, where the device can",
            )


def _resets(one: Function) -> Found:
    if not one.reset_methods and not one.bridge:
        yield NOTE, "it cannot be reset alone: its state survives from one user to the next", ""
