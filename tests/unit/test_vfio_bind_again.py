"""Binding after a process that was killed, and beside one that binds at the same time."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.bindkit import CARD, DISK, drivers, take
from tests.pcitree import Kernel, Tree
from vmm.errors import HostError
from vmm.vfio.bind import Binder
from vmm.vfio.journal import Entry, Journal
from vmm.vfio.sysfs import function

FIRST = Entry(address=DISK, driver="nvme", override="")


def killed_after(writes: int, binder: Binder) -> None:
    """A process was about to bind DISK, and got no further than this."""
    steps = binder.plan([function(DISK, binder.root)])
    with Journal(binder.root) as journal:
        journal.add(FIRST)
    binder.host.do(steps[:writes])


@pytest.mark.parametrize("writes", range(4))
def test_the_record_of_a_killed_bind_is_kept(tree: Tree, binder: Binder, writes: int) -> None:
    killed_after(writes, binder)
    assert drivers(tree)[0] == ("nvme", "nvme", "", "vfio-pci")[writes]

    assert take(binder, DISK) == ([DISK] if writes < 3 else [])
    assert Journal(tree.root).get(DISK) == FIRST
    assert binder.restore() == [DISK]

    assert (drivers(tree)[0], function(DISK, tree.root).override) == ("nvme", "")


@pytest.mark.parametrize("writes", range(4))
def test_the_record_of_a_killed_restore_is_kept(tree: Tree, binder: Binder, writes: int) -> None:
    take(binder, DISK)
    binder.host.do(binder.restore_plan(DISK, Journal(tree.root))[:writes])
    assert drivers(tree)[0] == ("vfio-pci", "vfio-pci", "", "nvme")[writes]

    take(binder, DISK)
    assert Journal(tree.root).get(DISK) == FIRST
    assert binder.restore() == [DISK]

    assert (drivers(tree)[0], function(DISK, tree.root).override) == ("nvme", "")


def test_a_record_that_is_out_of_date_is_written_anew(tree: Tree, binder: Binder) -> None:
    with Journal(tree.root) as journal:
        journal.add(Entry(address=DISK, driver="other", override="other"))

    take(binder, DISK)

    assert Journal(tree.root).get(DISK) == FIRST


def test_a_run_that_fails_leaves_what_an_earlier_one_wrote_down(
    tree: Tree, kernel: Kernel, binder: Binder
) -> None:
    killed_after(2, binder)
    kernel.refuse = {f"drivers_probe {DISK}"}

    with pytest.raises(HostError, match="drivers_probe` failed"):
        take(binder, CARD, DISK)

    assert drivers(tree) == ["", "e1000e"]
    assert Journal(tree.root).addresses() == [DISK]
    assert Journal(tree.root).get(DISK) == FIRST


class Late(Binder):
    """One whom another process outruns between the first look at the host and the lock."""

    def __init__(self, kernel: Kernel, meanwhile: Callable[[], object]) -> None:
        super().__init__(kernel.tree.root, kernel.write)
        self._meanwhile = meanwhile

    def _load(self) -> None:
        self._meanwhile()


def test_two_at_once_do_not_undo_each_other(tree: Tree, kernel: Kernel, binder: Binder) -> None:
    late = Late(kernel, lambda: take(binder, DISK))
    kernel.refuse = {f"drivers_probe {CARD}"}

    with pytest.raises(HostError, match="drivers_probe` failed"):
        take(late, DISK, CARD)

    assert drivers(tree) == ["vfio-pci", "e1000e"]
    assert Journal(tree.root).get(DISK) == FIRST
    binder.restore()
    assert drivers(tree)[0] == "nvme"


def test_what_came_into_use_before_the_lock_was_had_is_refused(
    tree: Tree, kernel: Kernel, binder: Binder
) -> None:
    def taken_and_opened() -> None:
        take(binder, DISK)
        tree.process(99, "qemu", "/dev/vfio/1")

    with pytest.raises(HostError, match="/dev/vfio/1 is in use by process 99"):
        take(Late(kernel, taken_and_opened), DISK)

    assert drivers(tree)[0] == "vfio-pci"
    assert Journal(tree.root).get(DISK) == FIRST
