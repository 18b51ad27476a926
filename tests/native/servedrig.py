"""A virtio device served in Python: what is sent to it comes back in capitals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.native.virtiorig import VirtioRig
from tests.virtiopci import wait_for
from vmm.context import DeviceContext
from vmm.virtio.chain import Chain, ServedQueue
from vmm.virtio.served import ServedDevice


class Upper(ServedDevice):
    """Answers with the request in capitals; queue 1 only swallows."""

    device_id = 0x3F
    queue_sizes = (16, 4)
    features = 1 << 3
    config = b"hello\x01"
    config_writable = b"\0\0\0\0\0\xff"

    def __init__(self, name: str, context: DeviceContext) -> None:
        super().__init__(name, context)
        self.heard: list[tuple[Any, ...]] = []
        self.act: Callable[[Chain], object] = lambda chain: chain.write(chain.read().upper())

    def started(self, features: int) -> None:
        self.heard.append(("started", features >> 3 & 1))

    def kick(self, queue: ServedQueue) -> None:
        for chain in queue:
            if queue.index == 0:
                self.act(chain)

    def stopped(self) -> None:
        self.heard.append(("stopped",))

    def config_written(self, config: bytes) -> None:
        self.heard.append(("config", config))

    def state(self) -> Any:
        return {"heard": len(self.heard)}

    def restore(self, state: Any) -> None:
        self.heard.append(("restored", state))


def exchange(rig: VirtioRig, ring: Any, text: bytes) -> bytes:
    """The answer to one request."""
    ring.add([text], [len(text)])
    return rig.exchange(0, ring)[0].data


def collect(ring: Any, count: int) -> list[bytes]:
    """Answers, at least so many."""
    done: list[Any] = []
    wait_for(lambda: done.extend(ring.collect()) or len(done) >= count, "used chains")
    return [used.data for used in done]


def keep_one(rig: VirtioRig, ring: Any) -> list[Chain]:
    """From here on the device keeps the chains it gets; it has the first."""
    kept: list[Chain] = []
    rig.device.act = lambda chain: (chain.keep(), kept.append(chain))
    ring.add([b"1"], [8])
    ring.publish()
    rig.driver.notify(0)
    wait_for(lambda: kept, "the device to have it")
    return kept
