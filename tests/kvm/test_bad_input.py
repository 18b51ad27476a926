"""Guests and files that go wrong once there is a machine: sentence, code, terminal, leftovers."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests import bootkit
from tests.commandkit import CRASH, PASSED, boot
from tests.guests import BUILD
from tests.terminalkit import Terminal
from vmm.errors import EXIT_CRASH, EXIT_IMAGE, EXIT_REPORT

pytestmark = pytest.mark.needs("kvm")


def test_an_initrd_too_large_for_memory_is_one_sentence(tmp_path: Path) -> None:
    kernel = bootkit.write(tmp_path / "vmlinux", bootkit.linux_elf())
    initrd = tmp_path / "initrd"
    with initrd.open("wb") as file:
        file.truncate(100 << 20)

    done = boot("-k", kernel, "-i", str(initrd), "-m", "64M")

    assert done.returncode == EXIT_IMAGE
    assert done.stderr.startswith(f"vmm: initrd {initrd} has 104857600 bytes, for which ")
    assert done.stderr.count("\n") == 1


def test_a_kernel_too_large_for_memory_is_one_sentence(tmp_path: Path) -> None:
    kernel = bootkit.write(tmp_path / "vmlinux", bootkit.linux_elf())

    done = boot("-k", kernel, "-m", "16M")

    assert done.returncode == EXIT_IMAGE
    assert "give it more" in done.stderr
    assert done.stderr.count("\n") == 1


# How the guest of the same name ends, what is said of it, and the exit that says so.
@pytest.mark.parametrize(
    ("how", "what", "exit_name"),
    [
        ("stack", "triple fault", "SHUTDOWN"),
        ("mmio", "KVM internal error", "INTERNAL_ERROR"),
        ("garbage", "", ""),  # a triple fault, or an internal error where KVM emulates
    ],
)
def test_a_crash_is_told_on_a_terminal_that_is_given_back(
    tmp_path: Path, how: str, what: str, exit_name: str
) -> None:
    report = tmp_path / "report.json"
    terminal = Terminal("-k", CRASH, "-a", f"how={how}", "--exit-report", str(report))

    assert terminal.end() == EXIT_CRASH
    assert terminal.cooked()
    terminal.close()
    said = terminal.seen.decode().replace("\r\n", "\n")
    assert "\nvCPU 0, KVM said: exit " + exit_name in said
    assert f"\nvmm: The guest crashed: {what}" in said
    assert "Traceback" not in said
    body = json.loads(report.read_text())
    assert (body["cause"], body["code"]) == ("crash", EXIT_CRASH)
    assert body["detail"]["kvm"]["exit"].startswith(exit_name)


@pytest.mark.needs("root")
def test_a_full_filesystem_keeps_the_old_report_and_no_rubbish(tmp_path: Path) -> None:
    mounted = (
        f"mount -t tmpfs -o size=8k none {tmp_path}; echo old > {tmp_path}/report.json; "
        f"head -c 4096 /dev/zero > {tmp_path}/rest; "
    )
    look = f'"$@"; code=$?; ls {tmp_path}; cat {tmp_path}/report.json; exit $code'
    shell = ["unshare", "-rm", "sh", "-c", mounted + look, "sh"]

    done = boot(
        *("-k", str(BUILD / "hello.elf"), "--debug-exit", "--console=null"),
        *("--exit-report", str(tmp_path / "report.json")),
        before=shell,
    )

    assert done.returncode == EXIT_REPORT
    assert done.stdout.split() == ["report.json", "rest", "old"]
    assert done.stderr.splitlines() == [
        f"vmm: cannot write the exit report {tmp_path}/report.json: No space left on device",
        f"vmm: how it ended: the guest wrote 0 to isa-debug-exit (code {PASSED})",
    ]


def test_nothing_is_left_behind_by_what_failed(tmp_path: Path) -> None:
    state = tmp_path / "state"
    before = sorted(os.listdir("/dev/shm"))

    boot("-k", CRASH, "-a", "how=mmio", "--state-dir", str(state), "--console", f"socket:{state}/c")

    assert sorted(os.listdir(state)) == ["config.toml", "report.json"]
    assert sorted(os.listdir("/dev/shm")) == before
