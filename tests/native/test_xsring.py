"""xenstore's ring: whole messages in any pieces, and guests that break the ring."""

from __future__ import annotations

import random
from collections.abc import Iterator
from struct import pack, unpack

import pytest

from tests.native.xenringrig import PAGE, SIZE, Direction, Wires, until
from vmm.loop import IoLoop
from vmm.memory import GuestMemory
from vmm.native import ffi, lib

REQ, RSP = (0, 1024, 2048, 2052), (1024, 1024, 2056, 2060)
FEATURES, CONNECTION, ERROR = PAGE + 2064, PAGE + 2068, PAGE + 2072
RINGIDX, PROTO = 2, 3
NONE, RESTARTED, IDLE = 0, -1, -2


def message(kind: int, payload: bytes) -> bytes:
    return pack("<4I", kind, 7, 0, len(payload)) + payload


class Rig:
    """The loop runs only in `turn()`, on the calling thread."""

    def __init__(self) -> None:
        self.memory = GuestMemory(SIZE)
        self.loop = IoLoop()
        self.wires = Wires()
        pointer = lib.xsring_create(self.memory.pointer, self.loop.pointer)
        self.pointer = ffi.gc(pointer, lib.xsring_destroy)
        self.req, self.rsp = Direction(self.memory, *REQ), Direction(self.memory, *RSP)
        self.posted = 0
        self.loop.on(lib.XSRING_EVENT, self._event)
        self.connect()
        self.loop.start()

    def _event(self, _value: int, _source: object) -> None:
        self.posted += 1

    def connect(self) -> None:
        self.memory.write(PAGE, bytes(4096))
        wires = self.wires
        assert lib.xsring_connect(self.pointer, PAGE, wires.kick_fd, wires.call_fd) == 0

    def word(self, at: int) -> int:
        return int(unpack("<I", self.memory.read(at, 4))[0])

    def take(self) -> int | bytes:
        buffer = ffi.new("uint8_t[]", lib.XSRING_MESSAGE)
        length = lib.xsring_take(self.pointer, buffer)
        return bytes(ffi.buffer(buffer, length)) if length > 0 else int(length)

    def put(self, data: bytes) -> int:
        return int(lib.xsring_put(self.pointer, data, len(data)))

    def kick(self) -> None:
        """And the loop has served it."""
        before = self.counters()["kicks"]
        self.wires.kick()
        until(lambda: self.counters()["kicks"] > before)

    def counters(self) -> dict[str, int]:
        counters = ffi.new("struct xsring_counters *")
        lib.xsring_counters(self.pointer, counters)
        return {name: getattr(counters, name) for name in dir(counters)}

    def close(self) -> None:
        ffi.release(self.pointer)
        self.loop.close()
        self.wires.close()
        self.memory.close()


@pytest.fixture
def rig() -> Iterator[Rig]:
    rig = Rig()
    yield rig
    rig.close()


def test_random_pieces_make_whole_messages(rig: Rig) -> None:
    dice = random.Random(2)
    sent = [message(n, dice.randbytes(dice.choice([0, 1, 40, 1024, 4096]))) for n in range(60)]
    waiting, taken = b"".join(sent), list[bytes]()
    back, answers = bytearray(), b""
    while len(taken) < len(sent) or len(answers) < len(back):
        piece = dice.randrange(1, 700)
        waiting = waiting[rig.req.put(waiting[:piece]) :]
        found = rig.take()
        if isinstance(found, bytes):
            taken.append(found)
            back += found[::-1]
            assert rig.put(found[::-1]) == 0
        answers += rig.rsp.get(dice.randrange(1, 700))
        if not waiting and found == NONE:
            rig.kick()

    assert taken == sent
    assert answers == bytes(back)
    assert rig.take() == IDLE
    assert rig.counters()["broken"] == 0


def test_a_guest_that_reads_nothing_is_answered_once(rig: Rig) -> None:
    rig.req.put(message(2, b"a") + message(2, b"b"))
    assert rig.take() == message(2, b"a")
    long = message(2, b"x" * 2000)
    assert rig.put(long) == 0

    assert rig.take() == NONE
    assert rig.put(b"more") == -11
    assert rig.rsp.get() == long[:1024]
    rig.kick()
    assert rig.rsp.get() == long[1024:]
    assert rig.take() == message(2, b"b")


