"""`vmm vfio run`, and what is left when somebody is killed: the host has its drivers again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import guests
from tests.vfio.host import PATIENCE, drive, driver, load, until, vmm, vmm_after, write
from tests.vfio.lab import DISK, EDU, HUGE, SHARED_CARD, SHARED_EDU, STORE
from vmm.errors import EXIT_HOST, EXIT_OK, EXIT_USAGE
from vmm.vfio.sysfs import DEVICES

GUEST = guests.load()[0]["vfio"]
pytestmark = pytest.mark.needs("kvm", *GUEST.needs)
NAMES = [name for name in GUEST.tests if name != "forever"]
HOSTILE = ("over-another", "beyond-the-table", "random-config")
COMMAND = (sys.executable, "-m", "vmm")


@pytest.fixture(autouse=True)
def disk() -> str:
    guests.build()
    load("nvme")
    drive(DISK, "nvme")
    return DISK


def boot_words(skip: Sequence[str], console: Path) -> tuple[str, ...]:
    return (
        *("--kernel", str(GUEST.path), "--mem", GUEST.mem, "--debug-exit"),
        *("--console", f"file:{console}", "--append", f"skip={','.join(skip)}"),
    )


@contextmanager
def endless(console: Path, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """A command whose guest is at work with its device until somebody ends it."""
    command = (*COMMAND, *words, *boot_words(NAMES, console))
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        try:
            until(lambda: process.poll() is not None or b"at work" in said(console))
            assert process.poll() is None, process.stderr.read() if process.stderr else b""
            yield process
        finally:
            process.kill()


def said(console: Path) -> bytes:
    return console.read_bytes() if console.exists() else b""


def child(process: subprocess.Popen[bytes]) -> int:
    path = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    (number,) = path.read_text().split()
    return int(number)


def test_two_devices_for_as_long_as_the_guest_runs(tmp_path: Path) -> None:
    skip = [*GUEST.skip, "over-ram", *HOSTILE]  # which are warned of
    words = ("run", EDU, DISK, "--", *boot_words(skip, tmp_path / "console"), "--irqchip=split")
    done = vmm_after((), *words)
    assert (done.returncode, done.stderr) == (GUEST.code, "")
    assert not GUEST.complaints((tmp_path / "console").read_text(), done.returncode, skip)
    assert (driver(EDU), driver(DISK)) == ("", "nvme")


def test_a_dry_run_tells_the_commands(tmp_path: Path) -> None:
    done = vmm("run", "--dry-run", DISK, "--", "--kernel", "vmlinux", "--", "quiet")
    assert done.returncode == EXIT_OK
    *_, boot, restore = done.stdout.splitlines()
    assert boot == f"vmm boot --device vfio,host={DISK} --kernel vmlinux -- quiet"
    assert restore == f"vmm vfio restore {DISK}"
    assert driver(DISK) == "nvme"


def test_options_that_boot_does_not_know_take_nothing(tmp_path: Path) -> None:
    done = vmm("run", DISK, "--", "--kernel", "vmlinux", "--mem", "lots")
    assert done.returncode == EXIT_USAGE
    assert "--mem" in done.stderr
    assert driver(DISK) == "nvme"


def test_a_guest_that_is_killed_gives_its_devices_back(tmp_path: Path) -> None:
    with endless(tmp_path / "console", "vfio", "run", EDU, DISK, "--") as process:
        assert driver(DISK) == "vfio-pci"
        os.kill(child(process), signal.SIGKILL)
        assert process.wait(PATIENCE) == 128 + signal.SIGKILL
    assert (driver(EDU), driver(DISK)) == ("", "nvme")


def test_a_signal_for_the_command_ends_the_guest(tmp_path: Path) -> None:
    with endless(tmp_path / "console", "vfio", "run", EDU, DISK, "--") as process:
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 130
    assert (driver(EDU), driver(DISK)) == ("", "nvme")


def test_when_all_is_killed_restore_gives_back(tmp_path: Path) -> None:
    with endless(tmp_path / "console", "vfio", "run", EDU, DISK, "--") as process:
        guest = child(process)
        process.kill()
        process.wait(PATIENCE)
        done = vmm("restore")
        assert done.returncode == EXIT_HOST  # the guest has it still
        assert str(guest) in done.stderr
        os.kill(guest, signal.SIGKILL)
        until(lambda: not Path(f"/proc/{guest}/fd").is_dir() or not os.listdir(f"/proc/{guest}/fd"))
    # What nobody is left to give back goes back with the next command that has it.
    with endless(tmp_path / "next", "vfio", "run", EDU, "--") as process:
        assert driver(EDU) == "vfio-pci"
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)
    assert (driver(EDU), driver(DISK)) == ("", "vfio-pci")
    assert vmm("restore").returncode == EXIT_OK
    assert driver(DISK) == "nvme"


def test_one_device_is_for_one_machine(tmp_path: Path) -> None:
    with endless(tmp_path / "console", "vfio", "run", EDU, "--") as process:
        done = boot(f"vfio,host={EDU}", tmp_path)
        assert done.returncode == EXIT_HOST
        assert f"process {child(process)} (" in done.stderr
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)
    assert driver(EDU) == ""


def boot(device: str, folder: Path, before: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    words = (*boot_words(NAMES, folder / "second"), "--device", *device.split())
    return subprocess.run(
        [*before, *COMMAND, "boot", *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def test_what_cannot_be_had_is_one_sentence(tmp_path: Path) -> None:
    limit = ("setpriv", "--bounding-set=-ipc_lock", "prlimit", "--memlock=1048576:1048576")
    nobody = ("setpriv", "--reuid=65534", "--clear-groups", "--bounding-set=-all")
    few = ("prlimit", "--nofile=100:100")
    twice = f"{EDU} --device vfio,host={EDU}"
    load("8139cp")
    load("nvme")
    drive(STORE, "nvme")
    assert vmm("bind", EDU, STORE, HUGE).returncode == EXIT_OK
    assert vmm("bind", "--group", SHARED_EDU).returncode == EXIT_OK
    write(f"{DEVICES}/{SHARED_CARD}/driver_override", "\n")
    drive(SHARED_CARD, "8139cp")
    for device, before, words in (
        ("0000:1f:1f.7", (), "There is no PCI function 0000:1f:1f.7"),
        (DISK, (), f"{DISK} is not bound to vfio-pci; bind it with `sudo vmm vfio bind {DISK}`"),
        (EDU, limit, "the limit is 1,048,576; sudo prlimit --pid $$ --memlock="),
        (SHARED_EDU, (), f"while the host drives a part of it ({SHARED_CARD} has 8139cp)"),
        (EDU, nobody, "Permission denied"),
        (STORE, few, "descriptors, "),
        (f"{EDU} --mem 100G", (), "of the guest in memory, and this host has"),
        (twice, (), f"{EDU} is in this machine already"),
        (HUGE, (), "No room is left for vfio0 (BAR 2): 0x800000000 bytes of PCI mem64 space"),
    ):
        done = boot(f"vfio,host={device}", tmp_path, before)
        code = EXIT_USAGE if device in (HUGE, twice) else EXIT_HOST  # what this machine cannot have
        assert done.returncode == code, (device, done.stderr)
        assert words in done.stderr
        assert done.stderr.count("\n") == 1, done.stderr
    assert vmm("restore").returncode == EXIT_OK
