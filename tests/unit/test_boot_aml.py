"""The AML builder, byte by byte, and every term it has through iasl and back."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import iasl
from vmm.boot import acpi, aml
from vmm.boot import resources as res


@pytest.mark.parametrize(
    ("path", "encoded"),
    [
        ("_CRS", b"_CRS"),
        ("GED", b"GED_"),
        ("\\", b"\\\0"),
        ("\\_SB", b"\\_SB_"),
        ("\\_SB.PCI0", b"\\\x2e_SB_PCI0"),
        ("^^FOO", b"^^FOO_"),
        ("\\_SB.PCI0.S00", b"\\\x2f\x03_SB_PCI0S00_"),
    ],
)
def test_names_are_encoded(path: str, encoded: bytes) -> None:
    assert aml.name_string(path) == encoded


@pytest.mark.parametrize("path", ["TOOLONG", "1ABC", "a", "A-B", "\\_SB.pci0"])
def test_names_that_acpi_forbids_are_refused(path: str) -> None:
    with pytest.raises(ValueError, match="not an ACPI name"):
        aml.name_string(path)


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        (0, b"\0"),
        (1, b"\1"),
        (2, b"\x0a\x02"),
        (0xFF, b"\x0a\xff"),
        (0x100, b"\x0b\x00\x01"),
        (0x1_0000, b"\x0c\x00\x00\x01\x00"),
        (0x1_0000_0000, b"\x0e\0\0\0\0\1\0\0\0"),
        ((1 << 64) - 1, b"\xff"),
    ],
)
def test_integers_take_the_shortest_form(value: int, encoded: bytes) -> None:
    assert aml.integer(value) == encoded


def test_integers_beyond_64_bits_are_refused() -> None:
    with pytest.raises(ValueError, match="64 bits"):
        aml.integer(1 << 64)


def test_eisa_ids_are_compressed() -> None:
    assert aml.eisa_id("PNP0501") == b"\x0c\x41\xd0\x05\x01"


def decode_length(data: bytes) -> tuple[int, int]:
    """(package length, bytes that encode it), as an interpreter reads them."""
    extra = data[0] >> 6
    if extra == 0:
        return data[0], 1
    value = data[0] & 0xF
    for index in range(extra):
        value |= data[1 + index] << (4 + 8 * index)
    return value, 1 + extra


@pytest.mark.parametrize(
    "length", [0, 1, 62, 63, 64, 4092, 4093, 4094, 0xF_FFFB, 0xF_FFFC, 0xF_FFFD]
)
def test_package_lengths_count_themselves(length: int) -> None:
    encoded = aml.with_length(bytes(length))

    assert decode_length(encoded)[0] == len(encoded)
    assert len(encoded) - decode_length(encoded)[1] == length


def test_a_package_too_long_for_aml_is_refused() -> None:
    class Huge(bytes):
        def __len__(self) -> int:
            return 1 << 28

    with pytest.raises(ValueError, match="do not fit"):
        aml.with_length(Huge())


def test_a_package_of_256_items_is_refused() -> None:
    with pytest.raises(ValueError, match="255"):
        aml.package(*[aml.ZERO] * 256)


@given(st.integers(0, (1 << 64) - 1))
def test_integers_read_back(value: int) -> None:
    encoded = aml.integer(value)

    sizes = {0x0A: 1, 0x0B: 2, 0x0C: 4, 0x0E: 8}
    plain = {b"\0": 0, b"\1": 1, b"\xff": (1 << 64) - 1}
    got = plain.get(encoded, int.from_bytes(encoded[1:], "little"))
    assert got == value
    assert encoded in plain or len(encoded) == 1 + sizes[encoded[0]]


def every_term() -> bytes:
    """One of everything the builder and the resource descriptors offer."""
    loop = aml.while_(
        aml.less(aml.local(0), aml.integer(3)),
        aml.increment(aml.local(0)),
        aml.add(aml.local(0), aml.arg(0), aml.local(1)),
        aml.shift_left(aml.local(1), aml.integer(2), aml.local(1)),
        aml.or_(aml.local(1), aml.integer(0x100), aml.path("REG")),
    )
    branch = aml.if_(aml.not_(aml.arg(0)), aml.notify("\\_SB.DEV", 1)) + aml.else_(
        aml.store(aml.call("HELP", aml.arg(0)), aml.local(2))
    )
    crs = res.template(
        res.io(0x3F8, 8),
        res.irq(4, 12),
        res.interrupt(res.LEVEL_LOW | res.SHARED, 16, 17),
        res.memory32_fixed(0xFED0_0000, 0x400),
        res.bus_numbers(0, 255),
        res.io_window(0xD00, 0xF300),
        res.memory_window(0xC000_0000, 0x2000_0000),
        res.memory_window(0x80_0000_0000, 0x40_0000_0000, prefetch=True),
    )
    return aml.scope(
        "\\_SB",
        aml.method("HELP", 1, aml.return_(aml.and_(aml.arg(0), aml.integer(0xFF)))),
        aml.device(
            "DEV",
            aml.name("_HID", aml.string("ACPI0013")),
            aml.name("_CRS", crs),
            aml.name("DATA", aml.buffer(bytes(range(100)))),
            aml.name("LIST", aml.package(aml.ONES, aml.string("text"), aml.integer(7))),
            aml.region("WIN", aml.SYSTEM_IO, 0x604, 8),
            aml.field("WIN", aml.DWORD_ACCESS, ("LOW", 8), ("", 120 - 100), ("REG", 36)),
            aml.mutex("LCK"),
            aml.method(
                "RUN",
                1,
                aml.acquire("LCK"),
                aml.store(aml.ZERO, aml.local(0)),
                loop,
                aml.release("LCK"),
                branch,
                aml.return_(aml.equal(aml.local(2), aml.integer(3))),
                serialized=True,
            ),
        ),
    )


def test_every_term_survives_iasl_and_back(tmp_path: Path) -> None:
    table = acpi.header(b"DSDT", 2, every_term())

    text = iasl.disassemble(table, tmp_path)

    for word in ("While", "Else", "Notify", "QWordMemory", "WordBusNumber", "Acquire"):
        assert word in text
    assert iasl.compile_back(text, tmp_path)[36:] == table[36:]
