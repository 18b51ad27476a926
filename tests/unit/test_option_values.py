"""What the values of options may look like, and the sentence for what they may not."""

from __future__ import annotations

import pytest

from vmm.consoleconfig import ConsoleConfig, read_console
from vmm.options import FIELDS
from vmm.texts import (
    read_count,
    read_path,
    read_seconds,
    read_size,
    read_text,
    write_size,
)
from vmm.values import (
    CpuConfig,
    read_cpu,
    read_module,
    read_rtc,
    write,
)


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
    assert write(FIELDS["consoles"], console) == text


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
    assert write(FIELDS["cpu"], cpu) == text


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
