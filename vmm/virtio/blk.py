"""virtio-blk: a disk on a back-end of vmm.backends.block."""

from __future__ import annotations

import os
from time import monotonic

from vmm import log
from vmm.backends.block import BlockBackend
from vmm.backends.image import BlockConfig
from vmm.errors import ConfigError
from vmm.native import ffi, lib
from vmm.virtio.device import VirtioDevice
from vmm.virtio.make import behind_pci, on_its_loop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from vmm.context import DeviceContext
    from vmm.deviceconfig import DeviceConfig
    from vmm.virtio.transport import VirtioPci

MASS_STORAGE_OTHER = 0x018000  # PCI class
SERIAL_MAX = int(lib.VIRTIO_BLK_ID_BYTES)
QUEUES_MAX = int(lib.VBLK_MAX_QUEUES)


class Blk(VirtioDevice):
    """The disk owns `backend`. serial: what the guest may ask for, at most SERIAL_MAX bytes."""

    kind = "vblk"
    pci_class = MASS_STORAGE_OTHER
    kernel_option = "CONFIG_VIRTIO_BLK"

    def __init__(
        self, name: str, context: DeviceContext, backend: BlockBackend, *, queues: int, serial: str
    ) -> None:
        self.backend, self.notify, self.loop = backend, context.notify, context.loop
        shape = backend.geometry
        setup = ffi.new(
            "struct vblk_setup *",
            {
                "mem": context.memory.pointer,
                "loop": context.loop.pointer,
                "blk": backend.pointer,
                "sectors": shape.sectors,
                "queues": queues,
                "read_only": backend.config.read_only,
                "block_size": shape.block_size,
                "physical_size": shape.physical_size,
                "min_io": shape.min_io,
                "opt_io": shape.opt_io,
                "alignment": shape.alignment,
                "serial": serial.encode(errors="surrogateescape"),
            },
        )
        super().__init__(name, context, lib.vblk_create(setup))
        self._limit = log.Limit("warning")
        self.loop.on(lib.VBLK_EVENT_ERROR, self._failed, self._source)

    @property
    def _source(self) -> Any:
        return ffi.cast("void *", ffi.addressof(self.pointer, "vdev"))

    def _failed(self, errno: int, _source: object) -> None:
        """The host failed a request; the guest was told. On the loop's thread."""
        swallowed = self._limit.take(monotonic())
        if swallowed is None:
            return
        fields = {"why": os.strerror(errno), **({"swallowed": swallowed} if swallowed else {})}
        log.warning("disk.failed", dev=self.name, path=self.backend.config.path, **fields)
        self.notify("BLOCK_IO_ERROR", {"device": self.name, **fields})

    def resize(self) -> int:
        """Tells the guest how large the image is by now; its size in bytes."""
        shape = self.backend.grown()
        if shape is not None:
            self.loop.ask(lambda: lib.vblk_resize(self.pointer, shape.sectors))
        return self.backend.geometry.sectors * int(lib.BLK_SECTOR)

    def counters(self) -> dict[str, int]:
        """What `struct vblk_counters` and `struct blk_counters` have."""
        counters = ffi.new("struct vblk_counters *")
        lib.vblk_counters(self.pointer, counters)
        own = {name: int(getattr(counters, name)) for name in dir(counters)}
        return own | self.backend.counters()

    def close(self) -> None:
        if self.pointer is None:
            return
        self.core.close()
        self.loop.off(lib.VBLK_EVENT_ERROR, self._source)
        super().close()
        self.backend.close()

    def abandon(self) -> None:
        super().abandon()
        self.backend.abandon()


def make(context: DeviceContext, config: DeviceConfig, settings: dict[str, Any]) -> VirtioPci:
    """`--disk`, or `--device virtio-blk`."""
    serial, queues = settings["serial"] or config.id, settings["queues"]
    if not settings["path"]:
        raise ConfigError(f"{config.id} needs path=, the image or block device that it is")
    if settings["bus"] == "xen":
        raise ConfigError(f"{config.id} has bus=xen; that can be said with --disk only, at start")
    if not 1 <= queues <= QUEUES_MAX:
        raise ConfigError(f"{config.id} has queues={queues}; a disk has 1 to {QUEUES_MAX}")
    if settings["serial"] and len(serial.encode(errors="surrogateescape")) > SERIAL_MAX:
        raise ConfigError(f"The serial {serial!r} of {config.id} has over {SERIAL_MAX} bytes")
    context = on_its_loop(context, settings)
    image = BlockConfig.of(settings)
    backend = BlockBackend(config.id, image, context.loop, queues * int(lib.VBLK_QUEUE_SIZE))
    try:
        disk = Blk(config.id, context, backend, queues=queues, serial=serial[:SERIAL_MAX])
    except BaseException:
        backend.close()
        raise
    return behind_pci(context, disk, settings)
