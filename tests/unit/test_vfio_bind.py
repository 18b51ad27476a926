"""Binding and giving back, on made-up hosts whose kernel obeys, refuses or forgets."""

from __future__ import annotations

import json
import os
import resource
import shutil
from pathlib import Path

import pytest

from tests.bindkit import CARD, DISK, drivers, take
from tests.pcitree import Kernel, Tree
from vmm.errors import HostError
from vmm.host.files import write_bounded
from vmm.vfio.bind import Binder
from vmm.vfio.journal import Entry, Journal
from vmm.vfio.sysfs import function


def test_both_are_taken_and_given_back(tree: Tree, kernel: Kernel, binder: Binder) -> None:
    assert take(binder, DISK, CARD) == [DISK, CARD]
    assert drivers(tree) == ["vfio-pci", "vfio-pci"]
    assert kernel.written[:3] == [
        f"devices/{DISK}/driver_override vfio-pci",
        f"drivers/nvme/unbind {DISK}",
        f"drivers_probe {DISK}",
    ]

    assert binder.restore() == [DISK, CARD]

    assert drivers(tree) == ["nvme", "e1000e"]
    assert function(DISK, tree.root).override == ""
    assert binder.restore() == []


def test_what_is_bound_already_stays_and_is_not_ours_to_give_back(
    tree: Tree, kernel: Kernel, binder: Binder
) -> None:
    tree.function("0000:03:00.0", driver="vfio-pci", driver_override="vfio-pci", group=3)

    assert take(binder, "0000:03:00.0") == []
    assert kernel.written == []
    with pytest.raises(HostError, match=r"03:00\.0 was not taken by `vmm vfio bind`"):
        binder.restore(["0000:03:00.0"])


def test_a_name_that_is_said_twice_is_given_back_once(tree: Tree, binder: Binder) -> None:
    take(binder, DISK)

    assert binder.restore([DISK, DISK]) == [DISK]

    assert drivers(tree)[0] == "nvme"


def test_binding_again_keeps_the_first_record(tree: Tree, binder: Binder) -> None:
    take(binder, DISK)
    take(binder, DISK)

    binder.restore()

    assert drivers(tree)[0] == "nvme"


@pytest.mark.parametrize(
    "failing",
    [
        f"devices/{CARD}/driver_override vfio-pci",
        f"drivers/e1000e/unbind {CARD}",
        f"drivers_probe {CARD}",
    ],
)
def test_a_step_that_fails_undoes_all(
    tree: Tree, kernel: Kernel, binder: Binder, failing: str
) -> None:
    kernel.refuse = {failing}

    with pytest.raises(HostError, match="failed: Input/output error") as caught:
        take(binder, DISK, CARD)

    assert CARD in str(caught.value)
    assert drivers(tree) == ["nvme", "e1000e"]
    assert Journal(tree.root).addresses() == []


def test_one_that_cannot_be_had_back_does_not_keep_the_others(
    tree: Tree, kernel: Kernel, binder: Binder
) -> None:
    kernel.refuse = {f"drivers_probe {CARD}", f"drivers/e1000e/bind {CARD}"}

    with pytest.raises(HostError, match="giving it back failed too") as caught:
        take(binder, DISK, CARD)

    assert "drivers_probe` failed" in str(caught.value)
    assert drivers(tree) == ["nvme", ""]
    assert Journal(tree.root).addresses() == [CARD]


def test_vfio_pci_that_does_not_take_it_is_told(
    tree: Tree, kernel: Kernel, binder: Binder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel, "_bind", lambda address, driver: None)
    with pytest.raises(HostError, match="should have the driver vfio-pci now and has no driver"):
        take(binder, DISK)


def test_another_driver_that_has_it_meanwhile_makes_room(
    tree: Tree, kernel: Kernel, binder: Binder
) -> None:
    take(binder, DISK)
    link = tree.top / f"sys/devices/pci0000:00/{DISK}/driver"
    link.unlink()
    tree.driver("other")
    link.symlink_to(tree.top / "sys/bus/pci/drivers/other")

    binder.restore()

    assert drivers(tree)[0] == "nvme"
    assert kernel.written[-2:] == [f"drivers/other/unbind {DISK}", f"drivers/nvme/bind {DISK}"]


def test_a_function_that_is_gone_is_forgotten(tree: Tree, binder: Binder) -> None:
    take(binder, DISK)
    (tree.top / f"sys/bus/pci/devices/{DISK}").unlink()

    assert binder.restore() == [DISK]
    assert Journal(tree.root).addresses() == []


