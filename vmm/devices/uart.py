"""COM ports and the debug console: the channel on the host's side, the C device on the guest's."""

from __future__ import annotations

from vmm import layout
from vmm.cdevice import CDevice
from vmm.native import ffi, lib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from vmm.backends.chardev import Chan
    from vmm.coalesce import Coalesce
    from vmm.context import DeviceContext


def serial_ports(context: DeviceContext) -> Iterator[CDevice]:
    """COM1, with `--machine legacy` COM2 to COM4, and the debug console on COM1's channel."""
    from vmm.backends.chardev import open_console
    from vmm.consoleconfig import ConsoleConfig

    config = context.config
    count = len(layout.PORT_COM) if config.machine == "legacy" else 1
    null = ConsoleConfig(kind="null")
    serial = [console for console in config.consoles if console.serial]
    specs = (*serial, *([null] * count))[:count]
    overflow = "drop" if config.console_overflow == "drop" else "block"
    gsis = (layout.GSI_COM1_3, layout.GSI_COM2_4) * 2
    for number, spec in enumerate(specs):
        chan = open_console(spec, context.loop, overflow)
        if number == 0:
            chan.watch_panic(True)
            yield DebugConsole("debugcon", chan, layout.PORT_DEBUGCON, context.coalesce)
        port, gsi = layout.PORT_COM[number], gsis[number]
        yield SerialPort(f"com{number + 1}", context, chan, port, gsi, context.coalesce)


class SerialPort(CDevice):
    """A 16550A at `port` with `gsi`. Owns its channel: closing the device flushes and closes it."""

    kind = "uart"

    def __init__(
        self,
        name: str,
        context: DeviceContext,
        chan: Chan,
        port: int,
        gsi: int,
        coalesce: Coalesce | None = None,
    ) -> None:
        setup = ffi.new(
            "struct uart_setup *",
            {
                "hub": context.irq,
                "gsi": gsi,
                "clock": context.clock,
                "loop": context.loop.pointer,
                "chan": chan.pointer,
                "coalesce": ffi.NULL if coalesce is None else coalesce.pointer,
                "port": port,
            },
        )
        self.chan = chan
        super().__init__(name, lib.uart_create(setup), [("pio", port, lib.UART_PORTS, 0)])

    def send_break(self) -> None:
        """A break condition on the line: Linux takes the next character as a SysRq command."""
        lib.uart_send_break(self.pointer)

    def tail(self) -> bytes:
        """The last bytes the guest wrote, at most 16 KiB."""
        return self.chan.tail()

    def counters(self) -> dict[str, int]:
        """What went through, and the channel's own numbers with a prefix."""
        counters = ffi.new("struct uart_counters *")
        lib.uart_counters(self.pointer, counters)
        own = {name: getattr(counters, name) for name in dir(counters)}
        return own | {f"chan_{name}": value for name, value in self.chan.counters().items()}

    def close(self) -> None:
        super().close()
        self.chan.close()


class DebugConsole(CDevice):
    """The debug console: every byte written to `port` goes to the channel."""

    kind = "debugcon"

    def __init__(self, name: str, chan: Chan, port: int, coalesce: Coalesce | None = None) -> None:
        group = ffi.NULL if coalesce is None else coalesce.pointer
        self.chan = chan
        pointer = lib.debugcon_create(chan.pointer, group, port)
        super().__init__(name, pointer, [("pio", port, 1, 0)])

    def tail(self) -> bytes:
        """The last bytes the guest wrote, at most 16 KiB."""
        return self.chan.tail()

    def counters(self) -> dict[str, int]:
        """Bytes written, and those that a full channel in block mode refused."""
        counters = ffi.new("struct debugcon_counters *")
        lib.debugcon_counters(self.pointer, counters)
        return {name: getattr(counters, name) for name in dir(counters)}

    def close(self) -> None:
        super().close()
        self.chan.close()
