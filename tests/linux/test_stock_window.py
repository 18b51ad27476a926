"""A stock Debian kernel on virtio consoles in a terminal; numbers as in docs/console.md."""

from __future__ import annotations

import fcntl
import os
import signal
import struct
import termios
from pathlib import Path

import pytest

from tests.linux.consoleguest import PATIENCE, program
from tests.linux.stock import initrd_with
from tests.terminalkit import Terminal
from vmm.lab.guest import guest_kernel

pytestmark = pytest.mark.needs("kvm", "stock-kernel")


def boot_on_terminal(folder: Path, script: str, *options: str) -> Terminal:
    initrd = initrd_with(folder, script, [program(folder, "portio")])
    return Terminal(
        *("--kernel", str(guest_kernel()), "--initrd", str(initrd)),
        *("--append", 'console=hvc0 vmm.cmd="/bin/sh /script"', "--reboot", "exit"),
        *("--exit-report", str(folder / "report"), "--console", "virtio", *options),
    )


def resize(terminal: Terminal, columns: int, rows: int) -> None:
    fcntl.ioctl(terminal.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    os.kill(terminal.pid, signal.SIGWINCH)


def test_hvc0_is_a_terminal_that_follows_the_window(tmp_path: Path) -> None:
    """25, 26: keys, text, the window's size, and how a panic on it is told."""
    script = (
        "PATH=/bin; /bin/busybox --install -s /bin; portio window /dev/hvc0 2 &\n"
        'read -r answer; echo "you said $answer"; wait\n'
        "echo c >/proc/sysrq-trigger"
    )
    terminal = boot_on_terminal(tmp_path, script)
    try:
        terminal.patience = PATIENCE
        terminal.wait_for(b"window=0x0")
        terminal.type(b"hel\x01\x01lo\r")
        terminal.wait_for(b"you said hel")
        resize(terminal, 100, 40)
        terminal.wait_for(b"window=100x40")
        resize(terminal, 132, 50)
        terminal.wait_for(b"window=132x50")
        code = terminal.end()
    finally:
        terminal.close()
    assert code == 255
    report = (tmp_path / "report").read_text()
    assert '"cause": "panic"' in report
    assert "Kernel panic - not syncing: sysrq triggered crash" in report


def test_26_message_of_the_window_comes_in_either_order(tmp_path: Path) -> None:
    """Kernels differ in which they read, so one of two devices must have the window turned."""
    script = (
        "PATH=/bin; /bin/busybox --install -s /bin\n"
        "portio window /dev/hvc0 1 >/tmp/0 & portio window /dev/hvc1 1 >/tmp/1 &\n"
        "until [ -s /tmp/0 -a -s /tmp/1 ]; do usleep 10000; done; echo watching; wait\n"
        "echo `tail -n1 /tmp/0` `tail -n1 /tmp/1`; sleep 1"
    )
    terminal = boot_on_terminal(
        tmp_path,
        script,
        *("--device", "virtio-console,id=l,ports=1"),
        *("--device", "virtio-console,id=s,ports=1,resize-order=spec"),
        *("--port", "console,device=s,null"),
    )
    try:
        terminal.patience = PATIENCE
        terminal.wait_for(b"watching")
        resize(terminal, 100, 40)
        terminal.wait_for(b"window=")
        code = terminal.end()
    finally:
        terminal.close()
    assert code == 0
    shown = terminal.seen.split(b"window=", 1)[1].split()
    assert {shown[0], shown[1].removeprefix(b"window=")} == {b"100x40", b"40x100"}
