"""The validator of VmConfig: everything that is wrong, at once."""

from __future__ import annotations

import pytest

from vmm import layout
from vmm.check import MEM_MAX, find_problems, host_address_bits
from vmm.config import VmConfig, checked
from vmm.consoleconfig import ConsoleConfig
from vmm.errors import EXIT_USAGE, ConfigError
from vmm.pciplan import has_bus
from vmm.record import replace


def problems_of(**values: object) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        VmConfig.of(kernel="k", **values)
    return caught.value.problems


def test_all_problems_come_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        VmConfig.of(mem=0, cpus=300, ioapic_pins=48, timeout=0.0)

    assert caught.value.exit_code == EXIT_USAGE
    assert len(caught.value.problems) == 5


def test_a_mistyped_kernel_is_not_also_missing() -> None:
    with pytest.raises(ConfigError) as caught:
        VmConfig.from_argv(["--kernl=k"])

    assert len(caught.value.problems) == 1


@pytest.mark.parametrize(
    ("mem", "words"),
    [
        (0, "needs at least 1M"),
        ("0", "needs at least 1M"),
        ((1 << 20) - 4096, "needs at least 1M"),
        ((1 << 20) + 1, "not a multiple of the 4 KiB page"),
        ((512 << 20) + 2048, "not a multiple of the 4 KiB page"),
        (1 << 60, "is the limit"),
        ("9" * 23, "is the limit"),
    ],
)
def test_memory_zero_odd_and_huge_are_refused(mem: object, words: str) -> None:
    found = problems_of(mem=mem)

    assert len(found) == 1
    assert words in found[0]


@pytest.mark.parametrize("mem", [1 << 20, (1 << 20) + 4096, 6 << 30, 32 << 30])
def test_ordinary_memory_is_accepted(mem: int) -> None:
    assert VmConfig.of(kernel="k", mem=mem).mem == mem


@pytest.mark.parametrize("bits", [46, 52])
def test_memory_above_4g_is_one_slot_of_kvm(bits: int) -> None:
    fits, over = VmConfig(kernel="k", mem=MEM_MAX), VmConfig(kernel="k", mem=MEM_MAX + 4096)

    assert find_problems(fits, bits) == []
    assert layout.ram_ranges(MEM_MAX)[1][1] >> 12 < 1 << 31
    assert len(find_problems(over, bits)) == 1
    assert "in one piece than 8T" in find_problems(over, bits)[0]


@pytest.mark.parametrize("bits", [36, 39, 42])
def test_memory_ends_where_addresses_end(bits: int) -> None:
    limit = (1 << bits) - (layout.ABOVE_4G - layout.HOLE)
    fits, over = VmConfig(kernel="k", mem=limit), VmConfig(kernel="k", mem=limit + 4096)

    assert find_problems(fits, bits) == []
    assert len(find_problems(over, bits)) == 1
    assert layout.ram_ranges(limit)[1][0] + layout.ram_ranges(limit)[1][1] == 1 << bits
    assert f"{bits} bits" in find_problems(over, bits)[0]


def test_host_address_width_is_plausible() -> None:
    assert 36 <= host_address_bits() <= 57


def test_huge_pages_need_whole_ones() -> None:
    assert "multiple of 2M" in problems_of(mem=3 << 20, mem_backing="hugetlb")[0]
    assert VmConfig.of(kernel="k", mem=4 << 20, mem_backing="hugetlb").mem == 4 << 20


@pytest.mark.parametrize(("cpus", "words"), [(0, "at least one"), (256, "xAPIC"), (99999, "xAPIC")])
def test_cpus_none_and_too_many_are_refused(cpus: int, words: str) -> None:
    assert words in problems_of(cpus=cpus)[0]


@pytest.mark.parametrize("cpus", [1, 2, 255])
def test_cpus_up_to_255_are_accepted(cpus: int) -> None:
    assert VmConfig.of(kernel="k", cpus=cpus).cpus == cpus


