"""Interrupt pins of PCI functions: which wire they pull, who shares it, when they let go."""

from __future__ import annotations

import pytest

from tests.native.pcirig import COMMAND, PciRig
from vmm import layout
from vmm.pci.function import Ident


def test_an_interrupt_pin_reaches_its_wire_and_shows_in_the_status() -> None:
    with PciRig() as rig:
        function = rig.plugged("a", {}, 3 << 3)
        wire = layout.GSI_PCI_INTX[3]
        function.intx(True)
        assert rig.take_edges() == [(wire, 1)]
        assert rig.space(24, 6, 2) & 8
        rig.space(24, COMMAND, 2, 1 << 10)
        assert rig.take_edges() == [(wire, 0)]
        assert rig.space(24, 6, 2) & 8  # pending all the same
        rig.space(24, COMMAND, 2, 0)
        assert rig.take_edges() == [(wire, 1)]
        function.intx(False)
        assert rig.take_edges() == [(wire, 0)]
        assert not rig.space(24, 6, 2) & 8


def test_slots_share_wires_and_a_wire_falls_with_its_last_pin() -> None:
    with PciRig(machine="legacy") as rig:
        one, other = rig.plugged("a", {}, 1 << 3), rig.plugged("b", {}, 5 << 3)
        apic, pic = layout.GSI_PCI_INTX[1], layout.PIC_PCI_INTX[1]
        one.intx(True)
        other.intx(True)
        one.intx(False)
        assert rig.take_edges() == [(apic, 1), (pic, 1)]
        other.intx(False)
        assert rig.take_edges() == [(apic, 0), (pic, 0)]
        assert rig.space(8, 0x3C, 2) == 1 << 8 | pic


@pytest.mark.parametrize("way", ["unplug", "reset"])
def test_a_raised_pin_falls_when_the_function(way: str) -> None:
    with PciRig() as rig:
        function = rig.plugged("a", {}, 8)
        function.intx(True)
        rig.take_edges()
        rig.root.unplug(function) if way == "unplug" else function.reset()
        assert rig.take_edges() == [(layout.GSI_PCI_INTX[1], 0)]


def test_a_function_without_a_pin_has_no_wire() -> None:
    with PciRig() as rig:
        function = rig.build("a", {}, Ident(vendor=1, device=2, class_code=0))
        rig.root.plug(function, 8)
        function.intx(True)
        assert rig.take_edges() == []
