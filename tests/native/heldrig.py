"""A virtio disk whose back-end waits until the test lets it go on."""

from __future__ import annotations

import os
import struct
import threading
from pathlib import Path

import pytest

from tests.native.blkrig import IN, SECTOR, BlkRig, header
from tests.virtiopci import wait_for
from vmm.backends import block
from vmm.native import Fd

NUMBER = 7


class HeldRig(BlkRig):
    """The back-end ends no request before release(): io_uring's file is a pipe with nothing in it,
    and workers do not begin."""

    def __init__(self, image: Path, engine: str, patch: pytest.MonkeyPatch) -> None:
        self.gate = threading.Event()
        self.pipe = -1
        work = block.BlockBackend._work

        def work_later(backend: block.BlockBackend) -> None:
            self.gate.wait()
            work(backend)

        patch.setattr(block.BlockBackend, "_work", work_later)
        if engine == "io_uring":
            end, self.pipe = os.pipe2(os.O_CLOEXEC)
            patch.setattr(block, "open_again", lambda *_: Fd(end))
        super().__init__(image, engine=engine)

    def __exit__(self, *exception: object) -> None:
        self.release()
        super().__exit__(*exception)

    def release(self) -> None:
        """What is under way ends, and one request more: sectors with NUMBER in them."""
        self.gate.set()
        if self.pipe >= 0:
            os.write(self.pipe, struct.pack("<Q504x", NUMBER) * 2)
            os.close(self.pipe)
            self.pipe = -1

    def read_later(self) -> None:
        """The back-end has one request."""
        self.ring = self.start()
        self.chain = self.ring.add([header(IN, NUMBER)], [SECTOR, 1])
        self.ring.publish()
        self.driver.notify(0)
        wait_for(lambda: self.counters()["chains"] == 1, "the device to take the request")

    def has_read(self) -> bool:
        """What was asked for is in the guest's memory."""
        self.settle()
        return self.memory.read(self.chain.into[0][0], 8) == struct.pack("<Q", NUMBER)
