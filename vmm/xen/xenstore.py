"""xenstore for one domain: the guest's ring, and what a toolstack would have written.

The ring moves whole messages in C (xsring.h); what they mean is decided here, on the loop's
thread. Events of watches wait here until the guest reads, equal ones only once, so that neither a
guest that watches everything nor one that reads nothing makes this grow.
"""

from __future__ import annotations

from vmm import layout, log
from vmm.errors import StateError
from vmm.native import check, ffi, lib, made
from vmm.threads import Lock
from vmm.xen import abi, xswire
from vmm.xen.store import Client, Store
from vmm.xen.storetree import Node, StoreError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from vmm.context import DeviceContext
    from vmm.xen.channel import Channel
    from vmm.xen.console import XenConsole
    from vmm.xen.domain import XenDomain

OUTSIDE_MAX = 64  # paths watched at the control socket
EVENTS_MAX = 1024  # that wait for the guest
TURN = 32  # messages before it is another source's turn
XENSTORE_REF = 1  # GNTTAB_RESERVED_XENSTORE
KEEPER = (("n", 0), ("r", abi.DOMID_GUEST))  # the guest may read
GUESTS = (("n", abi.DOMID_GUEST),)  # the guest's own
# Where a guest may write, below its home.
OWN = (
    "control/shutdown", "control/feature-poweroff", "control/feature-reboot",
    "control/feature-suspend", "control/feature-s3", "control/feature-s4", "control/sysrq",
    "data", "drivers", "feature", "attr", "error", "device/suspend/event-channel",
)  # fmt: skip