def test_kick_posts_one_event_and_our_progress_is_told(rig: Rig) -> None:
    rig.req.put(message(2, b"a"))
    rig.kick()
    until(lambda: rig.posted == 1)

    assert rig.wires.called()
    assert rig.req.cons == 17
    assert rig.word(FEATURES) == 3


@pytest.mark.parametrize("jump", [1025, 1 << 31, (1 << 32) - 1])
def test_request_index_that_jumps_breaks_the_ring(rig: Rig, jump: int) -> None:
    rig.req.set_prod(jump)
    rig.kick()

    assert rig.word(ERROR) == RINGIDX
    assert rig.counters()["broken"] == 1
    assert rig.wires.called()
    rig.req.set_prod(20)
    assert rig.take() == NONE
    assert rig.put(b"x") == -11


@pytest.mark.parametrize("jump", [1, 1025, 1 << 31])
def test_response_index_that_jumps_breaks_the_ring(rig: Rig, jump: int) -> None:
    rig.rsp.set_cons(jump)
    assert rig.put(message(2, b"x")) == 0

    assert rig.word(ERROR) == RINGIDX
    assert rig.rsp.prod == 0


@pytest.mark.parametrize("length", [4097, 1 << 31, (1 << 32) - 1])
def test_message_that_is_too_long_breaks_the_ring(rig: Rig, length: int) -> None:
    rig.req.put(pack("<4I", 2, 0, 0, length))
    rig.kick()

    assert rig.word(ERROR) == PROTO
    assert rig.take() == NONE


def test_truncated_message_waits_for_its_end(rig: Rig) -> None:
    whole = message(2, b"abcdef")
    for part in (whole[:3], whole[3:16], whole[16:21]):
        rig.req.put(part)
        rig.kick()
        assert rig.take() == IDLE
    rig.req.put(whole[21:])

    assert rig.take() == whole


def test_guest_may_begin_anew_also_after_it_broke_the_ring(rig: Rig) -> None:
    rig.req.set_prod(5000)
    rig.kick()
    rig.memory.write(CONNECTION, pack("<I", 1))
    rig.kick()

    assert rig.word(CONNECTION) == 0
    assert [rig.req.cons, rig.req.prod, rig.rsp.cons, rig.rsp.prod] == [0] * 4
    assert rig.put(b"void") == -11
    assert rig.take() == RESTARTED
    rig.req.put(message(2, b"anew"))
    assert rig.take() == message(2, b"anew")
    assert rig.word(ERROR) == 0


def test_sizes_and_pages_that_cannot_be(rig: Rig) -> None:
    assert rig.put(bytes(lib.XSRING_MESSAGE + 1)) == -90
    wires = rig.wires
    assert lib.xsring_connect(rig.pointer, PAGE, wires.kick_fd, wires.call_fd) == -16
    lib.xsring_disconnect(rig.pointer)
    assert rig.take() == NONE
    assert lib.xsring_connect(rig.pointer, SIZE, wires.kick_fd, wires.call_fd) == 0
    rig.kick()
    assert rig.take() == IDLE


def test_pause_leaves_memory_alone(rig: Rig) -> None:
    lib.xsring_pause(rig.pointer, True)
    rig.req.put(message(2, b"a"))
    rig.kick()
    assert rig.take() == NONE
    assert rig.req.cons == 0
    lib.xsring_pause(rig.pointer, False)
    assert rig.take() == message(2, b"a")


def test_guest_that_scribbles_over_the_page_harms_nobody(rig: Rig) -> None:
    dice = random.Random(9)
    for _ in range(300):
        rig.memory.write(PAGE + 2048, dice.randbytes(32))
        if dice.random() < 0.2:
            rig.memory.write(CONNECTION, pack("<I", 1))
        rig.wires.kick()
        if isinstance(found := rig.take(), bytes):
            rig.put(found)
    lib.xsring_disconnect(rig.pointer)
    rig.connect()
    rig.req.put(message(2, b"end"))

    assert rig.take() == message(2, b"end")
