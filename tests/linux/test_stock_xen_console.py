"""A stock Debian kernel's shell on hvc0, over the PV console of a Xen domain."""

from __future__ import annotations

import hashlib
import json
import socket
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

import pytest

from tests.linux.stock import TIMEOUT
from vmm.__main__ import main
from vmm.control.client import ControlClient
from vmm.errors import EXIT_OK, EXIT_USAGE
from vmm.lab.guest import guest_initramfs, guest_kernel

pytestmark = pytest.mark.needs("kvm", "stock-kernel", "xen")

PROMPT = b"guest:/# "


class Shell:
    """Whoever sits at the other end of a console on a socket."""

    def __init__(self, path: Path) -> None:
        give_up = time.monotonic() + TIMEOUT
        self.peer = socket.socket(socket.AF_UNIX)
        self.peer.settimeout(TIMEOUT)
        while self.peer.connect_ex(str(path)):
            assert time.monotonic() < give_up
            time.sleep(0.05)
        self.text = b""

    def until(self, mark: bytes) -> bytes:
        """What came up to and with `mark`."""
        while mark not in self.text:
            piece = self.peer.recv(1 << 16)
            assert piece, self.text[-2000:]
            self.text += piece
        found, _, self.text = self.text.partition(mark)
        return found + mark

    def run(self, command: str) -> str:
        """What a command printed."""
        self.peer.sendall(command.encode() + b"; echo END''OF\n")
        return "\r\n" + self.until(b"ENDOF\r\n" + PROMPT).decode().partition("\n")[2]


def check_xenstore(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What the guest found there and left there, seen and changed from outside."""
    where, home = ("-s", str(state)), "/local/domain/1"
    client = ControlClient(str(state))
    client.execute("xenstore-watch", path="/tool")
    assert main(["xenstore", "write", *where, "/tool/x", "some value"]) == EXIT_OK
    assert main(["xenstore", "read", *where, "/tool/x"]) == EXIT_OK
    assert main(["xenstore", "rm", *where, "/tool"]) == EXIT_OK
    assert main(["xenstore", "read", *where, "/tool/x"]) == EXIT_USAGE
    told = [event["data"]["path"] for event in islice(client.events(), 3)]
    client.close()
    shown = capsys.readouterr()
    assert shown.out == "some value\n"
    assert shown.err == "vmm: xenstore refuses /tool/x: there is no such node\n"
    assert told == ["/tool", "/tool/x", "/tool"]
    assert main(["xenstore", "ls", *where, "-r", home]) == EXIT_OK
    shown = capsys.readouterr()
    assert f'{home}/domid = "1"  (n0,r1)' in shown.out
    assert f'{home}/control/feature-poweroff = "1"  (n1)' in shown.out
    assert f'{home}/cpu/1/availability = "online"  (n0,r1)' in shown.out


@pytest.mark.parametrize("backend", ["kvm", "userspace"])
def test_shell_on_hvc0(backend: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, report = tmp_path / "console", tmp_path / "report.json"
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "vmm", "boot", "--xen", "--xen-backend", backend),
            *("--cpus", "2", "--kernel", str(guest_kernel()), "--initrd", str(guest_initramfs())),
            *("--append", "console=hvc0 loglevel=5", "--console", f"xen:socket:{path}"),
            *("--timeout", str(TIMEOUT), "--exit-report", str(report)),
            *("--state-dir", str(tmp_path / "state")),
        ],
        stdin=subprocess.DEVNULL,
    )
    shell = Shell(path)
    booted = shell.until(PROMPT)
    lines = shell.run("seq 1 5000")
    long = "".join(f"{number:063}\n" for number in range(60)).encode()
    shell.peer.sendall(b"echo GO''ING; cat >/tmp/long\n")
    # Less than the terminal itself holds: more would be its throttling that is tested.
    shell.until(b"GOING\r\n")  # the line's editor has let go of the terminal
    shell.peer.sendall(long + b"\x04")
    shell.until(PROMPT)
    summed = shell.run("sha256sum /tmp/long")
    asked = shell.run("cat /sys/class/tty/console/active; grep -c hvc_console /proc/interrupts")
    check_xenstore(tmp_path / "state", capsys)
    log = shell.run("dmesg -r | grep '^<[0-3]>'")
    shell.peer.sendall(b"exit\n")
    code = process.wait(TIMEOUT)
    counters = json.loads(report.read_text())["counters"]["devices"]["xen"]

    assert code == 0
    assert b"busybox shell on hvc0" in booted
    assert "\r\n".join(["", *(str(number) for number in range(1, 5001)), ""]) in lines
    assert hashlib.sha256(long).hexdigest() in summed
    assert "hvc0\r\n1\r\n" in asked
    assert [line for line in log.splitlines() if line.startswith("<")] == []
    assert counters["console_broken"] == counters["xenstore_broken"] == 0
    assert counters["console_tx_bytes"] > 25_000
    assert counters["console_rx_bytes"] > len(long)
    assert counters["xenstore_requests"] > 10
