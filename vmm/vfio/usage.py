"""What the host does with a PCI function right now: disks that are mounted, links that are up.

What is beneath a function in the tree of devices belongs to it. Disks made of disks (device mapper,
RAID, partitions, NVMe with several paths) and links made of links (bridges, bonds) are followed.
"""

from __future__ import annotations

import os

from vmm.host.survey import at, read
from vmm.record import Record
from vmm.vfio.sysfs import DEVICES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

IFF_UP = 0x1
ROOTS = ("/", "/boot", "/boot/efi", "/usr", "/var")  # a host does not live on without these
DEFAULT_ROUTE = "00000000"
IPV6_ANY = "0" * 32


class Use(Record):
    """One thing that would be lost. `vital`: the host's root disk or its last way to the network.

    `mend` is the command after which it is not in use any more.
    """

    what: str
    mend: str
    vital: bool = False


class Holder(Record):
    """A process that has a file open."""

    pid: int
    name: str


def uses(address: str, root: str = "/", taken: Sequence[str] = ()) -> list[Use]:
    """What of the function at `address` is in use; `taken` are functions that go with it."""
    return [*_disks(address, root), *_links(address, root, (address, *taken))]


# --- disks ----------------------------------------------------------------------------------------


def _disks(address: str, root: str) -> Iterator[Use]:
    names = _block_devices(address, root)
    for line in read(root, "/proc/self/mountinfo").splitlines():
        words = line.split()
        if "-" not in words or len(words) < words.index("-") + 3:
            continue
        source, place = words[words.index("-") + 2], words[4]
        if _node(source, root) in names or _by_number(words[2], root) in names:
            vital = place in ROOTS
            mend = "run the host from another disk" if vital else f"umount {place}"
            yield Use(what=f"{source} is mounted at {place}", mend=mend, vital=vital)
    for line in read(root, "/proc/swaps").splitlines()[1:]:
        source = line.split()[0]
        if _node(source, root) in names:
            yield Use(what=f"{source} is swap space", mend=f"swapoff {source}")


def _node(path: str, root: str) -> str:
    return os.path.basename(os.path.realpath(at(root, path))) if path.startswith("/dev/") else ""


def _by_number(number: str, root: str) -> str:
    """The block device `major:minor`, "" if there is none."""
    try:
        return os.path.basename(os.readlink(at(root, f"/sys/dev/block/{number}")))
    except OSError:
        return ""


def _block_devices(address: str, root: str) -> set[str]:
    """Names of disks at the function, of their partitions and of what is built on them."""
    found: set[str] = set()
    todo = [name for name in _list("/sys/class/block", root) if _beneath(name, address, root)]
    while todo:
        name = todo.pop()
        if name in found:
            continue
        found.add(name)
        todo += _list(f"/sys/class/block/{name}/holders", root)
        inner = _list(f"/sys/class/block/{name}", root)
        todo += [part for part in inner if part in _list("/sys/class/block", root)]
    return found


def _beneath(name: str, address: str, root: str) -> bool:
    """Whether the disk is at the function, or may be reached through it (NVMe multipath)."""
    real = os.path.realpath(at(root, f"/sys/class/block/{name}"))
    if f"/{address}/" in real:
        return True
    head, found, tail = real.partition("/nvme-subsystem/")
    if not found:
        return False
    subsystem = f"{head}{found}{tail.partition('/')[0]}"
    paths = (os.path.realpath(entry.path) for entry in os.scandir(subsystem) if entry.is_symlink())
    return any(f"/{address}/" in path for path in paths)


# --- links ----------------------------------------------------------------------------------------


def _links(address: str, root: str, taken: Sequence[str]) -> Iterator[Use]:
    up = [link for link in _list("/sys/class/net", root) if _is_up(link, root)]
    owners = {link: owner for link in up if (owner := _owner(link, root))}
    left = [link for link, owner in owners.items() if owner not in taken]
    routed = _carriers(root)
    for link, owner in owners.items():
        if owner != address:
            continue
        alone = not left
        what = f"network link {link} is up"
        if alone:
            what += " and no other is"
        elif link in routed:
            what += " and carries the default route"
        vital = alone or link in routed
        mend = "reach the host by another link first" if vital else f"ip link set {link} down"
        yield Use(what=what, mend=mend, vital=vital)


def _is_up(link: str, root: str) -> bool:
    flags = read(root, f"/sys/class/net/{link}/flags")
    return flags.startswith("0x") and bool(int(flags, 16) & IFF_UP)


def _owner(link: str, root: str) -> str:
    """The PCI function a link belongs to, "" for links without hardware."""
    real = os.path.realpath(at(root, f"/sys/class/net/{link}"))
    known = set(_list(DEVICES, root))
    return next((part for part in reversed(real.split("/")) if part in known), "")


def _carriers(root: str) -> set[str]:
    """The links behind default routes, and those that bridges and bonds among them consist of."""
    todo = []
    for line in read(root, "/proc/net/route").splitlines()[1:]:
        words = line.split()
        if len(words) > 7 and words[1] == DEFAULT_ROUTE and words[7] == DEFAULT_ROUTE:
            todo.append(words[0])
    for line in read(root, "/proc/net/ipv6_route").splitlines():
        words = line.split()
        if len(words) > 9 and words[:2] == [IPV6_ANY, "00"] and words[9] != "lo":
            todo.append(words[9])
    found: set[str] = set()
    while todo:
        link = todo.pop()
        if link not in found:
            found.add(link)
            inner = _list(f"/sys/class/net/{link}", root)
            todo += [name.removeprefix("lower_") for name in inner if name.startswith("lower_")]
    return found


# --- processes ------------------------------------------------------------------------------------


def holders(path: str, root: str = "/") -> list[Holder]:
    """Other processes that have the file `path` open, as far as this user may see."""
    found = []
    for pid in _list("/proc", root):
        if not pid.isdecimal() or int(pid) == os.getpid():
            continue
        for fd in _list(f"/proc/{pid}/fd", root):
            try:
                target = os.readlink(at(root, f"/proc/{pid}/fd/{fd}"))
            except OSError:
                continue
            if target == path:
                found.append(Holder(pid=int(pid), name=read(root, f"/proc/{pid}/comm")))
                break
    return found


def _list(path: str, root: str) -> list[str]:
    try:
        return sorted(os.listdir(at(root, path)))
    except OSError:
        return []
