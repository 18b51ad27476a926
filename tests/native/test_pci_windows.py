"""Windows out of which base address registers get their places, and random moves within."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.native.pcirig import IDENT, PciRig
from vmm import layout
from vmm.errors import VmmError
from vmm.layout import GIB, PAGE
from vmm.pci.bar import Bar
from vmm.pci.function import PciFunction
from vmm.pci.windows import Window, Windows

LOW = layout.PCI_MMIO32
HIGH = layout.pci_mmio64(512 * layout.MIB)[0]


def random_function(rng: random.Random, rig: PciRig, number: int) -> Any:
    bars = {
        0: ("mem32", rng.choice((PAGE, 4 * PAGE, 64 * PAGE))),
        1: ("io", rng.choice((4, 64, 1024))),
        2: ("mem64", rng.choice((PAGE, 1 << 24, 1 << 30))),
    }
    return rig.plugged(f"f{number}", bars, 8 * number)


def random_place(rng: random.Random, rig: PciRig, kind: str) -> int:
    """Near where others are, or anywhere."""
    near = [m.base for m in rig.mappings() if m.base is not None and m.bar.kind == kind]
    if near and rng.random() < 0.6:
        return max(0, rng.choice(near) + rng.choice((-PAGE, 0, 0, PAGE, 64)))
    if kind == "io":
        return rng.randrange(0x5000, 0x1_1000)
    bases = [LOW, LOW + 16 * PAGE, layout.PCI_MMIO32_END - PAGE, layout.PCI_ECAM, 0x1000]
    return rng.choice(bases + ([HIGH, HIGH + (1 << 30)] if kind == "mem64" else []))


def check_invariants(rig: PciRig) -> None:
    """Mapped means: where the guest wants it, within a window, over nobody. Not mapped: not so."""
    mappings = rig.mappings()
    for mapping in mappings:
        bar, wanted = mapping.bar, mapping.wanted
        assert mapping.base in (None, wanted)
        if wanted is None:
            continue
        fits = rig.root.windows.reach(bar.kind, wanted, bar.size)
        others = [o for o in mappings if o is not mapping and o.bar.space == bar.space]
        free = not any(other.overlaps(wanted, bar.size) for other in others)
        assert (mapping.base is not None) == (fits and free)
        look = rig.port if bar.space == "pio" else rig.memory
        if mapping.base is not None:
            answer = rig.answers[mapping.owner.split()[0], bar.number].value
            assert look(wanted) == look(wanted + bar.size - 1) == answer


@pytest.mark.parametrize("seed", range(8))
def test_random_moves_leave_every_register_where_it_can_be(seed: int) -> None:
    rng = random.Random(seed)
    with PciRig() as rig:
        functions = [random_function(rng, rig, number) for number in range(1, 5)]
        for _ in range(250):
            function = rng.choice(functions)
            if rng.random() < 0.3:
                rig.decode(function, rng.randrange(4))
            elif rng.random() < 0.05:
                function.reset()
            else:
                number = rng.choice((0, 1, 2))
                kind = function.mappings[number].bar.kind
                rig.move(function, number, random_place(rng, rig, kind))
            check_invariants(rig)
        for function in functions:
            rig.root.unplug(function)
        assert rig.memory(LOW) == 0xFF
        assert rig.mappings() == []


# --- windows


def test_places_given_out_are_aligned_and_apart() -> None:
    window = Window(0x1000, 0x10000)
    assert window.take(0x4000, []) == 0x4000
    assert window.take(0x1000, []) == 0x1000
    assert window.take(0x1000, [(0x2000, 0x1000)]) == 0x3000
    assert window.take(0x8000, []) == 0x8000
    assert window.take(0x1000, [(0x2000, 0x1000)]) == 0x10000
    assert window.take(0x1000, [(0x2000, 0x1000)]) is None
    window.give_back(0x8000)
    assert window.take(0x1000, []) == 0x2000
    assert window.take(0x4000, []) == 0x8000


def test_large_registers_go_above_4_gib_and_small_ones_below() -> None:
    windows = Windows(6 * GIB)
    assert windows.take("mem64", PAGE, [], "a") == LOW
    assert windows.take("mem64", GIB, [], "b") == layout.PCI_MMIO64
    assert windows.take("mem32", 64, [], "c") == LOW + PAGE  # memory in whole pages
    assert windows.take("io", 64, [], "d") == layout.PCI_IO
    assert windows.take("io", 4, [], "e") == layout.PCI_IO + 64


def test_the_window_above_4_gib_lies_above_all_ram() -> None:
    for ram in (layout.MIB, 3 * GIB, 32 * GIB, 39 * GIB + PAGE, 100 * GIB):
        base, _size = layout.pci_mmio64(ram)
        top, length = layout.ram_ranges(ram)[-1]
        assert base >= top + length
        assert base % GIB == 0


def test_a_register_that_fits_nowhere_is_refused_and_nothing_kept() -> None:
    with PciRig() as rig:
        function = rig.build("a", {0: ("mem32", 1 << 28), 1: ("mem32", 1 << 31)})
        with pytest.raises(VmmError, match="No room is left"):
            rig.root.plug(function, 8)
        assert [m.given for m in function.mappings.values()] == [None, None]
        assert rig.root.windows.take("mem32", 1 << 28, [], "b") == LOW


def test_ports_run_out_at_the_end_of_the_window() -> None:
    with PciRig() as rig:
        room = (layout.PCI_IO_END - layout.PCI_IO) // 0x2000
        for number in range(room):
            function = PciFunction(f"f{number}", IDENT)
            function.add_bar(Bar(number=0, kind="io", size=0x2000))
            rig.functions.append(function)
            rig.root.plug(function, 8 * (number + 1))
        with pytest.raises(VmmError, match="PCI io space"):
            rig.plugged("last", {0: ("io", 0x2000)}, 31 << 3)
