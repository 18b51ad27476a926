"""The table of options and the argv parser that works straight from it."""

from __future__ import annotations

import pytest

from vmm.argv import parse_boot, scan
from vmm.config import VmConfig
from vmm.consoleconfig import ConsoleConfig, read_console
from vmm.errors import ConfigError
from vmm.options import BOOT_OPTIONS, FIELDS, GROUPS, Option
from vmm.record import as_dict
from vmm.texts import (
    read_count,
    read_path,
    read_seconds,
    read_size,
    read_text,
    write_size,
)
from vmm.values import (
    READERS,
    CpuConfig,
    ModuleConfig,
    read,
    read_cpu,
    read_module,
    read_rtc,
    write,
)


def option(name: str) -> Option:
    return next(row for row in BOOT_OPTIONS if row.name == name)


def problems_of(*argv: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        parse_boot(argv)
    return caught.value.problems


# --- the table ------------------------------------------------------------------------------------


def test_names_flags_and_keys_are_unique() -> None:
    flags = [flag for row in BOOT_OPTIONS for flag in (*row.flags, row.off) if flag]
    names = [row.name for row in BOOT_OPTIONS]
    keys = [row.toml for row in BOOT_OPTIONS if row.toml]

    assert len(flags) == len(set(flags))
    assert len(names) == len(set(names))
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("row", BOOT_OPTIONS, ids=lambda row: row.name)
def test_row_is_complete(row: Option) -> None:
    assert row.group in GROUPS
    assert row.help.endswith(".")
    assert row.long.startswith("--")
    assert row.kind == "flag" or (row.kind in READERS and row.metavar)
    assert row.toml in ("", row.long[2:])


def test_fields_of_the_configuration_are_the_rows_a_file_can_set() -> None:
    assert set(FIELDS) == set(VmConfig._fields)


@pytest.mark.parametrize("row", FIELDS.values(), ids=lambda row: row.name)
def test_default_in_the_table_is_the_records_default(row: Option) -> None:
    value = as_dict(VmConfig())[row.name]

    if row.default:
        expected = read(row, row.default)
        assert value == ((expected,) if row.repeat else expected)
    else:
        assert value in (None, "", False, ())


# --- the shape of argv ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ([], {}),
        (["--kernel", "k"], {"kernel": "k"}),
        (["--kernel=k"], {"kernel": "k"}),
        (["--kernel="], None),
        (["-k", "k"], {"kernel": "k"}),
        (["-kk"], {"kernel": "k"}),
        (["-m", "512M"], {"mem": 512 << 20}),
        (["-m512M", "-c4"], {"mem": 512 << 20, "cpus": 4}),
        (["--append", "--not-an-option"], {"append": "--not-an-option"}),
        (["--append=a=b"], {"append": "a=b"}),
        (["--append", ""], {"append": ""}),
        (["--stats", "--json"], {"stats": True, "json": True}),
        (["--no-stats"], {"stats": False}),
        (["--stats", "--no-stats"], {"stats": False}),
        (["-h"], {"help": True}),
        (["-hm1G"], {"help": True, "mem": 1 << 30}),
        (["--cpus", "2", "--cpus", "3"], {"cpus": 3}),
        (["--", "a", "-k", "--"], {"rest": ("a", "-k", "--")}),
        (["--"], {"rest": ()}),
        (
            ["--console=stdio", "--console", "pty"],
            {"consoles": (ConsoleConfig(), ConsoleConfig(kind="pty"))},
        ),
        (["--module", "m a b"], {"modules": (ModuleConfig(path="m", args="a b"),)}),
        (["--stop-before=run"], {"stop_before": "run"}),
    ],
)
def test_argv_shapes(argv: list[str], expected: dict[str, object] | None) -> None:
    values, problems = scan(argv, BOOT_OPTIONS)

    assert (values if not problems else None) == expected


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["--kernl", "k"], "there is no option --kernl; did you mean --kernel?"),
        (["--qqqqqqqqqq"], "there is no option --qqqqqqqqqq"),
        (["-z"], "there is no option -z"),
        (["--kernel"], "--kernel wants a value: --kernel FILE"),
        (["-m"], "-m wants a value: -m SIZE"),
        (["--stats=yes"], "--stats takes no value, so '--stats=yes' cannot be right"),
        (["--no-kernel", "x"], "there is no option --no-kernel; did you mean --kernel?"),
        (["--no-dry-run"], "there is no option --no-dry-run; did you mean --dry-run?"),
        (["--irqchip", "apic"], "--irqchip wants kernel or split, not 'apic'"),
        (["--ioapic-pins", "0x18"], "--ioapic-pins wants 24 or 48, not '0x18'"),
        (
            ["vmlinux"],
            "unexpected word 'vmlinux': options start with -, the kernel's words follow --",
        ),
        (["-"], "unexpected word '-': options start with -, the kernel's words follow --"),
        (["-m=1G"], "-m wants a size such as 512M, 6G or 0x20000000, not '=1G'"),
    ],
)
def test_argv_mistakes_get_one_sentence_each(argv: list[str], sentence: str) -> None:
    assert problems_of(*argv)[0] == sentence


def test_all_mistakes_are_reported_at_once() -> None:
    found = problems_of("--kernl=x", "-m", "lots", "--irqchip", "none", "--cpus")

    assert len(found) == 4


