"""All of a guest's RAM as its passed-through devices see it, and what KVM is told of them."""

from __future__ import annotations

from vmm.errors import ConfigError, HostError, KvmError
from vmm.native import ffi, lib
from vmm.vfio.check import MARGIN, locked_memory_limit, memory_total, raise_limit
from vmm.vfio.device import PciDevice
from vmm.vfio.session import open_iommu

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vmm.memory import GuestMemory
    from vmm.native import Fd
    from vmm.region import Region
    from vmm.vfio.sysfs import Function


class KvmVfio:
    """KVM's pseudo device: it learns which devices a guest has, for their caches' sake.

    A kernel without it (-1) runs devices that need none of that.
    """

    def __init__(self, fd: Fd) -> None:
        self._fd = fd

    def add(self, number: int) -> None:
        self._set(lib.KVM_DEV_VFIO_GROUP_ADD, number)

    def remove(self, number: int) -> None:
        self._set(lib.KVM_DEV_VFIO_GROUP_DEL, number)

    def _set(self, attribute: int, number: int) -> None:
        if self._fd.number < 0:
            return
        pointer = ffi.new("int32_t *", number)
        fields = {
            "group": lib.KVM_DEV_VFIO_GROUP,
            "attr": attribute,
            "addr": int(ffi.cast("uintptr_t", pointer)),
        }
        self._fd.ioctl("KVM_SET_DEVICE_ATTR", ffi.new("struct kvm_device_attr *", fields))


class GuestRam:
    """One address space for DMA: a device finds RAM where the guest does.

    It lasts as long as it has devices. Context: the machine's lifecycle lock.
    """

    def __init__(self, memory: GuestMemory, kvm: KvmVfio, one: Function, api: str) -> None:
        self._memory, self._api = memory, api
        self._open: set[str] = set()  # addresses of its devices
        self.iommu = open_iommu(one, api)
        self.iommu.on_open, self.iommu.on_close = kvm.add, kvm.remove

    def agree(self, one: Function, api: str) -> None:
        """ConfigError if it is here, or `api` is not what the devices before were opened with."""
        if one.address in self._open:
            raise ConfigError(f"{one.address} is in this machine already, and can be there once")
        if api != self._api:
            raise ConfigError(
                f"{one.address} cannot have api={api}: all devices of a machine share one address "
                f"space, which began with api={self._api}; say the same for each"
            )

    def open(self, one: Function) -> PciDevice:
        """The device, which sees all RAM from now on. HostError, VfioError or KvmError if not."""
        if not self._open:
            may_lock(self._memory.size)
        try:
            device = PciDevice(one, self.iommu)
        except KvmError as error:
            raise HostError(f"Telling KVM of {one.address} failed: {error}") from error
        if not self._open:
            try:
                self._memory.follow(self)
            except BaseException:
                device.close()
                raise
        self._open.add(one.address)
        return device

    def ram_added(self, region: Region) -> None:
        self.iommu.map(region.gpa, region.hva, region.size)

    def left(self, address: str) -> None:
        """The device at `address` was closed."""
        self._open.remove(address)
        if not self._open:
            try:
                self.close()
            finally:
                self._memory.unfollow(self)  # who puts pages elsewhere begins after this

    def close(self) -> None:
        """For one that has no device."""
        self.iommu.close()


def may_lock(size: int) -> None:
    """HostError if a guest of that size cannot be locked in memory, as DMA needs it."""
    limit, need, total = locked_memory_limit(), size + MARGIN, memory_total()
    if total and need > total:
        raise HostError(
            f"A device's DMA needs all {size >> 20} MiB of the guest in memory, and this host has "
            f"{total >> 20} MiB; say a smaller --mem"
        )
    if limit is not None and limit < need:
        raise HostError(
            f"A device's DMA needs all {size >> 20} MiB of the guest locked in memory, {need:,} "
            f"bytes with what belongs to it, and the limit is {limit:,}; {raise_limit(need)}"
        )


def open_device(
    memory: GuestMemory, kvm: KvmVfio, one: Function, api: str
) -> tuple[PciDevice, GuestRam]:
    """The device in the address space of the machine's others, or in a new one."""
    for follower in memory.followers:
        if isinstance(follower, GuestRam):
            follower.agree(one, api)
            return follower.open(one), follower
    ram = GuestRam(memory, kvm, one, api)
    try:
        return ram.open(one), ram
    except BaseException:
        ram.close()
        raise
