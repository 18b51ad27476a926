"""What this host offers a VMM beside KVM: device nodes, memory, limits. Pure reading, no changes.

Every probe takes the root of the file tree, so that tests can survey a made-up host. A finding says
what was looked at, what was found, what it is needed for, and the command that mends it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from vmm.record import Record

OK, LIMITED, ABSENT, MISSING = "ok", "limited", "absent", "missing"


class Finding(Record):
    """One row. `status`: ok, limited (works, but), absent (optional), missing (nothing runs)."""

    topic: str
    name: str
    status: str
    found: str
    needed_for: str
    mend: str = ""


class Node(Record):
    """A device node that some part of a VMM opens."""

    topic: str
    path: str
    needed_for: str
    mend: str


NODES = (
    Node(topic="Networking", path="/dev/net/tun", needed_for="tap devices", mend="modprobe tun"),
    Node(topic="Networking", path="/dev/vhost-net", needed_for="virtio-net served by the kernel",
         mend="modprobe vhost_net"),
    Node(topic="Networking", path="/dev/vhost-vsock", needed_for="sockets between host and guest",
         mend="modprobe vhost_vsock"),
    Node(topic="Passthrough", path="/dev/vfio/vfio", needed_for="PCI passthrough, container API",
         mend="modprobe vfio-pci"),
    Node(topic="Passthrough", path="/dev/iommu", needed_for="PCI passthrough, iommufd API",
         mend="modprobe iommufd (Linux 6.2 or newer)"),
)  # fmt: skip


def survey(root: str = "/") -> Iterator[Finding]:
    """All findings of this module, in the order they are shown."""
    for node in NODES:
        yield device_node(node, root)
    yield iommu_groups(root)
    yield from huge_pages(root)
    yield from limits()
    yield io_uring()


def at(root: str, path: str) -> str:
    return os.path.join(root, path.lstrip("/"))


def read(root: str, path: str) -> str:
    """A file's text without the last newline, "" if it cannot be read."""
    try:
        with open(at(root, path), encoding="utf-8", errors="replace") as file:
            return file.read().rstrip("\n")
    except OSError:
        return ""


def device_node(node: Node, root: str) -> Finding:
    path = at(root, node.path)
    if not os.path.exists(path):
        status, found, mend = ABSENT, "not there", node.mend
    elif not os.access(path, os.R_OK | os.W_OK):
        status, found = ABSENT, "no permission"
        mend = f"setfacl -m u:$USER:rw {node.path}"
    else:
        status, found, mend = OK, "usable", ""
    return Finding(
        topic=node.topic,
        name=node.path,
        status=status,
        found=found,
        needed_for=node.needed_for,
        mend=mend,
    )


def iommu_groups(root: str) -> Finding:
    try:
        count = len(os.listdir(at(root, "/sys/kernel/iommu_groups")))
    except OSError:
        count = 0
    return Finding(
        topic="Passthrough",
        name="IOMMU groups",
        status=OK if count else ABSENT,
        found=f"{count} groups" if count else "none",
        needed_for="keeping a passed-through device to its guest's memory",
        mend="" if count else "switch the IOMMU on in the firmware, boot with intel_iommu=on",
    )


def chosen(text: str) -> str:
    """The word in brackets of a sysfs choice: "always [madvise] never" -> madvise."""
    return text.partition("[")[2].partition("]")[0]


def huge_pages(root: str) -> Iterator[Finding]:
    folder = "/sys/kernel/mm/transparent_hugepage"
    for name, good, needed_for in (
        ("enabled", ("madvise", "always"), "fewer TLB misses"),
        ("shmem_enabled", ("advise", "within_size", "always", "force"), "--mem-backing thp"),
    ):
        value = chosen(read(root, f"{folder}/{name}"))
        yield Finding(
            topic="Memory",
            name=f"transparent huge pages, {name}",
            status=OK if value in good else ABSENT,
            found=value or "not in this kernel",
            needed_for=needed_for,
            mend="" if value in good else f"echo {good[0]} > {folder}/{name}",
        )
    pool = "/sys/kernel/mm/hugepages/hugepages-2048kB"
    free, total = (read(root, f"{pool}/{name}") for name in ("free_hugepages", "nr_hugepages"))
    enough = free.isdigit() and int(free) > 0
    yield Finding(
        topic="Memory",
        name="2 MiB pages",
        status=OK if enough else ABSENT,
        found=f"{free} of {total} free" if total else "not in this kernel",
        needed_for="--mem-backing hugetlb",
        mend="" if enough else "sysctl vm.nr_hugepages=512",
    )


def limits() -> Iterator[Finding]:
    import resource

    for name, number, enough, needed_for, mend in (
        ("locked memory", resource.RLIMIT_MEMLOCK, 1 << 33, "passthrough pins all guest memory",
         "ulimit -l unlimited (limits.conf: memlock)"),
        ("open files", resource.RLIMIT_NOFILE, 4096, "many vCPUs and queues", "ulimit -n 65536"),
    ):  # fmt: skip
        soft, _hard = resource.getrlimit(number)
        unlimited = soft == resource.RLIM_INFINITY
        exempt = number == resource.RLIMIT_MEMLOCK and os.geteuid() == 0
        good = unlimited or soft >= enough or exempt
        yield Finding(
            topic="Limits",
            name=name,
            status=OK if good else LIMITED,
            found="unlimited" if unlimited else f"{soft:,}",
            needed_for=needed_for,
            mend="" if good else mend,
        )


def io_uring() -> Finding:
    """io_uring_setup(0, NULL) says EFAULT or EINVAL where it exists and is allowed."""
    import ctypes
    import errno

    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall(425, 0, None)  # __NR_io_uring_setup
    error = ctypes.get_errno()
    good = error in (errno.EFAULT, errno.EINVAL)
    return Finding(
        topic="Limits",
        name="io_uring",
        status=OK if good else ABSENT,
        found="usable" if good else os.strerror(error),
        needed_for="fast block devices",
        mend="" if good or error != errno.EPERM else "sysctl kernel.io_uring_disabled=0",
    )
