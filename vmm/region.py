"""One stretch of guest RAM: a memfd sealed against resizing.

Another process may be handed it, and can never take pages away under us.
"""

from __future__ import annotations

import os

from vmm.errors import HostError
from vmm.hugepages import HUGE_PAGE
from vmm.native import ffi, lib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

F_ADD_SEALS, F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW = 1033, 1, 2, 4


class Region:
    """One stretch of RAM: a memfd, its mapping here and its KVM slot."""

    def __init__(self, gpa: int, size: int, backing: str, slot: int) -> None:
        self.gpa, self.size, self.slot = gpa, size, slot
        self.hugetlb = backing == "hugetlb"
        flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING | (os.MFD_HUGETLB if self.hugetlb else 0)
        self.fd = os.memfd_create(f"guest-ram-{gpa:#x}", flags)
        try:
            self._seal(size)
            self._pointer = self._map(size)
        except BaseException:
            os.close(self.fd)
            raise
        self.hva = int(ffi.cast("uintptr_t", self._pointer))
        if not self.hugetlb:
            lib.ram_advise(
                self._pointer, size, lib.MADV_NOHUGEPAGE if backing == "4k" else lib.MADV_HUGEPAGE
            )

    def _seal(self, size: int) -> None:
        import fcntl

        try:
            os.ftruncate(self.fd, size)
        except OSError as error:  # file size limits hold for memory without a name too
            raise HostError(
                f"Setting {size >> 20} MiB of guest memory aside failed: {error.strerror}; "
                "raise the file size limit with `ulimit -f unlimited`, or give the guest less"
            ) from error
        fcntl.fcntl(self.fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

    def _map(self, size: int) -> Any:
        pointer = ffi.new("void **")
        error = -lib.ram_map(self.fd, size, pointer)
        if not error:
            return pointer[0]
        about = f"Mapping {size >> 20} MiB of guest memory failed: {os.strerror(error)}"
        if self.hugetlb:
            pages = -(-size // HUGE_PAGE)
            raise HostError(f"{about}; reserve huge pages with `sysctl vm.nr_hugepages={pages}`")
        raise HostError(f"{about}; give the guest less with --mem")

    def collapse(self, start: int, length: int) -> int:
        """Puts huge pages under [start, start + length) now; bytes that have one, or -errno.

        An optimization: shmem is 4 KiB-paged by default on most hosts, which costs a boot 15,000
        exits. Not all kernels can (Linux 6.1 can), and none must.
        """
        return int(lib.ram_collapse(self._pointer, start, length))

    def populate(self) -> None:
        """Touches every page. HostError where the host has no memory for that."""
        error = -lib.ram_advise(self._pointer, self.size, lib.MADV_POPULATE_WRITE)
        if error:
            raise HostError(
                f"Preallocating {self.size >> 20} MiB of guest memory failed: "
                f"{os.strerror(error)}; leave out --mem-prealloc or give the guest less"
            )

    def discard(self, start: int, length: int) -> None:
        """Frees the pages; HostError for huge pages that are to go in parts."""
        error = -lib.ram_advise(self._pointer + start, length, lib.MADV_REMOVE)
        if error:
            raise HostError(f"Giving guest memory back failed: {os.strerror(error)}")

    def close(self, unmap: bool = True) -> None:
        if unmap:
            lib.ram_unmap(self._pointer, self.size)
        os.close(self.fd)
