"""core/devices/debugcon.c: one port into a channel."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.native.chanrig import ChanRig
from vmm.bus import PIO_LIMIT, Bus, BusProbe
from vmm.cdevice import CDevice
from vmm.errors import StateError
from vmm.native import ffi, lib

PORT = 0xE9


class DebugRig(CDevice):
    kind = "debugcon"

    def __init__(self, chan: ChanRig) -> None:
        pointer = lib.debugcon_create(chan.chan, ffi.NULL, PORT)
        super().__init__("debugcon", pointer, [("pio", PORT, 1, 0)])
        self.bus = Bus("port", PIO_LIMIT)
        self.claim(self.bus, self.bus)
        self.probe = BusProbe(self.bus)

    def counters(self) -> dict[str, int]:
        counters = ffi.new("struct debugcon_counters *")
        lib.debugcon_counters(self.pointer, counters)
        return {"bytes": counters.bytes, "lost": counters.lost}


@pytest.fixture
def chan() -> Iterator[ChanRig]:
    rig = ChanRig(limit=4096)
    yield rig
    rig.close()


@pytest.fixture
def debugcon(chan: ChanRig) -> Iterator[DebugRig]:
    rig = DebugRig(chan)
    yield rig
    rig.probe.close()
    rig.close()


def test_reading_tells_that_it_is_there(debugcon: DebugRig) -> None:
    assert debugcon.probe.read(PORT, 1) == 0xE9


def test_bytes_reach_the_channel_one_by_one_and_in_bursts(
    chan: ChanRig, debugcon: DebugRig
) -> None:
    for byte in b"one ":
        debugcon.probe.write(PORT, 1, byte)
    debugcon.probe.write_burst(PORT, b"burst")
    assert chan.tail() == b"one burst"


def test_wide_write_sends_its_lowest_byte_alone(chan: ChanRig, debugcon: DebugRig) -> None:
    debugcon.probe.write(PORT, 4, 0x44434241)
    assert chan.tail() == b"A"


def test_full_channel_loses_and_counts(debugcon: DebugRig) -> None:
    debugcon.probe.write_burst(PORT, b"x" * 5000)
    assert debugcon.counters() == {"bytes": 5000, "lost": 904}


def test_state_returns_and_wrong_versions_do_not(debugcon: DebugRig) -> None:
    debugcon.probe.write_burst(PORT, b"abc")
    saved = debugcon.save()
    debugcon.reset()
    assert debugcon.save()["bytes"] == 0
    debugcon.load(saved)
    assert debugcon.save() == saved == {"version": 1, "bytes": 3}
    with pytest.raises(StateError):
        debugcon.load({**saved, "version": 2})
