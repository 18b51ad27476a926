"""From a VmConfig to what the boot code is asked for: images, tables, the hardware they tell of."""

from __future__ import annotations

from vmm import layout, pciplan
from vmm.boot import AcpiConfig, BootConfig
from vmm.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from vmm.boot.image import Image
    from vmm.config import VmConfig

XEN = ((layout.XEN_PAGES, layout.XEN_PAGES_SIZE),)


def default_command_line(config: VmConfig) -> str:
    """What a kernel is told if the user says nothing: where its console is, unless that is COM1."""
    return "console=hvc0" if config.consoles and not config.consoles[0].serial else ""


def boot_config(config: VmConfig, apic_ids: tuple[int, ...]) -> BootConfig:
    """The boot request of a configuration. ACPI tells of exactly the devices that are there."""
    legacy = config.machine == "legacy"
    bus, reserved = _pci_bus(config) if pciplan.has_bus(config) else ({}, ())
    acpi = AcpiConfig(
        reduced=not legacy,
        apic_ids=apic_ids,
        com_ports=(0, 1, 2, 3) if legacy else (0,),
        ged=not legacy,
        rtc=legacy,
        i8042=legacy,
        hpet=legacy,
        xen=config.xen,
        pic=legacy,
        **bus,
    )
    return BootConfig(
        kernel=config.kernel,
        initrd=config.initrd,
        modules=tuple((m.path, m.args) for m in config.modules),
        cmdline=config.append or default_command_line(config),
        protocol=config.boot_protocol,
        kaslr=config.kaslr,
        acpi=acpi,
        mptable=True,
        pic=legacy,
        apic_ids=apic_ids,
        reserved=(*reserved, *(XEN if config.xen else ())),
    )


def _pci_bus(config: VmConfig) -> tuple[dict[str, Any], tuple[tuple[int, int], ...]]:
    """What ACPI tells of the bus, and what the memory map reserves for it."""
    from vmm.boot import pci

    aml = pci.build(pci.PciConfig(ram=config.mem, pic=config.machine == "legacy"))
    tables = {"aml": (aml,), "hotplug": pci.HOTPLUG, "tables": (pci.mcfg(),)}
    return tables, ((layout.PCI_ECAM, layout.PCI_ECAM_SIZE),)


def check_clock(config: VmConfig, image: Image) -> None:
    """Refuses a Linux that could not learn its TSC's rate and would wait for a timer for ever.

    The default machine has no PIT, HPET or PM timer that Linux would use, so kvmclock is all there
    is. Other guests may do without. Raises ConfigError.
    """
    if config.machine != "default" or not image.is_linux:
        return
    words = config.append.split()
    if any(word.startswith("tsc_early_khz=") for word in words):
        return
    if "no-kvmclock" in words:
        culprit = "no-kvmclock in --append"
    elif config.cpu.remove and _removes_kvmclock(config.cpu.remove):
        culprit = "--cpu -kvmclock"
    else:
        return
    raise ConfigError(
        f"{culprit} leaves Linux nothing to measure its TSC by on the default machine, and it "
        "would wait for ever; add --machine legacy, or tell it by --append tsc_early_khz=KHZ"
    )


def _removes_kvmclock(names: tuple[str, ...]) -> bool:
    from vmm.kvm import features

    known = features.table()
    gone = {bit for name in names for bit in features.resolve(name, known)}
    return {"kvm_clocksource", "kvm_clocksource2"} <= gone
