"""Taps: network interfaces of the host whose packets come from and go to a descriptor.

A tap that is made here is gone when its descriptors are closed, however the process ends. One that
exists already stays as it was. Packets carry a virtio_net header of 12 bytes.
"""

from __future__ import annotations

import os
import stat

from vmm.errors import HostError, KvmError
from vmm.native import Fd, ffi, lib
from vmm.record import Record

TUN = "/dev/net/tun"
EPERM, EBUSY, EINVAL = 1, 16, 22
SOCKET = "socket"
OFFLOADS = ("TUN_F_CSUM", "TUN_F_TSO4", "TUN_F_TSO6", "TUN_F_TSO_ECN", "TUN_F_UFO")
ALL_OFFLOADS = sum(getattr(lib, name) for name in OFFLOADS)


class TapConfig(Record):
    """name: "" for one of the kernel's choice. fds: descriptors to use instead of making a tap.

    bridge, address (`IP/PREFIX`) and mtu are what a tap that is made here gets.
    """

    name: str = ""
    fds: tuple[int, ...] = ()
    queues: int = 1
    bridge: str = ""
    address: str = ""
    mtu: int = 0


class Tap:
    """`fds` are its queues, non-blocking; `offloads` the TUN_F_* that it takes.

    is_tap: False for sockets given as descriptors, whose peers get and give the headers too.
    """

    def __init__(self, name: str, fds: list[Fd], *, is_tap: bool) -> None:
        self.name, self.fds, self.is_tap = name, fds, is_tap
        self.offloads = ALL_OFFLOADS
        if is_tap:
            self.offloads = _prepare(fds[0])

    def use(self, queues: int, offloads: int) -> None:
        """Has packets come through the first `queues` only, as the TUN_F_* in `offloads` allow.

        KvmError if the kernel refuses, with EBADFD if the tap is gone.
        """
        if not self.is_tap:
            return
        self.fds[0].ioctl_value("TUNSETOFFLOAD", offloads)
        for number, fd in enumerate(self.fds if len(self.fds) > 1 else ()):
            request = ffi.new("struct ifreq *")
            request.ifr_flags = lib.IFF_ATTACH_QUEUE if number < queues else lib.IFF_DETACH_QUEUE
            try:
                fd.ioctl("TUNSETQUEUE", request)
            except KvmError as error:
                if error.errno != EINVAL:  # it is so already
                    raise

    def close(self) -> None:
        for fd in self.fds:
            fd.close()


def open_tap(config: TapConfig) -> Tap:
    """HostError says what is missing and what to do about it."""
    if config.fds:
        return _adopt(config.fds)
    from vmm.host import net

    known = bool(config.name) and net.exists(config.name)
    if known and (config.bridge or config.address):
        raise HostError(
            f"The tap {config.name} exists, so whoever made it configures it: leave out bridge= "
            "and addr=, or name another tap"
        )
    if known and config.mtu and net.mtu(config.name) != config.mtu:
        raise HostError(
            f"The tap {config.name} exists and has an MTU of {net.mtu(config.name)}, not "
            f"{config.mtu}: leave out mtu=, or have root do "
            f"`ip link set {config.name} mtu {config.mtu}`"
        )
    tap = _attach(config, known=known)
    try:
        if known:
            net.set_up(tap.name)
        else:
            net.configure(tap.name, mtu=config.mtu, bridge=config.bridge, address=config.address)
    except BaseException:
        tap.close()
        raise
    return tap


def _attach(config: TapConfig, *, known: bool) -> Tap:
    """One descriptor for each queue; the first makes the tap if there is none."""
    fds: list[Fd] = []
    name = config.name or "tap%d"
    try:
        for _queue in range(config.queues):
            fds.append(_open_tun(name))
            name = _set_iff(fds[-1], name, config, known=known)
        return Tap(name, fds, is_tap=True)
    except BaseException:
        for fd in fds:
            fd.close()
        raise


def _open_tun(name: str) -> Fd:
    try:
        return Fd(os.open(TUN, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC))
    except OSError as error:
        mend = "load the driver with `modprobe tun`"
        if isinstance(error, PermissionError):
            mend = "run as root, or with write access to it"
        raise HostError(f"Opening {TUN} for a tap failed: {error.strerror}; {mend}") from error


