"""VmConfig: three doors that agree, and TOML both ways."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmm import layout
from vmm.config import VmConfig
from vmm.consoleconfig import ConsoleConfig
from vmm.errors import ConfigError
from vmm.tomlfile import read_toml
from vmm.values import CpuConfig, ModuleConfig

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
            "pipe:PATH|fd:N|ring[:SIZE]|virtio[:...]|xen[:...], not 1",
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
    with pytest.raises(ConfigError) as caught:
        VmConfig.of(kernel="k", kernels="k")

    assert caught.value.problems == ("there is no field kernels; did you mean kernel?",)


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
