"""vhost-net: the kernel serves a network device's rings by itself."""

from __future__ import annotations

import os

from vmm.errors import HostError, KvmError
from vmm.native import Fd, ffi, lib

PATH = "/dev/vhost-net"
# What vhost must know of the features that a driver accepts; the others do not concern it.
OWN = sum(
    1 << bit
    for bit in (
        lib.VIRTIO_F_VERSION_1,
        lib.VIRTIO_RING_F_INDIRECT_DESC,
        lib.VIRTIO_RING_F_EVENT_IDX,
        lib.VIRTIO_NET_F_MRG_RXBUF,
    )
)


class VhostNet:
    """One descriptor for each pair of queues; `features` are those of OWN that the kernel has."""

    def __init__(self, pairs: int) -> None:
        """HostError if the kernel has none or refuses."""
        self.fds: list[Fd] = []
        self.features = OWN
        try:
            for _pair in range(pairs):
                self.fds.append(Fd(os.open(PATH, os.O_RDWR | os.O_CLOEXEC)))
                self.fds[-1].ioctl("VHOST_SET_OWNER")
                known = ffi.new("uint64_t *")
                self.fds[-1].ioctl("VHOST_GET_FEATURES", known)
                self.features &= known[0]
            if not self.features >> lib.VIRTIO_F_VERSION_1 & 1:
                raise HostError(f"{PATH} knows no virtio 1; use vhost=off")
        except BaseException as error:
            self.close()
            if isinstance(error, OSError):
                raise _refused(error) from error
            raise

    def close(self) -> None:
        for fd in self.fds:
            fd.close()


def available() -> bool:
    return os.access(PATH, os.R_OK | os.W_OK)


def _refused(error: OSError) -> HostError:
    what = f"{error.call} on {PATH}" if isinstance(error, KvmError) else f"Opening {PATH}"
    mend = {
        2: "load it with `modprobe vhost_net`, or use vhost=off",
        13: "run as root or with write access to it, or use vhost=off",
    }
    return HostError(
        f"{what} failed: {os.strerror(error.errno or 0)}; "
        f"{mend.get(error.errno or 0, 'use vhost=off')}"
    )
