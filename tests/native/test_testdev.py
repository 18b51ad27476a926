"""core/devices/testdev.c and fwcfg.c: against their twins, and as test kernels use them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from struct import unpack

import pytest

from tests.native.devrig import DeviceRig, Mix, compare
from tests.native.twins.testdev import BYTES, GSI, LATCH, MMIO, REMAP, FwCfgTwin, TestdevTwin
from vmm import layout
from vmm.backends.chardev import Chan
from vmm.devices.testdev import FwCfg, PcTestdev
from vmm.devices.uart import DebugConsole
from vmm.errors import StateError, VmmError
from vmm.native import ffi, lib

FILES = {"opt/one": b"first file", "etc/two": bytes(range(200)), "opt/empty": b""}


def make_testdev() -> DeviceRig:
    return DeviceRig(lambda context: PcTestdev(context, None), testdev=True)


@pytest.fixture
def testdev() -> Iterator[DeviceRig]:
    with make_testdev() as rig:
        yield rig


class FwCfgRig(DeviceRig):
    def __init__(self) -> None:
        super().__init__(FwCfg, testdev=True, mem="6G", cpus=3)
        self.keys = {name: self.device.add_file(name, data) for name, data in FILES.items()}

    def item(self, key: int, size: int) -> bytes:
        self.write(0, 0, key, 2)
        return bytes(self.read(0, 1) for _ in range(size))


@pytest.fixture
def fwcfg() -> Iterator[FwCfgRig]:
    with FwCfgRig() as rig:
        yield rig


@pytest.mark.parametrize("seed", range(10))
def test_testdev_agrees_with_the_twin(seed: int) -> None:
    rng = random.Random(seed)
    wide = Mix({LATCH: 4, BYTES: 4, REMAP: 4, GSI: 24, MMIO: 0x10000}, sizes=(1, 2, 4))
    edge, twin = Mix({MMIO: 0x10000}, sizes=(1, 2, 4, 8)), TestdevTwin()
    with make_testdev() as rig:
        for _ in range(300):
            mix = rng.choice((wide, wide, edge))
            mix.access(rng, rig, twin, rng.choice((rng.getrandbits(64), 1, 0)))
            edges, twin.edges[:] = list(twin.edges), []
            assert rig.take_edges() == edges
        compare(rig, twin)
        rig.device.reset()
        twin.reset()
        compare(rig, twin)


def test_latch_keeps_wide_writes_for_byte_reads(testdev: DeviceRig) -> None:
    testdev.write(LATCH, 0, 0x12345678, 4)

    assert [testdev.read(BYTES, n) for n in range(4)] == [0x78, 0x56, 0x34, 0x12]


def test_remap_port_asks_with_a_dword_only(testdev: DeviceRig) -> None:
    assert testdev.write(REMAP, 0, 0x123000, 4) == lib.DEV_EVENT_REMAP
    assert testdev.write(REMAP, 0, 0x30, 1) == 0


def test_gsi_ports_drive_their_lines(testdev: DeviceRig) -> None:
    testdev.write(GSI, 11, 1)
    testdev.write(GSI, 11, 1)
    testdev.write(GSI, 11, 0)

    assert testdev.take_edges() == [(11, 1), (11, 0)]


def test_memory_holds_its_last_bytes_in_every_width(testdev: DeviceRig) -> None:
    for size in (1, 2, 4, 8):
        testdev.write(MMIO, 0x10000 - size, (1 << 8 * size) - 2, size)
        assert testdev.read(MMIO, 0x10000 - size, size) == (1 << 8 * size) - 2


def test_debug_console_keeps_its_port_inside_the_latch() -> None:
    def build(context: object) -> PcTestdev:
        console = DebugConsole("debugcon", chan, layout.PORT_DEBUGCON)
        consoles.append(console)
        return PcTestdev(context, console)  # type: ignore[arg-type]

    consoles: list[DebugConsole] = []
    with make_testdev() as host:
        chan = Chan(host.loop, "drop")
        chan.attach(-1, -1)
        with DeviceRig(build, testdev=True) as rig:
            for byte in b"hi":
                rig.write(BYTES, 1, byte)
            rig.write(BYTES, 0, 0x44332211, 4)

            assert chan.tail() == b"hi"
            assert rig.read(BYTES, 1) == 0xE9
            assert rig.read(BYTES, 0, 4) == 0x44332211
            assert rig.read(LATCH, 1) == 0x22
        consoles[0].close()


def test_testdev_state_survives_a_round_trip(testdev: DeviceRig) -> None:
    testdev.write(LATCH, 0, 0x1234, 2)
    testdev.write(GSI, 5, 1)
    testdev.write(MMIO, 0xFFFF, 0x5A)
    saved = testdev.save()
    with make_testdev() as other:
        other.device.load(saved)

        assert other.save() == saved
        assert other.level(5) == 1


@pytest.mark.parametrize(
    ("field", "value"), [("version", 0), ("level", [2] + [0] * 23), ("mmio", [0] * 0xFFFF)]
)
def test_impossible_testdev_state_is_refused(testdev: DeviceRig, field: str, value: object) -> None:
    with pytest.raises(StateError):
        testdev.device.load(testdev.save() | {field: value})


# --- fw_cfg


@pytest.mark.parametrize("seed", range(10))
def test_fwcfg_agrees_with_the_twin(seed: int) -> None:
    rng = random.Random(seed)
    mix = Mix({0: 2}, sizes=(1, 1, 1, 2))
    with FwCfgRig() as rig:
        items = {
            0: b"QEMU",
            1: b"\1\0\0\0",
            3: (6 << 30).to_bytes(8, "little"),
            5: b"\3\0",
            15: b"\3\0",
        }
        twin = FwCfgTwin(items, {name: (rig.keys[name], data) for name, data in FILES.items()})
        for _ in range(3000):
            if rng.random() < 0.02:
                key = rng.choice((0, 1, 3, 5, 15, 0x19, 0x20, 0x21, 0x22, 0x4019, 0x8000, 0xFFFF))
                rig.write(0, 0, key, 2)
                twin.write(0, 0, key, 2)
            mix.access(rng, rig, twin, 0x1234 if rng.random() < 0.9 else 0x20)
            compare(rig, twin)


def test_signature_id_and_machine_size(fwcfg: FwCfgRig) -> None:
    assert fwcfg.item(lib.FWCFG_SIGNATURE, 4) == b"QEMU"
    assert fwcfg.item(lib.FWCFG_ID, 4) == b"\1\0\0\0", "no DMA"
    assert int.from_bytes(fwcfg.item(lib.FWCFG_RAM_SIZE, 8), "little") == 6 * layout.GIB
    assert int.from_bytes(fwcfg.item(lib.FWCFG_CPUS, 2), "little") == 3
    assert int.from_bytes(fwcfg.item(lib.FWCFG_MAX_CPUS, 2), "little") == 3


def test_max_cpus_counts_the_gaps_between_apic_ids() -> None:
    with DeviceRig(FwCfg, testdev=True, cpus=6, cpu="host,topology=2:3:1") as rig:
        items = []
        for key in (lib.FWCFG_CPUS, lib.FWCFG_MAX_CPUS):
            rig.write(0, 0, key, 2)
            items.append(rig.read(0, 1) | rig.read(0, 1) << 8)

    assert items == [6, 7]


def test_directory_leads_to_every_file(fwcfg: FwCfgRig) -> None:
    (count,) = unpack(">I", fwcfg.item(lib.FWCFG_DIRECTORY, 4))
    found = {}
    entries = fwcfg.item(lib.FWCFG_DIRECTORY, 4 + 64 * count)[4:]
    for at in range(0, len(entries), 64):
        size, key, name = unpack(">IHxx56s", entries[at : at + 64])
        found[name.rstrip(b"\0").decode()] = fwcfg.item(key, size)

    assert found == FILES


def test_past_the_end_and_unknown_keys_read_zeros(fwcfg: FwCfgRig) -> None:
    assert fwcfg.item(fwcfg.keys["opt/one"], 20)[10:] == bytes(10)
    assert fwcfg.item(0x1234, 4) == bytes(4)


def test_data_cannot_be_written(fwcfg: FwCfgRig) -> None:
    fwcfg.write(0, 0, lib.FWCFG_SIGNATURE, 2)
    fwcfg.write(0, 1, 0x00)

    assert fwcfg.item(lib.FWCFG_SIGNATURE, 4) == b"QEMU"


@pytest.mark.parametrize("name", ["", "x" * 56, "opt/one", "nul\0inside"])
def test_bad_file_names_are_refused_with_a_sentence(fwcfg: FwCfgRig, name: str) -> None:
    with pytest.raises(VmmError, match="fw_cfg file"):
        fwcfg.device.add_file(name, b"")


def test_longest_name_and_full_directory() -> None:
    with FwCfgRig() as rig:
        rig.device.add_file("x" * 55, b"")
        room = lib.FWCFG_ITEMS - 5 - len(FILES) - 1
        for number in range(room):
            rig.device.add_file(f"file{number}", b"")
        with pytest.raises(VmmError):
            rig.device.add_file("one too many", b"")


def test_items_have_a_largest_size(fwcfg: FwCfgRig) -> None:
    too_large = ffi.new("char[]", lib.FWCFG_ITEM_MAX + 1)

    assert lib.fwcfg_add(fwcfg.device.pointer, 0x30, too_large, lib.FWCFG_ITEM_MAX + 1) < 0
    assert lib.fwcfg_add(fwcfg.device.pointer, 0x30, too_large, lib.FWCFG_ITEM_MAX) == 0


def test_fwcfg_selection_survives_a_round_trip(fwcfg: FwCfgRig) -> None:
    fwcfg.item(fwcfg.keys["opt/one"], 3)
    saved = fwcfg.save()
    with FwCfgRig() as other:
        other.device.load(saved)
        assert other.read(0, 1) == ord("s")
        other.device.reset()
        assert other.save() == {"version": 1, "key": 0, "offset": 0}
        for wrong in ({"version": 0}, {"key": 0x10000}, {"key": 0x4000}):
            with pytest.raises(StateError):
                other.device.load(saved | wrong)
