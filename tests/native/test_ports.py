"""The small ports: reset, pvpanic, debug exit, boot marks, and ports where nothing is."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import pytest

from tests.native.devrig import DeviceRig, Mix, compare
from tests.native.twins.ports import CF9, MARKS, PORT92, MarksTwin, ResetTwin
from vmm.cdevice import CDevice
from vmm.context import DeviceContext
from vmm.devices import ports
from vmm.errors import StateError, VmmError
from vmm.native import lib

US = 1000


def rig_of(build: Callable[[], CDevice]) -> DeviceRig:
    return DeviceRig(lambda _context: build(), machine="legacy")


def reset_rig() -> DeviceRig:
    """The reset ports alone; in a machine the PCI root owns 0xcf9 (tests/native/test_pci_root)."""

    def build(_context: DeviceContext) -> CDevice:
        device = ports.reset_port(legacy=True)
        device.claims = (*device.claims, ("pio", 0xCF9, 1, CF9))
        return device

    return DeviceRig(build, machine="legacy")


@pytest.fixture
def reset() -> Iterator[DeviceRig]:
    with reset_rig() as rig:
        yield rig


@pytest.fixture
def marks() -> Iterator[DeviceRig]:
    with DeviceRig(ports.BootMarks) as rig:
        yield rig


@pytest.mark.parametrize("seed", range(10))
def test_reset_ports_agree_with_the_twin(seed: int) -> None:
    rng = random.Random(seed)
    twin = ResetTwin()
    mix = Mix({CF9: 1, PORT92: 1})
    with reset_rig() as rig:
        for _ in range(1000):
            mix.access(rng, rig, twin, rng.choice((rng.getrandbits(32), 2, 6, 0xE, 0, 1)))
            compare(rig, twin)


@pytest.mark.parametrize("writes", [(0x02, 0x06), (0x06,), (0x0E,), (0x04,)])
def test_cf9_resets_when_rst_cpu_rises(reset: DeviceRig, writes: tuple[int, ...]) -> None:
    events = [reset.write(CF9, 0, value) for value in writes]

    assert events == [0] * (len(writes) - 1) + [lib.DEV_EVENT_RESET]


def test_port_92_resets_when_bit_0_rises_and_remembers_a20(reset: DeviceRig) -> None:
    assert reset.read(PORT92) == 2
    assert reset.write(PORT92, 0, 0) == 0
    assert reset.write(PORT92, 0, 3) == lib.DEV_EVENT_RESET
    assert reset.write(PORT92, 0, 3) == 0
    reset.device.reset()
    assert reset.read(PORT92) == 2


def test_default_machine_has_no_port_92() -> None:
    device = ports.reset_port(legacy=False)

    assert device.claims == ()
    device.close()


@pytest.mark.parametrize(("field", "value"), [("version", 2), ("control", 1), ("port92", 4)])
def test_impossible_reset_state_is_refused(reset: DeviceRig, field: str, value: int) -> None:
    with pytest.raises(StateError):
        reset.device.load(reset.save() | {field: value})


@pytest.mark.parametrize(
    ("value", "event"),
    [
        (0, 0),
        (1, lib.DEV_EVENT_PANIC),
        (2, lib.DEV_EVENT_CRASH_LOADED),
        (3, lib.DEV_EVENT_PANIC),
        (0xFC, 0),
    ],
)
def test_pvpanic_reports_what_it_offers(value: int, event: int) -> None:
    with rig_of(ports.pvpanic) as rig:
        assert rig.read(0) == 3
        assert rig.write(0, 0, value) == event
        assert rig.save() == {"version": 1, "seen": value & 3}
        rig.device.load(rig.save())
        with pytest.raises(StateError):
            rig.device.load({"version": 1, "seen": 4})
        rig.device.reset()
        assert rig.save()["seen"] == 0


@pytest.mark.parametrize("size", [1, 2, 4])
def test_debug_exit_answers_every_width(size: int) -> None:
    with rig_of(ports.debug_exit) as rig:
        assert rig.write(0, 0, 0x10, size) == lib.DEV_EVENT_DEBUG_EXIT
        assert rig.read(0, 0, size) == 0
        rig.device.load(rig.save())
        with pytest.raises(StateError):
            rig.device.load({"version": 0})


@pytest.mark.parametrize("size", [1, 2])
def test_nothing_answers_with_ones(size: int) -> None:
    with DeviceRig(ports.null_ports) as rig:
        assert rig.write(0, 0, 0x87, size) == 0
        assert rig.read(0, 0, size) == (1 << 8 * size) - 1
        rig.device.load(rig.save())


def test_two_devices_cannot_have_one_port() -> None:
    with DeviceRig(ports.null_ports) as rig:
        other = ports.null_ports(rig.context)
        with pytest.raises(VmmError, match="0x2e"):
            other.claim(rig.pio, rig.mmio)
        other.close()
        other.close()


@pytest.mark.parametrize("seed", range(10))
def test_boot_marks_agree_with_the_twin(seed: int) -> None:
    rng = random.Random(seed)
    mix, twin = Mix({0: 1}, step=100 * US), MarksTwin()
    with DeviceRig(ports.BootMarks) as rig:
        for _ in range(600):
            mix.step(rng, rig, twin)
            mix.access(rng, rig, twin, rng.randrange(3))
            compare(rig, twin)
        assert rig.device.marks()[0] == twin.marks[-MARKS:]
        assert rig.device.counters() == {"writes": twin.writes}


def test_marks_are_read_on_from_where_the_last_reading_ended(marks: DeviceRig) -> None:
    for value in (1, 2, 2, 3):
        marks.step(1)
        marks.write(0, 0, value)
    first, following = marks.device.marks()
    marks.write(0, 0, 4)

    assert first == [(1, 1), (2, 2), (4, 3)]
    assert marks.device.marks(following) == ([(4, 4)], 4)


def test_marks_survive_a_reset_and_a_round_trip(marks: DeviceRig) -> None:
    marks.write(0, 0, 0x55)
    marks.device.reset()
    with DeviceRig(ports.BootMarks) as other:
        other.device.load(marks.save())

        assert other.device.marks() == ([(0, 0x55)], 1)
        with pytest.raises(StateError):
            other.device.load(marks.save() | {"recorded": 2})
