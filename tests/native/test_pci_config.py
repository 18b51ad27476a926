"""Configuration space against its model: random accesses of any width through both windows."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.native.pcirig import IDENT, PciRig
from tests.native.twins.pci import FunctionTwin, RootTwin
from vmm import layout
from vmm.errors import KvmError, StateError, VmmError
from vmm.native import lib
from vmm.pci.bar import Bar
from vmm.pci.function import PciFunction

CF8, CF9, CFC = 0xCF8, 0xCF9, 0xCFC
LAYOUTS: dict[int, tuple[dict[int, tuple[str, int]], tuple[int, ...], tuple[int, ...]]] = {
    0x00: ({}, (), ()),
    0x08: (
        {0: ("mem32", 4096), 1: ("io", 64), 2: ("mem64", 1 << 16), 6: ("rom", 2048)},
        (8, 7),
        (),
    ),
    0x0B: ({0: ("io", 4), 4: ("mem64", 1 << 34)}, (2, 60, 20), (8, 64)),
    0x0C: ({5: ("mem32", 1 << 20)}, (), (0x30,)),
    0xF8: ({}, (16,), ()),
}


def populate(rig: PciRig, twin: RootTwin) -> None:
    """The same functions in both."""
    for devfn, (bars, caps, ext_caps) in LAYOUTS.items():
        function = rig.build(f"f{devfn:02x}", bars)
        for kind, length in enumerate(caps, 1):
            function.add_capability(kind, bytes(length - 2), b"\xff" * (length - 2))
        for kind, length in enumerate(ext_caps, 1):
            function.add_ext_capability(kind, 1, bytes(length - 4), b"\xff" * (length - 4))
        rig.root.plug(function, devfn)
        model = twin.functions[devfn] = FunctionTwin(bars, caps, ext_caps)
        for number, mapping in function.mappings.items():
            assert mapping.given is not None
            model.place(number, mapping.given)
        model.config[0:4] = bytes.fromhex("34127856")
        model.config[8:12] = bytes.fromhex("090000ff")
        model.config[0x3C] = layout.GSI_PCI_INTX[layout.pci_pin(devfn >> 3, 1)]
        model.config[0x3D] = 1
    twin.functions[0x08].config[0x0E] = 0x80  # there are more functions in its slot


def an_offset(rng: random.Random, size: int) -> int:
    """Of a register, often one that matters, now and then across the end."""
    place = rng.choice((0x04, 0x06, 0x10, 0x14, 0x18, 0x20, 0x24, 0x30, 0x34, 0x40, 0xF0, 0x100))
    offset = rng.choice((place, place + rng.randrange(-3, 4), rng.randrange(4096), 4096 - size))
    return max(0, min(offset, 4095))


def access_ecam(rng: random.Random, rig: PciRig, twin: RootTwin) -> None:
    size = rng.choice((1, 2, 4, 8))
    devfn = rng.choice((*LAYOUTS, 0x09, 0xFF, rng.randrange(256)))
    offset = (devfn << 12) + an_offset(rng, size)
    if offset + size > layout.PCI_ECAM_SIZE or offset % 4096 + size > 4096:
        return
    if rng.random() < 0.5:
        assert rig.memory(layout.PCI_ECAM + offset, size) == twin.ecam(offset, size)
    else:
        value = rng.choice((0, rng.getrandbits(8 * size), (1 << 8 * size) - 1))
        rig.poke(layout.PCI_ECAM + offset, size, value)
        twin.ecam(offset, size, value)


def access_ports(rng: random.Random, rig: PciRig, twin: RootTwin) -> None:
    if rng.random() < 0.4:
        devfn = rng.choice((*LAYOUTS, 0x10))
        bus = rng.choice((0, 0, 0, 1))
        enable = rng.choice((1, 1, 1, 0))
        address = enable << 31 | bus << 16 | devfn << 8 | an_offset(rng, 1) & 0xFF
        rig.out(CF8, 4, address)
        twin.port(0, 4, address)
    size = rng.choice((1, 2, 4))
    port = rng.randrange(8 - size + 1)
    if size == 1 and port == 1:
        return
    if rng.random() < 0.5:
        assert rig.port(CF8 + port, size) == twin.port(port, size), f"port {port} size {size}"
    else:
        value = rng.getrandbits(8 * size)
        rig.out(CF8 + port, size, value)
        twin.port(port, size, value)


@pytest.mark.parametrize("seed", range(12))
def test_both_windows_agree_with_the_model(seed: int) -> None:
    rng, twin = random.Random(seed), RootTwin()
    with PciRig() as rig:
        populate(rig, twin)
        for _ in range(1500):
            rng.choice((access_ecam, access_ports))(rng, rig, twin)
        for devfn, model in twin.functions.items():
            function = rig.root.functions[devfn]
            assert function.wanted() == model.wanted()
            dump = b"".join(
                rig.space(devfn, offset, 8).to_bytes(8, "little")
                for offset in range(0, model.limit, 8)
            )
            assert dump == bytes(model.config[: model.limit])
        assert rig.root.counters()["changes"] == twin.changes
        assert not [device.parked for device in rig.context.upcalls if device.parked]


@pytest.mark.parametrize("seed", range(4))
def test_a_saved_function_is_the_same_again(seed: int) -> None:
    rng, twin = random.Random(seed), RootTwin()
    with PciRig() as rig, PciRig() as other:
        populate(rig, twin)
        populate(other, RootTwin())
        for _ in range(500):
            access_ecam(rng, rig, twin)
        for mine, its in zip(rig.functions, other.functions, strict=True):
            its.load(mine.save())
            assert its.save() == mine.save()
            assert its.wanted() == mine.wanted()
        for mine in rig.functions:
            mine.reset()
        with PciRig() as fresh:
            populate(fresh, RootTwin())
            assert [f.save() for f in rig.functions] == [f.save() for f in fresh.functions]


def broken_states() -> list[dict[str, Any]]:
    """Changes to a saved state that no function could be in."""
    return [
        {"version": 2},
        {"intx_level": 2},
        {"config": "vendor"},
        {"config": "short"},
    ]


@pytest.mark.parametrize("change", broken_states(), ids=str)
def test_impossible_states_are_refused(change: dict[str, Any]) -> None:
    with PciRig() as rig:
        function = rig.plugged("a", {0: ("mem32", 4096)}, 8)
        saved = function.save()
        if change.get("config") == "vendor":
            change = {"config": [saved["config"][0] ^ 1, *saved["config"][1:]]}
        elif change.get("config") == "short":
            change = {"config": saved["config"][:-1]}
        with pytest.raises(StateError):
            function.load(saved | change)
        assert function.save() == saved


def test_an_address_of_another_bus_or_without_enable_reaches_nobody() -> None:
    with PciRig() as rig:
        rig.plugged("a", {}, 0)
        for address in (0x8000_0000, 0x8001_0000, 0x0000_0000, 0x80FF_0000):
            rig.out(CF8, 4, address)
            found = rig.port(CFC, 2)
            assert found == (0x1234 if address == 0x8000_0000 else 0xFFFF)
        assert rig.port(CF8, 4) == 0x80FF_0000


def test_reserved_bits_of_the_address_register_read_as_zero() -> None:
    with PciRig() as rig:
        rig.out(CF8, 4, 0xFFFF_FFFF)
        assert rig.port(CF8, 4) == 0x80FF_FFFC


@pytest.mark.parametrize(("port", "size"), [(0, 1), (2, 1), (3, 1), (0, 2), (1, 2), (2, 2)])
def test_the_address_register_is_32_bits_or_nothing(port: int, size: int) -> None:
    with PciRig() as rig:
        rig.out(CF8, 4, 0x8000_0000)
        rig.out(CF8 + port, size, 0)
        assert rig.port(CF8, 4) == 0x8000_0000
        assert rig.port(CF8 + port, size) == (1 << 8 * size) - 1


def test_bytes_at_cf9_are_the_reset_register() -> None:
    with PciRig() as rig:
        assert rig.out(CF9, 1, 0x02) == 0
        assert rig.port(CF9, 1) == 0x02
        assert rig.out(CF9, 1, 0x06) == lib.DEV_EVENT_RESET
        rig.out(CF8, 4, 0x8000_0600)
        assert rig.port(CF9, 1) == 0x06
        assert rig.reset_port.save()["control"] == 0x06


def test_an_access_across_two_functions_is_nobodys() -> None:
    with PciRig() as rig:
        rig.plugged("a", {}, 0)
        rig.plugged("b", {}, 8)
        at = layout.PCI_ECAM + (8 << 12) - 2
        assert rig.memory(at, 4) == 0xFFFF_FFFF
        rig.poke(at, 4, 0)


def test_function_0_tells_of_the_others_as_long_as_they_are_there() -> None:
    with PciRig() as rig:
        first = rig.plugged("a", {}, 8)
        assert rig.space(8, 0x0E, 1) == 0
        second = rig.plugged("b", {}, 11)
        assert rig.space(8, 0x0E, 1) == 0x80
        rig.root.unplug(second)
        assert rig.space(8, 0x0E, 1) == 0
        assert rig.space(11, 0, 4) == 0xFFFF_FFFF
        rig.root.unplug(first)
        assert rig.space(8, 0, 2) == 0xFFFF


def test_functions_wait_unseen_for_function_0_of_their_slot() -> None:
    with PciRig() as rig:
        later = [rig.plugged("b", {0: ("mem32", 4096)}, 9), rig.plugged("c", {}, 10)]
        assert rig.space(9, 0, 4) == rig.space(10, 0, 4) == 0xFFFF_FFFF
        rig.decode(later[0])
        assert later[0].wanted() == {0: None}
        rig.plugged("a", {}, 8)
        assert rig.space(8, 0x0E, 1) == 0x80
        assert 0xFFFF_FFFF not in (rig.space(9, 0, 4), rig.space(10, 0, 4))
        rig.decode(later[0])
        assert later[0].wanted() == {0: layout.PCI_MMIO32}


def test_places_that_cannot_be_are_refused() -> None:
    with PciRig() as rig:
        rig.plugged("a", {}, 8)
        for devfn, reason in ((8, "EBUSY"), (256, "EINVAL")):
            function = rig.build(f"at{devfn}", {0: ("mem32", 4096)})
            with pytest.raises(VmmError, match="pci_plug"):
                rig.root.plug(function, devfn)
            assert function.root is None, reason
        assert rig.root.windows.mem32.take(4096, []) == layout.PCI_MMIO32  # all given back


@pytest.mark.parametrize(
    ("number", "kind", "size"),
    [
        (6, "io", 64),
        (0, "rom", 2048),
        (5, "mem64", 4096),
        (0, "mem32", 3000),
        (0, "mem32", 8),
        (0, "io", 2),
        (6, "rom", 1024),
        (0, "mem32", 1 << 32),
    ],
)
def test_registers_that_cannot_be_are_refused(number: int, kind: str, size: int) -> None:
    function = PciFunction("a", IDENT)
    with pytest.raises(KvmError, match="pci_add_bar"):
        function.add_bar(Bar(number=number, kind=kind, size=size))
    function.close()


def test_registers_do_not_overlap() -> None:
    function = PciFunction("a", IDENT)
    function.add_bar(Bar(number=0, kind="mem64", size=4096))
    with pytest.raises(KvmError):
        function.add_bar(Bar(number=1, kind="io", size=64))
    function.close()


def test_capabilities_end_where_the_space_ends() -> None:
    function = PciFunction("a", IDENT)
    offsets = [function.add_capability(9, bytes(30)) for _ in range(6)]
    assert offsets == list(range(0x40, 0x100, 32))
    with pytest.raises(KvmError):
        function.add_capability(9, b"")
    with pytest.raises(KvmError):
        function.add_ext_capability(1, 1, bytes(4096 - 256 - 3))
    assert function.add_ext_capability(1, 1, bytes(4096 - 256 - 4)) == 256
    function.close()
