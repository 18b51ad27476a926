"""What the domain is served with beside hypercalls: pages of its own, grants, channels, back-ends.

Back-ends are started and ended with the domain: they find their ports and parameters made anew
after each reset.
"""

from __future__ import annotations

from vmm.closing import close_all
from vmm.xen.channel import Channels
from vmm.xen.grants import GrantTable
from vmm.xen.overlay import Overlay

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    from vmm.context import DeviceContext
    from vmm.xen.console import XenConsole
    from vmm.xen.domain import XenDomain
    from vmm.xen.xenstore import XenStore

    class Service(Protocol):
        """One back-end. Context of `begin` and `end`: before the machine runs, or all parked."""

        def begin(self, domain: XenDomain) -> None: ...
        def end(self, domain: XenDomain) -> None: ...
        def close(self) -> None: ...
        def pause(self) -> None: ...
        def resume(self) -> None: ...
        def halt(self) -> None: ...
        def counters(self) -> dict[str, int]: ...


class Services:
    """Of one domain. `all` are started in their order and ended in reverse."""

    def __init__(self, context: DeviceContext, domain: XenDomain) -> None:
        self._domain = domain
        self.overlay = Overlay(context.memory, context.mmio)
        self.grants = GrantTable(context.memory, self.overlay)
        self.channels = Channels(domain.backend, domain.ports)
        self.all: list[Service] = []
        # Those that took over from a PCI device of that name, with its slot and function.
        # No service: the host had no room for either.
        self.twins: dict[str, tuple[Service | None, int]] = {}
        self.console: XenConsole | None = None
        self.xenstore: XenStore  # once it is made

    def add(self, service: Service) -> None:
        """One more; it begins at once. One that does not is closed."""
        self.all.append(service)
        try:
            service.begin(self._domain)
        except BaseException:
            self.all.remove(service)
            service.close()
            raise

    def drop(self, service: Service) -> None:
        """Ends and closes one. All vCPUs are parked."""
        service.halt()
        service.end(self._domain)
        self.all.remove(service)
        service.close()

    def end(self) -> None:
        """All vCPUs are parked, and the domain is about to forget its ports."""
        for service in reversed(self.all):
            service.end(self._domain)
        self.channels.reset()
        self.grants.reset()

    def begin(self) -> None:
        """The domain is as after building."""
        for service in self.all:
            service.begin(self._domain)

    def pause(self) -> None:
        for service in self.all:
            service.pause()

    def resume(self) -> None:
        for service in self.all:
            service.resume()

    def halt(self) -> None:
        """Nothing is under way on the host any more. All vCPUs are parked, or have ended."""
        close_all(service.halt for service in reversed(self.all))

    def close(self) -> None:
        close_all(service.close for service in reversed(self.all))
        self.overlay.close()

    def console_tail(self) -> bytes:
        """The last bytes the guest wrote to its PV console."""
        return b"" if self.console is None else self.console.tail()

    def counters(self) -> dict[str, Any]:
        found: dict[str, Any] = dict(self.grants.counters())
        for service in self.all:
            found |= service.counters()
        return found
