"""PV network cards: the back-end's side of Xen's netif on the queues of a tap."""

from __future__ import annotations

import os
from time import monotonic

from vmm import log
from vmm.backends.card import random_mac, tap_config
from vmm.backends.tap import Tap, open_tap
from vmm.deviceconfig import bus_of, on_xen
from vmm.errors import KvmError
from vmm.kindtable import KINDS
from vmm.native import ffi, lib, made
from vmm.record import replace
from vmm.xen.pvdevice import PvDevice, Unusable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vmm.context import DeviceContext
    from vmm.deviceconfig import DeviceConfig

NO_FD = -1
EBADFD = 77
# What the driver takes, by its node, and what the tap then may give it.
TAKES = (
    ("feature-sg", lib.XNET_SG, 0),
    ("feature-ipv6-csum-offload", lib.XNET_CSUM6, lib.TUN_F_CSUM),
    ("feature-gso-tcpv4", lib.XNET_TSO4, lib.TUN_F_TSO4),
    ("feature-gso-tcpv6", lib.XNET_TSO6, lib.TUN_F_TSO6),
)
NEEDS = {
    lib.XNET_TSO4: lib.XNET_SG | lib.XNET_CSUM4,
    lib.XNET_TSO6: lib.XNET_SG | lib.XNET_CSUM6,
}
BROKEN = {
    lib.XNET_BAD_INDEX: "an index of its ring is impossible",
    lib.XNET_BAD_SLOTS: "a frame has too many pieces, or no end",
    lib.XNET_BAD_SIZE: "a frame's pieces are longer than the frame, or than a page",
    lib.XNET_BAD_EXTRA: "a frame has extra information that cannot be",
    lib.XNET_BAD_GSO: "a frame is to be cut up in a way that cannot be",
}


