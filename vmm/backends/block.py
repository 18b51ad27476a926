"""What serves a disk: an image or block device of the host, and the engine that does the work.

Any front-end can use one: it gives requests to `pointer`, a `struct blk *` (core/backends/blk.h).
"""

from __future__ import annotations

import os

from vmm.backends.image import (
    BlockConfig,
    Geometry,
    check_format,
    direct_align,
    is_device,
    measure,
    open_again,
    open_image,
)
from vmm.errors import HostError
from vmm.native import Fd, ffi, lib, made
from vmm.threads import Thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from vmm.loop import IoLoop

WORKERS = 4  # threads of a disk without io_uring
DISCARDERS = 1  # ... of one whose io_uring cannot discard, which Linux 6.12 taught it
ENGINES = {"io_uring": lib.BLK_URING, "threads": lib.BLK_THREADS}


class BlockBackend:
    """`name` is the disk's in messages, `depth` the number of requests it has at most.

    HostError, with nothing left open, if the host does not let us have it.
    """

    def __init__(self, name: str, config: BlockConfig, loop: IoLoop, depth: int) -> None:
        self.name, self.config = name, config
        self._workers: list[Thread] = []
        # Not the one that is worked with: io_uring lets go of files some time after its end.
        self.file = open_image(config)
        self._cached: Fd | None = None
        self._direct: Fd | None = None
        try:
            check_format(self.file, config)
            self.geometry = measure(self.file, config)
            self._cached = open_again(self.file, config)
            if config.direct:
                self._direct = open_again(self.file, config, os.O_DIRECT)
            self.engine, self.pointer = self._make(loop, depth, self._cached)
        except BaseException:
            self._close_files()
            raise
        try:
            wanted = WORKERS if self.engine == "threads" else DISCARDERS
            for number in range(wanted if lib.blk_wants_workers(self.pointer) else 0):
                worker = Thread(target=self._work, name=f"{name[-12:]}-{number}")
                worker.start()
                self._workers.append(worker)
        except BaseException:
            self.close()
            raise

    def _make(self, loop: IoLoop, depth: int, cached: Fd) -> tuple[str, Any]:
        """The engine that was asked for, or the first of those that work."""
        names = list(ENGINES) if self.config.engine == "auto" else [self.config.engine]
        memory, block = direct_align(self._direct) if self._direct else (1, 1)
        fields = {
            "loop": loop.pointer,
            "fd": cached.number,
            "direct_fd": self._direct.number if self._direct else -1,
            "memory_align": memory,
            "block_align": block,
            "device": is_device(cached),
            "depth": depth,
        }
        for name in names:
            setup = ffi.new("struct blk_setup *", {**fields, "engine": ENGINES[name]})
            pointer = lib.blk_create(setup)
            if pointer != ffi.NULL:
                return name, made(pointer, lib.blk_destroy, self.name, loop.pointer)
            error = os.strerror(ffi.errno)
        raise HostError(
            f"The engine {names[-1]} for {self.name} cannot be had: {error}; without engine= one "
            "that works is taken"
        )

    def _work(self) -> None:
        lib.vcpu_thread_mask_signals()
        lib.blk_work(self.pointer)

    def grown(self) -> Geometry | None:
        """The geometry if the size has changed since it was last looked at."""
        now = measure(self.file, self.config)
        if now.sectors == self.geometry.sectors:
            return None
        self.geometry = now
        return now

    def counters(self) -> dict[str, int]:
        """What `struct blk_counters` has."""
        counters = ffi.new("struct blk_counters *")
        lib.blk_counters(self.pointer, counters)
        return {name: getattr(counters, name) for name in dir(counters)}

    def close(self) -> None:
        """No request is under way. May be repeated."""
        if self.pointer is None:
            return
        lib.blk_stop(self.pointer)
        for worker in self._workers:
            worker.join()
        ffi.release(self.pointer)
        self.pointer = None
        self._close_files()

    def abandon(self) -> None:
        """Requests are under way that do not end: their memory stays, and the image locked."""
        if self.pointer is not None:
            ffi.gc(self.pointer, None)
            self.pointer = None

    def _close_files(self) -> None:
        for file in (self._direct, self._cached, self.file):
            if file is not None:
                file.close()
