"""The Xen console's rings: bytes both ways, a slow end, and guests that break the rings."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
from collections.abc import Iterator

import pytest

from tests.native.xenringrig import PAGE, SIZE, Direction, Wires, until
from vmm.backends.chardev import Chan
from vmm.loop import IoLoop
from vmm.memory import GuestMemory
from vmm.native import ffi, lib

IN, OUT = (0, 1024, 3072, 3076), (1024, 2048, 3080, 3084)


class Rig:
    def __init__(self, overflow: str = "block", limit: int = 4096) -> None:
        self.memory = GuestMemory(SIZE)
        self.loop = IoLoop()
        self.chan = Chan(self.loop, overflow, limit)
        self.host, ours = socket.socketpair()
        self.host.settimeout(20)
        self.chan.attach(number := ours.detach(), number)
        self.wires = Wires()
        pointer = lib.xencon_create(self.memory.pointer, self.loop.pointer, self.chan.pointer)
        self.pointer = ffi.gc(pointer, lib.xencon_destroy)
        self.input, self.output = Direction(self.memory, *IN), Direction(self.memory, *OUT)
        self.connect()
        self.loop.start()

    def connect(self) -> None:
        self.memory.write(PAGE, bytes(4096))
        wires = self.wires
        assert lib.xencon_connect(self.pointer, PAGE, wires.kick_fd, wires.call_fd) == 0

    def say(self, data: bytes) -> None:
        while data:
            data = data[self.output.put(data) :]
            self.wires.kick()

    def hear(self, length: int) -> bytes:
        data = bytearray()

        def more() -> bool:
            found = self.input.get()
            if found:
                data.extend(found)
                self.wires.kick()
            return len(data) >= length

        until(more)
        return bytes(data)

    def counters(self) -> dict[str, int]:
        counters = ffi.new("struct xencon_counters *")
        lib.xencon_counters(self.pointer, counters)
        return {name: getattr(counters, name) for name in dir(counters)}

    def close(self) -> None:
        ffi.release(self.pointer)
        self.chan.close()
        self.loop.close()
        self.host.close()
        self.wires.close()
        self.memory.close()


@pytest.fixture
def rig() -> Iterator[Rig]:
    rig = Rig()
    yield rig
    rig.close()


def received(peer: socket.socket, length: int) -> bytes:
    data = bytearray()
    while len(data) < length:
        data += peer.recv(length - len(data))
    return bytes(data)


def test_bytes_go_both_ways_at_once(rig: Rig) -> None:
    dice = random.Random(1)
    down, up = dice.randbytes(50_000), dice.randbytes(20_000)
    sender = threading.Thread(target=rig.host.sendall, args=(up,))
    sender.start()
    found: list[bytes] = []
    reader = threading.Thread(target=lambda: found.append(received(rig.host, len(down))))
    reader.start()
    heard = bytearray()
    left = down
    while left or len(heard) < len(up):
        left = left[rig.output.put(left[: dice.randrange(1, 3000)]) :]
        heard += rig.input.get(dice.randrange(1, 2000))
        rig.wires.kick()
    sender.join()
    reader.join()

    assert found == [down]
    assert bytes(heard) == up
    assert rig.wires.called()
    counters = rig.counters()
    assert (counters["tx_bytes"], counters["rx_bytes"]) == (len(down), len(up))
    assert counters["broken"] == 0


def test_guest_is_told_of_room_when_there_was_little(rig: Rig) -> None:
    for length in (1, 256, 256, 16):
        rig.output.put(b"x" * length)
        rig.wires.kick()
        until(lambda: rig.output.cons == rig.output.prod)
    assert rig.counters()["calls"] == 0
    for length in (257, 2048):
        rig.output.put(b"x" * length)
        rig.wires.kick()
        until(rig.wires.called)
    assert rig.counters()["calls"] == 2
    rig.host.sendall(b"typed")
    assert rig.hear(5) == b"typed"
    until(rig.wires.called)


def test_what_the_host_does_not_take_stays_in_the_ring(rig: Rig) -> None:
    length = 0
    while rig.counters()["tx_blocked"] == 0:
        length += rig.output.put(b"x" * 2048)
        rig.wires.kick()

    assert received(rig.host, length) == b"x" * length
    until(lambda: rig.output.cons == rig.output.prod)


def test_input_waits_for_a_guest_that_reads_late(rig: Rig) -> None:
    rig.host.sendall(bytes(range(256)) * 8)
    until(lambda: rig.input.prod == 1024)

    assert rig.hear(2048) == bytes(range(256)) * 8


@pytest.mark.parametrize("jump", [2049, 1 << 31, (1 << 32) - 1])
def test_output_index_that_jumps_ends_the_console(rig: Rig, jump: int) -> None:
    rig.say(b"before")
    assert received(rig.host, 6) == b"before"
    until(lambda: rig.output.cons == 6)
    rig.output.set_prod(6 + jump)
    rig.wires.kick()
    until(lambda: rig.counters()["broken"])

    rig.output.set_prod(7)
    rig.wires.kick()
    rig.host.sendall(b"unheard")
    until(lambda: rig.counters()["kicks"] >= 3)
    assert (rig.output.cons, rig.input.prod) == (6, 0)
    lib.xencon_disconnect(rig.pointer)
    rig.connect()
    rig.say(b"after")
    assert received(rig.host, 5) == b"after"
    assert rig.hear(7) == b"unheard"


@pytest.mark.parametrize("jump", [1, 5, 1 << 31])
def test_input_index_that_jumps_ends_the_console(rig: Rig, jump: int) -> None:
    rig.input.set_cons(jump)
    rig.host.sendall(b"x")
    until(lambda: rig.counters()["broken"])

    assert rig.input.prod == 0


def test_our_indices_written_over_move_nothing(rig: Rig) -> None:
    rig.say(b"abc")
    assert received(rig.host, 3) == b"abc"
    until(lambda: rig.output.cons == 3)
    rig.output.set_cons(77)
    rig.input.set_prod(99)
    rig.memory.write(PAGE + OUT[0] + 3, b"d")
    rig.output.set_prod(4)
    rig.wires.kick()
    rig.host.sendall(b"e")

    assert received(rig.host, 1) == b"d"
    until(lambda: rig.output.cons == 4 and rig.input.prod == 1)


def test_pause_leaves_memory_alone(rig: Rig) -> None:
    lib.xencon_pause(rig.pointer, True)
    before = rig.counters()["kicks"]
    rig.output.put(b"later")
    rig.wires.kick()
    rig.host.sendall(b"input")
    until(lambda: rig.counters()["kicks"] > before)
    assert (rig.output.cons, rig.input.prod) == (0, 0)

    lib.xencon_pause(rig.pointer, False)
    assert received(rig.host, 5) == b"later"
    assert rig.hear(5) == b"input"


def test_connected_twice_is_refused_and_page_outside_memory_is_silent(rig: Rig) -> None:
    wires = rig.wires
    assert lib.xencon_connect(rig.pointer, PAGE, wires.kick_fd, wires.call_fd) == -16
    lib.xencon_disconnect(rig.pointer)
    lib.xencon_disconnect(rig.pointer)
    assert lib.xencon_connect(rig.pointer, SIZE, wires.kick_fd, wires.call_fd) == 0
    wires.kick()
    until(lambda: rig.counters()["kicks"])


def test_guest_that_scribbles_over_the_page_harms_nobody(rig: Rig) -> None:
    dice = random.Random(5)
    for round_ in range(300):
        rig.memory.write(PAGE + 3072, dice.randbytes(16))
        rig.wires.kick()
        if round_ % 50 == 49:
            lib.xencon_disconnect(rig.pointer)
            rig.connect()
    rig.host.setblocking(False)
    lib.xencon_disconnect(rig.pointer)
    rig.connect()
    rig.output.put(b"end")
    rig.wires.kick()
    found = bytearray()

    def read() -> bool:
        with contextlib.suppress(BlockingIOError):
            found.extend(rig.host.recv(65536))
        return bytes(found[-3:]) == b"end"

    until(read)
