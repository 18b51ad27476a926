"""`vmm vfio run` on a made-up host, with a shell in the guest's place."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.bindkit import CARD, DISK, drivers, take
from tests.pcitree import Kernel, Tree
from vmm.cli import vfiorun
from vmm.errors import EXIT_SIGNAL, ConfigError
from vmm.host.command import vmm_command
from vmm.vfio.bind import Binder
from vmm.vfio.journal import Journal
from vmm.vfio.sysfs import function

TAKEN = ["vfio-pci", "e1000e"]
BACK = ["nvme", "e1000e"]
Run = Callable[..., int]


@pytest.fixture
def run(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs with the disk; `script` is what happens instead of a guest."""

    tree.file("proc/self/status", f"CapEff: {1 << 14:x}\n")  # may lock memory without a limit

    def start(script: str, write: Callable[[str, str], None]) -> int:
        monkeypatch.setattr(vfiorun, "Binder", lambda: Binder(tree.root, write))
        monkeypatch.setattr(vfiorun, "vmm_command", lambda *_words: ["/bin/sh", "-c", script])
        picked = [function(DISK, tree.root)]
        return vfiorun.run_guest({"boot": ("--kernel", "vmlinux")}, picked)

    return start


def test_what_was_taken_for_the_guest_goes_back(run: Run, tree: Tree, kernel: Kernel) -> None:
    driver = f"{tree.root}/sys/bus/pci/devices/{DISK}/driver"
    assert run(f'[ "$(basename "$(readlink {driver})")" = vfio-pci ] && exit 5', kernel.write) == 5
    assert (drivers(tree), Journal(tree.root).addresses()) == (BACK, [])


def test_what_others_took_stays(run: Run, tree: Tree, binder: Binder, kernel: Kernel) -> None:
    take(binder, DISK)
    take(binder, CARD)
    assert run("exit 3", kernel.write) == 3
    assert drivers(tree) == ["vfio-pci", "vfio-pci"]
    assert sorted(Journal(tree.root).addresses()) == [DISK, CARD]


def test_what_is_bound_already_needs_no_journal(
    run: Run, tree: Tree, binder: Binder, kernel: Kernel
) -> None:
    take(binder, DISK)
    os.rename(f"{tree.root}/run", f"{tree.root}/gone")
    (tree.top / "run").write_text("nothing can be written below it")
    assert run("exit 0", kernel.write) == 0
    assert drivers(tree) == TAKEN


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGINT])
def test_a_signal_while_it_binds_undoes_that(
    run: Run, tree: Tree, kernel: Kernel, tmp_path: Path, number: int
) -> None:
    def write(path: str, text: str) -> None:
        if len(kernel.written) == 1:
            os.kill(os.getpid(), number)
        kernel.write(path, text)

    assert run(f"touch {tmp_path}/started", write) == EXIT_SIGNAL
    assert not (tmp_path / "started").exists()
    assert (drivers(tree), Journal(tree.root).addresses()) == (BACK, [])


@pytest.mark.parametrize("name", ["TERM", "HUP", "QUIT", "INT"])
def test_a_signal_for_the_command_is_one_for_the_guest(
    run: Run, tree: Tree, kernel: Kernel, name: str
) -> None:
    script = f"trap 'exit 7' {name}; kill -{name} $PPID; while :; do sleep 0.01; done"
    assert run(script, kernel.write) == 7
    assert drivers(tree) == BACK


def test_a_guest_that_is_killed_is_told_as_shells_do(run: Run, tree: Tree, kernel: Kernel) -> None:
    assert run("kill -KILL $$", kernel.write) == 128 + signal.SIGKILL
    assert drivers(tree) == BACK


def test_ctrl_c_does_not_cut_giving_back_short(run: Run, tree: Tree, kernel: Kernel) -> None:
    def write(path: str, text: str) -> None:
        if drivers(tree) == TAKEN:
            os.kill(os.getpid(), signal.SIGINT)
        kernel.write(path, text)

    with pytest.raises(KeyboardInterrupt):
        run("exit 0", write)
    assert (drivers(tree), Journal(tree.root).addresses()) == (BACK, [])


def test_bad_words_for_boot_take_nothing(tree: Tree, kernel: Kernel) -> None:
    with pytest.raises(ConfigError):
        vfiorun.run_guest({"boot": ("--mem", "lots")}, [function(DISK, tree.root)])
    assert kernel.written == []


def test_modules_of_the_current_folder_are_not_run(tmp_path: Path) -> None:
    for name in ("vmm.py", "cffi.py", "select.py"):
        (tmp_path / name).write_text("raise SystemExit(99)\n")
    done = subprocess.run(
        vmm_command("--version"), cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("vmm ")
