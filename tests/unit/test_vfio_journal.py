"""The records of what was taken: who may lock them, and what is said when they cannot be kept."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tests.pcitree import Tree
from vmm.errors import HostError
from vmm.vfio.journal import Entry, Journal

DISK = "0000:01:00.0"


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def mode(tree: Tree, path: str) -> int:
    return stat.S_IMODE((tree.top / path).stat().st_mode)


def test_nobody_else_may_open_the_lock_or_write_beside_it(tree: Tree) -> None:
    (tree.top / "run").mkdir()
    before = os.umask(0)
    try:
        with Journal(tree.root):
            pass
    finally:
        os.umask(before)

    assert mode(tree, "run/vmm/vfio/lock") == 0o600
    assert [mode(tree, path) for path in ("run/vmm", "run/vmm/vfio")] == [0o755, 0o755]


def test_a_lock_that_somebody_keeps_is_told_and_not_waited_for_for_ever(tree: Tree) -> None:
    path = f"{tree.root}/run/vmm/vfio/lock"
    tree.process(99, "vmm", path)
    late = Journal(tree.root, patience=0.1)

    with (
        Journal(tree.root),
        pytest.raises(HostError, match=r"process 99 \(vmm\) has the file open"),
    ):
        late.__enter__()

    with late:  # nothing is left of the attempt
        pass


def test_a_record_that_cannot_be_removed_is_told(tree: Tree) -> None:
    with Journal(tree.root) as journal:
        (tree.top / f"run/vmm/vfio/{DISK}.json").mkdir()
        with pytest.raises(HostError, match=r"removing its record failed: Is a directory; remove"):
            journal.remove(DISK)


def test_one_that_is_not_there_is_no_trouble(tree: Tree) -> None:
    with Journal(tree.root) as journal:
        journal.remove(DISK)
        journal.add(Entry(address=DISK, driver="nvme", override=""))
        journal.remove(DISK)
        assert journal.get(DISK) is None


def test_who_is_left_behind_with_the_descriptor_keeps_nobody_waiting(tree: Tree) -> None:
    """As a child does that writes to a driver which never answers."""
    ours, childs = os.pipe()
    with Journal(tree.root):
        pid = os.fork()
        if not pid:
            os.close(childs)
            os.read(ours, 1)
            os._exit(0)
    try:
        with Journal(tree.root, patience=0.1):
            pass
    finally:
        os.close(ours)
        os.close(childs)
        os.waitpid(pid, 0)
