"""The PV console: hvc0 in the guest, a channel here, two rings in a page between them."""

from __future__ import annotations

from vmm import layout
from vmm.backends.chardev import open_console
from vmm.errors import StateError
from vmm.native import check, ffi, lib, made
from vmm.xen import abi

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vmm.consoleconfig import ConsoleConfig
    from vmm.context import DeviceContext
    from vmm.xen.channel import Channel
    from vmm.xen.domain import XenDomain
    from vmm.xen.store import Client, Store

LIMIT = 1 << 20  # bytes of output kept for a slow reader
CONSOLE_REF = 0  # GNTTAB_RESERVED_CONSOLE


class XenConsole:
    """A service of the domain (vmm/xen/services.py). Closing it flushes and closes its channel."""

    name = "hvc0"

    def __init__(self, context: DeviceContext, config: ConsoleConfig) -> None:
        overflow = "block" if context.config.console_overflow == "block" else "drop"
        self.chan = open_console(config, context.loop, overflow, LIMIT)
        try:
            self.chan.watch_panic(True)
            memory = context.memory
            self._memory = memory.accessor("xen console")
            pointer = lib.xencon_create(memory.pointer, context.loop.pointer, self.chan.pointer)
            self.pointer = made(
                pointer, lib.xencon_destroy, "the Xen console", memory, context.loop
            )
        except BaseException:
            self.chan.close()
            raise
        self._channel: Channel | None = None

    def begin(self, domain: XenDomain) -> None:
        page, self._channel = layout.XEN_CONSOLE_PAGE, domain.services.channels.open()
        self._memory.write(page, bytes(abi.PAGE))
        domain.params[abi.HVM_PARAM_CONSOLE_PFN] = page // abi.PAGE
        domain.params[abi.HVM_PARAM_CONSOLE_EVTCHN] = self._channel.port
        domain.services.grants.granted[CONSOLE_REF] = page // abi.PAGE
        kick, call = self._channel.kick, self._channel.call
        check(lib.xencon_connect(self.pointer, page, kick, call), "xencon_connect")

    def describe(self, store: Store, toolstack: Client, home: str) -> None:
        """What the guest finds of it in xenstore."""
        assert self._channel is not None
        entries = {
            "type": "xenconsoled", "output": self.chan.kind, "tty": self.chan.path,
            "limit": str(LIMIT), "ring-ref": str(layout.XEN_CONSOLE_PAGE // abi.PAGE),
            "port": str(self._channel.port),
        }  # fmt: skip
        for name, value in entries.items():
            store.write(toolstack, f"{home}/console/{name}", value.encode())

    def end(self, domain: XenDomain) -> None:
        lib.xencon_disconnect(self.pointer)
        if self._channel is not None:
            domain.services.channels.close(self._channel)
            self._channel = None

    def close(self) -> None:
        ffi.release(self.pointer)
        if self._channel is not None:
            self._channel.close_fds()
            self._channel = None
        self.chan.close()

    def halt(self) -> None:
        """Nothing is under way on the host."""

    def pause(self) -> None:
        lib.xencon_pause(self.pointer, True)

    def resume(self) -> None:
        lib.xencon_pause(self.pointer, False)

    def tail(self) -> bytes:
        """The last bytes the guest wrote, at most 16 KiB."""
        return self.chan.tail()

    def send_break(self) -> None:
        raise StateError(f"{self.name} has no break; Ctrl-O and a letter is SysRq there")

    def counters(self) -> dict[str, int]:
        counters = ffi.new("struct xencon_counters *")
        lib.xencon_counters(self.pointer, counters)
        found = {f"console_{name}": int(getattr(counters, name)) for name in dir(counters)}
        return found | {"console_dropped": self.chan.counters()["dropped_bytes"]}
