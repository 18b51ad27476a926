"""The lab itself, run from outside: statuses, output, what exists inside, what is left behind."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

LAB = (sys.executable, "-m", "vmm.lab")
TOP = Path(__file__).resolve().parents[2]

# KVM_GET_API_VERSION and KVM_CHECK_EXTENSION(KVM_CAP_XEN_HVM), without the package under test.
INSIDE = """
import fcntl, os
kvm = os.open("/dev/kvm", os.O_RDWR)
print("api", fcntl.ioctl(kvm, 0xAE00))
print("xen", fcntl.ioctl(kvm, 0xAE03, 38) & 0x7F == 0x7F)
print("npt", open("/sys/module/kvm_amd/parameters/npt").read().strip())
print("vfio", os.path.exists("/sys/bus/pci/drivers/vfio-pci") and os.path.exists("/dev/vfio/vfio"))
groups = os.listdir("/sys/kernel/iommu_groups")
edu = [d for d in os.listdir("/sys/bus/pci/devices")
       if open(f"/sys/bus/pci/devices/{d}/device").read().strip() == "0x11e8"]
print("edu", len(edu), bool(groups))
for node in ("vhost-net", "vhost-vsock", "net/tun", "fd/0"):
    print(node, os.path.exists("/dev/" + node))
"""

# The least of five rounds of one piece of work, twice.
COUNTED = """
from time import process_time_ns as now
def once():
    start = now()
    sum(range(100_000))
    return now() - start
