"""The guest-physical map, the port map and the GSI map: every fixed number, once, with arithmetic.

docs/layout.md is generated from this file.
"""

from __future__ import annotations

KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30
PAGE = 4096

# --- Memory below 1 MiB -------------------------------------------------------------------------
GDT = 0x500  # boot GDT, used only until the guest loads its own
GDT_SIZE = 32  # null, unused, code, data
BOOT_CS, BOOT_DS = 0x10, 0x18  # its selectors, the ones the Linux boot protocol asks for
ZERO_PAGE = 0x7000  # struct boot_params (Linux x86 boot protocol)
START_INFO = 0x6000  # struct hvm_start_info (PVH), followed by its module list and memory map
MULTIBOOT_INFO = 0x9000  # struct multiboot_info, followed by modules and memory map
BOOT_PAGE_TABLES = 0xA000  # identity map of the first 4 GiB: PML4, PDPT, four PDs = 6 pages
BOOT_STACK_TOP = 0x1F000
CMDLINE = 0x20000
CMDLINE_MAX = 0x10000  # bytes, terminator included
REAL_MODE_IMAGE = 0x7C00  # flat real-mode binaries, entered at 0000:7c00
EBDA = 0x9FC00  # end of conventional memory
ROM = 0xF0000  # RSDP, SMBIOS and MP entry points, scanned by the guest at 16-byte steps
ACPI_TABLES = 0xE0000
ACPI_TABLES_MAX = ROM - ACPI_TABLES
SMBIOS = ROM + 0x4000
RESET_VECTOR = ROM + 0xFFF0  # F000:FFF0, where a kernel that reboots through the BIOS jumps
MP_TABLE = ROM + 0x8000
HIGH_MEMORY = 1 * MIB

# --- The hole below 4 GiB -----------------------------------------------------------------------
HOLE = 0xC000_0000  # RAM stops here and goes on at 4 GiB
PCI_MMIO32 = 0xC000_0000
PCI_MMIO32_END = 0xE000_0000
PCI_ECAM = 0xE000_0000  # 1 MiB per bus; there is one bus
PCI_ECAM_SIZE = MIB
IOAPIC = 0xFEC0_0000
HPET = 0xFED0_0000
HPET_BLOCK_ID = 0x8086_A201  # low half of its capabilities: 3 timers, 64-bit counter, revision 1
LAPIC = 0xFEE0_0000
XEN_PAGES, XEN_PAGES_SIZE = 0xFEFF_8000, 4 * PAGE  # what a Xen domain shares with back-ends
XEN_STORE_PAGE, XEN_CONSOLE_PAGE = XEN_PAGES, XEN_PAGES + PAGE
KVM_IDENTITY_MAP = 0xFEFF_C000  # one page, for real mode on Intel without unrestricted guest
KVM_TSS = 0xFEFF_D000  # three pages, same purpose
TESTDEV_MMIO = 0xFF00_0000  # pc-testdev: 64 KiB that behave like RAM
ABOVE_4G = 4 * GIB
PCI_MMIO64 = 40 * GIB  # or above RAM, if that ends higher
PCI_MMIO64_SIZE = 24 * GIB

assert BOOT_PAGE_TABLES + 6 * PAGE <= BOOT_STACK_TOP <= CMDLINE
assert CMDLINE + CMDLINE_MAX <= EBDA
assert XEN_PAGES + XEN_PAGES_SIZE <= KVM_IDENTITY_MAP
assert KVM_IDENTITY_MAP + PAGE == KVM_TSS
assert PCI_MMIO32_END <= PCI_ECAM
assert PCI_MMIO64 + PCI_MMIO64_SIZE <= 1 << 36  # what every CPU with KVM addresses

# --- I/O ports ----------------------------------------------------------------------------------
PORT_PIC_MASTER, PORT_PIC_SLAVE, PORT_ELCR = 0x20, 0xA0, 0x4D0
PORT_PIT, PORT_SPEAKER = 0x40, 0x61
PORT_I8042 = 0x60  # data; command and status at 0x64
PORT_RTC = 0x70
PORT_POST = 0x80  # boot marks
PORT_FAST_A20 = 0x92
PORT_TESTDEV_LATCH, PORT_TESTDEV_BYTES = 0xE0, 0xE8
PORT_TESTDEV_REMAP = 0xE4
PORT_DEBUGCON = 0xE9
PORT_DEBUG_EXIT = 0xF4
PORT_PVPANIC = 0x505
PORT_FW_CFG = 0x510
PORT_ACPI_SLEEP_CONTROL, PORT_ACPI_SLEEP_STATUS = 0x600, 0x601  # ACPI 6.5, 4.8.3.7
PORT_GED = 0x604  # 32 bits: pending events of the generic event device, cleared by reading
GED_POWER_BUTTON, GED_HOTPLUG = 1, 2  # the events: bits of PORT_GED
ACPI_S5_TYPE = 5  # SLP_TYP of soft-off, in the sleep control register and in PM1 control
PORT_PM1_EVENT, PORT_PM1_CONTROL, PORT_PM_TIMER = 0x610, 0x614, 0x618  # full ACPI only
PORT_GPE0 = 0x620  # full ACPI only: two bytes status, two bytes enable
PORT_PCI_HOTPLUG = 0x630  # 12 bytes: slots that came, that shall go, that are ejected
PORT_COM = (0x3F8, 0x2F8, 0x3E8, 0x2E8)
PORT_RESET = 0xCF9
PORT_PCI_ADDRESS, PORT_PCI_DATA = 0xCF8, 0xCFC
PCI_PORTS_SIZE = 8
PCI_IO, PCI_IO_END = 0x6000, 0x1_0000  # where PCI devices may have ports
PORT_SUPERIO = (0x2E, 0x4E)  # probed by the 8250 driver after any 16550A; nothing there
PORT_TESTDEV_GSI = 0x2000  # + n drives GSI n

# --- GSIs ---------------------------------------------------------------------------------------
GSI_PIT, GSI_I8042, GSI_COM2_4, GSI_COM1_3 = 0, 1, 3, 4
GSI_RTC, GSI_SCI = 8, 9  # full ACPI
GSI_GED = 9  # hardware-reduced ACPI: same pin, the two never coexist
GSI_I8042_AUX = 12
GSI_PCI_INTX = (16, 17, 18, 19)
PIC_PCI_INTX = (10, 11, 5, 15)  # the same wires at the PIC, where there is one: a line each

APIC_ID_MAX = 254  # xAPIC ids; 255 is the broadcast id
MAX_VCPUS = 255


def ram_ranges(size: int) -> list[tuple[int, int]]:
    """(base, length) of RAM for `size` bytes of guest memory, split around the hole below 4 GiB."""
    low = min(size, HOLE)
    ranges = [(0, low)]
    if size > low:
        ranges.append((ABOVE_4G, size - low))
    return ranges


def pci_mmio64(ram_size: int) -> tuple[int, int]:
    """(base, length) of the window for large PCI registers, above all RAM."""
    base, length = ram_ranges(ram_size)[-1]
    return max(PCI_MMIO64, (base + length + GIB - 1) // GIB * GIB), PCI_MMIO64_SIZE


def pci_pin(slot: int, pin: int) -> int:
    """Which of the four wires INTA# (pin 1) to INTD# (4) of a slot is on."""
    return (slot + pin - 1) & 3
