"""A device behind one PCI function, with everything that belongs to it, as one device."""

from __future__ import annotations

from vmm.errors import StateError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    from vmm.bus import Bus
    from vmm.pci.function import PciFunction

    class Part(Protocol):
        """What belongs to a device beside its function; see CDevice for what each means."""

        def close(self) -> None: ...
        def reset(self) -> None: ...
        def counters(self) -> dict[str, int]: ...
        def save(self) -> dict[str, Any]: ...
        def load(self, saved: dict[str, Any]) -> None: ...


VERSION = 1


class PciDevice:
    """`function` and the `parts` behind it, by their names in saved states, in order of creation.

    Subclasses make the parts and hand them to `__init__`; nothing answers before the function is
    plugged into a root. Closing takes the function off the bus, then ends the parts in reverse,
    which may use its pin until then.
    """

    def __init__(self, function: PciFunction, **parts: Part) -> None:
        self.name = function.name
        self.function = function
        self.parts = parts

    def claim(self, pio: Bus, mmio: Bus) -> None:
        """Nothing: where a PCI device answers is up to its registers."""

    def plugged(self) -> None:
        """The function is on the bus: nothing, if the device needs not know where."""

    def close(self) -> None:
        self.function.unplug()
        for part in reversed(self.parts.values()):
            part.close()
        self.function.close()

    def reset(self) -> None:
        for part in self.parts.values():
            part.reset()
        self.function.reset()

    def pause(self) -> None:
        """Guest memory stays as it is until `resume()`: nothing, if the device never uses it."""

    def resume(self) -> None:
        """Ends `pause()`."""

    def ask_halt(self) -> None:
        """Begins `halt()`, if that takes time."""

    def halt(self) -> None:
        """The machine ends: nothing, if the device has nothing under way on the host."""

    def unused(self) -> str | None:
        """For a device that needs a driver and never had one: Linux's option for it, or ""."""
        return None

    def counters(self) -> dict[str, int]:
        counters: dict[str, int] = {}
        for part in self.parts.values():
            counters.update(part.counters())
        return counters

    def save(self) -> dict[str, Any]:
        parts = {name: part.save() for name, part in self.parts.items()}
        return {"version": VERSION, "function": self.function.save(), **parts}

    def load(self, saved: dict[str, Any]) -> None:
        """StateError if it does not fit; the device is then in no particular state."""
        if saved.get("version") != VERSION or set(saved) != {"version", "function", *self.parts}:
            raise StateError(f"The saved state of {self.name} does not fit: version or parts")
        for name, part in self.parts.items():
            part.load(saved[name])
        self.function.load(saved["function"])
