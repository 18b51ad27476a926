"""virtio-rng: the guest's entropy, from the host's kernel or from a file."""

from __future__ import annotations

import os
import stat

from vmm.errors import HostError
from vmm.native import Fd, ffi, lib
from vmm.virtio.device import VirtioDevice
from vmm.virtio.make import behind_pci, on_its_loop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from vmm.context import DeviceContext
    from vmm.deviceconfig import DeviceConfig
    from vmm.virtio.transport import VirtioPci


class Rng(VirtioDevice):
    """source: a character device or pipe to read from; "" asks the kernel (getrandom).

    max_bytes: at most so many in each `period` milliseconds; 0 is no limit. HostError if the source
    cannot be opened.
    """

    kind = "virtio_rng"
    kernel_option = "CONFIG_HW_RANDOM_VIRTIO"

    def __init__(
        self,
        name: str,
        context: DeviceContext,
        source: str = "",
        max_bytes: int = 0,
        period: int = 1000,
    ) -> None:
        self._source = open_source(source) if source else None
        setup = ffi.new(
            "struct virtio_rng_setup *",
            {
                "mem": context.memory.pointer,
                "loop": context.loop.pointer,
                "clock": context.clock,
                "source": -1 if self._source is None else self._source.number,
                "max_bytes": max_bytes,
                "period_ns": period * 1_000_000,
            },
        )
        super().__init__(name, context, lib.virtio_rng_create(setup))

    def counters(self) -> dict[str, int]:
        """`random_bytes` given to the guest; `waits` for the source or for the next period."""
        counters = ffi.new("struct virtio_rng_counters *")
        lib.virtio_rng_counters(self.pointer, counters)
        return {"random_bytes": counters.bytes, "waits": counters.waits}

    def close(self) -> None:
        super().close()
        if self._source is not None:
            self._source.close()


def open_source(path: str) -> Fd:
    """Opened for non-blocking reads. A regular file would end, and be the same for every guest."""
    try:
        fd = Fd(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
    except OSError as error:
        raise HostError(
            f"Opening {path} as a source of random bytes failed: {error.strerror}"
        ) from error
    mode = os.fstat(fd.number).st_mode
    if stat.S_ISCHR(mode) or stat.S_ISFIFO(mode):
        return fd
    fd.close()
    raise HostError(
        f"{path} is no source of random bytes: it must be a character device such as "
        "/dev/hwrng, or a pipe"
    )


def make(context: DeviceContext, config: DeviceConfig, settings: dict[str, Any]) -> VirtioPci:
    """`--device virtio-rng`."""
    context = on_its_loop(context, settings)
    rng = Rng(
        config.id,
        context,
        source=settings["source"] or "",
        max_bytes=settings["max-bytes"] or 0,
        period=settings["period"],
    )
    return behind_pci(context, rng, settings)
