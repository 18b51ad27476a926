"""core/backends/chan*.c: the line of a kernel's panic, found in whatever pieces it comes."""

from __future__ import annotations

import pytest

from tests.native.chanrig import MakeChan
from vmm.loop import IoLoop
from vmm.native import ffi, lib

PANIC = b"Kernel panic - not syncing"


@pytest.mark.parametrize(
    "text",
    [
        PANIC + b": Fatal exception\n",
        b"[    1.234567] " + PANIC + b"\n",
        b"[    1.234567][    T1] " + PANIC,
        b"booting\r\n<0>[   12.345678] " + PANIC,
        b"noise\n\n\r" + PANIC,
    ],
)
@pytest.mark.parametrize("piece", [1, 7, 1000])
def test_panic_line_is_found_however_it_is_cut(
    make_chan: MakeChan, text: bytes, piece: int
) -> None:
    rig = make_chan(drop=True)
    lib.chan_watch_panic(rig.chan, True)
    for at in range(0, len(text), piece):
        rig.put(text[at : at + piece])
    rig.wait_event("LOOP_PANIC_LINE")
    rig.settle()
    assert len(rig.events) == 1


@pytest.mark.parametrize(
    "text",
    [
        b"# echo " + PANIC + b"\n",
        b"Kernel panic, not syncing\n",
        b"Kernel panic -\n not syncing\n",
        b"kernel panic - not syncing\n",
        PANIC[:-1],
        b"x" + PANIC,
    ],
)
def test_other_text_is_no_panic_line(make_chan: MakeChan, text: bytes) -> None:
    rig = make_chan(drop=True)
    lib.chan_watch_panic(rig.chan, True)
    rig.put(text)
    rig.put(b"\n" + PANIC)  # that one is, and comes later
    rig.wait_event("LOOP_PANIC_LINE")
    rig.settle()
    assert len(rig.events) == 1


def test_panic_line_is_not_lost_when_the_queue_is_full() -> None:
    loop = IoLoop()
    chan = lib.chan_create(loop.pointer, 1 << 20, lib.CHAN_DROP)
    lib.chan_watch_panic(chan, True)
    while lib.loop_post(loop.pointer, lib.LOOP_USER, 0, ffi.NULL) == 0:
        pass
    lib.chan_put(chan, PANIC, len(PANIC))
    event = ffi.new("struct loop_event *")
    kinds = []
    for _ in range(65):
        assert lib.loop_run(loop.pointer, event) == 0
        kinds.append(event.kind)
    assert kinds == [lib.LOOP_USER] * 64 + [lib.LOOP_PANIC_LINE]
    lib.chan_destroy(chan)