def test_a_function_in_use_is_not_given_back(tree: Tree, binder: Binder) -> None:
    take(binder, DISK)
    tree.process(99, "qemu", "/dev/vfio/1")

    for attempt in (binder.restore, lambda: binder.restore_plan(DISK, Journal(tree.root))):
        with pytest.raises(HostError, match="still in use by process 99"):
            attempt()

    assert drivers(tree)[0] == "vfio-pci"
    assert Journal(tree.root).addresses() == [DISK]


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"version": 9, "driver": "", "driver_override": ""}', '{"version": 1}',
     '{"version": 1, "driver": "../x", "driver_override": ""}'],
)  # fmt: skip
def test_a_record_that_makes_no_sense_is_told(tree: Tree, binder: Binder, text: str) -> None:
    take(binder, DISK)
    tree.file(f"run/vmm/vfio/{DISK}.json", text)

    with pytest.raises(HostError, match="does not tell what"):
        binder.restore()


def test_the_record_is_there_before_anything_is_changed(
    tree: Tree, kernel: Kernel, binder: Binder, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Entry | None] = []
    monkeypatch.setattr(
        kernel, "write", lambda path, text: seen.append(Journal(tree.root).get(DISK))
    )
    with pytest.raises(HostError):
        take(Binder(tree.root, kernel.write), DISK)

    assert seen[0] == Entry(address=DISK, driver="nvme", override="")


def test_nothing_is_changed_when_nothing_can_be_written_down(
    tree: Tree, kernel: Kernel, binder: Binder
) -> None:
    tree.file("run/vmm", "a file")

    with pytest.raises(HostError, match="run the command with sudo"):
        take(binder, DISK)
    assert kernel.written == []


@pytest.mark.parametrize(
    ("place", "force", "really", "words"),
    [
        ("/srv", False, False, "is mounted at /srv; umount /srv; say --force to take it"),
        ("/srv", True, False, ""),
        ("/", True, False, "is mounted at /; run the host from another disk; or say both --force"),
        ("/", True, True, ""),
    ],
)
def test_disks_in_use_are_refused_until_told(
    tree: Tree, binder: Binder, place: str, force: bool, really: bool, words: str
) -> None:
    tree.disk("nvme0n1", f"sys/devices/pci0000:00/{DISK}", "259:0")
    tree.mounted(("259:0", place, "/dev/nvme0n1"))
    picked = [function(DISK, tree.root)]
    if not words:
        binder.refuse(picked, force, really)
        return
    with pytest.raises(HostError) as caught:
        binder.refuse(picked, force, really)
    assert words in str(caught.value)


def test_steps_for_a_shell(tree: Tree, binder: Binder) -> None:
    steps = binder.plan([function(DISK, tree.root)])

    assert [step.command for step in steps] == [
        f"echo vfio-pci > /sys/bus/pci/devices/{DISK}/driver_override",
        f"echo {DISK} > /sys/bus/pci/drivers/nvme/unbind",
        f"echo {DISK} > /sys/bus/pci/drivers_probe",
    ]
    take(binder, DISK)
    assert [step.command for step in binder.restore_plan(DISK, Journal(tree.root))] == [
        f"echo > /sys/bus/pci/devices/{DISK}/driver_override",
        f"echo {DISK} > /sys/bus/pci/drivers/vfio-pci/unbind",
        f"echo {DISK} > /sys/bus/pci/drivers/nvme/bind",
    ]
    assert json.loads((tree.top / f"run/vmm/vfio/{DISK}.json").read_text())["driver"] == "nvme"


def test_a_write_that_never_returns_is_given_up(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)  # opening it waits for a reader that never comes

    with pytest.raises(TimeoutError, match="did not answer within"):
        write_bounded(str(pipe), "x", patience=0.1)


def test_what_the_kernel_says_to_a_write_comes_back(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_bounded(str(tmp_path / "none"), "x")
    there = tmp_path / "there"
    there.touch()
    write_bounded(str(there), "text")
    assert there.read_text() == "text"


def test_a_write_that_fails_for_lack_of_descriptors_has_written_nothing(tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.touch()
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            write_bounded(str(there), "text")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert there.read_text() == ""


def test_a_shell_loads_what_binding_loads(tree: Tree, binder: Binder) -> None:
    shutil.rmtree(tree.top / "sys/bus/pci/drivers/vfio-pci")

    steps = binder.plan([function(DISK, tree.root)])

    assert steps[0].command == "modprobe vfio-pci"
    assert len(steps) == 4
