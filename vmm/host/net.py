"""Network interfaces of the host: whether one exists, up, MTU, bridge, address.

A link is set up with two ioctls; what takes more is asked through pyroute2, which costs as much
time as all the rest of a start and so is imported only then.
"""

from __future__ import annotations

from vmm.errors import HostError, KvmError
from vmm.native import Fd, ffi, lib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def exists(name: str) -> bool:
    from socket import if_nametoindex

    try:
        return bool(if_nametoindex(name))
    except OSError:
        return False


def set_up(name: str) -> None:
    """Sets the link up if it is not. HostError if that is not allowed."""
    request = _request(name)
    with _asking() as fd:
        try:
            fd.ioctl("SIOCGIFFLAGS", request)
            if not request.ifr_flags & lib.IFF_UP:
                request.ifr_flags |= lib.IFF_UP
                fd.ioctl("SIOCSIFFLAGS", request)
        except KvmError as error:
            raise HostError(
                f"Setting {name} up failed: {error.strerror}; run as root, or have root do "
                f"`ip link set {name} up`"
            ) from error


def mtu(name: str) -> int:
    """HostError if the interface is gone."""
    request = _request(name)
    with _asking() as fd:
        try:
            fd.ioctl("SIOCGIFMTU", request)
        except KvmError as error:
            raise HostError(f"Asking for the MTU of {name} failed: {error.strerror}") from error
    return int(request.ifr_mtu)


def _request(name: str) -> Any:
    return ffi.new("struct ifreq *", {"ifr_name": name.encode()})


def _asking() -> Fd:
    """Any socket: what is asked of it concerns the interfaces."""
    from socket import AF_INET, SOCK_DGRAM, socket

    with socket(AF_INET, SOCK_DGRAM) as asking:
        return Fd(asking.detach())


def configure(name: str, *, mtu: int = 0, bridge: str = "", address: str = "") -> None:
    """Gives an interface of ours what was asked for, and sets it up. HostError with what failed.

    address: `IP/PREFIX`.
    """
    if mtu or bridge or address:
        from pyroute2 import IPRoute
        from pyroute2.netlink.exceptions import NetlinkError

        try:
            with IPRoute() as ip:
                _configure(ip, name, mtu, bridge, address)
        except NetlinkError as error:
            asked = {"mtu": mtu, "bridge": bridge, "addr": address}
            words = " ".join(f"{key}={value}" for key, value in asked.items() if value)
            raise HostError(f"Giving {name} {words} failed: {error}; see `ip link`") from error
    set_up(name)


def _configure(ip: Any, name: str, mtu: int, bridge: str, address: str) -> None:
    (index,) = ip.link_lookup(ifname=name)
    if mtu:
        ip.link("set", index=index, mtu=mtu)
    if bridge:
        found = ip.link_lookup(ifname=bridge)
        if not found:
            raise HostError(
                f"There is no bridge {bridge} for {name}; make it with "
                f"`ip link add {bridge} type bridge`"
            )
        ip.link("set", index=index, master=found[0])
    if address:
        host, _, prefix = address.partition("/")
        ip.addr("add", index=index, address=host, prefixlen=int(prefix))
