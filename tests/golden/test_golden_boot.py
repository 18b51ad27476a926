"""What guests find in memory, as reviewed text: ACPI, SMBIOS and MP tables, memory maps."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import bootkit, iasl
from tests.golden import golden
from vmm import layout
from vmm.boot import AcpiConfig, BootConfig, acpi, load, mptable, smbios
from vmm.boot.e820 import memory_map
from vmm.bootplan import boot_config
from vmm.config import VmConfig

KINDS_OF_MACHINE = {"default": {}, "pci": {"pci": "on"}, "legacy": {"machine": "legacy"}}
MACHINES = {
    name: boot_config(VmConfig.of(kernel="-", cpus=2, **options), (0, 1)).acpi
    for name, options in KINDS_OF_MACHINE.items()
}
KINDS = {1: "usable", 2: "reserved"}


@pytest.mark.parametrize("machine", MACHINES)
def test_acpi_tables(machine: str, tmp_path: Path) -> None:
    config = MACHINES[machine]
    assert config is not None
    tables = acpi.tables(config)

    text = "".join(f"{name}\n{golden.hexdump(table)}\n" for name, table in tables.items())
    golden.check(f"acpi-{machine}.hex", text)
    for name in ("DSDT", "FACP", "APIC", "HPET", "MCFG"):
        if name in tables:
            golden.check(
                f"acpi-{machine}-{name.lower()}.dsl", iasl.disassemble(tables[name], tmp_path, name)
            )


def test_smbios_structures() -> None:
    golden.check("smbios-2cpu-6g.hex", golden.hexdump(smbios.build(layout.ram_ranges(6 << 30), 2)))


@pytest.mark.parametrize("machine", ["default", "legacy"])
def test_mp_table(machine: str) -> None:
    pointer, table = mptable.build((0, 1), pic=machine == "legacy")
    text = f"{golden.hexdump(pointer)}\n{golden.hexdump(table)}"
    golden.check(f"mptable-{machine}-2cpu.hex", text)


@pytest.mark.parametrize("mib", [256, 6144])
def test_memory_map(mib: int) -> None:
    boot = boot_config(VmConfig.of(kernel="-", mem=mib * layout.MIB, pci="on"), (0,))
    entries = memory_map(layout.ram_ranges(mib * layout.MIB), boot.reserved)

    lines = [f"{a:016x}-{a + n - 1:016x} {KINDS[kind]}\n" for a, n, kind in entries]
    golden.check(f"e820-{mib}m.txt", "".join(lines))


@pytest.mark.parametrize("protocol", ["elf64", "linux", "pvh"])
@pytest.mark.parametrize("mib", [256, 6144])
def test_placement(
    mib: int, protocol: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # paths become module strings, which must not vary in length
    config = BootConfig(
        kernel=bootkit.write(Path("kernel"), bootkit.bzimage()),
        initrd=bootkit.write(Path("initrd"), bytes(5000)),
        cmdline="console=ttyS0 quiet",
        protocol=protocol,
        acpi=AcpiConfig(),
        cache_dir="cache",
    )

    result = load(config, bootkit.Memory(mib * layout.MIB))

    pieces = sorted(result.pieces, key=lambda piece: piece.base)
    lines = [f"{p.base:012x}-{p.base + p.length - 1:012x} {p.name}\n" for p in pieces]
    golden.check(f"placement-{protocol}-{mib}m.txt", "".join(lines))
