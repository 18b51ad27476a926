"""The emulated machine L1 runs on: QEMU's command line and its process.

q35 with TCG, an AMD CPU with nested SVM and an emulated Intel IOMMU, so that kvm_amd, VFIO and
vhost exist inside whatever the host has. The kernel is entered through PVH (the unpacked ELF),
which saves decompression and most of the firmware's work.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path

from vmm.errors import HostError
from vmm.host.apt import Root
from vmm.lab.config import LabConfig
from vmm.lab.kernel import Kernel
from vmm.record import Record

QEMU = "usr/bin/qemu-system-x86_64"
FIRMWARE = ("usr/share/qemu", "usr/share/seabios", "usr/lib/ipxe/qemu")
MODULES = "usr/lib/x86_64-linux-gnu/qemu"
KERNEL_ARGS = (
    *("console=ttyS0", "quiet", "loglevel=1", "panic=-1", "mitigations=off", "nokaslr"),
    *("cryptomgr.notests", "audit=0", "apparmor=0", "random.trust_cpu=on", "net.ifnames=0"),
)
CPU = "EPYC,+svm"
# Parts of the model that TCG lacks; without naming them QEMU warns of each, once for each CPU.
NOT_EMULATED = ("fxsr-opt", "misalignsse", "osvw", "topoext", "nrip-save", "xsavec")
PORTS = ("control", "stdout", "stderr")  # virtio-serial ports vmm.*, in this order
PR_SET_PDEATHSIG = 1
TERM_GRACE = 2.0  # seconds QEMU gets to close its disks before it is killed


class Files(Record):
    """What the command line points at."""

    root: Root
    kernel: Kernel
    initrd: str
    channels: Mapping[str, int]  # name -> file descriptor of a connected socket


def machine(config: LabConfig) -> list[str]:
    """CPU, memory and accelerator; instruction counting needs one CPU on one thread."""
    if config.count:
        accelerator = ["-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off"]
    else:
        accelerator = ["-accel", "tcg,thread=multi"]
    return [
        *("-machine", "q35,sata=off,smbus=off,vmport=off,hpet=off"),
        *accelerator,
        *("-cpu", ",".join((CPU, *(f"-{feature}" for feature in NOT_EMULATED)))),
        *("-m", f"{config.mem >> 20}M"),
        *("-smp", str(1 if config.count else config.cpus)),
    ]


def command(config: LabConfig, files: Files) -> list[str]:
    """QEMU's whole argument vector."""
    words = ["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-vga", "none"]
    for folder in FIRMWARE:
        words += ["-L", str(files.root.path / folder)]
    words += machine(config)
    words += ["-kernel", str(files.kernel.vmlinux), "-initrd", files.initrd]
    words += ["-append", " ".join((*KERNEL_ARGS, *config.kernel_args))]
    words += ["-device", "intel-iommu,intremap=on"]
    for name, fd in files.channels.items():
        words += ["-chardev", f"socket,id={name},fd={fd}"]
    words += ["-serial", "chardev:console", "-device", "virtio-serial-pci,id=vmm-ports"]
    for number, name in enumerate(PORTS, start=1):
        port = f"chardev={name},name=vmm.{name},bus=vmm-ports.0,nr={number}"
        words += ["-device", f"virtserialport,{port}"]
    if "monitor" in files.channels:
        words += ["-mon", "chardev=monitor,mode=control"]
    if "terminal" in files.channels:
        words += ["-device", "virtconsole,chardev=terminal,bus=vmm-ports.0,nr=0"]
    words += share("root", "/", "readonly=on,multidevs=remap")
    if config.out is not None:
        words += share("out", os.path.abspath(config.out), "multidevs=remap")
    for device in config.devices:
        words += ["-device", device]
    return files.root.command(QEMU, *words, *config.qemu_args)


def share(tag: str, path: str, options: str) -> list[str]:
    """One folder exported to L1 through 9p; QEMU's option parser wants commas doubled."""
    escaped = path.replace(",", ",,")
    return ["-virtfs", f"local,path={escaped},mount_tag={tag},security_model=none,{options}"]


class Machine:
    """The running QEMU. Whoever starts it must call `stop`."""

    def __init__(self, words: list[str], root: Root, pass_fds: tuple[int, ...]) -> None:
        self._process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=pass_fds,
            start_new_session=True,
            env={**os.environ, "QEMU_MODULE_DIR": str(root.path / MODULES)},
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - the lab has one thread
        )
        assert self._process.stdout is not None
        self.messages = self._process.stdout  # QEMU's own complaints
        os.set_blocking(self.messages.fileno(), False)

    def ended(self) -> bool:
        return self._process.poll() is not None

    def cpu_seconds(self) -> float:
        """CPU time the process has used; rises as long as L1 executes anything."""
        try:
            fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        """Asks QEMU to end, which closes its disks, and kills it when it does not."""
        for signum, patience in ((signal.SIGTERM, TERM_GRACE), (signal.SIGKILL, 60.0)):
            if self.ended():
                break
            self._process.send_signal(signum)
            try:
                self._process.wait(patience)
            except subprocess.TimeoutExpired:
                continue
        self.messages.close()


def _die_with_parent() -> None:
    """In the child: SIGKILL for QEMU when this process dies, however it dies."""
    if ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
        raise OSError("prctl(PR_SET_PDEATHSIG) failed")


def channel() -> tuple[socket.socket, socket.socket]:
    """A connected pair: ours (non-blocking), QEMU's."""
    try:
        ours, theirs = socket.socketpair()
    except OSError as error:
        raise HostError(f"cannot make a socket pair for the lab: {error.strerror}") from error
    ours.setblocking(False)
    return ours, theirs
