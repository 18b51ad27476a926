"""virtio-console: consoles (hvcN) and named ports (vportNpM) between a guest and byte channels.

Every port has a channel of vmm.backends. Ports come and go while the guest runs: what is done to
the device in C is done on its loop's thread, what is done on the host on the caller's.
"""

from __future__ import annotations

from vmm import log
from vmm.consoleplan import KIND, implied, ports_of, room
from vmm.errors import StateError
from vmm.kinds import ids_of
from vmm.native import ffi, lib
from vmm.portconfig import PortConfig
from vmm.record import replace
from vmm.virtio.consoleport import Port, open_end
from vmm.virtio.device import VirtioDevice
from vmm.virtio.make import behind_pci, on_its_loop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from vmm.consoleconfig import ConsoleConfig
    from vmm.context import DeviceContext
    from vmm.deviceconfig import DeviceConfig
    from vmm.virtio.transport import VirtioPci

COMMUNICATION_OTHER = 0x078000  # PCI class


class VirtioConsole(VirtioDevice):
    """max_ports: numbers a port may have, from 0 on; more than one needs `multiport`.

    resize_order: "linux" sends rows before columns, as Linux reads it; "spec" the other way round.
    """

    kind = "vcon"
    pci_class = COMMUNICATION_OTHER
    kernel_option = "CONFIG_VIRTIO_CONSOLE"

    def __init__(
        self,
        name: str,
        context: DeviceContext,
        *,
        max_ports: int = 1,
        multiport: bool = False,
        resize_order: str = "linux",
    ) -> None:
        setup = ffi.new(
            "struct vcon_setup *",
            {
                "mem": context.memory.pointer,
                "loop": context.loop.pointer,
                "max_ports": max_ports,
                "multiport": multiport or max_ports > 1,
                "spec_order": resize_order == "spec",
            },
        )
        super().__init__(name, context, lib.vcon_create(setup))
        self.max_ports, self.multiport = max_ports, bool(setup.multiport)
        self.loop, self.notify = context.loop, context.notify
        self.ports: dict[int, Port] = {}
        self.window = (0, 0)  # columns, rows; 0: unknown
        self.loop.on(lib.VCON_EVENT_NEWS, self._news, self._source)

    @property
    def _source(self) -> Any:
        return ffi.cast("void *", ffi.addressof(self.pointer, "vdev"))

    # --- ports

    def find(self, name: str) -> Port | None:
        """By name, or by label ("hvc0", "port3")."""
        return next((p for p in self.ports.values() if name in (p.config.name, p.label)), None)

    def add(self, config: PortConfig) -> Port:
        """Opens the host's end and adds the port; a running guest is told.

        StateError if there cannot be such a port, HostError if the host refuses its end.
        """
        config = replace(config, number=self._number(config))
        port = Port(config, open_end(config, config.end, self.loop))
        try:
            self._call(lambda: lib.vcon_add(self.pointer, port.number, port.chan.pointer,
                                            config.console, config.name.encode()))  # fmt: skip
        except BaseException:
            port.chan.close()
            raise
        self.ports[port.number] = port
        return port

    def _number(self, config: PortConfig) -> int:
        """The number that a new port gets."""
        if config.name and self.find(config.name) is not None:
            raise StateError(f"{self.name} has a port named {config.name} already")
        number = config.number
        if number is None:
            first = 0 if config.console else 1
            free = [n for n in range(first, self.max_ports) if n not in self.ports]
            if not free:
                raise StateError(self._full())
            return free[0]
        if number in self.ports:
            taken = self.ports[number].config.said()
            raise StateError(f"Number {number} of {self.name} belongs to its {taken} already")
        if number >= self.max_ports:
            raise StateError(self._full())
        return number

    def _full(self) -> str:
        most = self.max_ports - 1
        what = f"numbers 0 to {most}" if self.multiport else "room for one console and no port"
        return (
            f"{self.name} has {what}; start with --device virtio-console,ports=N to have more "
            "(number 0 is a console's)"
        )

    def remove(self, port: Port) -> None:
        """The guest is told; what it has on its way out is thrown away."""
        self._call(lambda: lib.vcon_remove(self.pointer, port.number))
        del self.ports[port.number]
        port.chan.close()

    def swap(self, port: Port, end: ConsoleConfig) -> None:
        """Gives a live port another end. The guest hears of it only if one of them has nobody."""
        old, new = port.chan, open_end(port.config, end, self.loop)
        try:
            self._call(lambda: lib.vcon_swap(self.pointer, port.number, new.pointer))
        except BaseException:
            new.close()
            raise
        port.chan, port.config = new, replace(port.config, end=end)
        old.close()

    def resize(self, columns: int, rows: int) -> None:
        """The window of all consoles; 0 to 65535 each."""
        self.window = columns, rows
        self.loop.ask(lambda: lib.vcon_resize(self.pointer, columns, rows))

    def _call(self, function: Any) -> None:
        result = self.loop.ask(function)
        if result < 0:
            import os

            raise StateError(f"{self.name} refuses that port: {os.strerror(-result)}")

    # --- what the driver did, on the loop's thread

    def _news(self, _value: int, _source: object) -> None:
        if self.pointer is None:  # abandoned
            return
        news = ffi.new("struct vcon_news *")
        lib.vcon_news(self.pointer, news)
        for number, port in list(self.ports.items()):
            bit = 1 << number
            if (news.opened | news.closed) & bit:
                port.guest_open = bool(lib.vcon_guest_open(self.pointer, number))
                self.notify("PORT_CHANGE", {"device": self.name, **port.info()})
            if news.failed & bit:
                log.limited("virtio.port_failed", dev=self.name, port=port.label)
        if news.device_failed:
            log.limited("virtio.console_failed", dev=self.name)

    # --- as a device

    def counters(self) -> dict[str, int]:
        """Control messages; of each port what `struct vcon_port_counters` has, and its channel."""
        counters = ffi.new("struct vcon_counters *")
        lib.vcon_counters(self.pointer, counters)
        found = {name: int(getattr(counters, name)) for name in dir(counters)}
        for number, port in list(self.ports.items()):
            own = ffi.new("struct vcon_port_counters *")
            lib.vcon_port_counters(self.pointer, number, own)
            found |= {f"{port.label}_{name}": int(getattr(own, name)) for name in dir(own)}
            dropped = port.chan.counters()["dropped_bytes"]
            found[f"{port.label}_dropped"] = dropped
        return found

    def save(self) -> dict[str, Any]:
        ports = {str(n): [p.config.name, p.config.console] for n, p in self.ports.items()}
        return {"ports": ports, "console": super().save()}

    def load(self, saved: dict[str, Any]) -> None:
        """The ports must be the same ones; where they lead may have changed."""
        ports = {str(n): [p.config.name, p.config.console] for n, p in self.ports.items()}
        if saved.get("ports") != ports or set(saved) != {"ports", "console"}:
            raise StateError(f"The saved state of {self.name} does not fit: it has other ports")
        super().load(saved["console"])

    def close(self) -> None:
        """Flushes and closes the ports. May be repeated."""
        if self.pointer is None:
            return
        self.core.close()
        for port in self.ports.values():  # kept for those who ask what was lost
            lib.vcon_remove(self.pointer, port.number)
            port.chan.close()
        self.loop.off(lib.VCON_EVENT_NEWS, self._source)
        super().close()

    def abandon(self) -> None:
        for port in self.ports.values():
            port.chan.abandon()
        super().abandon()


def make(context: DeviceContext, config: DeviceConfig, settings: dict[str, Any]) -> VirtioPci:
    """`--device virtio-console`, with the ports that the configuration gives it."""
    wanted = ids_of(KIND, context.config)
    ports = ports_of(context.config, config.id, first=wanted[:1] == [config.id])
    numbers = room(ports, settings["ports"], alone=implied(context.config))
    # Keys and escapes are the first loop's, unless somebody wants it otherwise.
    context = on_its_loop(context, {**settings, "io-thread": settings["io-thread"] or 0})
    console = VirtioConsole(
        config.id,
        context,
        max_ports=numbers,
        multiport=numbers > 1,
        resize_order=settings["resize-order"],
    )
    try:
        for port in ports:
            console.add(port)
    except BaseException:
        console.close()
        raise
    return behind_pci(context, console, settings)
