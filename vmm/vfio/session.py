"""`with passthrough(ADDRESS) as device:`: checked, bound, opened; closed and given back after."""

from __future__ import annotations

import os

from vmm.closing import close_all
from vmm.errors import ConfigError
from vmm.vfio.sysfs import for_vfio, function

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vmm.vfio.device import PciDevice
    from vmm.vfio.iommu import Iommu
    from vmm.vfio.sysfs import Function

APIS = ("auto", "legacy", "iommufd")


class Passthrough:
    """See vmm.vfio.passthrough. Not to be entered twice."""

    def __init__(
        self, address: str, group: bool, force: bool, api: str, iommu: Iommu | None
    ) -> None:
        if api not in APIS:
            raise ConfigError(f"api is one of {', '.join(APIS)}, not {api!r}")
        self.one = function(address)
        self._members = self.one.members if group else (self.one.address,)
        self._force, self._api, self._iommu = force, api, iommu
        self._bound: list[str] = []
        self._own: Iommu | None = None
        self.device: PciDevice | None = None

    def __enter__(self) -> PciDevice:
        from vmm.vfio.device import PciDevice

        try:
            self._bind()
            one = function(self.one.address)
            iommu = self._iommu
            if iommu is None:
                iommu = self._own = open_iommu(one, self._api)
            self.device = PciDevice(one, iommu)
        except BaseException as error:
            self._give_back(error)
        assert self.device is not None
        return self.device

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        try:
            self._give_back(None)
        except BaseException as closing:
            if error is None:
                raise
            error.add_note(f"closing {self.one.address} failed too: {closing}")

    def _bind(self) -> None:
        from vmm.vfio.bind import Binder

        picked = [one for one in map(function, self._members) if not one.bridge]
        if all(for_vfio(one) for one in picked):
            return  # also for a user who may open it and not bind it
        self._bound = Binder().bind(picked, self._force, temporary=True)

    def _give_back(self, cause: BaseException | None) -> None:
        closers = [one.close for one in (self.device, self._own) if one is not None]
        close_all([*closers, self._release], cause)

    def _release(self) -> None:
        from vmm.vfio.bind import Binder

        Binder().release(self._members, self._bound)


def open_iommu(one: Function, api: str = "auto") -> Iommu:
    """An address space for DMA through the interface that this host has for the function."""
    if api == "auto":
        usable = one.node and all(
            os.access(path, os.R_OK | os.W_OK) for path in (one.node, "/dev/iommu")
        )
        api = "iommufd" if usable else "legacy"
    if api == "iommufd":
        from vmm.vfio.iommufd import Ioas

        return Ioas()
    from vmm.vfio.type1 import Type1

    return Type1()
