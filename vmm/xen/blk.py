"""PV disks: the back-end's side of blkif on a back-end of vmm.backends.block."""

from __future__ import annotations

import os
from time import monotonic

from vmm import log
from vmm.backends.block import BlockBackend
from vmm.backends.image import BlockConfig
from vmm.deviceconfig import DISK, bus_of, on_xen
from vmm.kindtable import KINDS
from vmm.native import ffi, lib, made
from vmm.record import replace
from vmm.xen.pvdevice import PvDevice, Unusable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vmm.context import DeviceContext
    from vmm.deviceconfig import DeviceConfig

MAJOR, MINORS = 202, 16  # xvda and the following, with their partitions
NARROW = {"x86_64-abi": False, "x86_32-abi": True}  # by protocol


class XenDisk(PvDevice):
    """The `index`th disk. It owns `backend`."""

    kind = "vbd"

    def __init__(
        self,
        name: str,
        context: DeviceContext,
        index: int,
        backend: BlockBackend,
        grants: object,
        *,
        queues: int,
    ) -> None:
        super().__init__(name, context, MAJOR << 8 | index * MINORS)
        self.index, self.backend, self.queues = index, backend, queues
        setup = ffi.new(
            "struct xblk_setup *",
            {
                "grants": grants,
                "loop": self.loop.pointer,
                "blk": backend.pointer,
                "sectors": backend.geometry.sectors,
                "read_only": backend.config.read_only,
                "queues": queues,
            },
        )
        self.pointer = made(lib.xblk_create(setup), lib.xblk_destroy, name, grants, self.loop)
        self._source = ffi.cast("void *", self.pointer)
        self._limit = log.Limit("warning")
        self.loop.on(lib.XBLK_EVENT, self._event, self._source)
        self.loop.on(lib.XBLK_IDLE, lambda _value, _source: self.follow(), self._source)

    def front_nodes(self) -> dict[str, str]:
        return {"virtual-device": str(self.number), "device-type": "disk"}

    def back_nodes(self) -> dict[str, str]:
        writable = not self.backend.config.read_only
        block = self.backend.geometry.block_size
        found = {
            "dev": f"xvd{chr(ord('a') + self.index)}", "type": "phy", "removable": "0",
            "bootable": "1", "mode": "w" if writable else "r", "feature-barrier": "0",
            "feature-flush-cache": "1", "feature-persistent": "1",
            "feature-max-indirect-segments": str(lib.XBLK_INDIRECT),
            "max-ring-page-order": str(lib.XBLK_RING_ORDER),
            "multi-queue-max-queues": str(self.queues),
        }  # fmt: skip
        if writable:
            found |= {"feature-discard": "1", "discard-granularity": str(block)}
            found |= {"discard-alignment": "0", "discard-secure": "0"}
        return found

    def connect(self) -> None:
        order = self.read_number("ring-page-order", default=0, most=int(lib.XBLK_RING_ORDER))
        abi = self.read("protocol")
        if abi is not None and abi not in NARROW:
            raise Unusable(f"protocol is {abi!r}, and only {' and '.join(NARROW)} are served")
        narrow = not self.domain.backend.wide() if abi is None else NARROW[abi]
        for queue, where in enumerate(self.queue_places(self.queues)):
            self._connect_queue(queue, where, 1 << order, narrow)
        shape = self.backend.geometry
        for name, value in (
            ("sectors", shape.sectors),
            ("info", 4 if self.backend.config.read_only else 0),
            ("sector-size", shape.block_size),
            ("physical-sector-size", shape.physical_size),
        ):
            self.write(name, str(value))

    def _connect_queue(self, queue: int, where: str, pages: int, narrow: bool) -> None:
        names = [where + "ring-ref"]
        if self.read(names[0]) is None:
            names = [f"{where}ring-ref{number}" for number in range(pages)]
        refs = ffi.new("uint32_t[]", [self.read_number(name) for name in names])
        channel = self.bind(self.read_number(where + "event-channel"))
        link = ffi.new("struct xblk_link *")
        link.refs, link.pages, link.narrow = refs, len(names), narrow
        link.kick, link.call = channel.kick, channel.call
        result = lib.xblk_connect(self.pointer, queue, link)
        if result < 0:
            raise Unusable(f"the ring of queue {queue} cannot be used: {os.strerror(-result)}")

    def disconnect(self) -> None:
        lib.xblk_disconnect(self.pointer)
        self.leave_channels()

    def busy(self) -> bool:
        return bool(lib.xblk_in_flight(self.pointer))

    def pause(self) -> None:
        self.loop.ask(lambda: lib.xblk_pause(self.pointer, True))
        self.settle()
        self.loop.ask(lambda: None)  # the last answers are in the ring

    def resume(self) -> None:
        self.loop.ask(lambda: lib.xblk_pause(self.pointer, False))

    def close(self) -> None:
        self.loop.off(lib.XBLK_EVENT, self._source)
        self.loop.off(lib.XBLK_IDLE, self._source)
        lib.xblk_disconnect(self.pointer)
        self.close_channels()
        ffi.release(self.pointer)
        self.backend.close()

    def counters(self) -> dict[str, int]:
        """What `struct xblk_counters` and `struct blk_counters` have."""
        counters = ffi.new("struct xblk_counters *")
        lib.xblk_counters(self.pointer, counters)
        found = {name: int(getattr(counters, name)) for name in dir(counters)}
        found |= self.backend.counters()
        return {f"{self.name}_{name}": value for name, value in found.items()}

    def _event(self, errno: int, _source: object) -> None:
        """On the loop's thread."""
        if not errno:
            self.fail("an index of its ring is impossible")
            return
        if (swallowed := self._limit.take(monotonic())) is None:
            return
        fields = {"why": os.strerror(errno), **({"swallowed": swallowed} if swallowed else {})}
        log.warning("disk.failed", dev=self.name, path=self.backend.config.path, **fields)
        self.context.notify("BLOCK_IO_ERROR", {"device": self.name, **fields})


def wanted(disks: tuple[DeviceConfig, ...]) -> list[tuple[int, DeviceConfig]]:
    """Those of `--disk` that are PV disks from the start: which one, and its settings."""
    found = enumerate(disk for disk in disks if bus_of(disk) != "virtio")
    return [
        (index, replace(disk, id=disk.id or f"xvd{chr(ord('a') + index)}"))
        for index, disk in found
        if on_xen(disk)
    ]


def make(context: DeviceContext, index: int, config: DeviceConfig, grants: object) -> XenDisk:
    """`--disk PATH,bus=xen`."""
    settings = KINDS[DISK].settings(config)
    image = BlockConfig.of(settings)
    queues = settings["queues"]
    backend = BlockBackend(config.id, image, context.loop, queues * int(lib.XBLK_REQUESTS))
    try:
        return XenDisk(config.id, context, index, backend, grants, queues=queues)
    except BaseException:
        backend.close()
        raise
