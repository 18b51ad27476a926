"""Base address registers: sized, moved, over RAM, over one another; the buses follow."""

from __future__ import annotations

import pytest

from tests.native.pcirig import BARS, COMMAND, IO, MEMORY, ROM, PciRig
from vmm import layout
from vmm.errors import VmmError
from vmm.layout import GIB, PAGE
from vmm.pci.bar import Bar, Piece
from vmm.record import replace

LOW = layout.PCI_MMIO32
HIGH = layout.pci_mmio64(512 * layout.MIB)[0]


@pytest.mark.parametrize(
    ("number", "kind", "size", "flags"),
    [
        (0, "mem32", 4096, 0x0),
        (5, "mem32", 1 << 20, 0x0),
        (2, "mem64", 1 << 16, 0x4),
        (0, "mem64", 8 * GIB, 0x4),
        (1, "io", 64, 0x1),
        (6, "rom", 2048, 0x0),
    ],
)
def test_ones_read_back_as_the_size_and_cost_no_call(
    number: int, kind: str, size: int, flags: int
) -> None:
    with PciRig() as rig:
        rig.plugged("a", {number: (kind, size)}, 8)
        changes = rig.root.counters()["changes"]
        at = ROM if kind == "rom" else BARS + 4 * number
        width = 8 if kind == "mem64" else 4
        before = rig.space(8, at, width)
        for half in range(0, width, 4):
            rig.space(8, at + half, 4, 0xFFFF_FFFF)
        sized = rig.space(8, at, width)
        rig.space(8, at, width, before)

        assert sized & 0xF == flags | (kind == "rom")
        assert (-(sized & ~0xF)) & ((1 << 8 * width) - 1) == size
        assert rig.root.counters()["changes"] == changes


def test_a_register_answers_where_it_points_while_decoding_is_on() -> None:
    with PciRig() as rig:
        function = rig.plugged("a", {0: ("mem32", PAGE), 1: ("io", 64), 2: ("mem64", PAGE)}, 8)
        places = {n: m.given or 0 for n, m in function.mappings.items()}
        assert rig.memory(places[0]) == 0xFF
        rig.decode(function, MEMORY)
        assert (rig.memory(places[0]), rig.memory(places[2])) == (0x10, 0x12)
        assert rig.port(places[1]) == 0xFF
        rig.decode(function, IO)
        assert rig.memory(places[0]) == 0xFF
        assert rig.port(places[1] + 63) == 0x11
        rig.decode(function, 0)
        assert rig.port(places[1]) == 0xFF


def test_a_move_leaves_nothing_behind() -> None:
    with PciRig() as rig:
        function = rig.plugged("a", {0: ("mem32", PAGE), 1: ("io", 64), 2: ("mem64", PAGE)}, 8)
        rig.decode(function)
        for number, there in ((0, LOW + 0x10_0000), (1, 0xC000), (2, HIGH + GIB)):
            look = rig.port if number == 1 else rig.memory
            old = function.mappings[number].base
            rig.move(function, number, there)
            assert look(there) == 0x10 + number
            assert look(old) == 0xFF


def test_a_rom_needs_its_own_bit_as_well() -> None:
    with PciRig() as rig:
        function = rig.plugged("a", {6: ("rom", 2048)}, 8)
        place = function.mappings[6].given
        rig.decode(function)
        assert rig.memory(place) == 0xFF
        rig.space(8, ROM, 4, place | 1)
        assert rig.memory(place) == 0x16
        rig.space(8, ROM, 4, place)
        assert rig.memory(place) == 0xFF


def test_a_half_written_64_bit_register_answers_where_it_then_points() -> None:
    with PciRig() as rig:
        function = rig.plugged("a", {0: ("mem64", PAGE)}, 8)
        rig.decode(function)
        low = function.mappings[0].base
        rig.space(8, BARS + 4, 4, HIGH >> 32)
        assert rig.memory(low) == 0xFF
        at = HIGH + low
        assert rig.memory(at) == (0x10 if rig.root.windows.reach("mem64", at, PAGE) else 0xFF)
        rig.space(8, BARS, 4, 0)
        assert rig.memory(HIGH) == 0x10


NOWHERE = {
    "RAM": (0, 0x10_0000),
    "address 0": (0, 0),
    "below the hole": (0, layout.HOLE - PAGE),
    "configuration space": (0, layout.PCI_ECAM),
    "I/O APIC": (0, layout.IOAPIC),
    "local APIC": (0, layout.LAPIC),
    "end of 4 GiB": (0, (4 << 30) - PAGE),
    "RAM above 4 GiB": (2, 4 << 30),
    "end of addresses": (2, (1 << 64) - PAGE),
    "beyond the window": (2, HIGH + layout.PCI_MMIO64_SIZE),
    "port 0": (1, 0),
    "the UART": (1, 0x3C0),
    "the address register": (1, 0xCC0),
    "beyond the ports": (1, 0x1_0000),
    "far beyond the ports": (1, 0xFFFF_FFC0),
}


