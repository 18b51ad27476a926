"""A queue as its device in Python sees it: an iterator of requests that vq.c has validated."""

from __future__ import annotations

from vmm.native import ffi, lib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

PIECES = 2 * lib.VQ_MAX_SIZE  # of one chain; regions of memory may cut a buffer in two
READ_LIMIT = 1 << 16  # bytes; what a guest says of its sizes is no reason to allocate more


class Chain:
    """One request: buffers the driver filled, then buffers to be filled.

    The memory is the guest's, which may change it at any moment: take a copy of what you check. The
    views are void once the chain is done.
    """

    def __init__(self, queue: ServedQueue, chain: Any) -> None:
        self._queue, self.life, self.head = queue, queue.life, int(chain.head)
        self.readable_bytes, self.writable_bytes = int(chain.out_len), int(chain.in_len)
        pieces = [
            (p.iov_base, p.iov_len) for p in chain.piece[0 : chain.out_count + chain.in_count]
        ]
        self._out, self._in = pieces[: chain.out_count], pieces[chain.out_count :]
        self._written = 0
        self.open = True

    @property
    def readable(self) -> list[memoryview]:
        """What the driver wrote."""
        return [view.toreadonly() for view in _views(self._out)]

    @property
    def writable(self) -> list[memoryview]:
        """Where the answer goes."""
        return _views(self._in)

    def read(self, limit: int = READ_LIMIT) -> bytes:
        """A copy of what the driver wrote, at most `limit` bytes."""
        parts = []
        for view in self.readable:
            parts.append(bytes(view[:limit]))
            limit -= len(parts[-1])
        return b"".join(parts)

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Puts bytes behind those written before; how many there was room for."""
        skip, done, rest = self._written, 0, memoryview(data)
        for view in self.writable:
            room = view[skip:]
            count = min(len(room), len(rest))
            room[:count] = rest[:count]
            rest, done = rest[count:], done + count
            skip = max(0, skip - len(view))
        self._written += done
        return done

    def keep(self) -> None:
        """The device will call `done()` later, on the loop's thread."""
        self._queue.kept.add(self)

    def done(self, written: int | None = None) -> None:
        """Gives the chain back. written: bytes, if not all went through `write()`."""
        if not self.open or self.life != self._queue.life:
            return  # done before, or the driver has reset the queue
        self.open = False
        self._queue.push(self, self._written if written is None else written)


class ServedQueue:
    """`for chain in queue` takes what is available, at most one queue-full in a go.

    Each chain is done when the body ends, unless it was kept. Leaving the loop early gives a chain
    that is not done back to the queue: that is how a device holds the driver up; see `again()`.
    """

    def __init__(self, vdev: Any, index: int, size: int, at_rest: Callable[[], None]) -> None:
        """at_rest: called when the last chain that was kept is done."""
        self.index, self.size = index, size
        self.kept: set[Chain] = set()
        self.life = 0  # grows with each reset
        self._vdev, self._at_rest = vdev, at_rest
        self._vq = ffi.addressof(vdev.queue[index], "vq")
        self._pieces = ffi.new("struct iovec[]", PIECES)
        self._chain = ffi.new("struct vq_chain *", {"piece": self._pieces, "cap": PIECES})

    @property
    def live(self) -> bool:
        """Whether chains may be taken now. On the loop's thread."""
        return bool(lib.virtio_queue_live(self._vdev, self.index))

    def __iter__(self) -> Iterator[Chain]:
        taken = 0
        chain = None
        try:
            while taken < self.size and (chain := self._pop()) is not None:
                taken += 1
                yield chain
                if chain not in self.kept:
                    chain.done()
            early = False
        except BaseException:
            early = True
            raise
        finally:
            self._finish(chain if early else None)

    def _pop(self) -> Chain | None:
        result = lib.vq_pop(self._vq, self._chain) if self.live else 0
        if result < 0:
            lib.virtio_needs_reset(self._vdev, lib.VIRTIO_FAULT_RING)
        return Chain(self, self._chain) if result == 1 else None

    def _finish(self, left: Chain | None) -> None:
        """left: the chain at which the loop was left early."""
        if left is not None and left.open and left not in self.kept and left.life == self.life:
            left.open = False
            lib.vq_unpop(self._vq)
        self.flush()
        if lib.vq_kicks_on(self._vq) and left is None:
            self.again()

    def again(self) -> None:
        """Another `kick()` for this queue, soon. Any thread."""
        lib.virtio_again(self._vdev, self.index)

    def push(self, chain: Chain, written: int) -> None:
        lib.vq_push(self._vq, chain.head, min(written, chain.writable_bytes))
        if chain in self.kept:
            self.kept.remove(chain)
            self.flush()
            if not self.kept:
                self._at_rest()

    def flush(self) -> None:
        """Shows the driver what is done. Happens by itself at the end of an iteration."""
        if lib.vq_flush(self._vq):
            lib.virtio_interrupt(self._vdev, self.index)

    def forget(self) -> None:
        """The driver has reset the queue."""
        self.life += 1
        self.kept.clear()


def _views(pieces: list[tuple[Any, int]]) -> list[memoryview]:
    return [memoryview(ffi.buffer(base, length)).cast("B") for base, length in pieces]
