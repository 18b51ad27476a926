"""A made-up host with a disk and a network card to be bound, and a kernel that obeys."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pcitree import Kernel, Tree
from vmm.vfio.bind import Binder
from vmm.vfio.sysfs import function

DISK, CARD = "0000:01:00.0", "0000:02:00.0"


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    made = Tree(tmp_path)
    made.function(DISK, kind=0x010802, driver="nvme", group=1)
    made.function(CARD, kind=0x020000, driver="e1000e", group=2)
    return made


@pytest.fixture
def kernel(tree: Tree) -> Kernel:
    return Kernel(tree)


@pytest.fixture
def binder(tree: Tree, kernel: Kernel) -> Binder:
    return Binder(tree.root, kernel.write)


def drivers(tree: Tree) -> list[str]:
    return [function(address, tree.root).driver for address in (DISK, CARD)]


def take(binder: Binder, *addresses: str) -> list[str]:
    return binder.bind([function(address, binder.root) for address in addresses])
