"""The only importer of the C extension: status checks, owned descriptors, the Python trampolines.

A call out of C follows one path: a bus access reaches a `struct pydev`, whose upcall lands in
`_pydev_read` or `_pydev_write` below with the handle that `PyDevice` made. An exception is parked
on that device, C sees -ECANCELED and returns at once, and whoever called into C raises it again.
"""

from __future__ import annotations

import os

from vmm import _native
from vmm.errors import IoctlError, KvmError, VmmError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol, TypeVar

    T = TypeVar("T")

    class BusHandler(Protocol):
        """What a device in Python offers the bus. Sizes are 1, 2, 4 or 8 bytes.

        A write may be more than an access: one of DEV_EVENT_*.
        """

        def read(self, region: int, offset: int, size: int) -> int: ...
        def write(self, region: int, offset: int, size: int, value: int) -> int | None: ...


ffi = _native.ffi
lib = _native.lib
ECANCELED = 125


def check(result: int, call: str, about: str = "", kind: type[IoctlError] = KvmError) -> int:
    """`result` if it is not negative, else an error of `kind` that names the call."""
    if result < 0:
        raise kind(call, -result, about)
    return result


def made(pointer: T, destroy: Callable[[T], None], what: str, *keep: object) -> T:
    """A C object that its `destroy` frees with the Python one.

    VmmError with errno's reason if C could not make it, which is the last thing that C did.

    `keep` are the objects whose C side this one points to: they live at least as long.
    """
    if pointer == ffi.NULL:
        raise VmmError(f"Creating {what} failed: {os.strerror(ffi.errno)}")

    def destroy_then_let_go(p: T) -> None:
        destroy(p)
        kept.clear()

    kept = list(keep)
    return ffi.gc(pointer, destroy_then_let_go)


class Fd:
    """One owned descriptor: close-on-exec, closed once, usable as a context manager."""

    error: type[IoctlError] = KvmError  # what a failing ioctl raises

    def __init__(self, number: int) -> None:
        self.number = number

    def fileno(self) -> int:
        return self.number

    def close(self) -> None:
        number, self.number = self.number, -1
        if number >= 0:
            os.close(number)

    def __enter__(self) -> Fd:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def ioctl(self, name: str, argument: Any = None, about: str = "") -> int:
        """One ioctl by its uapi name with a pointer argument. The error has that name."""
        pointer = ffi.NULL if argument is None else argument
        result = lib.sys_ioctl(self.number, getattr(lib, name), pointer)
        return check(result, name, about, self.error)

    def ioctl_value(self, name: str, value: int = 0, about: str = "") -> int:
        """The same for ioctls whose argument is a plain number."""
        result = lib.sys_ioctl_value(self.number, getattr(lib, name), value)
        return check(result, name, about, self.error)


class PyDevice:
    """A bus device whose registers are Python methods (see BusHandler).

    `parked` holds the exception of a failed upcall until the vCPU that made the access raises it.
    """

    def __init__(self, handler: BusHandler) -> None:
        self.handler = handler
        self.parked: BaseException | None = None
        self._handle = ffi.new_handle(self)
        upcalls = ffi.new(
            "struct pydev_upcalls *", {"read": lib.vmm_pydev_read, "write": lib.vmm_pydev_write}
        )
        self.pointer = made(
            lib.pydev_create(upcalls[0], self._handle), lib.pydev_destroy, "a device"
        )
        self.dev = ffi.addressof(self.pointer, "dev")

    def counts(self) -> dict[str, int]:
        """`upcalls` and the longest one in nanoseconds, `worst_ns`."""
        counts = ffi.new("struct pydev_counts *")
        lib.pydev_counts(self.pointer, counts)
        return {"upcalls": counts.upcalls, "worst_ns": counts.worst_ns}

    def take_parked(self) -> BaseException | None:
        parked, self.parked = self.parked, None
        return parked


def _park(_kind: object, error: BaseException, traceback: Any) -> None:
    """cffi's onerror: keeps the exception on the device the failed call was for."""
    handle = traceback.tb_frame.f_locals.get("handle")
    if handle is not None:
        ffi.from_handle(handle).parked = error


@ffi.def_extern(name="vmm_pydev_read", error=-ECANCELED, onerror=_park)
def _pydev_read(handle: Any, region: int, offset: int, size: int, ret: Any) -> int:
    value = ffi.from_handle(handle).handler.read(region, offset, size)
    ret[0] = value & ((1 << 8 * size) - 1)
    return 0


@ffi.def_extern(name="vmm_pydev_write", error=-ECANCELED, onerror=_park)
def _pydev_write(handle: Any, region: int, offset: int, size: int, value: int) -> int:
    return ffi.from_handle(handle).handler.write(region, offset, size, value) or 0