print(min(once() for _ in range(5)), min(once() for _ in range(5)))
"""


def lab(*words: str, **more: object) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*LAB, *words], capture_output=True, cwd=TOP, check=False, **more)  # type: ignore[call-overload,no-any-return]


def alive(tag: str) -> list[str]:
    """Command lines of processes that carry `tag` in their environment."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdecimal() and tag.encode() in (entry / "environ").read_bytes():
                found.append((entry / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


def test_everything_a_vmm_needs_exists_inside() -> None:
    done = lab("run", "--device", "edu", "--", "/usr/bin/python3", "-c", INSIDE)
    assert done.stderr == b""
    assert done.returncode == 0
    assert done.stdout.decode().splitlines() == [
        *("api 12", "xen True", "npt Y", "vfio True", "edu 1 True"),
        *("vhost-net True", "vhost-vsock True", "net/tun True", "fd/0 True"),
    ]


def test_output_is_exact_separate_and_the_status_is_the_commands(tmp_path: Path) -> None:
    data = os.urandom(1 << 20)
    (tmp_path / "data").write_bytes(data)
    script = f"cat {tmp_path}/data; echo problem >&2; echo again > /dev/stderr; exit 7"
    done = lab("run", "--", "sh", "-c", script)
    assert done.returncode == 7
    assert done.stdout == data
    assert done.stderr == b"problem\nagain\n"


def test_the_tree_is_scratch_and_the_out_folder_is_not(tmp_path: Path) -> None:
    (tmp_path / "in").write_text("before")
    out = tmp_path / "out"
    out.mkdir()
    script = f"echo after > {tmp_path}/in; cat {tmp_path}/in; cp {tmp_path}/in /out/copy; pwd"
    done = lab("run", "--out", str(out), "--cwd", str(tmp_path), "--", "sh", "-c", script)
    assert done.stdout.decode() == f"after\n{tmp_path}\n"
    assert (tmp_path / "in").read_text() == "before"
    assert (out / "copy").read_text() == "after\n"


def test_a_background_process_does_not_hold_the_lab() -> None:
    done = lab("run", "--", "sh", "-c", "sleep 1000 & echo started")
    assert (done.returncode, done.stdout) == (0, b"started\n")


def test_a_timeout_ends_with_124_after_what_was_printed() -> None:
    done = lab("run", "--timeout", "3", "--", "sh", "-c", "echo begun; sleep 1000")
    assert done.returncode == 124
    assert done.stdout == b"begun\n"
    assert b"longer than 3 s" in done.stderr


def test_an_l1_that_dies_in_its_boot_is_tried_twice_then_4() -> None:
    done = lab(
        "run", "--kernel-arg", "rdinit=/nonexistent", "--kernel-arg", "init=/x", "--", "true"
    )
    assert done.returncode == 4
    assert done.stderr.count(b"L1 died during its boot") == 2
    assert done.stderr.count(b"trying once more") == 1
    assert b"L1| " in done.stderr
    assert b"Traceback" not in done.stderr


def test_a_frozen_boot_is_noticed_from_outside() -> None:
    done = lab("run", "--boot-patience", "1", "--qemu-arg=-S", "--", "true")
    assert done.returncode == 4
    assert done.stderr.count(b"L1 froze during its boot") == 2


def test_an_unknown_device_is_qemus_sentence_and_4() -> None:
    done = lab("run", "--device", "nosuchdevice", "--", "true")
    assert done.returncode == 4
    assert b"nosuchdevice" in done.stderr


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
def test_a_signal_leaves_no_process_behind(signum: signal.Signals) -> None:
    tag = f"LAB_TEST_TAG=mark-{os.getpid()}-{signum}"
    name, value = tag.split("=")
    with subprocess.Popen(
        [*LAB, "run", "--", "sh", "-c", "echo begun; sleep 1000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, name: value},
        cwd=TOP,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        assert len(alive(tag)) == 2
        process.send_signal(signum)
        status = process.wait()
    assert status == (-signum if signum == signal.SIGKILL else 128 + signum)
    while alive(tag):  # the kernel ends QEMU with its parent; a hang here is the failure
        time.sleep(0.05)


def test_counted_time_repeats() -> None:
    done = lab("run", "--count", "--", "/usr/bin/python3", "-I", "-S", "-c", COUNTED)
    assert done.returncode == 0
    first, second = (int(line) for line in done.stdout.split())
    assert abs(first - second) < first * 0.01


class Tty:
    """`vmm lab shell` on a pseudo-terminal."""

    def __init__(self, *words: str) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(TOP)
            os.execv(LAB[0], [*LAB, "shell", *words])
        self.seen = b""

    def expect(self, text: bytes) -> None:
        deadline = time.monotonic() + 120
        while text not in self.seen:
            assert time.monotonic() < deadline, self.seen
            if select.select([self.fd], [], [], 1)[0]:
                self.seen += os.read(self.fd, 1 << 16)

    def close(self) -> int:
        try:
            while os.read(self.fd, 1 << 16):
                pass
        except OSError:
            pass  # EIO: the other side is closed
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def test_the_shell_has_a_real_terminal_of_this_size() -> None:
    tty = Tty("--", "sh")
    fcntl.ioctl(tty.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 101, 0, 0))
    tty.expect(b"# ")
    os.write(tty.fd, b"tty; until stty size | grep 33; do :; done\r")
    tty.expect(b"33 101")
    # The quotes keep the echo of what was typed from looking like the answer.
    os.write(tty.fd, b"sh -c 'trap exit INT; echo ar\"\"med; while :; do :; done'\r")
    tty.expect(b"armed")
    os.write(tty.fd, b"\x03")  # reaches the job inside, not the lab
    os.write(tty.fd, b"echo still $((40 + 2)); exit 9\r")
    tty.expect(b"still 42")
    assert b"/dev/hvc0" in tty.seen
    assert tty.close() == 9


def test_the_way_out_of_a_shell_works() -> None:
    tty = Tty("--", "sh", "-c", "echo inside; sleep 1000")
    tty.expect(b"inside")
    for _ in range(3):
        os.write(tty.fd, b"\x1d")
        time.sleep(0.3)
    assert tty.close() == 130


def test_a_shell_needs_a_terminal() -> None:
    done = lab("shell", stdin=subprocess.DEVNULL)
    assert done.returncode == 4
    assert b"needs a terminal" in done.stderr
