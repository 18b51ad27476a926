"""ACPI tables: their links, checksums and flags, and iasl's opinion of each variant."""

from __future__ import annotations

from pathlib import Path
from struct import unpack_from

import pytest

from tests import iasl
from vmm import layout
from vmm.boot import AcpiConfig, acpi, aml
from vmm.errors import BootError
from vmm.record import replace

REDUCED = AcpiConfig()
LEGACY = AcpiConfig(
    reduced=False,
    com_ports=(0, 1, 2, 3),
    ged=False,
    rtc=True,
    i8042=True,
    hpet=True,
    pic=True,
)
HOTPLUG = aml.notify("\\_SB.BUS0", 0)
BUS = aml.scope("\\_SB", aml.device("BUS0", aml.name("_HID", aml.eisa_id("PNP0A08"))))
MCFG = acpi.header(b"MCFG", 1, bytes(8) + layout.PCI_ECAM.to_bytes(8, "little") + bytes(8))
VARIANTS = {
    "reduced": REDUCED,
    "legacy": LEGACY,
    "reduced-255-cpus": replace(REDUCED, apic_ids=tuple(range(255))),
    "x2apic": replace(REDUCED, apic_ids=tuple(range(300))),
    "bare": replace(REDUCED, com_ports=(), pvpanic=False, ged=False),
    "hotplug": replace(REDUCED, hotplug=HOTPLUG, aml=(BUS,), tables=(MCFG,)),
    "legacy-hotplug": replace(LEGACY, hotplug=HOTPLUG, aml=(BUS,), tables=(MCFG,)),
}


def flags(config: AcpiConfig) -> tuple[int, int]:
    """(FADT flags, IA-PC boot architecture flags)."""
    fadt = acpi.tables(config)["FACP"]
    return unpack_from("<I", fadt, 112)[0], unpack_from("<H", fadt, 109)[0]


@pytest.mark.parametrize("variant", VARIANTS)
def test_all_checksums_are_right(variant: str) -> None:
    tables = acpi.tables(VARIANTS[variant])

    rsdp = tables.pop("RSDP")
    tables.pop("FACS", None)  # the one table without a checksum
    assert sum(rsdp[:20]) & 0xFF == 0
    assert sum(rsdp) & 0xFF == 0
    assert {name: sum(table) & 0xFF for name, table in tables.items()} == dict.fromkeys(tables, 0)


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_table_is_reached_from_the_rsdp(variant: str) -> None:
    config = VARIANTS[variant]
    blob, rsdp = acpi.place(config)

    def at(address: int) -> bytes:
        start = address - layout.ACPI_TABLES
        return blob[start : start + int.from_bytes(blob[start + 4 : start + 8], "little")]

    rsdt, xsdt = (at(a) for a in (unpack_from("<I", rsdp, 16)[0], unpack_from("<Q", rsdp, 24)[0]))
    short = unpack_from(f"<{(len(rsdt) - 36) // 4}I", rsdt, 36)
    long = unpack_from(f"<{(len(xsdt) - 36) // 8}Q", xsdt, 36)
    fadt = at(long[0])
    names = [at(address)[:4].decode() for address in long]
    assert short == long
    assert names == [
        "FACP",
        "APIC",
        *(["HPET"] if config.hpet else []),
        *(table[:4].decode() for table in config.tables),
    ]
    assert at(unpack_from("<I", fadt, 40)[0])[:4] == b"DSDT"
    assert unpack_from("<I", fadt, 40)[0] == unpack_from("<Q", fadt, 140)[0]


@pytest.mark.parametrize("variant", VARIANTS)
def test_iasl_disassembles_and_rebuilds_the_same_dsdt(variant: str, tmp_path: Path) -> None:
    table = acpi.tables(VARIANTS[variant])["DSDT"]

    text = iasl.disassemble(table, tmp_path, "dsdt")

    assert iasl.compile_back(text, tmp_path, "dsdt")[36:] == table[36:]


@pytest.mark.parametrize("name", ["FACP", "APIC", "HPET", "FACS"])
@pytest.mark.parametrize("variant", ["reduced", "legacy", "x2apic"])
def test_iasl_rebuilds_the_same_data_tables(variant: str, name: str, tmp_path: Path) -> None:
    tables = acpi.tables(VARIANTS[variant])
    wanted = tables.get(name, tables["APIC"])

    text = iasl.disassemble(wanted, tmp_path, name)

    back = iasl.compile_back(text, tmp_path, name)
    skip = slice(28, 36)  # iasl writes itself as the creator, which its checksum then covers
    cleared = [bytearray(t) for t in (wanted, back)]
    for table in cleared:
        table[skip] = bytes(8)
        table[9] = 0
    assert cleared[0] == cleared[1]


def test_hardware_reduced_flags_tell_what_is_absent() -> None:
    fadt, arch = flags(REDUCED)

    assert fadt & acpi.HW_REDUCED_ACPI
    assert fadt & acpi.RESET_REG_SUP
    assert fadt & acpi.PWR_BUTTON
    assert arch & acpi.CMOS_RTC_NOT_PRESENT
    assert arch & acpi.VGA_NOT_PRESENT
    assert not arch & acpi.I8042