# --- values ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("512", 512 << 20),
        ("512M", 512 << 20),
        ("512m", 512 << 20),
        ("512MiB", 512 << 20),
        ("6G", 6 << 30),
        ("1T", 1 << 40),
        ("64k", 64 << 10),
        ("4096B", 4096),
        ("0x20000000", 0x20000000),
        ("0X1B", 0x1B),
        ("0", 0),
    ],
)
def test_size_is_read_in_bytes(text: str, size: int) -> None:
    assert read_size(text) == size


@pytest.mark.parametrize(
    "text",
    ["", "M", "-1", "+1", "1.5G", "1 G", "1GG", "0x", "0xg", "512MB", "iB", "5BiB", "5iB", "٣",
     "1_0", "9" * 5000, "0x" + "f" * 5000],
)  # fmt: skip
def test_size_refuses(text: str) -> None:
    with pytest.raises(ValueError, match="wants a size"):
        read_size(text)


@pytest.mark.parametrize("size", [0, 1, 4096, 4097, 1 << 20, 3 << 29, (1 << 52) - 4096])
def test_size_written_reads_back(size: int) -> None:
    assert read_size(write_size(size)) == size


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("255", 255), ("0xFf", 255), ("007", 7)])
def test_count(text: str, number: int) -> None:
    assert read_count(text) == number


@pytest.mark.parametrize("text", ["", "-1", "1.0", "x", "0x", "1e3", "²", "1_0", " 1", "9" * 25])
def test_count_refuses(text: str) -> None:
    with pytest.raises(ValueError, match="wants a number"):
        read_count(text)


@pytest.mark.parametrize(
    ("text", "seconds"), [("30", 30.0), ("1.5", 1.5), ("2m", 120.0), ("1h", 3600.0), ("5s", 5.0)]
)
def test_seconds(text: str, seconds: float) -> None:
    assert read_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "-1", "1.2.3", "nan", "inf", "1e9", "1d", ".", "9" * 30])
def test_seconds_refuses(text: str) -> None:
    with pytest.raises(ValueError, match="wants seconds"):
        read_seconds(text)


@pytest.mark.parametrize(
    ("text", "console"),
    [
        ("stdio", ConsoleConfig()),
        ("pty", ConsoleConfig(kind="pty")),
        ("null", ConsoleConfig(kind="null")),
        ("file:/tmp/a:b", ConsoleConfig(kind="file", path="/tmp/a:b")),
        ("socket:s", ConsoleConfig(kind="socket", path="s")),
        ("connect:s", ConsoleConfig(kind="connect", path="s")),
        ("pipe:p", ConsoleConfig(kind="pipe", path="p")),
        ("fd:7", ConsoleConfig(kind="fd", path="7")),
        ("ring", ConsoleConfig(kind="ring")),
        ("ring:64K", ConsoleConfig(kind="ring", path="64K")),
        ("virtio:stdio", ConsoleConfig(virtio=True)),
        ("virtio:file:log", ConsoleConfig(kind="file", path="log", virtio=True)),
    ],
)
def test_console(text: str, console: ConsoleConfig) -> None:
    assert read_console(text) == console
    assert write(option("consoles"), console) == text


@pytest.mark.parametrize(
    "text",
    [
        *("", "tty", "file", "file:", "socket:", "stdio:x", "null:", "PTY", "pipe", "fd", "fd:x"),
        *(
            "fd:2",
            "fd:-1",
            "ring:",
            "ring:4095B",
            "ring:2G",
            "ring:x",
            "virtio:",
            "virtio:file",
            "virtiopty",
        ),
    ],
)
def test_console_refuses(text: str) -> None:
    with pytest.raises(ValueError):
        read_console(text)


def test_cpu_with_everything() -> None:
    text = "none,+sse4.1,+x2apic,-avx512-bf16,vendor=GenuineIntel,topology=1:4:2"

    cpu = read_cpu(text)

    assert cpu == CpuConfig(
        base="none",
        add=("sse4.1", "x2apic"),
        remove=("avx512-bf16",),
        vendor="GenuineIntel",
        topology=(1, 4, 2),
    )
    assert write(option("cpu"), cpu) == text


@pytest.mark.parametrize(
    "text",
    ["", "max", "host,", "host,x2apic", "host,+", "host,+a b", "host,+a,-a", "host,vendor=Short",
     "host,vendor=\x1b23456789012", "host,topology=1:2", "host,topology=1:2:x", "host,topology=",
     "host,topology=1:1:1,topology=1:1:1", "host,colour=red", "host,+é"],
)  # fmt: skip
def test_cpu_refuses(text: str) -> None:
    with pytest.raises(ValueError):
        read_cpu(text)


def test_cpu_feature_named_twice_the_same_way_counts_once() -> None:
    assert read_cpu("host,+avx,+avx").add == ("avx",)


@pytest.mark.parametrize(
    "text", ["utc", "localtime", "2024-02-29T12:00:00", "2024-02-29T12:00+02:00"]
)
def test_rtc(text: str) -> None:
    assert read_rtc(text) == text


@pytest.mark.parametrize("text", ["", "now", "2023-02-29T12:00:00", "12:00"])
def test_rtc_refuses(text: str) -> None:
    with pytest.raises(ValueError, match="wants utc"):
        read_rtc(text)


@pytest.mark.parametrize("text", ["", "a\0b", "x" * 4096])
def test_path_refuses(text: str) -> None:
    with pytest.raises(ValueError):
        read_path(text)


def test_text_has_a_limit() -> None:
    assert len(read_text("x" * 65536)) == 65536
    with pytest.raises(ValueError, match="65536"):
        read_text("x" * 65537)


def test_module_needs_a_file() -> None:
    with pytest.raises(ValueError):
        read_module(" args")
