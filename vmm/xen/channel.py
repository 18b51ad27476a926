"""Event channels between the guest and back-ends of ours: two eventfds each.

The guest's sends make `kick` readable, writing `call` tells the guest; KVM connects both, so that
neither comes here. A guest makes a port for domain 0 and names it in xenstore (`bind`), or finds
one that was made for it (`open`).
"""

from __future__ import annotations

import os

from vmm.xen import abi

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vmm.xen.backend import Backend
    from vmm.xen.evtchn import Port, PortTable


class Channel:
    """Our end. `port` is the guest's number; its owner closes it, also when the guest has."""

    def __init__(self, port: int) -> None:
        self.port = port
        flags = os.EFD_CLOEXEC | os.EFD_NONBLOCK
        self.kick = os.eventfd(0, flags)
        try:
            self.call = os.eventfd(0, flags)
        except OSError:
            os.close(self.kick)
            raise

    def close_fds(self) -> None:
        os.close(self.kick)
        os.close(self.call)


class Channels:
    """Those of one domain, by the guest's port. Context: the domain's lock."""

    def __init__(self, backend: Backend, ports: PortTable) -> None:
        self._backend, self._ports = backend, ports
        self._ready = False  # there is a vCPU to tell
        self.by_port: dict[int, Channel] = {}

    def start(self) -> None:
        """The first vCPU is there."""
        self._ready = True
        for number in self.by_port:
            self.follow(number)

    def open(self) -> Channel:
        """A port for the guest to find. XenError, KvmError or OSError if that cannot be."""
        return self._add(self._ports.open_backend())

    def bind(self, number: int) -> Channel:
        """A port that the guest has made for us. EINVAL if there is no such port."""
        self._ports.bind_backend(number)
        return self._add(number)

    def _add(self, number: int) -> Channel:
        channel: Channel | None = None
        try:
            channel = self.by_port[number] = Channel(number)
            self.follow(number)
        except BaseException:
            try:
                self.closed(number)
            finally:
                self._ports.leave_backend(number)
                if channel is not None:
                    channel.close_fds()
            raise
        return channel

    def follow(self, number: int) -> None:
        """KVM sends and tells as the port is now."""
        port = self._ports.get(number)
        channel = self.by_port[number]
        if port is not None and self._ready:
            self._backend.open_channel(number, port.vcpu, channel.kick, channel.call)

    def kick(self, number: int) -> None:
        """The guest's send, where KVM does not do it."""
        channel = self.by_port.get(number)
        if channel is not None:
            os.eventfd_write(channel.kick, 1)

    def closed(self, number: int) -> None:
        """The guest has closed the port: nothing comes from it any more, nothing reaches it."""
        if self.by_port.pop(number, None) is not None:
            self._backend.close_channel(number)

    def close(self, channel: Channel) -> None:
        """Ends ours. The guest's port, if it is open yet, is unbound again."""
        try:
            if self.by_port.get(channel.port) is channel:
                self._ports.leave_backend(channel.port)
                self.closed(channel.port)
        finally:
            channel.close_fds()

    def reset(self) -> None:
        """All ports are closed. Owners close their channels yet."""
        for number in list(self.by_port):
            self.closed(number)


def serves(port: Port) -> bool:
    """Whether a back-end of ours is at the other end."""
    return port.kind == abi.EVTCHNSTAT_interdomain and port.remote == abi.DOMID_BACKEND
