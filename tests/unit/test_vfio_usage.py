"""What the host does with a function, on made-up hosts: mounted disks, swap, links."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tests.pcitree import Tree
from vmm.vfio.shares import shares
from vmm.vfio.usage import Use, uses

DISK, CARD, SECOND = "0000:01:00.0", "0000:02:00.0", "0000:03:00.0"


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


@pytest.fixture
def disk(tree: Tree) -> str:
    folder = tree.function(DISK, kind=0x010802, driver="nvme")
    tree.disk("nvme0n1", folder, "259:0")
    tree.disk("nvme0n1p1", folder, "259:1", inside="nvme0n1")
    return folder


def test_an_idle_disk_is_not_in_use(tree: Tree, disk: str) -> None:
    tree.mounted(("0:25", "/", "overlay"), ("8:1", "/boot", "/dev/sda1"))

    assert uses(DISK, tree.root) == []


def test_a_mounted_partition(tree: Tree, disk: str) -> None:
    tree.mounted(("259:1", "/srv", "/dev/nvme0n1p1"))

    assert uses(DISK, tree.root) == [
        Use(what="/dev/nvme0n1p1 is mounted at /srv", mend="umount /srv")
    ]


def test_a_file_system_with_a_number_of_its_own_is_known_by_its_source(
    tree: Tree, disk: str
) -> None:
    tree.mounted(("0:33", "/srv", "/dev/nvme0n1p1"))  # as btrfs is

    assert [use.mend for use in uses(DISK, tree.root)] == ["umount /srv"]


def test_the_root_disk_is_vital_also_through_device_mapper(tree: Tree, disk: str) -> None:
    tree.file("sys/devices/virtual/block/dm-0/dev", "253:0")
    tree.link("sys/class/block/dm-0", "sys/devices/virtual/block/dm-0")
    tree.file(f"{disk}/block/nvme0n1/nvme0n1p1/holders/dm-0", "")
    tree.file("dev/dm-0", "")
    tree.link("dev/mapper/root", "dev/dm-0")
    tree.mounted(("0:1", "/", "/dev/mapper/root"))

    (use,) = uses(DISK, tree.root)

    assert use.vital
    assert use.what == "/dev/mapper/root is mounted at /"
    assert "umount" not in use.mend


def test_a_disk_with_several_paths_belongs_to_each(tree: Tree) -> None:
    folder = tree.function(DISK, kind=0x010802, driver="nvme")
    tree.file(f"{folder}/nvme/nvme0/state", "live")
    subsystem = "sys/devices/virtual/nvme-subsystem/nvme-subsys0"
    tree.file(f"{subsystem}/nvme0n1/dev", "259:0")
    tree.link(f"{subsystem}/nvme0", f"{folder}/nvme/nvme0")
    tree.link("sys/class/block/nvme0n1", f"{subsystem}/nvme0n1")
    tree.link("sys/dev/block/259:0", f"{subsystem}/nvme0n1")
    tree.mounted(("259:0", "/srv", "/dev/root"))

    assert [use.what for use in uses(DISK, tree.root)] == ["/dev/root is mounted at /srv"]


def test_swap(tree: Tree, disk: str) -> None:
    tree.file("proc/swaps", "Filename Type\n/dev/nvme0n1p1 partition 1 0 -2\n/swapfile file\n")

    assert uses(DISK, tree.root) == [
        Use(what="/dev/nvme0n1p1 is swap space", mend="swapoff /dev/nvme0n1p1")
    ]


@pytest.fixture
def claimed(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Names of nodes that somebody has for himself; a file of the made-up host cannot be that."""
    names: set[str] = set()
    plain = os.open

    def exclusive(path: str, flags: int) -> int:
        assert flags & os.O_EXCL
        if path.removeprefix(f"{tree.root}/dev/") in names:
            raise OSError(errno.EBUSY, "Device or resource busy", path)
        return plain(path, flags)

    monkeypatch.setattr(os, "open", exclusive)
    return names


def test_what_a_pool_or_another_namespace_claims(tree: Tree, disk: str, claimed: set[str]) -> None:
    assert uses(DISK, tree.root) == []

    claimed |= {"nvme0n1", "nvme0n1p1"}  # the kernel refuses the disk of a part as well

    (use,) = uses(DISK, tree.root)
    assert use.what == "/dev/nvme0n1p1 is claimed by a file system, a pool, or a process"
    assert "lsblk /dev/nvme0n1p1" in use.mend


@pytest.mark.parametrize(("kind", "vital"), [("zfs", True), ("btrfs", True), ("ext4", False)])
def test_where_the_host_lives_in_a_pool_what_is_claimed_may_be_its_disk(
    tree: Tree, disk: str, claimed: set[str], kind: str, vital: bool
) -> None:
    tree.file("proc/self/mountinfo", f"9 1 0:25 / / rw - {kind} pool/root rw\n")
    claimed |= {"nvme0n1", "nvme0n1p1"}

    (use,) = uses(DISK, tree.root)

    assert use.vital == vital
    assert (f"; / is on {kind}, which may have it there" in use.what) == vital


def test_a_whole_disk_that_is_claimed(tree: Tree, claimed: set[str]) -> None:
    folder = tree.function(DISK, kind=0x010802, driver="nvme")
    tree.disk("cciss!c0d0", folder, "104:0")
    claimed.add("cciss/c0d0")

    (use,) = uses(DISK, tree.root)
    assert use.what.startswith("/dev/cciss/c0d0 is claimed by")