def _set_iff(fd: Fd, name: str, config: TapConfig, *, known: bool) -> str:
    """The tap's name."""
    flags = lib.IFF_TAP | lib.IFF_NO_PI | lib.IFF_VNET_HDR
    # One that exists may have been made for several queues, which one must say even for one.
    tries = [lib.IFF_MULTI_QUEUE] if config.queues > 1 else [0, lib.IFF_MULTI_QUEUE]
    for number, queues in enumerate(tries, 1):
        request = ffi.new("struct ifreq *", {"ifr_name": name.encode()})
        request.ifr_flags = flags | queues
        try:
            fd.ioctl("TUNSETIFF", request)
        except KvmError as error:
            if error.errno != EINVAL or number == len(tries):
                raise _refused(error, config, known=known) from error
        else:
            break
    return bytes(ffi.string(request.ifr_name)).decode()


def _refused(error: KvmError, config: TapConfig, *, known: bool) -> HostError:
    what = f"the tap {config.name}" if config.name else "a tap"
    about = f"{'Using' if known else 'Making'} {what} failed: {os.strerror(error.errno or 0)}"
    queues = " multi_queue" if config.queues > 1 else ""
    command = f"`ip tuntap add {config.name or 'tap0'} mode tap{queues} user $USER`"
    if error.errno == EPERM:
        mend = f"run as root, or have root make one for you with {command}"
    elif error.errno == EBUSY:
        mend = "another process has it open, and it was not made for more queues"
    elif error.errno == EINVAL and known and config.queues > 1:
        mend = f"it was not made for several queues: leave out queues=, or make it with {command}"
    elif error.errno == EINVAL and known:
        mend = "it is no tap"
    else:
        mend = "choose another name or fewer queues"
    return HostError(f"{about}; {mend}")


def _prepare(fd: Fd) -> int:
    """Sets the length of headers; the offloads that the kernel knows."""
    fd.ioctl("TUNSETVNETHDRSZ", ffi.new("int *", lib.VNET_HEADER))
    offloads = 0
    for name in OFFLOADS:  # none without the first
        bit = getattr(lib, name) | lib.TUN_F_CSUM
        bit |= lib.TUN_F_TSO4 if name == "TUN_F_TSO_ECN" else 0
        if lib.sys_ioctl_value(fd.number, lib.TUNSETOFFLOAD, bit) >= 0:
            offloads |= getattr(lib, name)
    lib.sys_ioctl_value(fd.number, lib.TUNSETOFFLOAD, 0)
    return offloads


def _adopt(numbers: tuple[int, ...]) -> Tap:
    """Duplicates of descriptors that this process was given."""
    fds: list[Fd] = []
    kinds = set()
    if len(set(numbers)) < len(numbers):
        raise HostError("fd= wants another descriptor for each pair of queues")
    try:
        for number in numbers:
            fds.append(_duplicate(number))
            kinds.add(_kind(fds[-1], number))
        if len(kinds) > 1:
            raise HostError("fd= wants descriptors of one tap, or sockets alone")
        return Tap(f"descriptor {numbers[0]}", fds, is_tap=kinds != {SOCKET})
    except BaseException:
        for fd in fds:
            fd.close()
        raise


def _duplicate(number: int) -> Fd:
    try:
        fd = Fd(os.dup(number))
    except OSError as error:
        raise HostError(
            f"Using descriptor {number} for a network device failed: {error.strerror}; start vmm "
            "with it open, for example from a program that passes it on"
        ) from error
    os.set_blocking(fd.number, False)
    return fd


def _kind(fd: Fd, number: int) -> str:
    """Which tap it is, or SOCKET."""
    request = ffi.new("struct ifreq *")
    if lib.sys_ioctl(fd.number, lib.TUNGETIFF, request) >= 0:
        wanted = lib.IFF_TAP | lib.IFF_VNET_HDR | lib.IFF_NO_PI
        if request.ifr_flags & wanted == wanted:
            return f"tap {ffi.string(request.ifr_name)!r}"
        raise HostError(
            f"Descriptor {number} is no tap with IFF_TAP, IFF_NO_PI and IFF_VNET_HDR: make it so"
        )
    if stat.S_ISSOCK(os.fstat(fd.number).st_mode) and _keeps_packets_apart(fd):
        return SOCKET
    raise HostError(f"Descriptor {number} is neither a tap nor a datagram socket")


def _keeps_packets_apart(fd: Fd) -> bool:
    import socket

    with socket.socket(fileno=os.dup(fd.number)) as peer:
        return bool(peer.type in (socket.SOCK_DGRAM, socket.SOCK_SEQPACKET))
