"""From a VmConfig to what the boot code is asked for: images, tables, the hardware they tell of."""

from __future__ import annotations

from vmm.boot import AcpiConfig, BootConfig

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vmm.config import VmConfig


def boot_config(config: VmConfig, apic_ids: tuple[int, ...]) -> BootConfig:
    """The boot request of a configuration. ACPI tells of exactly the devices that are there."""
    legacy = config.machine == "legacy"
    acpi = AcpiConfig(
        reduced=not legacy,
        apic_ids=apic_ids,
        com_ports=(0, 1, 2, 3) if legacy else (0,),
        ged=not legacy,
        rtc=legacy,
        i8042=legacy,
        hpet=legacy,
        pic=legacy,
    )
    return BootConfig(
        kernel=config.kernel,
        initrd=config.initrd,
        modules=tuple((m.path, m.args) for m in config.modules),
        cmdline=config.append,
        protocol=config.boot_protocol,
        kaslr=config.kaslr,
        acpi=acpi,
        mptable=legacy,
        apic_ids=apic_ids,
    )
