"""VmConfig: three doors that agree, one validator that tells everything, and TOML both ways."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmm import layout
from vmm.check import MEM_MAX, find_problems, host_address_bits
from vmm.config import VmConfig, checked
from vmm.consoleconfig import ConsoleConfig
from vmm.errors import EXIT_USAGE, ConfigError
from vmm.record import replace
from vmm.tomlfile import read_toml
from vmm.values import CpuConfig, ModuleConfig


def problems_of(**values: object) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        VmConfig.of(kernel="k", **values)
    return caught.value.problems


# --- doors ----------------------------------------------------------------------------------------


def test_three_doors_lead_to_the_same_configuration() -> None:
    argv = "-k k -m 6G -c 8 --cpu none,+x2apic,topology=2:2:2 --timeout 1.5m --no-stats --kaslr"
    toml = (
        'kernel = "k"\nmem = "6G"\ncpus = 8\ncpu = "none,+x2apic,topology=2:2:2"\n'
        "timeout = 90\nstats = false\nkaslr = true\n"
    )

    expected = VmConfig(
        kernel="k",
        mem=6 << 30,
        cpus=8,
        cpu=CpuConfig(base="none", add=("x2apic",), topology=(2, 2, 2)),
        timeout=90.0,
        kaslr=True,
    )

    assert VmConfig.from_argv(argv.split()) == expected
    assert VmConfig.from_toml(toml) == expected
    assert (
        VmConfig.of(
            kernel="k", mem="6G", cpus=8, cpu="none,+x2apic,topology=2:2:2", timeout=90, kaslr=True
        )
        == expected
    )


def test_python_door_takes_fields_as_they_are() -> None:
    config = VmConfig.of(
        kernel="k",
        mem=1 << 30,
        cpu=CpuConfig(base="none"),
        consoles=[ConsoleConfig(kind="null")],
        modules=(ModuleConfig(path="m"), "n args"),
        tsc_khz=None,
    )

    assert config.mem == 1 << 30
    assert config.cpu.base == "none"
    assert config.consoles == (ConsoleConfig(kind="null"),)
    assert config.modules == (ModuleConfig(path="m"), ModuleConfig(path="n", args="args"))


def test_words_after_dashes_join_the_command_line() -> None:
    argv = ["-k", "k", "-a", "quiet", "--", "console=ttyS0", "-x"]

    assert VmConfig.from_argv(argv).append == "quiet console=ttyS0 -x"
    assert VmConfig.from_argv(["-k", "k", "--", "a"]).append == "a"


def test_command_line_wins_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "vm.toml"
    path.write_text('kernel = "k"\ncpus = 4\nstats = true\nconsole = ["pty"]\n')

    config = VmConfig.from_argv(
        ["--config", str(path), "-c", "2", "--no-stats", "--console", "null"]
    )

    assert (config.kernel, config.cpus, config.stats) == ("k", 2, False)
    assert config.consoles == (ConsoleConfig(kind="null"),)


def test_one_value_may_stand_for_a_list_in_toml() -> None:
    assert VmConfig.from_toml('kernel="k"\nconsole="pty"').consoles == (ConsoleConfig(kind="pty"),)


@pytest.mark.parametrize(
    ("toml", "sentence"),
    [
        ("kernal = 'k'", "there is no key 'kernal'; did you mean kernel?"),
        ("[machine]\n", "machine wants default|legacy, not {}"),
        ("cpus = true", "cpus wants N, not True"),
        ("cpus = 1.0", "cpus wants N, not 1.0"),
        ("cpus = -1", "cpus wants a number, not '-1'"),
        ("stats = 1", "stats wants true or false, not 1"),
        ("stats = 'yes'", "stats wants true or false, not 'yes'"),
        ("mem = 512.5", "mem wants SIZE, not 512.5"),
        ("kernel = ['a']", "kernel wants FILE, not ['a']"),
        (
            "console = [1]",
            "console wants stdio|pty|null|file:PATH|socket:PATH|connect:PATH|"
            "pipe:PATH|fd:N|ring[:SIZE]|virtio[:...], not 1",
        ),
        ("timeout = true", "timeout wants SECONDS, not True"),
        ("config = 'x'", "there is no key 'config'"),
        ("dry-run = true", "there is no key 'dry-run'"),
        ("kernel = 'a\nb'", "not valid TOML"),
        ("a = " + "[" * 5000, "not valid TOML"),
    ],
)
def test_toml_mistakes_get_one_sentence(toml: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        VmConfig.from_toml(toml)

    assert caught.value.problems[0].startswith(sentence)


def test_unknown_keyword_names_the_nearest() -> None:
    assert problems_of(kernels="k") == ("there is no field kernels; did you mean kernel?",)


def test_mistake_in_a_file_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "vm.toml"
    path.write_text("cpuss = 4\n")

    with pytest.raises(ConfigError) as caught:
        VmConfig.from_argv(["-k", "k", "--config", str(path)])

    assert caught.value.problems == (f"{path}: there is no key 'cpuss'; did you mean cpus?",)


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_unreadable_file_is_one_sentence(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "vm.toml"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(ConfigError) as caught:
        VmConfig.from_argv(["-k", "k", "--config", str(path)])

    assert len(caught.value.problems) == 1
    assert str(path) in caught.value.problems[0]


# --- validator ------------------------------------------------------------------------------------


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


# --- TOML -----------------------------------------------------------------------------------------

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
paths = texts.filter(bool)
words = st.from_regex(r"[a-z][a-z0-9_.\-]{0,8}", fullmatch=True)
consoles = st.one_of(
    st.sampled_from([ConsoleConfig(kind=kind) for kind in ("stdio", "pty", "null", "ring")]),
    st.builds(
        lambda kind, path: ConsoleConfig(kind=kind, path=path),
        st.sampled_from(["file", "socket", "connect", "pipe"]),
        paths,
    ),
)
cpus = st.builds(
    lambda base, add, remove, vendor: CpuConfig(
        base=base, add=tuple(add), remove=tuple(remove - add), vendor=vendor
    ),
    st.sampled_from(["host", "none"]),
    st.frozensets(words, max_size=4),
    st.frozensets(words, max_size=4),
    st.sampled_from(["", "GenuineIntel", "AuthenticAMD"]),
)
modules = st.builds(
    lambda path, args: ModuleConfig(path=path, args=args),
    paths.filter(lambda path: " " not in path),
    texts,
)
configs = st.builds(
    lambda **values: VmConfig(machine="legacy", **values),
    kernel=paths,
    initrd=texts,
    modules=st.lists(modules, max_size=3).map(tuple),
    append=texts,
    boot_protocol=st.sampled_from(["auto", "linux", "flat"]),
    kaslr=st.booleans(),
    name=texts,
    mem=st.integers(256, 1 << 20).map(lambda pages: pages * layout.PAGE),
    cpus=st.integers(1, 255),
    cpu=cpus,
    tsc_khz=st.none() | st.integers(1, (1 << 32) - 1),
    rtc_base=st.sampled_from(["utc", "localtime", "2024-02-29T12:00:00"]),
    consoles=st.lists(consoles, min_size=1, max_size=4, unique_by=lambda c: c.path or object()).map(
        tuple
    ),
    timeout=st.none() | st.floats(1e-9, 1e15),
    debug=st.booleans(),
)


@given(configs)
def test_dumped_configuration_reads_back_equal(config: VmConfig) -> None:
    assert VmConfig.from_toml(config.to_toml()) == config


@given(configs)
def test_python_door_reproduces_any_configuration(config: VmConfig) -> None:
    fields = {name: getattr(config, name) for name in VmConfig._fields}

    assert VmConfig.of(**fields) == config


def test_text_that_is_not_utf8_cannot_be_dumped() -> None:
    with pytest.raises(ConfigError, match="not UTF-8"):
        VmConfig(kernel="k\udcff").to_toml()


@given(st.text(max_size=200))
def test_any_text_as_toml_sets_known_fields_or_gets_sentences(text: str) -> None:
    problems: list[str] = []

    values = read_toml(text, problems)

    assert values.keys() <= set(VmConfig._fields)
    assert all(problem.strip() for problem in problems)