@pytest.mark.parametrize(("topology", "cpus"), [("1:4:2", 7), ("0:1:1", 1), ("1:1:1", 2)])
def test_topology_must_make_the_number_of_cpus(topology: str, cpus: int) -> None:
    assert f"but --cpus is {cpus}" in problems_of(cpus=cpus, cpu=f"host,topology={topology}")[0]


@pytest.mark.parametrize("khz", [0, 1 << 32])
def test_tsc_frequency_fits_what_kvm_takes(khz: int) -> None:
    assert "--tsc-khz" in problems_of(tsc_khz=khz)[0]
    assert VmConfig.of(kernel="k", tsc_khz=(1 << 32) - 1).tsc_khz == (1 << 32) - 1


def test_48_pins_need_the_split_irqchip() -> None:
    assert "--irqchip split" in problems_of(ioapic_pins=48)[0]
    assert VmConfig.of(kernel="k", ioapic_pins=48, irqchip="split").ioapic_pins == 48


def test_more_consoles_need_more_ports() -> None:
    two = [ConsoleConfig(), ConsoleConfig(kind="null")]

    assert "--machine legacy" in problems_of(consoles=two)[0]
    assert len(VmConfig.of(kernel="k", consoles=two, machine="legacy").consoles) == 2
    assert "1 to 4" in problems_of(consoles=["null"] * 5, machine="legacy")[0]
    assert "1 to 4" in problems_of(consoles=[])[0]


def test_two_consoles_cannot_share_a_path() -> None:
    found = problems_of(consoles=["file:a", "socket:a", "file:b"], machine="legacy")

    assert found == ("two consoles cannot share a",)


def test_two_consoles_cannot_share_a_descriptor_but_have_rings_alike() -> None:
    fds = problems_of(consoles=["fd:3", "fd:0x3"], machine="legacy")
    rings = VmConfig.of(kernel="k", consoles=["ring:8K", "ring:8K"], machine="legacy")

    assert fds == ("two consoles cannot share descriptor 3",)
    assert len(rings.consoles) == 2


def test_command_line_must_fit_its_place() -> None:
    assert VmConfig.of(kernel="k", append="x" * (layout.CMDLINE_MAX - 1)).append
    assert "--append" in problems_of(append="x" * layout.CMDLINE_MAX)[0]


def test_modules_have_a_limit() -> None:
    assert len(VmConfig.of(kernel="k", modules=["m"] * 64).modules) == 64
    assert "--module" in problems_of(modules=["m"] * 65)[0]


@pytest.mark.parametrize("timeout", [0.0, -1.0, float("inf"), float("nan")])
def test_timeout_must_be_a_positive_time(timeout: float) -> None:
    assert problems_of(timeout=timeout) == ("--timeout must be more than 0 seconds",)


def test_checked_returns_a_good_record_and_refuses_a_bad_one() -> None:
    good = VmConfig(kernel="k")

    assert checked(good) is good
    with pytest.raises(ConfigError, match="at least one vCPU"):
        checked(replace(good, cpus=0))


@pytest.mark.parametrize(
    "options",
    [
        {"rng": True},
        {"xen": True},
        {"testdev": True},
        {"devices": ["virtio-rng"]},
        {"disks": ["/dev/null"]},
        {"nets": ["tap"]},
        {"ports": ["name=a,null"]},
        {"consoles": ["virtio:null"]},
    ],
    ids=str,
)
def test_devices_without_a_bus_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="--pci off leaves no bus"):
        VmConfig.of(kernel="-", pci="off", **options)

    assert has_bus(VmConfig.of(kernel="-", **options))


@pytest.mark.parametrize(
    ("options", "there"),
    [
        ({}, False),
        ({"pci": "on"}, True),
        ({"state_dir": "/state"}, True),
        ({"state_dir": "/state", "pci": "off"}, False),
        ({"machine": "legacy"}, True),
        ({"machine": "legacy", "pci": "off"}, False),
    ],
)
def test_a_bus_is_there_where_it_is_of_use(options: dict[str, object], there: bool) -> None:
    assert has_bus(VmConfig.of(kernel="-", **options)) == there
