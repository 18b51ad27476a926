"""The validator of a configuration: every reason why it cannot work, as sentences, all at once."""

from __future__ import annotations

from vmm import layout, pciplan
from vmm.consoleconfig import host_end
from vmm.texts import twice, write_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vmm.config import VmConfig

MEM_MIN = layout.HIGH_MEMORY  # boot structures lie below 1 MiB
MEM_SURE = 32 * layout.GIB  # every CPU with KVM addresses 36 bits, so below this nobody is asked
MEM_MAX = 8 << 40  # less what lies below the hole; KVM: fewer than 2^31 pages in one slot
TSC_KHZ_MAX = (1 << 32) - 1  # KVM_SET_TSC_KHZ takes 32 bits
MODULES_MAX = 64
IO_THREADS_MAX = 64
XEN_MINOR_MAX = 255
TRACES = {"xen": "--xen"}  # kinds of --trace, and the option that each needs
XEN_DISKS_MAX = 16  # xvda to xvdp
XEN_NETS_MAX = 16
XEN_QUEUES_MAX = 16
OF_VIRTIO = {"io-thread", "notify", "access-platform", "serial"}  # settings no PV device has
OF_XEN = ("xen-backend", "xen-calls", "xen-version")  # options that mean nothing without --xen
CONSOLES_MAX = len(layout.PORT_COM)


def find_problems(config: VmConfig, address_bits: int = 0) -> list[str]:
    """Every reason why this configuration cannot work, as sentences.

    `address_bits` is the width of physical addresses; 0 asks this host, and only if it matters.
    """
    problems: list[str] = []
    if not config.kernel:
        problems.append("nothing to boot: name an image with --kernel FILE")
    if len(config.append.encode(errors="surrogateescape")) >= layout.CMDLINE_MAX:
        problems.append(
            f"--append is longer than {layout.CMDLINE_MAX - 1} bytes, more than fits in its place"
        )
    if len(config.modules) > MODULES_MAX:
        problems.append(f"{len(config.modules)} times --module; the limit is {MODULES_MAX}")
    _check_memory(config, address_bits, problems)
    _check_cpus(config, problems)
    _check_devices(config, problems)
    _check_pci(config, problems)
    kinds, path = read_trace(config.trace)
    if path and not kinds:
        problems.append(f"--trace {config.trace} names no kind; there is {', '.join(TRACES)}")
    for kind in kinds:
        if kind not in TRACES:
            problems.append(f"--trace has no kind {kind!r}; there is {', '.join(TRACES)}")
        elif kind == "xen" and not config.xen:
            problems.append(f"--trace {kind} needs {TRACES[kind]}")
    if config.timeout is not None and not 0 < config.timeout < float("inf"):
        problems.append("--timeout must be more than 0 seconds")
    return problems


def _check_memory(config: VmConfig, address_bits: int, problems: list[str]) -> None:
    size = config.mem
    if size < MEM_MIN:
        problems.append(
            f"--mem is {write_size(size)}; a machine needs at least {write_size(MEM_MIN)}"
        )
    elif size % layout.PAGE:
        problems.append(f"--mem is {size} bytes, which is not a multiple of the 4 KiB page")
    elif config.mem_backing == "hugetlb" and size % (2 * layout.MIB):
        problems.append(
            f"--mem is {write_size(size)}; --mem-backing hugetlb needs a multiple of 2M"
        )
    if size > MEM_SURE:
        bits = address_bits or host_address_bits()
        limit = (1 << bits) - (layout.ABOVE_4G - layout.HOLE)
        if size > MEM_MAX and limit > MEM_MAX:
            problems.append(
                f"--mem is {write_size(size)}; KVM maps no more in one piece than "
                f"{write_size(MEM_MAX)}, so that is the limit"
            )
        elif size > limit:
            problems.append(
                f"--mem is {write_size(size)}; physical addresses have {bits} bits here, so "
                f"{write_size(limit)} is the limit"
            )


def _check_cpus(config: VmConfig, problems: list[str]) -> None:
    if config.cpus < 1:
        problems.append("--cpus is 0; a machine needs at least one vCPU")
    elif config.cpus > layout.MAX_VCPUS:
        problems.append(
            f"--cpus is {config.cpus}; the limit is {layout.MAX_VCPUS}, because xAPIC ids have "
            f"8 bits and id {layout.APIC_ID_MAX + 1} means all of them"
        )
    if config.cpu.topology:
        sockets, cores, threads = config.cpu.topology
        if sockets * cores * threads != config.cpus:
            problems.append(
                f"--cpu topology={sockets}:{cores}:{threads} makes "
                f"{sockets * cores * threads} vCPUs, but --cpus is {config.cpus}"
            )
    if config.tsc_khz is not None and not 1 <= config.tsc_khz <= TSC_KHZ_MAX:
        problems.append(f"--tsc-khz is {config.tsc_khz}; KVM takes 1 to {TSC_KHZ_MAX}")


def _check_pci(config: VmConfig, problems: list[str]) -> None:
    if not 1 <= config.io_threads <= IO_THREADS_MAX:
        problems.append(f"--io-threads is {config.io_threads}; it must be 1 to {IO_THREADS_MAX}")
    if config.pci == "off" and pciplan.occupied(config):
        problems.append("--pci off leaves no bus for this machine's devices; leave one out")
    if config.devices or config.disks or config.nets:
        from vmm.kinds import device_problems

        ids: set[str] = set()
        places: set[tuple[int, int]] = set()
        given = (("device", config.devices), ("disk", config.disks), ("net", config.nets))
        for option, devices in given:
            found = device_problems(devices, ids, places)
            problems += [f"--{option} {problem}" for problem in found]