def test_a_claim_that_is_told_already_is_not_told_twice(
    tree: Tree, disk: str, claimed: set[str]
) -> None:
    tree.disk("nvme0n1p2", disk, "259:2", inside="nvme0n1")
    tree.mounted(("259:1", "/srv", "/dev/nvme0n1p1"))
    claimed |= {"nvme0n1", "nvme0n1p1"}
    assert [use.mend for use in uses(DISK, tree.root)] == ["umount /srv"]

    claimed.add("nvme0n1p2")  # a further part of the same file system

    assert [use.what.partition(" is ")[0] for use in uses(DISK, tree.root)] == [
        "/dev/nvme0n1p1",
        "/dev/nvme0n1p2",
    ]


def test_a_claim_names_the_disk_that_is_built_on_it(
    tree: Tree, disk: str, claimed: set[str]
) -> None:
    tree.file("sys/devices/virtual/block/dm-0/dev", "253:0")
    tree.link("sys/class/block/dm-0", "sys/devices/virtual/block/dm-0")
    tree.file(f"{disk}/block/nvme0n1/holders/dm-0", "")
    claimed.add("nvme0n1")

    assert [use.what for use in uses(DISK, tree.root)] == ["/dev/nvme0n1 is claimed by /dev/dm-0"]


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENXIO])
def test_who_may_not_look_claims_nothing(
    tree: Tree, disk: str, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(path: str, flags: int) -> int:
        raise OSError(number, os.strerror(number), path)

    monkeypatch.setattr(os, "open", refuse)

    assert uses(DISK, tree.root) == []


def test_a_process_that_has_a_part_of_a_disk_open(tree: Tree, disk: str) -> None:
    tree.process(42, "qemu", "/dev/nvme0n1p1")

    assert uses(DISK, tree.root) == [
        Use(what="/dev/nvme0n1p1 is open in process 42 (qemu)", mend="kill 42")
    ]


@pytest.fixture
def cards(tree: Tree) -> Tree:
    for address, name in ((CARD, "eth0"), (SECOND, "eth1")):
        folder = tree.function(address, kind=0x020000, driver="e1000e")
        tree.interface(name, folder)
    tree.interface("lo", "sys/devices/virtual")
    return tree


def test_a_link_that_is_up_when_there_is_another(cards: Tree) -> None:
    assert uses(CARD, cards.root) == [
        Use(what="network link eth0 is up", mend="ip link set eth0 down")
    ]


def test_a_link_that_is_down_is_not_in_use(cards: Tree) -> None:
    cards.file(f"sys/devices/pci0000:00/{CARD}/net/eth0/flags", "0x1002")

    assert uses(CARD, cards.root) == []


def test_the_last_link_is_vital_also_when_the_other_goes_with_it(cards: Tree) -> None:
    (both,) = uses(CARD, cards.root, taken=[CARD, SECOND])
    cards.file(f"sys/devices/pci0000:00/{SECOND}/net/eth1/flags", "0x1002")
    (last,) = uses(CARD, cards.root)

    assert both == last
    assert last.vital
    assert last.what == "network link eth0 is up and no other is"


def test_the_link_of_the_default_route_is_vital_also_below_a_bridge(cards: Tree) -> None:
    cards.file("sys/devices/virtual/net/br0/flags", "0x1003")
    cards.link("sys/class/net/br0", "sys/devices/virtual/net/br0")
    cards.file("sys/devices/virtual/net/br0/lower_eth0", "")
    cards.route("br0")

    (use,) = uses(CARD, cards.root)
    (other,) = uses(SECOND, cards.root)

    assert use.vital
    assert use.what == "network link eth0 is up and carries the default route"
    assert not other.vital


def test_a_default_route_of_the_newer_protocol(cards: Tree) -> None:
    zeros = "0" * 32
    words = [zeros, "00", zeros, "00", zeros, "0", "0", "0", "3"]
    cards.file("proc/net/ipv6_route", " ".join([*words, "eth1"]) + "\n" + " ".join([*words, "lo"]))

    assert [use.vital for use in uses(SECOND, cards.root)] == [True]


@pytest.mark.parametrize(("place", "vital"), [("/", True), ("/out", False)])
def test_a_share_that_is_mounted(tree: Tree, place: str, vital: bool) -> None:
    folder = tree.function(DISK, "1af4:1009", 0x018000, "virtio-pci")
    tree.function(SECOND, "1af4:105a", 0x018000, "virtio-pci")
    tree.file(f"{folder}/virtio1/mount_tag", "the top\0")
    tree.link("sys/fs/virtiofs/0/device", f"sys/devices/pci0000:00/{SECOND}/virtio2")
    tree.file("sys/fs/virtiofs/0/tag", "the top\n")
    for address, kind in ((DISK, "9p"), (SECOND, "virtiofs")):
        tree.file("proc/self/mountinfo", f"9 1 0:25 / {place} rw - {kind} the\\040top rw\n")
        (use,) = shares(address, tree.root)
        assert use.what == f"the {kind} share the top is mounted at {place}"
        assert use.vital == vital
        tree.file("proc/self/mountinfo", f"9 1 0:25 / {place} rw - {kind} other rw\n")
        assert list(shares(address, tree.root)) == []
