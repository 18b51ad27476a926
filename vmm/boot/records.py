"""What goes into the boot code and what comes out of it: plain records, no behaviour."""

from __future__ import annotations

from vmm.kvm.regs import EntryState
from vmm.record import Record

PROTOCOLS = ("auto", "linux", "elf64", "pvh", "multiboot", "flat")


class AcpiConfig(Record):
    """Which platform the ACPI tables describe. `reduced`: hardware-reduced ACPI (ACPI 6.5, 4.1).

    `aml` holds further DSDT content (whole AML objects placed at the namespace root) and `tables`
    further system description tables, complete with header and checksum. `hotplug` is AML run
    when the generic event device reports `GED_HOTPLUG`; empty as long as no bus can be rescanned.
    """

    reduced: bool = True
    apic_ids: tuple[int, ...] = (0,)
    com_ports: tuple[int, ...] = (0,)  # indices into layout.PORT_COM
    pvpanic: bool = True
    ged: bool = True
    rtc: bool = False
    i8042: bool = False
    hpet: bool = False
    xen: bool = False  # VGA is not said to be absent: by that Linux tells Xen HVM from PVH
    pic: bool = False  # dual 8259, 8254 and speaker gate, and their MADT flag
    aml: tuple[bytes, ...] = ()
    hotplug: bytes = b""
    tables: tuple[bytes, ...] = ()


class BootConfig(Record):
    """What to boot. `modules` are (path, arguments), handed over after the initrd."""

    kernel: str
    initrd: str = ""
    modules: tuple[tuple[str, str], ...] = ()
    cmdline: str = ""
    protocol: str = "auto"  # one of PROTOCOLS
    kaslr: bool = False
    acpi: AcpiConfig | None = None
    smbios: bool = True
    mptable: bool = False
    pic: bool = False  # dual 8259 and 8254, for the MP table
    apic_ids: tuple[int, ...] = (0,)  # of all vCPUs, boot vCPU first
    reserved: tuple[
        tuple[int, int], ...
    ] = ()  # further (base, length) to reserve in the memory map
    cache_dir: str = ""  # default: $VMM_CACHE, $XDG_CACHE_HOME/vmm or ~/.cache/vmm


class Piece(Record):
    """One thing placed in guest memory, for `--dry-run` and for tests."""

    name: str
    base: int
    length: int


class BootResult(Record):
    """What `load` did. `warm` is True when no kernel had to be unpacked."""

    entry: EntryState
    pieces: tuple[Piece, ...]
    format: str
    protocol: str
    warm: bool
    reserved: tuple[tuple[int, int], ...] = ()  # as the request had it
