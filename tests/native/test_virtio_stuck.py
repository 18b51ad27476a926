"""Devices that do not come to rest: how long they are waited for, and what they do afterwards."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from tests.native.virtiorig import rng_rig
from vmm.errors import VmmError
from vmm.native import lib
from vmm.virtio import core
from vmm.virtio.core import PATIENCE, VirtioCore

ETIMEDOUT = -110


def test_devices_that_are_stuck_are_waited_for_together_and_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits: list[tuple[str, int]] = []
    now = [1000.0]

    def wait(_device: object, milliseconds: int) -> int:
        waits.append((stuck[0].name, milliseconds))
        now[0] += milliseconds / 1000
        return ETIMEDOUT

    fake = {"virtio_ask_reset": lambda _device: None, "virtio_wait_idle": wait}
    with rng_rig() as rig:
        both = [VirtioCore(n, rig.core.pointer, rig.loop, rig.context.notify) for n in "ab"]
        with monkeypatch.context() as patch:
            patch.setattr(core, "lib", SimpleNamespace(**fake))
            patch.setattr(core, "monotonic", lambda: now[0])
            for device in both:
                device.ask_halt()
            for stop in (VirtioCore.halt, VirtioCore.close):
                for device in both:
                    stuck = [device]
                    with pytest.raises(VmmError, match="did not reset within 10 s"):
                        stop(device)
    assert [wait for wait in waits if wait[1]] == [("a", PATIENCE)]
    assert {name for name, _wait in waits} == {"a", "b"}


def test_patience_begins_anew_once_a_device_was_at_rest() -> None:
    with rng_rig() as rig:
        for _ in range(3):
            rig.driver.probe(rig.arena)
            rig.core.ask_halt()
            rig.core.halt()
            assert lib.virtio_wait_idle(rig.core.pointer, 0) == 0


def script(build: str, drive: str) -> str:
    """A device whose loop is held by its code while it is closed, and let go afterwards."""
    return f"""
import threading
import vmm.virtio.core
vmm.virtio.core.PATIENCE = 20
from tests.native.servedrig import Upper
from tests.native.virtiorig import VirtioRig
from tests.virtiopci import wait_for
from vmm.errors import VmmError
from vmm.virtio.console import VirtioConsole

held, go_on, errors = threading.Event(), threading.Event(), []
rig = VirtioRig(lambda context: {build})
rig.loop.on_failure = errors.append
def hold():
    held.set()
    go_on.wait()
{drive}
held.wait()
try:
    rig.pci.close()
except VmmError as error:
    assert "did not reset" in str(error), error
else:
    raise AssertionError("closed")
go_on.set()
rig.loop.ask(lambda: None)
rig.loop.ask(lambda: None)
wait_for(lambda: not rig.loop._served, "the loop to forget it")
rig.__exit__()
assert not errors, errors
print("over")
"""


SERVED = """
ring, _ = rig.driver.probe(rig.arena)
rig.device.act = lambda chain: hold()
ring.add([b"1"], [8])
ring.publish()
rig.driver.notify(0)
"""
CONSOLE = """
from vmm.portconfig import read_port
rig.device.add(read_port("name=p,null"))
rig.driver.probe(rig.arena)
rig.loop.call(hold)
"""


@pytest.mark.parametrize(
    ("build", "drive"),
    [
        ('Upper("upper", context)', SERVED),
        ('VirtioConsole("console", context, max_ports=4, multiport=True)', CONSOLE),
    ],
    ids=["served", "console"],
)
def test_loop_that_comes_back_finds_the_device_abandoned(build: str, drive: str) -> None:
    done: Any = subprocess.run(
        [sys.executable, "-c", script(build, drive)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "over\n"), done.stderr
