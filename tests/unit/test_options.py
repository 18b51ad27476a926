"""The table of options and the argv parser that works straight from it."""

from __future__ import annotations

import pytest

from vmm.argv import parse_boot, scan
from vmm.config import VmConfig
from vmm.consoleconfig import ConsoleConfig
from vmm.errors import ConfigError
from vmm.options import BOOT_OPTIONS, FIELDS, GROUPS, Option
from vmm.record import as_dict
from vmm.values import (
    READERS,
    ModuleConfig,
    read,
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
