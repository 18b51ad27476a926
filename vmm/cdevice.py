"""The Python side that every device in C shares: lifetime, bus claims, state as plain data.

A C device `x` offers `x_reset`, `x_save`, `x_load` and a `struct x_state` that holds nothing but
integers and arrays of them; cffi's field table turns that struct into a dict and back.
"""

from __future__ import annotations

from vmm.errors import StateError
from vmm.native import ffi, lib, made

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Protocol

    from vmm.bus import Bus

    Claim = tuple[str, int, int, int]  # address space ("pio" or "mmio"), base, length, region

    class Device(Protocol):
        """What the machine knows of a device; see CDevice for what each means."""

        name: str

        def claim(self, pio: Bus, mmio: Bus) -> None: ...
        def close(self) -> None: ...
        def reset(self) -> None: ...
        def pause(self) -> None: ...
        def resume(self) -> None: ...
        def ask_halt(self) -> None: ...
        def halt(self) -> None: ...
        def unused(self) -> str | None: ...
        def counters(self) -> dict[str, int]: ...
        def save(self) -> dict[str, Any]: ...
        def load(self, saved: dict[str, Any]) -> None: ...


class CDevice:
    """One device in C: `pointer` is its struct, `name` its place in saved states.

    Subclasses set `kind`, the prefix of the C functions, and call `__init__` with what `x_create`
    returned. The pointer is freed by `close()`, which first takes the device off the buses. `keep`:
    what it points to, see `made()`.
    """

    kind = ""

    def __init__(
        self, name: str, pointer: Any, claims: Sequence[Claim], kind: str = "", *keep: object
    ) -> None:
        self.name = name
        self.kind = kind or self.kind
        self.pointer = made(pointer, getattr(lib, f"{self.kind}_destroy"), name, *keep)
        self.claims = tuple(claims)
        self._buses: list[tuple[Bus, int, int]] = []

    def claim(self, pio: Bus, mmio: Bus) -> None:
        """Puts the device on the buses. VmmError if another one answers there already."""
        dev = ffi.addressof(self.pointer, "dev")
        for space, base, length, region in self.claims:
            bus = pio if space == "pio" else mmio
            bus.claim(base, length, dev, self.name, region, keep=self)
            self._buses.append((bus, base, length))

    def close(self) -> None:
        """Off the buses, then freed, when the last access has left it. May be repeated.

        Not from inside an access: see `Bus.quiesce()`.
        """
        while self._buses:
            bus, base, length = self._buses.pop()
            bus.release(base, length)
            bus.quiesce()
        if self.pointer is not None:
            ffi.release(self.pointer)
            self.pointer = None

    def abandon(self) -> None:
        """Instead of `close()`, when something out of reach may still use the C side.

        It is never freed.
        """
        if self.pointer is not None:
            ffi.gc(self.pointer, None)
            self.pointer = None

    def reset(self) -> None:
        """The state after power-on; what a battery keeps stays."""
        getattr(lib, f"{self.kind}_reset")(self.pointer)

    def pause(self) -> None:
        """Guest memory stays as it is until `resume()`: nothing, for what works on accesses only.

        All vCPUs are parked.
        """

    def resume(self) -> None:
        """Ends `pause()`."""

    def ask_halt(self) -> None:
        """Begins `halt()`, or `reset()`, for what takes time: so all devices do it at once."""

    def halt(self) -> None:
        """The machine ends, its I/O threads soon: nothing may be under way on the host any more.

        All vCPUs have ended. Nothing, for what works on accesses only.
        """

    def unused(self) -> str | None:
        """For a device that needs a driver and never had one: Linux's option for it, or ""."""
        return None

    def counters(self) -> dict[str, int]:
        """Numbers for statistics; none unless a subclass has some."""
        return {}

    def save(self) -> dict[str, int | list[int]]:
        """Every field of `struct x_state`, `version` among them."""
        state = self._new_state()
        getattr(lib, f"{self.kind}_save")(self.pointer, state)
        return read_state(state)

    def load(self, saved: dict[str, Any]) -> None:
        """Takes back what `save()` gave. StateError, with the device unchanged, if it cannot be."""
        state = self._new_state()
        write_state(state, saved, self.name)
        if getattr(lib, f"{self.kind}_load")(self.pointer, state) < 0:
            raise StateError(
                f"The saved state of {self.name} does not fit: "
                f"version {saved['version']} or values that the device cannot have"
            )

    def _new_state(self) -> Any:
        return ffi.new(f"struct {self.kind}_state *")


def read_state(state: Any) -> dict[str, int | list[int]]:
    """A `struct x_state` as plain data."""
    return {
        name: list(value) if isinstance(value, ffi.CData) else value
        for name, value in ((name, getattr(state, name)) for name in _field_names(state))
    }


def write_state(state: Any, saved: dict[str, Any], owner: str) -> None:
    """Fills a `struct x_state` from plain data. StateError if that has another shape."""
    names = _field_names(state)
    if set(saved) != set(names):
        wrong = ", ".join(sorted(set(saved) ^ set(names)))
        raise StateError(f"The saved state of {owner} does not fit: fields {wrong}")
    try:
        for name in names:
            _set_field(state, name, saved[name])
    except (TypeError, OverflowError, ValueError, IndexError) as error:
        raise StateError(f"The saved state of {owner} does not fit: {error}") from error


def _field_names(state: Any) -> list[str]:
    return [name for name, _field in ffi.typeof(state).item.fields]


def _set_field(state: Any, name: str, value: Any) -> None:
    field = getattr(state, name)
    if not isinstance(field, ffi.CData):
        setattr(state, name, value)
    elif len(field) != len(value):
        raise ValueError(f"{name} has {len(value)} elements instead of {len(field)}")
    else:
        field[0 : len(field)] = value
