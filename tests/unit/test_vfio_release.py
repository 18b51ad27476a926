"""Functions taken for as long as a command runs: who gives them back when two want the same one."""

from __future__ import annotations

import shutil
from dataclasses import dataclass

import pytest

from tests.bindkit import DISK, drivers, take
from tests.pcitree import Tree
from vmm.vfio.bind import Binder
from vmm.vfio.journal import Entry, Journal
from vmm.vfio.sysfs import function

pytestmark = pytest.mark.usefixtures("kernel")
OTHER = 99  # another process


@dataclass
class Host:
    tree: Tree
    binder: Binder

    def taken_for_a_time(self) -> list[str]:
        return self.binder.bind([function(DISK, self.tree.root)], temporary=True)

    def opened(self, pid: int) -> None:
        self.tree.process(pid, "vmm", "/dev/vfio/1")

    def ended(self, pid: int) -> None:
        shutil.rmtree(self.tree.top / f"proc/{pid}")

    def taken_by(self, pid: int) -> None:
        self.taken_for_a_time()
        with Journal(self.tree.root) as journal:
            journal.add(Entry(address=DISK, driver="nvme", override="", taker=pid))

    @property
    def driver(self) -> str:
        return drivers(self.tree)[0]


@pytest.fixture
def host(tree: Tree, binder: Binder) -> Host:
    return Host(tree, binder)


def test_what_was_taken_for_a_time_is_given_back(host: Host) -> None:
    assert host.taken_for_a_time() == [DISK]
    host.binder.release([DISK], [DISK])
    assert host.driver == "nvme"
    assert Journal(host.tree.root).addresses() == []


def test_what_another_one_has_by_then_is_given_back_by_that(host: Host) -> None:
    host.taken_for_a_time()
    host.opened(OTHER)
    host.binder.release([DISK], [DISK])
    assert host.driver == "vfio-pci"

    host.binder.release([DISK], [])  # a third one, which does not get it
    assert host.driver == "vfio-pci"
    host.ended(OTHER)
    host.binder.release([DISK], [])  # the other one's end
    assert host.driver == "nvme"


def test_what_is_still_to_be_opened_by_its_taker_stays(host: Host) -> None:
    host.taken_by(OTHER)
    host.tree.file(f"proc/{OTHER}/comm", "vmm\n")
    host.binder.release([DISK], [])
    assert host.driver == "vfio-pci"
    host.ended(OTHER)  # killed
    host.binder.release([DISK], [])
    assert host.driver == "nvme"


def test_what_was_bound_to_stay_stays(host: Host) -> None:
    take(host.binder, DISK)
    assert host.taken_for_a_time() == []
    host.binder.release([DISK], [])
    assert host.driver == "vfio-pci"


def test_what_is_bound_meanwhile_stays(host: Host) -> None:
    host.taken_for_a_time()
    assert take(host.binder, DISK) == []
    host.binder.release([DISK], [DISK])
    assert host.driver == "vfio-pci"
    assert host.binder.restore() == [DISK]


def test_member_of_a_group_in_use_stays(tree: Tree, host: Host) -> None:
    sister = "0000:01:00.1"
    tree.function(sister, kind=0x010802, driver="nvme", group=1)
    picked = [function(address, tree.root) for address in (DISK, sister)]
    host.binder.bind(picked, temporary=True)
    host.opened(OTHER)
    host.binder.release([sister], [sister])
    assert function(sister, tree.root).driver == "vfio-pci"
