"""What the host does with a PCI function right now: disks mounted or claimed, links that are up.

What is beneath a function in the tree of devices belongs to it. Disks made of disks (device mapper,
RAID, partitions, NVMe with several paths) and links made of links (bridges, bonds) are followed.
"""

from __future__ import annotations

import errno
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
POOLED = ("zfs", "btrfs", "bcachefs")  # file systems of several disks; where mounted they name one
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
    above = _block_devices(address, root)
    if not above:
        return  # looking through all processes takes time
    names = set(above)
    told: set[str] = set()
    pool = ""
    for line in read(root, "/proc/self/mountinfo").splitlines():
        words = line.split()
        if "-" not in words or len(words) < words.index("-") + 3:
            continue
        kind, source = words[words.index("-") + 1 :][:2]
        place = words[4]
        if place in ROOTS and kind in POOLED:
            pool = f"; {place} is on {kind}, which may have it there"
        mounted = names & {_node(source, root), _by_number(words[2], root)}
        if mounted:
            told |= mounted
            vital = place in ROOTS
            mend = "run the host from another disk" if vital else f"umount {place}"
            yield Use(what=f"{source} is mounted at {place}", mend=mend, vital=vital)
    for line in read(root, "/proc/swaps").splitlines()[1:]:
        source = line.split()[0]
        if _node(source, root) in names:
            told.add(_node(source, root))
            yield Use(what=f"{source} is swap space", mend=f"swapoff {source}")
    for path, holder in _open_by({_path(name) for name in names}, root):
        who = f"process {holder.pid} ({holder.name})"
        yield Use(what=f"{path} is open in {who}", mend=f"kill {holder.pid}")
    yield from _claims(above, told, root, pool)


def _claims(above: dict[str, list[str]], told: set[str], root: str, pool: str) -> Iterator[Use]:
    """Disks that the kernel or a process keeps for itself, in whatever way that is not `told`.

    That is all a pool, the further disks of a file system, and a mount elsewhere let us see. What
    claims a part of a disk claims the disk: only the uppermost is told. pool: what to say where the
    host lives on disks that cannot be told from these.
    """
    busy = {name for name in above if _is_claimed(at(root, _path(name)))}
    for name in sorted(busy - told):
        if busy.isdisjoint(above[name]) and told.isdisjoint(above[name]):
            path, owners = _path(name), _list(f"/sys/class/block/{name}/holders", root)
            users = ", ".join(map(_path, owners))
            what = f"{path} is claimed by {users or f'a file system, a pool, or a process{pool}'}"
            mend = f"`lsblk {path}` and `fuser -v {path}` may tell whose it is"
            yield Use(what=what, mend=mend, vital=bool(pool and not users))


def _is_claimed(path: str) -> bool:
    """Whether somebody has the block device for himself. Who may not open it does not know."""
    flags = os.O_RDONLY | os.O_EXCL | os.O_NONBLOCK | os.O_CLOEXEC  # without waiting for a medium
    try:
        os.close(os.open(path, flags))
    except OSError as error:
        return error.errno == errno.EBUSY
    return False


def _path(name: str) -> str:
    """The node of a block device; sysfs has "!" where its name has a slash."""
    return f"/dev/{name.replace('!', '/')}"


def _node(path: str, root: str) -> str:
    return os.path.basename(os.path.realpath(at(root, path))) if path.startswith("/dev/") else ""


def _by_number(number: str, root: str) -> str:
    """The block device `major:minor`, "" if there is none."""
    try:
        return os.path.basename(os.readlink(at(root, f"/sys/dev/block/{number}")))
    except OSError:
        return ""


def _block_devices(address: str, root: str) -> dict[str, list[str]]:
    """Disks at the function, their partitions and what is built on them: name to those above it."""
    found: dict[str, list[str]] = {}
    todo = [name for name in _list("/sys/class/block", root) if _beneath(name, address, root)]
    while todo:
        name = todo.pop()
        if name in found:
            continue
        found[name] = _list(f"/sys/class/block/{name}/holders", root)
        inner = _list(f"/sys/class/block/{name}", root)
        found[name] += [part for part in inner if part in _list("/sys/class/block", root)]
        todo += found[name]
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
    return [holder for _path, holder in _open_by({path}, root)]


def _open_by(paths: set[str], root: str) -> Iterator[tuple[str, Holder]]:
    for pid in _list("/proc", root):
        if not pid.isdecimal() or int(pid) == os.getpid():
            continue
        found = {_target(f"/proc/{pid}/fd/{fd}", root) for fd in _list(f"/proc/{pid}/fd", root)}
        for path in sorted(paths & found):
            yield path, Holder(pid=int(pid), name=read(root, f"/proc/{pid}/comm"))


def _target(path: str, root: str) -> str:
    try:
        return os.readlink(at(root, path))
    except OSError:
        return ""


def _list(path: str, root: str) -> list[str]:
    try:
        return sorted(os.listdir(at(root, path)))
    except OSError:
        return []
