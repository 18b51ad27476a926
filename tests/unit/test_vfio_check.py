"""Why a function cannot be used, and what mends it, on made-up hosts."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.pcitree import BRIDGE_CLASS, Tree
from vmm.vfio import check as module
from vmm.vfio.check import BROKEN, IN_USE, NOTE, VITAL, check, refusals
from vmm.vfio.sysfs import function

ADDRESS, OTHER = "0000:01:00.0", "0000:01:00.1"
BIG = "0x0000000100000000 0x00000008ffffffff 0x0000000000140204"  # 32 GiB, 64 bits
HUGE = "0x00000000c0000000 0x00000000ffffffff 0x0000000000040200"  # 1 GiB, 32 bits


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def found(tree: Tree, *taken: str, memory: int = 0) -> dict[str, tuple[str, str]]:
    """What `check` says of ADDRESS: sentence to (level, mend), without the note on resets."""
    reasons = check(function(ADDRESS, tree.root), tree.root, taken, memory)
    return {r.what: (r.level, r.mend) for r in reasons if "reset alone" not in r.what}


def only(tree: Tree, *taken: str, memory: int = 0) -> tuple[str, str, str]:
    """The same, where there is one: (level, sentence, mend)."""
    ((what, (level, mend)),) = found(tree, *taken, memory=memory).items()
    return level, what, mend


def test_nothing_stands_against_a_function_that_is_bound(tree: Tree) -> None:
    tree.function(ADDRESS, driver="vfio-pci", reset_method="flr", driver_override="vfio-pci")

    assert check(function(ADDRESS, tree.root), tree.root) == []


def test_an_unbound_function_only_wants_binding(tree: Tree) -> None:
    tree.function(ADDRESS, driver="nvme", reset_method="flr")

    assert only(tree) == (
        NOTE, "it runs the driver nvme, not vfio-pci", f"vmm vfio bind {ADDRESS}"
    )  # fmt: skip


def test_one_that_cannot_be_reset_is_told(tree: Tree) -> None:
    tree.function(ADDRESS, driver="vfio-pci")

    (reason,) = check(function(ADDRESS, tree.root), tree.root)

    assert (reason.level, reason.address) == (NOTE, ADDRESS)
    assert "cannot be reset alone" in reason.what


@pytest.mark.parametrize(
    ("units", "words"), [(True, "no IOMMU of the host covers it"), (False, "IOMMU is off")]
)
def test_without_an_iommu(tree: Tree, units: bool, words: str) -> None:
    tree.function(ADDRESS, driver="vfio-pci", group=None)
    if not units:
        (tree.top / "sys/class/iommu/dmar0").rmdir()

    level, what, mend = only(tree)

    assert level == BROKEN
    assert words in what
    assert ("intel_iommu=on" in mend) != units


@pytest.mark.parametrize(
    ("chips", "allowed", "level"),
    [
        ("IR-PCI-MSIX-0000:01:00.0 nvme0q0", "N", ""),
        ("PCI-MSIX-0000:01:00.0 nvme0q0", "N", BROKEN),
        ("PCI-MSIX-0000:01:00.0 nvme0q0", "Y", ""),
        ("PCI-MSIX-0000:01:00.0 nvme0q0", "", NOTE),
        ("", "", ""),
    ],
)
def test_interrupts_that_the_iommu_lets_through_as_they_are(
    tree: Tree, chips: str, allowed: str, level: str
) -> None:
    tree.function(ADDRESS, driver="vfio-pci")
    tree.file("proc/interrupts", f" 24:  7  {chips}\n")
    path = "sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts"
    if allowed:
        tree.file(path, f"{allowed}\n")

    assert [level for level, _mend in found(tree).values()] == ([level] if level else [])
    assert all(mend.endswith(f"echo 1 > /{path}") for _level, mend in found(tree).values())


@pytest.mark.parametrize(
    ("legacy", "iommufd", "node", "level"),
    [
        ("N", "Y", "", NOTE),
        ("Y", "N", "", ""),
        ("N", "N", "", BROKEN),
        ("Y", "N", "vfio0", NOTE),
        ("N", "Y", "vfio0", ""),
        ("", "N", "vfio0", BROKEN),
    ],
)
def test_either_interface_may_let_them_through(
    tree: Tree, legacy: str, iommufd: str, node: str, level: str
) -> None:
    tree.function(ADDRESS, driver="vfio-pci")
    tree.file("proc/interrupts", " 24:  7  PCI-MSIX-0000:01:00.0 nvme0q0\n")
    if node:
        tree.file(f"sys/bus/pci/devices/{ADDRESS}/vfio-dev/{node}/dev", "511:0\n")
        tree.file(f"dev/vfio/devices/{node}", "")
    for name, allowed in (("vfio_iommu_type1", legacy), ("iommufd", iommufd)):
        if allowed:
            path = f"sys/module/{name}/parameters/allow_unsafe_interrupts"
            tree.file(path, f"{allowed}\n")

    assert [level for level, _mend in found(tree).values()] == ([level] if level else [])


def test_without_a_device_node_the_module_is_named(tree: Tree) -> None:
    tree.function(ADDRESS, driver="vfio-pci")
    (tree.top / "dev/vfio/vfio").unlink()

    level, what, mend = only(tree)

    assert (level, mend) == (BROKEN, "modprobe vfio_iommu_type1")
    assert what == "neither /dev/vfio/vfio nor /dev/iommu exists"
    tree.file("dev/iommu", "")
    assert found(tree) == {}


def test_modules_that_binding_loads_are_only_noted(tree: Tree) -> None:
    """As on a host that has never used VFIO."""
    tree.function(ADDRESS, reset_method="flr")
    (tree.top / "dev/vfio/vfio").unlink()
    shutil.rmtree(tree.top / "sys/bus/pci/drivers/vfio-pci")

    assert set(found(tree).values()) == {
        (NOTE, "modprobe vfio-pci"), (NOTE, f"vmm vfio bind {ADDRESS}"),
    }  # fmt: skip


def test_a_shared_group_names_who_holds_it(tree: Tree) -> None:
    tree.function(ADDRESS, driver="vfio-pci", group=3)
    tree.function(OTHER, kind=0x040300, driver="snd_hda_intel", group=3)

    level, what, mend = only(tree)

    assert (level, mend) == (BROKEN, f"vmm vfio bind --group {ADDRESS}")
    assert what == (
        f"IOMMU group 3 also holds {OTHER} (audio), which the driver snd_hda_intel runs"
    )
    assert found(tree, ADDRESS, OTHER) == {}


def test_a_bridge_is_not_for_vfio(tree: Tree) -> None:
    tree.function(ADDRESS, kind=BRIDGE_CLASS)

    assert (BROKEN, "name a function behind it") in found(tree).values()


@pytest.mark.parametrize(
    ("more", "words", "mend"),
    [
        ({"driver": "pci-stub"}, "bound to pci-stub", "drivers/pci-stub/unbind"),
        ({"driver_override": "xen-pciback"}, "driver_override is xen-pciback", "driver_override"),
        ({"driver": "vfio-pci", "sriov_numvfs": "4"}, "4 virtual functions", "sriov_numvfs"),
    ],
)
def test_taken_for_another_purpose(tree: Tree, more: dict[str, str], words: str, mend: str) -> None:
    tree.function(ADDRESS, **more)  # type: ignore[arg-type]

    level, what, remedy = only(tree)

    assert level == IN_USE
    assert words in what
    assert mend in remedy


def test_a_process_that_has_it_open_is_named(tree: Tree) -> None:
    tree.function(ADDRESS, driver="vfio-pci", group=3)
    tree.process(4711, "qemu", "/dev/vfio/3")

    assert only(tree) == (BROKEN, "/dev/vfio/3 is in use by process 4711 (qemu)", "kill 4711")


def test_permissions_before_and_after_binding(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    tree.function(ADDRESS, driver="vfio-pci", group=3)
    tree.file("dev/vfio/3", "")
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)

    assert only(tree) == (BROKEN, "/dev/vfio/3 may not be opened", "sudo chown $USER /dev/vfio/3")

    (tree.top / f"sys/bus/pci/devices/{ADDRESS}/driver").unlink()
    assert (BROKEN, f"sudo vmm vfio bind {ADDRESS}") in found(tree).values()


@pytest.mark.parametrize(
    ("capabilities", "limit", "broken"),
    [
        ("0", 8 << 20, True),
        (f"{1 << 14:x}", 8 << 20, False),
        ("0", 1 << 31, False),
        ("0", -1, False),
    ],
)
def test_locked_memory_is_computed_beforehand(
    tree: Tree, monkeypatch: pytest.MonkeyPatch, capabilities: str, limit: int, broken: bool
) -> None:
    tree.function(ADDRESS, driver="vfio-pci")
    tree.file("proc/self/status", f"Name: x\nCapEff: {capabilities}\n")
    monkeypatch.setattr("resource.getrlimit", lambda _number: (limit, limit))

    reasons = found(tree, memory=1 << 30)

    assert bool(reasons) == broken
    if broken:
        ((what, (level, mend)),) = reasons.items()
        assert (level, what) == (
            BROKEN,
            "DMA to 1G of memory needs 1,090,519,040 bytes locked, and the limit is 8,388,608",
        )
        assert "--memlock=1090519040:1090519040" in mend


def test_a_guest_larger_than_the_host_is_told(tree: Tree) -> None:
    tree.function(ADDRESS, driver="vfio-pci")
    tree.file("proc/self/status", f"CapEff: {1 << 14:x}\n")
    tree.file("proc/meminfo", "MemTotal:        8388608 kB\nMemFree: 1 kB\n")

    assert found(tree, memory=7 << 30) == {}
    level, what, mend = only(tree, memory=8 << 30)
    assert (level, mend) == (BROKEN, "say a smaller --mem")
    assert what == "DMA to 8G of memory needs all of it, and the host has 8,589,934,592 bytes"


@pytest.mark.parametrize(
    ("resource", "words"),
    [(BIG, "BAR0 of 32G does not fit a guest's 24G window"), (HUGE, "BAR0 of 1G does not fit")],
)
def test_registers_larger_than_a_guests_window(tree: Tree, resource: str, words: str) -> None:
    tree.function(ADDRESS, driver="vfio-pci", resource=resource)

    tree.file("proc/self/status", f"CapEff: {1 << 14:x}\n")

    level, what, _mend = only(tree, memory=1 << 30)

    assert level == BROKEN
    assert what.startswith(words)
    assert found(tree) == {}


def test_what_it_takes_to_bind_all_the_same() -> None:
    reasons = [
        module.Reason(address=ADDRESS, level=level, what=level)
        for level in (BROKEN, IN_USE, VITAL, NOTE)
    ]

    def left(force: bool, really: bool) -> list[str]:
        return [reason.level for reason in refusals(reasons, force, really)]

    assert left(False, False) == left(False, True) == [BROKEN, IN_USE, VITAL]
    assert left(True, False) == [BROKEN, VITAL]
    assert left(True, True) == [BROKEN]
