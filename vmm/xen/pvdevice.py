"""What PV disks and network cards share: nodes in xenstore and the states of both ends.

Protocol: xen/include/public/io/xenbus.h. The guest's driver writes what we need into its own nodes
and changes its state; we follow on the loop's thread. Whatever is wrong there ends in our closing.
"""

from __future__ import annotations

from vmm import log
from vmm.errors import VmmError
from vmm.xen import abi
from vmm.xen.abi import XenError
from vmm.xen.store import Client
from vmm.xen.storetree import StoreError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vmm.context import DeviceContext
    from vmm.xen.channel import Channel
    from vmm.xen.domain import XenDomain

Initialising, InitWait, Initialised, Connected, Closing, Closed = 1, 2, 3, 4, 5, 6
PATIENCE, DRAIN = 30.0, 0.001  # s
NUMBER_MAX = (1 << 32) - 1
FRONT = (("n", abi.DOMID_GUEST), ("r", 0))  # the guest's own
BACK = (("n", 0), ("r", abi.DOMID_GUEST))


class Unusable(Exception):
    """What the guest's driver wrote cannot be served."""


class PvDevice:
    """One device and its two directories. Subclasses say what is in them, connect and disconnect.

    A service of the domain (vmm/xen/services.py); `kind` is "vbd" or "vif".
    """

    kind = ""

    def __init__(self, name: str, context: DeviceContext, number: int) -> None:
        self.name, self.context, self.number = name, context, number
        self.loop = context.loop
        self.front = f"/local/domain/{abi.DOMID_GUEST}/device/{self.kind}/{number}"
        self.back = f"/local/domain/0/backend/{self.kind}/{abi.DOMID_GUEST}/{number}"
        self.client = Client(0, lambda _path, _token: self.loop.call(self.follow))
        self.state = 0
        self.channels: list[Channel] = []  # that were bound
        self.domain: XenDomain
        self._alive = False

    # --- what a subclass writes; on the loop's thread, or while the guest stands still

    def front_nodes(self) -> dict[str, str]:
        """What the guest's driver finds in its own directory."""
        return {}

    def back_nodes(self) -> dict[str, str]:
        """What we offer, in ours."""
        return {}

    def connect(self) -> None:
        """The driver has written what it wants. Unusable if that cannot be."""
        raise NotImplementedError

    def disconnect(self) -> None:
        """Takes nothing more from the guest. What is under way may go on. May be repeated."""
        raise NotImplementedError

    def busy(self) -> bool:
        """Whether something is under way that uses memory of the guest. Any thread."""
        return False

    # --- with the domain

    def begin(self, domain: XenDomain) -> None:
        self.domain, self._alive, self.state = domain, True, 0
        store = domain.services.xenstore.store
        front = {"backend": self.back, "backend-id": "0", "state": str(Initialising)}
        back = {"frontend": self.front, "frontend-id": str(abi.DOMID_GUEST), "online": "1"}
        front, back = front | self.front_nodes(), back | self.back_nodes()
        store.write_all(self.client, {self.front: ""}, FRONT)
        store.write_all(self.client, {f"{self.front}/{k}": v for k, v in front.items()}, FRONT)
        store.write_all(self.client, {self.back: ""}, BACK)
        store.write_all(self.client, {f"{self.back}/{k}": v for k, v in back.items()}, BACK)
        self._switch(InitWait)
        self.client.watches.clear()
        store.connect(self.client)
        store.watch(self.client, f"{self.front}/state", "state")

    def end(self, domain: XenDomain) -> None:
        """Halted before."""
        domain.services.xenstore.store.disconnect(self.client)

    def halt(self) -> None:
        """Nothing of the guest's is used when this returns. Not on the loop's thread."""
        self._alive = False
        self.loop.ask(self.disconnect)
        self.settle()

    def settle(self) -> None:
        """Waits until nothing is under way. VmmError if the host takes too long."""
        import time

        give_up = time.monotonic() + PATIENCE
        while self.busy():
            if time.monotonic() > give_up:
                raise VmmError(f"{self.name} is stuck: the host has not ended what it began")
            time.sleep(DRAIN)

    # --- states

    def _switch(self, state: int) -> None:
        self.state = state
        self.write("state", str(state))

    def follow(self) -> None:
        """The driver's state may have changed."""
        if not self._alive:
            return
        theirs = self.read_number("state", default=0)
        if theirs in (Initialised, Connected) and self.state == InitWait:
            self._connect()
        elif theirs == Initialising and self.state in (Closing, Closed):
            self._switch(InitWait)
        elif theirs == Closing and self.state in (InitWait, Connected):
            self.disconnect()
            self._switch(Closing)
        elif theirs in (0, Closed) and self.state in (InitWait, Connected, Closing):
            self.disconnect()
            if not self.busy():  # else followed once more when it is not
                self._switch(Closed)

    def _connect(self) -> None:
        try:
            self.connect()
        except Unusable as problem:
            log.limited("xen.device_refused", dev=self.name, reason=str(problem))
            self.write(f"/local/domain/0/error/{self.kind}/{self.number}", str(problem))
            self.disconnect()
            self._switch(Closing)
        else:
            self._switch(Connected)

    def fail(self, reason: str) -> None:
        """The guest broke the protocol: it is served no more. On the loop's thread.

        Nothing if it is not connected any more: this was of a connection that has ended.
        """
        if not self._alive or self.state != Connected:
            return
        log.limited("xen.device_broken", dev=self.name, reason=reason)
        self.disconnect()
        self._switch(Closing)

    # --- for subclasses

    def write(self, name: str, value: str) -> None:
        """One of our nodes, or another by its absolute path."""
        path = name if name.startswith("/") else f"{self.back}/{name}"
        self.domain.services.xenstore.store.write_all(self.client, {path: value}, BACK)

    def read(self, name: str) -> str | None:
        """What the driver wrote; `None` if it has not."""
        store = self.domain.services.xenstore.store
        try:
            return store.read(self.client, f"{self.front}/{name}").decode("latin-1")
        except StoreError:
            return None

    def read_number(self, name: str, *, default: int | None = None, most: int = NUMBER_MAX) -> int:
        """A decimal number from 0 to `most`. Unusable for anything else, unless there is a default
        and nothing is written.
        """
        text = self.read(name)
        if text is None and default is not None:
            return default
        digits = text is not None and text.isascii() and text.isdecimal() and len(text) <= 10
        if text is None or not digits or int(text) > most:
            if name == "state" and default is not None:
                return default
            raise Unusable(f"{name} is {text!r}")
        return int(text)

    def queue_places(self, most: int) -> list[str]:
        """Where the driver wrote of each of its queues: what the names of nodes begin with."""
        count = self.read_number("multi-queue-num-queues", default=1, most=most)
        if not count:
            raise Unusable("multi-queue-num-queues is 0")
        return [f"queue-{queue}/" for queue in range(count)] if count > 1 else [""]

    def bind(self, port: int) -> Channel:
        """The event channel that the driver made for us."""
        try:
            with self.domain.lock:
                self.channels.append(self.domain.services.channels.bind(port))
                return self.channels[-1]
        except XenError as error:
            raise Unusable(f"event channel {port} cannot be bound: {error.number}") from None
        except (OSError, VmmError) as error:
            raise Unusable(f"event channel {port} cannot be bound: {error}") from None

    def leave_channels(self) -> None:
        """Ends what was bound; nothing serves it any more. May be repeated."""
        channels, self.channels = self.channels, []
        if channels:
            with self.domain.lock:
                for channel in channels:
                    self.domain.services.channels.close(channel)

    def close_channels(self) -> None:
        """The same when there is no domain any more."""
        channels, self.channels = self.channels, []
        for channel in channels:
            channel.close_fds()
