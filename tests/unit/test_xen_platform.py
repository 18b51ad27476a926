"""The platform ports of a Xen domain: unplug protocol and the guest's log."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from vmm import log
from vmm.bus import PIO_LIMIT, Bus, BusProbe
from vmm.xen.platform import LINE_MAX, PlatformPorts


class Rig:
    def __init__(self) -> None:
        self.bus = Bus("port", PIO_LIMIT)
        self.ports = PlatformPorts([])
        self.ports.claim(self.bus)
        self.probe = BusProbe(self.bus)

    def say(self, text: bytes) -> None:
        for byte in text:
            self.probe.write(0x12, 1, byte)


@pytest.fixture
def rig() -> Iterator[Rig]:
    rig = Rig()
    yield rig
    rig.probe.close()
    rig.ports.close()


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []
    monkeypatch.setattr(log, "_root", log.Logger("info", "json", found.append))
    return found


def test_driver_finds_magic_and_protocol_and_says_who_it_is(rig: Rig) -> None:
    assert rig.probe.read(0x10, 2) == 0x49D2
    assert rig.probe.read(0x12, 1) == 1
    rig.probe.write(0x12, 2, 3)
    rig.probe.write(0x10, 4, 0x12345)
    rig.probe.write(0x10, 2, 1)
    rig.probe.write(0x10, 2, 2)

    assert (rig.ports.product, rig.ports.build, rig.ports.asked) == (3, 0x12345, 3)
    rig.ports.reset()
    assert (rig.ports.product, rig.ports.build, rig.ports.asked) == (0, 0, 0)


@pytest.mark.parametrize(("port", "size"), [(0x10, 1), (0x10, 4), (0x11, 1), (0x12, 2), (0x13, 1)])
def test_other_reads_give_ones(rig: Rig, port: int, size: int) -> None:
    assert rig.probe.read(port, size) == (1 << 8 * size) - 1


def test_lines_of_the_guest_are_logged_whole(rig: Rig, lines: list[str]) -> None:
    rig.say(b"first\nsec\x1b[2J\x00\xffond\n\n")

    assert ['"first"' in lines[0], '"sec[2Jond"' in lines[1], len(lines)] == [True, True, 2]


def test_a_line_without_end_is_cut_and_a_flood_is_limited(rig: Rig, lines: list[str]) -> None:
    rig.say(b"x" * (LINE_MAX + 1))
    assert len(lines) == 1
    assert "x" * LINE_MAX in lines[0]

    rig.say(b"y\n" * 5000)
    assert len(lines) <= 2 * log.BURST