class XenNet(PvDevice):
    """The `index`th card. It owns `tap`. mac: six bytes. mtu: 0 for nothing said."""

    kind = "vif"

    def __init__(
        self,
        name: str,
        context: DeviceContext,
        index: int,
        tap: Tap,
        grants: object,
        *,
        mac: bytes,
        mtu: int = 0,
    ) -> None:
        super().__init__(name, context, index)
        self.tap, self.mac, self.mtu = tap, mac.hex(":"), mtu
        self.queues = len(tap.fds)
        setup = ffi.new(
            "struct xnet_setup *",
            {
                "grants": grants,
                "loop": self.loop.pointer,
                "queues": self.queues,
                "fd": [fd.number for fd in tap.fds] + [NO_FD] * (lib.XNET_MAX_QUEUES - self.queues),
                "tap": tap.is_tap,
            },
        )
        self.pointer = made(lib.xnet_create(setup), lib.xnet_destroy, name, grants, self.loop)
        self._source = ffi.cast("void *", self.pointer)
        self._limit = log.Limit("warning")
        self.loop.on(lib.XNET_EVENT, self._event, self._source)

    def front_nodes(self) -> dict[str, str]:
        found = {"handle": str(self.number), "mac": self.mac}
        return found | ({"mtu": str(self.mtu)} if self.mtu else {})

    def back_nodes(self) -> dict[str, str]:
        return {
            "handle": str(self.number), "mac": self.mac, "hotplug-status": "connected",
            "feature-rx-copy": "1", "feature-rx-flip": "0", "feature-sg": "1",
            "feature-gso-tcpv4": "1", "feature-gso-tcpv6": "1",
            "feature-ipv6-csum-offload": "1", "feature-split-event-channels": "1",
            "multi-queue-max-queues": str(self.queues),
        }  # fmt: skip

    def connect(self) -> None:
        places = self.queue_places(self.queues)
        for needed in ("request-rx-copy", "feature-rx-notify"):
            if not self.read_number(needed, default=0):
                raise Unusable(f"{needed} is not set, and nothing else is served")
        takes = self._takes()
        try:
            self.tap.use(len(places), self._offloads(takes))
        except KvmError as error:
            if error.errno != EBADFD:  # a tap that is gone is a card without a cable
                raise Unusable(f"the tap refuses: {error}") from None
        for queue, where in enumerate(places):
            self._connect_queue(queue, where, takes)

    def _connect_queue(self, queue: int, where: str, takes: int) -> None:
        link = ffi.new("struct xnet_link *")
        link.tx_ref = self.read_number(where + "tx-ring-ref")
        link.rx_ref = self.read_number(where + "rx-ring-ref")
        if self.read(where + "event-channel-tx") is None:
            tx = rx = self.bind(self.read_number(where + "event-channel"))
        else:
            tx = self.bind(self.read_number(where + "event-channel-tx"))
            rx = self.bind(self.read_number(where + "event-channel-rx"))
        link.tx_kick, link.tx_call, link.rx_kick, link.rx_call = tx.kick, tx.call, rx.kick, rx.call
        result = lib.xnet_connect(self.pointer, queue, link, takes)
        if result < 0:
            raise Unusable(f"rings of queue {queue} cannot be used: {os.strerror(-result)}")

    def _takes(self) -> int:
        """XNET_*: what the driver says of frames for it."""
        found = 0 if self.read_number("feature-no-csum-offload", default=0) else lib.XNET_CSUM4
        for name, bit, _offload in TAKES:
            found |= bit if self.read_number(name, default=0) else 0
        for bit, needs in NEEDS.items():
            if found & needs != needs:
                found &= ~bit
        return int(found)

    def _offloads(self, takes: int) -> int:
        """TUN_F_*: what the tap may leave to the driver."""
        found = lib.TUN_F_CSUM if takes & lib.XNET_CSUM4 else 0
        for _name, bit, offload in TAKES:
            found |= offload if takes & bit else 0
        return int(found & self.tap.offloads)

    def disconnect(self) -> None:
        lib.xnet_disconnect(self.pointer)
        self.leave_channels()

    def pause(self) -> None:
        self.loop.ask(lambda: lib.xnet_pause(self.pointer, True))

    def resume(self) -> None:
        self.loop.ask(lambda: lib.xnet_pause(self.pointer, False))

    def close(self) -> None:
        self.loop.off(lib.XNET_EVENT, self._source)
        lib.xnet_disconnect(self.pointer)
        self.close_channels()
        ffi.release(self.pointer)
        self.tap.close()

    def counters(self) -> dict[str, int]:
        """What `struct xnet_counters` has."""
        counters = ffi.new("struct xnet_counters *")
        lib.xnet_counters(self.pointer, counters)
        return {f"{self.name}_{name}": int(getattr(counters, name)) for name in dir(counters)}

    def _event(self, what: int, _source: object) -> None:
        """On the loop's thread."""
        if what in BROKEN:
            self.fail(BROKEN[what])
        elif (swallowed := self._limit.take(monotonic())) is not None:
            fields = {"swallowed": swallowed} if swallowed else {}
            event = "net.tap_lost" if what == lib.XNET_LOST else "xen.net_refused"
            log.warning(event, dev=self.name, tap=self.tap.name, **fields)


def wanted(nets: tuple[DeviceConfig, ...]) -> list[tuple[int, DeviceConfig]]:
    """Those of `--net` that are PV cards from the start: which one, and its settings."""
    found = enumerate(net for net in nets if bus_of(net) != "virtio")
    return [
        (index, replace(net, id=net.id or f"vif{index}")) for index, net in found if on_xen(net)
    ]


def make(context: DeviceContext, index: int, config: DeviceConfig, grants: object) -> XenNet:
    """`--net tap,bus=xen`."""
    settings = KINDS[config.kind].settings(config)
    wanted = tap_config(settings)
    tap = open_tap(wanted)
    try:
        mac = settings["mac"] or random_mac()
        return XenNet(config.id, context, index, tap, grants, mac=mac, mtu=wanted.mtu)
    except BaseException:
        tap.close()
        raise