@pytest.mark.parametrize("where", NOWHERE)
def test_where_no_device_may_be_none_is(where: str) -> None:
    number, at = NOWHERE[where]
    with PciRig(mem=6 * GIB) as rig:
        function = rig.plugged("a", {0: ("mem32", PAGE), 1: ("io", 64), 2: ("mem64", PAGE)}, 8)
        rig.decode(function)
        old = function.mappings[number].base
        rig.move(function, number, at)

        assert function.mappings[number].base is None
        assert function.wanted()[number] == at
        assert rig.root.counters()["blocked"] >= 1
        rig.move(function, number, old)
        assert function.mappings[number].base == old


def test_two_registers_cannot_answer_in_one_place_and_the_other_gets_it_later() -> None:
    with PciRig() as rig:
        one = rig.plugged("a", {0: ("mem32", PAGE)}, 8)
        other = rig.plugged("b", {0: ("mem32", 4 * PAGE)}, 16)
        rig.decode(one)
        rig.decode(other)
        mine, its = one.mappings[0].base, other.mappings[0].base
        rig.move(one, 0, its + PAGE)
        assert rig.memory(mine) == 0xFF
        assert rig.memory(its + PAGE) == 0x20
        assert rig.space(8, BARS, 4) == its + PAGE
        rig.move(other, 0, LOW + 0x100_0000)
        assert rig.memory(its + PAGE) == 0x10
        assert rig.memory(LOW + 0x100_0000) == 0x20
        assert rig.root.counters()["blocked"] == 1


@pytest.mark.parametrize("how", ["decode", "unplug", "reset"])
def test_a_place_becomes_free_when_its_owner(how: str) -> None:
    with PciRig() as rig:
        one = rig.plugged("a", {0: ("mem32", PAGE)}, 8)
        other = rig.plugged("b", {0: ("mem32", PAGE)}, 16)
        rig.decode(one)
        rig.decode(other)
        place = other.mappings[0].base
        rig.move(one, 0, place)
        assert rig.memory(place) == 0x20
        {
            "decode": lambda: rig.decode(other, 0),
            "unplug": lambda: rig.root.unplug(other),
            "reset": other.reset,
        }[how]()
        assert rig.memory(place) == 0x10


def test_two_functions_swap_their_places() -> None:
    with PciRig() as rig:
        one = rig.plugged("a", {0: ("mem32", PAGE)}, 8)
        other = rig.plugged("b", {0: ("mem32", PAGE)}, 16)
        rig.decode(one)
        rig.decode(other)
        mine, its = one.mappings[0].base, other.mappings[0].base
        rig.move(one, 0, its)
        rig.move(other, 0, mine)
        assert (rig.memory(mine), rig.memory(its)) == (0x20, 0x10)


def test_another_device_on_the_bus_is_not_covered() -> None:
    with PciRig() as rig:
        function = rig.plugged("a", {0: ("mem32", 4 * PAGE)}, 8)
        there = LOW + 0x80_0000
        rig.mmio.claim(there + PAGE, 16, function.mappings[0].bar.pieces[0].dev, "somebody")
        rig.decode(function)
        home = function.mappings[0].base
        rig.move(function, 0, there)
        assert rig.memory(there) == 0xFF
        assert function.mappings[0].base is None
        rig.move(function, 0, home)
        assert rig.memory(home) == 0x10
        rig.mmio.release(there + PAGE, 16)


def test_pieces_answer_in_their_parts_and_nothing_in_between() -> None:
    with PciRig() as rig:
        function = rig.build("a", {0: ("mem32", 4 * PAGE)})
        (whole,) = function.mappings[0].bar.pieces
        pieces = (replace(whole, length=16), replace(whole, offset=2 * PAGE, length=PAGE))
        function.mappings[0].bar = replace(function.mappings[0].bar, pieces=pieces)
        rig.root.plug(function, 8)
        rig.decode(function)
        for base in (function.mappings[0].base, LOW + 0x40_0000):
            rig.move(function, 0, base)
            read = [rig.memory(base + at) for at in (0, 15, 16, PAGE, 2 * PAGE, 3 * PAGE)]
            assert read == [0x10, 0x10, 0xFF, 0xFF, 0x10, 0xFF]
        counts = rig.answers["a", 0]
        rig.poke(LOW + 0x40_0000 + 2 * PAGE + 4, 4, 7)
        assert counts.written == [(4, 4, 7)]


def test_a_piece_larger_than_its_register_is_refused() -> None:
    with PciRig() as rig:
        function = rig.build("a", {})
        piece = Piece(offset=PAGE - 8, length=16, dev=rig.root.changes.dev)
        with pytest.raises(VmmError, match="larger"):
            function.add_bar(Bar(number=0, kind="mem32", size=PAGE, pieces=(piece,)))


def test_a_failure_of_python_while_registers_move_reaches_who_asked() -> None:
    with PciRig() as rig:
        function = rig.plugged("a", {0: ("mem32", PAGE)}, 8)
        rig.root.functions = {8: None}  # type: ignore[dict-item]
        assert rig.space(8, COMMAND, 2, MEMORY) == 0
        rig.root.functions = {8: function}
        function.wanted = lambda: 1 / 0
        assert rig.space(8, COMMAND, 2, 0) < 0
        parked = rig.root.changes.take_parked()
        assert isinstance(parked, ZeroDivisionError)
        del function.wanted