def test_full_acpi_flags_tell_what_is_there() -> None:
    fadt, arch = flags(LEGACY)

    assert not fadt & (acpi.HW_REDUCED_ACPI | acpi.PWR_BUTTON)
    assert arch & acpi.I8042
    assert not arch & acpi.CMOS_RTC_NOT_PRESENT


def test_hardware_reduced_tables_name_sleep_and_reset_registers_only() -> None:
    fadt = acpi.tables(REDUCED)["FACP"]

    assert unpack_from("<BBBBQ", fadt, 116) == (1, 8, 0, 1, layout.PORT_RESET)
    assert fadt[128] == 6
    assert unpack_from("<Q", fadt, 248)[0] == layout.PORT_ACPI_SLEEP_CONTROL
    assert unpack_from("<Q", fadt, 260)[0] == layout.PORT_ACPI_SLEEP_STATUS
    assert fadt[46:95].strip(b"\0") == b""  # no SCI, no SMI port, no PM1, timer or GPE block
    assert "FACS" not in acpi.tables(REDUCED)


def test_full_acpi_registers_agree_in_both_address_widths() -> None:
    fadt = acpi.tables(LEGACY)["FACP"]

    for short, long, length, port in (
        (56, 148, 88, layout.PORT_PM1_EVENT),
        (64, 172, 89, layout.PORT_PM1_CONTROL),
        (76, 208, 91, layout.PORT_PM_TIMER),
        (80, 220, 92, layout.PORT_GPE0),
    ):
        assert unpack_from("<I", fadt, short)[0] == unpack_from("<Q", fadt, long + 4)[0] == port
        assert fadt[long + 1] == 8 * fadt[length]
    assert unpack_from("<H", fadt, 46)[0] == layout.GSI_SCI


def madt_entries(config: AcpiConfig) -> list[bytes]:
    madt = acpi.tables(config)["APIC"]
    at, found = 44, []
    while at < len(madt):
        found.append(madt[at : at + madt[at + 1]])
        at += madt[at + 1]
    return found


def test_the_madt_lists_every_vcpu_and_one_io_apic() -> None:
    entries = madt_entries(replace(REDUCED, apic_ids=(0, 2, 4)))

    assert [e[3] for e in entries if e[0] == acpi.MADT_LAPIC] == [0, 2, 4]
    assert [unpack_from("<II", e, 4) for e in entries if e[0] == acpi.MADT_IOAPIC] == [
        (layout.IOAPIC, 0)
    ]
    assert [e for e in entries if e[0] == acpi.MADT_OVERRIDE] == []
    assert [e[5] for e in entries if e[0] == acpi.MADT_LAPIC_NMI] == [1]


def test_legacy_overrides_are_the_timer_and_the_sci() -> None:
    overrides = [
        unpack_from("<BBIH", e, 2) for e in madt_entries(LEGACY) if e[0] == acpi.MADT_OVERRIDE
    ]

    assert overrides == [(0, 0, 2, 0), (0, layout.GSI_SCI, layout.GSI_SCI, 0xD)]
    assert unpack_from("<I", acpi.tables(LEGACY)["APIC"], 40)[0] == acpi.PCAT_COMPAT


def test_apic_ids_above_254_become_x2apic_entries() -> None:
    entries = madt_entries(VARIANTS["x2apic"])

    wide = [unpack_from("<III", e, 4) for e in entries if e[0] == acpi.MADT_X2APIC]
    assert wide == [(n, 1, n) for n in range(255, 300)]
    assert sum(e[0] == acpi.MADT_LAPIC for e in entries) == 255
    assert sum(e[0] == acpi.MADT_X2APIC_NMI for e in entries) == 1


def test_processor_devices_match_the_madt(tmp_path: Path) -> None:
    text = iasl.disassemble(acpi.tables(VARIANTS["reduced-255-cpus"])["DSDT"], tmp_path)

    assert text.count("ACPI0007") == 255
    assert "Device (C0FE)" in text


def test_event_device_reads_its_reasons_and_notifies(tmp_path: Path) -> None:
    text = iasl.disassemble(acpi.tables(VARIANTS["hotplug"])["DSDT"], tmp_path)

    assert "Interrupt (ResourceConsumer, Level, ActiveHigh, Exclusive" in text
    assert f"SystemIO, 0x{layout.PORT_GED:04X}, 0x04" in text
    assert r"Notify (\_SB.PWRB, 0x80)" in text
    assert r"Notify (\_SB.BUS0, Zero)" in text


def test_legacy_hotplug_is_a_general_purpose_event(tmp_path: Path) -> None:
    text = iasl.disassemble(acpi.tables(VARIANTS["legacy-hotplug"])["DSDT"], tmp_path)

    assert "Method (_E00, 0, Serialized)" in text


def test_tables_that_do_not_fit_are_refused() -> None:
    big = acpi.header(b"SSDT", 2, bytes(layout.ACPI_TABLES_MAX))

    with pytest.raises(BootError, match="there is room for 65536"):
        acpi.place(replace(REDUCED, tables=(big,)))


def test_the_largest_machine_fits() -> None:
    blob, _ = acpi.place(replace(LEGACY, apic_ids=tuple(range(layout.MAX_VCPUS))))

    assert len(blob) < layout.ACPI_TABLES_MAX