def _check_devices(config: VmConfig, problems: list[str]) -> None:
    if config.ioapic_pins == 48 and config.irqchip == "kernel":
        problems.append("--ioapic-pins 48 needs --irqchip split: KVM's own IO-APIC has 24 pins")
    _check_xen(config, problems)
    _check_pv_devices(config, problems)
    _check_consoles(config, problems)
    if config.ports:
        from vmm import consoleplan
        from vmm.kinds import ids_of

        problems += consoleplan.problems(config, ids_of(consoleplan.KIND, config))


def _check_xen(config: VmConfig, problems: list[str]) -> None:
    if read_xen_version(config.xen_version) is None:
        problems.append(
            f"--xen-version is {config.xen_version}; it must be like 4.17, from 4.0 to 4.255"
        )
    for option in OF_XEN:
        field = option.replace("-", "_")
        if not config.xen and getattr(config, field) != getattr(type(config), field):
            problems.append(f"--{option} needs --xen")
    if config.xen and config.xen_backend == "kvm" and config.xen_calls != "patch":
        problems.append(
            f"--xen-calls {config.xen_calls} is for --xen-backend userspace or auto: "
            "KVM lets calls exit by itself"
        )
    if config.xen_pirqs != "off" and (not config.xen or config.xen_backend == "userspace"):
        problems.append("--xen-pirqs needs --xen, and KVM's help: --xen-backend kvm or auto")


def _check_pv_devices(config: VmConfig, problems: list[str]) -> None:
    if not (config.devices or config.disks or config.nets):
        return
    from vmm.deviceconfig import bus_of, on_xen

    disks = [disk for disk in config.disks if bus_of(disk) in ("xen", "both")]
    nets = [net for net in config.nets if bus_of(net) in ("xen", "both")]
    if any(bus_of(device) != "virtio" for device in config.devices):
        problems.append("--device has bus=, which is for --disk and --net")
    for option, most, devices in (("disk", XEN_DISKS_MAX, disks), ("net", XEN_NETS_MAX, nets)):
        if devices and not config.xen:
            problems.append(f"--{option} with bus={bus_of(devices[0])} needs --xen")
        if len(devices) > most:
            problems.append(f"{len(devices)} times --{option} with bus=xen; a domain has {most}")
    if any(disk.addr and on_xen(disk) for disk in disks):
        problems.append("--disk with bus=xen has no place on the PCI bus, so leave out addr=")
    for option, devices in (("disk", disks), ("net", nets)):
        if any(not _few(dict(device.params).get("queues", "1")) for device in devices):
            problems.append(f"--{option} with bus=xen has 1 to {XEN_QUEUES_MAX} queues")
    for option, devices in (("disk", disks), ("net", nets)):
        given = {name for device in devices if on_xen(device) for name, _value in device.params}
        for name in sorted(given & OF_VIRTIO):
            problems.append(f"--{option} with bus=xen has no {name}=; leave it out, or take virtio")
    if any(dict(net.params).get("vhost", "auto") == "on" and on_xen(net) for net in nets):
        problems.append("--net with bus=xen cannot have vhost=on: the kernel serves virtio alone")


def _few(queues: str) -> bool:
    """Whether so many queues can be; text that is no number is somebody else's to refuse."""
    return not queues.isdecimal() or 1 <= int(queues) <= XEN_QUEUES_MAX


def _check_consoles(config: VmConfig, problems: list[str]) -> None:
    count = sum(console.serial for console in config.consoles)
    xen = sum(console.xen for console in config.consoles)
    if xen and not config.xen:
        problems.append("--console xen needs --xen")
    if xen > 1:
        problems.append("a Xen domain has one --console xen; use --console virtio:... for more")
    if not config.consoles or count > CONSOLES_MAX:
        problems.append(f"{count} times --console; a machine has 1 to {CONSOLES_MAX} serial ports")
    elif count > 1 and config.machine != "legacy":
        problems.append(
            "more than one --console needs --machine legacy: the default machine has only COM1; "
            "or use --console virtio:..."
        )
    ends = [*config.consoles, *(port.end for port in config.ports)]
    for name in twice([name for name in map(host_end, ends) if name]):
        problems.append(f"two consoles cannot share {name}")
    # Consoles on one terminal take turns at the keyboard (Ctrl-A n); a port has no such manners.
    if any(port.end.kind == "stdio" for port in config.ports):
        if sum(end.kind == "stdio" for end in ends) > 1:
            problems.append("a port on stdio wants it alone; give the consoles another end")


def read_trace(text: str) -> tuple[tuple[str, ...], str]:
    """The kinds of --trace, and where their lines go ("": standard error)."""
    kinds, _, path = text.partition(":")
    return tuple(kinds.split(",")) if kinds else (), path


def read_xen_version(text: str) -> int | None:
    """As Xen encodes it, major << 16 | minor; `None` if it is no version of Xen 4."""
    major, _, minor = text.partition(".")
    digits = minor.isascii() and minor.isdigit() and len(minor) <= 3
    if major != "4" or not digits or int(minor) > XEN_MINOR_MAX:
        return None
    return int(major) << 16 | int(minor)


def host_address_bits() -> int:
    """Width of physical addresses in bits; 52, the architecture's limit, if nobody says."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.startswith("address sizes"):
                    return int(line.split(":")[1].split()[0])
    except (OSError, ValueError, IndexError):
        pass
    return 52
