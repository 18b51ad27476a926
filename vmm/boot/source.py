"""Boot images as files: opened once, kept open, read with every bound checked."""

from __future__ import annotations

import os

from vmm.errors import BootError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

S_IFMT, S_IFREG, S_IFDIR = 0o170000, 0o100000, 0o040000


class Source:
    """One regular file of boot input. It stays the same file even if its path is replaced later."""

    def __init__(self, path: str, fd: int, what: str) -> None:
        self.path = path
        self.what = what
        self.fd = fd
        self.stat = os.fstat(fd)
        self.size = self.stat.st_size

    def read(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes, or a BootError that calls the file truncated."""
        if offset < 0 or length < 0 or offset + length > self.size:
            raise BootError(
                f"{self.what} {self.path} is truncated: it has {self.size} bytes, "
                f"its headers ask for {length} at {offset}; get the whole file"
            )
        parts = []
        while length:
            part = os.pread(self.fd, length, offset)
            if not part:
                raise BootError(
                    f"{self.what} {self.path} became shorter while it was read; try again"
                )
            parts.append(part)
            offset += len(part)
            length -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def head(self, length: int) -> bytes:
        """The first `length` bytes, or fewer if the file is shorter."""
        return self.read(0, min(length, self.size))

    def refuse(self, why: str) -> BootError:
        """An error sentence about this file, to be raised by the caller."""
        return BootError(f"{self.what} {self.path} {why}")

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()


def open_source(path: str, what: str) -> Source:
    """Open a boot image for reading. `what` is its role in error messages ("kernel", "initrd")."""
    try:
        # O_NONBLOCK: a FIFO must be refused below, not waited for.
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError) as error:
        raise _cannot_open(path, what, error) from None
    source = Source(path, fd, what)
    kind = source.stat.st_mode & S_IFMT
    if kind == S_IFREG and source.size > 0:
        return source
    source.close()
    if kind == S_IFDIR:
        raise BootError(f"{what} {path} is a directory; name a file in it")
    if kind != S_IFREG:
        raise BootError(f"{what} {path} is not a regular file; copy its contents into one")
    raise BootError(f"{what} {path} is empty")


def memory_source(path: str, what: str, parts: Iterable[bytes | memoryview]) -> Source:
    """A file without a name that holds `parts`; `path` names its origin in error messages."""
    fd = os.memfd_create("vmm-boot", os.MFD_CLOEXEC)
    write_all(fd, parts)
    return Source(path, fd, what)


def write_all(fd: int, parts: Iterable[bytes | memoryview]) -> None:
    """Write every byte of every part at the file's position; OSError where the host refuses."""
    for part in parts:
        view = memoryview(part)
        while view:
            view = view[os.write(fd, view) :]


def _cannot_open(path: str, what: str, error: Exception) -> BootError:
    if isinstance(error, FileNotFoundError):
        return BootError(f"{what} {path} does not exist; check the path")
    if isinstance(error, PermissionError):
        return BootError(f"{what} {path} may not be read by this user; make it readable or copy it")
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return BootError(f"{what} {path!r} cannot be opened: {reason}")
