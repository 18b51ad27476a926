"""A stock kernel through what happens to machines: long pauses, reboots, panics, power button."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest

from tests.linux.running import running
from tests.linux.stock import TIMEOUT, boot

pytestmark = pytest.mark.needs("kvm", "stock-kernel")

PAUSE = 60  # seconds: longer than every watchdog of a stock kernel waits


def test_a_pause_of_a_minute_passes_unnoticed(tmp_path: Path) -> None:
    # Not for a TSC that drifts from kvmclock: in the lab the host's own TSC is no stable clock.
    look = "dmesg | grep -iE 'lockup|stall|hung|blocked for more'"
    script = f"date +up=%s; echo first; sleep 3; date +up=%s; {look}; echo noticed=$?"
    with running(tmp_path, script, ("--cpus", "2")) as guest:
        guest.wait_for("first")
        guest.ask("pause")
        time.sleep(PAUSE)
        guest.ask("resume")
        code = guest.process.wait(TIMEOUT)

    text = guest.text()
    seconds = [int(line[3:]) for line in text.splitlines() if line.startswith("up=")]
    assert code == 0
    assert "noticed=1" in text, f"the kernel noticed:\n{text}"
    assert seconds[1] - seconds[0] < PAUSE / 2, "guest time ran on while paused"


def test_a_reboot_restarts_the_machine_in_place(tmp_path: Path) -> None:
    with running(tmp_path, "/bin/busybox reboot -f", ("--cpus", "2")) as guest:
        guest.wait_for("guest ready", times=3)
        info = guest.ask("info")[0]
        guest.process.send_signal(signal.SIGTERM)
        code = guest.process.wait(TIMEOUT)

    assert info["resets"] >= 2
    assert code == 130
    report = json.loads((guest.state / "report.json").read_text())
    assert report["cause"] == "signal"


def test_reboot_exit_ends_with_its_own_code(tmp_path: Path) -> None:
    run = boot(tmp_path, ("--reboot", "exit"), script="/bin/busybox reboot -f", append="quiet")

    assert run.code == 252
    assert run.report["cause"] == "reset"


@pytest.mark.parametrize("more", ["", "panic=1"], ids=["stays", "reboots"])
def test_a_panic_is_told_from_a_reset(more: str, tmp_path: Path) -> None:
    crash = "echo c > /proc/sysrq-trigger"
    run = boot(tmp_path, ("--reboot", "exit"), script=crash, append=f"quiet {more}")

    assert run.code == 255
    assert run.report["cause"] == "panic"
    assert "Kernel panic - not syncing: sysrq triggered crash" in run.console


@pytest.mark.parametrize("machine", ["default", "legacy"])
def test_the_power_button_reaches_the_guest(machine: str, tmp_path: Path) -> None:
    script = """
        for at in /sys/class/input/event*; do
            grep -q "Power Button" $at/device/name && button=/dev/input/${at##*/}
        done
        echo waiting
        echo bytes=`dd if=$button bs=24 count=1 2>/dev/null | wc -c`
    """
    options = ("--machine", machine)
    with running(tmp_path, script, options, ("button", "evdev")) as guest:
        guest.wait_for("waiting")
        time.sleep(0.5)
        guest.ask("system_powerdown")
        code = guest.process.wait(TIMEOUT)

    assert code == 0
    assert "bytes=24" in guest.text()