class XenStore:
    """A service of the domain (vmm/xen/services.py).

    `toolstack` and `outside` are domain 0: for our own use, and for those at the control socket.
    """

    def __init__(self, context: DeviceContext) -> None:
        self._loop, self._context = context.loop, context
        self.store = Store()
        self.console: XenConsole | None = None  # has begun before
        self.toolstack = Client(0, lambda _path, _token: None)
        self.outside = Client(0, self._tell_outside)
        self.store.connect(self.outside)
        self._watched: dict[str, int] = {}  # from outside: how often each
        self._guest = self._new_guest()
        self._waiting: dict[tuple[str, str], None] = {}
        self._lost = 0
        self._called = False  # _serve() will run
        self._lock = Lock()  # guards the four above; a leaf
        self._channel: Channel | None = None
        self._buffer = ffi.new("uint8_t[]", lib.XSRING_MESSAGE)
        memory = context.memory
        pointer = lib.xsring_create(memory.pointer, self._loop.pointer)
        self.pointer = made(pointer, lib.xsring_destroy, "xenstore's ring", memory, self._loop)
        self._source = ffi.cast("void *", self.pointer)
        self._loop.on(lib.XSRING_EVENT, lambda _value, _source: self._serve(), self._source)
        self._memory = memory.accessor("xenstore")

    # --- with the domain

    def begin(self, domain: XenDomain) -> None:
        channel = self._channel = domain.services.channels.open()
        page = layout.XEN_STORE_PAGE
        self._memory.write(page, bytes(abi.PAGE))
        domain.params[abi.HVM_PARAM_STORE_PFN] = page // abi.PAGE
        domain.params[abi.HVM_PARAM_STORE_EVTCHN] = channel.port
        domain.services.grants.granted[XENSTORE_REF] = page // abi.PAGE
        self.store.reset()
        self._begin_anew()
        self._populate(channel.port)
        result = lib.xsring_connect(self.pointer, page, channel.kick, channel.call)
        check(result, "xsring_connect")

    def _populate(self, port: int) -> None:
        """What a toolstack writes for a domain before it runs."""
        config, home, store = self._context.config, self._guest.home, self.store
        kib = str(config.mem >> 10)
        entries = {
            home: "", "domid": str(abi.DOMID_GUEST), "name": config.name, "vm": "/vm/1",
            "memory/target": kib, "memory/static-max": kib, "memory/videoram": "0",
            "store/port": str(port), "store/ring-ref": str(layout.XEN_STORE_PAGE // abi.PAGE),
            "control": "", "control/platform-feature-multiprocessor-suspend": "1",
            "control/platform-feature-xs_reset_watches": "1", "device": "",
        }  # fmt: skip
        entries |= {f"cpu/{n}/availability": "online" for n in range(config.cpus)}
        for path, value in entries.items():
            absolute = path if path == home else f"{home}/{path}"
            store.write(self.toolstack, absolute, value.encode())
            if path == home:
                store.set_perms(self.toolstack, home, KEEPER)
        if self.console is not None:
            self.console.describe(store, self.toolstack, home)
        store.write_all(self.toolstack, {f"{home}/{path}": "" for path in OWN}, GUESTS)
        store.write_all(self.toolstack, {"/vm/1/name": config.name}, KEEPER)

    def end(self, domain: XenDomain) -> None:
        self.store.disconnect(self._guest)
        if self._channel is not None:
            domain.services.channels.close(self._channel)
            self._channel = None

    def close(self) -> None:
        self._loop.off(lib.XSRING_EVENT, self._source)
        lib.xsring_disconnect(self.pointer)
        if self._channel is not None:
            self._channel.close_fds()
            self._channel = None
        ffi.release(self.pointer)

    def halt(self) -> None:
        """An answer that was under way is over when this returns."""
        lib.xsring_disconnect(self.pointer)
        self._loop.ask(lambda: None)

    def pause(self) -> None:
        lib.xsring_pause(self.pointer, True)

    def resume(self) -> None:
        lib.xsring_pause(self.pointer, False)

    def counters(self) -> dict[str, int]:
        counters: Any = ffi.new("struct xsring_counters *")
        lib.xsring_counters(self.pointer, counters)
        found = {f"xenstore_{name}": int(getattr(counters, name)) for name in dir(counters)}
        return found | {"xenstore_events_lost": self._lost, "xenstore_nodes": self.store.size()}

    # --- those at the control socket: any thread; StateError, a sentence, for what cannot be

    def outside_read(self, path: str) -> Node:
        try:
            return self.store.node(self.outside, path)
        except StoreError as error:
            raise _refused(path, error) from None

    def outside_write(self, path: str, value: bytes | None) -> None:
        """value: `None` removes."""
        try:
            if value is None:
                self.store.remove(self.outside, path)
            else:
                self.store.write(self.outside, path, value)
        except StoreError as error:
            raise _refused(path, error) from None

    def outside_watch(self, path: str, *, on: bool) -> None:
        """Several may watch the same node, and all of them are told of each change."""
        with self._lock:
            count = self._watched.get(path, 0)
            if on and not count and len(self._watched) >= OUTSIDE_MAX:
                raise StateError(f"{OUTSIDE_MAX} paths are watched already; end a watch before")
        try:
            if on and not count:
                self.store.watch(self.outside, path, path)
            elif not on and count <= 1:
                self.store.unwatch(self.outside, path, path)
        except StoreError as error:
            raise _refused(path, error) from None
        with self._lock:
            self._watched[path] = count + (1 if on else -1)
            if self._watched[path] <= 0:
                del self._watched[path]
        if on and count:
            self._tell_outside(path, path)

    def _tell_outside(self, path: str, token: str) -> None:
        self._context.notify("XENSTORE_WATCH", {"path": path, "watch": token})

    # --- the guest

    def _new_guest(self) -> Client:
        """One life of it: events on their way to an earlier one are nobody's."""
        client = Client(abi.DOMID_GUEST, lambda path, token: self._tell(client, path, token))
        return client

    def _begin_anew(self) -> None:
        self.store.disconnect(self._guest)
        with self._lock:
            self._guest = self._new_guest()
            self._waiting.clear()
        self.store.connect(self._guest)

    def _tell(self, client: Client, path: str, token: str) -> None:
        """An event for the guest. Any thread."""
        with self._lock:
            if client is not self._guest:
                return
            full = len(self._waiting) >= EVENTS_MAX and (path, token) not in self._waiting
            self._lost += full
            if not full:
                self._waiting[path, token] = None
        if full:
            log.limited("xen.watch_event_lost", path=path)
        self._serve_soon()

    def _next_event(self) -> tuple[str, str] | None:
        with self._lock:
            found = next(iter(self._waiting), None)
            if found is not None:
                del self._waiting[found]
            return found

    def _serve_soon(self) -> None:
        with self._lock:
            called, self._called = self._called, True
        if not called:
            self._loop.call(self._serve)

    def _serve(self) -> None:
        """Answers as long as the guest takes answers. Context: the loop's thread."""
        with self._lock:
            self._called = False
        for _ in range(TURN):
            if not self._serve_one():
                return
        self._serve_soon()  # others want the loop too

    def _serve_one(self) -> bool:
        """Whether there was something to do that could be done."""
        length = lib.xsring_take(self.pointer, self._buffer)
        if length == lib.XSRING_RESTARTED:
            self._begin_anew()
        elif length > 0:
            request = bytes(ffi.buffer(self._buffer, length))
            self._put(xswire.answer(self.store, self._guest, request))
        elif length == lib.XSRING_IDLE:
            found = self._next_event()
            if found is None:
                return False
            event = xswire.event(*found)
            if event is not None:
                self._put(event)
        else:
            return False
        return True

    def _put(self, message: bytes) -> None:
        lib.xsring_put(self.pointer, message, len(message))


def _refused(path: str, error: StoreError) -> StateError:
    name = error.args[0]
    reasons = {"ENOENT": "there is no such node", "EINVAL": "that is no path of a node"}
    return StateError(f"xenstore refuses {path}: {reasons.get(name, name)}")
