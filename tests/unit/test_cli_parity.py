"""The lean parser and click, made from one table, must say the same about any argv."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import click
from hypothesis import example, given, settings
from hypothesis import strategies as st

from vmm.argv import scan
from vmm.cli import bootcommand, generate, lab
from vmm.options import BOOT_OPTIONS, Option, options_of

Verdict = tuple[str, object]


BOOT = bootcommand.command
LAB = lab.command.commands["run"]


def rows_of(command: click.Command) -> tuple[Option, ...]:
    return options_of("lab" if command is LAB else "boot")


def by_lean(argv: Sequence[str], command: click.Command = BOOT) -> Verdict:
    values, problems = scan(argv, rows_of(command))
    if values.get("help"):
        return "help", None
    return ("problem", problems) if problems else ("values", values)


def by_click(argv: Sequence[str], command: click.Command = BOOT) -> Verdict:
    try:
        with command.make_context("boot", list(argv)) as context:
            return "values", generate.given_values(context)
    except click.exceptions.Exit:
        return "help", None
    except click.NoSuchOption as error:
        return "problem", f"there is no option {error.option_name}"
    except click.UsageError as error:
        return "problem", error.format_message()


def same(argv: Sequence[str], command: click.Command = BOOT) -> bool:
    """Equal values; or both help; or both refuse. Help beside a mistake may be either."""
    lean, other = by_lean(argv, command), by_click(argv, command)
    if lean[0] == "values" or other[0] == "values":
        return lean == other
    return True


good_values = {
    "path": st.sampled_from(["bzImage", "/a b", "-x", "--kernel"]),
    "text": st.sampled_from(["", "quiet", "a=b", "--stats", "-m"]),
    "module": st.sampled_from(["m", "m a b"]),
    "size": st.sampled_from(["512", "512M", "0x1000000", "6G"]),
    "count": st.sampled_from(["1", "255", "0x10"]),
    "seconds": st.sampled_from(["1", "1.5", "2m"]),
    "console": st.sampled_from(["stdio", "pty", "file:x", "socket:/a:b", "virtio:pty"]),
    "port": st.sampled_from(["name=x,pty", "nr=3,socket=/a=b", "console,null"]),
    "net": st.sampled_from(["tap", "tap=a,vhost=off,addr=192.0.2.1/24", "fd=3:4,mtu=1400"]),
    "cpu": st.sampled_from(["host", "none,+x2apic,-avx,topology=1:1:1"]),
    "rtc": st.sampled_from(["utc", "2024-01-01T00:00:00"]),
    "device": st.sampled_from(["pci-testdev", "pci-testdev,id=a,addr=3", "x,path=a,,b,ro"]),
    "disk": st.sampled_from(["a.img", "/dev/x,ro,id=a", "a,,b,queues=4,serial=x=y"]),
}
wild_values = st.sampled_from(
    ["", "-", "x", "=", "0", "-1", "1Z", "host,", "file:", "ü", "--", "-h"]
)


def values_of(row: Option) -> st.SearchStrategy[str]:
    good = st.sampled_from(row.choices) if row.choices else good_values[row.kind]
    return st.one_of(good, good, good, wild_values)


def spelt(row: Option) -> st.SearchStrategy[list[str]]:
    """One use of an option in any of its spellings."""
    if row.kind == "flag":
        return st.sampled_from([[flag] for flag in (*row.flags, row.off) if flag])
    value = values_of(row)
    short = [flag for flag in row.flags if not flag.startswith("--")]
    ways = [
        value.map(lambda text: [row.long, text]),
        value.map(lambda text: [f"{row.long}={text}"]),
        *(value.map(lambda text, flag=flag: [flag, text]) for flag in short),
        *(value.map(lambda text, flag=flag: [flag + text]) for flag in short),
    ]
    return st.one_of(ways)


known = st.one_of([spelt(row) for row in BOOT_OPTIONS])
odd = st.sampled_from(
    [["word"], [""], ["-"], ["--unknown"], ["--kernl=x"], ["-z"], ["-hz"], ["--no-kernel"],
     ["--stats=1"], ["-k"], ["--mem"], ["--no-help"], ["-hm1G"], ["---"], ["-=x"], ["--="]]
)  # fmt: skip
tails: st.SearchStrategy[list[str]] = st.one_of(
    st.just([]), st.lists(st.sampled_from(["a", "-k", "--", "--stats", ""]), max_size=3).map(
        lambda words: ["--", *words]
    )
)  # fmt: skip
mostly_good = st.lists(known, max_size=6)
with_oddities = st.lists(st.one_of(known, known, odd), max_size=6)


def contrived(argv: Sequence[str]) -> bool:
    """`--append -- word`: click cannot tell a `--` that is a value from the end of options."""
    flags = {flag for row in (*BOOT_OPTIONS, *options_of("lab")) for flag in row.flags}
    return any(before in flags and word == "--" for before, word in pairwise(argv))


@settings(max_examples=2000)
@given(mostly_good, tails)
def test_both_parsers_read_the_same_from_known_options(
    groups: list[list[str]], tail: list[str]
) -> None:
    argv = [word for group in groups for word in group] + tail

    assert contrived(argv) or same(argv), (by_lean(argv), by_click(argv))


@settings(max_examples=2000)
@given(with_oddities, tails)
@example([["--append", "x"], ["-k", "k"]], ["--", "--"])
@example([["-k"]], [])
def test_both_parsers_refuse_the_same(groups: list[list[str]], tail: list[str]) -> None:
    argv = [word for group in groups for word in group] + tail

    assert contrived(argv) or same(argv), (by_lean(argv), by_click(argv))


@settings(max_examples=1000)
@given(st.lists(st.one_of([spelt(row) for row in options_of("lab")]), max_size=6), tails)
def test_both_parsers_of_the_lab_read_the_same(groups: list[list[str]], tail: list[str]) -> None:
    argv = [word for group in groups for word in group] + tail

    assert contrived(argv) or same(argv, LAB), (by_lean(argv, LAB), by_click(argv, LAB))


@settings(max_examples=500)
@given(known)
def test_one_mistake_gets_the_same_words(words: list[str]) -> None:
    lean, other = by_lean(words), by_click(words)

    if lean[0] == "problem":
        assert isinstance(lean[1], list)
        value_of_long = lean[1][0].split(" ", 1)[1]
        assert str(other[1]).endswith(value_of_long) or "requires an argument" in str(other[1])


def test_the_comparison_can_fail() -> None:
    assert not same(["--append", "--", "word"])
    assert by_lean(["-m", "1G"]) != by_click(["-m", "2G"])
